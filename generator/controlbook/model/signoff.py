# SPDX-License-Identifier: Apache-2.0
"""What follows for sign-offs: how a file arrived, what is proven, which status holds.

Rules enforced here:
- a status is derived from tree and history, never stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.timeline import Instant

    from .programme import Delegation, SignOff
    from .record import Pull


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How the present bytes of a sign-off file came to main (facts from Git)."""

    path: str
    merge: str
    """First-parent commit that last changed the file."""
    parents: tuple[str, ...]
    at: Instant
    """Committer time of that commit: a claim."""
    reviewed_same: bool
    """The pull request's head (second parent) holds the same bytes."""
    codeowners: bytes
    """The first parent's CODEOWNERS file."""
    people: bytes = b""
    """The first parent's people.yml: whose keys were known before."""
    content: bytes = b""
    """The bytes themselves, which a signature is over."""
    before: str = ""
    """SHA-256 of the file in the first parent; empty where it was not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What proves a sign-off file beyond GitHub's captured word: facts, no judgement.

    A reason stands in place of what is not proven.
    """

    unsigned: str = "its review carries no SSH signature"
    """Why no SSH signature of the person over these bytes was found; empty: found."""
    key: str = ""
    """Fingerprint of the key that signed."""
    stamped: Instant | None = None
    """The earliest trusted time at which the captured review existed."""
    unstamped: str = "no checkpoint with a time stamp holds its captured review"
    """Why no trusted time is known; empty where one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """How an entry of `delegations` came to main (facts from Git)."""

    delegation: Delegation
    merge: str
    """First-parent commit that brought the entry; empty where it is not on main."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class PeopleChange:
    """One change of one person in people.yml, and who answered for it."""

    person: str
    what: str
    """Such as `github_ids: 1 → 1, 2`; `added` and `removed` stand for all of it."""
    commit: str
    pull: int
    """Number of the captured pull request; 0 where none was captured."""
    approved_by: tuple[str, ...]
    """People who approved it on its final head."""


class Status(StrEnum):
    """Where a requirement stands; derived, never stored."""

    COLLECTING = "collecting"
    IN_REVIEW = "in review"
    ATTESTED = "attested"
    SIGNED = "signed"
    SIGNED_WITH_DEVIATIONS = "signed with deviations"
    REJECTED = "rejected"
    STALE = "stale"
    UNREVIEWED = "unreviewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A part of a subject that changed after it was signed."""

    name: str
    signed: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether one attestation or sign-off counts, and why not."""

    signoff: SignOff | None
    counts: bool
    reasons: tuple[str, ...]
    """Each rule it breaks, in plain words, empty where it counts."""
    stale: tuple[Stale, ...]
    pull: Pull | None = None
    level: str = ""
    """The proof that it reached, L0 to L3; empty where there is no file."""
    flags: tuple[str, ...] = ()
    """What a reader should know, though it counts all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementStatus:
    """The derived status of one requirement, and what it waits for."""

    requirement: str
    status: Status
    interim: Status | None
    """While collecting: the status if the period were over now."""
    conclusion: str
    """The assessor's conclusion where the sign-off counts, else empty."""
    judgement: Judgement
    attestations: Mapping[str, Judgement]
    """control → its owner's attestation."""
    unannotated: tuple[str, ...]
    """Ids of deviations and gaps without an annotation of substance."""
    waiting: tuple[tuple[str, str], ...]
    """(person, what for): annotate, attest, sign, review."""
