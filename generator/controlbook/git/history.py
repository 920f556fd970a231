# SPDX-License-Identifier: Apache-2.0
"""How files came to a branch, along its first parents.

Rules enforced here:
- one pass over the history, whatever the number of files;
- a merge counts by what it changed against its first parent;
- the CODEOWNERS file that decides is the first parent's, and so are the people.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from controlbook.digest import sha256
from controlbook.model import Arrival
from controlbook.timeline import SECOND, Instant

from .paths import CODEOWNERS, CONTENT, PLAIN, decoded, under

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from .repository import Repository

PEOPLE = "signoffs/people.yml"
_COLLECTED = re.compile(
    r"evidence/(?:(?!manual/|checkpoints/)[a-z0-9-]+/\d{6}\.json"
    r"|checkpoints/\d+\.json(?:\.sig|\.tsr)?)\Z",
    re.ASCII,
)

_RECORD = re.compile(r"signoffs/[^/]+/(?:controls|requirements)/[^/]+\.yml\Z")


class Change(NamedTuple):
    """One path that a commit changed against its first parent."""

    status: str
    """A, M, T or D."""
    mode: str
    blob: str
    path: str


class Version(NamedTuple):
    """A version of a file: the first-parent commit that brought it, and its bytes."""

    commit: str
    body: bytes
    """Empty where the commit removed it."""


class Landed(NamedTuple):
    """One commit of a branch's own line, along first parents."""

    id: str
    at: Instant
    """Committer time: a claim."""
    parents: tuple[str, ...]
    changes: tuple[Change, ...]


def arrivals(
    repository: Repository, rev: str, paths: Sequence[str]
) -> dict[str, Arrival]:
    """Tell for each path that is there at `rev` how its bytes came to main."""
    wanted = set(paths)
    last: dict[str, tuple[Landed, Change]] = {}
    for commit in repository.landed(rev) if paths else ():
        for change in commit.changes:
            if change.path in wanted:
                last.setdefault(change.path, (commit, change))
    present = [found for _, found in sorted(last.items()) if found[1].status != "D"]
    return {found.path: found for found in _arrivals(repository, present)}


def arrival_log(
    repository: Repository, rev: str, folder: str
) -> dict[str, dict[str, Arrival]]:
    """Tell for each first-parent commit which files of a folder arrived with it.

    Gives commit → path → arrival, deletions left out.
    """
    events = [
        (commit, change)
        for commit in repository.landed(rev)
        for change in commit.changes
        if change.status != "D" and change.path.startswith(folder)
    ]
    found: dict[str, dict[str, Arrival]] = {}
    for arrival in _arrivals(repository, events):
        found.setdefault(arrival.merge, {})[arrival.path] = arrival
    return found


def _arrivals(
    repository: Repository, events: Sequence[tuple[Landed, Change]]
) -> Iterator[Arrival]:
    reviewed = _objects(
        repository,
        [
            f"{commit.parents[1]}:{change.path}"
            for commit, change in events
            if len(commit.parents) > 1
        ],
    )
    bases = {commit.parents[0] for commit, _ in events if commit.parents}
    around = repository.blobs(
        f"{base}:{path}" for base in sorted(bases) for path in (CODEOWNERS, PEOPLE)
    )
    bodies = repository.blobs(change.blob for _, change in events)
    older = repository.blobs(
        f"{commit.parents[0]}:{change.path}"
        for commit, change in events
        if commit.parents
    )
    for commit, change in events:
        old = (
            older.get(f"{commit.parents[0]}:{change.path}") if commit.parents else None
        )
        yield Arrival(
            path=change.path,
            merge=commit.id,
            parents=commit.parents,
            at=commit.at,
            reviewed_same=len(commit.parents) > 1
            and reviewed.get(f"{commit.parents[1]}:{change.path}") == change.blob,
            codeowners=_of_base(around, commit, CODEOWNERS),
            people=_of_base(around, commit, PEOPLE),
            content=bodies.get(change.blob, b""),
            before=sha256(old) if old is not None else "",
        )


def _of_base(around: Mapping[str, bytes], commit: Landed, path: str) -> bytes:
    return around.get(f"{commit.parents[0]}:{path}", b"") if commit.parents else b""


def versions(repository: Repository, rev: str, path: str) -> tuple[Version, ...]:
    """Give every version of a file along the first parents, newest first."""
    found = [
        (commit.id, change.blob if change.status != "D" else "")
        for commit in repository.landed(rev)
        for change in commit.changes
        if change.path == path
    ]
    bodies = repository.blobs(blob for _, blob in found if blob)
    return tuple(Version(commit, bodies.get(blob, b"")) for commit, blob in found)


def timed_commits(repository: Repository, rev: str) -> tuple[tuple[str, Instant], ...]:
    """Give the first-parent commits with the times that they claim, oldest first."""
    return tuple((commit.id, commit.at) for commit in repository.landed(rev)[::-1])


def unreviewed_commits(
    repository: Repository, rev: str, merges: Collection[str]
) -> tuple[str, ...]:
    """Name the first-parent commits, newest first, that nobody reviewed.

    A programme begins with its first run: what stood before it needs no review, for
    nothing rested on it yet. Reviewed are the captured merges; pure additions of
    collected evidence need no review, nor do commits that change nothing that
    controlbook reads.
    """
    commits = repository.landed(rev)
    began = [
        number
        for number, commit in enumerate(commits)
        if any(_collected(change) for change in commit.changes)
    ]
    return tuple(
        commit.id
        for commit in commits[: began[-1] + 1 if began else 0]
        if commit.parents
        and commit.id not in merges
        and any(
            under(change.path, CONTENT) and not _collected(change)
            for change in commit.changes
        )
    )


def signed_with_owners(
    commits: Sequence[Landed],
) -> tuple[tuple[Landed, tuple[str, ...]], ...]:
    """Find commits that changed CODEOWNERS together with sign-offs (T48).

    Gives (commit, its attestations and sign-offs).
    """
    found = []
    for commit in commits:
        paths = [change.path for change in commit.changes]
        records = tuple(path for path in paths if _RECORD.match(path))
        if CODEOWNERS in paths and records:
            found.append((commit, records))
    return tuple(found)


def ran_backwards(commits: Sequence[Landed]) -> tuple[tuple[Landed, Landed], ...]:
    """Find commits whose committer's clock stood before their first parent's (T23).

    `commits` are newest first; gives (commit, its first parent).
    """
    return tuple(
        (commit, parent)
        for commit, parent in pairwise(commits)
        if commit.at < parent.at
    )


def first_parents(repository: Repository, rev: str) -> Iterator[Landed]:
    """Walk a branch's own line, newest first, with what each commit changed."""
    output = repository.git(
        "log",
        "--first-parent",
        "-m",
        "--root",
        "--raw",
        "-z",
        "--no-abbrev",
        "--no-renames",
        "--no-color",
        "--format=tformat:%H %ct %P",
        repository.resolve(rev),
        "--",
    )
    tokens = iter(output.split(b"\0"))
    header: list[str] = []
    changes: list[Change] = []
    for token in tokens:
        if token.lstrip(b"\n").startswith(b":"):
            _, mode, _, blob, status = token.decode().lstrip("\n:").split(" ")
            changes.append(Change(status, mode, blob, decoded(next(tokens))))
            continue
        # A header, or the empty token behind the last NUL, ends the commit before.
        if header:
            yield _commit(header, changes)
        header, changes = token.decode().split(), []


def _objects(repository: Repository, names: Iterable[str]) -> dict[str, str]:
    wanted = list(dict.fromkeys(names))
    output = repository.git(
        "cat-file",
        "--batch-check=%(objectname)",
        stdin="".join(f"{name}\n" for name in wanted).encode(),
    )
    return dict(zip(wanted, output.decode().splitlines(), strict=True))


def _commit(header: Sequence[str], changes: Sequence[Change]) -> Landed:
    name, seconds, *parents = header
    return Landed(name, Instant(int(seconds) * SECOND), tuple(parents), tuple(changes))


def _collected(change: Change) -> bool:
    return (
        change.status == "A"
        and change.mode == PLAIN
        and bool(_COLLECTED.match(change.path))
    )
