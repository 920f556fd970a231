# SPDX-License-Identifier: Apache-2.0
"""Attestations and sign-offs as files, and as people see them in a pull request.

Rules enforced here:
- one spelling: fixed key order, quoted or literal text, so re-emitting gives the same
  bytes;
- a record names the SHA-256 of the version before it;
- a statement is somebody's own words: no placeholder, not too short to say anything,
  not one text for many requirements.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from .digest import ZERO, sha256
from .errors import ControlbookError
from .model import SignOff
from .narratives import MOST_SHARED, hollow, same_text
from .timeline import iso
from .yamlwriter import flow_list, flow_mapping, literal, paragraphs, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .model import Person
    from .timeline import Instant

OWNER = "owner"
ASSESSOR = "assessor"
_FORMATS = {OWNER: "controlbook/attestation/1", ASSESSOR: "controlbook/signoff/1"}
_FOLDERS = {OWNER: "controls", ASSESSOR: "requirements"}
_ABOUT = {OWNER: "control", ASSESSOR: "requirement"}

_SHORT = 12


def path_of(role: str, assessment: str, about: str) -> str:
    """Name the file of an attestation (`owner`) or a sign-off (`assessor`)."""
    return f"signoffs/{assessment}/{_FOLDERS[role]}/{about}.yml"


def check_statement(about: str, statement: str, others: Mapping[str, str]) -> None:
    """Refuse a statement without content of its own.

    `others` holds the statements made so far, by control or requirement.
    """
    reason = hollow(statement)
    same = same_text(about, statement, others)
    if not reason and len(same) >= MOST_SHARED:
        reason = f"the same text stands for {', '.join(same)}"
    if reason:
        message = f"the statement on {about} does not count: {reason}"
        raise ControlbookError(
            message, advice="say in your own words what you looked at and found"
        )


def record(  # noqa: PLR0913 - what a person puts their name to
    *,
    role: str,
    assessment: str,
    about: str,
    person: Person,
    decision: str,
    statement: str,
    acknowledged: Iterable[str],
    claimed_at: Instant,
    previous: bytes | None,
    base: str,
    generator: str,
    subject: Sequence[tuple[str, str]],
    conclusion: str = "",
    github_id: str = "",
) -> SignOff:
    """Make the record of a decision; `previous` is the file as it stands now."""
    made = SignOff(
        path=path_of(role, assessment, about),
        sha256="",
        role=role,
        assessment=assessment,
        about=about,
        person=person.id,
        github_id=github_id or person.github_ids[0],
        decision=decision,
        conclusion=conclusion,
        statement=paragraphs(statement),
        acknowledged=tuple(sorted(set(acknowledged))),
        claimed_at=claimed_at,
        prev=sha256(previous) if previous is not None else ZERO,
        base=base,
        generator=generator,
        subject=tuple(subject),
    )
    return replace(made, sha256=sha256(record_bytes(made)))


def record_bytes(made: SignOff) -> bytes:
    """Write an attestation or sign-off as the bytes of its file."""
    lines = [
        f"format: {quoted(_FORMATS[made.role])}",
        f"assessment: {quoted(made.assessment)}",
        f"{_ABOUT[made.role]}: {quoted(made.about)}",
        f"role: {quoted(made.role)}",
        f"person: {quoted(made.person)}",
        f"github_id: {quoted(made.github_id)}",
        f"decision: {quoted(made.decision)}",
    ]
    if made.conclusion:
        lines.append(f"conclusion: {quoted(made.conclusion)}")
    lines += [
        f"statement: {literal(made.statement)}",
        f"acknowledged: {flow_list(made.acknowledged)}",
        f"claimed_at: {quoted(iso(made.claimed_at))}",
        f"prev: {quoted(made.prev)}",
        f"base: {quoted(made.base)}",
        f"generator: {quoted(made.generator)}",
        "subject:",
    ]
    lines += [
        f"  - {flow_mapping({'name': name, 'sha256': digest})}"
        for name, digest in made.subject
    ]
    return ("\n".join(lines) + "\n").encode()


# --- the pull request ---


def pull_branch(records: Sequence[SignOff]) -> str:
    """Name the branch on which records are proposed."""
    first = records[0]
    verb = "attest" if first.role == OWNER else "signoff"
    rest = f"-and-{len(records) - 1}-more" if records[1:] else ""
    about = re.sub(r"[^A-Za-z0-9.]+", "-", f"{first.about}{rest}").strip(".-")
    return f"{verb}/{first.assessment}/{about}"


def pull_title(records: Sequence[SignOff]) -> str:
    """Say in one line what is proposed."""
    first = records[0]
    verb = "Attest" if first.role == OWNER else "Sign off"
    about = ", ".join(made.about for made in records)
    return f"{verb} {first.assessment} {about} ({first.person})"


def pull_body(records: Sequence[SignOff], titles: Mapping[str, str]) -> str:
    """Write what a reviewer needs to see; `titles` by control or requirement."""
    signers = " and ".join(sorted({made.person for made in records}))
    lines = [
        f"What counts is the approval of {signers} on this pull request's final head.",
        "",
        f"| {_ABOUT[records[0].role].title()} | Title | Decision | Acknowledged |",
        "|---|---|---|---|",
        *(_row(made, titles.get(made.about, "")) for made in records),
    ]
    for made in records:
        lines += [
            "",
            f"**{_cell(made.about)}**, as of `{made.base[:_SHORT]}`:",
            "",
            "| Reviewed | SHA-256 |",
            "|---|---|",
            *(f"| {n} | `{digest[:_SHORT]}…` |" for n, digest in made.subject),
            "",
            *(f"> {_cell(line)}".rstrip() for line in made.statement.splitlines()),
        ]
    return "\n".join(lines) + "\n"


def _row(made: SignOff, title: str) -> str:
    decision = ", ".join(filter(None, [made.decision, made.conclusion]))
    listed = ", ".join(f"`{id_}`" for id_ in made.acknowledged) or "none"
    return f"| {_cell(made.about)} | {_cell(title)} | {decision} | {listed} |"


def _cell(text: str) -> str:
    """Escape text for a cell of a Markdown table."""
    return re.sub(r"([\\`*_{}\[\]<>#|!@~])", r"\\\1", " ".join(text.split()))
