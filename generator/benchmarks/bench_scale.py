# SPDX-License-Identifier: Apache-2.0
"""Print what one day of a very large organisation costs the `config` stream.

Run with `python generator/benchmarks/bench_scale.py [--accounts 100]`. AWS is a process
of its own on loopback, asked through boto3 as ever. Counted is everything from the
first question to the packs that the vault is given: reading, normalising, hashing,
folding, and squeezing, in all processes. Not counted: the manifest (bench_ledger.py).

AWS's own time is not ours, but it takes turns on the same cores. Of the time on the
clock its CPU seconds are taken off, divided by the cores: what would be left if it
had no cost, as long as no core was idle. An idle core counts as our time.

Goals at 1,000 accounts × 4 Regions × 200 rules, 1,000,000 resources and 100,000
transitions: 50,000 records a second, 1 GiB. Exits 1 where one is missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scale_world import (
    AGGREGATOR,
    BAD,
    DELIVERY,
    GOOD,
    NOW,
    SINCE,
    START,
    Organisation,
    organisation,
    sized,
)

from controlbook.cli import GARBAGE
from controlbook.digest import canonical
from controlbook.ledger import rule_key
from controlbook.model import Assessment, RuleInstance, Run, Settings
from controlbook.sources import Past, Scope
from controlbook.sources.aws import Connections
from controlbook.sources.config import ConfigSource
from controlbook.sources.head import counted
from controlbook.timeline import DAY, HOUR, Instant, Interval, iso
from controlbook.vault.packs import Pack, Packer, records_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.sources import Reading

RATE = 50_000
MEMORY_MIB = 1024
WINDOW = Interval(START, Instant(START + DAY))


def opening(org: Organisation) -> tuple[tuple[RuleInstance, ...], Pack]:
    """Give the ledger's rules and states before the day."""
    rules: list[RuleInstance] = []
    packer = Packer()
    since, words = iso(SINCE), [org.rule(n) for n in range(org.rules)]
    for account, region in org.places:
        table = {
            row.key: row
            for row in (
                _rule(account, region, number, words) for number in range(org.rules)
            )
        }
        keys = list(table)
        rows = sorted(
            [
                keys[rule],
                org.resource(account, region, number),
                org.opening(number) if place == 0 else GOOD,
                since,
            ]
            for number in range(org.resources)
            for place, rule in enumerate(org.judged_by(number))
        )
        under: dict[str, list[list[str]]] = {key: [] for key in keys}
        for row in rows:
            under[row[0]].append(row)
        rules += counted(table, (), under)
        packer.add(canonical({"account": account, "region": region, "states": rows}))
    return tuple(sorted(rules, key=lambda row: row.key)), packer.finish()


def _rule(account: str, region: str, number: int, words: list[str]) -> RuleInstance:
    identifier = f"BASELINE_RULE_{number:03d}"
    return RuleInstance(
        key=rule_key(identifier, (), account, region),
        rule=words[number],
        deployed_as=words[number],
        identifier=sys.intern(identifier),
        parameters=(),
        account=account,
        region=region,
        trigger="change",
        population=0,
        counts=(),
        records_root="",
    )


def run_before(org: Organisation, rules: tuple[RuleInstance, ...]) -> Run:
    """Give the run of the day before, which saw everything."""
    places = tuple(org.places)
    return Run(
        stream="config",
        seq=1,
        kind="regular",
        prev="0" * 64,
        sha256="1" * 64,
        ledger="",
        window=Interval(Instant(START - DAY), START),
        run_id="",
        started=Instant(START + 6 * HOUR),
        finished=Instant(START + 6 * HOUR),
        aws_date=Instant(START + 6 * HOUR),
        principal="",
        endpoint="",
        vault="directory",
        collector=(),
        expected=places,
        collected=places,
        missing=(),
        pages=0,
        throttles=0,
        complete=True,
        queries=(),
        counts=(),
        rules=rules,
        rules_root="",
        transitions=(),
        pulls=(),
        objects=(),
    )


def scope_of(org: Organisation) -> Scope:
    """Scope the whole organisation."""
    accounts = tuple((a, a) for a, _ in org.places[:: org.regions])
    return Scope(
        assessments=(
            Assessment(
                id="A",
                title="",
                framework="f",
                period=Interval(SINCE, Instant(START + 90 * DAY)),
                accounts=accounts,
                regions=tuple(sorted({region for _, region in org.places})),
                requirements=(),
                excluded=(),
                assessors=(),
                path="",
            ),
        )
    )


@contextmanager
def aws(options: argparse.Namespace) -> Iterator[str]:
    """Serve the organisation from another process."""
    sizes = [f"--{k}={v}" for k, v in vars(options).items() if k != "profile"]
    program = Path(__file__).with_name("scale_world.py")
    server = subprocess.Popen(
        [sys.executable, str(program), *sizes],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout  # noqa: S101 - a pipe was asked for
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.communicate()


def cpu() -> float:
    """Give the CPU seconds of this process and of those it has had."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(who) for who in both]
    return sum(row.ru_utime + row.ru_stime for row in used)


def peak_mib(pid: int | str = "self") -> int:
    """Give the largest resident size of a process since it was last reset."""
    text = Path(f"/proc/{pid}/status").read_text()
    (line,) = [row for row in text.splitlines() if row.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


class Crew(threading.Thread):
    """Watches the processes that this one has, for as long as they live.

    What the kernel counts of children that ended begins with their parent's size.
    """

    def __init__(self) -> None:
        """Watch nobody yet."""
        super().__init__(daemon=True)
        self.peaks: dict[int, int] = {}
        self.over = threading.Event()

    def run(self) -> None:
        """Look every tenth of a second."""
        while not self.over.wait(0.1):
            for process in multiprocessing.active_children():
                with suppress(OSError, ValueError):
                    self.peaks[process.pid or 0] = peak_mib(process.pid or 0)


def main() -> int:
    """Build, run, check, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    sized(parser)
    options = parser.parse_args()
    org = organisation(options)
    gc.set_threshold(GARBAGE)  # as the command line does
    rules, states = opening(org)
    past = Past(runs=(run_before(org, rules),), states=lambda: records_of(states.body))
    settings = Settings(
        ledger="",
        aggregator=AGGREGATOR,
        region=org.places[0][1],
        delivery_bucket=DELIVERY,
        collector_role="controlbook-read",
    )
    scope = scope_of(org)
    with aws(options) as url:
        os.environ.update(
            AWS_ENDPOINT_URL=url,
            AWS_ACCESS_KEY_ID=f"AS{org.places[0][0]}",
            AWS_SECRET_ACCESS_KEY="s",  # noqa: S106 - of nobody
            AWS_DEFAULT_REGION=settings.region,
        )
        source = ConfigSource(settings, Connections(settings.collector_role))
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        before = peak_mib()
        crew = Crew()
        crew.start()
        clock, spent = time.perf_counter(), cpu()
        (reading,) = source.read(((WINDOW, scope),), past, NOW)
        clock, spent = time.perf_counter() - clock, cpu() - spent
        crew.over.set()
        peak = peak_mib() + sum(crew.peaks.values())
        with urllib.request.urlopen(f"{url}/_calls") as answer:  # noqa: S310 - ours
            asked = json.load(answer)
    return report(org, reading, (clock, spent), (before, peak), asked, len(crew.peaks))


def report(
    org: Organisation,
    reading: Reading,
    seconds: tuple[float, float],
    memory: tuple[int, int],
    asked: dict[str, object],
    crew: int,
) -> int:
    """Print the figures, and tell whether the goals hold and the day came out right."""
    clock, spent = seconds
    size = Counter[str]()
    records = Counter[str]()
    for role, packed in reading.packs:
        size[role] += packed.content_size
        size[f"{role}, stored"] += len(packed.body)
        records[role] += packed.records
    places = len(org.places)
    standing = places * org.resources * org.under
    rows = places * org.rules
    items = records["records"] - places
    total = rows + items + places * org.resources
    print(
        f"{org.accounts:,} accounts × {org.regions} Regions × {org.rules} rules,"
        f" {places * org.resources:,} resources with {standing:,} states,"
        f" {len(reading.transitions):,} transitions"
    )
    print(
        f"records: {items:,} items + {rows:,} rule rows + {places * org.resources:,}"
        f" resources = {total:,}"
    )
    theirs = float(asked["cpu"])  # type: ignore[arg-type]
    cores = len(os.sched_getaffinity(0))
    ours = clock - theirs / cores
    rate = total / ours
    print(
        f"{clock:.1f} s on the clock, {spent:.1f} s of CPU in {crew + 1} processes;"
        f" AWS's own CPU beside it: {theirs:.1f} s"
    )
    print(
        f"without AWS on {cores} cores: {ours:.1f} s, {rate:,.0f} records a second"
        f" (goal {RATE:,})"
    )
    print(f"of CPU, whatever the cores: {total / spent:,.0f} records a second")
    print(f"with every state counted: {(rows + items + standing) / ours:,.0f}")
    print(f"without the resources that only stand: {(rows + items) / ours:,.0f}")
    print(
        f"peak {memory[1]:,} MiB (goal {MEMORY_MIB:,}), of which {memory[0]:,} before:"
        " the ledger's rule rows, and the states' pack; all processes at their largest"
    )
    for name, count in sorted(size.items()):
        print(f"bytes of {name}: {count:,}")
    calls: dict[str, int] = asked["calls"]  # type: ignore[assignment]
    for name, count in sorted(calls.items()):
        print(f"calls of {name}: {count:,}")
    print(f"calls: {sum(calls.values()):,}")
    moves = places * org.moves
    right = (
        len(reading.transitions) == items == moves
        and reading.complete
        and not reading.missing
        and not reading.notes
        and counts(reading)[BAD] == places * sum(org.bad_after.values())
    )
    if not right:
        print("the day did not come out right:", reading.notes[:3], reading.missing[:3])
    return int(not right or rate < RATE or memory[1] > MEMORY_MIB)


def counts(reading: Reading) -> Counter[str]:
    """Add up the rule rows' counts."""
    found: Counter[str] = Counter()
    for row in reading.rules:
        found.update(dict(row.counts))
    return found


if __name__ == "__main__":
    raise SystemExit(main())
