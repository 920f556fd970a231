# SPDX-License-Identifier: Apache-2.0
"""What GitHub would have answered, for a pull request that reads as given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from controlbook.forge import Answer
from controlbook.forge.reading import answer_line, rules_digest
from controlbook.timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from controlbook.model import Pull, Review

_API = "GET /repos/example/payments-compliance"


def _answer(path: str, body: object) -> Answer:
    return Answer(request=f"{_API}{path}", status=200, body=json.dumps(body).encode())


RULES = _answer("/rules/branches/main?per_page=100", [{"type": "pull_request"}])
RULESET = rules_digest([RULES])
"""The digest of the rules in force, as the capture reads it."""


def lines_of(pulls: Iterable[Pull]) -> list[bytes]:
    """Give the records of a pack from which these pull requests are read."""
    pulls = tuple(pulls)
    suites = [
        {"after_sha": pull.merge, "result": pull.rule_suite}
        for pull in pulls
        if pull.rule_suite
    ]
    answers = [
        RULES,
        _answer("/rulesets/rule-suites?ref=refs%2Fheads%2Fmain&per_page=100", suites),
        *(answer for pull in pulls for answer in _of(pull)),
    ]
    return [answer_line(answer) for answer in answers]


def _of(pull: Pull) -> Iterator[Answer]:
    path = f"/pulls/{pull.number}"
    about = {
        "number": pull.number,
        "html_url": pull.url,
        "title": pull.title,
        "user": _user(pull.author_id, pull.author_login, pull.author_type),
        "base": {"sha": pull.base},
        "head": {"sha": pull.head},
        "merge_commit_sha": pull.merge,
        "merged_by": _user(pull.merged_by_id),
        "merged_at": iso(pull.merged_at),
        "changed_files": len(pull.paths),
        "commits": len(pull.pushers),
    }
    page = "?per_page=100"
    yield _answer(f"{path}{page}", about)
    files = [{"filename": name} for name in pull.paths]
    yield _answer(f"{path}/files{page}", files)
    yield _answer(f"{path}/reviews{page}", [_review(each) for each in pull.reviews])
    commits = [{"author": _user(id_), "committer": None} for id_ in pull.pushers]
    yield _answer(f"{path}/commits{page}", commits)


def _review(given: Review) -> dict[str, Any]:
    return {
        "id": int(given.id),
        "user": _user(given.user_id, given.user_login, given.user_type),
        "state": given.state,
        "commit_id": given.commit,
        "submitted_at": iso(given.submitted),
        "body": "\n".join(f"{each.path}\n\n{each.text}" for each in given.signatures),
    }


def _user(id_: str, login: str = "", kind: str = "User") -> dict[str, Any]:
    return {"id": int(id_), "login": login or f"u{id_}", "type": kind}
