# SPDX-License-Identifier: Apache-2.0
"""Sentences appear only where they are exactly true."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from controlbook.model import (
    ALL,
    ConfigRule,
    Deviation,
    Findings,
    Gap,
    InstanceResult,
    RuleResult,
    Share,
)
from controlbook.render import sentences
from controlbook.timeline import HOUR, Instant, Interval, instant

PERIOD = small.PERIOD
RULE = ConfigRule(name="s3-encrypted", identifier=small.SSE)
ASSESSMENT = small.library().assessments["PCI-2028-FEB"]


def result(account: str, count: int, **changes: object) -> InstanceResult:
    """Give a rule instance whose resources were compliant for the whole period."""
    time = count * PERIOD.length
    perfect = InstanceResult(
        rule=RULE.name,
        deployed_as=RULE.name,
        identifier=RULE.identifier,
        parameters=(),
        account=account,
        region=small.REGION,
        trigger="change",
        frequency="",
        matched="identifier",
        at_start=count,
        at_end=count,
        resources=tuple(f"AWS::S3::Bucket/b{n}" for n in range(count)),
        throughout=count,
        share=Share(present=time, observed=time),
        deviations=(),
        gaps=(),
    )
    return replace(perfect, **changes)  # type: ignore[arg-type]


def rule(*instances: InstanceResult) -> RuleResult:
    share = sum((row.share for row in instances), Share())
    return RuleResult(evidence=RULE, instances=instances, share=share)


def findings(
    *,
    collected: Interval | None = PERIOD,
    closed: bool = True,
    deviations: tuple[Deviation, ...] = (),
    gaps: tuple[Gap, ...] = (),
) -> Findings:
    return Findings(
        assessment=ASSESSMENT.id,
        collected=collected,
        closed=closed,
        controls={},
        requirements={},
        deviations=deviations,
        gaps=gaps,
        unmapped=(),
    )


def gap(rule_name: str = RULE.name, account: str = ALL, **changes: object) -> Gap:
    piece = Interval(PERIOD.start, Instant(PERIOD.start + 6 * HOUR))
    made = Gap(
        id="gap-0000000000000001",
        reason="no-run",
        account=account,
        region=ALL,
        rule=rule_name,
        start=piece.start,
        end=piece.end,
        within=piece,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def deviation(number: int = 1, **changes: object) -> Deviation:
    piece = Interval(instant("2028-02-14T03:12:00Z"), instant("2028-02-14T03:17:00Z"))
    made = Deviation(
        id=f"dev-{number:016d}",
        rule=RULE.name,
        identifier=RULE.identifier,
        parameters=(),
        account=small.PROD,
        region=small.REGION,
        resource="AWS::S3::Bucket/stale-backup-archive",
        start=piece.start,
        end=piece.end,
        within=piece,
        ended_by="remediated",
        precision="change",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def say(shown: RuleResult, found: Findings) -> str:
    return sentences.result_sentence(shown, ASSESSMENT, found)


def test_all_of_them_when_it_is_true() -> None:
    shown = rule(result(small.PROD, 4), result(small.STAGING, 3))
    assert say(shown, findings()) == (
        "All 7 S3 buckets in 2 accounts were compliant for the whole period."
    )


def test_an_account_without_resources_is_not_counted_as_one_with() -> None:
    shown = rule(result(small.PROD, 4), result(small.STAGING, 0))
    assert say(shown, findings()) == (
        "All 4 S3 buckets in 1 account were compliant for the whole period."
    )


def test_nothing_to_observe() -> None:
    shown = rule(result(small.PROD, 0), result(small.STAGING, 0))
    assert say(shown, findings()) == sentences.EMPTY


def test_an_empty_population_with_a_gap_is_not_known_to_be_empty() -> None:
    shown = rule(result(small.PROD, 0), result(small.STAGING, 0))
    said = say(shown, findings(gaps=(gap(),)))
    assert said.startswith("No resource was seen under this rule, and evidence is inc")


def test_no_instance_is_no_evidence() -> None:
    assert say(rule(), findings()).startswith("No evidence")


def test_five_minutes_are_named() -> None:
    five = deviation()
    time = Share(
        present=4 * PERIOD.length,
        observed=4 * PERIOD.length,
        deviating=five.within.length,
    )
    shown = rule(
        result(small.PROD, 4, throughout=3, share=time, deviations=(five.id,)),
        result(small.STAGING, 3),
    )
    assert say(shown, findings(deviations=(five,))) == (
        "6 of 7 S3 buckets in 2 accounts were compliant throughout; "
        "stale-backup-archive was non-compliant for 5 min "
        "(2028-02-14T03:12Z to 03:17Z)."
    )


BOTH = (result(small.PROD, 4), result(small.STAGING, 3))
HALF = Interval(PERIOD.start, Instant(PERIOD.start + PERIOD.length // 2))


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        pytest.param(rule(*BOTH), findings(closed=False), id="not-closed"),
        pytest.param(rule(*BOTH), findings(collected=HALF), id="half-collected"),
        pytest.param(rule(*BOTH), findings(collected=None, closed=False), id="never"),
        pytest.param(rule(BOTH[0]), findings(), id="an-account-never-evaluated"),
        pytest.param(rule(*BOTH), findings(gaps=(gap(),)), id="gap-of-the-rule"),
        pytest.param(rule(*BOTH), findings(gaps=(gap(ALL),)), id="gap-of-all-rules"),
        pytest.param(
            rule(*BOTH), findings(gaps=(gap(ALL, small.PROD),)), id="gap-of-an-account"
        ),
        pytest.param(
            rule(result(small.PROD, 4, gaps=("gap-x",)), BOTH[1]),
            findings(),
            id="gap-by-id",
        ),
        pytest.param(
            rule(result(small.PROD, 4, deviations=("dev-x",)), BOTH[1]),
            findings(),
            id="deviation-by-id",
        ),
        pytest.param(
            rule(result(small.PROD, 4, throughout=3), BOTH[1]),
            findings(),
            id="one-not-throughout",
        ),
        pytest.param(
            rule(result(small.PROD, 4, at_start=3), BOTH[1]), findings(), id="one-came"
        ),
        pytest.param(
            rule(result(small.PROD, 4, at_end=3), BOTH[1]), findings(), id="one-left"
        ),
        pytest.param(
            rule(
                result(
                    small.PROD,
                    4,
                    share=Share(
                        present=4 * PERIOD.length - 1, observed=4 * PERIOD.length - 1
                    ),
                ),
                BOTH[1],
            ),
            findings(),
            id="a-millisecond-absent",
        ),
        pytest.param(
            rule(
                result(
                    small.PROD,
                    4,
                    share=Share(
                        present=4 * PERIOD.length, observed=4 * PERIOD.length - 1
                    ),
                ),
                BOTH[1],
            ),
            findings(),
            id="a-millisecond-unseen",
        ),
        pytest.param(
            rule(
                result(
                    small.PROD,
                    4,
                    share=Share(
                        present=4 * PERIOD.length,
                        observed=4 * PERIOD.length,
                        exempt=PERIOD.length,
                    ),
                ),
                BOTH[1],
            ),
            findings(),
            id="one-not-applicable",
        ),
    ],
)
def test_never_all_when_something_lacks(shown: RuleResult, found: Findings) -> None:
    assert not say(shown, found).startswith("All")
    assert "whole period" not in say(shown, found)


def test_a_gap_of_another_rule_does_not_matter() -> None:
    assert say(rule(*BOTH), findings(gaps=(gap("another-rule"),))).startswith("All 7")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (
            {"end": None, "ended_by": "open"},
            "has been non-compliant since 2028-02-14T03:12Z (open; 5 min in the",
        ),
        ({"ended_by": "deleted"}, "until it was deleted"),
        ({"ended_by": "evidence-lost"}, "for at least 5 min"),
        (
            {"start": instant("2028-01-01T00:00:00Z")},
            "was non-compliant for 5 min of the period (2028-01-01T00:00Z to",
        ),
    ],
)
def test_how_a_deviation_ended_is_said(change: dict[str, object], part: str) -> None:
    one = deviation(**change)  # type: ignore[arg-type]
    shown = rule(result(small.PROD, 4, throughout=3, deviations=(one.id,)), BOTH[1])
    assert part in say(shown, findings(deviations=(one,)))


def test_many_deviations_are_counted_after_three() -> None:
    many = tuple(
        deviation(n, resource=f"AWS::S3::Bucket/b{n % 5}") for n in range(1, 9)
    )
    shown = rule(
        result(small.PROD, 5, throughout=0, deviations=tuple(d.id for d in many))
    )
    said = say(shown, findings(deviations=many))
    assert said.count("was non-compliant") == 3
    assert "and 5 more deviations of 5 resources, listed below" in said


def test_mixed_kinds_are_resources() -> None:
    mixed = result(small.PROD, 2, resources=("AWS::S3::Bucket/a", "AWS::EC2::VPC/b"))
    assert "All 5 resources in 2 accounts" in say(rule(mixed, BOTH[1]), findings())


def test_a_rule_deployed_twice_counts_verdicts_not_resources() -> None:
    twice = rule(BOTH[0], replace(BOTH[0], deployed_as="again"), BOTH[1])
    assert "11 pairs of resource and deployed rule" in say(twice, findings())


def test_no_deviation_names_the_number_behind_it() -> None:
    assert sentences.no_deviation_sentence((rule(*BOTH),)) == (
        "No deviation among 7 resources under 1 rule, as far as there is evidence."
    )
    assert "nothing to observe" in sentences.no_deviation_sentence((rule(),))
    assert "No rule observes this" in sentences.no_deviation_sentence(())


def test_coverage_says_what_is_missing() -> None:
    short = Share(present=10 * HOUR, observed=9 * HOUR)
    assert sentences.coverage_sentence(rule(result(small.PROD, 1, share=short))) == (
        "90.00 % of resource-time has evidence (9 h of 10 h); 1 h is missing."
    )


# --- the law: "All" if and only if every instant says so -------------------------


@dataclass(frozen=True)
class History:
    """What truly happened to one resource, an hour at a time."""

    hours: str
    """C compliant, N non-compliant, X not applicable, ? not seen, - not there"""


HOURS = PERIOD.length // HOUR


@st.composite
def histories(draw: st.DrawFn) -> History:
    base = draw(st.sampled_from(["C" * HOURS, "C" * HOURS, "C" * HOURS, "-" * HOURS]))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, HOURS - 1))
        what = draw(st.sampled_from("CNX?-"))
        base = base[:at] + what + base[at + 1 :]
    return History(base)


def summed(account: str, found: list[History]) -> InstanceResult:
    """Sum histories up as an assessment does."""
    there = [
        (n, history.hours)
        for n, history in enumerate(found)
        if history.hours.strip("-")
    ]

    def total(states: str) -> int:
        return sum(sum(h in states for h in hours) for _, hours in there) * HOUR

    return result(
        account,
        0,
        resources=tuple(f"AWS::S3::Bucket/{account}-{n}" for n, _ in there),
        at_start=sum(hours[0] != "-" for _, hours in there),
        at_end=sum(hours[-1] != "-" for _, hours in there),
        throughout=sum(set(hours) <= {"C", "-"} for _, hours in there),
        share=Share(
            present=total("CNX?"),
            observed=total("CNX"),
            deviating=total("N"),
            exempt=total("X"),
        ),
    )


@given(st.lists(histories(), max_size=4), st.lists(histories(), max_size=4))
def test_all_if_and_only_if_every_instant_was_compliant(
    prod: list[History], staging: list[History]
) -> None:
    shown = rule(summed(small.PROD, prod), summed(small.STAGING, staging))
    resources = [h for h in (*prod, *staging) if h.hours.strip("-")]
    truth = bool(resources) and all(h.hours == "C" * HOURS for h in resources)
    assert say(shown, findings()).startswith("All ") is truth
