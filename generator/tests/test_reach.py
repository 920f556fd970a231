# SPDX-License-Identifier: Apache-2.0
"""Which lists a reader reads: by stream, by period, and back to rules written anew."""

from __future__ import annotations

import pytest

from controlbook.digest import canonical
from controlbook.manifest import TYPE, outline_in
from controlbook.reach import NOTHING, Outline, Reach, opened
from controlbook.timeline import DAY, Instant, Interval, instant

START = instant("2028-01-01T00:00:00Z")
MOVED = frozenset({"rules", "transitions"})


def day(seq: int, *, anew: bool = False, moved: frozenset[str] = MOVED) -> Outline:
    """Outline the run of one day, the first of which ends with 2027."""
    start = Instant(START + (seq - 2) * DAY)
    return Outline(seq, "regular", Interval(start, Instant(start + DAY)), anew, moved)


def days(first: int, last: int) -> Interval:
    """Give a period from one day of January 2028 to another, the last one included."""
    return Interval(Instant(START + (first - 1) * DAY), Instant(START + last * DAY))


def read(reach: Reach, outlines: list[Outline], stream: str = "config") -> list[str]:
    """Say for each run what is read: lists, rules, both, or nothing."""
    depths = reach.depths(stream, outlines)
    return [
        "L" * depths[o.seq].lists + "R" * depths[o.seq].rules or "-" for o in outlines
    ]


@pytest.mark.parametrize(
    ("anew", "period", "due"),
    [
        pytest.param((), days(1, 4), ["LR"] * 5 + ["-"], id="from the first run"),
        pytest.param((), days(3, 4), ["R", "R", "LR", "LR", "LR", "-"], id="inherits"),
        pytest.param((3,), days(3, 4), ["-", "-", "LR", "LR", "LR", "-"], id="anew"),
        pytest.param((2,), days(3, 4), ["-", "R", "LR", "LR", "LR", "-"], id="before"),
        pytest.param((4,), days(3, 4), ["R", "R", "LR", "LR", "LR", "-"], id="within"),
        pytest.param((), days(9, 9), ["R"] * 5 + ["LR"], id="not begun"),
    ],
)
def test_rules_are_read_back_to_where_they_were_written_anew(
    anew: tuple[int, ...], period: Interval, due: list[str]
) -> None:
    runs = [day(seq, anew=seq in anew) for seq in range(1, 7)]
    assert read(Reach(span=opened(period, runs)), runs) == due


def test_the_run_before_a_skipped_day_opens_the_period() -> None:
    runs = [day(1), day(2), day(5), day(6)]
    span = opened(days(3, 9), runs)
    assert span.start == runs[1].window.end
    assert read(Reach(span=span), runs) == ["R", "LR", "LR", "LR"]


def test_a_correction_opens_nothing_and_is_read_with_its_window() -> None:
    late = day(4)._replace(seq=5, kind="correction")
    runs = [day(1), day(2), day(3), day(4), late]
    assert opened(days(4, 9), runs).start == days(4, 9).start
    assert read(Reach(span=days(2, 2)), runs) == ["R", "LR", "LR", "-", "-"]
    assert read(Reach(span=days(3, 3)), runs)[-1] == "LR"


def test_other_streams_may_speak_of_days_before_and_reviews_come_after_all() -> None:
    moved = frozenset({"observations"})
    runs = [day(seq, moved=moved) for seq in range(1, 9)]
    reach = Reach(span=days(5, 5))
    assert read(reach, runs, "snapshot") == ["R"] * 2 + ["LR"] * 6
    assert read(reach, runs, "reviews") == ["LR"] * 8
    ours = Reach(span=days(5, 5), accounts=frozenset({"1"}))
    assert ours.depths("snapshot", runs)[3].accounts == {"1"}
    assert ours.depths("audit-manager", runs)[3].accounts is None
    assert read(NOTHING, runs, "reviews") == ["LR"] * 8
    assert read(NOTHING, runs, "snapshot") == ["R"] * 8
    assert read(NOTHING, [day(1), day(2)]) == ["-", "-"]


def test_where_no_list_moved_everything_is_read() -> None:
    runs = [day(seq, moved=frozenset()) for seq in range(1, 4)]
    assert Reach(span=days(9, 9)).depths("config", runs) == {}


@pytest.mark.threat("T20")
@pytest.mark.parametrize(
    "odd", [{"seq": "5"}, {"kind": 7}, {"objects": [{"role": {}}]}, {"objects": 7}]
)
def test_t20_what_is_no_manifest_has_no_outline(odd: dict[str, object]) -> None:
    window = {"start": "2028-01-01T00:00:00Z", "end": "2028-01-02T00:00:00Z"}
    tree = {"type": TYPE, "seq": 5, "kind": "regular", "window": window, "objects": []}
    assert outline_in(canonical(tree))
    assert outline_in(canonical(tree | odd)) is None
