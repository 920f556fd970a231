# SPDX-License-Identifier: Apache-2.0
"""The audit site: page texts → a folder of static files.

Rules enforced here:
- the page tree is plain Markdown and HTML with a generated `mkdocs.yml`: any builder of
  MkDocs' kind can build it, and no plugin of ours takes part;
- the same book gives the same bytes, whatever folder, umask, locale or zone builds it;
- no page runs a script that is not a file of the site or named by its digest, and none
  asks another host for anything.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING

from controlbook.check import site_problems
from controlbook.errors import ControlbookError, Exit, InvalidFiles
from controlbook.timeline import SECOND

from . import missing
from .pages import Page, navigation, pages, write
from .settings import named, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .report import Book

__all__ = ["build_site", "lay_down", "pages", "seal"]

CSP_MARK = "'controlbook-inline-scripts'"
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.DOTALL)
_HAND_WRITTEN = "site/pages/"


def build_site(
    book: Book, out: Path, *, work: Path, files: Mapping[str, bytes] | None = None
) -> None:
    """Build the site of a book into the folder `out`, replacing what is there.

    `work` is a folder for the page tree and the generated settings. `files` are the
    commit's own `mkdocs.yml` and `site/…` (logo, style sheet, hand-written pages).
    """
    path = lay_down(book, work, files or {})
    built = work / "site"
    _run_mkdocs(path, built, book)
    (built / missing.NAME).unlink(missing_ok=True)
    seal(built)
    title, root = named(files or {}, entity=book.reports[0].assessment.entity)
    _write(built / missing.NAME, missing.missing(book, title=title, root=root).encode())
    _offline_search(built)
    if out.exists():
        shutil.rmtree(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(built, out, copy_function=shutil.copyfile)
    _usual_modes(out)


def lay_down(book: Book, work: Path, files: Mapping[str, bytes]) -> Path:
    """Write page tree, theme and settings into `work`; give the settings' path."""
    problems = site_problems(files)
    if problems:
        raise InvalidFiles(problems)
    if work.exists():
        shutil.rmtree(work)
    docs, theme = work / "docs", work / "theme"
    _copy_theme(theme, docs)
    for name, body in sorted(files.items()):
        if name.startswith("site/assets/"):
            _write(docs / name.removeprefix("site/"), body)
        elif name.startswith("site/theme/"):
            _write(theme / name.removeprefix("site/theme/"), body)
    own = _hand_written(files, book)
    for name, text in pages(book, own).items():
        _write(docs / name, text.encode())
    path = work / "mkdocs.yml"
    entity = book.reports[0].assessment.entity
    _write(path, settings(files, navigation(book, own), entity=entity))
    return path


def _hand_written(files: Mapping[str, bytes], book: Book) -> tuple[Page, ...]:
    return tuple(
        write.hand_written(
            name.removeprefix(_HAND_WRITTEN), body.decode(), book.reports
        )
        for name, body in sorted(files.items())
        if name.startswith(_HAND_WRITTEN) and name.endswith(".md")
    )


def _copy_theme(theme: Path, docs: Path) -> None:
    with resources.as_file(resources.files("controlbook") / "theme") as source:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                name = path.relative_to(source)
                folder = docs if name.parts[0] == "assets" else theme
                _write(folder / name, path.read_bytes())
    for package, font in _FONTS:
        body = (resources.files(package) / "files" / font).read_bytes()
        _write(docs / "assets" / "controlbook" / _plain(font), body)


_NAMES = (
    (re.compile(r'(<div class="md-search"[^>]*? role="dialog")(?=>)'), "Search"),
    (re.compile(r'(<nav class="md-path") aria-label="[^"]*"'), "Breadcrumbs"),
)
"""What the theme does not name, or names like something else on the page."""

_FONTS = (
    ("fontpkg_ibm_plex_sans", "IBMPlexSans[wdth,wght].ttf"),
    ("fontpkg_ibm_plex_mono", "IBMPlexMono-Regular.ttf"),
)


def _plain(name: str) -> str:
    return re.sub(r"\[.*\]", "", name)


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def _run_mkdocs(path: Path, built: Path, book: Book) -> None:
    epoch = max(report.commit.at for report in book.reports) // SECOND
    done = subprocess.run(  # noqa: S603 - our own interpreter, fixed arguments
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--quiet",
            "--config-file",
            str(path),
            "--site-dir",
            str(built),
        ],
        env=_clean_environment(epoch),
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"MkDocs could not build the site: {done.stderr.strip()}"
        raise ControlbookError(
            message,
            place=str(path),
            advice="mend mkdocs.yml or site/, which it builds from",
            code=Exit.USAGE,
        )


def _clean_environment(epoch: int) -> dict[str, str]:
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")
        if name in os.environ
    }
    return {
        **kept,
        "NO_MKDOCS_2_WARNING": "1",
        "SOURCE_DATE_EPOCH": str(epoch),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def seal(site: Path) -> None:
    """Name the digests of each page's inline scripts in its security policy.

    Raises ControlbookError for a page that has no policy: templates of the team's own
    must keep it.
    """
    for path in sorted(site.rglob("*.html")):
        page = path.read_text(encoding="utf-8")
        if page.count(CSP_MARK) != 1:
            message = "the page has no content security policy"
            raise ControlbookError(
                message,
                place=path.relative_to(site).as_posix(),
                advice="keep the block site_meta of main.html in site/theme/",
            )
        digests = " ".join(sorted(set(_inline_digests(page))))
        path.write_text(_named(page.replace(CSP_MARK, digests)), encoding="utf-8")


def _named(page: str) -> str:
    """Give names to what the theme leaves without, for those who hear the page."""
    for pattern, name in _NAMES:
        page = pattern.sub(rf'\g<1> aria-label="{name}"', page, count=1)
    return page


def _inline_digests(page: str) -> Iterator[str]:
    for attributes, script in _INLINE.findall(page):
        if "application/json" not in attributes:  # data, which no policy governs
            digest = hashlib.sha256(script.encode()).digest()
            yield f"'sha256-{base64.b64encode(digest).decode()}'"


def _offline_search(site: Path) -> None:
    """Give the search index as a script too: a page from a folder may not fetch it."""
    index = site / "search" / "search_index.json"
    if index.exists():
        body = index.read_text(encoding="utf-8")
        index.with_suffix(".js").write_text(f"var __index = {body}", encoding="utf-8")


def _usual_modes(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
