# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator
from running import committed, controlbook, small_programme

from controlbook.editors import KINDS
from controlbook.errors import ControlbookError

if TYPE_CHECKING:
    from pathlib import Path


def test_without_a_kind_it_lists_them(tmp_path: Path) -> None:
    text = controlbook(tmp_path, "schema").text
    for kind in KINDS:
        assert f"{kind.name} " in text


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_a_schema_is_printed_and_nothing_else(kind: str, tmp_path: Path) -> None:
    outcome = controlbook(tmp_path, "schema", kind)
    document = json.loads(outcome.text)
    Draft202012Validator.check_schema(document)
    assert outcome.data == document


def test_vscode_finds_the_schemas_and_a_second_time_nothing_changes(
    tmp_path: Path,
) -> None:
    root = small_programme(tmp_path / "p")
    (root / ".vscode").mkdir()
    (root / ".vscode/settings.json").write_text('{"editor.tabSize": 2}')
    outcome = controlbook(root, "schema", "--editor", "vscode")
    assert "wrote .vscode/settings.json" in outcome.text
    settings = json.loads((root / ".vscode/settings.json").read_text())
    assert settings["editor.tabSize"] == 2
    for schema, files in settings["yaml.schemas"].items():
        assert json.loads((root / schema).read_text())
        assert "*" in files or files.endswith(".yml")
    assert controlbook(root, "schema", "--editor", "vscode").text == "nothing to change"


def test_modelines_say_that_bytes_changed_and_check_still_passes(
    tmp_path: Path,
) -> None:
    root = small_programme(tmp_path / "p")
    outcome = controlbook(root, "schema", "--editor", "modelines")
    assert "wrote controls/stored-encrypted.yml" in outcome.text
    assert "sign-offs on them are stale" in outcome.text
    committed(root)
    first = (root / "controls/stored-encrypted.yml").read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=../.controlbook/")
    again = controlbook(root, "schema", "--editor", "modelines")
    assert again.text == "nothing to change"


def test_an_unknown_kind_and_a_kind_with_an_editor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ControlbookError, match="did you mean 'people'"):
        controlbook(tmp_path, "schema", "poeple")
    with pytest.raises(ControlbookError, match="leave the kind out"):
        controlbook(tmp_path, "schema", "people", "--editor", "vscode")
