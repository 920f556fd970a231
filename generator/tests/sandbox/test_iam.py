# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from controlbook.sandbox.example import REGION, TOOLING, example
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.sts import access_key
from controlbook.sandbox.tiny import tiny
from controlbook.timeline import instant

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(example()) as running:
        yield running


def iam(sandbox: Sandbox, account: str) -> Any:  # noqa: ANN401 - boto3 has no types
    return boto3.client(
        "iam",
        region_name=REGION,
        endpoint_url=sandbox.url,
        aws_access_key_id=access_key(account),
        aws_secret_access_key="sandbox",  # noqa: S106 - no secret
    )


def test_users_are_those_of_the_account_at_that_instant(sandbox: Sandbox) -> None:
    client = iam(sandbox, TOOLING)
    for at, there in (("2028-02-01", False), ("2028-03-01", True)):
        sandbox.set_clock(instant(f"{at}T00:00:00Z"))
        found = client.get_account_authorization_details()
        names = {user["UserName"] for user in found["UserDetailList"]}
        assert ("artifact-uploader" in names) is there
        assert not found["IsTruncated"]


def test_pages_lead_on_by_marker(sandbox: Sandbox) -> None:
    client = iam(sandbox, TOOLING)
    whole = client.get_account_authorization_details()
    pages = client.get_paginator("get_account_authorization_details").paginate(
        PaginationConfig={"PageSize": 3}
    )
    rows = pages.build_full_result()
    for name in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"):
        assert rows[name] == whole[name]


def test_filters_are_obeyed(sandbox: Sandbox) -> None:
    found = iam(sandbox, TOOLING).get_account_authorization_details(Filter=["Role"])
    assert found["RoleDetailList"]
    assert not found["UserDetailList"]


def test_the_password_policy_is_what_its_rule_found(sandbox: Sandbox) -> None:
    policy = iam(sandbox, TOOLING).get_account_password_policy()["PasswordPolicy"]
    assert policy["MinimumPasswordLength"] == 14
    assert policy["RequireSymbols"] is True


def test_no_password_policy_is_the_error_that_aws_answers() -> None:
    with Sandbox(tiny()) as running, pytest.raises(ClientError) as caught:
        iam(running, "000000000001").get_account_password_policy()
    assert caught.value.response["Error"]["Code"] == "NoSuchEntity"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_report_has_to_be_made_before_it_is_read(sandbox: Sandbox) -> None:
    client = iam(sandbox, TOOLING)
    with pytest.raises(ClientError, match="ReportNotPresent"):
        client.get_credential_report()
    assert client.generate_credential_report()["State"] == "COMPLETE"
    content = client.get_credential_report()["Content"].decode()
    users = [row["user"] for row in csv.DictReader(io.StringIO(content))]
    assert users == ["<root_account>", "break-glass-tooling", "legacy-ci"]
