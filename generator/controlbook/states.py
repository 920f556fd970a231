# SPDX-License-Identifier: Apache-2.0
"""The state of every resource under every rule at one instant, from the ledger alone.

Rules enforced here:
- it starts from the state pack of the last window that ended by then, and follows the
  transitions on from there; before the first pack nothing is known, and after the last
  window nothing either: both are said, never guessed;
- where the run of that instant had no evidence for a place or a rule, the state shown
  is the last known one, and says that it is not evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .coverage import place_holes, windows
from .errors import ControlbookError, Exit
from .ledger import fold_states
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .model import RuleInstance, Run, Standing, State
    from .timeline import Instant


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Row:
    """One resource under one rule at an instant."""

    account: str
    region: str
    rule: str
    resource: str
    state: State
    since: Instant
    deployed_as: str = ""
    doubt: str = ""
    """Why this is no evidence of that instant; empty: it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Where to start from: the run with the state pack, and what followed it."""

    run: Run
    within: Run
    """The run whose window holds the instant; the same where it ends there."""
    later: tuple[Run, ...]
    """Runs whose transitions may lie between the pack and the instant."""


def base_of(runs: tuple[Run, ...], moment: Instant) -> Base:
    """Choose the state pack from which an instant is reached.

    Raises ControlbookError (exit 5) where the ledger does not reach the instant.
    """
    tiled = windows(runs)
    if not tiled:
        message = "the ledger holds no run of the config stream"
        raise ControlbookError(
            message, advice="run `controlbook collect`", code=Exit.UNAVAILABLE
        )
    before = [run for run in tiled if run.window.end <= moment]
    if not before:
        message = f"the ledger's first state is that of {iso(tiled[0].window.end)}"
        advice = "what held earlier was not collected; name a later instant"
        raise ControlbookError(message, advice=advice, code=Exit.UNAVAILABLE)
    run = before[-1]
    if run.window.end == moment:
        return Base(run=run, within=run, later=_corrections(runs, run))
    within = next((r for r in tiled if r.window.start <= moment < r.window.end), None)
    if within is None:
        message = (
            f"no run covers {iso(moment)}: the last one ended {iso(run.window.end)}"
        )
        advice = "collect first, or ask AWS with --live"
        raise ControlbookError(message, advice=advice, code=Exit.UNAVAILABLE)
    return Base(run=run, within=within, later=(within, *_corrections(runs, run)))


def _corrections(runs: Iterable[Run], base: Run) -> tuple[Run, ...]:
    return tuple(r for r in runs if r.kind == "correction" and r.seq > base.seq)


def states_at(
    base: Base, pack: tuple[Standing, ...], moment: Instant
) -> tuple[Row, ...]:
    """Give every resource's state at an instant; `pack` is that of `base.run`."""
    since = {(row.instance, row.resource): row.since for row in pack}
    moves = [
        move
        for run in base.later
        for move in run.transitions
        if since.get((move.instance, move.resource), move.at) <= move.at <= moment
    ]
    rules = {row.key: row for run in (base.run, base.within) for row in run.rules}
    doubts = _doubts(base, rules, moment)
    return tuple(
        sorted(
            Row(
                account=rules[row.instance].account,
                region=rules[row.instance].region,
                rule=rules[row.instance].rule,
                resource=row.resource,
                state=row.state,
                since=row.since,
                deployed_as=rules[row.instance].deployed_as,
                doubt=doubts[row.instance],
            )
            for row in fold_states(pack, moves)
            if row.instance in rules
        )
    )


def _doubts(
    base: Base, rules: Mapping[str, RuleInstance], moment: Instant
) -> dict[str, str]:
    """Say, per rule instance, why its states are no evidence of the instant."""
    in_force = {row.key: row for row in base.within.rules}
    # An instant at a window's very end is judged by the last moment inside it.
    inside = min(moment, base.within.window.end - 1)
    found = {}
    for key, rule in rules.items():
        holes = place_holes((base.within,), rule.account, rule.region)
        reasons = [
            hole.reason
            for hole in holes
            if hole.interval.start <= inside < hole.interval.end
        ]
        if key not in in_force:
            reasons.append("rule-absent")
        elif in_force[key].status not in {"ok", "idle"}:
            reasons.append(in_force[key].status)
        found[key] = ", ".join(dict.fromkeys(reasons))
    return found
