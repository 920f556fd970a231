# SPDX-License-Identifier: Apache-2.0
"""What shells make of the completion scripts."""

from __future__ import annotations

import shutil
import subprocess
from argparse import Namespace
from typing import TYPE_CHECKING

import pytest

from controlbook.commands.completion import completion
from controlbook.verbs import VERBS

if TYPE_CHECKING:
    from pathlib import Path


def script(shell: str) -> str:
    options = Namespace(shell=shell)
    return completion(options).text


def complete(*words: str, cwd: Path) -> list[str]:
    """Ask bash what it would offer for the last of some words."""
    program = (
        f"{script('bash')}\n"
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _controlbook\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", program, "bash", "controlbook", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_accepts_it(tmp_path: Path) -> None:
    file = tmp_path / "completion.bash"
    file.write_text(script("bash"))
    subprocess.run(["bash", "-n", str(file)], check=True)


def test_bash_offers_every_verb(tmp_path: Path) -> None:
    assert {verb.name for verb in VERBS} <= set(complete("", cwd=tmp_path))
    assert complete("comp", cwd=tmp_path) == ["completion"]


def test_bash_offers_the_flags_and_words_of_a_verb(tmp_path: Path) -> None:
    assert "--dry-run" in complete("import", "--d", cwd=tmp_path)
    assert complete("import", "os", cwd=tmp_path) == ["oscal"]
    assert complete("schema", "--editor", "v", cwd=tmp_path) == ["vscode"]
    assert "--json" in complete("status", "--", cwd=tmp_path)


def test_bash_offers_files_where_a_file_may_stand(tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").touch()
    assert complete("import", "oscal", "pac", cwd=tmp_path) == ["pack.yaml"]
    assert complete("verify", "--raw", "pac", cwd=tmp_path) == ["pack.yaml"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not here")
def test_zsh_accepts_it(tmp_path: Path) -> None:
    file = tmp_path / "completion.zsh"
    file.write_text(script("zsh"))
    subprocess.run(["zsh", "-n", str(file)], check=True)


def test_zsh_s_script_names_every_verb_and_closes_what_it_opens() -> None:
    text = script("zsh")
    for verb in VERBS:
        assert f"        {verb.name}) _arguments " in text
    # Its quoting is the shell's own: bash reads the same words.
    subprocess.run(["bash", "-n"], input=text.encode(), check=True)
