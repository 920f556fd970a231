# SPDX-License-Identifier: Apache-2.0
"""The counts that a report prints.

Rules enforced here:
- evaluation, conclusion and status are three things, and none overwrites another;
- a requirement without a conclusion is counted as one without, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from controlbook.model import Conclusion, Status
from controlbook.render import charts, words

if TYPE_CHECKING:
    from controlbook.render.report import Report

_NO_CONCLUSION = "No conclusion yet"
_SHADES: dict[Conclusion, tuple[charts.Kind, str]] = {
    Conclusion.SATISFIED: ("ok", "#1b7f4b"),
    Conclusion.COMPENSATED: ("none", "#1f5f99"),
    Conclusion.NOT_APPLICABLE: ("none", "#475569"),
    Conclusion.NOT_TESTED: ("gap", "#8a5a00"),
    Conclusion.NOT_SATISFIED: ("deviation", "#b3261e"),
}


@dataclass(frozen=True)
class Tally:
    """What one report counts."""

    report: Report

    def conclusion(self, number: str) -> str:
        """Give a requirement's conclusion in the framework's own words."""
        status = self.report.statuses[number]
        label = words.conclusion(self.report.framework, status.conclusion)
        return label or _NO_CONCLUSION

    @cached_property
    def conclusions(self) -> tuple[charts.Part, ...]:
        """Count by conclusion, those with deviations apart, those without one last."""
        numbers = self.report.assessment.requirements
        given = [self.report.statuses[number] for number in numbers]
        parts = []
        for word, (kind, colour) in _SHADES.items():
            label = words.conclusion(self.report.framework, word)
            found = [status.status for status in given if status.conclusion == word]
            apart = found.count(Status.SIGNED_WITH_DEVIATIONS)
            plain = charts.Part(
                label=label,
                count=len(found) - apart,
                kind=kind,
                colour=colour,
            )
            parts += [
                plain,
                charts.Part(
                    label=f"{label}, with deviations",
                    count=apart,
                    kind=kind if kind == "deviation" else "gap",
                    colour=colour if kind == "deviation" else "#8a5a00",
                ),
            ]
        rest = len(numbers) - sum(part.count for part in parts)
        parts.append(charts.Part(label=_NO_CONCLUSION, count=rest, kind="none"))
        return tuple(part for part in parts if part.count)

    @cached_property
    def status_counts(self) -> tuple[tuple[words.Label, int], ...]:
        """Count the requirements by status, in the order of the status words."""
        return words.tally(self.report.framework, self.report.statuses.values())

    @property
    def signed(self) -> int:
        """Count the requirements whose sign-off counts."""
        return sum(status.judgement.counts for status in self.report.statuses.values())

    @property
    def attested(self) -> tuple[int, int]:
        """Count the controls whose attestation counts, and all controls in scope."""
        given = {
            name: found.counts
            for status in self.report.statuses.values()
            for name, found in status.attestations.items()
        }
        names = self.report.findings.controls
        return sum(given.get(name, False) for name in names), len(names)

    @property
    def open_deviations(self) -> int:
        """Count the deviations that had not ended when collection did."""
        return sum(item.end is None for item in self.report.findings.deviations)

    @cached_property
    def unannotated(self) -> frozenset[str]:
        """Name the deviations and gaps that no annotation explains."""
        return frozenset(
            name
            for status in self.report.statuses.values()
            for name in status.unannotated
        )

    @cached_property
    def waiting(self) -> tuple[tuple[str, str], ...]:
        """Say who has still to do what, each once."""
        return tuple(
            sorted({pair for s in self.report.statuses.values() for pair in s.waiting})
        )
