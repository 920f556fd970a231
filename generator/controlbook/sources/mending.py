# SPDX-License-Identifier: Apache-2.0
"""Closing the gaps of earlier runs, once the digests that they lacked have come.

Rules enforced here:
- a gap closes only where all digests of its window, those from before too, now verify
  as one reading; what still is missing is missing in the correction as well;
- a reading that would open a gap where there was none proves less than the run did, and
  changes nothing;
- only what digests can prove is tried again: not a trail that leaves events out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.coverage import mended
from controlbook.timeline import DAY, subtract, union

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.model import DigestChain, Missing, Run
    from controlbook.timeline import Instant

    from . import Place
    from .events import Query

MENDED_WITHIN = 14 * DAY
"""How long after a window's end digests that it lacked are still looked for."""
BY_DIGESTS = frozenset(
    {"digest-gap", "digest-invalid", "log-invalid", "not-validated", "source-failed"}
)
"""Reasons for missing evidence that another digest can take away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn:
    """A window that a run closed with gaps, as the ledger knows it by now."""

    run: Run
    gaps: dict[Place, tuple[Missing, ...]]
    """The places whose gaps digests can close."""

    def head(self, place: Place) -> DigestChain | None:
        """Give the chain that the run had of a place."""
        rows = (c for c in self.run.chains if (c.account, c.region) == place)
        return next(rows, None)

    def closes(self, place: Place, left: Iterable[Missing]) -> bool:
        """Tell whether what is left missing is less than before, and nowhere more."""
        before = union(row.interval for row in self.gaps[place])
        after = union(row.interval for row in left)
        return after != before and not subtract(after, before)


def torn(runs: Iterable[Run], asked: Iterable[Query], now: Instant) -> tuple[Torn, ...]:
    """Find the windows with gaps, not too old, that asked for nothing forgotten."""
    queries = set(asked)
    found: list[Torn] = []
    # A correction has the window that it corrects: no list of an older run is read.
    young = [run for run in runs if run.window.end + MENDED_WITHIN >= now]
    for run in mended(young):
        if not queries >= set(run.asked):
            continue
        gaps: dict[Place, list[Missing]] = {}
        for row in run.missing:
            gaps.setdefault((row.account, row.region), []).append(row)
        open_ = {
            place: tuple(rows)
            for place, rows in sorted(gaps.items())
            if {row.reason for row in rows} <= BY_DIGESTS
        }
        if open_:
            found.append(Torn(run=run, gaps=open_))
    return tuple(found)
