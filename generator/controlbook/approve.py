# SPDX-License-Identifier: Apache-2.0
"""Which attestations and sign-offs count, and why not; the status that follows.

Rules enforced here (design section 6, trust.md 2.1 to 2.3); a sign-off counts only if
1. its subject is current, and it is later than the period's end and the last evidence;
2. every deviation and gap is annotated, with content of its own, and acknowledged;
3. the person is the named owner or assessor (or delegate within dates), and an assessor
   owns none of the mapped controls;
4. it reached main through a pull request that somebody else opened, approved by that
   person on its final head, as the `reviews` stream captured it.
Status is derived from these, first match wins; it is never stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .annotations import substance
from .codeowners import owners
from .model import (
    Arrival,
    Assessment,
    Findings,
    Judgement,
    Ledger,
    Library,
    Pull,
    RequirementStatus,
    Review,
    SignOff,
    Stale,
    Status,
)
from .subjects import attestations_of, control_subject, requirement_subject
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .model import Deviation, Gap, Requirement
    from .subjects import Subject
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


def approve(
    record: Record, numbers: Collection[str] | None = None
) -> Mapping[str, RequirementStatus]:
    """Derive the status of every requirement in scope (or of `numbers`), by number."""
    wanted = [
        number
        for number in record.assessment.requirements
        if numbers is None or number in numbers
    ]
    framework = record.library.frameworks[record.assessment.framework]
    unannotated = unannotated_ids(record.library, record.findings)
    attested = {
        control: _attestation(record, control, unannotated)
        for control in dict.fromkeys(
            name
            for number in wanted
            for name in framework.requirements[number].controls
        )
    }
    return {
        number: _requirement(
            record, framework.requirements[number], attested, unannotated
        )
        for number in wanted
    }


def unannotated_ids(library: Library, findings: Findings) -> frozenset[str]:
    """Name the deviations and gaps that no auditor-visible annotation explains.

    An annotation explains only with content of its own, and only if the times that it
    states are the facts' (T46, T47).
    """
    items: tuple[Deviation | Gap, ...] = (*findings.deviations, *findings.gaps)
    explained: set[str] = set()
    for note in library.annotations:
        others = [other for other in library.annotations if other is not note]
        if note.audience == "internal" or substance(note, others):
            continue
        covered = [item for item in items if item.id in note.covers]
        explained |= {
            item.id
            for item in covered
            if len(note.covers) > 1
            or note.start is None
            or (note.start, note.end) == (item.start, item.end)
        }
    return frozenset(item.id for item in items) - explained


def _attestation(
    record: Record, control: str, unannotated: frozenset[str]
) -> Judgement:
    found = attestations_of(record.library, record.assessment, [control])
    file = found.get(control)
    if file is None:
        return _nobody("nobody has attested")
    entry = record.library.controls[control]
    own = record.findings.controls[control]
    allowed = set(record.library.members(entry.owner)) | _delegates(
        record, entry.owner, "owner", control, file
    )
    return _judge(
        record,
        file,
        control_subject(
            record.library,
            record.findings,
            record.ledger,
            record.assessment,
            control,
        ),
        items=(*own.deviations, *own.gaps),
        unannotated=unannotated,
        duties=[]
        if file.person in allowed
        else [f"{file.person} is not the owner of {control} ({entry.owner})"],
    )


def _delegates(
    record: Record, giver: str, role: str, about: str, file: SignOff
) -> set[str]:
    return {
        d.receiver
        for d in record.assessment.delegations
        if d.giver == giver
        and d.role == role
        and (not d.requirements or about in d.requirements)
        and d.interval.contains(file.claimed_at)
    }


def _nobody(reason: str) -> Judgement:
    return Judgement(signoff=None, counts=False, reasons=(reason,), stale=())


def _requirement(
    record: Record,
    item: Requirement,
    attested: Mapping[str, Judgement],
    unannotated: frozenset[str],
) -> RequirementStatus:
    own = record.findings.requirements[item.number]
    attestations = {control: attested[control] for control in item.controls}
    file = next(
        (
            file
            for file in record.library.signoffs
            if file.role == "assessor"
            and file.assessment == record.assessment.id
            and file.about == item.number
        ),
        None,
    )
    judgement = (
        _signoff(record, item, file, attestations, unannotated)
        if file
        else _nobody("nobody has signed")
    )
    status = _status(judgement, attestations, deviates=bool(own.deviations))
    open_ids = tuple(name for name in own.ids if name in unannotated)
    closed = record.findings.closed
    return RequirementStatus(
        requirement=item.number,
        status=status if closed else Status.COLLECTING,
        interim=None if closed else status,
        conclusion=judgement.signoff.conclusion
        if closed and judgement.counts and judgement.signoff
        else "",
        judgement=judgement,
        attestations=attestations,
        unannotated=open_ids,
        waiting=_waiting(record, item, judgement, attestations, open_ids),
    )


def _signoff(
    record: Record,
    item: Requirement,
    file: SignOff,
    attestations: Mapping[str, Judgement],
    unannotated: frozenset[str],
) -> Judgement:
    own = record.findings.requirements[item.number]
    named = record.assessment.assessor_of(item.number)
    allowed = {named} | _delegates(record, named, "assessor", item.number, file)
    duties = []
    if file.person not in allowed:
        duties.append(f"{file.person} is not the assessor of {item.number} ({named})")
    if item.rests_on_proposals:
        duties.append(f"{item.number} rests on proposed mappings that nobody reviewed")
    duties.extend(
        f"{file.person} assesses {item.number} and owns {control}"
        for control in item.controls
        if file.person in record.library.members(record.library.controls[control].owner)
    )
    notes = {
        note.author
        for note in record.library.annotations
        if set(own.ids) & set(note.covers)
    }
    if file.person in notes:
        duties.append(f"{file.person} wrote an annotation that the sign-off judges")
    return _judge(
        record,
        file,
        requirement_subject(
            record.library,
            record.findings,
            record.ledger,
            record.assessment,
            item.number,
        ),
        items=(*own.deviations, *own.gaps),
        unannotated=unannotated,
        duties=duties,
        missing=[
            f"the attestation of {control} does not count"
            for control, judgement in attestations.items()
            if not judgement.counts
        ],
    )


def _judge(
    record: Record,
    file: SignOff,
    current: Subject,
    *,
    items: tuple[Deviation | Gap, ...],
    unannotated: frozenset[str],
    duties: list[str],
    missing: Iterable[str] = (),
) -> Judgement:
    signed = dict(file.subject)
    stale = tuple(
        Stale(name=name, signed=signed.get(name, ""), now=digest)
        for name, digest in current
        if signed.get(name) != digest
    )
    pull, unproven = _proof(record, file)
    reasons = [*duties, *unproven]
    if not stale:
        reasons.extend(_timing(record, file, pull))
        reasons.extend(_acknowledged(file, items, unannotated))
        reasons.extend(missing)
    if file.decision == "withdraw":
        reasons.append(f"{file.person} withdrew it")
    return Judgement(
        signoff=file,
        counts=not reasons and not stale,
        reasons=tuple(reasons),
        stale=stale,
        pull=pull,
    )


def _timing(record: Record, file: SignOff, pull: Pull | None) -> list[str]:
    review = _last_review(record, file, pull) if pull else None
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


def _proof(record: Record, file: SignOff) -> tuple[Pull | None, list[str]]:
    """Find the captured pull request, and say what it fails to prove (level L1)."""
    arrival = record.arrivals.get(file.path)
    if arrival is None:
        return None, ["it is not committed to main"]
    pull = next(
        (
            pull
            for pull in record.ledger.pulls
            if pull.merge == arrival.merge and file.path in pull.paths
        ),
        None,
    )
    if pull is None:
        return None, [
            f"no captured pull request brought it to main (commit {arrival.merge[:10]})"
        ]
    return pull, [
        *_merge_faults(arrival, pull),
        *_people_faults(record, file, pull),
        *_codeowner_faults(record, file, arrival),
        *_policy_faults(record),
    ]


def _merge_faults(arrival: Arrival, pull: Pull) -> list[str]:
    faults = []
    if len(arrival.parents) != 2 or arrival.parents[1] != pull.head:  # noqa: PLR2004 - a merge has two parents
        faults.append("its pull request was not merged by a merge commit of its head")
    if not arrival.reviewed_same:
        faults.append("its bytes on main are not the bytes that were reviewed")
    if pull.rule_suite == "bypass":
        faults.append("its merge bypassed the branch rules")
    return faults


def _people_faults(record: Record, file: SignOff, pull: Pull) -> list[str]:
    person = record.library.people.get(file.person)
    if person is None:
        return [f"{file.person} is not in people.yml"]
    faults = []
    if file.github_id not in person.github_ids:
        faults.append(f"GitHub id {file.github_id} is not {file.person}'s")
    if pull.author_id in person.github_ids:
        faults.append(f"{file.person} opened the pull request that should bind them")
    if pull.pushers and pull.pushers[-1] in person.github_ids:
        faults.append(f"{file.person} pushed last to the pull request")
    review = _last_review(record, file, pull)
    if review is None:
        faults.append(f"{file.person} did not review pull request #{pull.number}")
        return faults
    if review.state != "APPROVED":
        faults.append(f"{file.person}'s last review is {review.state}")
    if review.user_type != "User":
        faults.append(f"the review is by a {review.user_type}, not by a person")
    if review.commit != pull.head:
        faults.append(
            f"{file.person} approved {review.commit[:10]}, not the final head"
        )
    if person.valid and not person.valid.contains(review.submitted):
        faults.append(f"{file.person} was not valid at {iso(review.submitted)}")
    return faults


def _last_review(record: Record, file: SignOff, pull: Pull) -> Review | None:
    """Give the person's last review that decides (a comment does not)."""
    person = record.library.people.get(file.person)
    return pull.deciding_review(person.github_ids if person else ())


def _codeowner_faults(record: Record, file: SignOff, arrival: Arrival) -> list[str]:
    named = owners(arrival.codeowners, file.path)
    person = record.library.people.get(file.person)
    own = {f"@{person.login}".lower()} if person else set()
    own |= {
        f"@{team.login}".lower()
        for team in record.library.teams.values()
        if file.person in team.members and team.login
    }
    if own & {name.lower() for name in named}:
        return []
    return [f"CODEOWNERS did not ask {file.person} to review {file.path}"]


def _policy_faults(record: Record) -> list[str]:
    level = dict(record.assessment.policy).get("signoff", "L1")
    if level in {"L0", "L1"}:
        return []
    return [f"the policy asks for proof {level}, and none was captured"]


def _status(
    judgement: Judgement, attestations: Mapping[str, Judgement], *, deviates: bool
) -> Status:
    files = [
        j
        for j in (judgement, *attestations.values())
        if j.signoff and j.signoff.decision != "withdraw"
    ]
    if any(j.stale and j.reasons for j in files):
        return Status.UNREVIEWED
    if any(j.stale for j in files):
        return Status.STALE
    if any(j.reasons for j in files):
        return Status.UNREVIEWED
    if judgement.signoff and judgement.counts:
        if judgement.signoff.decision == "reject":
            return Status.REJECTED
        return Status.SIGNED_WITH_DEVIATIONS if deviates else Status.SIGNED
    if attestations and all(j.counts for j in attestations.values()):
        return Status.ATTESTED
    return Status.IN_REVIEW


def _waiting(
    record: Record,
    item: Requirement,
    judgement: Judgement,
    attestations: Mapping[str, Judgement],
    open_ids: tuple[str, ...],
) -> tuple[tuple[str, str], ...]:
    """Say who is asked for what next."""
    todo: list[tuple[str, str]] = []
    if item.rests_on_proposals:
        person = record.assessment.assessor_of(item.number)
        return ((person, f"have the proposed mappings of {item.number} reviewed"),)
    for control in item.controls:
        owner = record.library.controls[control].owner
        own = record.findings.controls[control]
        todo.extend((owner, f"annotate {name}") for name in own.ids if name in open_ids)
        if not attestations[control].counts:
            todo.append((owner, f"attest {control}"))
    if not judgement.counts and all(j.counts for j in attestations.values()):
        todo.append((record.assessment.assessor_of(item.number), f"sign {item.number}"))
    return tuple(todo)
