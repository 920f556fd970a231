# SPDX-License-Identifier: Apache-2.0
"""Digests: SHA-256, canonical JSON, Merkle roots.

Rules enforced here:
- canonical JSON is RFC 8785 narrowed to strings and integers within ±(2^53−1): no
  floats, null or booleans; keys ASCII; text in NFC; nothing after the value;
- reading demands the canonical bytes back, so one document has one spelling;
- Merkle trees follow RFC 9162 section 2.1: leaf = H(0x00 ‖ record),
  node = H(0x01 ‖ left ‖ right), split at the largest power of two below n.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

Json: TypeAlias = "str | int | list[Json] | dict[str, Json]"
"""What canonical JSON may hold."""

LIMIT = 2**53 - 1
_ROOM = 1024
_SHOWN = 60
"""So much of a text stands in a message."""
ZERO = "0" * 64
"""The `prev` of a chain's first link."""


class NotCanonicalError(ValueError):
    """The bytes are not one canonical JSON document."""


def sha256(data: bytes) -> str:
    """Give the SHA-256 of bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: object) -> bytes:
    """Write a value as canonical JSON bytes (RFC 8785, narrowed; no final newline).

    Tuples count as lists. Raises NotCanonicalError for floats, booleans, None,
    integers out of range, non-ASCII keys and text that is not NFC.
    """
    _check(value)
    return _written(value)


def refuse_uncanonical(value: object) -> None:
    """Raise NotCanonicalError for what `canonical` would refuse, and write nothing."""
    _check(value)


def digest_of(value: object) -> str:
    """Give the SHA-256 of a value's canonical JSON."""
    return sha256(canonical(value))


def parse_canonical(data: bytes) -> Json:
    """Read canonical JSON bytes and demand that re-encoding gives the same bytes.

    Raises NotCanonicalError for anything else: duplicate keys, floats, NaN, white
    space, lone surrogates, broken UTF-8, nesting too deep to read.
    """
    try:
        value: Json = orjson.loads(data)
        _check(value)
        same = orjson.dumps(value, option=orjson.OPT_SORT_KEYS) == data
    except (ValueError, RecursionError):
        same = False
    return value if same else _parsed_with_care(data)


def _parsed_with_care(data: bytes) -> Json:
    """Read canonical JSON, or say what is wrong with it."""
    try:
        text = data.decode("utf-8")
        value: Json = _LOADS(text)
        _check(value)
        again = _DUMPS(value).encode()
        if again != data:
            # The key that stands twice is named, where that is why the bytes differ.
            json.loads(text, object_pairs_hook=_unique)
    except NotCanonicalError:
        raise
    except (ValueError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise NotCanonicalError(message) from error
    if again != data:
        message = "JSON, but not in canonical form"
        raise NotCanonicalError(message)
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            message = f"the key {key!r} stands twice"
            raise NotCanonicalError(message)
        found[key] = value
    return found


def _refuse(text: str) -> NoReturn:
    message = f"{text} is not a whole number"
    raise NotCanonicalError(message)


def _whole(text: str) -> int:
    number = int(text)
    if not -LIMIT <= number <= LIMIT:
        message = f"{text} is beyond 2^53-1"
        raise NotCanonicalError(message)
    return number


_LOADS = json.JSONDecoder(
    parse_float=_refuse, parse_int=_whole, parse_constant=_refuse
).decode
_DUMPS = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False
).encode


def _written(value: object) -> bytes:
    """Write what was checked; orjson escapes as `json` does, and is five times as fast.

    Keys that are a kind of text, and nesting of hundreds, are left to `json`.
    """
    try:
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return _DUMPS(value).encode()
    # orjson starts with room for 1 KiB, most of which stays with what it gives: a copy
    # takes what it needs, and very many records are held.
    return data if len(data) >= _ROOM else bytes(memoryview(data))


def _check(value: object) -> None:
    if isinstance(value, dict):
        _check_keys(value)
        _check_all(value.values())
    elif isinstance(value, (list, tuple)):
        _check_all(value)
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        message = f"{value!r} has no canonical form here"
        raise NotCanonicalError(message)
    elif not -LIMIT <= value <= LIMIT:
        message = f"{value} is beyond 2^53-1"
        raise NotCanonicalError(message)


def _check_keys(value: dict[object, object]) -> None:
    try:
        fine = "".join(value).isascii()  # type: ignore[arg-type] # what is no text raises
    except TypeError:
        fine = False
    if fine:
        return
    for key in value:
        if not isinstance(key, str) or not key.isascii():
            message = f"the key {key!r} is not ASCII text"
            raise NotCanonicalError(message)


def _check_all(values: Iterable[object]) -> None:
    for value in values:
        # Most of what is written is plain: not worth a call each.
        kind = type(value)
        if kind is str:
            if not value.isascii():  # type: ignore[attr-defined] # it is text
                _check_text(value)  # type: ignore[arg-type]
        elif kind is dict:
            _check_keys(value)  # type: ignore[arg-type]
            _check_all(value.values())  # type: ignore[attr-defined]
        elif kind is list or kind is tuple:
            _check_all(value)  # type: ignore[arg-type]
        elif kind is not int or not -LIMIT <= value <= LIMIT:  # type: ignore[operator]
            _check(value)


def _check_text(text: str) -> None:
    if not unicodedata.is_normalized("NFC", text):
        message = f"{text[:_SHOWN]!r} is not in Unicode normal form C"
        raise NotCanonicalError(message)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{text[:_SHOWN]!r} holds a lone surrogate"
        raise NotCanonicalError(message) from error


def leaf_hash(record: bytes) -> bytes:
    """Hash one record as a Merkle leaf (RFC 9162): 32 bytes."""
    return hashlib.sha256(b"\x00" + record).digest()


def merkle_root(records: Iterable[bytes]) -> str:
    """Give the RFC 9162 Merkle tree hash over records, in order, as hex."""
    return root_of_hashes(map(leaf_hash, records))


def root_of_hashes(leaves: Iterable[bytes]) -> str:
    """Give the Merkle root, as hex, over leaf hashes, of which a few are held."""
    # Whole subtrees of the RFC's split at the largest power of two below n, the
    # largest first: what a leaf completes is folded at once, the rest at the end.
    whole: list[bytes] = []
    for count, leaf in enumerate(leaves, 1):
        node, done = leaf, count
        while not done & 1:
            node = _node(whole.pop(), node)
            done >>= 1
        whole.append(node)
    if not whole:
        return hashlib.sha256(b"").hexdigest()
    root = whole.pop()
    while whole:
        root = _node(whole.pop(), root)
    return root.hex()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
