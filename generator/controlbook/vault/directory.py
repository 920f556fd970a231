# SPDX-License-Identifier: Apache-2.0
"""The vault as a folder: the embedded default, for trying out and for tests.

Rules enforced here:
- an object appears whole or not at all, and is never replaced (exclusive create);
- a folder that was there and is gone, or is another one now (a disk that is no longer
  mounted), is not made anew: that would split the evidence in two;
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

from . import (
    MAX_OBJECT,
    NotInVaultError,
    TakenError,
    VaultIntegrityError,
    VaultUnavailableError,
)

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
        self._was = _identity(root)

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
        self._refuse_another_folder()
        if not path.exists():
            _create(path, body)
            self._was = self._was or _identity(self.root)
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
            self._refuse_another_folder()
            raise NotInVaultError(key) from error
        if version_id and version_id != f"sha256:{sha256(body)}":
            message = "the file is not the version that was pinned"
            raise VaultIntegrityError(message, key)
        return body

    def keys(self, prefix: str) -> tuple[str, ...]:
        """List the keys below a prefix, sorted."""
        self._refuse_another_folder()
        top = self._path(prefix.rstrip("/"))
        return tuple(
            sorted(
                path.relative_to(self.root).as_posix()
                for path in top.rglob("*")
                if path.is_file() and not path.name.startswith(".")
            )
        )

    def expect(self) -> None:
        """Demand a folder that is there: something refers to what it holds."""
        self._refuse_a_file()
        if not self.root.is_dir():
            message = "the vault's folder is not there"
            advice = "mount or restore it, or set `vault` in pyproject.toml right"
            raise VaultUnavailableError(message, str(self.root), advice)

    def _refuse_a_file(self) -> None:
        there = (each for each in (self.root, *self.root.parents) if each.exists())
        nearest = next(there)
        if not nearest.is_dir():
            message = "the vault is to be a folder, and a file stands there"
            advice = "set `vault` in pyproject.toml to a folder, or to s3://BUCKET"
            raise VaultUnavailableError(message, str(nearest), advice)

    def _refuse_another_folder(self) -> None:
        if self._was and _identity(self.root) != self._was:
            message = "the vault's folder was moved away meanwhile"
            advice = "put it back and run it again"
            raise VaultUnavailableError(message, str(self.root), advice)
        self._refuse_a_file()

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            message = "not a key of a vault"
            raise VaultIntegrityError(message, key)
        return self.root / PurePosixPath(key.removeprefix(self._prefix))


def _identity(folder: Path) -> tuple[int, int] | None:
    """Tell one folder from another of its name; None where there is none."""
    try:
        found = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


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
    except OSError as error:
        error.filename = error.filename or str(path)  # a write does not tell it
        raise
    finally:
        Path(name).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
