# SPDX-License-Identifier: Apache-2.0
"""What reached the delivery bucket after its window was closed.

Rules enforced here:
- a file that an earlier run stored is known; so is an item at an instant of which the
  ledger has a transition of that resource;
- a late item is taken in only behind everything known of its resource; any other is
  noted, and where a run had claimed to cover its time, the evidence is incomplete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlbook.timeline import DAY, Interval, iso

from .book import book_of
from .fold import Deployment, Fold
from .head import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import RuleInstance, Run, Transition
    from controlbook.timeline import Instant
    from controlbook.vault.packs import Pack

    from . import Past, Place
    from .book import Sheet
    from .delivery import HistoryFile
    from .head import Head

    Moment = tuple[str, Instant]
    """A resource, and when it changed."""


@dataclass(slots=True, kw_only=True)
class Late:
    """What came late, and what it changes."""

    files: list[HistoryFile] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    """Where the transitions are."""
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    pack: Pack | None = None
    """The states after it, where there are transitions."""


def take_in(
    files: Mapping[Place, tuple[HistoryFile, ...]],
    head: Head,
    past: Past,
    start: Instant,
) -> Late:
    """Move the head by what was captured before `start` and not taken in yet."""
    late = Late()
    seen = _stored(files, past, start)
    fresh: dict[Place, list[HistoryFile]] = {}
    for place in sorted(files.keys() & head.collected):
        for file in files[place]:
            if file.pack.sha256 not in seen and any(i.at < start for i in file.items):
                fresh.setdefault(place, []).append(file)
                late.files.append(file)
    if not fresh:
        return late
    sheets = head.book.pick(fresh)
    known = _known(past, late.files)
    for place, sheet in sheets.items():
        done = known.get(place, set())
        moved = _of_place(sheet, fresh[place], head, past, (start, done), late)
        if moved:
            late.transitions += moved
            late.places.append(place)
    if late.transitions:
        late.pack = head.book.rewritten({place: sheets[place] for place in late.places})
        head.book = book_of(late.pack)
    return late


def _stored(
    files: Mapping[Place, tuple[HistoryFile, ...]], past: Past, start: Instant
) -> set[str]:
    """Give what the runs stored that may have stored one of these files."""
    times = [item.at for own in files.values() for file in own for item in file.items]
    if min(times, default=start) >= start:
        return set()
    return {
        stored.sha256
        for run in past.runs
        # A run stores what is written until it looks, a day after its window at most.
        if run.window.end + DAY > min(times)
        for stored in past.objects(run)
    }


def _known(past: Past, files: list[HistoryFile]) -> dict[Place, set[Moment]]:
    """Give the changes that the ledger has of the time that files speak of."""
    first = min(item.at for file in files for item in file.items)
    found: dict[Place, set[Moment]] = {}
    for run in past.runs:
        if run.window.end > first:
            for move in run.transitions:
                place = (move.account, move.region)
                found.setdefault(place, set()).add((move.resource, move.at))
    return found


def _of_place(
    sheet: Sheet,
    files: list[HistoryFile],
    head: Head,
    past: Past,
    bounds: tuple[Instant, set[Moment]],
    late: Late,
) -> tuple[Transition, ...]:
    place = sheet.place
    start, known = bounds
    rows = head.rules.get(place, ())
    items = sorted({item for file in files for item in file.items})
    opening = sheet.of({item.resource for item in items})
    fold = Fold(opening, _as_ledger_knows(rows))
    for item in items:
        if item.at >= start or (item.resource, item.at) in known:
            continue
        standing = fold.of(item.resource).values()
        before_all = item.at < past.runs[0].window.start
        if before_all or any(row.since > item.at for row in standing):
            if _claimed(past, place, item.at):
                late.complete = False
            late.notes.append(
                f"{' '.join(place)}: a late item of {item.resource}, captured"
                f" {iso(item.at)}, lies before what is known and was not taken in"
            )
            continue
        fold.add(item)
    sheet.replace(opening, fold.states)
    rules = {row.key: row for row in rows}
    moved = sheet.under({move.instance for move in fold.transitions})
    head.rules[place] = counted(rules, rows, moved)
    return fold.transitions


def _as_ledger_knows(rows: tuple[RuleInstance, ...]) -> Deployment:
    return Deployment(
        rules={row.key: row for row in rows},
        arns={},
        names={row.deployed_as: row.key for row in rows},
    )


def _claimed(past: Past, place: Place, moment: Instant) -> bool:
    """Tell whether a run said that it covers a place at an instant."""
    return any(
        run.window.contains(moment)
        and place in run.collected
        and not any(
            (row.account, row.region) == place and row.interval.contains(moment)
            for row in run.missing
        )
        for run in past.tiled
    )


def corrected_by(late: Late, past: Past) -> tuple[Run, Interval]:
    """Give the first run that late transitions add to, and the correction's window.

    The window ends with what was collected, so that the states at its end are those of
    the ledger's head.
    """
    first = min(late.transitions).at
    runs = past.tiled
    run = next(run for run in runs if run.window.end > first)
    return run, Interval(run.window.start, runs[-1].window.end)
