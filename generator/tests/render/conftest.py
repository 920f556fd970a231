# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import shelf
from browsing import FLAGS, hand_written
from playwright.sync_api import sync_playwright

from controlbook.render.site import build_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site of the shelf once; nothing may change it."""
    folder = tmp_path_factory.mktemp("built")
    build_site(
        shelf.shelf(), folder / "site", work=folder / "work", files=hand_written()
    )
    return folder / "site"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium once."""
    program = shutil.which("chromium")
    assert program, "install Chromium: the browser tests need it"
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()
