# SPDX-License-Identifier: Apache-2.0
"""AWS Config's operations on conformance packs, in the caller's account × Region.

Rules enforced here:
- a pack is the rules whose names carry its addition, `…-conformance-pack-<id>`; there
  is no other record of it;
- a pack's compliance lists every rule, also one without results; no template comes
  back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlbook.timeline import to_datetime

from .protocol import ServiceError
from .world import COMPLIANT, INSUFFICIENT_DATA, NON_COMPLIANT

if TYPE_CHECKING:
    from .paging import Pager
    from .protocol import Caller, Params
    from .recording import Recording
    from .world import Rule

MARK = "-conformance-pack-"
PREFIX = "OrgConformsPack-baseline-"
"""An organization's packs are called like this in its accounts."""


def pack_of(rule: Rule) -> str:
    """Name the pack that a rule belongs to; empty where it belongs to none."""
    _, mark, ident = rule.name.rpartition(MARK)
    return f"{PREFIX}{ident}" if mark else ""


class Packs:
    """The operations on conformance packs."""

    def __init__(self, recording: Recording, pager: Pager) -> None:
        """Answer from a recording."""
        self._recording = recording
        self._page = pager.page

    def describe(self, caller: Caller, params: Params) -> Params:
        """DescribeConformancePacks."""
        packs = self._packs(caller)
        wanted = params.get("ConformancePackNames") or sorted(packs)
        for name in wanted:
            self._rules(packs, name)
        rows = [_row(caller, name, packs[name]) for name in wanted]
        page, token = self._page(
            "DescribeConformancePacks", params, rows, params.get("Limit") or 20
        )
        return {"ConformancePackDetails": page, **token}

    def compliance(self, caller: Caller, params: Params) -> Params:
        """DescribeConformancePackCompliance."""
        name = params["ConformancePackName"]
        rules = self._rules(self._packs(caller), name)
        asked = params.get("Filters") or {}
        rows = [
            {
                "ConfigRuleName": rule.name,
                "ComplianceType": self._verdict(caller, rule),
                "Controls": [],
            }
            for rule in rules
            if rule.name in asked.get("ConfigRuleNames", [rule.name])
        ]
        kind = asked.get("ComplianceType")
        rows = [row for row in rows if kind in {None, row["ComplianceType"]}]
        page, token = self._page(
            "DescribeConformancePackCompliance",
            params,
            rows,
            params.get("Limit") or 1000,
        )
        return {
            "ConformancePackName": name,
            "ConformancePackRuleComplianceList": page,
            **token,
        }

    def _packs(self, caller: Caller) -> dict[str, list[Rule]]:
        found: dict[str, list[Rule]] = {}
        for rule in self._recording.rules((caller.account, caller.region), caller.now):
            if name := pack_of(rule):
                found.setdefault(name, []).append(rule)
        return found

    def _rules(self, packs: dict[str, list[Rule]], name: str) -> list[Rule]:
        if name not in packs:
            message = f"no conformance pack {name!r} in this account and Region"
            raise ServiceError(code="NoSuchConformancePackException", message=message)
        return packs[name]

    def _verdict(self, caller: Caller, rule: Rule) -> str:
        states = {
            entry.state
            for record in self._recording.standing(
                (caller.account, caller.region), caller.now
            )
            for entry in record.entries
            if entry.rule.name == rule.name
        }
        if NON_COMPLIANT in states:
            return NON_COMPLIANT
        return COMPLIANT if COMPLIANT in states else INSUFFICIENT_DATA


def _row(caller: Caller, name: str, rules: list[Rule]) -> dict[str, Any]:
    ident = f"conformance-pack-{name.removeprefix(PREFIX)}"
    place = f"arn:aws:config:{caller.region}:{caller.account}"
    return {
        "ConformancePackName": name,
        "ConformancePackArn": f"{place}:conformance-pack/{name}/{ident}",
        "ConformancePackId": ident,
        "ConformancePackInputParameters": [],
        "LastUpdateRequestedTime": to_datetime(min(rule.created for rule in rules)),
        "CreatedBy": "config-multiaccountsetup.amazonaws.com",
    }
