# SPDX-License-Identifier: Apache-2.0
"""Every page of a site: path → text; pure, so that golden tests can hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError
from controlbook.render import safe

from . import (
    assessment,
    controls,
    frameworks,
    governance,
    people,
    reading,
    requirement,
    write,
)
from .view import View
from .write import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controlbook.render.report import Book

__all__ = ["Page", "View", "all_pages", "navigation", "pages", "write"]


def all_pages(book: Book, own: tuple[Page, ...] = ()) -> tuple[Page, ...]:
    """Make every page of the site; `own` are the team's hand-written ones."""
    views = tuple(View(report=report) for report in book.reports)
    made: dict[str, Page] = {}
    for page in (*_made(book, views), *own):
        twin = made.setdefault(page.path.lower(), page)
        if twin is not page:
            message = (
                f"two pages would stand at {page.path}: {twin.title}, {page.title}"
            )
            raise ControlbookError(
                message,
                place="the site",
                advice="give the assessment, requirement, control or page another id",
            )
    return tuple(made.values())


def pages(book: Book, own: tuple[Page, ...] = ()) -> Mapping[str, str]:
    """Give the text of every page by its path below the page folder."""
    return {page.path: page.text for page in all_pages(book, own)}


def _made(book: Book, views: tuple[View, ...]) -> Iterator[Page]:
    yield reading.home(book, views)
    for view in views:
        yield assessment.landing(view)
        for item in view.requirements:
            yield requirement.page(view, item, views)
        yield assessment.register(view)
        yield assessment.evidence(view)
        yield assessment.state(view)
        yield governance.page(view)
        if view.audited:
            yield assessment.audit_manager(view)
    yield from controls.pages(views)
    yield frameworks.page(book, views)
    yield from people.pages(views)
    yield reading.verify(book, views)
    yield reading.glossary(views)


def navigation(book: Book, own: tuple[Page, ...] = ()) -> list[object]:
    """Give the navigation tree for `mkdocs.yml`."""
    views = tuple(View(report=report) for report in book.reports)
    tree: list[object] = [{"Home": write.HOME}]
    for view in views:
        title = view.report.assessment.title or view.id
        tree.append(
            {
                str(safe.text(title)): [
                    {"Overview": write.landing(view.id)},
                    {
                        "Requirements": [
                            {
                                str(
                                    safe.text(f"{item.number} {item.title}")
                                ): write.requirement(view.id, item.number)
                            }
                            for item in view.requirements
                        ]
                    },
                    {assessment.REGISTER: write.part(view.id, "register")},
                    {assessment.EVIDENCE: write.part(view.id, "evidence")},
                    {assessment.STATE: write.part(view.id, "state")},
                    {governance.TITLE: write.part(view.id, "governance")},
                    *(
                        [{assessment.AUDITED: write.part(view.id, "audit-manager")}]
                        if view.audited
                        else []
                    ),
                ]
            }
        )
    tree.append({"Controls": [page.path for page in controls.pages(views)]})
    tree.append({"Frameworks": write.FRAMEWORKS})
    tree.append({"Queues": [page.path for page in people.pages(views)]})
    tree.extend([write.VERIFY, write.GLOSSARY])
    if own:
        tree.append({"About": [page.path for page in own]})
    return tree
