# SPDX-License-Identifier: Apache-2.0
"""Who may attest or sign: the named owner or assessor, or their delegate.

Rules enforced here (design section 6, trust.md 2.3):
- a delegate acts within the dates, by a right that is not passed on, and that the giver
  or a compliance officer approved;
- an assessor wrote neither an annotation that is judged nor the control's text in the
  period, by the captured pull requests that brought them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .reviewed import approves, last_review, pull_of
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .model import Delegation, Requirement, SignOff
    from .record import Record


def wrote(
    record: Record, file: SignOff, item: Requirement, ids: Collection[str]
) -> Iterator[str]:
    """Say what an assessor judges and has written: an annotation, a control's text.

    Whoever is named as its author wrote it; so did who opened or pushed the captured
    pull request that brought it, whatever name stands in it (T39).
    """
    notes = [n for n in record.library.annotations if set(ids) & set(n.covers)]
    if file.person in {note.author for note in notes}:
        yield f"{file.person} wrote an annotation that the sign-off judges"
    person = record.library.people.get(file.person)
    own = pull_of(record, file)
    if person is None or own is None:
        return
    paths = {note.path for note in notes}
    texts = {record.library.controls[control].path for control in item.controls}
    for pull in record.ledger.pulls:
        if pull.merged_at > own.merged_at or not (
            {pull.author_id, *pull.pushers} & set(person.github_ids)
        ):
            continue
        judged = paths & set(pull.paths)
        if pull.merged_at >= record.assessment.period.start:
            judged |= texts & set(pull.paths)
        if judged:
            yield (
                f"{file.person} opened or pushed pull request #{pull.number}, which"
                f" changed {min(judged)}, and the sign-off judges it"
            )


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
