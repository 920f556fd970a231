# SPDX-License-Identifier: Apache-2.0
"""What `check` notices of evidence that is named as AWS names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import released
from running import controlbook, small_programme

from controlbook.errors import Exit

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


@pytest.mark.threat("T26")
@pytest.mark.threat("T29")
@pytest.mark.parametrize("annotated", [False, True])
def test_t26_t29_a_hole_that_nobody_explained_is_exit_1(
    tmp_path: Path,
    annotated: bool,  # noqa: FBT001
) -> None:
    example = released.example(tmp_path, skip=(4,), annotated=annotated)
    example.repository.git("reset", "--quiet", "--hard")
    found = controlbook(example.repository.root, "check")
    rows: list[str] = found.data["found"]  # type: ignore[assignment]
    holes = [row for row in rows if row.startswith(released.NAME)]
    if annotated:
        assert holes == []
        return
    assert found.code is Exit.FOUND
    (hole,) = holes
    assert "no-run from 2028-02-14T00:00:00Z to 2028-02-15T00:00:00Z: gap-" in hole
    assert "is not annotated; run `controlbook collect`, or explain it with" in hole
