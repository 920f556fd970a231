# SPDX-License-Identifier: Apache-2.0
"""frameworks/<id>.yml: one version of a standard, its numbers and our mapping.

Rules enforced here:
- numbers are text, unique also without regard to case, in natural order: 3.10 comes
  after 3.9;
- a parent exists and no number is its own ancestor;
- a requirement has controls that exist, or is inherited, or not applicable, with the
  reason; never two of these. One that has none of them is a heading if it has
  children, and otherwise *catalogued, not mapped*: an assessment cannot take it in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from controlbook.model import Conclusion, Framework, Requirement
from controlbook.reading import id_flaw

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from controlbook.reading import Fields

LABELS = tuple(conclusion.value for conclusion in Conclusion)
ANSWERS = ("controls", "inherited", "not-applicable")

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
    framework = Framework(
        id=id_,
        title=title,
        labels=_labels(fields),
        requirements=_requirements(fields, controls),
        retired=fields.day("retired"),
        url=fields.optional("url"),
        license=fields.optional("license"),
        license_url=fields.optional("license_url"),
        retention_years=(
            fields.whole("retention_years") if fields.has("retention_years") else 0
        ),
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


def _requirements(
    fields: Fields, controls: Collection[str]
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
        found[number] = _requirement(number, row, known, controls)
    _break_cycles(found, table)
    return {number: found[number] for number in sorted(found, key=natural)}


def _requirement(
    number: str, row: Fields, known: frozenset[str], controls: Collection[str]
) -> Requirement:
    parent = row.optional("parent")
    if parent and not row.refer(row.value_line("parent"), parent, known, "requirement"):
        parent = ""
    given = [answer for answer in ANSWERS if row.has(answer)]
    if len(given) > 1:
        message = f"{number} has {' and '.join(given)}"
        row.page.problem(row.line(given[1]), message, "keep one")
    mapped = row.listing("controls") if "controls" in given else ()
    for line, control in mapped:
        row.refer(line, control, controls, "control")
    requirement = Requirement(
        number=number,
        title=row.text("title"),
        parent=parent,
        controls=tuple(control for _, control in mapped if control in controls),
        inherited=row.text("inherited") if "inherited" in given else "",
        not_applicable=row.text("not-applicable") if "not-applicable" in given else "",
    )
    row.finish()
    return requirement


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
            lone = found[number]
            found[number] = Requirement(
                number=number,
                title=lone.title,
                controls=lone.controls,
                inherited=lone.inherited,
                not_applicable=lone.not_applicable,
            )
