# SPDX-License-Identifier: Apache-2.0
"""What a consistent rewrite can hide, and what a pin from outside shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import released

from controlbook.assurance import Given
from controlbook.checkpoints import pinned
from controlbook.cli import run
from controlbook.digest import merkle_root, sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.timeline import DAY, Instant, Interval
from controlbook.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.verdict import Verdict

NAME = released.NAME
LOST = 3
"""The day that a rewrite leaves out."""


@dataclass
class Rewritten(released.Example):
    """The same programme without one day, whose time the day before it claims."""

    def _day(self, window: Interval) -> None:
        start = Instant(released.START + (LOST - 2) * DAY)
        if window.start == start:
            return
        if window.end == start:
            window = Interval(window.start, Instant(start + DAY))
        super()._day(window)


def played(made: released.Example) -> tuple[released.Example, Path]:
    made.collect()
    made.annotate()
    made.sign()
    made.capture()
    made.checkpoint()
    return made, made.release()


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[released.Example, Path]:
    return played(released.Example(tmp_path_factory.mktemp("honest")))


@pytest.fixture(scope="module")
def rewritten(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[released.Example, Path]:
    return played(Rewritten(tmp_path_factory.mktemp("rewritten")))


def roots(made: released.Example) -> dict[str, str]:
    """What somebody outside may have kept, before the day was lost and after."""
    programme = made.programme
    runs = programme.ledger.config
    digests = [bytes.fromhex(run.sha256) for run in runs]
    return {
        "a manifest": runs[LOST - 1].sha256,
        "an early root": merkle_root(digests[:LOST]),
        "the root": merkle_root(digests),
        "a checkpoint": sha256(programme.files["evidence/checkpoints/000001.json"]),
        "a commit": programme.commit,
    }


KEPT = ("a manifest", "an early root", "the root", "a checkpoint", "a commit")


def pinning(bundle: Path, *pins: str) -> Verdict:
    return verify(bundle, given=Given(pins=pins))


@pytest.mark.threat("T22")
def test_a_ledger_rebuilt_without_a_day_passes_without_a_pin(
    rewritten: tuple[released.Example, Path],
) -> None:
    verdict = verify(rewritten[1])
    assert verdict.code is Exit.FINE, [c.message for c in verdict.checks]
    assert any("no pin supplied" in text for text in verdict.not_checked)


@pytest.mark.threat("T22")
@pytest.mark.parametrize("kept", KEPT)
def test_a_pin_from_outside_shows_the_rebuilt_ledger(
    honest: tuple[released.Example, Path],
    rewritten: tuple[released.Example, Path],
    kept: str,
) -> None:
    pin = roots(honest[0])[kept]
    assert pinning(honest[1], pin).code is Exit.FINE
    verdict = pinning(rewritten[1], pin)
    assert verdict.code is Exit.INTEGRITY
    faults = "\n".join(check.message for check in verdict.checks)
    assert f"the pin {pin[:16]}… names nothing in this release" in faults


def test_an_early_pin_before_the_lost_day_still_holds(
    honest: tuple[released.Example, Path], rewritten: tuple[released.Example, Path]
) -> None:
    first = honest[0].programme.ledger.config[0].sha256
    assert rewritten[0].programme.ledger.config[0].sha256 == first
    assert pinning(rewritten[1], first).code is Exit.FINE


@pytest.mark.threat("T21")
def test_a_pinned_commit_is_an_ancestor_or_nothing(
    honest: tuple[released.Example, Path],
) -> None:
    made, bundle = honest
    for commit, _ in made.repository.timed_commits("main"):
        assert pinning(bundle, commit).code is Exit.FINE
    assert pinning(bundle, "0" * 40).code is Exit.INTEGRITY


def test_of_several_pins_every_one_has_to_hold(
    honest: tuple[released.Example, Path],
) -> None:
    good = roots(honest[0])
    assert pinning(honest[1], *good.values()).code is Exit.FINE
    assert pinning(honest[1], good["the root"], "f" * 64).code is Exit.INTEGRITY


def test_every_prefix_can_be_pinned(honest: tuple[released.Example, Path]) -> None:
    programme = honest[0].programme
    known = pinned(programme.ledger, programme.files)
    assert len([what for what in known.values() if "first" in what]) == sum(
        len(runs) for runs in programme.ledger.runs.values()
    )


@pytest.mark.parametrize("pin", ["abc", "0" * 63, "g" * 64, ""])
def test_half_a_pin_is_refused(honest: tuple[released.Example, Path], pin: str) -> None:
    with pytest.raises(ControlbookError, match="no SHA-256 and no commit"):
        run(["verify", str(honest[1]), "--pin", pin])


def test_the_command_takes_what_an_auditor_brings(
    honest: tuple[released.Example, Path], tmp_path: Path
) -> None:
    policy, signers = tmp_path / "policy.yml", tmp_path / "signers"
    policy.write_text('signoff: "L2"\n')
    signers.write_text("a-okafor ssh-ed25519 AAAA\n")
    bundle = str(honest[1])
    outcome = run(["verify", bundle, "--policy", str(policy)])
    assert outcome.code is Exit.INTEGRITY
    assert "required proof is missing" in outcome.text
    outcome = run(["verify", bundle, "--require", "pin, tsa-roots"])
    assert outcome.code is Exit.UNAVAILABLE
    assert run(["verify", bundle, "--allowed-signers", str(signers)]).code is Exit.FINE


@pytest.mark.parametrize(
    ("option", "content", "why"),
    [
        ("--policy", "signoff: L9\n", "'L9' is no policy"),
        ("--policy", "{}\n", "names no policy"),
        ("--allowed-signers", "* ssh-ed25519 AAAA\n", "more than one person"),
        ("--tsa-roots", "nothing\n", "holds no certificate"),
    ],
)
def test_an_input_of_the_auditors_that_is_unfit(
    honest: tuple[released.Example, Path],
    tmp_path: Path,
    option: str,
    content: str,
    why: str,
) -> None:
    file = tmp_path / "given"
    file.write_text(content)
    with pytest.raises(ControlbookError, match=why.replace("*", r"\*")) as caught:
        run(["verify", str(honest[1]), option, str(file)])
    assert caught.value.code is Exit.USAGE


def test_what_can_be_required_is_a_closed_list(
    honest: tuple[released.Example, Path],
) -> None:
    with pytest.raises(ControlbookError, match="nothing that can be required"):
        run(["verify", str(honest[1]), "--require", "luck"])
