# SPDX-License-Identifier: Apache-2.0
"""OSCAL catalogs and profiles, in JSON.

Rules enforced here:
- a control's number is its `label` where it has a plain one, else its id;
- groups and nested controls keep who stands under whom;
- a catalog's statements, parameters and guidance are never taken; a profile gives the
  numbers that it names and nothing else: what it changes, and what it chooses without
  naming it, is a note.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from controlbook.digest import sha256
from controlbook.errors import ControlbookError
from controlbook.reading import id_flaw

from . import Imported, Item, owner_of_text, slug
from .documents import json_document, rows, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENHANCEMENT = re.compile(r"([a-z]{2,3}-\d+)\.(\d+)\Z")


def oscal(data: bytes, name: str) -> Imported:
    """Read a catalog or a profile."""
    document = json_document(data, name)
    for kind, reader in (("catalog", _catalog), ("profile", _profile)):
        body = document.get(kind)
        if isinstance(body, dict):
            metadata = body.get("metadata")
            metadata = metadata if isinstance(metadata, dict) else {}
            title = texts(metadata, "title") or name
            marked = owner_of_text(title)
            items, notes = reader(body, marked=bool(marked))
            if not items and not notes:
                notes = [f"the {kind} names no controls"]
            return Imported(
                key=slug(title),
                source=f"OSCAL {kind} {title} "
                f"{texts(metadata, 'version')}, sha256 {sha256(data)}",
                title=title,
                marked=marked,
                items=tuple(items),
                notes=tuple(notes),
            )
    message = "it is neither an OSCAL catalog nor a profile"
    advice = "JSON with `catalog` or `profile` at the top is read"
    raise ControlbookError(message, place=name, advice=advice)


def _catalog(body: Mapping[str, Any], *, marked: bool) -> tuple[list[Item], list[str]]:
    found: dict[str, Item] = {}
    notes: list[str] = []
    for item in _below(body, ""):
        flaw = id_flaw(item.number)
        if flaw:
            notes.append(f"left out: {flaw}")
        elif item.number in found:
            notes.append(f"{item.number} stands twice: the first was taken")
        else:
            title = "" if marked else item.title
            found[item.number] = Item(
                number=item.number, title=title, parent=item.parent
            )
    return list(found.values()), notes


def _below(node: Mapping[str, Any], parent: str) -> Iterator[Item]:
    for kind in ("groups", "controls"):
        for child in rows(node, kind):
            if _withdrawn(child):
                continue
            number = number_of(child)
            if number:
                yield Item(
                    number=number, title=texts(child, "title") or number, parent=parent
                )
            yield from _below(child, number or parent)


def _withdrawn(control: Mapping[str, Any]) -> bool:
    return any(
        texts(prop, "name") == "status" and texts(prop, "value").lower() == "withdrawn"
        for prop in rows(control, "props")
    )


def number_of(control: Mapping[str, Any]) -> str:
    """Give a control's number: its plain label, else its id as people write it."""
    for prop in rows(control, "props"):
        if texts(prop, "name") == "label" and not texts(prop, "class"):
            return texts(prop, "value").replace(" ", "")
    return spelt(texts(control, "id"))


def spelt(identifier: str) -> str:
    """Write an OSCAL id as people do: `ac-2.1` is AC-2(1); others stay."""
    found = _ENHANCEMENT.match(identifier)
    if found:
        return f"{found[1].upper()}({found[2]})"
    if re.fullmatch(r"[a-z]{2,3}-\d+", identifier):
        return identifier.upper()
    return identifier


def _profile(body: Mapping[str, Any], *, marked: bool) -> tuple[list[Item], list[str]]:
    del marked  # a profile holds no titles
    chosen: dict[str, Item] = {}
    notes: list[str] = []
    for row in rows(body, "imports"):
        notes += _unresolved(row)
        left_out = set(_ids(row, "exclude-controls"))
        for identifier in _ids(row, "include-controls"):
            number = spelt(identifier)
            flaw = id_flaw(number)
            if flaw:
                notes.append(f"left out: {flaw}")
            elif identifier not in left_out:
                chosen.setdefault(number, Item(number=number))
    if "modify" in body:
        notes.append("what it modifies (parameters, additions) was not taken")
    return list(chosen.values()), notes


def _unresolved(row: Mapping[str, Any]) -> list[str]:
    """Say what an import chooses that only its catalog could tell."""
    href = texts(row, "href") or "a catalog"
    if "include-all" in row or "include-controls" not in row:
        return [f"it takes all of {href}: import that catalog instead"]
    notes = []
    for name, verb in (("include-controls", "takes"), ("exclude-controls", "leaves")):
        for choice in rows(row, name):
            ids = ", ".join(_listed(choice))
            if texts(choice, "with-child-controls") == "yes":
                notes.append(
                    f"it {verb} what stands below {ids} in {href} too: only the "
                    "numbers it names count here"
                )
            patterns = [texts(each, "pattern") for each in rows(choice, "matching")]
            if patterns:
                notes.append(
                    f"it {verb} what matches {', '.join(patterns)} in {href}: "
                    "patterns were not followed"
                )
    return notes


def _ids(row: Mapping[str, Any], name: str) -> list[str]:
    return [each for choice in rows(row, name) for each in _listed(choice)]


def _listed(choice: Mapping[str, Any]) -> list[str]:
    ids = choice.get("with-ids")
    return (
        [each for each in ids if isinstance(each, str)] if isinstance(ids, list) else []
    )
