# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.history import (
    Piece,
    observed_parts,
    pieces_by_resource,
    share_of,
)
from controlbook.model import Standing, State, Transition
from controlbook.render.words import ENDINGS
from controlbook.timeline import Instant, Interval, union

KEY = ("k", "AWS::S3::Bucket/b")
STATES = [s for s in State if s is not State.ABSENT]


def move(at: int, after: State, cause: str = "") -> Transition:
    return Transition(
        at=Instant(at),
        instance=KEY[0],
        rule="r",
        account="1",
        region="e",
        resource=KEY[1],
        before=State.ABSENT,
        after=after,
        precision="change",
        cause=cause,
    )


def opening(state: State = State.COMPLIANT, since: int = 1) -> Standing:
    return Standing(instance=KEY[0], resource=KEY[1], state=state, since=Instant(since))


def fold(*moves: Transition, start: Standing | None = None) -> tuple[Piece, ...]:
    opened = [start] if start else []
    return pieces_by_resource(opened, moves)[KEY]


def test_a_state_holds_until_the_next_one() -> None:
    pieces = fold(
        move(10, State.NON_COMPLIANT), move(15, State.COMPLIANT), start=opening()
    )
    assert [(p.state, p.start, p.end, p.ended_by) for p in pieces] == [
        (State.COMPLIANT, 1, 10, "evidence-lost"),
        (State.NON_COMPLIANT, 10, 15, "remediated"),
        (State.COMPLIANT, 15, None, "open"),
    ]


def test_deleted_resource_ends_deviation_without_remediation() -> None:
    (piece,) = fold(move(10, State.NON_COMPLIANT), move(12, State.ABSENT, "deleted"))
    assert (piece.end, piece.ended_by) == (12, "deleted")


@pytest.mark.parametrize(
    ("after", "cause", "ending"),
    [
        (State.COMPLIANT, "", "remediated"),
        (State.NOT_APPLICABLE, "", "not-applicable"),
        (State.ABSENT, "deleted", "deleted"),
        (State.ABSENT, "", "left-population"),
        (State.INSUFFICIENT_DATA, "", "evidence-lost"),
        (State.UNKNOWN, "vanished", "evidence-lost"),
    ],
)
def test_only_compliance_is_remediation(after: State, cause: str, ending: str) -> None:
    (first, *_) = fold(move(10, State.NON_COMPLIANT), move(12, after, cause))
    assert first.ended_by == ending
    assert ending in ENDINGS


def test_a_removed_rule_leaves_its_resources_unseen_not_gone() -> None:
    pieces = fold(move(10, State.ABSENT, "rule-removed"), start=opening())
    assert [p.state for p in pieces] == [State.COMPLIANT, State.UNKNOWN]


def test_order_and_duplicates_do_not_matter() -> None:
    moves = [move(10, State.NON_COMPLIANT), move(15, State.COMPLIANT)]
    assert fold(*moves) == fold(*reversed(moves), *moves)


def test_a_hole_cuts_a_deviation_in_two_and_keeps_its_true_start() -> None:
    piece = Piece(
        state=State.NON_COMPLIANT,
        start=Instant(-50),
        end=Instant(90),
        ended_by="remediated",
        precision="change",
    )
    seen = union(
        [Interval(Instant(0), Instant(20)), Interval(Instant(40), Instant(99))]
    )
    parts = observed_parts(piece, seen, Interval(Instant(0), Instant(99)))
    assert [(p.start, p.end, p.ended_by) for p in parts] == [
        (-50, 20, "evidence-lost"),
        (40, 90, "remediated"),
    ]


def test_what_is_open_at_the_end_has_no_end() -> None:
    piece = Piece(
        state=State.NON_COMPLIANT,
        start=Instant(5),
        end=None,
        ended_by="open",
        precision="change",
    )
    horizon = Interval(Instant(0), Instant(9))
    (part,) = observed_parts(piece, (horizon,), horizon)
    assert (part.end, part.ended_by) == (None, "open")


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.sampled_from(list(State))),
        max_size=12,
        unique_by=lambda t: t[0],
    ),
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=4),
    st.none() | st.sampled_from(STATES),
)
def test_time_is_never_counted_twice_nor_observed_where_nothing_looked(
    steps: list[tuple[int, State]],
    looks: list[tuple[int, int]],
    first: State | None,
) -> None:
    moves = [move(at, state) for at, state in steps]
    start = opening(first, -5) if first else None
    found = pieces_by_resource([start] if start else [], moves)
    seen = union(Interval(Instant(a), Instant(a + n)) for a, n in looks)
    span = Interval(Instant(0), Instant(60))
    for pieces in found.values():
        share = share_of(pieces, seen, span)
        assert 0 <= share.deviating + share.exempt <= share.observed <= share.present
        assert share.present <= span.length
        # A plain second count, instant by instant.
        plain = {"present": 0, "observed": 0, "deviating": 0}
        for at in range(60):
            now = first or State.ABSENT
            for step, state in sorted(steps):
                now = state if step <= at else now
            looked = any(piece.contains(Instant(at)) for piece in seen)
            plain["present"] += now is not State.ABSENT
            plain["observed"] += looked and now in {
                State.COMPLIANT,
                State.NON_COMPLIANT,
                State.NOT_APPLICABLE,
            }
            plain["deviating"] += looked and now is State.NON_COMPLIANT
        assert (share.present, share.observed, share.deviating) == tuple(plain.values())
