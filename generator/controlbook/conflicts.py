# SPDX-License-Identifier: Apache-2.0
"""Where Security Hub says one thing and AWS Config recorded another.

Rules enforced here:
- a verdict is held against what Config recorded of the control's own rule at the same
  instant, in the same account and Region; both stand in the report, and none is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .hub_controls import rule_of
from .model import State
from .observed import FAILED
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import PlaceObserved, SecurityHubControl
    from .sight import Sight


def conflicts(
    evidence: SecurityHubControl, places: Iterable[PlaceObserved], sight: Sight
) -> tuple[str, ...]:
    """Hold each verdict against what Config recorded of the control's rule then."""
    identifier = rule_of(evidence.control)
    found: list[str] = []
    for place in places:
        keys = [
            key
            for key, row in sight.rows.items()
            if (row.identifier, row.account, row.region)
            == (identifier, place.account, place.region)
        ]
        for seen in place.answers:
            states = {
                piece.state
                for key in keys
                for resource in sight.by_instance.get(key, ())
                for piece in sight.pieces[key, resource]
                if piece.start <= seen.at and (piece.end is None or seen.at < piece.end)
            }
            if not states or seen.at >= sight.horizon.end:
                continue
            bad = State.NON_COMPLIANT in states
            if (seen.result == FAILED) != bad:
                config = "NON_COMPLIANT" if bad else "no deviation"
                found.append(
                    f"{place.account} {place.region} at {iso(seen.at)}: Security Hub"
                    f" says {seen.result}, AWS Config recorded {config}"
                )
    return tuple(found)
