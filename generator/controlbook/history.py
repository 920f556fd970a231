# SPDX-License-Identifier: Apache-2.0
"""From states and transitions to what was observed of each resource.

Rules enforced here (design section 5.3):
- a state holds from its evaluation until the next one, while collection covers it;
- the state in force before a period comes from the opening state, with its true start;
- deletion ends a deviation, but is not remediation;
- a hole in the evidence cuts every state, NON_COMPLIANT too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from sys import intern
from typing import TYPE_CHECKING

from .identity import deviation_id
from .model import Deviation, Share, Standing, State, Transition
from .timeline import Instant, Interval, Intervals, intersect, total, union

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OBSERVED = frozenset({State.COMPLIANT, State.NON_COMPLIANT, State.NOT_APPLICABLE})
UNSEEN = {
    State.INSUFFICIENT_DATA: "insufficient-data",
    State.UNKNOWN: "rule-vanished",
}
"""States that are evidence gaps, with their reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One unbroken state of one resource under one rule instance."""

    state: State
    start: Instant
    """True start, which may lie before the first instant looked at."""
    end: Instant | None
    """None while it still held at the end of what was collected."""
    ended_by: str
    precision: str

    def within(self, span: Interval) -> Interval | None:
        """Give the part of the piece inside a span."""
        end = span.end if self.end is None else self.end
        return Interval(self.start, end).clip(span) if self.start < end else None


Pieces = tuple[Piece, ...]


def deviation_of(
    piece: Piece,
    within: Interval,
    *,
    place: tuple[str, str],
    resource: str,
    rule: str,
    identifier: str = "",
    parameters: tuple[tuple[str, str], ...] = (),
) -> Deviation:
    """Give the deviation of a piece of time; `identifier` is the rule by default."""
    # Every account has its own copies of the names of rules: of many deviations these
    # would be the larger part.
    account, region = map(intern, place)
    rule, identifier = intern(rule), intern(identifier or rule)
    return Deviation(
        id=deviation_id(identifier, parameters, account, region, resource, piece.start),
        rule=rule,
        identifier=identifier,
        parameters=parameters,
        account=account,
        region=region,
        resource=resource,
        start=piece.start,
        end=piece.end,
        within=within,
        ended_by=piece.ended_by,
        precision=piece.precision,
    )


def pieces_by_resource(
    opening: Iterable[Standing], transitions: Iterable[Transition]
) -> Mapping[tuple[str, str], Pieces]:
    """Fold states and transitions to pieces, by (instance key, resource).

    Transitions may come in any order and more than once; they are sorted by time, and
    equal ones collapse. A transition to the state already in force changes nothing.
    """
    opened = {(row.instance, row.resource): row for row in opening}
    moves: dict[tuple[str, str], list[Transition]] = defaultdict(list)
    for move in transitions:
        moves[move.instance, move.resource].append(move)
    return {
        key: _fold(opened.get(key), _in_order(moves.get(key, [])))
        for key in sorted(opened.keys() | moves.keys())
    }


def _in_order(moves: list[Transition]) -> list[Transition]:
    """Sort one resource's changes and collapse equal ones; mostly they are in order."""
    if all(first.at < second.at for first, second in pairwise(moves)):
        return moves
    return sorted(set(moves))


def _fold(opening: Standing | None, moves: list[Transition]) -> Pieces:
    state = opening.state if opening else State.ABSENT
    start = opening.since if opening else Instant(0)
    precision = "seed" if opening else ""
    pieces: list[Piece] = []
    for move in moves:
        after = State.UNKNOWN if move.cause == "rule-removed" else move.after
        if after is state:
            continue
        if state is not State.ABSENT and move.at > start:
            pieces.append(
                Piece(
                    state=state,
                    start=start,
                    end=move.at,
                    ended_by=_ended_by(after, move.cause),
                    precision=precision,
                )
            )
        state, start, precision = after, move.at, move.precision
    if state is not State.ABSENT:
        pieces.append(
            Piece(
                state=state, start=start, end=None, ended_by="open", precision=precision
            )
        )
    return tuple(pieces)


def _ended_by(after: State, cause: str) -> str:
    match after:
        case State.COMPLIANT:
            return "remediated"
        case State.NOT_APPLICABLE:
            return "not-applicable"
        case State.ABSENT:
            return "deleted" if cause == "deleted" else "left-population"
        case _:
            return "evidence-lost"


def observed_parts(piece: Piece, seen: Intervals, horizon: Interval) -> Pieces:
    """Cut a piece to the time that evidence covers.

    `horizon` runs from the opening state to the end of collection. Before it the
    opening state vouches for the piece; after it nothing is known.
    """
    inside = piece.within(horizon)
    if inside is None:
        return ()
    parts = []
    for part in intersect((inside,), seen):
        first = part.start == inside.start
        last = part.end == inside.end
        open_end = last and piece.end is None
        parts.append(
            Piece(
                state=piece.state,
                start=piece.start if first else part.start,
                end=None if open_end else part.end,
                ended_by=piece.ended_by if last else "evidence-lost",
                precision=piece.precision,
            )
        )
    return tuple(parts)


def share_of(pieces: Pieces, seen: Intervals, span: Interval) -> Share:
    """Add up one resource's time in a span: present, observed, deviating, exempt."""
    present = [inside for piece in pieces if (inside := piece.within(span))]

    def time_in(*states: State) -> int:
        inside = union(
            part
            for piece in pieces
            if piece.state in states and (part := piece.within(span))
        )
        return total(intersect(inside, seen))

    return Share(
        present=total(union(present)),
        observed=time_in(*OBSERVED),
        deviating=time_in(State.NON_COMPLIANT),
        exempt=time_in(State.NOT_APPLICABLE),
    )


def present_at(pieces: Pieces, moment: Instant) -> bool:
    """Tell whether the resource was in the population at an instant."""
    return any(
        piece.start <= moment and (piece.end is None or moment < piece.end)
        for piece in pieces
    )
