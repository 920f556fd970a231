# SPDX-License-Identifier: Apache-2.0
"""The SSH signature of a release's tag: whose it is, and whether one is required.

Rules enforced here (trust.md 1.6, T58, T61, T62, T81):
- a tag is signed by a compliance officer of people.yml or by the job that signs
  checkpoints, in Git's own namespace; nobody else's signature counts;
- a signature that the policy requires and that is missing, or another kind in its
  place, is integrity failed, never a lower level; one that is there and does not hold
  is wrong, whether it was required or not;
- the tag's own date is a claim: it may not lie before a trusted time that the release
  already holds. A key is judged at that date, for no time stamp is over the tag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import ssh
from .faults import Faults, wrong
from .proofs import MAX_SKEW
from .timeline import SECOND, Instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .model import Library
    from .proofs import Trust, Witness

OFFICER = "compliance-officer"
_SSH = b"-----BEGIN SSH SIGNATURE-----\n"
_OTHER = re.compile(rb"^-----BEGIN ([A-Z ]+)-----$", re.MULTILINE)
_TAGGER = re.compile(rb"^tagger [^\n]* ([0-9]{1,12}) [+-][0-9]{4}$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSeal:
    """What was found of the signature of a release's tag."""

    at: Instant
    """When the tag says that it was made."""
    by: str = ""
    """Who signed it, where that holds."""
    carried: bool = False
    """Whether there is an SSH signature at all."""
    known: bool = False
    """Whether there is any key that could sign a tag."""
    why: str = ""
    """Why no signature counts; empty where one does."""


def judge_tag(raw: bytes, library: Library, trust: Trust) -> TagSeal:
    """Judge the SSH signature of a raw tag object.

    Raises ControlbookError where there is one and `ssh-keygen` is not installed.
    """
    found = _TAGGER.search(raw.split(b"\n\n", 1)[0])
    at = Instant(int(found[1]) * SECOND) if found else ssh.EARLIEST
    officers = [p for p in library.people.values() if OFFICER in p.roles]
    signers = trust.signers
    if signers is None:
        jobs = library.settings.checkpoint_keys
        signers = ssh.allowed_signers(officers, ssh.TAG)
        signers += ssh.checkpoint_signers(jobs, ssh.TAG)
    known = bool(signers)
    payload, armour, rest = raw.partition(_SSH)
    if not armour:
        other = _OTHER.search(raw)
        kind = other[1].decode().replace("SIGNATURE", "signature") if other else ""
        why = f"it carries a {kind}, and SSH is asked for" if other else ""
        return TagSeal(at=at, known=known, why=why or "it carries no SSH signature")
    reasons: list[str] = []
    for principal in (*(person.id for person in officers), ssh.COLLECTOR):
        seen = ssh.judge(
            payload,
            (armour + rest).decode("ascii", "replace"),
            signers=signers,
            principal=principal,
            namespace=ssh.TAG,
            at=at,
        )
        if not seen.why:
            return TagSeal(at=at, known=known, carried=True, by=principal)
        reasons.append(seen.why)
    why = next((text for text in reasons if text != ssh.UNKNOWN), "")
    why = why or "it is by no key of a compliance officer, or of the job"
    told = f"its SSH signature does not count: {why}"
    return TagSeal(at=at, known=known, carried=True, why=told)


def tag_faults(
    policy: Mapping[str, str], seal: TagSeal, seen: Sequence[Witness]
) -> Faults:
    """Name what the release's tag lacks, and what about it cannot be true."""
    required = policy.get("release", "none") != "none"
    if seal.why and (required or (seal.carried and seal.known)):
        asked = "the policy asks for a signed tag: " if required else ""
        yield wrong(f"release.tag: {asked}{seal.why}")
    stamped = [s.stamp.at for s in seen if s.stamp.at is not None if not s.stamp.why]
    if stamped and seal.at + MAX_SKEW < max(stamped):
        yield wrong(
            f"release.tag: claims {iso(seal.at)}, but names a checkpoint with a time"
            f" stamp of {iso(max(stamped))}"
        )


def tag_unchecked(seal: TagSeal, trust: Trust) -> Iterator[str]:
    """Say what of the tag's signature rests on nobody's word, or on the bundle's."""
    if not seal.carried:
        yield f"who made the release: {seal.why}"
        return
    if seal.why:
        yield "whose the tag's signature is: no key is known (--allowed-signers)"
        return
    if trust.signers is None:
        yield (
            f"whether the tag's key is {seal.by}'s: it came from the bundle"
            " (--allowed-signers)"
        )
    yield f"when the tag was signed: its own date was taken ({iso(seal.at)})"
