# SPDX-License-Identifier: Apache-2.0
"""`controlbook check`: every problem of the human files at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.check import check as check_files
from controlbook.errors import ControlbookError, Exit
from controlbook.library import load
from controlbook.outcome import Outcome
from controlbook.programme import Programme

if TYPE_CHECKING:
    import argparse

    from controlbook.errors import Problem
    from controlbook.model import Findings


def check(options: argparse.Namespace) -> Outcome:
    """Check the work tree: exit 2 for a broken rule, 1 for what history holds."""
    programme = Programme.of_work_tree(options.root)
    library, problems = load(programme.files)
    found: list[str] = []
    notes: list[str] = []
    if not problems:
        programme.library = library
        findings, notes = _findings(programme)
        problems = check_files(library, programme.files, findings)
        found = _unreviewed(programme)
    return _outcome(sorted(problems), found, notes)


def _findings(programme: Programme) -> tuple[dict[str, Findings], list[str]]:
    """Derive what can be derived here; a vault that is out of reach is said."""
    findings: dict[str, Findings] = {}
    notes: list[str] = []
    for name in programme.library.assessments:
        try:
            findings[name] = programme.findings(name)
        except ControlbookError as error:
            if error.code is not Exit.UNAVAILABLE:
                raise
            notes.append(f"{name}: annotations not compared with the facts ({error})")
    return findings, notes


def _unreviewed(programme: Programme) -> list[str]:
    merges = {pull.merge for pull in programme.ledger.pulls}
    return [
        f"commit {commit[:10]} reached {programme.library.settings.branch} without a "
        "captured review; merge a pull request and run "
        "`controlbook collect --stream reviews`"
        for commit in programme.repository.unreviewed_commits(programme.commit, merges)
    ]


def _outcome(problems: list[Problem], found: list[str], notes: list[str]) -> Outcome:
    code = Exit.USAGE if problems else Exit.FOUND if found else Exit.FINE
    lines = [*map(str, problems), *found, *(f"not checked: {note}" for note in notes)]
    return Outcome(
        text="\n".join(lines) if lines else "everything is in order",
        data={
            "schema": "controlbook/check/1",
            "problems": [
                {
                    "path": problem.path,
                    "line": problem.line,
                    "message": problem.message,
                    "advice": problem.advice,
                }
                for problem in problems
            ],
            "found": found,
            "not_checked": notes,
        },
        code=code,
    )
