# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import small
from hypothesis import given
from hypothesis import strategies as st

from controlbook.assess import assess
from controlbook.history import Piece
from controlbook.identity import deviation_id
from controlbook.model import (
    ConfigRule,
    Findings,
    Ledger,
    RuleResult,
    Standing,
    State,
    Transition,
)
from controlbook.render.sentences import result_sentence
from controlbook.repeats import share
from controlbook.timeline import DAY, HOUR, Instant, Interval, Intervals, instant

HOME, OTHER = "us-east-1", "eu-west-1"
MFA = "IAM_USER_MFA_ENABLED"
USER, BUCKET = "AWS::IAM::User/deploy", "AWS::S3::Bucket/one-name"
ROWS = {
    region: replace(
        small.instance(MFA, "iam-user-mfa-enabled", small.PROD, 1),
        key=f"{number:016x}",
        region=region,
    )
    for number, region in enumerate((OTHER, HOME), 1)
}
LIBRARY = small.library()
CONTROL = replace(
    LIBRARY.controls["buckets-encrypted"],
    evidence=(ConfigRule(name="iam-user-mfa-enabled", identifier=MFA),),
)
WORLD = replace(LIBRARY, controls={**LIBRARY.controls, CONTROL.id: CONTROL})
ASSESSMENT = replace(
    LIBRARY.assessments["PCI-2028-FEB"],
    accounts=(("prod", small.PROD),),
    regions=(OTHER, HOME),
)
PLACES = tuple((small.PROD, region) for region in sorted(ROWS))


def found(*moves: Transition, resource: str = USER) -> Findings:
    """Assess a world in which both Regions recorded one resource as COMPLIANT."""
    runs = tuple(
        replace(
            run,
            rules=tuple(ROWS.values()),
            transitions=tuple(m for m in moves if run.window.contains(m.at)),
            missing=(),
            collected=PLACES,
        )
        for run in small.ledger().config
    )
    opening = tuple(
        Standing(
            instance=row.key,
            resource=resource,
            state=State.COMPLIANT,
            since=Instant(small.START - DAY),
        )
        for row in ROWS.values()
    )
    return assess(WORLD, Ledger(runs={"config": runs}), opening, ASSESSMENT)


def fails(region: str, start: str, end: str = "") -> tuple[Transition, ...]:
    day, row = "2028-02-14T", ROWS[region]
    bad, good = State.NON_COMPLIANT, State.COMPLIANT
    moves = [small.move(row, USER, f"{day}{start}:00Z", good, bad)]
    if end:
        moves.append(small.move(row, USER, f"{day}{end}:00Z", bad, good))
    return tuple(moves)


def rule(findings: Findings) -> RuleResult:
    (result,) = findings.controls["buckets-encrypted"].rules
    return result


def test_a_user_recorded_in_two_regions_counts_once_in_the_home_region() -> None:
    result = rule(found())
    by_region = {row.region: row for row in result.instances}
    assert by_region[HOME].resources == (USER,)
    assert by_region[OTHER].resources == ()
    assert (by_region[HOME].elsewhere, by_region[OTHER].elsewhere) == (0, 1)
    assert (result.resources, result.throughout) == (1, 1)
    assert result.share.present == result.share.observed == 5 * DAY


def test_a_resource_of_a_regional_service_counts_in_every_region() -> None:
    assert rule(found(resource=BUCKET)).resources == 2


def test_the_same_deviation_in_two_regions_is_one() -> None:
    findings = found(*fails(HOME, "10:00", "12:00"), *fails(OTHER, "10:00", "12:00"))
    (deviation,) = findings.deviations
    assert deviation.within.length == 2 * HOUR
    assert rule(findings).share.deviating == 2 * HOUR
    assert rule(findings).disagreements == ()
    assert findings.unmapped == ()


def test_a_deviation_that_the_home_region_denies_is_not_hidden() -> None:
    findings = found(*fails(OTHER, "10:00", "12:00"))
    (deviation,) = findings.deviations
    assert deviation.region == OTHER
    assert rule(findings).throughout == 0
    (text,) = rule(findings).disagreements
    assert text == (
        f"{small.PROD} {USER}: {OTHER} said NON_COMPLIANT and {HOME} did not, from"
        " 2028-02-14T10:00:00Z to 2028-02-14T12:00:00Z"
    )
    said = result_sentence(rule(findings), ASSESSMENT, findings)
    assert "1 further record of global resources" in said
    assert text in said


def test_overlapping_deviations_join_and_keep_the_id_of_the_first() -> None:
    first = fails(OTHER, "10:00", "12:00")
    findings = found(*first, *fails(HOME, "11:00", "13:00"))
    (deviation,) = findings.deviations
    assert deviation.id == found(*first).deviations[0].id
    assert deviation.id == deviation_id(
        MFA, (), small.PROD, OTHER, USER, instant("2028-02-14T10:00:00Z")
    )
    assert deviation.end == instant("2028-02-14T13:00:00Z")
    assert rule(findings).share.deviating == 3 * HOUR


def test_a_deviation_that_one_region_never_ends_stays_open() -> None:
    findings = found(*fails(OTHER, "10:00"), *fails(HOME, "10:00", "12:00"))
    (deviation,) = findings.deviations
    assert (deviation.end, deviation.ended_by) == (None, "open")


def test_deviations_apart_stay_apart() -> None:
    findings = found(*fails(HOME, "10:00", "11:00"), *fails(OTHER, "12:00", "13:00"))
    assert len(findings.deviations) == 2


STATES = st.sampled_from(
    [State.COMPLIANT, State.NON_COMPLIANT, State.NOT_APPLICABLE, State.ABSENT]
)
SPAN = Interval(Instant(0), Instant(12))
SEEN: Intervals = (SPAN,)


def _pieces(states: list[State]) -> tuple[Piece, ...]:
    return tuple(
        Piece(
            state=state,
            start=Instant(at),
            end=Instant(at + 1),
            ended_by="",
            precision="",
        )
        for at, state in enumerate(states)
        if state is not State.ABSENT
    )


@given(
    st.lists(st.lists(STATES, min_size=12, max_size=12), min_size=1, max_size=3),
)
def test_time_counted_once_is_the_worst_verdict_of_each_instant(
    regions: list[list[State]],
) -> None:
    got = share([(_pieces(states), SEEN) for states in regions], SPAN)
    instants = [set(states) - {State.ABSENT} for states in zip(*regions, strict=True)]
    assert got.present == sum(bool(states) for states in instants)
    assert got.observed == got.present
    assert got.deviating == sum(State.NON_COMPLIANT in states for states in instants)
    assert got.exempt == sum(states == {State.NOT_APPLICABLE} for states in instants)
