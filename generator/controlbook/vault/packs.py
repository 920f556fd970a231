# SPDX-License-Identifier: Apache-2.0
"""Packs: many records as one immutable object.

Rules enforced here:
- records are lines (no LF inside), sorted by their bytes, each ended by LF;
- stored as one gzip member without name or time, at most 64 MiB, under its SHA-256;
- reading refuses a second member, trailing bytes, a cut stream and a bomb.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.digest import merkle_root, sha256
from controlbook.errors import ControlbookError, Exit

from . import MAX_OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from controlbook.model import StoredObject

MAX_CONTENT = 2 * 1024 * 1024 * 1024
"""No pack inflates to more than this."""

_GZIP = 31
"""zlib's name for one gzip member with a 32 KiB window."""
_CHUNK = 1 << 20


class PackError(ControlbookError):
    """The stored bytes are not one well-formed pack."""

    def __init__(self, message: str, place: str = "") -> None:
        """Say what is wrong with the bytes."""
        super().__init__(message, place=place, code=Exit.INTEGRITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The bytes to store, and what the manifest says of them."""

    body: bytes
    sha256: str
    suffix: str
    records: int
    content_sha256: str
    content_size: int
    records_root: str = ""

    def key(self, stream: str) -> str:
        """Give the pack's key in the vault: its own digest."""
        return f"packs/{stream}/{self.sha256}.{self.suffix}"


def pack(records: Iterable[bytes]) -> Pack:
    """Write records, in any order, as one pack."""
    lines = sorted(records)
    for line in lines:
        if b"\n" in line:
            message = "a record holds a line feed"
            raise PackError(message)
    content = b"".join(line + b"\n" for line in lines)
    squeeze = zlib.compressobj(level=6, wbits=_GZIP)
    body = squeeze.compress(content) + squeeze.flush()
    if len(body) > MAX_OBJECT:
        message = f"the pack has {len(body)} bytes, more than one PUT takes"
        raise PackError(message)
    return Pack(
        body=body,
        sha256=sha256(body),
        suffix="ndjson.gz",
        records=len(lines),
        content_sha256=sha256(content),
        content_size=len(content),
        records_root=merkle_root(lines),
    )


def verbatim(body: bytes, *, records: int, suffix: str = "json.gz") -> Pack:
    """Keep AWS's own gzip bytes as a source pack; count what they inflate to."""
    import hashlib  # noqa: PLC0415 - only this function streams a digest

    digest, size = hashlib.sha256(), 0
    for chunk in inflate(body):
        digest.update(chunk)
        size += len(chunk)
    return Pack(
        body=body,
        sha256=sha256(body),
        suffix=suffix,
        records=records,
        content_sha256=digest.hexdigest(),
        content_size=size,
    )


def unpack(
    body: bytes, stored: StoredObject | None = None, *, limit: int = MAX_CONTENT
) -> tuple[bytes, ...]:
    """Read the records of a pack; PackError for anything but one well-formed pack.

    With `stored`, what the manifest says of the pack must be true of it too.
    """
    place = stored.key if stored else ""
    content = b"".join(inflate(body, limit=limit, place=place))
    lines = content.split(b"\n")
    if lines.pop():
        message = "the last record has no end"
        raise PackError(message, place)
    if lines != sorted(lines):
        message = "the records are not in order"
        raise PackError(message, place)
    if stored:
        _compare(body, content, lines, stored)
    return tuple(lines)


def _compare(
    body: bytes, content: bytes, lines: list[bytes], stored: StoredObject
) -> None:
    found = {
        "sha256": sha256(body),
        "size": len(body),
        "records": len(lines),
        "content_sha256": sha256(content),
        "content_size": len(content),
        "records_root": merkle_root(lines),
    }
    for name, value in found.items():
        if getattr(stored, name) != value:
            message = f"{name} differs from what the manifest says"
            raise PackError(message, stored.key)


def inflate(
    body: bytes, *, limit: int = MAX_CONTENT, place: str = ""
) -> Iterator[bytes]:
    """Give the content of exactly one gzip member, piece by piece."""
    engine = zlib.decompressobj(wbits=_GZIP)
    pending, size = body, 0
    while not engine.eof:
        try:
            chunk = engine.decompress(pending, _CHUNK)
        except zlib.error as error:
            message = f"not gzip: {error}"
            raise PackError(message, place) from error
        pending = engine.unconsumed_tail
        size += len(chunk)
        if size > limit:
            message = f"inflates to more than {limit} bytes"
            raise PackError(message, place)
        if not chunk and not pending and not engine.eof:
            message = "the gzip stream is cut short"
            raise PackError(message, place)
        yield chunk
    if engine.unused_data or pending:
        message = "data after the single gzip member"
        raise PackError(message, place)
