# SPDX-License-Identifier: Apache-2.0
"""The `config` stream: AWS Config's verdicts, with every change between two looks.

Rules enforced here:
- windows are whole UTC days that tile; missed days are caught up one by one;
- the history of ResourceCompliance gives the transitions, the aggregator cross-checks;
- a place that the last run did not collect starts from freshly read states, since what
  happened meanwhile was not seen; a place that cannot be read keeps its last states
  and is missing;
- what arrives after its window was closed becomes a correction, never an edit; what a
  correction cannot take in cleanly is noted, and the run is incomplete;
- a history that the aggregator contradicts is no evidence.
"""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from controlbook.errors import ControlbookError
from controlbook.model import Missing, State
from controlbook.timeline import Instant, Interval, instant, iso
from controlbook.vault.packs import Pack, Packer, pack

from . import Past, Place, Reading, Scope
from .aws import Connections, Conversation, endpoint_of, shared
from .book import Sheet, book_of
from .delivery import Bucket
from .fold import Deployment, Fold, seeded
from .gathering import Gathering, contributors, gather, seed_histories
from .head import all_of, behind_places, behind_since, counted, head_of
from .late import Late, corrected_by
from .places import Known
from .survey import Surveyed, ruled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from controlbook.model import RuleInstance, Settings, Transition

    from .delivery import HistoryFile
    from .head import Head
    from .items import Item
    from .places import Found

BAD = State.NON_COMPLIANT.value
ORDER = attrgetter("at", "instance", "resource")
"""Transitions' own order: no two of a window agree in all three."""

Packs = tuple[tuple[str, Pack], ...]
"""(role, pack)"""


class ConfigSource:
    """AWS Config through boto3, as the settings describe it."""

    stream = "config"

    def __init__(
        self,
        settings: Settings,
        aws: Connections | None = None,
        watch: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> None:
        """Use the settings' aggregator, bucket and role; `watch` is told of places."""
        if not settings.aggregator or not settings.region:
            message = "no aggregator is set, or not its Region"
            advice = "set aggregator and region in [tool.controlbook]"
            raise ControlbookError(message, place="pyproject.toml", advice=advice)
        self.settings = settings
        self._watch = watch
        self._aws = aws or shared(settings.collector_role)
        self._bucket = (
            Bucket(settings.delivery_bucket, settings.delivery_prefix)
            if settings.delivery_bucket
            else None
        )

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Give the days that are over and not collected; at first only the last one."""
        return past.days_until(now)

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        """Read the windows, oldest first; a correction of the past comes before."""
        windows = tuple(pair for pair in windows if pair[1].places)
        if not windows:
            return
        head = head_of(past)
        talk = Conversation(self._aws, plain=True)
        gathering = Gathering(
            talk=talk, settings=self.settings, bucket=self._bucket, watch=self._watch
        )
        places = sorted({place for _, scope in windows for place in scope.places})
        collected, last = head.collected, head.looked or now

        def known(place: Place) -> Known | None:
            if place not in collected:
                return None
            rows = ruled(head.rules.get(place, ()))
            return Known(
                survey=Surveyed(rules=rows, since=last, now=now),
                behind_since=behind_since(past, place),
            )

        # Up to now, since a delivery may lie in the folder of the day it came.
        span = Interval(windows[0][0].start, now)
        with closing(gather(gathering, places, span, known, head.book)) as arriving:
            collection = _Collection(gathering, head, past, arriving)
            for window, scope in windows:
                final = window == windows[-1][0]
                yield from collection.readings(window, scope, final=final)


@dataclass(kw_only=True, slots=True)
class _Folded:
    """What one window came to."""

    window: Interval
    transitions: list[Transition] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    files: list[HistoryFile] = field(default_factory=list)
    """AWS's files with items of the window."""
    records: list[bytes] = field(default_factory=list)
    """Its items, as lines of a record pack."""

    def add(self, place: Place, found: Found) -> None:
        """Keep what a place that was folded gave."""
        within = self.window.contains
        self.places.append(place)
        self.records += [item.record for item in found.items if within(item.at)]
        self.files += [
            file for file in found.files if any(within(item.at) for item in file.items)
        ]


class _Collection:
    """Folds one gathering, window by window, onto the ledger's head.

    The first window is folded while places are still being read.
    """

    def __init__(
        self, gathering: Gathering, head: Head, past: Past, arriving: Iterator[Place]
    ) -> None:
        """`arriving` names places in their order, each once it was read."""
        self.gathering = gathering
        self.head = head
        self.past = past
        self.notes: list[str] = []
        """Of the window at hand."""
        self.complete = True
        self._arriving = arriving
        self._arrived: Place = ("", "")
        """The last place that was read."""
        self._collected = head.collected
        """Where what came late is looked for, with the first window."""

    def readings(
        self, window: Interval, scope: Scope, *, final: bool
    ) -> Iterator[Reading]:
        """Fold one window; what came late of the past is corrected before the first.

        The aggregator's view belongs to the final one.
        """
        gathering, head = self.gathering, self.head
        late = Late(
            head=head, past=self.past, start=window.start, collected=self._collected
        )
        self._collected = frozenset()
        if window.start != head.end:
            # Nobody looked in between: nothing is known of the states at the start.
            head.collected = frozenset()
        folded = _Folded(window=window)
        states = self._fold_all(folded, late, frozenset(scope.places), final=final)
        self.complete = self.complete and late.complete
        if late.transitions:
            yield self._correction(late)
        else:
            # Files that came late and changed nothing: stored all the same.
            folded.files += late.files
            self.notes = [*late.notes, *self.notes]
        head.book = book_of(states)
        doubtful = self._doubtful(folded) if final else frozenset()
        missing = [row for p in scope.places for row in gathering.missing(p, window)]
        missing += [_without(place, window) for place in doubtful]
        collected = tuple(place for place in folded.places if place not in doubtful)
        head.collected = frozenset(collected)
        head.behind = behind_places(missing)
        head.end = window.end
        head.first = False
        if final:
            folded.records += gathering.records
            gathering.records = []
        notes, self.notes = self.notes, []
        yield self._reading(
            kind="regular" if final else "backfill",
            window=window,
            expected=scope.places,
            collected=collected,
            missing=tuple(sorted(missing)),
            transitions=tuple(sorted(folded.transitions, key=ORDER)),
            packs=self._packs(
                folded.files,
                folded.records,
                states if any(head.rules.values()) else None,
            ),
            complete=gathering.complete and self.complete,
            rules=head.all_rules,
            notes=tuple(dict.fromkeys([*gathering.notes, *notes])),
        )

    def _fold_all(
        self, folded: _Folded, late: Late, scoped: frozenset[Place], *, final: bool
    ) -> Pack:
        """Fold place after place, as they arrive; give the states at the end."""
        packer, window = Packer(), folded.window
        for place, opening in self.head.book.with_all(scoped | late.collected):
            line, found = opening, self._found(place)
            if found:
                line = late.take_in(place, found.files, line)
            joining = self.gathering.before_joining(place, window)
            if found and place in scoped and not joining:
                sheet = self._fold(place, line, window, folded.transitions)
                if sheet is not None:
                    line = sheet.line
                    folded.add(place, found)
                    if final:  # a large organisation has many
                        found.items = found.files = ()
            if self.head.rules.get(place):
                packer.add(line or Sheet(place).line)
        deque(self._arriving, maxlen=0)  # places of later windows
        return packer.finish()

    def _found(self, place: Place) -> Found | None:
        """Give what a place gave, which may still have to arrive."""
        while self._arrived < place:
            self._arrived = next(self._arriving, place)
        return self.gathering.found.get(place)

    def _correction(self, late: Late) -> Reading:
        """Correct the past by what reached the bucket after its run."""
        before = head_of(self.past)
        run, window = corrected_by(late, self.past)
        count = len(late.transitions)
        note = (
            f"{count} transition{'s' if count > 1 else ''} reached the delivery bucket"
            f" after run {run.seq:06d} had closed its window"
        )
        items = [i for f in late.files for i in f.items if i.at < late.start]
        places = tuple(late.sheets)
        return self._reading(
            kind="correction",
            window=window,
            corrects=run.seq,
            expected=places,
            collected=places,
            transitions=tuple(sorted(late.transitions)),
            packs=self._packs(
                late.files,
                (i.record for i in items),
                before.book.rewritten(late.sheets),
            ),
            complete=self.gathering.complete and late.complete,
            rules=all_of({**before.rules, **late.rules}),
            notes=tuple(dict.fromkeys([*late.notes, note])),
        )

    def _packs(
        self,
        files: Iterable[HistoryFile],
        records: Iterable[bytes],
        states: Pack | None,
    ) -> Packs:
        """Give AWS's files and pages as they came, what was read, and the states."""
        gathering = self.gathering
        sources = {file.pack.sha256: file.pack for file in files}
        # Which came first says nothing.
        pages = sorted(gathering.pages, key=lambda page: page.sha256)
        pages.append(pack(set(gathering.talk.kept)))
        return (
            *(("source", sources[digest]) for digest in sorted(sources)),
            *(("source", page) for page in pages),
            ("records", pack(set(records))),
            *((("state", states),) if states else ()),
        )

    def _reading(self, **fields: Any) -> Reading:  # noqa: ANN401 - Reading's own fields
        """Complete a reading by what every reading of one gathering shares."""
        gathering, talk = self.gathering, self.gathering.talk
        client = talk.aws.client("config", "", gathering.settings.region)
        return Reading(
            **fields,
            aws_date=talk.aws_date or Instant(0),
            principal=gathering.principal,
            endpoint=endpoint_of(client),
            pages=talk.pages,
            throttles=talk.throttles,
            queries=talk.queries,
            organizations_sha256=gathering.organizations_sha256,
        )

    def _fold(
        self,
        place: Place,
        line: bytes,
        window: Interval,
        transitions: list[Transition],
    ) -> Sheet | None:
        """Move one place through a window; None where it cannot be seeded."""
        found, head = self.gathering.found[place], self.head
        rows = head.rules.get(place, ())
        deployment = found.survey.deployment(window, rows)
        sheet = Sheet(place, line)
        items = [item for item in found.items if window.contains(item.at)]
        afresh = place not in head.collected or place in head.behind
        fold = Fold((), deployment)
        if afresh:
            try:
                histories = seed_histories(self.gathering, place, window.start)
            except ControlbookError as error:
                self.gathering.failures[place] = str(error)
                self.complete = False
                self.notes.append(str(error))
                return None
            fold = self._seeded(sheet, histories, deployment, window)
        elif items or deployment.removed:
            named = {item.resource for item in items}
            opening = sheet.all if deployment.removed else sheet.of(named)
            fold = Fold(opening, deployment)
        for item in items:
            fold.add(item)
        fold.remove_rules(window)
        if fold.unknown:
            names = ", ".join(sorted(fold.unknown))
            self.notes.append(f"{' '.join(place)}: verdicts of unknown rules: {names}")
        moves = fold.transitions
        transitions += moves
        if moves or afresh:
            sheet.replace(fold.opening, fold.states)
        keys = {move.instance for move in moves}
        if afresh and head.first:
            keys = set(deployment.rules)
        moved = sheet.under(keys) if keys else {}
        head.rules[place] = counted(deployment.rules, rows, moved)
        return sheet

    def _seeded(
        self,
        sheet: Sheet,
        histories: Iterable[tuple[Item, ...]],
        deployment: Deployment,
        window: Interval,
    ) -> Fold:
        """Start a place from states that were read afresh."""
        seeds, unknown = seeded(histories, deployment)
        if self.head.first:
            fold = Fold(seeds, deployment)
        else:
            fold = Fold(sheet.all, deployment)
            fold.settle(seeds, window.start)
        fold.unknown |= unknown
        return fold

    def _unseen(self, place: Place, window: Interval) -> bool:
        """Tell whether a listing came back blank: others see verdicts, we see none."""
        gathering, rows = self.gathering, self.head.rules.get(place, ())
        if (
            place not in gathering.judged
            or (gathering.sources or {})[place].status != "SUCCEEDED"
            or gathering.missing(place, window)
        ):
            return False
        if gathering.found[place].survey.rules == ():
            what = "rule"
        elif rows and not any(row.population for row in rows):
            what = "resource"
        else:
            return False
        self.complete = False
        where = " ".join(place)
        self.notes.append(f"{where}: the aggregator shows verdicts, we got no {what}")
        return True

    def _doubtful(self, folded: _Folded) -> frozenset[Place]:
        """Give the places whose evidence contradicts itself: the next run reads afresh.

        The aggregator counts resources, up to a cap; which they are is asked only where
        its count is not ours.
        """
        places, window = folded.places, folded.window
        blank = {place for place in places if self._unseen(place, window)}
        suspect = {
            place: rules
            for place in places
            if place not in blank and (rules := self._miscounted(place))
        }
        sheets = self.head.book.pick(suspect)
        notes = {
            place: [
                note
                for rule, key in rules
                for note in self._contradictions(sheets[place], window, rule, key)
            ]
            for place, rules in suspect.items()
        }
        said = [note for of_place in notes.values() for note in of_place]
        self.complete = self.complete and not said
        self.notes += said
        return frozenset(blank | {place for place in notes if notes[place]})

    def _miscounted(self, place: Place) -> list[tuple[str, str]]:
        """Give the rules, as deployed, of which the aggregator counts other resources.

        With their keys.
        """
        gathering = self.gathering
        bad = gathering.bad.get(place, {})
        if not bad or (gathering.sources or {})[place].status != "SUCCEEDED":
            return []
        rows = self.head.rules[place]
        keys = gathering.found[place].survey.named(rows, bad)
        named = set(keys.values())
        ours = {row.key: _bad_in(row) for row in rows if row.key in named}
        return [
            (rule, keys.get(rule, ""))
            for rule, count in bad.items()
            if count != ours.get(keys.get(rule, ""), 0)
        ]

    def _contradictions(
        self, sheet: Sheet, window: Interval, rule: str, key: str
    ) -> list[str]:
        states = {row[1]: row for row in sheet.under({key})[key]}
        notes = []
        for seen in contributors(self.gathering, sheet.place, rule):
            if seen.recorded >= window.end:
                continue
            row = states.get(seen.resource)
            # A state newer than the aggregator's verdict contradicts nothing.
            newer = row is not None and instant(row[3]) > seen.recorded
            if newer or (row and row[2] == BAD):
                continue
            notes.append(
                f"{' '.join(sheet.place)}: the aggregator shows {seen.resource} as"
                f" NON_COMPLIANT under {rule} since {iso(seen.recorded)} or"
                f" before, the history says {row[2] if row else 'nothing'}"
            )
        return notes


def _bad_in(row: RuleInstance) -> int:
    """Say how many resources are NON_COMPLIANT under a rule by its row."""
    return dict(row.counts).get(BAD, 0)


def _without(place: Place, window: Interval) -> Missing:
    account, region = place
    return Missing(
        account=account, region=region, reason="source-failed", interval=window
    )
