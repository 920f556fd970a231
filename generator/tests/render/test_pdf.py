"""The PDF: what it says, what it links, what it embeds, and what it refuses."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import payloads
import pytest
import small
from pypdf import PdfReader

from controlbook.digest import merkle_root
from controlbook.errors import ControlbookError
from controlbook.render import pdf, typeface, words
from controlbook.render.readme import readme
from controlbook.timeline import DAY, Instant, Interval

if TYPE_CHECKING:
    from controlbook.render.report import Report

TESTS = Path(__file__).resolve().parent.parent


def built(report: Report, folder: Path, **files: bytes) -> PdfReader:
    out = folder / "report.pdf"
    attachments = {f"{name}.json": body for name, body in files.items()}
    pdf.build_pdf(report, out, attachments=attachments)
    return PdfReader(out)


def words_of(reader: PdfReader) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in reader.pages]


def with_note(report: Report, body: str) -> Report:
    """Put a hostile body into the first annotation."""
    library = report.library
    note = replace(library.annotations[0], body=body)
    return replace(
        report,
        library=replace(library, annotations=(note, *library.annotations[1:])),
    )


@pytest.fixture(scope="module")
def final(tmp_path_factory: pytest.TempPathFactory) -> PdfReader:
    return built(small.report(), tmp_path_factory.mktemp("pdf"), facts=b'{"a":1}')


@pytest.fixture(scope="module")
def text(final: PdfReader) -> str:
    return " ".join(words_of(final))


def test_exact_interval_stands_in_the_requirement_and_the_register(text: str) -> None:
    assert text.count("2028-02-14T03:12:00Z") >= 2
    assert text.count("2028-02-14T03:17:00Z") >= 2
    assert "was non-compliant for 5 min (2028-02-14T03:12Z to 03:17Z)" in text


def test_every_requirement_in_scope_has_a_section(text: str, final: PdfReader) -> None:
    titles = {str(item["/Title"]) for item in flat(final.outline)}
    for section in pdf.Paper(small.report()).results.sections:
        item = section.requirement
        assert f"{item.number} {item.title}" in titles
        assert f"/req-{item.number}"[1:] in final.named_destinations
        assert item.title in text


def test_deviation_without_end_is_open_and_never_closed(text: str) -> None:
    assert "orders has been non-compliant since 2028-02-16T10:00Z (open" in text
    assert "1 still open" in text


def test_every_deviation_and_gap_stands_in_a_register(
    text: str, final: PdfReader
) -> None:
    findings = small.report().findings
    for item in (*findings.deviations, *findings.gaps):
        assert item.id in final.named_destinations
        assert item.id in text.replace(" ", "") or item.id in text


def test_stale_sign_off_names_the_part_with_both_digests(text: str) -> None:
    stale = small.report().statuses["3.5"].judgement.stale[0]
    assert "Changed since it was signed" in text
    assert stale.signed[:16] in text
    assert stale.now[:16] in text


def test_excluded_requirement_stands_with_its_reason(text: str) -> None:
    assert "Assessed by the networking team's own report." in text


def test_fixed_line_disclaims_an_opinion(text: str) -> None:
    assert "Not an auditor's opinion." in text


def test_facts_root_is_printed_in_full(text: str) -> None:
    assert small.report().facts_root in text


def test_every_page_says_its_number_edition_commit_and_class(
    final: PdfReader,
) -> None:
    pages = words_of(final)
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        assert "PCI-2028-FEB" in page
        assert f"Commit {'d' * 12}" in page
        assert "Confidential" in page
    assert final.page_labels == [str(n) for n in range(1, len(pages) + 1)]


def test_contents_list_gives_the_page_of_every_chapter(final: PdfReader) -> None:
    listed = words_of(final)[1]
    for item in final.outline:
        if isinstance(item, list) or str(item["/Title"]) == "Contents":
            continue
        page = final.get_destination_page_number(item) + 1
        if page > 2:
            title = re.escape(str(item["/Title"]))
            assert re.search(rf"{title}[ .]+{page}\b", listed)


def flat(outline: list) -> list:  # type: ignore[type-arg]
    found = []
    for item in outline:
        found.extend(flat(item) if isinstance(item, list) else [item])
    return found


def test_outline_has_chapters_requirements_and_their_parts(final: PdfReader) -> None:
    titles = [str(item["/Title"]) for item in flat(final.outline)]
    assert "9 Requirements" in titles
    assert "3.10 Archives protected" in titles
    assert "Evidence gaps" in titles


def links(reader: PdfReader) -> tuple[set[str], set[str]]:
    """Give the internal destinations and the outside addresses of all links."""
    inside: set[str] = set()
    outside: set[str] = set()
    for page in reader.pages:
        for reference in page.get("/Annots") or ():
            action = reference.get_object()
            if "/Dest" in action:
                inside.add(str(action["/Dest"]))
            elif "/A" in action and "/URI" in action["/A"]:
                outside.add(str(action["/A"]["/URI"]))
            elif "/A" in action:
                inside.add(str(action["/A"]["/D"]))
    return inside, outside


def test_every_internal_link_resolves(final: PdfReader) -> None:
    inside, _ = links(final)
    assert {"req-3.4", "deviations", "run-1", "doc-key-policy"} <= inside
    assert inside <= set(final.named_destinations)


def test_links_outside_are_https_and_reach_tickets_and_pull_requests(
    final: PdfReader,
) -> None:
    _, outside = links(final)
    assert "https://tickets.example.com/browse/PCI-4432" in outside
    assert "https://github.com/example/payments-compliance/pull/7" in outside
    assert all(address.startswith("https://") for address in outside)


def test_metadata_names_title_language_and_the_commits_time(final: PdfReader) -> None:
    assert final.metadata is not None
    assert final.metadata.title == (
        "PCI DSS, five days of February 2028 – PCI DSS 3.2.1"
    )
    assert str(final.metadata["/CreationDate"]).startswith("D:20280219080000Z")
    assert final.trailer["/Root"]["/Lang"] == "en"


def test_pdf_is_tagged_and_says_that_it_follows_pdf_ua(final: PdfReader) -> None:
    root = final.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert b"pdfuaid" in root["/Metadata"].get_data()


def elements(node: object) -> list:  # type: ignore[type-arg]
    """Give every element of a structure tree."""
    found = []
    for child in node.get("/K", ()):  # type: ignore[attr-defined]
        item = child.get_object()
        if hasattr(item, "get"):
            found.extend([item, *elements(item)])
    return found


def test_every_figure_has_a_text_in_its_place(final: PdfReader) -> None:
    tree = elements(final.trailer["/Root"]["/StructTreeRoot"])
    figures = [item for item in tree if item.get("/S") == "/Figure"]
    assert len(figures) >= 4
    assert {str(item["/Alt"]) for item in figures} >= {
        "Requirements by conclusion",
        "Timeline of deviations and evidence gaps",
        "Days with a run",
    }


def test_only_the_pinned_typefaces_are_embedded(final: PdfReader) -> None:
    names = {
        str(font.get_object()["/BaseFont"])
        for page in final.pages
        for font in page["/Resources"]["/Font"].values()
    }
    assert names
    assert all("+Controlbook-IBM-Plex-" in name for name in names)


@pytest.mark.threat("T82")
def test_attachments_are_embedded_as_given(final: PdfReader) -> None:
    assert final.attachments == {"facts.json": [b'{"a":1}']}


@pytest.mark.parametrize("limit", words.CANNOT_BE_PROVEN)
def test_what_cannot_be_proven_stands_in_the_pdf_and_the_bundles_readme(
    limit: str, text: str
) -> None:
    # Typeset text breaks lines and words: compare what is left without white space.
    printed = re.sub(r"[\s\u200b]", "", text)
    assert re.sub(r"\s", "", limit) in printed
    assert f"- {limit}\n" in readme(small.report()).decode()


@pytest.mark.parametrize(
    "kept",
    [
        "AWS Config's verdict",
        "before the first digest",
        "collector told the truth",
        "reviewer read with care",
        "conduct of GitHub",
        "key was in its owner's hands",
        "outlives its AWS account",
        "accounts outside the organization",
        "moment of a change",
        "legal weight",
    ],
)
def test_every_limit_of_the_design_is_named(kept: str) -> None:
    assert sum(kept in limit for limit in words.CANNOT_BE_PROVEN) == 1


def section_html(html: str, number: str) -> str:
    """Cut one requirement's section out of the report's page."""
    return html.split(f'id="req-{number}"', 1)[1].split("</section>", 1)[0]


def test_evidence_digest_stands_in_full_in_its_requirement() -> None:
    report = small.report()
    html = pdf.page(report).replace("\u200b", "")
    for number, subject in report.subjects.items():
        whole = dict(subject)["evidence"]
        section = section_html(html, number)
        if section.count("<h3>Evidence</h3>"):
            assert whole in section, number


def test_a_digest_of_nothing_is_no_evidence() -> None:
    report = small.report()
    number = next(iter(report.subjects))
    subjects = {
        **report.subjects,
        number: tuple(
            (name, merkle_root(()) if name == "evidence" else value)
            for name, value in report.subjects[number]
        ),
    }
    section = section_html(pdf.page(replace(report, subjects=subjects)), number)
    strip = section.split("<h3>", 1)[0]
    assert "<small>Evidence digest</small>none</div>" in strip


def test_every_column_of_the_report_has_a_name() -> None:
    heads = re.findall(r"<th\b([^>]*)>(.*?)</th>", pdf.page(small.report()), re.DOTALL)
    assert heads
    for attributes, text in heads:
        assert "scope=" in attributes
        assert re.sub(r"<[^>]*>", "", text).strip()


def test_released_report_says_final_and_never_draft(text: str) -> None:
    assert "FINAL" in text
    assert "DRAFT" not in text


def test_draft_and_demo_stand_on_every_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pages = words_of(built(small.report(release=""), tmp_path))
    for page in pages:
        assert "DRAFT: not released" in page
        assert "DEMO: evidence is not from AWS" in page
    assert caplog.messages == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.pdf"]


def test_retired_framework_is_named_as_such(text: str) -> None:
    assert "PCI DSS 3.2.1 was retired by its owner on 2024-03-31." in text


BUILD = """
import sys
sys.path[:0] = sys.argv[1:3]
import small
from pathlib import Path
from controlbook.render.pdf import build_pdf
build_pdf(small.report(), Path(sys.argv[3]), attachments={"facts.json": b"{}"})
"""


def test_equal_bytes_in_other_processes_zones_homes_and_folders(
    tmp_path: Path,
) -> None:
    bodies = []
    for index, (zone, language) in enumerate(
        (("UTC", "C.UTF-8"), ("Pacific/Kiritimati", "tr_TR.UTF-8"))
    ):
        home = tmp_path / f"home-{index}"
        home.mkdir()
        out = tmp_path / f"{index}.pdf"
        environment = {
            **os.environ,
            "TZ": zone,
            "LANG": language,
            "LC_ALL": language,
            "HOME": str(home),
            "PYTHONHASHSEED": str(index),
            "SOURCE_DATE_EPOCH": str(index),
        }
        subprocess.run(
            [
                *("/bin/sh", "-c", f'umask 0{index}7; exec "$@"', "sh"),
                *(sys.executable, "-c", BUILD),
                *(str(TESTS.parent), str(TESTS), str(out)),
            ],
            env=environment,
            cwd=home,
            check=True,
        )
        bodies.append(out.read_bytes())
    assert bodies[0] == bodies[1]
    assert b"/tmp" not in bodies[0]


# --- hostile text -----------------------------------------------------------------


@pytest.mark.threat("T66")
@pytest.mark.threat("T67")
@pytest.mark.threat("T68")
@pytest.mark.threat("T69")
def test_hostile_annotation_is_text_and_nothing_else(
    final: PdfReader, tmp_path: Path
) -> None:
    reader = built(with_note(small.report(), "\n\n".join(payloads.ALL)), tmp_path)
    shown = " ".join(words_of(reader))
    assert "alert(1)" in shown
    assert "{{ 7 * 7 }}" in shown
    _, outside = links(reader)
    assert all(address.startswith("https://") for address in outside)
    assert not any("evil.example" in address for address in outside)
    assert len(flat(reader.outline)) == len(flat(final.outline))
    assert not reader.attachments
    assert b"passwd:" not in (tmp_path / "report.pdf").read_bytes()


@pytest.mark.threat("T70")
@pytest.mark.parametrize(
    "body",
    [
        "<img src='file:///etc/passwd'>",
        "<img src='http://169.254.169.254/latest/meta-data/'>",
        "<img src='data:image/png;base64,AAAA'>",
        "<link rel='attachment' href='file:///etc/passwd'>",
        "<link rel='stylesheet' href='https://example.com/x.css'>",
        "<style>@import url(file:///etc/passwd);</style>",
        "<style>@font-face{font-family:x;src:url(file:///x)}</style>",
        "<style>p{background:url(https://example.com/x.png)}</style><p>x</p>",
        "<svg><image href='file:///etc/passwd' width='9' height='9'/></svg>",
        "<a rel='attachment' href='file:///etc/passwd'>x</a>",
        "<object data='file:///etc/passwd'></object>",
    ],
    ids=lambda body: re.sub(r"[^a-z]+", "-", body)[:40],
)
def test_every_fetch_is_denied_recorded_and_fails_the_build(body: str) -> None:
    page = f"<html lang='en'><title>x</title><body>{body}</body></html>"
    with pytest.raises(ControlbookError, match="the PDF asked for") as caught:
        pdf.set_pages(page, identifier=b"x" * 16, at=0, attachments={})
    assert re.search(r"(file|http|https|data):", str(caught.value))


def test_a_font_of_the_machine_fails_the_build() -> None:
    class Pdf:
        objects = ({"FontName": b"/ABCDEF+DejaVu-Sans"}, {"Type": b"/Page"})

    with pytest.raises(ControlbookError, match=r"would embed /ABCDEF\+DejaVu-Sans"):
        pdf._refuse_other_fonts(Pdf())  # noqa: SLF001 - the check itself


def test_characters_without_a_glyph_are_printed_as_code_points_and_listed(
    tmp_path: Path,
) -> None:
    reader = built(with_note(small.report(), "Fixed by 田中 🙂 at 03:17Z"), tmp_path)
    shown = " ".join(words_of(reader))
    assert "Fixed by [U+7530][U+4E2D] [U+1F642] at 03:17Z" in shown
    assert "The typefaces of this document lack 3 characters" in shown


def test_internal_annotations_stay_out() -> None:
    report = with_note(small.report(), "Between us: not for auditors.")
    note = replace(report.library.annotations[0], audience="internal")
    notes = (note, *report.library.annotations[1:])
    report = replace(report, library=replace(report.library, annotations=notes))
    shown = pdf.page(report)
    assert "Between us" not in shown
    assert note.path not in shown


def test_nothing_collected_still_makes_a_report() -> None:
    report = small.report(release="")
    empty = replace(
        report,
        ledger=replace(report.ledger, runs={}),
        findings=replace(report.findings, collected=None, closed=False),
    )
    shown = pdf.page(empty)
    assert "nothing yet" in shown
    assert "No run covers the period." in shown


def test_style_strings_quote_everything_that_css_could_read() -> None:
    quoted = pdf.css_string('"} @import "x')
    assert re.fullmatch(r'"([A-Za-z0-9]|\\[0-9a-f]+ )*"', str(quoted))


def test_reader_of_the_pdf_sees_no_javascript_and_no_forms(final: PdfReader) -> None:
    root = final.trailer["/Root"]
    assert "/AcroForm" not in root
    assert "/OpenAction" not in root
    assert "/JavaScript" not in (root.get("/Names") or {})


@pytest.mark.threat("T71")
@pytest.mark.parametrize(
    "body",
    ["x" * 200_000, ">" * 3_000 + " a", "*" * 20_000 + "a", "word word. " * 20_000],
    ids=["word", "quotes", "stars", "long"],
)
def test_pathological_text_is_cut_with_its_count_and_stays_breakable(body: str) -> None:
    html = pdf.page(with_note(small.report(), body))
    assert len(html) < len(pdf.page(small.report())) + 60_000
    if len(body) > pdf.LONGEST:
        assert f"of {len(body):,} characters; the whole text stands in" in html
    words = re.sub(r"<[^>]*>", " ", html)
    assert max(map(len, re.split(r"[\s\u200b]+", words))) < 200


MEMORY = 1 << 30
SET = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import small, test_pdf
from controlbook.render import pdf

body = Path(sys.argv[1]).read_text()
pdf.build_pdf(test_pdf.with_note(small.report(), body), Path(sys.argv[1] + ".pdf"))
"""


@pytest.mark.slow
@pytest.mark.threat("T71")
@pytest.mark.parametrize(
    "body",
    [
        "x" * 900_000,
        "| a " * 50_000 + "|\n" + "|---" * 50_000 + "|\n",
        "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 80_000,
        "[" * 100_000,
        "<style>" + "a{color:red}" * 70_000 + "</style>",
    ],
    ids=["word", "wide-table", "long-table", "brackets", "css"],
)
def test_pathological_text_is_set_within_limits_of_memory_and_time(
    body: str, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    note.write_text(body)
    done = subprocess.run(
        [sys.executable, "-c", SET, note, TESTS, TESTS / "render"],
        preexec_fn=lambda: (
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
            resource.setrlimit(resource.RLIMIT_CPU, (60, 60)),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "note.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.threat("T71")
def test_the_limit_of_memory_is_one() -> None:
    greedy = subprocess.run(
        [sys.executable, "-c", "bytearray(1 << 31)"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "MemoryError" in greedy.stderr


def test_digests_stay_whole_and_longer_words_may_break() -> None:
    html = f"<p title='{'t' * 150}'>{'d' * 64} {'w' * 150}</p>"
    shown = typeface.breakable(html)
    assert "d" * 64 + " " in shown
    assert "t" * 150 in shown
    assert "w" * 80 + "\u200b" + "w" * 70 in shown


def test_statements_stand_as_they_were_written() -> None:
    report = small.report()
    control = report.library.controls["key-management"]
    odd = replace(control, statement="Keys *and*\n1. <b>custodians</b>\n")
    controls = {**report.library.controls, odd.id: odd}
    html = pdf.page(replace(report, library=replace(report.library, controls=controls)))
    assert "<b>custodians" not in html
    assert "Keys *and*\n1. <b>custodians</b>" in unescape(html)


def test_runs_of_every_stream_are_indexed() -> None:
    report = small.report()
    first = report.runs[0]
    late = Instant(report.assessment.period.end + DAY)
    window = Interval(late, Instant(late + DAY))
    capture = replace(first, stream="reviews", window=window)
    trail = replace(first, stream="cloudtrail", expected=(), transitions=())
    beyond = replace(trail, seq=2, window=window)
    runs = {"reviews": (capture,), "cloudtrail": (trail, beyond)}
    ledger = replace(report.ledger, runs={**report.ledger.runs, **runs})
    shown = pdf.page(replace(report, ledger=ledger))
    assert f"<td>reviews {first.seq}</td>" in shown
    assert f"<td>cloudtrail {first.seq}</td>" in shown
    assert "<td>cloudtrail 2</td>" not in shown
    assert "All 2 runs shown: those whose windows meet the period" in shown


def test_the_title_names_the_framework_once() -> None:
    report = small.report()
    title = f"{report.framework.title}, one week"
    named = replace(report, assessment=replace(report.assessment, title=title))
    assert f"<title>{title}</title>" in pdf.page(named)
