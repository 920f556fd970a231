# SPDX-License-Identifier: Apache-2.0
"""A release against a clone that somebody outside kept (`verify --git`).

Rules enforced here (T21, T22):
- the clone's head lies in the release's history, or the release in the clone's: where
  neither holds, one of them was rewritten;
- a run manifest that both hold is the same, to the byte, and none that the clone holds
  is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .faults import Faults, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .git import Repository


def clone_faults(
    clone: Repository,
    released: Repository,
    commit: str,
    manifests: Mapping[str, bytes],
) -> Faults:
    """Compare a clone's head with the commit of a release.

    `released` holds the release's history; `manifests` are its evidence/… files.
    """
    head = clone.head()
    newer, older = clone.has_ancestor(head, commit), released.has_ancestor(commit, head)
    if not newer and not older:
        yield wrong(
            f"the clone stands at {head[:12]}, which is neither before nor after the"
            f" released commit {commit[:12]}: history was rewritten"
        )
    known = clone.files_at(head, ("evidence/",))
    for path in sorted(known):
        if path.startswith("evidence/manual/"):
            continue
        if path in manifests:
            if manifests[path] != known[path]:
                yield wrong(f"{path}: is not the one that the clone holds")
        elif not newer:
            yield wrong(f"{path}: the clone holds it, and the release does not")
