# SPDX-License-Identifier: Apache-2.0
"""The schemas and the loader say the same: checked by changing files both ways."""

from __future__ import annotations

import copy
import json
import tomllib
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from controlbook.library import GOVERNED, load
from controlbook.yamltext import front_matter, parse, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
SMALL = Path(__file__).parent / "data" / "small"
KINDS = {
    "people": "signoffs/people.yml",
    "control": "controls/stored-encrypted.yml",
    "framework": "frameworks/std-1.yml",
    "assessment": "signoffs/A-1/assessment.yml",
    "attestation": "signoffs/A-1/controls/stored-encrypted.yml",
    "signoff": "signoffs/A-1/requirements/3.9.yml",
    "annotation": "annotations/2028-02/bucket.md",
    "manual-evidence": "evidence/manual/key-policy.yml",
}
# JSON trees from here on: what they hold is what the tests are about.
Tree = dict[str, Any]
Step = tuple[str | int, ...]


def schema(name: str) -> Tree:
    text = resources("controlbook.schemas").joinpath(f"{name}.json").read_text("utf-8")
    document: Tree = json.loads(text)
    return document


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema(name))


def on_disk(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for prefix in GOVERNED
        for path in [root / prefix, *(root / prefix).rglob("*")]
        if path.is_file()
    }


def tree_of(path: str, data: bytes) -> Tree:
    node = (front_matter if path.endswith(".md") else parse)(data).node
    assert node is not None
    tree = plain(node)
    assert isinstance(tree, dict)
    return tree


def written(path: str, tree: Tree) -> bytes:
    text = json.dumps(tree)  # JSON is YAML, with every text quoted
    return (
        f"---\n{text}\n---\nBody.\n".encode() if path.endswith(".md") else text.encode()
    )


def schema_accepts(name: str, tree: Tree) -> bool:
    return validator(name).is_valid(tree)


def loader_accepts(path: str, tree: Tree) -> bool:
    """Tell whether nothing is said about this one file."""
    found = load(FILES | {path: written(path, tree)})[1]
    return not any(problem.path == path for problem in found)


def places(tree: Any, at: Step = ()) -> Iterator[tuple[Step, Any]]:  # noqa: ANN401
    yield at, tree
    for key, value in (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    ):
        yield from places(value, (*at, key))


def changed(tree: Tree, at: Step, change: Callable[[Any, Any], None]) -> Tree:
    tree = copy.deepcopy(tree)
    inner: Any = tree
    for step in at[:-1]:
        inner = inner[step]
    change(inner, at[-1])
    return tree


def drop(inner: Any, key: Any) -> None:  # noqa: ANN401
    del inner[key]


def become(value: object) -> Callable[[Any, Any], None]:
    def change(inner: Any, key: Any) -> None:  # noqa: ANN401
        inner[key] = value

    return change


FILES = on_disk(SMALL)


@pytest.mark.parametrize("name", [*KINDS, "settings"])
def test_a_schema_is_valid_and_describes_every_field(name: str) -> None:
    document = schema(name)
    Draft202012Validator.check_schema(document)
    for at, value in places(document):
        if (
            at
            and at[0] not in {"if", "then"}
            and isinstance(value, dict)
            and at[-1] == "properties"
        ):
            for key, field in value.items():
                assert field.keys() & {"description", "const"}, (*at, key)


@pytest.mark.parametrize("root", [ROOT, SMALL])
def test_the_files_of_the_examples_fit(root: Path) -> None:
    patterns = {name: Path(path) for name, path in KINDS.items()}
    for path, data in on_disk(root).items():
        for name, model in patterns.items():
            alike = Path(path).parts[0] == model.parts[0]
            same = len(Path(path).parts) == len(model.parts)
            if not (alike and same and path.endswith(model.suffix)):
                continue
            if name in {"attestation", "signoff"} and model.parts[2] not in path:
                continue
            problems = [
                error.message
                for error in validator(name).iter_errors(tree_of(path, data))
            ]
            assert not problems, path


@pytest.mark.parametrize("root", [ROOT, SMALL])
def test_the_settings_fit(root: Path) -> None:
    document = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    assert schema_accepts("settings", document["tool"]["controlbook"])
    assert not schema_accepts("settings", {"ledger": "x"})
    assert not schema_accepts("settings", {"leger": "x"})


@pytest.mark.parametrize(("name", "path"), KINDS.items())
def test_both_agree_on_which_fields_there_must_be(name: str, path: str) -> None:
    tree = tree_of(path, (SMALL / path).read_bytes())
    assert schema_accepts(name, tree)
    assert loader_accepts(path, tree)
    for at, _ in places(tree):
        if not at or isinstance(at[-1], int):
            continue
        without = changed(tree, at, drop)
        if refers(without, tree, name):
            continue
        assert schema_accepts(name, without) is loader_accepts(path, without), at


def refers(without: Tree, tree: Tree, name: str) -> bool:
    """Tell whether only the loader can know that what was dropped is needed."""
    return (
        # People, numbers and reasons that other fields refer to.
        (name == "people" and without.get("people", {}).keys() != tree["people"].keys())
        or (name == "framework" and "requirements" in without)
        or (name == "assessment" and without.get("excluded") != tree["excluded"])
        or (name == "assessment" and without.get("assessors") == {})
        or (name == "annotation" and without.keys() != tree.keys())
    )


@pytest.mark.parametrize(("name", "path"), KINDS.items())
def test_both_refuse_a_field_that_nobody_knows(name: str, path: str) -> None:
    tree = tree_of(path, (SMALL / path).read_bytes())
    tree["colour"] = "red"
    assert not schema_accepts(name, tree)
    assert not loader_accepts(path, tree)


@pytest.mark.parametrize("value", ["", "?", [], {"?": "?"}])
@pytest.mark.parametrize(("name", "path"), KINDS.items())
def test_what_the_schema_refuses_the_loader_refuses(
    name: str, path: str, value: object
) -> None:
    tree = tree_of(path, (SMALL / path).read_bytes())
    for at, _ in places(tree):
        if at:
            other = changed(tree, at, become(value))
            if not schema_accepts(name, other):
                assert not loader_accepts(path, other), at
