# SPDX-License-Identifier: Apache-2.0
"""The one place where text becomes HTML.

Rules enforced here (trust.md section 4):
- every value is escaped, braces too, so that no template, macro, snippet or attribute
  list of a later pass finds anything to read;
- people's Markdown is rendered first and sanitised last, by an allowlist of tags, with
  no class, id, style or image, and links to https and mailto only;
- characters that reorder or hide text are taken out.
"""

from __future__ import annotations

import re
from functools import cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

Html = Markup
"""Text that may stand in a page as it is; templates do not escape it again."""

TAGS = frozenset(
    {
        "p", "ul", "ol", "li", "em", "strong", "code", "pre", "blockquote", "a", "br",
        "hr", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td",
    }
)  # fmt: skip
SCHEMES = frozenset({"https", "mailto"})

_HIDING = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"  # controls
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # invisible letters
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"  # bidi
    "\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
    "{": "&#123;",
    "}": "&#125;",
    "\n": "&#10;",
    "\r": "",
    "\t": " ",
}
_TABLE = str.maketrans(_ESCAPES)
_MARKDOWN = str.maketrans(
    {char: f"&#{ord(char)};" for char in "&<>\"'{}\\`*_[]()#+-.!|~^:=$@/%"}
)


def visible(text: str) -> str:
    """Take out characters that hide, reorder or break text."""
    return _HIDING.sub("", text)


def text(value: object) -> Html:
    """Escape a value for HTML text and for a quoted attribute."""
    return Html(visible(str(value)).translate(_TABLE))


def assembled(parts: str) -> Html:
    """Vouch for HTML that the program put together from escaped parts."""
    return Html(parts)


def heading(value: object) -> Html:
    """Escape a value so that a Markdown line shows it as it is."""
    return Html(" ".join(visible(str(value)).split()).translate(_MARKDOWN))


def https(url: str) -> str:
    """Give the address if it is a plain https link, else nothing."""
    return url if re.fullmatch(r"https://[A-Za-z0-9][^\s\"'<>\\^`{|}]*", url) else ""


def link(label: object, url: str) -> Html:
    """Make an outside link, or only its label where the address is not https."""
    safe = https(visible(url))
    if not safe:
        return text(label)
    return Html(f'<a href="{text(safe)}" rel="noopener noreferrer">{text(label)}</a>')


def markdown(source: str) -> Html:
    """Render people's Markdown: the allowlist's tags, nothing else.

    The result holds no blank line and no brace, so it can stand inside an HTML block
    of a Markdown page without any pass reading it again.
    """
    rendered = _renderer().render(visible(source))
    lowered = re.sub(r"<(/?)h[12]>", r"<\1h3>", rendered)
    clean = nh3.clean(
        lowered,
        tags=set(TAGS),
        attributes={"a": {"href", "title"}},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer",
        strip_comments=True,
        generic_attribute_prefixes=set(),
        url_relative="deny",
    )
    return _sealed(clean)


@cache
def _renderer() -> MarkdownIt:
    # HTML is off: a raw tag becomes text, and nh3 has the last word either way.
    # Deeper lists and quotations than the usual twenty would lose their text.
    options = {"html": False, "typographer": False, "maxNesting": 100}
    return MarkdownIt("commonmark", options).enable("table")


def _sealed(clean: str) -> Html:
    flat = visible(clean).replace("{", "&#123;").replace("}", "&#125;")
    return Html(flat.strip().replace("\r", "").replace("\n", "&#10;"))
