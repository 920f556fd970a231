# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from controlbook.sandbox.recording import DELETED, DISCOVERED, OK, Record, Recording
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.world import (
    COMPLIANT,
    INSUFFICIENT_DATA,
    NON_COMPLIANT,
    NOT_APPLICABLE,
    RecorderStop,
    Resource,
    RuleFailure,
    Verdict,
)
from controlbook.timeline import instant, iso

if TYPE_CHECKING:
    from controlbook.sandbox.world import (
        World,
    )

FIRST, SECOND, REGION = "000000000001", "000000000002", "eu-west-1"
S3, RDS = "s3-bucket-server-side-encryption-enabled", "rds-storage-encrypted"
BETA = (FIRST, REGION, "AWS::S3::Bucket/beta")
GAMMA = (SECOND, REGION, "AWS::S3::Bucket/gamma")
DELTA = (SECOND, REGION, "AWS::RDS::DBInstance/delta")
END = instant("2028-02-01T00:00:00Z")


def story(world: World, key: tuple[str, str, str]) -> list[tuple[str, str, str]]:
    return [
        (iso(each.at), each.status, " ".join(entry.state for entry in each.entries))
        for each in Recording(world).history(key, END)
    ]


def test_item_is_written_on_each_transition() -> None:
    assert story(tiny(), BETA) == [
        ("2027-06-01T09:03:00Z", DISCOVERED, COMPLIANT),
        ("2028-01-01T10:00:00Z", OK, NON_COMPLIANT),
        ("2028-01-01T10:05:00Z", OK, COMPLIANT),
    ]


def test_repeated_verdict_writes_no_item() -> None:
    world = tiny()
    again = Verdict(
        at=instant("2028-01-05T00:00:00Z"),
        account=FIRST,
        region=REGION,
        rule=S3,
        resource="AWS::S3::Bucket/beta",
        state=COMPLIANT,
    )
    told = story(replace(world, verdicts=(*world.verdicts, again)), BETA)
    assert told == story(world, BETA)


def test_deleted_resource_ends_with_an_item_without_verdicts() -> None:
    assert story(tiny(), DELTA) == [
        ("2028-01-02T07:03:00Z", DISCOVERED, COMPLIANT),
        ("2028-01-03T07:00:00Z", DELETED, ""),
    ]


def test_resource_created_again_is_discovered_again() -> None:
    world = tiny()
    born = instant("2028-01-10T00:00:00Z")
    life = Resource(
        account=SECOND, region=REGION, type="AWS::RDS::DBInstance", id="delta",
        created=born,
    )  # fmt: skip
    verdict = Verdict(
        at=born, account=SECOND, region=REGION, rule=RDS, resource=DELTA[2],
        state=NON_COMPLIANT,
    )  # fmt: skip
    again = replace(
        world,
        resources=(*world.resources, life),
        verdicts=(*world.verdicts, verdict),
    )
    assert story(again, DELTA)[2:] == [
        ("2028-01-10T00:00:00Z", DISCOVERED, NON_COMPLIANT)
    ]


def test_failing_rule_says_insufficient_data_from_start_to_end() -> None:
    failure = RuleFailure(
        account=SECOND,
        region=REGION,
        rule=S3,
        start=instant("2028-01-19T08:00:00Z"),
        end=instant("2028-01-19T14:00:00Z"),
    )
    assert story(replace(tiny(), failures=(failure,)), GAMMA) == [
        ("2027-06-01T09:03:00Z", DISCOVERED, COMPLIANT),
        ("2028-01-19T08:00:00Z", OK, INSUFFICIENT_DATA),
        ("2028-01-19T14:00:00Z", OK, COMPLIANT),
    ]


def test_stopped_recorder_sees_what_changed_when_it_starts_again() -> None:
    stop = RecorderStop(
        account=FIRST,
        region=REGION,
        start=instant("2028-01-01T10:02:00Z"),
        end=instant("2028-01-01T12:00:00Z"),
    )
    assert story(replace(tiny(), stops=(stop,)), BETA)[1:] == [
        ("2028-01-01T10:00:00Z", OK, NON_COMPLIANT),
        ("2028-01-01T12:00:00Z", OK, COMPLIANT),
    ]


def test_stopped_recorder_misses_what_came_and_went() -> None:
    stop = RecorderStop(
        account=FIRST,
        region=REGION,
        start=instant("2028-01-01T09:00:00Z"),
        end=instant("2028-01-01T12:00:00Z"),
    )
    assert len(story(replace(tiny(), stops=(stop,)), BETA)) == 1


def test_recorder_that_never_starts_again_records_nothing_more() -> None:
    stop = RecorderStop(
        account=FIRST, region=REGION, start=instant("2028-01-01T09:00:00Z")
    )
    assert len(story(replace(tiny(), stops=(stop,)), BETA)) == 1


def test_removed_rule_leaves_the_list_while_the_resource_lives() -> None:
    world = tiny()
    gone = instant("2028-01-20T00:00:00Z")
    rules = tuple(
        replace(rule, deleted=gone) if rule.account == SECOND else rule
        for rule in world.rules
    )
    assert story(replace(world, rules=rules), GAMMA)[1:] == [
        ("2028-01-20T00:00:00Z", OK, "")
    ]


def test_not_applicable_leaves_the_list() -> None:
    world = tiny()
    change = Verdict(
        at=instant("2028-01-20T00:00:00Z"),
        account=SECOND,
        region=REGION,
        rule=S3,
        resource="AWS::S3::Bucket/gamma",
        state=NOT_APPLICABLE,
    )
    told = story(replace(world, verdicts=(*world.verdicts, change)), GAMMA)
    assert told[1:] == [("2028-01-20T00:00:00Z", OK, "")]


def test_standing_is_each_live_resources_latest_item() -> None:
    recording = Recording(tiny())

    def names(at: str) -> list[str]:
        return [r.resource for r in recording.standing((SECOND, REGION), instant(at))]

    assert names("2028-01-02T07:02:59Z") == ["AWS::S3::Bucket/gamma"]
    assert names("2028-01-02T07:03:00Z") == [
        "AWS::RDS::DBInstance/delta",
        "AWS::S3::Bucket/gamma",
    ]
    assert names("2028-01-03T07:00:00Z") == ["AWS::S3::Bucket/gamma"]
    assert names("2027-01-01T00:00:00Z") == []


def test_one_bad_verdict_decides_an_items_compliance() -> None:
    def summed(*states: str) -> str:
        recording = Recording(tiny())
        first = recording.records[0]
        entries = tuple(replace(first.entries[0], state=state) for state in states)
        return Record(
            first.at, FIRST, REGION, "AWS::S3::Bucket", "x", OK, entries
        ).compliance

    assert summed(COMPLIANT, NON_COMPLIANT, INSUFFICIENT_DATA) == NON_COMPLIANT
    assert summed(COMPLIANT, INSUFFICIENT_DATA) == COMPLIANT
    assert summed(INSUFFICIENT_DATA) == INSUFFICIENT_DATA
    assert summed() == NOT_APPLICABLE
