# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controlbook.sandbox.example import DEPLOYED, REGION, resource
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.world import NON_COMPLIANT, Account, Rule, Verdict, World
from controlbook.timeline import Instant, from_datetime, instant, iso

FIRST, SECOND = "000000000001", "000000000002"
ORG = {"ConfigurationAggregatorName": "org"}
S3 = "s3-bucket-server-side-encryption-enabled"
SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples" / "config"
BAD = instant("2028-01-01T10:02:00Z")
QUERY = (
    "SELECT accountId, awsRegion, resourceId, configurationItemCaptureTime, "
    "configuration.targetResourceType, configuration.targetResourceId, "
    "configuration.complianceType, configuration.configRuleList "
    "WHERE resourceType = 'AWS::Config::ResourceCompliance'"
)

ClientOf = Callable[..., Any]
Client = Any  # boto3 makes its clients' classes at run time


def crowded(count: int) -> World:
    """Give a world where one rule fails on many buckets."""
    rule = Rule(
        account=FIRST, region=REGION, name="crowd", identifier="CROWD",
        created=DEPLOYED, resource_types=("AWS::S3::Bucket",),
    )  # fmt: skip
    empty = [
        Rule(
            account=FIRST, region=REGION, name=f"a-rule-{n:04}", identifier="NONE",
            created=DEPLOYED,
        )
        for n in range(3)
    ]  # fmt: skip
    buckets = [resource(FIRST, "AWS::S3::Bucket", f"b-{n:04}") for n in range(count)]
    return World(
        name="crowded", home=FIRST, home_region=REGION, regions=(REGION,),
        aggregator="org", delivery_bucket="delivery",
        accounts=(Account(id=FIRST, name="first", joined=Instant(0)),),
        rules=(rule, *empty), resources=tuple(buckets),
        verdicts=tuple(
            Verdict(at=DEPLOYED, account=FIRST, region=REGION, rule="crowd",
                    resource=each.name, state=NON_COMPLIANT)
            for each in buckets
        ),
        begin=instant("2028-01-01T06:00:00Z"),
    )  # fmt: skip


def rows(config: Client, **more: object) -> list[dict[str, Any]]:
    pages = config.get_paginator("describe_aggregate_compliance_by_config_rules")
    return [
        row
        for page in pages.paginate(**ORG, **more)
        for row in page["AggregateComplianceByConfigRules"]
    ]


def test_aggregator_describes_itself_at_home(
    small: Sandbox, client_of: ClientOf
) -> None:
    config = client_of(small, "config")
    (found,) = config.describe_configuration_aggregators(
        ConfigurationAggregatorNames=["org"]
    )["ConfigurationAggregators"]
    assert found["OrganizationAggregationSource"]["AwsRegions"] == [REGION]


@pytest.mark.parametrize("settings", [{"account": SECOND}, {"region": "us-east-1"}])
def test_aggregator_is_unknown_elsewhere(
    small: Sandbox, client_of: ClientOf, settings: dict[str, str]
) -> None:
    config = client_of(small, "config", **settings)
    error = config.exceptions.NoSuchConfigurationAggregatorException
    with pytest.raises(error):
        config.describe_aggregate_compliance_by_config_rules(**ORG)
    with pytest.raises(error):
        config.describe_configuration_aggregators(ConfigurationAggregatorNames=["org"])
    assert not config.describe_configuration_aggregators()["ConfigurationAggregators"]


def test_rules_without_results_are_not_listed(
    small: Sandbox, client_of: ClientOf
) -> None:
    small.set_clock(instant("2028-01-01T06:00:00Z"))
    found = rows(client_of(small, "config"))
    assert [(row["AccountId"], row["ConfigRuleName"]) for row in found] == [
        (FIRST, S3),
        (SECOND, S3),
    ]


def test_compliant_row_has_no_count_and_failing_row_has_one(
    small: Sandbox, client_of: ClientOf
) -> None:
    small.set_clock(BAD)
    first, second = rows(client_of(small, "config"))
    assert first["Compliance"] == {
        "ComplianceType": "NON_COMPLIANT",
        "ComplianceContributorCount": {"CappedCount": 1, "CapExceeded": False},
    }
    assert second["Compliance"] == {"ComplianceType": "COMPLIANT"}


def test_filters_choose_rows(small: Sandbox, client_of: ClientOf) -> None:
    small.set_clock(BAD)
    config = client_of(small, "config")

    def accounts(**filters: str) -> list[str]:
        return [row["AccountId"] for row in rows(config, Filters=filters)]

    assert accounts(ComplianceType="COMPLIANT") == [SECOND]
    assert accounts(AccountId=FIRST) == [FIRST]
    assert accounts(AwsRegion="us-east-1") == []
    assert accounts(ConfigRuleName=S3) == [FIRST, SECOND]


def test_empty_page_may_carry_a_token(client_of: ClientOf) -> None:
    with Sandbox(crowded(1)) as sandbox:
        config = client_of(sandbox, "config")
        reply = config.describe_aggregate_compliance_by_config_rules(Limit=2, **ORG)
        assert reply["AggregateComplianceByConfigRules"] == []
        assert reply["NextToken"]
        assert len(rows(config, PaginationConfig={"PageSize": 2})) == 1


@pytest.mark.parametrize(
    ("count", "capped", "exceeded"), [(25, 25, False), (26, 25, True)]
)
def test_contributors_are_counted_up_to_a_cap(
    client_of: ClientOf, count: int, capped: int, exceeded: object
) -> None:
    with Sandbox(crowded(count)) as sandbox:
        (row,) = rows(client_of(sandbox, "config"))
    assert row["Compliance"]["ComplianceContributorCount"] == {
        "CappedCount": capped,
        "CapExceeded": exceeded,
    }


def test_details_come_fifty_a_page_and_at_most_a_hundred(client_of: ClientOf) -> None:
    asked = {**ORG, "ConfigRuleName": "crowd", "AccountId": FIRST, "AwsRegion": REGION}
    with Sandbox(crowded(120)) as sandbox:
        config = client_of(sandbox, "config")
        get = config.get_aggregate_compliance_details_by_config_rule
        assert len(get(**asked)["AggregateEvaluationResults"]) == 50
        assert len(get(**asked, Limit=100)["AggregateEvaluationResults"]) == 100
        with pytest.raises(config.exceptions.InvalidLimitException):
            get(**asked, Limit=101)
        name = "get_aggregate_compliance_details_by_config_rule"
        pages = config.get_paginator(name).paginate(**asked)
        assert sum(len(page["AggregateEvaluationResults"]) for page in pages) == 120


def details(config: Client, **more: str) -> list[dict[str, Any]]:
    asked = {**ORG, "ConfigRuleName": S3, "AccountId": FIRST, "AwsRegion": REGION}
    reply = config.get_aggregate_compliance_details_by_config_rule(**asked, **more)
    found: list[dict[str, Any]] = reply["AggregateEvaluationResults"]
    return found


def test_details_are_the_latest_result_only(
    small: Sandbox, client_of: ClientOf
) -> None:
    small.set_clock(BAD)
    (found,) = details(client_of(small, "config"), ComplianceType="NON_COMPLIANT")
    identifier = found["EvaluationResultIdentifier"]
    assert identifier["EvaluationResultQualifier"]["ResourceId"] == "beta"
    since = iso(from_datetime(identifier["OrderingTimestamp"]))
    assert since == "2028-01-01T10:00:00Z"


@pytest.mark.parametrize("wanted", ["INSUFFICIENT_DATA", "NOT_APPLICABLE"])
def test_details_hold_only_compliant_and_non_compliant(
    small: Sandbox, client_of: ClientOf, wanted: str
) -> None:
    assert details(client_of(small, "config"), ComplianceType=wanted) == []


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples here")
@pytest.mark.parametrize(
    "name",
    [
        "test_config_compliance",
        "test_config_compliance_iam_role",
        "test_config_inconsistent_hub_rule",
    ],
)
def test_details_have_the_fields_of_recorded_ones(
    small: Sandbox, client_of: ClientOf, name: str
) -> None:
    recorded = json.loads((SAMPLES / f"recorded-{name}.json").read_text())
    theirs = recorded["data"]["EvaluationResults"][0]
    small.set_clock(BAD)
    ours = details(client_of(small, "config"))[0]
    aggregate_only = {"AccountId", "AwsRegion"}
    assert set(theirs) - {"Annotation"} == set(ours) - aggregate_only
    identifier, recorded_one = (
        each["EvaluationResultIdentifier"] for each in (ours, theirs)
    )
    assert set(recorded_one) == set(identifier)
    qualifier = set(identifier["EvaluationResultQualifier"]) - {"EvaluationMode"}
    assert set(recorded_one["EvaluationResultQualifier"]) == qualifier


def select(config: Client, expression: str, **more: object) -> list[dict[str, Any]]:
    pages = config.get_paginator("select_aggregate_resource_config")
    return [
        json.loads(row)
        for page in pages.paginate(Expression=expression, **ORG, **more)
        for row in page["Results"]
    ]


def test_select_gives_current_items_as_json_strings(
    small: Sandbox, client_of: ClientOf
) -> None:
    small.set_clock(BAD)
    found = select(client_of(small, "config"), QUERY)
    assert [row["resourceId"] for row in found] == [
        "AWS::S3::Bucket/alpha",
        "AWS::S3::Bucket/beta",
        "AWS::S3::Bucket/gamma",
    ]
    beta = found[1]
    assert beta["configurationItemCaptureTime"] == "2028-01-01T10:00:00.000Z"
    assert beta["configuration"]["complianceType"] == "NON_COMPLIANT"
    (rule,) = beta["configuration"]["configRuleList"]
    assert rule["configRuleName"] == S3


def test_select_filters(small: Sandbox, client_of: ClientOf) -> None:
    small.set_clock(BAD)
    config = client_of(small, "config")

    def names(condition: str) -> list[str]:
        return [row["resourceId"][-5:] for row in select(config, QUERY + condition)]

    assert names(f" AND accountId = '{SECOND}'") == ["gamma"]
    assert names(" AND awsRegion = 'us-east-1'") == []
    after = " AND configurationItemCaptureTime > '2028-01-01T00:00:00.000Z'"
    assert names(after) == ["/beta"]


def test_select_comes_25_a_page_and_at_most_a_hundred(client_of: ClientOf) -> None:
    with Sandbox(crowded(120)) as sandbox:
        config = client_of(sandbox, "config")
        get = config.select_aggregate_resource_config
        assert len(get(Expression=QUERY, **ORG)["Results"]) == 25
        assert len(get(Expression=QUERY, Limit=100, **ORG)["Results"]) == 100
        assert len(get(Expression=QUERY, MaxResults=7, **ORG)["Results"]) == 7
        with pytest.raises(ClientError):
            get(Expression=QUERY, Limit=101, **ORG)
        assert len(select(config, QUERY)) == 120


def test_select_refuses_what_it_does_not_understand(
    small: Sandbox, client_of: ClientOf
) -> None:
    config = client_of(small, "config")
    with pytest.raises(config.exceptions.InvalidExpressionException):
        select(config, "SELECT accountId, COUNT(*) GROUP BY accountId")
