# SPDX-License-Identifier: Apache-2.0
"""An assessment at two commits of a small, real programme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import released
from running import controlbook, small_programme

from controlbook.errors import ControlbookError, Exit

if TYPE_CHECKING:
    from pathlib import Path

NAME = released.NAME


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> released.Example:
    return released.example(tmp_path_factory.mktemp("diff"))


def changes(made: released.Example, old: str, new: str) -> list[dict[str, Any]]:
    data = controlbook(made.root / "programme", "diff", NAME, old, "--to", new).data
    found = data["changes"]
    assert isinstance(found, list)
    return found


def run_commit(made: released.Example, seq: int) -> str:
    path = f"evidence/config/{seq:06d}.json"
    log = made.repository.git("log", "--format=%H", "--diff-filter=A", "--", path)
    return log.decode().split()[0]


def test_a_deviation_appears_with_the_day_that_showed_it(
    made: released.Example,
) -> None:
    found = changes(made, run_commit(made, 3), run_commit(made, 4))
    (deviation,) = [row for row in found if row["what"] == "deviation"]
    assert deviation["old"] == ""
    assert (
        "2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z, remediated" in (deviation["new"])
    )
    (collected,) = [row for row in found if row["what"] == "collected"]
    assert (collected["old"], collected["new"]) == (
        "2028-02-14T00:00:00Z",
        "2028-02-15T00:00:00Z",
    )


def test_backwards_it_vanishes(made: released.Example) -> None:
    forth = changes(made, run_commit(made, 3), run_commit(made, 4))
    back = changes(made, run_commit(made, 4), run_commit(made, 3))
    assert sorted((r["name"], r["old"], r["new"]) for r in back) == sorted(
        (r["name"], r["new"], r["old"]) for r in forth
    )


def test_a_requirement_s_status_changes_when_it_is_signed(
    made: released.Example,
) -> None:
    found = changes(made, run_commit(made, 6), "HEAD")
    rows = {row["name"]: row for row in found if row["what"] == "requirement"}
    assert rows["3.4"]["new"] == "signed with deviations, satisfied"
    assert rows["3.4"]["old"].startswith("in review")


def test_nothing_changed_is_exit_0(made: released.Example) -> None:
    outcome = controlbook(made.root / "programme", "diff", NAME, "HEAD")
    assert outcome.text.endswith("nothing changed")
    assert outcome.code is Exit.FINE


def test_a_change_is_exit_1_and_shown_old_to_new(made: released.Example) -> None:
    first = run_commit(made, 1)
    outcome = controlbook(made.root / "programme", "diff", NAME, first)
    assert outcome.code is Exit.FOUND
    assert "~ collected until: 2028-02-12" not in outcome.text
    assert "+ deviation dev-" in outcome.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["NOPE", "HEAD"], "there is no assessment 'NOPE'"),
        ([NAME, "nowhere"], "has no commit 'nowhere'"),
        ([NAME, "HEAD", "--to", "nowhere"], "has no commit 'nowhere'"),
    ],
)
def test_bad_input(words: list[str], message: str, made: released.Example) -> None:
    with pytest.raises(ControlbookError) as caught:
        controlbook(made.root / "programme", "diff", *words)
    assert message in str(caught.value)


def test_a_first_commit_has_nothing_before_it(tmp_path: Path) -> None:
    root = small_programme(tmp_path / "p")
    with pytest.raises(ControlbookError, match="has no commit"):
        controlbook(root, "diff", "A-1")
