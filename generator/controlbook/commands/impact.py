# SPDX-License-Identifier: Apache-2.0
"""`controlbook impact`: what the present commit changes against its base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError, Exit
from controlbook.git import GitFailedError, Repository
from controlbook.impact import Side, markdown
from controlbook.impact import impact as compare
from controlbook.library import governed
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.vault import NotInVaultError

if TYPE_CHECKING:
    import argparse

    from controlbook.impact import Impact


def impact(options: argparse.Namespace) -> Outcome:
    """Compare the present commit with its base; exit 1 where somebody has to act."""
    after = Programme.open(options.root)
    base = options.base or _base(after.repository, after.library.settings.branch)
    before = Programme(after.repository, base)
    notes: list[str] = []
    sides = _side(before, notes), _side(after, notes)
    found = compare(*sides, notes=dict.fromkeys(notes))
    library = before.library
    people = {f"@{person.login}": person.id for person in library.people.values()}
    people |= {f"@{team.login}": f"team {team.id}" for team in library.teams.values()}
    return Outcome(
        text=markdown(found, people).rstrip("\n"),
        data={"schema": "controlbook/impact/1", "base": before.commit}
        | {"commit": after.commit}
        | _data(found),
        code=Exit.FOUND if found.found else Exit.FINE,
    )


def _base(repository: Repository, branch: str) -> str:
    """Choose the base: what a merge merged into, else where the branch left main."""
    head = repository.landed("HEAD")[0]
    if len(head.parents) > 1:
        return head.parents[0]
    for name in (f"origin/{branch}", branch):
        try:
            return repository.git("merge-base", "HEAD", name).decode().strip()
        except GitFailedError:
            continue
    message = f"there is no branch {branch} to compare with"
    raise ControlbookError(message, advice="name the base: `controlbook impact BASE`")


def _side(programme: Programme, notes: list[str]) -> Side:
    statuses, subjects = {}, {}
    for name in programme.library.assessments:
        try:
            table = programme.statuses(name)
            parts = programme.subjects(name)
        except ControlbookError as error:
            # Who reviews a change need not be able to read the vault.
            if error.code is not Exit.UNAVAILABLE and not isinstance(
                error, NotInVaultError
            ):
                raise
            notes.append(f"{name}: no status was derived ({error})")
        else:
            statuses[name], subjects[name] = table, parts
    return Side(
        library=programme.library,
        paths={p: body for p, body in programme.files.items() if governed(p)},
        statuses=statuses,
        subjects=subjects,
    )


def _data(found: Impact) -> dict[str, object]:
    return {
        "touched": [
            {
                "assessment": row.assessment,
                "requirement": row.requirement,
                "before": row.before,
                "after": row.after,
                "parts": list(row.parts),
            }
            for row in found.touched
        ],
        "stale": [{"file": path, "parts": list(parts)} for path, parts in found.stale],
        "unannotated": [
            {"assessment": name, "id": id_, "new": new}
            for name, id_, new in found.unannotated
        ],
        "approvals": [
            {"path": path, "owners": list(who)} for path, who in found.approvals
        ],
        "owners": [
            {"path": path, "before": list(old), "after": list(new)}
            for path, old, new in found.owners
        ],
        "not_checked": list(found.notes),
    }
