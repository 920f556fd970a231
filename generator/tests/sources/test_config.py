# SPDX-License-Identifier: Apache-2.0
"""The `config` stream against the sandbox: real boto3, real HTTP, all that hurts."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectTimeoutError
from collecting import Desk, desk

from controlbook.errors import ControlbookError, Exit
from controlbook.ledger import chain_problems, fold_states, parse_state_lines
from controlbook.sandbox.example import DEPLOYED, FIRST_LOOK, PROD, REGION, example
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trouble import (
    FIRST,
    LAST,
    MIDDLE,
    DeliveryDelay,
    Dropped,
    SourceTrouble,
    Trouble,
)
from controlbook.sandbox.world import (
    Account,
    RecorderStop,
    Rule,
    RuleFailure,
    compliant_throughout,
)
from controlbook.sources import SourceError
from controlbook.sources.aws import Connections
from controlbook.timeline import DAY, HOUR, Instant, instant, iso
from controlbook.vault.directory import DirectoryVault
from controlbook.vault.packs import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.model import Run, Standing
    from controlbook.sandbox.world import World

ALPHA, OMEGA = "000000000001", "000000000002"
SSE = "s3-bucket-server-side-encryption-enabled"
ARCHIVE = "AWS::S3::Bucket/stale-backup-archive"


def told(run: Run) -> list[tuple[str, str, str, str]]:
    return [(iso(t.at), t.resource, t.before, t.after) for t in run.transitions]


def reasons(run: Run) -> set[tuple[str, str, str, str]]:
    return {
        (m.account, m.reason, iso(m.interval.start), iso(m.interval.end))
        for m in run.missing
    }


def records(at: Desk, run: Run, role: str) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for stored in run.objects
        if stored.role == role and stored.key.endswith(".ndjson.gz")
        for line in unpack(at.vault.get(stored.key, stored.version_id), stored)
    ]


def closing(at: Desk, run: Run) -> tuple[Standing, ...]:
    (stored,) = [stored for stored in run.objects if stored.role == "state"]
    return parse_state_lines(unpack(at.vault.get(stored.key), stored))


TENTH = [
    ("2028-01-01T10:00:00Z", "AWS::S3::Bucket/beta", "COMPLIANT", "NON_COMPLIANT"),
    ("2028-01-01T10:05:00Z", "AWS::S3::Bucket/beta", "NON_COMPLIANT", "COMPLIANT"),
]


@pytest.mark.threat("T89")
def test_the_example_days_transitions_are_exact(tmp_path: Path) -> None:
    with desk(example(), tmp_path) as at:
        at.days("2028-02-14T06:00:00Z", 3)
        before, day, after = at.runs
        assert told(before) == told(after) == []
        assert told(day) == [
            ("2028-02-14T03:12:00Z", ARCHIVE, "COMPLIANT", "NON_COMPLIANT"),
            ("2028-02-14T03:17:00Z", ARCHIVE, "NON_COMPLIANT", "COMPLIANT"),
        ]
        assert {t.rule for t in day.transitions} == {SSE}
        assert {t.account for t in day.transitions} == {PROD}
        buckets = [row for row in day.rules if row.rule == SSE]
        assert sum(row.population for row in buckets) == 47
        assert len(at.git["evidence/config/000002.json"]) < 16 * 1024
        assert len(at.git["evidence/config/000003.json"]) < 8 * 1024
        assert all(run.complete and not run.missing for run in at.runs)
        # What a daily look at the aggregator would have seen: nothing.
        for run in at.runs:
            seen = {
                compliance
                for row in records(at, run, "records")
                if row["type"] == "rule-compliance"
                for _, compliance, _, _ in row["rules"]
            }
            assert seen == {"COMPLIANT"}


def test_windows_tile_and_states_follow_from_the_transitions(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path) as at:
        results = at.days("2028-01-01T06:00:00Z", 4)
        assert [result.code for result in results] == [Exit.FINE] * 4
        assert [iso(run.window.start) for run in at.runs] == [
            "2027-12-31T00:00:00Z",
            "2028-01-01T00:00:00Z",
            "2028-01-02T00:00:00Z",
            "2028-01-03T00:00:00Z",
        ]
        assert told(at.runs[1]) == TENTH
        delta = "AWS::RDS::DBInstance/delta"
        assert [(t.resource, t.after, t.cause) for t in at.runs[2].transitions] == [
            (delta, "COMPLIANT", "created")
        ]
        assert [(t.resource, t.after, t.cause) for t in at.runs[3].transitions] == [
            (delta, "ABSENT", "deleted")
        ]
        moves = [t for run in at.runs for t in run.transitions]
        assert fold_states(closing(at, at.runs[0]), moves) == closing(at, at.runs[3])
        assert at.collect("2028-01-04T07:00:00Z").runs == ()
        run = at.runs[0]
        assert (run.endpoint, run.vault, run.demo) == (
            "http://127.0.0.1",
            "directory",
            True,
        )


@pytest.mark.threat("T29")
def test_missed_days_are_caught_up_one_by_one(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path) as at:
        at.collect("2028-01-01T06:00:00Z")
        result = at.collect("2028-01-04T06:00:00Z")
        assert [run.kind for run in result.runs] == ["backfill", "backfill", "regular"]
        assert [told(run) for run in result.runs[:1]] == [TENTH]
        caught = closing(at, at.runs[-1])
    with desk(tiny(), tmp_path / "daily") as at:
        at.days("2028-01-01T06:00:00Z", 4)
        assert closing(at, at.runs[-1]) == caught


def test_without_a_delivery_bucket_the_history_is_asked_for(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path, delivery_bucket="") as at:
        at.days("2028-01-01T06:00:00Z", 4)
        told_here = [told(run) for run in at.runs]
        states = closing(at, at.runs[-1])
        assert "config:GetResourceConfigHistory" in {q[0] for q in at.runs[1].queries}
    with desk(tiny(), tmp_path / "files") as at:
        at.days("2028-01-01T06:00:00Z", 4)
        assert [told(run) for run in at.runs] == told_here
        assert closing(at, at.runs[-1]) == states


def test_collecting_that_begins_within_a_deviation_knows_its_start(
    tmp_path: Path,
) -> None:
    with desk(example(), tmp_path) as at:
        at.collect("2028-03-08T06:00:00Z")
        (bad,) = [s for s in closing(at, at.runs[0]) if s.state == "NON_COMPLIANT"]
        assert bad.resource == "AWS::EC2::VPC/vpc-0b7e61d2"
        assert iso(bad.since) == "2028-03-05T09:00:00Z"
        # The aggregator counts as many, so which they are is not asked for.
        assert not [
            r for r in records(at, at.runs[0], "source") if "Details" in r["api"]
        ]


# --- what hurts ---------------------------------------------------------------------


@pytest.mark.threat("T88")
def test_an_outdated_source_is_a_gap_from_its_last_update(tmp_path: Path) -> None:
    trouble = Trouble(
        sources=(
            SourceTrouble(
                account=OMEGA,
                region=REGION,
                status="OUTDATED",
                start=instant("2028-01-01T18:00:00Z"),
            ),
        )
    )
    with desk(tiny(), tmp_path, trouble) as at:
        codes = [result.code for result in at.days("2028-01-01T06:00:00Z", 2)]
        assert codes == [Exit.FINE, Exit.UNAVAILABLE]
        assert reasons(at.runs[1]) == {
            (OMEGA, "source-outdated", "2028-01-01T18:00:00Z", "2028-01-02T00:00:00Z")
        }
        assert f"aggregator: {OMEGA} {REGION} is OUTDATED" in at.runs[1].notes[0]


@pytest.mark.threat("T26")
def test_a_lost_account_is_missing_until_it_is_read_afresh(tmp_path: Path) -> None:
    trouble = Trouble(
        dropped=(
            Dropped(
                account=OMEGA,
                start=instant("2028-01-02T03:00:00Z"),
                end=instant("2028-01-03T03:00:00Z"),
            ),
        )
    )
    with desk(tiny(), tmp_path, trouble) as at:
        codes = [result.code for result in at.days("2028-01-01T06:00:00Z", 3)]
        assert codes == [Exit.FINE, Exit.UNAVAILABLE, Exit.FINE]
        lost = at.runs[1]
        assert reasons(lost) == {
            (OMEGA, "account-missing", "2028-01-01T00:00:00Z", "2028-01-02T00:00:00Z")
        }
        assert (OMEGA, REGION) in lost.expected
        assert (OMEGA, REGION) not in lost.collected
        kept = [
            [row for row in run.rules if row.account == OMEGA] for run in at.runs[:2]
        ]
        assert kept[0] == kept[1]
        assert at.runs[2].collected == at.runs[0].collected


GUEST = "000000000003"


def guest(joined: str, left: str = "2029-01-01T00:00:00Z") -> World:
    """Give the small world with an account that comes and goes, and has a bucket."""
    world = tiny()
    account = Account(
        id=GUEST, name="guest", joined=instant(joined), left=instant(left)
    )
    rule = replace(world.rules[0], account=GUEST)
    bucket = replace(world.resources[2], account=GUEST, id="omega")
    verdicts = compliant_throughout((rule,), (bucket,), after=FIRST_LOOK)
    return replace(
        world,
        accounts=(*world.accounts, account),
        rules=(*world.rules, rule),
        resources=(*world.resources, bucket),
        verdicts=tuple(sorted((*world.verdicts, *verdicts))),
    )


@pytest.mark.threat("T28")
@pytest.mark.parametrize("daily", [True, False], ids=["daily", "caught up"])
def test_t28_an_account_that_joins_and_leaves_is_missing_for_exactly_that_time(
    tmp_path: Path,
    daily: bool,  # noqa: FBT001
) -> None:
    world = guest("2028-01-02T12:00:00Z", "2028-01-06T06:00:00Z")
    with desk(world, tmp_path) as at:
        at.collect("2028-01-01T06:00:00Z")
        if daily:
            at.days("2028-01-02T06:00:00Z", 3)
        at.collect("2028-01-05T06:00:00Z")
        codes = [at.collect("2028-01-07T06:00:00Z").code]
        assert codes == [Exit.UNAVAILABLE]
        found = sorted(
            (iso(m.interval.start), iso(m.interval.end))
            for run in at.runs
            for m in run.missing
            if (m.account, m.reason) == (GUEST, "account-missing")
        )
        assert found == [
            ("2027-12-31T00:00:00Z", "2028-01-01T00:00:00Z"),
            ("2028-01-01T00:00:00Z", "2028-01-02T00:00:00Z"),
            # Until it joined, and no longer …
            ("2028-01-02T00:00:00Z", "2028-01-02T12:00:00Z"),
            # … and since nobody can be asked any more: the day of leaving, whole.
            ("2028-01-05T00:00:00Z", "2028-01-06T00:00:00Z"),
            ("2028-01-06T00:00:00Z", "2028-01-07T00:00:00Z"),
        ]
        for run in at.runs:
            assert (GUEST, REGION) in run.expected
            others = {m.account for m in run.missing} - {GUEST}
            assert others == set(), "nobody else is missing"
        held = [run for run in at.runs if (GUEST, REGION) in run.collected]
        assert [iso(run.window.start)[:10] for run in held] == [
            "2028-01-02",
            "2028-01-03",
            "2028-01-04",
        ]


def test_states_are_read_afresh_after_a_place_was_lost(tmp_path: Path) -> None:
    trouble = Trouble(
        dropped=(
            Dropped(
                account=OMEGA,
                start=instant("2028-01-03T03:00:00Z"),
                end=instant("2028-01-04T03:00:00Z"),
            ),
        )
    )
    with desk(tiny(), tmp_path, trouble) as at:
        at.days("2028-01-01T06:00:00Z", 5)
        # delta was created in the lost window and deleted in the next.
        assert told(at.runs[2]) == []
        assert [(iso(t.at), t.after, t.precision) for t in at.runs[3].transitions] == [
            ("2028-01-03T00:00:00Z", "COMPLIANT", "seed"),
            ("2028-01-03T07:00:00Z", "ABSENT", "change"),
        ]


@pytest.mark.threat("T88")
def test_a_stopped_recorder_is_a_gap_of_exactly_that_time(tmp_path: Path) -> None:
    stop = RecorderStop(
        account=ALPHA,
        region=REGION,
        start=instant("2028-01-02T10:00:00Z"),
        end=instant("2028-01-02T12:30:00Z"),
    )
    with desk(tiny(), tmp_path, Trouble(recorder_stops=(stop,))) as at:
        codes = [result.code for result in at.days("2028-01-01T06:00:00Z", 4)]
        assert codes == [Exit.FINE, Exit.FINE, Exit.FOUND, Exit.FINE]
        assert reasons(at.runs[2]) == {
            (ALPHA, "recorder-stopped", "2028-01-02T10:00:00Z", "2028-01-02T12:30:00Z")
        }


@pytest.mark.threat("T88")
def test_compliance_that_is_not_recorded_is_a_gap(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path, Trouble(compliance_not_recorded=(OMEGA,))) as at:
        result = at.collect("2028-01-01T06:00:00Z")
        assert {(a, r) for a, r, *_ in reasons(at.runs[0])} == {(OMEGA, "not-recorded")}
        assert result.code in {Exit.FOUND, Exit.UNAVAILABLE}


def test_an_account_that_lets_nobody_in_is_missing(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path, Trouble(denied_accounts=(OMEGA,))) as at:
        result = at.collect("2028-01-01T06:00:00Z")
        assert result.code is Exit.UNAVAILABLE
        (run,) = at.runs
        assert not run.complete
        assert {(a, r) for a, r, *_ in reasons(run)} == {(OMEGA, "source-failed")}
        assert run.collected == ((ALPHA, REGION),)
        assert any("AccessDenied" in note for note in run.notes)


def worse(at: str, bucket: str) -> World:
    """The tiny world, but that a bucket is no longer encrypted from a time on."""
    world = tiny()
    verdict = replace(
        world.verdicts[-1],
        at=instant(at),
        account=ALPHA,
        rule=SSE,
        resource=f"AWS::S3::Bucket/{bucket}",
        state="NON_COMPLIANT",
    )
    return replace(world, verdicts=tuple(sorted((*world.verdicts, verdict))))


def delayed(hours: int, *, silent: bool) -> Trouble:
    return Trouble(
        delays=(
            DeliveryDelay(
                account=ALPHA,
                start=instant("2028-01-01T12:00:00Z"),
                end=instant("2028-01-01T13:00:00Z"),
                by=hours * HOUR,
                silent=silent,
            ),
        )
    )


def test_what_arrives_late_becomes_a_correction(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path, delayed(20, silent=True)) as at:
        at.days("2028-01-01T06:00:00Z", 3)
        assert told(at.runs[1]) == []
        correction = at.runs[2]
        assert (correction.kind, correction.corrects) == ("correction", 2)
        assert told(correction) == TENTH
        assert correction.window == at.runs[1].window
        assert "after run 000002 had closed its window" in correction.notes[0]
        assert at.runs[3].kind == "regular"
        assert chain_problems(at.git) == ()
        # Once is enough.
        assert [r.kind for r in at.collect("2028-01-04T06:00:00Z").runs] == ["regular"]


def test_a_correction_ends_where_the_window_beside_it_begins(tmp_path: Path) -> None:
    """Both are folded at once: what moved later must not show in the correction."""
    world = worse("2028-01-02T03:00:00Z", "alpha")
    with desk(world, tmp_path, delayed(20, silent=True)) as at:
        at.days("2028-01-01T06:00:00Z", 3)
        _, before, correction, after = at.runs
        assert correction.kind == "correction"
        assert told(after)[0][0] == "2028-01-02T03:00:00Z"
        for first, then in ((before, correction), (correction, after)):
            states = fold_states(closing(at, first), then.transitions)
            assert closing(at, then) == states
            found = Counter((row.instance, row.state.value) for row in states)
            counts = {(r.key, n): c for r in then.rules for n, c in r.counts}
            assert counts == found


def test_a_late_item_before_what_is_known_is_not_slipped_in(tmp_path: Path) -> None:
    world = worse("2028-01-01T20:00:00Z", "beta")
    with desk(world, tmp_path, delayed(20, silent=True)) as at:
        codes = [result.code for result in at.days("2028-01-01T06:00:00Z", 4)]
        assert codes == [Exit.FINE, Exit.FINE, Exit.UNAVAILABLE, Exit.FINE]
        assert "correction" not in {run.kind for run in at.runs}
        assert [run.complete for run in at.runs] == [True, True, False, True]
        assert len(at.runs[2].notes) == 2
        assert "captured 2028-01-01T10:00:00Z, lies before" in at.runs[2].notes[0]
        # The file is in the vault all the same.
        kept = {stored.content_sha256 for stored in at.runs[2].objects}
        assert len(kept) == len(at.runs[2].objects) == 5


def test_a_delivery_that_is_behind_is_a_gap(tmp_path: Path) -> None:
    late = DeliveryDelay(
        account=ALPHA,
        start=instant("2028-01-01T18:00:00Z"),
        end=instant("2028-01-02T12:00:00Z"),
        by=30 * HOUR,
    )
    with desk(tiny(), tmp_path, Trouble(delays=(late,))) as at:
        result = at.days("2028-01-01T06:00:00Z", 2)[1]
        assert result.code is Exit.UNAVAILABLE
        ((account, reason, _, end),) = reasons(at.runs[1])
        assert (account, reason, end) == (
            ALPHA,
            "delivery-behind",
            "2028-01-02T00:00:00Z",
        )


def test_days_that_deliveries_did_not_reach_are_corrected_when_they_come(
    tmp_path: Path,
) -> None:
    late = DeliveryDelay(
        account=ALPHA,
        start=instant("2028-01-01T06:30:00Z"),
        end=instant("2028-01-02T00:30:00Z"),
        by=40 * HOUR,
    )
    with desk(tiny(), tmp_path, Trouble(delays=(late,))) as at:
        at.days("2028-01-01T06:00:00Z", 4)
        first, behind, correction, *rest = at.runs
        assert {reason for _, reason, *_ in reasons(behind)} == {"delivery-behind"}
        assert (correction.kind, correction.corrects) == ("correction", 2)
        assert told(correction) == TENTH
        assert not any(run.missing for run in (first, *rest))
        assert all(run.complete for run in at.runs)


def test_states_are_read_afresh_after_deliveries_that_never_came(
    tmp_path: Path,
) -> None:
    world = worse("2028-01-02T03:00:00Z", "alpha")
    never = DeliveryDelay(
        account=ALPHA,
        start=instant("2028-01-02T05:30:00Z"),
        end=instant("2028-01-03T00:30:00Z"),
        by=400 * HOUR,
    )
    with desk(world, tmp_path, Trouble(delays=(never,))) as at:
        at.days("2028-01-01T06:00:00Z", 4)
        assert {(a, r) for a, r, *_ in reasons(at.runs[2])} == {
            (ALPHA, "delivery-behind"),
            (ALPHA, "source-failed"),
        }
        assert [
            (iso(t.at), t.after, t.precision)
            for t in at.runs[3].transitions
            if t.account == ALPHA
        ] == [("2028-01-03T00:00:00Z", "NON_COMPLIANT", "seed")]


def test_a_history_that_the_aggregator_contradicts_is_no_evidence(
    tmp_path: Path,
) -> None:
    world = worse("2028-01-02T03:00:00Z", "alpha")
    lost = DeliveryDelay(
        account=ALPHA,
        start=instant("2028-01-02T06:00:00Z"),
        end=instant("2028-01-02T07:00:00Z"),
        by=400 * HOUR,
        silent=True,
    )
    with desk(world, tmp_path, Trouble(delays=(lost,))) as at:
        codes = [result.code for result in at.days("2028-01-01T06:00:00Z", 4)]
        assert codes == [Exit.FINE, Exit.FINE, Exit.UNAVAILABLE, Exit.FINE]
        doubtful, afresh = at.runs[2:]
        assert not doubtful.complete
        assert {(a, r) for a, r, *_ in reasons(doubtful)} == {(ALPHA, "source-failed")}
        assert "the aggregator shows AWS::S3::Bucket/alpha" in doubtful.notes[0]
        assert [
            (iso(t.at), t.after, t.precision)
            for t in afresh.transitions
            if t.account == ALPHA
        ] == [("2028-01-03T00:00:00Z", "NON_COMPLIANT", "seed")]


@pytest.mark.threat("T88")
def test_a_failing_rule_says_so(tmp_path: Path) -> None:
    failure = RuleFailure(
        account=ALPHA,
        region=REGION,
        rule=SSE,
        start=instant("2028-01-01T05:00:00Z"),
        end=instant("2028-01-03T05:00:00Z"),
    )
    with desk(replace(tiny(), failures=(failure,)), tmp_path) as at:
        at.days("2028-01-01T06:00:00Z", 3)
        status = {
            row.account: row.status for row in at.runs[1].rules if row.rule == SSE
        }
        assert status == {ALPHA: "failing:AccessDenied", OMEGA: "ok"}
        assert {t.after for t in at.runs[1].transitions} == {"INSUFFICIENT_DATA"}


@pytest.mark.threat("T31")
@pytest.mark.threat("T32")
@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(empty_pages=(FIRST, MIDDLE, LAST)),
        Trouble(repeated_row=True),
        Trouble(expired_tokens=1),
        Trouble(aggregator_lag=2 * HOUR),
    ],
    ids=["empty pages", "repeated row", "expired token", "lag"],
)
def test_odd_listings_change_nothing(tmp_path: Path, trouble: Trouble) -> None:
    with desk(tiny(), tmp_path, trouble) as at:
        assert [r.code for r in at.days("2028-01-01T06:00:00Z", 2)] == [Exit.FINE] * 2
        assert told(at.runs[1]) == TENTH
        assert sum(row.population for row in at.runs[1].rules) == 3


@pytest.mark.threat("T31")
def test_a_page_token_that_leads_back_is_an_error(tmp_path: Path) -> None:
    trouble = Trouble(looped_token=True, empty_pages=(LAST,))
    with desk(example(), tmp_path, trouble) as at:
        result = at.collect("2028-01-01T06:00:00Z")
        assert result.code is Exit.UNAVAILABLE
        assert not at.runs[0].complete
        assert any("page token twice" in note for note in at.runs[0].notes)


@pytest.mark.threat("T32")
@pytest.mark.parametrize(
    "operation",
    [
        "ListAccounts",
        "DescribeConfigurationAggregatorSourcesStatus",
        "DescribeConfigRules",
        "SelectAggregateResourceConfig",
    ],
)
def test_a_listing_that_comes_back_blank_is_never_compliance(
    tmp_path: Path, operation: str
) -> None:
    with desk(tiny(), tmp_path, Trouble(blank_listings=(operation,))) as at:
        result = at.collect("2028-01-01T06:00:00Z")
        assert result.code is Exit.UNAVAILABLE
        (run,) = at.runs
        assert not run.complete or run.missing


@pytest.mark.threat("T30")
def test_throttles_are_counted(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path, Trouble(throttle_every=6)) as at:
        result = at.collect("2028-01-01T06:00:00Z")
        assert result.code is Exit.FINE
        assert at.runs[0].throttles > 0


@pytest.mark.threat("T24")
def test_a_clock_that_is_off_is_noted_then_refused(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path, Trouble(skew=400_000)) as at:
        at.collect("2028-01-01T06:00:00Z")
        assert at.runs[0].notes == (
            "the collector's clock differs from AWS's by 400 s",
        )
    with (
        desk(tiny(), tmp_path / "far", Trouble(skew=2 * DAY)) as at,
        pytest.raises(ControlbookError, match="this clock says 2028-01-01T06:00:00Z"),
    ):
        at.collect("2028-01-01T06:00:00Z")
    assert at.git == {}


def test_without_a_role_only_the_own_account_is_read(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path, collector_role="") as at:
        assert at.collect("2028-01-01T06:00:00Z").code is Exit.UNAVAILABLE
        assert at.runs[0].collected == ((ALPHA, REGION),)
        assert any("set collector-role" in note for note in at.runs[0].notes)


class Failing(Connections):
    """Connections whose n-th call does not get through."""

    def __init__(self, role: str, fail: int) -> None:
        super().__init__(role)
        self.calls = 0
        self.fail = fail
        self.counting = threading.Lock()
        self.here = threading.local()

    def client(self, service: str, account: str = "", region: str = "") -> Any:  # noqa: ANN401
        new = (service, region) not in self._clients
        client = super().client(service, account, region)
        if new:
            client.meta.events.register("before-call", self._count)
        return client

    def repeat(self, *asked: Any) -> dict[str, Any] | None:  # noqa: ANN401
        answer = super().repeat(*asked)
        if answer is None or not self._failing():
            return answer
        self.here.fails = True
        return None  # boto3's to make, and it does not get through either

    def _failing(self) -> bool:
        with self.counting:
            self.calls += 1
            return self.calls == self.fail

    def _count(self, **_: object) -> None:
        refused, self.here.fails = getattr(self.here, "fails", False), False
        if refused or self._failing():
            raise ConnectTimeoutError(endpoint_url="http://127.0.0.1")


@pytest.mark.threat("T30")
def test_whichever_call_fails_nothing_partial_counts(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path / "fine") as at:
        at.aws = aws = Failing("controlbook-read", 0)
        at.days("2028-01-01T06:00:00Z", 2)
        wanted = states_of(closing(at, at.runs[-1]))
        at.collect("2028-01-03T06:00:00Z")
        aws.calls, at.git = 0, {}
        at.vault = DirectoryVault(tmp_path / "count")
        at.collect("2028-01-01T06:00:00Z")
        calls = aws.calls
        assert calls > 15
        for fail in range(1, calls + 1):
            at.git, at.vault = {}, DirectoryVault(tmp_path / str(fail))
            aws.calls, aws.fail = 0, fail
            try:
                assert at.collect("2028-01-01T06:00:00Z").code is Exit.UNAVAILABLE
            except SourceError:
                assert at.git == {}
                continue
            assert not at.runs[0].complete, fail
            missing = {(row.account, row.region) for row in at.runs[0].missing}
            assert missing | set(at.runs[0].collected) == set(at.runs[0].expected)
            at.collect("2028-01-02T06:00:00Z")
            assert at.runs[1].complete, fail
            assert states_of(closing(at, at.runs[1])) == wanted, fail


def states_of(found: tuple[Standing, ...]) -> set[tuple[str, str, str]]:
    return {(row.instance, row.resource, row.state) for row in found}


def test_a_quiet_run_stores_the_same_states_again(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path) as at:
        at.days("2028-01-05T06:00:00Z", 2)
        first, second = at.runs
        keys = [
            {o.key for o in run.objects if o.role == "state"} for run in (first, second)
        ]
        assert keys[0] == keys[1]
        assert Instant(second.window.start) == first.window.end


# --- what is asked ------------------------------------------------------------------


def wide(count: int, *others: Rule) -> World:
    """Give the small world with very many rules in its first account."""
    world = tiny()
    rules = tuple(
        Rule(
            account=ALPHA,
            region=REGION,
            name=f"team-rule-{n:03d}",
            identifier=f"TEAM_RULE_{n:03d}",
            created=DEPLOYED,
            resource_types=("AWS::S3::Bucket",),
        )
        for n in range(count)
    )
    rules = (*world.rules, *rules, *others)
    verdicts = compliant_throughout(rules, world.resources, after=FIRST_LOOK)
    return replace(world, rules=rules, verdicts=tuple(sorted(verdicts)))


def asked(at: Desk, day: str) -> Counter[str]:
    """Collect, and count the calls by operation."""
    before = len(at.sandbox.calls)
    at.collect(f"{day}T06:00:00Z")
    return Counter(call.split(" ")[0] for call in at.sandbox.calls[before:])


def test_twice_the_rules_take_no_more_calls(tmp_path: Path) -> None:
    found = []
    for count in (80, 160):
        with desk(wide(count), tmp_path / str(count)) as at:
            first = asked(at, "2028-01-01")
            found.append((first, asked(at, "2028-01-02"), asked(at, "2028-01-03")))
            assert all(run.complete for run in at.runs)
            assert len(at.runs[2].rules) == count + 4
    (first, second, third), (more, *later) = found
    assert [second, third] == later
    # To begin with, and in the place of two rules every day, the list is read.
    assert first["config:DescribeConfigRules"] == 5
    assert more["config:DescribeConfigRules"] == 8
    assert third["config:DescribeConfigRules"] == 1
    assert third["cloudtrail:LookupEvents"] == 1
    assert third["config:GetAggregateComplianceDetailsByConfigRule"] == 0


def rule_of(name: str, **facts: Any) -> Rule:  # noqa: ANN401
    given: dict[str, Any] = {"identifier": "TEAM_RULE", "created": DEPLOYED, **facts}
    return Rule(account=ALPHA, region=REGION, name=name, **given)


NOON = instant("2028-01-01T12:00:00Z")


@pytest.mark.parametrize(
    "others",
    [
        (
            rule_of("limit", deleted=NOON, parameters=(("days", "90"),)),
            rule_of("limit", created=NOON, parameters=(("days", "900"),)),
        ),
        (rule_of("ours", owner="CUSTOM_LAMBDA", created=NOON),),
        (rule_of("ours", owner="CUSTOM_LAMBDA", deleted=NOON),),
        (rule_of("new", created=NOON),),
        (rule_of("old", deleted=NOON),),
    ],
    ids=["parameter", "lambda", "lambda gone", "new", "gone"],
)
def test_a_change_of_rules_is_seen_among_many(
    tmp_path: Path, others: tuple[Rule, ...]
) -> None:
    with desk(wide(80, *others), tmp_path) as at:
        asked(at, "2028-01-01")
        assert asked(at, "2028-01-02")["config:DescribeConfigRules"] == 1 + 4
        assert asked(at, "2028-01-03")["config:DescribeConfigRules"] == 1
        before, after, later = ({row.key for row in run.rules} for run in at.runs)
        assert before != after == later


def test_without_the_event_history_the_rules_are_read_every_day(tmp_path: Path) -> None:
    trouble = Trouble(refused_calls=("cloudtrail:LookupEvents",))
    with desk(wide(80), tmp_path, trouble) as at:
        asked(at, "2028-01-01")
        assert asked(at, "2028-01-02")["config:DescribeConfigRules"] == 1 + 4
        assert at.runs[1].complete


def test_a_rule_that_stops_working_among_many_is_seen(tmp_path: Path) -> None:
    world = wide(80)
    failure = RuleFailure(
        account=ALPHA,
        region=REGION,
        rule="team-rule-007",
        start=instant("2028-01-01T12:00:00Z"),
        end=instant("2028-01-09T00:00:00Z"),
    )
    with desk(replace(world, failures=(failure,)), tmp_path) as at:
        asked(at, "2028-01-01")
        assert asked(at, "2028-01-02")["config:DescribeConfigRules"] == 1
        status = {row.deployed_as: row.status for row in at.runs[1].rules}
        assert status["team-rule-007"] == "failing:AccessDenied"
        assert status["team-rule-008"] == "ok"
