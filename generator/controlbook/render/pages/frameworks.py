# SPDX-License-Identifier: Apache-2.0
"""The page of frameworks: how far each is catalogued, mapped, reviewed and assessed.

Rules enforced here:
- the four numbers stand side by side, and no percentage hides which is which;
- what is only proposed is called so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.crosswalk import counts, elsewhere
from controlbook.model import Relation

from . import write

if TYPE_CHECKING:
    from controlbook.crosswalk import Counts
    from controlbook.model import Framework, Requirement
    from controlbook.render.report import Book

    from .view import View
    from .write import Page

RELATIONS = {
    Relation.EQUAL: "asks for the same",
    Relation.SUBSET: "is covered in part",
    Relation.SUPERSET: "is covered in full",
    Relation.INTERSECTS: "overlaps",
}
"""What another requirement has to do with the one of the page."""
NUMBERS_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The requirements of one framework to which the same controls speak."""

    framework: Framework
    relation: str
    reviewed: bool
    numbers: tuple[tuple[str, str], ...]
    """(number, title), the first of them."""
    total: int


def page(book: Book, views: tuple[View, ...]) -> Page:
    """List every framework of the commit with its four numbers."""
    library = book.reports[0].library
    rows: list[tuple[Framework, Counts]] = [
        (framework, counts(library, framework))
        for _, framework in sorted(library.frameworks.items())
    ]
    return write.page(
        write.FRAMEWORKS,
        "Frameworks",
        "frameworks",
        tuple(view.report for view in views),
        {"rows": rows, "controls": len(library.controls)},
    )


def shared(view: View, item: Requirement) -> tuple[Shared, ...]:
    """Group what else the controls of a requirement speak to, reviewed rows first."""
    library = view.report.library
    groups: dict[tuple[str, bool, Relation], list[tuple[str, str]]] = {}
    for row in elsewhere(library, view.report.framework.id, item, view.report.users):
        key = (row.framework, not row.reviewed, row.relation)
        groups.setdefault(key, []).append((row.number, row.title))
    return tuple(
        Shared(
            framework=library.frameworks[framework],
            relation=RELATIONS[relation],
            reviewed=not unreviewed,
            numbers=tuple(found[:NUMBERS_SHOWN]),
            total=len(found),
        )
        for (framework, unreviewed, relation), found in sorted(groups.items())
    )
