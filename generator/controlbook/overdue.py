# SPDX-License-Identifier: Apache-2.0
"""Whether evidence still arrives, judged by a clock that is passed in.

Rules enforced here:
- a time that no run has reached yet is no evidence gap, and therefore has to be said
  some other way: otherwise a job that died looks like a quiet one;
- only an assessment that still waits for evidence is asked after, and only for the
  streams that its controls rest on;
- what is derived from Git alone (findings, status, every build) knows nothing of this:
  it depends on the day on which somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .coverage import windows
from .model import ManualDocument
from .timeline import DAY, iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Assessment, Ledger, Library
    from .timeline import Instant

LATE = 2 * DAY
"""After how long a stream is silent, and not merely waiting for its day to end."""
SLACK = {"cloudtrail": DAY}
"""What a stream waits besides, before it closes a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A stream that an assessment waits for, and that has fallen silent."""

    assessment: str
    path: str
    """The assessment's file."""
    stream: str
    until: Instant | None
    """Where its evidence ends; None: there is none."""
    days: int
    """Whole days since then, or since the period began."""

    @property
    def words(self) -> str:
        """Say how long ago its evidence ended."""
        ago = f"{self.days} day{'s' * (self.days != 1)} ago"
        if self.until is None:
            return f"no {self.stream} evidence yet, and the period began {ago}"
        return f"the last {self.stream} evidence ends at {iso(self.until)}, {ago}"

    @property
    def advice(self) -> str:
        """Say what to do about it."""
        return "look at the collecting job, and run `controlbook collect`"

    @property
    def line(self) -> str:
        """Say it on one line."""
        return f"{self.assessment}: {self.words}; {self.advice}"


def streams_of(library: Library, controls: Iterable[str]) -> tuple[str, ...]:
    """Name the streams that some controls rest on; documents are no stream."""
    return tuple(
        dict.fromkeys(
            evidence.key.partition(":")[0]
            for name in controls
            if name in library.controls
            for evidence in library.controls[name].evidence
            if not isinstance(evidence, ManualDocument)
        )
    )


def overdue(
    library: Library, ledger: Ledger, assessment: Assessment, now: Instant
) -> tuple[Overdue, ...]:
    """List the streams from which an assessment should have heard by now."""
    items = library.frameworks[assessment.framework].requirements
    controls = [c for n in assessment.requirements for c in items[n].controls]
    found = []
    for stream in sorted(streams_of(library, controls)):
        ends = [run.window.end for run in windows(ledger.runs.get(stream, ()))]
        until = max(ends, default=None)
        since = max(until or 0, assessment.period.start)
        if since >= assessment.period.end or now - since <= LATE + SLACK.get(stream, 0):
            continue
        found.append(
            Overdue(
                assessment=assessment.id,
                path=assessment.path,
                stream=stream,
                until=until,
                days=(now - (assessment.period.start if until is None else until))
                // DAY,
            )
        )
    return tuple(found)
