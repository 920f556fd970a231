# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
from collecting import LEDGER, assessment_of
from hypothesis import given
from hypothesis import strategies as st

from controlbook.errors import ControlbookError, Exit
from controlbook.model import Framework, Library, Settings
from controlbook.retention import (
    LONGEST_YEARS,
    USUAL,
    least,
    retained_until,
    serves,
    years_after,
)
from controlbook.timeline import DAY, Instant, Interval, from_datetime, instant, iso

ASSESSMENT = assessment_of(("111122223333",), "eu-west-1")
END = ASSESSMENT.period.end


def library(years: int = 0, **changed: object) -> Library:
    framework = Framework(
        id="pci-dss-3.2.1",
        title="",
        labels={},
        requirements={},
        retention_years=years,
    )
    assessment = replace(ASSESSMENT, **changed)
    return Library(
        settings=Settings(ledger=LEDGER),
        frameworks={framework.id: framework},
        assessments={assessment.id: assessment},
    )


def until(programme: Library, at_least: Instant = END) -> Instant:
    return retained_until(programme, programme.assessments.values(), at_least)


@pytest.mark.parametrize(
    ("start", "years", "due"),
    [
        ("2028-04-01T00:00:00Z", 1, "2029-04-01T00:00:00Z"),
        ("2028-02-29T12:00:00Z", 1, "2029-03-01T12:00:00Z"),
        ("2028-02-29T12:00:00Z", 4, "2032-02-29T12:00:00Z"),
        ("2028-04-01T00:00:00Z", 0, "2028-04-01T00:00:00Z"),
    ],
)
def test_years_are_those_of_the_calendar(start: str, years: int, due: str) -> None:
    assert iso(years_after(instant(start), years)) == due


@given(st.datetimes(), st.integers(0, 10**15))
def test_no_number_of_years_is_too_much(start, years: int) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    moment = from_datetime(start.replace(year=2028, day=1, tzinfo=None).astimezone())
    assert years_after(moment, years) >= moment


def test_one_that_says_nothing_is_kept_as_usual_or_as_its_framework_wants() -> None:
    assert until(library()) == END + USUAL
    assert until(library(years=1)) == END + USUAL
    assert until(library(years=10)) == years_after(END, 10)


def test_the_longest_of_all_is_taken() -> None:
    one = library(retention_until=instant("2035-04-01T00:00:00Z"))
    other = replace(
        ASSESSMENT, id="SOC2", retention_until=instant("2036-07-01T00:00:00Z")
    )
    both = replace(one, assessments={**one.assessments, other.id: other})
    assert iso(until(both)) == "2036-07-01T00:00:00Z"
    assert retained_until(both, (), Instant(0)) == until(both)


def test_a_document_is_kept_at_least_as_long_as_it_speaks_for() -> None:
    late = instant("2040-01-01T00:00:00Z")
    one = library(retention_until=instant("2035-04-01T00:00:00Z"))
    assert retained_until(one, (), late) == late


@pytest.mark.threat("T90")
@pytest.mark.parametrize("years", [0, 1, 6])
@pytest.mark.parametrize(
    ("apart", "taken"), [(-DAY, False), (-1000, False), (0, True), (1000, True)]
)
def test_t90_less_than_the_framework_wants_is_refused(
    years: int, apart: int, *, taken: bool
) -> None:
    asked = Instant(years_after(END, years) + apart)
    programme = library(years=years, retention_until=asked)
    assert least(programme, ASSESSMENT) == years_after(END, years)
    if taken:
        assert until(programme) == asked
        return
    with pytest.raises(ControlbookError, match="retention ends") as caught:
        until(programme)
    assert caught.value.code is Exit.INTEGRITY
    assert caught.value.place == ASSESSMENT.path


def test_a_lock_for_ever_is_refused_because_it_could_not_be_taken_back() -> None:
    longest = years_after(END, LONGEST_YEARS)
    assert until(library(retention_until=longest)) == longest
    with pytest.raises(ControlbookError, match="cannot be shortened"):
        until(library(retention_until=Instant(longest + 1000)))


def test_the_window_that_opens_a_period_serves_it() -> None:
    start = ASSESSMENT.period.start
    before = Interval(Instant(start - DAY), start)
    assert serves(ASSESSMENT, before)
    assert not serves(ASSESSMENT, Interval(Instant(start - 2 * DAY), before.start))
    assert serves(ASSESSMENT, Interval(Instant(END - DAY), END))
    assert not serves(ASSESSMENT, Interval(END, Instant(END + DAY)))
