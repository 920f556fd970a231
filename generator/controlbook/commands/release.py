# SPDX-License-Identifier: Apache-2.0
"""`controlbook release`: end an assessment, once everything in it counts.

Rules enforced here (design section 6, ADR 0007):
- nothing is released while a requirement in scope lacks a sign-off that counts, or a
  commit reached main without a review;
- the release writes a checkpoint of the ledger, builds, and tags; the tag names the
  facts root and the publication root;
- where the policy asks for it, or whoever releases, the tag carries an SSH signature
  that counts; one that would not count is taken back before anything is published;
- a release that died is taken up by the next one, wherever it stopped: a checkpoint
  that only the vault has is copied to Git first, and a tag at this commit is built;
- what is released is never released again: what came later makes an addendum
  (`<assessment>-r2`), which lists what it changes, and has to change something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.clock import now
from controlbook.errors import ControlbookError, Exit
from controlbook.model import Status
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.proofs import Trust
from controlbook.publishing import Build, building, refuse_dirty, release_at
from controlbook.render.changes import named, numbered, substantial
from controlbook.render.manifest import tag_message
from controlbook.tagseal import judge_tag

from .checkpoint import recovered, write_checkpoint

if TYPE_CHECKING:
    import argparse

    from controlbook.model import RequirementStatus

DONE = {Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS}


def release(options: argparse.Namespace) -> Outcome:
    """Check, write the checkpoint, build, tag, and write the bundle."""
    at = now(options.as_of)
    programme = recovered(Programme.open(options.root), at)
    name = programme.assessment(options.assessment).id
    refuse_dirty(programme)
    tag = release_at(programme, name)
    done = (programme.repository.root / "build" / f"{name}.zip").exists()
    tagged = bool(tag) and (not done or options.push)
    sign = options.sign or _must_sign(programme, name)
    if not tagged:
        if sign:
            programme.repository.require_signing_key()
        earlier = programme.releases(name)
        tag = named(name, numbered(earlier[-1], name) + 1 if earlier else 1)
        _refuse_taken(programme, tag)
        _refuse_unfinished(programme, name)
        if earlier:
            _refuse_unchanged(programme, name, earlier[-1])
        programme = write_checkpoint(programme, at)
    repository = programme.repository
    out = repository.root / "build"
    with building(out) as folder:
        made = Build(programme, name, tag, folder)
        if not tagged:
            repository.tag(
                tag,
                programme.commit,
                tag_message(made.publication.release),
                at=at,
                author=repository.configured_author(),
                signed=sign,
            )
        if sign:
            _refuse_unsigned(programme, tag, fresh=not tagged)
        made.bundle()
        names = made.install(out)
    if options.push:
        branch = programme.library.settings.branch
        repository.push("origin", f"HEAD:refs/heads/{branch}", f"refs/tags/{tag}")
    report = made.report
    facts_root = report.facts_root
    return Outcome(
        text="\n".join(
            [
                f"released {tag} at {programme.commit[:10]}",
                f"facts root {facts_root}",
                *(f"changed since {report.supersedes}:" for _ in report.changes[:1]),
                *(f"  {change.sentence}" for change in report.changes),
                *(f"wrote {out / each}" for each in names),
            ]
        ),
        data={
            "schema": "controlbook/release/1",
            "assessment": name,
            "tag": tag,
            "supersedes": report.supersedes,
            "changes": [
                {
                    "kind": change.kind,
                    "about": change.about,
                    "field": change.field,
                    "before": change.before,
                    "after": change.after,
                }
                for change in report.changes
            ],
            "commit": programme.commit,
            "facts_root": facts_root,
            "publication_root": made.publication.release.publication_root,
            "files": list(names),
        },
    )


def _must_sign(programme: Programme, name: str) -> bool:
    policy = dict(programme.assessment(name).policy)
    return policy.get("release", "none") != "none"


def _refuse_unsigned(programme: Programme, tag: str, *, fresh: bool) -> None:
    """Refuse a tag whose signature would not count; a fresh one is taken back."""
    repository = programme.repository
    seal = judge_tag(repository.tag_object(tag), programme.library, Trust())
    if not seal.why:
        return
    advice = (
        f"if nobody has it yet, `git tag -d {tag}`, and release again"
        if not fresh
        else "sign with the key that people.yml has of a compliance officer, or with"
        " one of checkpoint-keys"
    )
    if fresh:
        repository.untag(tag)
    message = f"the tag has to be signed: {seal.why}"
    raise ControlbookError(
        message,
        place=f"tag {tag}",
        advice=advice,
        code=Exit.USAGE if fresh else Exit.INTEGRITY,
    )


def _refuse_taken(programme: Programme, tag: str) -> None:
    if tag in programme.repository.tags():
        message = f"the tag {tag} stands on another history than this commit"
        raise ControlbookError(
            message,
            place=f"tag {tag}",
            advice="see what it names with `git show`; a release is never replaced",
            code=Exit.INTEGRITY,
        )


def _refuse_unchanged(programme: Programme, name: str, last: str) -> None:
    document = programme.facts(name, programme.statuses(name), programme.subjects(name))
    if not substantial(programme.changes_since(last, name, document)):
        message = f"{name} is released already, and nothing in it has changed since"
        raise ControlbookError(
            message, place=f"tag {last}", advice="build it at its tag"
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
