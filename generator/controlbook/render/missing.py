# SPDX-License-Identifier: Apache-2.0
"""The page for wrong addresses: what a web host shows where no page stands.

Rules enforced here:
- it may be shown at any depth, so its links are absolute: below the address that
  `mkdocs.yml` names as `site_url`, or below the root of the host;
- it stands alone: where its fonts are not found it can still be read, its style stands
  within and is named by its digest, and it runs no script;
- it carries the marks of the site's reports as every other page does.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from . import safe
from .pages import write

if TYPE_CHECKING:
    from .report import Book

NAME = "404.html"


def missing(book: Book, *, title: str, root: str) -> str:
    """Write the page; `root` is the path of the site on its host, with both slashes."""
    style = _style(root)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    links = (
        ("Home", write.HOME),
        *(
            (report.assessment.title or report.assessment.id, write.landing(name))
            for report in book.reports
            if (name := report.assessment.id)
        ),
        ("Controls", write.CONTROLS),
        ("Frameworks", write.FRAMEWORKS),
        ("Who is asked for what", write.QUEUES),
        ("How to verify this", write.VERIFY),
        ("Words and marks", write.GLOSSARY),
    )
    return (
        _template()
        .get_template("missing.html")
        .render(
            title=title,
            digest=digest,
            style=safe.assembled(style),
            marks=write.marks(book.reports),
            root=root,
            links=[
                (name, root + write.relative(write.HOME, path)) for name, path in links
            ],
        )
    )


def _style(root: str) -> str:
    css = (
        resources.files("controlbook") / "templates" / "site" / "missing.css"
    ).read_text(encoding="utf-8")
    return "\n" + css.replace("ROOT/", root)


@cache
def _template() -> Environment:
    return Environment(
        loader=PackageLoader("controlbook", "templates/site"),
        autoescape=True,
        finalize=lambda value: (
            value if hasattr(value, "__html__") else safe.text(value)
        ),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
