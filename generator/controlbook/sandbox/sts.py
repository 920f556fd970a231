# SPDX-License-Identifier: Apache-2.0
"""AWS STS in its query protocol: who calls, and a role in another account.

Rules enforced here:
- the access key of assumed credentials names the account, so that later calls are
  answered for that account without any session store;
- an account that is not a member at that instant cannot be entered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from controlbook.timeline import HOUR, Instant, to_datetime

from .protocol import Service, ServiceError

if TYPE_CHECKING:
    from .protocol import Caller, Params
    from .trouble import Trouble
    from .world import World

ROLE = "controlbook-collector"

_KEY = re.compile(r"SANDBOX(\d{12})\Z")
_ROLE = re.compile(r"arn:aws:iam::(\d{12}):role/([\w+=,.@/-]+)\Z")


def access_key(account: str) -> str:
    """Give the access key that stands for an account; no secret, and no AWS key."""
    return f"SANDBOX{account}"


def account_of(key: str, home: str) -> str:
    """Tell whose access key it is: any key that is not ours belongs to home."""
    match = _KEY.match(key)
    return match[1] if match else home


class Sts(Service):
    """The two operations of STS that a collector uses."""

    def __init__(self, world: World, trouble: Trouble) -> None:
        """Answer for the accounts of a world."""
        self._world = world
        self._trouble = trouble
        handlers = {"GetCallerIdentity": _identity, "AssumeRole": self._assume}
        super().__init__("sts", handlers)

    def _assume(self, caller: Caller, params: Params) -> Params:
        match = _ROLE.match(params["RoleArn"])
        account = self._world.account(match[1]) if match else None
        if (
            match is None
            or account is None
            or not account.member_at(caller.now)
            or account.id in self._trouble.denied_accounts
        ):
            message = f"not authorized to perform sts:AssumeRole on {params['RoleArn']}"
            raise ServiceError(code="AccessDenied", message=message, status=403)
        name = match[2].rsplit("/", 1)[-1]
        session = params["RoleSessionName"]
        lifetime = (params.get("DurationSeconds") or HOUR // 1000) * 1000
        return {
            "Credentials": {
                "AccessKeyId": access_key(account.id),
                "SecretAccessKey": "sandbox",
                "SessionToken": f"sandbox-{account.id}",
                "Expiration": to_datetime(Instant(caller.now + lifetime)),
            },
            "AssumedRoleUser": {
                "AssumedRoleId": f"AROASANDBOX{account.id}:{session}",
                "Arn": f"arn:aws:sts::{account.id}:assumed-role/{name}/{session}",
            },
        }


def _identity(caller: Caller, _params: Params) -> Params:
    role = f"assumed-role/{ROLE}/sandbox"
    return {
        "UserId": f"AROASANDBOX{caller.account}:sandbox",
        "Account": caller.account,
        "Arn": f"arn:aws:sts::{caller.account}:{role}",
    }
