# SPDX-License-Identifier: Apache-2.0
"""A list that is read when somebody looks at it.

Rules enforced here:
- a list that was not read is never an empty one: whoever looks at it reads it, or gets
  the error that says why it cannot be read;
- it is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class Later(Sequence[T]):
    """A list of a run manifest that lies elsewhere, and was not read yet."""

    __slots__ = ("_read", "_rows")

    def __init__(self, read: Callable[[], tuple[T, ...]]) -> None:
        """Keep in mind how to read it."""
        self._read = read
        self._rows: tuple[T, ...] | None = None

    def _all(self) -> tuple[T, ...]:
        if self._rows is None:
            self._rows = self._read()
        return self._rows

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """Give a row, or some."""
        return self._all()[index]

    def __iter__(self) -> Iterator[T]:
        """Give the rows."""
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        """Compare the rows, where it is not the very same list."""
        if self is other:
            return True
        return self._all() == (other._all() if isinstance(other, Later) else other)

    __hash__ = object.__hash__


def at_hand(*lists: object) -> bool:
    """Tell whether lists were read already."""
    for rows in lists:  # noqa: SIM110 - asked of every list of every manifest
        if type(rows) is Later:
            return False
    return True
