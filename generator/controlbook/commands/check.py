# SPDX-License-Identifier: Apache-2.0
"""`controlbook check`: every problem of the human files at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.check import SITE, ledger_problems, site_problems
from controlbook.check import check as check_files
from controlbook.clock import now
from controlbook.codeowners import approvers, owner_changes
from controlbook.collect import UNAVAILABLE
from controlbook.errors import ControlbookError, Exit
from controlbook.git import CODEOWNERS, ran_backwards, signed_with_owners
from controlbook.hub_controls import known
from controlbook.library import load
from controlbook.model import ALL, SecurityHubControl, Snapshot
from controlbook.outcome import Outcome
from controlbook.overdue import overdue
from controlbook.programme import Programme
from controlbook.reading import did_you_mean
from controlbook.timeline import iso

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from controlbook.codeowners import Approvers
    from controlbook.errors import Problem
    from controlbook.model import EvidenceSource, Findings, Gap, Library
    from controlbook.timeline import Instant

HOLES = UNAVAILABLE | {"no-run"}
"""Reasons of gaps that collecting left, rather than the programme."""
CODEOWNERS_FOLDERS = (".github/", "CODEOWNERS", "docs/CODEOWNERS")
"""Where GitHub looks for the file, and where twins of it would stand."""
PATHS = 5
"""Paths of a line that `--owners` shows."""


def check(options: argparse.Namespace) -> Outcome:
    """Check the work tree: exit 2 for a broken rule, 1 for what history holds."""
    programme = Programme.of_work_tree(options.root)
    library, problems = load(programme.files)
    problems += ledger_problems(programme.files)
    found: list[str] = []
    notes: list[str] = []
    noticed: list[str] = []
    rows: tuple[Approvers, ...] = ()
    if not problems:
        programme.library = library
        findings, notes = _findings(programme)
        files = programme.files
        elsewhere = programme.repository.work_files(CODEOWNERS_FOLDERS)
        moved = [row for name in findings for row in programme.superseded(name)]
        problems = check_files(library, {**elsewhere, **files}, findings, moved)
        problems += site_problems(programme.repository.work_files([SITE]))
        found = [*_unreviewed(programme), *_holes(programme, findings)]
        noticed = [*_strange(library, files), *_noticed(programme, files)]
        noticed += _late(programme, now(options.as_of))
        rows = approvers(library, files)
    return _outcome(sorted(problems), found, notes, noticed, rows, show=options.owners)


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
        else:
            notes += [f"{name}: {what}" for what in programme.unread(name)]
    return findings, notes


def _unreviewed(programme: Programme) -> list[str]:
    merges = {pull.merge for pull in programme.ledger.pulls}
    return [
        f"commit {commit[:10]} reached {programme.library.settings.branch} without a "
        "captured review; merge a pull request and run "
        "`controlbook collect --stream reviews`"
        for commit in programme.repository.unreviewed_commits(programme.commit, merges)
    ]


def _holes(programme: Programme, findings: Mapping[str, Findings]) -> list[str]:
    """Say where collecting left holes that nobody explained; none before it began."""
    if not programme.ledger.config:
        return []
    explained = {id_ for note in programme.library.annotations for id_ in note.covers}
    return [
        f"{name}: {_place(gap)}{gap.reason} from {iso(gap.within.start)} to"
        f" {iso(gap.within.end)}: {gap.id} is not annotated; run `controlbook collect`,"
        " or explain it with `controlbook annotate`"
        for name, one in sorted(findings.items())
        for gap in one.gaps
        if gap.reason in HOLES and gap.id not in explained
    ]


def _late(programme: Programme, at: Instant) -> list[str]:
    """Say which evidence has stopped to arrive, where anything ever came.

    It is noticed and moves no exit code: the same files must not fail tomorrow.
    """
    if not programme.ledger.config:
        return []
    return [
        row.line
        for name, assessment in sorted(programme.library.assessments.items())
        if not programme.releases(name)
        for row in overdue(programme.library, programme.ledger, assessment, at)
    ]


def _place(gap: Gap) -> str:
    return "" if gap.account == ALL else f"{gap.account} {gap.region} "


def _strange(library: Library, files: Mapping[str, bytes]) -> list[str]:
    """Say which evidence is named as AWS names none: misspelt, or newer than we are."""
    said = []
    for control in library.controls.values():
        for evidence in control.evidence:
            name, flaw = _flaw(evidence)
            if flaw:
                before, _, _ = files[control.path].partition(name.encode())
                line = before.count(b"\n") + 1
                said.append(f"{control.path}:{line}: {flaw}")
    return said


def _flaw(evidence: EvidenceSource) -> tuple[str, str]:
    """Give the name of what is asked, and what is strange about it."""
    if isinstance(evidence, Snapshot):
        # Here alone, since it imports botocore.
        from controlbook.sources.calls import unknown  # noqa: PLC0415

        return evidence.call, unknown(evidence.call)
    if isinstance(evidence, SecurityHubControl):
        name = evidence.control
        if name not in known():
            near = did_you_mean(name, known())
            flaw = f"this version knows no Security Hub control {name}"
            return name, f"{flaw}{near and '; ' + near}"
    return "", ""


def _noticed(programme: Programme, files: Mapping[str, bytes]) -> list[str]:
    """Say what a reviewer should see, though no rule is broken."""
    repository = programme.repository
    commits = repository.landed(programme.commit)
    base = repository.files_at(commits[min(1, len(commits) - 1)].id, [CODEOWNERS])
    now = files.get(CODEOWNERS, b"")
    moved = owner_changes(base.get(CODEOWNERS, b""), now, files)
    return [
        *(
            f"{CODEOWNERS}: {path} was {_named(old)}'s to approve, is {_named(new)}'s"
            for path, old, new in moved
        ),
        *(
            f"commit {commit.id[:10]} changed {CODEOWNERS} together with"
            f" {records[0]}; the owners before it decided"
            for commit, records in signed_with_owners(commits)
        ),
        *(
            f"commit {commit.id[:10]} claims {iso(commit.at)}, before its first parent"
            f" {parent.id[:10]} ({iso(parent.at)})"
            for commit, parent in ran_backwards(commits)
        ),
    ]


def _named(owners: tuple[str, ...]) -> str:
    return " or ".join(owners) or "nobody"


def _owners(rows: tuple[Approvers, ...]) -> str:
    return "\n".join(
        f"{CODEOWNERS}:{row.line} {row.pattern or '(no line)'}: "
        f"{_named(row.people)}{_strangers(row)}\n  "
        + "\n  ".join(row.paths[:PATHS])
        + (f"\n  … and {len(row.paths) - PATHS} more" if len(row.paths) > PATHS else "")
        for row in rows
    )


def _strangers(row: Approvers) -> str:
    names = ", ".join(row.strangers)
    return f" (people.yml does not know {names})" if names else ""


def _outcome(
    problems: list[Problem],
    found: list[str],
    notes: list[str],
    noticed: list[str],
    rows: tuple[Approvers, ...],
    *,
    show: bool,
) -> Outcome:
    code = Exit.USAGE if problems else Exit.FOUND if found else Exit.FINE
    lines = [*map(str, problems), *found, *(f"not checked: {note}" for note in notes)]
    lines = [
        *(lines or ["everything is in order"]),
        *(f"noticed: {line}" for line in noticed),
        *([_owners(rows)] if show and rows else []),
    ]
    return Outcome(
        text="\n".join(lines),
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
            "noticed": noticed,
            "approvers": [
                {
                    "line": row.line,
                    "pattern": row.pattern,
                    "owners": list(row.owners),
                    "people": list(row.people),
                    "unknown": list(row.strangers),
                    "paths": list(row.paths),
                }
                for row in rows
            ],
        },
        code=code,
    )
