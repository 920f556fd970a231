# SPDX-License-Identifier: Apache-2.0
"""Published mappings of requirements to Config rules, to hold our own against.

Rules enforced here:
- a reference is numbers and names of rules, and no text of a standard;
- numbers are spelt as the framework files spell them (an id has no spaces).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from .errors import ControlbookError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What the collections of facts call a framework, where we say it otherwise.
_NAMES = {
    "soc2": "soc2-tsc-2017",
    "well-architected-reliability": "aws-well-architected-reliability",
    "well-architected-security": "aws-well-architected-security",
}
_OTHER_CHECKS = "non_config_checks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a collection of facts says of its own size, for one framework."""

    catalogued: int
    with_rule: int
    """Numbers of the catalogue that a rule speaks to, directly or at an item below."""
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What is published about one framework."""

    pairs: frozenset[tuple[str, str]] = frozenset()
    """(number, name of a rule)"""
    numbers: frozenset[str] = field(default_factory=frozenset)
    """The catalogue, where one was given."""
    summary: Summary | None = None


@cache
def shipped() -> Mapping[str, Reference]:
    """Give the reference that comes with the package, by framework."""
    text = files(f"{__package__}.data").joinpath("mappings.csv").read_text("utf-8")
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in csv.DictReader(text.splitlines()):
        found[row["framework"]].add((row["requirement"], row["rule"]))
    return {name: Reference(pairs=frozenset(rows)) for name, rows in found.items()}


def of_folder(folder: Path) -> Mapping[str, Reference]:
    """Read a folder of `mapping_<framework>.csv` and `controls_<framework>.csv`."""
    pairs: dict[str, frozenset[tuple[str, str]]] = {}
    numbers: dict[str, frozenset[str]] = {}
    for path in sorted(folder.glob("mapping_*.csv")):
        name = path.stem.removeprefix("mapping_")
        if name != _OTHER_CHECKS:
            pairs[_NAMES.get(name, name)] = frozenset(
                (_number(row["control_id"]), row["rule_name"]) for row in _rows(path)
            )
    for path in sorted(folder.glob("controls_*.csv")):
        name = path.stem.removeprefix("controls_")
        rows = _rows(path)
        numbers[_NAMES.get(name, name)] = frozenset(
            _number(row["control_id"]) for row in rows
        )
    if not pairs:
        message = "the folder holds no mapping_<framework>.csv"
        raise ControlbookError(message, place=str(folder), advice="name another folder")
    summaries = _summaries(folder / "coverage_summary.csv")
    return {
        name: Reference(
            pairs=pairs.get(name, frozenset()),
            numbers=numbers.get(name, frozenset()),
            summary=summaries.get(name),
        )
        for name in sorted(pairs.keys() | numbers.keys())
    }


def _summaries(path: Path) -> dict[str, Summary]:
    """Read the collection's own counts, where it has them."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    try:
        return {
            _NAMES.get(row["framework"], row["framework"]): Summary(
                catalogued=int(row["control_numbers"]),
                with_rule=int(row["with_direct_rule"]),
                pairs=int(row["mapping_pairs"]),
            )
            for row in rows
        }
    except (KeyError, TypeError, ValueError) as error:
        message = f"is no summary: {type(error).__name__}: {error}"
        raise ControlbookError(
            message, place=str(path), advice="leave the file out"
        ) from error


def _rows(path: Path) -> list[dict[str, str]]:
    wanted = {"rule_name"} if path.name.startswith("mapping_") else set()
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if rows and not (wanted | {"control_id"}) <= rows[0].keys():
        message = f"has no column {' or '.join(sorted(wanted | {'control_id'}))}"
        raise ControlbookError(message, place=str(path), advice="leave the file out")
    return rows


def _number(text: str) -> str:
    return text.replace(" ", "-")
