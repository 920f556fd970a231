# SPDX-License-Identifier: Apache-2.0
"""Editing a YAML file that people wrote, so that only what was asked for changes.

Rules enforced here:
- comments, order, quotes and every line that the edit does not touch stay byte for
  byte, also in a file whose layout is not ours;
- new text stands in double quotes, as people are asked to write it;
- what was written is read again: it says what the edit meant, or nothing is written.
"""

from __future__ import annotations

import io
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from .errors import ControlbookError, InvalidFiles, Problem
from .yamltext import parse, plain
from .yamlwriter import tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Edit = Callable[[Any], None]

_WIDE = 1 << 20


def edited(path: str, data: bytes, edit: Edit) -> bytes:
    """Give a file's bytes after an edit of its tree; the same bytes for no change.

    `edit` gets the tree (mappings, lists, text) and changes it in place, with values
    made by `text`, `listing` and `table`. Raises InvalidFiles where the file is broken.
    """
    read = parse(data)
    if read.flaws or read.node is None:
        raise InvalidFiles(
            tuple(
                Problem(path=path, line=f.line, message=f.message, advice=f.advice)
                for f in read.flaws
            )
        )
    before = data.decode("utf-8")
    tree = _yaml().load(before)
    clean = _written(tree)
    edit(tree)
    after = _written(tree)
    if after == clean:
        return data
    meaning = _meaning(after)
    # Files in another layout than ours keep their lines: only the edit is carried over.
    for candidate in (_carried(before, clean, after), after):
        if _meaning(candidate) == meaning is not None:
            return candidate.encode()
    message = "the edit cannot be written without damage"
    raise ControlbookError(message, place=path, advice="make it by hand")


def text(value: str) -> str:
    """Give a text to put into a tree: quoted, or a block where it has several lines."""
    clean = tidy(value)
    made: str = (
        LiteralScalarString(clean) if "\n" in clean else DoubleQuotedScalarString(clean)
    )
    return made


def listing(values: Sequence[str]) -> Any:  # noqa: ANN401 - ruamel has no types
    """Give a list of texts on one line."""
    made = CommentedSeq(text(value) for value in values)
    made.fa.set_flow_style()
    return made


def table(values: Mapping[str, Any], *, inline: bool = False) -> Any:  # noqa: ANN401 - ruamel has no types
    """Give a mapping; plain texts in it are quoted."""
    made = CommentedMap(
        (key, text(value) if type(value) is str else value)
        for key, value in values.items()
    )
    if inline:
        made.fa.set_flow_style()
    return made


def key(name: str) -> str:
    """Give a key that is always quoted: a requirement's number is text."""
    made: str = DoubleQuotedScalarString(name)
    return made


def insert_sorted(
    tree: Any,  # noqa: ANN401 - ruamel has no types
    name: str,
    value: object,
    order: Callable[[str], object],
) -> None:
    """Put a new key behind the last one that sorts before it, moving no other."""
    place = len(tree)
    mine: Any = order(name)
    for position, other in enumerate(tree):
        if order(str(other)) < mine:
            place = position + 1
    if all(not order(str(other)) < mine for other in tree):
        place = 0
    tree.insert(place, key(name), value)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _written(tree: object) -> str:
    out = io.StringIO()
    _yaml().dump(tree, out)
    return out.getvalue()


def _meaning(written: str) -> object:
    read = parse(written.encode())
    return None if read.flaws or read.node is None else plain(read.node)


def _carried(before: str, clean: str, after: str) -> str:
    """Carry the change from `clean` to `after` over to the lines of `before`."""
    if before == clean:
        return after
    lines, ours, theirs = (
        each.splitlines(keepends=True) for each in (before, clean, after)
    )
    same = SequenceMatcher(a=ours, b=lines, autojunk=False).get_opcodes()
    out: list[str] = []
    done = 0
    for kind, start, end, first, last in SequenceMatcher(
        a=ours, b=theirs, autojunk=False
    ).get_opcodes():
        begin, stop = _there(same, start), _there(same, end)
        if kind == "equal":
            out += lines[max(begin, done) : stop]
        else:
            out += theirs[first:last]
        done = max(done, stop)
    return "".join([*out, *lines[done:]])


def _there(same: Sequence[tuple[str, int, int, int, int]], line: int) -> int:
    """Find where a line of the clean text stands in the original."""
    found = 0
    for _, start, end, first, last in same:
        if start <= line < end:
            # Lines that were only laid out anew pair off one by one.
            alike = last - first == end - start
            return first + (line - start if alike else 0)
        if line == end:
            found = last
    return found
