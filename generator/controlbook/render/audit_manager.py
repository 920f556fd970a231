# SPDX-License-Identifier: Apache-2.0
"""What is kept of Audit Manager, as site and PDF show it for one period.

Rules enforced here:
- evidence outside the period is left out of every figure, and counted as left out;
- a status there is AWS's word, beside which nothing of ours is put;
- that nothing contradicts is said with the number of verdicts that were compared, and
  those that could not be compared are counted beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from controlbook.model import ConfigRule
from controlbook.timeline import Instant, from_datetime, to_datetime

from . import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.model import Control, StoredObject
    from controlbook.preserved import Kept, Preserved

    from .report import Report

SHOWN = 50
"""Rows of a kind that a page shows; the data file lists all."""
YEARS = 2
"""How long AWS keeps evidence, by its documentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRow:
    """One control of Audit Manager, with its evidence of the period."""

    saved: Saved
    control: Kept
    folders: tuple[Kept, ...]
    comments: int

    @property
    def rules(self) -> tuple[str, ...]:
        """Name the Config rules that its evidence was taken from."""
        found = {name for row in self.folders for name in row.told("rules").split()}
        return tuple(sorted(found))

    def sum(self, name: str) -> int:
        """Add a number of its folders up."""
        return sum(row.number(name) for row in self.folders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """One assessment of Audit Manager, as far as it tells of a period."""

    kept: Preserved
    inside: tuple[Kept, ...]
    """Its folders of the period, by day."""
    outside: tuple[Kept, ...]
    """Its other folders, which no figure counts."""
    lock: str
    """Until when the vault holds it; empty: it has no lock."""

    @property
    def anchor(self) -> str:
        """Give the place of its section on the page."""
        return f"am-{self.kept.id[:8]}"

    @property
    def controls(self) -> tuple[ControlRow, ...]:
        """Give its controls, those without evidence in the period too."""
        return tuple(
            ControlRow(
                saved=self,
                control=item,
                folders=tuple(row for row in self.inside if _same(row, item)),
                comments=sum(_same(row, item) for row in self.kept.of("comment")),
            )
            for item in self.kept.of("control")
        )

    @property
    def comments(self) -> tuple[Kept, ...]:
        """Give what people wrote there, oldest first."""
        return _by_time(self.kept.of("comment"))

    @property
    def changes(self) -> tuple[Kept, ...]:
        """Give its change log, oldest first."""
        return _by_time(self.kept.of("change"))

    @property
    def delegations(self) -> tuple[Kept, ...]:
        """Give what was delegated there, oldest first."""
        return _by_time(self.kept.of("delegation"))

    @property
    def pieces(self) -> int:
        """Count the pieces of evidence of the period."""
        return sum(row.number("evidence") for row in self.inside)

    @property
    def pieces_outside(self) -> int:
        """Count the pieces of evidence that lie outside it."""
        return sum(row.number("evidence") for row in self.outside)

    @property
    def days(self) -> tuple[Instant, Instant] | None:
        """Give the first and the last day with evidence, of all that is kept."""
        found = [at for row in (*self.inside, *self.outside) if (at := row.at)]
        return (min(found), max(found)) if found else None

    @property
    def deleted(self) -> tuple[Instant, Instant] | None:
        """Say from when on AWS deletes it, and when the last of it is gone."""
        return (_later(self.days[0]), _later(self.days[1])) if self.days else None

    def sum(self, name: str) -> int:
        """Add a number of its folders in the period up."""
        return sum(row.number(name) for row in self.inside)


def saved(report: Report) -> tuple[Saved, ...]:
    """Give what is kept of Audit Manager, for the report's period."""
    period = report.assessment.period
    found = []
    for kept in report.preserved:
        folders = _by_time(kept.of("folder"))
        within = [row for row in folders if row.at is not None]
        inside = tuple(r for r in within if r.at is not None and period.contains(r.at))
        found.append(
            Saved(
                kept=kept,
                inside=inside,
                outside=tuple(row for row in folders if row not in set(inside)),
                lock=_lock(kept.run.objects),
            )
        )
    return tuple(found)


def beside(
    found: Iterable[Saved], controls: Iterable[Control]
) -> tuple[ControlRow, ...]:
    """Choose the controls there whose evidence is of Config rules that ours name."""
    named = {
        evidence.identifier
        for control in controls
        for evidence in control.evidence
        if isinstance(evidence, ConfigRule)
    }
    return tuple(
        row for each in found for row in each.controls if named & set(row.rules)
    )


def compared_sentence(numbers: Saved | ControlRow) -> str:
    """Say what came of holding its verdicts against our record."""
    compared, against = numbers.sum("compared"), numbers.sum("contradictions")
    head = "No verdict that it took from AWS Config was compared with our record"
    if compared:
        head = (
            f"Of {words.count(compared, 'verdict')} that it took from AWS Config,"
            f" {against or 'none'} {'contradict' if against > 1 else 'contradicts'} our"
            " record of the same instant"
        )
    apart = [
        f"{words.count(numbers.sum(name), 'verdict')} {text}"
        for name, text in (
            ("not in our record", "not compared, as our record has none there"),
            ("ahead of our record", "not compared yet, as our record ends earlier"),
        )
        if numbers.sum(name)
    ]
    return "; ".join([head, *apart]) + "."


def role(arn: str) -> str:
    """Name a role by the last part of its ARN."""
    return arn.rpartition("/")[2] or arn


def name_of(arn: str) -> str:
    """Name a resource by the last part of its ARN."""
    return role(arn.rpartition(":")[2])


def _same(row: Kept, control: Kept) -> bool:
    return all(row.told(name) == control.told(name) for name in ("set", "control"))


def _by_time(rows: Iterable[Kept]) -> tuple[Kept, ...]:
    return tuple(sorted(rows, key=lambda row: (row.told("at"), row.name)))


def _later(moment: Instant) -> Instant:
    day = to_datetime(moment).astimezone(UTC)
    try:
        return from_datetime(day.replace(year=day.year + YEARS))
    except ValueError:  # the 29th of February
        return from_datetime(day.replace(year=day.year + YEARS, month=3, day=1))


def _lock(objects: Iterable[StoredObject]) -> str:
    ends = [s.lock_until for s in objects if s.role in {"source", "records"}]
    return min(ends, default="")
