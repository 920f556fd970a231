# SPDX-License-Identifier: Apache-2.0
"""Print how long it takes to check the whole library: load, CODEOWNERS, all of it.

Run with `python generator/benchmarks/bench_check.py`; the goal is under 2,000 ms, and
it exits 1 above that.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from controlbook import yamltext
from controlbook.check import check
from controlbook.library import GOVERNED, load

ROOT = Path(__file__).parents[2]
LIMIT_MS = 2_000
ROUNDS = 9


def programme() -> dict[str, bytes]:
    """Read the example programme: every framework and every control."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for prefix in GOVERNED
        for path in [ROOT / prefix, *(ROOT / prefix).rglob("*")]
        if path.is_file()
    }


def main() -> None:
    """Print the median of several rounds with cold caches, and of the start-up."""
    files = programme()
    times = []
    for _ in range(ROUNDS):
        yamltext.parse.cache_clear()
        yamltext.front_matter.cache_clear()
        start = time.perf_counter()
        library, problems = load(files)
        problems += check(library, files, {})
        times.append(time.perf_counter() - start)
        if problems:
            sys.exit("\n".join(map(str, problems)))
    starts = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        code = "import controlbook.check"
        subprocess.run([sys.executable, "-c", code], check=True)
        starts.append(time.perf_counter() - start)
    items = [r for f in library.frameworks.values() for r in f.requirements.values()]
    median = statistics.median(times) * 1000
    print(
        f"check of {len(library.frameworks)} frameworks with {len(items):,} "
        f"requirements, {sum(len(item.mappings) for item in items):,} mappings and "
        f"{len(library.controls)} controls: {median:.0f} ms (limit {LIMIT_MS:,} ms)"
    )
    print(f"Python and imports of it: {statistics.median(starts) * 1000:.0f} ms")
    sys.exit(int(median > LIMIT_MS))


if __name__ == "__main__":
    main()
