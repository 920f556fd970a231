# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from controlbook.sandbox.delivery import (
    DeliveryBucket,
    last_delivery,
    next_delivery,
    offset,
)
from controlbook.sandbox.example import example
from controlbook.sandbox.recording import Recording
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trouble import DeliveryDelay, Trouble
from controlbook.timeline import DAY, HOUR, MINUTE, Instant, instant, iso

if TYPE_CHECKING:
    from controlbook.sandbox.world import World

FIRST, SECOND, REGION = "000000000001", "000000000002", "eu-west-1"
PLACE = (FIRST, REGION)
BETA_DAY = f"AWSLogs/{FIRST}/Config/{REGION}/2028/1/1/"
SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples" / "config"


def bucket(world: World, **trouble: object) -> DeliveryBucket:
    return DeliveryBucket(Recording(world), Trouble(**trouble))


def keys(store: DeliveryBucket, prefix: str, now: str) -> list[str]:
    return [file.key for file in store.list(prefix, "", instant(now))]


def test_folders_are_not_zero_padded_and_keys_hold_colons() -> None:
    found = keys(bucket(tiny()), BETA_DAY, "2028-01-02T00:00:00Z")
    assert found == [
        (
            f"{BETA_DAY}ConfigHistory/{FIRST}_Config_{REGION}_ConfigHistory_"
            "AWS::Config::ResourceCompliance_20280101T100000Z_20280101T100500Z_1.json.gz"
        )
    ]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples here")
def test_key_is_built_like_the_documented_one() -> None:
    name = "aws-doc-example-configuration-history-notification.txt"
    documented = re.search(r'"s3ObjectKey": "(.+?)"', (SAMPLES / name).read_text())
    assert documented
    shape = re.compile(
        r"AWSLogs/(\d{12})/Config/([a-z0-9-]+)/\d{4}/[1-9]\d?/[1-9]\d?/ConfigHistory/"
        r"\1_Config_\2_ConfigHistory_AWS::\w+::\w+_\d{8}T\d{6}Z_\d{8}T\d{6}Z_\d+\.json\.gz"
    )
    assert shape.fullmatch(documented[1])
    (ours,) = keys(bucket(tiny()), BETA_DAY, "2028-01-02T00:00:00Z")
    assert shape.fullmatch(ours)


def test_file_appears_some_minutes_after_its_six_hours() -> None:
    store = bucket(tiny())
    due = Instant(instant("2028-01-01T12:00:00Z") + offset(PLACE))
    assert 4 * MINUTE <= offset(PLACE) <= 19 * MINUTE
    assert not keys(store, BETA_DAY, iso(Instant(due - 1)))
    assert keys(store, BETA_DAY, iso(due))


def test_body_is_one_line_of_gzip_with_deterministic_bytes() -> None:
    now = instant("2028-01-02T00:00:00Z")
    (one,) = bucket(tiny()).list(BETA_DAY, "", now)
    (two,) = bucket(tiny()).list(BETA_DAY, "", now)
    assert one.body == two.body
    text = gzip.decompress(one.body).decode()
    assert "\n" not in text
    document = json.loads(text)
    assert document["fileVersion"] == "1.0"
    assert [
        i["configuration"]["complianceType"] for i in document["configurationItems"]
    ] == [
        "NON_COMPLIANT",
        "COMPLIANT",
    ]


def test_last_hours_of_every_day_are_delivered_before_six() -> None:
    world = example()
    store = bucket(world)
    for record in Recording(world).records:
        day = Instant(record.at - record.at % DAY)
        prefix = f"AWSLogs/{record.account}/Config/{record.region}/"
        found = [
            item["configurationStateId"]
            for file in store.list(prefix, "", Instant(day + DAY + 6 * HOUR))
            for item in file.items
            if item["resourceId"] == record.resource
        ]
        assert record.at in found


def test_no_file_where_nothing_changed() -> None:
    assert not keys(
        bucket(tiny()),
        f"AWSLogs/{FIRST}/Config/{REGION}/2028/1/2/",
        "2028-02-01T00:00:00Z",
    )


def test_other_resource_types_have_files_of_their_own() -> None:
    found = keys(
        bucket(tiny()),
        f"AWSLogs/{SECOND}/Config/{REGION}/2028/1/2/",
        "2028-01-03T00:00:00Z",
    )
    assert [key.split("_")[4] for key in found] == [
        "AWS::Config::ResourceCompliance",
        "AWS::RDS::DBInstance",
    ]


def test_writability_check_file_stands_beside_the_history() -> None:
    found = keys(
        bucket(tiny()), f"AWSLogs/{FIRST}/Config/ConfigW", "2028-01-01T00:00:00Z"
    )
    assert found == [f"AWSLogs/{FIRST}/Config/ConfigWritabilityCheckFile"]


def test_unrecorded_compliance_is_never_delivered() -> None:
    store = bucket(tiny(), compliance_not_recorded=(FIRST,))
    assert not keys(store, BETA_DAY, "2028-02-01T00:00:00Z")


def late(*, silent: bool) -> dict[str, Any]:
    delay = DeliveryDelay(
        account=FIRST,
        start=instant("2028-01-01T00:00:00Z"),
        end=instant("2028-01-02T00:00:00Z"),
        by=9 * HOUR,
        silent=silent,
    )
    return {"delays": (delay,)}


def test_delayed_file_comes_later_and_the_status_says_so() -> None:
    store, trouble = bucket(tiny(), **late(silent=False)), Trouble(**late(silent=False))
    assert not keys(store, BETA_DAY, "2028-01-01T20:00:00Z")
    assert keys(store, BETA_DAY, "2028-01-01T21:30:00Z")
    claimed = last_delivery(trouble, PLACE, instant("2028-01-01T20:00:00Z"))
    assert claimed < instant("2028-01-01T16:00:00Z")


def test_silent_delay_claims_success_all_the_same() -> None:
    store, trouble = bucket(tiny(), **late(silent=True)), Trouble(**late(silent=True))
    assert not keys(store, BETA_DAY, "2028-01-01T20:00:00Z")
    claimed = last_delivery(trouble, PLACE, instant("2028-01-01T20:00:00Z"))
    assert claimed == instant("2028-01-01T18:00:00Z") + offset(PLACE)


def test_next_delivery_follows_the_last_by_six_hours() -> None:
    now = instant("2028-01-01T20:00:00Z")
    last = last_delivery(Trouble(), PLACE, now)
    assert last <= now < next_delivery(PLACE, now) == last + 6 * HOUR
    early = instant("2028-01-01T18:00:00Z")
    assert next_delivery(PLACE, early) == early + offset(PLACE)
