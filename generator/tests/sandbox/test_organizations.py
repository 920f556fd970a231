# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.world import Account
from controlbook.timeline import instant

FIRST, SECOND = "000000000001", "000000000002"
ClientOf = Callable[..., Any]
Client = Any  # boto3 makes its clients' classes at run time


def listed(organizations: Client, **more: object) -> list[str]:
    pages = organizations.get_paginator("list_accounts").paginate(**more)
    return [account["Id"] for page in pages for account in page["Accounts"]]


def test_organization_is_described(small: Sandbox, client_of: ClientOf) -> None:
    found = client_of(small, "organizations").describe_organization()["Organization"]
    assert found["MasterAccountId"] == FIRST
    assert found["Id"] == small.world.organization_id


@pytest.mark.threat("T28")
def test_accounts_join_and_leave(client_of: ClientOf) -> None:
    world = tiny()
    guest = Account(
        id="000000000003",
        name="guest",
        joined=instant("2028-01-20T00:00:00Z"),
        left=instant("2028-02-29T00:00:00Z"),
    )
    with Sandbox(replace(world, accounts=(*world.accounts, guest))) as sandbox:
        organizations = client_of(sandbox, "organizations")

        def at(moment: str) -> list[str]:
            sandbox.set_clock(instant(moment))
            return listed(organizations)

        assert at("2028-01-19T23:59:59Z") == [FIRST, SECOND]
        assert at("2028-01-20T00:00:00Z") == [FIRST, SECOND, guest.id]
        assert at("2028-02-29T00:00:00Z") == [FIRST, SECOND]


def test_accounts_come_twenty_a_page(client_of: ClientOf) -> None:
    world = tiny()
    many = tuple(
        Account(id=f"{number:012}", name=f"account-{number}", joined=world.begin)
        for number in range(100, 143)
    )
    with Sandbox(replace(world, accounts=(*world.accounts, *many))) as sandbox:
        organizations = client_of(sandbox, "organizations")
        assert len(organizations.list_accounts()["Accounts"]) == 20
        assert len(listed(organizations)) == 45
        with pytest.raises(organizations.exceptions.ClientError, match="above 20"):
            organizations.list_accounts(MaxResults=21)
        with pytest.raises(organizations.exceptions.InvalidInputException):
            organizations.list_accounts(NextToken="made-up")


def test_other_accounts_may_not_list(small: Sandbox, client_of: ClientOf) -> None:
    organizations = client_of(small, "organizations", SECOND)
    with pytest.raises(organizations.exceptions.AccessDeniedException):
        organizations.list_accounts()
