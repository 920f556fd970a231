# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from controlbook.timeline import from_datetime, instant, iso, to_datetime

if TYPE_CHECKING:
    from controlbook.sandbox.server import Sandbox

FIRST, SECOND = "000000000001", "000000000002"
COMPLIANCE = "AWS::Config::ResourceCompliance"
BETA = "AWS::S3::Bucket/beta"
ClientOf = Callable[..., Any]
Client = Any  # boto3 makes its clients' classes at run time


@pytest.fixture
def config(small: Sandbox, client_of: ClientOf) -> Client:
    small.set_clock(instant("2028-02-01T06:00:00Z"))
    return client_of(small, "config")


def pages(config: Client, **more: object) -> list[list[str]]:
    asked = {"resourceType": COMPLIANCE, "resourceId": BETA, **more}
    for name in ("earlierTime", "laterTime"):
        if name in asked:
            asked[name] = to_datetime(instant(asked[name]))
    found = []
    while True:
        reply = config.get_resource_config_history(**asked)
        found.append(
            [
                iso(from_datetime(item["configurationItemCaptureTime"]))
                for item in reply["configurationItems"]
            ]
        )
        if "nextToken" not in reply:
            return found
        asked["nextToken"] = reply["nextToken"]


def flat(config: Client, **more: object) -> list[str]:
    return [at for page in pages(config, **more) for at in page]


ALL = ["2027-06-01T09:03:00Z", "2028-01-01T10:00:00Z", "2028-01-01T10:05:00Z"]


def test_history_reads_backwards_unless_asked(config: Client) -> None:
    assert flat(config) == ALL[::-1]
    assert flat(config, chronologicalOrder="Forward") == ALL


def test_a_call_spans_seven_days_and_may_be_empty(config: Client) -> None:
    found = pages(config, earlierTime="2027-12-25T00:00:00Z")
    assert [len(page) for page in found] == [0, 0, 0, 0, 2, 0]


def test_limit_cuts_a_span(config: Client) -> None:
    found = pages(config, earlierTime="2028-01-01T00:00:00Z", limit=1)
    assert [page for page in found if page] == [[ALL[2]], [ALL[1]]]


def test_both_times_are_inclusive(config: Client) -> None:
    between = {"earlierTime": ALL[1], "laterTime": ALL[2]}
    for order in ("Forward", "Reverse"):
        assert sorted(flat(config, chronologicalOrder=order, **between)) == ALL[1:]


def test_state_in_force_before_a_period_is_found(config: Client) -> None:
    asked = {"laterTime": "2028-01-01T00:00:00Z", "limit": 1}
    found = pages(config, **asked)
    assert found[-1] == [ALL[0]]
    assert not any(found[:-1])
    assert len(found) > 20


def test_history_ends_at_the_clock(small: Sandbox, config: Client) -> None:
    small.set_clock(instant("2028-01-01T10:02:00Z"))
    assert flat(config) == [ALL[1], ALL[0]]
    assert flat(config, laterTime="2029-01-01T00:00:00Z") == [ALL[1], ALL[0]]


def test_deleted_resource_keeps_its_history(
    small: Sandbox, config: Client, client_of: ClientOf
) -> None:
    del config
    reply = client_of(small, "config", SECOND).get_resource_config_history(
        resourceType=COMPLIANCE,
        resourceId="AWS::RDS::DBInstance/delta",
        earlierTime=to_datetime(instant("2028-01-02T00:00:00Z")),
        laterTime=to_datetime(instant("2028-01-04T00:00:00Z")),
    )
    last, first = reply["configurationItems"]
    assert last["configurationItemStatus"] == "ResourceDeleted"
    assert "configuration" not in last
    assert first["configurationItemStatus"] == "ResourceDiscovered"


def test_resource_itself_has_a_history_too(
    small: Sandbox, config: Client, client_of: ClientOf
) -> None:
    del config
    reply = client_of(small, "config", SECOND).get_resource_config_history(
        resourceType="AWS::RDS::DBInstance",
        resourceId="delta",
        earlierTime=to_datetime(instant("2028-01-01T00:00:00Z")),
        chronologicalOrder="Forward",
    )
    assert [
        item["configurationItemStatus"] for item in reply["configurationItems"]
    ] == [
        "ResourceDiscovered",
        "ResourceDeleted",
    ]


@pytest.mark.parametrize(
    ("account", "kind", "name"),
    [
        pytest.param(FIRST, COMPLIANCE, "AWS::S3::Bucket/omega", id="unknown"),
        pytest.param(SECOND, COMPLIANCE, BETA, id="of another account"),
        pytest.param(FIRST, "AWS::S3::Bucket", "omega", id="unknown bucket"),
    ],
)
def test_resource_without_items_is_not_discovered(
    small: Sandbox, client_of: ClientOf, account: str, kind: str, name: str
) -> None:
    config = client_of(small, "config", account)
    with pytest.raises(config.exceptions.ResourceNotDiscoveredException):
        config.get_resource_config_history(resourceType=kind, resourceId=name)


def test_backward_range_is_refused(config: Client) -> None:
    with pytest.raises(config.exceptions.InvalidTimeRangeException):
        pages(
            config,
            earlierTime="2028-01-02T00:00:00Z",
            laterTime="2028-01-01T00:00:00Z",
        )


def test_token_of_another_resource_is_refused(config: Client) -> None:
    reply = config.get_resource_config_history(
        resourceType=COMPLIANCE, resourceId=BETA, limit=1
    )
    with pytest.raises(config.exceptions.InvalidNextTokenException):
        config.get_resource_config_history(
            resourceType=COMPLIANCE,
            resourceId="AWS::S3::Bucket/alpha",
            limit=1,
            nextToken=reply["nextToken"],
        )
