# SPDX-License-Identifier: Apache-2.0
"""The ids of deviations and evidence gaps, which people name in files and tickets.

Rules enforced here (design section 6):
- an id depends on what it names and on its start, never on its end or who looks at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .digest import digest_of
from .model import Gap
from .timeline import iso

if TYPE_CHECKING:
    from .timeline import Instant, Interval


def deviation_id(
    identifier: str,
    parameters: tuple[tuple[str, str], ...],
    account: str,
    region: str,
    resource: str,
    start: Instant,
) -> str:
    """Name a deviation by what it is and its true start (design section 6)."""
    pairs = [list(pair) for pair in parameters]
    parts = [identifier, pairs, account, region, resource, iso(start)]
    return f"dev-{digest_of(parts)[:16]}"


def gap_id(reason: str, account: str, region: str, rule: str, start: Instant) -> str:
    """Name an evidence gap by its cause and its start (design section 6)."""
    return f"gap-{digest_of([reason, account, region, rule, iso(start)])[:16]}"


def gap_of(
    reason: str,
    account: str,
    region: str,
    rule: str,
    piece: Interval,
    *,
    identifier: str = "",
) -> Gap:
    """Give the gap of a piece of time; a rule's identifier names it, where given."""
    return Gap(
        id=gap_id(reason, account, region, identifier or rule, piece.start),
        reason=reason,
        account=account,
        region=region,
        rule=rule,
        start=piece.start,
        end=piece.end,
        within=piece,
    )
