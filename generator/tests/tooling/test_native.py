# SPDX-License-Identifier: Apache-2.0
"""scripts/native.sh: does nothing where all is here, else apt, else an explanation.

The machine's own apt-get, sudo and id are replaced by small scripts on PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts/native.sh"
BASH = shutil.which("bash") or "/bin/bash"
PDF_PACKAGES = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


class Machine:
    """A machine with only the commands that a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"
        self.put("env", f'exec {shutil.which("env")} "$@"')
        self.put("cat", f'exec {shutil.which("cat")} "$@"')

    def put(self, name: str, script: str) -> Path:
        path = self.folder / name
        path.write_text(f"#!{BASH}\n{script}\n")
        path.chmod(0o755)
        return path

    def user(self, number: int) -> None:
        self.put("id", f"echo {number}")

    def apt(self, then: str = "") -> None:
        self.put("apt-get", f'echo "$*" >> {self.asked}; {then}')

    def native(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BASH, SCRIPT, *arguments],
            env={"PATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def installed(self) -> list[str]:
        if not self.asked.exists():
            return []
        lines = self.asked.read_text().splitlines()
        return [line for line in lines if line.startswith("install")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def python_that_loads_once(machine: Machine, marker: Path) -> Path:
    """Give a Python that finds the libraries only after apt has run."""
    return machine.put("python", f"[ -e {marker} ]")


def test_asks_nobody_where_the_libraries_are(machine: Machine) -> None:
    result = machine.native("pdf", machine.put("python", "exit 0"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_root_installs_what_the_pdf_needs(machine: Machine, tmp_path: Path) -> None:
    machine.user(0)
    machine.apt(then=f"[ $1 = update ] || : > {tmp_path}/here")
    python = python_that_loads_once(machine, tmp_path / "here")
    result = machine.native("pdf", python)
    assert result.returncode == 0, result.stderr
    assert len(machine.installed) == 1
    assert machine.installed[0].endswith(PDF_PACKAGES)


def test_user_with_sudo_installs(machine: Machine, tmp_path: Path) -> None:
    machine.user(1000)
    machine.put("sudo", 'shift; "$@"')
    machine.put("true", "exit 0")
    machine.apt(then=f"[ $1 = update ] || : > {tmp_path}/here")
    python = python_that_loads_once(machine, tmp_path / "here")
    assert machine.native("pdf", python).returncode == 0
    assert len(machine.installed) == 1


def test_user_without_sudo_is_told_what_to_install(machine: Machine) -> None:
    machine.user(1000)
    machine.put("sudo", "exit 1")
    machine.apt()
    result = machine.native("pdf", machine.put("python", "exit 1"))
    assert result.returncode == 1
    assert f"sudo apt-get install {PDF_PACKAGES}" in result.stderr
    assert machine.installed == []


def test_machine_without_apt_is_told_too(machine: Machine) -> None:
    result = machine.native("tests")
    assert result.returncode == 1
    packages = "chromium openssh-client openssl"
    assert f"sudo apt-get install {packages}" in result.stderr


def test_libraries_that_stay_missing_are_an_error(machine: Machine) -> None:
    machine.user(0)
    machine.apt()
    result = machine.native("pdf", machine.put("python", "exit 1"))
    assert result.returncode == 1
    assert "native packages are missing" in result.stderr


def test_any_chromium_will_do(machine: Machine) -> None:
    for name in ("chromium-browser", "ssh-keygen", "openssl"):
        machine.put(name, "exit 0")
    assert machine.native("tests").returncode == 0


def test_only_what_is_missing_is_installed(machine: Machine) -> None:
    machine.user(0)
    machine.apt()
    for name in ("chromium", "openssl"):
        machine.put(name, "exit 0")
    assert machine.native("tests").returncode == 0
    assert machine.installed[0].endswith("recommends openssh-client")


def test_python_that_makes_environments_is_fine(machine: Machine) -> None:
    assert machine.native("venv", sys.executable).returncode == 0
