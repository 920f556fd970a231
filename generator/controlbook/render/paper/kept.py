# SPDX-License-Identifier: Apache-2.0
"""What a report prints of Audit Manager: what is kept, and where it contradicts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from controlbook.render import audit_manager

if TYPE_CHECKING:
    from controlbook.model import Disagreement
    from controlbook.render.report import Report
    from controlbook.render.section import RequirementSection


@dataclass(frozen=True)
class Kept:
    """What one report prints of Audit Manager."""

    report: Report

    @cached_property
    def saved(self) -> tuple[audit_manager.Saved, ...]:
        """What is kept of its assessments."""
        return audit_manager.saved(self.report)

    @property
    def any(self) -> bool:
        """Tell whether there is anything of it to print."""
        return bool(self.saved or self.report.findings.disagreements)

    def beside(
        self, section: RequirementSection
    ) -> tuple[audit_manager.ControlRow, ...]:
        """Give the controls there whose evidence is of a requirement's rules."""
        return audit_manager.beside(
            self.saved, (part.control for part in section.controls)
        )

    @staticmethod
    def disagreements(section: RequirementSection) -> tuple[Disagreement, ...]:
        """Give what is said otherwise there on a requirement's rules, each once."""
        found = {row for part in section.controls for row in part.found.disagreements}
        return tuple(sorted(found, key=lambda row: (row.found.at, row.found)))
