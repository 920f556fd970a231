# SPDX-License-Identifier: Apache-2.0
"""The built site: its bytes, its policy, and what a reader's browser makes of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
import shelf
from browsing import hand_written, html_pages

from controlbook.errors import ControlbookError, InvalidFiles
from controlbook.render.pages import pages
from controlbook.render.report import Book
from controlbook.render.site import build_site, lay_down, seal

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

INLINE = re.compile(r"<script(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.DOTALL)
POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- its bytes -------------------------------------------------------------------


def test_every_page_is_built(site: Path) -> None:
    for path in pages(shelf.shelf()):
        assert (site / path.replace(".md", ".html")).is_file()
    assert (site / "about" / "about.html").is_file()


def test_same_book_gives_same_bytes_anywhere(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("LANG", "tr_TR.UTF-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    before = os.umask(0o077)
    try:
        out = tmp_path / "elsewhere" / "out"
        build_site(
            shelf.shelf(), out, work=tmp_path / "some work", files=hand_written()
        )
    finally:
        os.umask(before)
    assert content(out) == content(site)


def test_building_again_replaces_what_was_there(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    out.mkdir()
    (out / "left-over.html").write_text("old")
    build_site(shelf.shelf(), out, work=tmp_path / "work", files=hand_written())
    assert content(out) == content(site)


def test_failed_build_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "site"
    out.mkdir()
    (out / "index.html").write_text("old")
    broken = {"site/theme/main.html": b"{% broken"}
    with pytest.raises(ControlbookError, match="MkDocs could not build the site"):
        build_site(shelf.shelf(), out, work=tmp_path / "work", files=broken)
    assert (out / "index.html").read_text() == "old"


def test_paths_are_short_plain_and_distinct_in_any_case(site: Path) -> None:
    names = list(content(site))
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert name.isascii()
        assert len(name) < 150


def test_no_page_is_over_a_megabyte(site: Path) -> None:
    assert max(path.stat().st_size for path in html_pages(site)) < 1_000_000


def test_no_two_pages_share_a_title(site: Path) -> None:
    titles = [
        re.findall(r"<title>(.*?)</title>", path.read_text())[0]
        for path in html_pages(site)
    ]
    assert len(set(titles)) == len(titles)


# --- the team's own settings -------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hooks: [evil.py]", "mkdocs.yml:1: unknown key hooks"),
        ("plugins: [search, evil]", "mkdocs.yml:1: unknown key plugins"),
        ("extra_javascript: [x.js]", "unknown key extra_javascript"),
        ("theme: {custom_dir: evil}", "unknown key theme.custom_dir"),
        ("INHERIT: other.yml", "unknown key INHERIT"),
        ('theme: {logo: "assets/none.svg"}', "there is no site/assets/none.svg"),
        ("site_name: !!python/name:os.system x", "tag"),
    ],
)
@pytest.mark.threat("T69")
def test_t69_settings_choose_nothing_that_runs(
    line: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidFiles, match=re.escape(message)):
        lay_down(shelf.shelf(), tmp_path / "work", {"mkdocs.yml": line.encode()})


def test_the_team_names_its_site(site: Path) -> None:
    home = (site / "index.html").read_text()
    assert "Example Payments: compliance evidence" in home
    assert "assets/logo.svg" in home


def test_hand_written_pages_run_nothing(tmp_path: Path) -> None:
    evil = b"# Hello <script>alert(1)</script>\n\n<script>alert(2)</script> {{ x }}\n"
    work = tmp_path / "work"
    lay_down(shelf.shelf(), work, {"site/pages/evil.md": evil})
    text = (work / "docs" / "about" / "evil.md").read_text()
    assert "<script" not in text
    assert "{" not in text


# --- its policy ---------------------------------------------------------------------


def test_every_inline_script_is_named_by_its_digest(site: Path) -> None:
    for path in html_pages(site):
        page = path.read_text()
        (policy,) = POLICY.findall(page)
        assert "controlbook-inline-scripts" not in page
        scripts = policy.split("script-src ")[1].split(";")[0]
        assert "unsafe" not in scripts
        for attributes, script in INLINE.findall(page):
            if "application/json" not in attributes:
                digest = base64.b64encode(hashlib.sha256(script.encode()).digest())
                assert f"'sha256-{digest.decode()}'" in scripts


def test_a_template_that_drops_the_policy_is_refused(tmp_path: Path) -> None:
    bare = {
        "site/theme/main.html": b'{% extends "base.html" %}'
        b"{% block site_meta %}<title>x</title>{% endblock %}"
    }
    with pytest.raises(ControlbookError, match="no content security policy"):
        build_site(shelf.shelf(), tmp_path / "site", work=tmp_path / "work", files=bare)
    assert not (tmp_path / "site").exists()


class Tags(HTMLParser):
    """Every tag with its attributes, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.threat("T66")
@pytest.mark.threat("T68")
def test_t66_t68_hostile_texts_reach_no_tag_of_the_built_site(tmp_path: Path) -> None:
    book = Book(reports=(shelf.hostile(),))
    build_site(book, tmp_path / "site", work=tmp_path / "work")
    for path in html_pages(tmp_path / "site"):
        page = path.read_text()
        tags = Tags(page).found
        pictures = [a.get("src") for tag, a in tags if tag == "img"]
        assert all(str(src).endswith("logo.svg") for src in pictures), path
        for _, attributes in tags:
            assert not [name for name in attributes if name.startswith("on")], path
            assert "javascript:" not in str(attributes.get("href")), path
        assert sum(tag == "h1" for tag, _ in tags) == 1, path
    index = (tmp_path / "site" / "search" / "search_index.json").read_text()
    assert "<img" not in index


def test_no_page_loads_anything_from_outside(site: Path) -> None:
    loads = re.compile(
        r'<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)="([^"]*)"'
    )
    for path in html_pages(site):
        for address in loads.findall(path.read_text()):
            assert not re.match(r"(https?:)?//", address), path


def test_no_clock_no_folder_no_repository_fact_reaches_a_page(site: Path) -> None:
    for path, (_, body) in content(site).items():
        if (
            path.endswith((".html", ".json", ".xml", ".js"))
            and "javascripts" not in path
        ):
            text = body.decode()
            assert str(site.parent) not in text, path
            assert "git-revision-date" not in text, path
            assert not re.search(r"\b202[4-7]-\d\d-\d\dT\d\d", text), path


def test_search_index_keeps_words_of_neighbouring_cells_apart(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    text = " ".join(
        entry["text"]
        for entry in index["docs"]
        if entry["location"].startswith("PCI-2028-FEB/3.4/")
    )
    for word in ("111122223333", "stale-backup-archive", "eu-west-1", "PCI-4432"):
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), word


# --- in a browser -------------------------------------------------------------------


def watched(page: Page) -> list[str]:
    """Collect everything that a page should not do."""
    seen: list[str] = []
    page.on("console", lambda message: seen.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: seen.append(f"error: {error}"))
    # Going on to the next page cancels what the last one was still loading.
    page.on(
        "requestfailed",
        lambda request: (
            None
            if "ERR_ABORTED" in (request.failure or "")
            else seen.append(f"failed: {request.url}: {request.failure}")
        ),
    )
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("file://", "data:", "about:"))
            else seen.append(f"request: {request.url}")
        ),
    )
    return seen


@pytest.mark.browser
def test_no_page_breaks_its_policy_or_asks_the_network(
    site: Path, browser: Browser
) -> None:
    page = browser.new_page()
    seen = watched(page)
    for path in html_pages(site):
        page.goto(path.as_uri())
        page.wait_for_selector("html.js")
    page.close()
    assert not seen


@pytest.mark.browser
def test_search_works_from_a_folder(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    seen = watched(page)
    page.goto((site / "PCI-2028-FEB" / "3.4" / "index.html").as_uri())
    page.keyboard.press("s")
    page.keyboard.type("rds-storage-encrypted")
    page.wait_for_selector(".md-search-result__link")
    found = page.locator(".md-search-result__link")
    targets = [str(found.nth(n).get_attribute("href")) for n in range(found.count())]
    assert any("PCI-2028-FEB/3.4/index.html" in target for target in targets)
    found.first.click()
    page.wait_for_load_state()
    assert page.url.startswith("file://")
    page.close()
    assert not seen


@pytest.mark.browser
def test_a_script_that_was_slipped_in_does_not_run(
    site: Path, browser: Browser, tmp_path: Path
) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    target = copy / "index.html"
    slipped = "<script>window.slipped = 1</script></body>"
    target.write_text(target.read_text().replace("</body>", slipped))
    page = browser.new_page()
    page.goto(target.as_uri())
    assert page.evaluate("window.slipped === undefined")
    page.close()


@pytest.mark.browser
def test_every_page_can_be_read_without_scripts(site: Path, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "PCI-2028-FEB" / "index.html").as_uri())
    page.click("text=3.4")
    for said in ("Signed with deviations", "6 of 7 S3 buckets", "PCI-4432", "DEMO"):
        assert page.locator(f"text={said}").first.is_visible()
    context.close()


# --- another builder ------------------------------------------------------------------


@pytest.mark.slow
def test_zensical_builds_the_same_tree(tmp_path: Path) -> None:
    work = tmp_path / "work"
    settings = lay_down(shelf.shelf(), work, hand_written())
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--config-file", str(settings)],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seal(work / "site")
    for path in pages(shelf.shelf()):
        page = (work / "site" / path.replace(".md", ".html")).read_text()
        assert "<strong>DEMO</strong>" in page, path
        assert POLICY.search(page), path
    page = (work / "site" / "PCI-2028-FEB" / "3.4" / "index.html").read_text()
    assert "6 of 7 S3 buckets in 2 accounts were compliant throughout" in page
    assert '<h2 id="evidence-gaps">' in page
