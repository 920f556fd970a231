# SPDX-License-Identifier: Apache-2.0
"""Rows of an evidence index: runs and the vault objects that they name.

Rules enforced here:
- an object that an earlier row of the same table shows is not spelt out again, but
  named by that row: most days change little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.model import Run, StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRow:
    """One object of the vault, or the run whose row shows it already."""

    stored: StoredObject
    shown_at: int
    """Sequence number of the earlier run; 0 where it is shown here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run of an evidence index."""

    run: Run
    objects: tuple[ObjectRow, ...]


def rows(runs: Iterable[Run]) -> tuple[RunRow, ...]:
    """Lay runs of one stream out as rows, in their order."""
    shown: dict[tuple[str, str, str], int] = {}
    found = []
    for run in runs:
        objects = []
        for stored in run.objects:
            key = (stored.bucket, stored.key, stored.version_id)
            first = shown.setdefault(key, run.seq)
            objects.append(
                ObjectRow(stored=stored, shown_at=0 if first == run.seq else first)
            )
        found.append(RunRow(run=run, objects=tuple(objects)))
    return tuple(found)
