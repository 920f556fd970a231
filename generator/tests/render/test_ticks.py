"""Tick marks: each check ran, counts what it covered, and can fail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import small

from controlbook.model import Ledger, Missing, Recorded
from controlbook.recorded import record
from controlbook.render.ticks import ticks

if TYPE_CHECKING:
    from controlbook.model import Run
    from controlbook.render.ticks import Tick


def ticked(ledger: Ledger) -> tuple[Tick, ...]:
    recorded = Recorded()
    record(recorded, ledger, small.report().assessment, ())
    return ticks(ledger, recorded)


def failing(*runs: Run) -> dict[str, tuple[str, ...]]:
    found = ticked(Ledger(runs={"config": runs}))
    return {tick.mark: tick.failures for tick in found if tick.failures}


RUNS = small.ledger().config


def test_sound_ledger_passes_every_check_and_counts_it() -> None:
    found = {tick.mark: tick for tick in ticked(small.ledger())}
    assert all(tick.passed for tick in found.values())
    assert found["H"].covered == 6
    assert found["R"].covered == 12
    assert found["Σ"].covered == 24


def test_empty_ledger_passes_nothing() -> None:
    assert not any(tick.passed for tick in ticked(Ledger(runs={})))


def test_broken_chain_is_named() -> None:
    broken = replace(RUNS[2], prev="f" * 64)
    assert failing(*RUNS[:2], broken, *RUNS[3:]) == {"H": ("config 3",)}


def test_skipped_run_breaks_chain_and_tiling() -> None:
    assert failing(*RUNS[:2], *RUNS[3:]) == {"H": ("config 4",), "T": ("config 4",)}


def test_account_that_is_neither_collected_nor_missing_is_named() -> None:
    silent = replace(RUNS[0], collected=RUNS[0].collected[:1])
    assert failing(silent) == {"R": ("config 1",)}
    account, region = RUNS[0].expected[1]
    told = replace(
        silent,
        missing=(
            Missing(
                account=account,
                region=region,
                reason="account-missing",
                interval=silent.window,
            ),
        ),
    )
    assert failing(told) == {}


def test_counts_that_do_not_add_up_are_named() -> None:
    row = replace(RUNS[0].rules[0], population=99)
    assert failing(replace(RUNS[0], rules=(row,))) == {
        "Σ": (f"config 1 {row.rule}",),
    }
