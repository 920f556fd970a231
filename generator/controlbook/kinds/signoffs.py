# SPDX-License-Identifier: Apache-2.0
"""The records that `attest` and `signoff` write: who stated what, about which bytes.

Rules enforced here:
- a record stands where it says: its assessment, control or requirement is the path's;
- an attestation is by the control's owner or a delegate, under their own GitHub id;
- a sign-off is by the requirement's assessor or a delegate, and never by an owner of a
  control that the requirement maps;
- it names digests of what was reviewed, each part once.

Whether a record *counts* (reviewed, current, late enough) is approve.py's to say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from controlbook.digest import ZERO
from controlbook.model import Conclusion, SignOff
from controlbook.timeline import iso

from .documents import FINDING

if TYPE_CHECKING:
    from collections.abc import Collection

    from controlbook.model import Assessment, Delegation
    from controlbook.reading import Fields

    from .assessments import Around

ATTESTATION = "controlbook/attestation/1"
SIGNOFF = "controlbook/signoff/1"
OWNER, ASSESSOR = "owner", "assessor"
DECISIONS = {OWNER: ("attest", "withdraw"), ASSESSOR: ("sign", "reject", "withdraw")}
SUBJECT = (
    "controls",
    "mapping",
    "scope",
    "evidence",
    "findings",
    "annotations",
    "manual",
)
"""The parts of an attestation's subject, in this order."""
SIGNOFF_SUBJECT = (*SUBJECT, "attestations")
"""The parts of a sign-off's subject, in this order."""

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def read_attestation(
    fields: Fields, sha256: str, assessment: Assessment, control: str, around: Around
) -> SignOff:
    """Read signoffs/<assessment>/controls/<control>.yml."""
    fields.same("format", ATTESTATION, "the format of an attestation")
    fields.same("control", control, "the file's name")
    record = _record(fields, sha256, OWNER, assessment, control, around)
    numbers = around.mapping(assessment, control)
    if assessment.framework in around.frameworks and not numbers:
        message = f"no requirement of {assessment.id} maps the control {control}"
        fields.page.problem(fields.line("control"), message, "remove the file")
    owned = around.controls.get(control)
    members = around.members(owned.owner) if owned else ()
    delegates = any(
        _delegated(delegation, OWNER, giver, record)
        and set(delegation.requirements) & set(numbers)
        for delegation in assessment.delegations
        for giver in members
    )
    entitled = record.person in members or delegates
    if owned and members and record.person in around.people and not entitled:
        message = f"{record.person} does not own {control}; {owned.owner} does"
        advice = f"let {' or '.join(members)} run `attest`"
        message += _dates(assessment, OWNER, members, record)
        fields.problem("person", message, advice)
    return record


def read_signoff(
    fields: Fields, sha256: str, assessment: Assessment, number: str, around: Around
) -> SignOff:
    """Read signoffs/<assessment>/requirements/<requirement>.yml."""
    fields.same("format", SIGNOFF, "the format of a sign-off")
    fields.same("requirement", number, "the file's name")
    record = _record(fields, sha256, ASSESSOR, assessment, number, around)
    if number not in assessment.requirements:
        message = f"{number} is not in the scope of {assessment.id}"
        line = fields.line("requirement")
        fields.page.problem(line, message, f"remove the file, or see {assessment.path}")
        return record
    assessor = assessment.assessor_of(number)
    entitled = record.person == assessor or any(
        _delegated(delegation, ASSESSOR, assessor, record)
        and number in delegation.requirements
        for delegation in assessment.delegations
    )
    if record.person in around.people and not entitled:
        message = f"{record.person} is not the assessor of {number}"
        advice = f"let {assessor or 'an assessor'} run `signoff`, or delegate"
        dates = _dates(assessment, ASSESSOR, (assessor,), record)
        message = f"{message}; {assessor or 'nobody'} is{dates}"
        fields.problem("person", message, advice)
    framework = around.frameworks.get(assessment.framework)
    if framework is not None:
        control = around.owners(framework, number).get(record.person)
        if control:
            message = f"{record.person} owns {control}, which {number} maps"
            fields.problem("person", message, "owner and assessor are two people")
    return record


def _delegated(delegation: Delegation, role: str, giver: str, record: SignOff) -> bool:
    """Tell whether a delegation lets the record's person act at the time it claims."""
    return (
        delegation.role == role
        and delegation.giver == giver
        and delegation.receiver == record.person
        and delegation.allows(record.claimed_at)
    )


def _dates(
    assessment: Assessment, role: str, givers: Collection[str], record: SignOff
) -> str:
    """Name the dates of delegations to the person that do not hold then (T64)."""
    return "".join(
        f"; the delegation by {given.giver} holds from {iso(given.interval.start)} to"
        f" {iso(given.ends)}, not at {iso(record.claimed_at)}"
        for given in assessment.delegations
        if (given.role, given.receiver) == (role, record.person)
        and given.giver in givers
        and not given.allows(record.claimed_at)
    )


def _record(
    fields: Fields,
    sha256: str,
    role: str,
    assessment: Assessment,
    about: str,
    around: Around,
) -> SignOff:
    fields.same("assessment", assessment.id, "the folder's name")
    fields.same("role", role, "the role of this file")
    person = fields.reference("person", around.people, "person")
    github_id = fields.text("github_id")
    known = around.people.get(person)
    if known is not None and github_id and github_id not in known.github_ids:
        message = f"{github_id} is not a GitHub id of {person}"
        fields.problem("github_id", message, "see signoffs/people.yml")
    decision = fields.choice("decision", DECISIONS[role])
    record = SignOff(
        path=fields.page.path,
        sha256=sha256,
        role=role,
        assessment=assessment.id,
        about=about,
        person=person,
        github_id=github_id,
        decision=decision,
        conclusion=_conclusion(fields, role, decision),
        statement=fields.text("statement"),
        acknowledged=_acknowledged(fields),
        claimed_at=fields.moment("claimed_at") or assessment.period.start,
        prev=fields.digest("prev") or ZERO,
        base=fields.matching("base", _COMMIT, "a commit id"),
        generator=fields.text("generator"),
        subject=_subject(fields, role),
    )
    fields.finish()
    return record


def _conclusion(fields: Fields, role: str, decision: str) -> str:
    if role == OWNER:
        return ""
    words = tuple(conclusion.value for conclusion in Conclusion)
    if decision == "sign":
        return fields.choice("conclusion", words)
    return fields.choice("conclusion", (*words, ""), "")


def _acknowledged(fields: Fields) -> tuple[str, ...]:
    listed = fields.listing("acknowledged", filled=False)
    for line, id_ in listed:
        if not FINDING.match(id_):
            message = f"acknowledged: {id_!r} is not dev- or gap- and 16 hex digits"
            fields.page.problem(line, message)
    return tuple(id_ for _, id_ in listed)


def _subject(fields: Fields, role: str) -> tuple[tuple[str, str], ...]:
    expected = SUBJECT if role == OWNER else SIGNOFF_SUBJECT
    found: list[tuple[str, str]] = []
    for row in fields.rows("subject"):
        found.append((row.text("name"), row.digest("sha256")))
        row.finish()
    named = tuple(name for name, _ in found)
    if named and named != expected:
        message = f"names {', '.join(named)}, not {', '.join(expected)}"
        fields.problem("subject", message, f"write it with `{_verb(role)}`")
    return tuple(found)


def _verb(role: str) -> str:
    return "attest" if role == OWNER else "signoff"
