# SPDX-License-Identifier: Apache-2.0
"""Packs: many records as one immutable object.

Rules enforced here:
- records are lines (no LF inside), sorted by their bytes, each ended by LF;
- stored as one gzip member without name or time, at most 64 MiB, under its SHA-256;
- reading refuses a second member, trailing bytes, a cut stream and a bomb.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.digest import leaf_hash, root_of_hashes, sha256
from controlbook.errors import ControlbookError, Exit

from . import MAX_OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from controlbook.model import StoredObject

MAX_CONTENT = 2 * 1024 * 1024 * 1024
"""No pack inflates to more than this."""

_GZIP = 31
"""zlib's name for one gzip member with a 32 KiB window."""
_LEVEL = 3
"""zlib's: twice to three times as fast as its usual 6, for an eighth more bytes."""
_CHUNK = 1 << 20
_SLICE = 1 << 14
"""So many stored bytes are inflated at a time: many packs may be open together."""


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


class Packer:
    """Writes a pack line by line, so that its content need never be held whole."""

    def __init__(self) -> None:
        """Begin an empty pack."""
        self._squeeze = zlib.compressobj(level=_LEVEL, wbits=_GZIP)
        self._body: list[bytes] = []
        self._waiting: list[bytes] = []
        self._weight = 0
        self._content = hashlib.sha256()
        self._size = 0
        self._leaves: list[bytes] = []
        self._last = b""

    def add(self, line: bytes) -> None:
        """Write the next record; records come in the order of their bytes."""
        if b"\n" in line:
            message = "a record holds a line feed"
            raise PackError(message)
        if line < self._last:
            message = "the records are not in order"
            raise PackError(message)
        self._last = line
        self._leaves.append(leaf_hash(line))
        self._waiting.append(line)
        self._weight += len(line) + 1
        if self._weight >= _CHUNK:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            content = b"\n".join(self._waiting) + b"\n"
            self._content.update(content)
            self._size += len(content)
            self._body.append(self._squeeze.compress(content))
            self._waiting, self._weight = [], 0

    def finish(self) -> Pack:
        """End the pack."""
        self._write()
        self._body.append(self._squeeze.flush())
        body = b"".join(self._body)
        if len(body) > MAX_OBJECT:
            message = f"the pack has {len(body)} bytes, more than one PUT takes"
            raise PackError(message)
        return Pack(
            body=body,
            sha256=sha256(body),
            suffix="ndjson.gz",
            records=len(self._leaves),
            content_sha256=self._content.hexdigest(),
            content_size=self._size,
            records_root=root_of_hashes(self._leaves),
        )


def pack(records: Iterable[bytes]) -> Pack:
    """Write records, in any order, as one pack."""
    packer = Packer()
    for line in sorted(records):
        packer.add(line)
    return packer.finish()


def verbatim(body: bytes, *, records: int, suffix: str = "json.gz") -> Pack:
    """Keep AWS's own gzip bytes as a source pack; count what they inflate to."""
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
    return tuple(records_of(body, stored, limit=limit))


def records_of(
    body: bytes, stored: StoredObject | None = None, *, limit: int = MAX_CONTENT
) -> Iterator[bytes]:
    """Read the records of a pack one by one, as `unpack` does all at once.

    That the stored bytes are the manifest's is known before the first record, all else
    after the last.
    """
    place = stored.key if stored else ""
    if stored and sha256(body) != stored.sha256:
        # What is no pack at all says so, rather than that it is another one.
        for _ in inflate(body, limit=limit, place=place):
            pass
    if stored:
        _compare({"sha256": sha256(body), "size": len(body)}, stored)
    content, size, leaves = hashlib.sha256(), 0, list[bytes]()
    last = rest = b""
    for chunk in inflate(body, limit=limit, place=place):
        content.update(chunk)
        size += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line < last:
                message = "the records are not in order"
                raise PackError(message, place)
            last = line
            if stored:
                leaves.append(leaf_hash(line))
            yield line
    if rest:
        message = "the last record has no end"
        raise PackError(message, place)
    if stored:
        found: dict[str, str | int] = {
            "records": len(leaves),
            "content_sha256": content.hexdigest(),
            "content_size": size,
            "records_root": root_of_hashes(leaves),
        }
        _compare(found, stored)


def _compare(found: dict[str, str | int], stored: StoredObject) -> None:
    for name, value in found.items():
        if getattr(stored, name) != value:
            message = f"{name} differs from what the manifest says"
            raise PackError(message, stored.key)


def inflate(
    body: bytes, *, limit: int = MAX_CONTENT, place: str = ""
) -> Iterator[bytes]:
    """Give the content of exactly one gzip member, piece by piece."""
    engine = zlib.decompressobj(wbits=_GZIP)
    pending, size, rest = b"", 0, memoryview(body)
    while not engine.eof:
        if not pending:
            # A little at a time: what is not yet inflated is copied with every step.
            pending, rest = bytes(rest[:_SLICE]), rest[_SLICE:]
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
        if not chunk and not pending and not rest and not engine.eof:
            message = "the gzip stream is cut short"
            raise PackError(message, place)
        yield chunk
    if engine.unused_data or pending or rest:
        message = "data after the single gzip member"
        raise PackError(message, place)
