# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from controlbook.sandbox.protocol import ServiceError
from controlbook.sandbox.query import parse
from controlbook.sandbox.recording import Recording
from controlbook.sandbox.tiny import tiny

RECORD = next(r for r in Recording(tiny()).records if r.target_id == "alpha")


@pytest.mark.parametrize(
    "condition",
    [
        "accountId = '000000000001'",
        "accountId != '000000000002'",
        "accountId <> '000000000002'",
        "accountId IN ('000000000009', '000000000001')",
        "configurationItemCaptureTime >= '2027-06-01T09:03:00.000Z'",
        "configurationItemCaptureTime <= '2027-06-01T09:03:00.000Z'",
        "configurationItemCaptureTime < '2027-06-02' and awsRegion = 'eu-west-1'",
        "configuration.complianceType = 'COMPLIANT'",
        "resourceName = ''",
    ],
)
def test_condition_holds(condition: str) -> None:
    assert parse(f"select resourceId where {condition}").selects(RECORD)
    assert not parse(
        f"SELECT resourceId WHERE {condition} AND resourceId = 'it''s another'"
    ).selects(RECORD)


def test_row_nests_the_members_of_configuration() -> None:
    query = parse(
        "SELECT accountId, configuration.targetResourceId, configuration.complianceType"
        " WHERE accountId = 'x'"
    )
    assert json.loads(query.row(RECORD)) == {
        "accountId": "000000000001",
        "configuration": {"targetResourceId": "alpha", "complianceType": "COMPLIANT"},
    }


@pytest.mark.parametrize(
    "expression",
    [
        "SELECT *",
        "SELECT * WHERE accountId = 'x'",
        "SELECT colour WHERE accountId = 'x'",
        "SELECT accountId WHERE colour = 'x'",
        "SELECT accountId WHERE configuration = 'x'",
        "SELECT accountId WHERE accountId = x",
        "SELECT accountId WHERE accountId = 'x' OR accountId = 'y'",
        "SELECT accountId WHERE accountId = 'x' ORDER BY accountId",
        "SELECT accountId WHERE accountId = 'x' AND ",
        "DELETE accountId WHERE accountId = 'x'",
    ],
)
def test_what_is_not_understood_is_an_error_and_no_empty_answer(
    expression: str,
) -> None:
    with pytest.raises(ServiceError) as caught:
        parse(expression)
    assert caught.value.code == "InvalidExpressionException"
