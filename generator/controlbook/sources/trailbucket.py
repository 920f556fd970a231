# SPDX-License-Identifier: Apache-2.0
"""The trail's bucket: which digests there are, and the log files that they name.

Rules enforced here:
- folders are zero-padded, below the account or below the organization and the account;
  a place's digests are listed once, from the first window's day on;
- a digest is kept with the signature that only its metadata holds, a log file with the
  events that a query asked for: AWS's bytes, unchanged, so that they can be checked
  again without AWS;
- a key that is not built like AWS's is reported, not guessed at.
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from controlbook.digest import canonical
from controlbook.timeline import Instant, to_datetime

from . import SourceError
from .aws import endpoint_of
from .digests import Digest, DigestName, PublicKey, StoredDigest, name_of, read_digest
from .events import LogError, matching

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from controlbook.model import Event

    from . import Place
    from .aws import Conversation
    from .digests import LogFile
    from .events import Query

GONE = {"NoSuchKey", "404"}
"""What S3 answers where there is no such object: a finding, not a failure to read."""
AT_ONCE = 8
"""Digests that are read from S3 at a time; a loopback answers one caller faster."""


class TrailBucket:
    """The bucket that the organization's trail delivers to, for one gathering."""

    def __init__(
        self, talk: Conversation, name: str, prefix: str = "", at_once: int = 0
    ) -> None:
        """Use the bucket and prefix of the settings."""
        remote = endpoint_of(talk.aws.client("s3")) == "aws"
        self._at_once = at_once or (AT_ONCE if remote else 1)
        self.name = name
        self.notes: list[str] = []
        self._talk = talk
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._roots: tuple[str, ...] | None = None
        self._keys: dict[str, Mapping[str, PublicKey]] = {}
        self._digests: dict[str, Digest] = {}
        self._events: dict[str, tuple[Event, ...] | LogError] = {}
        self._bodies: dict[str, bytes] = {}
        """Lines for a source pack of the log files that held events, by key."""
        self.unread: dict[str, SourceError] = {}
        """Why files, by key, could not be had, though S3 does not say they are gone."""

    def roots(self) -> tuple[str, ...]:
        """Give the folders that hold accounts: AWSLogs/, and those of organizations."""
        if self._roots is None:
            base = f"{self._prefix}AWSLogs/"
            pages = self._talk.pages_of(
                "s3",
                "list_objects_v2",
                tokens=("NextContinuationToken", "ContinuationToken"),
                Bucket=self.name,
                Prefix=base,
                Delimiter="/",
            )
            folders = [
                row["Prefix"]
                for page in pages
                for row in page.get("CommonPrefixes", ())
            ]
            organizations = [f for f in folders if f.startswith(f"{base}o-")]
            own = [base] if len(organizations) < len(folders) else []
            self._roots = (*own, *organizations)
        return self._roots

    def digests(self, place: Place, start: Instant) -> tuple[DigestName, ...]:
        """List a place's digest files from the day of `start` on, by their end."""
        account, region = place
        found: list[DigestName] = []
        for root in self.roots():
            folder = f"{root}{account}/CloudTrail-Digest/{region}/"
            pages = self._talk.pages_of(
                "s3",
                "list_objects_v2",
                tokens=("NextContinuationToken", "ContinuationToken"),
                Bucket=self.name,
                Prefix=folder,
                StartAfter=f"{folder}{to_datetime(start):%Y/%m/%d}",
            )
            for page in pages:
                for row in page.get("Contents", ()):
                    name = name_of(row["Key"])
                    if name and (name.account, name.region) == place:
                        found.append(name)
                    else:
                        self.notes.append(f"not a digest file's key: {row['Key']}")
        return tuple(sorted(found))

    def public_keys(
        self, region: str, start: Instant, end: Instant
    ) -> Mapping[str, PublicKey]:
        """Ask for the Region's public keys of a span, by fingerprint."""
        if region not in self._keys:
            rows = self._talk.listing(
                "cloudtrail",
                "list_public_keys",
                "PublicKeyList",
                ("", region),
                StartTime=to_datetime(start),
                EndTime=to_datetime(end),
            )
            self._keys[region] = {
                row["Fingerprint"]: PublicKey(
                    region=region,
                    fingerprint=row["Fingerprint"],
                    value=row["Value"],
                )
                for row in rows
            }
        return self._keys[region]

    def read(
        self, names: Iterable[DigestName], keys: Mapping[str, PublicKey]
    ) -> tuple[Digest, ...]:
        """Read and check digest files; one that cannot be had counts for nothing."""
        names = tuple(names)
        fresh = [name for name in names if name.key not in self._digests]

        def one(name: DigestName) -> Digest:
            try:
                body, about = self._talk.read_object(self.name, name.key)
            except SourceError as error:
                self._not_read(name.key, error)
                gone = StoredDigest(name=name, bucket=self.name, body=b"", signature="")
                return Digest(stored=gone, fault=error.message)
            stored = StoredDigest(
                name=name,
                bucket=self.name,
                body=body,
                signature=about.get("signature", ""),
                backfilled=about.get("backfill-generation-timestamp", ""),
            )
            return read_digest(stored, keys)

        if self._at_once == 1:
            self._digests |= {name.key: one(name) for name in fresh}
        else:
            with ThreadPoolExecutor(self._at_once) as pool:
                self._digests |= {d.key: d for d in pool.map(one, fresh)}
        return tuple(self._digests[name.key] for name in names)

    def events(
        self, log: LogFile, place: Place, queries: Collection[Query]
    ) -> tuple[Event, ...]:
        """Read a log file's events that a query asks for; LogError if it is unsound."""
        found = self._events.get(log.key)
        if found is None:
            try:
                # A log file may lie in another bucket, where the trail was moved.
                body, _ = self._talk.read_object(log.bucket, log.key)
                found = matching(body, log.sha256, place, queries)
                if found:
                    self._bodies[log.key] = _kept(log.bucket, log.key, body)
            except SourceError as error:
                self._not_read(log.key, error)
                found = LogError(error.message)
            except LogError as error:
                found = error
            self._events[log.key] = found
        if isinstance(found, LogError):
            raise found
        return found

    def _not_read(self, key: str, error: SourceError) -> None:
        if error.answer not in GONE:
            self.unread[key] = error

    def log_line(self, key: str) -> bytes | None:
        """Give a log file that held events as a line of a source pack."""
        return self._bodies.get(key)


def digest_line(digest: Digest) -> bytes:
    """Give a digest file, with its signature, as a line of a source pack."""
    stored = digest.stored
    return _kept(
        stored.bucket,
        stored.name.key,
        stored.body,
        signature=stored.signature,
        backfilled=stored.backfilled,
    )


def _kept(bucket: str, key: str, body: bytes, **about: str) -> bytes:
    row = {"bucket": bucket, "key": key, **about}
    return canonical({**row, "body": base64.b64encode(body).decode()})
