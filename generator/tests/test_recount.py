# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
import small

from controlbook.errors import Exit
from controlbook.model import Ledger
from controlbook.recount import hole_faults, recount

ASSESSMENT = small.library().assessments["PCI-2028-FEB"]
RUNS = small.ledger().config
DAY_FOUR = ("2028-02-14T00:00:00Z", "2028-02-15T00:00:00Z")


def without(*seqs: int) -> Ledger:
    kept = tuple(run for run in RUNS if run.seq not in seqs)
    return Ledger(runs={"config": kept})


def test_windows_that_tile_the_period_have_no_hole() -> None:
    assert list(hole_faults(without(), ASSESSMENT, [])) == []


@pytest.mark.threat("T29")
def test_a_skipped_day_must_be_published_to_the_second() -> None:
    ledger = without(4)
    assert list(hole_faults(ledger, ASSESSMENT, [DAY_FOUR])) == []
    shorter = (DAY_FOUR[0], "2028-02-14T23:59:59Z")
    for published in ([], [shorter]):
        ((code, text),) = hole_faults(ledger, ASSESSMENT, published)
        assert code == Exit.INTEGRITY
        assert text == (
            "no run covers 2028-02-14T00:00:00Z to 2028-02-15T00:00:00Z, and no"
            " published gap says so"
        )


@pytest.mark.threat("T14")
@pytest.mark.parametrize("last", [5, 4, 3, 2])
def test_t14_a_ledger_that_ends_early_is_lacking_not_wrong(last: int) -> None:
    ledger = without(*range(last + 1, 7))
    ((code, text),) = hole_faults(ledger, ASSESSMENT, [])
    assert code == Exit.UNAVAILABLE
    assert "before the period does (2028-02-17T00:00:00Z)" in text


@pytest.mark.threat("T15")
def test_t15_no_run_in_the_period_is_lacking() -> None:
    for ledger in (Ledger(runs={}), without(*range(2, 7))):
        ((code, text),) = hole_faults(ledger, ASSESSMENT, [])
        assert code == Exit.UNAVAILABLE
        assert text.startswith("no run covers any of the period")


def test_a_correction_covers_no_time() -> None:
    corrected = tuple(
        replace(run, kind="correction") if run.seq == 4 else run for run in RUNS
    )
    faults = list(hole_faults(Ledger(runs={"config": corrected}), ASSESSMENT, []))
    assert len(faults) == 1


def test_a_state_pack_that_is_not_carried_is_named_by_run_and_path() -> None:
    found = recount(small.ledger(), ASSESSMENT, {}, whole=True)
    assert found.opening is None
    ((code, text),) = found.faults
    assert code == Exit.INTEGRITY
    assert text.startswith("config 000001: its state pack is not carried (packs/")


def test_a_ledger_that_is_not_whole_is_not_blamed_for_packs() -> None:
    packs = {"0" * 64: b"x\n"}
    assert recount(small.ledger(), ASSESSMENT, packs, whole=False).faults == ()
    assert recount(small.ledger(), ASSESSMENT, packs, whole=True).faults != ()
