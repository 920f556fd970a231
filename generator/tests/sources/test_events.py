# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from controlbook.digest import canonical, sha256
from controlbook.eventrows import EVENT
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trails import record_of
from controlbook.sources.events import (
    LONGEST,
    LogError,
    event_of,
    looked_up,
    matching,
)
from controlbook.timeline import instant, iso

SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples" / "cloudtrail"
PLACE = ("000000000002", "us-east-1")
CREATE = ("iam.amazonaws.com", "CreateUser")


def record(**changed: object) -> dict[str, Any]:
    return record_of(tiny().events[0]) | changed


def log(*records: dict[str, Any]) -> tuple[bytes, str]:
    content = json.dumps({"Records": list(records)}).encode()
    return gzip.compress(content), sha256(content)


def test_log_file_gives_the_events_that_are_asked_for() -> None:
    body, digest = log(record(), record(eventName="DeleteUser", eventID="other"))
    (event,) = matching(body, digest, PLACE, {CREATE})
    assert event.key == "cloudtrail:iam.amazonaws.com:CreateUser"
    assert (event.account, event.region) == PLACE
    assert event.about == "userName=robot"
    assert event.actor.endswith("assumed-role/operator/somebody")
    assert matching(body, digest, PLACE, {("s3.amazonaws.com", "CreateUser")}) == ()


def test_changed_log_file_is_refused_whatever_was_changed() -> None:
    body, digest = log(record())
    content = gzip.decompress(body)
    for changed in (
        content.replace(b"CreateUser", b"CreateRole"),
        content + b" ",
        content[:-10],
        content.replace(b"{", b"(", 1),
    ):
        with pytest.raises(LogError, match="signed digest names"):
            matching(gzip.compress(changed), digest, PLACE, {CREATE})


def test_second_gzip_member_and_junk_after_it_are_refused() -> None:
    body, digest = log(record())
    for more in (gzip.compress(b"{}"), b"junk"):
        with pytest.raises(LogError, match="after the single gzip member"):
            matching(body + more, digest, PLACE, {CREATE})
    with pytest.raises(LogError):
        matching(body[:-9], digest, PLACE, {CREATE})


def test_signed_bytes_that_are_no_log_file_are_refused() -> None:
    content = b'{"Records": ['
    with pytest.raises(LogError, match="not a log file"):
        matching(gzip.compress(content), sha256(content), PLACE, {CREATE})


def test_insight_is_no_event_and_a_record_without_a_time_is_an_error() -> None:
    assert event_of(record(eventCategory="Insight"), PLACE) is None
    with pytest.raises(LogError, match="eventTime"):
        event_of({k: v for k, v in record().items() if k != "eventTime"}, PLACE)
    with pytest.raises(LogError):
        event_of(record(eventID=None), PLACE)


def test_texts_become_canonical_and_bounded() -> None:
    names = {"userName": "Ame\u0301lie " + "x" * 999, "password": "never shown"}
    event = event_of(
        record(requestParameters=names, userIdentity={"invokedBy": "x.aws"}), PLACE
    )
    assert event
    assert event.about.startswith("userName=Am\u00e9lie")
    assert len(event.about) == LONGEST
    assert "never shown" not in event.about
    assert event.actor == "x.aws"
    canonical(EVENT.write(event))


def test_lookup_row_and_log_record_give_the_same_event() -> None:
    body, digest = log(record())
    rows = [{"EventId": "ignored", "CloudTrailEvent": json.dumps(record())}]
    assert tuple(looked_up(rows, PLACE)) == matching(body, digest, PLACE, {CREATE})
    with pytest.raises(LogError):
        list(looked_up([{"EventId": "no record"}], PLACE))


def documented() -> list[dict[str, Any]]:
    """Read the documented log records, which stand one document after the other."""
    text = (SAMPLES / "aws-doc-log-file-examples.txt").read_text()
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := text.find("{", at)) >= 0:
        tree, at = decoder.raw_decode(text, at)
        found += tree["Records"]
    return found


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples here")
def test_documented_records_are_read_and_ours_are_like_them() -> None:
    records = documented()
    assert len(records) >= 9
    events = [event_of(row, ("123456789012", "us-east-1")) for row in records]
    assert sum(event is None for event in events) == 2, "two are Insights"
    (created,) = (e for e in events if e and e.event == "CreateUser")
    assert created.actor == "arn:aws:iam::888888888888:user/Mary"
    assert created.about == "userName=Richard"
    assert iso(created.at) == "2023-07-19T21:25:09Z"
    assert created.at == instant("2023-07-19T21:25:09Z")
    (failed,) = (e for e in events if e and e.error)
    assert failed.error == "TrailNotFoundException"
    (row,) = (r for r in records if r.get("eventName") == "CreateUser")
    ours = record()
    assert set(ours) - set(row) == set()
    for name in set(ours) & set(row):
        given, shown = row[name], ours[name]
        assert given is None or shown is None or type(given) is type(shown), name
