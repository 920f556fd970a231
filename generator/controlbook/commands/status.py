# SPDX-License-Identifier: Apache-2.0
"""`controlbook status`: where each requirement stands, and who is waited for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from controlbook.errors import Exit
from controlbook.model import Status
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.timeline import iso

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from controlbook.model import RequirementStatus

DONE = {Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS}


def status(options: argparse.Namespace) -> Outcome:
    """Show one assessment, or all; exit 1 while anything is not signed."""
    programme = Programme.open(options.root)
    names = (
        [programme.assessment(options.assessment).id]
        if options.assessment
        else sorted(programme.library.assessments)
    )
    # What is released is judged at its tag: later edits on main do not touch it.
    at = {name: programme.released(name) or programme for name in names}
    shown = {name: at[name].statuses(name) for name in names}
    tags = {name: programme.releases(name)[-1:] for name in names}
    unfinished = any(
        row.status not in DONE for table in shown.values() for row in table.values()
    )
    return Outcome(
        text="\n\n".join(
            _text(at[name], name, shown[name], tags[name]) for name in names
        ),
        data={
            "schema": "controlbook/status/1",
            "commit": programme.commit,
            "assessments": [
                {
                    **_data(at[name], name, shown[name]),
                    "released": "".join(tags[name]),
                    "judged_at": at[name].commit,
                }
                for name in names
            ],
        },
        code=Exit.FOUND if unfinished else Exit.FINE,
    )


def _text(
    programme: Programme,
    name: str,
    table: Mapping[str, RequirementStatus],
    release: tuple[str, ...],
) -> str:
    assessment, found = programme.assessment(name), programme.findings(name)
    framework = programme.library.frameworks[assessment.framework]
    counts = Counter(row.status for row in table.values())
    collected = iso(found.collected.end) if found.collected else "nothing yet"
    period = assessment.period
    lines = [
        f"{name}  {framework.title}  {iso(period.start)} to {iso(period.end)}",
        *(
            f"released as {tag}, at {programme.commit[:10]}; judged there"
            for tag in release
        ),
        f"collected until {collected} · {len(found.deviations)} deviations · "
        f"{len(found.gaps)} evidence gaps · "
        + " · ".join(f"{n} {status}" for status, n in sorted(counts.items())),
    ]
    width = max((len(number) for number in table), default=0)
    for number, row in table.items():
        state = row.status if row.interim is None else f"{row.status} ({row.interim})"
        lines.append(f"  {number:<{width}}  {state:<24}  {_why(row)}".rstrip())
    return "\n".join(lines)


def _why(row: RequirementStatus) -> str:
    parts = [
        f"{stale.name} changed {stale.signed[:8]} → {stale.now[:8]}"
        for stale in row.judgement.stale
    ]
    parts.extend(
        f"{control}: {stale.name} changed {stale.signed[:8]} → {stale.now[:8]}"
        for control, judgement in row.attestations.items()
        for stale in judgement.stale
    )
    if row.judgement.signoff:
        parts.extend(row.judgement.reasons)
    parts.extend(row.judgement.flags)
    parts.extend(f"{person}: {what}" for person, what in row.waiting)
    shown = parts[:3]
    more = [f"… and {len(parts) - len(shown)} more"] if len(parts) > len(shown) else []
    return "; ".join([*shown, *more])


def _data(
    programme: Programme, name: str, table: Mapping[str, RequirementStatus]
) -> dict[str, object]:
    found = programme.findings(name)
    return {
        "assessment": name,
        "collected_until": iso(found.collected.end) if found.collected else "",
        "closed": found.closed,
        "deviations": len(found.deviations),
        "gaps": len(found.gaps),
        "requirements": [
            {
                "requirement": number,
                "status": row.status,
                "interim": row.interim or "",
                "conclusion": row.conclusion,
                "reasons": list(row.judgement.reasons),
                "proof": row.judgement.level,
                "flags": list(row.judgement.flags),
                "stale": [
                    {"name": s.name, "signed": s.signed, "now": s.now}
                    for s in row.judgement.stale
                ],
                "unannotated": list(row.unannotated),
                "waiting": [
                    {"person": person, "for": what} for person, what in row.waiting
                ],
            }
            for number, row in table.items()
        ],
    }
