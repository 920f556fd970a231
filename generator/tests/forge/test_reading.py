# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from github_world import SIGNOFF

from controlbook.forge import Answer
from controlbook.forge.reading import answer_line, read_answer, read_pulls

if TYPE_CHECKING:
    from controlbook.model import Pull


def captured(**changes: Any) -> list[Answer]:  # noqa: ANN401 - JSON
    user = {"login": "m-lindqvist", "id": 4100202, "type": "User"}
    row = {
        "number": 7,
        "html_url": "https://github.com/o/r/pull/7",
        "title": "Caf" + "e\u0301",
        "user": user,
        "base": {"sha": "b" * 40},
        "head": {"sha": "a" * 40},
        "merge_commit_sha": "c" * 40,
        "merged_by": user,
        "merged_at": "2028-04-03T08:00:00Z",
        "changed_files": 1,
        "commits": 1,
    }
    parts: dict[str, Any] = {
        "": row,
        "/files": [{"filename": SIGNOFF}],
        "/reviews": [],
        "/commits": [{"author": user, "committer": user}],
    }
    parts |= {"/" + key: value for key, value in changes.items() if key != "pull"}
    parts[""] = row | changes.get("pull", {})
    return [
        Answer(
            request=f"GET /repos/o/r/pulls/7{part}?per_page=100",
            status=200,
            body=json.dumps(value).encode(),
        )
        for part, value in parts.items()
    ]


def pull_of(answers: list[Answer]) -> Pull:
    (pull,), _ = read_pulls(answers)
    return pull


def test_a_deleted_account_is_nobody() -> None:
    pull = pull_of(captured(pull={"user": None, "merged_by": None}))
    assert (pull.author_id, pull.author_type, pull.merged_by_id) == ("", "", "")


def test_titles_are_in_one_normal_form() -> None:
    assert pull_of(captured()).title == "Café"


def test_both_names_of_a_renamed_file_are_touched() -> None:
    files = [{"filename": "docs/x.yml", "previous_filename": "controls/x.yml"}]
    pull = pull_of(captured(files=files))
    assert pull.paths == ("controls/x.yml", "docs/x.yml")


def test_the_last_pusher_comes_last() -> None:
    ann, bob = ({"login": n, "id": i, "type": "User"} for n, i in (("a", 1), ("b", 2)))
    web = {"login": "web-flow", "id": 19864447, "type": "User"}
    commits = [
        {"author": ann, "committer": ann},
        {"author": bob, "committer": bob},
        {"author": None, "committer": None},
        {"author": ann, "committer": web},
    ]
    pull = pull_of(captured(commits=commits, pull={"commits": 4}))
    assert pull.pushers == ("2", "1")


def test_a_list_that_github_cut_off_is_a_note() -> None:
    _, notes = read_pulls(captured(pull={"changed_files": 3001}))
    assert notes == ("GitHub lists 1 of 3001 files of pull request #7",)


def test_a_review_that_is_not_submitted_is_left_out() -> None:
    user = {"login": "m-lindqvist", "id": 4100202, "type": "User"}
    pending = {"id": 1, "user": user, "state": "PENDING", "commit_id": "a" * 40}
    done = pending | {
        "id": 2,
        "state": "APPROVED",
        "submitted_at": "2028-04-03T07:00:00Z",
    }
    pull = pull_of(captured(reviews=[pending, done]))
    assert [review.id for review in pull.reviews] == ["2"]


def test_pages_are_put_in_order_whatever_order_they_come_in() -> None:
    def page(number: int) -> Answer:
        user = {"login": f"u{number}", "id": number, "type": "User"}
        return Answer(
            request=f"GET /repos/o/r/pulls/7/commits?per_page=100&page={number}",
            status=200,
            body=json.dumps([{"author": user, "committer": user}]).encode(),
        )

    first = [a for a in captured() if "/commits" not in a.request]
    answers = [*first, page(10), page(9), page(2)]
    assert pull_of(answers).pushers == ("2", "9", "10")
    assert pull_of(answers[::-1]).pushers == ("2", "9", "10")


def test_an_answer_keeps_its_bytes() -> None:
    for body in (b'{"a": "\xc3\xa9\\u00e9"}\n', b"\xff\xfe broken", b""):
        answer = Answer(request="GET /x", status=200, body=body)
        line = answer_line(answer)
        assert b"\n" not in line
        assert read_answer(line) == answer
