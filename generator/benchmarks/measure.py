# SPDX-License-Identifier: Apache-2.0
"""Time and peak memory of whole commands.

Rules enforced here:
- a figure is a median over runs of the command as people start it;
- memory is the largest resident set of the command or of any process it waited for;
- a command that fails is not a figure.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CORES = 2
KIB_PER_MIB = 1024


class NotMeasuredError(Exception):
    """A command did not do what was to be measured; the text says what it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of a command."""

    seconds: float
    peak_kib: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one row of the table says."""

    name: str
    limit: float
    """Seconds that we promise to stay under."""
    seconds: float
    peak_mib: int
    runs: int

    @property
    def holds(self) -> bool:
        """Tell whether the median is under the promised limit."""
        return self.seconds < self.limit


def use_cores(count: int = CORES) -> int:
    """Confine this process and its children to so many cores; give how many."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    cores = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cores)
    return len(cores)


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    accepted: Sequence[int] = (0,),
) -> Sample:
    """Run a command once, waiting for it alone, and demand an accepted exit code."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        # wait4 alone gives the usage of this one child and of what it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode not in accepted:
        last = text.strip().splitlines()[-1:] or ["no output"]
        message = f"exit {process.returncode}: {last[0]}"
        raise NotMeasuredError(message)
    return Sample(seconds=seconds, peak_kib=usage.ru_maxrss, output=text)


def figure(name: str, limit: float, samples: Sequence[Sample]) -> Figure:
    """Condense runs into a row: median time, largest peak."""
    return Figure(
        name=name,
        limit=limit,
        seconds=median(sample.seconds for sample in samples),
        peak_mib=max(sample.peak_kib for sample in samples) // KIB_PER_MIB,
        runs=len(samples),
    )
