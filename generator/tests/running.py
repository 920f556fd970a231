# SPDX-License-Identifier: Apache-2.0
"""Running a verb as the shell does, and a programme of one's own to run it in."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from controlbook.cli import run
from controlbook.git import Repository
from controlbook.timeline import instant

if TYPE_CHECKING:
    from controlbook.outcome import Outcome

SMALL = Path(__file__).parent / "data" / "small"
AUTHOR = ("Clara Novak", "c-novak@example.com")
AT = "2028-01-01T00:00:00Z"


def controlbook(root: Path, *words: str) -> Outcome:
    """Run one verb in a folder."""
    return run([*words, "-C", str(root)])


def committed(root: Path, message: str = "Change") -> str:
    """Commit everything that stands in a work tree."""
    repository = Repository(root)
    files = repository.work_files()
    return repository.write_and_commit(
        files, f"{message}\n", at=instant(AT), author=AUTHOR
    )


def small_programme(root: Path) -> Path:
    """Lay the small test programme down in a new repository."""
    Repository.create(root)
    shutil.copytree(SMALL, root, dirs_exist_ok=True)
    committed(root, "Begin")
    return root
