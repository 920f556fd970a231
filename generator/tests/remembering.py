# SPDX-License-Identifier: Apache-2.0
"""Real Git and real derivation, asked once: ten thousand forgeries in half a minute.

What Git said of one git bundle is kept by the bundle's bytes and the question. A
forgery elsewhere leaves these answers as they are; another git bundle is another
repository, fetched and asked anew.

In the same way, what the verifier derives from ledger, sources and packs by pure
functions is kept by what it was derived from: bytes by their value, values by what
they are. Every comparison with what is published is made anew for each forgery.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from controlbook import library, provenance, seals, verify
from controlbook.digest import parse_canonical, sha256
from controlbook.git import Repository
from controlbook.lists import of_bundle
from controlbook.proofs import Trust
from controlbook.provenance import read_provenance
from controlbook.reach import Reach
from controlbook.record import Record
from controlbook.replay import Present

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.manifest import Lists
    from controlbook.provenance import Provenance
    from controlbook.render.manifest import Tag

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


# --- pure functions of the verifier --------------------------------------------------

KEPT = 24
"""Answers kept of each function: those about the good bundle come back often."""
FILES = 200
"""Libraries kept: of the good bundle, of the commits in its history, of forgeries."""
PURE = (
    *("examined", "sources_document", "recount", "witnesses", "gather"),
    *("assess", "retrace", "derive", "canonical"),
)


class Once:
    """A pure function that answers the same question once."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.known: OrderedDict[object, tuple[object, Any]] = OrderedDict()
        self.asked = self.worked = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any
        key = (_key(arguments), *((name, _key(named[name])) for name in sorted(named)))
        self.asked += 1
        if key not in self.known:
            self.worked += 1
            # What is kept by what it is must stay, lest another takes its place.
            kept = (arguments, named)
            self.known[key] = (kept, self.function(*arguments, **named))
            if len(self.known) > KEPT:
                self.known.popitem(last=False)
        self.known.move_to_end(key)
        return self.known[key][1]


def _key(value: object) -> object:
    if value is None or isinstance(value, (str, bytes, int, Path, Trust, Reach)):
        return value
    if isinstance(value, tuple):
        return tuple(_key(each) for each in value)
    if isinstance(value, Mapping) and all(type(v) is bytes for v in value.values()):
        return frozenset(value.items())
    if isinstance(value, (Present, Record)):
        names = (field.name for field in fields(value))
        return tuple(_key(getattr(value, name)) for name in names)
    return id(value)


class Memory:
    """What was derived so far, for as long as the forgeries are judged."""

    def __init__(self) -> None:
        self.known = {name: Once(getattr(verify, name)) for name in PURE}
        self.hashed = lru_cache(maxsize=FILES)(sha256)
        self.parsed = lru_cache(maxsize=FILES)(parse_canonical)
        self.fetched: dict[tuple[bytes, str], Provenance] = {}
        self.lists: dict[frozenset[tuple[str, bytes]], Lists] = {}
        self.loaded = lru_cache(maxsize=FILES)(library._loaded.__wrapped__)  # noqa: SLF001 - the product keeps four

    def fetch(self, data: bytes, folder: Path, tag: Tag) -> Provenance:
        """Read a git bundle's release once, wherever it is unpacked."""
        key = (data, tag.release.name)
        if key not in self.fetched:
            self.fetched[key] = read_provenance(data, folder, tag)
        return self.fetched[key]

    def of_bundle(self, files: Mapping[str, bytes]) -> Lists:
        """Give the same reader of lists for the same packs."""
        packs = {p: data for p, data in files.items() if p.startswith("packs/")}
        return self.lists.setdefault(frozenset(packs.items()), of_bundle(packs))

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let the verifier remember what it derived."""
        with pytest.MonkeyPatch.context() as patch:
            for name, function in self.known.items():
                patch.setattr(verify, name, function)
            patch.setattr(verify, "read_provenance", self.fetch)
            patch.setattr(verify, "of_bundle", self.of_bundle)
            patch.setattr(seals, "parse_canonical", self.parsed)
            patch.setattr(seals, "sha256", self.hashed)
            patch.setattr(library, "_loaded", self.loaded)
            yield
