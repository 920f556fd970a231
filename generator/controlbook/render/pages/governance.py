# SPDX-License-Identifier: Apache-2.0
"""Who may approve what, and every change of the rules and people in the period."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.codeowners import approvers

from . import write

if TYPE_CHECKING:
    from controlbook.model import Library

    from .view import View
    from .write import Page

TITLE = "Rules and people"
PATHS = 4
"""Paths that a row shows; the rest is counted."""


def page(view: View) -> Page:
    """Show the rules of review behind one assessment, and how they changed."""
    library = view.report.library
    return write.page(
        write.part(view.id, "governance"),
        TITLE,
        "governance",
        (view.report,),
        {
            "view": view,
            "trail": view.report.trail,
            "approvers": approvers(library, paths_of(library))
            if library.codeowners
            else (),
            "shown": PATHS,
        },
    )


def paths_of(library: Library) -> tuple[str, ...]:
    """Name every governed file that the library was read from."""
    return (
        *(control.path for control in library.controls.values()),
        *(f"frameworks/{name}.yml" for name in library.frameworks),
        *(assessment.path for assessment in library.assessments.values()),
        *(note.path for note in library.annotations),
        *(paper.path for paper in library.manual.values()),
        *(record.path for record in library.signoffs),
    )
