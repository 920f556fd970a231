# SPDX-License-Identifier: Apache-2.0
"""The vault as a bucket with S3 Object Lock.

Rules enforced here:
- every PUT carries `If-None-Match: *`, a SHA-256 that S3 checks, COMPLIANCE mode and a
  retain-until date; an answer without a version id fails before anything refers to it;
- 412 means that the key exists: the same bytes, locked at least as long, are fine (a
  shorter lock is extended, never the other way); 409 repeats the same PUT;
- what was put is read back by version id: bytes, mode and date.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from controlbook.model import StoredObject
from controlbook.timeline import SECOND, Instant, from_datetime, iso, to_datetime

from . import (
    MAX_OBJECT,
    NotInVaultError,
    TakenError,
    VaultIntegrityError,
    VaultUnavailableError,
)

if TYPE_CHECKING:
    from datetime import datetime

MODE = "COMPLIANCE"
ATTEMPTS = 4
"""How often a PUT that S3 answers with 409 is repeated."""

_MISSING = {"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404", "NotFound"}


class S3Vault:
    """A prefix of a bucket with Object Lock; the evidence account's own bucket."""

    kind = "s3"

    def __init__(self, url: str, client: Any = None) -> None:  # noqa: ANN401 - boto3 has no types
        """Use `s3://bucket/prefix`, with boto3's own chain of credentials."""
        parts = urlsplit(url)
        self.bucket = parts.netloc
        self.prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
        self._client = client or boto3.client("s3")

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
        mode, locked = self._read_back(key, version, body)
        if mode != MODE or locked < until:
            message = f"the lock is {mode or 'none'} until {locked}, not {MODE} {until}"
            advice = "check the bucket's Object Lock; nothing was recorded"
            raise VaultIntegrityError(message, self._place(key), advice)
        return StoredObject(
            role=role,
            bucket=self.bucket,
            key=self._full(key),
            version_id=version,
            sha256=digest.hexdigest(),
            size=len(body),
            lock_mode=mode,
            lock_until=iso(from_datetime(locked)),
        )

    def get(self, key: str, version_id: str = "") -> bytes:
        """Read an object, at the version that was pinned if one is given."""
        body: bytes = self._get(key, version_id)["Body"].read()
        return body

    def keys(self, prefix: str) -> tuple[str, ...]:
        """List the keys below a prefix, sorted."""
        found: list[str] = []
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            for page in pages:
                found.extend(row["Key"] for row in page.get("Contents", ()))
        except (ClientError, BotoCoreError) as error:
            raise VaultUnavailableError(str(error), self._place(prefix)) from error
        return tuple(sorted(key.removeprefix(self.prefix) for key in found))

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
                raise VaultUnavailableError(str(error), self._place(key)) from error
            except BotoCoreError as error:
                raise VaultUnavailableError(str(error), self._place(key)) from error
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
        name = {"Bucket": self.bucket, "Key": self._full(key)}
        try:
            head = self._client.head_object(**name, ChecksumMode="ENABLED")
            version: str = head.get("VersionId", "")
            if head.get("ChecksumSHA256") != checksum:
                message = "other bytes stand under this key"
                raise TakenError(message, self._place(key))
            if head.get("ObjectLockRetainUntilDate", until) < until:
                self._client.put_object_retention(
                    **name,
                    VersionId=version,
                    Retention={"Mode": MODE, "RetainUntilDate": until},
                    ChecksumAlgorithm="SHA256",
                )
        except (ClientError, BotoCoreError) as error:
            raise VaultUnavailableError(str(error), self._place(key)) from error
        return version

    def _read_back(self, key: str, version: str, body: bytes) -> tuple[str, datetime]:
        answer = self._get(key, version)
        if answer["Body"].read() != body:
            message = "what was put does not read back"
            raise VaultIntegrityError(message, self._place(key))
        return (
            answer.get("ObjectLockMode", ""),
            answer.get("ObjectLockRetainUntilDate", to_datetime(Instant(0))),
        )

    def _get(self, key: str, version: str) -> Any:  # noqa: ANN401 - boto3 has no types
        name = {"Bucket": self.bucket, "Key": self._full(key)}
        if version:
            name["VersionId"] = version
        try:
            return self._client.get_object(**name)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise NotInVaultError(self._place(key)) from error
            raise VaultUnavailableError(str(error), self._place(key)) from error
        except BotoCoreError as error:
            raise VaultUnavailableError(str(error), self._place(key)) from error
