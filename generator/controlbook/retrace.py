# SPDX-License-Identifier: Apache-2.0
"""Walking a branch's own line again: from Git's history to the trail of an assessment.

Rules enforced here:
- while evidence is collected every requirement is `collecting`, so nothing is judged;
- afterwards each commit that touches the assessment is judged, evidence included, on
  its own tree: a commit that brings sign-offs alone is judged for what they concern;
- run manifests of every stream are the head's, as far as a commit had them; one that
  was another in history makes that commit unreadable.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from .approve import approve
from .assess import assess
from .coverage import collected_until, windows
from .errors import InvalidFiles
from .git import CODEOWNERS, ran_backwards
from .ledger import manifest_path
from .library import governed, read, with_records
from .model import FOLLOWING, ManualDocument, Status
from .narratives import folded
from .proofs import Trust, granted, prove
from .reach import SLACK, near
from .record import Record
from .replay import Replay, Tree, apply
from .sight import opening_run
from .staleness import Staleness
from .subjects import annotations_of
from .timeline import iso
from .trail import (
    UNREADABLE,
    Backwards,
    Point,
    Standing,
    Trail,
    file_change,
    governance_change,
    standing_of,
    status_changes,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from .git import Landed, Repository
    from .model import (
        Arrival,
        Assessment,
        Findings,
        Ledger,
        Library,
        RequirementStatus,
    )
    from .replay import Present
    from .trail import GovernanceChange

_PEOPLE = "signoffs/people.yml"

Held = dict[str, int]
"""stream → up to which of its runs a commit holds those that may move findings."""


def retrace(repository: Repository, present: Present) -> Trail:
    """Derive the trail of one assessment from the history behind a commit."""
    replay = Replay(repository, present)
    walk = _Walk(replay, Staleness(replay))
    points = tuple(walk.points())
    return Trail(
        changes=status_changes(points),
        stale=tuple(walk.staleness.rows(walk.findings)),
        governance=tuple(governance(replay)),
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


@dataclass
class _Walk:
    replay: Replay
    staleness: Staleness
    judged: int = 0
    _statuses: dict[str, RequirementStatus] = field(default_factory=dict)
    _findings: dict[object, Findings] = field(default_factory=dict)
    _arrived: dict[str, Arrival] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _view: _View | None = None

    def __post_init__(self) -> None:
        """Begin with what was derived of the present."""
        present = self.replay.present
        if present.findings:
            head = self.replay.head
            key = self._rests_on(head, self._runs(head)[0])
            self._findings[key] = present.findings

    @property
    def findings(self) -> Findings | None:
        """Give the findings at the last commit that could be judged."""
        return self._view.findings if self._view else None

    def points(self) -> Iterator[Point]:
        """Judge each commit that may have moved a requirement, oldest first."""
        tree: Tree = {}
        runs: Held = {}
        closed, intact = False, True
        numbers: tuple[str, ...] = ()
        for index, commit in enumerate(self.replay.line):
            apply(tree, commit)
            self._seen.add(commit.id)
            arrived = self.replay.arrivals.get(commit.id, {})
            self._arrived.update(arrived)
            self.staleness.arrived.update(dict.fromkeys(arrived, index))
            paths = [change.path for change in commit.changes]
            config = any(path.startswith("evidence/config/") for path in paths)
            other = any(map(self._meets, paths))
            collected = config or other
            if collected:
                runs, intact = self._runs(tree)
            if config:
                closed = self._closed(runs["config"]) if intact else closed
            touched = [path for path in paths if self._concerns(path)]
            if not (touched or (collected and closed)):
                continue
            if not closed:
                if any(self._scopes(path) for path in touched):
                    numbers = self._numbers(tree, numbers)
                    yield self._collecting(commit, numbers, touched)
                continue
            yield self._judge(index, tree, runs if intact else None, touched)

    def _concerns(self, path: str) -> bool:
        """Tell whether a path may move this assessment's requirements."""
        if path.startswith("signoffs/"):
            return path == _PEOPLE or path.startswith(self.replay.folder)
        return governed(path) and path != CODEOWNERS

    def _scopes(self, path: str) -> bool:
        framework = self.replay.present.assessment.framework
        return path in {
            f"{self.replay.folder}assessment.yml",
            f"frameworks/{framework}.yml",
        }

    @cached_property
    def _others(self) -> Mapping[str, Mapping[str, int]]:
        """Name the manifests of other streams that speak of the period, with places.

        A correction of the period may stand behind runs that are after it.
        """
        period = self.replay.present.assessment.period
        return {
            stream: {
                manifest_path(stream, run.seq): place
                for place, run in enumerate(runs, 1)
                if near(run.window, period) and run.window.start < period.end + SLACK
            }
            for stream, runs in self.replay.present.ledger.runs.items()
            if stream != "config" and stream not in FOLLOWING
        }

    def _meets(self, path: str) -> bool:
        """Tell whether a path is one of these manifests."""
        return any(path in known for known in self._others.values())

    def _runs(self, tree: Tree) -> tuple[Held, bool]:
        """Count the manifests that a tree holds; tell whether they are the head's."""
        held = {"config": sum(path.startswith("evidence/config/") for path in tree)}
        config = self.replay.present.ledger.config[: held["config"]]
        paths = [manifest_path("config", run.seq) for run in config]
        for stream, known in self._others.items():
            there = [path for path in known if path in tree]
            held[stream] = max((known[path] for path in there), default=0)
            paths += there
        return held, all(tree.get(path) == self.replay.head.get(path) for path in paths)

    def _closed(self, count: int) -> bool:
        period = self.replay.present.assessment.period
        runs = windows(self.replay.present.ledger.config[:count])
        end = collected_until(runs, period.start)
        return end is not None and end >= period.end

    def _numbers(self, tree: Tree, before: tuple[str, ...]) -> tuple[str, ...]:
        try:
            library = read(self.replay.files(tree))
        except InvalidFiles:
            return before
        found = library.assessments.get(self.replay.name)
        return found.requirements if found else ()

    def _collecting(
        self, commit: Landed, numbers: tuple[str, ...], touched: list[str]
    ) -> Point:
        return Point(
            origin=self.replay.origins[commit.id],
            standings=dict.fromkeys(numbers, Standing(Status.COLLECTING.value)),
            causes=dict.fromkeys(
                numbers, tuple(sorted(filter(self._scopes, touched), reverse=True))
            ),
        )

    def _judge(
        self, index: int, tree: Tree, runs: Held | None, touched: list[str]
    ) -> Point:
        commit = self.replay.line[index]
        self.judged += 1
        before = self._view
        fault = self._look(tree, runs, touched)
        view = self._view
        if fault or view is None:
            self._view = None
            known = self._statuses or self.replay.present.assessment.requirements
            return Point(
                origin=self.replay.origins[commit.id],
                standings=dict.fromkeys(known, Standing(UNREADABLE, why=fault)),
                causes=dict.fromkeys(known, tuple(touched)),
            )
        numbers = self._affected(before, view, touched)
        found = approve(self._record(view), numbers)
        if numbers is None:
            self._statuses = {}
        self._statuses |= found
        self.staleness.note(index, found, first=self.judged == 1)
        changed = [change.path for change in commit.changes]
        return Point(
            origin=self.replay.origins[commit.id],
            standings={
                number: standing_of(self._statuses[number])
                for number in view.library.assessments[self.replay.name].requirements
                if number in self._statuses
            },
            causes={n: self._causes(view, n, changed) for n in found},
        )

    def _look(self, tree: Tree, runs: Held | None, touched: list[str]) -> str:
        """Read what a commit holds; give what is wrong with it, or nothing."""
        if runs is None:
            return "a run manifest of this commit is not the one that stands today"
        try:
            if self._view and self._records_alone(touched):
                files = self.replay.files({p: tree[p] for p in touched if p in tree})
                library = with_records(self._view.library, files, touched)
            else:
                library = read(self.replay.files(tree))
        except InvalidFiles as error:
            more = len(error.problems) - 1
            return f"{error.problems[0]}" + (f"; and {more} more" if more else "")
        assessment = library.assessments.get(self.replay.name)
        if assessment is None:
            return f"there is no {self.replay.folder}assessment.yml"
        config = self.replay.present.ledger.config
        if reason := _beyond(self.replay.present.ledger, assessment):
            return reason
        if opening_run(config[: runs["config"]], assessment.period) != opening_run(
            config, self.replay.present.assessment.period
        ):
            return "the period began at another time"
        known = self.replay.present.ledger.runs
        ledger = replace(
            self.replay.present.ledger,
            runs={
                **known,
                **{name: known.get(name, ())[:n] for name, n in runs.items()},
            },
        )
        self._view = _View(library, self._find(tree, library, ledger, runs), ledger)
        return ""

    def _records_alone(self, touched: list[str]) -> bool:
        parts = (f"{self.replay.folder}controls/", f"{self.replay.folder}requirements/")
        return bool(touched) and all(path.startswith(parts) for path in touched)

    def _find(
        self, tree: Tree, library: Library, ledger: Ledger, runs: Held
    ) -> Findings:
        """Derive findings once for what they depend on."""
        key = self._rests_on(tree, runs)
        if key not in self._findings:
            assessment = library.assessments[self.replay.name]
            self._findings[key] = assess(
                library, ledger, self.replay.present.opening, assessment
            )
        return self._findings[key]

    def _rests_on(self, tree: Tree, runs: Held) -> object:
        """Give what findings depend on: files of a tree, and how many runs."""
        parts = ("controls/", "frameworks/", "evidence/manual/")
        scope = f"{self.replay.folder}assessment.yml"
        own = frozenset(
            (path, blob)
            for path, blob in tree.items()
            if path.startswith(parts) or path == scope
        )
        return own, tuple(sorted(runs.items()))

    def _record(self, view: _View) -> Record:
        arrivals = dict(self._arrived)
        assessment = view.library.assessments[self.replay.name]
        # A delegation is approved by what stood then, whatever was taken back since.
        scopes = [each for each in self.replay.scopes if each.commit in self._seen]
        return Record(
            library=view.library,
            findings=view.findings,
            ledger=view.ledger,
            assessment=assessment,
            arrivals=arrivals,
            # Nothing is proven beyond L1 where nobody ever signed.
            proofs=prove(
                view.library,
                view.ledger,
                arrivals,
                self.replay.present.witnesses,
                Trust(),
            )
            if _sealed(self.replay.present.ledger)
            else {},
            grants=granted(assessment, scopes) if assessment.delegations else (),
        )

    def _affected(
        self, before: _View | None, view: _View, touched: list[str]
    ) -> Collection[str] | None:
        """Name the requirements that a commit's records concern; None: all.

        A statement that stands for many concerns all of them.
        """
        if before is None or not self._records_alone(touched):
            return None
        name = self.replay.name
        files = [*before.library.signoffs, *view.library.signoffs]
        texts = {folded(file.statement) for file in files if file.path in touched}
        concerned = {
            (file.role, file.about)
            for file in files
            if file.assessment == name
            and (file.path in touched or folded(file.statement) in texts)
        }
        assessment = view.library.assessments[name]
        table = view.library.frameworks[assessment.framework].requirements
        return {
            number
            for number in assessment.requirements
            if ("assessor", number) in concerned
            or any(
                ("owner", control) in concerned for control in table[number].controls
            )
        }

    def _causes(self, view: _View, number: str, paths: list[str]) -> tuple[str, ...]:
        """Choose the changed files that concern a requirement, the nearest first."""
        assessment = view.library.assessments[self.replay.name]
        item = view.library.frameworks[assessment.framework].requirements[number]
        libraries = (view.library, self.replay.present.library)
        wanted = [
            {f"{self.replay.folder}requirements/{number}.yml"},
            {f"{self.replay.folder}controls/{name}.yml" for name in item.controls},
            self._notes(view.findings, number, libraries),
            {f"controls/{name}.yml" for name in item.controls},
            _papers(item.controls, libraries),
            {f"frameworks/{assessment.framework}.yml"},
            {f"{self.replay.folder}assessment.yml", _PEOPLE},
            {
                path
                for path in paths
                if path.startswith("evidence/config/") or self._meets(path)
            },
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


def governance(replay: Replay) -> Iterator[GovernanceChange]:
    """List every change of rules, people and scope since the period's evidence."""
    watched = {CODEOWNERS, _PEOPLE, f"{replay.folder}assessment.yml"}
    first = opening_run(replay.present.ledger.config, replay.present.assessment.period)
    opening = manifest_path("config", first.seq) if first else ""
    begun = not opening
    tree: Tree = {}
    for commit in replay.line:
        before = {path: tree.get(path) for path in watched}
        apply(tree, commit)
        changed = {change.path for change in commit.changes}
        for path in sorted(watched & changed) if begun else ():
            old, new = replay.body(before[path]), replay.body(tree.get(path))
            yield governance_change(
                replay.origins[commit.id],
                file_change(path, old, new),
                (old or b"", new or b""),
                tree,
                tuple(sorted(p for p in changed if _is_record(p))),
            )
        begun = begun or opening in changed


def _beyond(ledger: Ledger, assessment: Assessment) -> str:
    """Say what an assessment covered then and nobody has read now, or nothing.

    Where lists moved out of the manifests, those of today's scope are read.
    """
    if ledger.accounts is None:
        return ""
    lost = {number for _, number in assessment.accounts} - ledger.accounts
    if lost:
        return f"it covered {', '.join(sorted(lost))} then, which it does not now"
    if ledger.until is not None and assessment.period.end > ledger.until:
        return f"its period ended at {iso(assessment.period.end)} then"
    return ""


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


def _sealed(ledger: Ledger) -> bool:
    """Tell whether any captured review carries an SSH signature."""
    return any(review.signatures for pull in ledger.pulls for review in pull.reviews)
