# SPDX-License-Identifier: Apache-2.0
"""What an editor needs to help with the files that people write.

Rules enforced here:
- each kind of file has one JSON Schema, found by the file's path alone;
- a modeline is a comment: it changes a file's bytes, but nothing that it says.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import TYPE_CHECKING

from .errors import ControlbookError
from .reading import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER = ".controlbook/schemas"
"""Where a programme's repository keeps copies of the schemas for its editors."""
SETTINGS = ".vscode/settings.json"
MODELINE = "# yaml-language-server: $schema="


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of human file: its schema's name, and where such files stand."""

    name: str
    pattern: str
    """A glob; `*` stands for one name, `**/` for any folders."""


KINDS = (
    Kind(name="control", pattern="controls/*.yml"),
    Kind(name="framework", pattern="frameworks/*.yml"),
    Kind(name="people", pattern="signoffs/people.yml"),
    Kind(name="assessment", pattern="signoffs/*/assessment.yml"),
    Kind(name="attestation", pattern="signoffs/*/controls/*.yml"),
    Kind(name="signoff", pattern="signoffs/*/requirements/*.yml"),
    Kind(name="manual-evidence", pattern="evidence/manual/*.yml"),
    Kind(name="annotation", pattern="annotations/**/*.md"),
    Kind(name="settings", pattern="pyproject.toml"),
)
WRITTEN_BY_COMMANDS = ("attestation", "signoff", "manual-evidence")
"""Kinds that no person edits: their bytes are bound by signatures."""


def schema(name: str) -> str:
    """Give the JSON Schema of a kind; raises ControlbookError with the known kinds."""
    known = [kind.name for kind in KINDS]
    if name not in known:
        message = f"there is no kind of file {name!r}"
        raise ControlbookError(message, advice=did_you_mean(name, known))
    place = files(f"{__package__}.schemas").joinpath(f"{name}.json")
    return place.read_text("utf-8")


def kind_of(path: str) -> Kind | None:
    """Tell which kind of human file stands at a path."""
    for kind in KINDS:
        if _matches(path, kind.pattern):
            return kind
    return None


def _matches(path: str, pattern: str) -> bool:
    if "**/" in pattern:
        head, _, tail = pattern.partition("**/")
        return path.startswith(head) and fnmatchcase(posixpath.basename(path), tail)
    same_depth = path.count("/") == pattern.count("/")
    return same_depth and fnmatchcase(path, pattern)


def schema_files() -> dict[str, bytes]:
    """Give every schema as a file of a programme's repository."""
    return {f"{FOLDER}/{kind.name}.json": schema(kind.name).encode() for kind in KINDS}


def yaml_schemas() -> dict[str, str]:
    """Give VS Code's table from schema to the files that it describes."""
    return {
        f"./{FOLDER}/{kind.name}.json": kind.pattern
        for kind in KINDS
        if kind.pattern.endswith(".yml")
    }


def vscode_settings(present: bytes | None = None) -> bytes:
    """Give VS Code's settings with the schemas in them; other settings stay.

    Raises ControlbookError where the present file is not plain JSON: comments in it
    would be lost.
    """
    settings: dict[str, object] = {}
    if present is not None:
        try:
            settings = json.loads(present)
        except ValueError as error:
            message = "the file is not plain JSON, and would lose its comments"
            raise ControlbookError(
                message,
                place=SETTINGS,
                advice="add the table by hand; `controlbook schema --json` prints it",
            ) from error
        if not isinstance(settings, dict):
            message = "the file holds no settings"
            raise ControlbookError(message, place=SETTINGS)
    old = settings.get("yaml.schemas")
    merged = {**(old if isinstance(old, dict) else {}), **yaml_schemas()}
    if present is not None and merged == old:
        return present
    settings["yaml.schemas"] = merged
    return (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode()


def modeline(path: str) -> str:
    """Give the comment that tells an editor the schema of the file at a path."""
    kind = kind_of(path)
    if kind is None or not path.endswith(".yml"):
        return ""
    target = posixpath.relpath(f"{FOLDER}/{kind.name}.json", posixpath.dirname(path))
    return f"{MODELINE}{target}\n"


def with_modelines(present: Mapping[str, bytes]) -> dict[str, bytes]:
    """Give the files that lack a modeline, with it as their first line.

    Files that commands wrote are left alone: people do not edit them.
    """
    changed: dict[str, bytes] = {}
    for path, data in present.items():
        kind = kind_of(path)
        line = modeline(path)
        if kind and line and kind.name not in WRITTEN_BY_COMMANDS and not _has(data):
            changed[path] = line.encode() + data
    return changed


def _has(data: bytes) -> bool:
    return any(line.startswith(MODELINE.encode()) for line in data.splitlines())


def listing() -> Iterable[tuple[str, str]]:
    """Give (kind, where such files stand), for people."""
    return [(kind.name, kind.pattern) for kind in KINDS]
