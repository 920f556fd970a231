# SPDX-License-Identifier: Apache-2.0
"""Who may attest or sign: the named owner or assessor, or their delegate.

Rules enforced here (design section 6, trust.md 2.3):
- a delegate acts within the dates, by a right that is not passed on, and that the giver
  or a compliance officer approved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .reviewed import approves, last_review, pull_of
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Collection

    from .model import Delegation, SignOff
    from .record import Record


def entitled(
    record: Record,
    file: SignOff,
    named: Collection[str],
    otherwise: str,
    numbers: set[str],
) -> list[str]:
    """Say why a person may not act as one of the named ones; empty where they may."""
    if file.person in named:
        return []
    own = [
        d
        for d in record.assessment.delegations
        if d.receiver == file.person
        and d.role == file.role
        and (not d.requirements or numbers & set(d.requirements))
    ]
    reasons = [reason for d in own if (reason := _delegation(record, d, file, named))]
    if own and len(reasons) < len(own):
        return []
    return [f"{otherwise}{''.join(f'; {reason}' for reason in reasons)}"]


def _delegation(
    record: Record, given: Delegation, file: SignOff, named: Collection[str]
) -> str:
    """Say why a delegation gives no right; empty where it does (T64)."""
    about = f"the delegation by {given.giver}"
    if given.giver not in named:
        chained = any(
            d.receiver == given.giver and d.role == given.role
            for d in record.assessment.delegations
        )
        return (
            f"{about} passes on what was delegated to them"
            if chained
            else f"{about} gives away what is not theirs"
        )
    pull = pull_of(record, file)
    review = last_review(record, file, pull) if pull else None
    times = [file.claimed_at, *([review.submitted] if review else [])]
    outside = [at for at in times if not given.allows(at)]
    if outside:
        end = given.interval.end
        if given.revoked is not None and given.revoked <= max(times):
            end = min(end, given.revoked)
        return (
            f"{about} holds from {iso(given.interval.start)} to {iso(end)}, not at"
            f" {iso(outside[0])}"
        )
    return _unapproved(record, given, about)


def _unapproved(record: Record, given: Delegation, about: str) -> str:
    """Say that neither the giver nor a compliance officer approved a delegation."""
    merge = next(
        (grant.merge for grant in record.grants if grant.delegation == given), ""
    )
    pull = next((p for p in record.ledger.pulls if merge and p.merge == merge), None)
    people = record.library.people.values()
    for person in people if pull else ():
        if person.id != given.giver and "compliance-officer" not in person.roles:
            continue
        review = pull.deciding_review(person.github_ids) if pull else None
        if pull and review and approves(review, pull):
            return ""
    return f"{about} was approved neither by them nor by a compliance officer"
