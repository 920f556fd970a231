# SPDX-License-Identifier: Apache-2.0
"""The states of an organisation, place by place: never held all at once.

Rules enforced here:
- a line of a state pack is one account × Region; where nothing moved it is copied as it
  stands, byte for byte, and never read;
- what is written are the bytes of `ledger.state_lines`: rows sorted, canonical JSON;
- lines come and go in the order of their bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from controlbook.ledger import LedgerError
from controlbook.model import Standing, State
from controlbook.timeline import instant, iso
from controlbook.vault.packs import Packer, records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from controlbook.vault.packs import Pack

    from . import Place

Row = list[str]
"""[instance, resource, state, since], as it stands in a state pack."""

_WIDTH = 4
_LINE = re.compile(rb'\{"account":"(\d+)","region":"([a-z0-9-]+)","states":\[')


class Sheet:
    """The states of one account × Region: a line of a state pack, opened."""

    def __init__(self, place: Place, line: bytes = b"") -> None:
        """Take a line unread; without one, there are no states."""
        self.place = place
        self._line = line
        self._rows: list[Row] | None = None

    @property
    def rows(self) -> list[Row]:
        """The states; the line is read when they are first asked for."""
        if self._rows is None:
            self._rows = _read(self._line) if self._line else []
        return self._rows

    def of(self, resources: Collection[str]) -> tuple[Standing, ...]:
        """Give the states of some resources."""
        return _standings(row for row in self.rows if row[1] in resources)

    @property
    def all(self) -> tuple[Standing, ...]:
        """Every resource's state."""
        return _standings(self.rows)

    def under(self, instances: Collection[str]) -> dict[str, list[Row]]:
        """Give the rows of some rule instances."""
        found: dict[str, list[Row]] = {key: [] for key in instances}
        for row in self.rows:
            if row[0] in found:
                found[row[0]].append(row)
        return found

    def replace(self, before: Iterable[Standing], after: Iterable[Standing]) -> None:
        """Put states in the place of others."""
        gone = {(row.instance, row.resource) for row in before}
        kept = [row for row in self.rows if (row[0], row[1]) not in gone]
        kept += [
            [row.instance, row.resource, row.state.value, iso(row.since)]
            for row in after
        ]
        self._rows, self._line = sorted(kept), b""

    @property
    def line(self) -> bytes:
        """The line as a state pack holds it: as it came, unless it was replaced."""
        if self._line:
            return self._line
        account, region = self.place
        return orjson.dumps({"account": account, "region": region, "states": self.rows})


def _read(line: bytes) -> list[Row]:
    """Read a line's rows; LedgerError for anything else."""
    try:
        rows: list[Row] = orjson.loads(line)["states"]
        if any(len(row) != _WIDTH for row in rows):
            raise ValueError(line[:60])  # noqa: TRY301 - the message is below
    except (ValueError, KeyError, TypeError) as error:
        message = f"not a record of a state pack: {error}"
        raise LedgerError(message) from error
    return rows


def _standings(rows: Iterable[Row]) -> tuple[Standing, ...]:
    try:
        return tuple(
            Standing(instance=key, resource=name, state=State(state), since=instant(at))
            for key, name, state, at in rows
        )
    except (TypeError, ValueError) as error:
        message = f"not a record of a state pack: {error}"
        raise LedgerError(message) from error


def place_of(line: bytes) -> Place:
    """Tell whose states a line holds, without reading them."""
    match = _LINE.match(line)
    if not match:
        message = "not a record of a state pack"
        raise LedgerError(message)
    return match[1].decode(), match[2].decode()


@dataclass(frozen=True, slots=True)
class Book:
    """The lines of a state pack, read again each time that they are needed."""

    lines: Callable[[], Iterator[bytes]]

    def pick(self, places: Collection[Place]) -> dict[Place, Sheet]:
        """Open the sheets of some places; one that has no line is empty."""
        found = {place: Sheet(place) for place in places}
        if not found:
            return found
        for line in self.lines():
            place = place_of(line)
            if place in found:
                found[place] = Sheet(place, line)
        return found

    def with_all(self, places: Iterable[Place]) -> Iterator[tuple[Place, bytes]]:
        """Give every line with its place, and an empty one for places without."""
        waiting = sorted(places)
        step = 0
        for line in self.lines():
            place = place_of(line)
            while step < len(waiting) and waiting[step] <= place:
                if waiting[step] < place:
                    yield waiting[step], b""
                step += 1
            yield place, line
        for place in waiting[step:]:
            yield place, b""

    def rewritten(self, changed: Mapping[Place, Sheet]) -> Pack:
        """Write the pack anew, with the sheets of some places instead of theirs."""
        packer = Packer()
        for place, line in self.with_all(changed):
            packer.add(changed[place].line if place in changed else line)
        return packer.finish()


def book_of(pack: Pack) -> Book:
    """Give the book that a pack is, which need not be stored yet."""
    return Book(lambda: records_of(pack.body))


EMPTY = Book(lambda: iter(()))
