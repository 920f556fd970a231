# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
import small

from controlbook.assess import assess
from controlbook.model import (
    Ledger,
    Observation,
    Run,
    SecurityHubControl,
    Snapshot,
)
from controlbook.observations import observation_problems
from controlbook.observed import failures, observed
from controlbook.subjects import control_subject
from controlbook.timeline import DAY, Instant, Interval, instant, iso

SCOPE = replace(
    small.report().assessment,
    period=Interval(instant("2028-02-01T00:00:00Z"), instant("2028-02-29T00:00:00Z")),
)
ACCOUNT = SCOPE.accounts[0][1]
CALL = Snapshot(call="iam:GetAccountSummary")
START = SCOPE.period.start
DAYS = SCOPE.period.length // DAY


def seen(day: int, **changes: object) -> Observation:
    """Give an observation at 06:00 on a day of the period, the first being 0."""
    start = Instant(START + day * DAY)
    row = Observation(
        evidence=CALL.key,
        account=ACCOUNT,
        region="global",
        covers=Interval(start, Instant(start + DAY)),
        at=Instant(start + 6 * 3_600_000),
        records_root="0" * 64,
    )
    return replace(row, **changes)  # type: ignore[arg-type] # fields by name


def run(day: int, *rows: Observation) -> Run:
    """Give a run of the snapshot stream on a day of the period."""
    at = Instant(START + day * DAY + 6 * 3_600_000)
    return replace(
        small.run(1),
        stream="snapshot",
        seq=day + 2,
        window=Interval(Instant(at - DAY), at),
        started=at,
        rules=(),
        transitions=(),
        observations=tuple(sorted(rows)),
        expected=tuple(sorted({(r.account, r.region) for r in rows})),
    )


def others(day: int) -> tuple[Observation, ...]:
    """Give the same answer from the other accounts."""
    return tuple(seen(day, account=number) for _, number in SCOPE.accounts[1:])


def whole(day: int) -> Run:
    return run(day, seen(day), *others(day))


def holes(*runs: Run, evidence: Snapshot = CALL) -> list[tuple[str, str, str, int]]:
    _, found = observed(evidence, runs, SCOPE, SCOPE.period.end)
    return [
        (h.reason, h.account, iso(h.interval.start), h.interval.length // DAY)
        for h in found
    ]


def test_a_snapshot_a_day_leaves_no_hole() -> None:
    runs = tuple(whole(day) for day in range(DAYS))
    result, found = observed(CALL, runs, SCOPE, SCOPE.period.end)
    assert found == ()
    assert all(p.held == p.due == SCOPE.period.length for p in result.places)
    assert [p.region for p in result.places] == ["global"] * len(SCOPE.accounts)


def test_a_day_without_a_look_is_a_hole_everywhere() -> None:
    runs = tuple(whole(day) for day in range(DAYS) if day != 3)
    assert holes(*runs) == [
        ("stream-not-collected", "all", iso(Instant(START + 3 * DAY)), 1)
    ]


def test_a_failed_look_is_a_hole_of_its_place_and_reason() -> None:
    failed = seen(2, state="source-failed", records_root="", result="AccessDenied")
    runs = [whole(day) for day in range(DAYS)]
    runs[2] = run(2, failed, *others(2))
    at = iso(Instant(START + 2 * DAY))
    assert holes(*runs) == [("source-failed", ACCOUNT, at, 1)]


def test_what_was_not_asked_for_yet_is_a_hole_with_that_reason() -> None:
    runs = [whole(day) for day in range(DAYS)]
    runs[0] = run(0, *others(0))
    assert holes(*runs) == [("not-asked", ACCOUNT, iso(START), 1)]


def test_a_weekly_demand_is_met_by_one_look_in_seven_days() -> None:
    weekly = replace(CALL, days=7)
    runs = tuple(whole(day) for day in range(0, DAYS + 7, 7))
    assert holes(*runs, evidence=weekly) == []
    lost = tuple(each for number, each in enumerate(runs) if number != 2)
    at = iso(Instant(START + 8 * DAY))
    assert holes(*lost, evidence=weekly) == [("stream-not-collected", "all", at, 7)]


def test_while_collecting_only_what_is_overdue_is_missing() -> None:
    weekly = replace(CALL, days=7)
    until = Instant(START + 5 * DAY)
    _, found = observed(weekly, (whole(0),), SCOPE, until)
    assert found == ()
    _, found = observed(weekly, (whole(0),), SCOPE, Instant(START + 12 * DAY))
    assert [h.interval.length // DAY for h in found] == [5]


def test_a_verdict_holds_until_the_next_that_is_known() -> None:
    rows = (
        seen(0, result="PASSED"),
        seen(7, result="FAILED"),
        seen(14, result="PASSED", moves=((instant("2028-02-12T10:00:00Z"), "PASSED"),)),
    )
    (piece,) = failures(rows)
    assert (piece.start, piece.precision) == (rows[1].at, "look")
    assert piece.ended_by == "remediated"
    assert piece.end == instant("2028-02-12T10:00:00Z")


def test_history_tells_what_looks_cannot_see() -> None:
    down, up = instant("2028-02-03T10:00:00Z"), instant("2028-02-03T12:30:00Z")
    rows = (
        seen(0, result="PASSED"),
        seen(7, result="PASSED", moves=((down, "FAILED"), (up, "PASSED"))),
    )
    (piece,) = failures(rows)
    assert (piece.start, piece.end, piece.precision) == (down, up, "history")


@pytest.mark.parametrize(
    ("last", "ended"),
    [("NOT_AVAILABLE", "evidence-lost"), ("PASSED", "remediated")],
)
def test_a_failure_that_is_no_longer_known_is_no_remediation(
    last: str, ended: str
) -> None:
    (piece,) = failures((seen(0, result="FAILED"), seen(1, result=last)))
    assert piece.ended_by == ended


def test_a_failed_hub_control_is_a_deviation_and_binds_the_sign_off() -> None:
    hub = SecurityHubControl(control="IAM.9")
    base = small.library()
    name = min(small.report().findings.controls)
    control = replace(base.controls[name], evidence=(hub,))
    library = replace(base, controls={**base.controls, name: control})
    rows = [
        seen(day, evidence=hub.key, account=account, region=region, result=result)
        for day, result in ((0, "PASSED"), (4, "FAILED"), (9, "PASSED"))
        for _, account in SCOPE.accounts
        for region in SCOPE.regions
    ]
    runs = tuple(
        replace(
            run(day, *(r for r in rows if r.covers.start == START + day * DAY)),
            stream="security-hub",
        )
        for day in (0, 4, 9)
    )
    chain = Ledger(runs={**small.ledger().runs, "security-hub": runs})
    found = assess(library, chain, small.standings(), SCOPE)
    own = found.controls[name]
    assert {d.rule for d in own.deviations} == {"security-hub:IAM.9"}
    assert len(own.deviations) == len(SCOPE.accounts) * len(SCOPE.regions)
    assert {g.reason for g in own.gaps} == {"stream-not-collected"}
    before = dict(control_subject(library, found, chain, SCOPE, name))
    rows_now = tuple(replace(r, result="PASSED") for r in runs[1].observations)
    other = (runs[0], replace(runs[1], observations=rows_now), runs[2])
    chain = Ledger(runs={**small.ledger().runs, "security-hub": other})
    found = assess(library, chain, small.standings(), SCOPE)
    after = dict(control_subject(library, found, chain, SCOPE, name))
    changed = [part for part in before if before[part] != after[part]]
    assert changed == ["evidence", "findings"]
    assert not found.controls[name].deviations


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        pytest.param((seen(1), seen(0)), "not in order", id="order"),
        pytest.param((seen(0), seen(0)), "stands 2 times", id="twice"),
        pytest.param((seen(9),), "not the time of this run", id="time"),
        pytest.param((seen(0, records_root=""),), "names no records", id="records"),
        pytest.param((seen(0, state="source-failed"),), "has records", id="failed"),
        pytest.param((seen(0, shown=("x",)),), "more changes", id="shown"),
        pytest.param((seen(0, evidence="config:x"),), "stream", id="stream"),
    ],
)
def test_observations_that_contradict_their_run_are_refused(
    rows: tuple[Observation, ...], why: str
) -> None:
    own = replace(run(0, *rows), observations=rows)
    assert any(why in problem for problem in observation_problems(own))


def test_an_observation_of_a_place_that_was_not_expected_is_refused() -> None:
    own = replace(run(0, seen(0)), expected=())
    assert any("expected place" in each for each in observation_problems(own))
