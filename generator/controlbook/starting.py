# SPDX-License-Identifier: Apache-2.0
"""The files with which a programme's repository begins.

Rules enforced here:
- everything is labelled as an example, and passes `check` as it stands;
- the ledger's id is new each time: two programmes never share a chain;
- CODEOWNERS is generated from the very people and controls beside it;
- the same answers give the same files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

from .codeowners import generate
from .editors import SETTINGS, modeline, schema_files, vscode_settings
from .library import CODEOWNERS, read

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

RETENTION_YEARS = 7
"""How long after its period's end the example keeps evidence locked."""

_RENAMED = {
    "gitattributes": ".gitattributes",
    "gitignore": ".gitignore",
    "push.sh": "scripts/push.sh",
}
EXECUTABLE = ("scripts/push.sh",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a new programme is told about itself."""

    ledger: str
    year: int
    version: str
    entity: str
    github: str


def programme_files(answers: Answers) -> dict[str, bytes]:
    """Give every file of a new programme, by its path."""
    values = {
        "@ENTITY@": answers.entity,
        "@GITHUB@": answers.github,
        "@LEDGER@": answers.ledger,
        "@NEXT@": str(answers.year + 1),
        "@RETAIN@": str(answers.year + 1 + RETENTION_YEARS),
        "@VERSION@": answers.version,
        "@YEAR@": str(answers.year),
    }
    root = files(f"{__package__}.templates").joinpath("programme")
    found: dict[str, bytes] = {}
    for name, text in _texts(root, ""):
        filled = text
        for mark, value in values.items():
            filled = filled.replace(mark, value)
        path = _path(name, answers.year)
        found[path] = (modeline(path) + filled).encode()
    found |= schema_files()
    found[SETTINGS] = vscode_settings()
    # Read without CODEOWNERS first: it follows from everything else.
    library = read(found)
    found[CODEOWNERS] = generate(replace(library, codeowners=b""))
    return found


def _texts(folder: Traversable, above: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += _texts(entry, f"{above}{entry.name}/")
        elif entry.name.endswith(".tmpl"):
            name = f"{above}{entry.name.removesuffix('.tmpl')}"
            found.append((name, entry.read_text("utf-8")))
    return found


def _path(name: str, year: int) -> str:
    """Give the path in a programme: the package keeps no dot files of its own."""
    if name.startswith("workflows/"):
        return f".github/{name}"
    return _RENAMED.get(name, name.replace("/BASELINE/", f"/BASELINE-{year}/"))
