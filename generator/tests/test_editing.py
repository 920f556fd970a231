# SPDX-License-Identifier: Apache-2.0
"""An edit changes what it is about; everything else keeps its bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.editing import edited, insert_sorted, key, listing, table, text
from controlbook.errors import InvalidFiles
from controlbook.kinds.frameworks import natural
from controlbook.yamltext import parse, plain

ROOT = Path(__file__).parents[2]
SMALL = Path(__file__).parent / "data" / "small"
CONTENT = sorted(
    path
    for root in (ROOT, SMALL)
    for folder in ("controls", "frameworks", "signoffs", "evidence")
    for path in (root / folder).rglob("*.yml")
)

ODD = b"""\
# A head that stays.
id: 'single'   # two spaces before
title:   "Wide"
labels:\x20
  satisfied: "In Place"
requirements:

  "1": {title: "One"}     # flow
  # between
  "2":
      title: "Deep"
      controls:
      - "a"   # no indent
"""

Tree = Any  # what ruamel builds


def tree_of(data: bytes) -> Tree:
    node = parse(data).node
    assert node is not None
    return plain(node)


LONG = 100_000
"""Bytes of a file that takes seconds to go through."""
FILES = [
    pytest.param(
        path,
        id=str(path.relative_to(ROOT)),
        marks=[pytest.mark.slow] if path.stat().st_size > LONG else [],
    )
    for path in CONTENT
]


def test_there_is_content_to_try() -> None:
    assert len(CONTENT) > 20


@pytest.mark.parametrize("path", FILES)
def test_an_edit_that_changes_nothing_gives_the_same_bytes(path: Path) -> None:
    data = path.read_bytes()
    assert edited(str(path), data, lambda _: None) == data


@pytest.mark.parametrize("path", FILES)
def test_a_new_last_key_leaves_every_line_of_a_file_alone(path: Path) -> None:
    data = path.read_bytes()

    def add(tree: Tree) -> None:
        tree["added"] = text("new")

    after = edited(str(path), data, add)
    assert after == data.removesuffix(b"\n") + b'\nadded: "new"\n'


def test_comments_order_and_odd_layout_survive_an_edit() -> None:
    def edit(tree: Tree) -> None:
        tree["requirements"]["2"]["controls"].append(text("b"))
        insert_sorted(
            tree["requirements"], "1.1", table({"title": "One, one"}), natural
        )

    after = edited("x.yml", ODD, edit)
    assert tree_of(after)["requirements"] == {
        "1": {"title": "One"},
        "1.1": {"title": "One, one"},
        "2": {"title": "Deep", "controls": ["a", "b"]},
    }
    for comment in (b"# A head that stays.", b"# between", b"# flow", b"# no indent"):
        assert comment in after
    assert list(tree_of(after)) == list(tree_of(ODD))


def test_a_file_in_another_layout_keeps_its_lines_where_it_can() -> None:
    def edit(tree: Tree) -> None:
        tree["title"] = text("Wider")

    after = edited("x.yml", ODD, edit)
    assert after == ODD.replace(b'title:   "Wide"', b'title: "Wider"')


def test_numbers_come_in_natural_order_and_quoted() -> None:
    data = b'requirements:\n  "3.9":\n    title: "Nine"\n  "4":\n    title: "Four"\n'

    def edit(tree: Tree) -> None:
        for number in ("3.10", "3.2"):
            insert_sorted(tree["requirements"], number, table({"title": "x"}), natural)

    after = edited("x.yml", data, edit)
    assert list(tree_of(after)["requirements"]) == ["3.2", "3.9", "3.10", "4"]
    assert b'  "3.10":\n' in after


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"a: 1\na: 2\n", id="twice"),
        pytest.param(b"a: [\n", id="broken"),
        pytest.param(b"", id="empty"),
        pytest.param(b"a: &x y\nb: *x\n", id="alias"),
    ],
)
def test_a_broken_file_is_not_edited(data: bytes) -> None:
    with pytest.raises(InvalidFiles, match=r"x\.yml:[12]: "):
        edited("x.yml", data, lambda _: None)


WORDS = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=200)


@given(st.lists(WORDS, max_size=4), WORDS)
def test_whatever_is_put_in_reads_back(words: list[str], one: str) -> None:
    import unicodedata  # noqa: PLC0415 - what the dialect asks of text

    words = [unicodedata.normalize("NFC", word) for word in words]
    one = unicodedata.normalize("NFC", one)

    def edit(tree: Tree) -> None:
        tree["words"] = listing(words)
        tree[key("10")] = table({"one": one}, inline=True)

    after = edited("x.yml", b'# head\nid: "x"\n', edit)
    assert tree_of(after) == {"id": "x", "words": words, "10": {"one": one}}
    assert after.startswith(b'# head\nid: "x"\n')
