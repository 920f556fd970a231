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

from controlbook.timeline import Interval, iso

from .fold import Deployment, Fold
from .head import counted, regular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import RuleInstance, Run, Transition
    from controlbook.timeline import Instant

    from . import Past, Place
    from .delivery import HistoryFile
    from .head import Head


@dataclass(slots=True, kw_only=True)
class Late:
    """What came late, and what it changes."""

    files: list[HistoryFile] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    """Where the transitions are."""
    notes: list[str] = field(default_factory=list)
    complete: bool = True


def take_in(
    files: Mapping[Place, tuple[HistoryFile, ...]],
    head: Head,
    past: Past,
    start: Instant,
) -> Late:
    """Move the head by what was captured before `start` and not taken in yet."""
    late = Late()
    seen = {stored.sha256 for run in past.runs for stored in run.objects}
    for place in sorted(files.keys() & head.collected):
        fresh = [
            file
            for file in files[place]
            if file.pack.sha256 not in seen
            and any(item.at < start for item in file.items)
        ]
        if fresh:
            late.files += fresh
            moved = _of_place(place, fresh, head, past, start, late)
            if moved:
                late.transitions += moved
                late.places.append(place)
    return late


def _of_place(
    place: Place,
    files: list[HistoryFile],
    head: Head,
    past: Past,
    start: Instant,
    late: Late,
) -> tuple[Transition, ...]:
    rows = head.rules.get(place, ())
    known = {
        (move.resource, move.at)
        for run in past.runs
        for move in run.transitions
        if (move.account, move.region) == place
    }
    fold = Fold(head.states.get(place, ()), _as_ledger_knows(rows))
    for item in sorted({item for file in files for item in file.items}):
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
    head.states[place] = fold.states
    rules = {row.key: row for row in rows}
    head.rules[place] = counted(rules, fold.states, rows, fold.transitions)
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
        for run in regular(past)
    )


def corrected_by(late: Late, past: Past) -> tuple[Run, Interval]:
    """Give the first run that late transitions add to, and the correction's window.

    The window ends with what was collected, so that the states at its end are those of
    the ledger's head.
    """
    first = min(late.transitions).at
    runs = regular(past)
    run = next(run for run in runs if run.window.end > first)
    return run, Interval(run.window.start, runs[-1].window.end)
