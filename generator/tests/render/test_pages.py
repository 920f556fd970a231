# SPDX-License-Identifier: Apache-2.0
"""The page texts of a small site: golden, and the rules that every page keeps."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import markdown as python_markdown
import pytest
import shelf
import small

from controlbook import cli
from controlbook.errors import ControlbookError
from controlbook.model import Conclusion, Recorded, Status
from controlbook.recorded import record
from controlbook.render.pages import (
    View,
    all_pages,
    assessment,
    navigation,
    pages,
    people,
)
from controlbook.render.report import Book, Commit
from controlbook.timeline import instant

GOLDEN = Path(__file__).parent / "golden" / "site"
PAGES = pages(shelf.shelf())
KEPT = sorted(
    path
    for path in PAGES
    if not path.startswith("SOC2-2028/") or path == "SOC2-2028/index.md"
)
"""The draft's other pages say nothing that the released ones do not."""
VOID = {"br", "wbr", "hr", "img", "input", "meta", "link"}


class Balance(HTMLParser):
    """Find tags that are not closed, and ids that stand twice."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.wrong: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a" and "href" in found:
            self.links.append(str(found["href"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> after {self.open[-3:]}")
        else:
            self.open.pop()


@pytest.mark.parametrize("path", KEPT)
def test_page_is_as_reviewed(path: str, request: pytest.FixtureRequest) -> None:
    file = GOLDEN / path
    if request.config.getoption("--update-golden"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(PAGES[path], encoding="utf-8", newline="\n")
    assert file.exists(), "run pytest with --update-golden, and review the difference"
    assert PAGES[path] == file.read_text(encoding="utf-8")


def test_no_golden_page_is_left_over() -> None:
    found = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*.md")}
    assert found == set(KEPT)


@pytest.mark.parametrize("path", sorted(PAGES))
def test_page_is_well_formed_and_carries_its_marks(path: str) -> None:
    text = PAGES[path]
    _, front, body = text.split("---\n", 2)
    assert front.startswith("title: ")
    html = python_markdown.markdown(body, extensions=["toc"])
    seen = Balance(html)
    assert not seen.wrong
    assert not seen.open
    assert len(seen.ids) == len(set(seen.ids))
    assert "<strong>DEMO</strong>" in html
    shows_draft = not path.startswith("PCI-2028-FEB/")
    assert ("<strong>DRAFT</strong>" in html) is shows_draft
    assert "Not an auditor&#39;s opinion." in body
    assert "{" not in body
    assert html.count("<h1") == 1


def test_every_link_leads_to_a_page_and_an_anchor() -> None:
    ids = {
        path: {
            *Balance(
                python_markdown.markdown(text.split("---\n", 2)[2], extensions=["toc"])
            ).ids
        }
        for path, text in PAGES.items()
    }
    for path, text in PAGES.items():
        for link in Balance(text).links:
            if link.startswith(("https://", "mailto:")):
                continue
            target, _, anchor = link.partition("#")
            place = (Path("/") / path).parent / target if target else Path("/") / path
            name = str(place.resolve().relative_to("/")).replace(".html", ".md")
            if name.startswith(("data/", "oscal/", "PCI-2028-FEB.pdf", "facts.json")):
                continue  # beside the site, for the build to put there
            assert name in PAGES, f"{path}: {link}"
            if anchor:
                assert anchor in ids[name], f"{path}: {link}"


def test_downloads_are_linked_beside_the_site() -> None:
    links = Balance(PAGES["PCI-2028-FEB/index.md"]).links
    assert "../../PCI-2028-FEB.pdf" in links
    assert "../../data/deviations.csv" in links


def test_requirement_page_can_be_read_alone() -> None:
    text = PAGES["PCI-2028-FEB/3.4/index.md"]
    for said in (
        "3&#46;4 Stored PAN unreadable",  # number and title
        "Signed with deviations",  # status
        "In Place",  # conclusion, in the framework's words
        "Jeanne Moreau",  # owner
        "Maja Lindqvist",  # assessor
        "7 S3 buckets in 2 accounts",  # population
        "100 % of resource-time has evidence (35 d of 35 d).",  # coverage
        "6 of 7 S3 buckets in 2 accounts were compliant throughout; "
        "stale-backup-archive was non-compliant for 5 min",  # result
        'datetime="2028-02-14T03:12:00Z"',  # exact times
        'datetime="2028-02-14T03:17:00Z"',
        "PCI-4432",  # ticket
        "AWS Config had insufficient data to decide",  # evidence gap
        "lock: none",  # the vault, honestly
        "showing 4 of 6",
        "#7</a>",  # pull request of the sign-off
        "I read the evidence and the annotation, and they agree.",
        "PCI DSS 3.2.1 was retired by its owner on 2024-03-31.",
    ):
        assert said in text, said


def test_all_is_not_said_where_something_lacks() -> None:
    assert not [path for path, text in PAGES.items() if "for the whole period." in text]


def test_stale_signoff_names_what_changed() -> None:
    text = PAGES["PCI-2028-FEB/3.5/index.md"]
    assert "Changed since it was signed" in text
    assert "→" in text
    assert '<strong class="cb-bad-text">changed</strong>' in text


def test_requirement_without_controls_shows_its_reason() -> None:
    assert "AWS operates the data centres." in PAGES["PCI-2028-FEB/9.1/index.md"]
    assert "We have no card reader." in PAGES["PCI-2028-FEB/9.9/index.md"]


def test_internal_annotations_are_left_out_and_counted() -> None:
    base = small.report()
    library = base.library
    notes = tuple(
        replace(note, audience="internal", body="only for us")
        for note in library.annotations
    )
    report = replace(base, library=replace(library, annotations=notes))
    text = pages(Book(reports=(report,)))["PCI-2028-FEB/3.4/index.md"]
    assert "only for us" not in text
    assert "1 internal annotation" in text
    assert "UNANNOTATED" in text


def test_a_very_long_annotation_ends_with_its_place() -> None:
    base = small.report()
    notes = tuple(
        replace(note, body="An honest line of words.\n" * 40_000)
        for note in base.library.annotations
    )
    report = replace(base, library=replace(base.library, annotations=notes))
    text = pages(Book(reports=(report,)))["PCI-2028-FEB/3.4/index.md"]
    assert "of 1,000,000 characters; the whole text stands in annotations/" in text
    assert len(text) < 1_000_000


def test_queue_names_the_command() -> None:
    bare = re.sub(r"<[^>]*>", "", PAGES["queue/m-lindqvist/index.md"])
    text = " ".join(bare.split())
    assert "controlbook signoff PCI-2028-FEB 3.10 --as m-lindqvist" in text
    assert "Nothing waits for" in PAGES["queue/c-novak/index.md"]


def test_every_command_of_a_queue_is_one_of_ours() -> None:
    view = View(report=small.report())
    waiting = (
        ("j-moreau", "annotate dev-0000000000000001"),
        ("j-moreau", "attest key-management"),
        ("networking", "attest buckets-encrypted"),
        ("m-lindqvist", "sign 3.5"),
    )
    statuses = dict(view.report.statuses)
    statuses["3.5"] = replace(statuses["3.5"], waiting=waiting)
    late = Commit(id="e" * 40, at=instant("2028-12-15T00:00:00Z"))
    report = replace(view.report, statuses=statuses, commit=late)
    found = [
        task
        for name in ("j-moreau", "networking", "m-lindqvist")
        for task in people.tasks((View(report=report),), name)
    ]
    assert {task.verb for task in found} == {"annotate", "attest", "sign", "renew"}
    for task in found:
        words = task.command.replace("CONCLUSION", "satisfied").split()
        words = ["2028-01-01" if word == "DATE" else word for word in words]
        cli.parser().parse_args(words[1:])  # exits with 2 for anything unknown


def test_a_document_that_nobody_filed_is_asked_of_its_owner() -> None:
    report = small.report()
    bare = replace(report, library=replace(report.library, manual={}))
    view = View(report=bare)
    asked = {
        item.number: found
        for item in view.requirements
        if (found := view.awaited_documents(item))
    }
    texts_ = pages(Book(reports=(bare,)))
    assert asked
    for number, found in asked.items():
        page = texts_[f"{view.id}/{number}/index.md"]
        assert "## Manual evidence" in page
        assert page.count("NOT FILED") == len(found)
        for control, document in found:
            line = shlex.split(view.filing(control, document))
            cli.parser().parse_args(line[1:])  # exits with 2 for anything unknown
    assert not any("NOT FILED" in text for text in PAGES.values())


def test_hostile_names_stay_text_everywhere() -> None:
    for path, text in pages(Book(reports=(shelf.hostile(),))).items():
        assert "<img" not in text, path
        assert "{{" not in text, path
        html = python_markdown.markdown(text.split("---\n", 2)[2], extensions=["toc"])
        assert html.count("<h1") == 1, path
        assert "<img" not in html, path
        assert 'href="javascript' not in html, path


def test_two_pages_at_one_place_are_refused() -> None:
    with pytest.raises(ControlbookError, match="two pages would stand at"):
        all_pages(Book(reports=(shelf.released(), shelf.released())))


def test_numbers_with_parentheses_have_pages() -> None:
    base = small.report()
    number = "164.312(a)(2)(iv)"
    item = replace(base.framework.requirements["9.1"], number=number)
    requirements = {**base.framework.requirements, number: item}
    numbers = tuple(number if n == "9.1" else n for n in base.assessment.requirements)
    findings = base.findings
    report = replace(
        base,
        framework=replace(base.framework, requirements=requirements),
        assessment=replace(base.assessment, requirements=numbers),
        statuses={
            number if key == "9.1" else key: value
            for key, value in base.statuses.items()
        },
        subjects={
            number if key == "9.1" else key: value
            for key, value in base.subjects.items()
        },
        findings=replace(
            findings,
            requirements={
                number if key == "9.1" else key: value
                for key, value in findings.requirements.items()
            },
        ),
    )
    made = pages(Book(reports=(report,)))
    assert f"PCI-2028-FEB/{number}/index.md" in made
    assert f'href="{number}/index.html"' in made["PCI-2028-FEB/index.md"]


def test_state_of_very_many_places_lists_the_worst_and_counts_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = "PCI-2028-FEB/state/index.md"
    assert "accounts and Regions, those" not in PAGES[path]
    monkeypatch.setattr(assessment, "PLACES", 1)
    report = small.report()
    text = pages(Book(reports=(report,)))[path]
    assert "showing 1 of 2 accounts and Regions, those with resources" in text
    failing = {row.instance for row in report.closing if row.state == "NON_COMPLIANT"}
    rows = View(report=report).rule_rows
    for rule in {rows[key].rule for key in failing}:
        group = text.split(f"{rule}</code>", 1)[1].split("cb-group", 1)[0]
        assert " since " in group
    assert text.count('<tr><th scope="row">') == len({r.rule for r in rows.values()})


def test_state_of_a_ledger_that_is_not_held_lists_the_rules_of_controls() -> None:
    report = small.report()
    recorded = Recorded()
    record(recorded, report.ledger, report.assessment, ())
    whole = replace(report.ledger, shares=lambda _: iter((report.ledger,)))
    findings = replace(report.findings, recorded=recorded)
    report = replace(report, ledger=whole, findings=findings)
    shown = pages(Book(reports=(report,)))["PCI-2028-FEB/state/index.md"]
    assert "4 rule instances in these accounts are under rules that no" in shown


def test_navigation_names_every_page_once() -> None:
    def leaves(tree: object) -> list[str]:
        if isinstance(tree, str):
            return [tree]
        children = tree.values() if isinstance(tree, dict) else tree
        return [leaf for child in children for leaf in leaves(child)]  # type: ignore[attr-defined]

    found = leaves(navigation(shelf.shelf()))
    assert sorted(found) == sorted(PAGES)


def test_no_opinion_words() -> None:
    banned = re.compile(
        r"\b(fairly|reasonable assurance|in our opinion|certif(y|ied)|guarantee)\b",
        re.IGNORECASE,
    )
    for path, text in PAGES.items():
        assert not banned.search(text), path


def test_unsigned_requirement_never_looks_good() -> None:
    view = View(report=small.report())
    for number, status in view.report.statuses.items():
        text = PAGES[f"PCI-2028-FEB/{number}/index.md"]
        strip = text.split('<dl class="cb-strip"', 1)[1].split("</dl>", 1)[0]
        satisfied = status.conclusion == Conclusion.SATISFIED
        good = status.status is Status.SIGNED and satisfied
        assert ("cb-good" in strip) is good
