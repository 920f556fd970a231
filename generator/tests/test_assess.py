# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
import small

from controlbook.assess import assess
from controlbook.identity import deviation_id, gap_id
from controlbook.model import (
    ConfigRule,
    EventQuery,
    Findings,
    Ledger,
    Library,
    Missing,
    RuleInstance,
    Run,
    State,
)
from controlbook.timeline import DAY, HOUR, Instant, Interval, instant

ASSESSMENT = small.library().assessments["PCI-2028-FEB"]


def findings(
    runs: tuple[Run, ...] | None = None, library: Library | None = None
) -> Findings:
    chain = small.ledger() if runs is None else Ledger(runs={"config": runs})
    return assess(library or small.library(), chain, small.standings(), ASSESSMENT)


def reasons(found: Findings) -> set[tuple[str, str, str]]:
    return {(gap.reason, gap.account, gap.rule) for gap in found.gaps}


RUNS = small.ledger().config


@pytest.mark.threat("T89")
def test_a_flip_of_five_minutes_is_one_exact_deviation() -> None:
    flips = [d for d in findings().deviations if d.resource == small.STALE_BUCKET]
    (flip,) = flips
    assert flip.start == instant("2028-02-14T03:12:00Z")
    assert flip.end == instant("2028-02-14T03:17:00Z")
    assert flip.ended_by == "remediated"


def test_the_population_and_its_time_are_counted_per_rule() -> None:
    (result,) = findings().controls["buckets-encrypted"].rules
    assert (result.resources, result.throughout) == (7, 6)
    assert result.share.present == 7 * 5 * DAY
    assert result.share.observed == result.share.present
    assert result.share.deviating == 5 * 60_000


@pytest.mark.threat("T88")
def test_insufficient_data_is_a_gap_for_exactly_that_interval() -> None:
    (gap,) = findings().gaps
    assert (gap.reason, gap.rule) == ("insufficient-data", "rds-storage-encrypted")
    assert gap.within.length == 6 * HOUR
    assert gap.resources == (small.DATABASE,)


def test_a_deviation_open_at_the_period_end_has_no_end_and_is_clipped() -> None:
    (_, still) = findings().deviations
    assert still.end is None
    assert still.within.end == ASSESSMENT.period.end
    assert still.ended_by == "open"


def test_a_deviation_that_began_before_the_period_keeps_its_true_start() -> None:
    since = instant("2027-11-03T10:00:00Z")
    opening = tuple(
        replace(row, state=State.NON_COMPLIANT, since=since)
        if row.resource == small.BUCKETS[0]
        else row
        for row in small.standings()
    )
    found = assess(small.library(), small.ledger(), opening, ASSESSMENT)
    (old,) = [d for d in found.deviations if d.resource == small.BUCKETS[0]]
    assert old.start == since
    assert old.within == ASSESSMENT.period


def test_the_id_does_not_depend_on_the_end() -> None:
    closed = small.move(
        small.INSTANCES[2],
        small.DATABASE,
        "2028-02-16T12:00:00Z",
        State.NON_COMPLIANT,
        State.COMPLIANT,
    )
    last = replace(RUNS[5], transitions=(*RUNS[5].transitions, closed))
    now, then = findings().deviations[1], findings((*RUNS[:5], last)).deviations[1]
    assert now.id == then.id
    assert (now.end, then.end) == (None, instant("2028-02-16T12:00:00Z"))


@pytest.mark.threat("T29")
def test_a_skipped_day_is_a_gap_and_never_compliant() -> None:
    found = findings((*RUNS[:2], *RUNS[3:]))
    (hole,) = [gap for gap in found.gaps if gap.reason == "no-run"]
    assert hole.within == RUNS[2].window
    (result,) = found.controls["buckets-encrypted"].rules
    assert result.throughout == 0
    assert result.share.observed == result.share.present - 7 * DAY


@pytest.mark.threat("T26")
def test_an_account_that_a_run_could_not_cover_is_a_gap() -> None:
    row = Missing(
        account=small.STAGING,
        region=small.REGION,
        reason="account-missing",
        interval=RUNS[3].window,
    )
    lost = replace(RUNS[3], missing=(row,), collected=((small.PROD, small.REGION),))
    found = findings((*RUNS[:3], lost, *RUNS[4:]))
    assert ("account-missing", small.STAGING, "all") in reasons(found)
    (result,) = found.controls["buckets-encrypted"].rules
    staging = next(row for row in result.instances if row.account == small.STAGING)
    assert staging.throughout == 0
    assert staging.share.observed == staging.share.present - 3 * DAY


def test_what_nobody_lists_as_missing_is_missing_all_the_same() -> None:
    silent = replace(RUNS[3], collected=((small.PROD, small.REGION),))
    found = findings((*RUNS[:3], silent, *RUNS[4:]))
    assert ("account-missing", small.STAGING, "all") in reasons(found)


@pytest.mark.threat("T88")
def test_a_recorder_that_stopped_cuts_a_deviation_too() -> None:
    pause = Interval(instant("2028-02-16T12:00:00Z"), instant("2028-02-16T15:00:00Z"))
    row = Missing(
        account=small.PROD,
        region=small.REGION,
        reason="recorder-stopped",
        interval=pause,
    )
    found = findings((*RUNS[:5], replace(RUNS[5], missing=(row,))))
    parts = [d for d in found.deviations if d.resource == small.DATABASE]
    assert [(d.within.start, d.within.end, d.ended_by) for d in parts] == [
        (instant("2028-02-16T10:00:00Z"), pause.start, "evidence-lost"),
        (pause.end, ASSESSMENT.period.end, "open"),
    ]


def change(run: Run, **fields: object) -> Run:
    rows = tuple(
        replace(row, **fields) if row.identifier == small.RDS else row  # type: ignore[arg-type]
        for row in run.rules
    )
    return replace(run, rules=rows)


@pytest.mark.threat("T88")
def test_a_rule_that_is_gone_is_a_gap_and_its_resources_stay_counted() -> None:
    without = tuple(row for row in RUNS[4].rules if row.identifier != small.RDS)
    found = findings((*RUNS[:4], replace(RUNS[4], rules=without), RUNS[5]))
    gaps = [gap for gap in found.gaps if gap.reason == "rule-absent"]
    assert {gap.account for gap in gaps} == {small.PROD, small.STAGING}
    assert all(gap.within == RUNS[4].window for gap in gaps)
    (result,) = (
        row
        for row in found.controls["pan-encrypted-at-rest"].rules
        if row.evidence.identifier == small.RDS
    )
    assert result.share.present == 5 * DAY
    assert result.share.observed == 4 * DAY - 6 * HOUR


def test_a_failing_rule_is_a_gap() -> None:
    found = findings((*RUNS[:4], change(RUNS[4], status="failing:Error"), RUNS[5]))
    assert ("rule-failing", small.PROD, "rds-storage-encrypted") in reasons(found)


@pytest.mark.threat("T45")
def test_other_parameters_than_the_control_demands_do_not_count() -> None:
    library = small.library()
    control = library.controls["buckets-encrypted"]
    demanding = ConfigRule(
        name="s3-bucket-server-side-encryption-enabled",
        identifier=small.SSE,
        parameters=(("Algorithm", "aws:kms"),),
    )
    changed = replace(control, evidence=(demanding,))
    found = findings(
        library=replace(library, controls={**library.controls, control.id: changed})
    )
    own = found.controls["buckets-encrypted"]
    assert {gap.reason for gap in own.gaps} == {"parameters-differ"}
    assert own.rules[0].instances == ()


def test_a_rule_with_nothing_in_scope_is_no_gap_and_no_claim() -> None:
    own = findings().controls["pan-encrypted-at-rest"]
    empty = [
        row
        for result in own.rules
        for row in result.instances
        if row.account == small.STAGING and row.identifier == small.RDS
    ]
    assert [row.resources for row in empty] == [()]
    assert all(gap.account != small.STAGING for gap in own.gaps)


def test_a_missing_and_an_expired_document_are_gaps_in_their_time() -> None:
    library = small.library()
    without = findings(library=replace(library, manual={}))
    assert ("document-missing", "all", "manual:key-policy") in reasons(without)
    paper = library.manual["key-policy"]
    expired = replace(paper, expires=instant("2028-02-15T00:00:00Z"))
    found = findings(library=replace(library, manual={"key-policy": expired}))
    (gap,) = [gap for gap in found.gaps if gap.reason == "document-expired"]
    assert gap.within == Interval(
        instant("2028-02-15T00:00:00Z"), ASSESSMENT.period.end
    )


def test_a_stream_that_is_not_collected_is_a_gap_over_the_period() -> None:
    library = small.library()
    control = library.controls["buckets-encrypted"]
    query = EventQuery(source="iam.amazonaws.com", event="CreateUser", expect="any")
    changed = replace(control, evidence=(query,))
    found = findings(
        library=replace(library, controls={**library.controls, control.id: changed})
    )
    (gap,) = found.controls["buckets-encrypted"].gaps
    assert (gap.reason, gap.within) == ("stream-not-collected", ASSESSMENT.period)


def test_without_any_run_nothing_is_known() -> None:
    found = assess(small.library(), Ledger(runs={}), (), ASSESSMENT)
    assert found.collected is None
    assert not found.closed
    assert {gap.reason for gap in found.gaps} == {"no-run"}


def test_a_period_that_is_not_over_is_collected_only_so_far() -> None:
    found = findings(RUNS[:4])
    assert not found.closed
    assert found.collected == Interval(ASSESSMENT.period.start, RUNS[3].window.end)
    assert {gap.reason for gap in found.gaps} == {"insufficient-data"}


def test_collection_that_began_late_leaves_a_gap_at_the_start() -> None:
    found = findings(RUNS[3:])
    (hole,) = [gap for gap in found.gaps if gap.reason == "no-run"]
    assert hole.within == Interval(ASSESSMENT.period.start, RUNS[3].window.start)


@pytest.mark.threat("T44")
def test_a_deviation_without_a_control_is_listed_as_unmapped() -> None:
    library = small.library()
    control = library.controls["pan-encrypted-at-rest"]
    less = replace(control, evidence=control.evidence[:1])
    found = findings(
        library=replace(library, controls={**library.controls, control.id: less})
    )
    assert [d.resource for d in found.unmapped] == [small.DATABASE]
    assert findings().unmapped == ()


def test_a_created_and_a_deleted_resource_count_for_their_time_only() -> None:
    new = "AWS::S3::Bucket/new"
    born = small.move(
        small.INSTANCES[0], new, "2028-02-13T12:00:00Z", State.ABSENT, State.COMPLIANT
    )
    died = replace(
        small.move(
            small.INSTANCES[0],
            new,
            "2028-02-13T18:00:00Z",
            State.COMPLIANT,
            State.ABSENT,
        ),
        cause="deleted",
    )
    day = replace(RUNS[2], transitions=(*RUNS[2].transitions, born, died))
    (result,) = (
        findings((*RUNS[:2], day, *RUNS[3:])).controls["buckets-encrypted"].rules
    )
    assert (result.resources, result.throughout) == (8, 7)
    assert result.share.present == 7 * 5 * DAY + 6 * HOUR
    assert sum(row.at_end for row in result.instances) == 7


def test_ids_tell_every_part_apart() -> None:
    start = Instant(0)
    parts = ("A", (), "1", "r", "x", start)
    others = [
        ("B", (), "1", "r", "x", start),
        ("A", (("k", "v"),), "1", "r", "x", start),
        ("A", (), "2", "r", "x", start),
        ("A", (), "1", "s", "x", start),
        ("A", (), "1", "r", "y", start),
        ("A", (), "1", "r", "x", Instant(1)),
    ]
    assert len({deviation_id(*each) for each in [parts, *others]}) == 7  # type: ignore[arg-type]
    assert gap_id("a", "1", "r", "x", start) != gap_id("a", "1", "r", "y", start)


def test_two_deployments_of_a_rule_are_both_followed() -> None:
    twin: RuleInstance = replace(
        small.INSTANCES[0], key="f" * 16, parameters=(("a", "b"),), population=0
    )
    runs = tuple(replace(run, rules=(*run.rules, twin)) for run in RUNS)
    (result,) = findings(runs).controls["buckets-encrypted"].rules
    assert len(result.instances) == 3
