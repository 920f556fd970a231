# SPDX-License-Identifier: Apache-2.0
"""`controlbook status`: where each requirement stands, and who is waited for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from controlbook.clock import now
from controlbook.errors import Exit
from controlbook.model import Status
from controlbook.outcome import Outcome
from controlbook.overdue import overdue
from controlbook.programme import Programme
from controlbook.timeline import iso
from controlbook.trail import Trail

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from controlbook.model import Judgement, RequirementStatus
    from controlbook.overdue import Overdue
    from controlbook.superseded import Superseded

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
    trails = {
        # History is walked only where there is something to date.
        name: at[name].trail(name) if _any_stale(table) else Trail()
        for name, table in shown.items()
    }
    clock = now(options.as_of)
    late = {
        # What is released waits for nothing more.
        name: ()
        if tags[name]
        else overdue(
            at[name].library, at[name].ledger, at[name].assessment(name), clock
        )
        for name in names
    }
    unfinished = any(
        row.status not in DONE for table in shown.values() for row in table.values()
    )
    return Outcome(
        text="\n\n".join(
            _text(
                at[name],
                name,
                shown[name],
                trails[name],
                tags[name],
                late[name],
                whole=options.verbose,
            )
            + (_differences(trails[name]) if options.verbose else "")
            for name in names
        ),
        data={
            "schema": "controlbook/status/1",
            "commit": programme.commit,
            "assessments": [
                {
                    **_data(at[name], name, shown[name], trails[name]),
                    "late": [
                        {
                            "stream": row.stream,
                            "until": "" if row.until is None else iso(row.until),
                            "days": row.days,
                        }
                        for row in late[name]
                    ],
                    "released": "".join(tags[name]),
                    "judged_at": at[name].commit,
                }
                for name in names
            ],
        },
        code=Exit.FOUND if unfinished else Exit.FINE,
    )


def _any_stale(table: Mapping[str, RequirementStatus]) -> bool:
    return any(
        judgement.stale
        for row in table.values()
        for judgement in (row.judgement, *row.attestations.values())
    )


def _differences(trail: Trail) -> str:
    """Show since when each sign-off is stale, with the difference, line by line."""
    lines: list[str] = []
    for stale in trail.stale:
        lines.append(f"\n{stale.path}: {stale.words}")
        lines.append(f"  signed {stale.signed or 'nothing'}")
        lines.append(f"  now    {stale.now}")
        for file in stale.files:
            lines.append(
                f"  {file.path}: {file.before[:12] or 'absent'} → "
                f"{file.after[:12] or 'absent'}"
            )
            lines.extend(f"    {line}" for line in file.difference)
            if file.left_out:
                lines.append(f"    … and {file.left_out} more lines")
    return "\n".join(["", *lines]) if lines else ""


def _since(trail: Trail, path: str, part: str) -> dict[str, object]:
    """Give the commit since which a part is stale, and the files behind it."""
    for stale in trail.stale_of(path):
        if stale.part == part:
            return {
                "since": stale.origin.commit if stale.origin else "",
                "files": [
                    {
                        "path": file.path,
                        "before": file.before,
                        "after": file.after,
                        "difference": list(file.difference),
                        "left_out": file.left_out,
                    }
                    for file in stale.files
                ],
            }
    return {}


def _text(
    programme: Programme,
    name: str,
    table: Mapping[str, RequirementStatus],
    trail: Trail,
    release: tuple[str, ...],
    late: tuple[Overdue, ...],
    *,
    whole: bool,
) -> str:
    assessment, found = programme.assessment(name), programme.findings(name)
    framework = programme.library.frameworks[assessment.framework]
    counts = Counter(row.status for row in table.values())
    reach = f"until {iso(found.collected.end)}" if found.collected else "nothing yet"
    deviations, gaps = len(found.deviations), len(found.gaps)
    period = assessment.period
    lines = [
        f"{name}  {framework.title}  {iso(period.start)} to {iso(period.end)}",
        *(
            f"released as {tag}, at {programme.commit[:10]}; judged there"
            for tag in release
        ),
        f"collected {reach} · {deviations} deviation{_plural(deviations)} · "
        f"{gaps} evidence gap{_plural(gaps)} · "
        + " · ".join(f"{n} {status}" for status, n in sorted(counts.items())),
        *_noticed(programme, name, late),
    ]
    width = max((len(number) for number in table), default=0)
    for number, row in table.items():
        state = row.status if row.interim is None else f"{row.status} ({row.interim})"
        why = _why(row, trail, programme.superseded(name), whole=whole)
        lines.append(f"  {number:<{width}}  {state:<24}  {why}".rstrip())
    return "\n".join(lines)


def _plural(number: int) -> str:
    return "" if number == 1 else "s"


def _noticed(
    programme: Programme, name: str, late: tuple[Overdue, ...]
) -> Iterator[str]:
    """Say what a reader must see before the requirements, whatever their status."""
    for item in programme.findings(name).unmapped:
        yield (
            f"unmapped evidence with deviations: {item.id} {item.rule} {item.resource}"
            f" in {item.account}, from {iso(item.start)}"
        )
    if prior := programme.prior(name):
        head = f"less than in {prior.assessment} (as of {prior.taken_at})"
        yield from (f"{head}: {row.words}" for row in prior.lost)
        if prior.unread:
            yield f"not compared with {prior.assessment}: {prior.unread}"
    yield from (f"late: {row.words}; {row.advice}" for row in late)
    for moved in programme.superseded(name):
        if moved.path.startswith("annotations/"):
            yield f"to confirm again: {moved.place}: {moved.words}; {moved.advice}"


def _why(
    row: RequirementStatus,
    trail: Trail,
    moved: tuple[Superseded, ...],
    *,
    whole: bool,
) -> str:
    parts = [
        f"{about}{stale.name} changed{_when(trail, judgement, stale.name)} "
        f"{stale.signed[:8]} → {stale.now[:8]}{_cause(judgement, stale.name, moved)}"
        for about, judgement in (
            ("", row.judgement),
            *((f"{name}: ", found) for name, found in row.attestations.items()),
        )
        for stale in judgement.stale
    ]
    if row.judgement.signoff:
        parts.extend(row.judgement.reasons)
    parts.extend(
        f"{name}: {reason}"
        for name, found in row.attestations.items()
        if found.signoff
        for reason in found.reasons
    )
    parts.extend(row.judgement.flags)
    parts.extend(f"{person}: {what}" for person, what in row.waiting)
    shown = parts if whole else parts[:3]
    more = [f"… and {len(parts) - len(shown)} more"] if len(parts) > len(shown) else []
    return "; ".join([*shown, *more])


def _when(trail: Trail, judgement: Judgement, part: str) -> str:
    path = judgement.signoff.path if judgement.signoff else ""
    commits = [
        row.origin.commit[:7]
        for row in trail.stale_of(path)
        if row.part == part and row.origin
    ]
    return f" in {commits[0]}" if commits else ""


def _cause(judgement: Judgement, part: str, moved: tuple[Superseded, ...]) -> str:
    """Name what moved or took away what was acknowledged, where findings changed."""
    file = judgement.signoff
    if file is None or part != "findings":
        return ""
    causes = dict.fromkeys(
        f"{row.id} {'moved by' if row.now else 'gone with'} {row.manifest}"
        for row in moved
        if row.by and row.id in file.acknowledged
    )
    return f" ({', '.join(causes)})" if causes else ""


def _data(
    programme: Programme,
    name: str,
    table: Mapping[str, RequirementStatus],
    trail: Trail,
) -> dict[str, object]:
    found, prior = programme.findings(name), programme.prior(name)
    return {
        "assessment": name,
        "collected_until": iso(found.collected.end) if found.collected else "",
        "closed": found.closed,
        "deviations": len(found.deviations),
        "gaps": len(found.gaps),
        "unmapped": [item.id for item in found.unmapped],
        "prior": {
            "assessment": prior.assessment if prior else "",
            "taken_at": prior.taken_at if prior else "",
            "unread": prior.unread if prior else "",
            "differences": [
                {
                    "requirement": row.requirement,
                    "what": row.what,
                    "then": row.then,
                    "now": row.now,
                    "lost": row.lost,
                    "remark": row.remark,
                }
                for row in (prior.differences if prior else ())
            ],
        },
        "superseded": [
            {
                "path": row.path,
                "line": row.line,
                "id": row.id,
                "by": row.manifest,
                "now": [item.id for item in row.now],
                "says": row.words,
                "advice": row.advice,
            }
            for row in programme.superseded(name)
        ],
        "requirements": [
            {
                "requirement": number,
                "status": row.status,
                "interim": row.interim or "",
                "conclusion": row.conclusion,
                "reasons": list(row.judgement.reasons),
                "attestations": {
                    name: list(found.reasons)
                    for name, found in row.attestations.items()
                },
                "proof": row.judgement.level,
                "flags": list(row.judgement.flags),
                "stale": [
                    {
                        "file": judgement.signoff.path,
                        "name": s.name,
                        "signed": s.signed,
                        "now": s.now,
                        **_since(trail, judgement.signoff.path, s.name),
                    }
                    for judgement in (row.judgement, *row.attestations.values())
                    if judgement.signoff
                    for s in judgement.stale
                ],
                "unannotated": list(row.unannotated),
                "waiting": [
                    {"person": person, "for": what} for person, what in row.waiting
                ],
            }
            for number, row in table.items()
        ],
    }
