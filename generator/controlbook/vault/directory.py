# SPDX-License-Identifier: Apache-2.0
"""The vault as a folder: the embedded default, for trying out and for tests.

Rules enforced here:
- an object appears whole or not at all, and is never replaced (exclusive create);
- nothing here is locked, and says so: lock mode `none`, and the version id is the
  content's digest, so that a reference still pins the bytes.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from controlbook.digest import sha256
from controlbook.model import StoredObject

from . import MAX_OBJECT, NotInVaultError, TakenError, VaultIntegrityError

if TYPE_CHECKING:
    from controlbook.timeline import Instant

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")


BUCKET = "directory"
"""Stands where S3 has a bucket's name; a folder's own path would differ by machine."""


class DirectoryVault:
    """A folder in which every file is created once and never changed."""

    kind = "directory"

    def __init__(self, root: Path, prefix: str = "") -> None:
        """Use the folder, which need not exist yet.

        `prefix` begins the keys of a bucket whose objects were copied without it.
        """
        self.root = root
        self._prefix = prefix

    def put(
        self,
        key: str,
        body: bytes,
        *,
        role: str,
        retain_until: Instant,  # noqa: ARG002 - a folder cannot promise it
    ) -> StoredObject:
        """Create the file and read it back; TakenError if other bytes are there."""
        path = self._path(key)
        if len(body) > MAX_OBJECT:
            message = f"{len(body)} bytes are more than one object takes"
            raise VaultIntegrityError(message, key)
        if not path.exists():
            _create(path, body)
        found = path.read_bytes()
        if found != body:
            message = "other bytes stand under this key"
            raise TakenError(message, key)
        digest = sha256(body)
        return StoredObject(
            role=role,
            bucket=BUCKET,
            key=key,
            version_id=f"sha256:{digest}",
            sha256=digest,
            size=len(body),
            lock_mode="none",
            lock_until="",
        )

    def get(self, key: str, version_id: str = "") -> bytes:
        """Read the file; its bytes must still be those of the pinned version."""
        try:
            body = self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotInVaultError(key) from error
        if version_id and version_id != f"sha256:{sha256(body)}":
            message = "the file is not the version that was pinned"
            raise VaultIntegrityError(message, key)
        return body

    def keys(self, prefix: str) -> tuple[str, ...]:
        """List the keys below a prefix, sorted."""
        top = self._path(prefix.rstrip("/"))
        return tuple(
            sorted(
                path.relative_to(self.root).as_posix()
                for path in top.rglob("*")
                if path.is_file() and not path.name.startswith(".")
            )
        )

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            message = "not a key of a vault"
            raise VaultIntegrityError(message, key)
        return self.root / PurePosixPath(key.removeprefix(self._prefix))


def _create(path: Path, body: bytes) -> None:
    """Write a temporary file and link it into place: whole, and only once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".put-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o444)
        try:
            os.link(name, path)
        except FileExistsError:
            return
    finally:
        Path(name).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
