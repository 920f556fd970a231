# SPDX-License-Identifier: Apache-2.0
"""What make installs: locked, with hashes, from no named index, product apart."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)

PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(\[[a-z0-9,-]+\])?==(\S+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    return {match[1]: match[3] for match in PIN.finditer(text)}


def named(requirements: list[str]) -> set[str]:
    return {
        re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~; ]", requirement)[0].lower())
        for requirement in requirements
    }


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_locks_are_those_that_make_knows() -> None:
    assert [lock.stem for lock in LOCKS] == [
        "build",
        "lint",
        "product",
        "sandbox",
        "test",
    ]


@every_lock
def test_lock_names_no_package_index(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)


@every_lock
def test_every_locked_package_has_a_hash(lock: Path) -> None:
    blocks = re.split(r"^(?=\S)", lock.read_text(), flags=re.MULTILINE)
    packages = [block for block in blocks if PIN.match(block)]
    assert packages
    assert [block for block in packages if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("name", ["sandbox", "build", "test", "lint"])
def test_locks_agree_with_the_products(name: str) -> None:
    product = pins("product")
    assert {
        package: version
        for package, version in pins(name).items()
        if product.get(package, version) != version
    } == {}


def test_locks_hold_what_pyproject_asks_for() -> None:
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    extras = project["optional-dependencies"]
    assert named(project["dependencies"]) <= set(pins("product"))
    assert named(extras["sandbox"]) <= set(pins("sandbox"))
    for name in ("build", "test", "lint"):
        assert named(groups[name]) <= set(pins(name))


def test_tools_stay_out_of_the_products_install() -> None:
    groups = PROJECT["dependency-groups"]
    tools = named(groups["test"]) | named(groups["lint"]) | {"moto"}
    shared = {"pyyaml"}  # MkDocs reads its settings with it, and tests compare readers
    assert tools & set(pins("product")) == shared


def test_make_installs_with_hashes_only() -> None:
    makefile = (ROOT / "Makefile").read_text()
    installs = [
        line.strip()
        for line in makefile.splitlines()
        if line.startswith("\t$(INSTALL)")
    ]
    ours = "$(INSTALL) --no-deps --no-build-isolation --editable ."
    assert ours in installs
    assert [
        line for line in installs if line != ours and "--require-hashes" not in line
    ] == []


def test_every_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    match = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert match
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert explained == set(match[1].split())
