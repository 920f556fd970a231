# SPDX-License-Identifier: Apache-2.0
"""The data files: each table of the report as CSV and as canonical JSON.

Rules enforced here:
- CSV is UTF-8 with CRLF (RFC 4180);
- a CSV cell that a spreadsheet would run as a formula is guarded by an apostrophe;
  JSON holds the text untouched;
- nothing of the build (its version, its machine, its clock) enters.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING

from controlbook.digest import canonical
from controlbook.timeline import iso

from .tables import tables

if TYPE_CHECKING:
    from controlbook.digest import Json

    from .report import Report
    from .tables import Cell, Table

TABLE = "controlbook/table/1"
STATUS = "controlbook/status/1"


def data_files(report: Report) -> dict[str, bytes]:
    """Write every table of a report, and its status, by path below the build."""
    files: dict[str, bytes] = {}
    for table in tables(report):
        files[f"data/{table.name}.csv"] = table_csv(table)
        files[f"data/{table.name}.json"] = table_json(table)
    files["data/status.json"] = canonical(status_document(report))
    return files


def table_csv(table: Table) -> bytes:
    """Write a table as CSV that a spreadsheet opens as text and numbers."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(table.columns)
    writer.writerows([guarded(cell) for cell in row] for row in table.rows)
    return out.getvalue().encode()


def table_json(table: Table) -> bytes:
    """Write a table as canonical JSON: one object a row."""
    return canonical(
        {
            "type": TABLE,
            "table": table.name,
            "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
        }
    )


def guarded(cell: Cell) -> Cell:
    """Keep a text cell from being read as a formula (T78)."""
    if isinstance(cell, int):
        return cell
    # A tab or CR in front makes some readers trim the cell and run what follows.
    if cell[:1] in {"\t", "\r"} or cell.lstrip()[:1] in set("=+-@"):
        return f"'{cell}"
    return cell


def status_document(report: Report) -> dict[str, Json]:
    """Write what a dashboard needs to know of a report."""
    counts = Counter(status.status.value for status in report.statuses.values())
    found = report.findings
    return {
        "type": STATUS,
        "assessment": report.assessment.id,
        "release": report.release,
        "commit": report.commit.id,
        "generated-at": iso(report.commit.at),
        "collected-until": iso(found.collected.end) if found.collected else "",
        "demo": "yes" if report.demo else "no",
        "draft": "yes" if report.draft else "no",
        "facts-root": report.facts_root,
        "requirements": len(report.statuses),
        "statuses": dict(counts),
        "deviations": len(found.deviations),
        "gaps": len(found.gaps),
        "unmapped": len(found.unmapped),
    }
