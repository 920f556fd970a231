# SPDX-License-Identifier: Apache-2.0
"""The page for wrong addresses, as a web host serves it."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import shelf

from controlbook.errors import InvalidFiles
from controlbook.render import missing
from controlbook.render.settings import named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@contextmanager
def hosting(folder: Path, page: bytes) -> Iterator[str]:
    """Serve a folder as web hosts do: where nothing stands, with the page for it."""

    class Host(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def send_error(self, code: int, *_: object, **__: object) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.browser
@pytest.mark.parametrize("place", ["", "pages/compliance"])
def test_a_wrong_address_leads_on_from_any_depth(
    site: Path, browser: Browser, tmp_path: Path, place: str
) -> None:
    target = tmp_path / "host" / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(site)
    chosen = f'site_url: "https://x.example/{place}"\nsite_name: "Ours"\n'
    title, root = named({"mkdocs.yml": chosen.encode()}, entity="")
    text = missing.missing(shelf.shelf(), title=title, root=root)
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    failed: list[str] = []
    page.on(
        "response",
        lambda answer: failed.append(answer.url) if answer.status >= 400 else None,
    )
    with hosting(tmp_path / "host", text.encode()) as host:
        wrong = f"{host}{root}PCI-2028-FEB/9.9.9/deep/er.html"
        page.goto(wrong)
        assert page.title() == "No such page - Ours"
        assert failed == [wrong]
        assert not [line for line in said if "Content Security Policy" in line]
        size = "getComputedStyle(document.querySelector('h1')).fontSize"
        assert page.evaluate(size) == "28.8px"  # its style was let through
        assert page.evaluate("document.fonts.check('16px \"IBM Plex Sans\"')")
        links = page.eval_on_selector_all("a", "all => all.map((link) => link.href)")
        assert len(links) > 6
        for address in links:
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == 200, address
    page.close()


def test_the_built_site_has_it_with_the_marks_and_without_a_script(site: Path) -> None:
    text = (site / "404.html").read_text()
    for mark in ("DEMO", "DRAFT"):
        assert f"<strong>{mark}</strong>" in text
    assert "<script" not in text
    assert "unsafe" not in text
    assert re.search(r'href="/PCI-2028-FEB/index.html"', text)


@pytest.mark.parametrize(
    "address",
    ["pages.example.com", "javascript:x", "https://x/?a", "https://x/a b", "https://"],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(
        InvalidFiles, match=r"mkdocs\.yml:1: site_url: is not the address"
    ):
        named({"mkdocs.yml": f'site_url: "{address}"'.encode()}, entity="")
