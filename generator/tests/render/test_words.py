# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from controlbook.model import Conclusion, State, Status
from controlbook.render import words
from controlbook.timeline import DAY, HOUR, MINUTE, SECOND, instant


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        pytest.param(0, 0, "–", id="nothing-to-share"),
        pytest.param(0, 5, "0 %", id="none"),
        pytest.param(5, 5, "100 %", id="all"),
        pytest.param(1, 3, "33.33 %", id="cut-not-rounded"),
        pytest.param(2, 3, "66.66 %", id="cut-not-rounded-up"),
        pytest.param(99_990, 100_000, "99.9900 %", id="four-decimals-near-the-top"),
        pytest.param(999_999, 1_000_000, "99.9999 %", id="exactly-the-last-step"),
        pytest.param(
            47 * 131_040 - 5, 47 * 131_040, "> 99.9999 %", id="five-minutes-of-47"
        ),
        pytest.param(1, 20_000, "0.0050 %", id="four-decimals-near-the-bottom"),
        pytest.param(1, 10**9, "< 0.0001 %", id="next-to-nothing"),
    ],
)
def test_percent_is_cut(part: int, whole: int, shown: str) -> None:
    assert words.percent(part, whole) == shown


@given(st.integers(1, 10**15), st.data())
def test_percent_never_claims_all_or_nothing(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    shown = words.percent(part, whole)
    assert (shown == "100 %") == (part == whole)
    assert (shown == "0 %") == (part == 0)
    assert not shown.startswith(("100.", "0.0000", "0.00 "))


@given(st.integers(1, 10**15), st.data())
def test_percent_is_never_more_than_the_share(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    shown = words.percent(part, whole)
    if shown.startswith("<"):
        assert 0 < part * 1_000_000 < whole
        return
    digits = shown.removeprefix("> ").removesuffix(" %")
    units, _, decimals = digits.partition(".")
    millionths = int(units) * 10_000 + int(decimals.ljust(4, "0") or 0)
    assert millionths * whole <= part * 1_000_000


@pytest.mark.parametrize(
    ("millis", "shown"),
    [
        (5 * MINUTE, "5 min"),
        (6 * HOUR, "6 h"),
        (3 * DAY, "3 d"),
        (DAY + 4 * HOUR, "1 d 4 h"),
        (2 * MINUTE + 30 * SECOND, "2 min 30 s"),
        (1, "1 ms"),
        (0, "0 min"),
        (4277 * DAY, "4,277 d"),
    ],
)
def test_duration_is_exact(millis: int, shown: str) -> None:
    assert words.duration(millis) == shown


@pytest.mark.parametrize(
    ("kind", "one", "many"),
    [
        ("AWS::S3::Bucket", "S3 bucket", "S3 buckets"),
        ("AWS::IAM::Policy", "IAM policy", "IAM policies"),
        ("AWS::KMS::Key", "KMS key", "KMS keys"),
        ("AWS::EC2::VPCEndpoint", "EC2 VPC endpoint", "EC2 VPC endpoints"),
        ("AWS::::Account", "account", "accounts"),
        ("AWS::EC2::Volume", "EBS volume", "EBS volumes"),
        ("AWS::SQS::Box", "SQS box", "SQS boxes"),
        ("", "resource", "resources"),
    ],
)
def test_resource_kind_is_a_noun(kind: str, one: str, many: str) -> None:
    assert words.resource_kind(kind, 1) == one
    assert words.resource_kind(kind, 47) == many


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (
            "2028-02-14T03:12:00Z",
            "2028-02-14T03:17:00Z",
            "2028-02-14T03:12Z to 03:17Z",
        ),
        (
            "2028-02-14T23:00:00Z",
            "2028-02-15T00:00:00Z",
            "2028-02-14T23:00Z to 2028-02-15T00:00Z",
        ),
        (
            "2028-02-14T03:12:09Z",
            "2028-02-14T03:12:10.500Z",
            "2028-02-14T03:12:09Z to 03:12:10.500Z",
        ),
        ("2028-02-14T03:12:00Z", "", "since 2028-02-14T03:12Z"),
    ],
)
def test_stretch_names_the_day_once(start: str, end: str, shown: str) -> None:
    assert words.stretch(instant(start), instant(end) if end else None) == shown


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("change", "recorded on change"),
        ("periodic:TwentyFour_Hours", "within 24 h before"),
        ("periodic:", "some time before"),
        ("seed", "its start is earlier"),
    ],
)
def test_precision_says_how_exact_an_edge_is(text: str, part: str) -> None:
    assert part in words.precision(text)


def test_every_status_state_and_conclusion_has_its_words() -> None:
    assert set(words.STATUS) == set(Status)
    assert set(words.STATE) == set(State)
    assert set(words.CONCLUSIONS) == set(Conclusion)


def test_no_two_statuses_share_word_or_shape_and_tone() -> None:
    labels = words.STATUS.values()
    assert len({label.word for label in labels}) == len(labels)
    assert len({(label.shape, label.tone) for label in labels}) == len(labels)


def test_only_a_signature_looks_good() -> None:
    good = {status for status, label in words.STATUS.items() if label.tone == "good"}
    assert good == {Status.SIGNED}


def test_unknown_gap_reason_is_still_said() -> None:
    assert words.gap_reason("some-new-cause") == "some new cause"


@pytest.mark.parametrize(
    ("conclusion", "tone"),
    [
        (Conclusion.SATISFIED, "good"),
        (Conclusion.COMPENSATED, "calm"),
        (Conclusion.NOT_APPLICABLE, "idle"),
        (Conclusion.NOT_TESTED, "watch"),
        (Conclusion.NOT_SATISFIED, "bad"),
    ],
)
def test_only_what_was_found_satisfied_is_green(
    conclusion: Conclusion, tone: str
) -> None:
    signed = next(
        status
        for status in small.report().statuses.values()
        if status.status is Status.SIGNED
    )
    shown = words.label(replace(signed, conclusion=conclusion))
    assert (shown.word, shown.tone) == ("Signed", tone)


def test_what_is_not_in_place_is_red_with_deviations_too() -> None:
    signed = next(iter(small.report().statuses.values()))
    given = replace(
        signed,
        status=Status.SIGNED_WITH_DEVIATIONS,
        conclusion=Conclusion.NOT_SATISFIED,
    )
    assert words.label(given).tone == "bad"
    assert words.label(replace(given, conclusion=Conclusion.NOT_TESTED)).tone == "watch"


def test_counts_keep_other_conclusions_apart_from_green() -> None:
    report = small.report()
    some = next(iter(report.statuses.values()))
    given = [
        replace(some, status=status, conclusion=conclusion)
        for status, conclusion in (
            (Status.SIGNED, Conclusion.SATISFIED),
            (Status.SIGNED, Conclusion.NOT_APPLICABLE),
            (Status.SIGNED, Conclusion.SATISFIED),
            (Status.SIGNED_WITH_DEVIATIONS, Conclusion.SATISFIED),
            (Status.COLLECTING, ""),
        )
    ]
    shown = [
        (label.word, label.tone, number)
        for label, number in words.tally(report.framework, given)
    ]
    assert shown == [
        ("Collecting", "calm", 1),
        ("Signed", "good", 2),
        ("Signed: N/A", "idle", 1),
        ("Signed with deviations", "watch", 1),
    ]


def test_collector_is_named_before_its_lock_file() -> None:
    parts = (("lock_sha256", "0aca"), ("name", "controlbook"), ("version", "0.1.0"))
    shown = "controlbook 0.1.0, lock file SHA-256 0aca"
    assert words.collector(parts) == shown
    assert words.collector((("name", "x"), ("commit", "c1"))) == "x, commit c1"
