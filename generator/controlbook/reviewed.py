# SPDX-License-Identifier: Apache-2.0
"""How a sign-off file was approved, and what is missing of the proof that is asked for.

Rules enforced here (design section 6, trust.md 2.2):
- a file reached main through a pull request that somebody else opened, approved by its
  person on the final head, as the `reviews` stream captured it (L1);
- where the policy asks, with the person's SSH signature (L2) and a trusted time (L3). A
  proof that is required and missing means that it does not count, never a lower level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .codeowners import owners
from .model import Proof
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Arrival, Pull, Review, SignOff
    from .record import Record


def pull_of(record: Record, file: SignOff) -> Pull | None:
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


def last_review(record: Record, file: SignOff, pull: Pull) -> Review | None:
    """Give the person's last review that decides (a comment does not)."""
    person = record.library.people.get(file.person)
    return pull.deciding_review(person.github_ids if person else ())


def approves(review: Review, pull: Pull) -> bool:
    """Tell whether a review is a person's approval of what was merged."""
    return (review.state, review.user_type) == ("APPROVED", "User") and (
        review.commit == pull.head and pull.rule_suite != "bypass"
    )


def proof_of(record: Record, file: SignOff) -> tuple[Pull | None, str, list[str]]:
    """Find the captured pull request, the level of proof, and what is missing of it."""
    arrival = record.arrivals.get(file.path)
    if arrival is None:
        return None, "L0", ["it is not committed to main"]
    pull = pull_of(record, file)
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
        *_merge_faults(arrival, pull),
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
    review = last_review(record, file, pull)
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
