# SPDX-License-Identifier: Apache-2.0
"""A built site and the browser that looks at it, for several test files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def hand_written() -> dict[str, bytes]:
    """Read the example programme's own settings, pictures and pages."""
    files = [ROOT / "mkdocs.yml", *sorted((ROOT / "site").rglob("*"))]
    return {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in files
        if path.is_file()
    }


def html_pages(folder: Path) -> list[Path]:
    """List the pages, but that for wrong addresses, which is not the builder's."""
    return sorted(path for path in folder.rglob("*.html") if path.name != "404.html")
