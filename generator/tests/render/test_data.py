# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
import small

from controlbook.digest import parse_canonical
from controlbook.render.data import data_files, guarded, table_csv
from controlbook.render.tables import Table, tables

NAMES = (
    *("requirements", "controls", "rules", "population", "deviations", "gaps"),
    *("annotations", "evidence-index", "signoffs", "documents", "transitions"),
    *("observations", "events", "event_queries"),
    *("status-history", "governance-changes", "people-changes"),
)


def rows(files: dict[str, bytes], name: str) -> list[dict[str, str]]:
    text = files[f"data/{name}.csv"].decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_table_is_there_twice_and_the_status_once() -> None:
    files = data_files(small.report())
    expected = {f"data/{n}.{kind}" for n in NAMES for kind in ("csv", "json")}
    assert set(files) == expected | {"data/status.json"}


def test_csv_and_json_hold_the_same_rows() -> None:
    report = small.report()
    files = data_files(report)
    for table in tables(report):
        document = parse_canonical(files[f"data/{table.name}.json"])
        assert len(document["rows"]) == len(table.rows) == len(rows(files, table.name))
        for row in document["rows"]:
            assert list(row) == sorted(table.columns)


def test_csv_lines_end_the_same_everywhere() -> None:
    data = table_csv(Table(name="t", columns=("a", "b"), rows=(("x\ny", 1),)))
    assert data == b'a,b\r\n"x\ny",1\r\n'


@pytest.mark.threat("T78")
@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\rx", "\tx", "\n=1", "\u00a0=1"],
    ids=repr,
)
def test_t78_a_formula_in_text_is_guarded_in_csv_only(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert guarded(-1) == -1
    assert guarded("a=1") == "a=1"


def test_excluded_requirements_stand_with_their_reason() -> None:
    found = rows(data_files(small.report()), "requirements")
    assert found[-1]["requirement"] == "1"
    assert found[-1]["status"] == "excluded"
    assert found[-1]["excluded_because"].startswith("Assessed by the networking")
    assert "3.10" in [row["requirement"] for row in found]


def test_deviations_are_exact_to_the_minute() -> None:
    row = rows(data_files(small.report()), "deviations")[0]
    assert row["resource"] == "AWS::S3::Bucket/stale-backup-archive"
    assert row["within_ms"] == "300000"
    assert row["tickets"] == "PCI-4432"
    assert row["account_name"] == "payments-prod"


def test_population_counts_are_as_counted() -> None:
    found = rows(data_files(small.report()), "population")
    buckets = [
        int(row["resources"]) for row in found if row["control"] == "buckets-encrypted"
    ]
    assert sum(buckets) == 7


def test_status_counts_each_status_apart() -> None:
    status = json.loads(data_files(small.report())["data/status.json"])
    assert status["statuses"]["signed with deviations"] == 1
    assert status["statuses"]["stale"] == 1
    assert status["demo"] == "yes"


def test_internal_annotations_stay_out() -> None:
    report = small.report()
    hidden = tuple(
        replace(note, audience="internal") for note in report.library.annotations
    )
    report = replace(report, library=replace(report.library, annotations=hidden))
    assert rows(data_files(report), "annotations") == []
