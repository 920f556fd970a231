# SPDX-License-Identifier: Apache-2.0
"""`controlbook attest` and `controlbook signoff`: statements bound to what they cover.

Rules enforced here:
- nothing is attested or signed with a default: a person's words, and for a sign-off a
  conclusion, are needed for each control and requirement;
- what is not explained cannot be acknowledged, so it cannot be signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook import yamltext
from controlbook.approve import unannotated_ids
from controlbook.clock import now
from controlbook.errors import ControlbookError
from controlbook.people import acting, deliver
from controlbook.programme import GENERATOR, Programme
from controlbook.signoff import (
    check_statement,
    path_of,
    pull_body,
    pull_branch,
    pull_title,
    record,
    record_bytes,
)
from controlbook.subjects import control_subject, requirement_subject

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from controlbook.model import Assessment, Library, SignOff
    from controlbook.outcome import Outcome
    from controlbook.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    statement: str
    conclusion: str = ""


def _only_proposed(library: Library, assessment: Assessment, control: str) -> str:
    """Say where a control is proposed and not reviewed, which nobody can attest."""
    framework = library.frameworks[assessment.framework]
    numbers = [
        number
        for number in assessment.requirements
        if control in framework.requirements[number].proposed
    ]
    if not numbers:
        return ""
    return (
        f"it is only proposed for {', '.join(numbers)}: review the mapping in "
        f"{framework.path} and say `state: reviewed`"
    )


def attest(options: argparse.Namespace) -> Outcome:
    """Write the owner's attestation of each control, or propose them."""
    programme = Programme.open(options.root)
    assessment = programme.assessment(options.assessment)
    findings = programme.findings(assessment.id)
    library = programme.library
    ledger = programme.ledger_of(assessment.id)
    for name in options.controls:
        if name not in findings.controls:
            message = f"{assessment.id} has no control {name!r} in scope"
            raise ControlbookError(
                message,
                advice=_only_proposed(library, assessment, name)
                or f"it has {', '.join(findings.controls)}",
            )
        _must_be_explained(programme, assessment.id, findings.controls[name].ids, name)
    words = _words(options, options.controls)
    return _deliver(
        options,
        programme,
        [
            _record(
                options,
                programme,
                role="owner",
                about=name,
                decision="withdraw" if options.withdraw else "attest",
                words=words,
                acknowledged=findings.controls[name].ids,
                subject=control_subject(library, findings, ledger, assessment, name),
            )
            for name in options.controls
        ],
        {name: library.controls[name].title for name in options.controls},
    )


def signoff(options: argparse.Namespace) -> Outcome:
    """Write the assessor's sign-off of each requirement, or propose them."""
    programme = Programme.open(options.root)
    assessment = programme.assessment(options.assessment)
    findings = programme.findings(assessment.id)
    library = programme.library
    ledger = programme.ledger_of(assessment.id)
    framework = library.frameworks[assessment.framework]
    for number in options.requirements:
        if number not in findings.requirements:
            message = f"{assessment.id} has no requirement {number!r} in scope"
            raise ControlbookError(
                message, advice=f"it has {', '.join(assessment.requirements)}"
            )
        ids = findings.requirements[number].ids
        _must_be_explained(programme, assessment.id, ids, number)
    words = _words(options, options.requirements)
    decision = (
        "withdraw" if options.withdraw else "reject" if options.reject else "sign"
    )
    for number, said in words.items():
        if decision == "sign" and not said.conclusion:
            message = f"{number} has no conclusion"
            raise ControlbookError(message, advice="give --conclusion")
    return _deliver(
        options,
        programme,
        [
            _record(
                options,
                programme,
                role="assessor",
                about=number,
                decision=decision,
                words=words,
                acknowledged=findings.requirements[number].ids,
                subject=requirement_subject(
                    library, findings, ledger, assessment, number
                ),
            )
            for number in options.requirements
        ],
        {n: framework.requirements[n].title for n in options.requirements},
    )


def _must_be_explained(
    programme: Programme, assessment: str, ids: Sequence[str], about: str
) -> None:
    unexplained = sorted(
        set(ids)
        & unannotated_ids(
            programme.library,
            programme.findings(assessment),
            programme.assessment(assessment),
        )
    )
    if unexplained:
        message = f"{about} has no annotation for {', '.join(unexplained)}"
        moved = [
            row.place
            for row in programme.superseded(assessment)
            if row.path.startswith("annotations/")
            and {item.id for item in row.now} & set(unexplained)
        ]
        advice = "write one with `controlbook annotate` and merge it first"
        if moved:
            advice = (
                f"what {', '.join(moved)} names has moved: read it again, and let"
                " `controlbook annotate --refresh PATH` carry it over"
            )
        raise ControlbookError(message, advice=advice)


def _words(options: argparse.Namespace, names: Sequence[str]) -> dict[str, _Words]:
    conclusion = getattr(options, "conclusion", None) or ""
    if options.source:
        return _words_from(options, names)
    if not options.statement:
        message = "the statement is missing"
        raise ControlbookError(message, advice="give --statement, or --from FILE")
    return {
        name: _Words(statement=options.statement, conclusion=conclusion)
        for name in names
    }


def _words_from(options: argparse.Namespace, names: Sequence[str]) -> dict[str, _Words]:
    try:
        content = options.source.read_bytes()
    except OSError as error:
        raise ControlbookError(str(error), place="--from") from error
    text = yamltext.parse(content)
    for flaw in text.flaws:
        place = f"{options.source}:{flaw.line}"
        raise ControlbookError(flaw.message, place=place, advice=flaw.advice)
    tree = yamltext.plain(text.node) if text.node else {}
    table = tree if isinstance(tree, dict) else {}
    found: dict[str, _Words] = {}
    for name in names:
        entry = table.get(name)
        if isinstance(entry, str):
            found[name] = _Words(statement=entry)
        elif isinstance(entry, dict) and isinstance(entry.get("statement"), str):
            found[name] = _Words(
                statement=str(entry["statement"]),
                conclusion=str(entry.get("conclusion", "")),
            )
        else:
            message = f"there is no statement for {name}"
            raise ControlbookError(
                message,
                place=str(options.source),
                advice=f'write `"{name}": "…"`, or a mapping with `statement`',
            )
    return found


def _record(  # noqa: PLR0913 - what a person puts their name to
    options: argparse.Namespace,
    programme: Programme,
    *,
    role: str,
    about: str,
    decision: str,
    words: Mapping[str, _Words],
    acknowledged: Sequence[str],
    subject: Subject,
) -> SignOff:
    check_statement(
        about, words[about].statement, _said(options, programme, role, words)
    )
    return record(
        role=role,
        assessment=options.assessment,
        about=about,
        person=acting(options, programme.library),
        decision=decision,
        conclusion=words[about].conclusion if decision == "sign" else "",
        statement=words[about].statement,
        acknowledged=acknowledged,
        claimed_at=now(options.as_of),
        previous=programme.files.get(path_of(role, options.assessment, about)),
        base=programme.commit,
        generator=GENERATOR,
        subject=subject,
    )


def _said(
    options: argparse.Namespace,
    programme: Programme,
    role: str,
    words: Mapping[str, _Words],
) -> dict[str, str]:
    """Give every statement of this role so far, the ones being made now included."""
    return {
        file.about: file.statement
        for file in programme.library.signoffs
        if file.role == role and file.assessment == options.assessment
    } | {name: said.statement for name, said in words.items()}


def _deliver(
    options: argparse.Namespace,
    programme: Programme,
    records: Sequence[SignOff],
    titles: dict[str, str],
) -> Outcome:
    verb = "attest" if records[0].role == "owner" else "signoff"
    return deliver(
        options,
        programme,
        {made.path: record_bytes(made) for made in records},
        branch=pull_branch(records),
        title=pull_title(records),
        body=pull_body(records, titles),
        schema=f"controlbook/{verb}/1",
    )
