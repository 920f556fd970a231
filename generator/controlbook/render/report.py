# SPDX-License-Identifier: Apache-2.0
"""What site, PDF, data files and bundle are made from: one value per assessment.

Rules enforced here:
- an output reads this and nothing else: no clock, no file, no Git, no network;
- the same commit and the same evidence give equal reports, wherever they are built.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlbook.model import FOLLOWING
from controlbook.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.digest import Json
    from controlbook.model import (
        Assessment,
        Findings,
        Framework,
        Ledger,
        Library,
        MappedControl,
        PeopleChange,
        RequirementStatus,
        Run,
    )
    from controlbook.opened import Opening
    from controlbook.preserved import Preserved
    from controlbook.prior import Prior
    from controlbook.subjects import Subject
    from controlbook.superseded import Superseded
    from controlbook.timeline import Instant

    from .changes import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The commit that a build shows."""

    id: str
    at: Instant
    """Committer time, the clock of the build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that the build puts beside the site, for its readers to take."""

    label: str
    path: str
    """Relative to the folder that holds `site/`, e.g. `PCI-2028-Q1.pdf`."""
    about: str = ""


def offered(assessment: str, *, audit_manager: bool = False) -> tuple[Download, ...]:
    """Name what a build puts beside the site of an assessment."""
    besides = (
        ("What is kept of Audit Manager", "audit-manager"),
        ("Where Audit Manager and our record disagree", "disagreements"),
    )
    return (
        Download(label="The report", path=f"{assessment}.pdf", about="(PDF)"),
        *(
            Download(label=label, path=f"data/{name}.csv", about="(table)")
            for label, name in (
                ("Requirements with status and conclusion", "requirements"),
                ("Populations by rule and account", "population"),
                ("Deviations", "deviations"),
                ("Evidence gaps", "gaps"),
                ("Evidence index, every run and object", "evidence-index"),
                ("History of every requirement's status", "status-history"),
                ("Sign-offs and attestations", "signoffs"),
                *(besides if audit_manager else ()),
            )
        ),
        Download(
            label="All tables", path="data/report.xlsx", about="(one Excel workbook)"
        ),
        Download(
            label="Results for other programs",
            path="oscal/assessment-results.json",
            about="(OSCAL; catalog, profile, controls and plan beside it)",
        ),
        Download(label="Facts", path="facts.json", about="(what the digests bind)"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One assessment at one commit, with everything that its pages may say."""

    library: Library
    ledger: Ledger
    assessment: Assessment
    framework: Framework
    findings: Findings
    statuses: Mapping[str, RequirementStatus]
    """Requirement number → derived status."""
    subjects: Mapping[str, Subject]
    """Requirement number → what a sign-off is bound to now."""
    closing: Opening
    """State of every resource at the end of the last run."""
    commit: Commit
    facts_root: str
    """SHA-256 of the assessment's canonical facts."""
    release: str
    """The release's name (the tag), or empty while unreleased."""
    generator: str
    """`controlbook <version>`"""
    facts: Json = ""
    """The canonical facts themselves."""
    trail: Trail = field(default_factory=Trail)
    """How it came to this, from Git's history; no part of the facts."""
    toolchain: Mapping[str, str] = field(default_factory=dict)
    downloads: tuple[Download, ...] = ()
    supersedes: str = ""
    """The release that this one is an addendum to; empty for a first one."""
    changes: tuple[Change, ...] = ()
    """What it says otherwise than that release."""
    people_changes: tuple[PeopleChange, ...] = ()
    """Every change of people.yml, as it came to main."""
    preserved: tuple[Preserved, ...] = ()
    """What the vault keeps of Audit Manager."""
    prior: Prior | None = None
    """The last period of the framework, and every difference to it."""
    moved: tuple[Superseded, ...] = ()
    """What annotations and sign-offs name that later evidence moved or took away."""
    licensed: Mapping[str, str] = field(default_factory=dict)
    """Number → the standard's own text (Markdown), on internal drafts only."""
    users: Mapping[str, tuple[tuple[str, str, MappedControl], ...]] | None = None
    """What `crosswalk.users` gives for the library, worked out once for all pages."""

    def moved_of(self, requirement: str) -> tuple[Superseded, ...]:
        """Give what files name of a requirement that moved or is gone, public ones.

        An annotation that auditors may not read is not told here.
        """
        own = self.findings.requirements[requirement]
        controls, ids = set(own.controls), set(own.ids)
        internal = {
            note.path
            for note in self.library.annotations
            if note.audience == "internal"
        }
        return tuple(
            row
            for row in self.moved
            if row.path not in internal
            and (row.controls & controls or ids & {item.id for item in row.now})
        )

    @property
    def draft(self) -> bool:
        """Tell whether every page must carry DRAFT."""
        return not self.release

    @property
    def demo(self) -> bool:
        """Tell whether every page must carry DEMO: evidence not AWS's, or no lock."""
        return any(run.demo for runs in self.ledger.runs.values() for run in runs)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The `config` runs whose windows meet the period, or open it."""
        period = self.assessment.period
        return tuple(
            run
            for run in self.ledger.config
            if run.window.end >= period.start and run.window.start < period.end
        )

    def transitions(self, run: Run) -> int:
        """Count what changed in a run, of the accounts that were read."""
        rows = self.findings.recorded.rows.get(run.seq)
        if run.stream != "config" or rows is None or rows.transitions is None:
            return len(run.transitions)
        return rows.transitions

    @property
    def looks(self) -> tuple[Run, ...]:
        """The runs of streams that look now and then, which meet the period."""
        period = self.assessment.period
        return tuple(
            run
            for _, runs in sorted(self.ledger.runs.items())
            for run in runs
            if run.window.end >= period.start
            and (run.stream in FOLLOWING or run.window.start < period.end)
            and run.observations
        )

    @property
    def other_runs(self) -> tuple[Run, ...]:
        """The runs of every other stream, by stream, that a reader may ask for.

        Those whose windows meet the period, and every capture of reviews and of Audit
        Manager since it began: people sign when it is over.
        """
        period = self.assessment.period
        return tuple(
            run
            for stream, runs in sorted(self.ledger.runs.items())
            if stream != "config"
            for run in runs
            if run.window.end >= period.start
            and (stream in FOLLOWING or run.window.start < period.end)
        )

    @property
    def event_runs(self) -> tuple[Run, ...]:
        """The `cloudtrail` runs whose windows meet the period."""
        period = self.assessment.period
        return tuple(run for run in self.ledger.cloudtrail if run.window.clip(period))


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Everything one site shows: a report per assessment, the first one the newest."""

    reports: tuple[Report, ...]
    verify_command: str = "controlbook verify"
