# SPDX-License-Identifier: Apache-2.0
"""The documents name what the program has: verbs, exit codes, settings, fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controlbook.errors import Exit
from controlbook.kinds.settings import _KEYS as SETTINGS
from controlbook.verbs import VERBS

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:)([^)\s]+)\)")
READ = re.compile(
    r"\b(?:fields|row|table|query)\.(?:all_or_listing|choice|day|digest|interval|listing"
    r"|matching|moment|name|optional|reference|rows|same|table|text|whole)\(\s*"
    r'"([a-z_-]+)"'
)


def code_words(text: str) -> set[str]:
    """Give every word that stands in backticks, code blocks apart."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"[a-zA-Z_-]+", " ".join(re.findall(r"`([^`]+)`", prose))))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


def test_decisions_are_in_the_index() -> None:
    folder = ROOT / "docs/adr"
    pages = {path.name for path in folder.glob("[0-9]*.md")}
    assert (
        set(re.findall(r"\((\d[^)]+)\)", (folder / "README.md").read_text())) == pages
    )


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("docs/adr/[0-9]*.md")), ids=lambda page: page.stem[:4]
)
def test_decision_says_what_it_costs(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    for heading in ("Context", "Options", "Decision", "Costs"):
        assert heading in headings


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_readme_names_every_verb(verb: str) -> None:
    assert verb in code_words((ROOT / "README.md").read_text())


def test_readme_names_every_exit_code() -> None:
    text = (ROOT / "README.md").read_text().partition("Exit codes: ")[2]
    sentence = text.partition(".\n")[0]
    found = {int(code) for code in re.findall(r"(?:^|· |·\n)(\d)", sentence)}
    assert found == {code.value for code in Exit}


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_is_documented(setting: str) -> None:
    pages = (ROOT / "docs/adopting.md", ROOT / "docs/files.md")
    assert any(setting in code_words(page.read_text()) for page in pages)


def test_every_field_is_documented() -> None:
    kinds = (ROOT / "generator/controlbook/kinds").glob("*.py")
    read = {name for path in kinds for name in READ.findall(path.read_text())}
    assert len(read) > 50
    assert read - code_words((ROOT / "docs/files.md").read_text()) == set()


def test_readme_names_every_dependency() -> None:
    text = (ROOT / "README.md").read_text()
    pyproject = (ROOT / "pyproject.toml").read_text()
    block = re.search(
        r"^dependencies = \[(.*?)^\]", pyproject, re.DOTALL | re.MULTILINE
    )
    assert block
    for name in re.findall(r'"([a-zA-Z.-]+)', block[1]):
        assert name.replace("fontpkg-ibm-plex-mono", "-mono") in text, name
