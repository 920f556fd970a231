# SPDX-License-Identifier: Apache-2.0
"""Audit Manager's answers, in the shape of botocore's model; never run against AWS."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from controlbook.errors import ControlbookError
from controlbook.imports import Item
from controlbook.imports.audit_manager import audit_manager, numbered

ID = "0f1e2d3c-0000-4000-8000-000000000001"


def mapped(kind: str, value: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {"sourceId": ID, "sourceName": "x", "sourceType": kind}
    if value:
        row["sourceKeyword"] = {
            "keywordInputType": "SELECT_FROM_LIST",
            "keywordValue": value,
        }
    return row


def framework(name: str, *controls: dict[str, Any]) -> dict[str, Any]:
    rows = list(controls)
    sets = [{"id": ID, "name": "Set", "controls": rows}]
    return {"framework": {"id": ID, "name": name, "controlSets": sets}}


def control(name: str, *sources: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": ID,
        "name": name,
        "description": "Words that belong to somebody.",
        "testingInformation": "More of them.",
        "controlMappingSources": list(sources),
    }


OURS = framework(
    "House rules",
    control(
        "8.2.3: Passwords are long",
        mapped("AWS_Config", "IAM_PASSWORD_POLICY"),
        mapped("AWS_Security_Hub", "IAM.7"),
        mapped("AWS_API_Call", "iam_GetAccountPasswordPolicy"),
        mapped("AWS_Cloudtrail", "iam_UpdateAccountPasswordPolicy"),
        mapped("MANUAL"),
    ),
    control("Nothing is numbered here", mapped("AWS_Config", "Custom_our-rule")),
    control("9.1 Doors", mapped("AWS_Config", "NO_SUCH"), mapped("Core_Control")),
)


def read(document: dict[str, Any]) -> Any:  # noqa: ANN401 - what is read is the subject
    return audit_manager(json.dumps(document).encode(), "framework.json")


def test_the_test_speaks_as_the_model_does() -> None:
    model = botocore.session.get_session().get_service_model("auditmanager")
    shape = model.operation_model("GetAssessmentFramework").output_shape
    assert not ParamValidator().validate(OURS, shape).has_errors()


def test_sources_become_evidence_of_the_control_s_number() -> None:
    found = read(OURS)
    assert [e.key for e in found.evidence] == [
        "config:iam-password-policy",
        "security-hub:IAM.7",
        "snapshot:iam:GetAccountPasswordPolicy",
        "cloudtrail:iam.amazonaws.com:UpdateAccountPasswordPolicy",
        "config:our-rule",
    ]
    assert {(p.number, p.evidence) for p in found.pairs} == {
        ("8.2.3", e.key) for e in found.evidence[:4]
    } | {("nothing-is-numbered-here", "config:our-rule")}
    assert found.items == (
        Item(number="8.2.3", title="Passwords are long"),
        Item(number="nothing-is-numbered-here", title="Nothing is numbered here"),
        Item(number="9.1", title="Doors"),
    )
    notes = "\n".join(found.notes)
    assert "8.2.3: 1 manual sources" in notes
    assert "9.1: a data source was not taken, AWS's rule 'NO_SUCH'" in notes
    assert "9.1: a data source was not taken, Core_Control with no keyword" in notes


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("PCI DSS V3.2.1", "PCI SSC"),
        ("CIS AWS Benchmark v1.4.0", "CIS"),
        ("SOC 2", "AICPA"),
        ("ISO/IEC 27001:2013 Annex A", "ISO"),
    ],
)
def test_marked_text_stays_with_its_owner(name: str, owner: str) -> None:
    found = read(framework(name, control("3.4 Secret words of theirs")))
    assert found.marked == owner
    assert found.items == (Item(number="3.4"),)
    assert "ords" not in repr(found)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("10.1: Do it", "10.1"),
        ("Requirement 3.4 - Do it", "3.4"),
        ("CC6.1 Do it", "CC6.1"),
        ("AC-2(1): Do it", "AC-2(1)"),
        ("164.308(a)(1)(i) Do it", "164.308(a)(1)(i)"),
        ("Do it in 3 days", "do-it-in-3-days"),
    ],
)
def test_a_number_is_what_a_name_begins_with(name: str, number: str) -> None:
    assert numbered(name)[0] == number


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"{", "framework.json:1: broken JSON", id="broken"),
        pytest.param(b"[]", "no JSON object", id="list"),
        pytest.param(b"{}", "neither a framework nor a control", id="other"),
        pytest.param(b'{"a":1,"a":2}', "'a' stands twice", id="twice"),
        pytest.param(b"\xff", "no JSON text", id="bytes"),
        pytest.param(b"[" * 100_000, "no JSON text", id="deep"),
    ],
)
def test_what_is_no_answer_of_audit_manager_is_refused(
    data: bytes, message: str
) -> None:
    with pytest.raises(ControlbookError) as caught:
        audit_manager(data, "framework.json")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "broken",
    [
        {"framework": {"name": 7, "controlSets": "x"}},
        {"framework": {"controlSets": [None, {"controls": [1, {"name": None}]}]}},
        {"control": {"name": "1 x", "controlMappingSources": [{"sourceKeyword": []}]}},
    ],
)
def test_odd_shapes_are_no_crash(broken: dict[str, Any]) -> None:
    assert read(broken).evidence == ()
