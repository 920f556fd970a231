# SPDX-License-Identifier: Apache-2.0
"""What a verification finds: how bad it is, and what differs where."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import Exit

Fault = tuple[Exit, str]
"""The exit code that it alone would give, and one line that names it."""
Faults = Iterator[Fault]


def wrong(text: str) -> Fault:
    """Something was changed: integrity failed."""
    return Exit.INTEGRITY, text


def lacking(text: str) -> Fault:
    """Something that is needed to check is not here."""
    return Exit.UNAVAILABLE, text


def remark(text: str) -> Fault:
    """Nothing is wrong, and somebody may want to know."""
    return Exit.FINE, text


def still_open(text: str) -> Fault:
    """Nothing was changed, and something waits for people."""
    return Exit.FOUND, text
