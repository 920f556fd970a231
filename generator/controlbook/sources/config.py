# SPDX-License-Identifier: Apache-2.0
"""The `config` stream: AWS Config's verdicts, with every change between two looks.

Rules enforced here:
- windows are whole UTC days that tile; missed days are caught up one by one;
- the history of ResourceCompliance gives the transitions, the aggregator cross-checks;
- a place that the last run did not collect starts from freshly read states, since what
  happened meanwhile was not seen; a place that cannot be read keeps its last states
  and is missing;
- what arrives after its window was closed becomes a correction, never an edit; what a
  correction cannot take in cleanly is noted, and the run is incomplete.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controlbook.digest import merkle_root
from controlbook.errors import ControlbookError
from controlbook.ledger import records_root_lines
from controlbook.model import RuleInstance, Run, Standing, State, Transition
from controlbook.timeline import DAY, Instant, Interval, iso
from controlbook.vault.packs import Pack, pack

from . import Past, Place, Reading, Scope
from .aws import Connections, Conversation, endpoint_of, shared
from .delivery import Bucket
from .fold import Deployment, Fold, seeded
from .gathering import Gathering, gather, seed_histories

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controlbook.model import Missing, Settings

    from .delivery import HistoryFile

Rows = tuple[RuleInstance, ...]
States = tuple[Standing, ...]


@dataclass(slots=True, kw_only=True)
class Head:
    """The rules and states that the next window starts from, by place."""

    rules: dict[Place, Rows] = field(default_factory=dict)
    states: dict[Place, States] = field(default_factory=dict)
    collected: frozenset[Place] = frozenset()
    """What the last run collected: these places need no seeding."""
    end: Instant | None = None
    """Where the last window ended."""
    first: bool = True

    @property
    def all_rules(self) -> Rows:
        """Every rule instance, by key."""
        rows = (row for rows in self.rules.values() for row in rows)
        return tuple(sorted(rows, key=lambda row: row.key))

    @property
    def all_states(self) -> States:
        """Every resource's state."""
        return tuple(sorted(row for rows in self.states.values() for row in rows))


def head_of(past: Past) -> Head:
    """Give what the ledger's last run left."""
    last = past.last
    if last is None:
        return Head()
    tiled = regular(past)[-1]
    head = Head(first=False, collected=frozenset(tiled.collected), end=tiled.window.end)
    place = {row.key: (row.account, row.region) for row in last.rules}
    rules: dict[Place, list[RuleInstance]] = {}
    for row in last.rules:
        rules.setdefault(place[row.key], []).append(row)
    states: dict[Place, list[Standing]] = {}
    for standing in past.states():
        states.setdefault(place[standing.instance], []).append(standing)
    head.rules = {key: tuple(rows) for key, rows in rules.items()}
    head.states = {key: tuple(rows) for key, rows in states.items()}
    return head


def regular(past: Past) -> tuple[Run, ...]:
    """Give the runs whose windows tile: all but the corrections."""
    return tuple(run for run in past.runs if run.kind != "correction")


class ConfigSource:
    """AWS Config through boto3, as the settings describe it."""

    stream = "config"

    def __init__(self, settings: Settings, aws: Connections | None = None) -> None:
        """Use the settings' aggregator, bucket and role."""
        if not settings.aggregator or not settings.region:
            message = "no aggregator is set, or not its Region"
            advice = "set aggregator and region in [tool.controlbook]"
            raise ControlbookError(message, place="pyproject.toml", advice=advice)
        self.settings = settings
        self._aws = aws or shared(settings.collector_role)
        self._bucket = (
            Bucket(settings.delivery_bucket, settings.delivery_prefix)
            if settings.delivery_bucket
            else None
        )

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Give the days that are over and not collected; at first only the last one."""
        end = now - now % DAY
        runs = regular(past)
        start = runs[-1].window.end if runs else end - DAY
        found = []
        while start < end:
            following = min(start - start % DAY + DAY, end)
            found.append(Interval(Instant(start), Instant(following)))
            start = following
        return tuple(found)

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        """Read the windows, oldest first; a correction of the past comes before."""
        windows = tuple(pair for pair in windows if pair[1].places)
        if not windows:
            return
        head = head_of(past)
        talk = Conversation(self._aws)
        gathering = Gathering(talk=talk, settings=self.settings, bucket=self._bucket)
        places = sorted({place for _, scope in windows for place in scope.places})
        known = {
            place: frozenset(row.resource for row in head.states.get(place, ()))
            for place in head.collected
        }
        # Up to now, since a delivery may lie in the folder of the day it came.
        span = Interval(windows[0][0].start, now)
        gather(gathering, places, span, known)
        collection = _Collection(gathering, head, past)
        yield from collection.late(span.start)
        for index, (window, scope) in enumerate(windows):
            final = index == len(windows) - 1
            yield collection.window(window, scope, final=final)


class _Collection:
    """Folds one gathering, window by window, onto the ledger's head."""

    def __init__(self, gathering: Gathering, head: Head, past: Past) -> None:
        self.gathering = gathering
        self.head = head
        self.past = past
        self.notes: list[str] = []
        self.complete = True

    def window(self, window: Interval, scope: Scope, *, final: bool) -> Reading:
        """Fold one window; the aggregator's view belongs to the final one."""
        gathering, head = self.gathering, self.head
        if window.start != head.end:
            # Nobody looked in between: nothing is known of the states at the start.
            head.collected = frozenset()
        transitions: list[Transition] = []
        collected: list[Place] = []
        missing: list[Missing] = []
        for place in scope.places:
            if place in gathering.found and self._fold(place, window, transitions):
                collected.append(place)
            missing += gathering.missing(place, window)
        if final:
            self._cross_check(window, collected)
        self.notes = [*gathering.notes, *self.notes]
        head.collected = frozenset(collected)
        head.end = window.end
        head.first = False
        items = [
            item
            for place in collected
            for item in gathering.found[place].items
            if window.contains(item.at)
        ]
        files = [file for place in collected for file in gathering.found[place].files]
        reading = self._reading(
            Reading(
                kind="regular" if final else "backfill",
                window=window,
                expected=scope.places,
                collected=tuple(collected),
                missing=tuple(sorted(missing)),
                transitions=tuple(sorted(transitions)),
                packs=_packs(
                    (f for f in files if any(window.contains(i.at) for i in f.items)),
                    (*(i.record for i in items), *(gathering.records if final else ())),
                    gathering.talk,
                ),
                aws_date=Instant(0),
                principal="",
                endpoint="",
            )
        )
        self.notes = []
        return reading

    def _reading(self, reading: Reading) -> Reading:
        """Fill in what every reading of one gathering shares."""
        gathering, talk = self.gathering, self.gathering.talk
        client = talk.aws.client("config", "", gathering.settings.region)
        return replace(
            reading,
            aws_date=talk.aws_date or Instant(0),
            principal=gathering.principal,
            endpoint=endpoint_of(client),
            pages=talk.pages,
            throttles=talk.throttles,
            complete=gathering.complete and self.complete,
            queries=talk.queries,
            rules=self.head.all_rules,
            states=self.head.all_states,
            notes=tuple(dict.fromkeys(self.notes)),
            organizations_sha256=gathering.organizations_sha256,
        )

    def _fold(
        self, place: Place, window: Interval, transitions: list[Transition]
    ) -> bool:
        """Move one place through a window; False where it cannot be seeded."""
        found, head = self.gathering.found[place], self.head
        rows = head.rules.get(place, ())
        deployment = found.survey.deployment(window, rows)
        opening = head.states.get(place, ())
        seeds: States | None = None
        unknown: set[str] = set()
        if place not in head.collected:
            try:
                histories = seed_histories(self.gathering, place, window.start)
            except ControlbookError as error:
                self.gathering.failures[place] = str(error)
                self.gathering.fail(error)
                return False
            seeds, unknown = seeded(histories, deployment)
        fold = Fold(seeds if seeds is not None and head.first else opening, deployment)
        if seeds is not None and not head.first:
            fold.settle(seeds, window.start)
        for item in found.items:
            if window.contains(item.at):
                fold.add(item)
        fold.remove_rules(window)
        unknown |= fold.unknown
        if unknown:
            names = ", ".join(sorted(unknown))
            self.notes.append(f"{' '.join(place)}: verdicts of unknown rules: {names}")
        transitions += fold.transitions
        head.states[place] = fold.states
        head.rules[place] = counted(
            deployment.rules, fold.states, rows, fold.transitions
        )
        return True

    def _cross_check(self, window: Interval, collected: Iterable[Place]) -> None:
        """Compare what the aggregator shows as NON_COMPLIANT with the folded states."""
        fresh = self.gathering.sources or {}
        for place in collected:
            if fresh[place].status != "SUCCEEDED":
                continue
            names = {row.deployed_as: row.key for row in self.head.rules[place]}
            for deployed in self.gathering.found[place].survey.rules:
                names[deployed.instance.deployed_as] = deployed.instance.key
            states = {
                (row.instance, row.resource): row for row in self.head.states[place]
            }
            for seen in self.gathering.contributors:
                if seen.place != place or seen.recorded >= window.end:
                    continue
                row = states.get((names.get(seen.rule, ""), seen.resource))
                # A state newer than the aggregator's verdict contradicts nothing.
                newer = row is not None and row.since > seen.recorded
                if newer or (row and row.state is State.NON_COMPLIANT):
                    continue
                self.complete = False
                self.notes.append(
                    f"{' '.join(place)}: the aggregator shows {seen.resource} as"
                    f" NON_COMPLIANT under {seen.rule} since {iso(seen.recorded)} or"
                    f" before, the history says {row.state if row else 'nothing'}"
                )

    # --- what came late -------------------------------------------------------------

    def late(self, start: Instant) -> Iterator[Reading]:
        """Correct the past by items that reached the bucket after their run."""
        last = self.past.last
        if last is None:
            return
        seen = {stored.sha256 for run in self.past.runs for stored in run.objects}
        transitions: list[Transition] = []
        files: list[HistoryFile] = []
        places: list[Place] = []
        for place in sorted(self.gathering.found):
            fresh = [
                file
                for file in self.gathering.found[place].files
                if file.pack.sha256 not in seen
                and any(item.at < start for item in file.items)
            ]
            if place in self.head.collected and fresh:
                moved = self._late_of(place, fresh, start)
                if moved:
                    transitions += moved
                    files += fresh
                    places.append(place)
        if transitions:
            yield self._correction(tuple(sorted(transitions)), files, places, start)

    def _late_of(
        self, place: Place, files: list[HistoryFile], start: Instant
    ) -> tuple[Transition, ...]:
        """Give the transitions of a place's late items, and move its states."""
        head = self.head
        deployment = _known_rules(head.rules.get(place, ()))
        known = {
            (move.resource, move.at)
            for run in self.past.runs
            for move in run.transitions
            if (move.account, move.region) == place
        }
        begin = self.past.runs[0].window.start
        fold = Fold(head.states.get(place, ()), deployment)
        for item in sorted({item for file in files for item in file.items}):
            if item.at >= start or (item.resource, item.at) in known:
                continue
            standing = fold.of(item.resource).values()
            if item.at < begin or any(row.since > item.at for row in standing):
                self.complete = False
                self.notes.append(
                    f"{' '.join(place)}: a late item of {item.resource}, captured"
                    f" {iso(item.at)}, lies before what is known and was not taken in"
                )
                continue
            fold.add(item)
        head.states[place] = fold.states
        head.rules[place] = counted(
            deployment.rules,
            fold.states,
            head.rules.get(place, ()),
            fold.transitions,
        )
        return fold.transitions

    def _correction(
        self,
        transitions: tuple[Transition, ...],
        files: list[HistoryFile],
        places: list[Place],
        start: Instant,
    ) -> Reading:
        first = transitions[0].at
        runs = regular(self.past)
        corrected = next(run for run in runs if run.window.end > first)
        items = [i for f in files for i in f.items if i.at < start]
        count = len(transitions)
        self.notes.append(
            f"{count} transition{'s' if count > 1 else ''} reached the delivery bucket"
            f" after run {corrected.seq:06d} had closed its window"
        )
        reading = self._reading(
            Reading(
                kind="correction",
                window=Interval(corrected.window.start, runs[-1].window.end),
                corrects=corrected.seq,
                expected=tuple(places),
                collected=tuple(places),
                transitions=transitions,
                packs=_packs(
                    files, (item.record for item in items), self.gathering.talk
                ),
                aws_date=Instant(0),
                principal="",
                endpoint="",
            )
        )
        self.notes = []
        return reading


def _known_rules(rows: Rows) -> Deployment:
    return Deployment(
        rules={row.key: row for row in rows},
        arns={},
        names={row.deployed_as: row.key for row in rows},
    )


def counted(
    rules: Mapping[str, RuleInstance],
    states: States,
    before: Rows,
    transitions: Iterable[Transition],
) -> Rows:
    """Give the rule rows with population, counts and records root at a window's end."""
    moved = {move.instance for move in transitions}
    old = {row.key: row for row in before}
    by_rule: dict[str, list[Standing]] = {}
    for row in states:
        by_rule.setdefault(row.instance, []).append(row)
    found = []
    for key, rule in sorted(rules.items()):
        if key in old and key not in moved:
            last = old[key]
            found.append(
                replace(
                    rule,
                    population=last.population,
                    counts=last.counts,
                    records_root=last.records_root,
                )
            )
            continue
        standing = by_rule.get(key, [])
        counts = Counter(row.state.value for row in standing)
        found.append(
            replace(
                rule,
                population=len(standing),
                counts=tuple(sorted(counts.items())),
                records_root=merkle_root(records_root_lines(standing)),
            )
        )
    return tuple(found)


def _packs(
    files: Iterable[HistoryFile], records: Iterable[bytes], talk: Conversation
) -> tuple[tuple[str, Pack], ...]:
    """Give AWS's files and pages as they came, and the records read from them."""
    sources = {file.pack.sha256: file.pack for file in files}
    return (
        *(("source", sources[digest]) for digest in sorted(sources)),
        ("source", pack(set(talk.kept))),
        ("records", pack(set(records))),
    )
