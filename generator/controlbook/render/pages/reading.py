# SPDX-License-Identifier: Apache-2.0
"""Pages about the site itself: home, how to verify, the words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import write

if TYPE_CHECKING:
    from controlbook.render.report import Book

    from .view import View
    from .write import Page


def home(book: Book, views: tuple[View, ...]) -> Page:
    """List the assessments, the newest first, each with where it stands."""
    entity = book.reports[0].assessment.entity
    title = f"{entity}: compliance evidence" if entity else "Compliance evidence"
    return write.page(write.HOME, title, "home", book.reports, {"views": views})


def verify(book: Book, views: tuple[View, ...]) -> Page:
    """Say how anybody checks a report, and what no check can show."""
    return write.page(
        write.VERIFY,
        "How to verify this",
        "verify",
        book.reports,
        {"views": views, "command": book.verify_command},
    )


def glossary(views: tuple[View, ...]) -> Page:
    """Explain the words, the statuses and the marks."""
    reports = tuple(view.report for view in views)
    return write.page(write.GLOSSARY, "Words and marks", "glossary", reports, {})
