# SPDX-License-Identifier: Apache-2.0
"""The large organisation's day comes out right, at a size that a test can wait for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def day(*sizes: str) -> dict[str, int]:
    """Run the benchmark; give the calls that it counts."""
    program = ROOT / "generator/benchmarks/bench_scale.py"
    done = subprocess.run(
        [sys.executable, str(program), *sizes],
        env={"PYTHONPATH": str(ROOT / "generator")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    assert "did not come out right" not in done.stdout
    rows = [
        line.removeprefix("calls of ").rsplit(": ", 1)
        for line in done.stdout.splitlines()
        if line.startswith("calls of ")
    ]
    return {name: int(count.replace(",", "")) for name, count in rows}


def test_calls_grow_with_places_and_rows_not_with_rules() -> None:
    few = day("--accounts=3", "--rules=100", "--resources=50")
    many = day("--accounts=3", "--rules=400", "--resources=50")
    rows = "config:DescribeAggregateComplianceByConfigRules"
    assert (few.pop(rows), many.pop(rows)) == (2, 5)
    assert few == many
    places = 3 * 4
    assert few["config:DescribeConfigRuleEvaluationStatus"] == places
    assert few["cloudtrail:LookupEvents"] == places
    assert few["s3:GetObject"] == 4 * places
    assert "config:DescribeConfigRules" not in few
