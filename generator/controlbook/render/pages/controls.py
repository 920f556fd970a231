# SPDX-License-Identifier: Apache-2.0
"""Pages of our own controls: text, owner, evidence, and the requirements they answer.

Rules enforced here:
- an assessment shows a control as it was at the assessment's own commit; where two
  commits hold different texts, the page shows both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.model import ConfigRule

from . import write

if TYPE_CHECKING:
    from controlbook.model import Control

    from .view import View
    from .write import Page


def pages(views: tuple[View, ...]) -> tuple[Page, ...]:
    """Make the list of controls and a page for each."""
    reports = tuple(view.report for view in views)
    ids = sorted({name for view in views for name in view.report.findings.controls})
    newest = [(name, _newest(views, name)) for name in ids]
    index = write.page(
        write.CONTROLS,
        "Controls",
        "controls",
        reports,
        {
            "controls": [control for _, control in newest],
            "library": max(len(view.report.library.controls) for view in views),
            "views": views,
        },
    )
    return (index, *(_page(views, name, control) for name, control in newest))


def _newest(views: tuple[View, ...], name: str) -> Control:
    return next(
        view.report.library.controls[name]
        for view in views
        if name in view.report.findings.controls
    )


def _page(views: tuple[View, ...], name: str, control: Control) -> Page:
    used = tuple(view for view in views if name in view.report.findings.controls)
    return write.page(
        write.control(name),
        control.title,
        "control",
        tuple(view.report for view in used),
        {
            "control": control,
            "views": used,
            "others": [
                (view, other)
                for view in used
                if (other := view.report.library.controls[name]).sha256
                != control.sha256
            ],
            "is_rule": lambda evidence: isinstance(evidence, ConfigRule),
        },
    )
