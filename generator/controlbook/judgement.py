# SPDX-License-Identifier: Apache-2.0
"""Whether one attestation or sign-off counts, and why not.

Rules enforced here (design section 6, trust.md 2.1); it counts only if
- its subject is current, and it is later than the period's end and the last evidence;
- every deviation and gap is annotated and acknowledged, and the statement is somebody's
  own words, not one text for many;
- its person may act, and its proof is the one that the policy asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .model import Judgement, Stale
from .narratives import statement_faults, statement_flags
from .reviewed import last_review, proof_of
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Deviation, Gap, Pull, SignOff
    from .record import Record
    from .subjects import Subject


def judge(
    record: Record,
    file: SignOff,
    current: Subject,
    *,
    items: tuple[Deviation | Gap, ...],
    unannotated: frozenset[str],
    duties: list[str],
    missing: Iterable[str] = (),
) -> Judgement:
    """Say whether a file counts, and why not; `current` is its subject as it is now."""
    signed = dict(file.subject)
    stale = tuple(
        Stale(name=name, signed=signed.get(name, ""), now=digest)
        for name, digest in current
        if signed.get(name) != digest
    )
    pull, level, unproven = proof_of(record, file)
    reasons = [*duties, *unproven]
    if not stale:
        reasons.extend(_timing(record, file, pull))
        reasons.extend(_acknowledged(file, items, unannotated))
        reasons.extend(missing)
    if file.decision == "withdraw":
        reasons.append(f"{file.person} withdrew it")
    else:
        reasons.extend(statement_faults(record.library, file))
    return Judgement(
        signoff=file,
        counts=not reasons and not stale,
        reasons=tuple(reasons),
        stale=stale,
        pull=pull,
        level=level,
        flags=statement_flags(record.library, file),
    )


def _timing(record: Record, file: SignOff, pull: Pull | None) -> list[str]:
    review = last_review(record, file, pull) if pull else None
    times = [file.claimed_at, *([review.submitted] if review else [])]
    earliest = min(times)
    reasons = []
    # While evidence is still collected every file is interim anyway.
    if record.findings.closed and earliest < record.assessment.period.end:
        reasons.append(
            f"{iso(earliest)} is before the period's end "
            f"({iso(record.assessment.period.end)})"
        )
    last = record.last_evidence()
    if record.findings.closed and last is not None and earliest < last:
        reasons.append(f"{iso(earliest)} is before its last evidence ({iso(last)})")
    return reasons


def _acknowledged(
    file: SignOff, items: tuple[Deviation | Gap, ...], unannotated: frozenset[str]
) -> list[str]:
    ids = {item.id for item in items}
    return [
        *(f"{name} is not annotated" for name in sorted(ids & unannotated)),
        *(
            f"{name} is not acknowledged"
            for name in sorted(ids - set(file.acknowledged))
        ),
        *(
            f"{name} is acknowledged, but is none of its deviations or gaps"
            for name in sorted(set(file.acknowledged) - ids)
        ),
    ]
