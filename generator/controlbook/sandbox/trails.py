# SPDX-License-Identifier: Apache-2.0
"""An organization trail: log files, hourly digests with real signatures, and keys.

Rules enforced here:
- every member's every trail Region has a digest each hour, also one without log files;
  folders are zero-padded, the end of an hour lies some minutes after the full one;
- IAM's events are recorded in us-east-1, whatever Regions people work in;
- signatures are RSA with SHA-256 over AWS's string to sign, chained by hash and
  signature; the key is made once per process from a fixed seed, so that the bytes are
  the same in every run;
- trouble takes files away, changes them or spoils a signature, as an intruder would.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import uuid
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controlbook.timeline import HOUR, MINUTE, Instant, Interval, iso, to_datetime

from .items import compact
from .world import TrailEvent, token_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .trouble import DigestTrouble, Trouble
    from .world import World

    Place = tuple[str, str]

TRAIL = "org-trail"
HOME = "us-east-1"
"""Where IAM, CloudFront and their like are recorded."""
LAG = 5 * MINUTE
"""An event reaches its log file so long after it happened."""
PUBLISHED = 4 * MINUTE
"""A digest reaches the bucket so long after the hour that it covers."""
BACKFILLED = 5 * HOUR
"""A late digest reaches the bucket so long after the hour that it covers."""
BITS = 2048
SPOILT = "00" * (BITS // 8)


@dataclass(frozen=True)
class TrailFile:
    """An object of the trail bucket, from the instant it was delivered."""

    key: str
    delivered: Instant
    body: bytes = field(repr=False)
    metadata: tuple[tuple[str, str], ...] = ()
    """x-amz-meta-…: a digest's signature stands only here."""

    @cached_property
    def etag(self) -> str:
        """The MD5 that S3 shows as entity tag."""
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()


@cache
def signing_key(seed: str) -> rsa.RSAPrivateKey:
    """Make the trail's key from a seed: the same primes in every process."""
    p, q = _prime(f"{seed}/p"), _prime(f"{seed}/q")
    modulus, exponent = p * q, 65537
    d = pow(exponent, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(exponent, modulus)
    return rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public
    ).private_key()


def _prime(seed: str) -> int:
    """Find the first probable prime at or after a number made from the seed."""
    half = BITS // 2
    made = b"".join(
        hashlib.sha256(f"{seed}/{index}".encode()).digest()
        for index in range(half // 256)
    )
    number = int.from_bytes(made) | (3 << (half - 2)) | 1
    while not _probably_prime(number) or (number - 1) % 65537 == 0:
        number += 2
    return number


_SMALL = tuple(n for n in range(3, 2000, 2) if all(n % m for m in range(3, n, 2)))


def _probably_prime(number: int) -> bool:
    if any(number % small == 0 for small in _SMALL):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    # Fixed bases: the candidates are our own, nobody chose them against us.
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        power = pow(base, odd, number)
        if power in {1, number - 1}:
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailKey:
    """A public key as ListPublicKeys gives it."""

    value: bytes
    fingerprint: str


@cache
def public_key(region: str) -> TrailKey:
    """Give the Region's public key: PKCS#1 DER, and its MD5 as fingerprint."""
    value = (
        signing_key(region).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    )
    return TrailKey(
        value=value,
        fingerprint=hashlib.md5(value, usedforsecurity=False).hexdigest(),
    )


def minute_of(account: str, region: str) -> int:
    """Give how long after the full hour a place's digests end: 1 to 29 minutes."""
    return (
        1 + hashlib.sha256(f"{account}/{region}".encode()).digest()[0] % 29
    ) * MINUTE


def record_of(event: TrailEvent) -> dict[str, Any]:
    """Write one event as CloudTrail records it."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"AROASANDBOX:{event.actor}",
            "arn": (
                f"arn:aws:sts::{event.account}:assumed-role/{event.role}/{event.actor}"
            ),
            "accountId": event.account,
        },
        "eventTime": iso(event.at),
        "eventSource": event.source,
        "eventName": event.name,
        "awsRegion": event.region,
        "sourceIPAddress": "192.0.2.17",
        "userAgent": "aws-cli/2.22.0",
        "requestParameters": dict(event.parameters) or None,
        "responseElements": None,
        "requestID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"request/{event.id}")),
        "eventID": event.id,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": event.account,
        "eventCategory": "Management",
    }


def rule_events(world: World) -> Iterator[TrailEvent]:
    """Give the calls that deployed, changed and removed Config's rules."""
    for rule in world.rules:
        for at, name in (
            (rule.created, "PutConfigRule"),
            (rule.deleted, "DeleteConfigRule"),
        ):
            if at is not None:
                yield TrailEvent(
                    at=at,
                    account=rule.account,
                    region=rule.region,
                    source="config.amazonaws.com",
                    name=name,
                    actor="config-deployer",
                    parameters=(("configRuleName", rule.name),),
                )


class Trail:
    """The organization's trail bucket as a function of time."""

    def __init__(self, world: World, trouble: Trouble) -> None:
        """Remember the world; files are made when they are first asked for."""
        self.name = world.trail_bucket
        self.world = world
        self.events = (*world.events, *rule_events(world))
        self._root = f"AWSLogs/{world.organization_id}/"
        self._trouble = trouble
        self._shelves: dict[Place, _Shelf] = {}
        self._lock = threading.Lock()

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions that the trail records: the world's, and the global services'."""
        return tuple(sorted({*self.world.regions, HOME}))

    def find(self, key: str, now: Instant) -> TrailFile | None:
        """Give an object that has been delivered by now, or None."""
        for place in self._places(key):
            file = self._shelf(place, now).files.get(key)
            if file and file.delivered <= now:
                return file
        return None

    def list(self, prefix: str, after: str, now: Instant) -> Iterable[TrailFile]:
        """Give the delivered objects below a prefix, after a key, in key order."""
        for folder, place in self._folders:
            inside = folder.startswith(prefix) or prefix.startswith(folder)
            if not inside or (after > folder and not after.startswith(folder)):
                continue
            shelf = self._shelf(place, now)
            start = max(bisect_left(shelf.keys, max(prefix, folder)), 0)
            start = max(start, bisect_right(shelf.keys, after))
            for key in shelf.keys[start:]:
                if not key.startswith(max(prefix, folder, key=len)):
                    break
                if shelf.files[key].delivered <= now:
                    yield shelf.files[key]

    def _places(self, key: str) -> Iterator[Place]:
        for folder, place in self._folders:
            if key.startswith(folder):
                yield place

    @cached_property
    def _folders(self) -> tuple[tuple[str, Place], ...]:
        """Give every folder of files, in key order, with the place it is of."""
        if not self.name:
            return ()
        return tuple(
            sorted(
                (f"{self._folder(account.id)}{kind}/{region}/", (account.id, region))
                for account in self.world.accounts
                for region in self.regions
                for kind in ("CloudTrail", "CloudTrail-Digest")
            )
        )

    def _folder(self, account: str) -> str:
        return f"{self._root}{account}/"

    def _shelf(self, place: Place, now: Instant) -> _Shelf:
        with self._lock:
            shelf = self._shelves.get(place)
            if shelf is None:
                troubles = tuple(
                    each
                    for each in self._trouble.digests
                    if (each.account, each.region) == place
                )
                shelf = _Shelf(self, place, self._folder(place[0]), troubles)
                self._shelves[place] = shelf
            shelf.fill(now)
        return shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """What a digest says of the one before it."""

    key: str
    sha256: str
    signature: str


class _Shelf:
    """The files of one account x Region, made up to some instant."""

    def __init__(
        self,
        trail: Trail,
        place: Place,
        folder: str,
        troubles: tuple[DigestTrouble, ...],
    ) -> None:
        self.files: dict[str, TrailFile] = {}
        self.keys: list[str] = []
        self._trail = trail
        self._place = place
        self._folder = folder
        self._troubles = troubles
        self._link: _Link | None = None
        self._late: _Link | None = None
        since = trail.world.trail_since
        self._next = Instant(since - since % HOUR + minute_of(*place))
        self._events = sorted(
            event for event in trail.events if (event.account, event.region) == place
        )

    def fill(self, now: Instant) -> None:
        """Make what has been delivered by an instant and was not made yet."""
        before = len(self.files)
        while self._next + HOUR + PUBLISHED <= now:
            self._hour(Interval(self._next, Instant(self._next + HOUR)))
            self._next = Instant(self._next + HOUR)
        if len(self.files) != before:
            self.keys = sorted(self.files)

    def _hour(self, hour: Interval) -> None:
        logs = list(self._logs(hour))
        kinds = {each.kind for each in self._troubles if each.touches(hour)}
        for key, delivered, content in logs:
            shown = content.replace(b'"eventName"', b'"eventname"', 1)
            body = shown if "changed-log" in kinds else content
            if "lost-log" not in kinds:
                self._add(TrailFile(key, delivered, _zipped(body)))
        if kinds & {"missing", "off"}:
            if "missing" in kinds:
                self._digest(hour, logs, kinds, shown=False)
            else:
                self._link = None
            return
        if "restart" in kinds:
            self._link = None
        self._digest(hour, logs, kinds, shown=True)

    def _logs(self, hour: Interval) -> Iterator[tuple[str, Instant, bytes]]:
        batches: dict[Instant, list[TrailEvent]] = {}
        for event in self._events:
            arrives = event.at + event.late + LAG
            tick = Instant(arrives - arrives % LAG)
            if hour.contains(tick):
                batches.setdefault(tick, []).append(event)
        account, region = self._place
        for tick, events in sorted(batches.items()):
            at = to_datetime(tick)
            unique = token_of(account, region, iso(tick), length=16)
            key = (
                f"{self._folder}CloudTrail/{region}/{at:%Y/%m/%d}/"
                f"{account}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_{unique}.json.gz"
            )
            document = {"Records": [record_of(event) for event in events]}
            yield key, tick, compact(document).encode()

    def _digest(
        self,
        hour: Interval,
        logs: list[tuple[str, Instant, bytes]],
        kinds: set[str],
        *,
        shown: bool,
    ) -> None:
        account, region = self._place
        late = "backfill" in kinds
        previous = self._late if late else self._link
        at = to_datetime(hour.end)
        key = (
            f"{self._folder}CloudTrail-Digest/{region}/{at:%Y/%m/%d}/"
            f"{account}_CloudTrail-Digest_{region}_{TRAIL}_"
            f"{self._trail.world.home_region}_{at:%Y%m%dT%H%M%SZ}"
            f"{'_backfill' if late else ''}.json.gz"
        )
        bucket = self._trail.name
        content = compact(
            _document(bucket, key, self._place, hour, logs, previous)
        ).encode()
        digest = hashlib.sha256(content).hexdigest()
        text = "\n".join(
            (
                iso(hour.end),
                f"{bucket}/{key}",
                digest,
                previous.signature if previous else "null",
            )
        )
        signature = (
            signing_key(region)
            .sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
            .hex()
        )
        delivered = Instant(hour.end + PUBLISHED)
        metadata = [
            ("signature", SPOILT if "spoilt" in kinds else signature),
            ("signature-algorithm", "SHA256withRSA"),
        ]
        if late:
            delivered = Instant(hour.end + BACKFILLED)
            metadata.append(("backfill-generation-timestamp", iso(delivered)))
        body = _zipped(content)
        if shown:
            self._add(
                TrailFile(
                    key,
                    delivered,
                    body + b"junk" if "trailing" in kinds else body,
                    () if "unsigned" in kinds else tuple(metadata),
                )
            )
        link = _Link(key=key, sha256=digest, signature=signature)
        if late:
            self._late = link
        else:
            self._link = link

    def _add(self, file: TrailFile) -> None:
        self.files[file.key] = file


def _zipped(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=1, mtime=0)


def _document(
    bucket: str,
    key: str,
    place: Place,
    hour: Interval,
    logs: list[tuple[str, Instant, bytes]],
    previous: _Link | None,
) -> dict[str, Any]:
    """Write a digest file's content, with AWS's fields in AWS's order."""
    rows = []
    for name, _, content in logs:
        times = [row["eventTime"] for row in json.loads(content)["Records"]]
        rows.append(
            {
                "s3Bucket": bucket,
                "s3Object": name,
                "hashValue": hashlib.sha256(content).hexdigest(),
                "hashAlgorithm": "SHA-256",
                "newestEventTime": max(times),
                "oldestEventTime": min(times),
            }
        )
    return {
        "awsAccountId": place[0],
        "digestStartTime": iso(hour.start),
        "digestEndTime": iso(hour.end),
        "digestS3Bucket": bucket,
        "digestS3Object": key,
        "digestPublicKeyFingerprint": public_key(place[1]).fingerprint,
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": max((r["newestEventTime"] for r in rows), default=None),
        "oldestEventTime": min((r["oldestEventTime"] for r in rows), default=None),
        "previousDigestS3Bucket": bucket if previous else None,
        "previousDigestS3Object": previous.key if previous else None,
        "previousDigestHashValue": previous.sha256 if previous else None,
        "previousDigestHashAlgorithm": "SHA-256" if previous else None,
        "previousDigestSignature": previous.signature if previous else None,
        "logFiles": rows,
    }
