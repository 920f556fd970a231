# SPDX-License-Identifier: Apache-2.0
"""The vault as a bucket with S3 Object Lock.

Rules enforced here:
- every PUT carries `If-None-Match: *`, a SHA-256 that S3 checks, COMPLIANCE mode and a
  retain-until date; an answer without a version id fails before anything refers to it;
- 412 means that the key exists: the same bytes, locked at least as long, are fine (a
  shorter lock is extended, never the other way); 409 repeats the same PUT;
- what was put is read back by version id: bytes, mode, date and encryption;
- a key stands for its *first* version: whoever may write can put a newer one on top, or
  a delete marker, and neither changes what is read or which numbers are taken.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from controlbook.errors import ControlbookError
from controlbook.model import StoredObject
from controlbook.timeline import SECOND, Instant, from_datetime, iso, to_datetime

from . import (
    MAX_OBJECT,
    History,
    Lock,
    NotInVaultError,
    TakenError,
    UnreadableError,
    VaultIntegrityError,
    VaultUnavailableError,
    Version,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

MODE = "COMPLIANCE"
ATTEMPTS = 4
"""How often a PUT that S3 answers with 409 is repeated."""

_MISSING = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_UNLOCKED = {"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"}
_REFUSED = 403
_NUMBERED = "ledger/"
"""Below it a key is a number, not a digest: two that race want the same one."""


class S3Vault:
    """A prefix of a bucket with Object Lock; the evidence account's own bucket."""

    kind = "s3"

    def __init__(self, url: str, client: Any = None, *, profile: str = "") -> None:  # noqa: ANN401 - boto3 has no types
        """Use `s3://bucket/prefix`, with boto3's own chain, or a profile of it."""
        self.url = url
        parts = urlsplit(url)
        self.bucket = parts.netloc
        self.prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
        self._client = client or _client(profile)

    def put(
        self, key: str, body: bytes, *, role: str, retain_until: Instant
    ) -> StoredObject:
        """Create a locked object and read it back; TakenError if other bytes stand."""
        if len(body) > MAX_OBJECT:
            message = f"{len(body)} bytes are more than one PUT takes"
            raise VaultIntegrityError(message, key)
        # S3 keeps whole seconds: round up, so that the lock is never short.
        until = to_datetime(Instant(-(-retain_until // SECOND) * SECOND))
        digest = hashlib.sha256(body)
        checksum = base64.b64encode(digest.digest()).decode()
        version = self._create(key, body, checksum, until)
        if not version:
            version = self._existing(key, checksum, until)
        elif key.startswith(_NUMBERED):
            self._refuse_second(key, version)
        answer, found = self._read(key, version)
        if found != body:
            message = "what was put does not read back"
            raise VaultIntegrityError(message, self._place(key))
        lock = _lock(answer)
        if lock.mode != MODE or to_datetime(lock.until) < until:
            message = (
                f"the lock is {lock.mode or 'none'} until {iso(lock.until)}, not {MODE}"
                f" until {iso(from_datetime(until))}"
            )
            advice = "check the bucket's Object Lock; nothing was recorded"
            raise VaultIntegrityError(message, self._place(key), advice)
        return StoredObject(
            role=role,
            bucket=self.bucket,
            key=self._full(key),
            version_id=version,
            sha256=digest.hexdigest(),
            size=len(body),
            lock_mode=lock.mode,
            lock_until=iso(lock.until),
            encryption=lock.encryption,
        )

    def get(self, key: str, version_id: str = "") -> bytes:
        """Read an object: the version that was pinned, or else the first one."""
        return self._read(key, version_id or self._first(key))[1]

    def keys(self, prefix: str) -> tuple[str, ...]:
        """List the keys below a prefix, sorted, those under a delete marker too."""
        return tuple(
            sorted(key for key, found in self.history(prefix).items() if found.versions)
        )

    # --- what only a store with versions and locks can tell ---

    def history(self, prefix: str) -> dict[str, History]:
        """Give every version and delete marker of the keys below a prefix."""
        versions: dict[str, list[Version]] = {}
        markers: dict[str, list[Version]] = {}
        for page in self._pages(prefix):
            for rows, found in (
                (page.get("Versions", ()), versions),
                (page.get("DeleteMarkers", ()), markers),
            ):
                for row in rows:
                    key = row["Key"].removeprefix(self.prefix)
                    at = from_datetime(row["LastModified"])
                    found.setdefault(key, []).append(Version(row["VersionId"], at))
        # S3 lists the newest first.
        return {
            key: History(
                versions=tuple(reversed(versions.get(key, ()))),
                markers=tuple(reversed(markers.get(key, ()))),
            )
            for key in sorted(versions.keys() | markers.keys())
        }

    def examine(self, key: str, version_id: str) -> tuple[bytes, Lock]:
        """Read one version and the lock that holds it."""
        answer, body = self._read(key, version_id)
        if "ObjectLockMode" in answer:
            return body, _lock(answer)
        # S3 leaves the lock out also where the reader may not see it: ask for it.
        held = self.lock(key, version_id)
        return body, Lock(held.mode, held.until, _encryption(answer))

    def lock(self, key: str, version_id: str) -> Lock:
        """Give the lock of one version, without reading its bytes."""
        try:
            answer = self._client.get_object_retention(
                Bucket=self.bucket, Key=self._full(key), VersionId=version_id
            )
        except ClientError as error:
            if _code(error) in _UNLOCKED:
                return Lock("", Instant(0), "")
            raise self._refusal(error, key) from error
        except BotoCoreError as error:
            raise self._unavailable(error, key) from error
        held = answer["Retention"]
        return Lock(held["Mode"], from_datetime(held["RetainUntilDate"]), "")

    def extend(self, key: str, version_id: str, until: Instant) -> None:
        """Lock one version for longer; S3 refuses to make it shorter."""
        self._extend(key, version_id, to_datetime(until))

    # --- talking to S3 ---

    def _full(self, key: str) -> str:
        # References hold the whole key, so that S3's own tools find the object.
        return key if key.startswith(self.prefix) else self.prefix + key

    def _place(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._full(key)}"

    def _create(self, key: str, body: bytes, checksum: str, until: datetime) -> str:
        """PUT the object; give its version id, or "" where the key exists."""
        for _ in range(ATTEMPTS):
            try:
                answer = self._client.put_object(
                    Bucket=self.bucket,
                    Key=self._full(key),
                    Body=body,
                    IfNoneMatch="*",
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                    ObjectLockMode=MODE,
                    ObjectLockRetainUntilDate=until,
                )
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status == 412:  # noqa: PLR2004 - Precondition Failed
                    return ""
                if status == 409:  # noqa: PLR2004 - ConditionalRequestConflict
                    continue
                raise self._refusal(error, key) from error
            except BotoCoreError as error:
                raise self._unavailable(error, key) from error
            version: str = answer.get("VersionId", "")
            if version in ("", "null"):
                message = "the PUT was answered without a version id"
                advice = "enable versioning and Object Lock on the bucket"
                raise VaultIntegrityError(message, self._place(key), advice)
            return version
        message = f"the PUT met another one {ATTEMPTS} times"
        raise VaultUnavailableError(message, self._place(key), "try again")

    def _existing(self, key: str, checksum: str, until: datetime) -> str:
        """Give the version under a key that exists; its bytes and lock must do."""
        first = self._first(key)
        name = {"Bucket": self.bucket, "Key": self._full(key), "VersionId": first}
        head = self._call(
            lambda: self._client.head_object(**name, ChecksumMode="ENABLED"), key
        )
        if head.get("ChecksumSHA256") != checksum:
            message = "other bytes stand under this key"
            raise TakenError(message, self._place(key))
        if head.get("ObjectLockRetainUntilDate", until) < until:
            self._extend(key, first, until)
        return first

    def _refuse_second(self, key: str, version: str) -> None:
        """Refuse a number that was taken before, and hidden by a delete marker."""
        if self._first(key) != version:
            message = "another version stood under this key before"
            raise TakenError(message, self._place(key))

    def _extend(self, key: str, version: str, until: datetime) -> None:
        self._call(
            lambda: self._client.put_object_retention(
                Bucket=self.bucket,
                Key=self._full(key),
                VersionId=version,
                Retention={"Mode": MODE, "RetainUntilDate": until},
                ChecksumAlgorithm="SHA256",
            ),
            key,
        )

    def _first(self, key: str) -> str:
        """Name the oldest version of a key."""
        own = self._full(key).removeprefix(self.prefix)
        found = self.history(own).get(own)
        if found is None or not found.versions:
            raise NotInVaultError(self._place(key))
        return found.versions[0].id

    def _pages(self, prefix: str) -> Iterator[Any]:  # boto3 has no types
        try:
            pages = self._client.get_paginator("list_object_versions")
            yield from pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix)
        except ClientError as error:
            raise self._refusal(error, prefix) from error
        except BotoCoreError as error:
            raise self._unavailable(error, prefix) from error

    def _read(self, key: str, version: str) -> tuple[Any, bytes]:  # the same
        name = {"Bucket": self.bucket, "Key": self._full(key), "VersionId": version}

        def read() -> tuple[Any, bytes]:
            answer = self._client.get_object(**name, ChecksumMode="ENABLED")
            return answer, answer["Body"].read()

        found: tuple[Any, bytes] = self._call(read, key)
        return found

    def _call(self, act: Callable[[], Any], key: str) -> Any:  # noqa: ANN401 - the same
        try:
            return act()
        except ClientError as error:
            raise self._refusal(error, key) from error
        except BotoCoreError as error:
            raise self._unavailable(error, key) from error

    def _refusal(self, error: ClientError, key: str) -> ControlbookError:
        """Tell gone, unreadable and unavailable apart."""
        code = _code(error)
        if code in _MISSING:
            return NotInVaultError(self._place(key))
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == _REFUSED or code.startswith("KMS"):
            advice = "check the role's rights, the bucket's policy and its key"
            return UnreadableError(str(error), self._place(key), advice)
        return VaultUnavailableError(str(error), self._place(key))

    def _unavailable(self, error: BotoCoreError, key: str) -> VaultUnavailableError:
        return VaultUnavailableError(str(error), self._place(key))


def _client(profile: str) -> Any:  # noqa: ANN401 - boto3 has no types
    try:
        session = boto3.Session(profile_name=profile or None)
    except ProfileNotFound as error:
        raise ControlbookError(
            str(error),
            place="pyproject.toml: vault-profile",
            advice="add it to ~/.aws/config, or remove the setting",
        ) from error
    return session.client("s3")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _lock(answer: Any) -> Lock:  # noqa: ANN401 - boto3 has no types
    until = answer.get("ObjectLockRetainUntilDate")
    return Lock(
        answer.get("ObjectLockMode", ""),
        from_datetime(until) if until else Instant(0),
        _encryption(answer),
    )


def _encryption(answer: Any) -> str:  # noqa: ANN401 - boto3 has no types
    kind, key = answer.get("ServerSideEncryption", ""), answer.get("SSEKMSKeyId", "")
    return f"{kind} {key}".strip()
