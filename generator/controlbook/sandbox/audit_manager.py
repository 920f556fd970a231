# SPDX-License-Identifier: Apache-2.0
"""AWS Audit Manager: one assessment whose evidence follows Config's recording.

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
    from .recording import Recording

SET = "Data at rest / backups"
RULES = {
    "Stored objects are encrypted": "S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED",
    "Databases are encrypted": "RDS_STORAGE_ENCRYPTED",
}
CHECK = {
    COMPLIANT: "COMPLIANT",
    NON_COMPLIANT: "NON_COMPLIANT",
    INSUFFICIENT_DATA: "NOT_APPLICABLE",
}
KEPT = 7
"""Days before today of which there are folders."""
PAGE = 100


def service(recording: Recording, pager: Pager) -> Service:
    """Put the emulated operations of Audit Manager together."""
    manager = _Manager(recording, pager)
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


def _uuid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\0".join(parts)))


class _Manager:
    def __init__(self, recording: Recording, pager: Pager) -> None:
        self._recording = recording
        self._pager = pager
        world = recording.world
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
        return f"{self._recording.world.name} 2028"

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
            "creationTime": to_datetime(self._recording.world.begin),
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
                    "creationTime": to_datetime(world.begin),
                },
                "framework": {
                    "id": _uuid(world.name, "framework"),
                    "metadata": {"name": "Custom"},
                    "controlSets": [self._set(caller)],
                },
            }
        }

    def _set(self, caller: Caller) -> Params:
        comment = {
            "authorName": "audit-owner",
            "commentBody": "Looked at by hand; see the ticket.",
            "postedDate": to_datetime(self._recording.world.begin),
        }
        folders = self._folders(caller)
        return {
            "id": SET,
            "description": "Encryption of what is stored",
            # Says nothing: a set turns REVIEWED when an assessment is closed.
            "status": "REVIEWED",
            "roles": [],
            "controls": [
                {
                    "id": self._control(name),
                    "name": name,
                    "status": "REVIEWED",
                    "response": "MANUAL",
                    "comments": [comment],
                    "evidenceSources": ["AWS_Config"],
                    "evidenceCount": sum(
                        folder["totalEvidence"]
                        for folder in folders
                        if folder["controlName"] == name
                    ),
                }
                for name in RULES
            ],
            "delegations": [],
            "systemEvidenceCount": sum(f["totalEvidence"] for f in folders),
            "manualEvidenceCount": 0,
        }

    def _control(self, name: str) -> str:
        return _uuid(self._recording.world.name, "control", name)

    def _days(self, caller: Caller) -> list[Instant]:
        today = caller.now - caller.now % DAY
        begin = self._recording.world.begin
        days = [Instant(today - back * DAY) for back in range(KEPT, 0, -1)]
        return [day for day in days if day + DAY > begin]

    def _judged(self, name: str, day: Instant) -> list[tuple[str, str, str, str]]:
        """Give (account, Region, resource, verdict) at the end of a day."""
        found: list[tuple[str, str, str, str]] = []
        for key in sorted(self._recording.histories):
            records = self._recording.history(key, Instant(day + DAY - 1))
            found += [
                (*key, CHECK[entry.state])
                for entry in (records[-1].entries if records else ())
                if entry.rule.identifier == RULES[name] and entry.state in CHECK
            ]
        return found

    def _folders(self, caller: Caller) -> list[Params]:
        found = []
        for name in RULES:
            for day in self._days(caller):
                rows = self._judged(name, day)
                text = iso(day)[:10]
                issues = sum(verdict == "NON_COMPLIANT" for *_, verdict in rows)
                found.append(
                    {
                        "name": text,
                        "date": to_datetime(day),
                        "assessmentId": self._id,
                        "controlSetId": SET,
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
            self._evidence(folder, day, RULES[name], judged)
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

    def change_logs(self, _caller: Caller, params: Params) -> Params:
        self._demand(params)
        rows = [
            {
                "objectType": kind,
                "objectName": name,
                "action": action,
                "createdAt": to_datetime(self._recording.world.begin),
                "createdBy": self._role,
            }
            for kind, name, action in (
                ("ASSESSMENT", self._name(), "CREATE"),
                ("CONTROL_SET", SET, "REVIEWED"),
            )
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
            "creationTime": to_datetime(self._recording.world.begin),
            "controlSetName": SET,
        }
        page, token = self._page("GetDelegations", params, [row])
        return {"delegations": page, **token}
