# SPDX-License-Identifier: Apache-2.0
"""What a bundle carries of a pack: its records in scope, the others as leaf hashes.

Rules enforced here:
- every leaf of the pack stands there, in order, as its record or as `#<leaf hash>`, so
  that the Merkle root in the run manifest can be recomputed without the hidden records;
- only records of accounts and Regions outside the assessment are hidden;
- which packs a bundle must carry follows from ledger and findings alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .digest import NotCanonicalError, leaf_hash, parse_canonical, root_of_hashes
from .manifest import is_list
from .model import heard_in
from .preserved import packs_of
from .sight import opening_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .model import (
        Assessment,
        Deviation,
        Findings,
        Gap,
        Ledger,
        RequirementStatus,
        Run,
        StoredObject,
    )

_HIDDEN = re.compile(rb"#[0-9a-f]{64}\Z")


class ExtractError(ValueError):
    """The bytes are not an extract of a pack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """A pack as a bundle carries it."""

    root: str
    """Merkle root over all leaves, hidden ones included."""
    records: tuple[bytes, ...]
    hidden: int


def extract(records: Iterable[bytes], assessment: Assessment) -> bytes:
    """Write an extract: records in the assessment's scope, leaf hashes for others."""
    return b"".join(
        (record if _in_scope(record, assessment) else _hidden(record)) + b"\n"
        for record in records
    )


def whole(records: Iterable[bytes]) -> bytes:
    """Write an extract that hides nothing."""
    return b"".join(record + b"\n" for record in records)


def read_extract(data: bytes) -> Extract:
    """Read an extract; ExtractError if it is none."""
    lines = data.split(b"\n")
    if lines.pop():
        message = "the last line has no end"
        raise ExtractError(message)
    leaves: list[bytes] = []
    records: list[bytes] = []
    for number, line in enumerate(lines, 1):
        if not line.startswith(b"#"):
            records.append(line)
            leaves.append(leaf_hash(line))
        elif _HIDDEN.match(line):
            leaves.append(bytes.fromhex(line[1:].decode()))
        else:
            message = f"line {number} is neither a record nor a leaf hash"
            raise ExtractError(message)
    return Extract(
        root=root_of_hashes(leaves),
        records=tuple(records),
        hidden=len(lines) - len(records),
    )


def carried_packs(
    ledger: Ledger,
    findings: Findings,
    statuses: Mapping[str, RequirementStatus],
    assessment: Assessment,
) -> dict[str, StoredObject]:
    """Name the packs that a bundle must carry, by the digest of their content.

    The state packs that open and close the period, the record packs of the runs that
    saw a deviation or gap begin or end, the captured reviews behind every attestation
    and sign-off, the records of every event that a control counts, and what is kept of
    Audit Manager.
    """
    found = [
        *_states(ledger, assessment),
        *_records(ledger, findings),
        *_reviews(ledger, statuses),
        *_events(ledger, findings, assessment),
        *packs_of(ledger, assessment),
    ]
    return {
        stored.content_sha256: stored
        for stored in found
        if stored.records_root and stored.content_sha256 and not is_list(stored)
    }


def closing_run(ledger: Ledger, assessment: Assessment) -> Run | None:
    """Choose the run whose state pack closes a period."""
    runs = [
        run
        for run in ledger.config
        if run.window.start < assessment.period.end and run.kind != "correction"
    ]
    return runs[-1] if runs else None


def state_object(run: Run) -> StoredObject | None:
    """Find the state pack that a run stored."""
    return next((stored for stored in run.objects if stored.role == "state"), None)


def _states(ledger: Ledger, assessment: Assessment) -> Iterator[StoredObject]:
    for run in (
        opening_run(ledger.config, assessment.period),
        closing_run(ledger, assessment),
    ):
        stored = state_object(run) if run else None
        if stored:
            yield stored


def _records(ledger: Ledger, findings: Findings) -> Iterator[StoredObject]:
    items: tuple[Deviation | Gap, ...] = (*findings.deviations, *findings.gaps)
    edges = {edge for item in items for edge in (item.start, item.end)}
    for run in ledger.config:
        if any(edge is not None and run.window.contains(edge) for edge in edges):
            yield from (stored for stored in run.objects if stored.role == "records")


def _reviews(
    ledger: Ledger, statuses: Mapping[str, RequirementStatus]
) -> Iterator[StoredObject]:
    merges = {
        judgement.pull.merge
        for status in statuses.values()
        for judgement in (status.judgement, *status.attestations.values())
        if judgement.pull
    }
    for run in ledger.runs.get("reviews", ()):
        if any(pull.merge in merges for pull in run.pulls):
            yield from run.objects


def _events(
    ledger: Ledger, findings: Findings, assessment: Assessment
) -> Iterator[StoredObject]:
    queries = {row.key for own in findings.controls.values() for row in own.events}
    accounts = {number for _, number in assessment.accounts}
    for run in ledger.cloudtrail:
        if run.window.clip(assessment.period) and any(
            row.key in queries and row.account in accounts for row in run.event_counts
        ):
            yield from (stored for stored in run.objects if stored.role == "records")


def _in_scope(record: bytes, assessment: Assessment) -> bool:
    try:
        tree = parse_canonical(record)
    except NotCanonicalError:
        return True
    if not isinstance(tree, dict):
        return True
    accounts = {number for _, number in assessment.accounts}
    # An event of a global service belongs to a scope wherever it was recorded.
    regions = heard_in(str(tree.get("source", "")), assessment.regions)
    return (
        tree.get("account", next(iter(accounts), "")) in accounts
        and tree.get("region", next(iter(assessment.regions), "")) in regions
    )


def _hidden(record: bytes) -> bytes:
    return b"#" + leaf_hash(record).hex().encode()
