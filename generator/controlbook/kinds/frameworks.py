# SPDX-License-Identifier: Apache-2.0
"""frameworks/<id>.yml: one version of a standard, its numbers and our mapping.

Rules enforced here:
- numbers are text, unique also without regard to case, in natural order: 3.10 comes
  after 3.9;
- a parent exists and no number is its own ancestor;
- a requirement has controls that exist, or is inherited, or not applicable, with the
  reason; never two of these. One that has none of them is a heading if it has
  children, and otherwise *catalogued, not mapped*: an assessment cannot take it in;
- a mapping is reviewed or proposed. A proposal names its source, and no assessment
  rests on it: it neither answers a requirement nor makes a heading assessable.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from controlbook.model import (
    Conclusion,
    Framework,
    MappedControl,
    MappingState,
    Relation,
    Requirement,
)
from controlbook.reading import Fields, id_flaw

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

LABELS = tuple(conclusion.value for conclusion in Conclusion)
ANSWERS = ("controls", "inherited", "not-applicable")
EVIDENCE = ("automated", "cloudtrail", "api", "manual")
RELATIONS = tuple(relation.value for relation in Relation)
STATES = tuple(state.value for state in MappingState)

_DIGITS = re.compile(r"([0-9]+)")


def natural(number: str) -> tuple[tuple[int, str], ...]:
    """Give a sort key in which 3.10 comes after 3.9 and A1 after 12."""
    return tuple(
        (int(part), "") if part.isdecimal() else (1 << 62, part)
        for part in _DIGITS.split(number)
        if part
    )


def answered(requirement: Requirement) -> bool:
    """Tell whether a requirement has controls or a reason to have none."""
    return bool(
        requirement.controls or requirement.inherited or requirement.not_applicable
    )


def assessable(framework: Framework) -> tuple[str, ...]:
    """List the numbers that an assessment has to take in or to exclude.

    These are all but the headings: a heading has children and no answer of its own.
    """
    parents = {r.parent for r in framework.requirements.values()}
    return tuple(
        number
        for number, requirement in framework.requirements.items()
        if answered(requirement) or number not in parents
    )


def with_ancestors(framework: Framework, number: str) -> Iterator[str]:
    """Yield a number, its parent, and so on to the top."""
    while number in framework.requirements:
        yield number
        number = framework.requirements[number].parent


def read_framework(fields: Fields, id_: str, controls: Collection[str]) -> Framework:
    """Read one framework file."""
    fields.same("id", id_, "the file's name")
    title = fields.text("title")
    sources = _sources(fields)
    framework = Framework(
        id=id_,
        title=title,
        labels=_labels(fields),
        requirements=_requirements(fields, controls, sources),
        retired=fields.day("retired"),
        url=fields.optional("url"),
        license=fields.optional("license"),
        license_url=fields.optional("license_url"),
        retention_years=(
            fields.whole("retention_years") if fields.has("retention_years") else 0
        ),
        note=fields.optional("note"),
        sources=sources,
        path=fields.page.path,
    )
    fields.finish()
    return framework


def _labels(fields: Fields) -> dict[str, str]:
    labels = {label: label for label in LABELS}
    table = fields.table("labels", required=False)
    if table is not None:
        for key in table:
            if table.refer(table.line(key), key, LABELS, "conclusion"):
                labels[key] = table.text(key)
    return labels


def _sources(fields: Fields) -> dict[str, str]:
    table = fields.table("sources", required=False)
    return {key: table.text(key) for key in table} if table is not None else {}


def _requirements(
    fields: Fields, controls: Collection[str], sources: Collection[str]
) -> Mapping[str, Requirement]:
    table = fields.table("requirements")
    if table is None:
        return {}
    known = frozenset(table)
    found: dict[str, Requirement] = {}
    folded: dict[str, str] = {}
    for number, row in table.tables():
        flaw = id_flaw(number)
        if flaw:
            row.page.problem(table.line(number), flaw, "write the number so")
        twin = folded.setdefault(number.casefold(), number)
        if twin != number:
            message = f"{number} and {twin} differ only in case"
            row.page.problem(table.line(number), message, "folders would collide")
        mapped = _mapped(row, controls, sources) if row.has("controls") else ()
        found[number] = _requirement(number, row, known, mapped)
    _break_cycles(found, table)
    return {number: found[number] for number in sorted(found, key=natural)}


def _requirement(
    number: str,
    row: Fields,
    known: frozenset[str],
    mapped: tuple[MappedControl, ...],
) -> Requirement:
    parent = row.optional("parent")
    if parent and not row.refer(row.value_line("parent"), parent, known, "requirement"):
        parent = ""
    given = [answer for answer in ANSWERS if row.has(answer)]
    if len(given) > 1:
        message = f"{number} has {' and '.join(given)}"
        row.page.problem(row.line(given[1]), message, "keep one")
    if row.has("unmapped") and given:
        message = f"{number} has {given[0]} and unmapped"
        row.page.problem(row.line("unmapped"), message, "keep one")
    requirement = Requirement(
        number=number,
        title=row.text("title"),
        parent=parent,
        controls=tuple(
            each.control for each in mapped if each.state is MappingState.REVIEWED
        ),
        inherited=row.text("inherited") if "inherited" in given else "",
        not_applicable=row.text("not-applicable") if "not-applicable" in given else "",
        mappings=mapped,
        unmapped=row.text("unmapped") if row.has("unmapped") else "",
        evidence=_kinds_of_evidence(row),
    )
    row.finish()
    return requirement


def _kinds_of_evidence(row: Fields) -> tuple[str, ...]:
    listed = row.listing("evidence", required=False)
    for line, kind in listed:
        row.refer(line, kind, EVIDENCE, "kind of evidence")
    return tuple(kind for _, kind in listed if kind in EVIDENCE)


def _mapped(
    row: Fields, controls: Collection[str], sources: Collection[str]
) -> tuple[MappedControl, ...]:
    """Read `controls`: ids, which are reviewed mappings, and rows that say more."""
    found: dict[str, MappedControl] = {}
    for line, item in row.texts_or_tables("controls"):
        mapped = (
            _mapping(item, sources)
            if isinstance(item, Fields)
            else MappedControl(control=item)
        )
        if mapped.control in found:
            message = f"controls: {mapped.control!r} stands twice"
            row.page.problem(line, message, "keep one")
        elif (mapped.control or isinstance(item, str)) and row.refer(
            line, mapped.control, controls, "control"
        ):
            found[mapped.control] = mapped
    return tuple(found.values())


def _mapping(item: Fields, sources: Collection[str]) -> MappedControl:
    state = MappingState(item.choice("state", STATES) or MappingState.PROPOSED)
    source = item.text("source", required=state is MappingState.PROPOSED)
    if source:
        item.refer(item.value_line("source"), source, sources, "source")
    mapped = MappedControl(
        control=item.text("control"),
        relation=Relation(item.choice("relation", RELATIONS, Relation.INTERSECTS)),
        source=source,
        state=state,
    )
    item.finish()
    return mapped


def _break_cycles(found: dict[str, Requirement], table: Fields) -> None:
    for number in list(found):
        seen = {number}
        parent = found[number].parent
        while parent in found and parent not in seen:
            seen.add(parent)
            parent = found[parent].parent
        if parent in seen:
            message = f"{number} is its own ancestor"
            table.page.problem(table.line(number), message, "mend `parent`")
            found[number] = replace(found[number], parent="")
