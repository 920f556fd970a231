# SPDX-License-Identifier: Apache-2.0
"""A table of the report: its name, its columns, and all its rows.

Rules enforced here:
- a cell is text or a whole number; a list in a cell is one text, joined by blanks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


Cell = str | int
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A named table with its columns and all its rows."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def made(name: str, columns: str, rows: Iterator[Row]) -> Table:
    """Make a table; `columns` are their names between blanks."""
    return Table(name=name, columns=tuple(columns.split()), rows=tuple(rows))


def joined(values: Iterable[object]) -> str:
    """Write several values into one cell."""
    return "; ".join(str(value) for value in values)


def pairs_of(pairs: tuple[tuple[str, str], ...]) -> str:
    """Write parameters into one cell: `name=value`."""
    return joined(f"{name}={value}" for name, value in pairs)
