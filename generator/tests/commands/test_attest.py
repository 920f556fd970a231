# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import released

from controlbook import cli
from controlbook.errors import ControlbookError

if TYPE_CHECKING:
    from pathlib import Path

PROPOSAL = (
    'controls: ["policy-kept", '
    '{control: "buckets-encrypted", source: "aws", state: "proposed"}]'
)


def commit_framework(made: released.Example, old: str, new: str) -> None:
    text = released.FRAMEWORK.replace(
        "requirements:", 'sources: {aws: "AWS"}\nrequirements:'
    )
    assert old in text
    made.commit(
        {"frameworks/pci-dss-3.2.1.yml": text.replace(old, new).encode()}, "Propose\n"
    )


def test_a_control_that_is_only_proposed_cannot_be_attested(tmp_path: Path) -> None:
    made = released.Example(tmp_path)
    made.collect()
    text = released.ASSESSMENT.replace('["3.4", "9.9", "12.1"]', '["9.9", "12.1"]')
    text = text.replace("excluded: {", 'excluded: {"3.4": "Next time.", ')
    made.commit({f"signoffs/{released.NAME}/assessment.yml": text.encode()}, "Narrow\n")
    commit_framework(made, 'controls: ["policy-kept"]', PROPOSAL)
    with pytest.raises(ControlbookError) as refusal:
        cli.run(
            [
                "attest",
                released.NAME,
                "buckets-encrypted",
                "--as",
                "j-moreau",
                "--statement",
                "This control is mine, and it was kept throughout the period.",
                "-C",
                str(made.repository.root),
            ]
        )
    assert "has no control 'buckets-encrypted' in scope" in str(refusal.value)
    assert "it is only proposed for 12.1: review the mapping" in str(refusal.value)


def test_a_release_is_refused_while_a_number_rests_on_proposals(tmp_path: Path) -> None:
    made = released.example(tmp_path)
    only = '[{control: "policy-kept", source: "aws", state: "proposed"}]'
    commit_framework(made, 'controls: ["policy-kept"]', f"controls: {only}")
    with pytest.raises(ControlbookError) as refusal:
        cli.run(["release", released.NAME, "-C", str(made.repository.root)])
    assert "12.1 is in scope, but rests on proposed mappings only" in str(refusal.value)
    assert made.repository.tags() == ()


def test_a_proposal_beside_a_reviewed_mapping_leaves_the_sign_off_current(
    tmp_path: Path,
) -> None:
    made = released.example(tmp_path)
    before = made.programme.statuses(released.NAME)
    commit_framework(made, 'controls: ["policy-kept"]', PROPOSAL)
    after = made.programme.statuses(released.NAME)
    assert after["12.1"].status == before["12.1"].status
    assert after["12.1"].judgement.counts
