# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_world import BOT, PERSON, SIGNOFF, day, merge, raw_git

if TYPE_CHECKING:
    from controlbook.git import Repository


def test_arrival_by_a_merge_names_its_parents_and_its_codeowners(
    repository: Repository,
) -> None:
    first = repository.head()
    tip, merged = merge(
        repository,
        "sign",
        {SIGNOFF: b"signed\n", ".github/CODEOWNERS": b"* @everybody\n"},
        day(1),
    )
    repository.write_and_commit(
        {"evidence/config/000001.json": b"{}"}, "Collect", at=day(2), author=BOT
    )
    (arrival,) = repository.arrivals("HEAD", [SIGNOFF, "signoffs/none.yml"]).values()
    assert arrival.path == SIGNOFF
    assert arrival.merge == merged
    assert arrival.parents == (first, tip)
    assert arrival.at == day(1)
    assert arrival.reviewed_same
    # T48: the owners of the pull request's base decide, not those it brings along.
    assert arrival.codeowners == b"* @c-novak\n"


@pytest.mark.threat("T41")
def test_an_edit_after_the_merge_is_the_arrival(repository: Repository) -> None:
    merge(repository, "sign", {SIGNOFF: b"signed\n"}, day(1))
    edit = repository.write_and_commit(
        {SIGNOFF: b"forged\n"}, "Edit", at=day(2), author=PERSON
    )
    arrival = repository.arrivals("HEAD", [SIGNOFF])[SIGNOFF]
    assert arrival.merge == edit
    assert len(arrival.parents) == 1
    assert not arrival.reviewed_same


@pytest.mark.threat("T56")
def test_a_squash_merge_has_no_reviewed_head(repository: Repository) -> None:
    main = repository.head()
    tip = repository.commit_files(
        {SIGNOFF: b"signed\n"}, "Sign", base=main, at=day(1), author=PERSON
    )
    repository.git("reset", "--hard", "--quiet", tip)
    arrival = repository.arrivals("HEAD", [SIGNOFF])[SIGNOFF]
    assert arrival.parents == (main,)
    assert not arrival.reviewed_same


def test_a_merge_that_changes_the_reviewed_bytes_shows(repository: Repository) -> None:
    main = repository.head()
    tip = repository.commit_files(
        {SIGNOFF: b"reviewed\n"}, "Sign", base=main, at=day(1), author=PERSON
    )
    other = repository.commit_files(
        {SIGNOFF: b"evil\n"}, "Evil", base=main, at=day(1), author=PERSON
    )
    tree = repository.git("rev-parse", f"{other}^{{tree}}").decode().strip()
    merged = repository.commit_tree(tree, (main, tip), "M", at=day(1), author=PERSON)
    arrival = repository.arrivals(merged, [SIGNOFF])[SIGNOFF]
    assert arrival.merge == merged
    assert not arrival.reviewed_same


def test_a_file_that_is_gone_has_no_arrival(repository: Repository) -> None:
    merge(repository, "sign", {SIGNOFF: b"signed\n"}, day(1))
    raw_git(repository.root, "rm", "-q", SIGNOFF)
    raw_git(
        repository.root,
        *("-c", "user.name=x", "-c", "user.email=x"),
        *("commit", "-qm", "gone"),
    )
    assert repository.arrivals("HEAD", [SIGNOFF]) == {}


def test_a_file_of_the_first_commit_has_no_codeowners_before_it(
    repository: Repository,
) -> None:
    arrival = repository.arrivals("HEAD", ["controls/a.yml"])["controls/a.yml"]
    assert (arrival.parents, arrival.codeowners) == ((), b"")


def test_arrivals_of_nothing_is_nothing(repository: Repository) -> None:
    assert repository.arrivals("HEAD", []) == {}


def begin(repository: Repository) -> None:
    """Collect for the first time: from here on the programme is watched."""
    first = {"evidence/config/000000.json": b"{}"}
    repository.write_and_commit(first, "Collect", at=day(0), author=BOT)


def test_what_stood_before_the_first_run_needs_no_review(
    repository: Repository,
) -> None:
    setup = {"controls/a.yml": b"set up"}
    repository.write_and_commit(setup, "Set up", at=day(0), author=BOT)
    assert repository.unreviewed_commits("HEAD", ()) == ()
    begin(repository)
    assert repository.unreviewed_commits("HEAD", ()) == ()


@pytest.mark.parametrize(
    ("files", "counts"),
    [
        ({"evidence/config/000001.json": b"{}"}, False),
        ({"evidence/audit-manager/000001.json": b"{}"}, False),
        ({"evidence/checkpoints/1.json": b"{}"}, False),
        ({"evidence/checkpoints/1.json.sig": b"s"}, False),
        ({"docs/x.md": b"x"}, False),
        ({"evidence/manual/000001.json": b"{}"}, True),
        ({"evidence/manual/policy.yml": b"x"}, True),
        ({"evidence/config/000001.json": b"{}", "controls/a.yml": b"x"}, True),
        ({"evidence/config/note.txt": b"x"}, True),
        ({"controls/a.yml": b"x"}, True),
        ({".github/CODEOWNERS": b"x"}, True),
        ({"pyproject.toml": b"x"}, True),
    ],
)
def test_a_direct_commit_needs_a_review_unless_it_only_adds_evidence(
    repository: Repository, files: dict[str, bytes], counts: object
) -> None:
    begin(repository)
    commit = repository.write_and_commit(files, "Direct", at=day(1), author=BOT)
    assert repository.unreviewed_commits("HEAD", ()) == ((commit,) if counts else ())


def test_changing_collected_evidence_is_unreviewed(repository: Repository) -> None:
    path = "evidence/config/000001.json"
    repository.write_and_commit({path: b"{}"}, "Collect", at=day(1), author=BOT)
    edit = repository.write_and_commit(
        {path: b'{"a":1}'}, "Edit", at=day(2), author=BOT
    )
    assert repository.unreviewed_commits("HEAD", ()) == (edit,)


def test_a_captured_merge_is_reviewed_and_another_is_not(
    repository: Repository,
) -> None:
    begin(repository)
    _, first = merge(repository, "one", {"controls/a.yml": b"1"}, day(1))
    _, second = merge(repository, "two", {"controls/a.yml": b"2"}, day(2))
    assert repository.unreviewed_commits("HEAD", {first}) == (second,)
    assert repository.unreviewed_commits("HEAD", {first, second}) == ()
