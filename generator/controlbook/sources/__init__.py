# SPDX-License-Identifier: Apache-2.0
"""The sources of evidence: one module per stream, one Protocol.

Rules enforced here:
- collecting never judges: a source says what AWS answered, what it could not get and
  why; what that means is the core's;
- a listing that did not end is incomplete, never shorter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from controlbook.errors import ControlbookError, Exit
from controlbook.timeline import DAY, SECOND, Instant, Interval, by_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controlbook.model import (
        Assessment,
        Contradiction,
        DigestChain,
        Event,
        EventCount,
        Missing,
        Observation,
        Pull,
        RuleInstance,
        Run,
        StoredObject,
        Transition,
    )
    from controlbook.vault.packs import Pack

Place = tuple[str, str]
"""(account, Region)"""


class SourceError(ControlbookError):
    """A source did not answer, refused, or answered only in part."""

    def __init__(
        self, message: str, place: str = "", advice: str = "", answer: str = ""
    ) -> None:
        """Say what was asked and what came back; `answer` is AWS's error code."""
        super().__init__(message, place=place, advice=advice, code=Exit.UNAVAILABLE)
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the ledger knows of a stream before the next run."""

    runs: tuple[Run, ...]
    states: Callable[[], Iterator[bytes]] = lambda: iter(())
    """Reads the last run's state pack, record by record."""
    records: Callable[[Run], tuple[bytes, ...]] = lambda _run: ()
    """Reads the record pack of an earlier run."""
    listed: Callable[[Run], tuple[StoredObject, ...]] = lambda _run: ()
    """Reads which source packs an earlier run stored, where its manifest cannot say."""

    def objects(self, run: Run) -> tuple[StoredObject, ...]:
        """Give every object that an earlier run stored."""
        return (*run.objects, *self.listed(run))

    @property
    def last(self) -> Run | None:
        """The head of the chain."""
        return self.runs[-1] if self.runs else None

    @property
    def tiled(self) -> tuple[Run, ...]:
        """The runs whose windows tile: all but the corrections."""
        return tuple(run for run in self.runs if run.kind != "correction")

    def days_until(self, now: Instant) -> tuple[Interval, ...]:
        """Give the days that are over and not collected; at first only the last one."""
        end = Instant(now - now % DAY)
        tiled = self.tiled
        return by_day(tiled[-1].window.end if tiled else Instant(end - DAY), end)

    def since_last(self, now: Instant) -> tuple[Interval, ...]:
        """Give the time since the last run, once a day; again after a broken one."""
        end, today = Instant(now - now % SECOND), Instant(now - now % DAY)
        last = self.last
        if last and last.complete and last.started - last.started % DAY == today:
            return ()
        start = last.window.end if last else today
        return (Interval(start, end),) if start < end else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the assessments demand for one window."""

    assessments: tuple[Assessment, ...]
    """By id."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Every account × Region, sorted."""
        return tuple(
            sorted(
                {
                    (number, region)
                    for assessment in self.assessments
                    for _, number in assessment.accounts
                    for region in assessment.regions
                }
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a source read for one window: a run, but for its place in the chain."""

    kind: str
    window: Interval
    aws_date: Instant
    principal: str
    endpoint: str
    collected: tuple[Place, ...] = ()
    expected: tuple[Place, ...] = ()
    missing: tuple[Missing, ...] = ()
    pages: int = 0
    throttles: int = 0
    complete: bool = True
    queries: tuple[tuple[str, str], ...] = ()
    rules: tuple[RuleInstance, ...] = ()
    transitions: tuple[Transition, ...] = ()
    pulls: tuple[Pull, ...] = ()
    packs: tuple[tuple[str, Pack], ...] = ()
    """(role, pack), in the order of the manifest; with rules, one is their states."""
    notes: tuple[str, ...] = ()
    corrects: int = 0
    organizations_sha256: str = ""
    observations: tuple[Observation, ...] = ()
    asked: tuple[tuple[str, str], ...] = ()
    event_counts: tuple[EventCount, ...] = ()
    events: tuple[Event, ...] = ()
    chains: tuple[DigestChain, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()


class Source(Protocol):
    """One stream of evidence."""

    stream: str

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Give the windows that are due, oldest first."""

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        """Read the windows, oldest first; a correction of the past comes before."""
