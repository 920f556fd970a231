# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.sts import access_key, account_of
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trouble import Trouble
from controlbook.timeline import HOUR, from_datetime, instant

if TYPE_CHECKING:
    import boto3

FIRST, SECOND = "000000000001", "000000000002"
ROLE = f"arn:aws:iam::{SECOND}:role/ops/controlbook-reader"
ClientOf = Callable[..., Any]


def test_access_key_names_its_account() -> None:
    assert account_of(access_key(SECOND), FIRST) == SECOND
    assert account_of("somebody-elses-key", FIRST) == FIRST


def test_identity_is_that_of_the_key(small: Sandbox, client_of: ClientOf) -> None:
    found = client_of(small, "sts", SECOND).get_caller_identity()
    assert found["Account"] == SECOND
    assert found["Arn"].startswith(f"arn:aws:sts::{SECOND}:assumed-role/")


def test_assumed_role_sees_the_other_account(
    small: Sandbox, session: boto3.Session, client_of: ClientOf
) -> None:
    small.set_clock(instant("2028-01-01T06:00:00Z"))
    reply = client_of(small, "sts").assume_role(
        RoleArn=ROLE, RoleSessionName="controlbook"
    )
    assumed = reply["AssumedRoleUser"]["Arn"]
    assert assumed == (
        f"arn:aws:sts::{SECOND}:assumed-role/controlbook-reader/controlbook"
    )
    credentials = reply["Credentials"]
    assert from_datetime(credentials["Expiration"]) == small.clock.now() + HOUR
    config = session.client(
        "config",
        endpoint_url=small.url,
        region_name="eu-west-1",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    rules = config.describe_config_rules()["ConfigRules"]
    assert all(SECOND in rule["ConfigRuleArn"] for rule in rules)
    config.close()


@pytest.mark.parametrize(
    "role",
    [
        pytest.param("arn:aws:iam::000000000009:role/reader", id="no member"),
        pytest.param("arn:aws:iam::000000000002:user/reader", id="no role"),
    ],
)
def test_role_that_is_not_there_is_denied(
    small: Sandbox, client_of: ClientOf, role: str
) -> None:
    with pytest.raises(ClientError) as caught:
        client_of(small, "sts").assume_role(RoleArn=role, RoleSessionName="session")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_role_may_be_denied_by_trouble(client_of: ClientOf) -> None:
    trouble = Trouble(denied_accounts=(SECOND,))
    with Sandbox(tiny(), trouble=trouble) as sandbox:
        sts = client_of(sandbox, "sts")
        with pytest.raises(ClientError, match="AccessDenied"):
            sts.assume_role(RoleArn=ROLE, RoleSessionName="session")


def test_lifetime_outside_the_model_is_refused(
    small: Sandbox, client_of: ClientOf
) -> None:
    with pytest.raises(ClientError, match="is above 43200"):
        client_of(small, "sts").assume_role(
            RoleArn=ROLE, RoleSessionName="session", DurationSeconds=99999
        )


def test_operation_that_is_not_emulated_is_loud(
    small: Sandbox, client_of: ClientOf
) -> None:
    with pytest.raises(ClientError, match="does not emulate sts:GetSessionToken"):
        client_of(small, "sts").get_session_token()
