# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import audited
import pytest
import released
from audited import contradiction

from controlbook.assess import assess
from controlbook.crosscheck import OurRecord
from controlbook.model import ConfigRule, Ledger, State
from controlbook.sources import SourceError
from controlbook.timeline import instant

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.model import Contradiction, Disagreement


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> released.Example:
    return audited.programme(tmp_path_factory.mktemp("audited"))


def found(
    made: released.Example, *runs: tuple[Contradiction, ...]
) -> tuple[Disagreement, ...]:
    """Assess with other contradictions, one tuple a run."""
    programme = made.programme
    ledger, assessment = programme.ledger, programme.assessment(released.NAME)
    (run,) = ledger.runs["audit-manager"]
    others = tuple(replace(run, contradictions=rows) for rows in runs)
    changed = Ledger(runs={**ledger.runs, "audit-manager": others})
    opening = programme.opening(assessment)
    findings = assess(programme.library, changed, opening, assessment)
    own = findings.controls["buckets-encrypted"].disagreements
    assert set(own) <= set(findings.disagreements)
    assert not findings.controls["policy-kept"].disagreements
    return findings.disagreements


def test_a_contradiction_stands_with_what_our_record_says_of_its_instant(
    made: released.Example,
) -> None:
    (row,) = found(made, (contradiction(),))
    assert (row.now, row.stands) == (("COMPLIANT",), True)


def test_the_very_instant_decides(made: released.Example) -> None:
    stale = {"resource": "arn:aws:s3:::stale-backup-archive", "theirs": "COMPLIANT"}
    within = contradiction("2028-02-14T03:12:00Z", **stale)  # type: ignore[arg-type]
    after = contradiction("2028-02-14T03:17:00Z", number=2, **stale)  # type: ignore[arg-type]
    first, second = found(made, (within, after))
    assert (first.now, first.stands) == (("NON_COMPLIANT",), True)
    assert (second.now, second.stands) == (("COMPLIANT",), False)


def test_what_our_record_no_longer_knows_still_disagrees(
    made: released.Example,
) -> None:
    (row,) = found(made, (contradiction(resource="arn:aws:s3:::nowhere"),))
    assert (row.now, row.stands) == ((), True)


@pytest.mark.parametrize(
    "outside",
    [
        {"at": "2028-02-11T23:59:59Z"},
        {"at": "2028-02-17T00:00:00Z"},
        {"account": released.FOREIGN},
    ],
    ids=["before the period", "at its end", "another account"],
)
def test_what_lies_outside_period_and_scope_is_not_ours_to_show(
    made: released.Example, outside: dict[str, str]
) -> None:
    assert not found(made, (contradiction(**outside),))  # type: ignore[arg-type]


def test_evidence_that_was_read_again_counts_once_as_it_was_read_last(
    made: released.Example,
) -> None:
    changed = contradiction(at="2028-02-13T12:00:00Z")
    assert [row.found for row in found(made, (contradiction(),), (changed,))] == [
        changed
    ]


def test_a_rule_that_no_control_names_is_not_lost(made: released.Example) -> None:
    (row,) = found(made, (contradiction(identifier="RDS_STORAGE_ENCRYPTED"),))
    programme = made.programme
    assert row.found.identifier not in {
        evidence.identifier
        for control in programme.library.controls.values()
        for evidence in control.evidence
        if isinstance(evidence, ConfigRule)
    }
    assert row.stands


def test_a_sign_off_is_bound_to_the_disagreements_of_its_controls(
    made: released.Example, tmp_path: Path
) -> None:
    """One more of them makes the sign-off of its control stale, and no other."""
    again = audited.programme(tmp_path)
    again.audit(
        *audited.items(),
        contradictions=(contradiction("2028-02-16T23:59:59Z", number=2),),
    )
    before = made.programme.statuses(released.NAME)
    after = again.programme.statuses(released.NAME)
    assert not before["3.4"].judgement.stale
    assert [part.name for part in after["3.4"].judgement.stale] == ["findings"]
    assert not after["12.1"].judgement.stale


def test_a_run_that_broke_off_still_tells_of_what_it_had_compared(
    made: released.Example, tmp_path: Path
) -> None:
    broken = released.Example(tmp_path)
    broken.collect()
    failure = SourceError("it broke off", "auditmanager:x")
    broken.audit(contradictions=(contradiction(),), seen=failure)
    programme = broken.programme
    assert len(programme.findings(released.NAME).disagreements) == 1
    assert programme.report(released.NAME).preserved == ()
    assert made.programme.report(released.NAME).preserved


def test_a_record_tells_only_what_was_judged(made: released.Example) -> None:
    programme = made.programme
    opening = programme.state_after(programme.ledger.config[0])
    record = OurRecord.of(programme.ledger, opening)
    assert record.reach is not None
    assert record.reach.end == instant("2028-02-17T00:00:00Z")
    silent = instant("2028-02-15T09:00:00Z")  # INSUFFICIENT_DATA then
    arn = f"arn:aws:s3:::{released.STAGING}-1"
    verdicts = record.verdicts(released.IDENTIFIER, released.STAGING, arn, silent)
    assert State.INSUFFICIENT_DATA.value not in verdicts
    assert verdicts == ()
    assert OurRecord.of(Ledger(runs={}), ()).reach is None


def test_a_record_of_the_opening_state_alone_tells_nothing_yet(
    made: released.Example,
) -> None:
    """The first day: Audit Manager was a traceback beside one run of Config's."""
    programme = made.programme
    (first, *_) = programme.ledger.config
    record = OurRecord.of(
        Ledger(runs={"config": (first,)}), programme.state_after(first)
    )
    assert record.reach is None
