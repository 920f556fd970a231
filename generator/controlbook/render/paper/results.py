# SPDX-License-Identifier: Apache-2.0
"""The requirements of a report, each with its section, and how they hang together.

Rules enforced here:
- every in-scope requirement is printed, above all those without evidence;
- an approval is the one of the person who signed, as it was captured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from controlbook.model import ALL, Conclusion
from controlbook.render import charts, words
from controlbook.render.section import concluded, section_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import Judgement, Review, RuleResult
    from controlbook.render.report import Report
    from controlbook.render.section import RequirementSection

    from .people import People

_APART: Mapping[str, str] = {
    Conclusion.COMPENSATED: "compensated",
    Conclusion.NOT_APPLICABLE: "not applicable",
    Conclusion.NOT_TESTED: "not tested",
}
_PARTS = {
    "controls": "text of controls",
    "evidence": "evidence (Merkle root)",
    "manual": "documents",
}


@dataclass(frozen=True)
class Results:
    """The requirements of one report."""

    report: Report
    people: People

    @cached_property
    def sections(self) -> tuple[RequirementSection, ...]:
        """Give the section of every requirement in scope, in the framework's order."""
        return tuple(
            section_of(self.report, number)
            for number in self.report.assessment.requirements
        )

    @property
    def resting(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Give each control in scope with the requirements that rest on it."""
        return tuple(
            (
                name,
                tuple(
                    section.requirement.number
                    for section in self.sections
                    if name in section.requirement.controls
                ),
            )
            for name in sorted(self.report.findings.controls)
        )

    @property
    def matrix(self) -> str:
        """Draw requirement × account for the requirements that rules observe."""
        accounts = self.report.assessment.accounts
        rows = [
            charts.Row(
                label=f"{section.requirement.number}  {section.requirement.title}",
                cells=tuple(_cell(section, number) for _, number in accounts),
            )
            for section in self.sections
            if any(part.found.rules for part in section.controls)
        ]
        return charts.matrix(rows, [name for name, _ in accounts])

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Name the requirements that the matrix leaves out: no rule observes them."""
        return tuple(
            section.requirement.number
            for section in self.sections
            if not any(part.found.rules for part in section.controls)
        )

    @property
    def apart(self) -> tuple[tuple[RequirementSection, str, str], ...]:
        """List what does not rest on tests of our controls, with the reason given."""
        found = []
        for section in self.sections:
            item, status = section.requirement, section.status
            statement = (
                status.judgement.signoff.statement if status.judgement.signoff else ""
            )
            if item.inherited:
                found.append((section, "inherited", item.inherited))
            elif item.not_applicable:
                found.append((section, "not applicable", item.not_applicable))
            elif status.conclusion in _APART:
                found.append((section, _APART[status.conclusion], statement))
        return tuple(found)

    def concluded(self, section: RequirementSection) -> str:
        """Say who concluded what on a requirement, when and on what."""
        file = section.status.judgement.signoff
        person = self.people.person(file.person) if file else ""
        return concluded(self.report, section, person)

    @staticmethod
    def approval(found: Judgement) -> Review | None:
        """Find the approval of the person who signed, as captured."""
        if found.pull is None or found.signoff is None:
            return None
        given = [
            review
            for review in found.pull.reviews
            if review.state == "APPROVED" and review.user_id == found.signoff.github_id
        ]
        return max(given, key=lambda review: review.submitted, default=None)

    @staticmethod
    def evaluated(result: RuleResult) -> tuple[str, ...]:
        """Say how a rule was deployed, evaluated and recognised, each once."""
        rows = result.instances
        found = sorted(
            {f"evaluated {words.trigger(row.trigger, row.frequency)}" for row in rows}
        )
        names = sorted({row.deployed_as for row in rows} - {result.evidence.name})
        if names:
            found.append(f"deployed as {', '.join(names)}")
        if any(row.matched == "name" for row in rows):
            found.append("recognised by its name alone")
        if rows:
            found.append("whole population, no sample")
        return tuple(found)

    @staticmethod
    def part(name: str) -> str:
        """Name a part of a subject in two words or so."""
        return _PARTS.get(name, name)

    def used_by(self, document: str) -> tuple[str, ...]:
        """Name the requirements in scope whose controls rest on a document."""
        return tuple(
            section.requirement.number
            for section in self.sections
            if any(paper.id == document for paper in section.documents)
        )


def _cell(section: RequirementSection, account: str) -> frozenset[charts.Kind]:
    kinds: set[charts.Kind] = set()
    if any(item.account == account for item in section.found.deviations):
        kinds.add("deviation")
    # A gap of documents or of another stream belongs to no account.
    if any(
        item.account in {account, ALL} and ":" not in item.rule
        for item in section.found.gaps
    ):
        kinds.add("gap")
    observed = any(
        row.account == account and row.resources
        for part in section.controls
        for rule in part.found.rules
        for row in rule.instances
    )
    if observed and not kinds:
        kinds.add("ok")
    return frozenset(kinds)
