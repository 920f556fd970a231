"""Charts: exact times told, marks wide enough, gaps unlike deviations."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.render.charts import (
    LEAST,
    Lane,
    Mark,
    Part,
    Row,
    calendar,
    matrix,
    stacked_bar,
    swimlane,
)
from controlbook.timeline import DAY, MINUTE, Instant, Interval, instant

SVG = "{http://www.w3.org/2000/svg}"
START = instant("2028-01-01T00:00:00Z")
QUARTER = Interval(START, instant("2028-04-01T00:00:00Z"))
FIVE = Interval(instant("2028-02-14T03:12:00Z"), instant("2028-02-14T03:17:00Z"))


def lane(label: str, interval: Interval, kind: str = "deviation") -> Lane:
    return Lane(label=label, marks=(Mark(interval=interval, kind=kind),))  # type: ignore[arg-type]


def marks(svg: str, name: str) -> list[ET.Element]:
    """Give the marks of a class that lie on a lane (they carry a title)."""
    return [
        item
        for item in ET.fromstring(svg).iter(f"{SVG}rect")  # noqa: S314 - our own
        if item.get("class", "").startswith(name)
        and item.find(f"{SVG}title") is not None
    ]


def test_five_minutes_in_a_quarter_are_two_units_wide_and_the_chart_says_so() -> None:
    svg = swimlane([lane("stale-backup-archive", FIVE)], QUARTER)
    assert float(marks(svg, "st-deviation")[0].get("width", "0")) == LEAST
    assert "Scale not exact" in svg


def test_description_tells_the_exact_times() -> None:
    svg = swimlane([lane("stale-backup-archive", FIVE)], QUARTER)
    told = ET.fromstring(svg).findtext(f"{SVG}desc")  # noqa: S314 - our own
    assert told is not None
    assert "deviation from 2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z" in told


def test_wide_marks_leave_the_scale_exact() -> None:
    week = Interval(START, Instant(START + 7 * DAY))
    assert "Scale not exact" not in swimlane([lane("x", week)], QUARTER)


def test_gap_has_another_shape_than_a_deviation() -> None:
    week = Interval(START, Instant(START + 7 * DAY))
    deviation = marks(swimlane([lane("x", week)], QUARTER), "st-deviation")[0]
    gap = marks(swimlane([lane("x", week, "gap")], QUARTER), "st-gap")[0]
    assert deviation.get("height") != gap.get("height")
    assert gap.get("stroke-dasharray")


@given(
    offset=st.integers(min_value=0, max_value=QUARTER.length - MINUTE),
    length=st.integers(min_value=1, max_value=QUARTER.length),
)
def test_every_mark_lies_within_the_drawing(offset: int, length: int) -> None:
    start = Instant(START + offset)
    svg = swimlane([lane("x", Interval(start, Instant(start + length)))], QUARTER)
    mark = marks(svg, "st-deviation")[0]
    left, width = float(mark.get("x", "")), float(mark.get("width", ""))
    assert width >= LEAST
    assert left >= 199.9
    assert left + width <= 692.1


def test_hostile_labels_are_text() -> None:
    svg = swimlane([lane("</text><script>alert(1)</script>", FIVE)], QUARTER)
    assert "<script" not in svg
    assert ET.fromstring(svg) is not None  # noqa: S314 - our own


def test_charts_without_values_are_empty() -> None:
    assert swimlane([], QUARTER) == ""
    assert matrix([], ["payments-prod"]) == ""
    assert stacked_bar([Part(label="x", count=0, kind="ok")], "none") == ""


def test_stacked_bar_adds_up_to_its_whole_width() -> None:
    parts = [
        Part(label="In Place", count=20, kind="ok"),
        Part(label="Not in Place", count=2, kind="deviation"),
        Part(label="No conclusion yet", count=5, kind="none"),
    ]
    svg = ET.fromstring(stacked_bar(parts, "Conclusions"))  # noqa: S314 - our own
    bars = [r for r in svg.iter(f"{SVG}rect") if r.get("height") == "22"]
    assert sum(float(r.get("width", "")) for r in bars) == pytest.approx(700, abs=0.1)
    assert "Not in Place 2 of 27" in (svg.findtext(f"{SVG}desc") or "")


def test_matrix_tells_every_cell_in_words() -> None:
    rows = [
        Row(label="3.4", cells=(frozenset({"deviation", "gap"}), frozenset())),
        Row(label="3.5", cells=(frozenset({"ok"}), frozenset({"gap"}))),
    ]
    svg = matrix(rows, ["payments-prod", "audit"])
    assert "3.4: payments-prod deviation and evidence gap, audit no Config" in svg
    assert "3.5: payments-prod no deviation observed, audit evidence gap" in svg


def test_calendar_shows_the_missing_and_the_partial_day() -> None:
    held = [
        Interval(START, Instant(START + 40 * DAY)),
        Interval(Instant(START + 41 * DAY + DAY // 2), QUARTER.end),
    ]
    svg = calendar(QUARTER, held)
    assert "89 days collected" in svg
    assert "1 day collected in part" in svg
    assert "1 day without a run: evidence gap" in svg


def test_days_to_come_are_no_evidence_gap() -> None:
    until = Instant(START + 40 * DAY)
    svg = calendar(QUARTER, [Interval(START, until)], until)
    assert "40 days collected; 51 days not collected yet" in svg
    assert "evidence gap" not in svg


def test_every_colour_is_an_attribute_beside_a_class() -> None:
    svg = swimlane([lane("x", FIVE)], QUARTER) + calendar(QUARTER, [QUARTER])
    for tag in re.findall(r"<(?:rect|line|text|circle|polygon)\b[^>]*>", svg):
        assert re.search(r'(fill|stroke)="#[0-9a-f]{6}"', tag)
        assert 'class="' in tag
    assert "style=" not in svg
