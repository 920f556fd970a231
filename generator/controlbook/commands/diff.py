# SPDX-License-Identifier: Apache-2.0
"""`controlbook diff`: an assessment at two commits, side by side.

Rules enforced here:
- each commit is judged by its own files and ledger, by the same rules;
- an assessment that one of the two does not have came or went as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.differences import Side, differences
from controlbook.errors import ControlbookError, Exit
from controlbook.outcome import Outcome
from controlbook.programme import Programme

if TYPE_CHECKING:
    import argparse


def diff(options: argparse.Namespace) -> Outcome:
    """Compare the older commit with the newer one; exit 1 where they differ."""
    new = Programme.open(options.root, options.to)
    old = Programme(new.repository, options.rev or f"{new.commit}^")
    name = options.assessment
    known = [name in each.library.assessments for each in (old, new)]
    if not any(known):
        new.assessment(name)  # says which there are
    found = differences(_side(old, name), _side(new, name))
    head = f"{name}  {old.commit[:10]} → {new.commit[:10]}"
    came = (
        "" if all(known) else f"  (only the {'newer' if known[1] else 'older'} has it)"
    )
    lines = [change.line for change in found] or ["nothing changed"]
    return Outcome(
        text="\n".join([head + came, *lines]),
        data={
            "schema": "controlbook/diff/1",
            "assessment": name,
            "old": old.commit,
            "new": new.commit,
            "changes": [
                {"what": c.what, "name": c.name, "old": c.old, "new": c.new}
                for c in found
            ],
        },
        code=Exit.FOUND if found else Exit.FINE,
    )


def _side(programme: Programme, name: str) -> Side:
    if name not in programme.library.assessments:
        return Side(findings=None, statuses={})
    try:
        return Side(
            findings=programme.findings(name), statuses=programme.statuses(name)
        )
    except ControlbookError as error:
        place = f"{error.place} at {programme.commit[:10]}".strip()
        raise ControlbookError(
            error.message, place=place, advice=error.advice, code=error.code
        ) from error
