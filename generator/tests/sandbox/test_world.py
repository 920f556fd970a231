# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.world import NON_COMPLIANT, Rule, Verdict, token_of
from controlbook.timeline import Instant, instant


def verdict(**changes: object) -> Verdict:
    stock = {
        "at": instant("2028-01-02T00:00:00Z"),
        "account": "000000000001",
        "region": "eu-west-1",
        "rule": "rds-storage-encrypted",
        "resource": "AWS::S3::Bucket/alpha",
        "state": NON_COMPLIANT,
    }
    return Verdict(**{**stock, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        pytest.param({"rule": "no-such-rule"}, "no rule", id="unknown rule"),
        pytest.param({"at": Instant(0)}, "no rule", id="before the rule"),
        pytest.param(
            {"resource": "AWS::S3::Bucket/omega"}, "no resource", id="unknown resource"
        ),
    ],
)
def test_world_refuses_a_verdict_without_its_rule_or_resource(
    broken: dict[str, object], named: str
) -> None:
    world = tiny()
    with pytest.raises(ValueError, match=named):
        replace(world, verdicts=(*world.verdicts, verdict(**broken)))


def test_world_refuses_a_verdict_on_a_deleted_resource() -> None:
    world = tiny()
    late = verdict(
        at=instant("2028-01-04T00:00:00Z"),
        account="000000000002",
        resource="AWS::RDS::DBInstance/delta",
    )
    with pytest.raises(ValueError, match="no resource AWS::RDS::DBInstance/delta"):
        replace(world, verdicts=(*world.verdicts, late))


def test_periodic_rule_runs_on_its_own_beat() -> None:
    rule = Rule(
        account="1",
        region="r",
        name="n",
        identifier="N",
        created=instant("2027-06-01T09:00:00Z"),
        trigger="periodic",
        frequency="TwentyFour_Hours",
    )
    assert rule.last_tick(instant("2028-03-05T08:59:59Z")) == instant(
        "2028-03-04T09:00:00Z"
    )
    assert rule.last_tick(instant("2028-03-05T09:00:00Z")) == instant(
        "2028-03-05T09:00:00Z"
    )
    assert rule.last_tick(instant("2027-06-01T08:00:00Z")) is None
    assert replace(rule, frequency="").last_tick(rule.created) is None


def test_made_up_ids_are_stable_and_differ() -> None:
    assert token_of("a", "b") == token_of("a", "b")
    assert token_of("a", "b") != token_of("ab", "")
    assert len(token_of("a", length=10)) == 10
