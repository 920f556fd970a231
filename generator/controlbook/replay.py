# SPDX-License-Identifier: Apache-2.0
"""The history behind a commit, read once: its line, its trees, its files' bytes.

Rules enforced here:
- one pass over the history; the tree of any commit is replayed from what each commit
  of the line changed;
- every governed file is read once, whatever the number of commits that held it;
- only plain files count; what else stood somewhere in history is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .git.paths import PLAIN
from .library import governed
from .trail import origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .git import Landed, Repository
    from .git.history import Version
    from .model import Arrival, Assessment, Findings, Ledger, Library
    from .opened import Opening
    from .proofs import Witness
    from .trail import Origin

Tree = dict[str, str]
"""path → blob, of plain files alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What stands at the commit whose history is walked."""

    commit: str
    library: Library
    ledger: Ledger
    opening: Opening
    """The state that opens the assessment's period."""
    assessment: Assessment
    findings: Findings | None = None
    """What was derived of these already, if anything was."""
    witnesses: tuple[Witness, ...] = ()
    """Checkpoints with their time stamps, for proofs of level L3."""


@dataclass
class Replay:
    """One repository's history as one assessment looks at it."""

    repository: Repository
    present: Present

    @cached_property
    def line(self) -> tuple[Landed, ...]:
        """The commits of the branch's own line, oldest first."""
        return self.repository.landed(self.present.commit)[::-1]

    @property
    def name(self) -> str:
        """Name the assessment."""
        return self.present.assessment.id

    @property
    def folder(self) -> str:
        """Name the folder of the assessment's files."""
        return f"signoffs/{self.name}/"

    @cached_property
    def blobs(self) -> Mapping[str, bytes]:
        """Every governed file that any commit held, by blob."""
        return self.repository.blobs(
            change.blob
            for commit in self.line
            for change in commit.changes
            if change.status != "D" and change.mode == PLAIN and governed(change.path)
        )

    @cached_property
    def arrivals(self) -> Mapping[str, Mapping[str, Arrival]]:
        """Every arrival of an attestation or sign-off, by commit and path."""
        return self.repository.arrival_log(self.present.commit, self.folder)

    @cached_property
    def scopes(self) -> tuple[Version, ...]:
        """Every version of the assessment's file, newest first."""
        path = self.present.assessment.path
        return self.repository.versions(self.present.commit, path)

    @cached_property
    def origins(self) -> Mapping[str, Origin]:
        """Pull request and people of every commit."""
        pulls = {pull.merge: pull for pull in self.present.ledger.pulls}
        return {
            commit.id: origin_of(commit.id, commit.at, pulls, self.present.library)
            for commit in self.line
        }

    @cached_property
    def head(self) -> Tree:
        """The files that stand now."""
        return self.tree_at(len(self.line) - 1)

    def tree_at(self, index: int) -> Tree:
        """Replay the files of a commit of the line."""
        tree: Tree = {}
        for commit in self.line[: index + 1]:
            apply(tree, commit)
        return tree

    def files(self, tree: Tree) -> dict[str, bytes]:
        """Give the governed files of a tree."""
        return {
            path: self.blobs[blob] for path, blob in tree.items() if blob in self.blobs
        }

    def body(self, blob: str | None) -> bytes | None:
        """Give a blob's bytes; None for none."""
        if blob is None:
            return None
        if blob not in self.blobs:
            return self.repository.blobs([blob]).get(blob)
        return self.blobs[blob]


def apply(tree: Tree, commit: Landed) -> None:
    """Make a commit's changes in a tree."""
    for change in commit.changes:
        if change.status == "D" or change.mode != PLAIN:
            tree.pop(change.path, None)
        elif change.path.startswith("evidence/") or governed(change.path):
            tree[change.path] = change.blob
