# SPDX-License-Identifier: Apache-2.0
"""What proves the sign-offs and checkpoints of one commit: facts for approve.py.

Rules enforced here (trust.md 2.3, T58 to T63):
- a sign-off's signature is looked for in the review that decides, and nowhere else;
- the keys are those of people.yml *before* the pull request that brought the sign-off,
  or the auditor's own; judged at the time of the review as it was captured;
- trusted time comes from a time stamp over a checkpoint that covers the captured
  review; the earliest counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import ssh, stamps
from .checkpoints import read_checkpoints
from .library import load
from .model import Grant, PeopleChange, Proof
from .record import Record
from .timeline import DAY, MINUTE, Interval, iso
from .yamltext import parse, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .checkpoints import Checkpoint
    from .git import Repository
    from .git.history import Version
    from .model import (
        Arrival,
        Assessment,
        Delegation,
        Findings,
        Ledger,
        Library,
        Person,
        Pull,
        Review,
        SignOff,
    )
    from .stamps import Stamp
    from .timeline import Instant

    Files = Mapping[str, bytes]

MAX_SKEW = 5 * MINUTE
"""Between a clock and a trusted time, before somebody should look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose keys and time stamps are believed."""

    signers: bytes | None = None
    """The auditor's own allowed signers; None: the keys of people.yml and settings."""
    roots: tuple[str, ...] | None = None
    """The auditor's own certificates; None: those of the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A checkpoint, and what was found of its signature and its time stamp."""

    checkpoint: Checkpoint
    unsigned: str
    """Why its signature does not count; empty where it does."""
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What Git, signatures and time stamps say of the sign-offs at one commit."""

    arrivals: Mapping[str, Arrival]
    proofs: Mapping[str, Proof]
    grants: tuple[Grant, ...]
    people: tuple[PeopleChange, ...]

    def record(
        self,
        library: Library,
        findings: Findings,
        ledger: Ledger,
        assessment: Assessment,
    ) -> Record:
        """Lay it beside what was found, for the sign-offs to be judged."""
        return Record(
            library=library,
            findings=findings,
            ledger=ledger,
            assessment=assessment,
            arrivals=self.arrivals,
            proofs=self.proofs,
            grants=self.grants,
        )


def gather(
    repository: Repository,
    rev: str,
    *,
    library: Library,
    ledger: Ledger,
    assessment: Assessment,
    seen: Sequence[Witness],
    trust: Trust,
) -> Gathered:
    """Bring together the facts about an assessment's sign-offs."""
    paths = [file.path for file in library.signoffs if file.assessment == assessment.id]
    arrivals = repository.arrivals(rev, paths)
    return Gathered(
        arrivals=arrivals,
        proofs=prove(library, ledger, arrivals, seen, trust),
        grants=granted(assessment, repository.versions(rev, assessment.path))
        if assessment.delegations
        else (),
        people=people_changes(
            repository.versions(rev, "signoffs/people.yml"), ledger, library
        ),
    )


def granted(assessment: Assessment, versions: Iterable[Version]) -> tuple[Grant, ...]:
    """Find the commit that brought each delegation; `versions` are newest first.

    An entry that was removed and written again came with the second writing.
    """
    held = [(version.commit, _rows(version.body)) for version in versions]
    found = []
    for delegation in assessment.delegations:
        merge = ""
        for commit, rows in held:
            if _row(delegation) not in rows:
                break
            merge = commit
        found.append(Grant(delegation=delegation, merge=merge))
    return tuple(found)


def _row(given: Delegation) -> tuple[object, ...]:
    return (
        given.giver,
        given.receiver,
        given.role,
        given.requirements,
        iso(given.interval.start),
        iso(given.interval.end),
    )


def _rows(body: bytes) -> list[tuple[object, ...]]:
    node = parse(body).node
    tree = plain(node) if node is not None else ""
    rows = tree.get("delegations") if isinstance(tree, dict) else None
    return [
        (
            row.get("from"),
            row.get("to"),
            row.get("role"),
            tuple(map(str, row.get("requirements") or ())),
            row.get("start"),
            row.get("end"),
        )
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    ]


_PERSON = (
    "name",
    "login",
    "github_ids",
    "roles",
    "ssh_keys",
    "valid",
    "organisation",
    "qualification",
)


def people_changes(
    versions: Sequence[Version], ledger: Ledger, library: Library
) -> tuple[PeopleChange, ...]:
    """List every change of people.yml, oldest first (T60); `versions` newest first.

    The first version is where the programme began, and no change.
    """
    pulls = {pull.merge: pull for pull in ledger.pulls}
    found: list[PeopleChange] = []
    for older, newer in zip(versions[:0:-1], versions[-2::-1], strict=True):
        before, after = _people(older.body), _people(newer.body)
        pull = pulls.get(newer.commit)
        found.extend(
            PeopleChange(
                person=name,
                what=what,
                commit=newer.commit,
                pull=pull.number if pull else 0,
                approved_by=_approvers(pull, library) if pull else (),
            )
            for name in sorted(before.keys() | after.keys())
            for what in _differences(before.get(name), after.get(name))
        )
    return tuple(found)


def _people(body: bytes) -> Mapping[str, Person]:
    return load({"signoffs/people.yml": body})[0].people


def _differences(before: Person | None, after: Person | None) -> Iterator[str]:
    if before is None or after is None:
        yield "removed" if after is None else "added"
        return
    for field in _PERSON:
        old, new = getattr(before, field), getattr(after, field)
        if old != new:
            yield f"{field}: {_shown(old)} → {_shown(new)}"


def _shown(value: object) -> str:
    if isinstance(value, Interval):
        return f"{iso(value.start)} to {iso(value.end)}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value) if value else "none"


def _approvers(pull: Pull, library: Library) -> tuple[str, ...]:
    return tuple(
        person.id
        for person in library.people.values()
        if (review := pull.deciding_review(person.github_ids))
        and (review.state, review.commit) == ("APPROVED", pull.head)
    )


def witnesses(files: Files, library: Library, trust: Trust) -> tuple[Witness, ...]:
    """Judge the signature and the time stamp of every checkpoint."""
    settings = library.settings
    signers = trust.signers
    if signers is None:
        signers = ssh.checkpoint_signers(settings.checkpoint_keys)
    roots = settings.tsa_roots if trust.roots is None else trust.roots
    found = []
    for checkpoint in read_checkpoints(files):
        stamp = stamps.Stamp(why="it carries no time stamp")
        if checkpoint.stamp:
            stamp = stamps.judge(
                checkpoint.stamp,
                checkpoint.content,
                roots,
                policy=settings.tsa_policy,
            )
        found.append(
            Witness(
                checkpoint=checkpoint,
                unsigned=_unsigned(checkpoint, signers, stamp),
                stamp=stamp,
            )
        )
    return tuple(found)


def _unsigned(checkpoint: Checkpoint, signers: bytes, stamp: Stamp) -> str:
    if not checkpoint.signature:
        return "it carries no SSH signature"
    # A job's key has no validity in the settings; an auditor's file may give it one,
    # and then only a trusted time can say whether it held: without, at all times.
    trusted = stamp.at is not None and not stamp.why
    for at in (stamp.at,) if trusted else (ssh.EARLIEST, ssh.LATEST):
        seen = ssh.judge(
            checkpoint.content,
            checkpoint.signature.decode("ascii", "replace"),
            signers=signers,
            principal=ssh.COLLECTOR,
            namespace=ssh.CHECKPOINT,
            at=at or ssh.EARLIEST,
        )
        if seen.why:
            return f"its SSH signature does not count: {seen.why}"
    return ""


def prove(
    library: Library,
    ledger: Ledger,
    arrivals: Mapping[str, Arrival],
    seen: Sequence[Witness],
    trust: Trust,
) -> dict[str, Proof]:
    """Find what proves each sign-off file, by its path."""
    captured = {
        pull.merge: (run.seq, pull)
        for run in reversed(ledger.runs.get("reviews", ()))
        for pull in run.pulls
    }
    found = {}
    for file in library.signoffs:
        arrival = arrivals.get(file.path)
        if arrival is None or arrival.merge not in captured:
            continue
        seq, pull = captured[arrival.merge]
        proof = _signed(library, file, arrival, pull, trust)
        found[file.path] = _stamped(proof, seq, seen)
    return found


def _stamped(proof: Proof, seq: int, seen: Iterable[Witness]) -> Proof:
    over = [one for one in seen if one.checkpoint.covers("reviews", seq)]
    good = [
        one.stamp.at for one in over if one.stamp.at is not None if not one.stamp.why
    ]
    if good:
        return replace(proof, stamped=min(good), unstamped="")
    why = next((one.stamp.why for one in over if one.checkpoint.stamp), "")
    return replace(proof, unstamped=why) if why else proof


def _signed(
    library: Library, file: SignOff, arrival: Arrival, pull: Pull, trust: Trust
) -> Proof:
    person = library.people.get(file.person)
    review = pull.deciding_review(person.github_ids if person else ())
    if review is None or not review.signatures:
        return Proof()
    signers = trust.signers
    if signers is None:
        before, _ = load({"signoffs/people.yml": arrival.people})
        signers = ssh.allowed_signers(before.people.values())
    reasons = []
    for text in _candidates(review, file.path):
        judged = ssh.judge(
            arrival.content,
            text,
            signers=signers,
            principal=file.person,
            namespace=ssh.SIGNOFF,
            at=review.submitted,
        )
        if judged.key:
            return Proof(unsigned="", key=judged.key)
        reasons.append(judged.why)
    reason = reasons[0] if reasons else "none is over this file"
    return Proof(unsigned=f"the SSH signature in its review does not count: {reason}")


def _candidates(review: Review, path: str) -> list[str]:
    named = [each.text for each in review.signatures if each.path == path]
    return named or [each.text for each in review.signatures if not each.path]


def time_problems(
    ledger: Ledger, seen: Iterable[Witness]
) -> Iterator[tuple[bool, str]]:
    """Hold the times that runs claim against trusted ones: (is it grave, what).

    A run that a time-stamped checkpoint covers was there by then (T24).
    """
    for one in seen:
        at = one.stamp.at
        if at is None or one.stamp.why:
            continue
        for stream, runs in ledger.runs.items():
            late = [
                run
                for run in runs[: one.checkpoint.sizes.get(stream, 0)]
                if run.finished > at + MAX_SKEW
            ]
            for run in late:
                yield (
                    run.finished > at + DAY,
                    f"{stream}/{run.seq:06d} claims {iso(run.finished)}, but"
                    f" {one.checkpoint.path} held it by {iso(at)}, a trusted time",
                )


def date_problems(
    commits: Iterable[tuple[str, Instant]],
    brought: Mapping[str, str],
    seen: Iterable[Witness],
) -> tuple[list[str], list[str]]:
    """Hold the dates of commits against trusted times: (backdated, running backwards).

    `brought` names the commit that brought each time stamp. What comes after it cannot
    be older than the token that it holds (T23).
    """
    known = {
        brought[one.checkpoint.path + ".tsr"]: one.stamp.at
        for one in seen
        if one.stamp.at is not None
        and not one.stamp.why
        and one.checkpoint.path + ".tsr" in brought
    }
    backdated, backwards = [], []
    trusted = before = None
    for commit, at in commits:
        token = known.get(commit)
        if token is not None:
            trusted = token if trusted is None else max(trusted, token)
        if trusted is not None and at + MAX_SKEW < trusted:
            backdated.append(
                f"commit {commit[:12]} claims {iso(at)}, but holds a time stamp of"
                f" {iso(trusted)}"
            )
        if before is not None and at < before:
            backwards.append(
                f"commit {commit[:12]} claims {iso(at)}, before the one it follows"
                f" ({iso(before)})"
            )
        before = at
    return backdated, backwards
