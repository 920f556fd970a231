# SPDX-License-Identifier: Apache-2.0
"""`controlbook seal`: a person's SSH signatures, as the text of their review.

Rules enforced here (trust.md 2.3, level L2):
- what is signed is the bytes of the files that are proposed, in a namespace of its own;
- a key that people.yml does not know for the person is refused here, not later;
- nothing is sent: the person approves on GitHub, with this text as the review.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from controlbook import ssh
from controlbook.clock import now
from controlbook.errors import ControlbookError
from controlbook.outcome import Outcome
from controlbook.people import acting
from controlbook.programme import Programme

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from controlbook.model import Person
    from controlbook.timeline import Instant

FENCE = "```"


def seal(options: argparse.Namespace) -> Outcome:
    """Sign the sign-off files that a head proposes; print the review's text."""
    programme = Programme.open(options.root)
    person = acting(options, programme.library)
    files = _proposed(programme, options.rev, person)
    if options.key is None:
        return Outcome(
            text="\n".join(_commands(options.rev, sorted(files))),
            data={"schema": "controlbook/seal/1", "files": sorted(files)},
        )
    signatures = {
        path: _signed(content, options.key, person, now(options.as_of))
        for path, content in files.items()
    }
    body = review_text(signatures)
    return Outcome(
        text=body,
        data={"schema": "controlbook/seal/1", "files": sorted(files), "body": body},
    )


def review_text(signatures: Mapping[str, str]) -> str:
    """Write the text of a review that carries a signature for each file."""
    lines = ["Approved, and signed with my SSH key."]
    for path, armour in sorted(signatures.items()):
        lines += ["", f"`{path}`", f"{FENCE}text", armour.rstrip("\n"), FENCE]
    return "\n".join(lines)


def _proposed(programme: Programme, rev: str, person: Person) -> dict[str, bytes]:
    proposed = Programme(programme.repository, rev)
    found = {
        file.path: proposed.files[file.path]
        for file in proposed.library.signoffs
        if file.person == person.id
        and programme.files.get(file.path) != proposed.files[file.path]
    }
    if not found:
        message = f"it proposes no attestation or sign-off by {person.id}"
        raise ControlbookError(
            message, place=rev, advice="fetch the pull request, and name its head"
        )
    return found


def _commands(rev: str, paths: Sequence[str]) -> list[str]:
    """Say how to do the same with stock tools."""
    return [
        "# put what these print, each below the path of its file, into your review:",
        *(
            f"git show {shlex.quote(f'{rev}:{path}')}"
            f" | ssh-keygen -Y sign -n {ssh.SIGNOFF} -f KEY  # {path}"
            for path in paths
        ),
    ]


def _signed(content: bytes, key: Path, person: Person, at: Instant) -> str:
    armour = ssh.sign(content, key, ssh.SIGNOFF).decode("ascii")
    seen = ssh.judge(
        content,
        armour,
        signers=ssh.allowed_signers([person]),
        principal=person.id,
        namespace=ssh.SIGNOFF,
        at=at,
    )
    if seen.why:
        message = f"the signature would not count for {person.id}: {seen.why}"
        raise ControlbookError(
            message, place=str(key), advice="see ssh_keys in signoffs/people.yml"
        )
    return armour
