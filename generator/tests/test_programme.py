# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import small

from controlbook.errors import InvalidFiles
from controlbook.git import Repository
from controlbook.programme import Programme

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = b"""\
[tool.controlbook]
ledger = "00000000-0000-4000-8000-000000000000"
"""
PEOPLE = b"""\
people:
  c-novak:
    name: "Clara Novak"
    github: "c-novak"
    github_ids: ["4100301"]
    roles: ["compliance-officer"]
"""


def test_a_framework_that_nobody_assesses_does_not_stop_a_collection(
    tmp_path: Path,
) -> None:
    repository = Repository.create(tmp_path / "programme")
    files = {
        "pyproject.toml": SETTINGS,
        "signoffs/people.yml": PEOPLE,
        "frameworks/other.yml": b"id: [\n",
    }
    author = ("x", "x@example.com")
    repository.write_and_commit(files, "Start", at=small.START, author=author)
    assert Programme.collecting(repository.root).library.frameworks == {}
    with pytest.raises(InvalidFiles, match=r"frameworks/other\.yml:1: broken YAML"):
        _ = Programme.open(repository.root).library
