# SPDX-License-Identifier: Apache-2.0
"""Items read the same in every dialect, and a delivery file is what it should be."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controlbook.model import State
from controlbook.sources import SourceError, items
from controlbook.sources.items import (
    Item,
    Verdict,
    in_order,
    is_history_of,
    item_of,
    read_file,
)
from controlbook.timeline import instant

SAMPLES = Path(__file__).parents[4] / "shared" / "samples" / "config"

ENTRY = {
    "configRuleId": "config-rule-abc123",
    "configRuleArn": "arn:aws:config:eu-west-1:111122223333:config-rule/abc",
    "configRuleName": "s3-bucket-server-side-encryption-enabled",
    "complianceType": "NON_COMPLIANT",
}
CONFIGURATION = {
    "complianceType": "NON_COMPLIANT",
    "targetResourceType": "AWS::S3::Bucket",
    "targetResourceId": "stale-backup-archive",
    "configRuleList": [ENTRY],
}
COMMON = {
    "awsRegion": "eu-west-1",
    "configurationItemStatus": "OK",
    "resourceType": "AWS::Config::ResourceCompliance",
    "resourceId": "AWS::S3::Bucket/stale-backup-archive",
}
FILE = {
    **COMMON,
    "configurationItemVersion": "1.3",
    "awsAccountId": "111122223333",
    "configurationItemCaptureTime": "2028-02-14T03:12:00.250Z",
    "configurationStateId": 1834110720250,
    "configuration": CONFIGURATION,
}
API = {
    **COMMON,
    "version": "1.3",
    "accountId": "111122223333",
    "configurationItemCaptureTime": datetime(2028, 2, 14, 3, 12, 0, 250_000, UTC),
    "configurationStateId": "1834110720250",
    "configuration": json.dumps(CONFIGURATION),
}
EPOCH = {**API, "configurationItemCaptureTime": 1834110720.25}
QUERY = {
    **COMMON,
    "accountId": "111122223333",
    "configurationItemCaptureTime": "2028-02-14T03:12:00.250Z",
    "configurationStateId": "1834110720250",
    "configuration": {"configRuleList": [ENTRY]},
}


@pytest.mark.parametrize("raw", [API, EPOCH, QUERY], ids=["boto3", "epoch", "query"])
def test_the_dialects_give_the_same_item(raw: dict[str, object]) -> None:
    assert item_of(raw) == item_of(FILE)
    assert item_of(FILE) == Item(
        at=instant("2028-02-14T03:12:00.250Z"),
        state_id=1834110720250,
        account="111122223333",
        region="eu-west-1",
        resource="AWS::S3::Bucket/stale-backup-archive",
        status="OK",
        verdicts=(
            Verdict(
                rule="s3-bucket-server-side-encryption-enabled",
                arn="arn:aws:config:eu-west-1:111122223333:config-rule/abc",
                state=State.NON_COMPLIANT,
            ),
        ),
    )


def test_awss_own_sample_reads() -> None:
    path = SAMPLES / "aws-doc-view-compliance-history.txt"
    if not path.exists():
        pytest.skip("the samples folder is not here")
    text = path.read_text().partition("\n")[2]
    # AWS's page is no JSON: a comma is missing, another is a semicolon, a quotation
    # mark stands in the wrong place, and two names are misspelt.
    for wrong, right in (
        ('\t]\n\t\t\t"tags"', '\t],\n\t\t\t"tags"'),
        ("[];", "[],"),
        ('\\configRuleList"\\"', '\\"configRuleList\\"'),
        ("configuaration", "configuration"),
        ("ConfigurationStateId", "configurationStateId"),
    ):
        text = text.replace(wrong, right)
    (raw,) = json.loads(text)["configurationItems"]
    item = item_of(raw)
    assert item.resource == "AWS::S3::Bucket/configrules-bucket"
    assert (item.at, item.state_id) == (1539799966921, 1539799966921)
    assert [(v.rule, v.state) for v in item.verdicts] == [
        ("s3-bucket-logging-enabled", "COMPLIANT")
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"resourceType": "AWS::S3::Bucket"},
        {"configurationItemCaptureTime": "yesterday"},
        {"configurationItemCaptureTime": True},
        {"resourceId": None},
        {"configuration": {"configRuleList": [{"configRuleName": "x"}]}},
        {"configuration": "{"},
    ],
    ids=["type", "time", "bool", "id", "entry", "json"],
)
def test_what_is_no_item_is_named(changes: dict[str, object]) -> None:
    with pytest.raises(SourceError, match="not a ResourceCompliance item"):
        item_of({**FILE, **changes})


def test_a_deleted_resource_has_no_verdicts() -> None:
    raw = {**FILE, "configurationItemStatus": "ResourceDeleted", "configuration": None}
    assert item_of(raw).verdicts == ()


KEY = (
    "AWSLogs/111122223333/Config/eu-west-1/2028/2/14/ConfigHistory/"
    "111122223333_Config_eu-west-1_ConfigHistory_AWS::Config::ResourceCompliance_"
    "20280214T031200Z_20280214T031700Z_1.json.gz"
)


@pytest.mark.parametrize(
    ("key", "known"),
    [
        (KEY, True),
        (f"some/prefix/{KEY}", True),
        (KEY.replace("AWSLogs/", "AWSLogs/o-abc1234567/"), True),
        (KEY.replace("AWS::Config::ResourceCompliance", "AWS::S3::Bucket"), False),
        (KEY.replace("111122223333_", "111122224444_"), False),
        (KEY + ".tmp", False),
        ("AWSLogs/111122223333/Config/ConfigWritabilityCheckFile", False),
    ],
)
def test_keys_are_recognised(key: str, known: bool) -> None:  # noqa: FBT001
    assert is_history_of(key, "111122223333", "eu-west-1") is known


def delivered(*items: object) -> bytes:
    document = {"fileVersion": "1.0", "configurationItems": items}
    return gzip.compress(json.dumps(document).encode(), mtime=0)


def test_a_file_gives_its_items_and_leaves_other_types() -> None:
    other = {**FILE, "resourceType": "AWS::S3::Bucket"}
    assert read_file(delivered(FILE, other), KEY) == (item_of(FILE),)


@pytest.mark.parametrize("at_once", [0, items.AT_ONCE], ids=["streamed", "at once"])
def test_a_large_file_gives_what_a_small_one_does(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "AT_ONCE", at_once)
    other = {**FILE, "resourceType": "AWS::S3::Bucket"}
    found = [{**FILE, "configurationStateId": n, "resourceId": f"é{n}"} for n in (1, 2)]
    body = delivered(found[0], other, found[1])
    assert read_file(body, KEY) == tuple(map(item_of, found))
    with pytest.raises(SourceError, match="data after the single gzip member"):
        read_file(body + body, KEY)
    with pytest.raises(SourceError, match="not a delivery file"):
        read_file(gzip.compress(b'{"configurationItems":[{', mtime=0), KEY)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"plain", "not gzip"),
        (delivered(FILE)[:-9], "cut short"),
        (delivered(FILE) + delivered(FILE), "data after the single gzip member"),
        (gzip.compress(b'{"configurationItems":[{', mtime=0), "not a delivery file"),
    ],
    ids=["plain", "cut", "second member", "json"],
)
def test_what_is_no_delivery_file_is_named(body: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_file(body, KEY)


def test_items_are_ordered_and_equal_ones_collapse() -> None:
    first = item_of(FILE)
    raw = {**FILE, "configurationItemCaptureTime": "2028-02-14T03:11:00Z"}
    earlier = item_of({**raw, "configurationStateId": 1834110660000})
    assert in_order([first, earlier, first]) == ((earlier, first), ())


def test_items_that_contradict_each_other_say_nothing() -> None:
    fine = {**ENTRY, "complianceType": "COMPLIANT"}
    raw = {**FILE, "configuration": {"configRuleList": [fine]}}
    items, notes = in_order([item_of(FILE), item_of(raw)])
    assert [item.verdicts for item in items] == [()]
    assert "2 different items of AWS::S3::Bucket/stale-backup-archive" in notes[0]
