# SPDX-License-Identifier: Apache-2.0
"""The `cloudtrail` stream: how often what a control asks about happened, or that it did
not.

Rules enforced here:
- "no occurrences" needs signed digests without a hole over the window *plus a delay*,
  since digests cover deliveries, not events, and every log file they name, unchanged;
- a hole, a digest that does not count and a log file that is not the signed one are
  missing evidence of the events that might have been delivered in it;
- a window stays open until the digests reach its end plus the delay; after a day of
  waiting it is closed, and what did not come is missing;
- what is delivered later than the delay becomes a correction;
- events count once, by eventID, in the window of their own time;
- without a trail bucket LookupEvents is asked, which proves nothing, and says so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controlbook.errors import ControlbookError
from controlbook.eventrows import counted, event_line
from controlbook.model import (
    DigestChain,
    EventQuery,
    Missing,
    heard_in,
    recorded_in,
)
from controlbook.timeline import (
    DAY,
    HOUR,
    Instant,
    Interval,
    Intervals,
    iso,
    subtract,
    to_datetime,
    union,
)
from controlbook.vault.packs import Pack, pack

from . import Place, Reading, SourceError
from .aws import Connections, Conversation, endpoint_of, shared
from .digests import Digest, DigestName, Verified, verified
from .events import LogError, looked_up
from .trailbucket import TrailBucket, digest_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from controlbook.model import Event, Library, Run

    from . import Past, Scope
    from .events import Query

DELAY = HOUR
"""How long after an event its delivery is waited for; later ones are corrections."""
CLOSES = DELAY + 2 * HOUR
"""When a window is first tried: the delay, an hour's digest, and its way to S3."""
PATIENCE = DAY
"""How long an open window waits for digests that do not come."""
LOOKUP_REACH = 90 * DAY
LOOKUP_PAUSE = 0.5
"""Seconds: LookupEvents takes two requests a second per account and Region."""
LISTED = 25
"""Events that a manifest lists per query and place; the record pack holds all."""
LISTED_UNEXPECTED = 500
"""The same where none is expected: each of them is a deviation."""
PACKED = 32 * 1024 * 1024
"""Bytes of log files in one source pack, at most (but one file is never cut)."""


def queries_of(library: Library) -> tuple[EventQuery, ...]:
    """Give every event query that a control names, sorted."""
    found = {
        (evidence.source, evidence.event, evidence.expect): evidence
        for control in library.controls.values()
        for evidence in control.evidence
        if isinstance(evidence, EventQuery)
    }
    return tuple(found[key] for key in sorted(found))


class CloudTrailSource:
    """The organization's trail, or LookupEvents, as the settings describe it."""

    stream = "cloudtrail"

    def __init__(
        self,
        library: Library,
        aws: Connections | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Ask what the library's controls ask; `pause` waits between look-ups."""
        self.settings = library.settings
        if not self.settings.region:
            message = "no Region is set"
            advice = "set region in [tool.controlbook]"
            raise ControlbookError(message, place="pyproject.toml", advice=advice)
        self._demands = queries_of(library)
        self._aws = aws or shared(self.settings.collector_role)
        self._pause = pause

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Give the days that are over for long enough; at first only the last one."""
        if not self._demands:
            return ()
        due = now - CLOSES
        end = due - due % DAY
        tiled = [run for run in past.runs if run.kind != "correction"]
        start = tiled[-1].window.end if tiled else end - DAY
        found = []
        while start < end:
            following = min(start - start % DAY + DAY, end)
            found.append(Interval(Instant(start), Instant(following)))
            start = following
        return tuple(found)

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        """Read the windows, oldest first; corrections of the past come before."""
        windows = tuple(pair for pair in windows if pair[1].places)
        if not windows:
            return
        talk = Conversation(self._aws)
        principal = talk.ask("sts", "get_caller_identity")["Arn"]
        kind = _FromTrail if self.settings.trail_bucket else _FromLookup
        reader = kind(
            talk=talk,
            demands=self._demands,
            region=self.settings.region,
            past=past,
            now=now,
            span=Interval(windows[0][0].start, now),
            bucket=(self.settings.trail_bucket, self.settings.trail_prefix),
            pause=self._pause,
        )
        client = talk.aws.client("cloudtrail", "", self.settings.region)
        for index, (window, scope) in enumerate(windows):
            shared_fields: dict[str, Any] = {
                "principal": principal,
                "endpoint": endpoint_of(client),
                "aws_date": talk.aws_date or Instant(0),
                "asked": reader.asked,
            }
            final = index == len(windows) - 1
            for reading in reader.window(window, scope, final=final):
                yield Reading(**{**reading, **shared_fields})


@dataclass(kw_only=True)
class _Reader:
    """What reading from the trail and asking LookupEvents have in common."""

    talk: Conversation
    demands: tuple[EventQuery, ...]
    region: str
    past: Past
    now: Instant
    span: Interval
    bucket: tuple[str, str]
    pause: Callable[[float], None]
    notes: list[str] = field(default_factory=list)
    complete: bool = True

    @property
    def asked(self) -> tuple[Query, ...]:
        """Every (source, event), once."""
        return tuple(sorted({(row.source, row.event) for row in self.demands}))

    def places(self, scope: Scope, regions: Callable[..., tuple[str, ...]]) -> Any:  # noqa: ANN401 - Place → queries, spelt below
        """Give the queries to answer in each account × Region."""
        found: dict[Place, set[Query]] = {}
        for assessment in scope.assessments:
            for source, event in self.asked:
                for region in regions(source, assessment.regions):
                    for _, account in assessment.accounts:
                        found.setdefault((account, region), set()).add((source, event))
        return dict(sorted(found.items()))

    def window(
        self, window: Interval, scope: Scope, *, final: bool
    ) -> Iterator[dict[str, Any]]:
        """Give the fields of this window's readings, corrections first."""
        raise NotImplementedError

    def told(self, events: Iterable[Event]) -> dict[str, Any]:
        """Give the fields that tell of events: counts, the first ones, the records."""
        unique: dict[tuple[str, str, str, str], Event] = {}
        for event in sorted(events):
            unique.setdefault((event.account, event.source, event.event, event.id), event)
        found = tuple(sorted(unique.values()))
        unexpected = {
            (row.source, row.event) for row in self.demands if row.expect == "none"
        }
        listed: list[Event] = []
        seen: dict[tuple[str, str, str, str], int] = {}
        for event in found:
            key = (event.source, event.event, event.account, event.region)
            most = LISTED_UNEXPECTED if key[:2] in unexpected else LISTED
            if seen.get(key, 0) < most:
                listed.append(event)
            seen[key] = seen.get(key, 0) + 1
        return {"events": tuple(listed), "event_counts": counted(found), "all": found}

    def fields(
        self, told: dict[str, Any], packs: Iterable[tuple[str, Pack]], **rest: object
    ) -> dict[str, Any]:
        """Complete a reading by what was asked and counted so far."""
        events = told.pop("all")
        records = pack({event_line(event) for event in events}) if events else None
        notes, self.notes = tuple(dict.fromkeys(self.notes)), []
        talk = self.talk
        pages = set(talk.kept)
        return {
            **told,
            **rest,
            "packs": (
                *packs,
                *([("source", pack(pages))] if pages else []),
                *([("records", records)] if records else []),
            ),
            "pages": talk.pages,
            "throttles": talk.throttles,
            "queries": talk.queries,
            "complete": self.complete,
            "notes": notes,
        }


# --- the trail's files ----------------------------------------------------------------


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
    """A window that a run closed, and the events of it that are known already."""

    seq: int
    window: Interval
    known: set[str]


def _closed(runs: Iterable[Run]) -> list[_Closed]:
    """Give the windows of all runs; what corrections added to one is known too."""
    found: dict[int, _Closed] = {}
    for run in runs:
        seq = run.corrects or run.seq
        closed = found.setdefault(seq, _Closed(seq, run.window, set()))
        closed.known.update(event.id for event in run.events)
    return list(found.values())


class _FromTrail(_Reader):
    """Reads digests and log files."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - the base's own fields
        """Begin where the last run's chains ended."""
        super().__init__(**given)
        self.trail = TrailBucket(self.talk, *self.bucket)
        self._listed: dict[Place, tuple[DigestName, ...]] = {}
        self._selective: dict[str, str] = {}
        """What a trail leaves out, by home Region and name; empty: nothing."""
        self._closed = _closed(self.past.runs)
        self._seq = self.past.runs[-1].seq if self.past.runs else 0
        tiled = [run for run in self.past.runs if run.kind != "correction"]
        self._heads = {
            (row.account, row.region): row for row in (tiled[-1].chains if tiled else ())
        }

    def window(
        self, window: Interval, scope: Scope, *, final: bool
    ) -> Iterator[dict[str, Any]]:
        """Check a window's digests, read its log files, and count."""
        heads = self._heads
        places = self.places(scope, recorded_in)
        missing: list[Missing] = []
        chains: list[DigestChain] = []
        collected: list[Place] = []
        found: list[Event] = []
        late: list[Event] = []
        digests: dict[str, Digest] = {}
        logs: set[str] = set()
        for place, queries in places.items():
            proof = self._best(place, window, queries, heads)
            if proof is None:
                missing.append(_lacking(place, "not-validated", window))
                continue
            self._wait(place, window, proof)
            rows = self._missing(place, window, proof)
            missing += rows
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
            faults.append(
                ("digest-invalid", covers or Interval(Instant(end - HOUR), end))
            )
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
                    faults.append(("log-invalid", digest.covers))
        return _Proof(
            names=tuple(names),
            checked=checked,
            covered=union(covered),
            faults=tuple(faults),
            events=tuple(events),
            logs=tuple(logs),
        )

    def _wait(self, place: Place, window: Interval, proof: _Proof) -> None:
        """Leave a window open whose digests are still on their way."""
        if self.now >= window.end + PATIENCE or not proof.names:
            return
        reached = max(name.end for name in proof.names)
        if reached < window.end + DELAY:
            message = (
                f"the digests of {' '.join(place)} reach {iso(reached)}, not yet"
                f" {iso(Instant(window.end + DELAY))}: the window stays open"
            )
            raise SourceError(message, "cloudtrail", "collect again later")

    def _missing(
        self, place: Place, window: Interval, proof: _Proof
    ) -> list[Missing]:
        """Say which events of a window may have been delivered without a trace."""
        selective = {
            name.trail for name in proof.names if self._leaves_out(name)
        }
        if selective:
            return [_lacking(place, "trail-selective", window)]
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
                    found.append(_lacking(place, reason, inside))
        return found

    def _leaves_out(self, name: DigestName) -> bool:
        """Tell whether the trail leaves events out that a query asks for."""
        key = f"{name.home}/{name.trail}"
        if key not in self._selective:
            self._selective[key] = self._selection(name)
        if self._selective[key]:
            self.notes.append(self._selective[key])
        return bool(self._selective[key])

    def _selection(self, name: DigestName) -> str:
        place = ("", name.home)
        try:
            answer = self.talk.ask(
                "cloudtrail", "describe_trails", place, trailNameList=[]
            )
            arn = next(
                (
                    row["TrailARN"]
                    for row in answer["trailList"]
                    if row["Name"] == name.trail
                    and row["S3BucketName"] == self.bucket[0]
                ),
                "",
            )
            if not arn:
                message = "the collector's account does not see it"
                raise SourceError(message)  # noqa: TRY301 - one way to say it
            status = self.talk.ask("cloudtrail", "get_trail_status", place, Name=arn)
            chosen = self.talk.ask(
                "cloudtrail", "get_event_selectors", place, TrailName=arn
            )
        except SourceError as error:
            self.notes.append(
                f"trail {name.trail}: what it leaves out could not be read:"
                f" {error.message}"
            )
            return ""
        trouble = status.get("LatestDigestDeliveryError")
        if trouble:
            self.notes.append(f"trail {name.trail}: digest delivery failed: {trouble}")
        if not status.get("IsLogging", True):
            self.notes.append(f"trail {name.trail}: is not logging now")
        sources = {source for source, _ in self.asked}
        return "" if logs_all(chosen, sources) else (
            f"trail {name.trail} leaves out events that a query asks for"
        )

    def _corrections(self, late: list[Event]) -> Iterator[dict[str, Any]]:
        """Add events to windows that were closed before they were delivered."""
        for closed in tuple(self._closed):
            own = [
                event
                for event in late
                if closed.window.contains(event.at) and event.id not in closed.known
            ]
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


def logs_all(answer: Mapping[str, Any], sources: Iterable[str]) -> bool:
    """Tell whether a trail's selectors take in every management event of services."""
    wanted = set(sources)
    for row in answer.get("EventSelectors", ()):
        left_out = set(row.get("ExcludeManagementEventSources", ()))
        if (
            row.get("IncludeManagementEvents", True)
            and row.get("ReadWriteType", "All") == "All"
            and not left_out & wanted
        ):
            return True
    for row in answer.get("AdvancedEventSelectors", ()):
        fields = {each["Field"]: each for each in row.get("FieldSelectors", ())}
        category = fields.pop("eventCategory", {})
        if "Management" not in category.get("Equals", ()):
            continue
        excluded = fields.pop("eventSource", {})
        if fields or set(excluded) - {"Field", "NotEquals"}:
            continue
        if not set(excluded.get("NotEquals", ())) & wanted:
            return True
    return False


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


def _lacking(place: Place, reason: str, interval: Interval) -> Missing:
    account, region = place
    return Missing(account=account, region=region, reason=reason, interval=interval)


# --- LookupEvents ----------------------------------------------------------------------


class _FromLookup(_Reader):
    """Asks each account × Region for each event by name."""

    def window(
        self, window: Interval, scope: Scope, *, final: bool
    ) -> Iterator[dict[str, Any]]:
        """Look a window's events up; what lies beyond ninety days is missing."""
        places = self.places(scope, heard_in)
        missing: list[Missing] = []
        collected: list[Place] = []
        found: list[Event] = []
        self.talk.kept = []
        for place, queries in places.items():
            if window.start < self.now - LOOKUP_REACH:
                missing.append(_lacking(place, "lookup-expired", window))
                continue
            try:
                found += self._ask(place, window, queries)
            except (SourceError, LogError) as error:
                self.notes.append(f"{' '.join(place)}: {error}")
                self.complete = False
                missing.append(_lacking(place, "source-failed", window))
                continue
            collected.append(place)
        yield self.fields(
            self.told(found),
            (),
            kind="regular" if final else "backfill",
            window=window,
            expected=tuple(places),
            collected=tuple(collected),
            missing=tuple(sorted(missing)),
        )

    def _ask(
        self, place: Place, window: Interval, queries: set[Query]
    ) -> list[Event]:
        found: list[Event] = []
        for source, name in sorted(queries):
            pages = self.talk.pages_of(
                "cloudtrail",
                "lookup_events",
                place,
                tokens=("NextToken", "NextToken"),
                LookupAttributes=[
                    {"AttributeKey": "EventName", "AttributeValue": name}
                ],
                StartTime=to_datetime(window.start),
                EndTime=to_datetime(window.end),
                MaxResults=50,
            )
            for page in pages:
                found += [
                    event
                    for event in looked_up(page.get("Events", ()), place)
                    # EndTime is inclusive: what happened then is the next window's.
                    if event.source == source and window.contains(event.at)
                ]
                self.pause(LOOKUP_PAUSE)
        return found
