# SPDX-License-Identifier: Apache-2.0
"""The ledger of many big days reads and verifies, at a size that tests can wait for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STEPS = "collect,findings four,bundle four,verify four,verify.py four"


@pytest.mark.slow
def test_every_step_comes_right_on_lists_that_moved(tmp_path: Path) -> None:
    program = ROOT / "generator/benchmarks/bench_year.py"
    sizes = ["--accounts=6", "--regions=1", "--rules=60", "--moves=20", "--days=2"]
    done = subprocess.run(
        [sys.executable, program, *sizes, f"--steps={STEPS}", f"--folder={tmp_path}"],
        env={"PYTHONPATH": str(ROOT / "generator"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    rows = {
        step: next(line for line in done.stdout.splitlines() if line.startswith(step))
        for step in STEPS.split(",")
    }
    assert not [row for row in rows.values() if "failed" in row]
    assert " deviations, 0 gaps, " in rows["findings four"]
    assert "exit 1, open: sign-offs" in rows["verify four"]
    assert "exit code 1" in rows["verify.py four"]
    (first,) = tmp_path.glob("*/programme/evidence/config/000001.json")
    roles = {row["role"] for row in json.loads(first.read_bytes())["objects"]}
    assert {"list:rules", "index"} <= roles
