# SPDX-License-Identifier: Apache-2.0
"""Writing YAML that every reader reads the same way.

Rules enforced here:
- text stands in double quotes or in a literal block; nothing is left to be guessed;
- keys stand in the order given; equal values give equal bytes;
- text is in Unicode normal form C with LF line ends; characters that nobody can see
  are refused.
"""

from __future__ import annotations

import textwrap
import unicodedata
from typing import TYPE_CHECKING

from .errors import ControlbookError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
# Refused by YAML itself although Unicode calls them unassigned.
_NONCHARACTERS = "\ufffe\uffff"
_INDENT = "  "


def quoted(text: str) -> str:
    """Write text in double quotes."""
    escaped = tidy(text).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t") + '"'


def flow_list(texts: Iterable[str]) -> str:
    """Write texts as a list on one line."""
    return "[" + ", ".join(quoted(text) for text in texts) + "]"


def flow_mapping(pairs: Mapping[str, str]) -> str:
    """Write a mapping on one line."""
    return "{" + ", ".join(f"{k}: {quoted(v)}" for k, v in pairs.items()) + "}"


def literal(text: str) -> str:
    """Write paragraphs as a literal block, to stand behind a key of the top level."""
    body = paragraphs(text)
    if not body:
        return quoted("")
    # A block that starts with a space needs to be told how far it is indented.
    hint = "2" if body.startswith((" ", "\t")) else ""
    return f"|{hint}\n{textwrap.indent(body, _INDENT)}".rstrip("\n")


def paragraphs(text: str) -> str:
    """Give text with lines trimmed at the end, and one final line end unless empty."""
    lines = [line.rstrip() for line in textwrap.dedent(tidy(text)).split("\n")]
    body = "\n".join(lines).strip("\n")
    return f"{body}\n" if body else ""


def tidy(text: str) -> str:
    """Give text in normal form C with LF line ends; refuse unseen characters."""
    plain = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    for char in plain:
        if char in "\n\t":
            continue
        if unicodedata.category(char) in _UNSEEN or char in _NONCHARACTERS:
            message = (
                f"the text holds a character that nobody can see: U+{ord(char):04X}"
            )
            raise ControlbookError(message, advice="remove it")
    return plain
