# SPDX-License-Identifier: Apache-2.0
"""Pull requests and their reviews, behind one Protocol.

Rules enforced here:
- a forge proposes changes and tells how merged ones were reviewed; it decides nothing;
- what a forge answered is kept as the bytes it sent, beside what was read from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import Pull
    from controlbook.timeline import Interval


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
class Rules:
    """The rules in force for the branch, as the forge told them."""

    sha256: str
    answers: tuple[Answer, ...]
    notes: tuple[str, ...] = ()
    """What the forge would not tell, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedPull:
    """A merged pull request: what was read, and the answers that prove it."""

    pull: Pull
    answers: tuple[Answer, ...]
    notes: tuple[str, ...] = ()


class Forge(Protocol):
    """Where pull requests live."""

    def open_pull(self, *, branch: str, title: str, body: str) -> PullRequest:
        """Open a pull request from a pushed branch, or give the one that is open."""
        ...

    def rules(self) -> Rules:
        """Tell the rules in force for the branch that sign-offs merge into."""
        ...

    def merged_pulls(self, window: Interval, rules: Rules) -> Iterator[CapturedPull]:
        """Give what was merged into that branch in the window, by merge time."""
        ...
