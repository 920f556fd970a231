# SPDX-License-Identifier: Apache-2.0
"""The report's tables: every requirement, rule, deviation, run and sign-off as rows.

Rules enforced here:
- columns and rows stand in a fixed order, and no table is cut: pages show n of N, the
  table has all N;
- annotations that are internal stay out;
- a requirement left out of the assessment has its row, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.model import ConfigRule
from controlbook.timeline import iso

from .facts import documents, indexed, judgement_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controlbook.digest import Json
    from controlbook.model import (
        Annotation,
        Deviation,
        EvidenceSource,
        Gap,
        InstanceResult,
        Judgement,
        Observation,
    )
    from controlbook.trail import Origin

    from .report import Report

Cell = str | int
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A named table with its columns and all its rows."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def tables(report: Report) -> tuple[Table, ...]:
    """Give every table of a report, in a fixed order."""
    return (
        _requirements(report),
        _controls(report),
        _rules(report),
        _population(report),
        _deviations(report),
        _gaps(report),
        _annotations(report),
        _evidence_index(report),
        _signoffs(report),
        _documents(report),
        _transitions(report),
        _observations(report),
        _events(report),
        _event_queries(report),
        _status_history(report),
        _governance_changes(report),
        _people_changes(report),
        *([_changes(report)] if report.supersedes else []),
    )


def _table(name: str, columns: str, rows: Iterator[Row]) -> Table:
    return Table(name=name, columns=tuple(columns.split()), rows=tuple(rows))


def _joined(values: object) -> str:
    return "; ".join(str(value) for value in values)  # type: ignore[attr-defined] # any sequence of texts


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return _joined(f"{name}={value}" for name, value in pairs)


def _requirements(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        for number, status in report.statuses.items():
            item = report.framework.requirements[number]
            own = report.findings.requirements[number]
            yield (
                number,
                item.title,
                _joined(item.controls),
                item.inherited,
                item.not_applicable,
                report.assessment.assessor_of(number),
                status.status.value,
                status.conclusion,
                report.framework.labels.get(status.conclusion, status.conclusion),
                len(own.deviations),
                len(own.gaps),
                len(status.unannotated),
                _joined(f"{person}: {what}" for person, what in status.waiting),
                "",
            )
        for number, reason in report.assessment.excluded:
            entry = report.framework.requirements.get(number)
            title = entry.title if entry else ""
            yield (number, title, *[""] * 4, "excluded", *[""] * 6, reason)

    return _table(
        "requirements",
        "requirement title controls inherited not_applicable assessor status conclusion"
        " label deviations gaps unannotated waiting excluded_because",
        rows(),
    )


def _controls(report: Report) -> Table:
    used: dict[str, list[str]] = {}
    for number in report.assessment.requirements:
        for name in report.framework.requirements[number].controls:
            used.setdefault(name, []).append(number)

    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            control = report.library.controls[name]
            yield (
                name,
                control.title,
                control.owner,
                _joined(used.get(name, ())),
                _joined(evidence.key for evidence in control.evidence),
                len(own.deviations),
                len(own.gaps),
                control.path,
                control.sha256,
            )

    return _table(
        "controls",
        "control title owner requirements evidence deviations gaps path sha256",
        rows(),
    )


def _rules(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            results = {result.evidence.key: result for result in own.rules}
            for evidence in report.library.controls[name].evidence:
                if isinstance(evidence, ConfigRule):
                    result = results[evidence.key]
                    yield (
                        name,
                        evidence.key,
                        evidence.identifier,
                        _pairs(evidence.parameters),
                        len(result.instances),
                        result.resources,
                        result.throughout,
                        result.share.present,
                        result.share.observed,
                        result.share.deviating,
                        result.share.exempt,
                    )
                else:
                    yield (name, *_other(evidence))

    return _table(
        "rules",
        "control evidence identifier parameters instances resources throughout"
        " present_ms observed_ms deviating_ms exempt_ms",
        rows(),
    )


def _other(evidence: EvidenceSource) -> Row:
    return (evidence.key, *[""] * 9)


def _events(report: Report) -> Table:
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

    return _table(
        "events",
        "control evidence expect at account account_name region actor about error id",
        rows(),
    )


def _event_queries(report: Report) -> Table:
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

    return _table(
        "event_queries",
        "control evidence expect account account_name region events span_start span_end"
        " observed_ms digests log_files head head_sha256",
        rows(),
    )


def _population(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            for result in own.rules:
                for row in result.instances:
                    yield (name, result.evidence.key, *_instance(report, row))

    return _table(
        "population",
        "control evidence rule deployed_as identifier parameters account account_name"
        " region trigger frequency matched at_start at_end resources throughout"
        " present_ms observed_ms deviating_ms exempt_ms deviations gaps repeated"
        " counted_in",
        rows(),
    )


def _instance(report: Report, row: InstanceResult) -> Row:
    return (
        row.rule,
        row.deployed_as,
        row.identifier,
        _pairs(row.parameters),
        row.account,
        report.assessment.account_name(row.account),
        row.region,
        row.trigger,
        row.frequency,
        row.matched,
        row.at_start,
        row.at_end,
        len(row.resources),
        row.throughout,
        row.share.present,
        row.share.observed,
        row.share.deviating,
        row.share.exempt,
        _joined(row.deviations),
        _joined(row.gaps),
        len(row.repeated),
        row.counted_in,
    )


def _notes_of(report: Report, item: Deviation | Gap) -> list[Annotation]:
    return [
        note
        for note in report.library.annotations
        if item.id in note.covers and note.audience != "internal"
    ]


def _requirements_of(report: Report, item: Deviation | Gap) -> str:
    return _joined(
        number
        for number, own in report.findings.requirements.items()
        if item.id in own.ids
    )


def _deviations(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        found = report.findings
        mapped = [(item, "yes") for item in found.deviations]
        for item, named in (*mapped, *((item, "no") for item in found.unmapped)):
            notes = _notes_of(report, item)
            yield (
                item.id,
                named,
                _requirements_of(report, item),
                item.rule,
                item.identifier,
                _pairs(item.parameters),
                item.account,
                report.assessment.account_name(item.account),
                item.region,
                item.resource,
                iso(item.start),
                "" if item.end is None else iso(item.end),
                iso(item.within.start),
                iso(item.within.end),
                item.within.length,
                item.ended_by,
                item.precision,
                _joined(note.path for note in notes),
                _joined(note.ticket for note in notes if note.ticket),
            )

    return _table(
        "deviations",
        "id mapped requirements rule identifier parameters account account_name region"
        " resource start end within_start within_end within_ms ended_by precision"
        " annotations tickets",
        rows(),
    )


def _gaps(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        for item in report.findings.gaps:
            notes = _notes_of(report, item)
            yield (
                item.id,
                item.reason,
                _requirements_of(report, item),
                item.rule,
                item.account,
                report.assessment.account_name(item.account),
                item.region,
                iso(item.start),
                "" if item.end is None else iso(item.end),
                iso(item.within.start),
                iso(item.within.end),
                item.within.length,
                _joined(item.resources),
                _joined(note.path for note in notes),
                _joined(note.ticket for note in notes if note.ticket),
            )

    return _table(
        "gaps",
        "id reason requirements rule account account_name region start end within_start"
        " within_end within_ms resources annotations tickets",
        rows(),
    )


def _annotations(report: Report) -> Table:
    known = {
        *report.findings.controls,
        *(item.id for item in report.findings.deviations),
        *(item.id for item in report.findings.gaps),
        *(item.id for item in report.findings.unmapped),
    }

    def rows() -> Iterator[Row]:
        for note in sorted(report.library.annotations, key=lambda note: note.path):
            if note.audience != "internal" and known & set(note.covers):
                yield (
                    note.path,
                    note.title,
                    _joined(note.covers),
                    "" if note.start is None else iso(note.start),
                    "" if note.end is None else iso(note.end),
                    note.author,
                    note.ticket,
                    note.body,
                    note.sha256,
                )

    return _table(
        "annotations",
        "path title covers start end author ticket text sha256",
        rows(),
    )


def _evidence_index(report: Report) -> Table:
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

    return _table(
        "evidence-index",
        "stream seq kind window_start window_end collected_at manifest_sha256 role"
        " records size sha256 bucket key version_id lock_mode retain_until",
        rows(),
    )


def _observations(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            for result in own.observed:
                for place in result.places:
                    for row in place.observations:
                        yield (name, *_observation(report, row))

    return _table(
        "observations",
        "control evidence account account_name region at covers_start covers_end state"
        " result records records_root counts changes shown previous moves",
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
        _joined(f"{name}={number}" for name, number in row.counts),
        _joined(f"{name}={number}" for name, number in row.changes),
        _joined(row.shown),
        row.previous,
        _joined(f"{iso(at)} {result}" for at, result in row.moves),
    )


def _signoffs(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        seen: set[str] = set()
        for number, status in report.statuses.items():
            for control, judgement in sorted(status.attestations.items()):
                if control not in seen:
                    seen.add(control)
                    yield _signoff(report, "owner", control, judgement)
            yield _signoff(report, "assessor", number, status.judgement)

    return _table(
        "signoffs",
        "role about person decision conclusion counts reasons stale pull_request"
        " head merge reviewer_id reviewed_at claimed_at acknowledged statement path"
        " sha256 subject",
        rows(),
    )


def _signoff(
    report: Report,
    role: str,
    about: str,
    judgement: Judgement,
) -> Row:
    file = judgement.signoff
    document = judgement_document(report.library, judgement)
    pull: Mapping[str, Json] = document.get("pull", {})  # type: ignore[assignment] # its own document
    reasons = (
        _joined(judgement.reasons),
        _joined(part.name for part in judgement.stale),
    )
    if file is None:
        return (role, about, "", "", "", "no", *reasons, *[""] * 11)
    return (
        role,
        about,
        file.person,
        file.decision,
        file.conclusion,
        "yes" if judgement.counts else "no",
        *reasons,
        *(
            str(pull.get(name, ""))
            for name in ("url", "head", "merge", "reviewer-id", "reviewed-at")
        ),
        iso(file.claimed_at),
        _joined(file.acknowledged),
        file.statement,
        file.path,
        file.sha256,
        _pairs(file.subject),
    )


def _documents(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        for paper in documents(report.library, report.findings):
            users = [
                name
                for name, own in sorted(report.findings.controls.items())
                if paper.id in own.documents
            ]
            yield (
                paper.id,
                paper.title,
                paper.owner,
                paper.version,
                _joined(users),
                iso(paper.covers.start),
                iso(paper.covers.end),
                iso(paper.received),
                "" if paper.expires is None else iso(paper.expires),
                paper.file,
                paper.size,
                paper.content_sha256,
                paper.object.bucket,
                paper.object.key,
                paper.object.version_id,
                paper.object.lock_mode,
                paper.object.lock_until,
                paper.path,
                paper.sha256,
            )

    return _table(
        "documents",
        "document title owner version controls covers_start covers_end received expires"
        " file size content_sha256 bucket key version_id lock_mode retain_until path"
        " sha256",
        rows(),
    )


def _transitions(report: Report) -> Table:
    assessment = report.assessment
    accounts = {number for _, number in assessment.accounts}

    def rows() -> Iterator[Row]:
        for run in report.runs:
            for move in run.transitions:
                inside = assessment.period.contains(move.at)
                if (
                    inside
                    and move.account in accounts
                    and move.region in assessment.regions
                ):
                    yield (
                        run.seq,
                        iso(move.at),
                        move.rule,
                        move.account,
                        assessment.account_name(move.account),
                        move.region,
                        move.resource,
                        move.before.value,
                        move.after.value,
                        move.precision,
                        move.cause,
                    )

    return _table(
        "transitions",
        "seq at rule account account_name region resource before after precision cause",
        rows(),
    )


def _people_changes(report: Report) -> Table:
    rows = (
        (
            change.person,
            change.what,
            change.commit,
            change.pull or "",
            _joined(change.approved_by),
        )
        for change in report.people_changes
    )
    return _table("people-changes", "person change commit pull approved_by", rows)


def _changes(report: Report) -> Table:
    """Give what an addendum says otherwise than the release before it."""
    rows = (
        (report.supersedes, each.kind, each.about, each.field, each.before, each.after)
        for each in report.changes
    )
    return _table("changes", "since kind about field before after", rows)


def _status_history(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        for row in report.trail.changes:
            pull = row.origin.pull
            yield (
                row.requirement,
                row.before,
                row.after,
                row.conclusion,
                row.why,
                _joined(row.causes),
                *_origin(row.origin),
                iso(pull.merged_at) if pull else "",
            )

    return _table(
        "status-history",
        "requirement before after conclusion why causes commit committed_claimed"
        " pull_request opened_by approved_by merged",
        rows(),
    )


def _origin(origin: Origin) -> tuple[Cell, ...]:
    return (
        origin.commit,
        iso(origin.at),
        origin.pull.number if origin.pull else "",
        origin.opened_by,
        _joined(origin.approved_by),
    )


def _governance_changes(report: Report) -> Table:
    def rows() -> Iterator[Row]:
        for row in report.trail.governance:
            yield (
                row.path,
                row.file.before,
                row.file.after,
                _joined(
                    f"{path}: {_owners(old)} -> {_owners(new)}"
                    for path, old, new in row.owners
                ),
                _joined(row.signs),
                *_origin(row.origin),
            )

    def _owners(names: tuple[str, ...]) -> str:
        return " ".join(names) or "nobody"

    return _table(
        "governance-changes",
        "path sha256_before sha256_after owners_changed signed_in_the_same_commit"
        " commit committed_claimed pull_request opened_by approved_by",
        rows(),
    )
