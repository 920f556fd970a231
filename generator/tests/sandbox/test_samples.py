# SPDX-License-Identifier: Apache-2.0
"""The sandbox's replies, field by field, against what AWS documents or people recorded.

What older tests hold against a sample stands in OTHERS; here is the rest, and that no
file of the samples is left out.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from controlbook.sandbox.items import file_item
from controlbook.sandbox.recording import Recording
from controlbook.sandbox.tiny import tiny
from controlbook.sources.items import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controlbook.sandbox.server import Sandbox

    ClientOf = Callable[..., Any]

TESTS = Path(__file__).parents[1]
SAMPLES = TESTS.parents[2] / "shared" / "samples"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples here")
ORG = {"ConfigurationAggregatorName": "org"}

OTHERS = {
    "cloudtrail/aws-doc-digest-files.txt": (
        "sources/test_digests.py",
        "sandbox/test_trails.py",
    ),
    "cloudtrail/aws-doc-log-file-examples.txt": ("sources/test_events.py",),
    "config/aws-doc-example-configuration-history-notification.txt": (
        "sandbox/test_delivery.py",
    ),
    "config/aws-doc-view-compliance-history.txt": (
        "sources/test_items.py",
        "sandbox/test_items.py",
    ),
    "config/recorded-test_config_compliance.json": (
        "sandbox/test_config_aggregate.py",
    ),
    "config/recorded-test_config_compliance_iam_role.json": (
        "sandbox/test_config_aggregate.py",
    ),
    "config/recorded-test_config_inconsistent_hub_rule.json": (
        "sandbox/test_config_aggregate.py",
    ),
    "conformance-packs/Operational-Best-Practices-for-AWS-Well-Architected-"
    "Reliability-Pillar.yaml": ("imports/test_packs.py",),
    "conformance-packs/Operational-Best-Practices-for-PCI-DSS.yaml": (
        "imports/test_packs.py",
    ),
}
"""Sample → the tests elsewhere that read it and hold ours against it."""
HERE = {
    "config/aws-doc-compliance-history-conformance-pack.txt",
    "config/aws-doc-deliver-snapshot-cli.txt",
    "config/aws-doc-example-config-rule-compliance-notification.txt",
    "security-hub/asff_sample.json",
}


def documents(name: str) -> Iterator[dict[str, Any]]:
    """Read the JSON documents of a sample, one after the other."""
    text = (SAMPLES / name).read_text("utf-8")
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        tree, at = decoder.raw_decode(text, at)
        yield tree


def same_types(ours: dict[str, Any], theirs: dict[str, Any]) -> set[str]:
    """Demand equal types of what both have; give what only ours has."""
    for name in ours.keys() & theirs.keys():
        if ours[name] is not None and theirs[name] is not None:
            assert type(ours[name]) is type(theirs[name]), name
    return ours.keys() - theirs.keys()


def test_every_sample_is_held_against_ours() -> None:
    files = {p.relative_to(SAMPLES).as_posix() for p in SAMPLES.rglob("*.*")}
    assert files - {"README.md"} == OTHERS.keys() | HERE
    for sample, tests in OTHERS.items():
        stem = Path(sample).stem.removeprefix("recorded-")
        for test in tests:
            assert stem in (TESTS / test).read_text("utf-8"), (sample, test)


def test_snapshot_items_speak_the_dialect_of_our_history_files() -> None:
    name = "config/aws-doc-deliver-snapshot-cli.txt"
    (snapshot,) = (d for d in documents(name) if "fileVersion" in d)
    ours = file_item(Recording(tiny()).records[0])
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    for item in snapshot["configurationItems"]:
        # That page is of 2014: three names are spelt otherwise today.
        item["awsAccountId"] = item.pop("accountId")
        item["ARN"] = item.pop("arn")
        only = same_types(ours, item)
        assert only <= {
            "configurationStateId",
            "configurationStateMd5Hash",
            "awsRegion",
            "resourceName",
            "supplementaryConfiguration",
        }
        assert stamp.fullmatch(item["configurationItemCaptureTime"])
        for link in item["relationships"]:
            assert set(ours["relationships"][0]) - set(link) <= {"resourceName"}
    assert stamp.fullmatch(ours["configurationItemCaptureTime"])
    # The product takes no verdict from what is no ResourceCompliance item.
    key = (
        "AWSLogs/000000000001/Config/eu-west-1/2028/1/1/ConfigHistory/"
        "000000000001_Config_eu-west-1_ConfigHistory_AWS::EC2::Volume_"
        "20280101T100000Z_20280101T100500Z_1.json.gz"
    )
    assert read_file(gzip.compress(json.dumps(snapshot).encode()), key) == ()


def test_delivery_status_has_the_documented_fields(
    small: Sandbox, client_of: ClientOf
) -> None:
    name = "config/aws-doc-deliver-snapshot-cli.txt"
    (told,) = (d for d in documents(name) if "DeliveryChannelsStatus" in d)
    (theirs,) = told["DeliveryChannelsStatus"]
    reply = client_of(small, "config").describe_delivery_channel_status()
    (ours,) = reply["DeliveryChannelsStatus"]
    assert set(ours) <= set(theirs)
    assert {"name", "configHistoryDeliveryInfo"} <= set(ours)
    history = ours["configHistoryDeliveryInfo"]
    theirs = theirs["configHistoryDeliveryInfo"]
    assert set(theirs) <= set(history) <= {*theirs, "nextDeliveryTime"}


def test_evaluation_results_have_the_fields_of_the_compliance_notification(
    small: Sandbox, client_of: ClientOf
) -> None:
    name = "config/aws-doc-example-config-rule-compliance-notification.txt"
    (document,) = documents(name)
    message = document["Message"]
    config = client_of(small, "config")
    pages = config.get_paginator("get_aggregate_compliance_details_by_config_rule")
    rule = "s3-bucket-server-side-encryption-enabled"
    place = {"AccountId": "000000000001", "AwsRegion": "eu-west-1"}
    page = next(iter(pages.paginate(**ORG, ConfigRuleName=rule, **place)))
    ours = page["AggregateEvaluationResults"][0]
    for result in ("newEvaluationResult", "oldEvaluationResult"):
        theirs = message[result]
        assert theirs["complianceType"] in {"COMPLIANT", "NON_COMPLIANT"}
        # One account's answer has a token, an aggregate's has account and Region.
        wanted = {capital(n) for n, v in theirs.items() if v is not None}
        assert wanted == set(ours) - {"AccountId", "AwsRegion", "Annotation"}
        identifier = theirs["evaluationResultIdentifier"]
        own = ours["EvaluationResultIdentifier"]
        assert {capital(n) for n in identifier} == set(own)
        qualifier = identifier["evaluationResultQualifier"]
        given = set(own["EvaluationResultQualifier"]) - {"EvaluationMode"}
        assert {capital(n) for n in qualifier} == given
    shape = re.compile(
        r"arn:aws:config:[a-z0-9-]+:\d{12}:config-rule/config-rule-[a-z0-9]{6}"
    )
    assert shape.fullmatch(message["configRuleARN"])
    rules = config.describe_config_rules()["ConfigRules"]
    assert all(shape.fullmatch(row["ConfigRuleArn"]) for row in rules)


def capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def test_rules_of_packs_are_named_as_in_the_documented_pack_item(
    payments: Sandbox, client_of: ClientOf
) -> None:
    name = "config/aws-doc-compliance-history-conformance-pack.txt"
    (document,) = documents(name)
    for item in document["configurationItems"]:
        assert item["resourceType"] == "AWS::Config::ConformancePackCompliance"
        inside = json.loads(item["configuration"])
        named = [row["configRuleName"] for row in inside["configRuleList"]]
        ident = item["resourceId"].removeprefix("conformance-pack-")
        assert all(each.endswith(f"-conformance-pack-{ident}") for each in named)
        counts = (inside["compliantRuleCount"], inside["nonCompliantRuleCount"])
        verdicts = [row["complianceType"] for row in inside["configRuleList"]]
        wanted = (verdicts.count("COMPLIANT"), verdicts.count("NON_COMPLIANT"))
        assert counts == wanted
    config = client_of(payments, "config", "111122223333")
    packs = config.describe_conformance_packs()["ConformancePackDetails"]
    assert packs
    for pack in packs:
        place = r"arn:aws:config:[a-z0-9-]+:\d{12}"
        assert re.fullmatch(
            rf"{place}:conformance-pack/{re.escape(pack['ConformancePackName'])}/"
            rf"{re.escape(pack['ConformancePackId'])}",
            pack["ConformancePackArn"],
        )
        reply = config.describe_conformance_pack_compliance(
            ConformancePackName=pack["ConformancePackName"]
        )
        rows = reply["ConformancePackRuleComplianceList"]
        ident = pack["ConformancePackId"].removeprefix("conformance-pack-")
        assert rows
        for row in rows:
            assert row["ConfigRuleName"].endswith(f"-conformance-pack-{ident}")
            assert set(row) == {"ConfigRuleName", "ComplianceType", "Controls"}


def test_findings_have_the_fields_and_types_of_public_ones(
    small: Sandbox, client_of: ClientOf
) -> None:
    (document,) = documents("security-hub/asff_sample.json")
    small.set_clock(small.world.begin)
    ours = client_of(small, "securityhub").get_findings()["Findings"]
    assert ours
    required = {
        "SchemaVersion", "Id", "ProductArn", "GeneratorId", "AwsAccountId",
        "CreatedAt", "UpdatedAt", "Severity", "Title", "Description", "Resources",
    }  # fmt: skip
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
    for theirs in document["Findings"]:
        assert required <= set(theirs)
        for own in ours:
            assert required <= set(own)
            assert same_types(own, theirs) <= {"Workflow", "Region"}
            assert own["SchemaVersion"] == theirs["SchemaVersion"]
            # These two came after the sample was recorded.
            newer = {"SecurityControlId", "AssociatedStandards"}
            compliance = theirs.get("Compliance", {"Status": ""})
            assert same_types(own["Compliance"], compliance) <= newer
            assert same_types(own["Resources"][0], theirs["Resources"][0]) == set()
            for time in ("CreatedAt", "UpdatedAt"):
                assert stamp.fullmatch(own[time])
                assert stamp.fullmatch(theirs[time])
