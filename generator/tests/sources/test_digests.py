# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controlbook.digest import sha256
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trails import Trail, public_key, signing_key
from controlbook.sandbox.trouble import DigestTrouble, Trouble
from controlbook.sources.digests import (
    Digest,
    PublicKey,
    StoredDigest,
    name_of,
    read_digest,
    string_to_sign,
    verified,
)
from controlbook.timeline import Instant, Interval, instant

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples" / "cloudtrail"
ACCOUNT, REGION = "000000000002", "us-east-1"
NOW = instant("2028-01-01T12:00:00Z")
KEYS = {
    public_key(REGION).fingerprint: PublicKey(
        region=REGION,
        fingerprint=public_key(REGION).fingerprint,
        value=public_key(REGION).value,
    )
}


def stored(*trouble: DigestTrouble, now: Instant = NOW) -> list[StoredDigest]:
    """Give every digest of the place that has been delivered."""
    trail = Trail(tiny(), Trouble(digests=trouble))
    found = []
    for file in trail.list("AWSLogs/", "", now):
        name = name_of(file.key)
        about = dict(file.metadata)
        if name and (name.account, name.region) == (ACCOUNT, REGION):
            found.append(
                StoredDigest(
                    name=name,
                    bucket=trail.name,
                    body=file.body,
                    signature=about.get("signature", ""),
                    backfilled=about.get("backfill-generation-timestamp", ""),
                )
            )
    return found


def trouble(kind: str, start: str, end: str = "2028-01-01T11:59:00Z") -> DigestTrouble:
    return DigestTrouble(
        account=ACCOUNT,
        region=REGION,
        kind=kind,
        start=instant(start),
        end=instant(end),
    )


def read(files: list[StoredDigest]) -> list[Digest]:
    return [read_digest(file, KEYS) for file in files]


def edited(
    file: StoredDigest, change: Callable[[dict[str, Any]], None]
) -> StoredDigest:
    """Change a digest's content without the key that signed it."""
    tree = json.loads(gzip.decompress(file.body))
    change(tree)
    return replace(file, body=gzip.compress(json.dumps(tree).encode(), mtime=0))


def test_every_hour_has_a_digest_that_verifies_and_they_tile() -> None:
    files = stored()
    digests = read(files)
    assert len(files) > 50
    assert {d.fault for d in digests} == {""}
    assert digests[0].previous is None
    spans = [d.covers for d in digests if d.covers]
    assert all(a.end == b.start for a, b in pairwise(spans))
    checked = verified(digests)
    assert checked.faults == ()
    assert checked.broken == ()
    assert sum(len(d.logs) for d in checked.digests) == 1


def test_names_are_read_from_padded_keys_with_and_without_an_organization() -> None:
    folder = "000000000002/CloudTrail-Digest/us-east-1/2028/01/02/"
    file = "000000000002_CloudTrail-Digest_us-east-1_org-trail_eu-west-1"
    for key in (
        f"AWSLogs/{folder}{file}_20280102T000600Z.json.gz",
        f"some/prefix/AWSLogs/o-abc123/{folder}{file}_20280102T000600Z_backfill.json.gz",
    ):
        name = name_of(key)
        assert name
        assert (name.trail, name.home) == ("org-trail", "eu-west-1")
        assert name.end == instant("2028-01-02T00:06:00Z")
        assert name.backfill is ("backfill" in key)
    other = folder.replace("2028/01/02", "2028/1/2")
    assert name_of(f"AWSLogs/{other}{file}_20280102T000600Z.json.gz") is None
    assert name_of(f"AWSLogs/{folder}{file}_20281302T000600Z.json.gz") is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda t: t.update(digestEndTime="2028-01-01T10:36:00Z"), "another time"),
        (lambda t: t["logFiles"].clear(), "signature is not AWS's"),
        (lambda t: t.update(digestPublicKeyFingerprint="00"), "no public key 00"),
        (lambda t: t.update(digestS3Object="elsewhere"), "the digest is that of"),
        (lambda t: t.update(awsAccountId="000000000001"), "the digest is that of"),
        (lambda t: t.update(digestSignatureAlgorithm="MD5withRSA"), "MD5withRSA"),
        (lambda t: t.update(previousDigestSignature=None), "the link"),
        (lambda t: t.pop("digestEndTime"), "not a digest file"),
    ],
    ids=[
        "end",
        "log-file-taken-out",
        "fingerprint",
        "key",
        "account",
        "algorithm",
        "link-cut",
        "field-missing",
    ],
)
def test_changed_digest_counts_for_nothing(
    change: Callable[[dict[str, Any]], None], fault: str
) -> None:
    file = next(f for f in stored() if read_digest(f, KEYS).logs)
    assert fault in read_digest(edited(file, change), KEYS).fault


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("spoilt", "signature is not AWS's"),
        ("unsigned", "holds no signature"),
        ("trailing", "data after the single gzip member"),
    ],
)
def test_trouble_with_one_digest_is_its_fault_alone(kind: str, fault: str) -> None:
    files = stored(trouble(kind, "2028-01-01T10:00:00Z", "2028-01-01T11:00:00Z"))
    checked = verified(read(files))
    ((key, _, why),) = checked.faults
    assert fault in why
    assert "20280101T10" in key
    assert len(checked.digests) == len(files) - 1


def test_copy_at_another_key_does_not_verify() -> None:
    """A moved digest says of itself where it belongs; so does its signature."""
    one, two = stored()[-2:]
    moved = replace(one, name=two.name)
    assert "the digest is that of" in read_digest(moved, KEYS).fault


def test_backfill_digest_needs_the_time_of_its_generation_and_chains_apart() -> None:
    mend = trouble("backfill", "2028-01-01T02:00:00Z", "2028-01-01T04:00:00Z")
    files = stored(mend)
    late = [file for file in files if file.name.backfill]
    assert len(late) == 2
    digests = read(files)
    first, second = (d for d in digests if d.stored.name.backfill)
    assert first.previous is None
    assert second.previous == (first.key, first.sha256, first.stored.signature)
    checked = verified(digests)
    assert checked.faults == ()
    assert len(checked.digests) == len(files)
    spans = sorted(d.covers for d in checked.digests if d.covers)
    assert all(a.end == b.start for a, b in pairwise(spans))
    bare = replace(late[0], backfilled="")
    assert "time of its generation" in read_digest(bare, KEYS).fault


def resigned(file: StoredDigest, **fields: str) -> StoredDigest:
    """Sign a changed digest with the true key, as AWS itself might have done."""
    changed = edited(file, lambda tree: tree.update(fields))
    content = gzip.decompress(changed.body)
    tree = json.loads(content)
    text = string_to_sign(
        tree["digestEndTime"],
        file.bucket,
        file.name.key,
        sha256(content),
        tree["previousDigestSignature"],
    )
    signature = signing_key(REGION).sign(text, padding.PKCS1v15(), hashes.SHA256())
    return replace(changed, signature=signature.hex())


@pytest.mark.parametrize(
    ("field", "what"),
    [("previousDigestHashValue", "hash"), ("previousDigestSignature", "signature")],
)
def test_link_that_names_other_bytes_is_a_fault_even_if_signed(
    field: str, what: str
) -> None:
    *before, last = stored()
    checked = verified(read([*before, resigned(last, **{field: "ab" * 32})]))
    ((key, covers, why),) = checked.faults
    assert (key, covers is not None) == (last.name.key, True)
    assert f"another {what} of the digest before it" in why


def test_digest_that_the_last_run_saw_must_still_be_the_same() -> None:
    digests = read(stored())
    head = digests[-3]
    assert verified(digests, (head.key, head.sha256)).faults == ()
    ((key, _, why),) = verified(digests, (head.key, "0" * 64)).faults
    assert key == head.key
    assert "last run" in why


def test_chain_that_starts_anew_is_told() -> None:
    start = trouble("restart", "2028-01-01T05:00:00Z", "2028-01-01T06:00:00Z")
    checked = verified(read(stored(start)))
    assert checked.faults == ()
    ((at, key),) = checked.broken
    assert "20280101T05" in key
    assert Interval(instant("2028-01-01T04:00:00Z"), at)


def test_keys_in_pkcs1_and_in_subject_public_key_info_are_taken() -> None:
    public = signing_key(REGION).public_key()
    (fingerprint,) = KEYS
    for form in (PublicFormat.PKCS1, PublicFormat.SubjectPublicKeyInfo):
        value = public.public_bytes(Encoding.DER, form)
        key = PublicKey(region=REGION, fingerprint=fingerprint, value=value)
        assert key.load() == public
        assert read_digest(stored()[-1], {fingerprint: key}).fault == ""
    broken = PublicKey(region=REGION, fingerprint=fingerprint, value=b"no key")
    assert "no public key" in read_digest(stored()[-1], {fingerprint: broken}).fault


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples here")
def test_documented_digest_is_read_field_by_field() -> None:
    text = (SAMPLES / "aws-doc-digest-files.txt").read_text()
    found = re.findall(r"^\{.*?^\}", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    for document, logs in zip(found, (1, 0), strict=True):
        tree = json.loads(document)
        name = name_of(tree["digestS3Object"])
        assert name
        assert name.end == instant(tree["digestEndTime"])
        file = StoredDigest(
            name=name,
            bucket=tree["digestS3Bucket"],
            body=gzip.compress(document.encode()),
            signature=tree["previousDigestSignature"][:512],
        )
        digest = read_digest(file, {})
        # All but AWS's key, which nobody has, is there.
        assert digest.fault == (
            f"AWS names no public key {tree['digestPublicKeyFingerprint']}"
        )
        assert len(tree["logFiles"]) == logs
        ours = json.loads(gzip.decompress(stored()[-1].body))
        assert list(ours) == list(tree)
    with_log = next(f for f in stored() if read_digest(f, KEYS).logs)
    ours = json.loads(gzip.decompress(with_log.body))
    assert list(ours["logFiles"][0]) == list(json.loads(found[0])["logFiles"][0])
