# SPDX-License-Identifier: Apache-2.0
"""Print what collecting costs within one process: the quarter of the example, daily.

Run from a checkout: python generator/benchmarks/bench_collect.py [DAYS]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from controlbook.collect import Collector
from controlbook.ledger import read_ledger
from controlbook.library import read
from controlbook.manifest import parsed
from controlbook.sandbox.example import example
from controlbook.sandbox.server import Sandbox
from controlbook.sources.aws import Connections
from controlbook.sources.config import ConfigSource
from controlbook.timeline import DAY, Instant, instant
from controlbook.vault.directory import DirectoryVault

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
FIRST = instant("2028-01-01T06:00:00Z")
FOLDERS = ("controls", "frameworks", "signoffs", "annotations", ".github")


def programme() -> dict[str, bytes]:
    """Read the human files of this repository, the example programme's."""
    paths = [ROOT / "pyproject.toml"]
    for folder in FOLDERS:
        paths += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


def main(days: int) -> None:
    """Collect day by day, and read the ledger that comes of it."""
    library = read(programme())
    git: dict[str, bytes] = {}
    seconds: list[float] = []
    now = FIRST

    def commit(files: Mapping[str, bytes], _message: str) -> None:
        git.update(files)

    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox(example()) as sandbox,
    ):
        os.environ.update(sandbox.environment())
        aws = Connections(library.settings.collector_role)
        collector = Collector(
            library=library,
            vault=DirectoryVault(Path(folder)),
            clock=lambda: now,
            commit=commit,
            about=(("name", "controlbook"),),
        )
        for day in range(days):
            now = Instant(FIRST + day * DAY)
            sandbox.set_clock(now)
            started = time.perf_counter()
            collector.collect(ConfigSource(library.settings, aws), git)
            seconds.append(time.perf_counter() - started)
    sizes = [len(data) for data in git.values()]
    print(f"{'first run (opening state, cold clients)':44}{seconds[0]:8.3f} s")
    print(f"{'daily run, median':44}{median(seconds[1:]):8.3f} s")
    print(f"{'daily run, slowest':44}{max(seconds[1:]):8.3f} s")
    print(f"{f'reading {days} manifests, median of 5':44}{reading(git):8.3f} s")
    print(f"{'manifest, first':44}{sizes[0]:8} bytes")
    print(f"{'manifest, median':44}{int(median(sizes)):8} bytes")
    print(f"{'manifest, largest but the first':44}{max(sizes[1:]):8} bytes")


def reading(git: Mapping[str, bytes]) -> float:
    """Time reading the ledger, with nothing remembered from before."""
    seconds = []
    for _ in range(5):
        forget()
        started = time.perf_counter()
        read_ledger(git)
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def forget() -> None:
    """Empty the caches that a new process would not have."""
    parsed.cache_clear()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 92)
