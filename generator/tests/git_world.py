# SPDX-License-Identifier: Apache-2.0
"""A small repository, and what people do to it with Git itself."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from controlbook.git import Repository
from controlbook.timeline import DAY, Instant, instant

if TYPE_CHECKING:
    from pathlib import Path

BOT = ("controlbook-collector[bot]", "bot@example.com")
PERSON = ("J. Moreau", "j@example.com")
START = instant("2028-01-01T06:00:00Z")
SIGNOFF = "signoffs/Q1/requirements/3.4.yml"


def day(number: int) -> Instant:
    return Instant(START + number * DAY)


def begin(folder: Path) -> Repository:
    """Make a repository with a first commit."""
    made = Repository.create(folder)
    made.write_and_commit(
        {
            "controls/a.yml": b'id: "a"\n',
            ".github/CODEOWNERS": b"* @c-novak\n",
            "README.md": b"hello\r\n",
        },
        "Begin",
        at=START,
        author=PERSON,
    )
    return made


def merge(
    repository: Repository, branch: str, files: dict[str, bytes], at: Instant
) -> tuple[str, str]:
    """Commit on a branch and merge it into main as a forge does."""
    main = repository.head()
    tip = repository.commit_files(
        files, f"On {branch}", base=main, at=at, author=PERSON
    )
    tree = repository.git("rev-parse", f"{tip}^{{tree}}").decode().strip()
    merged = repository.commit_tree(
        tree, (main, tip), f"Merge {branch}", at=at, author=PERSON
    )
    repository.git("reset", "--hard", "--quiet", merged)
    return tip, merged


def raw_git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(
        ["git", *arguments], cwd=folder, input=stdin, check=True, capture_output=True
    ).stdout
