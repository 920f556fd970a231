# SPDX-License-Identifier: Apache-2.0
"""Every object that the vault has to hold, and for how long somebody wants it.

Rules enforced here:
- nothing that a manifest, a document's record or a checkpoint names is left out, and
  neither are the manifests themselves;
- a pack is pinned by its version; a manifest, which nothing can name before it is
  stored, is the first version under its number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .digest import sha256
from .manifest import listed
from .retention import serves
from .timeline import Instant, instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .manifest import Lists
    from .model import Assessment, Ledger, Library, StoredObject
    from .timeline import Interval

    Wanted = Callable[[Interval | None], Instant]
    """Until when evidence of a window (None: of any) has to be kept."""

__all__ = ["Kept", "kept", "wanted_by"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One object that the vault has to hold."""

    owner: str
    """Who names it: `config 000046`, or a path."""
    role: str
    bucket: str
    """As recorded; empty for what nothing records."""
    key: str
    """The whole key, or one below the vault's prefix where `bucket` is empty."""
    version_id: str
    """As recorded; empty: the first one that stood there."""
    sha256: str
    lock_mode: str
    lock_until: Instant
    """As recorded; the beginning of time where nothing was."""
    wanted: Instant


def kept(
    library: Library,
    ledger: Ledger,
    manifests: Mapping[str, bytes],
    wanted: Wanted,
    lists: Lists | None = None,
) -> Iterator[Kept]:
    """List what the vault has to hold.

    `manifests` are run manifests and checkpoints by their path in the repository;
    `lists` gives the lists of source packs that were too long for them. Without it,
    those packs are left out, and it is for the caller to say so.
    """
    windows: dict[str, Interval] = {}
    for stream, runs in ledger.runs.items():
        for run in runs:
            windows[f"evidence/{stream}/{run.seq:06d}.json"] = run.window
            more = listed(run, lists) if lists else ()
            for stored in (*run.objects, *more):
                owner = f"{run.stream} {run.seq:06d}"
                yield _pinned(owner, stored, wanted(run.window))
    for paper in library.manual.values():
        yield _pinned(paper.path, paper.object, wanted(paper.covers))
    for path, data in sorted(manifests.items()):
        yield Kept(
            owner=path,
            role="manifest",
            bucket="",
            key=path.replace("evidence/", "ledger/", 1),
            version_id="",
            sha256=sha256(data),
            lock_mode="",
            lock_until=Instant(0),
            wanted=wanted(windows.get(path)),
        )


def _pinned(owner: str, stored: StoredObject, wanted: Instant) -> Kept:
    return Kept(
        owner=owner,
        role=stored.role,
        bucket=stored.bucket,
        key=stored.key,
        version_id=stored.version_id,
        sha256=stored.sha256,
        lock_mode=stored.lock_mode,
        lock_until=instant(stored.lock_until) if stored.lock_until else Instant(0),
        wanted=wanted,
    )


def wanted_by(assessment: Assessment, until: Instant) -> Wanted:
    """Want everything that serves one assessment until an instant, and nothing else."""

    def wanted(window: Interval | None) -> Instant:
        if window is None or serves(assessment, window):
            return until
        return Instant(0)

    return wanted
