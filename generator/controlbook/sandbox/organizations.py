# SPDX-License-Identifier: Apache-2.0
"""AWS Organizations: the expected population, with its joining and leaving.

Rules enforced here:
- a page holds at most 20 accounts; the list is that of the instant it is asked for;
- an account that the aggregator lost is still listed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.timeline import to_datetime

from .protocol import Service, ServiceError

if TYPE_CHECKING:
    from .paging import Pager
    from .protocol import Caller, Params
    from .world import Account, World


def service(world: World, pager: Pager) -> Service:
    """Put the emulated operations of Organizations together."""
    organization = _Organization(world, pager)
    return Service(
        "organizations",
        {
            "DescribeOrganization": organization.describe,
            "ListAccounts": organization.accounts,
        },
    )


class _Organization:
    def __init__(self, world: World, pager: Pager) -> None:
        self._world = world
        self._page = pager.page

    def describe(self, _caller: Caller, _params: Params) -> Params:
        world = self._world
        place = f"arn:aws:organizations::{world.home}"
        master = world.account(world.home)
        return {
            "Organization": {
                "Id": world.organization_id,
                "Arn": f"{place}:organization/{world.organization_id}",
                "FeatureSet": "ALL",
                "MasterAccountArn": self._arn(world.home),
                "MasterAccountId": world.home,
                "MasterAccountEmail": _email(master) if master else "aws@example.com",
                "AvailablePolicyTypes": [],
            }
        }

    def accounts(self, caller: Caller, params: Params) -> Params:
        if caller.account != self._world.home:
            message = "only the management account and delegated administrators may"
            raise ServiceError(code="AccessDeniedException", message=message)
        rows = [
            {
                "Id": account.id,
                "Arn": self._arn(account.id),
                "Email": _email(account),
                "Name": account.name,
                "Status": account.status,
                "JoinedMethod": "CREATED",
                "JoinedTimestamp": to_datetime(account.joined),
            }
            for account in self._world.members(caller.now)
        ]
        size = params.get("MaxResults") or 20
        try:
            page, token = self._page("ListAccounts", params, rows, size)
        except ServiceError as error:  # Organizations names a bad token otherwise
            raise ServiceError(
                code="InvalidInputException", message=error.message
            ) from error
        return {"Accounts": page, **token}

    def _arn(self, account: str) -> str:
        place = f"arn:aws:organizations::{self._world.home}"
        return f"{place}:account/{self._world.organization_id}/{account}"


def _email(account: Account) -> str:
    return f"aws+{account.name}@example.com"
