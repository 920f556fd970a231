# SPDX-License-Identifier: Apache-2.0
"""`controlbook schema`: the JSON Schemas of the human files, and an editor's set-up.

Rules enforced here:
- without a kind it lists the kinds; with one it prints that schema and nothing else;
- settings that a person made stay; only the table of schemas is added;
- modelines change the bytes of files, so what was signed over them becomes stale: said.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from controlbook.editors import (
    SETTINGS,
    listing,
    schema_files,
    vscode_settings,
    with_modelines,
    yaml_schemas,
)
from controlbook.editors import schema as schema_of
from controlbook.errors import ControlbookError
from controlbook.git import Repository
from controlbook.library import GOVERNED
from controlbook.outcome import Outcome

if TYPE_CHECKING:
    import argparse


def schema(options: argparse.Namespace) -> Outcome:
    """Print a schema, list the kinds, or set an editor up."""
    if options.editor:
        if options.kind:
            message = "an editor is set up for every kind at once"
            raise ControlbookError(message, advice="leave the kind out")
        return _set_up(options)
    if options.kind:
        document = schema_of(options.kind)
        return Outcome(text=document.rstrip("\n"), data=json.loads(document))
    kinds = list(listing())
    width = max(len(name) for name, _ in kinds)
    return Outcome(
        text="\n".join(f"{name:<{width}}  {pattern}" for name, pattern in kinds),
        data={
            "schema": "controlbook/schemas/1",
            "kinds": [{"kind": name, "files": pattern} for name, pattern in kinds],
            "yaml.schemas": yaml_schemas(),
        },
    )


def _set_up(options: argparse.Namespace) -> Outcome:
    repository = Repository.find(options.root)
    files = schema_files()
    notes = []
    if options.editor == "vscode":
        place = repository.root / SETTINGS
        present = place.read_bytes() if place.is_file() else None
        files[SETTINGS] = vscode_settings(present)
    else:
        files |= with_modelines(repository.work_files(GOVERNED))
        notes.append(
            "files with a new first line have other bytes: sign-offs on them are stale"
        )
    old = {
        path: (repository.root / path).read_bytes()
        for path in files
        if (repository.root / path).is_file()
    }
    changed = {path: body for path, body in files.items() if old.get(path) != body}
    for path, body in changed.items():
        repository.write(path, body)
    lines = [f"wrote {path}" for path in sorted(changed)] or ["nothing to change"]
    return Outcome(
        text="\n".join([*lines, *(notes if changed else [])]),
        data={"schema": "controlbook/schemas/1", "files": sorted(changed)},
    )
