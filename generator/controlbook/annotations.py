# SPDX-License-Identifier: Apache-2.0
"""Whether an annotation explains anything.

Rules enforced here:
- empty text, comments and headings alone explain nothing;
- a placeholder is a promise, not an explanation;
- a copied text explains another deviation: one annotation may cover many ids instead.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Annotation

FEWEST_WORDS = 6
"""Different words below which a text cannot name a cause and what was done."""

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HEADING = re.compile(r"^ {0,3}#{1,6}(?: .*)?$", re.MULTILINE)
_PLACEHOLDER = re.compile(
    r"\b(?:TODO|TBD|TBC|FIXME|XXX+)\b|lorem ipsum|\bplaceholder\b"
    r"|<(?:cause|remediation|impact|reason|ticket|who|what|when|why|your|fill)\b[^>]*>"
    r"|\[(?:cause|remediation|impact|reason|ticket|fill)\b[^\]]*\]",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")


def substance(annotation: Annotation, others: Iterable[Annotation]) -> str:
    """Say why an annotation has no content of its own, or nothing where it has.

    Of two equal texts the one whose path sorts first is the original, so that a later
    copy cannot take the substance from what it copies.
    """
    text = _HEADING.sub("", _COMMENT.sub("", annotation.body))
    placeholder = _PLACEHOLDER.search(text)
    if placeholder:
        return f"the text still holds the placeholder {placeholder.group()!r}"
    words = _words(text)
    if not words:
        return "the text is empty"
    if len(set(words)) < FEWEST_WORDS:
        return "the text is too short to name a cause and what was done"
    for other in others:
        if other.path < annotation.path and _words_of(other) == words:
            return f"the text is a copy of {other.path}"
    return ""


def _words_of(annotation: Annotation) -> list[str]:
    return _words(_HEADING.sub("", _COMMENT.sub("", annotation.body)))


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
