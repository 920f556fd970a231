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

from .book import Sheet
from .fold import Deployment, Fold
from .head import counted

if TYPE_CHECKING:
    from controlbook.model import RuleInstance, Run, Transition
    from controlbook.timeline import Instant

    from . import Past, Place
    from .delivery import HistoryFile
    from .head import Head, Rows

    Moment = tuple[str, Instant]
    """A resource, and when it changed."""


@dataclass(slots=True, kw_only=True)
class Late:
    """What came late, and what it changes."""

    head: Head
    past: Past
    start: Instant
    """Of the first window: what was captured before may be late."""
    collected: frozenset[Place]
    """What the last run collected; elsewhere nothing is late."""
    files: list[HistoryFile] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    sheets: dict[Place, Sheet] = field(default_factory=dict)
    """Where the transitions are, and the states after them."""
    rules: dict[Place, Rows] = field(default_factory=dict)
    """Their rule rows."""
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    _stored: dict[int, frozenset[str]] = field(default_factory=dict)
    _known: dict[int, dict[Place, set[Moment]]] = field(default_factory=dict)

    def take_in(
        self, place: Place, files: tuple[HistoryFile, ...], line: bytes
    ) -> bytes:
        """Move a place by what was captured before `start` and not taken in yet.

        `line` are its states; given is what they are then.
        """
        if place not in self.collected:
            return line
        fresh = [file for file in files if self._is_new(file)]
        if not fresh:
            return line
        self.files += fresh
        sheet = Sheet(place, line)
        rows = self.head.rules.get(place, ())
        items = sorted({item for file in fresh for item in file.items})
        known = self._moments(place, items[0].at)
        opening = sheet.of({item.resource for item in items})
        fold = Fold(opening, _as_ledger_knows(rows))
        for item in items:
            if item.at >= self.start or (item.resource, item.at) in known:
                continue
            standing = fold.of(item.resource).values()
            before_all = item.at < self.past.runs[0].window.start
            if before_all or any(row.since > item.at for row in standing):
                if _claimed(self.past, place, item.at):
                    self.complete = False
                self.notes.append(
                    f"{' '.join(place)}: a late item of {item.resource}, captured"
                    f" {iso(item.at)}, lies before what is known and was not taken in"
                )
                continue
            fold.add(item)
        moves = fold.transitions
        if not moves:
            return line
        sheet.replace(opening, fold.states)
        moved = sheet.under({move.instance for move in moves})
        rows = counted({row.key: row for row in rows}, rows, moved)
        self.head.rules[place] = self.rules[place] = rows
        self.transitions += moves
        self.sheets[place] = sheet
        return sheet.line

    def _is_new(self, file: HistoryFile) -> bool:
        """Tell whether a file speaks of before the start, and no run stored it."""
        first = min((item.at for item in file.items), default=self.start)
        return first < self.start and not any(
            file.pack.sha256 in self._objects(run)
            for run in self.past.runs
            # A run stores what is written until it looks, a day after its window at
            # most.
            if run.window.end + DAY > first
        )

    def _objects(self, run: Run) -> frozenset[str]:
        if run.seq not in self._stored:
            stored = frozenset(row.sha256 for row in self.past.objects(run))
            self._stored[run.seq] = stored
        return self._stored[run.seq]

    def _moments(self, place: Place, first: Instant) -> set[Moment]:
        """Give the changes of a place that the ledger has of the time since `first`."""
        found: set[Moment] = set()
        for run in self.past.runs:
            if run.window.end > first:
                if run.seq not in self._known:
                    self._known[run.seq] = _moments_of(run)
                found |= self._known[run.seq].get(place, set())
        return found


def _moments_of(run: Run) -> dict[Place, set[Moment]]:
    found: dict[Place, set[Moment]] = {}
    for move in run.transitions:
        place = (move.account, move.region)
        found.setdefault(place, set()).add((move.resource, move.at))
    return found


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
