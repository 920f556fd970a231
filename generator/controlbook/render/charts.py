# SPDX-License-Identifier: Apache-2.0
"""Charts as hand-written SVG: swimlane, status matrix, stacked bar, calendar.

Rules enforced here:
- a mark is never narrower than two units, and the chart says that its scale is not
  exact where that widened one; the exact times stand in the table beside it;
- a deviation and an evidence gap differ in shape, not in colour alone;
- every colour is an attribute with a class beside it (`fill="…" class="st-…"`), so
  that a browser's style sheet may override it and the PDF needs none;
- every chart has a `<title>` and a `<desc>`; all text is escaped; equal values give
  equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Literal

from controlbook.timeline import (
    DAY,
    HOUR,
    Instant,
    Interval,
    from_datetime,
    iso,
    to_datetime,
    total,
    union,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Kind = Literal["ok", "deviation", "gap", "none"]
"""What a mark shows: compliant as observed, a deviation, an evidence gap, nothing."""

FONT = "Controlbook IBM Plex Sans, IBM Plex Sans, sans-serif"
INK, MUTED, RULE, PAPER = "#1b1f24", "#57606a", "#d0d7de", "#ffffff"
COLOURS = {
    "ok": "#1b7f4b",
    "deviation": "#b3261e",
    "gap": "#8a5a00",
    "none": "#6e7781",
}
LEAST = 2.0
"""The narrowest mark, in SVG units."""

_LONG_LABEL = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One stretch of time on a lane."""

    interval: Interval
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One row of a swimlane: a resource (or an account), and what happened to it."""

    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One segment of a stacked bar."""

    label: str
    count: int
    kind: Kind
    colour: str = ""
    """Where segments of one kind need shades of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the status matrix: what each column's evidence showed."""

    label: str
    cells: tuple[frozenset[Kind], ...]


def swimlane(lanes: Sequence[Lane], period: Interval) -> str:
    """Draw one lane per resource over a period; empty where there is no lane."""
    if not lanes:
        return ""
    left, right, lane_height, top = 200.0, 692.0, 18.0, 8.0
    bottom = top + lane_height * len(lanes)
    body: list[str] = []
    for moment, label in _ticks(period):
        x = _x(moment, period, left, right)
        body.append(_line(x, top, x, bottom + 3, "ch-grid", RULE))
        anchor = "end" if moment == period.end else "middle"
        body.append(_text(x, bottom + 14, label, anchor=anchor, size=8.5))
    widened = False
    for index, lane in enumerate(lanes):
        middle = top + lane_height * (index + 0.5)
        body.append(_line(left, middle, right, middle, "ch-lane", RULE))
        body.append(_text(left - 8, middle + 3, _shortened(lane.label), anchor="end"))
        for mark in lane.marks:
            inside = mark.interval.clip(period)
            if inside is None:
                continue
            start = _x(inside.start, period, left, right)
            width = _x(inside.end, period, left, right) - start
            widened = widened or width < LEAST
            wide = max(width, LEAST)
            body.append(
                _bar(min(start, right - wide), middle, wide, mark.kind, lane.label)
            )
    y = bottom + 31
    body.extend(_legend(left, y, {m.kind for lane in lanes for m in lane.marks}))
    if widened:
        note = "Scale not exact: a mark is drawn at least 2 px wide."
        body.append(_text(right, y + 3, note, anchor="end", size=8.5, colour=MUTED))
    return _svg(
        700,
        y + 9,
        "Timeline of deviations and evidence gaps",
        _told(lanes, period),
        body,
        "ch-swimlane",
    )


_UNSEEN: frozenset[Kind] = frozenset({"none"})


def matrix(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Draw requirement × account: what the evidence of each cell showed."""
    if not rows or not columns:
        return ""
    left, top, height = 260.0, 26.0, 17.0
    width = min(110.0, (700.0 - left) / len(columns))
    body: list[str] = []
    for index, name in enumerate(columns):
        x = left + width * (index + 0.5)
        label = _shortened(name, max(int(width / 5), 6))
        body.append(_text(x, top - 8, label, anchor="middle", size=8.5))
    right = left + width * len(columns)
    for index, row in enumerate(rows):
        y = top + height * (index + 0.5)
        body.append(_line(0, y + height / 2, right, y + height / 2, "ch-grid", RULE))
        body.append(_text(0, y + 3, _shortened(row.label, 48)))
        for place, cell in enumerate(row.cells):
            body.extend(_symbols(left + width * (place + 0.5), y, cell))
    y = top + height * len(rows) + 16
    shown: set[Kind] = {
        kind for row in rows for cell in row.cells for kind in (cell or _UNSEEN)
    }
    body.extend(_legend(0, y, shown, symbols=True))
    told = "; ".join(
        f"{row.label}: "
        + ", ".join(
            f"{name} {' and '.join(WORDS[k] for k in sorted(cell)) or WORDS['none']}"
            for name, cell in zip(columns, row.cells, strict=True)
        )
        for row in rows
    )
    return _svg(700, y + 9, "Evidence by requirement and account", told, body)


def stacked_bar(parts: Sequence[Part], title: str) -> str:
    """Draw counts as one bar whose segments add up to the whole."""
    whole = sum(part.count for part in parts)
    if not whole:
        return ""
    body: list[str] = []
    x, y = 0.0, 38.0
    told: list[str] = []
    place = 0.0
    for part in parts:
        if not part.count:
            continue
        width = 700.0 * part.count / whole
        colour = part.colour or COLOURS[part.kind]
        body.append(_rect(x, 0, width, 22, f"st-{part.kind}", colour, stroke=PAPER))
        if width > 14:  # noqa: PLR2004 - room for two digits
            body.append(
                _text(
                    x + width / 2,
                    15,
                    str(part.count),
                    anchor="middle",
                    size=11,
                    colour=PAPER,
                    name="ch-on",
                )
            )
        label = f"{part.label} {part.count}"
        if place + 24 + len(label) * 5.4 > 700:  # noqa: PLR2004 - the chart's width
            place, y = 0.0, y + 16
        body.append(_rect(place, y - 8, 9, 9, f"st-{part.kind}", colour))
        body.append(_text(place + 14, y, label))
        place += 28 + len(label) * 5.4
        x += width
        told.append(f"{part.label} {part.count} of {whole}")
    return _svg(700, y + 6, title, "; ".join(told), body, "ch-stack")


def calendar(
    period: Interval, covered: Iterable[Interval], until: Instant | None = None
) -> str:
    """Draw each UTC day of a period: collected, in part, without a run, or to come.

    Days from `until` on have not been collected yet: they are no evidence gap.
    """
    held = union(covered)
    first = _midnight(period.start)
    lead = to_datetime(first).weekday()
    size, left, top = 13.0, 34.0, 18.0
    body = [
        _text(0, top + size * row + 9, name, size=8.5, colour=MUTED)
        for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"), (6, "Sun"))
    ]
    counts = dict.fromkeys(_DAYS, 0)
    for index, start in enumerate(range(first, period.end, DAY)):
        week, row = divmod(index + lead, 7)
        day = Interval(Instant(start), Instant(start + DAY))
        kind = _kind_of_day(day.clip(period) or day, held, until)
        counts[kind] += 1
        x, y = left + size * week, top + size * row
        body.append(_day(x, y, size - 2, kind))
        moment = to_datetime(day.start)
        if moment.day == 1 or index == 0:
            body.append(_text(x, top - 6, moment.strftime("%Y-%m"), size=8.5))
    y, place = top + size * 7 + 14, left
    told: list[str] = []
    for kind, word in _DAYS.items():
        if counts[kind]:
            label = f"{counts[kind]} {'day' if counts[kind] == 1 else 'days'} {word}"
            body.append(_day(place, y - 9, size - 2, kind))
            body.append(_text(place + 16, y, label))
            place += 34 + len(label) * 5.4
            told.append(label)
    return _svg(700, y + 6, "Days with a run", "; ".join(told), body, "ch-calendar")


_DAYS = {
    "ok": "collected",
    "part": "collected in part",
    "gap": "without a run: evidence gap",
    "to-come": "not collected yet",
}


def _kind_of_day(
    day: Interval, held: tuple[Interval, ...], until: Instant | None
) -> str:
    seen = total(part for piece in held if (part := piece.clip(day)) is not None)
    if seen == day.length:
        return "ok"
    if seen == 0 and until is not None and day.start >= until:
        return "to-come"
    return "part" if seen else "gap"


WORDS: dict[Kind, str] = {
    "ok": "no deviation observed",
    "deviation": "deviation",
    "gap": "evidence gap",
    "none": "no Config evidence",
}


def _told(lanes: Sequence[Lane], period: Interval) -> str:
    marks = "; ".join(
        f"{lane.label}: {WORDS[mark.kind]} from {iso(mark.interval.start)} "
        f"to {iso(mark.interval.end)}"
        for lane in lanes
        for mark in lane.marks
    )
    return f"From {iso(period.start)} to {iso(period.end)}. {marks}"


def _ticks(period: Interval) -> list[tuple[Instant, str]]:
    ends = [
        (moment, to_datetime(moment).strftime("%Y-%m-%d"))
        for moment in (period.start, period.end)
    ]
    days = period.length / DAY
    found: list[tuple[Instant, str]] = []
    if days <= 2:  # noqa: PLR2004 - hours read better on a day or two
        step, form = 6 * HOUR, "%H:%MZ"
    else:
        step, form = DAY * max(1, round(days / 12)), "%m-%d"
    if days > 45:  # noqa: PLR2004 - months
        moment = to_datetime(period.start).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        while (at := from_datetime(moment)) < period.end:
            found.append((at, moment.strftime("%m-%d")))
            moment = (moment + timedelta(days=32)).replace(day=1)
    else:
        found = [
            (Instant(at), to_datetime(Instant(at)).strftime(form))
            for at in range(_midnight(period.start), period.end, step)
        ]
    room = period.length // 9
    inner = [
        (moment, label)
        for moment, label in found
        if period.start + room < moment < period.end - room
    ]
    return [ends[0], *inner, ends[1]]


def _midnight(moment: Instant) -> Instant:
    return Instant(moment - moment % DAY)


def _x(moment: Instant, period: Interval, left: float, right: float) -> float:
    return left + (right - left) * (moment - period.start) / period.length


def _bar(x: float, middle: float, width: float, kind: Kind, label: str) -> str:
    name = f"st-{kind}"
    title = f"<title>{escape(f'{label}: {WORDS[kind]}')}</title>"
    if kind == "gap":
        # Lower and open where there is room: a gap must not look like a deviation.
        open_bar = width > 3 * LEAST
        fill = PAPER if open_bar else COLOURS[kind]
        return (
            f'<rect x="{_n(x)}" y="{_n(middle - 3)}" width="{_n(width)}" height="6" '
            f'fill="{fill}" stroke="{COLOURS[kind]}" '
            f'stroke-width="{"1" if open_bar else "0"}" stroke-dasharray="3 2" '
            f'class="{name}{"-open" if open_bar else ""}">{title}</rect>'
        )
    return (
        f'<rect x="{_n(x)}" y="{_n(middle - 6)}" width="{_n(width)}" height="12" '
        f'fill="{COLOURS[kind]}" class="{name}">{title}</rect>'
    )


def _symbols(x: float, y: float, cell: frozenset[Kind]) -> list[str]:
    kinds: list[Kind] = [k for k in ("deviation", "gap", "ok") if k in cell] or ["none"]
    offset = -7.0 * (len(kinds) - 1)
    return [
        _symbol(x + offset + 14 * index, y, kind) for index, kind in enumerate(kinds)
    ]


def _symbol(x: float, y: float, kind: Kind) -> str:
    colour, name = COLOURS[kind], f"st-{kind}"
    if kind == "ok":
        return (
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="4" fill="{colour}" class="{name}"/>'
        )
    if kind == "deviation":
        corners = f"{_n(x)},{_n(y - 5.5)} {_n(x + 5.5)},{_n(y)} "
        corners += f"{_n(x)},{_n(y + 5.5)} {_n(x - 5.5)},{_n(y)}"
        return f'<polygon points="{corners}" fill="{colour}" class="{name}"/>'
    if kind == "gap":
        return (
            f'<rect x="{_n(x - 4)}" y="{_n(y - 4)}" width="8" height="8" '
            f'fill="{PAPER}" stroke="{colour}" stroke-width="1.5" '
            f'class="{name}-open"/>'
        )
    return _line(x - 4, y, x + 4, y, name, colour)


def _day(x: float, y: float, size: float, kind: str) -> str:
    if kind == "ok":
        return _rect(x, y, size, size, "st-ok", COLOURS["ok"])
    name, colour = ("none", RULE) if kind == "to-come" else ("gap", COLOURS["gap"])
    drawn = (
        f'<rect x="{_n(x + 0.5)}" y="{_n(y + 0.5)}" width="{_n(size - 1)}" '
        f'height="{_n(size - 1)}" fill="{PAPER}" stroke="{colour}" '
        f'class="st-{name}-open"/>'
    )
    if kind == "to-come":
        return drawn
    drawn += _line(x + 1, y + size - 1, x + size - 1, y + 1, "st-gap", colour)
    if kind == "gap":
        drawn += _line(x + 1, y + 1, x + size - 1, y + size - 1, "st-gap", colour)
    return drawn


def _legend(
    x: float, y: float, kinds: Iterable[Kind], *, symbols: bool = False
) -> list[str]:
    out: list[str] = []
    wanted = set(kinds)
    for kind in ("ok", "deviation", "gap", "none"):
        if kind not in wanted:
            continue
        word = WORDS[kind]
        if symbols:
            out.append(_symbol(x + 5, y, kind))
        else:
            out.append(_bar(x, y, 10, kind, word))
        out.append(_text(x + 16, y + 3, word, size=8.5))
        x += 34 + len(word) * 5
    return out


def _shortened(label: str, room: int = _LONG_LABEL) -> str:
    if len(label) <= room:
        return label
    head = room * 2 // 3
    return f"{label[:head]}…{label[-(room - head - 1) :]}"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    size: float = 9.5,
    colour: str = INK,
    name: str = "ch-text",
) -> str:
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" text-anchor="{anchor}" '
        f'font-family="{FONT}" fill="{colour}" class="{name}">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, name: str, colour: str) -> str:
    return (
        f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" '
        f'stroke="{colour}" stroke-width="1" class="{name}"/>'
    )


def _rect(
    x: float,
    y: float,
    width: float,
    height: float,
    name: str,
    colour: str,
    stroke: str = "none",
) -> str:
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" '
        f'fill="{colour}" stroke="{stroke}" class="{name}"/>'
    )


def _svg(
    width: float,
    height: float,
    title: str,
    told: str,
    body: Iterable[str],
    name: str = "ch-matrix",
) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="chart {name}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" '
        f'height="{_n(height)}"><title>{escape(title)}</title>'
        f"<desc>{escape(told)}</desc>{''.join(body)}</svg>"
    )


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
