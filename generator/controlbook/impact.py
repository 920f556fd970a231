# SPDX-License-Identifier: Apache-2.0
"""What a change does to the requirements, and who has to approve it.

Rules enforced here:
- the CODEOWNERS of the base decides who is asked, never the change's own;
- a requirement is touched where its status or any part of its subject differs;
- where the evidence is out of reach, what the paths alone tell is said, and no status;
- the text fits one comment: it stops at whole rows and says "showing n of N"; what
  people wrote cannot end a cell, nor mention anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .codeowners import owner_changes, owners
from .library import governed
from .model import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .model import Judgement, Library, RequirementStatus
    from .subjects import Subject

LIMIT = 65_536
"""Characters that GitHub takes in one comment."""
_ROOM = 400
"""Kept free for what closes a table that was cut."""

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A programme at one commit: before the change, or after it."""

    library: Library
    paths: Mapping[str, bytes]
    """Every governed file."""
    statuses: Mapping[str, Mapping[str, RequirementStatus]] = field(
        default_factory=dict
    )
    """assessment → requirement → status; without those that could not be derived."""
    subjects: Mapping[str, Mapping[str, Subject]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A requirement that the change moves, or whose subject it changes."""

    assessment: str
    requirement: str
    before: str
    after: str
    parts: tuple[str, ...]
    """Parts of its subject that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """Everything that one comment on a pull request says."""

    touched: tuple[Touched, ...]
    stale: tuple[tuple[str, tuple[str, ...]], ...]
    """(attestation or sign-off, its parts) that were current, and are no more."""
    unannotated: tuple[tuple[str, str, bool], ...]
    """(assessment, deviation or gap, whether the change brought it)."""
    approvals: tuple[tuple[str, tuple[str, ...]], ...]
    """(changed governed path, owners that the base asks; empty: nobody)."""
    owners: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    """(governed path, owners before, owners after)."""
    notes: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        """Tell whether somebody has to act beyond approving."""
        return bool(self.stale or self.owners) or any(
            (
                *(new for _, _, new in self.unannotated),
                *(not who for _, who in self.approvals),
            )
        )


def impact(before: Side, after: Side, notes: Iterable[str] = ()) -> Impact:
    """Compare two sides of a change."""
    changed = sorted(
        path
        for path in {*before.paths, *after.paths}
        if governed(path) and before.paths.get(path) != after.paths.get(path)
    )
    base = before.library.codeowners
    return Impact(
        touched=(*_touched(before, after), *_by_path(after, changed)),
        stale=_stale(before, after),
        unannotated=_unannotated(before, after),
        approvals=tuple((path, owners(base, path)) for path in changed),
        owners=owner_changes(
            base, after.library.codeowners, {*before.paths, *after.paths}
        ),
        notes=tuple(notes),
    )


def _touched(before: Side, after: Side) -> Iterable[Touched]:
    for name in sorted({*before.statuses, *after.statuses}):
        old, new = before.statuses.get(name, {}), after.statuses.get(name, {})
        for number in dict.fromkeys((*new, *old)):
            was = dict(before.subjects.get(name, {}).get(number, ()))
            now = dict(after.subjects.get(name, {}).get(number, ()))
            parts = tuple(
                part for part in {**now, **was} if was.get(part) != now.get(part)
            )
            states = _state(old.get(number)), _state(new.get(number))
            if number in new and _brought(new[number], before, after):
                states = states[0], f"{states[1]}, until its review is captured"
            if parts or states[0] != states[1]:
                yield Touched(
                    assessment=name,
                    requirement=number,
                    before=states[0],
                    after=states[1],
                    parts=parts,
                )


def _brought(row: RequirementStatus, before: Side, after: Side) -> bool:
    """Tell whether the change itself brings what nobody can have reviewed yet."""
    files = (row.judgement, *row.attestations.values())
    return row.status is Status.UNREVIEWED and any(
        before.paths.get(path) != after.paths.get(path)
        for path in (j.signoff.path for j in files if j.signoff)
    )


def _state(row: RequirementStatus | None) -> str:
    if row is None:
        return "out of scope"
    if row.interim is not None and row.interim is not Status.COLLECTING:
        return f"{row.status} (so far {row.interim})"
    return f"{row.status}: {row.conclusion}" if row.conclusion else f"{row.status}"


def _by_path(after: Side, changed: list[str]) -> Iterable[Touched]:
    """Name what changed controls, mapping and scope touch, without any evidence."""
    for name, assessment in sorted(after.library.assessments.items()):
        framework = after.library.frameworks.get(assessment.framework)
        if name in after.statuses or framework is None:
            continue
        wide = {f"frameworks/{framework.id}.yml", assessment.path} & set(changed)
        for number in assessment.requirements:
            item = framework.requirements[number]
            own = {f"controls/{control}.yml" for control in item.controls}
            records = {f"signoffs/{name}/requirements/{number}.yml"} | {
                f"signoffs/{name}/controls/{control}.yml" for control in item.controls
            }
            parts = [
                part
                for part, hit in (
                    ("controls", own & set(changed)),
                    ("mapping or scope", wide),
                    ("sign-off", records & set(changed)),
                )
                if hit
            ]
            if parts:
                yield Touched(
                    assessment=name,
                    requirement=number,
                    before="not derived",
                    after="not derived",
                    parts=tuple(parts),
                )


def _records(side: Side) -> dict[str, Judgement]:
    return {
        judgement.signoff.path: judgement
        for table in side.statuses.values()
        for row in table.values()
        for judgement in (row.judgement, *row.attestations.values())
        if judgement.signoff
    }


def _stale(before: Side, after: Side) -> tuple[tuple[str, tuple[str, ...]], ...]:
    old = _records(before)
    found = []
    for path, judgement in sorted(_records(after).items()):
        known = {part.name for part in old[path].stale} if path in old else set()
        parts = tuple(part.name for part in judgement.stale if part.name not in known)
        if parts:
            found.append((path, parts))
    return tuple(found)


def _unannotated(before: Side, after: Side) -> tuple[tuple[str, str, bool], ...]:
    def ids(side: Side, name: str) -> dict[str, None]:
        table = side.statuses.get(name, {})
        return {id_: None for row in table.values() for id_ in row.unannotated}

    return tuple(
        (name, id_, id_ not in ids(before, name))
        for name in sorted(after.statuses)
        for id_ in ids(after, name)
    )


# --- as Markdown --------------------------------------------------------------------


def markdown(found: Impact, people: Mapping[str, str], limit: int = LIMIT) -> str:
    """Write the impact as one comment; `people` names who stands behind an owner."""
    title = "## What this change does to the assessments\n"
    text = title
    for heading, columns, rows in _tables(found, people):
        text = _add(text, heading, columns, rows, limit)
    if text == title:
        text += "\nNothing that controlbook reads changes.\n"
    for note in found.notes:
        line = f"\nNot checked: {_cell(note)}\n"
        text += line if len(text) + len(line) <= limit else ""
    return text


def _tables(
    found: Impact, people: Mapping[str, str]
) -> tuple[tuple[str, tuple[str, ...], Rows], ...]:
    def asked(who: tuple[str, ...]) -> str:
        return " or ".join(people.get(name, name) for name in who) or "NOBODY"

    return (
        (
            "Sign-offs that go stale",
            ("File", "Because of"),
            tuple((path, ", ".join(parts)) for path, parts in found.stale),
        ),
        (
            "Requirements touched",
            ("Assessment", "Requirement", "Before", "After", "What differs"),
            tuple(
                (
                    row.assessment,
                    row.requirement,
                    row.before,
                    row.after,
                    ", ".join(row.parts) or "status alone",
                )
                for row in found.touched
            ),
        ),
        (
            "Not annotated",
            ("Assessment", "Deviation or gap", ""),
            tuple(
                (name, id_, "new" if new else "before already")
                for name, id_, new in found.unannotated
            ),
        ),
        (
            "Who has to approve",
            ("Changed file", "One of"),
            tuple((path, asked(who)) for path, who in found.approvals),
        ),
        (
            "Effective owners that change",
            ("Path", "Before", "After"),
            tuple((path, asked(old), asked(new)) for path, old, new in found.owners),
        ),
    )


def _add(
    text: str, heading: str, columns: tuple[str, ...], rows: Rows, limit: int
) -> str:
    if not rows:
        return text
    head = f"\n### {heading} ({len(rows)})\n\n{_row(columns)}{'|---' * len(columns)}|\n"
    if len(text) + len(head) + _ROOM > limit:
        return text + f"\n{heading}: showing 0 of {len(rows)}.\n"
    text += head
    for shown, row in enumerate(rows):
        line = _row(tuple(map(_cell, row)))
        if len(text) + len(line) + _ROOM > limit:
            return text + f"\nShowing {shown} of {len(rows)}.\n"
        text += line
    return text


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(text: str) -> str:
    """Write text so that no character of it means anything to Markdown or GitHub."""
    return re.sub(r"[^\w .,:;/()→…'-]", lambda found: f"&#{ord(found[0])};", text)
