# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from controlbook.cli import main, parser
from controlbook.verbs import VERBS, Verb

ROOT = Path(__file__).parents[2]


def controlbook(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controlbook", *words],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT / "generator"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_explains_itself_with_an_example(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert f"example:\n  controlbook {verb}" in shown
    assert "--json" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), ("controlbook demo", "controlbook init DIR", "no verb is given")),
        (("stauts",), ("there is no verb 'stauts'", "did you mean `status`?")),
        (("xyzzy",), ("there is no verb 'xyzzy'", "controlbook --help")),
        (("-C", "x", "check"), ("-C stands before the verb", "VERB [FLAGS]")),
    ],
    ids=["nothing", "misspelt", "unknown", "flag first"],
)
def test_who_names_no_verb_is_told_how_to_go_on(
    words: tuple[str, ...], said: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    for part in said:
        assert part in shown
    assert "choose from" not in shown


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_examples_parse(verb: Verb) -> None:
    text = verb.example.replace("\\\n", " ")
    words = shlex.split(text)[1:]
    assert parser().parse_args(words).verb == words[0]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_its_function(verb: Verb) -> None:
    module = import_module(f"controlbook.commands.{verb.module}")
    assert callable(getattr(module, verb.function or verb.name))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from controlbook.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'boto3', 'weasyprint', 'mkdocs', 'jinja2', 'ruamel', 'git'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "generator")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == "[]"


def test_a_wrong_verb_is_exit_2(tmp_path: Path) -> None:
    done = controlbook("frobnicate", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_outside_a_repository_it_says_what_to_do(tmp_path: Path) -> None:
    done = controlbook("status", cwd=tmp_path)
    assert done.returncode == 2
    assert "not in a Git repository" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_clock_that_is_no_time_is_refused(tmp_path: Path) -> None:
    done = controlbook("collect", "--as-of", "yesterday", cwd=ROOT)
    assert done.returncode == 2
    assert re.search(r"--as-of: 'yesterday.*is not a UTC time", done.stderr)
    assert not list(tmp_path.iterdir())


def test_json_is_json() -> None:
    done = controlbook("check", "--json", cwd=ROOT)
    assert json.loads(done.stdout)["schema"] == "controlbook/check/1"
