# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controlbook.sandbox.delivery import offset
from controlbook.sandbox.example import AUDIT, PROD, REGION, STAGING, TOOLING
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trouble import Trouble
from controlbook.sandbox.world import RecorderStop, Rule, RuleFailure
from controlbook.timeline import from_datetime, instant, iso

FIRST, S3 = "000000000001", "s3-bucket-server-side-encryption-enabled"
ClientOf = Callable[..., Any]
Client = Any  # boto3 makes its clients' classes at run time


def rules(config: Client, **more: object) -> dict[str, dict[str, Any]]:
    pages = config.get_paginator("describe_config_rules").paginate(**more)
    return {row["ConfigRuleName"]: row for page in pages for row in page["ConfigRules"]}


def test_rules_tell_identifier_parameters_and_frequency(
    payments: Sandbox, client_of: ClientOf
) -> None:
    rule = rules(client_of(payments, "config", PROD))["iam-password-policy"]
    assert rule["Source"] == {
        "Owner": "AWS",
        "SourceIdentifier": "IAM_PASSWORD_POLICY",
    }
    assert json.loads(rule["InputParameters"])["MinimumPasswordLength"] == "14"
    assert rule["MaximumExecutionFrequency"] == "TwentyFour_Hours"
    assert "Scope" not in rule


def test_custom_rule_names_its_function(payments: Sandbox, client_of: ClientOf) -> None:
    rule = rules(client_of(payments, "config", STAGING))["redshift-cluster-kms-enabled"]
    assert rule["Source"]["Owner"] == "CUSTOM_LAMBDA"
    assert rule["Source"]["SourceIdentifier"] == (
        f"arn:aws:lambda:{REGION}:{STAGING}:function:redshift-cluster-kms-enabled"
    )
    (detail,) = rule["Source"]["SourceDetails"]
    assert detail["MessageType"] == "ConfigurationItemChangeNotification"
    assert rule["Scope"]["ComplianceResourceTypes"] == ["AWS::Redshift::Cluster"]


def test_names_carry_the_additions_of_packs_and_security_hub(
    payments: Sandbox, client_of: ClientOf
) -> None:
    found = rules(client_of(payments, "config", TOOLING))
    (ssh,) = (rule for name, rule in found.items() if name.startswith("restricted-ssh"))
    assert "-conformance-pack-" in ssh["ConfigRuleName"]
    assert ssh["CreatedBy"] == "config-conforms.amazonaws.com"
    assert ssh["Source"]["SourceIdentifier"] == "INCOMING_SSH_DISABLED"
    hub = [name for name in found if name.startswith("securityhub-")]
    assert len(hub) == 2
    assert all(len(name.rsplit("-", 1)[1]) == 8 for name in hub)


def test_custom_policy_rule_has_no_identifier(client_of: ClientOf) -> None:
    world = tiny()
    guard = Rule(
        account=FIRST, region=REGION, name="our-guard", identifier="",
        created=world.rules[0].created, owner="CUSTOM_POLICY", trigger="both",
        frequency="Six_Hours",
    )  # fmt: skip
    with Sandbox(replace(world, rules=(*world.rules, guard))) as sandbox:
        source = rules(client_of(sandbox, "config"))["our-guard"]["Source"]
    assert "SourceIdentifier" not in source
    assert source["CustomPolicyDetails"]["PolicyRuntime"] == "guard-2.x.x"
    assert [each["MessageType"] for each in source["SourceDetails"]] == [
        "ConfigurationItemChangeNotification",
        "ScheduledNotification",
    ]


def test_rules_come_25_a_page(client_of: ClientOf) -> None:
    world = tiny()
    more = tuple(
        replace(world.rules[0], name=f"rule-{number:02}") for number in range(40)
    )
    with Sandbox(replace(world, rules=(*world.rules, *more))) as sandbox:
        config = client_of(sandbox, "config")
        assert len(config.describe_config_rules()["ConfigRules"]) == 25
        assert len(rules(config)) == 42
        few = config.describe_config_rules(ConfigRuleNames=["rule-03", S3])
        assert [rule["ConfigRuleName"] for rule in few["ConfigRules"]] == [
            "rule-03",
            S3,
        ]


def test_unknown_rule_is_an_error(small: Sandbox, client_of: ClientOf) -> None:
    config = client_of(small, "config")
    with pytest.raises(config.exceptions.NoSuchConfigRuleException, match="omega"):
        config.describe_config_rules(ConfigRuleNames=["omega"])


def test_rule_deployed_later_is_not_listed_before(client_of: ClientOf) -> None:
    world = tiny()
    later = replace(
        world.rules[0], name="later", created=instant("2028-02-01T00:00:00Z")
    )
    with Sandbox(replace(world, rules=(*world.rules, later))) as sandbox:
        config = client_of(sandbox, "config")
        assert "later" not in rules(config)
        sandbox.set_clock(instant("2028-02-01T00:00:00Z"))
        assert "later" in rules(config)


def test_evaluation_status_says_nothing_about_custom_rules(
    payments: Sandbox, client_of: ClientOf
) -> None:
    config = client_of(payments, "config", STAGING)
    pages = config.get_paginator("describe_config_rule_evaluation_status").paginate()
    found = {
        row["ConfigRuleName"]: row
        for page in pages
        for row in page["ConfigRulesEvaluationStatus"]
    }
    assert set(rules(config)) - set(found) == {"redshift-cluster-kms-enabled"}
    flow = found["vpc-flow-logs-enabled"]
    assert flow["FirstEvaluationStarted"] is True
    last = from_datetime(flow["LastSuccessfulEvaluationTime"])
    assert iso(last) == "2027-12-31T09:00:00Z"


def test_failing_managed_rule_tells_its_error(client_of: ClientOf) -> None:
    failure = RuleFailure(
        account=FIRST,
        region=REGION,
        rule=S3,
        start=instant("2028-01-10T00:00:00Z"),
        end=instant("2028-01-11T00:00:00Z"),
    )
    with Sandbox(replace(tiny(), failures=(failure,))) as sandbox:
        config = client_of(sandbox, "config")

        def status(at: str) -> dict[str, Any]:
            sandbox.set_clock(instant(at))
            (row,) = config.describe_config_rule_evaluation_status(
                ConfigRuleNames=[S3]
            )["ConfigRulesEvaluationStatus"]
            return dict(row)

        assert "LastErrorCode" not in status("2028-01-09T00:00:00Z")
        assert status("2028-01-10T06:00:00Z")["LastErrorCode"] == "AccessDenied"
        assert "LastErrorCode" not in status("2028-01-11T00:00:00Z")


def test_rule_that_never_ran_says_so(small: Sandbox, client_of: ClientOf) -> None:
    (row,) = client_of(small, "config").describe_config_rule_evaluation_status(
        ConfigRuleNames=["rds-storage-encrypted"]
    )["ConfigRulesEvaluationStatus"]
    assert row["FirstEvaluationStarted"] is False
    assert "LastSuccessfulEvaluationTime" not in row


def test_recorder_records_everything_unless_told_otherwise(
    client_of: ClientOf,
) -> None:
    trouble = Trouble(compliance_not_recorded=(FIRST,))
    with Sandbox(tiny(), trouble=trouble) as sandbox:

        def group(account: str) -> dict[str, Any]:
            config = client_of(sandbox, "config", account)
            (row,) = config.describe_configuration_recorders()["ConfigurationRecorders"]
            return dict(row["recordingGroup"])

        assert group("000000000002")["allSupported"] is True
        left_out = group(FIRST)
    assert left_out["allSupported"] is False
    assert left_out["exclusionByResourceTypes"]["resourceTypes"] == [
        "AWS::Config::ResourceCompliance"
    ]


def test_recorder_status_tells_a_stop_and_the_restart(client_of: ClientOf) -> None:
    stop = RecorderStop(
        account=FIRST,
        region=REGION,
        start=instant("2028-01-05T00:00:00Z"),
        end=instant("2028-01-06T00:00:00Z"),
    )
    with Sandbox(tiny(), trouble=Trouble(recorder_stops=(stop,))) as sandbox:
        config = client_of(sandbox, "config")

        def status(at: str) -> dict[str, Any]:
            sandbox.set_clock(instant(at))
            (row,) = config.describe_configuration_recorder_status()[
                "ConfigurationRecordersStatus"
            ]
            return dict(row)

        before, within, after = (
            status(f"2028-01-0{day}T06:00:00Z") for day in (4, 5, 6)
        )
    assert before["recording"]
    assert "lastStopTime" not in before
    assert not within["recording"]
    assert from_datetime(within["lastStopTime"]) == stop.start
    assert after["recording"]
    assert from_datetime(after["lastStartTime"]) == stop.end
    assert from_datetime(after["lastStopTime"]) == stop.start


def test_delivery_channel_names_the_bucket_and_its_last_delivery(
    payments: Sandbox, client_of: ClientOf
) -> None:
    payments.set_clock(instant("2028-01-02T06:00:00Z"))
    config = client_of(payments, "config", PROD)
    (channel,) = config.describe_delivery_channels()["DeliveryChannels"]
    assert channel["s3BucketName"] == f"config-delivery-{AUDIT}"
    (status,) = config.describe_delivery_channel_status()["DeliveryChannelsStatus"]
    last = from_datetime(status["configHistoryDeliveryInfo"]["lastSuccessfulTime"])
    assert last == instant("2028-01-02T00:00:00Z") + offset((PROD, REGION))


@pytest.mark.parametrize(
    ("operation", "names"),
    [
        ("describe_configuration_recorders", "ConfigurationRecorderNames"),
        ("describe_configuration_recorder_status", "ConfigurationRecorderNames"),
        ("describe_delivery_channels", "DeliveryChannelNames"),
        ("describe_delivery_channel_status", "DeliveryChannelNames"),
    ],
)
def test_only_the_default_recorder_and_channel_exist(
    small: Sandbox, client_of: ClientOf, operation: str, names: str
) -> None:
    config = client_of(small, "config")
    ask = getattr(config, operation)
    assert ask(**{names: ["default"]})
    with pytest.raises(config.exceptions.ClientError, match="NoSuch"):
        ask(**{names: ["omega"]})
