# SPDX-License-Identifier: Apache-2.0
"""How far a long run has come, for somebody who watches.

Rules enforced here:
- only on a terminal, on stderr, and never with `--quiet`: a log holds results;
- one line that is written over, and taken away at the end, however it ends.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from types import TracebackType

WIDTH = 24
_CLEAR = "\r\x1b[2K"


class Progress:
    """One line with a bar: `collecting [######..........] 31/92`."""

    def __init__(
        self, what: str, *, quiet: bool = False, stream: TextIO | None = None
    ) -> None:
        """Name what is counted; nothing is written before the first `show`."""
        self._what = what
        self._stream = stream or sys.stderr
        self._on = not quiet and self._stream.isatty()
        self._shown = ""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the line away."""
        self.hide()

    def show(self, done: int, of: int) -> None:
        """Say that `done` of `of` are done."""
        if not self._on or not of:
            return
        full = done * WIDTH // of
        bar = "#" * full + "." * (WIDTH - full)
        line = f"{self._what} [{bar}] {done}/{of}"
        if line != self._shown:
            self._shown = line
            self._stream.write(f"{_CLEAR}{line}")
            self._stream.flush()

    def hide(self) -> None:
        """Take the line away, so that something else can be written."""
        if self._shown:
            self._shown = ""
            self._stream.write(_CLEAR)
            self._stream.flush()
