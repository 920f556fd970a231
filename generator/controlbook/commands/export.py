# SPDX-License-Identifier: Apache-2.0
"""`controlbook export`: an assessment's figures, for other programs to read.

Rules enforced here:
- a released assessment is exported as its tag has it, byte for byte what its bundle
  holds; any other as a draft of the present commit, and it is said;
- everything is written beside its place and moved there at the end;
- what somebody else put at the place is never replaced.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from controlbook.errors import STORAGE, ControlbookError
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.publishing import building, released_or_draft
from controlbook.render import workbook
from controlbook.render.data import data_files
from controlbook.render.oscal import oscal_files

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from controlbook.render.report import Report

STATUS = "data/status.json"


def export(options: argparse.Namespace) -> Outcome:
    """Write one assessment in one format; released, or a draft of the commit."""
    programme = Programme.open(options.root)
    name, kind = programme.assessment(options.assessment).id, options.format
    single = kind == "xlsx"
    usual = programme.repository.root / "build" / "export"
    place = usual / (f"{name}.xlsx" if single else f"{name}-{kind}")
    if options.to:
        place = options.to.absolute()
        _refuse_taken(options.to, single=single)
    report = released_or_draft(programme, name)
    files = _files(report, kind)
    _write(files, place, single=single)
    marks = [
        *(["DEMO: made from a sandbox, this is not evidence"] if report.demo else []),
        *([f"DRAFT: {name} is not released here"] if report.draft else []),
    ]
    written = [place if single else place / path for path in files]
    return Outcome(
        text="\n".join([*(f"wrote {path}" for path in written), *marks]),
        data={
            "schema": "controlbook/export/1",
            "assessment": name,
            "format": kind,
            "release": report.release,
            "draft": report.draft,
            "demo": report.demo,
            "commit": report.commit.id,
            "facts_root": report.facts_root,
            "files": [str(path) for path in written],
        },
    )


def _files(report: Report, kind: str) -> dict[str, bytes]:
    """Write a report in a format, by file name."""
    if kind == "xlsx":
        return {"report.xlsx": workbook.workbook(report)}
    data = data_files(report)
    if kind == "oscal":
        chosen: Mapping[str, bytes] = oscal_files(report, data)
    else:
        # A table cannot say what it is worth: the status goes with it.
        chosen = {
            path: body
            for path, body in data.items()
            if path.endswith(f".{kind}") or path == STATUS
        }
    return {path.split("/", 1)[1]: body for path, body in sorted(chosen.items())}


def _refuse_taken(place: Path, *, single: bool) -> None:
    if place.is_dir() and not single and not any(place.iterdir()):
        return
    if place.exists() or place.is_symlink():
        message = "something is there already"
        what = "file" if single else "folder"
        advice = f"name a new {what}, or remove it first"
        raise ControlbookError(message, place=str(place), advice=advice)


def _write(files: Mapping[str, bytes], place: Path, *, single: bool) -> None:
    """Put the files at their place at once: all of them, or none."""
    try:
        with building(place) as folder:
            made = folder / "made"
            made.mkdir()
            for path, body in files.items():
                (made / path).write_bytes(body)
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            (made / next(iter(files)) if single else made).replace(place)
    except OSError as error:
        if error.errno in STORAGE and not isinstance(error, PermissionError):
            raise
        message = f"cannot be written: {error.strerror}"
        raise ControlbookError(
            message, place=str(place), advice="name another place with --to"
        ) from error
