# SPDX-License-Identifier: Apache-2.0
"""A programme that was laid down is one: it checks, and it is nobody else's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from running import committed, controlbook

from controlbook.cli import run
from controlbook.codeowners import owners
from controlbook.editors import modeline
from controlbook.errors import ControlbookError, Exit
from controlbook.git import Repository

ROOT = Path(__file__).parents[3]
NOW = "2028-03-01T00:00:00Z"


@pytest.fixture
def laid(tmp_path: Path) -> Path:
    root = tmp_path / "programme"
    controlbook(
        tmp_path,
        "init",
        str(root),
        "--github",
        "acme/x",
        "--as-of",
        NOW,
        "--entity",
        "A",
    )
    return root


def test_what_is_laid_down_passes_check(laid: Path) -> None:
    committed(laid)
    outcome = controlbook(laid, "check")
    assert outcome.text == "everything is in order"
    assert outcome.code is Exit.FINE


def test_its_status_can_be_asked_at_once(laid: Path) -> None:
    committed(laid)
    said = controlbook(laid, "status").text
    assert "BASELINE-2028" in said
    assert "collected nothing yet · 0 deviations" in said


def test_an_empty_folder_needs_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run(["init", "--as-of", NOW])
    assert f"in {tmp_path}" in outcome.text
    assert (tmp_path / "signoffs" / "people.yml").is_file()


def test_it_is_told_what_comes_next(tmp_path: Path) -> None:
    outcome = controlbook(tmp_path, "init", str(tmp_path / "p"), "--as-of", NOW)
    assert "signoffs/BASELINE-2028/assessment.yml" in outcome.text
    for word in outcome.text.split():
        name = word.strip(":,")
        if name.startswith(("signoffs/", ".github/", "pyproject")):
            assert (tmp_path / "p" / name).exists(), name


def test_two_programmes_never_share_a_ledger(laid: Path, tmp_path: Path) -> None:
    controlbook(tmp_path, "init", str(tmp_path / "other"), "--as-of", NOW)
    ids = {
        tomllib.loads((root / "pyproject.toml").read_text())["tool"]["controlbook"][
            "ledger"
        ]
        for root in (laid, tmp_path / "other")
    }
    assert len(ids) == 2


def test_every_file_that_people_write_names_its_schema(laid: Path) -> None:
    for path in laid.rglob("*.yml"):
        name = path.relative_to(laid).as_posix()
        if line := modeline(name):
            first = path.read_text().splitlines()[0]
            assert first == line.rstrip()
            target = (path.parent / first.partition("=")[2]).resolve()
            assert json.loads(target.read_text())["$schema"]
    settings = json.loads((laid / ".vscode/settings.json").read_text())
    for schema in settings["yaml.schemas"]:
        assert (laid / schema).is_file()


def test_owners_and_assessors_have_lines_of_their_own(laid: Path) -> None:
    text = (laid / ".github/CODEOWNERS").read_bytes()
    asked = {
        path: owners(text, path)
        for path in (
            "signoffs/BASELINE-2028/controls/buckets-encrypted.yml",
            "signoffs/BASELINE-2028/requirements/1.1.yml",
            "signoffs/people.yml",
        )
    }
    assert list(asked.values()) == [
        ("@owner-example",),
        ("@assessor-example",),
        ("@officer-example",),
    ]


def test_no_mark_is_left_and_no_text_is_unreadable(laid: Path) -> None:
    for path in laid.rglob("*"):
        if path.is_file() and ".git" not in path.relative_to(laid).parts[:1]:
            text = path.read_text("utf-8")
            for mark in ("@ENTITY@", "@LEDGER@", "@YEAR@", "@NEXT@", "@GITHUB@"):
                assert mark not in text


def test_a_file_that_is_there_is_not_touched(laid: Path, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in laid.rglob("*") if p.is_file()}
    with pytest.raises(ControlbookError, match=r"already there:.*signoffs/people\.yml"):
        controlbook(tmp_path, "init", str(laid))
    assert {p: p.read_bytes() for p in laid.rglob("*") if p.is_file()} == before


def test_an_empty_repository_is_taken_as_it_is(tmp_path: Path) -> None:
    Repository.create(tmp_path / "p")
    (tmp_path / "p" / "NOTES").write_text("ours")
    controlbook(tmp_path, "init", str(tmp_path / "p"))
    assert (tmp_path / "p" / "NOTES").read_text() == "ours"
    assert (tmp_path / "p" / "signoffs/people.yml").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["file"], "this is a file"),
        (["full"], "holds files and is no Git repository"),
        (["new", "--github", "nobody"], "is not owner/name"),
        (["new", "--entity", 'a"b'], "without quotes"),
        (["new", "--entity", "a\nb"], "without quotes"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    words: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(ControlbookError) as caught:
        controlbook(tmp_path, "init", str(tmp_path / words[0]), *words[1:])
    assert message in str(caught.value)
    assert not (tmp_path / "new").exists()
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["x"]


INSTALL = "run: python -m pip install -r requirements.txt"


def adapted(name: str) -> str:
    """Give one of our workflows as a programme without our Makefile has it."""
    text = (ROOT / f".github/workflows/{name}.yml").read_text()
    if name == "check":
        text = text.partition("\n  generator:\n")[0]
        text = text.replace(", and the generator's own tests", "")
    text = text.replace("run: make product", INSTALL)
    return text.replace(".venv/bin/controlbook", "controlbook").rstrip("\n") + "\n"


@pytest.mark.parametrize("name", ["check", "collect", "publish", "report"])
def test_its_workflows_are_ours_but_for_the_installation(
    name: str, laid: Path, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("--update-golden"):
        folder = ROOT / "generator/controlbook/templates/programme/workflows"
        (folder / f"{name}.yml.tmpl").write_text(adapted(name))
    text = (laid / f".github/workflows/{name}.yml").read_text()
    assert text == adapted(name)
    assert "make" not in text.replace("make sure", "")


def test_zizmor_finds_nothing_in_its_workflows(laid: Path) -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    if not zizmor.exists():
        pytest.skip("zizmor is not installed")
    subprocess.run(
        [zizmor, "--offline", "--no-progress", laid / ".github/workflows"], check=True
    )


def test_the_push_script_is_ours_and_may_run(laid: Path) -> None:
    assert (laid / "scripts/push.sh").read_bytes() == (
        ROOT / "scripts/push.sh"
    ).read_bytes()
    assert os.access(laid / "scripts/push.sh", os.X_OK)
