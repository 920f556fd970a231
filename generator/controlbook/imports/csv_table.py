# SPDX-License-Identifier: Apache-2.0
"""Tables: numbers with their parents and titles, and which rule speaks to which.

Rules enforced here:
- the first row names the columns; `control_id` is one of them, unknown ones are errors;
- every value is text: 3.10 stays 3.10. A spreadsheet that already made 3.1 of it shows
  as a number that stands twice;
- all problems of a file are told at once, with their lines.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from controlbook.digest import sha256
from controlbook.errors import ControlbookError, InvalidFiles, Problem
from controlbook.managed_rules import find, names
from controlbook.model import ConfigRule
from controlbook.reading import did_you_mean, id_flaw
from controlbook.yamltext import bad_characters

from . import Imported, Item, Pair, owner_of_text, slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = ("control_id", "parent_id", "title", "rule_name", "source")


def table(data: bytes, name: str, *, marked: str = "") -> Imported:
    """Read a table; `marked` says whose text its titles are, where that is known."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        advice = "save it as CSV UTF-8"
        message = "it is not UTF-8"
        raise ControlbookError(message, place=name, advice=advice) from error
    reading = _Reading(name)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        reading.columns(reader.fieldnames or [])
        for row in reader:
            reading.row(reader.line_num, row)
    except csv.Error as error:
        message = f"broken CSV: {error}"
        raise ControlbookError(message, place=f"{name}:{reader.line_num}") from error
    if reading.problems:
        raise InvalidFiles(tuple(reading.problems))
    title = name.rpartition("/")[2].rpartition(".")[0] or name
    marked = marked or owner_of_text(title)
    return Imported(
        key=slug(title),
        source=f"{name.rpartition('/')[2]}, sha256 {sha256(data)}",
        title=title,
        marked=marked,
        items=tuple(
            Item(number=i.number, title="" if marked else i.title, parent=i.parent)
            for i in reading.items.values()
        ),
        evidence=tuple(reading.evidence.values()),
        pairs=tuple(sorted(reading.pairs)),
    )


class _Reading:
    """The rows read so far, and what is wrong with them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.items: dict[str, Item] = {}
        self.evidence: dict[str, ConfigRule] = {}
        self.pairs: set[Pair] = set()
        self._pairs_only = False

    def problem(self, line: int, message: str, advice: str = "") -> None:
        self.problems.append(
            Problem(path=self.name, line=line, message=message, advice=advice)
        )

    def columns(self, found: Sequence[str]) -> None:
        for column in found:
            if column not in COLUMNS:
                advice = did_you_mean(column, COLUMNS)
                self.problem(1, f"unknown column {column!r}", advice)
        if "control_id" not in found:
            message = "there is no column control_id"
            raise ControlbookError(
                message,
                place=f"{self.name}:1",
                advice=f"columns are {', '.join(COLUMNS)}",
            )
        self._pairs_only = "rule_name" in found

    def row(self, line: int, row: Mapping[str, str | None]) -> None:
        values = {key: (value or "").strip() for key, value in row.items() if key}
        if None in row:
            self.problem(line, "it has more fields than columns", "quote commas")
            return
        number = values.get("control_id", "")
        if flaw := id_flaw(number):
            self.problem(line, f"control_id: {flaw}")
            return
        if any(bad_characters(value) for value in values.values()):
            self.problem(line, "it holds characters that nobody can see", "remove them")
            return
        parent = values.get("parent_id", "")
        if parent and (flaw := id_flaw(parent)):
            self.problem(line, f"parent_id: {flaw}")
            return
        known = self.items.get(number)
        if known is not None and not self._pairs_only:
            message = f"{number} stands twice"
            self.problem(line, message, "did a spreadsheet make 3.1 of 3.10?")
        title = values.get("title", "")
        self.items.setdefault(number, Item(number=number, title=title, parent=parent))
        if parent and self._pairs_only:
            self.items.setdefault(parent, Item(number=parent))
        if values.get("rule_name"):
            # A cell may name several sources; one stands for the claim.
            source = values.get("source", "").partition(" | ")[0]
            self._pair(line, number, values["rule_name"], source)

    def _pair(self, line: int, number: str, name: str, source: str) -> None:
        rule = find(name)
        if rule is None:
            self.problem(
                line, f"AWS manages no rule {name!r}", did_you_mean(name, names())
            )
            return
        evidence = ConfigRule(name=rule.name, identifier=rule.identifier)
        self.evidence.setdefault(evidence.key, evidence)
        self.pairs.add(Pair(number=number, evidence=evidence.key, source=source))
