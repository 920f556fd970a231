# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from controlbook.sandbox.protocol import (
    Caller,
    Service,
    ServiceError,
    from_wire,
    operation_model,
    to_wire,
    violations,
)
from controlbook.timeline import Instant

Wire = Any  # JSON as the model shapes it
CALLER = Caller(account="1", region="eu-west-1", now=Instant(0), access_key="x")
RULES = "DescribeAggregateComplianceByConfigRules"


def answering(reply: Wire, operation: str = RULES) -> Service:
    return Service("config", {operation: lambda _caller, _params: reply})


def ask(service: Service, operation: str = RULES, **params: object) -> Wire:
    stock = {"ConfigurationAggregatorName": "org"} if operation == RULES else {}
    body = json.dumps({**stock, **params}).encode()
    return json.loads(service.json(CALLER, operation, body))


@pytest.mark.parametrize(
    ("params", "code"),
    [
        pytest.param({"Limit": 5000}, "InvalidLimitException", id="above the maximum"),
        pytest.param({"Limit": -1}, "ValidationException", id="below the minimum"),
        pytest.param({"Limit": "9"}, "ValidationException", id="wrong type"),
        pytest.param({"Colour": "red"}, "ValidationException", id="unknown member"),
        pytest.param(
            {"ConfigurationAggregatorName": "a" * 300},
            "ValidationException",
            id="too long",
        ),
        pytest.param(
            {"ConfigurationAggregatorName": "a b"}, "ValidationException", id="pattern"
        ),
        pytest.param(
            {"Filters": {"ComplianceType": "FINE"}}, "ValidationException", id="enum"
        ),
        pytest.param(
            {"Filters": {"AccountId": "12"}}, "ValidationException", id="inner pattern"
        ),
    ],
)
def test_request_that_breaks_the_model_is_refused(
    params: dict[str, Any], code: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        ask(answering({}), **params)
    assert caught.value.code == code
    assert caught.value.status == 400


def test_missing_member_is_refused() -> None:
    with pytest.raises(ServiceError, match="ConfigurationAggregatorName"):
        answering({}).json(CALLER, RULES, b"{}")


def test_too_long_list_is_refused() -> None:
    names = [f"rule-{n}" for n in range(26)]
    with pytest.raises(ServiceError, match="26 is above 25"):
        ask(answering({}, "DescribeConfigRules"), "DescribeConfigRules",
            ConfigRuleNames=names)  # fmt: skip


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"'])
def test_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        answering({}).json(CALLER, RULES, body)
    assert caught.value.code == "SerializationException"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param({"Rows": []}, id="unknown member"),
        pytest.param({"NextToken": 7}, id="wrong type"),
        pytest.param(
            {
                "AggregateComplianceByConfigRules": [
                    {"Compliance": {"ComplianceType": "FINE"}}
                ]
            },
            id="enum",
        ),
        pytest.param(
            {"AggregateComplianceByConfigRules": [{"ConfigRuleName": "a" * 129}]},
            id="too long",
        ),
        pytest.param(
            {"AggregateComplianceByConfigRules": [{"AwsRegion": ""}]}, id="too short"
        ),
    ],
)
def test_reply_of_ours_that_breaks_the_model_is_a_loud_500(reply: Wire) -> None:
    with pytest.raises(ServiceError) as caught:
        ask(answering(reply))
    assert (caught.value.code, caught.value.status) == ("InternalFailure", 500)


def test_error_that_the_model_does_not_name_is_a_loud_500() -> None:
    def handler(_caller: Caller, _params: Wire) -> Wire:
        raise ServiceError(code="NoSuchBucketException", message="made up")

    with pytest.raises(ServiceError) as caught:
        ask(Service("config", {RULES: handler}))
    assert caught.value.status == 500
    assert "NoSuchBucketException" in caught.value.message


def test_operation_that_is_not_emulated_is_named() -> None:
    with pytest.raises(ServiceError) as caught:
        answering({}).json(CALLER, "PutConfigRule", b"{}")
    assert caught.value.code == "UnknownOperationException"
    assert "config:PutConfigRule" in caught.value.message


def test_times_travel_as_epoch_numbers() -> None:
    shape = operation_model("config", "GetResourceConfigHistory").input_shape
    moment = datetime(2028, 2, 14, 3, 12, 0, 70_000, tzinfo=UTC)
    value = {"resourceId": "x", "laterTime": moment}
    wire = to_wire(shape, value)
    assert wire == {"resourceId": "x", "laterTime": 1834110720.07}
    assert from_wire(shape, wire) == value
    whole = to_wire(shape, {"laterTime": datetime(2028, 2, 14, tzinfo=UTC)})
    assert isinstance(whole["laterTime"], int)


def test_patterns_bind_requests_only() -> None:
    shape = operation_model("config", RULES).input_shape
    value = {"ConfigurationAggregatorName": "a b"}
    assert list(violations(shape, value, patterns=True))
    assert not list(violations(shape, value, patterns=False))
