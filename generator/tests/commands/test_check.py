# SPDX-License-Identifier: Apache-2.0
"""What `check` notices of evidence that is named as AWS names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from running import controlbook, small_programme

if TYPE_CHECKING:
    from pathlib import Path

CONTROL = """\
id: "keys"
title: "Keys are known"
statement: "Somebody looks at the keys."
owner: "olga"
evidence:
  - snapshot: "{call}"
  - security-hub: "{hub}"
"""
GOOD = {"call": "iam:GetAccountAuthorizationDetails", "hub": "IAM.6"}


def noticed(root: Path, **named: str) -> list[str]:
    (root / "controls/keys.yml").write_text(CONTROL.format_map(GOOD | named))
    found = controlbook(root, "check")
    problems: list[dict[str, str]] = found.data["problems"]  # type: ignore[assignment]
    assert "controls/keys.yml" not in {row["path"] for row in problems}
    rows: list[str] = found.data["noticed"]  # type: ignore[assignment]
    return [row for row in rows if row.startswith("controls/keys.yml")]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({}, []),
        (
            {"call": "iam:GetAccountAuthorisationDetails"},
            [
                "controls/keys.yml:6: boto3 knows no call"
                " iam:GetAccountAuthorisationDetails; did you mean"
                " 'GetAccountAuthorizationDetails'?"
            ],
        ),
        (
            {"call": "cloudtrial:DescribeTrails"},
            [
                "controls/keys.yml:6: boto3 knows no service 'cloudtrial'; did you mean"
                " 'cloudtrail'?"
            ],
        ),
        (
            {"hub": "IMA.6"},
            [
                "controls/keys.yml:7: this version knows no Security Hub control IMA.6;"
                " did you mean 'IAM.6'?"
            ],
        ),
    ],
)
def test_evidence_that_aws_does_not_have_is_noticed(
    tmp_path: Path, named: dict[str, str], says: list[str]
) -> None:
    assert noticed(small_programme(tmp_path), **named) == says
