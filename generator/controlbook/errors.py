# SPDX-License-Identifier: Apache-2.0
"""The one class of error that people see, and the exit codes.

Rules enforced here:
- an error a user can cause says what is wrong, where, and what to do about it;
- everything else keeps its traceback and exits 3.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import IntEnum

STORAGE = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "make room",
    errno.EIO: "look after the disk",
    errno.EROFS: "make it writable",
    errno.EACCES: "let this user read and write it",
    errno.EPERM: "let this user read and write it",
}
"""What a disk answers → what to do before running it again."""


class Exit(IntEnum):
    """What the process's exit code tells a script."""

    FINE = 0
    FOUND = 1
    """It worked and found something: unsigned, stale, unannotated, a gap."""
    USAGE = 2
    """Wrong usage, or an invalid file that stands before the user."""
    UNEXPECTED = 3
    INTEGRITY = 4
    UNAVAILABLE = 5
    """A source was unavailable or incomplete, or a required input was not supplied."""


class ControlbookError(Exception):
    """Something a user can cause and mend; printed without a traceback."""

    def __init__(
        self,
        message: str,
        *,
        place: str = "",
        advice: str = "",
        code: Exit = Exit.USAGE,
    ) -> None:
        """Say what is wrong, where it is, and what to do."""
        super().__init__(message)
        self.message = message
        self.place = place
        self.advice = advice
        self.code = code

    def __str__(self) -> str:
        """Give the one line people see: `place: message; advice`."""
        head = f"{self.place}: {self.message}" if self.place else self.message
        return f"{head}; {self.advice}" if self.advice else head


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Problem:
    """One thing wrong in one human file: `file:line: what is wrong; what to do`."""

    path: str
    line: int
    message: str
    advice: str = ""

    def __str__(self) -> str:
        """Give the line that `check` prints."""
        tail = f"; {self.advice}" if self.advice else ""
        return f"{self.path}:{self.line}: {self.message}{tail}"


class InvalidFiles(ControlbookError):  # noqa: N818 - reads as what it says
    """The human files break rules; carries every problem, sorted."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Collect the problems into one error."""
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
