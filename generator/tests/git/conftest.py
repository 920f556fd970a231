# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_world import begin

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.git import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return begin(tmp_path / "programme")
