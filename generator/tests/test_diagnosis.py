# SPDX-License-Identifier: Apache-2.0
"""What is wrong with how evidence is made, judged from plain answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controlbook.diagnosis import (
    Bucket,
    Demand,
    custom_remarks,
    delivery_findings,
    demands,
    recorder_findings,
    rule_findings,
    source_findings,
    vault_findings,
)
from controlbook.digest import merkle_root
from controlbook.library import GOVERNED, read
from controlbook.model import ConfigRule, RuleInstance
from controlbook.timeline import DAY, HOUR, Instant, instant

ROOT = Path(__file__).parents[2]
PLACE = ("111122223333", "eu-west-1")
PASSWORDS = ConfigRule(
    name="iam-password-policy",
    identifier="IAM_PASSWORD_POLICY",
    parameters=(("MinimumPasswordLength", "14"), ("RequireNumbers", "true")),
)
OWN = ConfigRule(
    name="redshift-cluster-kms-enabled",
    identifier="custom-lambda:redshift-cluster-kms-enabled",
)
NOW = instant("2028-02-15T06:00:00Z")


def deployed(rule: ConfigRule, **more: Any) -> RuleInstance:  # noqa: ANN401
    facts: dict[str, Any] = {
        "key": "0" * 16,
        "rule": rule.name,
        "deployed_as": f"{rule.name}-conformance-pack-ab12",
        "identifier": rule.identifier,
        "parameters": rule.parameters,
        "account": PLACE[0],
        "region": PLACE[1],
        "trigger": "change",
        "population": 0,
        "counts": (),
        "records_root": merkle_root(()),
    }
    return RuleInstance(**(facts | more))


def kinds(rule: ConfigRule, *rows: RuleInstance) -> list[str]:
    demand = Demand(place=PLACE, control="c", rule=rule)
    return [found.kind for found in rule_findings([demand], {PLACE: rows})]


MANAGED_REDSHIFT = ConfigRule(name=OWN.name, identifier="REDSHIFT_CLUSTER_KMS_ENABLED")


@pytest.mark.parametrize(
    ("rule", "rows", "expected"),
    [
        pytest.param(PASSWORDS, (deployed(PASSWORDS),), [], id="as-demanded"),
        pytest.param(PASSWORDS, (), ["rule-absent"], id="absent"),
        pytest.param(
            PASSWORDS,
            (deployed(PASSWORDS, parameters=(("MinimumPasswordLength", "7"),)),),
            ["parameters-differ"],
            id="other-parameters",
        ),
        pytest.param(
            PASSWORDS,
            (
                deployed(PASSWORDS, parameters=()),
                deployed(PASSWORDS, parameters=(*PASSWORDS.parameters, ("X", "1"))),
            ),
            [],
            id="one-of-two-fits",
        ),
        pytest.param(
            PASSWORDS,
            (deployed(PASSWORDS, status="failing:AccessDenied"),),
            ["rule-failing"],
            id="failing",
        ),
        pytest.param(PASSWORDS, (deployed(PASSWORDS, status="idle"),), [], id="idle"),
        pytest.param(
            MANAGED_REDSHIFT, (deployed(OWN),), ["custom-rule-instead"], id="custom"
        ),
        pytest.param(
            OWN, (deployed(MANAGED_REDSHIFT),), ["managed-rule-instead"], id="managed"
        ),
    ],
)
def test_a_rule_is_compared_with_what_is_deployed(
    rule: ConfigRule, rows: tuple[RuleInstance, ...], expected: list[str]
) -> None:
    assert kinds(rule, *rows) == expected


def test_a_finding_says_where_what_and_what_to_do() -> None:
    demand = Demand(place=PLACE, control="password-rules", rule=PASSWORDS)
    row = deployed(PASSWORDS, parameters=(("MinimumPasswordLength", "7"),))
    (found,) = rule_findings([demand], {PLACE: (row,)})
    assert found.line == (
        "111122223333 eu-west-1 iam-password-policy: deployed as iam-password-policy-"
        "conformance-pack-ab12 with other parameters: MinimumPasswordLength is 7 "
        "instead of 14, RequireNumbers is not set instead of true; deploy what "
        "controls/password-rules.yml demands, or change it there"
    )


def test_a_place_that_did_not_answer_is_not_called_absent() -> None:
    demand = Demand(place=PLACE, control="c", rule=PASSWORDS)
    assert list(rule_findings([demand], {})) == []


@pytest.mark.parametrize(
    ("recording", "recorded", "expected"),
    [
        (True, True, []),
        (False, True, ["recorder-stopped"]),
        (True, False, ["not-recorded"]),
        (False, False, ["recorder-stopped", "not-recorded"]),
    ],
)
def test_recorders(recording: bool, recorded: bool, expected: list[str]) -> None:  # noqa: FBT001
    found = recorder_findings(PLACE, recording=recording, compliance_recorded=recorded)
    assert [finding.kind for finding in found] == expected


@pytest.mark.parametrize(
    ("bucket", "wanted", "delivered", "expected"),
    [
        ("a", "a", Instant(NOW - HOUR), []),
        ("b", "a", Instant(NOW - HOUR), ["delivery-elsewhere"]),
        ("a", "a", None, ["delivery-late"]),
        ("a", "a", Instant(NOW - 3 * DAY), ["delivery-late"]),
        ("a", "", None, []),
    ],
)
def test_deliveries(
    bucket: str, wanted: str, delivered: Instant | None, expected: list[str]
) -> None:
    found = delivery_findings(PLACE, bucket, wanted, delivered, NOW)
    assert [finding.kind for finding in found] == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({PLACE: "SUCCEEDED"}, []),
        ({PLACE: "OUTDATED"}, ["source-outdated"]),
        ({PLACE: "FAILED"}, ["source-failed"]),
        ({}, ["source-missing"]),
    ],
)
def test_sources(status: dict[Any, str], expected: list[str]) -> None:
    assert [finding.kind for finding in source_findings([PLACE], status)] == expected


GOOD = Bucket(
    name="vault",
    lock={
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 8}},
    },
    versioning="Enabled",
    public_access_block={
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    },
    encryption="aws:kms",
    policy="{}",
)
GOVERNANCE = {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE"}}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"versioning": "Suspended"}, ["vault-not-versioned"]),
        ({"lock": None}, ["vault-not-locked"]),
        ({"lock": {"ObjectLockEnabled": "Enabled"}}, ["vault-default-retention"]),
        (
            {"lock": {"ObjectLockEnabled": "Enabled", **GOVERNANCE}},
            ["vault-default-retention"],
        ),
        ({"public_access_block": None}, ["vault-public-access"]),
        (
            {"public_access_block": {"BlockPublicAcls": True}},
            ["vault-public-access"],
        ),
        ({"encryption": ""}, ["vault-not-encrypted"]),
        ({"policy": ""}, ["vault-no-policy"]),
    ],
)
def test_a_vault_is_judged_setting_by_setting(
    change: dict[str, Any], expected: list[str]
) -> None:
    found = vault_findings(replace(GOOD, **change))
    assert [finding.kind for finding in found] == expected


def test_the_example_demands_its_rules_in_every_place_of_its_scope() -> None:
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for prefix in GOVERNED
        for path in [ROOT / prefix, *(ROOT / prefix).rglob("*")]
        if path.is_file()
    }
    library = read(files)
    found = demands(library)
    assert {demand.place[0] for demand in found} == {
        "111122223333",
        "111122224444",
        "111122225555",
        "111122226666",
    }
    assert "pan-encrypted-at-rest" in {demand.control for demand in found}
    remarks = [f for f in custom_remarks(library) if OWN.name in f.message]
    assert len(remarks) == 1
    assert remarks[0].remark
