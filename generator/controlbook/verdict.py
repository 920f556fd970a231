# SPDX-License-Identifier: Apache-2.0
"""What a verification found, step by step, and what it did not look at.

Rules enforced here:
- of several verdicts the worst stands: 3, 2, 4, 5, 1, 0;
- what was not checked is listed beside what was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .faults import Fault

SEVERITY = (
    Exit.UNEXPECTED,
    Exit.USAGE,
    Exit.INTEGRITY,
    Exit.UNAVAILABLE,
    Exit.FOUND,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One step of the verification and what it found."""

    name: str
    count: int
    """How many things it looked at."""
    faults: tuple[Fault, ...] = ()

    @property
    def ok(self) -> bool:
        """Tell whether it found nothing but remarks."""
        return self.code is Exit.FINE

    @property
    def code(self) -> Exit:
        """The exit code that it alone would give."""
        return worst(code for code, _ in self.faults)

    @property
    def message(self) -> str:
        """What it found, one a line."""
        return "\n".join(text for _, text in self.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification found, and what it did not look at."""

    checks: tuple[Check, ...]
    not_checked: tuple[str, ...]
    facts_root: str
    """To compare with the one that was handed over by another way."""
    tag: str
    """SHA-256 of the raw tag object, for the same."""

    @property
    def code(self) -> Exit:
        """The exit code: the worst of all checks."""
        return worst(check.code for check in self.checks)


def worst(codes: Iterable[Exit]) -> Exit:
    """Give the exit code that stands where several were found."""
    found = set(codes)
    return next((code for code in SEVERITY if code in found), Exit.FINE)
