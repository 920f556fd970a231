# SPDX-License-Identifier: Apache-2.0
"""Audit Manager's verdicts on Config rules, held against our own record.

Rules enforced here:
- our record is asked for the very instant that Audit Manager gives its evidence, under
  the rule that it names, in that account;
- what our record says is derived anew each time, so that a later correction shows;
- a contradiction in period and scope is never left out: where no control names its
  rule, it stands among the assessment's own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .history import pieces_by_resource
from .model import ConfigRule, Disagreement
from .timeline import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .history import Pieces
    from .model import Assessment, Control, Ledger, RuleInstance, Standing
    from .timeline import Instant

JUDGED = frozenset({"COMPLIANT", "NON_COMPLIANT"})
"""The verdicts that can be compared."""
PREFIX = "audit-manager:"
"""Evidence keys of the stream begin so; the assessment's id there follows."""

_Place = tuple[str, str, str]
"""(rule identifier, account, name of a resource)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OurRecord:
    """What our ledger says of resources under Config rules, to compare with."""

    pieces: Mapping[_Place, tuple[Pieces, ...]]
    reach: Interval | None
    """The time that it tells of; None: it tells nothing."""

    @staticmethod
    def of(ledger: Ledger, opening: Iterable[Standing]) -> OurRecord:
        """Fold the ledger; `opening` is the state after its first run."""
        if not ledger.config:
            return OurRecord(pieces={}, reach=None)
        first = ledger.config[0].window.end
        end = max(run.window.end for run in ledger.config)
        if end == first:
            return OurRecord(pieces={}, reach=None)  # the opening state alone
        moves = (move for run in ledger.config for move in run.transitions)
        pieces = pieces_by_resource(opening, (m for m in moves if m.at >= first))
        rules = {row.key: row for run in ledger.config for row in run.rules}
        return OurRecord.made(pieces, rules, Interval(first, end))

    @staticmethod
    def made(
        pieces: Mapping[tuple[str, str], Pieces],
        rules: Mapping[str, RuleInstance],
        reach: Interval,
    ) -> OurRecord:
        """Lay out what resources did, by the names that Audit Manager knows."""
        found: dict[_Place, list[Pieces]] = defaultdict(list)
        for (key, resource), own in pieces.items():
            if key in rules:
                row, name = rules[key], resource.rpartition("/")[2]
                found[row.identifier, row.account, name].append(own)
        named = {place: tuple(own) for place, own in found.items()}
        return OurRecord(pieces=named, reach=reach)

    def verdicts(
        self, identifier: str, account: str, arn: str, at: Instant
    ) -> tuple[str, ...]:
        """Give what the record says of a resource under a rule at an instant."""
        name = arn.rpartition(":")[2].rpartition("/")[2]
        found = {
            piece.state.value
            for own in self.pieces.get((identifier, account, name), ())
            for piece in own
            if piece.start <= at and (piece.end is None or at < piece.end)
        }
        return tuple(sorted(found & JUDGED))


def disagreements(
    ledger: Ledger, assessment: Assessment, ours: Callable[[], OurRecord]
) -> tuple[Disagreement, ...]:
    """Give every contradiction in period and scope, with what our record says now.

    A piece of evidence that was read again counts once, as it was read last.
    """
    accounts = {number for _, number in assessment.accounts}
    last = {
        (row.evidence, row.id, row.resource): row
        for run in ledger.runs.get("audit-manager", ())
        for row in run.contradictions
        if row.account in accounts and assessment.period.contains(row.at)
    }
    if not last:
        return ()
    record = ours()
    return tuple(
        Disagreement(
            found=row,
            now=record.verdicts(row.identifier, row.account, row.resource, row.at),
        )
        for row in sorted(last.values(), key=lambda row: (row.at, row))
    )


def concerning(
    control: Control, found: Iterable[Disagreement]
) -> tuple[Disagreement, ...]:
    """Choose those on Config rules that a control names."""
    named = {
        evidence.identifier
        for evidence in control.evidence
        if isinstance(evidence, ConfigRule)
    }
    return tuple(row for row in found if row.found.identifier in named)
