# SPDX-License-Identifier: Apache-2.0
"""What a release names: the roots in its tag, and the digest of every published file.

Rules enforced here (ADR 0007):
- the publication root is a Merkle root over [path, sha256, size] of every published
  file, sorted by path; nothing that is published contains it, so nothing hashes itself;
- the annotated tag names facts, publication, sources, ledger heads and toolchain, each
  by digest; a manifest that is rewritten with its files still contradicts the tag;
- a tag message and a release manifest have one spelling each, and reading demands it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.digest import (
    NotCanonicalError,
    canonical,
    digest_of,
    merkle_root,
    parse_canonical,
    sha256,
)

from .facts import heads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.digest import Json
    from controlbook.model import Ledger

    from .report import Report

TYPE = "controlbook/release/1"
CHECKPOINTS = "checkpoints"
"""No stream may be called so: in a tag it stands for the checkpoints."""

_HEX = "[0-9a-f]{64}"
_MESSAGE = re.compile(
    rf"""controlbook\ release\ (?P<name>\S+)\n\n
    assessment:\ (?P<assessment>\S+)\n
    facts-root:\ (?P<facts>{_HEX})\n
    publication-root:\ (?P<publication>{_HEX})\n
    sources:\ (?P<sources>{_HEX})\n
    (?P<ledger>(?:ledger\ [a-z0-9-]+:\ [0-9]{{1,9}}\ {_HEX}\ {_HEX}\n)*)
    toolchain:\ (?P<toolchain>{_HEX})\n\Z""",
    re.ASCII | re.VERBOSE,
)
_TAG = re.compile(
    r"object (?P<commit>[0-9a-f]{40,64})\ntype commit\ntag (?P<name>[^\n]+)\n"
    r"tagger [^\n]+\n\n(?P<message>.*)\Z",
    re.DOTALL,
)
_SIGNATURE = "-----BEGIN "


class ReleaseError(ValueError):
    """The bytes are no release manifest, or no tag of a release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest manifest of a stream, and the Merkle root over all of them."""

    stream: str
    seq: int
    sha256: str
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Everything that the tag of a release names."""

    name: str
    assessment: str
    facts_root: str
    publication_root: str
    sources: str
    """SHA-256 of sources.json, which names every human file by digest."""
    heads: tuple[Head, ...]
    toolchain: str
    """SHA-256 of the canonical toolchain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """The tag of a release: which commit it stands at, and what it names."""

    commit: str
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseManifest:
    """The release manifest: the digest and size of every published file."""

    assessment: str
    release: str
    commit: str
    facts_root: str
    publication_root: str
    toolchain: Mapping[str, str]
    files: Mapping[str, tuple[str, int]]
    """path → (sha256, size)"""


def digests(files: Mapping[str, bytes]) -> dict[str, tuple[str, int]]:
    """Give SHA-256 and size of each file."""
    return {path: (sha256(data), len(data)) for path, data in sorted(files.items())}


def publication_root(files: Mapping[str, tuple[str, int]]) -> str:
    """Give the Merkle root over every published file's path, digest and size."""
    return merkle_root(
        canonical([path, digest, size])
        for path, (digest, size) in sorted(files.items())
    )


def ledger_heads(ledger: Ledger) -> tuple[Head, ...]:
    """Give the head of every stream, as the tag names them."""
    return tuple(
        Head(
            stream=stream,
            seq=int(str(row["seq"])),
            sha256=str(row["sha256"]),
            root=str(row["root"]),
        )
        for stream, row in heads(ledger).items()
        if isinstance(row, dict)
    )


def checkpoint_heads(files: Mapping[str, bytes]) -> tuple[Head, ...]:
    """Give the newest checkpoint as if checkpoints were a stream; empty without one.

    `files` may be a whole repository's, or a bundle's ledger.
    """
    digests_ = [
        sha256(files[path])
        for path in sorted(files)
        if path.rpartition("/")[0].endswith(CHECKPOINTS) and path.endswith(".json")
    ]
    if not digests_:
        return ()
    root = merkle_root(bytes.fromhex(digest) for digest in digests_)
    return (
        Head(stream=CHECKPOINTS, seq=len(digests_), sha256=digests_[-1], root=root),
    )


def release_of(
    report: Report,
    published: Mapping[str, tuple[str, int]],
    sources: bytes,
    files: Mapping[str, bytes],
) -> Release:
    """Give what the tag of a report's release must name; `files` are the commit's."""
    return Release(
        name=report.release,
        assessment=report.assessment.id,
        facts_root=report.facts_root,
        publication_root=publication_root(published),
        sources=sha256(sources),
        heads=(*checkpoint_heads(files), *ledger_heads(report.ledger)),
        toolchain=digest_of(dict(report.toolchain)),
    )


def manifest_of(report: Report, published: Mapping[str, tuple[str, int]]) -> bytes:
    """Write the release manifest as canonical JSON."""
    return canonical(
        {
            "type": TYPE,
            "assessment": report.assessment.id,
            "release": report.release,
            "commit": report.commit.id,
            "facts_root": report.facts_root,
            "publication_root": publication_root(published),
            "toolchain": dict(report.toolchain),
            "files": {
                path: {"sha256": digest, "size": size}
                for path, (digest, size) in published.items()
            },
        }
    )


def parse_manifest(data: bytes) -> ReleaseManifest:
    """Read a release manifest; ReleaseError if it is none."""
    try:
        tree = parse_canonical(data)
    except NotCanonicalError as error:
        message = f"not canonical: {error}"
        raise ReleaseError(message) from error
    if not isinstance(tree, dict) or tree.get("type") != TYPE:
        message = f"not of type {TYPE}"
        raise ReleaseError(message)
    toolchain = _table(tree, "toolchain")
    files: dict[str, tuple[str, int]] = {}
    for path, row in _table(tree, "files").items():
        digest, size = (
            (row.get("sha256"), row.get("size")) if isinstance(row, dict) else ("", "")
        )
        if not isinstance(digest, str) or not isinstance(size, int):
            message = f"files: {path} has no digest and size"
            raise ReleaseError(message)
        files[path] = (digest, size)
    return ReleaseManifest(
        assessment=_text(tree, "assessment"),
        release=_text(tree, "release"),
        commit=_text(tree, "commit"),
        facts_root=_text(tree, "facts_root"),
        publication_root=_text(tree, "publication_root"),
        toolchain={name: _text(toolchain, name) for name in toolchain},
        files=files,
    )


def _table(tree: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    value = tree.get(key)
    if not isinstance(value, dict):
        message = f"{key} is not a table"
        raise ReleaseError(message)
    return value


def _text(tree: Mapping[str, Json], key: str) -> str:
    value = tree.get(key)
    if not isinstance(value, str):
        message = f"{key} is not text"
        raise ReleaseError(message)
    return value


def tag_message(release: Release) -> str:
    """Write the message of a release's annotated tag."""
    lines = [
        f"controlbook release {release.name}",
        "",
        f"assessment: {release.assessment}",
        f"facts-root: {release.facts_root}",
        f"publication-root: {release.publication_root}",
        f"sources: {release.sources}",
        *(
            f"ledger {head.stream}: {head.seq} {head.sha256} {head.root}"
            for head in release.heads
        ),
        f"toolchain: {release.toolchain}",
    ]
    return "".join(f"{line}\n" for line in lines)


def parse_tag_message(message: str) -> Release:
    """Read a tag message without its signature; ReleaseError if it is foreign."""
    body = message.split(_SIGNATURE, 1)[0]
    found = _MESSAGE.match(body)
    if not found:
        text = "the tag's message is not that of a controlbook release"
        raise ReleaseError(text)
    heads_: list[Head] = []
    for line in found["ledger"].splitlines():
        _, stream, seq, digest, root = line.replace(":", "").split(" ")
        heads_.append(Head(stream=stream, seq=int(seq), sha256=digest, root=root))
    return Release(
        name=found["name"],
        assessment=found["assessment"],
        facts_root=found["facts"],
        publication_root=found["publication"],
        sources=found["sources"],
        heads=tuple(heads_),
        toolchain=found["toolchain"],
    )


def parse_tag(raw: bytes) -> Tag:
    """Read a raw annotated tag object; ReleaseError if it is no release's."""
    try:
        found = _TAG.match(raw.decode())
    except UnicodeDecodeError as error:
        message = "the tag is not text"
        raise ReleaseError(message) from error
    if not found:
        message = "not an annotated tag of a commit"
        raise ReleaseError(message)
    release = parse_tag_message(found["message"])
    if release.name != found["name"]:
        message = f"the tag {found['name']} carries the message of {release.name}"
        raise ReleaseError(message)
    return Tag(commit=found["commit"], release=release)
