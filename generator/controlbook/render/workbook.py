# SPDX-License-Identifier: Apache-2.0
"""The workbook: every table of the report as a sheet, for those who work in Excel.

Rules enforced here (trust.md section 4, auditors.md section 5):
- text is text: no cell is a formula or a link, whatever it begins with; whole numbers
  that a cell can hold exactly are numbers;
- what a sheet or a cell cannot hold is said where it would stand, with the file that
  has it: nothing is left out silently;
- the bytes depend on the report and the toolchain alone.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from xlsxwriter import Workbook  # type: ignore[import-untyped] # ships no types

from controlbook.timeline import iso, to_datetime

from .tables import tables

if TYPE_CHECKING:
    from xlsxwriter.format import Format  # type: ignore[import-untyped]
    from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

    from .report import Report
    from .tables import Cell, Table

PATH = "data/report.xlsx"

MOST_ROWS = 1_048_575
"""Rows below the headings, by Excel's specifications and limits."""
MOST_TEXT = 32_767
"""Characters of a cell, by the same."""
MOST_NUMBER = 10**15 - 1
"""Excel keeps fifteen digits; an account number or a larger one stays text."""
NAME = 31
"""Characters of a sheet's name, by the same."""
WIDEST = 60


def workbook(report: Report) -> bytes:
    """Write a report's tables as a workbook; the first sheet says what it is."""
    out = io.BytesIO()
    book = Workbook(out, {"in_memory": True})
    book.set_properties(
        {
            "title": report.release or report.assessment.id,
            "created": to_datetime(report.commit.at).replace(tzinfo=None),
        }
    )
    found = tables(report)
    _add_contents(book, report, found)
    for table in found:
        add_sheet(book, table)
    book.close()
    return out.getvalue()


def _add_contents(book: Workbook, report: Report, found: tuple[Table, ...]) -> None:
    """Say which report this is, how far to trust it, and where each table stands."""
    sheet = book.add_worksheet("contents")
    bold = book.add_format({"bold": True})
    lines: list[tuple[Cell, ...]] = [
        ("assessment", report.assessment.id),
        ("release", report.release or "DRAFT: not released"),
        ("commit", report.commit.id),
        ("as of", iso(report.commit.at)),
        ("facts root", report.facts_root),
    ]
    if report.demo:
        lines.append(("DEMO", "made from a sandbox: this is not evidence"))
    lines += [
        ("", ""),
        ("sheet", "rows", "the same as"),
        *((t.name[:NAME], len(t.rows), f"data/{t.name}.csv") for t in found),
    ]
    for number, line in enumerate(lines):
        for column, cell in enumerate(line):
            _cell(sheet, number, column, cell, bold if column == 0 else None)
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 2, WIDEST)


def add_sheet(book: Workbook, table: Table) -> None:
    """Add one table: headings that stay in sight and filter, then its rows."""
    sheet = book.add_worksheet(table.name[:NAME])
    bold = book.add_format({"bold": True})
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    for column, name in enumerate(table.columns):
        sheet.write_string(0, column, name, bold)
        cells = [len(str(row[column])) for row in table.rows[:200]]
        sheet.set_column(column, column, min(max([len(name), *cells]) + 2, WIDEST))
    sheet.freeze_panes(1, 0)
    if len(table.rows) > MOST_ROWS:
        message = f"{len(table.rows)} rows do not fit: see data/{table.name}.csv"
        sheet.write_string(1, 0, message)
        return
    sheet.autofilter(0, 0, max(len(table.rows), 1), len(table.columns) - 1)
    for number, row in enumerate(table.rows, start=1):
        for column, cell in enumerate(row):
            if isinstance(cell, str) and len(cell) > MOST_TEXT:
                note = f"[cut: all {len(cell)} characters in data/{table.name}.csv]"
                cell = f"{cell[: MOST_TEXT - len(note) - 1]} {note}"  # noqa: PLW2901
            _cell(sheet, number, column, cell, wrapped)


def _cell(
    sheet: Worksheet, row: int, column: int, cell: Cell, style: Format | None
) -> None:
    if isinstance(cell, int) and abs(cell) <= MOST_NUMBER:
        sheet.write_number(row, column, cell, style)
    else:
        sheet.write_string(row, column, str(cell), style)
