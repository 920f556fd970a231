# SPDX-License-Identifier: Apache-2.0
"""`controlbook coverage`: how far each framework is mapped, in numbers.

Rules enforced here:
- catalogued, mapped, reviewed and assessed stay four numbers;
- a crosswalk is what shared controls say, typed, a proposal until both are reviewed;
- every difference from the reference is listed with its cause; none is rounded away.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from controlbook.crosswalk import Comparison, between, compare, counts, pairs, through
from controlbook.errors import ControlbookError, Exit
from controlbook.library import natural, read
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.reading import did_you_mean
from controlbook.reference import Reference, of_folder, shipped

if TYPE_CHECKING:
    import argparse

    from controlbook.crosswalk import Bridge, Counts
    from controlbook.model import Framework, Library

_HEAD = (
    f"{'framework':<32}  catalogued  mapped  reviewed  assessed"
    "  with rule   pairs  recall  precision"
)
_SHOWN = 12
_NEAREST = 3
_ENHANCEMENT = re.compile(r"\(\d+\)\Z")


def coverage(options: argparse.Namespace) -> Outcome:
    """Count every framework of the work tree, or one with each difference."""
    library = read(Programme.of_work_tree(options.root).files)
    if options.to:
        return _crosswalk(library, options.framework, options.to)
    references = of_folder(options.facts) if options.facts else shipped()
    chosen = _chosen(library, options.framework)
    rows = [
        _Row(library, framework, references.get(framework.id, Reference()))
        for framework in chosen
    ]
    unknown = sorted(references.keys() - library.frameworks.keys())
    lines = [_HEAD, *(row.line for row in rows)]
    against = [line for row in rows for line in row.against_summary()]
    if against:
        lines += ["", "against the counts of the reference itself:", *against]
    if options.framework:
        lines += ["", *rows[0].details()]
    elif unknown:
        lines += ["", f"in the reference, but no file here: {', '.join(unknown)}"]
    return Outcome(
        text="\n".join(lines),
        data={
            "schema": "controlbook/coverage/1",
            "reference": "given" if options.facts else "shipped",
            "frameworks": [row.data for row in rows],
            "without_file": [] if options.framework else unknown,
        },
    )


def _crosswalk(library: Library, name: str | None, to: str) -> Outcome:
    """Lead from one framework's numbers to another's, the nearest of each first."""
    if not name:
        message = "--to leads away from a framework, and none is named"
        advice = f"write: controlbook coverage FRAMEWORK --to {to}"
        raise ControlbookError(message, advice=advice, code=Exit.USAGE)
    ((first,), (second,)) = _chosen(library, name), _chosen(library, to)
    by_number: dict[str, list[Bridge]] = {}
    for bridge in between(library, first, second):
        by_number.setdefault(bridge.number, []).append(bridge)
    reached = {row.other for rows in by_number.values() for row in rows}
    lines = [
        f"{len(by_number)} of {len(first.requirements)} numbers of {first.id} lead to "
        f"{len(reached)} of {len(second.requirements)} of {second.id}, by the controls "
        "that both name",
        f"each is a proposal unless marked reviewed; the {_NEAREST} nearest are shown",
    ]
    for number, rows in by_number.items():
        more = len(rows) - _NEAREST
        shown = ", ".join(
            f"{row.other} ({row.relation}{', reviewed' if row.reviewed else ''})"
            for row in rows[:_NEAREST]
        )
        lines.append(f"{number} → {shown}{f' and {more} more' if more > 0 else ''}")
    return Outcome(
        text="\n".join(lines),
        data={
            "schema": "controlbook/crosswalk/1",
            "from": first.id,
            "to": second.id,
            "rows": [
                {
                    "from": row.number,
                    "to": row.other,
                    "relation": str(row.relation),
                    "state": "reviewed" if row.reviewed else "proposed",
                    "controls": list(row.controls),
                }
                for rows in by_number.values()
                for row in rows
            ],
        },
    )


def _chosen(library: Library, name: str | None) -> list[Framework]:
    if not name:
        return [framework for _, framework in sorted(library.frameworks.items())]
    found = library.frameworks.get(name)
    if found is None:
        message = f"there is no framework {name!r}"
        advice = did_you_mean(name, library.frameworks) or "frameworks/ lists them"
        raise ControlbookError(message, advice=advice, code=Exit.USAGE)
    return [found]


class _Row:
    """One framework, counted and compared."""

    def __init__(
        self, library: Library, framework: Framework, reference: Reference
    ) -> None:
        self._library = library
        self._framework = framework
        self._reference = reference
        self.counts: Counts = counts(library, framework)
        self.compared: Comparison = compare(pairs(library, framework), reference.pairs)

    @property
    def line(self) -> str:
        own, held = self.counts, self.compared
        known = bool(self._reference.pairs)
        reached = held.reached + len(held.extra)
        return (
            f"{self._framework.id:<32}  {own.catalogued:>10}  {own.mapped:>6}"
            f"  {own.reviewed:>8}  {own.assessed:>8}  {own.with_rule:>9}"
            f"  {held.reference if known else '–':>6}"
            f"  {percent(held.reached, held.reference) if known else '–':>6}"
            f"  {percent(held.reached, reached) if known else '–':>9}"
        )

    def details(self) -> list[str]:
        """Explain every difference from the reference, and what has no control."""
        own, held = self.counts, self.compared
        lines = [
            f"{own.headings} headings, {own.explained} with a reason why nothing is "
            f"mapped, {own.silent} with neither control nor reason"
        ]
        lines += _listed(
            "not reached, though the reference has it",
            [f"{number} → {rule}" for number, rule in held.missing],
        )
        if self._reference.pairs:
            lines += _listed(
                "reached, though the reference does not have it",
                [self._extra(pair) for pair in held.extra],
            )
        lines += _listed("number that differs", self._numbers())
        return lines

    def _extra(self, pair: tuple[str, str]) -> str:
        names = ", ".join(through(self._library, self._framework, pair))
        return f"{pair[0]} → {pair[1]}, through {names}"

    def _numbers(self) -> list[str]:
        """Say why a number stands in one of file and catalogue, and not in both."""
        given = self._reference.numbers
        if not given:
            return []
        items = self._framework.requirements
        named = {number for number, _ in self._reference.pairs}
        parents = {item.parent for item in items.values()}
        missing = sorted(given - items.keys(), key=natural)
        found = []
        for number in items.keys() - given:
            cause = (
                "named by the mapping, not by the catalogue"
                if number in named
                else "a heading of ours"
                if number in parents
                else "only in the file"
            )
            found.append(f"{number}: {cause}")
        return [
            *(f"{number}: missing in the file" for number in missing),
            *sorted(found, key=natural),
        ]

    def against_summary(self) -> list[str]:
        """Explain each count that differs from what the reference says of itself."""
        said, own = self._reference.summary, self.counts
        if said is None:
            return []
        differences = [
            f"{what} {ours}, the reference says {theirs}: {why}"
            for what, ours, theirs, why in (
                ("catalogued", own.catalogued, said.catalogued, self._surplus()),
                ("with rule", own.with_rule, said.with_rule, self._rolled_up()),
                (
                    "pairs",
                    self.compared.reference,
                    said.pairs,
                    "its mapping file and its summary differ",
                ),
            )
            if ours != theirs
        ]
        name = self._framework.id
        return [f"  {name}: {line}" for line in differences or ["the same counts"]]

    def _surplus(self) -> str:
        """Count why numbers stand in one of file and catalogue only."""
        causes = Counter(line.split(": ", 1)[1] for line in self._numbers())
        return ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))

    def _rolled_up(self) -> str:
        """Say which count follows where an item counts at the number above it."""
        given = self._reference.numbers
        named = {number for number, _ in self._reference.pairs}
        ours = {number for number, _ in pairs(self._library, self._framework)} - named
        items = named - given
        above = {number: self._catalogued_above(number) for number in items}
        lost = sorted((n for n, found in above.items() if not found), key=natural)
        count = len((named & given) | set(above.values()) - {""})
        parts = [
            f"its mapping names {len(named)} numbers, {len(items)} of them items that"
            f" its catalogue lacks, which count at the number above: {count}"
        ]
        if lost:
            parts.append(f"{', '.join(lost)}: no item of any number there")
        if ours:
            parts.append(f"only ours: {', '.join(sorted(ours, key=natural))}")
        return "; ".join(parts)

    def _catalogued_above(self, number: str) -> str:
        """Find the catalogue's number that an item belongs to, or "".

        An enhancement, such as SA-1(1), is no item of the control above it (NIST SP
        800-53, section 2.2): one that the catalogue lacks belongs nowhere.
        """
        requirements, given = self._framework.requirements, self._reference.numbers
        while number in requirements:
            above = requirements[number].parent
            if above in given:
                return "" if _ENHANCEMENT.match(number.removeprefix(above)) else above
            number = above
        return ""

    @property
    def data(self) -> dict[str, object]:
        own, held = self.counts, self.compared
        return {
            "framework": self._framework.id,
            "title": self._framework.title,
            "catalogued": own.catalogued,
            "mapped": own.mapped,
            "reviewed": own.reviewed,
            "assessed": own.assessed,
            "with_rule": own.with_rule,
            "headings": own.headings,
            "explained": own.explained,
            "silent": own.silent,
            "reference_pairs": held.reference,
            "reached": held.reached,
            "missing": [list(pair) for pair in held.missing],
            "extra": [
                {
                    "requirement": pair[0],
                    "rule": pair[1],
                    "through": list(through(self._library, self._framework, pair)),
                }
                for pair in held.extra
            ]
            if self._reference.pairs
            else [],
            "differing_numbers": self._numbers(),
            "against_summary": [line.strip() for line in self.against_summary()],
        }


def _listed(what: str, items: list[str]) -> list[str]:
    if not items:
        return [f"{what}: none"]
    head = f"{what}: {len(items)}"
    kept = items[:_SHOWN]
    more = len(items) - len(kept)
    tail = [f"  … and {more} more (--json lists all)"] if more else []
    return [head, *(f"  {item}" for item in kept), *tail]


def percent(part: int, whole: int) -> str:
    """Give a share with one digit, cut and never rounded up."""
    if not whole:
        return "–"
    tenths = part * 1000 // whole
    return f"{tenths // 10}.{tenths % 10} %"
