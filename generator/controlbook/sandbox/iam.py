# SPDX-License-Identifier: Apache-2.0
"""AWS IAM: users, roles, policies and the account's rules for passwords.

Rules enforced here:
- users and policies are the world's resources of that account at that instant; what a
  rule found compliant about passwords is what the password policy says;
- no password policy is NoSuchEntity, a credential report that nobody asked for is
  ReportNotPresent;
- pages hold users first, then groups, roles and policies, as many as MaxItems says.

Built from botocore's shapes; never run against AWS.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from controlbook.timeline import DAY, Instant, iso, to_datetime

from .protocol import Service, ServiceError
from .world import token_of

if TYPE_CHECKING:
    from .protocol import Caller, Params
    from .trouble import Trouble
    from .world import Resource, World

LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
DEFAULT_PAGE = 100
COLUMNS = (
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "mfa_active",
    "access_key_1_active",
    "access_key_2_active",
)
_READ = ("controlbook-read", "audit-read")


def service(world: World, trouble: Trouble) -> Service:
    """Put the emulated operations of IAM together."""
    iam = _Iam(world, trouble)
    return Service(
        "iam",
        {
            "GetAccountAuthorizationDetails": iam.details,
            "GetAccountPasswordPolicy": iam.password_policy,
            "GetAccountSummary": iam.summary,
            "GenerateCredentialReport": iam.generate_report,
            "GetCredentialReport": iam.report,
        },
    )


class _Iam:
    def __init__(self, world: World, trouble: Trouble) -> None:
        self._world = world
        self._trouble = trouble
        self._asked: dict[tuple[str, int], int] = {}

    # --- who there is ---------------------------------------------------------------

    def details(self, caller: Caller, params: Params) -> Params:
        size = params.get("MaxItems") or DEFAULT_PAGE
        wanted = set(params.get("Filter", ()))
        rows = [
            (kind, row)
            for kind, found in self._everything(caller).items()
            for row in found
            if not wanted or kind in {_LIST_OF.get(name) for name in wanted}
        ]
        start = self._start(params.get("Marker", ""))
        page: Params = {name: [] for name in LISTS}
        for kind, row in rows[start : start + size]:
            page[kind].append(row)
        following = start if self._trouble.looped_token else start + size
        more = following < len(rows)
        marker = base64.b64encode(str(following).encode()).decode()
        return {**page, "IsTruncated": more, **({"Marker": marker} if more else {})}

    @staticmethod
    def _start(marker: str) -> int:
        try:
            return int(base64.b64decode(marker)) if marker else 0
        except ValueError as error:
            message = f"{marker!r} is no marker of a listing"
            raise ServiceError(code="ValidationError", message=message) from error

    def _everything(self, caller: Caller) -> dict[str, list[Params]]:
        policies = [self._policy(row) for row in self._live(caller, "AWS::IAM::Policy")]
        return {
            "UserDetailList": [
                self._user(row) for row in self._live(caller, "AWS::IAM::User")
            ],
            "GroupDetailList": [self._group(caller, policies)],
            "RoleDetailList": [self._role(caller, name) for name in _READ],
            "Policies": policies,
        }

    def _live(self, caller: Caller, kind: str) -> list[Resource]:
        return sorted(
            row
            for row in self._world.resources
            if row.account == caller.account
            and row.type == kind
            and row.exists_at(caller.now)
        )

    @staticmethod
    def _user(row: Resource) -> Params:
        return {
            "Path": "/",
            "UserName": row.id,
            "UserId": f"AIDA{_id(row.account, 'user', row.id)}",
            "Arn": f"arn:aws:iam::{row.account}:user/{row.id}",
            "CreateDate": to_datetime(row.created),
            "GroupList": ["emergency"] if row.id.startswith("break-glass") else [],
            "AttachedManagedPolicies": [],
        }

    @staticmethod
    def _policy(row: Resource) -> Params:
        name = f"policy-{row.id[-8:].lower()}"
        when = to_datetime(row.created)
        return {
            "PolicyName": name,
            "PolicyId": row.id,
            "Arn": f"arn:aws:iam::{row.account}:policy/{name}",
            "Path": "/",
            "DefaultVersionId": "v1",
            "AttachmentCount": 1,
            "PermissionsBoundaryUsageCount": 0,
            "IsAttachable": True,
            "CreateDate": when,
            "UpdateDate": when,
            "PolicyVersionList": [
                {
                    "Document": _document("s3:GetObject", "sqs:SendMessage"),
                    "VersionId": "v1",
                    "IsDefaultVersion": True,
                    "CreateDate": when,
                }
            ],
        }

    def _group(self, caller: Caller, policies: list[Params]) -> Params:
        return {
            "Path": "/",
            "GroupName": "emergency",
            "GroupId": f"AGPA{_id(caller.account, 'group', 'emergency')}",
            "Arn": f"arn:aws:iam::{caller.account}:group/emergency",
            "CreateDate": to_datetime(self._joined(caller)),
            "GroupPolicyList": [],
            "AttachedManagedPolicies": [
                {"PolicyName": row["PolicyName"], "PolicyArn": row["Arn"]}
                for row in policies[:1]
            ],
        }

    def _role(self, caller: Caller, name: str) -> Params:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{self._world.home}:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        return {
            "Path": "/",
            "RoleName": name,
            "RoleId": f"AROA{_id(caller.account, 'role', name)}",
            "Arn": f"arn:aws:iam::{caller.account}:role/{name}",
            "CreateDate": to_datetime(self._joined(caller)),
            "AssumeRolePolicyDocument": quote(json.dumps(trust)),
            "InstanceProfileList": [],
            "RolePolicyList": [],
            "AttachedManagedPolicies": [
                {
                    "PolicyName": "SecurityAudit",
                    "PolicyArn": "arn:aws:iam::aws:policy/SecurityAudit",
                }
            ],
        }

    def _joined(self, caller: Caller) -> Instant:
        account = self._world.account(caller.account)
        return account.joined if account else self._world.begin

    def summary(self, caller: Caller, _params: Params) -> Params:
        found = self._everything(caller)
        return {
            "SummaryMap": {
                "Users": len(found["UserDetailList"]),
                "Groups": len(found["GroupDetailList"]),
                "Roles": len(found["RoleDetailList"]),
                "Policies": len(found["Policies"]),
                "AccountMFAEnabled": 1,
                "AccountAccessKeysPresent": 0,
            }
        }

    # --- passwords ------------------------------------------------------------------

    def password_policy(self, caller: Caller, _params: Params) -> Params:
        rule = next(
            (
                rule
                for rule in self._world.rules
                if rule.account == caller.account
                and rule.identifier == "IAM_PASSWORD_POLICY"
                and rule.exists_at(caller.now)
            ),
            None,
        )
        if rule is None:
            message = f"The Password Policy with domain name {caller.account} is absent"
            raise ServiceError(code="NoSuchEntity", message=message, status=404)
        policy: Params = {
            name: value == "true" if value in {"true", "false"} else int(value)
            for name, value in rule.parameters
        }
        expires = bool(policy.get("MaxPasswordAge"))
        policy |= {"AllowUsersToChangePassword": True, "ExpirePasswords": expires}
        return {"PasswordPolicy": policy}

    def generate_report(self, caller: Caller, _params: Params) -> Params:
        day = (caller.account, caller.now // DAY)
        turn = self._asked[day] = self._asked.get(day, 0) + 1
        slow = turn <= self._trouble.report_turns
        return {
            "State": ("STARTED" if turn == 1 else "INPROGRESS") if slow else "COMPLETE"
        }

    def report(self, caller: Caller, _params: Params) -> Params:
        if (caller.account, caller.now // DAY) not in self._asked:
            message = "no report was generated"
            raise ServiceError(code="ReportNotPresent", message=message, status=410)
        out = io.StringIO(newline="")
        table = csv.writer(out, lineterminator="\n")
        table.writerow(COLUMNS)
        root = f"arn:aws:iam::{caller.account}:root"
        joined = self._joined(caller)
        table.writerow(
            ("<root_account>", root, iso(joined), "not_supported", *_NO_KEYS)
        )
        for row in self._live(caller, "AWS::IAM::User"):
            user = self._user(row)
            table.writerow((row.id, user["Arn"], iso(row.created), "true", *_NO_KEYS))
        return {
            "Content": out.getvalue().encode(),
            "ReportFormat": "text/csv",
            "GeneratedTime": to_datetime(caller.now),
        }


_NO_KEYS = ("true", "false", "false")
_LIST_OF = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "LocalManagedPolicy": "Policies",
}


def _id(*parts: str) -> str:
    return token_of(*parts, length=17).upper()


def _document(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return quote(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
