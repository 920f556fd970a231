# SPDX-License-Identifier: Apache-2.0
"""Collecting: from what a source reads to runs that nobody can unwrite.

Rules enforced here (trust.md section 1.3):
- the head of the chain is the vault's, not Git's: a manifest that only the vault has is
  first copied to Git, byte for byte;
- packs go to the vault first, among them the lists that are too long for Git, then the
  manifest under its number, created exclusively: that is the commit point; the same
  bytes go to Git last;
- who loses the race for a number reads the head again and starts over;
- no manifest is written that the ledger's own reader would refuse;
- of the past only the head is read, and what a source looks at: not a year of lists.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .digest import ZERO, canonical, digest_of
from .errors import ControlbookError, Exit
from .ledger import (
    Chain,
    LedgerError,
    manifest_bytes,
    manifest_path,
    read_heads,
)
from .lists import of_vault
from .manifest import listed, long_lists, starts_anew
from .model import Run, StoredObject
from .retention import retained_until
from .sources import Past, Scope
from .timeline import DAY, MINUTE, SECOND, Instant, Interval, iso
from .vault import TakenError, VaultIntegrityError
from .vault.packs import pack, records_of, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .manifest import Lists
    from .model import Assessment, Library
    from .sources import Reading, Source
    from .vault import Vault
    from .vault.packs import Pack

RACES = 5
"""How often a collector that lost the race starts over."""
SKEW_NOTED = 5 * MINUTE
SKEW_REFUSED = DAY

UNAVAILABLE = frozenset(
    {"account-missing", "source-failed", "source-outdated", "delivery-behind"}
)
"""Reasons for missing evidence that are the source's, not the programme's."""


class RaceLostError(ControlbookError):
    """Another collector wrote the manifest first, every time."""

    def __init__(self, place: str) -> None:
        """Name the manifest."""
        super().__init__(
            "another collector keeps writing this stream",
            place=place,
            advice="let one collector run at a time",
            code=Exit.UNAVAILABLE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection wrote, and how it went."""

    runs: tuple[Run, ...]
    recovered: tuple[str, ...] = ()
    """Manifests that the vault had and Git lacked, copied before anything else."""

    @property
    def code(self) -> Exit:
        """Say how it went: 5 where a source failed, 1 for other missing evidence."""
        reasons = {row.reason for run in self.runs for row in run.missing}
        if reasons & UNAVAILABLE or not all(run.complete for run in self.runs):
            return Exit.UNAVAILABLE
        return Exit.FOUND if reasons else Exit.FINE


@dataclass(frozen=True, kw_only=True)
class Collector:
    """Everything that a collection needs besides its source."""

    library: Library
    vault: Vault
    clock: Callable[[], Instant]
    commit: Callable[[Mapping[str, bytes], str], None]
    """Commits files, by repository path, with a message."""
    about: tuple[tuple[str, str], ...]
    """(name, version, commit, lock_sha256) of the program, sorted."""
    watch: Callable[[int, int], None] = lambda _done, _of: None
    """Told how many of how many windows are written."""

    def collect(self, source: Source, files: Mapping[str, bytes]) -> Collected:
        """Read every window that is due and write its run; `files` are the ledger's."""
        place = ""
        runs: list[Run] = []
        recovered: list[str] = []
        for _ in range(RACES):
            try:
                files = self._recover(source.stream, files, recovered)
                for run, data in self._runs(source, files):
                    runs.append(run)
                    files = {**files, manifest_path(run.stream, run.seq): data}
            except TakenError as error:
                place = error.place
                continue
            return Collected(runs=tuple(runs), recovered=tuple(recovered))
        raise RaceLostError(place)

    def _recover(
        self, stream: str, files: Mapping[str, bytes], recovered: list[str]
    ) -> Mapping[str, bytes]:
        """Copy to Git what only the vault has; refuse where Git has more."""
        prefix = f"ledger/{stream}/"
        locked = {
            f"evidence/{key.removeprefix('ledger/')}": key
            for key in self.vault.keys(prefix)
        }
        ours = sorted(path for path in files if path.startswith(f"evidence/{stream}/"))
        for path in ours:
            if path not in locked:
                message = "Git holds this manifest, the vault does not"
                advice = "restore the vault, or point the settings at the right one"
                raise VaultIntegrityError(message, path, advice)
        if ours and self.vault.get(locked[ours[-1]]) != files[ours[-1]]:
            message = "Git and the vault hold different bytes of this manifest"
            raise VaultIntegrityError(message, ours[-1])
        found = {
            path: self.vault.get(key)
            for path, key in sorted(locked.items())
            if path not in files
        }
        if not found:
            return files
        files = {**files, **found}
        read_heads(files, self._lists, stream)
        self.commit(found, f"Recover {stream}: {', '.join(map(_name, found))}")
        recovered += found
        return files

    def _runs(
        self, source: Source, files: Mapping[str, bytes]
    ) -> Iterator[tuple[Run, bytes]]:
        started = self.clock()
        chains = read_heads(files, self._lists, source.stream)
        chain = chains.get(source.stream) or Chain(source.stream, None, self._lists)
        past = Past(
            runs=tuple(chain.runs),
            states=lambda: _states(self.vault, chain.runs[-1]),
            records=lambda run: _records(self.vault, run),
            listed=lambda run: listed(run, self._lists),
        )
        windows = tuple(
            (window, scope_of(self.library, window, first=not past.runs))
            for window in source.windows(past, started)
        )
        scopes = dict(windows)
        if not windows:
            return
        self.watch(0, len(windows))
        for reading in source.read(windows, past, started):
            scope = scopes.get(reading.window, Scope(assessments=()))
            yield self._write(source.stream, chain, reading, scope, started)
            done = sum(window.end <= reading.window.end for window, _ in windows)
            self.watch(done, len(windows))

    def _write(
        self,
        stream: str,
        chain: Chain,
        reading: Reading,
        scope: Scope,
        started: Instant,
    ) -> tuple[Run, bytes]:
        previous = chain.runs[-1] if chain.runs else None
        until = retain_until(self.library, scope, reading.window)
        objects = [
            self._put(stream, role, packed, until) for role, packed in reading.packs
        ]
        run = _run(
            stream, reading, tuple(objects), previous, self.library.settings.ledger
        )
        run = replace(
            run,
            started=started,
            finished=self.clock(),
            anew=starts_anew(run, chain.runs),
            rules_root=chain.rules_root(run.rules),
            vault=self.vault.kind,
            collector=self.about,
            scopes=tuple(
                (assessment.id, scope_digest(assessment))
                for assessment in scope.assessments
            ),
            notes=(
                *_skew_notes(reading.aws_date, started),
                *_program_notes(self.about, previous),
                *run.notes,
            ),
        )
        run = replace(run, run_id=_run_id(run))
        lists = tuple(
            self._put(stream, role, pack(lines), until)
            for role, lines in long_lists(run, previous)
        )
        run = replace(run, objects=(*run.objects, *lists))
        data = manifest_bytes(run, previous)
        chain.add(run.seq, data)
        for place, message in chain.problems:
            # Ours, not a user's: it keeps its traceback.
            raise RuntimeError(f"{place}: {message}")  # noqa: EM102, TRY003
        key = f"ledger/{stream}/{run.seq:06d}.json"
        self.vault.put(key, data, role="manifest", retain_until=until)
        self.commit({manifest_path(stream, run.seq): data}, _message(run))
        return chain.runs[-1], data

    @property
    def _lists(self) -> Lists:
        return of_vault(lambda: self.vault)

    def _put(
        self, stream: str, role: str, packed: Pack, until: Instant
    ) -> StoredObject:
        key = packed.key(stream)
        try:
            stored = self.vault.put(key, packed.body, role=role, retain_until=until)
        except TakenError as error:
            # The key is the digest: other bytes under it are no race, but damage.
            raise VaultIntegrityError(error.message, error.place) from error
        return replace(
            stored,
            records=packed.records,
            content_sha256=packed.content_sha256,
            content_size=packed.content_size,
            records_root=packed.records_root,
        )


def _run(
    stream: str,
    reading: Reading,
    objects: tuple[StoredObject, ...],
    previous: Run | None,
    ledger: str,
) -> Run:
    """Give a reading its place in the chain."""
    counts: dict[str, int] = {}
    for row in reading.rules:
        for state, count in row.counts:
            counts[state] = counts.get(state, 0) + count
    return Run(
        stream=stream,
        seq=previous.seq + 1 if previous else 1,
        kind=reading.kind,
        prev=previous.sha256 if previous else ZERO,
        sha256="",
        ledger=ledger,
        window=reading.window,
        run_id="",
        started=Instant(0),
        finished=Instant(0),
        aws_date=reading.aws_date,
        principal=reading.principal,
        endpoint=reading.endpoint,
        vault="",
        collector=(),
        expected=reading.expected,
        collected=reading.collected,
        missing=reading.missing,
        pages=reading.pages,
        throttles=reading.throttles,
        complete=reading.complete,
        queries=reading.queries,
        counts=tuple(sorted(counts.items())),
        rules=reading.rules,
        rules_root="",
        transitions=reading.transitions,
        pulls=reading.pulls,
        objects=objects,
        notes=reading.notes,
        corrects=reading.corrects,
        organizations_sha256=reading.organizations_sha256,
        observations=reading.observations,
        asked=reading.asked,
        event_counts=reading.event_counts,
        events=reading.events,
        chains=reading.chains,
        contradictions=reading.contradictions,
    )


def _run_id(run: Run) -> str:
    """Name a run by its place and start, so that a repeated demo names it the same."""
    window = [iso(run.window.start), iso(run.window.end)]
    parts = [run.ledger, run.stream, run.seq, window, iso(run.started)]
    return str(uuid.uuid5(uuid.NAMESPACE_URL, canonical(parts).decode()))


def _states(vault: Vault, run: Run) -> Iterator[bytes]:
    """Read a run's state pack and hold it against what the manifest says."""
    for stored in run.objects:
        if stored.role == "state":
            body = vault.get(stored.key, stored.version_id)
            yield from records_of(body, stored)
            return
    if run.rules:
        message = "the run names no state pack"
        raise LedgerError(message, manifest_path(run.stream, run.seq))


def _records(vault: Vault, run: Run) -> tuple[bytes, ...]:
    """Read a run's record pack and hold it against what the manifest says."""
    for stored in run.objects:
        if stored.role == "records":
            return unpack(vault.get(stored.key, stored.version_id), stored)
    return ()


def scope_of(library: Library, window: Interval, *, first: bool) -> Scope:
    """Give the assessments that want a window: those whose period it touches.

    The first window also counts for a period that begins at its end: it holds the
    state that opens the period.
    """
    return Scope(
        assessments=tuple(
            assessment
            for _, assessment in sorted(library.assessments.items())
            if assessment.period.clip(window)
            or (first and assessment.period.start == window.end)
        )
    )


def scope_digest(assessment: Assessment) -> str:
    """Bind what an assessment demanded of a run: its places and its period."""
    return digest_of(
        {
            "accounts": [number for _, number in assessment.accounts],
            "regions": list(assessment.regions),
            "start": iso(assessment.period.start),
            "end": iso(assessment.period.end),
        }
    )


def retain_until(library: Library, scope: Scope, window: Interval) -> Instant:
    """Give how long a run's objects are locked: the longest that anyone asks for."""
    return retained_until(library, scope.assessments, window.end)


def _skew_notes(aws_date: Instant, started: Instant) -> tuple[str, ...]:
    skew = abs(aws_date - started)
    if skew > SKEW_REFUSED:
        message = f"this clock says {iso(started)}, AWS says {iso(aws_date)}"
        raise ControlbookError(
            message, advice="set the clock", code=Exit.INTEGRITY, place="clock"
        )
    if skew > SKEW_NOTED:
        return (f"the collector's clock differs from AWS's by {skew // SECOND} s",)
    return ()


def _program_notes(
    about: tuple[tuple[str, str], ...], previous: Run | None
) -> tuple[str, ...]:
    """Say where another program collected the run before: other code or packages."""
    if previous is None:
        return ()
    now, before = dict(about), dict(previous.collector)
    return tuple(
        f"the collector's {what} changed since {previous.seq:06d}: from"
        f" {before[name][:16]} to {now[name][:16]}"
        for name, what in (("version", "version"), ("lock_sha256", "packages"))
        if name in now and name in before and now[name] != before[name]
    )


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".json")


def _message(run: Run) -> str:
    """Say in one line what a commit adds."""
    start, end = iso(run.window.start), iso(run.window.end)
    midnight = "T00:00:00Z"
    whole = start.endswith(midnight) and run.window.length == DAY
    parts = [start.removesuffix(midnight) if whole else f"{start} to {end}"]
    if run.kind != "regular":
        parts.append(run.kind)
    for count, noun in (
        (len(run.transitions), "change"),
        (len(run.pulls), "pull request"),
        (sum(row.count for row in run.event_counts), "event"),
        (len(run.missing), "missing"),
    ):
        if count:
            plural = "s" if count > 1 and noun != "missing" else ""
            parts.append(f"{count} {noun}{plural}")
    if not run.complete:
        parts.append("incomplete")
    return f"Collect {run.stream} {run.seq:06d}: {', '.join(parts)}"
