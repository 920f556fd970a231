# SPDX-License-Identifier: Apache-2.0
"""Conformance packs of the sandbox, through boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from controlbook.sandbox.example import example
from controlbook.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROD = "111122223333"


@pytest.fixture(scope="module")
def config(client_of: Callable[..., Any]) -> Iterator[Any]:
    with Sandbox(example()) as served:
        yield client_of(served, "config", PROD)


def test_a_pack_is_the_rules_that_bear_its_addition(config: Any) -> None:  # noqa: ANN401 - a boto3 client
    (pack,) = config.describe_conformance_packs()["ConformancePackDetails"]
    name = pack["ConformancePackName"]
    rows = config.describe_conformance_pack_compliance(ConformancePackName=name)
    found = {r["ConfigRuleName"] for r in rows["ConformancePackRuleComplianceList"]}
    rules = {
        rule["ConfigRuleName"]
        for page in config.get_paginator("describe_config_rules").paginate()
        for rule in page["ConfigRules"]
    }
    assert found == {rule for rule in rules if "-conformance-pack-" in rule}
    assert found


def test_filters_choose_rules(config: Any) -> None:  # noqa: ANN401
    (pack,) = config.describe_conformance_packs()["ConformancePackDetails"]
    name = pack["ConformancePackName"]
    rows = config.describe_conformance_pack_compliance(
        ConformancePackName=name, Filters={"ComplianceType": "NON_COMPLIANT"}
    )
    assert rows["ConformancePackRuleComplianceList"] == []


def test_an_unknown_pack_is_aws_s_error(config: Any) -> None:  # noqa: ANN401
    with pytest.raises(ClientError, match="NoSuchConformancePackException"):
        config.describe_conformance_packs(ConformancePackNames=["nope"])
    with pytest.raises(ClientError, match="NoSuchConformancePackException"):
        config.describe_conformance_pack_compliance(ConformancePackName="nope")
