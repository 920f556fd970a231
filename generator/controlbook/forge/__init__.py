# SPDX-License-Identifier: Apache-2.0
"""Pull requests and their reviews, behind one Protocol.

Rules enforced here:
- a forge proposes changes and tells how merged ones were reviewed; it decides nothing;
- what a forge answered is kept as the bytes it sent; reading them is another step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlbook.timeline import Instant, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request that is open: where people review it."""

    number: int
    url: str
    branch: str


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Answer:
    """One answer of a forge: what was asked, and the bytes that came back."""

    request: str
    """Method, path and query, without the host: `GET /repos/o/r/pulls/3`."""
    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whom a forge takes us for, where, and what time it is there."""

    principal: str
    """`github:login`; for an App's installation, which has no login, `github:app`."""
    endpoint: str
    """`github`, or the address of a server that is not reached by HTTPS."""
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Everything a forge answered about one window; see `reading.read_pulls`."""

    answers: tuple[Answer, ...]
    throttles: int = 0


class Forge(Protocol):
    """Where pull requests live."""

    def open_pull(self, *, branch: str, title: str, body: str) -> PullRequest:
        """Open a pull request from a pushed branch, or give the one that is open."""
        ...

    def caller(self) -> Caller:
        """Tell whom the forge takes us for."""
        ...

    def capture(self, window: Interval, governed: Callable[[str], bool]) -> Capture:
        """Ask for the rules in force and for what was merged in the window.

        Every merged pull request is asked for its files; those that touch a governed
        path also for their reviews and commits.
        """
        ...
