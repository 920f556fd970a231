# SPDX-License-Identifier: Apache-2.0
"""Walking a branch's own line again: from Git's history to the trail of an assessment.

Rules enforced here:
- one pass over the history; trees are replayed from what each commit changed, and each
  file's bytes are read once;
- while evidence is collected every requirement is `collecting`, so nothing is judged;
- afterwards each commit that touches the assessment is judged, evidence included, on
  its own tree: a commit that brings sign-offs alone is judged for what they concern;
- run manifests are the head's, as far as a commit had them; one that was another in
  history makes that commit unreadable.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from .approve import Record, approve
from .assess import assess, opening_run
from .coverage import collected_until, windows
from .errors import InvalidFiles
from .git import CODEOWNERS, ran_backwards
from .git.paths import PLAIN
from .ledger import manifest_path
from .library import governed, read, with_records
from .model import Ledger, ManualDocument, Status
from .proofs import Trust, granted, prove
from .subjects import annotations_of
from .trail import (
    UNREADABLE,
    Backwards,
    Point,
    StaleSince,
    Standing,
    Trail,
    file_change,
    governance_change,
    origin_of,
    standing_of,
    status_changes,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from .git import Landed, Repository
    from .git.history import Version
    from .model import (
        Arrival,
        Assessment,
        Findings,
        Judgement,
        Library,
        RequirementStatus,
        Stale,
    )
    from .model import Standing as StateRecord
    from .proofs import Witness
    from .trail import FileChange, GovernanceChange, Origin

Tree = dict[str, str]
"""path → blob, of plain files alone."""

_PEOPLE = "signoffs/people.yml"
_SHOWN_RUNS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What stands at the commit whose history is walked."""

    commit: str
    library: Library
    ledger: Ledger
    opening: tuple[StateRecord, ...]
    """The state that opens the assessment's period."""
    assessment: Assessment
    witnesses: tuple[Witness, ...] = ()
    """Checkpoints with their time stamps, for proofs of level L3."""


def retrace(repository: Repository, present: Present) -> Trail:
    """Derive the trail of one assessment from the history behind a commit."""
    walk = _Walk(repository, present)
    points = tuple(walk.points())
    return Trail(
        changes=status_changes(points),
        stale=tuple(walk.stale()),
        governance=tuple(walk.governance()),
        backwards=tuple(
            Backwards(
                commit=commit.id, at=commit.at, parent=parent.id, parent_at=parent.at
            )
            for commit, parent in reversed(
                ran_backwards(repository.landed(present.commit))
            )
        ),
        points=walk.judged,
    )


@dataclass(slots=True)
class _View:
    """What one commit holds, as far as it was read."""

    library: Library
    findings: Findings
    ledger: Ledger


@dataclass(slots=True)
class _Since:
    """A part that differs from what was signed, and the commit that began it."""

    stale: Stale
    index: int
    """Of the commit; -1: before the evidence was complete."""


@dataclass
class _Walk:
    repository: Repository
    present: Present
    judged: int = 0
    _statuses: dict[str, RequirementStatus] = field(default_factory=dict)
    _since: dict[tuple[str, str, str], _Since] = field(default_factory=dict)
    _findings: dict[object, Findings] = field(default_factory=dict)
    _arrived: dict[str, tuple[int, Arrival]] = field(default_factory=dict)
    _view: _View | None = None

    # --- the history, read once ---------------------------------------------------

    @cached_property
    def line(self) -> tuple[Landed, ...]:
        """The commits of the branch's own line, oldest first."""
        return self.repository.landed(self.present.commit)[::-1]

    @cached_property
    def name(self) -> str:
        return self.present.assessment.id

    @cached_property
    def folder(self) -> str:
        return f"signoffs/{self.name}/"

    @cached_property
    def blobs(self) -> Mapping[str, bytes]:
        """Every governed file that any commit held, by blob."""
        return self.repository.blobs(
            change.blob
            for commit in self.line
            for change in commit.changes
            if change.status != "D" and change.mode == PLAIN and governed(change.path)
        )

    @cached_property
    def arrivals(self) -> Mapping[str, Mapping[str, Arrival]]:
        return self.repository.arrival_log(self.present.commit, self.folder)

    @cached_property
    def origins(self) -> Mapping[str, Origin]:
        pulls = {pull.merge: pull for pull in self.present.ledger.pulls}
        return {
            commit.id: origin_of(commit.id, commit.at, pulls, self.present.library)
            for commit in self.line
        }

    @cached_property
    def head(self) -> Tree:
        return self.tree_at(len(self.line) - 1)

    def tree_at(self, index: int) -> Tree:
        """Replay the files of a commit."""
        tree: Tree = {}
        for commit in self.line[: index + 1]:
            _apply(tree, commit)
        return tree

    # --- status after each commit -------------------------------------------------

    def points(self) -> Iterator[Point]:
        """Judge each commit that may have moved a requirement, oldest first."""
        tree: Tree = {}
        runs, closed, intact = 0, False, True
        numbers: tuple[str, ...] = ()
        for index, commit in enumerate(self.line):
            _apply(tree, commit)
            for path, arrival in self.arrivals.get(commit.id, {}).items():
                self._arrived[path] = (index, arrival)
            paths = [change.path for change in commit.changes]
            collected = any(path.startswith("evidence/config/") for path in paths)
            if collected:
                runs, intact = self._runs(tree)
                closed = self._closed(runs) if intact else closed
            touched = [path for path in paths if self._concerns(path)]
            if not (touched or (collected and closed)):
                continue
            if not closed:
                if any(self._scopes(path) for path in touched):
                    numbers = self._numbers(tree, numbers)
                    yield self._collecting(commit, numbers, touched)
                continue
            yield self._judge(index, tree, runs if intact else -1, touched)

    def _concerns(self, path: str) -> bool:
        """Tell whether a path may move this assessment's requirements."""
        if path.startswith("signoffs/"):
            return path == _PEOPLE or path.startswith(self.folder)
        return governed(path) and path != CODEOWNERS

    def _scopes(self, path: str) -> bool:
        framework = self.present.assessment.framework
        return path in {f"{self.folder}assessment.yml", f"frameworks/{framework}.yml"}

    def _runs(self, tree: Tree) -> tuple[int, bool]:
        """Count the manifests that a tree holds; tell whether they are the head's."""
        held = sum(path.startswith("evidence/config/") for path in tree)
        runs = self.present.ledger.config[:held]
        paths = [manifest_path("config", run.seq) for run in runs]
        return held, all(tree.get(path) == self.head.get(path) for path in paths)

    def _closed(self, count: int) -> bool:
        period = self.present.assessment.period
        runs = windows(self.present.ledger.config[:count])
        end = collected_until(runs, period.start)
        return end is not None and end >= period.end

    def _numbers(self, tree: Tree, before: tuple[str, ...]) -> tuple[str, ...]:
        try:
            library = read(self._files(tree))
        except InvalidFiles:
            return before
        found = library.assessments.get(self.name)
        return found.requirements if found else ()

    def _files(self, tree: Tree) -> dict[str, bytes]:
        return {
            path: self.blobs[blob] for path, blob in tree.items() if blob in self.blobs
        }

    def _collecting(
        self, commit: Landed, numbers: tuple[str, ...], touched: list[str]
    ) -> Point:
        return Point(
            origin=self.origins[commit.id],
            standings=dict.fromkeys(numbers, Standing(Status.COLLECTING.value)),
            causes=dict.fromkeys(
                numbers, tuple(sorted(filter(self._scopes, touched), reverse=True))
            ),
        )

    def _judge(self, index: int, tree: Tree, runs: int, touched: list[str]) -> Point:
        commit = self.line[index]
        self.judged += 1
        fault = self._look(tree, runs, touched)
        view = self._view
        if fault or view is None:
            self._view = None
            known = self._statuses or self.present.assessment.requirements
            return Point(
                origin=self.origins[commit.id],
                standings=dict.fromkeys(known, Standing(UNREADABLE, why=fault)),
                causes=dict.fromkeys(known, tuple(touched)),
            )
        numbers = self._affected(view, touched)
        found = approve(self._record(view), numbers)
        if numbers is None:
            self._statuses = {}
        self._statuses |= found
        self._note_stale(index, found)
        changed = [change.path for change in commit.changes]
        return Point(
            origin=self.origins[commit.id],
            standings={
                number: standing_of(self._statuses[number])
                for number in view.library.assessments[self.name].requirements
                if number in self._statuses
            },
            causes={n: self._causes(view, n, changed) for n in found},
        )

    def _look(self, tree: Tree, runs: int, touched: list[str]) -> str:
        """Read what a commit holds; give what is wrong with it, or nothing."""
        if runs < 0:
            return "a run manifest of this commit is not the one that stands today"
        try:
            if self._view and self._records_alone(touched):
                files = self._files({p: tree[p] for p in touched if p in tree})
                library = with_records(self._view.library, files, touched)
            else:
                library = read(self._files(tree))
        except InvalidFiles as error:
            more = len(error.problems) - 1
            return f"{error.problems[0]}" + (f"; and {more} more" if more else "")
        assessment = library.assessments.get(self.name)
        if assessment is None:
            return f"there is no {self.folder}assessment.yml"
        config = self.present.ledger.config
        if opening_run(config[:runs], assessment.period) != opening_run(
            config, self.present.assessment.period
        ):
            return "the period began at another time"
        ledger = Ledger(
            runs={**self.present.ledger.runs, "config": config[:runs]},
        )
        self._view = _View(library, self._find(tree, library, ledger, runs), ledger)
        return ""

    def _records_alone(self, touched: list[str]) -> bool:
        parts = (f"{self.folder}controls/", f"{self.folder}requirements/")
        return bool(touched) and all(path.startswith(parts) for path in touched)

    def _find(
        self, tree: Tree, library: Library, ledger: Ledger, runs: int
    ) -> Findings:
        """Derive findings once for what they depend on."""
        parts = ("controls/", "frameworks/", "evidence/manual/")
        scope = f"{self.folder}assessment.yml"
        own = frozenset(
            (path, blob)
            for path, blob in tree.items()
            if path.startswith(parts) or path == scope
        )
        key = (own, runs)
        if key not in self._findings:
            assessment = library.assessments[self.name]
            self._findings[key] = assess(
                library, ledger, self.present.opening, assessment
            )
        return self._findings[key]

    def _record(self, view: _View) -> Record:
        arrivals = {path: found for path, (_, found) in self._arrived.items()}
        assessment = view.library.assessments[self.name]
        return Record(
            library=view.library,
            findings=view.findings,
            ledger=view.ledger,
            assessment=assessment,
            arrivals=arrivals,
            proofs=prove(
                view.library, view.ledger, arrivals, self.present.witnesses, Trust()
            ),
            grants=granted(assessment, self.scopes) if assessment.delegations else (),
        )

    @cached_property
    def scopes(self) -> tuple[Version, ...]:
        """Every version of the assessment's file, newest first."""
        path = self.present.assessment.path
        return self.repository.versions(self.present.commit, path)

    def _affected(self, view: _View, touched: list[str]) -> Collection[str] | None:
        """Name the requirements that a commit's records concern; None: all."""
        if not self._statuses or not self._records_alone(touched):
            return None
        stems = [
            path.removeprefix(self.folder).removesuffix(".yml") for path in touched
        ]
        signed = {s.partition("/")[2] for s in stems if s.startswith("requirements/")}
        attested = {s.partition("/")[2] for s in stems if s.startswith("controls/")}
        assessment = view.library.assessments[self.name]
        table = view.library.frameworks[assessment.framework].requirements
        return {
            number
            for number in assessment.requirements
            if number in signed or attested & set(table[number].controls)
        }

    def _causes(self, view: _View, number: str, paths: list[str]) -> tuple[str, ...]:
        """Choose the changed files that concern a requirement, the nearest first."""
        assessment = view.library.assessments[self.name]
        item = view.library.frameworks[assessment.framework].requirements[number]
        libraries = (view.library, self.present.library)
        wanted = [
            {f"{self.folder}requirements/{number}.yml"},
            {f"{self.folder}controls/{name}.yml" for name in item.controls},
            self._notes(view.findings, number, libraries),
            {f"controls/{name}.yml" for name in item.controls},
            _papers(item.controls, libraries),
            {f"frameworks/{assessment.framework}.yml"},
            {f"{self.folder}assessment.yml", _PEOPLE},
            {path for path in paths if path.startswith("evidence/config/")},
        ]
        found = [path for some in wanted for path in sorted(some.intersection(paths))]
        rest = [path for path in paths if self._concerns(path)]
        return tuple(dict.fromkeys(found or rest))

    def _notes(
        self, findings: Findings, number: str, libraries: tuple[Library, ...]
    ) -> set[str]:
        own = findings.requirements[number]
        return {
            note.path
            for library in libraries
            for note in annotations_of(library, own.ids, own.controls)
        }

    # --- since when what is stale ---------------------------------------------------

    def _note_stale(self, index: int, found: Mapping[str, RequirementStatus]) -> None:
        first = self.judged == 1
        for judgement in _judgements(found.values()):
            file = judgement.signoff
            if file is None:
                continue
            parts = {stale.name: stale for stale in judgement.stale}
            for key in [k for k in self._since if k[0] == file.path]:
                if key[1] != file.sha256 or key[2] not in parts:
                    del self._since[key]
            early = first and self._arrived[file.path][0] < index
            for name, stale in parts.items():
                key = (file.path, file.sha256, name)
                known = self._since.get(key)
                at = known.index if known else -1 if early else index
                self._since[key] = _Since(stale, at)

    def stale(self) -> Iterator[StaleSince]:
        """Give each part that is stale at the head, since when, and what changed."""
        for (path, _, part), since in sorted(self._since.items()):
            if path not in self.head:
                continue
            start = since.index - 1 if since.index >= 0 else self._arrived[path][0]
            arrived = self._arrived[path][0]
            old = self.tree_at(max(start, arrived))
            yield StaleSince(
                path=path,
                part=part,
                signed=since.stale.signed,
                now=since.stale.now,
                origin=self.origins[self.line[since.index].id]
                if since.index >= 0
                else None,
                files=tuple(self._differences(path, part, old)),
            )

    def _differences(self, record: str, part: str, old: Tree) -> Iterator[FileChange]:
        """Compare the files behind one part of a subject, then and now."""
        about = record.removeprefix(self.folder).removesuffix(".yml")
        kind, _, name = about.partition("/")
        assessment = self.present.assessment
        framework = self.present.library.frameworks[assessment.framework]
        item = framework.requirements.get(name) if kind == "requirements" else None
        controls = item.controls if item else () if kind == "requirements" else (name,)
        paths = {path for path in {*old, *self.head} if self._behind(path, part)}
        own = {f"controls/{control}.yml" for control in controls}
        records = {f"{self.folder}controls/{control}.yml" for control in controls}
        notes, internal = self._covering(old, controls)
        runs = 0
        for path in sorted(paths):
            if (
                old.get(path) == self.head.get(path)
                or (path.startswith("controls/") and path not in own)
                or (path.startswith(f"{self.folder}controls/") and path not in records)
                or (path.startswith("annotations/") and path not in notes)
            ):
                continue
            runs += path.startswith("evidence/config/")
            if runs <= _SHOWN_RUNS:
                found = file_change(
                    path, self._bytes(old.get(path)), self._bytes(self.head.get(path))
                )
                yield replace(found, difference=()) if path in internal else found

    def _behind(self, path: str, part: str) -> bool:
        prefixes: Mapping[str, tuple[str, ...]] = {
            "controls": ("controls/",),
            "mapping": (
                f"frameworks/{self.present.assessment.framework}.yml",
                "controls/",
            ),
            "scope": (f"{self.folder}assessment.yml",),
            "evidence": ("evidence/config/", "controls/"),
            "findings": ("evidence/config/", "controls/", "evidence/manual/"),
            "annotations": ("annotations/",),
            "manual": ("evidence/manual/", "controls/"),
            "attestations": (f"{self.folder}controls/",),
        }
        return path.startswith(prefixes.get(part, ()))

    def _covering(
        self, old: Tree, controls: Collection[str]
    ) -> tuple[set[str], set[str]]:
        """Name the annotations, then or now, on these controls and their findings.

        The second set names those that auditors may not read.
        """
        try:
            before = read(self._files(old))
        except InvalidFiles:
            before = self.present.library
        view = self._view
        ids = {
            id_
            for control in controls
            for findings in (view.findings if view else None,)
            if findings and control in findings.controls
            for id_ in findings.controls[control].ids
        }
        notes = [
            note
            for library in (before, self.present.library)
            for note in annotations_of(library, ids, controls)
        ]
        return (
            {note.path for note in notes},
            {note.path for note in notes if note.audience == "internal"},
        )

    def _bytes(self, blob: str | None) -> bytes | None:
        if blob is None:
            return None
        if blob not in self.blobs:
            return self.repository.blobs([blob]).get(blob)
        return self.blobs[blob]

    # --- who changed the rules ------------------------------------------------------

    def governance(self) -> Iterator[GovernanceChange]:
        """List every change of rules, people and scope since the period's evidence."""
        watched = {CODEOWNERS, _PEOPLE, f"{self.folder}assessment.yml"}
        first = opening_run(self.present.ledger.config, self.present.assessment.period)
        opening = manifest_path("config", first.seq) if first else ""
        begun = not opening
        tree: Tree = {}
        for commit in self.line:
            before = {path: tree.get(path) for path in watched}
            _apply(tree, commit)
            changed = {change.path for change in commit.changes}
            for path in sorted(watched & changed) if begun else ():
                old, new = self._bytes(before[path]), self._bytes(tree.get(path))
                yield governance_change(
                    self.origins[commit.id],
                    file_change(path, old, new),
                    (old or b"", new or b""),
                    tree,
                    tuple(sorted(p for p in changed if _is_record(p))),
                )
            begun = begun or opening in changed


def _apply(tree: Tree, commit: Landed) -> None:
    for change in commit.changes:
        if change.status == "D" or change.mode != PLAIN:
            tree.pop(change.path, None)
        elif change.path.startswith("evidence/") or governed(change.path):
            tree[change.path] = change.blob


def _judgements(statuses: Collection[RequirementStatus]) -> Iterator[Judgement]:
    for status in statuses:
        yield status.judgement
        yield from status.attestations.values()


def _papers(controls: Collection[str], libraries: tuple[Library, ...]) -> set[str]:
    return {
        f"evidence/manual/{evidence.document}.yml"
        for library in libraries
        for name in controls
        if name in library.controls
        for evidence in library.controls[name].evidence
        if isinstance(evidence, ManualDocument)
    }


def _is_record(path: str) -> bool:
    parts = path.split("/")
    return parts[0] == "signoffs" and parts[-2:-1] in (["controls"], ["requirements"])
