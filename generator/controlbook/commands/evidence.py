# SPDX-License-Identifier: Apache-2.0
"""`controlbook evidence add`: a document into the vault, its record into Git.

Rules enforced here:
- a document is stored once, by its digest, and is never opened or unpacked;
- its kind is one of a short list, by extension and by its first bytes (T79);
- period covered, received and expiry are three different dates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.clock import now
from controlbook.digest import sha256
from controlbook.errors import ControlbookError
from controlbook.people import deliver
from controlbook.programme import Programme
from controlbook.reading import id_flaw
from controlbook.retention import retained_until
from controlbook.timeline import iso
from controlbook.vault.documents import store
from controlbook.yamlwriter import quoted

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from controlbook.model import StoredObject
    from controlbook.outcome import Outcome
    from controlbook.timeline import Instant


def evidence(options: argparse.Namespace) -> Outcome:
    """Store the document and write, or propose, evidence/manual/<id>.yml."""
    programme = Programme.open(options.root)
    flaw = id_flaw(options.document)
    if flaw:
        raise ControlbookError(flaw, place="--id")
    known = programme.library.people.keys() | programme.library.teams.keys()
    if options.owner not in known:
        message = f"people.yml has no {options.owner!r}"
        raise ControlbookError(message, place="--owner")
    start, end = now(options.start), now(options.end)
    if start >= end:
        message = "the period that it covers ends before it starts"
        raise ControlbookError(message, place="--until")
    content = _read(options.file)
    stored = store(
        programme.vault,
        options.file.name,
        content,
        retain_until=retained_until(programme.library, (), end),
    )
    received = now(options.received or options.as_of)
    expires = now(options.expires) if options.expires else end
    body = _record(options, content, stored, (start, end), received, expires)
    path = f"evidence/manual/{options.document}.yml"
    return deliver(
        options,
        programme,
        {path: body.encode()},
        branch=f"evidence/{options.document}",
        title=f"Evidence: {options.title}",
        body=f"{options.file.name}, SHA-256 `{sha256(content)}`, covers "
        f"{iso(start)} to {iso(end)}.",
        schema="controlbook/evidence/1",
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        message = error.strerror or str(error)
        raise ControlbookError(message, place=str(file)) from error


def _record(
    options: argparse.Namespace,
    content: bytes,
    stored: StoredObject,
    period: tuple[Instant, Instant],
    received: Instant,
    expires: Instant,
) -> str:
    start, end = period
    fields = {
        "id": quoted(options.document),
        "title": quoted(options.title),
        "owner": quoted(options.owner),
        "version": quoted(options.edition) if options.edition else "",
        "period": f"{{start: {quoted(iso(start))}, end: {quoted(iso(end))}}}",
        "received": quoted(iso(received)),
        "expires": quoted(iso(expires)),
        "file": quoted(options.file.name),
        "content_sha256": quoted(sha256(content)),
        "size": quoted(str(len(content))),
    }
    where = {
        "bucket": stored.bucket,
        "key": stored.key,
        "version_id": stored.version_id,
        "sha256": stored.sha256,
        "size": str(stored.size),
        "lock_mode": stored.lock_mode,
        "lock_until": stored.lock_until,
        "encryption": stored.encryption,
    }
    lines = [f"{key}: {value}" for key, value in fields.items() if value]
    lines.append("object:")
    lines.extend(f"  {key}: {quoted(value)}" for key, value in where.items() if value)
    return "\n".join(lines) + "\n"
