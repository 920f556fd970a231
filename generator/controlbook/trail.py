# SPDX-License-Identifier: Apache-2.0
"""How each requirement came to where it stands: the trail along a branch's own line.

Rules enforced here (trust.md 2.5):
- order is Git's, first parent by first parent; a date is a claim, and orders nothing;
- a merge is judged on its own tree and on the evidence of its day, with the reviews
  that were captured later: they are facts about the merge;
- each row names the file that moved the requirement, the commit, the pull request and
  its people, the time claimed and the time captured;
- a commit whose files cannot be read is a row of its own, never skipped;
- a stale part names the first commit since which it differs, and what changed there.

The trail is no part of the facts: what a sign-off is bound to holds no history.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .codeowners import owner_changes
from .digest import sha256
from .library import CODEOWNERS
from .model import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .model import Library, Pull, RequirementStatus
    from .timeline import Instant

UNREADABLE = "unreadable"
"""The files of a commit break rules, so that nothing can be judged on them."""
OUT_OF_SCOPE = "out of scope"
LINES = 200
"""Lines of a difference that are kept; the rest is counted."""


class Standing(NamedTuple):
    """Where a requirement stood after one commit."""

    status: str
    conclusion: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The commit that brought something about, and whose doing that was."""

    commit: str
    at: Instant
    """Committer time: a claim."""
    pull: Pull | None = None
    """The captured pull request that it merged; None for a direct commit."""
    opened_by: str = ""
    approved_by: tuple[str, ...] = ()
    """People, by their id; a GitHub login where nobody is known by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was judged after one first-parent commit."""

    origin: Origin
    standings: Mapping[str, Standing]
    """requirement → where it stood; every one in scope."""
    causes: Mapping[str, tuple[str, ...]]
    """requirement → the changed files that concern it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """A requirement moved from one status to another."""

    requirement: str
    before: str
    """Empty where it had none: it came into scope."""
    after: str
    conclusion: str
    """The conclusion that counts afterwards, or nothing."""
    why: str
    causes: tuple[str, ...]
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file before and after: digests, and the difference line by line."""

    path: str
    before: str
    """SHA-256, empty where the file was not there."""
    after: str
    difference: tuple[str, ...]
    """Unified, at most LINES lines; none for what machines write."""
    left_out: int = 0
    """Lines of the difference that are not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleSince:
    """Since when one part of what was signed is another."""

    path: str
    """The attestation or sign-off."""
    part: str
    signed: str
    now: str
    origin: Origin | None
    """None: since before the evidence was complete, while nothing counted yet."""
    files: tuple[FileChange, ...]

    @property
    def words(self) -> str:
        """Say it in one line: `stale since abc1234: annotations changed`."""
        since = self.origin.commit[:7] if self.origin else "before collection closed"
        return f"stale since {since}: {self.part} changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceChange:
    """A change of CODEOWNERS, people or scope that stands behind an assessment."""

    path: str
    origin: Origin
    file: FileChange
    owners: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = ()
    """(governed path, owners before, owners after), of CODEOWNERS alone."""
    signs: tuple[str, ...] = ()
    """Attestations and sign-offs that came with the same commit (T48)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backwards:
    """A commit that claims to be older than its first parent."""

    commit: str
    at: Instant
    parent: str
    parent_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Everything that Git's topology tells about one assessment."""

    changes: tuple[StatusChange, ...] = ()
    stale: tuple[StaleSince, ...] = ()
    governance: tuple[GovernanceChange, ...] = ()
    backwards: tuple[Backwards, ...] = ()
    points: int = field(default=0, compare=False)
    """Commits that were judged."""

    def of(self, requirement: str) -> tuple[StatusChange, ...]:
        """Give the changes of one requirement, oldest first."""
        return tuple(row for row in self.changes if row.requirement == requirement)

    def stale_of(self, path: str) -> tuple[StaleSince, ...]:
        """Give since when the parts of one attestation or sign-off are stale."""
        return tuple(row for row in self.stale if row.path == path)


def status_changes(points: Iterable[Point]) -> tuple[StatusChange, ...]:
    """Give every change of every requirement, in the order of the commits."""
    return tuple(_changes(points))


def _changes(points: Iterable[Point]) -> Iterator[StatusChange]:
    before: dict[str, Standing] = {}
    for point in points:
        gone = before.keys() - point.standings.keys()
        now = {**point.standings, **dict.fromkeys(gone, Standing(OUT_OF_SCOPE))}
        for number, standing in now.items():
            old = before.get(number, Standing(""))
            if old[:2] == standing[:2]:
                continue
            yield StatusChange(
                requirement=number,
                before=old.status,
                after=standing.status,
                conclusion=standing.conclusion,
                why=standing.why,
                causes=point.causes.get(number, ()),
                origin=point.origin,
            )
        before = now


def standing_of(status: RequirementStatus) -> Standing:
    """Condense a derived status: with the reason where it is not a good one."""
    judgements = (
        (status.requirement, status.judgement),
        *status.attestations.items(),
    )
    reasons: tuple[str, ...] = ()
    if status.status is Status.STALE:
        reasons = tuple(
            f"{about}: {part.name} changed"
            for about, judgement in judgements
            for part in judgement.stale
        )
    elif status.status is Status.UNREVIEWED:
        reasons = tuple(
            f"{about}: {reason}"
            for about, judgement in judgements
            if judgement.signoff
            for reason in judgement.reasons
        )
    shown = "; ".join(reasons[:3])
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""  # noqa: PLR2004 - as many as shown
    return Standing(status.status.value, status.conclusion, shown + more)


def origin_of(
    commit: str, at: Instant, pulls: Mapping[str, Pull], library: Library
) -> Origin:
    """Name a commit's pull request and people; `pulls` are by their merge commit."""
    pull = pulls.get(commit)
    if pull is None:
        return Origin(commit=commit, at=at)
    people = {
        number: person.id
        for person in library.people.values()
        for number in person.github_ids
    }
    reviewers = dict.fromkeys((r.user_id, r.user_login) for r in pull.reviews)
    approved = []
    for user_id, login in reviewers:
        last = pull.deciding_review((user_id,))
        if last is not None and last.state == "APPROVED":
            approved.append(people.get(user_id, f"@{login}"))
    return Origin(
        commit=commit,
        at=at,
        pull=pull,
        opened_by=people.get(pull.author_id, f"@{pull.author_login}"),
        approved_by=tuple(dict.fromkeys(approved)),
    )


def file_change(path: str, before: bytes | None, after: bytes | None) -> FileChange:
    """Compare a file's bytes; what machines write is compared by digest alone."""
    lines: list[str] = []
    if not re.match(r"evidence/(?!manual/)", path):
        lines = [
            line.rstrip("\n")
            for line in difflib.unified_diff(
                (before or b"").decode("utf-8", "replace").splitlines(),
                (after or b"").decode("utf-8", "replace").splitlines(),
                "before",
                "after",
                lineterm="",
            )
        ][2:]
    return FileChange(
        path=path,
        before="" if before is None else sha256(before),
        after="" if after is None else sha256(after),
        difference=tuple(lines[:LINES]),
        left_out=max(0, len(lines) - LINES),
    )


def governance_change(
    origin: Origin,
    file: FileChange,
    texts: tuple[bytes, bytes],
    governed: Iterable[str],
    signs: tuple[str, ...],
) -> GovernanceChange:
    """Describe a change of the rules; of CODEOWNERS, whose review it moved."""
    moved = owner_changes(*texts, governed) if file.path == CODEOWNERS else ()
    return GovernanceChange(
        path=file.path, origin=origin, file=file, owners=moved, signs=signs
    )
