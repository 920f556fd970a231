# SPDX-License-Identifier: Apache-2.0
"""Print how long it takes to verify the chain of 5,000 run manifests.

Run with `python generator/benchmarks/bench_ledger.py`; the goal is under 1,000 ms. A
day is like a quiet one of the example: four accounts, three packs, now and then a
resource that deviates and is mended.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace

from controlbook import manifest
from controlbook.digest import ZERO, merkle_root, sha256
from controlbook.ledger import chain_problems, manifest_path, rule_key
from controlbook.manifest import manifest_bytes
from controlbook.model import RuleInstance, Run, State, StoredObject, Transition
from controlbook.timeline import DAY, HOUR, MINUTE, Instant, Interval, instant

RUNS = 5_000
ROUNDS = 7
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


def ledger() -> dict[str, bytes]:
    """Write a chain of manifests, each after the one before."""
    rows = rules()
    files: dict[str, bytes] = {}
    previous: Run | None = None
    for seq in range(1, RUNS + 1):
        run = day(seq, rows, previous)
        data = manifest_bytes(run, previous)
        files[manifest_path("config", seq)] = data
        previous = replace(run, sha256=sha256(data))
    return files


def day(seq: int, rows: tuple[RuleInstance, ...], previous: Run | None) -> Run:
    """Give one day's run."""
    window = Interval(Instant(START + (seq - 1) * DAY), Instant(START + seq * DAY))
    started = Instant(window.end + 6 * HOUR)
    places = tuple((account, REGION) for account in ACCOUNTS)
    return Run(
        stream="config",
        seq=seq,
        kind="regular",
        prev=previous.sha256 if previous else ZERO,
        sha256="",
        ledger="5b0c6f0e-2f1d-4f5b-9a53-6f6f2a1c7d10",
        window=window,
        run_id=f"run-{seq}",
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
        counts=(("COMPLIANT", 12 * len(rows)),),
        rules=rows,
        rules_root=previous.rules_root if previous else manifest.rules_root(rows),
        transitions=flips(rows[0], window) if seq % 10 == 0 else (),
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


def main() -> None:
    """Print the median of several rounds with cold caches."""
    files = ledger()
    times = []
    for _ in range(ROUNDS):
        manifest.parsed.cache_clear()
        start = time.perf_counter()
        problems = chain_problems(files)
        times.append(time.perf_counter() - start)
        if problems:
            sys.exit("\n".join(problems[:9]))
    size = sum(map(len, files.values())) / len(files)
    print(
        f"{RUNS} run manifests of {size:.0f} bytes:"
        f" {statistics.median(times) * 1000:.0f} ms, at best {min(times) * 1000:.0f}"
    )


if __name__ == "__main__":
    main()
