# SPDX-License-Identifier: Apache-2.0
"""controls/<id>.yml: a control in our words, its owner and its evidence.

Rules enforced here:
- a control has one owner who exists, a statement, and at least one evidence source;
- each source is of one kind, and none stands twice;
- a Config rule is one that AWS manages, or says that it is the team's own (`custom`);
- a snapshot is of a call that only reads, and no secrets.

A manual document need not exist yet: until it does, it is an evidence gap.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from controlbook.managed_rules import find, names
from controlbook.model import (
    ConfigRule,
    Control,
    EventQuery,
    ManualDocument,
    SecurityHubControl,
    Snapshot,
)
from controlbook.reading import did_you_mean
from controlbook.readonly import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from controlbook.model import EvidenceSource
    from controlbook.reading import Fields

EXPECTATIONS = ("any", "none", "some")
CUSTOM = ("lambda", "guard")

_CALL = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+\Z", re.ASCII)
_HUB = re.compile(r"[A-Za-z0-9]+\.[0-9]+\Z", re.ASCII)
_SOURCE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com\Z", re.ASCII)
_DAYS = re.compile(r"(?:[1-9][0-9]?|[12][0-9]{2}|3[0-5][0-9]|36[0-6])\Z", re.ASCII)
_RULE = re.compile(r"[A-Za-z0-9_-]{1,128}\Z", re.ASCII)


def read_control(
    fields: Fields, id_: str, sha256: str, owners: Collection[str]
) -> Control:
    """Read one control."""
    fields.same("id", id_, "the file's name")
    control = Control(
        id=id_,
        title=fields.text("title"),
        statement=fields.text("statement"),
        owner=fields.reference("owner", owners, "person or team"),
        evidence=_evidence(fields),
        path=fields.page.path,
        sha256=sha256,
    )
    fields.finish()
    return control


def _evidence(fields: Fields) -> tuple[EvidenceSource, ...]:
    if not fields.has("evidence"):
        message = "the control has no evidence"
        advice = "name at least one source under `evidence`, if only a manual one"
        fields.page.problem(fields.line(), message, advice)
        return ()
    found: dict[str, EvidenceSource] = {}
    for row in fields.rows("evidence"):
        source = _source(row)
        if source is None:
            continue
        if source.key in found:
            row.page.problem(row.line(), f"{source.key} stands twice", "keep one")
        found.setdefault(source.key, source)
    return tuple(found.values())


def _source(row: Fields) -> EvidenceSource | None:
    kinds = [kind for kind in row if kind in _KINDS]
    if len(kinds) != 1:
        message = (
            "one entry names two kinds of evidence: " + ", ".join(kinds)
            if kinds
            else f"unknown kind of evidence {next(iter(row), '')!r}"
        )
        near = did_you_mean(next(iter(row), ""), _KINDS)
        row.page.problem(row.line(), message, "split it" if kinds else near)
        return None
    source = _KINDS[kinds[0]](row)
    row.finish()
    return source


def _config(row: Fields) -> ConfigRule:
    name = row.matching("config", _RULE, "a rule name")
    custom = row.choice("custom", CUSTOM, "")
    parameters: dict[str, str] = {}
    table = row.table("parameters", required=False)
    if table is not None:
        parameters = {key: table.text(key) for key in table}
    rule = None if custom else find(name)
    if name and not custom and not rule:
        near = did_you_mean(name, names())
        advice = f"{near + ' ' if near else ''}the team's own rule says custom: lambda"
        row.page.problem(
            row.value_line("config"), f"AWS manages no rule {name!r}", advice
        )
    identifier = f"custom-{custom}:{name}" if custom else ""
    return ConfigRule(
        name=name,
        identifier=rule.identifier if rule else identifier,
        parameters=tuple(sorted(parameters.items())),
        canonical_name=rule.name if rule and rule.name != name else "",
    )


def _cloudtrail(row: Fields) -> EventQuery:
    query = row.table("cloudtrail")
    if query is None:
        return EventQuery(source="", event="", expect="any")
    found = EventQuery(
        source=query.matching(
            "source", _SOURCE, "an event source like iam.amazonaws.com"
        ),
        event=query.text("event"),
        expect=query.choice("expect", EXPECTATIONS),
    )
    query.finish()
    return found


def _snapshot(row: Fields) -> Snapshot:
    what = "an API call like iam:GetAccountAuthorizationDetails"
    call = row.matching("snapshot", _CALL, what)
    refused = refusal(call) if call else ""
    if refused:
        advice = "name a call that only reads settings"
        row.page.problem(row.value_line("snapshot"), f"{call}: {refused}", advice)
    table = row.table("parameters", required=False)
    parameters = {key: table.text(key) for key in table} if table else {}
    return Snapshot(
        call=call, parameters=tuple(sorted(parameters.items())), days=_days(row)
    )


def _security_hub(row: Fields) -> SecurityHubControl:
    what = "a Security Hub control like IAM.6"
    return SecurityHubControl(
        control=row.matching("security-hub", _HUB, what), days=_days(row)
    )


def _days(row: Fields) -> int:
    """Read how often such evidence is demanded: once in so many days."""
    if not row.has("days"):
        return 1
    text = row.matching("days", _DAYS, "a number of days from 1 to 366")
    return int(text) if _DAYS.match(text) else 1


def _manual(row: Fields) -> ManualDocument:
    return ManualDocument(document=row.name("manual"))


_KINDS: Mapping[str, Callable[[Fields], EvidenceSource]] = {
    "config": _config,
    "cloudtrail": _cloudtrail,
    "snapshot": _snapshot,
    "security-hub": _security_hub,
    "manual": _manual,
}
