# SPDX-License-Identifier: Apache-2.0
"""`controlbook init`: lay down a programme's repository.

Rules enforced here:
- no file that is there is touched: all of them are named, and nothing is written;
- what is laid down passes `check`; it is committed by people, not by us.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from controlbook import __version__
from controlbook.clock import now
from controlbook.errors import ControlbookError
from controlbook.git import Repository
from controlbook.kinds.settings import GITHUB
from controlbook.outcome import Outcome
from controlbook.starting import EXECUTABLE, Answers, programme_files
from controlbook.timeline import iso

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

_ENTITY = re.compile(r"[^\"\\\x00-\x1f\x7f]{1,100}\Z")

NEXT = """\
next:
  1. signoffs/people.yml: your people, with their numeric GitHub ids
  2. pyproject.toml: aggregator, Region, bucket, vault
  3. signoffs/{assessment}/assessment.yml: accounts, period, assessors
  4. controls/ and frameworks/: yours; `controlbook import --help` brings in packs
  5. .github/CODEOWNERS: name the new people as the old ones were
  6. git add --all && git commit, then `controlbook check` and `controlbook doctor`"""


def init(options: argparse.Namespace) -> Outcome:
    """Write the files, make the repository where there is none, say what is next."""
    root: Path = (options.folder or options.root).resolve()
    if root.exists() and not root.is_dir():
        message = "this is a file"
        raise ControlbookError(message, place=str(root), advice="name a folder")
    if options.github and not GITHUB.match(options.github):
        message = f"{options.github!r} is not owner/name"
        raise ControlbookError(message, place="--github")
    entity = options.entity or root.name
    if not _ENTITY.match(entity):
        message = "a name of at most 100 characters, without quotes, is needed"
        raise ControlbookError(message, place="--entity")
    year = int(iso(now(options.as_of))[:4])
    laid = programme_files(
        Answers(
            ledger=str(uuid.uuid4()),
            year=year,
            version=__version__,
            entity=entity,
            github=options.github or "example/compliance",
        )
    )
    _refuse(root, laid)
    made = _repository(root)
    for path, body in laid.items():
        made.write(path, body)
    for path in EXECUTABLE:
        (root / path).chmod(0o755)
    lines = [f"laid down {len(laid)} files in {root}"]
    lines.append(NEXT.format(assessment=f"BASELINE-{year}"))
    return Outcome(
        text="\n".join(lines),
        data={
            "schema": "controlbook/init/1",
            "folder": str(root),
            "files": sorted(laid),
        },
    )


def _refuse(root: Path, paths: Iterable[str]) -> None:
    there = sorted(path for path in paths if (root / path).exists())
    if there:
        message = f"already there: {', '.join(there)}"
        advice = "nothing was written; name an empty folder"
        raise ControlbookError(message, place=str(root), advice=advice)


def _repository(root: Path) -> Repository:
    if root.is_dir() and any(root.iterdir()):
        try:
            found = Repository.find(root)
        except ControlbookError as error:
            message = "this folder holds files and is no Git repository"
            advice = "name an empty folder, or run git init in it first"
            raise ControlbookError(message, place=str(root), advice=advice) from error
        if found.root.resolve() != root:
            message = f"this folder lies inside the repository {found.root}"
            advice = "a programme is a repository of its own"
            raise ControlbookError(message, place=str(root), advice=advice)
        return found
    return Repository.create(root)
