# SPDX-License-Identifier: Apache-2.0
"""What is kept of Audit Manager, on pages, in the PDF and as data."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import audited
import pytest
import small
from pypdf import PdfReader

from controlbook.digest import canonical
from controlbook.model import Disagreement, Ledger, Observation
from controlbook.preserved import preserved
from controlbook.render import pdf
from controlbook.render.audit_manager import compared_sentence, saved
from controlbook.render.data import data_files
from controlbook.render.pages import navigation, pages
from controlbook.render.report import Book
from controlbook.timeline import DAY, Instant, Interval, instant

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.render.report import Report
    from controlbook.sources.looking import Item

PAGE = "PCI-2028-FEB/audit-manager/index.md"
CONTROLS = ("pan-encrypted-at-rest", "buckets-encrypted")


def line(item: Item) -> bytes:
    """Write a record as the source does."""
    return canonical(
        {
            "evidence": audited.released.AUDITED,
            "item": item.name,
            "sha256": item.sha256,
            "fields": dict(item.fields),
            "said": dict(item.said),
        }
    )


def report(*items: Item, stands: bool = True) -> Report:
    """Give the small programme with what Audit Manager said, and one disagreement."""
    base = small.report()
    window = Interval(small.START, Instant(small.PERIOD.end + DAY))
    look = Observation(
        evidence=audited.released.AUDITED,
        account="111122226666",
        region=small.REGION,
        covers=Interval(small.START, Instant(small.START + DAY)),
        at=window.end,
        result="ACTIVE",
        records=len(items),
        records_root="0" * 64,
    )
    run = replace(
        small.run(6),
        stream="audit-manager",
        seq=1,
        window=window,
        observations=(look,),
        rules=(),
        transitions=(),
        objects=(small.stored("records", "kept"),),
    )
    ledger = Ledger(runs={**base.ledger.runs, "audit-manager": (run,)})
    row = Disagreement(
        found=audited.contradiction(),
        now=("COMPLIANT",) if stands else ("NON_COMPLIANT",),
    )
    found = base.findings
    controls = {
        name: replace(own, disagreements=(row,) if name in CONTROLS else ())
        for name, own in found.controls.items()
    }
    return replace(
        base,
        ledger=ledger,
        findings=replace(found, controls=controls, disagreements=(row,)),
        preserved=preserved(ledger, base.assessment, lambda _: tuple(map(line, items))),
    )


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


@pytest.fixture(scope="module")
def made() -> Report:
    return report(*audited.items())


def test_the_page_shows_controls_comments_changes_and_delegations(
    made: Report,
) -> None:
    text = plain(pages(Book(reports=(made,)))[PAGE])
    for words in (
        "payments",
        audited.THERE,
        audited.COMMENT,
        "REVIEWED CONTROL",
        "role/ delegate",
        "from 2030-02-11, all by 2030-02-16",
        "lock: none",
        "Left out, since they lie outside the period: 1 folder with 5 pieces",
    ):
        assert words in text, words


def test_each_disagreement_stands_on_the_pages_that_it_concerns(made: Report) -> None:
    site = pages(Book(reports=(made,)))
    for path in (
        PAGE,
        "PCI-2028-FEB/3.4/index.md",
        "PCI-2028-FEB/3.10/index.md",
        "controls/buckets-encrypted/index.md",
    ):
        text = plain(site[path])
        assert "CONFLICT 1 verdict of Audit Manager that our record" in text, path
        assert audited.contradiction().id in text
    other = plain(site["PCI-2028-FEB/3.5/index.md"])
    assert "CONFLICT" not in other
    assert "Audit Manager</a> shows" in site["PCI-2028-FEB/3.4/index.md"]
    assert "1 verdict there that our record contradicts" in plain(
        site["PCI-2028-FEB/index.md"]
    )


def test_the_page_is_in_the_navigation_and_only_where_something_is_kept(
    made: Report,
) -> None:
    assert PAGE in str(navigation(Book(reports=(made,))))
    without = Book(reports=(small.report(),))
    assert PAGE not in pages(without)
    assert "audit-manager" not in str(navigation(without))
    assert "data/audit-manager.csv" not in data_files(small.report())


def test_a_disagreement_that_a_correction_ended_says_so() -> None:
    ended = report(*audited.items(), stands=False)
    text = plain(pages(Book(reports=(ended,)))[PAGE])
    assert "CONFLICT" not in text
    assert "1 verdict of Audit Manager contradicted our record until" in text
    assert "COMPLIANT when they were compared; corrected since" in text


def test_what_could_not_be_compared_is_counted(made: Report) -> None:
    (found,) = saved(made)
    assert compared_sentence(found) == (
        "Of 8 verdicts that it took from AWS Config, 1 contradicts our record of the"
        " same instant; 2 verdicts not compared, as our record has none there."
    )
    assert found.pieces == 10


def test_without_a_comparison_nothing_is_said_to_agree() -> None:
    (found,) = saved(report(*audited.items()[:3]))
    assert compared_sentence(found) == (
        "No verdict that it took from AWS Config was compared with our record."
    )
    assert (found.days, found.deleted, found.pieces) == (None, None, 0)


def test_what_people_wrote_there_is_text_and_nothing_else() -> None:
    evil = '<img src=x onerror="alert(1)"> {{ x }}'
    item = audited.item("comment", "c", set="s", control="c", text=evil, by=evil)
    text = pages(Book(reports=(report(*audited.items(), item),)))[PAGE]
    assert "<img" not in text
    assert "&lt;img src=x" in text


def test_evidence_of_a_leap_day_goes_on_the_first_of_march() -> None:
    (found,) = saved(report(audited.folder("2028-02-29", 1)))
    gone = instant("2030-03-01T00:00:00Z")
    assert found.deleted == (gone, gone)
    assert found.inside == ()


def test_the_pdf_prints_the_chapter_and_the_conflict(
    made: Report, tmp_path: Path
) -> None:
    path = tmp_path / "report.pdf"
    pdf.build_pdf(made, path)
    text = plain(" ".join(page.extract_text() for page in PdfReader(path).pages))
    assert "17 Audit Manager" in text
    assert audited.COMMENT in text
    assert "Conflict." in text
    assert "1 contradicts our record" in text
