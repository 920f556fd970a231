# SPDX-License-Identifier: Apache-2.0
"""How the trail looks on pages, in the PDF's source and in the data files."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import small

from controlbook.render.data import data_files
from controlbook.render.facts import facts
from controlbook.render.pages import pages
from controlbook.render.report import Book
from controlbook.timeline import instant
from controlbook.trail import (
    Backwards,
    GovernanceChange,
    Origin,
    StaleSince,
    StatusChange,
    Trail,
    file_change,
)

if TYPE_CHECKING:
    from controlbook.render.report import Report

HOSTILE = b'title: "<script>alert(1)</script> {{ x }}"\n'
AT = instant("2028-02-18T10:00:00Z")


def told() -> Report:
    """Give the small report with a history: a stale sign-off, a change of owners."""
    report = small.report()
    stale = report.statuses["3.5"].judgement
    assert stale.signoff is not None
    origin = Origin(
        commit="e" * 40,
        at=AT,
        pull=stale.pull,
        opened_by="@controlbook[bot]",
        approved_by=("m-lindqvist", "@stranger"),
    )
    direct = Origin(commit="f" * 40, at=AT)
    return replace(
        report,
        library=replace(
            report.library,
            codeowners=b"* @c-novak\n/controls/ @nobody-known\n/frameworks/\n",
        ),
        trail=Trail(
            changes=(
                StatusChange(
                    requirement="3.5",
                    before="signed",
                    after="stale",
                    conclusion="",
                    why="3.5: annotations changed",
                    causes=("annotations/a.md", "b", "c", "d"),
                    origin=origin,
                ),
            ),
            stale=(
                StaleSince(
                    path=stale.signoff.path,
                    part="annotations",
                    signed="1" * 64,
                    now="2" * 64,
                    origin=origin,
                    files=(file_change("annotations/a.md", b"", HOSTILE),),
                ),
            ),
            governance=(
                GovernanceChange(
                    path=".github/CODEOWNERS",
                    origin=direct,
                    file=file_change(".github/CODEOWNERS", b"* @a\n", b"* @b\n"),
                    owners=(("controls/x.yml", ("@a",), ()),),
                    signs=("signoffs/Q/requirements/1.yml",),
                ),
            ),
            backwards=(
                Backwards(commit="a" * 40, at=AT, parent="b" * 40, parent_at=AT),
            ),
        ),
    )


@pytest.fixture(scope="module")
def site() -> dict[str, str]:
    return dict(pages(Book(reports=(told(),))))


def test_the_requirement_tells_its_history_and_the_difference(
    site: dict[str, str],
) -> None:
    page = site["PCI-2028-FEB/3.5/index.md"]
    assert "## History" in page
    assert "3.5: annotations changed" in page
    assert "and 2 more" in page
    assert "eeeeeee</code>" in page
    assert "The difference, line by line" in page
    assert "## History" not in site["PCI-2028-FEB/3.4/index.md"]


def test_a_difference_is_text_whatever_it_says(site: dict[str, str]) -> None:
    page = site["PCI-2028-FEB/3.5/index.md"]
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.threat("T48")
@pytest.mark.threat("T49")
@pytest.mark.threat("T23")
def test_changes_of_rules_and_people_stand_on_a_page(site: dict[str, str]) -> None:
    page = site["PCI-2028-FEB/governance/index.md"]
    assert "showing 1 of 1" in page
    assert "WITH SIGN-OFFS" in page
    assert "1 commit" in page
    assert "NOBODY" in page
    assert "@nobody-known (not in people.yml)" in page


def test_a_quiet_period_says_none() -> None:
    page = pages(Book(reports=(small.report(),)))["PCI-2028-FEB/governance/index.md"]
    assert "<p>None.</p>" in page
    assert "NO CODEOWNERS" in page


def test_history_is_published_as_data_and_is_no_fact() -> None:
    report = told()
    text = data_files(report)["data/status-history.csv"].decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["causes"] == "annotations/a.md; b; c; d"
    assert row["approved_by"] == "m-lindqvist; @stranger"
    assert row["pull_request"] == "7"
    rules = data_files(report)["data/governance-changes.csv"].decode()
    (change,) = csv.DictReader(io.StringIO(rules, newline=""))
    assert change["owners_changed"] == "controls/x.yml: @a -> nobody"
    plain = small.report()
    given = (plain.library, plain.ledger, plain.findings, plain.statuses)
    document = facts(*given, plain.subjects, plain.assessment)
    assert "trail" not in str(document)
