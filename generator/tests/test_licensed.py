# SPDX-License-Identifier: Apache-2.0
"""Licensed text: read from an untracked folder, shown on drafts, never released."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import released
import shelf

from controlbook import cli
from controlbook.errors import ControlbookError
from controlbook.licensed import LARGEST, refuse_tracked, texts
from controlbook.publishing import Build
from controlbook.render.pages import pages

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.programme import Programme

TEXT = "Words-of-the-standard that nobody may pass on."


def programme(
    root: Path, *, tracked: bool = False, folder: str = "licensed"
) -> Programme:
    made = released.Example(root)
    files = {
        "pyproject.toml": f'{released.SETTINGS}licensed-text = "{folder}"\n'.encode()
    }
    if tracked:
        files["licensed/pci-dss-3.2.1/3.4.md"] = TEXT.encode()
    made.commit(files, "Name the folder\n")
    return made.programme


def put(root: Path, number: str, text: str) -> None:
    path = root / "pci-dss-3.2.1" / f"{number}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_texts_are_read_by_framework_and_number(tmp_path: Path) -> None:
    at = programme(tmp_path)
    put(at.repository.root / "licensed", "3.4", TEXT)
    put(at.repository.root / "licensed", "99.9", "No such number.")
    assert texts(at) == {"pci-dss-3.2.1": {"3.4": TEXT}}


def test_the_folder_may_stand_beside_the_repository(tmp_path: Path) -> None:
    at = programme(tmp_path, folder="../standards")
    put(at.repository.root.parent / "standards", "12.1", TEXT)
    assert texts(at) == {"pci-dss-3.2.1": {"12.1": TEXT}}


def test_a_tracked_text_is_refused_for_drafts_and_releases(tmp_path: Path) -> None:
    at = programme(tmp_path, tracked=True)
    for attempt in (
        lambda: texts(at),
        lambda: refuse_tracked(at),
        lambda: Build(at, released.NAME, released.NAME, tmp_path / "out"),
    ):
        with pytest.raises(ControlbookError, match="Git tracks 1 files of licensed"):
            attempt()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "text", "words"),
    [
        ("", TEXT, "no folder of licensed text is set"),
        ("licensed", None, "the folder of licensed text is not there"),
        ("licensed", "x" * (LARGEST + 1), "more than one requirement's text"),
    ],
    ids=["no setting", "no folder", "too long"],
)
def test_what_is_missing_or_too_much_is_said(
    tmp_path: Path, setting: str, text: str | None, words: str
) -> None:
    at = programme(tmp_path, folder=setting)
    if text:
        put(at.repository.root / "licensed", "3.4", text)
    with pytest.raises(ControlbookError, match=words):
        texts(at)


def test_internal_without_draft_is_wrong_usage() -> None:
    with pytest.raises(ControlbookError, match="belongs on a draft only") as refusal:
        cli.run(["build", "--internal"])
    assert refusal.value.code == 2


def test_a_page_with_licensed_text_shows_it_sanitised_and_says_internal() -> None:
    book = shelf.shelf()
    draft = replace(book.reports[1], licensed={"3.4": f"{TEXT}<script>x()</script>"})
    made = pages(replace(book, reports=(book.reports[0], draft)))
    page = made["SOC2-2028/3.4/index.md"]
    assert TEXT in page
    assert "<script>x()" not in page
    mark = "<strong>INTERNAL</strong>"
    assert all(mark in text for path, text in made.items() if "SOC2-2028/" in path)
    others = [path for path in made if path.startswith("PCI-2028-FEB/")]
    assert others
    assert not any(TEXT in made[path] or mark in made[path] for path in others)
