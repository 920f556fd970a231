# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from controlbook.sandbox.items import api_item, file_item, iso_millis
from controlbook.sandbox.recording import DELETED, Recording
from controlbook.sandbox.tiny import tiny
from controlbook.timeline import instant, to_datetime

SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples" / "config"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples here")

Item = dict[str, Any]


def files() -> list[Item]:
    return [file_item(record) for record in Recording(tiny()).records]


def test_times_carry_three_decimals() -> None:
    assert iso_millis(instant("2028-02-14T03:12:00Z")) == "2028-02-14T03:12:00.000Z"
    assert iso_millis(instant("2028-02-14T03:12:00.07Z")) == "2028-02-14T03:12:00.070Z"


def test_both_dialects_tell_the_same() -> None:
    for item in files():
        spoken = api_item(item)
        assert spoken["accountId"] == item["awsAccountId"]
        assert spoken["configurationStateId"] == str(item["configurationStateId"])
        when = to_datetime(instant(item["configurationItemCaptureTime"]))
        assert spoken["configurationItemCaptureTime"] == when
        if item["configurationItemStatus"] == DELETED:
            assert item["configuration"] is None
            assert "configuration" not in spoken
        else:
            assert json.loads(spoken["configuration"]) == item["configuration"]


def documented_item() -> Item:
    """Read AWS's documented item, whose own typing errors are mended first."""
    text = (SAMPLES / "aws-doc-view-compliance-history.txt").read_text()
    text = text[text.index("{") :]
    text = text.replace("configuaration", "configuration")
    text = text.replace('"relatedEvents": [];', '"relatedEvents": [],')
    text = text.replace(']\n\t\t\t"tags"', ']\n,\t\t\t"tags"')
    text = text.replace('\\configRuleList"\\"', '\\"configRuleList\\"')
    text = text.replace('\\configRuleList"\\":', '\\"configRuleList\\":')
    text = text.replace('\\configRuleList\\":', '\\"configRuleList\\":')
    item: Item = json.loads(text)["configurationItems"][0]
    item["configurationStateId"] = item.pop("ConfigurationStateId")
    return item


@needs_samples
def test_api_item_has_the_fields_of_the_documented_one() -> None:
    documented, ours = documented_item(), api_item(files()[0])
    assert set(ours) == set(documented)
    for name, value in documented.items():
        if name != "configurationItemCaptureTime":
            assert type(ours[name]) is type(value), name
    assert ours["version"] == documented["version"]
    assert ours["resourceType"] == documented["resourceType"]
    assert set(ours["relationships"][0]) == set(documented["relationships"][0])
    assert (
        ours["relationships"][0]["relationshipName"]
        == documented["relationships"][0]["relationshipName"]
    )
    shape, want = (
        json.loads(ours["configuration"]),
        json.loads(documented["configuration"]),
    )
    assert set(shape) == set(want)
    assert set(shape["configRuleList"][0]) == set(want["configRuleList"][0])
    arn = re.compile(
        r"arn:aws:config:[a-z0-9-]+:\w+:config-rule/config-rule-[a-z0-9]{6}"
    )
    assert arn.fullmatch(want["configRuleList"][0]["configRuleArn"])
    assert arn.fullmatch(shape["configRuleList"][0]["configRuleArn"])
    state = int(documented["configurationStateId"])
    assert state == round(documented["configurationItemCaptureTime"] * 1000)


@needs_samples
def test_file_item_speaks_the_dialect_of_the_documented_snapshot() -> None:
    text = (SAMPLES / "aws-doc-deliver-snapshot-cli.txt").read_text()
    ours = files()[0]
    common = [
        "configurationItemVersion", "configurationItemCaptureTime",
        "configurationItemStatus", "relatedEvents", "resourceType", "tags",
        "relationships", "configuration", "resourceId",
    ]  # fmt: skip
    for name in common:
        assert f'"{name}"' in text
        assert name in ours
    stamp = re.compile(r'"configurationItemCaptureTime": "(\d{4}-[\d:T-]+\.\d{3}Z)"')
    assert stamp.search(text)
    assert re.fullmatch(r"\d{4}-[\d:T-]+\.\d{3}Z", ours["configurationItemCaptureTime"])
