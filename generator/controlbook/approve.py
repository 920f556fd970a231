# SPDX-License-Identifier: Apache-2.0
"""Which attestations and sign-offs count, and why not; the status that follows.

Rules enforced here (design section 6, trust.md 2.1 to 2.3); a sign-off counts only if
1. its subject is current, and it is later than the period's end and the last evidence;
2. every deviation and gap is annotated, with content of its own, and acknowledged, and
   the statement is somebody's own words, not one text for many;
3. the person is the named owner or assessor (or delegate within dates), and an assessor
   owns none of the mapped controls, and wrote neither their text nor an annotation;
4. it reached main through a pull request that somebody else opened, approved by that
   person on its final head, as the `reviews` stream captured it (L1), and it names the
   version of itself that stood before; where the policy
   asks, with the person's SSH signature (L2) and a trusted time (L3). A proof that is
   required and missing means that it does not count, never a lower level;
5. a delegate acts within the dates, by a right that is not passed on, and that the
   giver or a compliance officer approved.
Status is derived from these, first match wins; it is never stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .annotations import substance
from .codeowners import owners
from .digest import ZERO
from .model import (
    Arrival,
    Assessment,
    Findings,
    Grant,
    Judgement,
    Ledger,
    Library,
    Proof,
    Pull,
    RequirementStatus,
    Review,
    SignOff,
    Stale,
    Status,
)
from .narratives import statement_faults, statement_flags
from .subjects import attestations_of, control_subject, requirement_subject
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from .model import Delegation, Deviation, Gap, Requirement
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
    unannotated = unannotated_ids(record.library, record.findings, record.assessment)
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


def unannotated_ids(
    library: Library, findings: Findings, assessment: Assessment
) -> frozenset[str]:
    """Name the deviations and gaps that no auditor-visible annotation explains.

    An annotation explains only with content of its own, only if the times that it
    states are the facts', and with a ticket where the policy asks (T46, T47).
    """
    ticket = dict(assessment.policy).get("annotation", "none") == "ticket"
    items: tuple[Deviation | Gap, ...] = (*findings.deviations, *findings.gaps)
    explained: set[str] = set()
    for note in library.annotations:
        others = [other for other in library.annotations if other is not note]
        if note.audience == "internal" or substance(note, others):
            continue
        if ticket and not note.ticket:
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
    members = record.library.members(entry.owner)
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
        duties=_entitled(
            record,
            file,
            members,
            f"{file.person} is not the owner of {control} ({entry.owner})",
            _numbers(record, control),
        ),
    )


def _numbers(record: Record, control: str) -> set[str]:
    """Name the requirements in scope that map a control."""
    items = record.library.frameworks[record.assessment.framework].requirements
    return {
        number
        for number in record.assessment.requirements
        if control in items[number].controls
    }


def _entitled(
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
    pull = _pull_of(record, file)
    review = _last_review(record, file, pull) if pull else None
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
        if pull and review and _approves(review, pull):
            return ""
    return f"{about} was approved neither by them nor by a compliance officer"


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
    duties = _entitled(
        record,
        file,
        [named],
        f"{file.person} is not the assessor of {item.number} ({named})",
        {item.number},
    )
    if item.rests_on_proposals:
        duties.append(f"{item.number} rests on proposed mappings that nobody reviewed")
    duties.extend(
        f"{file.person} assesses {item.number} and owns {control}"
        for control in item.controls
        if file.person in record.library.members(record.library.controls[control].owner)
    )
    duties.extend(_wrote(record, file, item, own.ids))
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


def _wrote(
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
    own = _pull_of(record, file)
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
    pull, level, unproven = _proof(record, file)
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


def _approves(review: Review, pull: Pull) -> bool:
    return (review.state, review.user_type) == ("APPROVED", "User") and (
        review.commit == pull.head and pull.rule_suite != "bypass"
    )


def _pull_of(record: Record, file: SignOff) -> Pull | None:
    """Find the captured pull request that brought a file's bytes to main."""
    arrival = record.arrivals.get(file.path)
    return next(
        (
            pull
            for pull in record.ledger.pulls
            if arrival and pull.merge == arrival.merge and file.path in pull.paths
        ),
        None,
    )


def _proof(record: Record, file: SignOff) -> tuple[Pull | None, str, list[str]]:
    """Find the captured pull request, the level of proof, and what is missing of it."""
    arrival = record.arrivals.get(file.path)
    if arrival is None:
        return None, "L0", ["it is not committed to main"]
    pull = _pull_of(record, file)
    if pull is None:
        return (
            None,
            "L0",
            [
                "no captured pull request brought it to main (commit"
                f" {arrival.merge[:10]})"
            ],
        )
    faults = [
        *_merge_faults(file, arrival, pull),
        *_people_faults(record, file, pull),
        *_codeowner_faults(record, file, arrival),
    ]
    level = "L0" if faults else level_of(record.proofs.get(file.path, Proof()))
    missing = missing_proof(
        required_level(dict(record.assessment.policy), file.role),
        record.proofs.get(file.path, Proof()),
    )
    return pull, level, [*faults, *missing]


def level_of(proof: Proof) -> str:
    """Give the level of a sign-off whose captured review is in order."""
    if proof.unsigned:
        return "L1"
    return "L2" if proof.unstamped else "L3"


def required_level(policy: Mapping[str, str], role: str) -> str:
    """Give the proof that a policy asks of an owner's or an assessor's file."""
    level = policy.get("signoff", "L1")
    return policy.get("attestation", level) if role == "owner" else level


def missing_proof(required: str, proof: Proof) -> list[str]:
    """Say what is missing of a required proof; a lower level never stands in for it."""
    missing = []
    if required in {"L2", "L3"} and proof.unsigned:
        missing.append(f"the policy asks for proof {required}: {proof.unsigned}")
    if required == "L3" and proof.unstamped:
        missing.append(f"the policy asks for proof L3: {proof.unstamped}")
    return missing


def _merge_faults(file: SignOff, arrival: Arrival, pull: Pull) -> list[str]:
    faults = []
    if len(arrival.parents) != 2 or arrival.parents[1] != pull.head:  # noqa: PLR2004 - a merge has two parents
        faults.append("its pull request was not merged by a merge commit of its head")
    if not arrival.reviewed_same:
        faults.append("its bytes on main are not the bytes that were reviewed")
    if file.prev != (arrival.before or ZERO):
        faults.append("it does not name the version of itself that stood before (prev)")
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
