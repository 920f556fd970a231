# SPDX-License-Identifier: Apache-2.0
"""What the printed report says: one report, asked by the print templates.

Rules enforced here:
- every in-scope requirement is printed, above all those without evidence;
- nothing is cut silently: where rows are left out, "showing n of N" stands beside;
- internal annotations stay out; a deviation without one that auditors may read says
  so;
- evaluation, conclusion and status are three things, and none overwrites another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING

from controlbook.model import ALL, Conclusion, Status
from controlbook.timeline import DAY

from . import audit_manager, charts, words
from .section import concluded, section_of
from .ticks import ticks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import (
        Annotation,
        Deviation,
        Disagreement,
        Gap,
        Judgement,
        ManualEvidence,
        Person,
        Review,
        RuleResult,
        Run,
        StoredObject,
    )

    from .report import Report
    from .section import RequirementSection
    from .ticks import Tick

CLASSIFICATION = "Confidential"
LIMITS = (
    *words.CANNOT_BE_PROVEN,
    "Whether the person behind an account was at the keyboard as it approved.",
)
NAMED = 5
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
_NO_CONCLUSION = "No conclusion yet"
_SHADES = {
    Conclusion.SATISFIED: ("ok", "#1b7f4b"),
    Conclusion.COMPENSATED: ("ok", "#4d7c0f"),
    Conclusion.NOT_APPLICABLE: ("none", "#475569"),
    Conclusion.NOT_TESTED: ("gap", "#8a5a00"),
    Conclusion.NOT_SATISFIED: ("deviation", "#b3261e"),
}


@dataclass(frozen=True)
class Paper:
    """One report, as the print templates see it."""

    report: Report
    substituted: tuple[str, ...] = ()
    """Characters that the typefaces lack, printed as code points."""

    # --- identity ---------------------------------------------------------------

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

    # --- addresses --------------------------------------------------------------

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

    # --- scope ------------------------------------------------------------------

    @property
    def excluded(self) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
        """Give what is left out, by reason: each number with its title."""
        table = self.report.framework.requirements
        found: dict[str, list[tuple[str, str]]] = {}
        for number, reason in self.report.assessment.excluded:
            title = table[number].title if number in table else ""
            found.setdefault(reason, []).append((number, title))
        return tuple((reason, tuple(rows)) for reason, rows in found.items())

    # --- people -----------------------------------------------------------------

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
    def people(self) -> tuple[tuple[Person, str], ...]:
        """Give everybody who plays a part, with that part in words."""
        library = self.report.library
        parts: dict[str, list[str]] = {}
        for owner, names in self.owners.items():
            team = library.teams.get(owner)
            through = f" (through {team.name})" if team else ""
            for member in library.members(owner):
                parts.setdefault(member, []).append(
                    f"owner of {words.count(len(names), 'control')}{through}"
                )
        for assessor, numbers in self.assessors.items():
            parts.setdefault(assessor, []).append(
                f"assessor of {words.count(len(numbers), 'requirement')}"
            )
        for person in library.people.values():
            if "compliance-officer" in person.roles:
                parts.setdefault(person.id, []).append("compliance officer")
        return tuple(
            (library.people[name], "; ".join(parts[name]))
            for name in sorted(parts)
            if name in library.people
        )

    # --- counts -----------------------------------------------------------------

    def conclusion(self, number: str) -> str:
        """Give a requirement's conclusion in the framework's own words."""
        status = self.report.statuses[number]
        label = words.conclusion(self.report.framework, status.conclusion)
        return label or _NO_CONCLUSION

    @cached_property
    def conclusions(self) -> tuple[charts.Part, ...]:
        """Count the requirements by conclusion, those without one last."""
        numbers = self.report.assessment.requirements
        given = [self.report.statuses[number].conclusion for number in numbers]
        parts = [
            charts.Part(
                label=words.conclusion(self.report.framework, word),
                count=given.count(word),
                kind=kind,  # type: ignore[arg-type]
                colour=colour,
            )
            for word, (kind, colour) in _SHADES.items()
        ]
        rest = len(numbers) - sum(part.count for part in parts)
        parts.append(charts.Part(label=_NO_CONCLUSION, count=rest, kind="none"))
        return tuple(part for part in parts if part.count)

    @cached_property
    def status_counts(self) -> tuple[tuple[Status, int], ...]:
        """Count the requirements by status, in the order of the status words."""
        given = [status.status for status in self.report.statuses.values()]
        return tuple((word, given.count(word)) for word in Status if given.count(word))

    @property
    def summary_rows(
        self,
    ) -> tuple[tuple[charts.Part | None, tuple[Status, int] | None], ...]:
        """Set the counts by conclusion beside those by status."""
        return tuple(zip_longest(self.conclusions, self.status_counts))

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

    # --- evidence ---------------------------------------------------------------

    @cached_property
    def ticks(self) -> tuple[Tick, ...]:
        """Run the checks behind the tick marks, once per build."""
        return ticks(self.report.ledger)

    @property
    def calendar(self) -> str:
        """Draw the days of the period with and without a run."""
        collected = self.report.findings.collected
        return charts.calendar(
            self.report.assessment.period,
            (run.window for run in self.report.runs if run.kind != "correction"),
            until=collected.end if collected else self.report.assessment.period.start,
        )

    @staticmethod
    def window(run: Run) -> str:
        """Write a run's window: the day alone where it is one UTC day."""
        start, end = run.window.start, run.window.end
        if start % DAY == 0 and run.window.length == DAY:
            return words.day(start)
        return words.stretch(start, end)

    @staticmethod
    def holds(run: Run) -> str:
        """Count what a run of another stream than `config` brought."""
        counted = (
            (sum(row.count for row in run.event_counts), "event", ""),
            (len(run.chains), "digest chain", ""),
            (len(run.observations), "answer", ""),
            (len(run.pulls), "pull request", ""),
            (len(run.missing), "hole in the evidence", "holes in the evidence"),
        )
        parts = [words.count(*each) for each in counted if each[0]]
        return ", ".join(parts) or "nothing new"

    @property
    def kinds_of_run(self) -> tuple[tuple[str, int], ...]:
        """Count the runs of the period by kind."""
        kinds = [run.kind for run in self.report.runs]
        return tuple((kind, kinds.count(kind)) for kind in sorted(set(kinds)))

    @cached_property
    def queries(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Give every API with its different exact parameters, as runs recorded them."""
        found: dict[str, set[str]] = {}
        for run in self.report.runs:
            for api, parameters in run.queries:
                found.setdefault(api, set()).add(parameters)
        return tuple((api, tuple(sorted(found[api]))) for api in sorted(found))

    @property
    def principals(self) -> tuple[str, ...]:
        """Name the identities that collected."""
        return tuple(sorted({run.principal for run in self.report.runs}))

    @property
    def collectors(self) -> tuple[str, ...]:
        """Name the collector's versions that ran."""
        return tuple(
            sorted(
                {
                    ", ".join(f"{name} {value}" for name, value in run.collector)
                    for run in self.report.runs
                }
            )
        )

    @property
    def run_notes(self) -> tuple[tuple[Run, str], ...]:
        """Give the disagreements and oddities that runs saw."""
        return tuple((run, note) for run in self.report.runs for note in run.notes)

    def shown_objects(self) -> tuple[tuple[Run, StoredObject], ...]:
        """Give the stored objects of the runs that open and close the period."""
        ends = dict.fromkeys((*self.report.runs[:1], *self.report.runs[-1:]))
        return tuple((run, stored) for run in ends for stored in run.objects)

    @property
    def objects_in_all(self) -> int:
        """Count the stored objects behind the period."""
        return sum(len(run.objects) for run in self.report.runs)

    @cached_property
    def documents(self) -> tuple[ManualEvidence, ...]:
        """Give the manual evidence that controls in scope name, by id."""
        names = {
            name
            for found in self.report.findings.controls.values()
            for name in found.documents
        }
        return tuple(self.report.library.manual[name] for name in sorted(names))

    def used_by(self, document: str) -> tuple[str, ...]:
        """Name the requirements in scope whose controls rest on a document."""
        return tuple(
            section.requirement.number
            for section in self.sections
            if any(paper.id == document for paper in section.documents)
        )

    # --- Audit Manager --------------------------------------------------------------

    @cached_property
    def kept(self) -> tuple[audit_manager.Saved, ...]:
        """What is kept of Audit Manager."""
        return audit_manager.saved(self.report)

    @property
    def audited(self) -> bool:
        """Tell whether there is anything of Audit Manager to print."""
        return bool(self.kept or self.report.findings.disagreements)

    def kept_beside(
        self, section: RequirementSection
    ) -> tuple[audit_manager.ControlRow, ...]:
        """Give the controls there whose evidence is of a requirement's rules."""
        return audit_manager.beside(
            self.kept, (part.control for part in section.controls)
        )

    @staticmethod
    def disagreements(section: RequirementSection) -> tuple[Disagreement, ...]:
        """Give what is said otherwise there on a requirement's rules, each once."""
        found = {row for part in section.controls for row in part.found.disagreements}
        return tuple(sorted(found, key=lambda row: (row.found.at, row.found)))

    # --- deviations and gaps ------------------------------------------------------

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
        person = self.person(file.person) if file else ""
        return concluded(self.report, section, person)

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

    # --- requirements -------------------------------------------------------------

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
