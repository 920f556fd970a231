# SPDX-License-Identifier: Apache-2.0
"""AWS STS in its query protocol: who calls, and a role in another account.

Rules enforced here:
- the access key of assumed credentials names the account, so that later calls are
  answered for that account without any session store;
- an account that is not a member at that instant cannot be entered.
"""

from __future__ import annotations

import re
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from controlbook.timeline import HOUR, Instant, from_datetime, iso, to_datetime

from .protocol import Service, ServiceError

if TYPE_CHECKING:
    from .protocol import AnyShape, Caller, Params
    from .trouble import Trouble
    from .world import World

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
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

    def query(self, caller: Caller, body: bytes) -> bytes:
        """Answer a query-protocol call with the reply's XML."""
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        operation = form.pop("Action", "")
        form.pop("Version", None)
        model, reply = self.call(caller, operation, lambda shape: _read(shape, form))
        inner = _xml(f"{model.name}Result", reply)
        request = "<ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata>"
        return (
            f'<{operation}Response xmlns="{NAMESPACE}">{inner}{request}'
            f"</{operation}Response>"
        ).encode()

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


def _read(shape: AnyShape, form: dict[str, str]) -> Params:
    """Read the flat members of a form; lists and structures stay as sent: unknown."""
    params: Params = {}
    for name, value in form.items():
        member = shape.members.get(name)
        number = member is not None and member.type_name == "integer"
        params[name] = int(value) if number and value.isdigit() else value
    return params


def _xml(name: str, value: object) -> str:
    if isinstance(value, dict):
        inner = "".join(_xml(key, each) for key, each in value.items())
    elif isinstance(value, datetime):
        inner = iso(from_datetime(value))
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def error_xml(error: ServiceError) -> bytes:
    """Write an error as the query protocol does."""
    side = "Receiver" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Sender"
    return (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>{side}</Type>'
        f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        "<RequestId>sandbox</RequestId></ErrorResponse>"
    ).encode()
