# SPDX-License-Identifier: Apache-2.0
"""What fails in Security Hub, on pages and in the PDF."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import happened
import small
from happened import CONTROL, runs
from pypdf import PdfReader

from controlbook.model import (
    Failing,
    Observation,
    ObservedResult,
    PlaceObserved,
    SecurityHubControl,
)
from controlbook.render import pdf
from controlbook.render.data import data_files
from controlbook.render.pages import pages
from controlbook.render.report import Book
from controlbook.timeline import DAY, Instant, Interval, instant

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.render.report import Report

SINCE = instant("2028-02-13T09:00:00Z")


def report() -> Report:
    day = Interval(small.START, Instant(small.START + DAY))
    hub = SecurityHubControl(control="IAM.6")
    rows = tuple(
        Failing(item=name, since=SINCE, precision=precision, workflow="NEW")
        for name, precision in (("IAM.6 exact", "history"), ("IAM.6 late", "update"))
    )
    seen = Observation(
        evidence=hub.key,
        account=small.PROD,
        region=small.REGION,
        covers=day,
        at=day.start,
        result="FAILED",
        records_root="0" * 64,
        counts=(("FAILED", 2),),
        failing=rows,
    )
    place = PlaceObserved(
        account=small.PROD,
        region=small.REGION,
        observations=(seen,),
        due=DAY,
        held=DAY,
    )
    made = happened.report("any", *runs())
    own = made.findings.controls[CONTROL]
    looked = replace(own, observed=(ObservedResult(evidence=hub, places=(place,)),))
    controls = {**made.findings.controls, CONTROL: looked}
    return replace(made, findings=replace(made.findings, controls=controls))


def test_the_page_of_the_control_names_what_fails_and_since_when() -> None:
    shown = pages(Book(reports=(report(),)))
    page = next(text for path, text in shown.items() if CONTROL in path)
    page = page.replace("<wbr>", "")
    exact, late = page.split("IAM.6 exact")[1].split("IAM.6 late")
    assert "fails since" in exact
    assert "at the latest" not in exact
    assert "at the latest, NEW" in late


def test_the_table_names_what_fails_and_since_when_too() -> None:
    text = data_files(report())["data/observations.csv"].decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["failing"] == (
        "IAM.6 exact since 2028-02-13T09:00:00Z by history NEW;"
        " IAM.6 late since 2028-02-13T09:00:00Z by update NEW"
    )


def test_the_pdf_tells_the_same(tmp_path: Path) -> None:
    out = tmp_path / "report.pdf"
    pdf.build_pdf(report(), out, attachments={})
    text = " ".join(
        " ".join(page.extract_text().split()) for page in PdfReader(out).pages
    )
    assert "at the latest, NEW" in text
    assert "IAM.6 exact fails since" in text.replace("\u200b", "")
