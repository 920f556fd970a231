# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from controlbook.timeline import from_datetime, instant

if TYPE_CHECKING:
    from controlbook.sandbox.server import Sandbox

FIRST = "000000000001"
BUCKET = "config-delivery-000000000001"
DAY = f"AWSLogs/{FIRST}/Config/eu-west-1/2028/1/1/"
ClientOf = Callable[..., Any]
Client = Any  # boto3 makes its clients' classes at run time


@pytest.fixture
def s3(small: Sandbox, client_of: ClientOf) -> Client:
    small.set_clock(instant("2028-01-02T06:00:00Z"))
    return client_of(small, "s3")


def test_delivered_file_is_listed_and_read(s3: Client) -> None:
    (row,) = s3.list_objects_v2(Bucket=BUCKET, Prefix=DAY)["Contents"]
    assert "AWS::Config::ResourceCompliance" in row["Key"]
    found = s3.get_object(Bucket=BUCKET, Key=row["Key"])
    body = found["Body"].read()
    assert len(body) == row["Size"] == found["ContentLength"]
    assert found["ETag"] == row["ETag"]
    assert json.loads(gzip.decompress(body))["configurationItems"]
    head = s3.head_object(Bucket=BUCKET, Key=row["Key"])
    assert head["ContentLength"] == row["Size"]
    assert from_datetime(head["LastModified"]) == from_datetime(row["LastModified"])


def test_file_is_invisible_before_its_delivery(small: Sandbox, s3: Client) -> None:
    (row,) = s3.list_objects_v2(Bucket=BUCKET, Prefix=DAY)["Contents"]
    small.set_clock(instant("2028-01-01T12:00:00Z"))
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix=DAY)["KeyCount"] == 0
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=BUCKET, Key=row["Key"])
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=BUCKET, Key=row["Key"])


def test_listing_pages_over_every_key_once(s3: Client) -> None:
    def keys(**more: object) -> list[str]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, **more)
        return [row["Key"] for page in pages for row in page.get("Contents", [])]

    everything = keys()
    assert everything == sorted(set(everything))
    assert len(everything) > 5
    assert keys(PaginationConfig={"PageSize": 2}) == everything
    assert keys(StartAfter=everything[2]) == everything[3:]


def test_delimiter_gives_folders(s3: Client) -> None:
    def folders(**more: object) -> list[str]:
        asked = {"Bucket": BUCKET, "Prefix": "AWSLogs/", "Delimiter": "/", **more}
        pages = s3.get_paginator("list_objects_v2").paginate(**asked)
        found = [row for page in pages for row in page.get("CommonPrefixes", [])]
        return [row["Prefix"] for row in found]

    both = [f"AWSLogs/{FIRST}/", "AWSLogs/000000000002/"]
    assert folders() == both
    assert folders(PaginationConfig={"PageSize": 1}) == both


def test_nobody_writes_the_delivery_bucket(s3: Client) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=BUCKET, Key="x", Body=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=BUCKET, Key="x")


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda s3: s3.list_objects(Bucket=BUCKET), id="old listing"),
        pytest.param(
            lambda s3: s3.get_object(
                Bucket=BUCKET,
                Key=f"AWSLogs/{FIRST}/Config/ConfigWritabilityCheckFile",
                Range="bytes=0-1",
            ),
            id="range",
        ),
        pytest.param(
            lambda s3: s3.put_object(
                Bucket="other",
                Key="x",
                Body=b"x",
                ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate="2035-01-01T00:00:00Z",
            ),
            id="locked object",
        ),
        pytest.param(
            lambda s3: s3.get_object_retention(Bucket="other", Key="x"), id="retention"
        ),
        pytest.param(
            lambda s3: s3.create_bucket(
                Bucket="other", ObjectLockEnabledForBucket=True
            ),
            id="locked bucket",
        ),
    ],
)
def test_what_would_be_answered_wrongly_is_refused_loudly(
    s3: Client, ask: Callable[[Any], Any]
) -> None:
    with pytest.raises(ClientError, match="NotImplemented"):
        ask(s3)


def test_bucket_exists_in_its_region(s3: Client) -> None:
    assert s3.head_bucket(Bucket=BUCKET)["BucketRegion"] == "eu-west-1"
    found = s3.get_bucket_location(Bucket=BUCKET)
    assert found["LocationConstraint"] == "eu-west-1"


def test_other_buckets_are_kept_by_moto(s3: Client) -> None:
    pytest.importorskip("moto.moto_server.werkzeug_app")
    where = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="other", CreateBucketConfiguration=where)
    s3.put_object(Bucket="other", Key="a b/ü+%.txt", Body=b"hello")
    assert s3.get_object(Bucket="other", Key="a b/ü+%.txt")["Body"].read() == b"hello"
    assert s3.head_object(Bucket="other", Key="a b/ü+%.txt")["ContentLength"] == 5
    (row,) = s3.list_objects_v2(Bucket="other")["Contents"]
    assert row["Key"] == "a b/ü+%.txt"
