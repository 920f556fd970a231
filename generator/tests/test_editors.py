# SPDX-License-Identifier: Apache-2.0
"""Which schema describes which file, and how editors are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controlbook.editors import (
    KINDS,
    kind_of,
    modeline,
    schema,
    schema_files,
    vscode_settings,
    with_modelines,
)
from controlbook.errors import ControlbookError
from controlbook.library import GOVERNED, load
from controlbook.yamltext import parse

SMALL = Path(__file__).parent / "data" / "small"
FILES = {
    path.relative_to(SMALL).as_posix(): path.read_bytes()
    for prefix in GOVERNED
    for path in [SMALL / prefix, *(SMALL / prefix).rglob("*")]
    if path.is_file()
}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("controls/a.yml", "control"),
        ("frameworks/pci-dss-3.2.1.yml", "framework"),
        ("signoffs/people.yml", "people"),
        ("signoffs/A-1/assessment.yml", "assessment"),
        ("signoffs/A-1/controls/a.yml", "attestation"),
        ("signoffs/A-1/requirements/3.4.yml", "signoff"),
        ("evidence/manual/a.yml", "manual-evidence"),
        ("annotations/a.md", "annotation"),
        ("annotations/2028-02/deep/a.md", "annotation"),
        ("pyproject.toml", "settings"),
        ("controls/deep/a.yml", ""),
        ("README.md", ""),
        ("evidence/config/000001.json", ""),
    ],
)
def test_a_file_s_kind_follows_from_its_path(path: str, name: str) -> None:
    kind = kind_of(path)
    assert (kind.name if kind else "") == name


def test_every_schema_of_the_package_has_its_kind() -> None:
    import controlbook.schemas  # noqa: PLC0415 - where they stand

    folder = Path(next(iter(controlbook.schemas.__path__)))
    assert {path.stem for path in folder.glob("*.json")} == {k.name for k in KINDS}
    for body in schema_files().values():
        assert "$schema" in json.loads(body)


def test_a_modeline_leads_from_the_file_to_its_schema() -> None:
    for path in FILES:
        line = modeline(path)
        if path.endswith(".yml"):
            target = Path("/p") / Path(path).parent / line.strip().partition("=")[2]
            where = Path(target.as_posix()).resolve().relative_to("/p").as_posix()
            assert where in schema_files()
        else:
            assert line == ""


def test_modelines_change_bytes_but_nothing_that_is_said() -> None:
    changed = with_modelines(FILES)
    assert set(changed) == {
        "controls/stored-encrypted.yml",
        "frameworks/std-1.yml",
        "signoffs/A-1/assessment.yml",
        "signoffs/people.yml",
    }
    for path, body in changed.items():
        assert body.endswith(FILES[path])
        assert parse(body).node is not None
    assert load({**FILES, **changed})[1] == ()
    assert with_modelines({**FILES, **changed}) == {}


def test_settings_of_people_stay() -> None:
    given = b'{"editor.rulers": [88], "yaml.schemas": {"mine.json": "x.yml"}}'
    merged = json.loads(vscode_settings(given))
    assert merged["editor.rulers"] == [88]
    assert merged["yaml.schemas"]["mine.json"] == "x.yml"
    assert merged["yaml.schemas"]["./.controlbook/schemas/control.json"]
    again = vscode_settings(given)
    assert vscode_settings(again) == again


@pytest.mark.parametrize("given", [b"// mine\n{}", b"[]"])
def test_settings_that_would_lose_something_are_refused(given: bytes) -> None:
    with pytest.raises(ControlbookError, match=r"\.vscode/settings\.json"):
        vscode_settings(given)


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(ControlbookError, match="did you mean 'control'"):
        schema("controll")
