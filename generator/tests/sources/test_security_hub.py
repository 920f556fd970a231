# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from collecting import Desk, desk
from looks import hub, look, runs

from controlbook.errors import Exit
from controlbook.hub_controls import rule_of
from controlbook.sandbox.example import AUDIT, PROD, TOOLING, example
from controlbook.sandbox.trouble import Trouble
from controlbook.sources.security_hub import SecurityHub, _item, verdict
from controlbook.timeline import instant, iso

if TYPE_CHECKING:
    from controlbook.model import Observation

SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples" / "security-hub"
BEFORE, AFTER = "2028-03-18T06:00:00Z", "2028-03-25T06:00:00Z"


def row(open_desk: Desk, account: str, control: str) -> Observation:
    return next(
        each
        for each in runs(open_desk, "security-hub")[-1].observations
        if (each.account, each.evidence) == (account, f"security-hub:{control}")
    )


def test_a_control_has_one_verdict_for_each_account_and_region(tmp_path: Path) -> None:
    with desk(example(), tmp_path) as open_desk:
        done = look(open_desk, SecurityHub(), "2028-03-06T06:00:00Z", *hub("EC2.6"))
        assert done.code is Exit.FINE
        assert row(open_desk, PROD, "EC2.6").result == "PASSED"
        failed = row(open_desk, TOOLING, "EC2.6")
        assert (failed.region, failed.result) == ("eu-west-1", "FAILED")
        assert dict(failed.counts) == {"FAILED": 1}


def test_history_tells_of_a_failure_between_two_looks(tmp_path: Path) -> None:
    with desk(example(), tmp_path) as open_desk:
        look(open_desk, SecurityHub(), BEFORE, *hub("CloudTrail.5"))
        look(open_desk, SecurityHub(), AFTER, *hub("CloudTrail.5"))
        found = row(open_desk, AUDIT, "CloudTrail.5")
        assert found.result == "PASSED"
        assert found.moves == (
            (instant("2028-03-20T10:00:00Z"), "FAILED"),
            (instant("2028-03-20T12:30:00Z"), "PASSED"),
        )


def test_a_control_without_findings_says_nothing(tmp_path: Path) -> None:
    with desk(example(), tmp_path) as open_desk:
        done = look(open_desk, SecurityHub(), BEFORE, *hub("CloudTrail.5", "Lambda.1"))
        assert done.code is Exit.FOUND
        # The trail stands in one account only.
        nothing = row(open_desk, PROD, "CloudTrail.5")
        assert (nothing.state, nothing.result) == ("hub-no-data", "NO_FINDINGS")
        assert row(open_desk, AUDIT, "CloudTrail.5").state == "observed"


def test_pages_are_read_to_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlbook.sandbox.security_hub.PAGE", 5)
    trouble = Trouble(empty_pages=("first", "middle", "last"), throttle_every=7)
    with desk(example(), tmp_path, trouble) as open_desk:
        look(open_desk, SecurityHub(), BEFORE, *hub("S3.4"))
        assert dict(row(open_desk, PROD, "S3.4").counts) == {"PASSED": 21}


def test_what_fails_is_named_with_the_time_that_is_known(tmp_path: Path) -> None:
    with desk(example(), tmp_path) as open_desk:
        look(open_desk, SecurityHub(), "2028-02-14T03:13:00Z", *hub("S3.4"))
        first = row(open_desk, PROD, "S3.4")
        look(open_desk, SecurityHub(), "2028-02-15T03:13:00Z", *hub("S3.4"))
        mended = row(open_desk, PROD, "S3.4")
    (failing,) = first.failing
    assert "stale-backup-archive" in failing.item
    assert (iso(failing.since), failing.precision, failing.workflow) == (
        "2028-02-14T03:12:00Z",
        "update",
        "NEW",
    )
    assert mended.failing == ()


def test_what_failed_before_keeps_its_time_and_history_tells_it_exactly(
    tmp_path: Path,
) -> None:
    with desk(example(), tmp_path) as open_desk:
        look(open_desk, SecurityHub(), "2028-03-04T06:00:00Z", *hub("EC2.6"))
        assert row(open_desk, TOOLING, "EC2.6").failing == ()
        look(open_desk, SecurityHub(), "2028-03-06T06:00:00Z", *hub("EC2.6"))
        (began,) = row(open_desk, TOOLING, "EC2.6").failing
        look(open_desk, SecurityHub(), "2028-03-07T06:00:00Z", *hub("EC2.6"))
        (still,) = row(open_desk, TOOLING, "EC2.6").failing
    assert (iso(began.since), began.precision) == ("2028-03-05T09:00:00Z", "history")
    assert still == began


def test_a_listing_that_turns_in_circles_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlbook.sandbox.security_hub.PAGE", 5)
    with desk(example(), tmp_path, Trouble(looped_token=True)) as open_desk:
        done = look(open_desk, SecurityHub(), BEFORE, *hub("S3.4"))
        assert done.code is Exit.UNAVAILABLE
        assert row(open_desk, PROD, "S3.4").state == "source-failed"


def test_filters_that_are_ignored_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlbook.sandbox.security_hub._taken", lambda *_: True)
    with desk(example(), tmp_path) as open_desk:
        look(open_desk, SecurityHub(), BEFORE, *hub("S3.4"))
        found = row(open_desk, PROD, "S3.4")
        assert (found.state, found.result) == ("source-failed", "Unfiltered")


@pytest.mark.parametrize(
    ("statuses", "sum_"),
    [
        (["PASSED", "FAILED", "WARNING"], "FAILED"),
        (["PASSED", "WARNING"], "NOT_AVAILABLE"),
        (["PASSED", "PASSED"], "PASSED"),
        ([], "NOT_AVAILABLE"),
    ],
)
def test_one_failed_finding_fails_a_control(statuses: list[str], sum_: str) -> None:
    assert verdict(statuses) == sum_


def test_the_rule_behind_a_control_is_known() -> None:
    assert rule_of("IAM.9") == "ROOT_ACCOUNT_MFA_ENABLED"
    assert rule_of("CloudTrail.6") == ""


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the public samples are not here")
def test_public_findings_can_be_read() -> None:
    document = json.loads((SAMPLES / "asff_sample.json").read_text())
    findings = document["Findings"] if isinstance(document, dict) else document
    assert findings
    for finding in findings:
        assert _item(finding).status
