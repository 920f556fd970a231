# SPDX-License-Identifier: Apache-2.0
"""One report as pages look at it: names, owners, and what belongs to what.

Rules enforced here:
- a page shows every requirement in scope, above all those without evidence;
- an internal annotation is left out, and the page says that there is one.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from controlbook.later import at_hand
from controlbook.model import (
    ConfigRule,
    ManualDocument,
    Share,
)
from controlbook.render import audit_manager, safe, sentences, words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markupsafe import Markup

    from controlbook.model import (
        Annotation,
        Control,
        Deviation,
        Disagreement,
        Gap,
        Judgement,
        ManualEvidence,
        Missing,
        Observation,
        ObservedResult,
        Requirement,
        RequirementStatus,
        RuleInstance,
        RuleResult,
        Run,
    )
    from controlbook.render.report import Report


@dataclass(frozen=True, kw_only=True)
class View:
    """A report, with the look-ups that templates need."""

    report: Report

    @property
    def id(self) -> str:
        """Name the assessment."""
        return self.report.assessment.id

    @property
    def name(self) -> str:
        """Name the report as its pages print it: the release, or a draft's commit."""
        return self.report.release or f"draft of {self.report.commit.id[:12]}"

    @property
    def retired(self) -> str:
        """Say that the framework's owner retired this version, where so."""
        framework = self.report.framework
        if not framework.retired:
            return ""
        return f"{framework.title} was retired by its owner on {framework.retired}."

    def person(self, person: str) -> str:
        """Name a person or team with its qualification."""
        library = self.report.library
        if person in library.teams:
            return library.teams[person].name
        found = library.people.get(person)
        if found is None:
            return person or words.NOTHING
        return found.name

    def known(self, person: str) -> bool:
        """Tell whether a person or team is in people.yml, and so has a queue."""
        library = self.report.library
        return person in library.people or person in library.teams

    def qualification(self, person: str) -> str:
        """Give a person's qualification and organisation."""
        found = self.report.library.people.get(person)
        if found is None:
            return ""
        return ", ".join(
            part for part in (found.qualification, found.organisation) if part
        )

    def account(self, account: str) -> str:
        """Give our name of an account."""
        if account == "all":
            return "all accounts"
        return self.report.assessment.account_name(account)

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """The requirements in scope, in the framework's order."""
        table = self.report.framework.requirements
        return tuple(table[n] for n in self.report.assessment.requirements)

    def heading_of(self, item: Requirement) -> str:
        """Give the chapter that a requirement belongs to, for groups of rows."""
        table = self.report.framework.requirements
        above = table.get(item.parent)
        while above and above.parent in table:
            above = table[above.parent]
        return f"{above.number} {above.title}" if above else item.parent

    @cached_property
    def excluded(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The requirements left out, by reason: (reason, numbers with titles)."""
        table = self.report.framework.requirements
        found: dict[str, list[str]] = {}
        for number, reason in self.report.assessment.excluded:
            title = table[number].title if number in table else ""
            found.setdefault(reason, []).append(f"{number} {title}".strip())
        return tuple((reason, tuple(names)) for reason, names in found.items())

    def status(self, number: str) -> RequirementStatus:
        """Give a requirement's derived status."""
        return self.report.statuses[number]

    def conclusion(self, number: str) -> str:
        """Give the framework's label of the conclusion that counts, or nothing."""
        return words.conclusion(self.report.framework, self.status(number).conclusion)

    def controls(self, item: Requirement) -> tuple[Control, ...]:
        """Give a requirement's mapped controls."""
        library = self.report.library
        return tuple(library.controls[name] for name in item.controls)

    def rules(self, item: Requirement) -> tuple[tuple[Control, RuleResult], ...]:
        """Give the results of every rule behind a requirement, each rule once."""
        found: dict[tuple[str, object], tuple[Control, RuleResult]] = {}
        for control in self.controls(item):
            for result in self.report.findings.controls[control.id].rules:
                key = (result.evidence.identifier, result.evidence.parameters)
                found.setdefault(key, (control, result))
        return tuple(found.values())

    def observed(self, item: Requirement) -> tuple[ObservedResult, ...]:
        """Give what other streams showed for a requirement, each evidence once."""
        found = {
            result.evidence.key: result
            for control in self.controls(item)
            for result in self.report.findings.controls[control.id].observed
        }
        return tuple(found.values())

    def observed_rows(self, result: ObservedResult) -> int:
        """Count the observations of the period, failures included."""
        return sum(len(place.observations) for place in result.places)

    def observations(self, result: ObservedResult) -> tuple[Observation, ...]:
        """Choose those to show: of each place the last, failures and changes first."""
        return words.worth_showing(result)

    def share(self, item: Requirement) -> Share:
        """Add up the resource-time of a requirement's rules."""
        return sum((rule.share for _, rule in self.rules(item)), Share())

    def result(self, rule: RuleResult) -> str:
        """Say what a rule showed."""
        return sentences.result_sentence(
            rule, self.report.assessment, self.report.findings
        )

    def deviations(self, item: Requirement) -> tuple[Deviation, ...]:
        """Give a requirement's deviations."""
        return self.report.findings.requirements[item.number].deviations

    def gaps(self, item: Requirement) -> tuple[Gap, ...]:
        """Give a requirement's evidence gaps."""
        return self.report.findings.requirements[item.number].gaps

    @cached_property
    def _by_finding(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for number in self.report.assessment.requirements:
            for name in self.report.findings.requirements[number].ids:
                found.setdefault(name, []).append(number)
        return {name: tuple(numbers) for name, numbers in found.items()}

    def requirements_of(self, finding: str) -> tuple[str, ...]:
        """Give the requirements that a deviation or gap touches."""
        return self._by_finding.get(finding, ())

    @cached_property
    def _notes(self) -> dict[str, tuple[Annotation, ...]]:
        found: dict[str, list[Annotation]] = {}
        for note in self.report.library.annotations:
            for name in note.covers:
                found.setdefault(name, []).append(note)
        return {
            name: tuple(sorted(notes, key=lambda note: note.path))
            for name, notes in found.items()
        }

    def notes(self, name: str) -> tuple[Annotation, ...]:
        """Give the annotations of a deviation, gap or control that auditors may see."""
        return tuple(
            note for note in self._notes.get(name, ()) if note.audience != "internal"
        )

    def internal(self, name: str) -> int:
        """Count the annotations that are not shown."""
        return len(self._notes.get(name, ())) - len(self.notes(name))

    def annotated(self, name: str) -> bool:
        """Tell whether an annotation of substance explains a deviation or gap."""
        return bool(self.notes(name)) and name not in self.unannotated

    def ticket(self, ticket: str) -> Markup:
        """Link a ticket by the programme's template."""
        template = self.report.library.settings.ticket_url
        if not template:
            return safe.text(ticket)
        return safe.link(ticket, template.replace("{ticket}", ticket))

    def documents(self, item: Requirement) -> tuple[ManualEvidence, ...]:
        """Give the manual evidence that a requirement's controls name."""
        found = {
            evidence.document: self.report.library.manual[evidence.document]
            for control in self.controls(item)
            for evidence in control.evidence
            if isinstance(evidence, ManualDocument)
            and evidence.document in self.report.library.manual
        }
        return tuple(found[name] for name in sorted(found))

    def awaited_documents(self, item: Requirement) -> tuple[tuple[Control, str], ...]:
        """Give the documents that a requirement's controls name and nobody filed."""
        filed = self.report.library.manual
        return tuple(
            (control, evidence.document)
            for control in self.controls(item)
            for evidence in control.evidence
            if isinstance(evidence, ManualDocument) and evidence.document not in filed
        )

    def filing(self, control: Control, document: str) -> str:
        """Give the command that files a document which a control names."""
        period = self.report.assessment.period
        return shlex.join(
            [
                *("controlbook", "evidence", "add", "FILE", "--id", document),
                *("--title", control.title, "--owner", control.owner),
                *("--from", words.day(period.start), "--until", words.day(period.end)),
            ]
        )

    def users_of(self, control: str) -> tuple[Requirement, ...]:
        """Give the requirements in scope that a control answers."""
        return tuple(item for item in self.requirements if control in item.controls)

    def users_of_document(self, document: str) -> tuple[Requirement, ...]:
        """Give the requirements in scope whose controls name a document."""
        return tuple(
            item
            for item in self.requirements
            if any(paper.id == document for paper in self.documents(item))
        )

    def identifiers(self, item: Requirement) -> frozenset[str]:
        """Give the identifiers of the Config rules behind a requirement."""
        return frozenset(
            evidence.identifier
            for control in self.controls(item)
            for evidence in control.evidence
            if isinstance(evidence, ConfigRule)
        )

    @cached_property
    def kept(self) -> tuple[audit_manager.Saved, ...]:
        """What is kept of Audit Manager."""
        return audit_manager.saved(self.report)

    @property
    def audited(self) -> bool:
        """Tell whether there is anything of Audit Manager to show."""
        return bool(self.kept or self.report.findings.disagreements)

    def kept_beside(
        self, controls: Iterable[Control]
    ) -> tuple[audit_manager.ControlRow, ...]:
        """Give the controls of Audit Manager whose evidence is of the same rules."""
        return audit_manager.beside(self.kept, controls)

    def disagreements(self, item: Requirement) -> tuple[Disagreement, ...]:
        """Give what Audit Manager says otherwise on the rules behind a requirement."""
        found = {
            row
            for control in self.controls(item)
            for row in self.report.findings.controls[control.id].disagreements
        }
        return tuple(sorted(found, key=lambda row: (row.found.at, row.found)))

    def disagreeing(self, row: Disagreement) -> tuple[str, ...]:
        """Name the controls that a disagreement concerns."""
        return tuple(
            name
            for name, own in sorted(self.report.findings.controls.items())
            if row in own.disagreements
        )

    @cached_property
    def last_run(self) -> Run | None:
        """The newest run of the `config` stream."""
        runs = self.report.ledger.config
        return runs[-1] if runs else None

    @cached_property
    def rule_rows(self) -> dict[str, RuleInstance]:
        """The rule instances of the scope as the last run read saw them, by key.

        Of a ledger that is too long to be held, those that a control demands.
        """
        assessment = self.report.assessment
        accounts = {number for _, number in assessment.accounts}
        runs = reversed(self.report.ledger.config)
        rows = next((run.rules for run in runs if at_hand(run.rules)), ())
        if self.report.ledger.shares:
            rows = tuple(self.report.findings.recorded.last.values())
        return {
            row.key: row
            for row in rows
            if row.account in accounts and row.region in assessment.regions
        }

    @cached_property
    def counts(self) -> tuple[tuple[words.Label, int], ...]:
        """Requirements by status, other conclusions than satisfied apart."""
        return words.tally(self.report.framework, self.report.statuses.values())

    @cached_property
    def conclusions(self) -> dict[str, int]:
        """Count the requirements by conclusion, in the framework's own words."""
        given = [self.conclusion(item.number) for item in self.requirements]
        return {label: given.count(label) for label in sorted({*given} - {""})}

    @cached_property
    def signed(self) -> int:
        """Requirements with a conclusion that counts."""
        return sum(bool(status.conclusion) for status in self.report.statuses.values())

    def basis(self, item: Requirement) -> str:
        """Say in one sentence what a conclusion stands on, or why there is none."""
        status = self.status(item.number)
        if not status.conclusion:
            return "No conclusion yet."
        if item.inherited or item.not_applicable:
            return "Concluded on the reason given, without controls of our own."
        parts = [words.count(len(item.controls), "control")]
        rules = len(self.rules(item))
        papers = len(self.documents(item))
        parts.extend([words.count(rules, "rule")] if rules else [])
        looks = len(self.observed(item))
        parts.extend([words.count(looks, "point-in-time source")] if looks else [])
        queries = sum(
            len(self.report.findings.controls[c.id].events) for c in self.controls(item)
        )
        if queries:
            parts.append(words.count(queries, "event query", "event queries"))
        parts.extend([words.count(papers, "document")] if papers else [])
        file = status.judgement.signoff
        named = set(file.acknowledged) if file else set()
        deviations = sum(d.id in named for d in self.deviations(item))
        gaps = sum(g.id in named for g in self.gaps(item))
        found = (
            f"{words.count(deviations, 'deviation')} and "
            f"{words.count(gaps, 'evidence gap')}"
        )
        return f"Concluded on {', '.join(parts)}, with {found} acknowledged."

    def part_digest(self, number: str, part: str) -> str:
        """Give the present digest of one part of a requirement's subject."""
        return dict(self.report.subjects[number]).get(part, "")

    def policy(self, name: str, default: str) -> str:
        """Give a setting of the assessment's policy."""
        return dict(self.report.assessment.policy).get(name, default)

    def outside(self, label: str, url: str) -> Markup:
        """Link to another site, https only."""
        return safe.link(label, url)

    @cached_property
    def assessors(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """People who assess, with their requirements."""
        return self._grouped(
            (self.report.assessment.assessor_of(item.number), item.number)
            for item in self.requirements
        )

    @cached_property
    def owners(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """People and teams who own controls, with the requirements these answer."""
        return self._grouped(
            (control.owner, item.number)
            for item in self.requirements
            for control in self.controls(item)
        )

    @staticmethod
    def _grouped(
        pairs: Iterable[tuple[str, str]],
    ) -> tuple[tuple[str, tuple[str, ...]], ...]:
        found: dict[str, dict[str, None]] = {}
        for person, number in pairs:
            found.setdefault(person, {})[number] = None
        return tuple((person, tuple(found[person])) for person in sorted(found))

    def attestation(self, control: str) -> Judgement | None:
        """Give the owner's attestation of a control, as judged."""
        return next(
            (
                status.attestations[control]
                for status in self.report.statuses.values()
                if control in status.attestations
            ),
            None,
        )

    def deployed(self, rule: RuleResult) -> tuple[str, ...]:
        """Give the names under which a rule was deployed."""
        return tuple(sorted({row.deployed_as for row in rule.instances}))

    def triggers(self, rule: RuleResult) -> tuple[str, ...]:
        """Say when a rule was evaluated."""
        return tuple(
            sorted(
                {words.trigger(row.trigger, row.frequency) for row in rule.instances}
            )
        )

    def matched(self, rule: RuleResult) -> tuple[str, ...]:
        """Say how the rule was recognised."""
        return tuple(sorted({row.matched for row in rule.instances}))

    @cached_property
    def unannotated(self) -> frozenset[str]:
        """Ids of deviations and gaps that nobody has explained."""
        return frozenset(
            name
            for status in self.report.statuses.values()
            for name in status.unannotated
        )

    @cached_property
    def pages_read(self) -> int:
        """Pages of answers that the runs read."""
        return sum(run.pages for run in self.report.runs)

    @cached_property
    def throttles(self) -> int:
        """Requests that AWS slowed down."""
        return sum(run.throttles for run in self.report.runs)

    @cached_property
    def incomplete(self) -> int:
        """Runs that could not ask all they had to."""
        return sum(not run.complete for run in self.report.runs)

    @cached_property
    def missing(self) -> tuple[tuple[Run, Missing], ...]:
        """Accounts × Regions that runs could not cover."""
        runs = (*self.report.runs, *self.report.looks)
        return tuple((run, row) for run in runs for row in run.missing)

    @cached_property
    def missing_places(self) -> int:
        """Count the accounts × Regions that some run could not cover."""
        return len({(row.account, row.region) for _, row in self.missing})

    @cached_property
    def remarks(self) -> tuple[tuple[Run, str], ...]:
        """What runs remarked in plain words."""
        runs = (*self.report.runs, *self.report.looks)
        return tuple((run, note) for run in runs for note in run.notes)

    @cached_property
    def vaults(self) -> tuple[str, ...]:
        """Where the vault lies."""
        return tuple(
            sorted(
                {
                    stored.bucket if run.vault == "s3" else "a folder, without a lock"
                    for run in self.report.runs
                    for stored in run.objects
                }
            )
        )

    @cached_property
    def demo_lock(self) -> bool:
        """Tell whether some evidence lies in a vault without a lock."""
        return any(
            stored.lock_mode == "none"
            for run in self.report.runs
            for stored in run.objects
        )
