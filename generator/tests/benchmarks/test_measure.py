# SPDX-License-Identifier: Apache-2.0
"""The figures of `make bench` come from the command itself, and only when it worked."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

PATH = Path(__file__).parents[2] / "benchmarks/measure.py"


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure", PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_memory_is_the_commands_own() -> None:
    # In a small process: a fork starts with the memory of its parent.
    code = (
        "import os, pathlib, sys; sys.path.insert(0, sys.argv[1]); import measure\n"
        "for size in (0, 300_000_000, 0):\n"
        "    told = [sys.executable, '-c', f'x = b\"x\" * {size}']\n"
        "    print(measure.run(told, pathlib.Path(), os.environ).peak_kib)\n"
    )
    done = subprocess.run(
        [*python(code), str(PATH.parent)], capture_output=True, text=True, check=True
    )
    small, large, again = map(int, done.stdout.split())
    assert large - small > 250_000
    assert abs(again - small) < 20_000


def test_memory_counts_processes_that_the_command_waited_for(
    measure: ModuleType, tmp_path: Path
) -> None:
    code = (
        "import subprocess, sys;"
        "subprocess.run([sys.executable, '-c', \"x = b'x' * 200_000_000\"], check=True)"
    )
    assert measure.run(python(code), tmp_path, os.environ).peak_kib > 200_000


def test_failed_command_is_no_figure(measure: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(measure.NotMeasuredError, match="exit 4: tampered"):
        measure.run(
            python("print('fine'); print('tampered'); raise SystemExit(4)"),
            tmp_path,
            os.environ,
        )


def test_accepted_exit_code_is_a_figure(measure: ModuleType, tmp_path: Path) -> None:
    code = "print('gap'); raise SystemExit(1)"
    assert measure.run(python(code), tmp_path, os.environ, (0, 1)).output == "gap\n"


def test_median_and_largest_peak(measure: ModuleType) -> None:
    samples = [
        measure.Sample(seconds=seconds, peak_kib=peak * 1024, output="")
        for seconds, peak in ((0.5, 10), (9.0, 30), (0.7, 20))
    ]
    row = measure.figure("check", 1.0, samples)
    assert (row.seconds, row.peak_mib, row.runs) == (0.7, 30, 3)
    assert row.holds
    assert not measure.figure("check", 0.7, samples).holds
