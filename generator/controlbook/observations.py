# SPDX-License-Identifier: Apache-2.0
"""Observations, as a run manifest spells them, and what must agree among them.

Rules enforced here:
- an observation has one row, the same in manifest, subject and facts;
- a run has one row for each evidence key and place, in order, of its own stream and
  among its expected places;
- a contradiction belongs to an observation of its run, and is one;
- names and numbers only: a value that AWS answered stands in the vault alone.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .model import OBSERVED, Contradiction, Failing, Observation
from .rows import (
    COUNT,
    INTERVAL,
    NUMBERS,
    PLAIN,
    TEXT,
    TEXTS,
    TIME,
    pair_of,
    row_of,
)
from .timeline import DAY, iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import Run

SHOWN = 20
"""Changes that a row names; its numbers count all."""

FAILING = row_of(Failing, item=TEXT, since=TIME, precision=PLAIN, workflow=TEXT)
"""What a look said is failing."""
OBSERVATION = row_of(
    Observation,
    evidence=TEXT,
    account=TEXT,
    region=TEXT,
    covers=INTERVAL,
    at=TIME,
    state=TEXT,
    result=TEXT,
    records=COUNT,
    records_root=TEXT,
    counts=NUMBERS,
    changes=NUMBERS,
    shown=TEXTS,
    previous=TEXT,
    moves=pair_of(at=TIME, result=PLAIN).rows,
    failing=FAILING.rows,
)
"""An observation as manifest, subject and facts hold it."""
CONTRADICTION = row_of(
    Contradiction,
    evidence=PLAIN,
    group=PLAIN,
    control=PLAIN,
    at=TIME,
    identifier=PLAIN,
    account=PLAIN,
    resource=PLAIN,
    theirs=PLAIN,
    ours=TEXTS,
    id=PLAIN,
)
"""A contradiction as manifest and facts hold it."""


# --- what must agree -----------------------------------------------------------------


def observation_problems(run: Run) -> Iterator[str]:
    """Say where a run's observations contradict the run or each other."""
    if not (run.observations or run.contradictions):
        return
    if list(run.observations) != sorted(run.observations):
        yield "observations are not in order"
    seen = Counter((row.evidence, row.account, row.region) for row in run.observations)
    for (evidence, account, region), number in seen.items():
        name = f"observations: {evidence} in {account} {region}"
        if number > 1:
            yield f"{name}: stands {number} times"
        if evidence.partition(":")[0] != run.stream:
            yield f"{name}: does not belong to stream {run.stream}"
        if (account, region) not in run.expected:
            yield f"{name}: is not an expected place"
    for row in run.observations:
        yield from _row_problems(run, row)
    yield from _contradiction_problems(run)


def _contradiction_problems(run: Run) -> Iterator[str]:
    rows = run.contradictions
    if list(rows) != sorted(set(rows)):
        yield "contradictions are not in order, or stand twice"
    looked = {row.evidence for row in run.observations}
    for row in rows:
        name = f"contradictions: {row.id}"
        if row.evidence not in looked:
            yield f"{name}: no observation of {row.evidence}"
        if not row.ours or row.theirs in row.ours:
            yield f"{name}: the two verdicts do not contradict each other"


def _row_problems(run: Run, row: Observation) -> Iterator[str]:
    name = f"observations: {row.evidence} in {row.account} {row.region}"
    answered = row.state == OBSERVED
    if abs(row.at - run.started) > DAY:
        yield f"{name}: {iso(row.at)} is not the time of this run"
    if answered and not row.records_root:
        yield f"{name}: names no records"
    if not answered and (row.records or row.records_root or row.counts):
        yield f"{name}: {row.state}, and yet it has records"
    times = [at for at, _ in row.moves]
    if times != sorted(times) or (times and not times[-1] <= row.at):
        yield f"{name}: its changes of result are not in order of time"
    failed = dict(row.counts).get("FAILED", 0)
    if len(row.failing) > min(SHOWN, failed):
        yield f"{name}: names more that fails than it counts"
    if any(each.since > row.at for each in row.failing):
        yield f"{name}: something fails since later than it was looked at"
    if len(row.shown) > min(SHOWN, sum(number for _, number in row.changes)):
        yield f"{name}: shows more changes than it counts"
