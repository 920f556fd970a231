# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import happened
import small
from happened import CONTROL, HOME, event, findings, run, runs

from controlbook.eventrows import EVENT
from controlbook.model import Missing, heard_in, home_region, recorded_in
from controlbook.subjects import control_subject
from controlbook.timeline import DAY, HOUR, SECOND, Instant, Interval, instant, iso

if TYPE_CHECKING:
    from controlbook.model import EventResult, Findings, Run

ONE = event("2028-02-13T09:41:07Z")
TWO = event("2028-02-15T23:59:59Z", small.STAGING)


def result(found: Findings) -> EventResult:
    (row,) = found.controls[CONTROL].events
    return row


def test_events_are_counted_with_first_last_and_actors() -> None:
    found = result(findings("any", *runs(ONE, TWO)))
    assert (found.count, found.first, found.last) == (2, ONE.at, TWO.at)
    assert [row.count for row in found.places] == [1, 1]
    assert len(found.actors) == 2
    assert found.whole
    assert not found.none
    assert findings("any", *runs(ONE, TWO)).controls[CONTROL].ids == ()


def test_none_is_proven_only_by_digests_over_all_of_the_time() -> None:
    whole = result(findings("any", *runs()))
    assert whole.none
    assert sum(place.digests for place in whole.places) == 2 * 5 * 26
    assert not result(findings("any", *runs(digests=False))).none
    assert not result(findings("any", *runs(days=4))).none
    hole = lacking(small.PROD, run(2).window.start, HOUR)
    gapped = [*runs()]
    gapped[2] = run(2, missing=(hole,))
    assert not result(findings("any", *gapped)).none


def lacking(account: str, start: Instant, length: int) -> Missing:
    return Missing(
        account=account,
        region=HOME,
        reason="digest-gap",
        interval=Interval(start, Instant(start + length)),
    )


def test_hole_in_the_digests_is_a_gap_of_that_place_with_its_reason() -> None:
    start = run(2).window.start
    gapped = [*runs(ONE)]
    gapped[2] = run(2, missing=(lacking(small.PROD, start, HOUR),))
    found = findings("any", *gapped)
    (gap,) = found.controls[CONTROL].gaps
    assert (gap.reason, gap.account, gap.rule) == (
        "digest-gap",
        small.PROD,
        "cloudtrail",
    )
    assert (gap.start, gap.end) == (start, start + HOUR)
    observed = {row.account: row.observed for row in result(found).places}
    assert observed == {small.PROD: 5 * DAY - HOUR, small.STAGING: 5 * DAY}


def test_place_that_was_not_collected_and_not_excused_is_missing() -> None:
    one = run(0)
    silent = replace(one, collected=one.collected[:1], missing=())
    found = findings("any", silent, *runs()[1:])
    (gap,) = found.controls[CONTROL].gaps
    assert (gap.reason, gap.account) == ("account-missing", small.STAGING)


def test_day_without_a_run_and_run_that_did_not_ask_are_gaps() -> None:
    without = [each for each in runs() if each.seq != 3]
    (gap,) = findings("any", *without).controls[CONTROL].gaps
    assert gap.reason == "stream-not-collected"
    assert Interval(gap.start, gap.end or gap.start) == run(2).window
    other = replace(run(2), asked=(("sts.amazonaws.com", "AssumeRole"),))
    (same,) = findings("any", *without, other).controls[CONTROL].gaps
    assert same.id == gap.id


def test_without_any_run_the_whole_period_is_a_gap() -> None:
    found = findings("any")
    (gap,) = found.controls[CONTROL].gaps
    assert gap.reason == "stream-not-collected"
    assert gap.within == small.PERIOD
    assert result(found).span is None


def test_unexpected_event_is_a_deviation_of_the_second_it_happened_in() -> None:
    found = findings("none", *runs(ONE, TWO))
    one, two = found.controls[CONTROL].deviations
    assert (one.start, one.end) == (ONE.at, ONE.at + SECOND)
    assert (one.account, one.region) == (small.PROD, HOME)
    assert one.resource == f"AWS::CloudTrail::Event/{ONE.id}"
    assert (one.ended_by, two.account) == ("event", small.STAGING)
    assert {d.id for d in found.deviations} >= {one.id, two.id}


def test_events_beyond_those_listed_are_one_deviation_and_none_is_lost() -> None:
    events = tuple(event(f"2028-02-13T09:00:{n:02d}Z") for n in range(5))
    cut = replace(run(1, *events), events=tuple(sorted(events))[:2])
    found = findings("none", runs()[0], cut, *runs()[2:])
    *listed, rest = sorted(
        found.controls[CONTROL].deviations, key=lambda d: len(d.resource)
    )
    assert len(listed) == 2
    assert "3 more of 5" in " ".join(d.resource for d in (*listed, rest))
    assert result(found).count == 5


def test_some_expected_and_none_seen_is_judged_only_at_the_end() -> None:
    (deviation,) = findings("some", *runs()).controls[CONTROL].deviations
    assert deviation.within == small.PERIOD
    assert deviation.ended_by == "not-met"
    assert findings("some", *runs(ONE)).controls[CONTROL].deviations == ()
    open_ = findings("some", *runs(days=4)).controls[CONTROL]
    assert open_.deviations == ()
    gapped = [*runs()]
    start = run(2).window.start
    gapped[2] = run(2, missing=(lacking(small.PROD, start, HOUR),))
    assert findings("some", *gapped).controls[CONTROL].deviations == ()


def test_event_of_a_correction_counts_without_covering_anything() -> None:
    late = replace(
        run(1, ONE),
        seq=6,
        kind="correction",
        corrects=2,
        run_id="late",
        collected=((small.PROD, HOME),),
        expected=((small.PROD, HOME),),
        chains=(),
    )
    found = findings("any", *runs(), late)
    assert result(found).count == 1
    only = findings("any", *(r for r in runs() if r.seq != 2), late)
    assert {gap.reason for gap in only.controls[CONTROL].gaps} == {
        "stream-not-collected"
    }


def test_events_of_accounts_outside_the_scope_do_not_count() -> None:
    outside = event("2028-02-13T09:41:07Z", "999999999999")
    assert result(findings("none", *runs(outside))).count == 0


def test_iam_is_looked_for_at_home_and_others_where_the_scope_is() -> None:
    scope = ("eu-west-1", "eu-central-1")
    assert recorded_in("iam.amazonaws.com", scope) == ("us-east-1",)
    assert recorded_in("s3.amazonaws.com", scope) == ("eu-central-1", "eu-west-1")
    assert "us-east-1" in recorded_in("sts.amazonaws.com", scope)
    assert set(heard_in("iam.amazonaws.com", scope)) == {*scope, "us-east-1"}
    assert home_region(("cn-northwest-1",)) == "cn-north-1"
    assert home_region(("us-gov-east-1",)) == "us-gov-west-1"


# --- what a sign-off is bound to --------------------------------------------------


def evidence_of(*found: Run, control: str = CONTROL) -> str:
    base = happened.library()
    assessment = base.assessments["PCI-2028-FEB"]
    own = findings("any", *found)
    return dict(
        control_subject(base, own, happened.ledger(*found), assessment, control)
    )["evidence"]


def test_evidence_root_binds_counts_records_and_heads_of_the_control_that_asks() -> (
    None
):
    base = evidence_of(*runs())
    assert base == evidence_of(*runs())
    other = event("2028-02-13T09:41:07Z", user="other")
    again = replace(
        run(1),
        chains=tuple(replace(chain, head_sha256="0" * 64) for chain in run(1).chains),
    )
    lost = replace(run(1), collected=run(1).collected[:1])
    rest = [each for each in runs() if each.seq != 2]
    changed = [
        evidence_of(*runs(ONE)),
        evidence_of(*runs(other)),
        evidence_of(*rest, again),
        evidence_of(*rest, lost),
        evidence_of(*rest),
    ]
    assert len({base, *changed}) == 6


def test_evidence_root_of_other_controls_does_not_move() -> None:
    rules = "pan-encrypted-at-rest"
    assert evidence_of(*runs(), control=rules) == evidence_of(*runs(ONE), control=rules)
    assert evidence_of(*runs(), control=rules) == evidence_of(control=rules)


def test_record_leaves_empty_texts_out() -> None:
    row = EVENT.write(ONE)
    assert "error" not in row
    assert row["at"] == iso(instant("2028-02-13T09:41:07Z"))
