# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import boto3
import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from controlbook.sandbox.example import CREATED, example
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trails import Trail, TrailFile, public_key, signing_key
from controlbook.sandbox.trouble import DigestTrouble, Trouble
from controlbook.timeline import DAY, Instant, instant, to_datetime

SECOND, HOME = "000000000002", "us-east-1"
NOW = instant("2028-01-02T06:00:00Z")
SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples" / "cloudtrail"


def files(now: Instant = NOW, *troubles: DigestTrouble) -> list[TrailFile]:
    return list(Trail(tiny(), Trouble(digests=troubles)).list("AWSLogs/", "", now))


def test_files_are_the_same_bytes_in_every_trail_and_grow_with_the_clock() -> None:
    early = files(Instant(NOW - DAY))
    late = files()
    assert [f.key for f in late] == sorted(f.key for f in late)
    assert {(f.key, f.body, f.metadata) for f in early} < {
        (f.key, f.body, f.metadata) for f in late
    }
    trail = Trail(tiny(), Trouble())
    assert all(trail.find(f.key, NOW) == f for f in late[::40])
    assert trail.find(late[-1].key, Instant(NOW - 3 * DAY)) is None
    assert trail.find("AWSLogs/nothing", NOW) is None


def test_event_stands_in_one_log_file_of_the_region_that_records_it() -> None:
    logs = [f for f in files() if "/CloudTrail/" in f.key]
    (log,) = logs
    assert f"/{HOME}/2028/01/01/" in log.key
    (record,) = json.loads(gzip.decompress(log.body))["Records"]
    assert (record["eventName"], record["recipientAccountId"]) == ("CreateUser", SECOND)
    assert log.delivered > instant(record["eventTime"])


def test_listing_goes_on_after_a_key_and_stays_below_a_prefix() -> None:
    every = files()
    trail = Trail(tiny(), Trouble())
    prefix = every[0].key.rsplit("/", 4)[0] + "/"
    below = [f.key for f in every if f.key.startswith(prefix)]
    assert [f.key for f in trail.list(prefix, "", NOW)] == below
    middle = below[len(below) // 2]
    assert [f.key for f in trail.list(prefix, middle, NOW)] == below[
        len(below) // 2 + 1 :
    ]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples here")
def test_keys_are_built_like_the_documented_ones() -> None:
    text = (SAMPLES / "aws-doc-digest-files.txt").read_text()
    shape = re.compile(
        r"AWSLogs/(?:o-\w+/)?(\d{12})/CloudTrail(-Digest)?/([a-z0-9-]+)/\d{4}/\d\d/\d\d/"
        r"\1_CloudTrail(?:-Digest_\3_[\w-]+_[a-z0-9-]+_\d{8}T\d{6}Z|_\3_\d{8}T\d{4}Z_"
        r"\w{16})\.json\.gz"
    )
    documented = re.findall(r'"(?:digestS3Object|s3Object)": "(.+?)"', text)
    assert len(documented) == 3
    assert all(shape.fullmatch(key) for key in documented)
    assert all(shape.fullmatch(f.key) for f in files())


def test_key_is_one_of_2048_bits_in_pkcs1_and_another_in_each_region() -> None:
    key = public_key(HOME)
    assert load_der_public_key(key.value) == signing_key(HOME).public_key()
    assert signing_key(HOME).key_size == 2048
    signing_key(HOME).private_numbers().private_key()  # OpenSSL checks the numbers
    assert public_key("eu-west-1").fingerprint != key.fingerprint


@pytest.mark.parametrize("kind", ["missing", "off", "backfill"])
def test_trouble_takes_the_hours_digest_away(kind: str) -> None:
    gone = DigestTrouble(
        account=SECOND,
        region=HOME,
        kind=kind,
        start=instant("2028-01-01T10:00:00Z"),
        end=instant("2028-01-01T12:00:00Z"),
    )
    before = {f.key for f in files()}
    after = {f.key for f in files(NOW, gone)}
    assert len(before - after) == 2
    assert len(after - before) == (2 if kind == "backfill" else 0)


def test_api_and_bucket_tell_the_same() -> None:
    with Sandbox(tiny()) as sandbox:
        sandbox.set_clock(NOW)

        def client(service: str, region: str = HOME) -> object:
            return boto3.client(
                service,
                endpoint_url=sandbox.url,
                region_name=region,
                aws_access_key_id=f"SANDBOX{SECOND}",
                aws_secret_access_key="sandbox",  # noqa: S106 - no secret
            )

        api, s3 = client("cloudtrail"), client("s3")
        (key,) = api.list_public_keys(  # type: ignore[attr-defined] # boto3 has no types
            StartTime=to_datetime(Instant(NOW - DAY)), EndTime=to_datetime(NOW)
        )["PublicKeyList"]
        assert key["Fingerprint"] == public_key(HOME).fingerprint
        assert key["Value"] == public_key(HOME).value
        (row,) = api.lookup_events(  # type: ignore[attr-defined]
            LookupAttributes=[
                {"AttributeKey": "EventName", "AttributeValue": "CreateUser"}
            ]
        )["Events"]
        assert json.loads(row["CloudTrailEvent"])["eventID"] == row["EventId"]
        assert api.get_trail_status(Name="org-trail")["IsLogging"]  # type: ignore[attr-defined]
        with pytest.raises(api.exceptions.TrailNotFoundException):  # type: ignore[attr-defined]
            api.get_event_selectors(TrailName="nobody-s")  # type: ignore[attr-defined]
        page = s3.list_objects_v2(  # type: ignore[attr-defined]
            Bucket="trail-000000000001", Prefix="AWSLogs/", Delimiter="/"
        )
        (folder,) = page["CommonPrefixes"]
        assert folder["Prefix"].startswith("AWSLogs/o-")
        digest = [f for f in files() if f.metadata][-1]
        answer = s3.get_object(Bucket="trail-000000000001", Key=digest.key)  # type: ignore[attr-defined]
        assert answer["Metadata"] == dict(digest.metadata)
        assert answer["Body"].read() == digest.body


def test_example_creates_users_in_all_accounts_and_on_few_days() -> None:
    world = example()
    created = [e for e in world.events if e.name == "CreateUser"]
    assert len(created) == len(CREATED) == 5
    assert {e.account for e in created} == {a.id for a in world.accounts}
    assert {e.region for e in created} == {HOME}
