# SPDX-License-Identifier: Apache-2.0
"""Print the figures that the README promises: `make bench`.

Lays the example programme down in build/bench, with the command as people run it, and
measures on two cores. Exits 1 when a figure misses its limit or could not be measured.

The figures of a large organisation take minutes and stand apart: `bench_scale.py` (one
day of a thousand accounts), `bench_year.py` (a ledger of many such days) and
`bench_fold.py` (evaluations to deviations).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from measure import NotMeasuredError, figure, run, use_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from measure import Figure, Sample

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("controlbook"))
DAY_AFTER = "2028-04-02T06:00:00Z"
"""The next regular run after the demo's last."""
FINE, FOUND = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the example programme lies."""

    folder: Path
    """Holds the programme and what lies beside it: vault and bare remote."""

    @property
    def programme(self) -> Path:
        """Give the programme's repository."""
        return self.folder / "demo"

    @property
    def bundle(self) -> Path:
        """Give the bundle of the released assessment."""
        return self.programme / "build/PCI-2028-Q1.zip"


def environment(**more: str) -> dict[str, str]:
    """Give the caller's environment, without what would send calls to a real AWS.

    Python may keep what it compiled, as it does where people install the product.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "GITHUB_", "CONTROLBOOK_"))
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    return kept | more


def command(
    folder: Path, *arguments: str, accepted: tuple[int, ...] = (FINE,)
) -> Sample:
    """Run controlbook in a folder."""
    return run((COMMAND, *arguments), folder, environment(), accepted)


def measure_help(_: Place, runs: int) -> list[Sample]:
    """Measure how long `--help` takes to answer."""
    return [command(ROOT, "--help") for _ in range(runs)]


def measure_demo(place: Place, runs: int) -> list[Sample]:
    """Measure the whole demo after set-up; the last one stays for the other figures."""
    samples = []
    for _ in range(runs):
        shutil.rmtree(place.folder, ignore_errors=True)
        place.folder.mkdir(parents=True)
        samples.append(command(ROOT, "demo", "--dir", str(place.programme)))
    return samples


def measure_check(place: Place, runs: int) -> list[Sample]:
    """Measure the check of the programme's files; findings are no failure."""
    need(place.programme)
    return [
        command(place.programme, "check", accepted=(FINE, FOUND)) for _ in range(runs)
    ]


def measure_verify(place: Place, runs: int) -> list[Sample]:
    """Measure the verification of the demo's bundle."""
    need(place.bundle)
    return [command(ROOT, "verify", str(place.bundle)) for _ in range(runs)]


def measure_collect(place: Place, runs: int) -> list[Sample]:
    """Measure the day after the demo, each time from the state the demo left."""
    need(place.programme)
    samples = []
    with sandbox() as endpoints:
        for _ in range(runs):
            copy = Place(folder=place.folder.with_name("bench-day"))
            shutil.rmtree(copy.folder, ignore_errors=True)
            shutil.copytree(place.folder, copy.folder, symlinks=True)
            samples.append(
                run(
                    (COMMAND, "collect", "--as-of", DAY_AFTER),
                    copy.programme,
                    environment(**endpoints),
                    (FINE, FOUND),
                )
            )
    return samples


@contextmanager
def sandbox() -> Iterator[dict[str, str]]:
    """Serve the sandbox at the day after; give the settings that lead boto3 to it."""
    process = subprocess.Popen(
        (COMMAND, "sandbox", "--at", DAY_AFTER),
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield settings_of(process)
    finally:
        process.terminate()
        process.wait()


def settings_of(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read the settings, `export NAME=value`, that the sandbox prints at its start."""
    found: dict[str, str] = {}
    for line in process.stdout or ():
        match = re.fullmatch(r"(?:export )?([A-Z_]+)=(\S+)", line.strip())
        if match:
            found[match[1]] = match[2].strip("\"'")
        if {"AWS_ENDPOINT_URL", "GITHUB_API_URL"} <= found.keys():
            return {
                "AWS_ACCESS_KEY_ID": "sandbox",
                "AWS_SECRET_ACCESS_KEY": "sandbox",
                "AWS_DEFAULT_REGION": "eu-west-1",
                "GITHUB_TOKEN": "sandbox",
            } | found
    message = f"controlbook sandbox --at {DAY_AFTER} named no endpoints"
    raise NotMeasuredError(message)


def need(path: Path) -> None:
    """Demand what an earlier row should have left."""
    if not path.exists():
        message = f"{path.relative_to(ROOT)} is missing; the demo has to run first"
        raise NotMeasuredError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One promised figure and how it is measured."""

    name: str
    limit: float
    runs: int
    measure: Callable[[Place, int], list[Sample]]


ROWS = (
    Row(name="controlbook --help", limit=0.15, runs=15, measure=measure_help),
    Row(name="demo, after set-up", limit=120.0, runs=3, measure=measure_demo),
    Row(name="collect, one day", limit=1.0, runs=5, measure=measure_collect),
    Row(name="check", limit=1.0, runs=5, measure=measure_check),
    Row(name="verify, the demo's bundle", limit=5.0, runs=5, measure=measure_verify),
)


def line(row: Figure) -> str:
    """Write one row of the table."""
    verdict = "ok" if row.holds else "TOO SLOW"
    return (
        f"{row.name:<26} {row.seconds:>8.3f} s {row.limit:>8.2f} s"
        f" {row.peak_mib:>6} MiB {row.runs:>5}  {verdict}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure every row, print the table, and tell whether all figures hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--demo-runs", type=int, default=3, help="how often to run the whole demo"
    )
    parser.add_argument(
        "--dir", type=Path, default=ROOT / "build/bench", help="a folder to work in"
    )
    options = parser.parse_args(arguments)
    place = Place(folder=options.dir.resolve())

    print(f"medians on {use_cores()} cores, Python {sys.version.split()[0]}")
    print(f"{'':<26} {'median':>10} {'limit':>10} {'peak':>10} {'runs':>5}")
    fine = True
    for row in ROWS:
        runs = options.demo_runs if row.measure is measure_demo else row.runs
        try:
            measured = figure(row.name, row.limit, row.measure(place, runs))
        except (NotMeasuredError, OSError) as error:
            print(f"{row.name:<26} NOT MEASURED: {error}")
            fine = False
        else:
            print(line(measured))
            fine = fine and measured.holds
        sys.stdout.flush()
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
