# SPDX-License-Identifier: Apache-2.0
"""Deriving a report again from ledger and sources, and comparing what was published.

Rules enforced here:
- facts, data files and OSCAL documents must be equal to the byte, so no figure is
  taken on trust;
- a requirement that is published as signed is signed, over what is here; what is
  published as stale or unsigned is no forgery, but still open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .approve import approve
from .assess import assess
from .digest import canonical, digest_of
from .errors import ControlbookError, Exit
from .extracts import carried_packs
from .faults import Faults, still_open, wrong
from .ledger import outlines, read_ledger
from .library import GOVERNED, read
from .manifest import no_lists
from .model import Status
from .proofs import Trust, gather, witnesses
from .reach import reach_of
from .render.changes import changes, previous
from .render.facts import facts
from .render.figures import figures
from .render.manifest import ReleaseError, parse_tag
from .render.report import Commit, Report
from .subjects import requirement_subject
from .trail import Trail

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .digest import Json
    from .manifest import Lists
    from .model import PeopleChange, RequirementStatus, Standing
    from .preserved import Preserved
    from .provenance import Provenance
    from .record import Record
    from .seals import Documents

SIGNED = frozenset({Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS})
_MOST_REASONS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A report as ledger and sources give it, whatever was published."""

    report: Report
    data: Mapping[str, bytes]
    """Its data files and OSCAL documents."""


def derive(
    record: Record,
    *,
    commit: Commit,
    release: str,
    trail: Trail,
    before: Mapping[str, Json] | None = None,
    people: tuple[PeopleChange, ...] = (),
    kept: tuple[Preserved, ...] = (),
) -> Derived:
    """Derive statuses, subjects, facts and figures from values alone.

    `before` are the facts of the release that an addendum follows; `kept` is what the
    record packs hold of Audit Manager.
    """
    library, assessment = record.library, record.assessment
    statuses = approve(record)
    subjects = {
        number: requirement_subject(
            library, record.findings, record.ledger, assessment, number
        )
        for number in assessment.requirements
    }
    document = facts(
        library, record.ledger, record.findings, statuses, subjects, assessment
    )
    report = Report(
        library=library,
        ledger=record.ledger,
        assessment=assessment,
        framework=library.frameworks[assessment.framework],
        findings=record.findings,
        statuses=statuses,
        subjects=subjects,
        closing=(),
        commit=commit,
        facts=document,
        facts_root=digest_of(document),
        release=release,
        generator="",
        supersedes=previous(release, assessment.id) if before is not None else "",
        changes=changes(before, document) if before is not None else (),
        people_changes=people,
        trail=trail,
        preserved=kept,
    )
    return Derived(report=report, data=figures(report))


def facts_before(
    provenance: Provenance,
    release: str,
    name: str,
    opening: tuple[Standing, ...],
    lists: Lists = no_lists,
) -> tuple[Mapping[str, Json], str]:
    """Derive the facts of an earlier release, and give the root that its tag names.

    Its ledger is the beginning of the present one, so that `lists` are the same.
    Raises ControlbookError where its tag or its files cannot be read.
    """
    repository = provenance.repository
    try:
        tag = parse_tag(repository.tag_object(release))
    except ReleaseError as error:
        message = f"repo.bundle: {release}: {error}"
        raise ControlbookError(message, code=Exit.INTEGRITY) from error
    files = repository.files_at(tag.commit, (*GOVERNED, "evidence/"))
    library = read(files)
    assessment = library.assessments.get(name)
    if assessment is None:
        message = f"repo.bundle: {release} has no assessment {name}"
        raise ControlbookError(message, code=Exit.INTEGRITY)
    ledger = read_ledger(files, lists, reach_of(assessment, outlines(files)))
    found = gather(
        repository,
        tag.commit,
        library=library,
        ledger=ledger,
        assessment=assessment,
        seen=witnesses(files, library, Trust()),
        trust=Trust(),
    )
    findings = assess(library, ledger, opening, assessment)
    record = found.record(library, findings, ledger, assessment)
    derived = derive(record, commit=provenance.commit, release="", trail=Trail())
    document = derived.report.facts
    return document if isinstance(document, dict) else {}, tag.release.facts_root


def figure_faults(
    derived: Derived,
    documents: Documents,
    files: Mapping[str, bytes],
    packs: Collection[str],
) -> Faults:
    """Compare facts and figures; name the packs that the report rests on."""
    report = derived.report
    yield from _facts_faults(report, documents, files)
    for path, data in derived.data.items():
        if files.get(path) != data:
            yield wrong(f"{path}: is not what sources and ledger give")
    needed = carried_packs(
        report.ledger, report.findings, report.statuses, report.assessment
    )
    for digest in sorted(needed.keys() - set(packs)):
        yield wrong(f"packs/{digest}.leaves: is absent, though the report rests on it")


def _facts_faults(
    report: Report, documents: Documents, files: Mapping[str, bytes]
) -> Faults:
    due = canonical(report.facts)
    if due == files.get("facts.json"):
        return
    tree = dict(report.facts) if isinstance(report.facts, dict) else {}
    keys = [
        key
        for key in sorted({*tree, *documents.facts})
        if tree.get(key) != documents.facts.get(key)
    ]
    yield wrong(
        "facts.json: is not what sources and ledger give; these differ:"
        f" {', '.join(keys) or 'its spelling'}"
    )


def status_faults(derived: Derived, rows: Iterable[Mapping[str, Json]]) -> Faults:
    """Compare the status of each requirement with its row among the published facts."""
    published = {str(row.get("number")): str(row.get("status")) for row in rows}
    for number, status in derived.report.statuses.items():
        shown, due = published.get(number, "nothing"), status.status
        if shown != due.value:
            yield wrong(
                f"{number} is published as {shown}, but is {due.value}: {_why(status)}"
            )
        elif due not in SIGNED:
            yield still_open(f"{number} is {due.value}: {_why(status)}")
        for id_ in status.unannotated:
            yield still_open(f"{number}: {id_} is not annotated")


def _why(status: RequirementStatus) -> str:
    judgements = (
        (status.requirement, status.judgement),
        *status.attestations.items(),
    )
    parts = [
        f"{about}: {part.name} was {part.signed[:12] or 'not signed'}, is"
        f" {part.now[:12]}"
        for about, judgement in judgements
        for part in judgement.stale
    ]
    parts.extend(
        f"{about}: {reason}"
        for about, judgement in judgements
        for reason in judgement.reasons
    )
    return "; ".join(parts[:_MOST_REASONS]) or "nothing is missing"
