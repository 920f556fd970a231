# SPDX-License-Identifier: Apache-2.0
"""Tables of who decided what: sign-offs, status history, changes of rules and people.

Rules enforced here:
- the order is that of Git's first parents, never that of dates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.render.facts import judgement_document
from controlbook.timeline import iso

from .table import joined, made, pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controlbook.digest import Json
    from controlbook.model import Judgement
    from controlbook.render.report import Report
    from controlbook.trail import Origin

    from .table import Cell, Row, Table


def signoffs(report: Report) -> Table:
    """List every attestation and sign-off, counting or not."""

    def rows() -> Iterator[Row]:
        seen: set[str] = set()
        for number, status in report.statuses.items():
            for control, judgement in sorted(status.attestations.items()):
                if control not in seen:
                    seen.add(control)
                    yield _signoff(report, "owner", control, judgement)
            yield _signoff(report, "assessor", number, status.judgement)

    return made(
        "signoffs",
        "role about person decision conclusion counts reasons stale pull_request"
        " head merge reviewer_id reviewed_at claimed_at acknowledged statement path"
        " sha256 subject",
        rows(),
    )


def _signoff(
    report: Report,
    role: str,
    about: str,
    judgement: Judgement,
) -> Row:
    file = judgement.signoff
    document = judgement_document(report.library, judgement)
    pull: Mapping[str, Json] = document.get("pull", {})  # type: ignore[assignment] # its own document
    reasons = (
        joined(judgement.reasons),
        joined(part.name for part in judgement.stale),
    )
    if file is None:
        return (role, about, "", "", "", "no", *reasons, *[""] * 11)
    return (
        role,
        about,
        file.person,
        file.decision,
        file.conclusion,
        "yes" if judgement.counts else "no",
        *reasons,
        *(
            str(pull.get(name, ""))
            for name in ("url", "head", "merge", "reviewer-id", "reviewed-at")
        ),
        iso(file.claimed_at),
        joined(file.acknowledged),
        file.statement,
        file.path,
        file.sha256,
        pairs_of(file.subject),
    )


def status_history(report: Report) -> Table:
    """List every change of a status, by the commit that made it."""

    def rows() -> Iterator[Row]:
        for row in report.trail.changes:
            pull = row.origin.pull
            yield (
                row.requirement,
                row.before,
                row.after,
                row.conclusion,
                row.why,
                joined(row.causes),
                *_origin(row.origin),
                iso(pull.merged_at) if pull else "",
            )

    return made(
        "status-history",
        "requirement before after conclusion why causes commit committed_claimed"
        " pull_request opened_by approved_by merged",
        rows(),
    )


def _origin(origin: Origin) -> tuple[Cell, ...]:
    return (
        origin.commit,
        iso(origin.at),
        origin.pull.number if origin.pull else "",
        origin.opened_by,
        joined(origin.approved_by),
    )


def governance_changes(report: Report) -> Table:
    """List every change of who decides and by which rules."""

    def rows() -> Iterator[Row]:
        for row in report.trail.governance:
            yield (
                row.path,
                row.file.before,
                row.file.after,
                joined(
                    f"{path}: {_owners(old)} -> {_owners(new)}"
                    for path, old, new in row.owners
                ),
                joined(row.signs),
                *_origin(row.origin),
            )

    def _owners(names: tuple[str, ...]) -> str:
        return " ".join(names) or "nobody"

    return made(
        "governance-changes",
        "path sha256_before sha256_after owners_changed signed_in_the_same_commit"
        " commit committed_claimed pull_request opened_by approved_by",
        rows(),
    )


def people_changes(report: Report) -> Table:
    """List every change of people and keys."""
    rows = (
        (
            change.person,
            change.what,
            change.commit,
            change.pull or "",
            joined(change.approved_by),
        )
        for change in report.people_changes
    )
    return made("people-changes", "person change commit pull approved_by", rows)


def changes(report: Report) -> Table:
    """Give what an addendum says otherwise than the release before it."""
    rows = (
        (report.supersedes, each.kind, each.about, each.field, each.before, each.after)
        for each in report.changes
    )
    return made("changes", "since kind about field before after", rows)
