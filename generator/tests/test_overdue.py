# SPDX-License-Identifier: Apache-2.0
"""Evidence that stops to arrive is said, by the clock that the reader has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attacked
import happened
import pytest
import small
from attacked import NAME, SCOPE, Attacked, Shell, begun, signed

from controlbook.overdue import overdue
from controlbook.timeline import DAY, HOUR, Instant

if TYPE_CHECKING:
    from pathlib import Path

shell = attacked.shell
ENDS = "2028-02-17T00:00:00Z"
STOPPED = f"the last config evidence ends at {ENDS}, 4 days ago"
LATER = "2028-02-21T09:00:00Z"


def longer(made: Attacked) -> None:
    """Let the period go on for a month after the last run."""
    body = made.file(SCOPE).replace(b'end: "2028-02-17', b'end: "2028-03-17')
    made.commit({SCOPE: body}, "Go on\n")


def test_status_says_when_evidence_stopped_to_arrive(
    tmp_path: Path, shell: Shell
) -> None:
    made = begun(tmp_path)
    longer(made)
    code, text = shell.of(made, "status", NAME, "--as-of", LATER)
    assert code == 1
    assert f"late: {STOPPED}; look at the collecting job, and run `controlbook" in text
    _, text = shell.of(made, "status", NAME, "--as-of", LATER, "--json")
    (row,) = json.loads(text)["assessments"]
    assert row["late"] == [{"stream": "config", "until": ENDS, "days": 4}]


def test_check_notices_it_and_fails_nobody_by_the_clock(
    tmp_path: Path, shell: Shell
) -> None:
    made = begun(tmp_path)
    longer(made)
    made.merge({"README.md": b"reviewed\n"}, "j-moreau", "Something")
    codes = {}
    for at in ("2028-02-18T09:00:00Z", LATER):
        codes[at], text = shell.of(made, "check", "--as-of", at)
        assert (f"noticed: {NAME}: {STOPPED}" in text) is (at == LATER), text
    assert len(set(codes.values())) == 1


@pytest.mark.parametrize("at", ["2028-02-18T23:59:59Z", "2028-02-16T00:00:00Z"])
def test_a_day_that_is_still_collected_is_not_late(
    tmp_path: Path, shell: Shell, at: str
) -> None:
    made = begun(tmp_path)
    longer(made)
    assert "late: " not in shell.of(made, "status", NAME, "--as-of", at)[1]


def test_a_period_that_was_collected_to_its_end_waits_for_nothing(
    tmp_path: Path, shell: Shell
) -> None:
    made = signed(tmp_path)
    for verb in ("status", "check"):
        _, text = shell.of(made, verb, "--as-of", "2030-01-01T00:00:00Z")
        assert "the last config evidence" not in text


def test_each_stream_that_a_control_rests_on_is_waited_for() -> None:
    base = happened.library()
    assessment = base.assessments["PCI-2028-FEB"]
    ledger = happened.ledger(*happened.runs(days=1))
    clock = Instant(small.START + 4 * DAY)

    def late(at: int) -> list[str]:
        return [row.stream for row in overdue(base, ledger, assessment, Instant(at))]

    # A window of events is closed a day later than one of Config.
    assert late(clock) == []
    assert late(clock + HOUR) == ["cloudtrail"]
    (row,) = overdue(base, happened.ledger(), assessment, clock)
    assert row.words == "no cloudtrail evidence yet, and the period began 4 days ago"
