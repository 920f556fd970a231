# SPDX-License-Identifier: Apache-2.0
"""Deviations and gaps as a report lists them, with what people said of them.

Rules enforced here:
- internal annotations stay out; a deviation without one that auditors may read says
  so;
- where resources are left out, they are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from controlbook.model import ALL
from controlbook.render import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import Annotation, Deviation, Gap
    from controlbook.render.report import Report

NAMED = 5
"""Resources of a gap that its row names; the data files name all."""


@dataclass(frozen=True)
class Register:
    """The deviations and gaps of one report."""

    report: Report

    @cached_property
    def annotations(self) -> Mapping[str, tuple[Annotation, ...]]:
        """Give the annotations that auditors may read, by what they cover."""
        found: dict[str, list[Annotation]] = {}
        for note in sorted(self.report.library.annotations, key=lambda n: n.path):
            if note.audience == "internal":
                continue
            for name in note.covers:
                found.setdefault(name, []).append(note)
        return {name: tuple(notes) for name, notes in found.items()}

    def requirements_of(self, item: Deviation | Gap) -> tuple[str, ...]:
        """Name the requirements that a deviation or gap belongs to."""
        found = self.report.findings.requirements
        return tuple(
            number
            for number in self.report.assessment.requirements
            if item.id in found[number].ids
        )

    def place(self, gap: Gap) -> str:
        """Say where a gap lies: an account and Region, or all of them."""
        if gap.account == ALL:
            return "all accounts"
        account = self.report.assessment.account_name(gap.account)
        return f"{account}, {words.everything(gap.region, 'Region')}"

    @staticmethod
    def few(resources: tuple[str, ...]) -> str:
        """Name some resources and count the rest; the register names all."""
        named = ", ".join(words.name_of(resource) for resource in resources[:NAMED])
        rest = len(resources) - NAMED
        return f"{named} and {rest:,} more" if rest > 0 else named
