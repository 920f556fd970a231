# SPDX-License-Identifier: Apache-2.0
"""The timeline drawing and the rows of the evidence index."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import small
from hypothesis import given
from hypothesis import strategies as st

from controlbook.model import ALL, Gap
from controlbook.render.pages import index, lanes
from controlbook.timeline import Instant, Interval

NAMES = {small.PROD: "payments-prod", small.STAGING: "payments-staging"}
SVG = "{http://www.w3.org/2000/svg}"


def marks(drawing: str, kind: str, *names: str) -> list[dict[str, str]]:
    tree = ET.fromstring(  # noqa: S314 - our own drawing
        str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    )
    return [
        dict(found.attrib)
        for found in tree.iter(f"{SVG}{kind}")
        if found.get("class") in names
    ]


def share(figure: str) -> float:
    assert re.fullmatch(r"\d+\.\d{4}%", figure)
    return float(figure[:-1])


def test_one_lane_per_resource_with_its_marks() -> None:
    findings = small.report().findings
    rows = lanes.lanes_of((*findings.deviations, *findings.gaps), NAMES)
    assert [(row.label, len(row.deviations), len(row.gaps)) for row in rows] == [
        ("orders · payments-prod", 1, 1),
        ("stale-backup-archive · payments-prod", 1, 0),
    ]


def test_a_gap_without_resources_has_a_lane_of_its_place() -> None:
    piece = Interval(small.PERIOD.start, Instant(small.PERIOD.start + 1))
    gap = Gap(
        id="gap-1",
        reason="no-run",
        account=ALL,
        region=ALL,
        rule=ALL,
        start=piece.start,
        end=piece.end,
        within=piece,
    )
    (row,) = lanes.lanes_of((gap,), NAMES)
    assert row.label == "all rules · all accounts"


def test_the_drawing_says_what_it_shows() -> None:
    findings = small.report().findings
    rows = lanes.lanes_of(findings.deviations, NAMES)
    drawing = lanes.draw(rows, small.PERIOD, findings.collected)
    assert 'role="img"' in drawing
    assert "<title>Deviations and evidence gaps" in drawing
    assert "stale-backup-archive · payments-prod: 1 deviation, 0 gaps" in drawing


@given(st.integers(0, small.PERIOD.length - 1), st.integers(1, small.PERIOD.length))
def test_a_mark_is_never_too_thin_nor_outside(offset: int, length: int) -> None:
    start = Instant(small.PERIOD.start + offset)
    end = Instant(min(start + length, small.PERIOD.end))
    row = lanes.Lane(label="x", deviations=(Interval(start, end),), gaps=())
    drawing = lanes.draw((row,), small.PERIOD, small.PERIOD)
    (mark,) = marks(drawing, "rect", "cb-dev")
    assert 0 <= share(mark["x"]) <= share(mark["x"]) + share(mark["width"]) <= 100.0001
    (edge,) = marks(drawing, "line", "cb-dev-edge")
    assert float(edge["stroke-width"]) == lanes.LEAST
    assert 0.3 < share(edge["x1"]) < 99.7
    assert abs(share(edge["x1"]) - share(mark["x"])) <= 0.4


def test_what_was_not_collected_is_not_drawn_as_seen() -> None:
    half = Interval(
        small.PERIOD.start, Instant(small.PERIOD.start + small.PERIOD.length // 2)
    )
    row = lanes.Lane(label="x", deviations=(), gaps=())
    (seen,) = marks(lanes.draw((row,), small.PERIOD, half), "rect", "cb-seen")
    assert share(seen["width"]) == 50


def test_a_long_name_is_cut_in_the_middle() -> None:
    row = lanes.Lane(label="a" * 80 + " · payments-prod", deviations=(), gaps=())
    drawing = lanes.draw((row,), small.PERIOD, small.PERIOD)
    (name,) = re.findall(r'cb-lane-name">([^<]*)<', str(drawing))
    assert len(name) == lanes.LETTERS
    assert name.endswith(" · payments-prod")


def test_a_name_in_the_drawing_is_escaped() -> None:
    row = lanes.Lane(label="<script>", deviations=(), gaps=())
    drawing = lanes.draw((row,), small.PERIOD, small.PERIOD)
    assert "<script>" not in drawing
    assert "&lt;script&gt;" in drawing


def test_an_object_is_spelt_out_once() -> None:
    first, second = small.run(1), small.run(2)
    same = replace(second, objects=(first.objects[0], second.objects[1]))
    rows = index.rows((first, same))
    assert [found.shown_at for row in rows for found in row.objects] == [0, 0, 1, 0]
