# SPDX-License-Identifier: Apache-2.0
"""DuckDB and a plain loop fold evaluations to the same deviations."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import bench_fold

rows = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 2),
        st.integers(0, bench_fold.END - bench_fold.START - 1),
        st.integers(0, 1),
    ),
    unique_by=lambda row: row[:3],
    min_size=1,
)


@given(rows)
@settings(max_examples=30, deadline=None)
def test_the_engine_and_the_loop_agree(found: list[tuple[int, int, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        file = str(Path(folder) / "evaluations.parquet")
        bench_fold.write(database, found, file)
        engine = bench_fold.by_engine(database, file)
    assert engine == bench_fold.plainly(sorted(found))


def test_a_day_of_a_hundred_thousand_changes_gives_half_as_many_deviations() -> None:
    moves = bench_fold.transitions(2_000)
    assert len(moves) == 2_000
    assert bench_fold.deviations(moves) == 1_000
