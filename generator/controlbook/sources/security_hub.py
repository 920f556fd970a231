# SPDX-License-Identifier: Apache-2.0
"""The `security-hub` stream: what Security Hub says of a control, and since when.

Rules enforced here:
- findings are asked for by control and account, in every Region of the scope; filters
  that the service ignored are noticed, and the answer is then none;
- a control's verdict is Security Hub's own sum: FAILED where one finding failed, then
  NOT_AVAILABLE where one could not be judged, else PASSED; suppressed findings are
  counted apart, and a control without any finding says nothing;
- of what fails, the time is told by history; else it is that of the finding's update,
  and said to be the latest possible;
- between two looks the history of the findings that changed tells when; it reaches back
  ninety days, and where it cannot be read the looks alone speak, and a note says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controlbook.model import OBSERVED, SecurityHubControl
from controlbook.timeline import DAY, Instant, from_datetime, instant, iso, to_datetime

from . import SourceError
from .looking import Item, Seen
from .snapshots import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controlbook.model import EvidenceSource

    from . import Place
    from .aws import Conversation
    from .looking import Before

REACH = 90 * DAY
"""How far back GetFindingHistory tells."""
FILTERED = 20
"""Values that one filter takes."""
NOT_ENABLED = frozenset({"InvalidAccessException"})
_UNJUDGED = frozenset({"WARNING", "NOT_AVAILABLE"})

Finding = dict[str, Any]  # ASFF, as boto3 gives it
Change = tuple[Instant, str, str]
"""(time, finding, `OLD NEW`)"""


class SecurityHub:
    """Asks for the findings of the controls that ours name."""

    stream = "security-hub"

    def wanted(self, evidence: EvidenceSource) -> bool:
        """Tell whether this kind of evidence belongs to the stream."""
        return isinstance(evidence, SecurityHubControl)

    def regional(self, evidence: EvidenceSource) -> bool:
        """Tell whether it is asked in every Region: always."""
        return self.wanted(evidence)

    def ask(
        self,
        talk: Conversation,
        place: Place,
        due: Mapping[str, EvidenceSource],
        before: Mapping[str, Before],
    ) -> Mapping[str, Seen | SourceError]:
        """Ask for all controls of one place, then for what changed since."""
        keys = {
            evidence.control: key
            for key, evidence in due.items()
            if isinstance(evidence, SecurityHubControl)
        }
        try:
            standards = _standards(talk, place)
            findings = _findings(talk, place, sorted(keys))
        except SourceError as error:
            return dict.fromkeys(due, error)
        found: dict[str, Seen | SourceError] = {}
        for control, key in keys.items():
            own = [f for f in findings if _control(f) == control]
            try:
                found[key] = _seen(talk, place, own, before[key], standards)
            except SourceError as error:
                found[key] = error
        return found


def _standards(talk: Conversation, place: Place) -> int:
    rows = talk.listing(
        "securityhub",
        "get_enabled_standards",
        "StandardsSubscriptions",
        place,
        MaxResults=100,
    )
    return sum(row["StandardsStatus"] == "READY" for row in rows)


def _findings(talk: Conversation, place: Place, controls: list[str]) -> list[Finding]:
    account, _ = place
    found: list[Finding] = []
    for start in range(0, len(controls), FILTERED):
        some = controls[start : start + FILTERED]
        rows = talk.listing(
            "securityhub",
            "get_findings",
            "Findings",
            place,
            MaxResults=100,
            Filters={
                "ComplianceSecurityControlId": _equals(*some),
                "AwsAccountId": _equals(account),
                "RecordState": _equals("ACTIVE"),
            },
        )
        strange = [
            row
            for row in rows
            if _control(row) not in some or row["AwsAccountId"] != account
        ]
        if strange:
            message = "the answer holds findings that were not asked for"
            raise SourceError(message, "securityhub:GetFindings", answer="Unfiltered")
        found += rows
    return list({row["Id"]: row for row in found}.values())


def _equals(*values: str) -> list[dict[str, str]]:
    return [{"Value": value, "Comparison": "EQUALS"} for value in values]


def _control(finding: Finding) -> str:
    return str(finding.get("Compliance", {}).get("SecurityControlId", ""))


def _status(finding: Finding) -> str:
    return str(finding.get("Compliance", {}).get("Status", "NOT_AVAILABLE"))


def _suppressed(finding: Finding) -> bool:
    return bool(finding.get("Workflow", {}).get("Status") == "SUPPRESSED")


def verdict(statuses: Iterable[str]) -> str:
    """Sum the findings of one control up, as Security Hub does."""
    found = set(statuses)
    if "FAILED" in found:
        return "FAILED"
    if found & _UNJUDGED or not found:
        return "NOT_AVAILABLE"
    return "PASSED"


def _seen(
    talk: Conversation,
    place: Place,
    findings: list[Finding],
    before: Before,
    standards: int,
) -> Seen:
    if not standards:
        return Seen(state="hub-no-data", result="NO_STANDARD_ENABLED")
    counted = [f for f in findings if not _suppressed(f)]
    if not counted:
        result = "ALL_SUPPRESSED" if findings else "NO_FINDINGS"
        return Seen(state="hub-no-data", result=result)
    counts: dict[str, int] = {}
    for finding in findings:
        name = "SUPPRESSED" if _suppressed(finding) else _status(finding)
        counts[name] = counts.get(name, 0) + 1
    result = verdict(map(_status, counted))
    changes: list[Change] = []
    if before.last is not None:
        changes = _changes(talk, place, counted, before.last.at)
    moves = _moves(counted, changes, before)
    return Seen(
        items=tuple(_since(finding, changes, before) for finding in findings),
        result=result,
        counts=tuple(sorted(counts.items())),
        state="hub-no-data" if result == "NOT_AVAILABLE" else OBSERVED,
        moves=moves,
    )


def _item(finding: Finding) -> Item:
    names = sorted(str(row.get("Id", "")) for row in finding.get("Resources", []))
    return Item(
        name=f"{_control(finding)} {', '.join(names)} {finding['Id'][-12:]}",
        sha256=digest([finding["Id"], _status(finding), _suppressed(finding)]),
        fields=(("status", digest(_status(finding))[:16]),),
        status=_status(finding),
    )


def _since(finding: Finding, changes: list[Change], before: Before) -> Item:
    """Say since when a finding fails: by history, as known before, or by its update.

    `UpdatedAt` proves that it failed by then; `CreatedAt` says only that it existed.
    """
    item = _item(finding)
    if item.status != "FAILED" or _suppressed(finding):
        return item
    workflow = str(finding.get("Workflow", {}).get("Status", ""))
    began = [
        at
        for at, ident, pair in changes
        if ident == finding["Id"] and pair.endswith(" FAILED")
    ]
    known = before.items.get(item.name)
    if began:
        since, precision = iso(max(began)), "history"
    elif known is not None and known.status == "FAILED" and known.since:
        since, precision = known.since, known.precision
    else:
        since, precision = iso(instant(finding["UpdatedAt"])), "update"
    return replace(item, since=since, precision=precision, workflow=workflow)


# --- what happened between two looks ------------------------------------------------


def _changes(
    talk: Conversation, place: Place, findings: list[Finding], since: Instant
) -> list[Change]:
    """Read the history of the findings that were updated since the last look."""
    return [
        change
        for finding in findings
        if instant(finding["UpdatedAt"]) > since
        for change in _history(talk, place, finding, since)
    ]


def _moves(
    findings: list[Finding], changes: list[Change], before: Before
) -> tuple[tuple[Instant, str], ...]:
    """Give when the control's verdict changed since the last look."""
    now = {str(finding["Id"]): _status(finding) for finding in findings}
    first = {}
    for at, ident, pair in sorted(changes, reverse=True):
        del at
        first[ident] = pair.split(" ")[0]
    known = {**now, **first}
    last = before.last.result if before.last else ""
    found: list[tuple[Instant, str]] = []
    for at, ident, pair in sorted(changes):
        known[ident] = pair.split(" ")[1]
        result = verdict(known.values())
        if result != last:
            found.append((at, result))
            last = result
    return tuple(found)


def _history(
    talk: Conversation, place: Place, finding: Finding, since: Instant
) -> list[Change]:
    """Give (time, finding, `OLD NEW`) for each change of its status."""
    reach = Instant((talk.answered or since) - REACH)
    rows = talk.listing(
        "securityhub",
        "get_finding_history",
        "Records",
        place,
        FindingIdentifier={"Id": finding["Id"], "ProductArn": finding["ProductArn"]},
        StartTime=to_datetime(max(since, reach)),
        MaxResults=100,
    )
    return [
        (from_datetime(row["UpdateTime"]), str(finding["Id"]), f"{old} {new}")
        for row in rows
        for update in row.get("Updates", [])
        if update.get("UpdatedField") == "Compliance.Status"
        and (old := update.get("OldValue"))
        and (new := update.get("NewValue"))
    ]
