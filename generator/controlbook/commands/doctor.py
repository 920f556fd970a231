# SPDX-License-Identifier: Apache-2.0
"""`controlbook doctor`: tell whether evidence can be collected as things stand.

Rules enforced here:
- it reads, and changes nothing; the files are those of the work tree;
- exit 5 where something could not be asked, 1 where something is wrong, 0 with remarks
  at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.clock import now
from controlbook.diagnosis import Finding
from controlbook.errors import ControlbookError, Exit
from controlbook.examination import Examination
from controlbook.outcome import Outcome
from controlbook.overdue import overdue
from controlbook.programme import Programme
from controlbook.sources.aws import shared

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from controlbook.timeline import Instant


def doctor(options: argparse.Namespace) -> Outcome:
    """Look, and say line by line what is wrong and what to do."""
    programme = Programme.of_work_tree(options.root)
    library = programme.library
    settings = library.settings
    if not settings.aggregator or not settings.region:
        message = "no aggregator is set, or not its Region"
        advice = "set aggregator and region in [tool.controlbook]"
        raise ControlbookError(message, place="pyproject.toml", advice=advice)
    accounts = {
        number for a in library.assessments.values() for _, number in a.accounts
    }
    if options.account and options.account not in accounts:
        message = f"no assessment names account {options.account}"
        known = ", ".join(sorted(accounts)) or "none"
        raise ControlbookError(message, place="--account", advice=f"they name {known}")
    at = now(options.as_of)
    look = Examination(library, shared(settings.collector_role), at)
    look.examine(options.account or "")
    look.findings += _late(programme, at)
    return _outcome(look)


def _late(programme: Programme, at: Instant) -> Iterator[Finding]:
    """Say which evidence has stopped to arrive; none yet is only remarked."""
    for name, assessment in sorted(programme.library.assessments.items()):
        if programme.releases(name):
            continue
        for row in overdue(programme.library, programme.ledger, assessment, at):
            yield Finding(
                place=row.path,
                kind="evidence-late",
                message=row.words,
                advice=row.advice,
                remark=row.until is None,
            )


def _outcome(look: Examination) -> Outcome:
    found = sorted(set(look.findings))
    wrong = [finding for finding in found if not finding.remark]
    lines = [
        f"asked {look.endpoint} as {look.principal}: {len(look.calls)} kinds of call"
    ]
    lines += [finding.line for finding in wrong]
    lines += [finding.line for finding in found if finding.remark]
    lines += [f"not as modelled: {text}; tell us" for text in look.surprises]
    lines += [f"could not ask: {text}" for text in look.refused]
    if not wrong and not look.refused and not look.surprises:
        lines.append("nothing is wrong with what was asked")
    code = Exit.UNAVAILABLE if look.refused else Exit.FINE
    if code is Exit.FINE and (wrong or look.surprises):
        code = Exit.FOUND
    return Outcome(
        text="\n".join(lines),
        data={
            "schema": "controlbook/doctor/1",
            "endpoint": look.endpoint,
            "principal": look.principal,
            "calls": list(look.calls),
            "findings": [
                {
                    "place": finding.place,
                    "kind": finding.kind,
                    "message": finding.message,
                    "advice": finding.advice,
                    "remark": finding.remark,
                }
                for finding in found
            ],
            "not_as_modelled": list(look.surprises),
            "could_not_ask": look.refused,
        },
        code=code,
    )
