# SPDX-License-Identifier: Apache-2.0
"""Print how fast a ledger is verified, and how much of a day Git has to keep.

Run with `python generator/benchmarks/bench_ledger.py`; it exits 1 where a figure
misses its limit:
- the chain of 5,000 run manifests, and a year of six streams, verify in under 1 s;
- a day of 1,000 accounts × 4 Regions × 200 rules with 100,000 transitions commits less
  than 256 KiB, a day of the example less than 16 KiB.
A run of the chains is like a quiet day of the example: four accounts, three packs, now
and then a resource that deviates and is mended.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench_collect import programme

from controlbook import manifest
from controlbook.cli import GARBAGE
from controlbook.collect import Collector
from controlbook.digest import ZERO, merkle_root, sha256
from controlbook.inforce import RulesInForce
from controlbook.ledger import chain_problems, manifest_path, rule_key
from controlbook.library import read
from controlbook.manifest import manifest_bytes
from controlbook.model import RuleInstance, Run, State, StoredObject, Transition
from controlbook.sandbox.example import example
from controlbook.sandbox.server import Sandbox
from controlbook.sources.aws import Connections
from controlbook.sources.config import ConfigSource
from controlbook.timeline import DAY, HOUR, MINUTE, Instant, Interval, instant
from controlbook.vault.directory import DirectoryVault
from controlbook.vault.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RUNS = 5_000
YEAR = 365
STREAMS = ("audit-manager", "cloudtrail", "reviews", "security-hub", "snapshot")
"""Those beside `config`, whose runs have rules."""
ROUNDS = 7
SECOND = 1.0
BIG_DAY, EXAMPLE_DAY = 256 * 1024, 16 * 1024
PLACES, RULES_EACH, MOVES = 4_000, 200, 100_000
ACCOUNTS = ("111122223333", "111122224444", "111122225555", "111122226666")
REGION = "eu-west-1"
RULES = ("S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED", "VPC_FLOW_LOGS_ENABLED")
START = instant("2028-01-01T00:00:00Z")


def rules() -> tuple[RuleInstance, ...]:
    """Give the rule instances of every day."""
    found = [
        RuleInstance(
            key=rule_key(identifier, (), account, REGION),
            rule=identifier.lower().replace("_", "-"),
            deployed_as=identifier.lower().replace("_", "-"),
            identifier=identifier,
            parameters=(),
            account=account,
            region=REGION,
            trigger="change",
            population=12,
            counts=(("COMPLIANT", 12),),
            records_root=sha256(f"{identifier} {account}".encode()),
        )
        for identifier in RULES
        for account in ACCOUNTS
    ]
    return tuple(sorted(found, key=lambda row: row.key))


def ledger(runs: int = RUNS, stream: str = "config") -> dict[str, bytes]:
    """Write a chain of manifests, each after the one before."""
    rows = rules() if stream == "config" else ()
    files: dict[str, bytes] = {}
    previous: Run | None = None
    for seq in range(1, runs + 1):
        run = day(seq, rows, previous, stream)
        data = manifest_bytes(run, previous)
        files[manifest_path(stream, seq)] = data
        previous = replace(run, sha256=sha256(data))
    return files


def day(
    seq: int, rows: tuple[RuleInstance, ...], previous: Run | None, stream: str
) -> Run:
    """Give one day's run."""
    window = Interval(Instant(START + (seq - 1) * DAY), Instant(START + seq * DAY))
    started = Instant(window.end + 6 * HOUR)
    places = tuple((account, REGION) for account in ACCOUNTS)
    return Run(
        stream=stream,
        seq=seq,
        kind="regular",
        prev=previous.sha256 if previous else ZERO,
        sha256="",
        ledger="5b0c6f0e-2f1d-4f5b-9a53-6f6f2a1c7d10",
        window=window,
        run_id=f"{stream}-{seq}",
        started=started,
        finished=Instant(started + 4 * MINUTE),
        aws_date=started,
        principal="arn:aws:sts::111122226666:assumed-role/collector/ci",
        endpoint="aws",
        vault="s3",
        collector=(("name", "controlbook"), ("version", "1.0.0")),
        expected=places,
        collected=places,
        missing=(),
        pages=36,
        throttles=0,
        complete=True,
        queries=(
            (
                "config:DescribeAggregateComplianceByConfigRules",
                '{"ConfigurationAggregatorName":"org","Limit":1000}',
            ),
            ("config:DescribeConfigRules", "{}"),
            ("organizations:ListAccounts", "{}"),
        ),
        counts=(("COMPLIANT", 12 * len(rows)),) if rows else (),
        rules=rows,
        rules_root=previous.rules_root if previous else manifest.rules_root(rows),
        transitions=flips(rows[0], window) if rows and seq % 10 == 0 else (),
        pulls=(),
        objects=tuple(stored(role, seq) for role in ("source", "records", "state")),
    )


def flips(row: RuleInstance, window: Interval) -> tuple[Transition, ...]:
    """Let one resource deviate for five minutes."""
    bad, good = State.NON_COMPLIANT, State.COMPLIANT
    return tuple(
        Transition(
            at=Instant(window.start + minutes * MINUTE),
            instance=row.key,
            rule=row.rule,
            account=row.account,
            region=row.region,
            resource="AWS::S3::Bucket/archive",
            before=before,
            after=after,
            precision="change",
        )
        for minutes, before, after in ((192, good, bad), (197, bad, good))
    )


def stored(role: str, seq: int) -> StoredObject:
    """Name one pack of the day."""
    digest = sha256(f"{role} {seq}".encode())
    return StoredObject(
        role=role,
        bucket="evidence",
        key=f"packs/config/{digest}.ndjson.gz",
        version_id="3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY",
        sha256=digest,
        size=5_371,
        lock_mode="COMPLIANCE",
        lock_until="2035-04-01T00:00:00Z",
        records=len(ACCOUNTS),
        content_sha256=digest,
        content_size=94_713,
        records_root=merkle_root([digest.encode()]),
    )


def verified(files: Mapping[str, bytes], title: str) -> bool:
    """Print the median of several rounds with cold caches."""
    times, used = [], []
    for _ in range(ROUNDS):
        manifest.parsed.cache_clear()
        start, busy = time.perf_counter(), time.process_time()
        problems = chain_problems(files)
        times.append(time.perf_counter() - start)
        used.append(time.process_time() - busy)
        if problems:
            sys.exit("\n".join(problems[:9]))
    size = sum(map(len, files.values())) / len(files)
    print(
        f"{title}, {size:.0f} bytes each: {statistics.median(times) * 1000:.0f} ms, at"
        f" best {min(times) * 1000:.0f}; CPU {statistics.median(used) * 1000:.0f} ms"
    )
    return statistics.median(times) < SECOND


# --- what Git keeps of a day ----------------------------------------------------------


def big_day() -> bool:
    """Write a day of 1,000 accounts as a collector would; print what Git keeps."""
    places = tuple(
        (f"{account:012d}", region)
        for account in range(1, PLACES // 4 + 1)
        for region in ("eu-central-1", "eu-north-1", "eu-west-1", "us-east-1")
    )
    rows = tuple(sorted(map(big_rule, range(PLACES * RULES_EACH)), key=by_key))
    window = Interval(START, Instant(START + DAY))
    before = replace(day(1, (), None, "config"), rules=rows)
    bad = (("COMPLIANT", 11), ("NON_COMPLIANT", 1))
    changed = {
        row.key: replace(row, counts=bad, records_root=sha256(row.key.encode()))
        for row in rows[:MOVES]
    }
    run = replace(
        day(2, (), before, "config"),
        window=window,
        expected=places,
        collected=places,
        rules=tuple(changed.get(row.key, row) for row in rows),
        transitions=tuple(sorted(flips(row, window)[0] for row in changed.values())),
        objects=tuple(stored("source", n) for n in range(PLACES)),
    )
    rules_before = RulesInForce()
    rules_before.take(rows)
    start = time.perf_counter()
    run = replace(run, rules_root=rules_before.root_over(run.rules))
    lists = {}
    held = []
    for role, lines in manifest.long_lists(run, before):
        made = pack(lines)
        lists[made.sha256] = made.body
        held.append(replace(stored(role, 0), sha256=made.sha256, size=len(made.body)))
    run = replace(run, objects=(*run.objects, *held))
    data = manifest_bytes(run, before)
    print(
        f"1,000 accounts, {MOVES} transitions, {len(rows)} rules: {len(data)} bytes in"
        f" Git, {sum(map(len, lists.values()))} in {len(lists)} lists of the vault;"
        f" written in {time.perf_counter() - start:.1f} s"
    )
    return len(data) < BIG_DAY


def by_key(row: RuleInstance) -> str:
    """Give what rules are ordered by."""
    return row.key


def big_rule(number: int) -> RuleInstance:
    """Give one of 800,000 rule instances."""
    place, rule = divmod(number, RULES_EACH)
    digest = sha256(str(number).encode())
    return RuleInstance(
        key=digest[:16],
        rule=f"rule-number-{rule}",
        deployed_as=f"rule-number-{rule}-conformance-pack-abc123",
        identifier=f"RULE_NUMBER_{rule}",
        parameters=(),
        account=f"{place // 4 + 1:012d}",
        region=("eu-central-1", "eu-north-1", "eu-west-1", "us-east-1")[place % 4],
        trigger="change",
        population=12,
        counts=(("COMPLIANT", 12),),
        records_root=digest,
    )


def standing(now: Instant) -> Callable[[], Instant]:
    """Give a clock that stands still."""
    return lambda: now


def example_day() -> bool:
    """Collect the day of the example on which most happens; print what Git keeps."""
    git: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder, Sandbox(example()) as sandbox:
        os.environ.update(sandbox.environment())
        library = read(programme())
        aws = Connections(library.settings.collector_role)
        for number in range(4):
            now = Instant(instant("2028-02-13T06:00:00Z") + number * DAY)
            sandbox.set_clock(now)
            Collector(
                library=library,
                vault=DirectoryVault(Path(folder)),
                clock=standing(now),
                commit=lambda files, _message: git.update(files),
                about=(("name", "controlbook"), ("version", "1.0.0")),
            ).collect(ConfigSource(library.settings, aws), git)
    sizes = [len(git[path]) for path in sorted(git)]
    print(
        f"the example: {max(sizes[1:])} bytes in Git on the day with most changes;"
        f" {sizes[0]} for the opening state"
    )
    return max(sizes[1:]) < EXAMPLE_DAY


def main() -> int:
    """Print every figure; 1 where one misses its limit."""
    gc.set_threshold(GARBAGE)  # as the command line does
    year = ledger(YEAR)
    for stream in STREAMS:
        year |= ledger(YEAR, stream)
    fine = [
        verified(ledger(), f"{RUNS} run manifests"),
        verified(year, f"a year of {len(STREAMS) + 1} streams, {len(year)} manifests"),
        example_day(),
        big_day(),
    ]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    raise SystemExit(main())
