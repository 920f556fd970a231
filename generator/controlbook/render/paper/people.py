# SPDX-License-Identifier: Apache-2.0
"""Who plays a part in a report, by the names that it prints.

Rules enforced here:
- a person is printed with name and id, a team through its members;
- who attested what is told per control, and what does not count says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from controlbook.render import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import Person
    from controlbook.render.report import Report
    from controlbook.render.section import RequirementSection


@dataclass(frozen=True)
class People:
    """The people and teams of one report."""

    report: Report

    def person(self, name: str) -> str:
        """Write a person's or team's name with its id."""
        known = self.report.library.people.get(name)
        team = self.report.library.teams.get(name)
        full = known.name if known else team.name if team else ""
        return f"{full} ({name})" if full and full != name else name

    def name(self, name: str) -> str:
        """Write a person's or team's name alone, or the id where there is none."""
        return self.person(name).removesuffix(f" ({name})") or words.NOTHING

    def attesters(self, section: RequirementSection) -> str:
        """Name who attested a requirement's controls, each once; or that it is open."""
        found = [
            (self.name(given.signoff.person) if given.signoff else "open")
            + ("" if given.counts or not given.signoff else " (does not count)")
            for _, given in sorted(section.status.attestations.items())
        ]
        return ", ".join(dict.fromkeys(found))

    @cached_property
    def owners(self) -> Mapping[str, tuple[str, ...]]:
        """Give the controls in scope by their owner."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.report.findings.controls):
            owner = self.report.library.controls[name].owner
            found.setdefault(owner, []).append(name)
        return {owner: tuple(found[owner]) for owner in sorted(found)}

    @cached_property
    def assessors(self) -> Mapping[str, tuple[str, ...]]:
        """Give the requirements in scope by their assessor."""
        found: dict[str, list[str]] = {}
        for number in self.report.assessment.requirements:
            assessor = self.report.assessment.assessor_of(number)
            found.setdefault(assessor or words.NOTHING, []).append(number)
        return {name: tuple(found[name]) for name in sorted(found)}

    @cached_property
    def parts(self) -> tuple[tuple[Person, str], ...]:
        """Give everybody who plays a part, with that part in words."""
        library = self.report.library
        roles: dict[str, list[str]] = {}
        for owner, names in self.owners.items():
            team = library.teams.get(owner)
            through = f" (through {team.name})" if team else ""
            for member in library.members(owner):
                roles.setdefault(member, []).append(
                    f"owner of {words.count(len(names), 'control')}{through}"
                )
        for assessor, numbers in self.assessors.items():
            roles.setdefault(assessor, []).append(
                f"assessor of {words.count(len(numbers), 'requirement')}"
            )
        for person in library.people.values():
            if "compliance-officer" in person.roles:
                roles.setdefault(person.id, []).append("compliance officer")
        return tuple(
            (library.people[name], "; ".join(roles[name]))
            for name in sorted(roles)
            if name in library.people
        )
