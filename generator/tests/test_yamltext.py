# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controlbook.yamltext import (
    MAX_BYTES,
    MAX_DEPTH,
    Scalar,
    Table,
    front_matter,
    parse,
    plain,
    reads_as,
)


def only_flaw(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    flaws = parse(data).flaws
    assert len(flaws) == 1, flaws
    return f"{flaws[0].line}: {flaws[0].message}; {flaws[0].advice}"


def test_every_scalar_stays_text_and_tells_its_line() -> None:
    node = parse(b'a: "3.10"\nb:\n  - 0123\n').node
    assert plain(node) == {"a": "3.10", "b": ["0123"]}
    assert isinstance(node, Table)
    assert node.entries["a"] == Scalar("3.10", 1)
    assert node.lines == {"a": 1, "b": 2}


@pytest.mark.threat("T65")
@pytest.mark.threat("T69")
@pytest.mark.threat("T72")
@pytest.mark.threat("T74")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: [1, 2", "1: broken YAML", id="open-bracket"),
        pytest.param("x: y\n\ta: 1\n", "2: broken YAML", id="tab"),
        pytest.param("a: b: c\n", "quote texts that hold a colon", id="colon"),
        pytest.param(
            "a: {s: 2028-01-01T00:00:00Z}\n", "1: broken YAML", id="time-in-flow-map"
        ),
        pytest.param(
            "a: x\nb: y\na: z\n",
            "3: the key 'a' stands twice, first in line 1",
            id="duplicate-key",
        ),
        pytest.param("a: &x y\n", "1: YAML here has no place for an anchor", id="&"),
        pytest.param("a: *x\n", "1: YAML here has no place for an alias", id="*"),
        pytest.param("*x : y\n", "1: YAML here has no place for an alias", id="*key"),
        pytest.param("*x\n", "1: YAML here has no place for an alias", id="*root"),
        pytest.param("a: !!str 3\n", "a tag (tag:yaml.org,2002:str)", id="tag"),
        pytest.param("a: !x\n  b: c\n", "a tag (!x)", id="tag-on-mapping"),
        pytest.param("%YAML 1.1\n---\na: b\n", "a % directive", id="directive"),
        pytest.param("a: b\n---\nc: d\n", "2: YAML here has no", id="two-documents"),
        pytest.param("? [a]\n: b\n", "a key that is not text", id="list-as-key"),
        pytest.param("", "1: the file is empty", id="empty"),
        pytest.param("3.10: x\n", 'would become 3.1); quote it: "3.10"', id="3.10"),
        pytest.param("no: x\n", "no is a boolean to other YAML readers", id="key-no"),
        pytest.param("ä: x\n", "letters beyond ASCII", id="key-beyond-ascii"),
        pytest.param("a: x\r\n", "U+000D", id="carriage-return"),
        pytest.param("a: x\nb: \u202ey\n", "2: it holds char", id="bidi"),
        pytest.param("a: x\u200by\n", "U+200B ZERO WIDTH SPACE", id="zero-width"),
        pytest.param('a: "\\u202e"\n', "U+202E RIGHT-TO-LEFT OVERRIDE", id="escape"),
        pytest.param("a: o\u0308\n", "1: it holds letters in decomposed", id="nfd"),
        pytest.param('a: "o\\u0308"\n', "an escape makes letters", id="nfd-escape"),
        pytest.param(b"a: x\nb: \xff\n", "2: the file is not UTF-8", id="latin-1"),
        pytest.param(b"a: x\x00\n", "U+0000", id="nul"),
        pytest.param("\ufeffa: x\n", "U+FEFF", id="byte-order-mark"),
    ],
)
def test_what_the_dialect_leaves_out_is_refused(text: str | bytes, says: str) -> None:
    assert says in only_flaw(text)


@pytest.mark.threat("T74")
def test_depth_is_limited_before_it_costs_anything() -> None:
    fine = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert not parse(f"a: {fine}\n".encode()).flaws
    assert "more than 32 levels" in only_flaw("[" * 500_000)


@pytest.mark.threat("T73")
def test_t73_a_billion_laughs_end_at_the_first_anchor() -> None:
    laughs = "".join(f"x{n}: &x{n} [{f'*x{n - 1},' * 9}]\n" for n in range(1, 40))
    started = time.process_time()
    assert only_flaw(f"x0: &x0 lol\n{laughs}").startswith("1: YAML here has no place")
    assert only_flaw("a: &a [*a]\n").startswith("1: YAML here has no place")
    assert time.process_time() - started < 1


def test_size_is_limited() -> None:
    assert "the limit is 1048576" in only_flaw(b"#" * (MAX_BYTES + 1))


def test_front_matter_keeps_the_lines_of_the_file_and_the_body_as_written() -> None:
    text = front_matter(b'---\na: "b"\na: "c"\n---\nbody\n---\nmore\n')
    assert text.flaws[0].line == 3
    assert text.body == "body\n---\nmore\n"


@pytest.mark.parametrize("data", [b"", b"text\n", b"---\na: b\n", b"a: b\n---\nx"])
def test_markdown_without_front_matter_is_refused(data: bytes) -> None:
    assert front_matter(data).node is None
    assert front_matter(data).flaws


def test_front_matter_may_end_the_file() -> None:
    assert front_matter(b"---\na: b\n---").body == ""
    assert plain(front_matter(b"---\na: b\n---\n").node) == {"a": "b"}


CONVERTED = (
    "3.10 0123 17 1_000 0x1F 0o17 0b11 1:30 -1 +1 1e3 .5 1. .inf -.INF .nan "
    "2028-01-01 2028-1-1 2028-01-01T00:00:00Z ~ null yes No ON off true FALSE y N = <<"
)


@pytest.mark.threat("T75")
@pytest.mark.parametrize("text", CONVERTED.split())
def test_a_plain_scalar_that_some_reader_converts_is_marked(text: str) -> None:
    assert reads_as(text)
    assert parse(f"a: {text}\n".encode()).node.entries["a"].reads_as  # type: ignore[union-attr] # a table
    assert not parse(f'a: "{text}"\n'.encode()).node.entries["a"].reads_as  # type: ignore[union-attr] # a table


def test_a_missing_value_reads_as_nothing() -> None:
    assert parse(b"a:\n").node.entries["a"].reads_as == "nothing"  # type: ignore[union-attr] # a table


@pytest.mark.parametrize(
    "text", ["1.2.1", "AC-2(1)", "Art.32", "3.x", "l-haddad", "not-applicable", "N/A"]
)
def test_ordinary_words_read_as_text(text: str) -> None:
    assert not reads_as(text)


@given(st.text(alphabet="0123456789.eE+-:_xobaflnyNTZ~", max_size=12))
def test_what_another_reader_makes_text_of_is_text_for_all_or_marked(text: str) -> None:
    """PyYAML (YAML 1.1) as the other reader: whatever it converts is marked."""
    node = parse(f"a: {text}\n".encode()).node
    if not isinstance(node, Table):
        return
    scalar = node.entries["a"]
    if not isinstance(scalar, Scalar) or scalar.reads_as:
        return
    try:
        other = yaml.safe_load(f"a: {text}\n")["a"]
    except (yaml.YAMLError, ValueError):
        return
    assert other == scalar.text


trees = st.recursive(
    st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text("abcdefg", min_size=1, max_size=5), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abcdefg", min_size=1), trees, min_size=1, max_size=4))
def test_a_quoted_tree_comes_back_as_it_was(tree: dict[str, object]) -> None:
    data = yaml.safe_dump(tree, default_style='"', allow_unicode=True).encode()
    node = parse(data).node
    assert node is not None
    assert plain(node) == tree


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    text = parse(data)
    assert text.node is not None or text.flaws
