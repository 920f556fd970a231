# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import json
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ConnectTimeoutError
from watching import FIRST, HOME, IAM, SECOND, SIX, call, hurt, watch

from controlbook.collect import Collected
from controlbook.coverage import mended
from controlbook.errors import Exit
from controlbook.model import Ledger
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trails import public_key
from controlbook.sandbox.trouble import Trouble
from controlbook.sources import SourceError
from controlbook.sources.aws import Conversation
from controlbook.sources.digests import PublicKey, StoredDigest, name_of, read_digest
from controlbook.sources.trailbucket import TrailBucket
from controlbook.sources.trailchoice import logs_all
from controlbook.timeline import HOUR, MINUTE, Instant, instant, iso
from controlbook.trailarchive import archive_faults
from controlbook.vault.packs import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.model import Run


def gaps(run: Run) -> list[tuple[str, str, str, str]]:
    return [
        (row.account, row.reason, iso(row.interval.start), iso(row.interval.end))
        for row in run.missing
    ]


def test_events_are_counted_where_trails_record_iam_and_none_is_proven(
    tmp_path: Path,
) -> None:
    with watch(tmp_path) as at:
        assert at.collect(SIX).code == 0
        (run,) = at.runs
    # The scope is eu-west-1 alone; IAM is recorded in us-east-1 all the same.
    assert run.collected == run.expected == ((FIRST, HOME), (SECOND, HOME))
    assert run.missing == ()
    (row,) = run.event_counts
    assert (row.account, row.region, row.count) == (SECOND, HOME, 1)
    (event,) = run.events
    assert iso(event.at) == "2028-01-01T10:20:30Z"
    assert (run.asked, run.complete) == (((IAM, "CreateUser"),), True)
    for chain in run.chains:
        assert chain.digests == 26
        assert chain.start <= run.window.start
        assert chain.end >= run.window.end + HOUR
    assert [chain.log_files for chain in run.chains] == [0, 1]


def test_archive_lets_everything_be_checked_again_without_aws(tmp_path: Path) -> None:
    with watch(tmp_path) as at:
        at.collect(SIX)
        (run,) = at.runs
        vault = at.desk.vault
        packs = [
            [json.loads(line) for line in unpack(vault.get(o.key), o)]
            for o in run.objects
            if o.role == "source"
        ]
    rows = [row for lines in packs for row in lines]
    pages = [row for row in rows if row.get("api") == "cloudtrail:ListPublicKeys"]
    keys = {
        key["Fingerprint"]: PublicKey(
            region=page["region"],
            fingerprint=key["Fingerprint"],
            value=base64.b64decode(key["Value"]),
        )
        for page in pages
        for key in json.loads(page["body"])["PublicKeyList"]
    }
    assert set(keys) == {public_key(HOME).fingerprint}
    checked = 0
    for row in rows:
        name = name_of(row.get("key", ""))
        if name is None:
            continue
        stored = StoredDigest(
            name=name,
            bucket=row["bucket"],
            body=base64.b64decode(row["body"]),
            signature=row["signature"],
            backfilled=row["backfilled"],
        )
        assert read_digest(stored, keys).fault == ""
        checked += 1
    assert checked == sum(chain.digests for chain in run.chains)
    (log,) = (row for row in rows if "/CloudTrail/" in row.get("key", ""))
    assert base64.b64decode(log["body"]).startswith(b"\x1f\x8b")


def test_record_pack_holds_what_the_count_binds(tmp_path: Path) -> None:
    with watch(tmp_path) as at:
        at.collect(SIX)
        (run,) = at.runs
        (records,) = (o for o in run.objects if o.role == "records")
        assert records.records == 1
        assert records.records_root == run.event_counts[0].root


def test_windows_tile_and_the_head_of_the_last_run_is_found_again(
    tmp_path: Path,
) -> None:
    with watch(tmp_path) as at:
        at.collect(SIX)
        at.collect("2028-01-03T06:00:00Z")
        at.collect("2028-01-05T06:00:00Z")
        runs = at.runs
    assert [run.kind for run in runs] == ["regular", "regular", "backfill", "regular"]
    assert all(not run.missing for run in runs)
    spans = [run.window for run in runs]
    assert all(a.end == b.start for a, b in pairwise(spans))
    assert sum(row.count for run in runs for row in run.event_counts) == 1


def test_nothing_is_due_before_the_delay_and_an_hour_have_passed(
    tmp_path: Path,
) -> None:
    with watch(tmp_path) as at:
        at.collect("2028-01-03T02:59:00Z")
        (run,) = at.runs
        assert iso(run.window.end) == "2028-01-02T00:00:00Z"


def test_event_at_midnight_belongs_to_the_day_that_begins(tmp_path: Path) -> None:
    world = replace(tiny(), events=(call("2028-01-02T00:00:00Z"),))
    with watch(tmp_path, world=world) as at:
        at.collect(SIX)
        at.collect("2028-01-03T06:00:00Z")
        first, second = at.runs
    assert first.event_counts == ()
    assert second.event_counts[0].count == 1


MORNING = ("2028-01-01T09:30:00Z", "2028-01-01T10:30:00Z")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "digest-gap"),
        ("spoilt", "digest-invalid"),
        ("unsigned", "digest-invalid"),
        ("trailing", "digest-invalid"),
    ],
)
def test_digest_that_fails_leaves_its_hour_and_the_delay_before_without_evidence(
    tmp_path: Path, kind: str, reason: str
) -> None:
    with watch(tmp_path, hurt(kind, *MORNING, account=FIRST)) as at:
        assert at.collect(SIX).code == 1
        (run,) = at.runs
    # The digest of 10:13 covers deliveries from 09:13 on, so events from 08:13 on.
    assert gaps(run) == [
        (FIRST, reason, "2028-01-01T08:13:00Z", "2028-01-01T10:13:00Z")
    ]
    assert run.collected == run.expected
    assert run.event_counts[0].count == 1


@pytest.mark.parametrize("kind", ["changed-log", "lost-log"])
def test_log_file_that_is_not_the_signed_one_is_missing_evidence(
    tmp_path: Path, kind: str
) -> None:
    with watch(
        tmp_path, hurt(kind, "2028-01-01T10:00:00Z", "2028-01-01T11:30:00Z")
    ) as at:
        assert at.collect(SIX).code == 1
        (run,) = at.runs
    assert gaps(run) == [
        (SECOND, "log-invalid", "2028-01-01T09:06:00Z", "2028-01-01T11:06:00Z")
    ]
    assert run.event_counts == ()
    assert any("json.gz" in note for note in run.notes)


def test_backfill_digest_closes_the_hole_that_it_covers(tmp_path: Path) -> None:
    mend = hurt("backfill", *MORNING)
    with watch(tmp_path, mend) as at:
        at.collect(SIX)
        (run,) = at.runs
    assert run.missing == ()
    assert run.event_counts[0].count == 1


def test_chain_that_restarts_without_a_hole_is_noted_and_covers(tmp_path: Path) -> None:
    with watch(tmp_path, hurt("restart", *MORNING)) as at:
        at.collect(SIX)
        (run,) = at.runs
    assert run.missing == ()
    assert any("starts anew" in note for note in run.notes)


def test_tail_that_does_not_come_keeps_the_window_open_for_a_day(
    tmp_path: Path,
) -> None:
    """A cut tail is invisible to AWS's validator."""
    cut = hurt("off", "2028-01-02T20:00:00Z", "2028-02-01T00:00:00Z")
    with watch(tmp_path, cut) as at:
        at.collect(SIX)
        with pytest.raises(SourceError, match="the window stays open"):
            at.collect("2028-01-03T06:00:00Z")
        assert len(at.runs) == 1
        at.collect("2028-01-04T06:00:00Z")
        _, cut_day, day_after = at.runs
    assert gaps(cut_day) == [
        (SECOND, "digest-gap", "2028-01-02T18:06:00Z", "2028-01-03T00:00:00Z")
    ]
    assert gaps(day_after) == [
        (SECOND, "digest-gap", "2028-01-03T00:00:00Z", "2028-01-04T00:00:00Z")
    ]
    assert day_after.collected == ((FIRST, HOME),)


@pytest.mark.threat("T30")
@pytest.mark.parametrize("kind", ["CloudTrail-Digest", "CloudTrail"])
def test_t30_a_file_that_does_not_come_through_is_no_invalid_one(
    tmp_path: Path, kind: str
) -> None:
    """S3 that does not answer is a failed source: exit 5, and asked again."""
    down = False

    def refuse(params: dict[str, str], **_: object) -> None:
        if down and f"/{SECOND}/{kind}/" in params["url"]:
            raise ConnectTimeoutError(endpoint_url="http://127.0.0.1")

    world = replace(tiny(), events=(call("2028-01-02T10:20:30Z"),))
    with watch(tmp_path, world=world) as at:
        client = at.desk.aws.client("s3")
        client.meta.events.register("before-call.s3.GetObject", refuse)
        at.collect(SIX)
        down = True
        with pytest.raises(SourceError, match="the window stays open") as caught:
            at.collect("2028-01-03T06:00:00Z")
        assert caught.value.code is Exit.UNAVAILABLE
        assert len(at.runs) == 1
        # A day later it is closed with what is missing; the next one stays open.
        with pytest.raises(SourceError) if kind != "CloudTrail" else nullcontext():
            at.collect("2028-01-04T06:00:00Z")
        second = at.runs[1]
        assert {reason for _, reason, *_ in gaps(second)} == {"source-failed"}
        assert not second.complete
        assert Collected(runs=(second,)).code is Exit.UNAVAILABLE
        down = False
        at.collect("2028-01-05T06:00:00Z")
        (closing,) = (run for run in at.runs if run.kind == "correction")
        assert (closing.corrects, closing.missing, closing.complete) == (2, (), True)
        assert sum(r.count for run in at.runs for r in run.event_counts) == 1


def test_place_without_any_digest_is_not_validated(tmp_path: Path) -> None:
    never = hurt("off", "2027-12-01T00:00:00Z", "2028-02-01T00:00:00Z")
    with watch(tmp_path, never) as at:
        assert at.collect(SIX).code == 1
        (run,) = at.runs
    assert gaps(run) == [
        (SECOND, "not-validated", "2028-01-01T00:00:00Z", "2028-01-02T00:00:00Z")
    ]
    assert run.collected == ((FIRST, HOME),)


def test_event_delivered_after_the_delay_becomes_a_correction(tmp_path: Path) -> None:
    world = replace(
        tiny(), events=(call("2028-01-01T23:50:00Z", late=4 * HOUR + MINUTE),)
    )
    with watch(tmp_path, world=world) as at:
        at.collect(SIX)
        at.collect("2028-01-03T06:00:00Z")
        at.collect("2028-01-04T06:00:00Z")
        runs = at.runs
    assert [run.kind for run in runs] == ["regular", "correction", "regular", "regular"]
    first, late, *_ = runs
    assert first.event_counts == ()
    assert (late.corrects, late.window) == (1, first.window)
    assert late.event_counts[0].count == 1
    assert sum(row.count for run in runs for row in run.event_counts) == 1


def test_late_event_between_two_windows_of_one_collection_is_not_lost(
    tmp_path: Path,
) -> None:
    late = call("2028-01-02T23:50:00Z", late=4 * HOUR)
    with watch(tmp_path, world=replace(tiny(), events=(late,))) as at:
        at.collect(SIX)
        at.collect("2028-01-04T06:00:00Z")
        runs = at.runs
    assert [run.kind for run in runs] == [
        "regular",
        "backfill",
        "correction",
        "regular",
    ]
    assert runs[2].corrects == 2
    assert runs[2].event_counts[0].count == 1


NOON = ("2028-01-01T10:30:00Z", "2028-01-01T11:30:00Z")
"""The digest of the delivery that holds the one event ends in it."""


def test_digests_that_come_days_later_close_the_gap_by_a_correction(
    tmp_path: Path,
) -> None:
    with watch(tmp_path, hurt("tardy", *NOON)) as at:
        at.collect(SIX)
        at.collect("2028-01-03T06:00:00Z")
        before = dict(at.desk.git)
        at.collect("2028-01-05T06:00:00Z")
        at.collect("2028-01-06T06:00:00Z")
        runs = at.runs
        faults = list(archive_faults(at.desk.vault, Ledger(runs={"cloudtrail": runs})))
        now = dict(at.desk.git)
    assert [run.kind for run in runs] == [
        "regular",
        "regular",
        "correction",
        "backfill",
        "regular",
        "regular",
    ]
    first, _, late, *_ = runs
    assert [row.reason for row in first.missing] == ["digest-gap"]
    assert (late.corrects, late.window, late.missing) == (1, first.window, ())
    assert late.collected == ((SECOND, HOME),)
    assert [chain.digests for chain in late.chains] == [26]
    # The event that was delivered in the gap is found, and counted once.
    assert sum(row.count for run in runs for row in run.event_counts) == 1
    assert late.event_counts[0].count == 1
    assert faults == []
    assert before.items() <= now.items(), "no manifest was edited"
    assert mended(runs)[0].missing == ()


def test_gap_that_no_digest_closes_stays_and_is_not_corrected(tmp_path: Path) -> None:
    with watch(tmp_path, hurt("missing", *MORNING)) as at:
        at.collect(SIX)
        at.collect("2028-01-05T06:00:00Z")
        runs = at.runs
    assert not any(run.kind == "correction" for run in runs)
    assert mended(runs)[0].missing == runs[0].missing != ()


def test_event_within_the_delay_counts_once(tmp_path: Path) -> None:
    late = call("2028-01-01T23:50:00Z", late=30 * MINUTE)
    with watch(tmp_path, world=replace(tiny(), events=(late,))) as at:
        at.collect(SIX)
        at.collect("2028-01-03T06:00:00Z")
        first, second = at.runs
    assert (first.event_counts[0].count, second.event_counts) == (1, ())


def test_trail_that_leaves_read_events_out_proves_nothing(tmp_path: Path) -> None:
    with watch(tmp_path, trouble=Trouble(trail_writes_only=True)) as at:
        at.collect(SIX)
        (run,) = at.runs
    assert {row.reason for row in run.missing} == {"trail-selective"}
    assert run.collected == ()


def test_selectors_are_read_as_aws_means_them() -> None:
    everything = {"ReadWriteType": "All", "IncludeManagementEvents": True}
    kms = {**everything, "ExcludeManagementEventSources": ["kms.amazonaws.com"]}
    management = {"Field": "eventCategory", "Equals": ["Management"]}
    writes = {"Field": "readOnly", "Equals": ["false"]}
    for answer, due in (
        ({"EventSelectors": [everything]}, True),
        ({"EventSelectors": [kms]}, True),
        ({"EventSelectors": [{**everything, "ReadWriteType": "WriteOnly"}]}, False),
        ({"EventSelectors": [{**everything, "IncludeManagementEvents": False}]}, False),
        ({"AdvancedEventSelectors": [{"FieldSelectors": [management]}]}, True),
        ({"AdvancedEventSelectors": [{"FieldSelectors": [management, writes]}]}, False),
        ({}, False),
    ):
        assert logs_all(answer, [IAM]) is due
    assert not logs_all({"EventSelectors": [kms]}, ["kms.amazonaws.com"])
    excluded = {"Field": "eventSource", "NotEquals": [IAM]}
    advanced = {"AdvancedEventSelectors": [{"FieldSelectors": [management, excluded]}]}
    assert not logs_all(advanced, [IAM])
    assert logs_all(advanced, ["sts.amazonaws.com"])


def test_lookup_proves_nothing_and_drops_what_happened_at_the_end(
    tmp_path: Path,
) -> None:
    events = (call("2028-01-01T10:20:30Z"), call("2028-01-02T00:00:00Z"))
    with watch(tmp_path, world=replace(tiny(), events=events), trail_bucket="") as at:
        at.collect(SIX)
        (run,) = at.runs
    assert run.chains == ()
    assert run.event_counts[0].count == 1
    assert (SECOND, "eu-west-1") in run.collected
    assert any(api == "cloudtrail:LookupEvents" for api, _ in run.queries)


def test_lookup_reads_every_page(tmp_path: Path) -> None:
    start = instant("2028-01-01T01:00:00Z")
    events = tuple(call(iso(Instant(start + n * MINUTE))) for n in range(120))
    with watch(
        tmp_path,
        world=replace(tiny(), events=events),
        trouble=Trouble(empty_pages=("first", "middle")),
        trail_bucket="",
    ) as at:
        at.collect(SIX)
        (run,) = at.runs
    assert run.event_counts[0].count == 120
    assert len(run.events) == 25


def test_lookup_cannot_reach_back_ninety_days(tmp_path: Path) -> None:
    """A look after the end of a quarter of 91 days comes too late."""
    with watch(tmp_path, trail_bucket="") as at:
        at.collect(SIX)
        at.collect("2028-04-04T06:00:00Z")
        reasons = {r.reason for run in at.runs for r in run.missing}
        lost = [run for run in at.runs if run.missing]
    assert reasons == {"lookup-expired"}
    assert {iso(run.window.start) for run in lost} <= {
        "2028-01-02T00:00:00Z",
        "2028-01-03T00:00:00Z",
        "2028-01-04T00:00:00Z",
        "2028-01-05T00:00:00Z",
    }


def test_events_that_nobody_expects_are_listed_far_beyond_the_usual(
    tmp_path: Path,
) -> None:
    start = instant("2028-01-01T01:00:00Z")
    events = tuple(call(iso(Instant(start + n * MINUTE))) for n in range(60))
    with watch(tmp_path, world=replace(tiny(), events=events), expect="none") as at:
        at.collect(SIX)
        (run,) = at.runs
    assert len(run.events) == run.event_counts[0].count == 60


def test_strange_key_among_the_digests_is_reported(tmp_path: Path) -> None:
    with watch(tmp_path) as at:
        at.desk.sandbox.set_clock(instant(SIX))
        bucket = TrailBucket(Conversation(at.desk.aws), "trail-000000000001", at_once=4)
        names = bucket.digests((SECOND, HOME), instant("2028-01-01T00:00:00Z"))
        keys = bucket.public_keys(HOME, names[0].end, names[-1].end)
        assert {d.fault for d in bucket.read(names, keys)} == {""}
        gone = replace(names[0], key=names[0].key.replace("2028/01/01", "2028/01/09"))
        (lost,) = bucket.read([gone], keys)
        assert "NoSuchKey" in lost.fault


def test_nothing_is_asked_while_no_control_names_an_event(tmp_path: Path) -> None:
    with watch(tmp_path) as at:
        at.demands = ()
        assert at.collect(SIX).runs == ()
