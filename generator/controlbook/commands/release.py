# SPDX-License-Identifier: Apache-2.0
"""`controlbook release`: end an assessment, once everything in it counts.

Rules enforced here (design section 6, ADR 0007):
- nothing is released while a requirement in scope lacks a sign-off that counts, or a
  commit reached main without a review;
- the release writes a checkpoint of the ledger, builds, and tags; the tag names the
  facts root and the publication root;
- a release that fails leaves no tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.clock import now
from controlbook.errors import ControlbookError, Exit
from controlbook.model import Status
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.publishing import Build, building, refuse_dirty
from controlbook.render.manifest import tag_message

from .checkpoint import write_checkpoint

if TYPE_CHECKING:
    import argparse

    from controlbook.model import RequirementStatus

DONE = {Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS}


def release(options: argparse.Namespace) -> Outcome:
    """Check, write the checkpoint, build, tag, and write the bundle."""
    at = now(options.as_of)
    programme = Programme.open(options.root)
    name = programme.assessment(options.assessment).id
    refuse_dirty(programme)
    _refuse_released(programme, name)
    _refuse_unfinished(programme, name)
    programme = write_checkpoint(programme, at)
    repository = programme.repository
    out = repository.root / "build"
    with building(out) as folder:
        made = Build(programme, name, name, folder)
        repository.tag(
            name,
            programme.commit,
            tag_message(made.publication.release),
            at=at,
            author=repository.configured_author(),
        )
        made.bundle()
        names = made.install(out)
    if options.push:
        branch = programme.library.settings.branch
        repository.push("origin", f"HEAD:refs/heads/{branch}", f"refs/tags/{name}")
    facts_root = made.report.facts_root
    return Outcome(
        text="\n".join(
            [
                f"released {name} at {programme.commit[:10]}",
                f"facts root {facts_root}",
                *(f"wrote {out / each}" for each in names),
            ]
        ),
        data={
            "schema": "controlbook/release/1",
            "assessment": name,
            "tag": name,
            "commit": programme.commit,
            "facts_root": facts_root,
            "publication_root": made.publication.release.publication_root,
            "files": list(names),
        },
    )


def _refuse_released(programme: Programme, name: str) -> None:
    if name in programme.repository.tags():
        message = f"{name} is released already"
        raise ControlbookError(
            message,
            place=f"tag {name}",
            advice="build it at its tag; what came later needs an addendum",
        )


def _reasons(row: RequirementStatus) -> list[str]:
    files = [row.judgement, *row.attestations.values()]
    return [reason for each in files if each.signoff for reason in each.reasons]


def _refuse_unfinished(programme: Programme, name: str) -> None:
    unsigned = [
        f"{number} is {row.status}"
        + "".join(f", waiting for {who} to {what}" for who, what in row.waiting[:1])
        + "".join(f": {reason}" for reason in _reasons(row)[:1])
        for number, row in programme.statuses(name).items()
        if row.status not in DONE
    ]
    merges = {pull.merge for pull in programme.ledger.pulls}
    unreviewed = [
        f"commit {commit[:10]} was not reviewed"
        for commit in programme.repository.unreviewed_commits(programme.commit, merges)
    ]
    if unsigned or unreviewed:
        message = "\n  ".join(
            [f"{name} cannot be released yet:", *unsigned, *unreviewed]
        )
        raise ControlbookError(message, code=Exit.FOUND)
