# SPDX-License-Identifier: Apache-2.0
"""Print how long folding takes: evaluations to deviations, ours and DuckDB's.

Run with `python generator/benchmarks/bench_fold.py [--rows 10000000]`.

- 100,000 evaluations, every one a transition, through the product's own fold: 0.5 s;
- the same for a day of which one evaluation in 25 changes anything, as transitions;
- millions of evaluations in a Parquet file with integer keys, by DuckDB under 600 MB:
  at most ten times as long as a scan of every column of that file in the same run, and
  equal, to the millisecond, to a second, plain fold. DuckDB is no part of the product:
  the ledger keeps transitions, and folding those is what the product does. Without
  DuckDB installed this part is left out, and says so.

Exits 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from controlbook.history import pieces_by_resource
from controlbook.model import State, Transition
from controlbook.timeline import DAY, Instant, instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import duckdb

    Totals = dict[int, tuple[int, int]]
    """rule → (deviations, their milliseconds)"""

START = instant("2028-01-01T00:00:00Z")
END = Instant(START + 90 * DAY)
GOAL_S = 0.5
GOAL_RATIO = 10
MEMORY = "600MB"
ROUNDS = 5
GOOD, BAD = 0, 1
SEED = 20280101


def transitions(count: int) -> list[Transition]:
    """Give changes of twenty per resource, in the order of time."""
    chance = random.Random(SEED)  # noqa: S311 - any world does
    keys = [(f"{n % 2000:016x}", f"AWS::S3::Bucket/b-{n}") for n in range(count // 20)]
    found = []
    for key, resource in keys:
        at, good = int(START), True
        for _ in range(20):
            at += chance.randrange(1, (END - START) // 20)
            found.append(
                Transition(
                    at=Instant(at),
                    instance=key,
                    rule="rule",
                    account="111122223333",
                    region="eu-west-1",
                    resource=resource,
                    before=State.NON_COMPLIANT if good else State.COMPLIANT,
                    after=State.COMPLIANT if good else State.NON_COMPLIANT,
                    precision="change",
                )
            )
            good = not good
    return sorted(found)


def deviations(moves: list[Transition]) -> int:
    """Count the pieces in which something was NON_COMPLIANT."""
    table = pieces_by_resource((), moves)
    return sum(
        piece.state is State.NON_COMPLIANT
        for pieces in table.values()
        for piece in pieces
    )


def evaluations(rows: int) -> Iterator[tuple[int, int, int, int]]:
    """Give (resource, rule, milliseconds since the start, state), by resource.

    Ninety evaluations of each resource; one in 25 is not what the one before was.
    """
    chance = random.Random(SEED)  # noqa: S311 - the same
    for resource in range(rows // 90):
        rule, state = resource % 200, GOOD
        for day in range(90):
            if chance.random() < 1 / 25:
                state = BAD - state
            yield resource, rule, day * DAY + chance.randrange(DAY), state


def plainly(rows: Iterable[tuple[int, int, int, int]]) -> Totals:
    """Fold evaluations, given by resource and time, row by row."""
    found: Totals = {}
    end = END - START
    last: tuple[int, int] | None = None
    since, state = 0, GOOD

    def close(rule: int, until: int) -> None:
        if state == BAD:
            count, length = found.get(rule, (0, 0))
            found[rule] = (count + 1, length + until - since)

    for resource, rule, at, after in rows:
        if (resource, rule) != last:
            if last:
                close(last[1], end)
            last, since, state = (resource, rule), at, after
        elif after != state:
            close(rule, at)
            since, state = at, after
    if last:
        close(last[1], end)
    return found


FOLD = """
with moves as (
    select resource, rule, moment, state,
        lag(state) over w as before
    from read_parquet($file)
    window w as (partition by resource, rule order by moment)
), changes as (
    select resource, rule, moment, state from moves
    where before is null or before <> state
), pieces as (
    select rule, state, coalesce(
        lead(moment) over (partition by resource, rule order by moment), $until
    ) - moment as length
    from changes
)
select rule, count(*), sum(length) from pieces where state = 1
group by rule order by rule
"""
SCAN = """
select count(*), sum(resource), sum(rule), sum(moment), sum(state)
from read_parquet($file)
"""


def median(work: Callable[[], object], rounds: int) -> float:
    """Give the median seconds of several rounds, of all threads' CPU."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def ours(count: int) -> bool:
    """Print the product's own fold."""
    moves = transitions(count)
    deviating = deviations(moves)
    fine = True
    for name, some in (
        (f"{count:,}", moves),
        (f"{count // 25:,}", moves[: count // 25]),
    ):
        seconds = median(lambda some=some: deviations(some), ROUNDS)  # type: ignore[misc]
        print(f"{name} transitions to deviations: {seconds:.3f} s of CPU")
        fine = fine and seconds < GOAL_S
    print(f"({deviating:,} deviations; goal {GOAL_S} s)")
    return fine


def theirs(rows: int, folder: Path) -> bool:
    """Print DuckDB's fold of a Parquet file against a scan of it."""
    try:
        import duckdb  # noqa: PLC0415 - not everybody has it
    except ImportError:
        print("DuckDB is not installed: millions of evaluations were not folded")
        return True
    database = duckdb.connect(
        config={"memory_limit": MEMORY, "threads": "2", "temp_directory": str(folder)}
    )
    database.execute("set preserve_insertion_order = false")
    file = str(folder / "evaluations.parquet")
    write(database, evaluations(rows), file)
    asked = {"file": file, "until": END - START}
    pairs = [
        (
            median(lambda: database.execute(SCAN, {"file": file}).fetchall(), 1),
            median(lambda: database.execute(FOLD, asked).fetchall(), 1),
        )
        for _ in range(3)
    ]
    ratio = statistics.median(folding / scanning for scanning, folding in pairs)
    scanning, folding = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"{rows:,} evaluations, {Path(file).stat().st_size / 2**20:.0f} MiB of Parquet,"
        f" {MEMORY}: fold {folding:.2f} s of CPU, scan of every column"
        f" {scanning:.2f} s: {ratio:.1f} times (goal {GOAL_RATIO})"
    )
    found = by_engine(database, file)
    equal = found == plainly(evaluations(rows))
    count = sum(count for count, _ in found.values())
    print(f"{count:,} deviations, {'equal' if equal else 'NOT EQUAL'} to a plain fold")
    return equal and ratio <= GOAL_RATIO


def by_engine(database: duckdb.DuckDBPyConnection, file: str) -> Totals:
    """Fold the evaluations of a Parquet file, in whatever order they stand."""
    rows = database.execute(FOLD, {"file": file, "until": END - START}).fetchall()
    return {rule: (count, int(length)) for rule, count, length in rows}


def write(
    database: duckdb.DuckDBPyConnection,
    rows: Iterable[tuple[int, int, int, int]],
    file: str,
) -> None:
    """Write the evaluations, in the order of time, as one Parquet file."""
    table = f"{file}.csv"
    with Path(table).open("w", encoding="ascii") as out:
        out.writelines(
            f"{resource},{rule},{at},{state}\n" for resource, rule, at, state in rows
        )
    database.execute(
        f"""
        copy (
            select * from read_csv('{table}', header = false, columns = {{
                resource: 'integer', rule: 'integer', moment: 'bigint', state: 'tinyint'
            }}) order by moment
        ) to '{file}' (format parquet, compression zstd)
        """  # noqa: S608 - a path of ours
    )
    Path(table).unlink()


def main() -> int:
    """Measure, print; exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    fine = ours(100_000)
    with tempfile.TemporaryDirectory() as folder:
        fine = theirs(options.rows, Path(folder)) and fine
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
