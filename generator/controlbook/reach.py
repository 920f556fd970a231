# SPDX-License-Identifier: Apache-2.0
"""How far a reader reads: which lists that moved out of manifests, and whose rows.

Rules enforced here (ADR 0026):
- where no list moved, everything is read and checked: it stands in the manifests;
- an assessment's reader reads the lists of the runs that its period rests on, of its
  accounts; rules also since the last run that wrote them anew;
- which lists these are follows from period and manifests alone, so that a bundle and
  both of its verifiers agree about what must be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .model import ALL, FOLLOWING
from .timeline import DAY, Instant, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .model import Assessment, Run

LIST = "list:"
"""The role of an object that holds a list begins so; the list's name follows."""
INDEX = "index"
"""The role of the object that says whose rows each list has."""
OBJECTS = "objects"
"""The list of the source packs: asked of the vault, as the packs themselves are."""
RULES = ("rules", "rules_removed")
"""The lists from which the rules in force follow."""
LONGEST = (*RULES, "transitions")
"""The lists that are by far the longest, and can be read account by account."""
SLACK = 2 * DAY
"""What a look at something says may reach so far beyond its window."""


class Outline(NamedTuple):
    """What a manifest says before any list of it is read."""

    seq: int
    kind: str
    window: Interval
    anew: bool
    moved: frozenset[str]
    """Names of the lists that are elsewhere."""


def outline_of(run: Run) -> Outline:
    """Give the outline of a run that was read."""
    roles = (stored.role for stored in run.objects)
    return Outline(run.seq, run.kind, run.window, run.anew, moved_among(roles))


def moved_among(roles: Iterable[str]) -> frozenset[str]:
    """Name the lists that objects of these roles hold."""
    return frozenset(role.removeprefix(LIST) for role in roles if role.startswith(LIST))


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What is read of one manifest, beside what stands in it."""

    lists: bool = True
    """Its lists, but for rules and source packs."""
    rules: bool = True
    """Its rules, and what it says of their sums."""
    objects: bool = True
    """Which source packs there are."""
    rows: bool = True
    """Its rules and transitions now; else they are read account by account."""
    accounts: frozenset[str] | None = None
    """Whose rows; None: everybody's."""

    def reads(self, name: str) -> bool:
        """Tell whether a list, other than that of source packs, is read now."""
        due = self.rules if name in RULES else self.lists
        return due and (self.rows or name not in LONGEST)

    def of(self, account: str) -> bool:
        """Tell whether an account's rows are read."""
        return self.accounts is None or account in self.accounts or account == ALL


WHOLE = Depth()
"""Everything, as who collects and who checks the whole ledger reads."""
OUTSIDE = Depth(lists=False, rules=False, objects=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which runs' lists somebody reads, and whose rows of them."""

    span: Interval | None = None
    """None: no list is read before somebody looks at it."""
    accounts: frozenset[str] | None = None
    rows: bool = True
    """Whether Config's rules and transitions are read at once, or by account."""

    def near(self, stream: str, outline: Outline) -> bool:
        """Tell whether a run's lists are read."""
        if stream in FOLLOWING:
            return True  # it follows the period, and speaks for no account alone
        return self.span is not None and _meets(stream, outline.window, self.span)

    def depths(self, stream: str, outlines: Sequence[Outline]) -> Mapping[int, Depth]:
        """Say, by seq, what is read of each manifest of a stream."""
        if not any(outline.moved for outline in outlines):
            return {}
        seqs = {o.seq for o in outlines if self.near(stream, o)}
        first, last = 1, outlines[-1].seq
        if any("rules" in outline.moved for outline in outlines):
            last = max(seqs, default=0)
            opening = min(seqs, default=0)
            starts = (o.seq for o in outlines if o.anew and o.seq <= opening)
            first = max(starts, default=1)
        return {
            o.seq: Depth(
                lists=o.seq in seqs,
                rules=first <= o.seq <= last,
                objects=False,
                rows=self.rows or stream != "config",
                accounts=None if stream in FOLLOWING else self.accounts,
            )
            for o in outlines
        }


NOTHING = Reach()
"""No list is read before somebody looks at it."""


def _meets(stream: str, window: Interval, span: Interval) -> bool:
    if stream == "config":
        return window.end >= span.start and window.start < span.end
    return near(window, span)


def near(window: Interval, span: Interval) -> bool:
    """Tell whether what a run of another stream than `config` saw may speak of a span.

    What is looked at every few days speaks for the days before, too.
    """
    return window.end + SLACK >= span.start


def reach_of(assessment: Assessment, config: Iterable[Outline]) -> Reach:
    """Reach as far as an assessment's findings and sign-offs rest on evidence."""
    accounts = frozenset(number for _, number in assessment.accounts)
    return Reach(span=opened(assessment.period, config), accounts=accounts)


def opened(period: Interval, config: Iterable[Outline]) -> Interval:
    """Stretch a period back to the end of the run that opens it."""
    ends = [o.window.end for o in config if o.kind != "correction"]
    start = max((end for end in ends if end <= period.start), default=period.start)
    return Interval(Instant(start), period.end)
