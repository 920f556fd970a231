# SPDX-License-Identifier: Apache-2.0
"""The example's world holds design section 9, exactly and nothing else."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from controlbook.sandbox.example import (
    AUDIT,
    NAMES,
    PROD,
    REGION,
    STAGING,
    TOOLING,
    deployed_name,
    example,
)
from controlbook.sandbox.recording import DELETED, Recording
from controlbook.sandbox.world import COMPLIANT
from controlbook.timeline import Interval, instant, iso

WORLD = example()
RECORDING = Recording(WORLD)
QUARTER = Interval(instant("2028-01-01T00:00:00Z"), instant("2028-04-01T00:00:00Z"))
BEFORE = instant("2027-12-31T00:00:00Z")
REFERENCE = Path(__file__).parents[3].parent / "shared" / "reference"


def test_four_accounts_hold_47_buckets_all_quarter() -> None:
    assert tuple(account.name for account in WORLD.accounts) == (
        "payments-prod", "payments-staging", "tooling", "audit",
    )  # fmt: skip
    buckets = [each for each in WORLD.resources if each.type == "AWS::S3::Bucket"]
    assert len({(each.account, each.id) for each in buckets}) == 47
    assert {each.account for each in buckets} == set(NAMES)
    assert all(each.created < BEFORE and each.deleted is None for each in buckets)
    assert WORLD.delivery_bucket in {each.id for each in buckets}


def test_deviations_and_the_gap_are_those_of_the_example() -> None:
    found = set()
    for history in RECORDING.histories.values():
        for record in history:
            for entry in record.entries:
                if entry.state != COMPLIANT and entry.since == record.at:
                    end = _end(record.account, record.resource, entry)
                    times = (iso(record.at), end)
                    rule = entry.rule.name
                    told = (record.account, rule, record.target_id, entry.state)
                    found.add((*told, *times))
    gap = ("INSUFFICIENT_DATA", "2028-01-19T08:00:00Z", "2028-01-19T14:00:00Z")
    kms = "redshift-cluster-kms-enabled"
    bad = "NON_COMPLIANT"
    assert found == {
        (PROD, "s3-bucket-server-side-encryption-enabled", "stale-backup-archive",
         bad, "2028-02-14T03:12:00Z", "2028-02-14T03:17:00Z"),
        (TOOLING, "vpc-flow-logs-enabled", "vpc-0b7e61d2",
         bad, "2028-03-05T09:00:00Z", "2028-03-08T09:00:00Z"),
        (AUDIT, "cloud-trail-cloud-watch-logs-enabled", "org-trail",
         bad, "2028-03-20T10:00:00Z", "2028-03-20T12:30:00Z"),
        (STAGING, kms, "finance-dwh-staging", *gap),
        (STAGING, kms, "risk-dwh-staging", *gap),
    }  # fmt: skip


def _end(account: str, resource: str, entry: object) -> str:
    for record in RECORDING.histories[account, REGION, resource]:
        if record.at > entry.since:  # type: ignore[attr-defined]
            return iso(record.at)
    return ""


def test_everything_in_force_was_reached_long_before_the_first_run() -> None:
    born_later = {
        (each.account, each.name) for each in WORLD.resources if each.created >= BEFORE
    }
    for record in RECORDING.records:
        if (record.account, record.resource) not in born_later:
            first = RECORDING.histories[record.account, REGION, record.resource][0]
            assert first.at < instant("2027-07-01T00:00:00Z")


def test_first_window_of_2027_12_31_is_quiet() -> None:
    day = Interval(BEFORE, QUARTER.start)
    assert not [record for record in RECORDING.records if day.contains(record.at)]


def test_some_resources_come_and_go_while_compliant() -> None:
    within = [record for record in RECORDING.records if QUARTER.contains(record.at)]
    deleted = {record.target_id for record in within if record.status == DELETED}
    assert deleted == {
        "ledger-migration-db", "vol-0c4d19e7a6b58213f", "artifact-uploader",
    }  # fmt: skip
    created = {each.id for each in WORLD.resources if QUARTER.contains(each.created)}
    assert created == {
        "payments-reporting-db", "release-train-state", "artifact-uploader",
    }  # fmt: skip


def test_every_rule_is_deployed_in_every_account() -> None:
    counts = Counter(rule.account for rule in WORLD.rules)
    assert set(counts.values()) == {22}
    assert set(counts) == set(NAMES)


def test_periodic_transitions_fall_on_the_rules_beat() -> None:
    for verdict in WORLD.verdicts:
        (rule,) = (
            rule
            for rule in WORLD.rules
            if (rule.account, rule.name) == (verdict.account, verdict.rule)
        )
        asked_for = iso(verdict.at) == "2028-03-20T12:30:00Z"
        if rule.trigger == "periodic" and not asked_for:
            assert rule.last_tick(verdict.at) == verdict.at, verdict


def test_no_transition_falls_into_the_hours_of_a_run() -> None:
    # A run at 06:00Z closes the day before; the aggregator it asks shows 06:00Z.
    for record in RECORDING.records:
        clock = iso(record.at)[11:]
        assert not "00:00:00Z" <= clock <= "06:00:00Z" or clock.startswith("03:1")


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference lists here")
def test_managed_identifiers_and_triggers_are_awss_own() -> None:
    with (REFERENCE / "config_managed_rules.csv").open(newline="") as file:
        known = {row["identifier"]: row for row in csv.DictReader(file)}
    for rule in WORLD.rules:
        if rule.owner == "AWS":
            assert rule.identifier in known, rule.name


def test_names_of_services_rules_differ_between_accounts_only_for_the_hub() -> None:
    packed = {deployed_name(account, "restricted-ssh") for account in NAMES}
    hubbed = {deployed_name(account, "root-account-mfa-enabled") for account in NAMES}
    assert len(packed) == 1
    assert len(hubbed) == 4
