# SPDX-License-Identifier: Apache-2.0
"""The store of immutable objects: one Protocol, one module per kind.

Rules enforced here:
- an object is created once: the same bytes again are fine, other bytes never;
- what was put is read back and compared before anything refers to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from controlbook.errors import ControlbookError, Exit

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.model import StoredObject
    from controlbook.timeline import Instant

MAX_OBJECT = 64 * 1024 * 1024
"""The largest object: one PUT, so that its checksum is the file's SHA-256."""


class Vault(Protocol):
    """A store that keeps what it is given, unchanged, until a given time."""

    kind: str
    """directory | s3"""

    def put(
        self, key: str, body: bytes, *, role: str, retain_until: Instant
    ) -> StoredObject:
        """Create the object and read it back; TakenError if other bytes hold the key.

        The same bytes again give the object that is there.
        """

    def get(self, key: str, version_id: str = "") -> bytes:
        """Read an object, at the version that was pinned if one is given."""

    def keys(self, prefix: str) -> tuple[str, ...]:
        """List the keys below a prefix, sorted."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a key, or one delete marker on it."""

    id: str
    at: Instant
    """When the store took it, by the store's own clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that ever stood under a key and is still there, oldest first."""

    versions: tuple[Version, ...]
    markers: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """What keeps one version from being deleted or replaced."""

    mode: str
    """COMPLIANCE | GOVERNANCE, or empty without a lock."""
    until: Instant
    encryption: str
    """As StoredObject has it."""


class VaultIntegrityError(ControlbookError):
    """The vault does not hold what it should."""

    def __init__(self, message: str, place: str, advice: str = "") -> None:
        """Say what differs, and under which key."""
        super().__init__(message, place=place, advice=advice, code=Exit.INTEGRITY)


class TakenError(VaultIntegrityError):
    """Other bytes stand under the key: somebody else was first."""


class NotInVaultError(ControlbookError):
    """The vault answers, and has no such object."""

    def __init__(self, place: str) -> None:
        """Name the key."""
        super().__init__("not in the vault", place=place, code=Exit.INTEGRITY)


class VaultUnavailableError(ControlbookError):
    """The vault does not answer, or refuses."""

    def __init__(self, message: str, place: str, advice: str = "") -> None:
        """Say what the vault answered."""
        super().__init__(message, place=place, advice=advice, code=Exit.UNAVAILABLE)


class UnreadableError(VaultUnavailableError):
    """The vault has the object and does not give it: no right, or no key."""


def prefix_of(url: str) -> str:
    """Give what the keys in a vault begin with: nothing in a folder."""
    if not url.startswith("s3://"):
        return ""
    path = url.removeprefix("s3://").partition("/")[2].strip("/")
    return f"{path}/" if path else ""


def open_vault(
    url: str, root: Path, *, profile: str = "", begun: bool = False
) -> Vault:
    """Open the settings' vault: `s3://bucket/prefix`, or a folder under `root`.

    Once evidence is `begun`, a folder that is not there is no new vault: it is missing.
    """
    if url.startswith("s3://"):
        from .s3 import S3Vault  # noqa: PLC0415 - boto3 takes long to load

        return S3Vault(url, profile=profile)
    from .directory import DirectoryVault  # noqa: PLC0415

    vault = DirectoryVault(root / url)
    if begun:
        vault.expect()
    return vault
