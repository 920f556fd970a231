# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from collecting import Desk, desk
from looks import calls, look, runs

from controlbook.errors import Exit
from controlbook.model import Snapshot
from controlbook.sandbox.example import AUDIT, PROD, STAGING, TOOLING, example
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trouble import Trouble
from controlbook.sources import SourceError
from controlbook.sources.snapshots import Snapshots, _followed, digest, seen
from controlbook.timeline import DAY, instant
from controlbook.vault.packs import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.model import Observation

DETAILS = "iam:GetAccountAuthorizationDetails"
POLICY = "iam:GetAccountPasswordPolicy"
REPORT = "iam:GetCredentialReport"
FIRST, SECOND = "2028-02-20T06:00:00Z", "2028-02-22T06:00:00Z"


def row(open_desk: Desk, account: str, call: str, seq: int = -1) -> Observation:
    return next(
        row
        for row in runs(open_desk, "snapshot")[seq].observations
        if (row.account, row.evidence) == (account, f"snapshot:{call}")
    )


def answers(open_desk: Desk) -> list[dict[str, str]]:
    run = runs(open_desk, "snapshot")[-1]
    stored = next(each for each in run.objects if each.role == "source")
    return [json.loads(line) for line in unpack(open_desk.vault.get(stored.key))]


def test_a_snapshot_tells_time_counts_and_digest_once_per_account(
    tmp_path: Path,
) -> None:
    with desk(example(), tmp_path) as open_desk:
        done = look(open_desk, Snapshots(), FIRST, *calls(DETAILS))
        assert done.code is Exit.FINE
        (run,) = runs(open_desk, "snapshot")
        assert [r.account for r in run.observations] == sorted(
            a.id for a in example().accounts
        )
        found = row(open_desk, TOOLING, DETAILS)
        assert (found.region, found.state) == ("global", "observed")
        assert dict(found.counts)["UserDetailList"] == 2
        assert found.at == instant(FIRST)
        assert found.covers.length == DAY
        assert found.covers.contains(instant(FIRST))
        assert not found.previous


def test_the_change_since_the_last_snapshot_is_told_by_name(tmp_path: Path) -> None:
    with desk(example(), tmp_path) as open_desk:
        look(open_desk, Snapshots(), FIRST, *calls(DETAILS, REPORT))
        look(open_desk, Snapshots(), SECOND, *calls(DETAILS, REPORT))
        found = row(open_desk, TOOLING, DETAILS)
        assert dict(found.changes) == {"added": 1}
        assert found.previous == FIRST
        arn = f"arn:aws:iam::{TOOLING}:user/artifact-uploader"
        assert found.shown == (f"added UserDetailList/{arn}",)
        assert row(open_desk, TOOLING, REPORT).shown == (
            "added user/artifact-uploader",
        )
        same = row(open_desk, PROD, DETAILS)
        assert (same.changes, same.shown) == ((), ())
        assert same.records_root == row(open_desk, PROD, DETAILS, 0).records_root


def test_answers_stand_in_the_vault_word_for_word_and_not_in_git(
    tmp_path: Path,
) -> None:
    with desk(example(), tmp_path) as open_desk:
        look(open_desk, Snapshots(), FIRST, *calls(DETAILS, POLICY))
        bodies = [page["body"] for page in answers(open_desk)]
        assert any("<PasswordPolicy><MaxPasswordAge>90" in body for body in bodies)
        assert any("<UserName>break-glass-prod" in body for body in bodies)
        assert not any("SecretAccessKey" in body for body in bodies)
        committed = b"".join(open_desk.git.values())
        assert b"PolicyDocument" not in committed
        assert b"sqs:SendMessage" not in committed


def test_no_password_policy_is_an_answer(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        done = look(open_desk, Snapshots(), FIRST, *calls(POLICY))
        assert done.code is Exit.FINE
        found = row(open_desk, "000000000001", POLICY)
        assert (found.state, found.result) == ("observed", "NoSuchEntity")
        assert any("NoSuchEntity" in page["body"] for page in answers(open_desk))


def test_what_is_refused_leaves_a_gap_and_the_others_stand(tmp_path: Path) -> None:
    trouble = Trouble(refused_calls=(POLICY,))
    with desk(example(), tmp_path, trouble) as open_desk:
        done = look(open_desk, Snapshots(), FIRST, *calls(DETAILS, POLICY))
        assert done.code is Exit.UNAVAILABLE
        failed = row(open_desk, PROD, POLICY)
        assert (failed.state, failed.result) == ("source-failed", "AccessDenied")
        assert (failed.records, failed.records_root) == (0, "")
        assert row(open_desk, PROD, DETAILS).state == "observed"
        run = runs(open_desk, "snapshot")[-1]
        assert not run.complete
        assert {missing.reason for missing in run.missing} == {"source-failed"}


def test_an_account_that_cannot_be_entered_is_missing(tmp_path: Path) -> None:
    with desk(example(), tmp_path, Trouble(denied_accounts=(PROD,))) as open_desk:
        look(open_desk, Snapshots(), FIRST, *calls(DETAILS))
        assert row(open_desk, PROD, DETAILS).state == "source-failed"
        assert row(open_desk, AUDIT, DETAILS).state == "observed"
        (run,) = runs(open_desk, "snapshot")
        assert [(m.account, m.region) for m in run.missing] == [(PROD, "global")]


def test_a_listing_in_pages_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlbook.sandbox.iam.DEFAULT_PAGE", 2)
    with desk(example(), tmp_path) as open_desk:
        look(open_desk, Snapshots(), FIRST, *calls(DETAILS))
        assert dict(row(open_desk, TOOLING, DETAILS).counts) == {
            "GroupDetailList": 1,
            "Policies": 6,
            "RoleDetailList": 2,
            "UserDetailList": 2,
        }


def test_a_listing_that_turns_in_circles_is_no_shorter_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlbook.sandbox.iam.DEFAULT_PAGE", 2)
    with desk(example(), tmp_path, Trouble(looped_token=True)) as open_desk:
        done = look(open_desk, Snapshots(), FIRST, *calls(DETAILS))
        assert done.code is Exit.UNAVAILABLE
        found = row(open_desk, PROD, DETAILS)
        assert (found.state, found.counts) == ("source-failed", ())
        assert "token" in runs(open_desk, "snapshot")[-1].notes[0]


def test_throttling_is_waited_out_and_counted(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path, Trouble(throttle_every=3)) as open_desk:
        done = look(open_desk, Snapshots(), FIRST, *calls(DETAILS, POLICY))
        assert done.code is Exit.FINE
        assert runs(open_desk, "snapshot")[-1].throttles > 0


def test_a_credential_report_is_waited_for(tmp_path: Path) -> None:
    pauses: list[float] = []
    with desk(tiny(), tmp_path, Trouble(report_turns=3)) as open_desk:
        look(open_desk, Snapshots(pauses.append), FIRST, *calls(REPORT))
        assert len(pauses) == 6  # three for each of two accounts
        assert dict(row(open_desk, "000000000001", REPORT).counts) == {"user": 1}


def test_a_credential_report_that_never_comes_is_a_failure(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path, Trouble(report_turns=999)) as open_desk:
        look(open_desk, Snapshots(lambda _: None), FIRST, *calls(REPORT))
        found = row(open_desk, "000000000001", REPORT)
        assert (found.state, found.result) == ("source-failed", "Timeout")


@pytest.mark.parametrize(
    ("call", "why"),
    [
        pytest.param("iam:NoSuchThing", "no read-only call", id="verb"),
        pytest.param("iam:GetNothingAtAll", "no such call", id="operation"),
        pytest.param("nosuch:ListThings", "Unknown service", id="service"),
        pytest.param("iam:GetUserPolicy", "arameter", id="parameters"),
        pytest.param("secretsmanager:ListSecrets", "secrets", id="secrets"),
    ],
)
def test_what_cannot_be_asked_is_a_failure_and_says_why(
    tmp_path: Path, call: str, why: str
) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        done = look(open_desk, Snapshots(), FIRST, *calls(call))
        assert done.code is Exit.UNAVAILABLE
        assert why in runs(open_desk, "snapshot")[-1].notes[0]
        asked = [c for c in open_desk.sandbox.calls if c != "sts"]
        assert not asked


def test_one_look_a_day_and_again_where_it_was_incomplete(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        assert look(open_desk, Snapshots(), FIRST, *calls(DETAILS)).runs
        later = "2028-02-20T09:00:00Z"
        assert not look(open_desk, Snapshots(), later, *calls(DETAILS)).runs
    folder = tmp_path / "other"
    with desk(tiny(), folder, Trouble(refused_calls=(DETAILS,))) as open_desk:
        assert look(open_desk, Snapshots(), FIRST, *calls(DETAILS)).runs
        assert look(open_desk, Snapshots(), later, *calls(DETAILS)).runs


def test_nothing_is_due_where_no_control_names_a_snapshot(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        assert not look(open_desk, Snapshots(), FIRST).runs
        assert open_desk.git == {}


def test_parameters_reach_the_call_in_its_own_types(tmp_path: Path) -> None:
    asked = Snapshot(call=DETAILS, parameters=(("Filter", "User,Group"),))
    with desk(example(), tmp_path) as open_desk:
        look(open_desk, Snapshots(), FIRST, asked)
        counts = dict(row(open_desk, PROD, DETAILS).counts)
        assert (counts["UserDetailList"], counts["Policies"]) == (1, 0)


def test_a_token_that_nothing_can_follow_is_a_failure() -> None:
    with pytest.raises(SourceError, match="goes on"):
        list(_followed(lambda **_: {"NextToken": "x"}, None, {}, "a:B"))


def test_names_that_may_be_secrets_are_shown_as_digests() -> None:
    # Not a key: the documentation's own placeholder.
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    found = seen([{"Keys": [{"AccessKeyId": key}, {"Id": "plain"}], "Odd": "a\nb"}])
    names = [item.name for item in found.items]
    assert "Keys/plain" in names
    assert not any(key in name for name in names)
    assert len(names) == 3


def test_two_things_of_one_name_are_two_items() -> None:
    found = seen([{"Tags": [{"Key": "a", "V": "1"}, {"Key": "a", "V": "2"}]}])
    assert [item.name for item in found.items] == ["Tags/a", "Tags/a (2)"]
    assert dict(found.counts) == {"Tags": 2}


def test_equal_values_have_equal_digests_whatever_their_order() -> None:
    assert digest({"a": 1, "b": b"x"}) == digest({"b": b"x", "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})


ADVISOR = "support:DescribeTrustedAdvisorCheckResult"


def test_trusted_advisor_tells_every_check_and_what_changed(tmp_path: Path) -> None:
    with desk(example(), tmp_path) as open_desk:
        done = look(open_desk, Snapshots(), "2028-02-14T03:15:00Z", *calls(ADVISOR))
        assert done.code is Exit.FINE
        first = row(open_desk, PROD, ADVISOR)
        assert (first.region, first.state) == ("global", "observed")
        assert dict(first.counts)["error"] == 1
        look(open_desk, Snapshots(), "2028-02-15T03:15:00Z", *calls(ADVISOR))
        second = row(open_desk, PROD, ADVISOR)
        assert dict(second.counts)["error"] == 0
        assert dict(second.changes) == {"changed": 1}
        assert "s3-bucket-server-side-encryption" in second.shown[0]


def test_an_account_without_a_support_plan_is_a_gap_that_says_so(
    tmp_path: Path,
) -> None:
    trouble = Trouble(no_support_plan=(STAGING,))
    with desk(example(), tmp_path, trouble) as open_desk:
        done = look(open_desk, Snapshots(), FIRST, *calls(ADVISOR))
        # Nothing failed: AWS answers that it will not tell.
        assert done.code is Exit.FOUND
        found = row(open_desk, STAGING, ADVISOR)
        assert found.state == "no-support-plan"
        assert found.result == "SubscriptionRequiredException"
        assert row(open_desk, PROD, ADVISOR).state == "observed"
        (missing,) = runs(open_desk, "snapshot")[-1].missing
    assert (missing.account, missing.reason) == (STAGING, "no-support-plan")
