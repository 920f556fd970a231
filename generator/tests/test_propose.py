# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from github_world import MOREAU, SIGNOFF, START, World, world

from controlbook.errors import ControlbookError
from controlbook.git import Repository
from controlbook.propose import propose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlbook.forge import PullRequest


@pytest.fixture
def github(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def signed(github: World, body: bytes = b"signed\n") -> PullRequest:
    return propose(
        github.work,
        github.forge(),
        {SIGNOFF: body},
        branch="signoff/PCI-2028-Q1/3.4",
        title="Sign off 3.4",
        body="| 3.4 |",
        at=START,
        author=MOREAU,
    )


def state(repository: Repository) -> list[str]:
    commands = (("status", "--porcelain"), ("branch",), ("rev-parse", "HEAD"))
    return [
        subprocess.run(
            ["git", *words], cwd=repository.root, check=True, capture_output=True
        ).stdout.decode()
        for words in commands
    ]


def test_a_proposal_leaves_the_work_tree_as_it_was(github: World) -> None:
    (github.work.root / "controls" / "a.yml").write_text("being edited")
    (github.work.root / "new.txt").write_text("new")
    subprocess.run(["git", "add", "new.txt"], cwd=github.work.root, check=True)
    before = state(github.work)
    opened = signed(github)
    assert state(github.work) == before
    assert opened.branch == "signoff/PCI-2028-Q1/3.4"
    shown = github.ask("bot", "GET", f"/pulls/{opened.number}")
    assert (shown["title"], shown["commits"], shown["changed_files"]) == (
        "Sign off 3.4",
        1,
        1,
    )
    found = github.remote.files_at(opened.branch)
    assert found[SIGNOFF] == b"signed\n"
    assert found["controls/a.yml"] == b"a\n"


def test_a_proposal_stands_on_what_the_remote_has_now(
    github: World, tmp_path: Path
) -> None:
    other = Repository.clone(str(github.remote.root), tmp_path / "other")
    newest = other.write_and_commit({"x": b"x"}, "X", at=START, author=MOREAU)
    other.push("origin", "main")
    opened = signed(github)
    assert github.remote.resolve(f"{opened.branch}^") == newest


def test_an_existing_branch_is_left_alone(github: World) -> None:
    first = signed(github)
    tip = github.remote.resolve(first.branch)
    second = signed(github, b"signed again\n")
    assert second.branch.startswith("signoff/PCI-2028-Q1/3.4-")
    assert second.number != first.number
    assert github.remote.resolve(first.branch) == tip


def test_from_proposal_to_arrival(github: World) -> None:
    opened = signed(github)
    github.approve(opened.number, "lindqvist")
    merge = github.merge(opened.number)
    github.work.update("origin", "main")
    arrival = github.work.arrivals("HEAD", [SIGNOFF])[SIGNOFF]
    assert (arrival.merge, arrival.reviewed_same) == (merge, True)
    assert b"@m-lindqvist" in arrival.codeowners


def test_without_a_remote_it_says_what_to_do(github: World) -> None:
    github.work.git("remote", "remove", "origin")
    with pytest.raises(ControlbookError) as caught:
        signed(github)
    assert "remote's address" in caught.value.advice
