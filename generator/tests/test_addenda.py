# SPDX-License-Identifier: Apache-2.0
"""After a release: main moves on, and an addendum says what changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import keys
import proven
import pytest
import released
from tampering import edited, opened, retagged, unpacked, without

from controlbook.cli import run
from controlbook.digest import ZERO
from controlbook.errors import ControlbookError, Exit
from controlbook.model import Status
from controlbook.render.changes import changes, named, numbered, previous, substantial
from controlbook.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

NAME = released.NAME
SECOND = f"{NAME}-r2"
SIGNED = {Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS}
CONTROL = "controls/policy-kept.yml"


def played(folder: Path, ring: Path) -> proven.Proven:
    authority = keys.Authority(folder)  # never asked
    with proven.written(ring, authority, '{signoff: "L1"}', trusted=False):
        made = proven.Proven(folder, keys=ring, authority=authority, sidecars=())
    return proven.played(made)


def amend(made: proven.Proven) -> None:
    """Change a control's text on main, and let everybody state and sign again."""
    text = made.programme.files[CONTROL]
    more = text.replace(b"every year", b"every year, by the board")
    assert more != text
    made.merge({CONTROL: more}, "j-moreau", "Say who reviews the policy")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[proven.Proven, Path, Path]:
    ring = proven.key_ring(tmp_path_factory.mktemp("ring"))
    made = played(tmp_path_factory.mktemp("world"), ring)
    first = made.release()
    amend(made)
    made.sign()
    made.capture()
    made.checkpoint()
    return made, first, made.release(SECOND, "second")


def test_the_first_release_still_verifies(
    world: tuple[proven.Proven, Path, Path],
) -> None:
    assert verify(world[1]).code is Exit.FINE


def test_the_addendum_verifies_and_lists_what_it_changes(
    world: tuple[proven.Proven, Path, Path],
) -> None:
    verdict = verify(world[2])
    assert verdict.code is Exit.FINE, [c.message for c in verdict.checks if not c.ok]
    assert "addendum" in [check.name for check in verdict.checks]
    rows = json.loads(opened(world[2])["data/changes.json"])["rows"]
    assert {row["since"] for row in rows} == {NAME}
    told = {(row["kind"], row["about"], row["field"]) for row in rows}
    assert ("controls", "policy-kept", "sha256") in told
    assert ("requirements", "12.1", "subject") in told
    assert ("runs", "reviews", "") in told
    assert not any(kind in {"deviations", "gaps"} for kind, _, _ in told)


def test_a_first_release_lists_no_changes(
    world: tuple[proven.Proven, Path, Path],
) -> None:
    assert "data/changes.json" not in opened(world[1])


@pytest.mark.threat("T80")
def test_an_addendum_that_hides_a_change_is_found(
    world: tuple[proven.Proven, Path, Path], tmp_path: Path
) -> None:
    forged = edited(
        opened(world[2]), "data/changes.json", lambda tree: tree["rows"].pop()
    )
    verdict = verify(unpacked(retagged(forged), tmp_path / NAME))
    assert verdict.code is Exit.INTEGRITY
    faults = "\n".join(check.message for check in verdict.checks)
    assert "data/changes.json: is not what sources and ledger give" in faults


def test_an_addendum_without_its_list_is_found(
    world: tuple[proven.Proven, Path, Path], tmp_path: Path
) -> None:
    files = without(opened(world[2]), "data/changes.json", "data/changes.csv")
    verdict = verify(unpacked(retagged(files), tmp_path / NAME))
    assert verdict.code is Exit.INTEGRITY


def test_a_released_assessment_is_judged_at_its_tag(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = played(tmp_path, proven.key_ring(tmp_path_factory.mktemp("ring")))
    made.release()
    tagged = made.programme.commit
    amend(made)
    now = made.programme
    assert now.statuses(NAME)["12.1"].status is not Status.SIGNED
    at = now.released(NAME)
    assert at is not None
    assert at.commit == tagged
    assert {row.status for row in at.statuses(NAME).values()} <= SIGNED
    root = str(made.repository.root)
    made.repository.git("checkout", "--quiet", "--force", "main")
    outcome = run(["status", NAME, "-C", root])
    assert outcome.code is Exit.FINE
    assert f"released as {NAME}, at {tagged[:10]}; judged there" in outcome.text
    (book,) = now.book(NAME, release="", toolchain={}).reports
    assert book.draft


def test_nothing_new_makes_no_addendum(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = played(tmp_path, proven.key_ring(tmp_path_factory.mktemp("ring")))
    made.release()
    made.capture()
    made.repository.git("checkout", "--quiet", "--force", "main")
    made.repository.configure(*released.BOT)
    before = made.repository.tags()
    with pytest.raises(ControlbookError, match="nothing in it has changed since"):
        run(["release", NAME, "-C", str(made.repository.root)])
    assert made.repository.tags() == before


def test_an_addendum_too_needs_every_signature(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = played(tmp_path, proven.key_ring(tmp_path_factory.mktemp("ring")))
    made.release()
    amend(made)
    made.capture()
    made.repository.git("checkout", "--quiet", "--force", "main")
    with pytest.raises(ControlbookError, match=r"12\.1 is stale"):
        run(["release", NAME, "-C", str(made.repository.root)])


@pytest.mark.parametrize(
    ("tag", "number", "before"),
    [
        ("A", 1, ""),
        ("A-r2", 2, "A"),
        ("A-r10", 10, "A-r9"),
        ("A-r1", 0, ""),
        ("A-r02", 0, ""),
        ("A-rx", 0, ""),
        ("AB", 0, ""),
        ("A-r", 0, ""),
    ],
)
def test_names_of_releases(tag: str, number: int, before: str) -> None:
    assert numbered(tag, "A") == number
    assert previous(tag, "A") == before
    if number:
        assert named("A", number) == tag


def test_changes_name_what_came_went_and_differs() -> None:
    before = {
        "title": "Old",
        "deviations": [{"id": "dev-1", "end": ""}, {"id": "dev-2", "end": "x"}],
        "scope": {"regions": ["eu-west-1"]},
        "evidence": [{"stream": "config"}],
        "ledger": {"config": 1},
    }
    after = {
        "title": "New",
        "deviations": [{"id": "dev-1", "end": "y"}, {"id": "dev-3", "end": ZERO * 3}],
        "scope": {"regions": ["eu-west-1", "eu-north-1"]},
        "evidence": [{"stream": "config"}, {"stream": "config"}],
        "ledger": {"config": 2},
    }
    found = changes(before, after)
    assert [change.sentence.split(" sha256")[0] for change in found] == [
        "deviations dev-1 end: nothing → y",
        "deviations dev-2:",
        "deviations dev-3: nothing →",
        "scope regions: eu-west-1 → eu-west-1, eu-north-1",
        "facts title: Old → New",
        "runs config: 1 → 2",
    ]
    assert substantial(found)
    assert not substantial(found[-1:])
    assert changes(before, before) == ()
