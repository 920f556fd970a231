# SPDX-License-Identifier: Apache-2.0
"""Print how long it takes to check 300 controls: load, CODEOWNERS, all of it.

Run with `python generator/benchmarks/bench_check.py`; the goal is under 1,000 ms.
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
CONTROLS = 300
ROUNDS = 9


def programme() -> dict[str, bytes]:
    """Multiply the example's controls until there are 300."""
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for prefix in GOVERNED
        for path in [ROOT / prefix, *(ROOT / prefix).rglob("*")]
        if path.is_file()
    }
    models = sorted(path for path in files if path.startswith("controls/"))
    for number in range(CONTROLS - len(models)):
        model = models[number % len(models)]
        stem = model.removeprefix("controls/").removesuffix(".yml")
        text = files[model].replace(f'id: "{stem}"'.encode(), b'id: "c%d"' % number)
        files[f"controls/c{number}.yml"] = text
    return files


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
        if problems or len(library.controls) != CONTROLS:
            sys.exit("\n".join(map(str, problems)) or "not 300 controls")
    starts = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        code = "import controlbook.check"
        subprocess.run([sys.executable, "-c", code], check=True)
        starts.append(time.perf_counter() - start)
    print(f"check of {CONTROLS} controls: {statistics.median(times) * 1000:.0f} ms")
    print(f"Python and imports of it: {statistics.median(starts) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
