# SPDX-License-Identifier: Apache-2.0
"""How files came to a branch, along its first parents.

Rules enforced here:
- one pass over the history, whatever the number of files;
- a merge counts by what it changed against its first parent;
- the CODEOWNERS file that decides is the first parent's, and so are the people.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from controlbook.model import Arrival
from controlbook.timeline import SECOND, Instant

from .paths import CODEOWNERS, CONTENT, PLAIN, decoded, one_line, under

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from .repository import Repository

PEOPLE = "signoffs/people.yml"
_COLLECTED = re.compile(
    r"evidence/(?:(?!manual/|checkpoints/)[a-z0-9-]+/\d{6}\.json"
    r"|checkpoints/\d+\.json(?:\.sig|\.tsr)?)\Z",
    re.ASCII,
)


class _Change(NamedTuple):
    status: str
    mode: str
    blob: str
    path: str


class Version(NamedTuple):
    """A version of a file: the first-parent commit that brought it, and its bytes."""

    commit: str
    body: bytes
    """Empty where the commit removed it."""


class _Commit(NamedTuple):
    id: str
    at: Instant
    parents: tuple[str, ...]
    changes: tuple[_Change, ...]


def arrivals(
    repository: Repository, rev: str, paths: Sequence[str]
) -> dict[str, Arrival]:
    """Tell for each path that is there at `rev` how its bytes came to main."""
    last: dict[str, tuple[_Commit, _Change]] = {}
    if paths:
        for commit in _first_parents(repository, rev, paths):
            for change in commit.changes:
                last.setdefault(change.path, (commit, change))
    wanted = set(paths)
    present = {
        path: found
        for path, found in sorted(last.items())
        if path in wanted and found[1].status != "D"
    }
    reviewed = _objects(
        repository,
        [
            f"{commit.parents[1]}:{path}"
            for path, (commit, _) in present.items()
            if len(commit.parents) > 1
        ],
    )
    bases = {commit.parents[0] for commit, _ in present.values() if commit.parents}
    around = repository.blobs(
        f"{base}:{path}" for base in sorted(bases) for path in (CODEOWNERS, PEOPLE)
    )
    bodies = repository.blobs(change.blob for _, change in present.values())
    return {
        path: Arrival(
            path=path,
            merge=commit.id,
            parents=commit.parents,
            at=commit.at,
            reviewed_same=len(commit.parents) > 1
            and reviewed.get(f"{commit.parents[1]}:{path}") == change.blob,
            codeowners=_of_base(around, commit, CODEOWNERS),
            people=_of_base(around, commit, PEOPLE),
            content=bodies.get(change.blob, b""),
        )
        for path, (commit, change) in present.items()
    }


def _of_base(around: Mapping[str, bytes], commit: _Commit, path: str) -> bytes:
    return around.get(f"{commit.parents[0]}:{path}", b"") if commit.parents else b""


def versions(repository: Repository, rev: str, path: str) -> tuple[Version, ...]:
    """Give every version of a file along the first parents, newest first."""
    commits = list(_first_parents(repository, rev, [path]))
    found = [
        (commit.id, change.blob if change.status != "D" else "")
        for commit in commits
        for change in commit.changes
        if change.path == path
    ]
    bodies = repository.blobs(blob for _, blob in found if blob)
    return tuple(Version(commit, bodies.get(blob, b"")) for commit, blob in found)


def timed_commits(repository: Repository, rev: str) -> tuple[tuple[str, Instant], ...]:
    """Give the first-parent commits with the times that they claim, oldest first."""
    output = repository.git(
        "log", "--first-parent", "--reverse", "--format=%H %ct", rev
    )
    rows = (line.split(" ") for line in output.decode().splitlines())
    return tuple((name, Instant(int(seconds) * SECOND)) for name, seconds in rows)


def unreviewed_commits(
    repository: Repository, rev: str, merges: Collection[str]
) -> tuple[str, ...]:
    """Name the first-parent commits, newest first, that nobody reviewed.

    A programme begins with its first run: what stood before it needs no review, for
    nothing rested on it yet. Reviewed are the captured merges; pure additions of
    collected evidence need no review, nor do commits that change nothing that
    controlbook reads.
    """
    commits = list(_first_parents(repository, rev))
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


def _first_parents(
    repository: Repository, rev: str, paths: Sequence[str] = ()
) -> Iterator[_Commit]:
    lines = [repository.resolve(rev), "--", *(one_line(path) for path in paths)]
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
        "--stdin",
        stdin="".join(f"{line}\n" for line in lines).encode(),
    )
    tokens = iter(output.split(b"\0"))
    header: list[str] = []
    changes: list[_Change] = []
    for token in tokens:
        if token.lstrip(b"\n").startswith(b":"):
            _, mode, _, blob, status = token.decode().lstrip("\n:").split(" ")
            changes.append(_Change(status, mode, blob, decoded(next(tokens))))
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


def _commit(header: Sequence[str], changes: Sequence[_Change]) -> _Commit:
    name, seconds, *parents = header
    return _Commit(name, Instant(int(seconds) * SECOND), tuple(parents), tuple(changes))


def _collected(change: _Change) -> bool:
    return (
        change.status == "A"
        and change.mode == PLAIN
        and bool(_COLLECTED.match(change.path))
    )
