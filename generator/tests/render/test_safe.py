# SPDX-License-Identifier: Apache-2.0
"""Hostile text in annotations, statements and names (trust.md section 4)."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import markdown as python_markdown
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payloads import DISGUISES, LINKS, SCRIPTS, TEMPLATES

from controlbook.render import safe

ALLOWED = safe.TAGS


class Seen(HTMLParser):
    """What a browser would find."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def as_page(html: str) -> Seen:
    """Give what stands in a page after the site's own Markdown pass."""
    page = (
        f'# Title\n\n<div class="cb">\n<div class="box">{html}</div>\n</div>\n\n## End'
    )
    return Seen(
        python_markdown.markdown(
            page, extensions=["toc", "attr_list", "md_in_html", "tables"]
        )
    )


@pytest.mark.threat("T66")
@pytest.mark.parametrize("source", SCRIPTS)
def test_t66_nothing_that_runs_survives(source: str) -> None:
    html = safe.markdown(f"before\n\n{source}\n\nafter")
    for tag, attributes in Seen(html).tags:
        assert tag in ALLOWED
        assert set(attributes) <= {"href", "title", "rel"}
    assert "before" in html
    assert "after" in html


@pytest.mark.threat("T66")
def test_t66_the_text_of_a_script_is_kept() -> None:
    assert "alert(1)" in Seen(safe.markdown("<script>alert(1)</script>")).words


@pytest.mark.threat("T67")
@pytest.mark.parametrize("source", LINKS)
def test_t67_no_other_address_than_https_and_mailto(source: str) -> None:
    for _, attributes in Seen(safe.markdown(source)).tags:
        assert "href" not in attributes


@pytest.mark.threat("T67")
@pytest.mark.parametrize(
    "address", ["https://tickets.example.com/browse/PCI-1?a=b", "mailto:a@example.com"]
)
def test_t67_honest_addresses_are_kept(address: str) -> None:
    (_, attributes), *_ = [
        found for found in Seen(safe.markdown(f"[x]({address})")).tags if found[1]
    ]
    assert attributes == {"href": address, "rel": "noopener noreferrer"}


@pytest.mark.threat("T67")
@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://x.example", "https://", "https:x", "", "//x"]
)
def test_t67_a_ticket_template_gives_https_or_plain_text(url: str) -> None:
    assert safe.link("PCI-1", url) == "PCI-1"


@pytest.mark.threat("T68")
@pytest.mark.parametrize("source", DISGUISES)
def test_t68_the_interface_cannot_be_imitated(source: str) -> None:
    seen = as_page(safe.markdown(source))
    own = [tag for tag, _ in seen.tags]
    assert own.count("h1") == 1  # ours
    assert own.count("h2") == 1
    classes = [found["class"] for _, found in seen.tags if found.get("class")]
    assert classes == ["cb", "box"]
    assert [a["id"] for _, a in seen.tags if "id" in a] == ["title", "end"]


@pytest.mark.threat("T69")
@pytest.mark.parametrize("source", TEMPLATES)
def test_t69_template_marks_are_literal_text(source: str) -> None:
    html = safe.markdown(source)
    assert "{" not in html
    assert "}" not in html
    assert "\x02" not in html
    expected = re.sub(r"[\x02\x03]", "", source)
    assert expected.replace(" ", "") in as_page(html).words.replace(" ", "")


@pytest.mark.threat("T69")
@pytest.mark.parametrize("source", TEMPLATES)
def test_t69_names_and_headings_are_literal_text(source: str) -> None:
    shown = re.sub(r"[\x02\x03]", "", source)
    page = f"# {safe.heading(source)}\n\n<p>{safe.text(source)}</p>"
    seen = Seen(
        python_markdown.markdown(page, extensions=["toc", "attr_list", "md_in_html"])
    )
    assert [tag for tag, _ in seen.tags] == ["h1", "p"]
    assert seen.words.count(shown) == 2


@pytest.mark.parametrize(
    "hidden",
    ["\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\x00", "\x1b", "\u00ad"],
)
def test_characters_that_hide_or_reorder_are_taken_out(hidden: str) -> None:
    assert safe.text(f"a{hidden}b") == "ab"
    assert "ab" in safe.markdown(f"a{hidden}b")


def test_deep_nesting_loses_no_text() -> None:
    assert "the end" in safe.markdown(">" * 40 + " the end")


@given(st.text())
def test_text_comes_back_as_it_was(value: str) -> None:
    seen = Seen(f"<p>{safe.text(value)}</p>")
    assert [tag for tag, _ in seen.tags] == ["p"]
    expected = safe.visible(value).replace("\r", "").replace("\t", " ")
    assert seen.words == expected


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_markdown_of_anything_stays_in_its_box(source: str) -> None:
    html = safe.markdown(source)
    assert "\n" not in html
    seen = as_page(html)
    assert [tag for tag, _ in seen.tags][:3] == ["h1", "div", "div"]
    assert seen.tags[-1][0] == "h2"
    assert {tag for tag, _ in seen.tags[3:-1]} <= ALLOWED
