# SPDX-License-Identifier: Apache-2.0
"""Trusted Advisor in the sandbox, through boto3, whose model checks the replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controlbook.sandbox.clock import Clock
from controlbook.sandbox.example import PROD, STAGING, example
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.trouble import Trouble
from controlbook.timeline import instant

ClientOf = Callable[..., Any]
HOME = "us-east-1"


def statuses(support: Any) -> dict[str, str]:  # noqa: ANN401 - a boto3 client
    checks = support.describe_trusted_advisor_checks(language="en")["checks"]
    return {
        check["name"]: support.describe_trusted_advisor_check_result(
            checkId=check["id"], language="en"
        )["result"]["status"]
        for check in checks
    }


def test_a_check_fails_while_the_rule_does(client_of: ClientOf) -> None:
    name = "Check of s3-bucket-server-side-encryption-enabled"
    clock = Clock(instant("2028-02-14T03:15:00Z"))
    with Sandbox(example(), clock) as sandbox:
        support = client_of(sandbox, "support", PROD, HOME)
        assert statuses(support)[name] == "error"
        sandbox.set_clock(instant("2028-02-14T03:20:00Z"))
        assert statuses(support)[name] == "ok"


def test_support_answers_at_home_and_for_a_plan_that_includes_it(
    client_of: ClientOf,
) -> None:
    trouble = Trouble(no_support_plan=(STAGING,))
    with Sandbox(example(), trouble=trouble) as sandbox:
        away = client_of(sandbox, "support", PROD, "eu-west-1")
        poor = client_of(sandbox, "support", STAGING, HOME)
        with pytest.raises(ClientError, match="UnknownOperationException"):
            away.describe_trusted_advisor_checks(language="en")
        with pytest.raises(ClientError, match="SubscriptionRequiredException"):
            poor.describe_trusted_advisor_checks(language="en")


def test_an_unknown_check_is_refused(client_of: ClientOf) -> None:
    with Sandbox(example()) as sandbox:
        support = client_of(sandbox, "support", PROD, HOME)
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            support.describe_trusted_advisor_check_result(checkId="none")


def test_a_check_that_aws_names_goes_by_its_own_id(client_of: ClientOf) -> None:
    with Sandbox(example()) as sandbox:
        support = client_of(sandbox, "support", PROD, HOME)
        known = support.describe_trusted_advisor_checks(language="en")["checks"]
        (name,) = [row["name"] for row in known if row["id"] == "7DAFEmoDos"]
        assert name == "MFA on Root Account"
        answer = support.describe_trusted_advisor_check_result(
            checkId="7DAFEmoDos", language="en"
        )
        assert answer["result"]["status"] == "ok"
