# SPDX-License-Identifier: Apache-2.0
"""From one commit to `build/`: site, PDF, data files, OSCAL, manifest, and the bundle.

Rules enforced here:
- everything is built beside `build/` and moved into place at the end: a build that
  fails leaves what was there before;
- what is not released is built as a draft only, and has no bundle;
- licensed text goes onto the site of a draft, and nowhere else.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from .digest import canonical
from .errors import ControlbookError
from .git import git_version
from .licensed import refuse_tracked
from .render.bundle import Publication, publish, write_bundle
from .render.changes import numbered
from .render.data import data_files
from .render.pdf import build_pdf
from .render.report import offered
from .render.site import build_site
from .render.toolchain import toolchain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .programme import Programme
    from .render.report import Book, Report

HAND_WRITTEN = ("site/", "mkdocs.yml")


class Build:
    """One build of one assessment, in a folder of its own until it is installed."""

    def __init__(
        self,
        programme: Programme,
        name: str,
        release: str,
        at: Path,
        licensed: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        """Build site, PDF, data files and OSCAL; `release` is empty for a draft.

        `licensed` (framework → number → text) goes onto the site of a draft, nowhere
        else.
        """
        if release:
            licensed = {}
            refuse_tracked(programme)
        self.programme = programme
        self.folder = at
        made_with = {**toolchain(), "git": git_version()}
        book = programme.book(name, release=release, toolchain=made_with)
        first = book.reports[0]
        kept = bool(first.preserved or first.findings.disagreements)
        self.report: Report = replace(
            first, downloads=offered(name, audit_manager=kept)
        )
        book = replace(book, reports=(self.report, *book.reports[1:]))
        book = _with_texts(book, licensed)
        build_site(
            book,
            at / "site",
            work=at / "work",
            files=programme.repository.files_at(programme.commit, HAND_WRITTEN),
        )
        pdf = at / f"{name}.pdf"
        build_pdf(self.report, pdf, attachments=_attached(self.report))
        self.publication: Publication = publish(
            self.report, site=at / "site", pdf=pdf, files=programme.files
        )
        shutil.rmtree(at / "work")
        for path, body in self.publication.files.items():
            if path.startswith(("data/", "oscal/")) or path == "facts.json":
                _write(at / path, body)
        _write(at / "manifest.json", self.publication.manifest)

    def bundle(self) -> None:
        """Write the bundle of a release whose tag is there."""
        write_bundle(
            self.publication,
            self.report,
            repository=self.programme.repository,
            vault=self.programme.vault,
            files=self.programme.files,
            out=self.folder,
        )

    def install(self, out: Path) -> tuple[str, ...]:
        """Move everything into `out`, replacing what an earlier build left there."""
        out.mkdir(parents=True, exist_ok=True)
        for old in out.iterdir():
            # What a failed or earlier build of this or another assessment left.
            if old.suffix in {".pdf", ".zip"} or old.name in {
                "site",
                "data",
                "oscal",
                "facts.json",
                "manifest.json",
            }:
                _remove(old)
        names = []
        # The bundle last: where it is, the rest is too.
        for made in sorted(
            self.folder.iterdir(), key=lambda path: (path.suffix == ".zip", path.name)
        ):
            made.replace(out / made.name)
            names.append(made.name)
        return tuple(names)


def _with_texts(book: Book, licensed: Mapping[str, Mapping[str, str]]) -> Book:
    """Give the site's reports the licensed text; the PDF's report stays without."""
    return replace(
        book,
        reports=tuple(
            replace(report, licensed=licensed.get(report.framework.id, {}))
            for report in book.reports
        ),
    )


@contextmanager
def building(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` to build in; it is gone afterwards."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=out.parent, prefix=f".{out.name}-"
    ) as temporary:
        yield Path(temporary)


def release_at(programme: Programme, name: str) -> str:
    """Name the release tag of an assessment that stands at this commit, or nothing."""
    tags = programme.repository.tags_at(programme.commit)
    found = {tag: number for tag in tags if (number := numbered(tag, name))}
    return max(found, key=lambda tag: found[tag], default="")


def released_or_draft(programme: Programme, name: str) -> Report:
    """Report on an assessment as released; as a draft where it is not.

    A released assessment is judged at its last tag: later edits do not touch it.
    """
    tags = programme.releases(name)
    at = programme.released(name) or programme
    return at.report(name, release=tags[-1] if tags else "")


def refuse_dirty(programme: Programme) -> None:
    """Refuse to publish while the work tree differs from the commit."""
    if programme.repository.dirty():
        message = "the work tree differs from the commit"
        raise ControlbookError(
            message,
            place=str(programme.repository.root),
            advice="commit through a pull request, or put the files back",
        )


def _attached(report: Report) -> dict[str, bytes]:
    """Choose what travels inside the PDF: the facts, and the whole evidence index."""
    index = "data/evidence-index.csv"
    return {
        "facts.json": canonical(report.facts),
        "evidence-index.csv": data_files(report)[index],
    }


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
