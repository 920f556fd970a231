# SPDX-License-Identifier: Apache-2.0
"""What the printed report says: one report, asked by the print templates.

Rules enforced here:
- every page carries what edition it is of, and the marks that the edition must have;
- an address is printed only where the programme names a place for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from controlbook.render import words

from .kept import Kept
from .people import People
from .register import Register
from .results import Results
from .sources import Sources
from .tally import Tally

if TYPE_CHECKING:
    from controlbook.render.report import Report

CLASSIFICATION = "Confidential"
LIMITS = (
    *words.CANNOT_BE_PROVEN,
    "Whether the person behind an account was at the keyboard as it approved.",
)


@dataclass(frozen=True)
class Paper:
    """One report, as the print templates see it."""

    report: Report
    substituted: tuple[str, ...] = ()
    """Characters that the typefaces lack, printed as code points."""

    @property
    def id(self) -> str:
        """Name this edition: the release, or the draft with its commit."""
        report = self.report
        return report.release or f"{report.assessment.id} draft {report.commit.id[:12]}"

    @property
    def title(self) -> str:
        """Give the report's title."""
        return self.report.assessment.title or self.report.assessment.id

    @property
    def entity(self) -> str:
        """Name the entity that is assessed."""
        return self.report.assessment.entity or self.report.library.settings.entity

    @property
    def classification(self) -> str:
        """Say how confidential the report is (`classification` of the policy)."""
        return dict(self.report.assessment.policy).get("classification", CLASSIFICATION)

    @property
    def marks(self) -> tuple[tuple[str, str], ...]:
        """Give the words that every page must carry, and what each means."""
        found = []
        if self.report.draft:
            found.append(("DRAFT", "not released; not for reliance"))
        if self.report.demo:
            found.append(
                ("DEMO", "evidence is not from AWS, or its vault has no object lock")
            )
        return tuple(found)

    @property
    def retired(self) -> str:
        """Warn of a framework that its owner retired; empty if it is in force."""
        framework = self.report.framework
        if not framework.retired:
            return ""
        return f"{framework.title} was retired by its owner on {framework.retired}."

    def ticket_url(self, ticket: str) -> str:
        """Give the address of a ticket; empty without a template."""
        template = self.report.library.settings.ticket_url
        return template.replace("{ticket}", ticket) if template and ticket else ""

    def file_url(self, path: str) -> str:
        """Give the address of a file at the report's commit; empty without GitHub."""
        github = self.report.library.settings.github
        commit = self.report.commit.id
        return f"https://github.com/{github}/blob/{commit}/{path}" if github else ""

    def commit_url(self, commit: str) -> str:
        """Give the address of a commit; empty without GitHub."""
        github = self.report.library.settings.github
        return f"https://github.com/{github}/commit/{commit}" if github else ""

    @property
    def excluded(self) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
        """Give what is left out, by reason: each number with its title."""
        table = self.report.framework.requirements
        found: dict[str, list[tuple[str, str]]] = {}
        for number, reason in self.report.assessment.excluded:
            title = table[number].title if number in table else ""
            found.setdefault(reason, []).append((number, title))
        return tuple((reason, tuple(rows)) for reason, rows in found.items())

    # --- what it is made of -------------------------------------------------------

    @cached_property
    def people(self) -> People:
        """Give the people and teams of the report."""
        return People(self.report)

    @cached_property
    def tally(self) -> Tally:
        """Give what the report counts."""
        return Tally(self.report)

    @cached_property
    def sources(self) -> Sources:
        """Give where the evidence of the report comes from."""
        return Sources(self.report)

    @cached_property
    def register(self) -> Register:
        """Give the deviations and gaps of the report."""
        return Register(self.report)

    @cached_property
    def results(self) -> Results:
        """Give the requirements of the report."""
        return Results(self.report, self.people)

    @cached_property
    def kept(self) -> Kept:
        """Give what the report prints of Audit Manager."""
        return Kept(self.report)
