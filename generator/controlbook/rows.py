# SPDX-License-Identifier: Apache-2.0
"""Rows of a manifest: values of the model as canonical JSON, and back.

Rules enforced here:
- a row is declared once, as a table of its fields; reading and writing both follow it;
- one value has one spelling: an empty text, list or table is left out, where the table
  does not say that it always stands there; times are written as `iso` writes them;
- what reads is written again as the very same row: an unknown, missing or misspelt
  field is refused, never passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .digest import canonical
from .model import State
from .timeline import Instant, Interval, instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .digest import Json

T = TypeVar("T")
Read = Callable[[Any], Any]
"""Takes JSON, whose shape it is there to check."""

_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_QUOTED = json.encoder.encode_basestring
_STATES = {state.value: state for state in State}
_COUNTED = _STATES.keys() - {State.ABSENT.value}
_NEVER = object()
"""Equal to no value: such a field always stands in its row."""


class RowError(ValueError):
    """The JSON is not a row of this kind; the message leads with the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """How one kind of field is read, written, and when it is left out."""

    read: Read
    write: Callable[[Any], Json] | None = None
    """None where the value is its own JSON."""
    blank: Any = _NEVER
    """The value whose field is left out."""


class Row(Generic[T]):
    """One kind of row: its fields, and how a value is made of theirs."""

    def __init__(
        self,
        make: Callable[..., T],
        take: Callable[[T], tuple[Any, ...]],
        /,
        **fields: Field,
    ) -> None:
        """Declare the fields by their keys; `make` takes them by these names."""
        self.keys = tuple(fields)
        self._make = make
        self._take = take
        self._reads = {key: field.read for key, field in fields.items()}
        self._blanks = {
            key: field.blank
            for key, field in fields.items()
            if field.blank is not _NEVER
        }
        self._writes = tuple(
            (key, field.write, field.blank) for key, field in fields.items()
        )

    def read(self, tree: Json) -> T:
        """Read a row; RowError names the field that is not as it has to be."""
        if not isinstance(tree, dict):
            message = "is no row of fields"
            raise RowError(message)
        reads, values = self._reads, self._blanks.copy()
        key = ""
        try:
            for key, value in tree.items():
                read = reads[key]
                # Most are texts: not worth a call each.
                values[key] = (
                    value
                    if read is _text and type(value) is str and value
                    else read(value)
                )
        except KeyError as error:
            if key in reads:
                raise
            message = f"{key}: is unknown to this version"
            raise RowError(message) from error
        except ValueError as error:
            message = f"{key}: {error}"
            raise RowError(message) from error
        if len(values) != len(reads):
            lacking = next(key for key in reads if key not in values)
            message = f"{lacking}: is missing"
            raise RowError(message)
        return self._make(**values)

    def write(self, value: T) -> dict[str, Json]:
        """Write a value as a row."""
        return {
            key: part if write is None else write(part)
            for (key, write, blank), part in zip(
                self._writes, self._take(value), strict=True
            )
            if part != blank
        }

    def line(self, value: T) -> bytes:
        """Write a value as one canonical line, the same in manifest and pack."""
        return canonical(self.write(value))

    @property
    def always(self) -> Field:
        """The field that holds one such row."""
        return Field(read=self.read, write=self.write)

    @property
    def rows(self) -> Field:
        """The field that holds a list of such rows, left out where there are none."""
        return listed(self.read, self.write)


def row_of(make: Callable[..., T], /, **fields: Field) -> Row[T]:
    """Declare the rows of a dataclass whose fields are named as in JSON."""
    return Row(make, attrgetter(*fields), **fields)


def pair_of(**fields: Field) -> Row[tuple[Any, ...]]:
    """Declare the rows of a plain tuple."""
    return Row(lambda **values: tuple(map(values.__getitem__, fields)), tuple, **fields)


# --- kinds of field -------------------------------------------------------------------


def _text(value: object) -> str:
    if type(value) is str:
        if value:
            return value
        message = "is empty, and then it is left out"
    else:
        message = "is not text"
    raise RowError(message)


def _plain(value: object) -> str:
    if type(value) is not str:
        message = "is not text"
        raise RowError(message)
    return value


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        message = "is not a count"
        raise RowError(message)
    return value


def _some(value: object) -> int:
    if not _count(value):
        message = "is 0, and then it is left out"
        raise RowError(message)
    return _count(value)


def _hex(value: object) -> str:
    if type(value) is not str or not _HEX64.match(value):
        message = "is not a SHA-256"
        raise RowError(message)
    return value


def _time(value: object) -> Instant:
    return _instant(_plain(value))


@lru_cache(maxsize=1 << 16)
def _instant(text: str) -> Instant:
    moment = instant(text)
    if iso(moment) != text:
        message = f"{text!r} is written {iso(moment)}"
        raise RowError(message)
    return moment


def _state(value: object) -> State:
    state = _STATES.get(_plain(value))
    if state is None:
        message = f"{value!r} is not a state"
        raise RowError(message)
    return state


def _table(value: object) -> dict[str, Any]:
    if type(value) is not dict or not value:
        message = "is not a table with entries"
        raise RowError(message)
    return value


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    return tuple((key, _plain(text)) for key, text in sorted(_table(value).items()))


def _numbers(value: object) -> tuple[tuple[str, int], ...]:
    return tuple(
        [(key, _count(number)) for key, number in sorted(_table(value).items())]
    )


def _counts(value: object) -> tuple[tuple[str, int], ...]:
    table = _table(value)
    for name in table:
        if name not in _COUNTED:
            message = f"{name} is not a state that is counted"
            raise RowError(message)
    return _numbers(table)


def _parameters(value: object) -> str:
    """Write parameters, already read as canonical JSON, as canonical text again."""
    # A run asks dozens of questions, nearly all with flat parameters: joining these
    # takes a third of the time of an encoder.
    if type(value) is not dict:
        message = "is not a table"
        raise RowError(message)
    parts = []
    for name, each in sorted(value.items()):
        if isinstance(each, str):
            parts.append(f"{_QUOTED(name)}:{_QUOTED(each)}")
        elif isinstance(each, int):
            parts.append(f"{_QUOTED(name)}:{each}")
        else:
            return canonical(value).decode()
    return "{" + ",".join(parts) + "}"


def listed(read: Read, write: Callable[[Any], Json] | None = None) -> Field:
    """Give the field of a list, left out where it is empty."""
    last: list[Any] = [None, ()]

    def rows(value: object) -> tuple[Any, ...]:
        # What a stream expects and asks is the same day after day.
        if value == last[0]:
            return tuple(last[1])
        if type(value) is not list or not value:
            message = "is not a list with entries"
            raise RowError(message)
        last[:] = value, tuple(map(read, value))
        return tuple(last[1])

    def again(values: Iterable[Any]) -> Json:
        return list(values) if write is None else [*map(write, values)]

    return Field(read=rows, write=again, blank=())


TEXT = Field(read=_text, blank="")
PLAIN = Field(read=_plain)
"""A text that stands there even where it is empty."""
NEEDED = Field(read=_text)
"""A text that stands there and is not empty."""
COUNT = Field(read=_count)
SOME = Field(read=_some, blank=0)
"""A count that is left out where it is 0."""
HEX = Field(read=_hex)
TIME = Field(read=_time, write=iso)
STATE = Field(read=_state, write=lambda state: str(state.value))
PAIRS = Field(read=_pairs, write=dict, blank=())
NUMBERS = Field(read=_numbers, write=dict, blank=())
COUNTS = Field(read=_counts, write=dict, blank=())
TEXTS = listed(_plain)
PARAMETERS = Field(read=_parameters, write=json.loads)
INTERVAL = row_of(Interval, start=TIME, end=TIME).always
