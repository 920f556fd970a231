# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import io
import zipfile

import pytest
import small
from openpyxl import load_workbook  # type: ignore[import-untyped] # ships no types
from xlsxwriter import Workbook

from controlbook.render.data import table_csv
from controlbook.render.tables import Table, tables
from controlbook.render.workbook import MOST_TEXT, NAME, add_sheet, workbook


def read_back(table: Table) -> list[list[object]]:
    out = io.BytesIO()
    book = Workbook(out)
    add_sheet(book, table)
    book.close()
    sheet = load_workbook(out)[table.name]
    return [list(row) for row in sheet.iter_rows(values_only=True)]


def test_each_sheet_holds_the_rows_of_its_csv() -> None:
    report = small.report()
    book = load_workbook(io.BytesIO(workbook(report)))
    assert book.sheetnames == ["contents", *(t.name[:NAME] for t in tables(report))]
    for table in tables(report):
        text = table_csv(table).decode()
        due = list(csv.reader(io.StringIO(text, newline="")))
        found = [
            ["" if cell is None else str(cell) for cell in row]
            for row in book[table.name[:NAME]].iter_rows(values_only=True)
        ]
        plain = [[cell.removeprefix("'") for cell in row] for row in due]
        assert found == plain


def test_the_first_sheet_says_what_it_is_and_how_far_to_trust_it() -> None:
    report = small.report()
    sheet = load_workbook(io.BytesIO(workbook(report)))["contents"]
    said = {row[0]: row[1] for row in sheet.iter_rows(values_only=True)}
    assert said["facts root"] == report.facts_root
    assert said["commit"] == report.commit.id
    assert ("DEMO" in said) == report.demo
    assert said["deviations"] == len(report.findings.deviations)


def test_the_same_report_gives_the_same_bytes() -> None:
    first = workbook(small.report())
    assert first == workbook(small.report())
    stamps = {e.date_time for e in zipfile.ZipFile(io.BytesIO(first)).infolist()}
    assert stamps == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.threat("T78")
@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "@SUM(A1)", "\t=1", "http://x/", "{=1}"]
)
def test_t78_text_is_text_whatever_it_begins_with(text: str) -> None:
    out = io.BytesIO()
    book = Workbook(out)
    add_sheet(book, Table(name="t", columns=("a",), rows=((text,),)))
    book.close()
    cell = load_workbook(out)["t"]["A2"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)


def test_numbers_are_numbers_until_excel_would_round_them() -> None:
    rows = ((7, 10**15 - 1, 10**15),)
    assert read_back(Table(name="t", columns=("a", "b", "c"), rows=rows))[1] == [
        7,
        10**15 - 1,
        "1000000000000000",
    ]


def test_what_a_cell_cannot_hold_is_said_in_it() -> None:
    long = "x" * (MOST_TEXT + 1)
    cell = read_back(Table(name="t", columns=("a",), rows=((long,),)))[1][0]
    assert isinstance(cell, str)
    assert cell.endswith(f" [cut: all {len(long)} characters in data/t.csv]")
    assert len(cell) == MOST_TEXT


def test_what_a_sheet_cannot_hold_is_said_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("controlbook.render.workbook.MOST_ROWS", 1)
    rows = read_back(Table(name="t", columns=("a",), rows=(("x",), ("y",))))
    assert rows == [["a"], ["2 rows do not fit: see data/t.csv"]]
