# SPDX-License-Identifier: Apache-2.0
"""Every row of the list of threats has a test that carries its id."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LIST = TESTS.parents[2] / "shared" / "threats.csv"
"""Lies beside the repository; who has only the repository skips these tests."""

NAMED = ("codeowners", "input", "ledger", "signoff", "supply-chain", "time")
"""Areas whose every row has a test that is named after it."""
AREAS = ("aws", "coverage", "crash", "evidence", "outputs", "render", *NAMED)
"""Areas whose every row must have a test."""
NOT_YET: dict[str, str] = {}
"""Row → why it has no test yet. A row with a test may not stand here."""

# `pytest.mark.threat("T01")`, `threat="T01"` in a table of cases, and the bundles on
# disk that are forged, each of which both verifiers run.
_NAME = re.compile(r"^def test_(t\d{2})_", re.MULTILINE)
_MARK = re.compile(r"""\bthreat(?:\(|=| = )["'](T\d{2})["']""")


def marked() -> dict[str, set[str]]:
    """Give row → the test files that carry its id."""
    found: dict[str, set[str]] = {}
    for path in (*TESTS.rglob("*.py"), *TESTS.glob("bundles/*.toml")):
        if path.name == Path(__file__).name:
            continue
        for row in _MARK.findall(path.read_text("utf-8")):
            found.setdefault(row, set()).add(path.relative_to(TESTS).as_posix())
    return found


def listed() -> dict[str, str]:
    """Give row → area."""
    if not LIST.exists():
        pytest.skip("the list of threats is not beside this repository")
    with LIST.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["area"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("area", AREAS)
def test_every_row_of_the_area_has_a_test(area: str) -> None:
    rows = {row for row, own in listed().items() if own == area}
    assert rows, "the list has no such area"
    assert sorted(rows - marked().keys() - NOT_YET.keys()) == []


@pytest.mark.parametrize("area", NAMED)
def test_every_row_of_the_area_has_a_test_of_its_name(area: str) -> None:
    names = {path.name[:3] for path in TESTS.glob("bundles/*.toml")}
    for path in TESTS.rglob("test_*.py"):
        names |= {each.upper() for each in _NAME.findall(path.read_text("utf-8"))}
    rows = {row for row, own in listed().items() if own == area}
    assert sorted(rows - names) == []


def test_no_row_is_waived_that_has_a_test() -> None:
    assert sorted(NOT_YET.keys() & marked().keys()) == []


def test_no_test_names_a_row_that_is_not_there() -> None:
    assert sorted(marked().keys() - listed().keys()) == []
