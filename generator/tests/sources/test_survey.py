# SPDX-License-Identifier: Apache-2.0
"""What a row of AWS's rule list means, and what a recorder's status leaves out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controlbook.sources.survey import DeployedRule, Survey, deployed_rule
from controlbook.timeline import Instant, Interval, instant, iso

PLACE = ("111122223333", "eu-west-1")
SSE = "s3-bucket-server-side-encryption-enabled"
SCHEDULED = "ScheduledNotification"
CHANGED = "ConfigurationItemChangeNotification"
DAY = Interval(instant("2028-02-14T00:00:00Z"), instant("2028-02-15T00:00:00Z"))


def row(name: str, **more: object) -> dict[str, Any]:
    source = {"Owner": "AWS", "SourceIdentifier": SSE.upper().replace("-", "_")}
    arn = f"arn:aws:config:eu-west-1:111122223333:config-rule/{name}"
    return {"ConfigRuleName": name, "ConfigRuleArn": arn, "Source": source, **more}


def custom(owner: str, *messages: str, frequency: str = "") -> dict[str, Any]:
    details = [{"EventSource": "aws.config", "MessageType": text} for text in messages]
    if frequency:
        details[-1]["MaximumExecutionFrequency"] = frequency
    arn = "arn:aws:lambda:eu-west-1:111122223333:function:check"
    return {"Owner": owner, "SourceIdentifier": arn, "SourceDetails": details}


def survey(*rules: DeployedRule, **status: Any) -> Survey:  # noqa: ANN401
    facts = {
        "recording": True,
        "started": Instant(0),
        "stopped": None,
        "compliance_recorded": True,
        "delivered": DAY.end,
    }
    return Survey(place=PLACE, rules=rules, **(facts | status))


@pytest.mark.parametrize(
    "name", [SSE, f"{SSE}-conformance-pack-ab12cd34e", f"securityhub-{SSE}-0a1b2c3d"]
)
def test_a_managed_rule_is_its_identifier_whatever_its_name(name: str) -> None:
    found = deployed_rule(row(name), {}, PLACE).instance
    assert (found.rule, found.deployed_as, found.matched) == (SSE, name, "identifier")
    assert found.key == deployed_rule(row(SSE), {}, PLACE).instance.key


def test_a_changed_parameter_is_another_instance() -> None:
    fourteen = row(SSE, InputParameters='{"MinimumPasswordLength":"14"}')
    plain, strict = (deployed_rule(r, {}, PLACE).instance for r in (row(SSE), fourteen))
    assert strict.parameters == (("MinimumPasswordLength", "14"),)
    assert plain.key != strict.key


@pytest.mark.parametrize(
    ("source", "identifier", "trigger", "frequency"),
    [
        (custom("CUSTOM_LAMBDA", CHANGED), "custom-lambda:ours", "change", ""),
        (
            custom("CUSTOM_LAMBDA", SCHEDULED, frequency="Six_Hours"),
            "custom-lambda:ours",
            "periodic",
            "Six_Hours",
        ),
        (
            custom("CUSTOM_POLICY", CHANGED, SCHEDULED, frequency="One_Hour"),
            "custom-guard:ours",
            "both",
            "One_Hour",
        ),
    ],
    ids=["lambda", "scheduled", "guard"],
)
def test_a_teams_own_rule_is_its_name(
    source: dict[str, Any], identifier: str, trigger: str, frequency: str
) -> None:
    found = deployed_rule(row("ours", Source=source), {}, PLACE).instance
    assert (found.rule, found.identifier) == ("ours", identifier)
    assert (found.trigger, found.frequency) == (trigger, frequency)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "ok"),
        ({"FirstEvaluationStarted": False}, "never-evaluated"),
        ({"FirstEvaluationStarted": True}, "ok"),
        (
            {
                "FirstEvaluationStarted": True,
                "LastFailedEvaluationTime": datetime(2028, 2, 14, tzinfo=UTC),
                "LastErrorCode": "AccessDenied",
            },
            "failing:AccessDenied",
        ),
    ],
    ids=["unsaid", "never", "fine", "failing"],
)
def test_whether_a_rule_works(status: dict[str, Any], expected: str) -> None:
    assert deployed_rule(row(SSE), status, PLACE).instance.status == expected


def test_two_deployed_rules_that_check_the_same_are_one() -> None:
    packed = deployed_rule(row(f"{SSE}-conformance-pack-ab12cd34e"), {}, PLACE)
    found = survey(deployed_rule(row(SSE), {}, PLACE), packed)
    (twins,) = found.twins()
    assert "the worse one counts" in twins
    place = found.deployment(DAY, ())
    (key,) = place.rules
    assert place.key_of(packed.arn, "") == place.key_of("", SSE) == key
    assert place.rules[key].deployed_as == SSE


def test_a_rule_activated_after_the_window_is_not_in_force_in_it() -> None:
    status = {"FirstActivatedTime": datetime(2028, 2, 15, 3, tzinfo=UTC)}
    found = survey(deployed_rule(row(SSE), status, PLACE))
    assert found.deployment(DAY, ()).rules == {}


def test_a_rule_that_went_is_still_known_by_its_name() -> None:
    gone = deployed_rule(row(SSE), {}, PLACE).instance
    place = survey().deployment(DAY, [gone])
    assert place.key_of("", SSE) == gone.key
    assert place.instance(gone.key) == gone


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, []),
        (
            {"recording": False, "stopped": instant("2028-02-14T06:00:00Z")},
            [("recorder-stopped", "06:00:00Z", "00:00:00Z")],
        ),
        (
            {"recording": False, "stopped": None, "started": None},
            [("recorder-stopped", "00:00:00Z", "00:00:00Z")],
        ),
        (
            {
                "stopped": instant("2028-02-14T06:00:00Z"),
                "started": instant("2028-02-14T07:00:00Z"),
            },
            [("recorder-stopped", "06:00:00Z", "07:00:00Z")],
        ),
        (
            {
                "stopped": instant("2028-02-13T06:00:00Z"),
                "started": instant("2028-02-13T07:00:00Z"),
            },
            [],
        ),
        ({"compliance_recorded": False}, [("not-recorded", "00:00:00Z", "00:00:00Z")]),
        (
            {"delivered": instant("2028-02-14T18:05:00Z")},
            [("delivery-behind", "18:05:00Z", "00:00:00Z")],
        ),
        ({"delivered": None}, [("delivery-behind", "00:00:00Z", "00:00:00Z")]),
    ],
    ids=[
        "fine",
        "off",
        "never on",
        "off and on",
        "off before",
        "excluded",
        "behind",
        "never delivered",
    ],
)
def test_what_leaves_no_evidence(
    status: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    rows = survey(**status).missing(DAY, by_delivery=True)
    assert [
        (m.reason, iso(m.interval.start)[11:], iso(m.interval.end)[11:]) for m in rows
    ] == expected
