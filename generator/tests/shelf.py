# SPDX-License-Identifier: Apache-2.0
"""A site of two assessments as values: a released one, and a draft beside it."""

from __future__ import annotations

from dataclasses import replace

import small

from controlbook.render.report import Book, Report, offered


def draft() -> Report:
    """Give the small programme again, under another name and not released."""
    base = small.report(release="")
    assessment = replace(
        base.assessment,
        id="SOC2-2028",
        title="SOC 2, five days of February 2028",
        excluded=(),
    )
    framework = replace(base.framework, retired="", title="SOC 2", url="https://x.test")
    return replace(base, assessment=assessment, framework=framework)


def released() -> Report:
    """Give the small programme, released, with its downloads."""
    return replace(
        small.report(),
        downloads=offered("PCI-2028-FEB"),
    )


def shelf() -> Book:
    """Give both on one site."""
    return Book(reports=(released(), draft()))
