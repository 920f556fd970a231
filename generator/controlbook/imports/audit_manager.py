# SPDX-License-Identifier: Apache-2.0
"""Audit Manager's frameworks and controls.

They come as GetAssessmentFramework and GetControl answer, saved by the AWS CLI with
`--output json`.

Rules enforced here:
- a number is what a control's name begins with, and else its name as an id;
- data sources become evidence where they name something that exists: Config rules,
  Security Hub controls, CloudTrail events, API calls; manual ones are notes;
- descriptions, testing information and action plans are never taken.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from controlbook.digest import sha256
from controlbook.errors import ControlbookError
from controlbook.managed_rules import find
from controlbook.model import (
    ConfigRule,
    EventQuery,
    SecurityHubControl,
    Snapshot,
)
from controlbook.reading import id_flaw

from . import Imported, Item, Pair, owner_of_text, slug
from .documents import json_document, rows, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import EvidenceSource

_NUMBER = re.compile(
    r"(?:requirement\s+|control\s+)?([A-Z]{0,4}[-. ]?\d[\w.()-]*)(?=[\s:–-]|\Z)",
    re.IGNORECASE,
)
_CALL = re.compile(r"([a-z0-9-]+)_([A-Za-z0-9]+)\Z")
_HUB = re.compile(r"[A-Za-z0-9]+\.[0-9]+\Z")
_CUSTOM = "Custom_"


def audit_manager(data: bytes, name: str) -> Imported:
    """Read an answer of GetAssessmentFramework or GetControl."""
    document = json_document(data, name)
    framework, single = document.get("framework"), document.get("control")
    if isinstance(framework, dict):
        title = texts(framework, "name") or name
        marked = owner_of_text(title, texts(framework, "complianceType"))
        sets = list(rows(framework, "controlSets"))
    elif isinstance(single, dict):
        title = texts(single, "name") or name
        marked = "" if single.get("type") == "Custom" else owner_of_text(title)
        sets = [{"name": "", "controls": [single]}]
    else:
        message = "it is neither a framework nor a control of Audit Manager"
        advice = "save `aws auditmanager get-assessment-framework --output json`"
        raise ControlbookError(message, place=name, advice=advice)
    reading = _Reading(marked)
    for control_set in sets:
        for control in rows(control_set, "controls"):
            reading.control(control)
    return Imported(
        key=slug(title),
        source=f"Audit Manager, {title}, sha256 {sha256(data)}",
        title=title,
        marked=marked,
        items=tuple(reading.items.values()),
        evidence=tuple(reading.evidence.values()),
        pairs=tuple(sorted(reading.pairs)),
        notes=tuple(reading.notes),
    )


class _Reading:
    """What the controls read so far gave."""

    def __init__(self, marked: str) -> None:
        self.marked = marked
        self.items: dict[str, Item] = {}
        self.evidence: dict[str, EvidenceSource] = {}
        self.pairs: set[Pair] = set()
        self.notes: list[str] = []

    def control(self, control: Mapping[str, Any]) -> None:
        name = texts(control, "name")
        number, rest = numbered(name)
        if not number:
            self.notes.append(f"a control named {name!r} has no number: left out")
            return
        title = "" if self.marked else rest
        self.items.setdefault(number, Item(number=number, title=title))
        manual = 0
        for mapped in rows(control, "controlMappingSources"):
            if texts(mapped, "sourceType") == "MANUAL":
                manual += 1
                continue
            source, why = evidence_of(mapped)
            if source is None:
                self.notes.append(f"{number}: a data source was not taken, {why}")
                continue
            self.evidence.setdefault(source.key, source)
            self.pairs.add(Pair(number=number, evidence=source.key))
        if manual:
            self.notes.append(
                f"{number}: {manual} manual sources: name documents in a control"
            )


def numbered(name: str) -> tuple[str, str]:
    """Split a control's name into its number and the rest."""
    found = _NUMBER.match(name.strip())
    if found and not id_flaw(found[1].rstrip(".:-")):
        number = found[1].rstrip(".:-")
        return number, name.strip()[found.end() :].lstrip(" :–-.") or number
    made = slug(name)
    return made, name.strip()


def evidence_of(mapped: Mapping[str, Any]) -> tuple[EvidenceSource | None, str]:
    """Give the evidence that a data source is, or why it is none of ours."""
    kind = texts(mapped, "sourceType")
    keyword = mapped.get("sourceKeyword")
    value = texts(keyword, "keywordValue") if isinstance(keyword, dict) else ""
    if kind == "AWS_Config":
        return _rule(value)
    if kind == "AWS_Security_Hub":
        bare = value.rpartition(" ")[2]
        if _HUB.match(bare):
            return SecurityHubControl(control=bare), ""
        return None, f"{value!r} is no Security Hub control"
    call = _CALL.match(value)
    if kind == "AWS_API_Call" and call:
        return Snapshot(call=f"{call[1]}:{call[2]}"), ""
    if kind == "AWS_Cloudtrail" and call:
        source = f"{call[1]}.amazonaws.com"
        return EventQuery(source=source, event=call[2], expect="any"), ""
    what = value or "no keyword"
    return None, f"{kind or 'no type'} with {what}"


def _rule(value: str) -> tuple[EvidenceSource | None, str]:
    if value.startswith(_CUSTOM):
        bare = value.removeprefix(_CUSTOM)
        return ConfigRule(name=bare, identifier=f"custom-lambda:{bare}"), ""
    managed = find(value)
    if managed is None:
        return None, f"AWS's rule {value!r} is not in the package's list"
    return ConfigRule(name=managed.name, identifier=managed.identifier), ""
