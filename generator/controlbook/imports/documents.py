# SPDX-License-Identifier: Apache-2.0
"""Reading JSON that others wrote, without trusting its shape.

Rules enforced here:
- at most 32 MiB, duplicate keys refused, nesting bounded; what is not of the shape
  looked for counts as absent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from controlbook.errors import ControlbookError
from controlbook.yamltext import bad_characters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BYTES = 32 * 1024 * 1024


def json_document(data: bytes, name: str) -> dict[str, Any]:
    """Read a JSON object; ControlbookError with file:line where it is none."""
    if len(data) > MAX_BYTES:
        message = f"{len(data)} bytes are more than the {MAX_BYTES} that are read"
        raise ControlbookError(message, place=name)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            message = f"the key {twice!r} stands twice in one object"
            raise ControlbookError(message, place=name)
        return found

    try:
        document = json.loads(data.decode("utf-8-sig"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        message = f"broken JSON: {error.msg}"
        raise ControlbookError(message, place=f"{name}:{error.lineno}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        message = "this is no JSON text that can be read"
        raise ControlbookError(message, place=name) from error
    if not isinstance(document, dict):
        message = "the file holds no JSON object"
        raise ControlbookError(message, place=name)
    return document


def rows(tree: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list; nothing where there is no list."""
    found = tree.get(name)
    for row in found if isinstance(found, list) else ():
        if isinstance(row, dict):
            yield row


def texts(tree: Mapping[str, Any], name: str) -> str:
    """Give a text on one line, without characters that nobody sees; or nothing."""
    found = tree.get(name)
    if not isinstance(found, str):
        return ""
    line = " ".join(found.split())
    unseen = bad_characters(line)
    return "".join(char for char in line if char not in unseen)
