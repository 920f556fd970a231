# SPDX-License-Identifier: Apache-2.0
"""`controlbook build`: site, PDF, data files and bundle of the present commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError, Exit
from controlbook.licensed import texts
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.publishing import Build, building, refuse_dirty, release_at

if TYPE_CHECKING:
    import argparse


def build(options: argparse.Namespace) -> Outcome:
    """Build a release at its tag, or anything as a draft."""
    if options.internal and not options.draft:
        message = "--internal shows licensed text, which belongs on a draft only"
        raise ControlbookError(message, advice="add --draft", code=Exit.USAGE)
    programme = Programme.open(options.root)
    name = _which(programme, options.assessment)
    release = "" if options.draft else release_at(programme, name)
    if not release and not options.draft:
        message = f"{name} is not released at this commit"
        raise ControlbookError(
            message,
            place=programme.commit[:10],
            advice="check its tag out, or add --draft",
        )
    if release:
        refuse_dirty(programme)
    out = (options.out or programme.repository.root / "build").resolve()
    with building(out) as folder:
        licensed = texts(programme) if options.internal else {}
        made = Build(programme, name, release, folder, licensed)
        if release:
            made.bundle()
        names = made.install(out)
    report = made.report
    return Outcome(
        text="\n".join(f"wrote {out / each}" for each in names),
        data={
            "schema": "controlbook/build/1",
            "assessment": name,
            "release": release,
            "draft": report.draft,
            "demo": report.demo,
            "commit": programme.commit,
            "facts_root": report.facts_root,
            "publication_root": made.publication.release.publication_root,
            "files": list(names),
        },
    )


def _which(programme: Programme, name: str | None) -> str:
    """Choose the assessment: the one asked for, the one tagged here, or the first."""
    if name:
        return programme.assessment(name).id
    known = sorted(
        programme.library.assessments.values(), key=lambda each: each.period.end
    )
    if not known:
        message = "the programme has no assessment"
        raise ControlbookError(message, advice="write signoffs/<id>/assessment.yml")
    tagged = [each.id for each in known if release_at(programme, each.id)]
    return tagged[0] if tagged else known[0].id
