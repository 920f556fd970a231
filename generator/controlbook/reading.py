# SPDX-License-Identifier: Apache-2.0
"""Getters that read one human file and say what is wrong with it, line by line.

Rules enforced here:
- every problem is collected with its line; none stops the reading of the rest;
- a key that nobody asked for is a problem, with the nearest known key;
- a value that other YAML readers would convert is refused: quote it;
- ids, logins, account numbers and digests have one pattern each, matched in full.
"""

from __future__ import annotations

import base64
import re
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

from .errors import Problem
from .model import ALL
from .timeline import Interval, instant, iso
from .yamltext import Listing, Scalar, Table, converted, named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from .timeline import Instant
    from .yamltext import Flaw, Node, Text

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.()_-]{0,63}\Z", re.ASCII)
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SSH_KEY = re.compile(
    r"(?P<kind>[a-z0-9@.-]+) (?P<body>[A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?\Z", re.ASCII
)
_WHOLE = re.compile(r"(?:0|[1-9][0-9]{0,14})\Z")


def key_flaw(text: str) -> str:
    """Say what makes a text no public SSH key; empty where it is one line of one.

    Options in front of a key would be taken for its validity or its namespaces.
    """
    found = _SSH_KEY.match(text)
    if not found:
        return "is no public SSH key (`type base64 comment`, on one line)"
    kind = found["kind"]
    try:
        body = base64.b64decode(found["body"], validate=True)
    except ValueError:
        return "is no public SSH key: its middle is not base64"
    if not body.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        return f"is no public SSH key of type {kind}"
    if kind == "ssh-dss" or "-cert-" in kind:
        return f"is of type {kind}, which does not count"
    return ""


def foreign(text: str) -> str:
    """Name the characters beyond ASCII that a text holds, or nothing (T65)."""
    chars = [char for char in dict.fromkeys(text) if not char.isascii()]
    return f"; it holds {', '.join(map(named, chars[:3]))}" if chars else ""


def id_flaw(text: str) -> str:
    """Say why a text cannot be an id (and a file name everywhere), or nothing."""
    if not _ID.match(text):
        return (
            f"{text!r} is no id: 1 to 64 letters, digits and .()_- "
            f"that start with a letter or digit{foreign(text)}"
        )
    if text.endswith("."):
        return f"{text!r} ends with a dot"
    if _DEVICE.match(text):
        return f"{text!r} is the name of a device on Windows"
    return ""


@lru_cache(maxsize=1024)
def _nearest(word: str, known: frozenset[str]) -> str:
    close = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return close[0] if close else ""


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Give the advice for an unknown word: the nearest known one, or all if few."""
    near = _nearest(word, frozenset(known))
    if near:
        return f"did you mean {near!r}?"
    few = 12
    if 0 < len(known) <= few:
        return "known: " + ", ".join(sorted(known))
    return ""


class Page:
    """One human file while it is read; its problems go to a common list."""

    def __init__(self, path: str, problems: list[Problem]) -> None:
        """Begin a file; `problems` collects what is wrong with it."""
        self.path = path
        self._problems = problems

    def problem(self, line: int, message: str, advice: str = "") -> None:
        """Note one thing wrong."""
        self._problems.append(
            Problem(path=self.path, line=line, message=message, advice=advice)
        )

    def flaws(self, flaws: Iterable[Flaw]) -> None:
        """Note what is wrong with the text itself."""
        for flaw in flaws:
            self.problem(flaw.line, flaw.message, flaw.advice)

    def fields(self, text: Text) -> Fields | None:
        """Give the file's fields, or None where it has none that can be read."""
        self.flaws(text.flaws)
        if isinstance(text.node, Table):
            return Fields(self, text.node, "")
        if text.node is not None:
            self.problem(1, "the file holds no fields", "write `key: value` lines")
        return None


class Fields:
    """The fields of one mapping of a file; each getter takes one and checks it."""

    def __init__(self, page: Page, table: Table, where: str) -> None:
        """Read a mapping; `where` names it in messages (`period.`)."""
        self.page = page
        self._table = table
        self._where = where
        self._asked: dict[str, None] = {}

    # --- places ---------------------------------------------------------------

    def line(self, key: str = "") -> int:
        """Give the line of a key, or of the mapping itself."""
        return self._table.lines.get(key, self._table.line)

    def value_line(self, key: str) -> int:
        """Give the line on which a key's value starts, or the key's."""
        node = self._table.entries.get(key)
        return node.line if node else self.line(key)

    def problem(self, key: str, message: str, advice: str = "") -> None:
        """Note a problem of one field."""
        self.page.problem(self.line(key), f"{self._where}{key}: {message}", advice)

    def __iter__(self) -> Iterator[str]:
        """Yield the keys as written."""
        return iter(self._table.entries)

    def has(self, key: str) -> bool:
        """Tell whether a key is written."""
        self._asked[key] = None
        return key in self._table.entries

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for key in self._table.entries:
            if key not in self._asked:
                self.page.problem(
                    self.line(key),
                    f"unknown key {self._where}{key}",
                    did_you_mean(key, self._asked),
                )

    # --- values ---------------------------------------------------------------

    def _node(self, key: str, *, required: bool) -> Node | None:
        self._asked[key] = None
        node = self._table.entries.get(key)
        if node is None and required:
            self.page.problem(
                self._table.line, f"{self._where}{key} is missing", "write it"
            )
        return node

    def _scalar(self, key: str, node: Node | None) -> str:
        if node is None:
            return ""
        if not isinstance(node, Scalar):
            self.problem(key, "is not one text", "write one value")
            return ""
        if node.reads_as:
            message, advice = converted(node)
            self.page.problem(node.line, f"{self._where}{key}: {message}", advice)
        return node.text

    def text(self, key: str, *, required: bool = True) -> str:
        """Take a text; a required one may not be empty."""
        node = self._node(key, required=required)
        value = self._scalar(key, node)
        readable = isinstance(node, Scalar) and not node.reads_as
        if required and readable and not value.strip():
            self.problem(key, "is empty", "fill it in")
        return value

    def optional(self, key: str) -> str:
        """Take a text that may be left out."""
        return self.text(key, required=False)

    def name(self, key: str, *, required: bool = True) -> str:
        """Take an id."""
        value = self.text(key, required=required)
        flaw = id_flaw(value) if value else ""
        if flaw:
            self.problem(key, flaw, "choose another")
        return value

    def same(self, key: str, expected: str, source: str) -> None:
        """Take a text that has to equal what another place says."""
        value = self.text(key)
        if value and value != expected:
            self.problem(key, f"{value!r} is not {source}", f"write {expected!r}")

    def choice(self, key: str, known: Sequence[str], default: str | None = None) -> str:
        """Take one word out of a closed set."""
        absent = key not in self._table.entries
        value = self.text(key, required=default is None)
        if not absent and value not in known:
            words = ", ".join(word for word in known if word)
            near = _nearest(value, frozenset(known))
            advice = f"did you mean {near!r}?" if near else ""
            self.problem(key, f"{value!r} is not one of {words}", advice)
        return value if value in known else default or ""

    def reference(self, key: str, known: Collection[str], noun: str) -> str:
        """Take the id of something that has to exist."""
        value = self.text(key)
        if value:
            self.refer(self.value_line(key), value, known, noun)
        return value

    def refer(self, line: int, value: str, known: Collection[str], noun: str) -> bool:
        """Note a problem where `value` names nothing known."""
        if value in known:
            return True
        self.page.problem(line, f"unknown {noun} {value!r}", did_you_mean(value, known))
        return False

    def matching(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        """Take a text that matches a pattern in full."""
        value = self.text(key)
        if value and not pattern.match(value):
            self.problem(key, f"{value!r} is not {what}{foreign(value)}")
        return value

    def digest(self, key: str) -> str:
        """Take a SHA-256."""
        return self.matching(key, _SHA256, "a SHA-256 (64 hex digits)")

    def whole(self, key: str) -> int:
        """Take a whole number, quoted or not: every reader agrees on it."""
        node = self._node(key, required=True)
        if node is None:
            return 0
        if not isinstance(node, Scalar) or not _WHOLE.match(node.text):
            self.problem(key, "is not a whole number")
            return 0
        return int(node.text)

    def day(self, key: str) -> str:
        """Take an optional date `YYYY-MM-DD`."""
        value = self.optional(key)
        if value and not (_DAY.match(value) and _instant(f"{value}T00:00:00Z")):
            self.problem(key, f"{value!r} is not a date like 2024-03-31")
        return value

    def moment(self, key: str, *, required: bool = True) -> Instant | None:
        """Take a UTC time stamp; "" or absence is None where it may be left out."""
        value = self.text(key, required=required)
        if not value:
            return None
        found = _instant(value)
        if found is None:
            message = f"{value!r} is not a UTC time like 2028-02-14T03:12:00Z"
            self.problem(key, message)
        return found

    def interval(self, key: str, *, required: bool = True) -> Interval | None:
        """Take `{start, end}`, half-open."""
        inner = self.table(key, required=required)
        if inner is None:
            return None
        found = inner.span(f"the {key}")
        inner.finish()
        return found

    def span(self, what: str) -> Interval | None:
        """Take `start` and `end` from these very fields."""
        start, end = self.moment("start"), self.moment("end")
        if start is None or end is None:
            return None
        if start >= end:
            self.page.problem(
                self.line("end"),
                f"{what} ends ({iso(end)}) before it starts ({iso(start)})",
                "the end is the first instant that no longer belongs to it",
            )
            return None
        return Interval(start, end)

    def table(self, key: str, *, required: bool = True) -> Fields | None:
        """Take a mapping."""
        node = self._node(key, required=required)
        if node is None:
            return None
        if not isinstance(node, Table):
            self.problem(key, "is no mapping", "write `name: value` lines under it")
            return None
        return Fields(self.page, node, f"{self._where}{key}.")

    def tables(self) -> Iterator[tuple[str, Fields]]:
        """Take every value of these fields as a mapping, with its key."""
        for key in self:
            inner = self.table(key)
            if inner is not None:
                yield key, inner

    def listing(
        self, key: str, *, required: bool = True, filled: bool = True
    ) -> tuple[tuple[int, str], ...]:
        """Take a list of texts, with their lines; each at most once."""
        found: dict[str, int] = {}
        for node in self._items(key, required=required, filled=filled):
            if not isinstance(node, Scalar):
                self.page.problem(node.line, f"{self._where}{key}: an item is no text")
                continue
            if node.reads_as:
                message, advice = converted(node)
                self.page.problem(node.line, f"{self._where}{key}: {message}", advice)
            if node.text in found:
                message = f"{self._where}{key}: {node.text!r} stands twice"
                self.page.problem(node.line, message, "keep one")
            found.setdefault(node.text, node.line)
        return tuple((line, text) for text, line in found.items())

    def all_or_listing(self, key: str) -> tuple[tuple[int, str], ...] | None:
        """Take a list of texts, or None for the one word `all`."""
        node = self._table.entries.get(key)
        if isinstance(node, Scalar) and node.text == ALL:
            self._asked[key] = None
            return None
        return self.listing(key)

    def rows(
        self, key: str, *, required: bool = True, filled: bool = True
    ) -> Iterator[Fields]:
        """Take a list of mappings."""
        for node in self._items(key, required=required, filled=filled):
            if isinstance(node, Table):
                yield Fields(self.page, node, f"{self._where}{key}: ")
            else:
                self.page.problem(
                    node.line, f"{self._where}{key}: an item is no mapping"
                )

    def texts_or_tables(self, key: str) -> Iterator[tuple[int, str | Fields]]:
        """Take a list in which a text is short for a mapping, with the lines."""
        for node in self._items(key, required=True, filled=True):
            if isinstance(node, Table):
                yield node.line, Fields(self.page, node, f"{self._where}{key}: ")
            elif isinstance(node, Scalar):
                if node.reads_as:
                    message, advice = converted(node)
                    where = f"{self._where}{key}: "
                    self.page.problem(node.line, where + message, advice)
                yield node.line, node.text
            else:
                message = f"{self._where}{key}: an item is neither text nor mapping"
                self.page.problem(node.line, message)

    def _items(self, key: str, *, required: bool, filled: bool) -> tuple[Node, ...]:
        node = self._node(key, required=required)
        if node is None:
            return ()
        if not isinstance(node, Listing):
            self.problem(
                key, "is no list", 'write ["…", "…"], or each on a line behind "- "'
            )
            return ()
        if filled and not node.items:
            self.problem(key, "is an empty list", "name at least one")
        return node.items


def _instant(text: str) -> Instant | None:
    try:
        return instant(text)
    except ValueError:
        return None
