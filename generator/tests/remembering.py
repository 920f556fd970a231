# SPDX-License-Identifier: Apache-2.0
"""Real Git, asked every question once: so that ten thousand forgeries take a minute.

What Git said of one git bundle is kept by the bundle's bytes and the question. A
forgery elsewhere leaves these answers as they are; another git bundle is another
repository, fetched and asked anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from controlbook import provenance
from controlbook.digest import sha256
from controlbook.git import Repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

BUNDLE = "repo.bundle"


class Remembering(Repository):
    """A repository that Git is asked about once."""

    shelf: ClassVar[Path]
    """Where what is fetched lies."""
    known: ClassVar[dict[str, Remembering]]

    @classmethod
    def create(
        cls, root: Path, *, branch: str = "main", bare: bool = False
    ) -> Remembering:
        digest = sha256((root.parent / BUNDLE).read_bytes())
        if digest not in cls.known:
            place = cls.shelf / str(len(cls.known))
            Repository.create(place, branch=branch, bare=bare)
            cls.known[digest] = cls(place)
        return cls.known[digest]

    def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        answers = self.__dict__.setdefault("answers", {})
        words = [BUNDLE if word.endswith(BUNDLE) else word for word in arguments]
        question = (*words, stdin, *sorted((environment or {}).items()))
        if question not in answers:
            answers[question] = super().git(
                *arguments, stdin=stdin, environment=environment
            )
        return bytes(answers[question])


def remember(shelf: Path, patch: pytest.MonkeyPatch) -> None:
    """Let every verification remember what Git said, and fetch to a shelf."""
    Remembering.shelf, Remembering.known = shelf, {}
    patch.setattr(provenance, "Repository", Remembering)
