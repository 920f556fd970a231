# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_world import raw_git
from released import Example, example

from controlbook.cli import run
from controlbook.errors import ControlbookError, Exit

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.outcome import Outcome


def clone(made: Example, at: str, place: Path) -> Path:
    """Keep a clone whose main stands at a commit."""
    raw_git(place.parent, "clone", "-q", str(made.repository.root), str(place))
    raw_git(place, "reset", "--hard", "-q", at)
    return place


def verified(bundle: Path, kept: Path) -> Outcome:
    return run(["verify", str(bundle), "--git", str(kept)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Example, Path]:
    programme = example(tmp_path_factory.mktemp("programme"))
    return programme, programme.release()


@pytest.mark.parametrize("at", ["HEAD", "HEAD~1", "HEAD~4"])
def test_a_clone_from_before_the_release_is_continued(
    made: tuple[Example, Path], tmp_path: Path, at: str
) -> None:
    found = verified(made[1], clone(made[0], at, tmp_path / "kept"))
    assert found.code == Exit.FINE
    assert "ok   clone (1)" in found.text


def test_a_clone_from_after_the_release_is_fine(
    made: tuple[Example, Path], tmp_path: Path
) -> None:
    kept = clone(made[0], "HEAD", tmp_path / "kept")
    raw_git(
        kept,
        *("-c", "user.name=x", "-c", "user.email=x@example.com"),
        *("commit", "-q", "--allow-empty", "-m", "Later"),
    )
    assert verified(made[1], kept).code == Exit.FINE


@pytest.mark.threat("T21")
def test_a_rewritten_main_does_not_continue_the_clone(tmp_path: Path) -> None:
    (tmp_path / "true").mkdir()
    (tmp_path / "forged").mkdir()
    true = example(tmp_path / "true")
    kept = clone(true, "HEAD~1", tmp_path / "kept")
    forged = example(tmp_path / "forged", skip=(3,))
    found = verified(forged.release(), kept)
    assert found.code == Exit.INTEGRITY
    assert "neither before nor after the released commit" in found.text
    assert "history was rewritten" in found.text
    assert "evidence/config/000003.json: is not the one that the clone" in found.text
    assert "evidence/config/000006.json: the clone holds it, and the" in found.text


@pytest.mark.threat("T21")
def test_a_shallow_clone_proves_nothing(
    made: tuple[Example, Path], tmp_path: Path
) -> None:
    source = made[0].repository.root.as_uri()
    raw_git(tmp_path, "clone", "-q", "--depth", "1", source, str(tmp_path / "kept"))
    with pytest.raises(ControlbookError, match="shallow clone"):
        verified(made[1], tmp_path / "kept")


def test_without_a_clone_that_is_said(made: tuple[Example, Path]) -> None:
    found = run(["verify", str(made[1])])
    assert "no clone that was kept outside was given (--git)" in found.text
