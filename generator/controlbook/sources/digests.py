# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's digest files: what AWS signed, and whether it still stands.

Rules enforced here:
- a digest counts only with a signature that AWS's public key of that Region confirms,
  over this bucket, this key and these bytes; what it says of itself must agree;
- a link names the digest before it by key, hash *and* signature; all are compared;
- bytes after the one gzip member are a fault, and so is every field that is missing;
- digests cover the time of delivery, in half-open stretches; only valid ones cover.

AWS's own validator lets a gap, an empty folder, a cut tail and trailing bytes pass.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from controlbook.digest import sha256
from controlbook.timeline import HOUR, Instant, Interval, instant
from controlbook.vault.packs import PackError, inflate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DELAY = HOUR
"""How long after an event its delivery is waited for; later ones are corrections."""
MAX_DIGEST = 64 * 1024 * 1024
"""No digest file inflates to more than this."""

ALGORITHM = "SHA256withRSA"
_STAMP = r"\d{8}T\d{6}Z"
_KEY = re.compile(
    r"(?:.*/)?AWSLogs/(?:o-[a-z0-9]+/)?(?P<account>\d{12})/CloudTrail-Digest/"
    r"(?P<region>[a-z0-9-]+)/(?P<day>\d{4}/\d\d/\d\d)/"
    r"(?P=account)_CloudTrail-Digest_(?P=region)_(?P<trail>[A-Za-z0-9._-]+)_"
    rf"(?P<home>[a-z0-9-]+)_(?P<stamp>{_STAMP})(?P<backfill>_backfill)?\.json\.gz\Z",
    re.ASCII,
)
_HEX = re.compile(r"(?:[0-9a-f]{2})+\Z")


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class DigestName:
    """What the key of a digest file says."""

    end: Instant
    key: str
    account: str
    region: str
    trail: str
    home: str
    """The trail's home Region."""
    backfill: bool


def name_of(key: str) -> DigestName | None:
    """Read a digest file's key; None where it is not built like AWS's."""
    match = _KEY.match(key)
    if not match:
        return None
    stamp = match["stamp"]
    day = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"
    clock = f"{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}"
    try:
        end = instant(f"{day}T{clock}Z")
    except ValueError:
        return None
    return DigestName(
        end=end,
        key=key,
        account=match["account"],
        region=match["region"],
        trail=match["trail"],
        home=match["home"],
        backfill=bool(match["backfill"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """One of AWS's public keys of a Region, as ListPublicKeys gave it."""

    region: str
    fingerprint: str
    value: bytes
    """DER: PKCS#1 by AWS's text, SubjectPublicKeyInfo in one of its samples."""

    def load(self) -> rsa.RSAPublicKey | None:
        """Give the key; None where the bytes are no RSA key in either form."""
        return _load(self.value)


@lru_cache(maxsize=256)
def _load(value: bytes) -> rsa.RSAPublicKey | None:
    try:
        key = load_der_public_key(value)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDigest:
    """A digest file as S3 gave it: the signature stands only in its metadata."""

    name: DigestName
    bucket: str
    body: bytes
    signature: str
    """Hex, from x-amz-meta-signature; empty where the metadata was lost."""
    backfilled: str = ""
    """x-amz-meta-backfill-generation-timestamp of a late one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A log file that a digest names, with the SHA-256 of its content."""

    bucket: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One digest file, read; `fault` says why it counts for nothing."""

    stored: StoredDigest
    sha256: str = ""
    """Of the uncompressed content."""
    covers: Interval | None = None
    """The time of delivery that it covers."""
    previous: tuple[str, str, str] | None = None
    """(key, hash, signature) of the digest before; None: a chain starts here."""
    logs: tuple[LogFile, ...] = ()
    fault: str = ""

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return self.stored.name.key


class _FaultError(ValueError):
    """Why a digest does not count."""


def read_digest(stored: StoredDigest, keys: Mapping[str, PublicKey]) -> Digest:
    """Read a digest file and check its signature; `keys` are by fingerprint."""
    try:
        content = b"".join(inflate(stored.body, limit=MAX_DIGEST))
    except PackError as error:
        return Digest(stored=stored, fault=error.message)
    digest = sha256(content)
    try:
        tree = _tree(content)
        covers = _about_itself(stored, tree)
        previous = _previous(tree)
        _signed(stored, tree, digest, previous, keys)
        return Digest(
            stored=stored,
            sha256=digest,
            covers=covers,
            previous=previous,
            logs=tuple(_log(row) for row in tree["logFiles"]),
        )
    except _FaultError as error:
        return Digest(stored=stored, sha256=digest, fault=str(error))
    except (KeyError, TypeError, ValueError) as error:
        fault = f"not a digest file: {type(error).__name__}: {error}"
        return Digest(stored=stored, sha256=digest, fault=fault)


def _tree(content: bytes) -> dict[str, Any]:
    tree = json.loads(content)
    if not isinstance(tree, dict):
        message = "not a digest file: no object"
        raise _FaultError(message)
    return tree


def _about_itself(stored: StoredDigest, tree: Mapping[str, Any]) -> Interval:
    name = stored.name
    said = (tree["awsAccountId"], tree["digestS3Bucket"], tree["digestS3Object"])
    if said != (name.account, stored.bucket, name.key):
        message = f"the digest is that of s3://{said[1]}/{said[2]}"
        raise _FaultError(message)
    covers = Interval(instant(tree["digestStartTime"]), instant(tree["digestEndTime"]))
    if covers.end != name.end:
        message = "the digest ends at another time than its key says"
        raise _FaultError(message)
    if tree["digestSignatureAlgorithm"] != ALGORITHM:
        message = f"signed by {tree['digestSignatureAlgorithm']}, not {ALGORITHM}"
        raise _FaultError(message)
    return covers


def _previous(tree: Mapping[str, Any]) -> tuple[str, str, str] | None:
    values = tuple(
        tree[f"previousDigest{part}"] for part in ("S3Object", "HashValue", "Signature")
    )
    if values == (None, None, None):
        return None
    if tree["previousDigestHashAlgorithm"] != "SHA-256" or not all(
        isinstance(value, str) and value for value in values
    ):
        message = "the link to the digest before is broken"
        raise _FaultError(message)
    return str(values[0]), str(values[1]), str(values[2])


def string_to_sign(
    end: str, bucket: str, key: str, digest: str, previous: str | None
) -> bytes:
    """Give what AWS signs of a digest file; `previous` is the signature before it."""
    parts = (end, f"{bucket}/{key}", digest, previous or "null")
    return "\n".join(parts).encode()


def _signed(
    stored: StoredDigest,
    tree: Mapping[str, Any],
    digest: str,
    previous: tuple[str, str, str] | None,
    keys: Mapping[str, PublicKey],
) -> None:
    if not _HEX.match(stored.signature):
        message = "its metadata holds no signature"
        raise _FaultError(message)
    if stored.name.backfill and not stored.backfilled:
        message = "a backfill digest without the time of its generation"
        raise _FaultError(message)
    fingerprint = tree["digestPublicKeyFingerprint"]
    public = keys.get(fingerprint)
    key = public.load() if public else None
    if key is None:
        message = f"AWS names no public key {fingerprint}"
        raise _FaultError(message)
    signed = string_to_sign(
        tree["digestEndTime"],
        stored.bucket,
        stored.name.key,
        digest,
        previous[2] if previous else None,
    )
    try:
        key.verify(
            bytes.fromhex(stored.signature), signed, padding.PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        message = "the signature is not AWS's"
        raise _FaultError(message) from None


def _log(row: Mapping[str, Any]) -> LogFile:
    if row["hashAlgorithm"] != "SHA-256":
        message = f"a log file hashed by {row['hashAlgorithm']}"
        raise _FaultError(message)
    return LogFile(bucket=row["s3Bucket"], key=row["s3Object"], sha256=row["hashValue"])


# --- the chain ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A chain of digests of one trail in one account × Region, as it was checked."""

    digests: tuple[Digest, ...]
    """Those that count, in order of time."""
    faults: tuple[tuple[str, Interval | None, str], ...]
    """(key, the time it would have covered, why it does not count)"""
    broken: tuple[tuple[Instant, str], ...] = ()
    """Where a chain starts anew although another one came before."""


def verified(
    digests: Iterable[Digest], head: tuple[str, str] | None = None
) -> Verified:
    """Check the links of one trail's digests; `head` is the last run's (key, hash).

    Backfill digests chain apart, so their links are compared among themselves.
    """
    found = tuple(digests)
    faults = [(d.key, d.covers, d.fault) for d in found if d.fault]
    good: list[Digest] = []
    broken: list[tuple[Instant, str]] = []
    for backfill in (False, True):
        chain = sorted(
            (d for d in found if not d.fault and d.stored.name.backfill is backfill),
            key=lambda d: (d.stored.name.end, d.key),
        )
        wrong: set[str] = set()
        for before, after in pairwise(chain):
            flaw = _link_flaw(before, after)
            if flaw:
                wrong.add(after.key)
                faults.append((after.key, after.covers, flaw))
            elif after.previous is None and after.covers:
                broken.append((after.covers.start, after.key))
        good += [d for d in chain if d.key not in wrong]
    if head:
        faults += [
            (d.key, d.covers, "it is not the digest that the last run saw")
            for d in good
            if d.key == head[0] and d.sha256 != head[1]
        ]
        good = [d for d in good if d.key != head[0] or d.sha256 == head[1]]
    good.sort(key=lambda d: (d.stored.name.end, d.key))
    return Verified(digests=tuple(good), faults=tuple(faults), broken=tuple(broken))


def _link_flaw(before: Digest, after: Digest) -> str:
    """Compare a link with the digest that it names, where that is the one before."""
    if after.previous is None or after.previous[0] != before.key:
        # Another digest stood between: the time it covered is missing, and shows.
        return ""
    _, content, signature = after.previous
    if content != before.sha256:
        return "its link names another hash of the digest before it"
    if signature != before.stored.signature:
        return "its link names another signature of the digest before it"
    return ""
