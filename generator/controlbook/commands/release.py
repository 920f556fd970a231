# SPDX-License-Identifier: Apache-2.0
"""`controlbook release`: end an assessment, once everything in it counts.

Rules enforced here (design section 6, ADR 0007):
- nothing is released while a requirement in scope lacks a sign-off that counts, or a
  commit reached main without a review;
- the release writes a checkpoint of the ledger, builds, and tags; the tag names the
  facts root and the publication root;
- a release that died is taken up by the next one, wherever it stopped: a checkpoint
  that only the vault has is copied to Git first, and a tag at this commit is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.clock import now
from controlbook.digest import canonical, parse_canonical
from controlbook.errors import ControlbookError, Exit
from controlbook.model import Status
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.publishing import Build, building, refuse_dirty
from controlbook.render.manifest import ledger_heads, tag_message
from controlbook.retention import retained_until

if TYPE_CHECKING:
    import argparse

    from controlbook.timeline import Instant

DONE = {Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS}
CHECKPOINTS = "evidence/checkpoints"


def release(options: argparse.Namespace) -> Outcome:
    """Check, write the checkpoint, build, tag, and write the bundle."""
    at = now(options.as_of)
    programme = _recovered(Programme.open(options.root), at)
    name = programme.assessment(options.assessment).id
    refuse_dirty(programme)
    repository = programme.repository
    tagged = name in repository.tags_at(programme.commit)
    done = (repository.root / "build" / f"{name}.zip").exists() and not options.push
    if not tagged or done:
        _refuse_released(programme, name)
        _refuse_unfinished(programme, name)
        programme = _checkpoint(programme, at)
    out = repository.root / "build"
    with building(out) as folder:
        made = Build(programme, name, name, folder)
        if not tagged:
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


def _refuse_unfinished(programme: Programme, name: str) -> None:
    unsigned = [
        f"{number} is {row.status}"
        + "".join(f", waiting for {who} to {what}" for who, what in row.waiting[:1])
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


def _recovered(programme: Programme, at: Instant) -> Programme:
    """Copy to Git the checkpoints that only the vault has, byte for byte."""
    vault = programme.vault
    found = {
        path: vault.get(key)
        for key in vault.keys("ledger/checkpoints/")
        if (path := key.replace("ledger/", "evidence/", 1)) not in programme.files
    }
    if not found:
        return programme
    repository = programme.repository
    names = ", ".join(path.rsplit("/", 1)[-1].removesuffix(".json") for path in found)
    repository.write_and_commit(
        found,
        f"Recover checkpoints: {names}\n",
        at=at,
        author=repository.configured_author(),
    )
    return Programme(repository)


def _checkpoint(programme: Programme, at: Instant) -> Programme:
    """Commit heads and Merkle roots of all streams, unless the last one holds them."""
    streams = {
        head.stream: {"seq": head.seq, "sha256": head.sha256, "root": head.root}
        for head in ledger_heads(programme.ledger)
    }
    earlier = sorted(
        path for path in programme.files if path.startswith(f"{CHECKPOINTS}/")
    )
    if earlier:
        last = parse_canonical(programme.files[earlier[-1]])
        if isinstance(last, dict) and last.get("streams") == streams:
            return programme
    number = len(earlier) + 1
    content = canonical(
        {
            "type": "controlbook/checkpoint/1",
            "ledger": programme.library.settings.ledger,
            "number": number,
            "streams": streams,
        }
    )
    # As with every manifest: the vault first, Git last.
    programme.vault.put(
        f"ledger/checkpoints/{number:06d}.json",
        content,
        role="checkpoint",
        retain_until=retained_until(programme.library, (), at),
    )
    repository = programme.repository
    repository.write_and_commit(
        {f"{CHECKPOINTS}/{number:06d}.json": content},
        f"Write checkpoint {number} of the ledger\n",
        at=at,
        author=repository.configured_author(),
    )
    return Programme(repository)
