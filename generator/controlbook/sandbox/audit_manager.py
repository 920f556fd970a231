# SPDX-License-Identifier: Apache-2.0
"""AWS Audit Manager: one assessment whose evidence follows Config's recording.

A check may lag behind (`Trouble.stale_checks`), as AWS's own page does at times.

Rules enforced here:
- a control's folder of a day holds one piece of evidence for each resource that its
  rule judged, with the verdict in force at the end of that day; days without are empty;
- a control set's id is its plain name, with a space and a slash in it, as AWS allows;
- listings have tokens and no paginator; comments stand in GetAssessment alone.

Built from botocore's shapes: no real answer of these calls is public. Never run against
AWS.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from controlbook.timeline import DAY, Instant, iso, to_datetime

from .protocol import Service, ServiceError
from .world import COMPLIANT, INSUFFICIENT_DATA, NON_COMPLIANT

if TYPE_CHECKING:
    from .paging import Pager
    from .protocol import Caller, Params
    from .recording import Key, Recording
    from .trouble import Trouble

SET, NETWORK = "Data at rest / backups", "Network"
RULES = {
    "Stored objects are encrypted": "S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED",
    "Databases are encrypted": "RDS_STORAGE_ENCRYPTED",
    "Network flows are recorded": "VPC_FLOW_LOGS_ENABLED",
}
"""The controls there, each with its rule; those whose rule the world lacks are not."""
SETS = {NETWORK: ("Network flows are recorded",)}
"""The controls of the sets other than `SET`."""
COMMENTS = {
    "Stored objects are encrypted": (
        "j-moreau",
        1,
        "Bucket inventory compared with the data map; nothing is missing.",
    ),
    "Databases are encrypted": (
        "j-moreau",
        1,
        "Looked at by hand; the snapshots of both databases are encrypted too.",
    ),
    "Network flows are recorded": (
        "s-tanaka",
        8,
        "Flow logs of the tooling VPC are back, see NET-881. The page still says"
        " NON_COMPLIANT; I expect it to follow overnight.",
    ),
}
"""Of each control: who wrote, how many days after the beginning, what."""
CHECK = {
    COMPLIANT: "COMPLIANT",
    NON_COMPLIANT: "NON_COMPLIANT",
    INSUFFICIENT_DATA: "NOT_APPLICABLE",
}
KEPT = 7
"""Days before today of which there are folders."""
PAGE = 100


def service(recording: Recording, pager: Pager, trouble: Trouble) -> Service:
    """Put the emulated operations of Audit Manager together."""
    manager = _Manager(recording, pager, trouble)
    return Service(
        "auditmanager",
        {
            "ListAssessments": manager.assessments,
            "GetAssessment": manager.assessment,
            "GetEvidenceFoldersByAssessment": manager.folders,
            "GetEvidenceByEvidenceFolder": manager.evidence,
            "GetChangeLogs": manager.change_logs,
            "GetDelegations": manager.delegations,
        },
    )


Judged = tuple[str, str, str, str]
"""(account, Region, resource, verdict)"""
_Day = dict[str, list[Judged]]
"""By rule identifier."""


def _set_of(control: str) -> str:
    return next((name for name, own in SETS.items() if control in own), SET)


def _uuid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\0".join(parts)))


class _Manager:
    def __init__(self, recording: Recording, pager: Pager, trouble: Trouble) -> None:
        self._recording = recording
        self._pager = pager
        self._trouble = trouble
        world = recording.world
        known = {rule.identifier for rule in world.rules}
        self._rules = {name: rule for name, rule in RULES.items() if rule in known}
        self._since = world.audited_since or world.begin
        self._days_judged: dict[Instant, _Day] = {}
        self._id = _uuid(world.name, "assessment")
        self._role = f"arn:aws:iam::{world.home}:role/audit-owner"

    def _page(
        self, operation: str, params: Params, rows: list[Params]
    ) -> tuple[list[Params], Params]:
        given = {k: v for k, v in params.items() if k != "nextToken"}
        token = params.get("nextToken")
        asked = {**given, **({"NextToken": token} if token else {})}
        size = min(params.get("maxResults") or PAGE, PAGE)
        try:
            page, following = self._pager.page(operation, asked, rows, size)
        except ServiceError as error:
            message = error.message
            raise ServiceError(code="ValidationException", message=message) from error
        mark = following.get("NextToken")
        return page, {"nextToken": mark} if mark else {}

    def _demand(self, params: Params) -> None:
        if params["assessmentId"] != self._id:
            message = "there is no such assessment"
            raise ServiceError(
                code="ResourceNotFoundException", message=message, status=404
            )

    def _name(self) -> str:
        return f"{self._recording.world.name.capitalize()} estate, 2028"

    def assessments(self, caller: Caller, params: Params) -> Params:
        if caller.account != self._recording.world.home:
            message = "Please complete AWS Audit Manager setup from home page"
            raise ServiceError(
                code="AccessDeniedException", message=message, status=403
            )
        row = {
            "name": self._name(),
            "id": self._id,
            "status": "ACTIVE",
            "roles": [{"roleType": "PROCESS_OWNER", "roleArn": self._role}],
            "creationTime": to_datetime(self._since),
        }
        page, token = self._page("ListAssessments", params, [row])
        return {"assessmentMetadata": page, **token}

    def assessment(self, caller: Caller, params: Params) -> Params:
        self._demand(params)
        world = self._recording.world
        return {
            "assessment": {
                "arn": f"arn:aws:auditmanager:{caller.region}:{world.home}:"
                f"assessment/{self._id}",
                "metadata": {
                    "name": self._name(),
                    "id": self._id,
                    "status": "ACTIVE",
                    "scope": {
                        "awsAccounts": [
                            {"id": account.id} for account in world.accounts
                        ]
                    },
                    "roles": [{"roleType": "PROCESS_OWNER", "roleArn": self._role}],
                    "delegations": [],
                    "creationTime": to_datetime(self._since),
                },
                "framework": {
                    "id": _uuid(world.name, "framework"),
                    "metadata": {"name": "Custom"},
                    "controlSets": self._sets(caller),
                },
            }
        }

    def _sets(self, caller: Caller) -> list[Params]:
        folders = self._folders(caller)
        groups: dict[str, list[str]] = {}
        for name in self._rules:
            groups.setdefault(_set_of(name), []).append(name)
        return [self._set(caller, g, names, folders) for g, names in groups.items()]

    def _set(
        self, caller: Caller, group: str, names: list[str], folders: list[Params]
    ) -> Params:
        own = [folder for folder in folders if folder["controlName"] in names]
        return {
            "id": group,
            "description": "Of the payments estate",
            # Says nothing: a set turns REVIEWED when an assessment is closed.
            "status": "REVIEWED" if group == SET else "UNDER_REVIEW",
            "roles": [],
            "controls": [
                {
                    "id": self._control(name),
                    "name": name,
                    "status": "REVIEWED" if group == SET else "UNDER_REVIEW",
                    "response": "MANUAL",
                    "comments": self._comments(caller, name),
                    "evidenceSources": ["AWS_Config"],
                    "evidenceCount": sum(
                        folder["totalEvidence"]
                        for folder in own
                        if folder["controlName"] == name
                    ),
                }
                for name in names
            ],
            "delegations": [],
            "systemEvidenceCount": sum(f["totalEvidence"] for f in own),
            "manualEvidenceCount": 0,
        }

    def _comments(self, caller: Caller, name: str) -> list[Params]:
        author, days, text = COMMENTS[name]
        posted = Instant(self._since + days * DAY)
        if posted > caller.now:
            return []
        return [
            {
                "authorName": author,
                "commentBody": text,
                "postedDate": to_datetime(posted),
            }
        ]

    def _control(self, name: str) -> str:
        return _uuid(self._recording.world.name, "control", name)

    def _days(self, caller: Caller) -> list[Instant]:
        world = self._recording.world
        today = Instant(caller.now - caller.now % DAY)
        first = Instant(max(world.begin - world.begin % DAY, today - KEPT * DAY))
        if world.audited_since:
            first = Instant(self._since - self._since % DAY)
        return [Instant(day) for day in range(first, today, DAY)]

    def _judged(self, name: str, day: Instant) -> list[Judged]:
        """Give (account, Region, resource, verdict) at the end of a day."""
        if day not in self._days_judged:
            self._days_judged[day] = self._day(Instant(day + DAY - 1))
        return self._days_judged[day].get(self._rules[name], [])

    def _day(self, moment: Instant) -> _Day:
        """Give what every rule found of every resource, as Audit Manager shows it."""
        found: _Day = {}
        for key in sorted(self._recording.histories):
            records = self._recording.history(key, moment)
            for entry in records[-1].entries if records else ():
                rule = entry.rule.identifier
                state = self._shown(key, rule, moment) or entry.state
                if state in CHECK:
                    found.setdefault(rule, []).append((*key, CHECK[state]))
        return found

    def _shown(self, key: Key, rule: str, moment: Instant) -> str:
        """Give the verdict that it did not let go of; empty: it keeps up."""
        for stale in self._trouble.stale_checks:
            of = (stale.account, stale.region, stale.resource, stale.identifier)
            if of == (*key, rule) and stale.start <= moment < stale.end:
                records = self._recording.history(key, stale.start)
                entries = records[-1].entries if records else ()
                return next(e.state for e in entries if e.rule.identifier == rule)
        return ""

    def _folders(self, caller: Caller) -> list[Params]:
        found = []
        for name in self._rules:
            for day in self._days(caller):
                rows = self._judged(name, day)
                text = iso(day)[:10]
                issues = sum(verdict == "NON_COMPLIANT" for *_, verdict in rows)
                found.append(
                    {
                        "name": text,
                        "date": to_datetime(day),
                        "assessmentId": self._id,
                        "controlSetId": _set_of(name),
                        "controlId": self._control(name),
                        "id": _uuid(self._id, name, text),
                        "dataSource": "AWS Config",
                        "author": "AWS Config",
                        "totalEvidence": len(rows),
                        "controlName": name,
                        "evidenceByTypeComplianceCheckCount": len(rows),
                        "evidenceByTypeComplianceCheckIssuesCount": issues,
                    }
                )
        return found

    def folders(self, caller: Caller, params: Params) -> Params:
        self._demand(params)
        rows = self._folders(caller)
        page, token = self._page("GetEvidenceFoldersByAssessment", params, rows)
        return {"evidenceFolders": page, **token}

    def evidence(self, caller: Caller, params: Params) -> Params:
        self._demand(params)
        folder = next(
            (
                row
                for row in self._folders(caller)
                if row["id"] == params["evidenceFolderId"]
                and row["controlSetId"] == params["controlSetId"]
            ),
            None,
        )
        if folder is None:
            message = "there is no such folder"
            raise ServiceError(
                code="ResourceNotFoundException", message=message, status=404
            )
        name = folder["controlName"]
        day = next(d for d in self._days(caller) if iso(d)[:10] == folder["name"])
        rows = [
            self._evidence(folder, day, self._rules[name], judged)
            for judged in self._judged(name, day)
        ]
        page, token = self._page("GetEvidenceByEvidenceFolder", params, rows)
        return {"evidence": page, **token}

    @staticmethod
    def _evidence(
        folder: Params, day: Instant, rule: str, judged: tuple[str, str, str, str]
    ) -> Params:
        account, region, resource, verdict = judged
        return {
            "dataSource": "AWS Config",
            "evidenceAwsAccountId": account,
            "time": to_datetime(Instant(day + DAY - 1000)),
            "eventSource": "config.amazonaws.com",
            "eventName": rule,
            "evidenceByType": "Compliance check",
            "resourcesIncluded": [
                {
                    "arn": f"arn:aws:sandbox:{region}:{account}:{resource}",
                    "complianceCheck": verdict,
                }
            ],
            "attributes": {"managedRuleIdentifier": rule},
            "complianceCheck": verdict,
            "awsAccountId": account,
            "evidenceFolderId": folder["id"],
            "id": _uuid(folder["id"], account, region, resource),
        }

    def change_logs(self, caller: Caller, params: Params) -> Params:
        self._demand(params)
        rows = [
            {
                "objectType": kind,
                "objectName": name,
                "action": action,
                "createdAt": to_datetime(at),
                "createdBy": self._role,
            }
            for days, kind, name, action in (
                (0, "ASSESSMENT", self._name(), "CREATE"),
                (0, "DELEGATION", SET, "CREATE"),
                (2, "CONTROL_SET", SET, "REVIEWED"),
            )
            if (at := Instant(self._since + days * DAY)) <= caller.now
        ]
        page, token = self._page("GetChangeLogs", params, rows)
        return {"changeLogs": page, **token}

    def delegations(self, _caller: Caller, params: Params) -> Params:
        row = {
            "id": _uuid(self._id, "delegation"),
            "assessmentName": self._name(),
            "assessmentId": self._id,
            "status": "COMPLETE",
            "roleArn": self._role.replace("owner", "delegate"),
            "creationTime": to_datetime(self._since),
            "controlSetName": SET,
        }
        page, token = self._page("GetDelegations", params, [row])
        return {"delegations": page, **token}
