# SPDX-License-Identifier: Apache-2.0
"""Whether everybody can read the site: sizes, colours, order, names, paper."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from browsing import html_pages
from pypdf import PdfReader

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
MARKED = ("DEMO", "DRAFT")


def kinds(site: Path) -> list[Path]:
    """Give the pages, but the draft's, which come from the same templates."""
    return [path for path in html_pages(site) if "SOC2-2028" not in path.parts]


# Boxes that hold more than they show; only drawings may.
WIDE = """
() => [...document.querySelectorAll(".cb-scroll:not(.cb-drawing)")]
  .filter((box) => box.scrollWidth > box.clientWidth + 1)
  .map((box) => box.getAttribute("aria-label"))
"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1024, 1280])
def test_no_page_and_no_table_scrolls_sideways(
    site: Path, browser: Browser, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    for path in kinds(site):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(WIDE) == [], path
    context.close()


STACKED = """
() => [...document.querySelectorAll(".cb-table")].flatMap((table) => {
  const names = [...table.querySelectorAll("thead th")].map((th) => th.innerText);
  return [...table.querySelectorAll("tbody tr")]
    .filter((row) => !row.querySelector("[colspan]"))
    .flatMap((row) => [...row.cells].map((cell, at) => [
      names[at], getComputedStyle(cell, "::before").content, at,
      cell.tagName,
    ]));
}).filter(([name, shown, at, tag]) =>
  (at || tag === "TD") && shown !== JSON.stringify(name))
"""


@pytest.mark.browser
def test_stacked_cells_say_the_name_of_their_column(
    site: Path, browser: Browser
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    for path in kinds(site):
        page.goto(path.as_uri())
        assert page.evaluate(STACKED) == [], path
    context.close()


@pytest.mark.browser
def test_everything_is_reached_by_keyboard(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto((site / "PCI-2028-FEB" / "3.4" / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.classList.contains('md-skip')")
    for _ in range(12):
        page.keyboard.press("Tab")
        shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert shown != "none", page.evaluate("document.activeElement.outerHTML")
    boxes = page.locator(".cb-scroll")
    for number in range(boxes.count()):
        box = boxes.nth(number)
        box.focus()
        assert box.evaluate("box => document.activeElement === box")
        assert box.get_attribute("aria-label")
    page.close()


CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((v) => {
      v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const found = parse(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll(
    ".cb :is(p, td, th, dt, dd, li, a, code, strong, span)"
  )) {
    if (!node.innerText || !node.innerText.trim()) continue;
    const a = light(parse(getComputedStyle(node).color));
    const b = light(ground(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${node.tagName} ${node.className} ${ratio}`);
  }
  return [...new Set(poor)];
}
"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(
    site: Path, browser: Browser, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for path in kinds(site):
        page.goto(path.as_uri())
        assert page.evaluate(CONTRAST) == [], path
    context.close()


# --- order and names --------------------------------------------------------------


def test_headings_descend_one_step_at_a_time(site: Path) -> None:
    for path in html_pages(site):
        found = re.findall(r"<h([1-6])\b", path.read_text())
        levels = [int(level) for level in found]
        assert levels[0] == 1, path
        assert levels.count(1) == 1, path
        for above, below in pairwise(levels):
            assert below <= above + 1, (path, levels)


def test_every_table_names_itself_and_its_columns(site: Path) -> None:
    for path in html_pages(site):
        for table in re.findall(r"<table\b.*?</table>", path.read_text(), re.DOTALL):
            assert re.search(r"<caption>.*?\w.*?</caption>", table, re.DOTALL), path
            for attributes, text in re.findall(
                r"<th\b([^>]*)>(.*?)</th>", table, re.DOTALL
            ):
                assert "scope=" in attributes, path
                assert re.sub(r"<[^>]*>", "", text).strip(), (path, table[:200])


LANDMARKS = """
() => [...document.querySelectorAll("nav, [role=region], [role=dialog]")]
  .filter((node) => node.getClientRects().length)
  .map((node) => `${node.getAttribute("role") || "nav"}: ${
    node.getAttribute("aria-label") ||
    [...document.querySelectorAll(`[id="${node.getAttribute("aria-labelledby")}"]`)]
      .map((found) => found.innerText).join("")}`)
  .filter((name, at, all) => name.endsWith(": ") || all.indexOf(name) !== at)
"""


@pytest.mark.browser
def test_every_landmark_has_a_name_of_its_own(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    for path in kinds(site):
        page.goto(path.as_uri())
        assert page.evaluate(LANDMARKS) == [], path
    page.close()


@pytest.mark.browser
def test_entries_of_the_navigation_are_large_enough_to_hit(
    site: Path, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto((site / "PCI-2028-FEB" / "3.4" / "index.html").as_uri())
    heights = page.eval_on_selector_all(
        ".md-sidebar a.md-nav__link",
        "found => found.map((link) => link.getBoundingClientRect().height)",
    )
    shown = [height for height in heights if height]
    assert shown
    assert min(shown) >= 24
    page.close()


def test_every_page_carries_the_marks_of_the_site(site: Path) -> None:
    for path in html_pages(site):
        marks = MARKED if "PCI-2028-FEB" not in path.parts else ("DEMO",)
        for mark in marks:
            assert f"<strong>{mark}</strong>" in path.read_text(), path


def test_no_link_says_here(site: Path) -> None:
    for path in html_pages(site):
        assert not re.search(
            r">\s*(click here|here|this|link)\s*</a>", path.read_text()
        )


# --- on paper -----------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_is_light_and_shows_all_of_every_table(
    site: Path, browser: Browser, scheme: str
) -> None:
    # Without motion, since colours that fade would be caught half way.
    context = browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_viewport_size({"width": 700, "height": 1000})  # A4 less its margins
    page.goto((site / "PCI-2028-FEB" / "3.4" / "index.html").as_uri())
    page.emulate_media(media="print")
    assert page.evaluate(CONTRAST) == []
    assert (
        page.evaluate(
            "getComputedStyle(document.querySelector('.cb-result')).backgroundColor"
        )
        == "rgb(246, 248, 250)"
    )
    assert page.evaluate(WIDE) == []
    assert page.is_hidden(".md-header")
    context.close()


@pytest.mark.browser
def test_every_printed_sheet_carries_the_marks(
    site: Path, browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page()
    for name, marks in (("PCI-2028-FEB", ("DEMO",)), ("SOC2-2028", MARKED)):
        page.goto((site / name / "3.4" / "index.html").as_uri())
        page.pdf(path=tmp_path / "sheets.pdf", prefer_css_page_size=True)
        sheets = PdfReader(tmp_path / "sheets.pdf").pages
        assert len(sheets) > 2
        for sheet in sheets:
            for mark in marks:
                assert f"{mark}: not" in sheet.extract_text(), name
    page.close()
