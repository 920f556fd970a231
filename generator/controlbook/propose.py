# SPDX-License-Identifier: Apache-2.0
"""Proposing a change: a commit on a branch, pushed, with a pull request.

Rules enforced here:
- the user's work tree, index and branches stay untouched;
- the proposal stands on what the remote's branch holds now, and changes the given
  files alone;
- a branch that exists on the remote is never overwritten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .forge import Forge, PullRequest
    from .git import Author, Repository
    from .timeline import Instant


def propose(  # noqa: PLR0913 - what a pull request says
    repository: Repository,
    forge: Forge,
    files: Mapping[str, bytes],
    *,
    branch: str,
    title: str,
    body: str,
    at: Instant,
    author: Author,
    remote: str = "origin",
    base: str = "main",
) -> PullRequest:
    """Open a pull request that changes these files on the remote's `base` branch."""
    repository.fetch(remote, f"refs/heads/{base}")
    commit = repository.commit_files(
        files, f"{title}\n", base="FETCH_HEAD", at=at, author=author
    )
    name = branch
    if repository.remote_branch(remote, branch):
        name = f"{branch}-{commit[:8]}"
    repository.push(remote, f"{commit}:refs/heads/{name}")
    return forge.open_pull(branch=name, title=title, body=body)
