# SPDX-License-Identifier: Apache-2.0
"""Events on pages, in the PDF, in the data files and in the sentences."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import happened
import pytest
import small
from happened import CONTROL, event, run, runs
from pypdf import PdfReader

from controlbook.model import EventResult, Missing
from controlbook.render import happenings, pdf
from controlbook.render.data import data_files
from controlbook.render.facts import facts_of
from controlbook.render.pages import pages
from controlbook.render.pages.write import code
from controlbook.render.report import Book
from controlbook.timeline import HOUR, Instant, Interval

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.render.report import Report

ONE = event("2028-02-13T09:41:07Z")
MANY = tuple(event(f"2028-02-13T09:00:{n:02d}Z", user=f"u{n}") for n in range(14))


def result(report: Report) -> EventResult:
    return report.findings.controls[CONTROL].events[0]


def sentence(report: Report) -> str:
    return happenings.event_sentence(result(report))


def gapped() -> Report:
    start = run(2).window.start
    hole = Missing(
        account=small.PROD,
        region=happened.HOME,
        reason="digest-gap",
        interval=Interval(start, Instant(start + HOUR)),
    )
    days = [*runs()]
    days[2] = run(2, missing=(hole,))
    return happened.report("any", *days)


def test_proof_of_none_is_said_with_its_digests() -> None:
    said = sentence(happened.report("none", *runs()))
    assert said.startswith("No CreateUser event in 2 accounts, 2028-02-12T00:00Z to")
    assert "proven by 260 signed digests of CloudTrail without a hole" in said
    assert "30 log files" in said


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (happened.report("any", *runs(digests=False)), "No digest vouches for that"),
        (gapped(), "proves nothing: 1 of 2 accounts × Regions have times without"),
        (happened.report("any"), "No run has asked for the CreateUser event yet"),
        (happened.report("any", *runs(days=3)), "that proves nothing"),
    ],
    ids=["lookup", "hole", "no-run", "days-without-a-run"],
)
def test_less_than_a_proof_is_never_called_one(report: Report, words: str) -> None:
    said = sentence(report)
    assert words in said
    assert "proven" not in said


def test_events_are_said_with_first_last_and_what_is_expected() -> None:
    said = sentence(happened.report("none", *runs(ONE)))
    assert said.startswith("1 CreateUser event in 2 accounts")
    assert "first 2028-02-13T09:41:07Z, last 2028-02-13T09:41:07Z" in said
    assert said.endswith("None is expected: each is a deviation.")


def test_pages_show_the_query_the_digests_and_ten_of_the_events() -> None:
    report = happened.report("any", *runs(*MANY))
    shown = pages(Book(reports=(report,)))
    page = next(text for path, text in shown.items() if "/3.5" in path)
    assert "## Events" in page
    assert "14 CreateUser events in 2 accounts" in page
    assert "showing 10 of 14 events" in page
    assert page.count("userName=u") == 10
    place = result(report).places[0]
    assert code(place.head) in page
    assert place.head_sha256[:12] in page
    assert "260 signed digests" not in page
    assert "130 signed digests, 15 log files" in page
    control = next(text for path, text in shown.items() if CONTROL in path)
    assert "14 CreateUser events in 2 accounts" in control
    assert "Runs behind these events: showing 3 of 5" in page
    index = shown["PCI-2028-FEB/evidence/index.md"]
    assert 'id="run-cloudtrail-2"' in index
    assert "Runs that looked for events: 5" in index
    other = next(text for path, text in shown.items() if "/3.4" in path)
    assert "## Events" not in other


def test_unexpected_event_is_on_the_page_as_a_deviation() -> None:
    report = happened.report("none", *runs(ONE))
    page = next(
        text for path, text in pages(Book(reports=(report,))).items() if "/3.5" in path
    )
    assert ONE.id in page
    assert "an event: it was over at once" in page


def test_pdf_tells_the_same(tmp_path: Path) -> None:
    for name, report in (
        ("some", happened.report("any", *runs(*MANY))),
        ("none", happened.report("any", *runs())),
    ):
        out = tmp_path / f"{name}.pdf"
        pdf.build_pdf(report, out, attachments={})
        text = " ".join(
            " ".join(page.extract_text().split()) for page in PdfReader(out).pages
        )
        assert sentence(report) in text
        assert result(report).places[0].head_sha256[:12] in text.replace(" ", "")
    assert "Showing 10 of 14 events" in " ".join(
        " ".join(page.extract_text().split())
        for page in PdfReader(tmp_path / "some.pdf").pages
    )


def test_tables_hold_every_listed_event_and_every_place() -> None:
    files = data_files(happened.report("any", *runs(*MANY)))
    rows = list(csv.DictReader(io.StringIO(files["data/events.csv"].decode())))
    assert [row["about"] for row in rows] == [f"userName=u{n}" for n in range(14)]
    assert {row["account_name"] for row in rows} == {"payments-prod"}
    places = json.loads(files["data/event_queries.json"])["rows"]
    assert [row["events"] for row in places] == [14, 0]
    assert [row["digests"] for row in places] == [130, 130]


def test_facts_hold_the_events_of_controls_that_ask_and_of_no_others() -> None:
    document = facts_of(happened.report("any", *runs(ONE)))
    own = {row["control"]: row for row in document["findings"]}  # type: ignore[union-attr,index,call-overload]
    (row,) = own[CONTROL]["events"]
    assert (row["count"], row["proven-none"], row["whole"]) == (1, "no", "yes")
    assert row["events"][0]["about"] == "userName=robot"
    assert "events" not in own["pan-encrypted-at-rest"]


def test_hostile_text_of_an_event_is_text() -> None:
    evil = replace(ONE, actor="<script>alert(1)</script>", about="{{ x }}=[a](b)")
    report = happened.report("any", *runs(evil))
    shown = "".join(pages(Book(reports=(report,))).values())
    assert "<script>alert(1)" not in shown
    assert "&lt;script&gt;" in shown
