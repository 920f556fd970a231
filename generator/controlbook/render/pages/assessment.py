# SPDX-License-Identifier: Apache-2.0
"""Pages of one assessment: its landing page, register, evidence and last state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from controlbook.model import State
from controlbook.timeline import subtract, union

from . import index, write

if TYPE_CHECKING:
    from controlbook.model import Requirement, RuleInstance, Standing
    from controlbook.timeline import Intervals

    from .view import View
    from .write import Page

REGISTER = "Register of deviations and gaps"
EVIDENCE = "Evidence and ledger"
STATE = "State as of the last run"
AUDITED = "Audit Manager"
LISTED = 25
"""Resources that the state page names per row before it counts the rest."""
PLACES = 400
"""So many accounts × Regions stand under one rule, those that fail before others."""


def landing(view: View) -> Page:
    """Show period, scope, people and where every requirement stands."""
    assessment = view.report.assessment
    return write.page(
        write.landing(view.id),
        assessment.title or assessment.id,
        "landing",
        (view.report,),
        {"view": view, "groups": _groups(view), "holes": holes(view)},
    )


def _groups(view: View) -> list[tuple[str, list[Requirement]]]:
    """Group neighbouring requirements under the heading above them."""
    groups: list[tuple[str, list[Requirement]]] = []
    for item in view.requirements:
        title = view.heading_of(item)
        if not groups or groups[-1][0] != title:
            groups.append((title, []))
        groups[-1][1].append(item)
    return groups


def holes(view: View) -> Intervals:
    """Find the parts of the period that no run covers."""
    period = view.report.assessment.period
    return subtract((period,), union(run.window for run in view.report.ledger.config))


def register(view: View) -> Page:
    """List every deviation and every evidence gap, those without a control too."""
    return write.page(
        write.part(view.id, "register"),
        REGISTER,
        "register",
        (view.report,),
        {"view": view},
    )


def evidence(view: View) -> Page:
    """List the runs behind an assessment, with their digests and vault objects."""
    return write.page(
        write.part(view.id, "evidence"),
        EVIDENCE,
        "evidence",
        (view.report,),
        {
            "view": view,
            "holes": holes(view),
            "streams": view.report.ledger.runs,
            "rows": (*index.rows(view.report.runs), *index.rows(view.report.looks)),
            "event_rows": index.rows(view.report.event_runs),
        },
    )


def audit_manager(view: View) -> Page:
    """Show what is kept of Audit Manager, and where it contradicts our record."""
    return write.page(
        write.part(view.id, "audit-manager"),
        AUDITED,
        "audit_manager",
        (view.report,),
        {"view": view, "found": view.kept},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRow:
    """One rule in one account and Region as the last run left it."""

    row: RuleInstance
    counts: tuple[tuple[State, int], ...]
    failing: tuple[Standing, ...]
    """Resources that were not compliant, the oldest first."""


def state(view: View) -> Page:
    """Show the state of every rule × account as of the last run."""
    by_instance: dict[str, list[Standing]] = {}
    for standing in view.report.closing:
        if standing.instance in view.rule_rows:
            by_instance.setdefault(standing.instance, []).append(standing)
    rows = [
        _state_row(row, by_instance.get(key, []))
        for key, row in sorted(
            view.rule_rows.items(),
            key=lambda pair: (pair[1].rule, pair[1].account, pair[1].region, pair[0]),
        )
    ]
    return write.page(
        write.part(view.id, "state"),
        STATE,
        "state",
        (view.report,),
        {
            "view": view,
            "groups": [
                (rule, *_shown(list(found)))
                for rule, found in groupby(rows, key=lambda found: found.row.rule)
            ],
            "unnamed": _unnamed(view),
            "run": view.last_run,
            "listed": LISTED,
        },
    )


def _shown(rows: list[StateRow]) -> tuple[list[StateRow], int]:
    """Choose the rows to list under a rule, and say how many there are."""
    if len(rows) <= PLACES:
        return rows, len(rows)
    fine = {"ok", "idle"}
    worst = sorted(rows, key=lambda row: not row.failing and row.row.status in fine)
    chosen = {row.row.key for row in worst[:PLACES]}
    return [row for row in rows if row.row.key in chosen], len(rows)


def _unnamed(view: View) -> int:
    """Count the rules that are not listed, since no control demands them."""
    last = view.last_run
    if last is None or not view.report.ledger.shares:
        return 0
    counted = view.report.findings.recorded
    seen = max(counted.rows, default=last.seq)
    return counted.rows[seen].rules - len(counted.last)


def _state_row(row: RuleInstance, standings: list[Standing]) -> StateRow:
    counts = Counter(standing.state for standing in standings)
    return StateRow(
        row=row,
        counts=tuple((state, counts[state]) for state in State if counts[state]),
        failing=tuple(
            sorted(
                (
                    standing
                    for standing in standings
                    if standing.state
                    not in {State.COMPLIANT, State.NOT_APPLICABLE, State.ABSENT}
                ),
                key=lambda standing: (standing.since, standing.resource),
            )
        ),
    )
