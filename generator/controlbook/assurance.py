# SPDX-License-Identifier: Apache-2.0
"""Signatures, time stamps and policy of a bundle: what is required, and what is there.

Rules enforced here (trust.md 1.6 and 2.3, T22 to T24, T58 to T63):
- what the auditor gives wins: policy, allowed signers, roots; what the bundle brings of
  them is said to come from the bundle;
- a required proof that is missing is integrity failed, never a lower level;
- a sidecar that is there and does not hold is wrong, whether it was required or not;
- a trusted time contradicts what was dated otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .derivation import SIGNED
from .errors import ControlbookError, Exit
from .faults import Faults, lacking, still_open, wrong
from .kinds.assessments import POLICY
from .model import Proof
from .proofs import Trust, date_problems, time_problems
from .reviewed import missing_proof, required_level
from .stamps import certificates
from .yamltext import parse, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from .model import Assessment, Ledger, Library, RequirementStatus
    from .proofs import Witness
    from .provenance import Provenance

REQUIRABLE = ("pin", "raw", "policy", "allowed-signers", "tsa-roots")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What an auditor brings along, known from elsewhere than the bundle."""

    raw: Path | None = None
    pins: tuple[str, ...] = ()
    policy: Mapping[str, str] | None = None
    trust: Trust = field(default_factory=Trust)
    require: tuple[str, ...] = ()
    """Inputs without which nothing passes."""

    def missing(self) -> Faults:
        """Name the inputs that were required and not given."""
        have = {
            "pin": bool(self.pins),
            "raw": self.raw is not None,
            "policy": self.policy is not None,
            "allowed-signers": self.trust.signers is not None,
            "tsa-roots": self.trust.roots is not None,
        }
        for name in self.require:
            if not have[name]:
                yield lacking(f"--{name} was required, and is not given")


def read_policy(content: bytes, place: str) -> dict[str, str]:
    """Read an auditor's policy: the fields of `policy:` in assessment.yml."""
    text = parse(content)
    for flaw in text.flaws:
        where = f"{place}:{flaw.line}"
        raise ControlbookError(flaw.message, place=where, advice=flaw.advice)
    tree = plain(text.node) if text.node is not None else {}
    table = tree.get("policy", tree) if isinstance(tree, dict) else {}
    rows = table.items() if isinstance(table, dict) else ()
    found = {str(key): str(value) for key, value in rows}
    for key, value in found.items():
        if value not in POLICY.get(key, ()):
            known = " · ".join(f"{k}: {', '.join(v)}" for k, v in POLICY.items())
            message = f"{key}: {value!r} is no policy"
            raise ControlbookError(message, place=place, advice=f"there are {known}")
    if not found:
        message = "names no policy"
        raise ControlbookError(message, place=place)
    return found


def read_roots(content: bytes, place: str) -> tuple[str, ...]:
    """Read an auditor's roots of time-stamp authorities."""
    found = certificates(content.decode("ascii", "replace"))
    if not found:
        message = "holds no certificate"
        raise ControlbookError(message, place=place, advice="give certificates in PEM")
    return found


def proof_faults(
    policy: Mapping[str, str],
    statuses: Mapping[str, RequirementStatus],
    proofs: Mapping[str, Proof],
) -> Faults:
    """Name the sign-offs that count and lack a proof that the policy requires."""
    for number, status in statuses.items():
        if status.status not in SIGNED:
            continue
        files = [status.judgement, *status.attestations.values()]
        for file in (judgement.signoff for judgement in files if judgement.signoff):
            required = required_level(policy, file.role)
            for why in missing_proof(required, proofs.get(file.path, Proof())):
                yield wrong(
                    f"{number}: the {file.role}'s required proof is missing"
                    f" ({file.path}): {why}"
                )


def witness_faults(
    policy: Mapping[str, str],
    seen: Sequence[Witness],
    library: Library,
    trust: Trust,
) -> Faults:
    """Name the checkpoints that lack what is required, or carry what does not hold."""
    required = policy.get("checkpoint", "none").split("+")
    if required != ["none"] and not seen:
        yield wrong("the policy asks for signed or stamped checkpoints: there is none")
    keys = trust.signers is not None or library.settings.checkpoint_keys
    roots = library.settings.tsa_roots if trust.roots is None else trust.roots
    for one in seen:
        place = one.checkpoint.path.replace("evidence/", "ledger/", 1)
        if one.unsigned and ("ssh" in required or (one.checkpoint.signature and keys)):
            yield wrong(f"{place}: {one.unsigned}")
        if one.stamp.why and (
            "rfc3161" in required or (one.checkpoint.stamp and roots)
        ):
            yield wrong(f"{place}: {one.stamp.why}")


def time_faults(
    ledger: Ledger, provenance: Provenance, seen: Sequence[Witness]
) -> Iterator[tuple[Exit, str]]:
    """Hold what runs and commits claim against the trusted times."""
    for grave, text in time_problems(ledger, seen):
        yield wrong(text) if grave else still_open(text)
    backdated, _ = _dates(provenance, seen)
    for text in backdated:
        yield wrong(text)


def _dates(
    provenance: Provenance, seen: Sequence[Witness]
) -> tuple[list[str], list[str]]:
    repository, commit = provenance.repository, provenance.commit.id
    stamped = [f"{one.checkpoint.path}.tsr" for one in seen if one.checkpoint.stamp]
    brought = {
        path: arrival.merge
        for path, arrival in repository.arrivals(commit, stamped).items()
    }
    return date_problems(repository.timed_commits(commit), brought, seen)


def unchecked(
    given: Given,
    assessment: Assessment,
    seen: Sequence[Witness],
    proofs: Collection[Proof],
    provenance: Provenance | None,
) -> Iterator[str]:
    """Say what of proofs and times rests on the bundle's own word, or on nobody's."""
    if given.policy is None:
        told = ", ".join(f"{k} {v}" for k, v in assessment.policy) or "signoff L1"
        yield (
            "whether the proofs that are required are enough: the policy came from the"
            f" bundle ({told}; --policy)"
        )
    signed = any(not proof.unsigned for proof in proofs) or any(
        one.checkpoint.signature for one in seen
    )
    if given.trust.signers is None and signed:
        yield "whose the SSH keys are: they came from the bundle (--allowed-signers)"
    elif not signed:
        yield "signatures of people and checkpoints: there is none that counts"
    yield "a signature of the tag: nobody's is looked for"
    stamped = [one for one in seen if one.stamp.at is not None and not one.stamp.why]
    if any(one.checkpoint.stamp for one in seen) and given.trust.roots is None:
        yield "the time-stamp authority: no roots were given (--tsa-roots)"
    if not stamped:
        yield (
            "when anything happened, beyond what Git, AWS and GitHub claimed: no"
            " trusted time"
        )
    if signed and not any(proof.stamped for proof in proofs):
        yield (
            "whether keys were valid when they signed: GitHub's times were taken, for"
            " there is no trusted one"
        )
    if provenance is not None:
        _, backwards = _dates(provenance, seen)
        for text in backwards:
            yield f"the dates of commits, which run backwards: {text}"
