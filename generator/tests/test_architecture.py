# SPDX-License-Identifier: Apache-2.0
"""The dependency direction holds, and the linters that guard it would notice."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "generator/controlbook"
BIN = Path(sys.executable).parent


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    config = ROOT / "pyproject.toml"
    return run(folder, BIN / "lint-imports", "--no-cache", "--config", config)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(
        PACKAGE, tmp_path / "controlbook", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def append(module: Path, line: str) -> None:
    module.write_text(f"{module.read_text()}\n{line}\n")


def test_contracts_hold(copied: Path) -> None:
    result = lint_imports(copied)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        pytest.param("model/record.py", "import boto3", "reaches nothing", id="AWS"),
        pytest.param("digest.py", "import subprocess", "reaches nothing", id="process"),
        pytest.param("errors.py", "import time", "reaches nothing", id="clock"),
        pytest.param(
            "model/record.py", "import urllib.request", "reaches nothing", id="net"
        ),
        pytest.param("errors.py", "from . import model", "point down", id="upwards"),
        pytest.param(
            "model/record.py", "from .. import vault", "point down", id="to-an-edge"
        ),
    ],
)
def test_violation_is_caught(
    copied: Path, module: str, line: str, contract: str
) -> None:
    append(copied / "controlbook" / module, line)
    result = lint_imports(copied)
    assert result.returncode == 1
    broken = [row for row in result.stdout.splitlines() if row.endswith("BROKEN")]
    assert any(contract in row for row in broken), result.stdout


def test_module_without_a_layer_is_caught(copied: Path) -> None:
    (copied / "controlbook/utils.py").write_text('"""A drawer."""\n')
    result = lint_imports(copied)
    assert result.returncode == 1
    assert "utils" in result.stdout


@pytest.mark.parametrize(
    "line",
    [
        "datetime.datetime.now(datetime.UTC)",
        "datetime.datetime.utcnow()",
        "datetime.date.today()",
        "time.time()",
    ],
)
def test_reading_the_clock_is_caught(tmp_path: Path, line: str) -> None:
    (tmp_path / "assess.py").write_text(
        f"import datetime\nimport time\n\nNOW = {line}\n"
    )
    config = ROOT / "pyproject.toml"
    result = run(
        tmp_path,
        BIN / "ruff",
        *("check", "--no-cache", "--select=TID251", "--config", config),
        "assess.py",
    )
    assert result.returncode == 1
    assert "take the instant as an argument" in result.stdout


def test_bundled_verifier_needs_only_the_standard_library() -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / "bundle_verify.py").read_text())):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + (node.module or "").split(".")[0])
    assert imported <= set(sys.stdlib_module_names)
