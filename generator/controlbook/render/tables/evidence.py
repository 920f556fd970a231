# SPDX-License-Identifier: Apache-2.0
"""Tables of what was collected: runs and their objects, answers, events.

Rules enforced here:
- every object that a run names has its row, with version, lock and digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.render.facts import indexed
from controlbook.timeline import iso

from .table import joined, made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import Failing, Observation
    from controlbook.render.report import Report

    from .table import Row, Table


def evidence_index(report: Report) -> Table:
    """List every run of every stream, with the objects that it names."""

    def rows() -> Iterator[Row]:
        for stream in sorted(report.ledger.runs):
            for run in indexed(report.ledger, report.assessment, stream):
                for stored in run.objects:
                    yield (
                        stream,
                        run.seq,
                        run.kind,
                        iso(run.window.start),
                        iso(run.window.end),
                        iso(run.finished),
                        run.sha256,
                        stored.role,
                        stored.records,
                        stored.size,
                        stored.sha256,
                        stored.bucket,
                        stored.key,
                        stored.version_id,
                        stored.lock_mode,
                        stored.lock_until,
                    )

    return made(
        "evidence-index",
        "stream seq kind window_start window_end collected_at manifest_sha256 role"
        " records size sha256 bucket key version_id lock_mode retain_until",
        rows(),
    )


def observations(report: Report) -> Table:
    """List every answer of evidence that shows an instant."""

    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            for result in own.observed:
                for place in result.places:
                    for row in place.observations:
                        yield (name, *_observation(report, row))

    return made(
        "observations",
        "control evidence account account_name region at covers_start covers_end state"
        " result records records_root counts changes shown previous moves failing",
        rows(),
    )


def _observation(report: Report, row: Observation) -> Row:
    return (
        row.evidence,
        row.account,
        report.assessment.account_name(row.account),
        row.region,
        iso(row.at),
        iso(row.covers.start),
        iso(row.covers.end),
        row.state,
        row.result,
        row.records,
        row.records_root,
        joined(f"{name}={number}" for name, number in row.counts),
        joined(f"{name}={number}" for name, number in row.changes),
        joined(row.shown),
        row.previous,
        joined(f"{iso(at)} {result}" for at, result in row.moves),
        joined(map(_failing, row.failing)),
    )


def _failing(each: Failing) -> str:
    """Write what fails: since when, how exact that is, and what people did about it."""
    parts = (each.item, f"since {iso(each.since)}", f"by {each.precision}")
    return " ".join([*parts, *([each.workflow] if each.workflow else [])])


def events(report: Report) -> Table:
    """List every event that a control asks about."""

    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            for result in own.events:
                for event in result.events:
                    yield (
                        name,
                        result.key,
                        result.evidence.expect,
                        iso(event.at),
                        event.account,
                        report.assessment.account_name(event.account),
                        event.region,
                        event.actor,
                        event.about,
                        event.error,
                        event.id,
                    )

    return made(
        "events",
        "control evidence expect at account account_name region actor about error id",
        rows(),
    )


def event_queries(report: Report) -> Table:
    """List every question for events, by place, with the digests that vouch for it."""

    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            for result in own.events:
                for place in result.places:
                    yield (
                        name,
                        result.key,
                        result.evidence.expect,
                        place.account,
                        report.assessment.account_name(place.account),
                        place.region,
                        place.count,
                        iso(result.span.start) if result.span else "",
                        iso(result.span.end) if result.span else "",
                        place.observed,
                        place.digests,
                        place.log_files,
                        place.head,
                        place.head_sha256,
                    )

    return made(
        "event_queries",
        "control evidence expect account account_name region events span_start span_end"
        " observed_ms digests log_files head head_sha256",
        rows(),
    )
