# SPDX-License-Identifier: Apache-2.0
"""The versions on which the bytes of a build depend."""

from __future__ import annotations

import platform
import zlib
from importlib import metadata

from weasyprint.text.ffi import pango  # type: ignore[import-untyped]

DISTRIBUTIONS = (
    "fontpkg-ibm-plex-mono",
    "fontpkg-ibm-plex-sans",
    "fonttools",
    "jinja2",
    "markdown",
    "markdown-it-py",
    "mkdocs",
    "mkdocs-material",
    "nh3",
    "pydyf",
    "pygments",
    "pymdown-extensions",
    "tinycss2",
    "tinyhtml5",
    "weasyprint",
    "xlsxwriter",
)


def toolchain() -> dict[str, str]:
    """Name each version; equal ones promise equal bytes for the same commit."""
    number = pango.pango_version()
    return {
        "python": platform.python_version(),
        "pango": f"{number // 10000}.{number // 100 % 100}.{number % 100}",
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{name: metadata.version(name) for name in DISTRIBUTIONS},
    }
