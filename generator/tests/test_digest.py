# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from controlbook.digest import (
    LIMIT,
    NotCanonicalError,
    canonical,
    digest_of,
    leaf_hash,
    merkle_root,
    parse_canonical,
    root_of_hashes,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(
    lambda text: unicodedata.normalize("NFC", text)
)
keys = st.text(st.characters(max_codepoint=127), max_size=8)
values = st.recursive(
    texts | st.integers(-LIMIT, LIMIT),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=20,
)


@given(values)
def test_canonical_form_equals_rfc8785_and_reads_back(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert parse_canonical(canonical(value)) == value


@pytest.mark.threat("T20")
@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b"[1.0]",
        b"[NaN]",
        b"[1e400]",
        b"[9007199254740993]",
        b'["\\ud800"]',
        b'"\\u0041"',
        b"[true]",
        b"[null]",
        b"[1]\n",
        b"\xff",
        b"",
        b"[" * 100_000,
        '"é"'.encode("latin-1"),
        '"e\u0301"'.encode(),
    ],
    ids=lambda data: repr(data[:14]),
)
def test_anything_but_the_canonical_bytes_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonicalError):
        parse_canonical(data)


odd = st.floats() | st.booleans() | st.none() | st.integers()
wild = st.recursive(
    texts | odd | st.sampled_from(["true", "1.5", ":1e9", "[1234567890123456"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner)
    ),
    max_leaves=8,
)


@given(wild)
def test_what_reads_is_what_can_be_written(value: object) -> None:
    written = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode("utf-8", "surrogatepass")
    try:
        data = canonical(value)
    except NotCanonicalError:
        with pytest.raises(NotCanonicalError):
            parse_canonical(written)
    else:
        assert parse_canonical(written) == value
        assert data == written


@pytest.mark.parametrize("value", [1.5, None, True, {1: "x"}, {"é": "x"}, object()])
def test_values_without_a_canonical_form_are_refused(value: object) -> None:
    with pytest.raises(NotCanonicalError):
        digest_of(value)


LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]


@pytest.mark.parametrize(
    ("count", "head"),
    [
        (0, "e3b0c442"),
        (1, "6e340b9c"),
        (2, "fac54203"),
        (3, "aeb6bcfe"),
        (8, "5dc9da79"),
    ],
)
def test_merkle_roots_equal_the_known_answers(count: int, head: str) -> None:
    assert merkle_root(bytes.fromhex(leaf) for leaf in LEAVES[:count])[:8] == head


def recursive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = recursive_root(leaves[:split]), recursive_root(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_folding_level_by_level_equals_the_recursive_definition() -> None:
    for count in range(130):
        leaves = [bytes([n]) for n in range(count)]
        assert merkle_root(leaves) == recursive_root(leaves).hex()


def test_no_two_orders_or_cuts_of_leaves_share_a_root() -> None:
    roots = [
        merkle_root(order)
        for size in range(4)
        for order in itertools.permutations([b"a", b"b", b"ab"], size)
    ]
    assert len(set(roots)) == len(roots)


def test_a_leaf_is_not_a_node() -> None:
    pair = leaf_hash(b"a") + leaf_hash(b"b")
    assert merkle_root([pair]) != root_of_hashes([leaf_hash(b"a"), leaf_hash(b"b")])


HELD = """
from controlbook.digest import canonical
def size():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
before = size()
lines = [canonical({"number": n, "text": "x" * 300}) for n in range(50_000)]
print(size() - before, sum(map(len, lines)))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
def test_lines_that_are_held_take_hardly_more_than_their_length() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELD], capture_output=True, text=True, check=True
    )
    taken, length = map(int, done.stdout.split())
    assert taken < length * 1.7
