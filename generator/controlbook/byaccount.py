# SPDX-License-Identifier: Apache-2.0
"""A ledger's rules and transitions, one account at a time, all runs side by side.

Rules enforced here:
- every object is read once, from its first line to its last: the lines of all lists
  stand in the order of the accounts, so that those of one account come together;
- an account's rows are held while it is looked at, and no others';
- they are held against the index and the chain's own rules like rows that are read
  all at once; the first fault is a LedgerError.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from .digest import canonical
from .ledger import LedgerError, manifest_path, outlines, read_ledger
from .manifest import (
    MalformedManifestError,
    rows_by_account,
    rules_after,
    rules_gone,
)
from .model import ALL
from .moving import Movement, in_order
from .reach import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .manifest import Lists
    from .model import Ledger, RuleInstance, Run
    from .reach import Depth, Reach


def read_by_account(files: Mapping[str, bytes], lists: Lists, reach: Reach) -> Ledger:
    """Read a ledger whose `parts` give its rules and transitions account by account.

    Where none of these moved out of the manifests, all are read at once. Without
    accounts to reach for, all that any run expected are given.
    """
    config = outlines(files)
    if not any(outline.moved.intersection(LONGEST) for outline in config):
        return read_ledger(files, lists, reach)
    reach = replace(reach, rows=False)
    base = read_ledger(files, lists, reach)
    if base.accounts is None:
        places = chain.from_iterable(run.expected for run in base.config)
        base = replace(base, accounts=frozenset(account for account, _ in places))
    depths = reach.depths("config", config)
    shares = partial(_shares, base, files, depths, lists)
    return replace(base, shares=shares)


def _shares(
    base: Ledger,
    files: Mapping[str, bytes],
    depths: Mapping[int, Depth],
    lists: Lists,
    count: int,
) -> Iterator[Ledger]:
    """Give the ledger of each account in turn, with the first so many runs."""
    days = [
        _Day(run, files[manifest_path("config", run.seq)], depths[run.seq], lists)
        for run in base.config[:count]
    ]
    expected = _by_account(day.run.expected for day in days)
    collected = _by_account(day.run.collected for day in days)
    for account in sorted(base.accounts or (), key=canonical):
        movement, before = Movement(summed=False), None
        own: list[Run] = []
        for number, day in enumerate(days):
            run = replace(
                day.run,
                expected=expected[number].get(account, ()),
                collected=collected[number].get(account, ()),
                missing=tuple(
                    row for row in day.run.missing if row.account in {account, ALL}
                ),
            )
            own.append(day.follow(run, before, account, movement))
            before = own[-1].rules if day.depth.rules else None
        yield replace(
            base,
            runs={**base.runs, "config": tuple(own)},
            accounts=frozenset({account}),
            shares=None,
        )
    for day in days:
        day.finish()


class _Day:
    """One run, whose rules and transitions are taken account by account."""

    def __init__(self, run: Run, data: bytes, depth: Depth, lists: Lists) -> None:
        self.run, self.depth = run, depth
        self._place = manifest_path(run.stream, run.seq)
        self._gone: tuple[str, ...] = rules_gone(data, lists) if depth.rules else ()

        def column(name: str, *, read: bool) -> _Column:
            rows = rows_by_account(name, data, lists, depth) if read else iter(())
            return _Column(rows)

        self._rules = column("rules", read=depth.rules)
        self._moves = column("transitions", read=depth.lists)

    def follow(
        self,
        run: Run,
        before: Sequence[RuleInstance] | None,
        account: str,
        movement: Movement,
    ) -> Run:
        """Give the run with an account's rows, which follow on those `before`."""
        try:
            if self.depth.lists:
                moves = tuple(sorted(self._moves.take(account), key=in_order))
                run = replace(run, transitions=moves)
            if not self.depth.rules:
                return run
            changed = self._rules.take(account)
            rules = rules_after(
                changed,
                self._gone,
                () if run.anew or before is None else before,
                anew=run.anew,
                whole=False,
            )
        except MalformedManifestError as error:
            raise LedgerError(str(error), self._place) from error
        run = replace(run, rules=rules)
        inherits = before is not None
        depth = replace(self.depth, accounts=frozenset({account}))
        for problem in movement.take(run, depth, inherits=inherits):
            raise LedgerError(problem, self._place)
        return run

    def finish(self) -> None:
        """Make sure that every line was taken, and the last object is whole."""
        for column in (self._rules, self._moves):
            try:
                column.finish()
            except MalformedManifestError as error:
                raise LedgerError(str(error), self._place) from error


class _Column:
    """One list of one run, read as far as the account that is looked at."""

    def __init__(self, rows: Iterator[tuple[str, tuple[Any, ...]]]) -> None:
        self._rows = rows
        self._ahead: deque[tuple[str, tuple[Any, ...]]] = deque(maxlen=1)

    def take(self, account: str) -> tuple[Any, ...]:
        """Give the rows of an account; accounts are asked for in order."""
        self._look()
        if not self._ahead or self._ahead[0][0] != account:
            return ()
        return self._ahead.pop()[1]

    def finish(self) -> None:
        """Refuse what nobody asked for."""
        self._look()
        for account, _ in self._ahead:
            message = f"there are rows of {account}, which no run expected"
            raise MalformedManifestError(message)

    def _look(self) -> None:
        if not self._ahead:
            self._ahead.extend(islice(self._rows, 1))


def _by_account(
    lists: Iterable[Sequence[tuple[str, str]]],
) -> list[Mapping[str, tuple[tuple[str, str], ...]]]:
    """Sort the places of each run by their account; most runs have the same."""
    found: list[Mapping[str, tuple[tuple[str, str], ...]]] = []
    last: Sequence[tuple[str, str]] | None = None
    for places in lists:
        if last is None or places != last:
            own = defaultdict(list)
            for place in places:
                own[place[0]].append(place)
            found.append({account: tuple(rows) for account, rows in own.items()})
            last = places
        else:
            found.append(found[-1])
    return found
