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
from .head import Head, behind_places, behind_since, counted, head_of
from .late import corrected_by, take_in
from .places import Known
from .survey import Surveyed, ruled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from controlbook.model import Settings, Transition

    from .delivery import HistoryFile
    from .items import Item

BAD = State.NON_COMPLIANT.value

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
        last = head.looked or now

        def known(place: Place) -> Known | None:
            if place not in head.collected:
                return None
            rows = ruled(head.rules.get(place, ()))
            return Known(
                survey=Surveyed(rules=rows, since=last, now=now),
                behind_since=behind_since(past, place),
            )

        # Up to now, since a delivery may lie in the folder of the day it came.
        span = Interval(windows[0][0].start, now)
        gather(gathering, places, span, known, head.book)
        collection = _Collection(gathering, head, past)
        yield from collection.correction(span.start)
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
        self._late: list[HistoryFile] = []
        """Files that came late and changed nothing: stored all the same."""

    def correction(self, start: Instant) -> Iterator[Reading]:
        """Correct the past by what reached the bucket after its run."""
        if self.past.last is None:
            return
        gathering = self.gathering
        files = {place: found.files for place, found in gathering.found.items()}
        late = take_in(files, self.head, self.past, start)
        self.notes += late.notes
        self.complete = self.complete and late.complete
        if not late.transitions:
            self._late = late.files
            return
        run, window = corrected_by(late, self.past)
        count = len(late.transitions)
        self.notes.append(
            f"{count} transition{'s' if count > 1 else ''} reached the delivery bucket"
            f" after run {run.seq:06d} had closed its window"
        )
        items = [i for f in late.files for i in f.items if i.at < start]
        yield self._reading(
            kind="correction",
            window=window,
            corrects=run.seq,
            expected=tuple(late.places),
            collected=tuple(late.places),
            transitions=tuple(sorted(late.transitions)),
            packs=self._packs(late.files, (i.record for i in items), late.pack),
        )

    def window(self, window: Interval, scope: Scope, *, final: bool) -> Reading:
        """Fold one window; the aggregator's view belongs to the final one."""
        gathering, head = self.gathering, self.head
        if window.start != head.end:
            # Nobody looked in between: nothing is known of the states at the start.
            head.collected = frozenset()
        transitions: list[Transition] = []
        folded: list[Place] = []
        doubtful: list[Place] = []
        packer = Packer()
        scoped = frozenset(scope.places)
        for place, line in head.book.with_all(scoped):
            seen = place in scoped and place in gathering.found
            if seen and not gathering.before_joining(place, window):
                sheet = self._fold(place, line, window, transitions)
                if sheet is not None:
                    folded.append(place)
                    line = sheet.line  # noqa: PLW2901 - the same, unless it moved
                    # Evidence that contradicts itself is none; the next run reads
                    # afresh. The aggregator's view belongs to the final window.
                    if final and (
                        self._unseen(place, window) or self._contradicted(sheet, window)
                    ):
                        doubtful.append(place)
            if head.rules.get(place):
                packer.add(line or Sheet(place).line)
        states = packer.finish()
        missing = [row for p in scope.places for row in gathering.missing(p, window)]
        missing += [_without(place, window) for place in doubtful]
        collected = tuple(place for place in folded if place not in set(doubtful))
        head.collected = frozenset(collected)
        head.behind = behind_places(missing)
        head.end = window.end
        head.first = False
        head.book = book_of(states)
        self.notes = [*gathering.notes, *self.notes]
        return self._reading(
            kind="regular" if final else "backfill",
            window=window,
            expected=scope.places,
            collected=collected,
            missing=tuple(sorted(missing)),
            transitions=tuple(sorted(transitions)),
            packs=self._window_packs(window, folded, states, final=final),
        )

    def _window_packs(
        self, window: Interval, places: list[Place], states: Pack, *, final: bool
    ) -> Packs:
        """Give the files with items of a window, and its items as records."""
        gathering, found = self.gathering, self.gathering.found
        files, self._late = self._late, []
        records: list[bytes] = []
        if final:
            records, gathering.records = gathering.records, []
        for place in places:
            records += [i.record for i in found[place].items if window.contains(i.at)]
            files += [
                file
                for file in found[place].files
                if any(window.contains(item.at) for item in file.items)
            ]
        return self._packs(files, records, states)

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
            *((("state", states),) if states and self.head.rules_anywhere else ()),
        )

    def _reading(self, **fields: Any) -> Reading:  # noqa: ANN401 - Reading's own fields
        """Complete a reading by what every reading of one gathering shares."""
        gathering, talk = self.gathering, self.gathering.talk
        client = talk.aws.client("config", "", gathering.settings.region)
        notes, self.notes = tuple(dict.fromkeys(self.notes)), []
        return Reading(
            **fields,
            aws_date=talk.aws_date or Instant(0),
            principal=gathering.principal,
            endpoint=endpoint_of(client),
            pages=talk.pages,
            throttles=talk.throttles,
            complete=gathering.complete and self.complete,
            queries=talk.queries,
            rules=self.head.all_rules,
            notes=notes,
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
                self.gathering.fail(error)
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

    def _contradicted(self, sheet: Sheet, window: Interval) -> bool:
        """Compare what the aggregator shows as NON_COMPLIANT with the folded states.

        It counts resources, up to a cap; which they are is asked only where its count
        is not ours.
        """
        gathering, place = self.gathering, sheet.place
        if (gathering.sources or {})[place].status != "SUCCEEDED":
            return False
        rows = {row.key: row for row in self.head.rules[place]}
        names = gathering.found[place].survey.named(self.head.rules[place])
        notes: list[str] = []
        for rule, count in gathering.bad.get(place, {}).items():
            key = names.get(rule, "")
            ours = dict(rows[key].counts).get(BAD, 0) if key in rows else 0
            if count != ours:
                notes += self._contradictions(sheet, window, rule, key)
        if notes:
            self.complete = False
            self.notes += notes
        return bool(notes)

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


def _without(place: Place, window: Interval) -> Missing:
    account, region = place
    return Missing(
        account=account, region=region, reason="source-failed", interval=window
    )
