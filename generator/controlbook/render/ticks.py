# SPDX-License-Identifier: Apache-2.0
"""Checks that a report runs over its own ledger, for its tick marks.

Rules enforced here:
- a tick mark stands in a report only if the check behind it ran in this build, over
  the values that this report shows; what it covered is counted beside it;
- a check that fails is printed as failed, with its first place, never left out;
- none of them replaces `verify`, which starts from the stored bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from controlbook.later import at_hand
from controlbook.model import ALL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.model import Ledger, Recorded, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One check that ran: its mark, what it says, what it covered, what failed."""

    mark: str
    """H | T | R | Σ"""
    name: str
    meaning: str
    covered: int
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Tell whether the check covered something and found nothing wrong."""
        return self.covered > 0 and not self.failures


def ticks(ledger: Ledger, recorded: Recorded) -> tuple[Tick, ...]:
    """Run every check over the runs that a report rests on.

    `recorded` is what was counted of their rows when findings were derived. Where lists
    moved out of the manifests, places and rules are those that were read.
    """
    streams = [runs for _, runs in sorted(ledger.runs.items()) if runs]
    config = ledger.config
    ours = ledger.accounts
    read = [run for run in config if at_hand(run.expected, run.collected, run.missing)]
    ruled = {
        run.seq: recorded.rows[run.seq] for run in config if run.seq in recorded.rows
    }
    return (
        Tick(
            mark="H",
            name="Chained",
            meaning="each manifest names the digest of the one before it",
            covered=sum(len(runs) for runs in streams),
            failures=tuple(text for runs in streams for text in _chain(runs)),
        ),
        Tick(
            mark="T",
            name="Tiled",
            meaning="each window begins where the one before it ends",
            covered=sum(run.kind != "correction" for run in config),
            failures=tuple(_tiling(config)),
        ),
        Tick(
            mark="R",
            name="Reconciled",
            meaning="every expected account and Region was collected, or is named as "
            "missing with its reason",
            covered=sum(len(_of(run.expected, ours)) for run in read),
            failures=tuple(_places(read, ours)),
        ),
        Tick(
            mark="Σ",
            name="Footed",
            meaning="the counts by state add up to each rule's population",
            covered=sum(rows.rules for rows in ruled.values()),
            failures=tuple(
                f"config {seq} {rule}"
                for seq, rows in ruled.items()
                for rule in rows.unsummed
            ),
        ),
    )


def _chain(runs: tuple[Run, ...]) -> Iterable[str]:
    for before, after in pairwise(runs):
        if after.prev != before.sha256 or after.seq != before.seq + 1:
            yield f"{after.stream} {after.seq}"


def _tiling(runs: tuple[Run, ...]) -> Iterable[str]:
    windows = [run for run in runs if run.kind != "correction"]
    for before, after in pairwise(windows):
        if after.window.start != before.window.end:
            yield f"{after.stream} {after.seq}"


def _of(
    places: Iterable[tuple[str, str]], accounts: frozenset[str] | None
) -> set[tuple[str, str]]:
    return {place for place in places if accounts is None or place[0] in accounts}


def _places(runs: Iterable[Run], accounts: frozenset[str] | None) -> Iterable[str]:
    for run in runs:
        lacking = _of(run.expected, accounts) - set(run.collected)
        if any(not _named(run, account, region) for account, region in lacking):
            yield f"{run.stream} {run.seq}"


def _named(run: Run, account: str, region: str) -> bool:
    return any(
        row.account in {account, ALL} and row.region in {region, ALL}
        for row in run.missing
    )
