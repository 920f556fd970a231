# SPDX-License-Identifier: Apache-2.0
"""Each switch of trouble, as a real client sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, PaginationError

from controlbook.sandbox.example import REGION
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trouble import Dropped, SourceTrouble, Trouble
from controlbook.sandbox.world import RecorderStop
from controlbook.timeline import DAY, MINUTE, Instant, from_datetime, instant, iso

if TYPE_CHECKING:
    from controlbook.sandbox.world import World

FIRST, SECOND = "000000000001", "000000000002"
ORG = {"ConfigurationAggregatorName": "org"}
QUERY = (
    "SELECT resourceId, configurationItemCaptureTime, configuration.complianceType "
    "WHERE resourceType = 'AWS::Config::ResourceCompliance'"
)
ClientOf = Callable[..., Any]
Client = Any  # boto3 makes its clients' classes at run time


def hurting(world: World | None = None, **trouble: object) -> Sandbox:
    return Sandbox(world or tiny(), trouble=Trouble(**trouble))


def compliance(config: Client, **more: object) -> list[tuple[str, str]]:
    name = "describe_aggregate_compliance_by_config_rules"
    return [
        (row["AccountId"], row["Compliance"]["ComplianceType"])
        for page in config.get_paginator(name).paginate(**ORG, **more)
        for row in page["AggregateComplianceByConfigRules"]
    ]


def current(config: Client) -> dict[str, str]:
    pages = config.get_paginator("select_aggregate_resource_config")
    rows = [
        json.loads(row)
        for page in pages.paginate(Expression=QUERY, **ORG)
        for row in page["Results"]
    ]
    return {row["resourceId"]: row["configuration"]["complianceType"] for row in rows}


def sources(config: Client) -> dict[str, dict[str, Any]]:
    reply = config.describe_configuration_aggregator_sources_status(**ORG)
    return {row["SourceId"]: row for row in reply["AggregatedSourceStatusList"]}


def test_throttled_call_is_retried_by_the_client(client_of: ClientOf) -> None:
    with hurting(throttle_every=2) as sandbox:
        config = client_of(sandbox, "config", retries={"total_max_attempts": 5})
        replies = [config.describe_config_rules() for _ in range(3)]
    retries = [reply["ResponseMetadata"]["RetryAttempts"] for reply in replies]
    assert sum(retries) == 2


def test_throttling_surfaces_without_retries(client_of: ClientOf) -> None:
    with hurting(throttle_every=1) as sandbox:
        config = client_of(sandbox, "config", retries={"total_max_attempts": 1})
        with pytest.raises(ClientError, match="ThrottlingException"):
            config.describe_config_rules()


@pytest.mark.threat("T32")
@pytest.mark.parametrize("where", [("first",), ("middle",), ("last",)])
def test_empty_page_with_a_token_hides_nothing(
    client_of: ClientOf, where: tuple[str, ...]
) -> None:
    with hurting(empty_pages=where) as sandbox:
        config = client_of(sandbox, "config")
        assert len(compliance(config)) == 2
        first = config.describe_aggregate_compliance_by_config_rules(**ORG)
    assert "NextToken" in first


@pytest.mark.threat("T32")
def test_blank_listing_is_a_200_without_rows(client_of: ClientOf) -> None:
    blank = ("DescribeAggregateComplianceByConfigRules",)
    with hurting(blank_listings=blank) as sandbox:
        config = client_of(sandbox, "config")
        assert compliance(config) == []
        assert len(current(config)) == 3


@pytest.mark.threat("T31")
def test_looped_token_comes_twice(client_of: ClientOf) -> None:
    with hurting(looped_token=True) as sandbox:
        config = client_of(sandbox, "config")
        with pytest.raises(PaginationError, match="received twice"):
            compliance(config)


@pytest.mark.threat("T31")
def test_repeated_row_stands_on_two_pages(client_of: ClientOf) -> None:
    with hurting(repeated_row=True) as sandbox:
        organizations = client_of(sandbox, "organizations")
        pages = organizations.get_paginator("list_accounts").paginate(
            PaginationConfig={"PageSize": 1}
        )
        listed = [account["Id"] for page in pages for account in page["Accounts"]]
    assert listed == [FIRST, FIRST, SECOND]


def test_expired_token_is_refused_once(client_of: ClientOf) -> None:
    with hurting(expired_tokens=1, empty_pages=("last",)) as sandbox:
        config = client_of(sandbox, "config")
        with pytest.raises(config.exceptions.InvalidNextTokenException):
            compliance(config)
        assert len(compliance(config)) == 2


@pytest.mark.parametrize("status", ["OUTDATED", "FAILED"])
def test_troubled_source_shows_what_was_known_before(
    client_of: ClientOf, status: str
) -> None:
    trouble = SourceTrouble(
        account=FIRST,
        region=REGION,
        status=status,
        start=instant("2028-01-01T09:00:00Z"),
        end=instant("2028-01-02T00:00:00Z"),
    )
    with hurting(sources=(trouble,)) as sandbox:
        config = client_of(sandbox, "config")
        sandbox.set_clock(instant("2028-01-01T10:02:00Z"))
        row = sources(config)[FIRST]
        assert row["LastUpdateStatus"] == status
        assert iso(from_datetime(row["LastUpdateTime"])) == "2028-01-01T09:00:00Z"
        assert row["LastErrorCode"]
        assert compliance(config)[0] == (FIRST, "COMPLIANT")
        assert current(config)["AWS::S3::Bucket/beta"] == "COMPLIANT"
        assert sources(config)[SECOND]["LastUpdateStatus"] == "SUCCEEDED"
        sandbox.set_clock(instant("2028-01-02T00:00:00Z"))
        assert sources(config)[FIRST]["LastUpdateStatus"] == "SUCCEEDED"


def test_lagging_aggregator_shows_an_earlier_state(client_of: ClientOf) -> None:
    with hurting(aggregator_lag=10 * MINUTE) as sandbox:
        config = client_of(sandbox, "config")
        sandbox.set_clock(instant("2028-01-01T10:06:00Z"))
        assert compliance(config)[0] == (FIRST, "COMPLIANT")
        sandbox.set_clock(instant("2028-01-01T10:11:00Z"))
        assert compliance(config)[0] == (FIRST, "NON_COMPLIANT")


@pytest.mark.threat("T26")
def test_dropped_account_is_still_in_the_organization(client_of: ClientOf) -> None:
    lost = Dropped(account=SECOND, start=instant("2028-01-10T00:00:00Z"))
    with hurting(dropped=(lost,)) as sandbox:
        config = client_of(sandbox, "config")
        assert set(sources(config)) == {FIRST, SECOND}
        sandbox.set_clock(instant("2028-01-10T00:00:00Z"))
        assert set(sources(config)) == {FIRST}
        assert [account for account, _ in compliance(config)] == [FIRST]
        assert "AWS::S3::Bucket/gamma" not in current(config)
        listed = client_of(sandbox, "organizations").list_accounts()["Accounts"]
    assert [account["Id"] for account in listed] == [FIRST, SECOND]


@pytest.mark.threat("T88")
def test_stopped_recorder_leaves_no_trace_of_the_deviation(
    client_of: ClientOf,
) -> None:
    stop = RecorderStop(
        account=FIRST,
        region=REGION,
        start=instant("2028-01-01T09:00:00Z"),
        end=instant("2028-01-01T11:00:00Z"),
    )
    with hurting(recorder_stops=(stop,)) as sandbox:
        sandbox.set_clock(instant("2028-01-02T06:00:00Z"))
        config = client_of(sandbox, "config")
        reply = config.get_resource_config_history(
            resourceType="AWS::Config::ResourceCompliance",
            resourceId="AWS::S3::Bucket/beta",
        )
        assert reply["configurationItems"] == []
        sandbox.set_clock(instant("2028-01-01T10:02:00Z"))
        status = config.describe_configuration_recorder_status()
    assert status["ConfigurationRecordersStatus"][0]["recording"] is False


def test_unrecorded_compliance_is_in_no_item(client_of: ClientOf) -> None:
    with hurting(compliance_not_recorded=(FIRST,)) as sandbox:
        sandbox.set_clock(instant("2028-01-02T06:00:00Z"))
        config = client_of(sandbox, "config")
        assert set(current(config)) == {"AWS::S3::Bucket/gamma"}
        assert (FIRST, "COMPLIANT") in compliance(config)
        with pytest.raises(config.exceptions.ResourceNotDiscoveredException):
            config.get_resource_config_history(
                resourceType="AWS::Config::ResourceCompliance",
                resourceId="AWS::S3::Bucket/beta",
            )


@pytest.mark.threat("T24")
def test_skewed_date_header_leaves_the_answers_alone(client_of: ClientOf) -> None:
    with hurting(skew=3 * DAY) as sandbox:
        reply = client_of(sandbox, "sts").get_caller_identity()
    date = reply["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert date == "Tue, 04 Jan 2028 06:00:00 GMT"


@pytest.mark.threat("T28")
def test_account_outside_the_organization_is_in_no_aggregate_view(
    client_of: ClientOf,
) -> None:
    world = tiny()
    left = instant("2028-01-10T00:00:00Z")
    accounts = tuple(
        replace(each, left=left) if each.id == SECOND else each
        for each in world.accounts
    )
    with hurting(replace(world, accounts=accounts)) as sandbox:
        config = client_of(sandbox, "config")
        sandbox.set_clock(Instant(left - 1))
        assert set(sources(config)) == {FIRST, SECOND}
        sandbox.set_clock(left)
        assert set(sources(config)) == {FIRST}
        with pytest.raises(ClientError, match="AccessDenied"):
            client_of(sandbox, "sts").assume_role(
                RoleArn=f"arn:aws:iam::{SECOND}:role/reader", RoleSessionName="session"
            )
