# SPDX-License-Identifier: Apache-2.0
"""Random forgeries of the good bundle, each named by its number and made again from it.

A mutation changes bytes, lines, files or JSON values, one to three times; then the
forger lets nothing, the lists, or the tag too agree with it. Nobody can accept it.
"""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

from tampering import Files, rechained, resealed, retagged, without

from controlbook.digest import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = "controlbook"
ODD: tuple[Any, ...] = (
    "", "x", "../..", "9", "COMPLIANT", "NON_COMPLIANT", "2028-02-30T00:00:00Z",
    "2028-02-14T03:12:00Z", "0" * 64, 0, 1, -1, 2**53 - 1, [], {}, [[]], [""],
    {"": ""}, "=1+1", "\u00e9",
)  # fmt: skip
NOISE = (b"\x00", b"\n", b"\r\n", b"\xff", b"null", b"{", b"]", b",", b"  ", b"\x1f")


def mutation(number: int, good: Files, other: Files) -> tuple[Files, str]:
    """Make the forgery of this number; tell what it did."""
    chance = Random(f"{SEED} {number}")  # noqa: S311 - to choose, not to hide
    files, told = good, []
    while files == good:
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            files, what = _forged(files, other, chance)
            told.append(what)
        seal = chance.choice(("nothing", "lists", "lists", "tag", "tag"))
        files = _sealed(files, seal)
        told.append(f"seal {seal}")
    return files, ", ".join(told)


def _sealed(files: Files, seal: str) -> Files:
    try:
        return {"nothing": dict, "lists": resealed, "tag": retagged}[seal](files)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return files  # what was forged cannot be read by the forger's own tools


def _forged(files: Files, other: Files, chance: Random) -> tuple[Files, str]:
    path = chance.choice(sorted(files))
    way: Callable[[Files, Files, str, Random], tuple[Files, str]]
    if path.endswith(".json") and chance.random() < 0.6:
        way = _value
    else:
        way = chance.choice((_bytes, _bytes, _lines, _lines, _files))
    changed, what = way(files, other, path, chance)
    return changed, f"{what} in {path}"


# --- bytes and lines -----------------------------------------------------------------


def _bytes(files: Files, _: Files, path: str, chance: Random) -> tuple[Files, str]:
    data = files[path]
    at = chance.randrange(len(data) + 1)
    to = min(len(data), at + chance.choice((1, 1, 2, 16, 200)))
    kind = chance.choice(("flip", "cut", "append", "insert", "delete", "repeat"))
    if kind == "flip" and at < len(data):
        bit = 1 << chance.randrange(8)
        data = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
    elif kind == "cut":
        data = data[:at]
    elif kind == "append":
        data += chance.choice(NOISE)
    elif kind == "insert":
        data = data[:at] + chance.choice(NOISE) + data[at:]
    elif kind == "delete":
        data = data[:at] + data[to:]
    else:
        data = data[:to] + data[at:]
    return {**files, path: data}, f"{kind} {at}"


def _lines(files: Files, _: Files, path: str, chance: Random) -> tuple[Files, str]:
    lines = files[path].splitlines(keepends=True) or [b""]
    at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
    kind = chance.choice(("drop line", "double line", "swap lines", "move line"))
    if kind == "drop line":
        del lines[at]
    elif kind == "double line":
        lines.insert(at, lines[at])
    elif kind == "swap lines":
        lines[at], lines[to] = lines[to], lines[at]
    else:
        lines.insert(to, lines.pop(at))
    return {**files, path: b"".join(lines)}, f"{kind} {at} {to}"


# --- files ---------------------------------------------------------------------------


def _files(files: Files, other: Files, path: str, chance: Random) -> tuple[Files, str]:
    twin = chance.choice(sorted(files))
    kind = chance.choice(("remove", "swap", "overwrite", "rename", "splice", "rechain"))
    if kind == "remove":
        return without(files, path), kind
    if kind == "swap":
        return {**files, path: files[twin], twin: files[path]}, f"swap with {twin}"
    if kind == "overwrite":
        return {**files, path: files[twin]}, f"overwrite by {twin}"
    if kind == "rename":
        name = f"{path}{chance.choice(('x', '.json', '~', ' (1)'))}"
        return {**without(files, path), name: files[path]}, f"rename to {name}"
    if kind == "splice":
        source = path if path in other else chance.choice(sorted(other))
        return {**files, path: other[source]}, f"splice {source}"
    try:
        return rechained(files), kind
    except (ValueError, TypeError):
        return files, f"{kind}, which failed,"


# --- values --------------------------------------------------------------------------


def _value(  # noqa: C901 - one branch a kind
    files: Files, _: Files, path: str, chance: Random
) -> tuple[Files, str]:
    """Change one value of a JSON document, and write it canonically again."""
    try:
        tree = json.loads(files[path])
    except ValueError:
        return files, "nothing"
    places = list(_places(tree))
    if not places:
        return files, "nothing"
    owner, key = chance.choice(places)
    kind = chance.choice(("odd", "other", "drop", "digit", "double", "shuffle"))
    value = owner[key]
    if kind == "odd":
        owner[key] = chance.choice(ODD)
    elif kind == "other":
        donor, name = chance.choice(places)
        owner[key] = donor[name]
    elif kind == "drop":
        del owner[key]
    elif kind == "double" and isinstance(owner, list):
        owner.insert(key, value)
    elif kind == "shuffle" and isinstance(owner, list):
        chance.shuffle(owner)
    elif isinstance(value, int):
        owner[key] = value + chance.choice((-1, 1))
    elif isinstance(value, str) and value:
        at = chance.randrange(len(value))
        owner[key] = value[:at] + chance.choice("0aZ:-") + value[at + 1 :]
    else:
        owner[key] = chance.choice(ODD)
    try:
        return {**files, path: canonical(tree)}, f"{kind} at {key!r}"
    except (ValueError, RecursionError):
        return files, "nothing"


def _places(tree: Any) -> Any:  # noqa: ANN401 - a parsed document
    """Yield every (owner, key) of a document."""
    rows = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(rows):
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from _places(value)
