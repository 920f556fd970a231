# SPDX-License-Identifier: Apache-2.0
"""The whole example programme, played once for every test that looks at it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Demo:
    """Where the demo left its programme and what it said."""

    repository: Path
    said: str

    @property
    def vault(self) -> Path:
        return self.repository.with_name(f"{self.repository.name}-vault")

    @property
    def out(self) -> Path:
        return self.repository / "build"

    @property
    def bundle(self) -> Path:
        return self.out / "PCI-2028-Q1.zip"


def controlbook(
    *words: str | Path, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "controlbook", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "generator"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Play the example programme from first evidence to signed report."""
    root = tmp_path_factory.mktemp("demo") / "demo"
    done = controlbook("demo", "--dir", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(repository=root, said=done.stdout)
