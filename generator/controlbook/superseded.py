# SPDX-License-Identifier: Apache-2.0
"""What an annotation or a sign-off names, and later evidence moved or took away.

Rules enforced here (design section 6, ADR 0027):
- an annotation explains an interval with the bounds that it states, and no other: what
  moved is confirmed again by a person, never carried over silently;
- what an id stood for is derived: it is what the ledger says without its latest
  corrections and backfills, the newest left out first;
- what supersedes it is what stands, for the same rule and resource or the same place,
  anywhere within its bounds; that may be several things (split), one that supersedes
  others too (merged), or nothing (there is evidence by now).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .assess import assess
from .ledger import manifest_path
from .model import ALL, Deviation, Gap
from .sight import opening_run
from .timeline import told

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from .model import (
        Annotation,
        Assessment,
        Findings,
        Ledger,
        Library,
        Run,
    )
    from .opened import Opening
    from .timeline import Instant

Bounds = tuple["Instant", "Instant | None"]
"""Start and end; no end: still open."""
Named = tuple[str, Bounds | None]
"""An id, and the bounds that are stated of it."""
Before = tuple[Deviation | Gap, "Run", frozenset[str]]
"""What it stood for, the run that moved it, and the controls whose evidence it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """One id that a file names, as the file knows it and as the ledger has it now."""

    path: str
    """The annotation, attestation or sign-off that names it."""
    line: int
    id: str
    said: Bounds | None
    """What the annotation states; None: it states nothing."""
    was: Deviation | Gap | None
    """What it stood for before `by`; None where only its end moved, in its time."""
    by: Run | None
    """The correction or backfill that moved it."""
    now: tuple[Deviation | Gap, ...]
    controls: frozenset[str]
    """The controls whose evidence it is, or was."""

    @property
    def manifest(self) -> str:
        """Name the manifest that moved it, or nothing."""
        return manifest_path(self.by.stream, self.by.seq) if self.by else ""

    @property
    def place(self) -> str:
        """Say where it is named, `file:line`."""
        return f"{self.path}:{self.line}"

    @property
    def words(self) -> str:
        """Say what it was, what moved it, and what stands there now."""
        if self.said:
            was = f"{self.id} is stated as {told(*self.said)}"
        elif self.was:
            was = f"{self.id} stood from {told(self.was.start, self.was.end)}"
        else:
            was = f"the times of {self.id} are not stated"
        moved = ""
        if self.by:
            corrects = f" (corrects {self.by.corrects:06d})" if self.by.corrects else ""
            moved = f"; {self.manifest}, a {self.by.kind}{corrects}, moved it"
        stands = " and ".join(
            f"{'it' if item.id == self.id else item.id} from"
            f" {told(item.start, item.end)}"
            for item in self.now
        )
        return f"{was}{moved}; {f'now {stands}' if stands else 'nothing is left of it'}"

    @property
    def advice(self) -> str:
        """Say what to do about it."""
        if not self.path.startswith("annotations/"):
            return "`attest` and `signoff` write it again, over what stands now"
        if self.now:
            return (
                "read the text again; if it explains this, run"
                f" `controlbook annotate --refresh {self.path}`"
            )
        return f"take {self.id} out; `controlbook annotate --refresh {self.path}` does"


def superseded(
    library: Library,
    ledger: Ledger,
    opening: Opening,
    assessment: Assessment,
    findings: Findings,
    files: Mapping[str, bytes],
) -> tuple[Superseded, ...]:
    """List what annotations, attestations and sign-offs name that moved or is gone.

    An id that was never this assessment's is none of its business.
    """
    facts = facts_of(findings)
    named = [
        *_annotated(library, assessment, facts),
        *_acknowledged(library, assessment, facts),
    ]
    if not named:
        return ()
    certain = {id_ for path, id_, _ in named if not path.startswith("annotations/")}
    found = _before(
        library,
        ledger,
        opening,
        assessment,
        {(id_, said): id_ in facts or id_ in certain for _, id_, said in named},
    )
    rows = []
    for path, id_, said in named:
        was, by, controls = found.get((id_, said), (None, None, frozenset[str]()))
        item = facts.get(id_)
        if item is None and was is None:
            continue
        like = item or was
        rows.append(
            Superseded(
                path=path,
                line=_line(files.get(path, b""), id_),
                id=id_,
                said=said,
                was=was,
                by=by,
                now=_successors(like, said, facts.values()) if like else (),
                controls=controls or _controls(findings, id_),
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.path, row.line, row.id)))


def facts_of(findings: Findings) -> dict[str, Deviation | Gap]:
    """Give every deviation and gap of an assessment by its id, unmapped ones too."""
    items: tuple[Deviation | Gap, ...] = (
        *findings.deviations,
        *findings.gaps,
        *findings.unmapped,
    )
    return {item.id: item for item in items}


def _annotated(
    library: Library,
    assessment: Assessment,
    facts: Mapping[str, Deviation | Gap],
) -> Iterator[tuple[str, str, Bounds | None]]:
    """Give what annotations state that is not, and what nobody states otherwise."""
    period = assessment.period
    notes = [note for note in library.annotations if note.covers]
    settled = {
        id_
        for note in notes
        for id_ in note.covers
        if id_ in facts and note.stated(id_) == (facts[id_].start, facts[id_].end)
    }
    for note in notes:
        for id_ in note.covers:
            said = note.stated(id_)
            elsewhere = said is not None and (
                said[0] >= period.end
                or (said[1] is not None and said[1] <= period.start)
            )
            if id_ not in library.controls and id_ not in settled and not elsewhere:
                yield note.path, id_, said


def _acknowledged(
    library: Library, assessment: Assessment, facts: Mapping[str, Deviation | Gap]
) -> Iterator[tuple[str, str, None]]:
    for file in library.signoffs:
        if file.assessment == assessment.id:
            for id_ in file.acknowledged:
                if id_ not in facts:
                    yield file.path, id_, None


def _before(
    library: Library,
    ledger: Ledger,
    opening: Opening,
    assessment: Assessment,
    wanted: Mapping[Named, bool],
) -> dict[Named, Before]:
    """Find what ids stood for: leave out one more correction or backfill at a time.

    `wanted` says which are this assessment's for certain. The others may be any
    assessment's: they are looked for only where one of them stood before all of these.
    """
    late = sorted(
        _late(ledger, assessment), key=lambda r: (r.finished, r.stream, r.seq)
    )
    if not late:
        return {}

    def without(runs: Iterable[Run]) -> Findings:
        gone = {(run.stream, run.seq) for run in runs}
        return assess(library, _without(ledger, gone), opening, assessment)

    if not any(wanted.values()):
        first = facts_of(without(late))
        if not any(id_ in first for id_, _ in wanted):
            return {}
    found: dict[Named, Before] = {}
    for place in reversed(range(len(late))):
        if len(found) == len(wanted):
            break
        before = without(late[place:])
        items = facts_of(before)
        for id_, said in wanted.keys() - found.keys():
            item = items.get(id_)
            if item and said in {None, (item.start, item.end)}:
                found[id_, said] = (item, late[place], _controls(before, id_))
    return found


def _late(ledger: Ledger, assessment: Assessment) -> Iterator[Run]:
    """Give the runs that came after their time; not the one that opens the period."""
    first = opening_run(ledger.config, assessment.period)
    for runs in ledger.runs.values():
        for run in runs:
            meets = run.window.clip(assessment.period) is not None
            if run.kind != "regular" and meets and run is not first:
                yield run


def _without(ledger: Ledger, gone: Collection[tuple[str, int]]) -> Ledger:
    runs = {
        stream: tuple(run for run in runs if (stream, run.seq) not in gone)
        for stream, runs in ledger.runs.items()
    }
    return replace(ledger, runs=runs)


def _controls(findings: Findings, id_: str) -> frozenset[str]:
    return frozenset(name for name, own in findings.controls.items() if id_ in own.ids)


def _successors(
    like: Deviation | Gap, said: Bounds | None, facts: Iterable[Deviation | Gap]
) -> tuple[Deviation | Gap, ...]:
    """Give what stands for the same thing, anywhere within its bounds."""
    start, end = said or (like.start, like.end)
    found = sorted(
        (
            item
            for item in facts
            if _same(like, item)
            and (end is None or item.start < end)
            and (item.end is None or start < item.end)
        ),
        key=lambda item: (item.start, item.id),
    )
    # What was open has one continuation; a later relapse is another deviation.
    return tuple(found[:1] if end is None else found)


def _same(one: Deviation | Gap, other: Deviation | Gap) -> bool:
    if isinstance(one, Deviation) and isinstance(other, Deviation):
        return (
            (one.identifier, one.parameters, one.account, one.region, one.resource)
        ) == (
            (
                other.identifier,
                other.parameters,
                other.account,
                other.region,
                other.resource,
            )
        )
    if isinstance(one, Gap) and isinstance(other, Gap):
        mine = (one.account, one.region, one.rule)
        return all(
            ALL in pair or pair[0] == pair[1]
            for pair in zip(
                mine, (other.account, other.region, other.rule), strict=True
            )
        )
    return False


def _line(data: bytes, id_: str) -> int:
    """Give the line on which a file names an id."""
    before, found, _ = data.partition(id_.encode())
    return before.count(b"\n") + 1 if found else 1


def refreshed(
    note: Annotation, facts: Mapping[str, Deviation | Gap], rows: Iterable[Superseded]
) -> tuple[Deviation | Gap, ...]:
    """Give what an annotation covers when it is carried over to what stands now."""
    moved: dict[str, list[Deviation | Gap]] = defaultdict(list)
    for row in rows:
        if row.path == note.path:
            moved[row.id].extend(row.now)
    items = [
        item
        for id_ in note.covers
        for item in (moved.get(id_) or ([facts[id_]] if id_ in facts else []))
    ]
    return tuple({item.id: item for item in items}.values())
