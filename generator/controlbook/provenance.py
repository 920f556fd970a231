# SPDX-License-Identifier: Apache-2.0
"""The repository that a bundle carries, against the files beside it.

Rules enforced here:
- the git bundle names the release's commit as HEAD and branch, its tag, and no other,
  so that a clone shows what was released;
- it is fetched into an empty, bare repository, every object checked;
- sources and ledger are those of the commit that the tag names, byte for byte;
- every first-parent commit is a captured, merged pull request, or adds evidence alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .faults import Faults, wrong
from .git import Repository
from .library import GOVERNED, governed
from .render.report import Commit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .model import Ledger
    from .render.manifest import Tag

    Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the carried repository says at the release's tag."""

    repository: Repository
    tag: bytes
    """The raw tag object."""
    commit: Commit
    sources: Files
    ledger: Files

    @property
    def commits(self) -> frozenset[str]:
        """Every commit that the release stands on, by its first parents."""
        commits = self.repository.timed_commits(self.commit.id)
        return frozenset(name for name, _ in commits)


def read_provenance(data: bytes, folder: Path, tag: Tag) -> Provenance:
    """Unpack a git bundle below a folder; raises ControlbookError if it is damaged."""
    file = folder / "repo.bundle"
    file.write_bytes(data)
    repository = Repository.create(folder / "repository", bare=True)
    repository.git(
        *("-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags"),
        str(file),
        "+refs/heads/*:refs/heads/*",
        "+refs/tags/*:refs/tags/*",
    )
    commit = repository.resolve(f"refs/tags/{tag.release.name}")
    files = repository.files_at(commit, (*GOVERNED, "evidence/"))
    return Provenance(
        repository=repository,
        tag=repository.tag_object(tag.release.name),
        commit=Commit(id=commit, at=repository.commit_time(commit)),
        sources={path: body for path, body in files.items() if governed(path)},
        ledger={path: body for path, body in files.items() if not governed(path)},
    )


def repository_faults(data: bytes, tag: Tag) -> Faults:
    """Compare what a clone of the git bundle would check out with the release."""
    commit, release = tag.commit, tag.release.name
    row = rf"[0-9a-f]{{{len(commit)}}} refs/tags/"
    # An addendum carries the tag of the release before it, and no other.
    earlier = preceding(release)
    before = rf"(?:{row}{re.escape(earlier)}\n)?" if earlier else ""
    head = (
        rf"# v2 git bundle\n{commit} HEAD\n{commit} refs/heads/[!-~]+\n"
        rf"{before}{row}{re.escape(release)}\n{before}\n"
    )
    if not re.match(head.encode(), data):
        yield wrong(
            "repo.bundle: its HEAD, branch and tag are not those of the release alone"
        )


def preceding(release: str) -> str:
    """Name the release before an addendum (`X-r3` → `X-r2` → `X`), else nothing."""
    first, found, number = release.rpartition("-r")
    if not found or not number.isdecimal():
        return ""
    return first if number == "2" else f"{first}-r{int(number) - 1}"


def provenance_faults(
    provenance: Provenance,
    *,
    tag: bytes,
    sources: Files,
    ledger: Files,
    whole: bool,
) -> Faults:
    """Compare the bundle's tag, sources and ledger with the repository's.

    Where the ledger is not `whole`, what it lacks was said already; what is there must
    be equal all the same.
    """
    if provenance.tag != tag:
        yield wrong("release.tag: is not the tag in repo.bundle")
    due = provenance.ledger
    if not whole:
        due = {path: data for path, data in due.items() if path in ledger}
    commit = provenance.commit.id
    yield from _unequal("sources/", sources, provenance.sources, commit)
    yield from _unequal("", ledger, due, commit)


def _unequal(folder: str, ours: Files, due: Files, commit: str) -> Faults:
    for path in sorted(ours.keys() | due.keys()):
        if ours.get(path) == due.get(path):
            continue
        how = "differs from the commit"
        if path not in ours:
            how = "is absent here, and is in the commit"
        elif path not in due:
            how = "is not in the commit"
        name = f"{folder}{path}".replace("evidence/", "ledger/", 0 if folder else 1)
        yield wrong(f"{name}: {how} that the tag names ({commit[:12]})")


def review_faults(provenance: Provenance, ledger: Ledger) -> Faults:
    """Name the commits that changed governed files without a captured review."""
    merges = {pull.merge for pull in ledger.pulls}
    for commit in provenance.repository.unreviewed_commits(
        provenance.commit.id, merges
    ):
        yield wrong(
            f"commit {commit[:12]}: changed governed files, and no captured pull"
            " request reviewed it"
        )
