# SPDX-License-Identifier: Apache-2.0
"""The timeline of a requirement: one lane per resource with a deviation or gap.

Rules enforced here:
- the drawing is as wide as its place and its letters keep their size: places are
  shares of the width;
- a mark begins with an edge two units wide, so that a short one is seen, and the text
  beside says that it is not to scale;
- a gap is drawn hatched with a dashed edge, a deviation solid: colour alone tells
  nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.model import Deviation
from controlbook.render import safe, words
from controlbook.timeline import DAY, Instant, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from markupsafe import Markup

    from controlbook.model import Gap

LANE, TOP, BAR = 34, 28, 11
LEAST = 2
LETTERS = 60
"""Characters of a name that a narrow screen has room for."""
WHOLE = 1_000_000
"""The width of the drawing, in ten-thousandths of a per cent."""
SHOWN = 40
TICKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One resource (or place) and what happened to it."""

    label: str
    deviations: tuple[Interval, ...]
    gaps: tuple[Interval, ...]


def lanes_of(
    items: Iterable[Deviation | Gap], names: dict[str, str]
) -> tuple[Lane, ...]:
    """Sort deviations and gaps into lanes; `names` gives account names."""
    found: dict[str, tuple[list[Interval], list[Interval]]] = {}
    for item in items:
        for label in _labels(item, names):
            solid, hatched = found.setdefault(label, ([], []))
            (solid if isinstance(item, Deviation) else hatched).append(item.within)
    return tuple(
        Lane(label=label, deviations=tuple(solid), gaps=tuple(hatched))
        for label, (solid, hatched) in sorted(found.items())
    )


def _labels(item: Deviation | Gap, names: dict[str, str]) -> tuple[str, ...]:
    account = names.get(item.account, words.everything(item.account, "account"))
    if isinstance(item, Deviation):
        return (f"{words.name_of(item.resource)} · {account}",)
    if item.resources:
        return tuple(f"{words.name_of(name)} · {account}" for name in item.resources)
    rule = words.everything(item.rule, "rule")
    return (f"{rule} · {account}",)


def draw(
    lanes: tuple[Lane, ...], period: Interval, collected: Interval | None
) -> Markup:
    """Draw lanes over the period as inline SVG."""
    shown = lanes[:SHOWN]
    height = TOP + LANE * len(shown) + 8
    parts = [
        f'<svg class="cb-lanes" role="img" width="100%" height="{height}">',
        f"<title>Deviations and evidence gaps, {words.stretch(*_ends(period))}</title>",
        f"<desc>{_described(shown)}</desc>",
        '<defs><pattern id="cb-hatch" width="6" height="6" '
        'patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="6" height="6" class="cb-gap-ground" fill="#fff8e1"/>'
        '<rect width="3" height="6" class="cb-gap-mark" fill="#8a5a00"/>'
        "</pattern></defs>",
        *_axis(period, height),
    ]
    for row, lane in enumerate(shown):
        parts.extend(_lane(lane, TOP + LANE * row, period, collected))
    parts.append("</svg>")
    return safe.assembled("\n".join(parts))


def _ends(interval: Interval) -> tuple[Instant, Instant]:
    return interval.start, interval.end


def _described(lanes: tuple[Lane, ...]) -> Markup:
    return safe.text(
        "; ".join(
            f"{lane.label}: {words.count(len(lane.deviations), 'deviation')}, "
            f"{words.count(len(lane.gaps), 'gap')}"
            for lane in lanes
        )
    )


def _x(moment: int, period: Interval) -> int:
    """Place an instant as a share of the width, in whole numbers only."""
    return (moment - period.start) * WHOLE // period.length


def _share(value: int) -> str:
    return f"{value // 10_000}.{value % 10_000:04d}%"


def _axis(period: Interval, height: int) -> Iterator[str]:
    days = -(-period.length // DAY)
    step = max(1, -(-days // TICKS))
    for number in range(0, days, step):
        moment = Instant(period.start + number * DAY)
        x = _x(moment, period)
        yield (
            f'<line x1="{_share(x)}" x2="{_share(x)}" y1="18" y2="{height}" '
            'stroke="#c9ced6" class="cb-tick"/>'
        )
        if x > WHOLE * 9 // 10:  # no room for its day on a narrow screen
            continue
        yield (
            f'<text x="{_share(x)}" dx="3" y="13" font-size="11" fill="#55606e" '
            f'class="cb-axis">{words.day(moment)[5:]}</text>'
        )


def _lane(
    lane: Lane, top: int, period: Interval, collected: Interval | None
) -> Iterator[str]:
    yield (
        f'<text x="3" y="{top + 12}" font-size="12" fill="#1f2933" '
        f'class="cb-lane-name">{safe.text(_shortened(lane.label))}</text>'
    )
    seen = collected or Interval(period.start, Instant(period.start + 1))
    yield _mark(seen, top, period, "cb-seen", "#dfe7ef")
    for piece in lane.gaps:
        yield _mark(piece, top, period, "cb-gap", "url(#cb-hatch)")
        yield _edge(piece, top, period, "cb-gap-edge", "#8a5a00")
    for piece in lane.deviations:
        yield _mark(piece, top, period, "cb-dev", "#b3261e")
        yield _edge(piece, top, period, "cb-dev-edge", "#b3261e")


def _shortened(label: str) -> str:
    if len(label) <= LETTERS:
        return label
    half = LETTERS // 2
    return f"{label[:half]}…{label[1 - half :]}"


def _mark(piece: Interval, top: int, period: Interval, name: str, fill: str) -> str:
    left = _x(piece.start, period)
    width = _x(piece.end, period) - left
    return (
        f'<rect x="{_share(left)}" y="{top + 17}" width="{_share(width)}" '
        f'height="{BAR}" fill="{fill}" class="{name}">'
        f"<title>{words.stretch(piece.start, piece.end)}</title></rect>"
    )


def _edge(piece: Interval, top: int, period: Interval, name: str, colour: str) -> str:
    """Draw where a mark begins, wide enough to be seen and never cut off."""
    x = _share(min(max(_x(piece.start, period), WHOLE // 250), WHOLE - WHOLE // 250))
    dashes = ' stroke-dasharray="2 1"' if name == "cb-gap-edge" else ""
    return (
        f'<line x1="{x}" x2="{x}" y1="{top + 17}" y2="{top + 17 + BAR}" '
        f'stroke="{colour}" stroke-width="{LEAST}"{dashes} class="{name}">'
        f"<title>{words.stretch(piece.start, piece.end)}</title></line>"
    )
