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

from array import array
from collections import defaultdict
from typing import TYPE_CHECKING

from .history import pieces_by_resource
from .model import ConfigRule, Disagreement, State
from .opened import Opened
from .timeline import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .history import Pieces
    from .model import Assessment, Control, Ledger, RuleInstance
    from .opened import Opening
    from .timeline import Instant

_SAID = (State.COMPLIANT.value, State.NON_COMPLIANT.value)
JUDGED = frozenset(_SAID)
"""The verdicts that can be compared."""
_OPEN = 2**63 - 1
"""The end of what still held when it was collected last."""
PREFIX = "audit-manager:"
"""Evidence keys of the stream begin so; the assessment's id there follows."""

_Place = tuple[str, str, str]
"""(rule identifier, account, name of a resource)"""


class OurRecord:
    """What our ledger says of resources under Config rules, to compare with."""

    def __init__(self, reach: Interval | None) -> None:
        """Begin with nothing; `reach` is the time that is told of, None: none."""
        self.reach = reach
        self.told: dict[_Place, array[int]] = defaultdict(lambda: array("q"))
        """Judged pieces as three numbers each: millions of them are held."""

    @staticmethod
    def of(ledger: Ledger, opening: Opening) -> OurRecord:
        """Fold the ledger, part by part; `opening` is the state after its first run."""
        if not ledger.config:
            return OurRecord(None)
        first = ledger.config[0].window.end
        end = max(run.window.end for run in ledger.config)
        if end == first:
            return OurRecord(None)  # the opening state alone
        record = OurRecord(Interval(first, end))
        for part in ledger.parts():
            states = (
                opening.of(part.accounts) if isinstance(opening, Opened) else opening
            )
            moves = (move for run in part.config for move in run.transitions)
            pieces = pieces_by_resource(states, (m for m in moves if m.at >= first))
            record.add(
                pieces, {row.key: row for run in part.config for row in run.rules}
            )
        return record

    def add(
        self,
        pieces: Mapping[tuple[str, str], Pieces],
        rules: Mapping[str, RuleInstance],
    ) -> None:
        """Lay out what resources did, by the names that Audit Manager knows."""
        for (key, resource), own in pieces.items():
            row = rules.get(key)
            for piece in own if row else ():
                if row and piece.state in JUDGED:
                    name = resource.rpartition("/")[2]
                    end = _OPEN if piece.end is None else piece.end
                    bad = piece.state is State.NON_COMPLIANT
                    told = self.told[row.identifier, row.account, name]
                    told.extend((piece.start, end, bad))

    def verdicts(
        self, identifier: str, account: str, arn: str, at: Instant
    ) -> tuple[str, ...]:
        """Give what the record says of a resource under a rule at an instant."""
        name = arn.rpartition(":")[2].rpartition("/")[2]
        told = self.told.get((identifier, account, name), ())
        pieces = zip(told[::3], told[1::3], told[2::3], strict=True)
        return tuple(
            sorted({_SAID[bad] for start, end, bad in pieces if start <= at < end})
        )


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
