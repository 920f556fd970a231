# SPDX-License-Identifier: Apache-2.0
"""Events from a trail's files, with what its signed digests prove of each place.

Rules enforced here:
- a hole between digests, a digest that does not count and a log file that is not the
  signed one are missing evidence of the events that may have been delivered in it:
  from the delay before it to its end;
- a window stays open until the digests reach its end plus the delay; after a day of
  waiting it is closed, and what did not come is missing;
- what is delivered later than the delay becomes a correction, and so do digests that
  close a gap of an earlier run;
- of several trails the one counts whose digests prove most.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlbook.model import DigestChain, Missing, recorded_in
from controlbook.timeline import (
    DAY,
    HOUR,
    Instant,
    Interval,
    Intervals,
    iso,
    subtract,
    union,
)
from controlbook.vault.packs import Pack, pack

from . import Place, SourceError
from .digests import DELAY, Digest, DigestName, Verified, verified
from .eventreader import Reader
from .events import LogError
from .mending import torn
from .trailbucket import TrailBucket, digest_line
from .trailchoice import Choice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controlbook.model import Event, Run

    from . import Scope
    from .events import Query
    from .mending import Torn

UNREAD = "source-failed"
"""The reason of a gap whose files S3 did not give: not that they are unsound."""
PATIENCE = DAY
"""How long an open window waits for digests that do not come."""
PACKED = 32 * 1024 * 1024
"""Bytes of log files in one source pack, at most (but one file is never cut)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """What the digests of one trail prove of one place and window."""

    names: tuple[DigestName, ...]
    checked: Verified
    covered: Intervals
    """Deliveries whose digests and log files all stand."""
    faults: tuple[tuple[str, Interval], ...]
    """(reason, deliveries) of what does not count."""
    events: tuple[tuple[DigestName, Event], ...]
    logs: tuple[str, ...]
    """Keys of the log files that stand."""


@dataclass(frozen=True, slots=True)
class _Closed:
    """A window that a run closed, and what was added to it since."""

    seq: int
    window: Interval
    known: set[str]


def _closed(runs: Iterable[Run]) -> list[_Closed]:
    """Give the windows of all runs; their events are read where more of them come."""
    found: dict[int, _Closed] = {}
    for run in runs:
        seq = run.corrects or run.seq
        found.setdefault(seq, _Closed(seq, run.window, set()))
    return list(found.values())


class FromTrail(Reader):
    """Reads digests and log files."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - the base's own fields
        """Begin where the last run's chains ended."""
        super().__init__(**given)
        self._torn = torn(self.past.runs, self.asked, self.now)
        first = min((each.run.window.start for each in self._torn), default=self.now)
        self.span = Interval(min(first, self.span.start), self.span.end)
        self.trail = TrailBucket(self.talk, *self.bucket)
        self._listed: dict[Place, tuple[DigestName, ...]] = {}
        sources = {source for source, _ in self.asked}
        self._choice = Choice(self.talk, self.bucket[0], sources)
        self._closed = _closed(self.past.runs)
        self._seq = self.past.runs[-1].seq if self.past.runs else 0
        tiled = self.past.tiled
        self._heads = {
            (row.account, row.region): row
            for row in (tiled[-1].chains if tiled else ())
        }

    def window(
        self, window: Interval, scope: Scope, *, final: bool
    ) -> Iterator[dict[str, Any]]:
        """Check a window's digests, read its log files, and count."""
        heads = self._heads
        places = self.places(scope, recorded_in)
        yield from self._mend(places)
        missing: list[Missing] = []
        chains: list[DigestChain] = []
        collected: list[Place] = []
        found: list[Event] = []
        late: list[Event] = []
        digests: dict[str, Digest] = {}
        logs: set[str] = set()
        unread = False
        for place, queries in places.items():
            proof = self._best(place, window, queries, heads)
            if proof is None:
                missing.append(lacking(place, "not-validated", window))
                continue
            self._wait(place, window, proof)
            rows = self._missing(place, window, proof)
            missing += rows
            unread = unread or UNREAD in {row.reason for row in rows}
            if union(r.interval for r in rows) != (window,):
                collected.append(place)
            chain = _chain(place, proof)
            if chain:
                chains.append(chain)
            digests |= {d.key: d for d in proof.checked.digests}
            logs |= set(proof.logs)
            found += [e for _, e in proof.events if window.contains(e.at)]
            head = heads.get(place)
            late += [
                event
                for name, event in proof.events
                if head and event.at < window.start and name.end > head.end
            ]
        yield from self._corrections(late)
        told = self.told(e for e in found if (e.account, e.region) in places)
        self._closed.append(_Closed(self._following(), window, set()))
        self._heads = {(row.account, row.region): row for row in chains}
        self.complete = not unread
        yield self.fields(
            told,
            self._packs(digests.values(), logs),
            kind="regular" if final else "backfill",
            window=window,
            expected=tuple(places),
            collected=tuple(collected),
            missing=tuple(sorted(missing)),
            chains=tuple(sorted(chains)),
        )

    def _following(self) -> int:
        """Give the number that the next run will have."""
        self._seq += 1
        return self._seq

    def _best(
        self,
        place: Place,
        window: Interval,
        queries: set[Query],
        heads: Mapping[Place, DigestChain],
    ) -> _Proof | None:
        """Choose the trail whose digests prove most; None where there is no digest."""
        if place not in self._listed:
            self._listed[place] = self.trail.digests(place, self.span.start)
        names = _selected(self._listed[place], window)
        if not names:
            # A gap where digests came before, no validation where none ever did.
            return self._gone(heads.get(place))
        by_trail: dict[tuple[str, str], list[DigestName]] = {}
        for name in names:
            by_trail.setdefault((name.trail, name.home), []).append(name)
        proofs = [
            self._proof(place, own, queries, heads.get(place))
            for _, own in sorted(by_trail.items())
        ]
        wanted = _deliveries(window)
        return max(
            proofs,
            key=lambda p: sum(
                piece.length
                for cover in p.covered
                if (piece := cover.clip(wanted)) is not None
            ),
        )

    def _gone(self, head: DigestChain | None) -> _Proof | None:
        if head is None:
            return None
        return _Proof(
            names=(),
            checked=Verified(digests=(), faults=()),
            covered=(),
            faults=(),
            events=(),
            logs=(),
        )

    def _proof(
        self,
        place: Place,
        names: list[DigestName],
        queries: set[Query],
        head: DigestChain | None,
    ) -> _Proof:
        keys = self.trail.public_keys(place[1], self.span.start, self.now)
        known = (head.head, head.head_sha256) if head else None
        checked = verified(self.trail.read(names, keys), known)
        where = " ".join(place)
        faults: list[tuple[str, Interval]] = []
        for key, covers, why in checked.faults:
            self.notes.append(f"{where}: {key.rsplit('/', 1)[-1]}: {why}")
            end = next(name.end for name in names if name.key == key)
            reason = self._reason(key, "digest-invalid")
            faults.append((reason, covers or Interval(Instant(end - HOUR), end)))
        self.notes += [
            f"{where}: a chain of digests starts anew at {iso(at)}"
            for at, _ in checked.broken
        ]
        covered: list[Interval] = []
        events: list[tuple[DigestName, Event]] = []
        logs: list[str] = []
        for digest in checked.digests:
            try:
                for log in digest.logs:
                    own = self.trail.events(log, place, queries)
                    events += [(digest.stored.name, event) for event in own]
                    logs.append(log.key)
                if digest.covers:
                    covered.append(digest.covers)
            except LogError as error:
                name = log.key.rsplit("/", 1)[-1]
                self.notes.append(f"{where}: {name}: {error}")
                if digest.covers:
                    reason = self._reason(log.key, "log-invalid")
                    faults.append((reason, digest.covers))
        return _Proof(
            names=tuple(names),
            checked=checked,
            covered=union(covered),
            faults=tuple(faults),
            events=tuple(events),
            logs=tuple(logs),
        )

    def _reason(self, key: str, otherwise: str) -> str:
        """Tell a file that could not be had from one that is not what was signed."""
        return UNREAD if key in self.trail.unread else otherwise

    def _wait(self, place: Place, window: Interval, proof: _Proof) -> None:
        """Leave a window open whose digests are on their way, or cannot be read now."""
        if self.now >= window.end + PATIENCE or not proof.names:
            return
        if UNREAD in {reason for reason, _ in proof.faults}:
            where, why = next(iter(self.trail.unread.items()))
            message = f"{why.message}: the window stays open"
            raise SourceError(message, where, "collect again later")
        reached = max(name.end for name in proof.names)
        if reached < window.end + DELAY:
            message = (
                f"the digests of {' '.join(place)} reach {iso(reached)}, not yet"
                f" {iso(Instant(window.end + DELAY))}: the window stays open"
            )
            raise SourceError(message, "cloudtrail", "collect again later")

    def _missing(self, place: Place, window: Interval, proof: _Proof) -> list[Missing]:
        """Say which events of a window may have been delivered without a trace."""
        if any(self._choice.leaves_out(name, self.notes) for name in proof.names[:1]):
            return [lacking(place, "trail-selective", window)]
        holes: dict[str, list[Interval]] = {}
        for hole in subtract((_deliveries(window),), proof.covered):
            known: list[Interval] = []
            for reason, span in proof.faults:
                piece = span.clip(hole)
                if piece:
                    holes.setdefault(reason, []).append(piece)
                    known.append(piece)
            for piece in subtract((hole,), union(known)):
                holes.setdefault("digest-gap", []).append(piece)
        found = []
        for reason, pieces in holes.items():
            # What was delivered in a hole happened up to the delay before it.
            unseen = union(Interval(Instant(p.start - DELAY), p.end) for p in pieces)
            for piece in unseen:
                inside = piece.clip(window)
                if inside:
                    found.append(lacking(place, reason, inside))
        return found

    def _mend(self, places: Mapping[Place, set[Query]]) -> Iterator[dict[str, Any]]:
        """Close gaps of earlier runs whose digests have come; once in a collection."""
        torn_, self._torn = self._torn, ()
        for each in torn_:
            proofs: dict[Place, _Proof] = {}
            left: list[Missing] = []
            for place in each.gaps.keys() & places.keys():
                queries = places[place] & set(each.run.asked)
                head = each.head(place)
                heads = {place: head} if head else {}
                kept, self.notes = self.notes, []
                proof = self._best(place, each.run.window, queries, heads)
                if proof is not None and proof.checked.digests:
                    rows = self._missing(place, each.run.window, proof)
                    if each.closes(place, rows):
                        proofs[place] = proof
                        left += rows
                        kept += self.notes
                self.notes = kept
            if proofs:
                yield from self._mended(each, proofs, left)

    def _mended(
        self, each: Torn, proofs: Mapping[Place, _Proof], left: list[Missing]
    ) -> Iterator[dict[str, Any]]:
        window, seq = each.run.window, each.run.seq
        known = self._recorded(seq)
        events = [event for proof in proofs.values() for _, event in proof.events]
        yield from self._corrections([e for e in events if e.at < window.start])
        fresh = [e for e in events if window.contains(e.at) and e.id not in known]
        closed = next(row for row in self._closed if row.seq == seq)
        closed.known.update(event.id for event in fresh)
        told = self.told(fresh)
        self.notes.append(
            f"digests that run {seq:06d} lacked have come: its gaps in"
            f" {', '.join(' '.join(place) for place in sorted(proofs))} are closed"
            f"{' in part' if left else ''}"
        )
        whole = {(r.account, r.region) for r in left if r.interval == window}
        self._following()
        self.complete = UNREAD not in {row.reason for row in left}
        yield self.fields(
            told,
            self._packs(
                {d.key: d for p in proofs.values() for d in p.checked.digests}.values(),
                {key for proof in proofs.values() for key in proof.logs},
            ),
            kind="correction",
            window=window,
            corrects=seq,
            expected=tuple(sorted(proofs)),
            collected=tuple(sorted(proofs.keys() - whole)),
            missing=tuple(sorted(left)),
            chains=tuple(
                sorted(
                    chain
                    for place, proof in proofs.items()
                    if (chain := _chain(place, proof))
                )
            ),
        )

    def _recorded(self, seq: int) -> set[str]:
        """Give the ids of all events that a run and its corrections recorded."""
        return {
            json.loads(line)["id"]
            for run in self.past.runs
            if seq in {run.seq, run.corrects}
            for line in self.past.records(run)
        }

    def _corrections(self, late: list[Event]) -> Iterator[dict[str, Any]]:
        """Add events to windows that were closed before they were delivered."""
        for closed in tuple(self._closed):
            own = [e for e in late if closed.window.contains(e.at)]
            if own:
                # A manifest lists the first events only; the records hold all.
                closed.known.update(self._recorded(closed.seq))
            own = [event for event in own if event.id not in closed.known]
            if not own:
                continue
            told = self.told(own)
            closed.known.update(event.id for event in own)
            count = len(told["all"])
            self.notes.append(
                f"{count} event{'s' if count > 1 else ''} reached the trail's bucket"
                f" after run {closed.seq:06d} had closed its window"
            )
            places = tuple(sorted({(e.account, e.region) for e in told["all"]}))
            self._following()
            self.complete = True
            yield self.fields(
                told,
                (),
                kind="correction",
                window=closed.window,
                corrects=closed.seq,
                expected=places,
                collected=places,
            )

    def _packs(
        self, digests: Iterable[Digest], logs: set[str]
    ) -> Iterator[tuple[str, Pack]]:
        lines = {digest_line(digest) for digest in digests}
        if lines:
            yield "source", pack(lines)
        batch: list[bytes] = []
        size = 0
        for key in sorted(logs):
            line = self.trail.log_line(key)
            if line is None:
                continue
            if batch and size + len(line) > PACKED:
                yield "source", pack(batch)
                batch, size = [], 0
            batch.append(line)
            size += len(line)
        if batch:
            yield "source", pack(batch)
        self.notes += self.trail.notes
        self.trail.notes = []


def _deliveries(window: Interval) -> Interval:
    """Give the deliveries that must be known to know a window's events."""
    return Interval(window.start, Instant(window.end + DELAY))


def _selected(
    names: tuple[DigestName, ...], window: Interval
) -> tuple[DigestName, ...]:
    """Choose the digests that cover deliveries of a window, and one that ends after."""
    found: list[DigestName] = []
    ended: set[str] = set()
    for name in names:
        if name.end <= window.start or (name.trail in ended and not name.backfill):
            continue
        if name.backfill and name.end > window.end + DELAY + HOUR:
            continue
        found.append(name)
        if name.end >= window.end + DELAY and not name.backfill:
            ended.add(name.trail)
    return tuple(found)


def _chain(place: Place, proof: _Proof) -> DigestChain | None:
    regular = [d for d in proof.checked.digests if not d.stored.name.backfill]
    counted_ = regular or list(proof.checked.digests)
    if not counted_:
        return None
    head = counted_[-1]
    covers = [d.covers for d in proof.checked.digests if d.covers]
    return DigestChain(
        account=place[0],
        region=place[1],
        trail=head.stored.name.trail,
        start=min(cover.start for cover in covers),
        end=max(cover.end for cover in covers),
        digests=len(proof.checked.digests),
        log_files=len(set(proof.logs)),
        head=head.key,
        head_sha256=head.sha256,
    )


def lacking(place: Place, reason: str, interval: Interval) -> Missing:
    """Say that a place has no evidence of a time, and why."""
    account, region = place
    return Missing(account=account, region=region, reason=reason, interval=interval)
