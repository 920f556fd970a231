# SPDX-License-Identifier: Apache-2.0
"""Everything that a judgement of attestations and sign-offs looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Arrival, Assessment, Findings, Grant, Ledger, Library, Proof
    from .timeline import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything that a judgement looks at."""

    library: Library
    findings: Findings
    ledger: Ledger
    assessment: Assessment
    arrivals: Mapping[str, Arrival]
    """path of a sign-off file → how its bytes came to main."""
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    """path of a sign-off file → signature and trusted time, as far as were found."""
    grants: tuple[Grant, ...] = ()
    """How each delegation came to main."""

    def last_evidence(self) -> Instant | None:
        """Give when the last run over the period finished."""
        period = self.assessment.period
        return max(
            (
                run.finished
                for run in self.ledger.config
                if run.window.clip(period) is not None
            ),
            default=None,
        )
