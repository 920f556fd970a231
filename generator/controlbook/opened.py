# SPDX-License-Identifier: Apache-2.0
"""The states that open a period, read account by account.

Rules enforced here:
- the lines of a state pack are kept squeezed, and those of an account are read when
  they are asked for: a thousand accounts have millions of states.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from .ledger import parse_state_lines
from .manifest import whose

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from .model import Standing


class Opened:
    """What a state pack says, by account."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        """Keep the lines of a state pack, which names the account first."""
        found: dict[str, list[bytes]] = defaultdict(list)
        for line in lines:
            found[whose(line)].append(zlib.compress(line, 1))
        self._lines = found

    def __iter__(self) -> Iterator[Standing]:
        """Give every state, account by account."""
        for account in self._lines:
            yield from self.of((account,))

    def of(self, accounts: Collection[str] | None) -> tuple[Standing, ...]:
        """Read the states of some accounts; None: of all."""
        wanted = self._lines if accounts is None else accounts
        lines = (line for each in wanted for line in self._lines.get(each, ()))
        return parse_state_lines(map(zlib.decompress, lines))


Opening: TypeAlias = "tuple[Standing, ...] | Opened"
"""States at one instant: at hand, or to be read account by account."""
