# SPDX-License-Identifier: Apache-2.0
"""What changed in an assessment from one commit to another, old → new.

Rules enforced here:
- a deviation or gap is its id: one that appears or vanishes is named with its facts;
- one that stays and has another end, or whose requirements changed, is said as well;
- of a requirement: its status, its conclusion, and whether it came into scope or left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Deviation, Findings, Gap, RequirementStatus

    Statuses = Mapping[str, RequirementStatus]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs."""

    what: str
    """deviation | gap | requirement | collected | population"""
    name: str
    old: str
    """Empty: it was not there."""
    new: str
    """Empty: it is gone."""

    @property
    def line(self) -> str:
        """Say it on one line, old → new."""
        if not self.old:
            return f"+ {self.what} {self.name}: {self.new}"
        if not self.new:
            return f"- {self.what} {self.name}: {self.old}"
        return f"~ {self.what} {self.name}: {self.old} → {self.new}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """An assessment as one commit has it; None for what it cannot say."""

    findings: Findings | None
    statuses: Statuses


def differences(old: Side, new: Side) -> tuple[Change, ...]:
    """List every difference: evidence first, then requirements in their order."""
    found = [
        *_compare("collected", _collected(old), _collected(new)),
        *_compare("population", _populations(old), _populations(new)),
        *_compare("deviation", _deviations(old), _deviations(new)),
        *_compare("gap", _gaps(old), _gaps(new)),
        *_compare("requirement", _requirements(old), _requirements(new)),
    ]
    return tuple(found)


def _compare(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    names = dict.fromkeys((*old, *new))
    return [
        Change(what=what, name=name, old=old.get(name, ""), new=new.get(name, ""))
        for name in names
        if old.get(name, "") != new.get(name, "")
    ]


def _collected(side: Side) -> dict[str, str]:
    found = side.findings
    return {"until": iso(found.collected.end)} if found and found.collected else {}


def _populations(side: Side) -> dict[str, str]:
    """Give, per rule, how many resources it judged and how many always passed."""
    if side.findings is None:
        return {}
    return {
        result.evidence.name: f"{result.throughout} of {result.resources} compliant"
        for control in side.findings.controls.values()
        for result in control.rules
    }


def _deviations(side: Side) -> dict[str, str]:
    return {
        d.id: _of_deviation(d)
        for d in (side.findings.deviations if side.findings else ())
    }


def _of_deviation(found: Deviation) -> str:
    end = iso(found.end) if found.end is not None else "open"
    return (
        f"{found.account} {found.region} {found.rule} {found.resource} "
        f"{iso(found.start)} to {end}, {found.ended_by}"
    )


def _gaps(side: Side) -> dict[str, str]:
    return {g.id: _of_gap(g) for g in (side.findings.gaps if side.findings else ())}


def _of_gap(found: Gap) -> str:
    end = iso(found.end) if found.end is not None else "open"
    return (
        f"{found.reason} {found.account} {found.region} {found.rule} "
        f"{iso(found.start)} to {end}"
    )


def _requirements(side: Side) -> dict[str, str]:
    shown = {}
    for number, row in side.statuses.items():
        parts = [row.status.value, row.conclusion]
        if row.interim is not None:
            parts[0] += f" ({row.interim.value})"
        shown[number] = ", ".join(filter(None, parts))
    return shown
