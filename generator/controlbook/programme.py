# SPDX-License-Identifier: Apache-2.0
"""A programme's repository at one commit, with everything that follows from it.

The edge where Git, vault and files become the values that the core works on.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from . import __version__
from .approve import approve
from .assess import assess
from .byaccount import read_by_account
from .crosswalk import users
from .digest import digest_of
from .errors import ControlbookError, Exit, InvalidFiles
from .git import Repository
from .ledger import outlines, parse_state_lines, read_ledger
from .library import GOVERNED, read
from .lists import CACHE, of_vault, unread
from .manifest import MalformedManifestError, whose
from .opened import Opened
from .preserved import preserved
from .prior import Period, Prior, against, prior_of
from .proofs import Trust, gather, witnesses
from .reach import NOTHING, Reach, opened, outline_of, reach_of
from .render.changes import changes, numbered, previous
from .render.facts import facts
from .render.report import Book, Commit, Report
from .replay import Present
from .retrace import retrace
from .sight import opening_run
from .subjects import requirement_subject
from .superseded import superseded
from .timeline import Instant, Interval
from .vault import open_vault
from .vault.packs import records_of, unpack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from .digest import Json
    from .manifest import Lists
    from .model import (
        Assessment,
        Findings,
        Ledger,
        Library,
        MappedControl,
        RequirementStatus,
        Run,
        Standing,
        StoredObject,
    )
    from .opened import Opening
    from .proofs import Gathered, Witness
    from .record import Record
    from .render.changes import Change
    from .subjects import Subject
    from .superseded import Superseded
    from .trail import Trail
    from .vault import Vault

GENERATOR = f"controlbook {__version__}"
READ = (*GOVERNED, "evidence/")


class Programme:
    """One commit of a programme's repository, read lazily and once."""

    def __init__(self, repository: Repository, rev: str = "HEAD") -> None:
        """Look at a repository at a revision."""
        self.repository = repository
        self.commit = repository.resolve(rev)
        self._findings: dict[str, Findings] = {}
        self._gathered: dict[str, Gathered] = {}
        self._trails: dict[str, Trail] = {}
        self._superseded: dict[str, tuple[Superseded, ...]] = {}
        self._priors: dict[tuple[str, bool], Prior | None] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._committed = True

    @classmethod
    def open(cls, folder: Path, rev: str = "HEAD") -> Programme:
        """Find the repository around a folder."""
        return cls(Repository.find(folder), rev)

    @classmethod
    def collecting(cls, folder: Path) -> Programme:
        """Look at what a collection needs: what some assessment rests on.

        A daily job would spend a third of its time on reading the frameworks that
        nobody assesses and their controls, and a mistake in one of these is no reason
        to lose a day of evidence.
        """
        programme = cls.open(folder)
        files = programme.files
        scopes = _texts(files, "signoffs/", "/assessment.yml")
        files = _named(files, "frameworks/", scopes)
        programme.files = _named(files, "controls/", _texts(files, "frameworks/", ""))
        return programme

    @classmethod
    def of_work_tree(cls, folder: Path) -> Programme:
        """Look at the files that stand in the work tree, committed or not."""
        programme = cls.open(folder)
        programme.files = programme.repository.work_files(READ)
        programme._committed = False  # noqa: SLF001 - of this very class
        return programme

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """Every governed file and manifest, as committed."""
        return self.repository.files_at(self.commit, READ)

    @cached_property
    def library(self) -> Library:
        """The human files; raises InvalidFiles with every problem."""
        return read(self.files)

    @cached_property
    def lists(self) -> Lists:
        """Where the lists are that moved out of the manifests."""
        return of_vault(lambda: self.vault, self.repository.root / CACHE)

    @cached_property
    def ledger(self) -> Ledger:
        """The run manifests; raises ControlbookError where a chain is broken.

        Of lists that moved into the vault none is read before somebody looks at it;
        `ledger_of` and `ledger_at` read those that an assessment or an instant needs.
        """
        return read_ledger(self.files, self.lists, NOTHING)

    @cached_property
    def whole_ledger(self) -> Ledger:
        """The run manifests with every list of each."""
        return read_ledger(self.files, self.lists)

    @cached_property
    def ledger_by_account(self) -> Ledger:
        """The run manifests, whose rules and changes come account by account."""
        config = outlines(self.files)
        if not config:
            return self.ledger
        ends = [outline.window for outline in config]
        span = Interval(min(w.start for w in ends), max(w.end for w in ends))
        return read_by_account(self.files, self.lists, Reach(span=span))

    def ledger_of(self, name: str) -> Ledger:
        """Give the ledger with all that an assessment's findings rest on."""
        if name not in self._ledgers:
            self._ledgers[name] = self._read(self._reach(name))
        return self._ledgers[name]

    def ledger_at(self, moment: Instant) -> Ledger:
        """Give the ledger with the rules and changes around an instant."""
        period = Interval(moment, Instant(moment + 1))
        return self._read(Reach(span=opened(period, outlines(self.files))))

    def _read(self, reach: Reach) -> Ledger:
        if not self._moved:
            return self.ledger
        return read_by_account(self.files, self.lists, reach)

    @cached_property
    def _moved(self) -> bool:
        runs = (run for runs in self.ledger.runs.values() for run in runs)
        return any(outline_of(run).moved for run in runs)

    def _reach(self, name: str) -> Reach:
        return reach_of(self.assessment(name), outlines(self.files))

    def unread(self, name: str) -> tuple[str, ...]:
        """Say what was not read of the ledger to judge an assessment."""
        return tuple(unread(self.ledger, self._reach(name)))

    @cached_property
    def vault(self) -> Vault:
        """The store that the settings name."""
        settings = self.library.settings
        return open_vault(
            settings.vault,
            self.repository.root,
            profile=settings.vault_profile,
            begun=any(
                path.startswith("evidence/") and path.endswith((".json", ".yml"))
                for path in self.files
            ),
        )

    @cached_property
    def witnesses(self) -> tuple[Witness, ...]:
        """The checkpoints, with what their signatures and time stamps are worth."""
        return witnesses(self.files, self.library, Trust())

    def assessment(self, name: str) -> Assessment:
        """Find an assessment by its id; raises ControlbookError with the known ids."""
        found = self.library.assessments.get(name)
        if found is None:
            known = ", ".join(sorted(self.library.assessments)) or "none"
            message = f"there is no assessment {name!r}"
            raise ControlbookError(message, advice=f"the programme has: {known}")
        return found

    def state_after(
        self, run: Run, accounts: Collection[str] | None = None
    ) -> tuple[Standing, ...]:
        """Read the state pack that a run stored: every resource at its window's end.

        Of some accounts, where these are named.
        """
        return parse_state_lines(_of(accounts, self._states(run)))

    def _states(self, run: Run) -> Iterator[bytes]:
        for stored in run.objects:
            if stored.role == "state":
                body = self.vault.get(stored.key, stored.version_id)
                return records_of(body, stored)
        message = f"run {run.stream} {run.seq:06d} names no state pack"
        raise ControlbookError(message, code=Exit.INTEGRITY)

    def opening(self, assessment: Assessment) -> Opening:
        """Give the state that opens an assessment's period."""
        first = opening_run(self.ledger.config, assessment.period)
        return self._after(first, assessment) if first else ()

    def opened(self, run: Run, accounts: Collection[str] | None = None) -> Opened:
        """Give the states at the end of a window, to be read account by account."""
        return Opened(_of(accounts, self._states(run)))

    def _after(self, run: Run, assessment: Assessment) -> Opening:
        """Read the states of an assessment's accounts at the end of a run's window."""
        if self.ledger_of(assessment.id).shares:
            return self.opened(run, _numbers(assessment))
        return self.state_after(run, _numbers(assessment))

    def findings(self, name: str) -> Findings:
        """Derive an assessment's findings."""
        if name not in self._findings:
            assessment = self.assessment(name)
            self._findings[name] = assess(
                self.library,
                self.ledger_of(name),
                self.opening(assessment),
                assessment,
            )
        return self._findings[name]

    def superseded(self, name: str) -> tuple[Superseded, ...]:
        """List what its annotations and sign-offs name that moved or is gone."""
        if name not in self._superseded:
            assessment = self.assessment(name)
            self._superseded[name] = superseded(
                self.library,
                self.ledger_of(name),
                self.opening(assessment),
                assessment,
                self.findings(name),
                self.files,
            )
        return self._superseded[name]

    def record(self, name: str) -> Record:
        """Bring together what judging the sign-offs of an assessment needs."""
        return self.gathered(name).record(
            self.library,
            self.findings(name),
            self.ledger_of(name),
            self.assessment(name),
        )

    def gathered(self, name: str) -> Gathered:
        """Give what Git, signatures and time stamps say of an assessment's files."""
        if name not in self._gathered:
            self._gathered[name] = gather(
                self.repository,
                self.commit,
                library=self.library,
                ledger=self.ledger,
                assessment=self.assessment(name),
                seen=self.witnesses,
                trust=Trust(),
            )
        return self._gathered[name]

    def releases(self, name: str) -> tuple[str, ...]:
        """Name the releases of an assessment that this commit stands on, in order."""
        tags = {
            tag: number
            for tag in self.repository.tags()
            if (number := numbered(tag, name))
        }
        if not tags:
            return ()
        history = {commit for commit, _ in self.repository.timed_commits(self.commit)}
        held = [tag for tag in tags if self.repository.resolve(tag) in history]
        return tuple(sorted(held, key=lambda tag: tags[tag]))

    def released(self, name: str) -> Programme | None:
        """Give the programme at the last release of an assessment.

        A released assessment is judged there: later edits on main do not touch it.
        """
        tags = self.releases(name)
        return Programme(self.repository, f"refs/tags/{tags[-1]}") if tags else None

    def statuses(self, name: str) -> Mapping[str, RequirementStatus]:
        """Derive the status of every requirement of an assessment."""
        return approve(self.record(name))

    def trail(self, name: str) -> Trail:
        """Derive how an assessment came to where it stands, from Git's history."""
        if name not in self._trails:
            assessment = self.assessment(name)
            present = Present(
                commit=self.commit,
                library=self.library,
                ledger=self.ledger_of(name),
                opening=self.opening(assessment),
                assessment=assessment,
                findings=self.findings(name) if self._committed else None,
                witnesses=self.witnesses,
            )
            self._trails[name] = retrace(self.repository, present)
        return self._trails[name]

    def prior(self, name: str, *, judged: bool = False) -> Prior | None:
        """Hold an assessment against the last period of its framework.

        That is taken at its release, or at the commit that last changed its files; with
        what came of it, findings and statuses, where it is to be `judged` as well.
        """
        if (name, judged) not in self._priors:
            last = prior_of(self.library, self.assessment(name))
            found = self._against(name, last, judged=judged) if last else None
            self._priors[name, judged] = found
        return self._priors[name, judged]

    def _against(self, name: str, last: Assessment, *, judged: bool) -> Prior:
        tags = self.releases(last.id)
        at = f"refs/tags/{tags[-1]}" if tags else self._last_touch(last)
        old = Programme(self.repository, at)
        taken_at = tags[-1] if tags else old.commit[:10]
        try:
            before = old._period(last.id, judged=judged)
        except InvalidFiles as error:
            # What was right once may break a rule of today, and is not compared.
            unread = f"its files break {len(error.problems)} of today's rules"
            return Prior(
                assessment=last.id, taken_at=taken_at, differences=(), unread=unread
            )
        now = self._period(name, judged=judged)
        return Prior(
            assessment=last.id, taken_at=taken_at, differences=against(before, now)
        )

    def _period(self, name: str, *, judged: bool) -> Period:
        return Period(
            assessment=self.assessment(name),
            library=self.library,
            findings=self.findings(name),
            statuses=self.statuses(name) if judged else None,
        )

    def _last_touch(self, assessment: Assessment) -> str:
        """Name the commit that last changed the files of an assessment."""
        folder = f"signoffs/{assessment.id}/"
        return next(
            (
                commit.id
                for commit in self.repository.landed(self.commit)
                if any(change.path.startswith(folder) for change in commit.changes)
            ),
            self.commit,
        )

    def subjects(self, name: str) -> Mapping[str, Subject]:
        """Give what a sign-off of each requirement would be bound to now."""
        assessment = self.assessment(name)
        return {
            number: requirement_subject(
                self.library,
                self.findings(name),
                self.ledger_of(name),
                assessment,
                number,
            )
            for number in assessment.requirements
        }

    def report(
        self,
        name: str,
        *,
        release: str = "",
        toolchain: Mapping[str, str] | None = None,
    ) -> Report:
        """Bring together everything that the outputs of an assessment show."""
        assessment = self.assessment(name)
        statuses = self.statuses(name)
        subjects = self.subjects(name)
        document = self.facts(name, statuses, subjects)
        before = previous(release, name)
        return Report(
            library=self.library,
            ledger=self.ledger_of(name),
            assessment=assessment,
            framework=self.library.frameworks[assessment.framework],
            findings=self.findings(name),
            statuses=statuses,
            subjects=subjects,
            closing=self.closing(assessment),
            commit=Commit(id=self.commit, at=self.repository.commit_time(self.commit)),
            facts=document,
            facts_root=digest_of(document),
            release=release,
            generator=GENERATOR,
            toolchain=toolchain or {},
            trail=self.trail(name),
            users=self.users,
            supersedes=before,
            changes=self.changes_since(before, name, document) if before else (),
            people_changes=self.gathered(name).people,
            preserved=preserved(self.ledger_of(name), assessment, self._records),
            moved=self.superseded(name),
            prior=self.prior(name, judged=True),
        )

    def _records(self, stored: StoredObject) -> tuple[bytes, ...]:
        """Read a record pack from the vault."""
        return unpack(self.vault.get(stored.key, stored.version_id), stored)

    def changes_since(
        self, release: str, name: str, document: Mapping[str, Json]
    ) -> tuple[Change, ...]:
        """List what these facts say otherwise than those of an earlier release."""
        old = Programme(self.repository, f"refs/tags/{release}")
        return changes(
            old.facts(name, old.statuses(name), old.subjects(name)), document
        )

    @cached_property
    def users(self) -> Mapping[str, tuple[tuple[str, str, MappedControl], ...]]:
        """Who uses each control, over all frameworks."""
        return users(self.library)

    def closing(self, assessment: Assessment) -> Opening:
        """Give the state at the end of the last run that meets the period."""
        runs = [
            run
            for run in self.ledger.config
            if run.window.start < assessment.period.end and run.kind != "correction"
        ]
        return self._after(runs[-1], assessment) if runs else ()

    def facts(
        self,
        name: str,
        statuses: Mapping[str, RequirementStatus],
        subjects: Mapping[str, Subject],
    ) -> dict[str, Json]:
        """Write an assessment's canonical facts."""
        return facts(
            self.library,
            self.ledger_of(name),
            self.findings(name),
            statuses,
            subjects,
            self.assessment(name),
        )

    def book(self, first: str, *, release: str, toolchain: Mapping[str, str]) -> Book:
        """Bring together one site: the assessment asked for, then all the others."""
        others = sorted(set(self.library.assessments) - {first})
        return Book(
            reports=(
                self.report(first, release=release, toolchain=toolchain),
                *(self._other(name, toolchain) for name in others),
            )
        )

    def _other(self, name: str, toolchain: Mapping[str, str]) -> Report:
        """Report on an assessment beside the one asked for: at its last release."""
        tags = self.releases(name)
        at = self.released(name) or self
        release = tags[-1] if tags else ""
        return at.report(name, release=release, toolchain=toolchain)


def _numbers(assessment: Assessment) -> frozenset[str]:
    return frozenset(number for _, number in assessment.accounts)


def _of(accounts: Collection[str] | None, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Leave out the state lines of other accounts, which begin with theirs."""
    for line in lines:
        try:
            ours = accounts is None or whose(line) in accounts
        except MalformedManifestError:
            ours = True  # whoever reads it says what is wrong
        if ours:
            yield line


def _texts(files: Mapping[str, bytes], folder: str, ending: str) -> bytes:
    return b"\n".join(
        data
        for path, data in files.items()
        if path.startswith(folder) and path.endswith(ending)
    )


def _named(files: Mapping[str, bytes], folder: str, text: bytes) -> dict[str, bytes]:
    """Leave out the files of a folder whose id does not stand in a text."""
    return {
        path: data
        for path, data in files.items()
        if not path.startswith(folder) or PurePosixPath(path).stem.encode() in text
    }
