# SPDX-License-Identifier: Apache-2.0
"""`controlbook checkpoint`: how far the ledger reaches, signed and time-stamped.

Rules enforced here (trust.md 1.5 and 1.6):
- the vault first, Git last; what stands is never rewritten, only added to;
- key and authority come from the environment, what is trusted from the settings;
- what a policy requires is not left out: without key or authority nothing is written;
- a signature or a token that would not count is not kept.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from controlbook import ssh, stamps
from controlbook.checkpoints import (
    SIGNATURE,
    STAMP,
    checkpoint_bytes,
    checkpoint_problems,
    path_of,
    read_checkpoints,
    streams_of,
)
from controlbook.clock import now
from controlbook.digest import parse_canonical
from controlbook.errors import ControlbookError, Exit
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.retention import retained_until

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from controlbook.timeline import Instant

KEY, AUTHORITY = "CONTROLBOOK_SIGNING_KEY", "CONTROLBOOK_TSA_URL"


def checkpoint(options: argparse.Namespace) -> Outcome:
    """Write a checkpoint, or complete the last one, and say what can be pinned."""
    before = Programme.open(options.root)
    at = now(options.as_of)
    programme = write_checkpoint(recovered(before, at), at)
    if options.push:
        branch = programme.library.settings.branch
        programme.repository.publish("origin", branch)
    found = read_checkpoints(programme.files)
    last = found[-1]
    streams = streams_of(programme.ledger)
    heads = [
        f"  {stream}: {row['seq']} manifests, root {row['root']}"
        for stream, row in streams.items()
        if isinstance(row, dict)
    ]
    new = programme.commit != before.commit
    return Outcome(
        text="\n".join(
            [
                f"{'wrote' if new else 'nothing new since'} checkpoint {last.number}"
                f"{', signed' if last.signature else ''}"
                f"{', time-stamped' if last.stamp else ''}",
                *heads,
                "keep a root outside this repository: `verify --pin` holds it against"
                " every later bundle",
            ]
        ),
        data={
            "schema": "controlbook/checkpoint/1",
            "checkpoint": last.path,
            "number": last.number,
            "new": new,
            "signed": bool(last.signature),
            "stamped": bool(last.stamp),
            "streams": streams,
        },
    )


def recovered(programme: Programme, at: Instant) -> Programme:
    """Copy to Git the checkpoints that only the vault has, byte for byte."""
    vault = programme.vault
    found: dict[int, dict[str, bytes]] = {}
    for key in vault.keys("ledger/checkpoints/"):
        path = key.replace("ledger/", "evidence/", 1)
        if path not in programme.files:
            number = int(path.rsplit("/", 1)[-1].partition(".")[0])
            found.setdefault(number, {})[path] = vault.get(key)
    for number, files in sorted(found.items()):
        programme = _committed(programme, number, files, at)
    return programme


def _committed(
    programme: Programme, number: int, files: Mapping[str, bytes], at: Instant
) -> Programme:
    """Commit a checkpoint, in the same words whenever that is."""
    repository = programme.repository
    repository.write_and_commit(
        files,
        f"Write checkpoint {number} of the ledger\n",
        at=at,
        author=repository.configured_author(),
    )
    return Programme(repository)


def write_checkpoint(programme: Programme, at: Instant) -> Programme:
    """Commit heads and roots of all streams, unless the last checkpoint holds them."""
    for problem in checkpoint_problems(_beside(programme), programme.ledger):
        raise ControlbookError(
            problem, advice="the ledger was rewritten: see docs", code=Exit.INTEGRITY
        )
    found = read_checkpoints(programme.files)
    streams = streams_of(programme.ledger)
    number, files = len(found) + 1, dict[str, bytes]()
    content = checkpoint_bytes(
        programme.ledger, programme.library.settings.ledger, number
    )
    signed = stamped = False
    if found and _streams(found[-1].content) == streams:
        number, content = found[-1].number, found[-1].content
        signed, stamped = bool(found[-1].signature), bool(found[-1].stamp)
    else:
        files[path_of(number)] = content
    required = _required(programme)
    key, authority = os.environ.get(KEY, ""), os.environ.get(AUTHORITY, "")
    if not signed and _wanted(key, KEY, "ssh" in required):
        files[path_of(number) + SIGNATURE] = _signature(programme, content, Path(key))
    if not stamped and _wanted(authority, AUTHORITY, "rfc3161" in required):
        files[path_of(number) + STAMP] = _token(programme, content, authority)
    if not files:
        return programme
    for path, body in files.items():
        programme.vault.put(
            path.replace("evidence/", "ledger/", 1),
            body,
            role="checkpoint",
            retain_until=retained_until(programme.library, (), at),
        )
    return _committed(programme, number, files, at)


def _beside(programme: Programme) -> dict[str, bytes]:
    return {
        path: data
        for path, data in programme.files.items()
        if path.startswith("evidence/checkpoints/")
    }


def _streams(content: bytes) -> object:
    tree = parse_canonical(content)
    return tree.get("streams") if isinstance(tree, dict) else None


def _required(programme: Programme) -> frozenset[str]:
    """Name the proofs that any assessment's policy asks of checkpoints."""
    policies = (
        dict(assessment.policy) for assessment in programme.library.assessments.values()
    )
    return frozenset(
        part for each in policies for part in each.get("checkpoint", "none").split("+")
    ) | {"rfc3161" for each in policies if "L3" in each.values()}


def _wanted(value: str, name: str, required: object) -> bool:
    if required and not value:
        message = f"a policy asks for this proof of checkpoints, and ${name} is not set"
        raise ControlbookError(message, advice=f"set ${name}")
    return bool(value)


def _signature(programme: Programme, content: bytes, key: Path) -> bytes:
    signature = ssh.sign(content, key, ssh.CHECKPOINT)
    known = ssh.checkpoint_signers(programme.library.settings.checkpoint_keys)
    for moment in (ssh.EARLIEST, ssh.LATEST):
        seen = ssh.judge(
            content,
            signature.decode("ascii"),
            signers=known,
            principal=ssh.COLLECTOR,
            namespace=ssh.CHECKPOINT,
            at=moment,
        )
        if seen.why:
            message = "this key is not one of `checkpoint-keys`"
            raise ControlbookError(
                message, place=str(key), advice="add its public half to pyproject.toml"
            )
    return signature


def _token(programme: Programme, content: bytes, authority: str) -> bytes:
    token = stamps.fetch(authority, content)
    settings = programme.library.settings
    stamp = stamps.judge(token, content, settings.tsa_roots, policy=settings.tsa_policy)
    if stamp.why:
        raise ControlbookError(
            stamp.why,
            place=authority,
            advice="see `tsa-roots` and `tsa-policy` in pyproject.toml",
            code=Exit.INTEGRITY,
        )
    return token
