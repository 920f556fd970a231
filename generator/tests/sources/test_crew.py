# SPDX-License-Identifier: Apache-2.0
"""Places read by several processes: the same day, and none left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from collecting import desk

from controlbook.errors import Exit
from controlbook.sandbox.example import example
from controlbook.sources import SourceError, crew
from controlbook.timeline import instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import Run
    from controlbook.sandbox.trouble import Trouble

FIRST = "2028-02-14T06:00:00Z"
CHILD = """
import os, sys, time
from controlbook.sources import crew
from controlbook.sources.places import Errand

class Slow(Errand):
    def run(self, talk, asked):
        print(os.getpid(), flush=True)
        time.sleep(60)
        return iter(())

if __name__ == "__main__":
    errand = Slow(bucket=None, span=None, own="", role="")
    list(crew.batches(errand, [(("1", "x"), None)] * 2 * crew.BATCH, 2))
"""


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few places count as very many."""
    monkeypatch.setattr(crew, "MANY", 1)
    monkeypatch.setattr(crew, "BATCH", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1}, raising=False)


def seen(run: Run) -> Run:
    """Give what a run says of AWS: not when it ran, nor how its pages were packed."""
    kept = tuple(row for row in run.objects if row.role != "source")
    zero = instant("2028-01-01T00:00:00Z")
    return replace(
        run, run_id="", prev="", sha256="", objects=kept, started=zero, finished=zero,
        aws_date=zero,
    )  # fmt: skip


def two_days(folder: Path, trouble: Trouble | None = None) -> list[Run]:
    with desk(example(), folder, trouble) as at:
        at.days(FIRST, 2)
        return [seen(run) for run in at.runs]


@pytest.mark.usefixtures("crowd")
def test_a_crew_reads_what_one_process_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crews = []
    given = crew.batches
    monkeypatch.setattr(
        "controlbook.sources.gathering.batches",
        lambda *words: crews.append(words[2]) or given(*words),
    )
    by_crew = two_days(tmp_path / "crew")
    assert crews == [2, 2]
    assert [len(run.transitions) for run in by_crew] == [0, 2]
    assert sum(run.pages for run in by_crew) > 50
    monkeypatch.setattr(crew, "MANY", 1000)
    assert two_days(tmp_path / "alone") == by_crew
    assert len(crews) == 2
    assert childless()


@pytest.mark.usefixtures("crowd")
def test_a_place_that_fails_in_another_process_fails_alone(tmp_path: Path) -> None:
    with desk(example(), tmp_path, collector_role="") as at:
        (run,) = at.collect(FIRST).runs
        own = at.library.assessments["PCI-2028-Q1"].accounts
    assert len(run.collected) < len(own) == len(run.expected)
    assert {row.reason for row in run.missing} == {"source-failed"}
    assert not run.complete
    assert any("set collector-role" in note for note in run.notes)


@pytest.mark.usefixtures("crowd")
def test_a_process_that_is_lost_loses_the_run_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(example(), tmp_path) as at:
        monkeypatch.setattr(crew, "_work", _die)
        with pytest.raises(SourceError, match="ended from outside") as error:
            at.collect(FIRST)
        assert error.value.code is Exit.UNAVAILABLE
        assert not at.git
        assert childless()


def childless() -> bool:
    """Say that no process of ours lives: the pool's own thread reaps them as well.

    Whichever of two threads loses that race finds the process gone a moment before the
    other has written down that it is.
    """
    until = time.monotonic() + 5
    while multiprocessing.active_children() and time.monotonic() < until:
        time.sleep(0.01)
    return not multiprocessing.active_children()


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Start a run whose two processes take their time."""
    program = tmp_path / "slow.py"
    program.write_text(CHILD)
    with subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout
        yield run, [int(run.stdout.readline()) for _ in range(2)]
        run.kill()


@pytest.mark.parametrize("told", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_run(
    slow: tuple[subprocess.Popen[str], list[int]], told: signal.Signals
) -> None:
    run, workers = slow
    assert all(map(alive, workers))
    run.send_signal(told)
    run.wait(20)
    end = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, workers))
