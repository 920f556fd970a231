# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import small
from hypothesis import given
from hypothesis import strategies as st

from controlbook.assess import assess
from controlbook.history import Piece
from controlbook.model import ConfigRule, Ledger, Standing, State
from controlbook.render.sentences import repeated_sentences
from controlbook.repeats import repeats
from controlbook.timeline import (
    DAY,
    HOUR,
    MINUTE,
    Instant,
    subtract,
    total,
    union,
)

if TYPE_CHECKING:
    from controlbook.model import Findings, RuleInstance, Transition

USER = "AWS::IAM::User/AIDA1"
MFA = "IAM_USER_MFA_ENABLED"
FAR = "us-east-1"
SPAN = small.PERIOD
EXPECTED = small.library().assessments["PCI-2028-FEB"]


def rule(region: str, trigger: str = "change") -> RuleInstance:
    row = small.instance(MFA, "iam-user-mfa-enabled", small.PROD, 1)
    return replace(row, key=f"{region:<16}", region=region, trigger=trigger)


NEAR_RULE, FAR_RULE = rule(small.REGION), rule(FAR)
ROWS = {row.key: row for row in (NEAR_RULE, FAR_RULE)}


def piece(state: State, start: int, end: int | None) -> Piece:
    return Piece(
        state=state,
        start=Instant(SPAN.start + start),
        end=None if end is None else Instant(SPAN.start + end),
        ended_by="open" if end is None else "remediated",
        precision="change",
    )


def left_out(near: tuple[Piece, ...], far: tuple[Piece, ...]) -> dict[str, str]:
    pieces = {(NEAR_RULE.key, USER): near, (FAR_RULE.key, USER): far}
    found = repeats(pieces, ROWS, (small.REGION, FAR), SPAN)
    return {ROWS[key].region: region for (key, _), region in found.items()}


GOOD = (piece(State.COMPLIANT, 0, None),)


def bad(start: int, end: int) -> tuple[Piece, ...]:
    return (
        piece(State.COMPLIANT, 0, start),
        piece(State.NON_COMPLIANT, start, end),
        piece(State.COMPLIANT, end, None),
    )


def test_one_record_counts_that_of_us_east_1() -> None:
    assert left_out(GOOD, GOOD) == {small.REGION: FAR}


def test_without_us_east_1_the_first_region_of_the_alphabet_counts() -> None:
    rows = {row.key: row for row in (rule("eu-west-1"), rule("eu-central-1"))}
    pieces = {(key, USER): GOOD for key in rows}
    found = repeats(pieces, rows, ("eu-west-1", "eu-central-1"), SPAN)
    assert found == {(rule("eu-west-1").key, USER): "eu-central-1"}


def test_what_has_a_region_is_never_a_repeat() -> None:
    pieces = {(key, small.STALE_BUCKET): GOOD for key in ROWS}
    assert repeats(pieces, ROWS, (small.REGION, FAR), SPAN) == {}


def test_a_region_outside_the_scope_counts_for_nobody() -> None:
    pieces = {(key, USER): GOOD for key in ROWS}
    assert repeats(pieces, ROWS, (small.REGION,), SPAN) == {}


def test_the_same_deviation_a_few_minutes_apart_is_one() -> None:
    near, far = bad(DAY, DAY + HOUR), bad(DAY + 10 * MINUTE, DAY + HOUR + 5 * MINUTE)
    assert left_out(near, far) == {small.REGION: FAR}


def test_a_verdict_that_only_the_other_region_has_is_not_hidden() -> None:
    assert left_out(bad(DAY, DAY + HOUR), GOOD) == {}
    assert left_out(bad(DAY, 2 * DAY), bad(DAY + 3 * HOUR, 2 * DAY)) == {}


def test_a_second_deviation_close_to_the_first_is_not_hidden() -> None:
    again = (
        *bad(DAY, DAY + 5 * MINUTE)[:2],
        piece(State.COMPLIANT, DAY + 5 * MINUTE, DAY + 30 * MINUTE),
        piece(State.NON_COMPLIANT, DAY + 30 * MINUTE, DAY + 35 * MINUTE),
        piece(State.COMPLIANT, DAY + 35 * MINUTE, None),
    )
    assert left_out(again, bad(DAY, DAY + 5 * MINUTE)) == {}


def test_presence_that_only_the_other_region_has_is_not_hidden() -> None:
    assert left_out(GOOD, (piece(State.COMPLIANT, 0, DAY),)) == {}


pieces_of = st.lists(
    st.tuples(
        st.sampled_from([State.COMPLIANT, State.NON_COMPLIANT, State.UNKNOWN]),
        st.integers(1, 40),
    ),
    min_size=1,
    max_size=6,
).map(
    lambda parts: tuple(
        piece(state, start * HOUR, (start + length) * HOUR)
        for (state, length), start in zip(
            parts,
            [sum(n for _, n in parts[:i]) for i in range(len(parts))],
            strict=True,
        )
    )
)


@given(pieces_of, pieces_of)
def test_no_deviating_time_is_lost_but_what_precision_allows(
    near: tuple[Piece, ...], far: tuple[Piece, ...]
) -> None:
    if not left_out(near, far):
        return
    times = [
        union(
            part
            for p in each
            if p.state is State.NON_COMPLIANT and (part := p.within(SPAN))
        )
        for each in (near, far)
    ]
    lost = subtract(times[0], times[1])
    assert total(lost) <= 2 * HOUR * len(near)


def found(moves: tuple[Transition, ...] = ()) -> Findings:
    """Assess an account whose user two Regions record, under one control."""
    library = small.library()
    control = replace(
        library.controls["buckets-encrypted"],
        evidence=(ConfigRule(name="iam-user-mfa-enabled", identifier=MFA),),
    )
    assessment = replace(EXPECTED, regions=(small.REGION, FAR))
    library = replace(
        library,
        controls={**library.controls, "buckets-encrypted": control},
        assessments={assessment.id: assessment},
    )
    places = tuple(
        (account, region)
        for _, account in assessment.accounts
        for region in assessment.regions
    )
    runs = tuple(
        replace(
            run,
            rules=(*run.rules, NEAR_RULE, FAR_RULE),
            expected=places,
            collected=places,
            transitions=tuple(m for m in moves if run.window.contains(m.at)),
        )
        for run in small.ledger().config
    )
    opening = tuple(
        Standing(instance=key, resource=USER, state=State.COMPLIANT, since=Instant(0))
        for key in ROWS
    )
    return assess(library, Ledger(runs={"config": runs}), opening, assessment)


def test_a_user_of_two_regions_is_one_user() -> None:
    (result,) = found().controls["buckets-encrypted"].rules
    assert result.resources == 1
    near, far = sorted(result.instances, key=lambda row: row.region)
    assert (near.resources, near.repeated, near.counted_in) == ((), (USER,), FAR)
    assert (far.resources, far.repeated) == ((USER,), ())


def test_the_page_says_where_they_are_counted() -> None:
    (result,) = found().controls["buckets-encrypted"].rules
    assert repeated_sentences(result, EXPECTED) == (
        "Counted once, in us-east-1: 1 resource of payments-prod, recorded in eu-west-1"
        " too (IAM has no Regions).",
    )


def test_a_deviation_of_one_region_alone_stands_and_the_user_counts_there_too() -> None:
    at = Instant(SPAN.start + DAY)
    move = replace(
        small.MOVES[0],
        at=at,
        instance=NEAR_RULE.key,
        account=small.PROD,
        region=small.REGION,
        resource=USER,
        before=State.COMPLIANT,
        after=State.NON_COMPLIANT,
    )
    findings = found((move,))
    (deviation,) = findings.controls["buckets-encrypted"].deviations
    assert (deviation.region, deviation.resource) == (small.REGION, USER)
    (result,) = findings.controls["buckets-encrypted"].rules
    assert (result.resources, result.throughout) == (2, 1)
    assert findings.unmapped == ()
