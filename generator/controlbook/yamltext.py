# SPDX-License-Identifier: Apache-2.0
"""The one dialect of YAML that people write here: everything is text.

Rules enforced here:
- at most 1 MiB of UTF-8 in Unicode normal form C; no control, bidirectional or
  zero-width character anywhere, written plainly or as an escape;
- one document; no aliases, anchors, tags or directives; at most 32 levels;
- a mapping names each key once, and keys are plain ASCII text;
- no scalar is ever converted. A plain one that some other YAML reader would turn into
  a number, date, boolean or nothing carries that fact, so that readers can refuse it.

Every flaw carries its line. Only the event stream of the C parser is used: nodes are
built here, so nothing is expanded, resolved or constructed behind our back.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from _ruamel_yaml import CParser  # type: ignore[import-not-found]
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32

_KEPT = 4096
"""Parsed files kept by their bytes: many trees of one history share most files."""


class Flaw(NamedTuple):
    """One thing wrong in one text: where, what, and what to do."""

    line: int
    message: str
    advice: str = ""


class Scalar(NamedTuple):
    """One value, as text."""

    text: str
    line: int
    reads_as: str = ""
    """What another YAML reader would make of it (`a number`, …); empty: text."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A sequence of nodes."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; keys keep their order and the line on which they stand."""

    entries: Mapping[str, Node]
    lines: Mapping[str, int]
    line: int


Node: TypeAlias = Scalar | Listing | Table


@dataclass(frozen=True, slots=True)
class Text:
    """A parsed file: its one node, or None where it cannot be read, and its flaws."""

    node: Node | None
    flaws: tuple[Flaw, ...]
    body: str = ""
    """What follows the front matter of a Markdown file."""


class _RefusedError(Exception):
    """Ends the reading of one text at the first thing that is not of the dialect."""

    def __init__(self, line: int, message: str, advice: str) -> None:
        super().__init__(message)
        self.flaw = Flaw(line, message, advice)


@lru_cache(maxsize=_KEPT)
def parse(data: bytes) -> Text:
    """Read one YAML text; flaws are collected, and the node is None if none is safe."""
    text, flaws = _decode(data)
    if flaws:
        return Text(None, flaws)
    return _parse(text, 0)


@lru_cache(maxsize=_KEPT)
def front_matter(data: bytes) -> Text:
    """Read a Markdown text that starts with YAML between two lines `---`."""
    text, flaws = _decode(data)
    if flaws:
        return Text(None, flaws)
    head, found, body = text.partition("\n---\n")
    if text.endswith("\n---") and not found:
        head, found, body = text[: -len("\n---")], "---", ""
    if not found or not head.startswith("---\n"):
        advice = "begin with a line ---, then the fields, then a line ---"
        return Text(None, (Flaw(1, "the file has no front matter", advice),))
    front = _parse(head[len("---\n") :], 1)
    return Text(front.node, front.flaws, body)


def plain(node: Node) -> str | list[Any] | dict[str, Any]:
    """Give a node as lists, dictionaries and text, ready for canonical JSON."""
    match node:
        case Scalar():
            return node.text
        case Listing():
            return [plain(item) for item in node.items]
        case Table():
            return {key: plain(value) for key, value in node.entries.items()}


# --- characters ---------------------------------------------------------------


def _decode(data: bytes) -> tuple[str, tuple[Flaw, ...]]:
    if len(data) > MAX_BYTES:
        size = f"the file has {len(data)} bytes; the limit is {MAX_BYTES}"
        return "", (Flaw(1, size, "split it"),)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", (Flaw(line, "the file is not UTF-8", "save it as UTF-8"),)
    if bad := bad_characters(text):
        where = text.index(bad[0])
        names = ", ".join(named(char) for char in bad)
        return "", (
            Flaw(
                text.count("\n", 0, where) + 1,
                f"it holds characters that cannot be seen: {names}",
                "save with LF line ends and without them",
            ),
        )
    if not unicodedata.is_normalized("NFC", text):
        line = next(
            number
            for number, part in enumerate(text.split("\n"), 1)
            if not unicodedata.is_normalized("NFC", part)
        )
        advice = "write accented letters as one character (Unicode NFC)"
        return "", (Flaw(line, "it holds letters in decomposed form", advice),)
    return text, ()


_ASCII_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def bad_characters(text: str) -> tuple[str, ...]:
    """List the control, bidirectional and zero-width characters of a text, once each.

    Line feed and tab are the only ones allowed.
    """
    if text.isascii():
        return tuple(dict.fromkeys(_ASCII_CONTROL.findall(text)))
    return tuple(
        char
        for char in dict.fromkeys(text)
        if unicodedata.category(char) in _UNSEEN and char not in "\n\t"
    )


def named(char: str) -> str:
    """Name a character by its code point, for eyes that it deceives."""
    name = unicodedata.name(char, "") or "control character"
    return f"U+{ord(char):04X} {name}"


# --- nodes --------------------------------------------------------------------


def _parse(text: str, offset: int) -> Text:
    builder = _Builder(text, offset)
    try:
        node = builder.document()
    except _RefusedError as error:
        return Text(None, (*builder.flaws, error.flaw))
    except YAMLError as error:
        last = text.removesuffix("\n").count("\n")
        return Text(None, (*builder.flaws, _syntax_flaw(error, last, offset)))
    return Text(node, tuple(builder.flaws))


def _syntax_flaw(error: YAMLError, last: int, offset: int) -> Flaw:
    line, what = 1, str(error).split("\n", maxsplit=1)[0]
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, last) + 1 if mark else 1
        what = ", ".join(part for part in (error.context, error.problem) if part)
    advice = "check quotes, indentation and brackets; quote texts that hold a colon"
    return Flaw(line + offset, f"broken YAML: {what}", advice)


class _Builder:
    """Builds nodes from the event stream and refuses what the dialect leaves out."""

    def __init__(self, text: str, offset: int) -> None:
        self._parser = CParser(text)
        self._next: Callable[[], Any] = self._parser.get_event
        self._offset = offset + 1
        self._has_escapes = "\\" in text
        self.flaws: list[Flaw] = []

    def document(self) -> Node | None:
        nodes: list[Node] = []
        for event in self._events():
            kind = type(event)
            if kind is DocumentStartEvent and (event.version or event.tags):
                self._refuse(event, "a % directive", "remove it")
            if kind is DocumentStartEvent and nodes:
                self._refuse(event, "a second document", "one file, one document")
            if kind in {ScalarEvent, SequenceStartEvent, MappingStartEvent}:
                nodes.append(self._node(event, 1))
            elif kind is AliasEvent:
                self._refuse(event, "an alias (*…)", "write the value out")
        if not nodes:
            self.flaws.append(Flaw(self._offset, "the file is empty", "fill it in"))
            return None
        return nodes[0]

    # The event classes have no annotations of their own, hence Any.
    def _events(self) -> Iterator[Any]:
        while self._parser.check_event():
            yield self._next()

    def _line(self, event: Any) -> int:  # noqa: ANN401
        return int(event.start_mark.line) + self._offset

    def _refuse(self, event: Any, what: str, advice: str) -> None:  # noqa: ANN401
        message = f"YAML here has no place for {what}"
        raise _RefusedError(self._line(event), message, advice)

    def _node(self, event: Any, depth: int) -> Node:  # noqa: ANN401
        kind = type(event)
        # Nearly every event is a scalar: it takes the shortest way.
        if kind is ScalarEvent and event.anchor is None and event.tag is None:
            return self._scalar(event)
        if kind is AliasEvent:
            self._refuse(event, "an alias (*…)", "write the value out")
        if event.anchor is not None:
            self._refuse(event, "an anchor (&…)", "remove it")
        if event.tag is not None:
            self._refuse(event, f"a tag ({event.tag})", "remove it; all is text")
        if depth > MAX_DEPTH:
            self._refuse(event, f"more than {MAX_DEPTH} levels", "flatten it")
        if kind is SequenceStartEvent:
            return self._listing(event, depth)
        return self._table(event, depth)

    def _scalar(self, event: Any) -> Scalar:  # noqa: ANN401
        text, line = event.value, event.start_mark.line + self._offset
        if not event.style:
            return Scalar(text, line, reads_as(text))
        if self._has_escapes and event.style == '"':
            if bad := bad_characters(text):
                names = ", ".join(named(char) for char in bad)
                message = f"an escape hides a character that cannot be seen: {names}"
                self.flaws.append(Flaw(line, message, "remove it"))
            elif not unicodedata.is_normalized("NFC", text):
                message = "an escape makes letters in decomposed form"
                self.flaws.append(Flaw(line, message, "write them plainly"))
        return Scalar(text, line)

    def _listing(self, start: Any, depth: int) -> Listing:  # noqa: ANN401
        items: list[Node] = []
        while type(event := self._next()) is not SequenceEndEvent:
            items.append(self._node(event, depth + 1))
        return Listing(tuple(items), self._line(start))

    def _table(self, start: Any, depth: int) -> Table:  # noqa: ANN401
        entries: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while type(event := self._next()) is not MappingEndEvent:
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                self._refuse(event, "a key that is not text", "write a name")
            value = self._node(self._next(), depth + 1)
            name, line, converts = key  # type: ignore[misc] # refused above
            if name in lines or converts or not name.isascii():
                self._check_key(key, lines)  # type: ignore[arg-type] # refused above
            lines.setdefault(name, line)
            entries.setdefault(name, value)
        return Table(entries, lines, self._line(start))

    def _check_key(self, key: Scalar, lines: Mapping[str, int]) -> None:
        if key.text in lines:
            first = lines[key.text]
            message = f"the key {key.text!r} stands twice, first in line {first}"
            self.flaws.append(Flaw(key.line, message, "keep one of the two"))
        if key.reads_as:
            self.flaws.append(Flaw(key.line, *converted(key)))
        if not key.text.isascii():
            message = f"the key {key.text!r} holds letters beyond ASCII"
            self.flaws.append(Flaw(key.line, message, "write keys in ASCII"))


# --- what other readers would make of a plain scalar ----------------------------

_OTHERWISE = (
    ("nothing", re.compile(r"~|null|Null|NULL|")),
    (
        "a boolean",
        re.compile(
            "y|Y|n|N|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE"
            "|on|On|ON|off|Off|OFF"
        ),
    ),
    ("a date", re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[Tt \t].*)?", re.ASCII)),
    (
        "a number",
        re.compile(
            r"[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.[\d_]+)(?:[eE][-+]?\d+)?"
            r"|[-+]?0[xX][\da-fA-F_]+|[-+]?0[oO]?[0-7_]+|[-+]?0[bB][01_]+"
            r"|[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
            re.ASCII,
        ),
    ),
    ("a merge", re.compile("<<|=")),
)


def reads_as(text: str) -> str:
    """Tell what a YAML 1.1 or 1.2 reader makes of a plain scalar; empty: text."""
    if text and text[0] not in "~nNyYtTfFoO0123456789-+.<=":
        return ""
    for kind, pattern in _OTHERWISE:
        if pattern.fullmatch(text):
            return kind
    return ""


def converted(scalar: Scalar) -> tuple[str, str]:
    """Say that another reader would convert a plain scalar, and what to do."""
    if not scalar.text:
        return "there is no value", 'write one, or "" for none'
    text = scalar.text
    became = ""
    if scalar.reads_as == "a number" and re.fullmatch(r"\d+\.\d*0+", text):
        became = f" ({text} would become {float(text):g})"
    elif scalar.reads_as == "a number" and re.fullmatch(r"0\d+", text):
        became = " (the leading zero would be lost)"
    return (
        f"{text} is {scalar.reads_as} to other YAML readers{became}",
        f'quote it: "{text}"',
    )
