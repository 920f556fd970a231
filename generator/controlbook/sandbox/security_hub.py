# SPDX-License-Identifier: Apache-2.0
"""AWS Security Hub: findings that follow Config's recording, and their history.

Rules enforced here:
- a finding stands for one control and one resource, its status is what Config recorded
  of the control's rule and that resource at that instant;
- a history holds what changed in the last ninety days, and nothing older;
- filters are obeyed (moto ignores them), a page holds at most a hundred.

Built from botocore's shapes and a public sample; never run against AWS.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from controlbook.timeline import DAY, Instant, from_datetime, iso, to_datetime

from .protocol import Service, ServiceError
from .world import COMPLIANT, INSUFFICIENT_DATA, NON_COMPLIANT, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .paging import Pager
    from .protocol import Caller, Params
    from .recording import Key, Record, Recording

CONTROLS = {
    "IAM.9": "ROOT_ACCOUNT_MFA_ENABLED",
    "IAM.4": "IAM_ROOT_ACCESS_KEY_CHECK",
    "IAM.5": "MFA_ENABLED_FOR_IAM_CONSOLE_ACCESS",
    "CloudTrail.2": "CLOUD_TRAIL_ENCRYPTION_ENABLED",
    "CloudTrail.4": "CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED",
    "CloudTrail.5": "CLOUD_TRAIL_CLOUD_WATCH_LOGS_ENABLED",
    "EC2.6": "VPC_FLOW_LOGS_ENABLED",
    "S3.4": "S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED",
    "RDS.3": "RDS_STORAGE_ENCRYPTED",
}
"""The controls that this Security Hub evaluates, with the rules behind them."""
STATUS = {
    COMPLIANT: "PASSED",
    NON_COMPLIANT: "FAILED",
    INSUFFICIENT_DATA: "NOT_AVAILABLE",
}
STANDARD = "standards/aws-foundational-security-best-practices/v/1.0.0"
KEPT = 90 * DAY
PAGE = 100


def service(recording: Recording, pager: Pager) -> Service:
    """Put the emulated operations of Security Hub together."""
    hub = _Hub(recording, pager)
    return Service(
        "securityhub",
        {
            "GetEnabledStandards": hub.standards,
            "GetFindings": hub.findings,
            "GetFindingHistory": hub.history,
        },
    )


class _Hub:
    def __init__(self, recording: Recording, pager: Pager) -> None:
        self._recording = recording
        self._pager = pager

    def standards(self, caller: Caller, params: Params) -> Params:
        place = f"{caller.region}:{caller.account}"
        rows = [
            {
                "StandardsSubscriptionArn": f"arn:aws:securityhub:{place}:subscription/"
                f"{STANDARD.removeprefix('standards/')}",
                "StandardsArn": f"arn:aws:securityhub:{caller.region}::{STANDARD}",
                "StandardsInput": {},
                "StandardsStatus": "READY",
            }
        ]
        page, token = self._page("GetEnabledStandards", params, rows)
        return {"StandardsSubscriptions": page, **token}

    def findings(self, caller: Caller, params: Params) -> Params:
        filters = params.get("Filters", {})
        rows = [
            row
            for row in self._all(caller)
            if _taken(row["Compliance"]["SecurityControlId"], filters, _CONTROL)
            and _taken(row["AwsAccountId"], filters, "AwsAccountId")
            and _taken(row["RecordState"], filters, "RecordState")
            and _taken(row["Compliance"]["Status"], filters, "ComplianceStatus")
        ]
        page, token = self._page("GetFindings", params, rows)
        return {"Findings": page, **token}

    def history(self, caller: Caller, params: Params) -> Params:
        ident = params["FindingIdentifier"]
        start = Instant(caller.now - KEPT)
        if params.get("StartTime"):
            start = max(start, from_datetime(params["StartTime"]))
        rows = []
        for key, control, states in self._judged(caller):
            if _ident(key, control) != ident["Id"]:
                continue
            for (_, old), (at, new) in pairwise(states):
                if start <= at <= caller.now:
                    rows.append(_change(ident, at, STATUS[old], STATUS[new]))
        page, token = self._page("GetFindingHistory", params, rows[::-1])
        return {"Records": page, **token}

    def _page(
        self, operation: str, params: Params, rows: list[Params]
    ) -> tuple[list[Params], dict[str, str]]:
        size = min(params.get("MaxResults") or PAGE, PAGE)
        try:
            return self._pager.page(operation, params, rows, size)
        except ServiceError as error:  # Security Hub names a bad token otherwise
            message = error.message
            raise ServiceError(code="InvalidInputException", message=message) from error

    def _all(self, caller: Caller) -> Iterator[Params]:
        for key, control, states in self._judged(caller):
            at, state = states[-1]
            yield _finding(key, control, (states[0][0], at), STATUS[state])

    def _judged(
        self, caller: Caller
    ) -> Iterator[tuple[Key, str, list[tuple[Instant, str]]]]:
        """Give each control and resource of the place with its states over time."""
        control_of = {rule: control for control, rule in CONTROLS.items()}
        for key in sorted(self._recording.histories):
            if key[:2] != (caller.account, caller.region):
                continue
            records = self._recording.history(key, caller.now)
            if not records:
                continue
            present = {entry.rule.identifier for entry in records[-1].entries}
            for identifier in sorted(present & control_of.keys()):
                states = _states(records, identifier)
                if states[-1][1] in STATUS:
                    yield key, control_of[identifier], states


def _states(records: tuple[Record, ...], identifier: str) -> list[tuple[Instant, str]]:
    found: list[tuple[Instant, str]] = []
    for record in records:
        for entry in record.entries:
            new = not found or found[-1][1] != entry.state
            if entry.rule.identifier == identifier and new and entry.state in STATUS:
                found.append((record.at, entry.state))
    return found


_CONTROL = "ComplianceSecurityControlId"


def _taken(value: str, filters: Params, name: str) -> bool:
    wanted = filters.get(name)
    return not wanted or any(row.get("Value") == value for row in wanted)


def _ident(key: Key, control: str) -> str:
    account, region, resource = key
    token = token_of(account, region, resource, control, length=32)
    return f"arn:aws:securityhub:{region}:{account}:security-control/{control}/{token}"


def _finding(
    key: Key, control: str, times: tuple[Instant, Instant], status: str
) -> Params:
    account, region, resource = key
    kind, _, name = resource.partition("/")
    first, last = times
    return {
        "SchemaVersion": "2018-10-08",
        "Id": _ident(key, control),
        "ProductArn": f"arn:aws:securityhub:{region}::product/aws/securityhub",
        "GeneratorId": f"security-control/{control}",
        "AwsAccountId": account,
        "Region": region,
        "CreatedAt": iso(first),
        "UpdatedAt": iso(last),
        "Title": f"Security control {control}",
        "Description": f"Made up for the sandbox: {control} on {resource}.",
        "Severity": {"Label": "INFORMATIONAL" if status == "PASSED" else "MEDIUM"},
        "Compliance": {
            "Status": status,
            "SecurityControlId": control,
            "AssociatedStandards": [{"StandardsId": STANDARD}],
        },
        "Resources": [
            {
                "Type": kind.replace("AWS::", "Aws").replace("::", "") or "Other",
                "Id": name or account,
                "Region": region,
            }
        ],
        "Workflow": {"Status": "RESOLVED" if status == "PASSED" else "NEW"},
        "RecordState": "ACTIVE",
    }


def _change(ident: Params, at: Instant, old: str, new: str) -> Params:
    return {
        "FindingIdentifier": {"Id": ident["Id"], "ProductArn": ident["ProductArn"]},
        "UpdateTime": to_datetime(at),
        "FindingCreated": False,
        "UpdateSource": {"Type": "BATCH_IMPORT_FINDINGS", "Identity": "securityhub"},
        "Updates": [
            {"UpdatedField": "Compliance.Status", "OldValue": old, "NewValue": new}
        ],
    }
