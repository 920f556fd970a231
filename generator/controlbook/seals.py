# SPDX-License-Identifier: Apache-2.0
"""What binds a bundle's files together: sums, release manifest, tag, pins.

Rules enforced here:
- SHA256SUMS lists every file but itself, once, in order, with its digest;
- every file is published and in the release manifest, or of a kind that other steps
  derive or recompute; nothing else may lie beside them;
- manifest and tag name the same roots, and these are the files'.
A run manifest that is absent is the ledger's matter: a hole in the chain, or its end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checkpoints import checkpoint_problems, pinned
from .digest import NotCanonicalError, digest_of, parse_canonical, sha256
from .faults import Fault, Faults, lacking, wrong
from .library import governed
from .render.manifest import (
    ReleaseError,
    ReleaseManifest,
    Tag,
    checkpoint_heads,
    ledger_heads,
    parse_manifest,
    parse_tag,
    publication_root,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .digest import Json
    from .model import Ledger

    Files = Mapping[str, bytes]

ALONE = ("manifest.json", "release.tag", "repo.bundle", "sources.json", "SHA256SUMS")
"""Files that every bundle has beside the published ones."""
PACK = re.compile(r"packs/([0-9a-f]{64})\.leaves\Z")
RUN = re.compile(r"ledger/[a-z][a-z0-9-]*/[0-9]{6}\.json\Z")
"""A run manifest, or a checkpoint."""
BESIDE = re.compile(r"ledger/checkpoints/[0-9]{6}\.json(?:\.sig|\.tsr)\Z")
"""The signature or the time stamp of a checkpoint."""

COMMIT = 40
"""Digits of a commit's name; every other pin is a SHA-256."""

_SUM = re.compile(r"([0-9a-f]{64})  ([^\n]+)\Z")
_JSON = re.compile(r"(?:manifest|facts|sources|data/[^/]+)\.json\Z")


def sum_faults(files: Files) -> Faults:
    """Compare the files with SHA256SUMS."""
    data = files.get("SHA256SUMS")
    if data is None:
        yield wrong("SHA256SUMS is absent")
        return
    listed: dict[str, str] = {}
    for number, line in enumerate(data.decode(errors="replace").split("\n")[:-1], 1):
        found = _SUM.match(line)
        if found and found[2] not in listed:
            listed[found[2]] = found[1]
        else:
            yield wrong(
                f"SHA256SUMS:{number}: is no line of digest and path of its own"
            )
    due = "".join(f"{digest}  {path}\n" for path, digest in sorted(listed.items()))
    if data != due.encode():
        yield wrong("SHA256SUMS: its lines are not in order, or not as they are due")
    yield from _listed_faults(files, listed)


def _listed_faults(files: Files, listed: Mapping[str, str]) -> Faults:
    for path in sorted(listed.keys() - files.keys()):
        if path != "manifest.json" and not RUN.match(path):
            yield wrong(f"{path}: is listed, but absent")
    for path, body in sorted(files.items()):
        if path == "SHA256SUMS":
            continue
        if path not in listed:
            yield wrong(f"{path}: is an extra file: SHA256SUMS lacks it")
        elif sha256(body) != listed[path]:
            yield wrong(f"{path}: differs from its digest in SHA256SUMS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The JSON documents and the tag of a bundle, as far as they can be read."""

    manifest: ReleaseManifest | None
    tag: Tag | None
    facts: Mapping[str, Json]
    """facts.json; empty where it is no table."""
    count: int
    faults: tuple[Fault, ...]

    def rows(self, key: str) -> list[Mapping[str, Json]]:
        """Give the rows of one of the facts' tables, whatever else stands there."""
        rows = self.facts.get(key)
        if not isinstance(rows, list):
            return []
        return [row for row in rows if isinstance(row, dict)]


def read_documents(files: Files) -> Documents:
    """Read every JSON document, and the tag."""
    faults: list[Fault] = []
    trees: dict[str, Json] = {}
    for path in sorted(filter(_JSON.match, files)):
        try:
            trees[path] = parse_canonical(files[path])
        except NotCanonicalError as error:
            faults.append(wrong(f"{path}: {error}"))
    facts = trees.get("facts.json")
    manifest: ReleaseManifest | None = None
    tag: Tag | None = None
    if "manifest.json" not in files:
        faults.append(
            lacking(
                "manifest.json is absent: no release manifest to hold files against"
            )
        )
    elif "manifest.json" in trees:
        try:
            manifest = parse_manifest(files["manifest.json"])
        except ReleaseError as error:
            faults.append(wrong(f"manifest.json: {error}"))
    if "release.tag" not in files:
        faults.append(wrong("release.tag is absent: nothing vouches for the roots"))
    else:
        try:
            tag = parse_tag(files["release.tag"])
        except ReleaseError as error:
            faults.append(wrong(f"release.tag: {error}"))
    return Documents(
        manifest=manifest,
        tag=tag,
        facts=facts if isinstance(facts, dict) else {},
        count=len(trees) + 1,
        faults=tuple(faults),
    )


def head_faults(ledger: Ledger, files: Files, tag: Tag) -> Faults:
    """Compare the end of every chain with the head that the tag names."""
    heads_ = (*checkpoint_heads(files), *ledger_heads(ledger))
    ours = {head.stream: head for head in heads_}
    named = {head.stream: head for head in tag.release.heads}
    for stream in sorted(ours.keys() | named.keys()):
        head, due = ours.get(stream), named.get(stream)
        if due is None:
            yield wrong(f"ledger/{stream}: the tag names no such stream")
        elif head is None or head.seq < due.seq:
            last = head.seq if head else 0
            yield lacking(
                f"ledger/{stream} ends early: at seq {last:06d}, where the tag names"
                f" {due.seq:06d}"
            )
        elif head != due:
            yield wrong(
                f"ledger/{stream}/{head.seq:06d}.json: its chain is not the one that"
                f" the tag names (head {head.sha256[:16]}…, tag {due.sha256[:16]}…)"
            )


def checkpoint_faults(files: Files, ledger: Ledger) -> Faults:
    """Compare every checkpoint with the manifests that it vouches for."""
    below = {p: data for p, data in files.items() if p.startswith("ledger/checkpoints")}
    for problem in checkpoint_problems(below, ledger):
        yield wrong(problem)


def release_faults(files: Files, manifest: ReleaseManifest, tag: Tag | None) -> Faults:
    """Compare the files, the release manifest and the tag with each other."""
    yield from _layout_faults(files, manifest)
    root = publication_root(manifest.files)
    if root != manifest.publication_root:
        yield wrong("manifest.json: its publication root is not its files'")
    facts_root = sha256(files.get("facts.json", b""))
    if facts_root != manifest.facts_root:
        yield wrong("facts.json: is not what manifest.json names")
    if tag is None:
        return
    for what, ours, due in (
        ("assessment", manifest.assessment, tag.release.assessment),
        ("release", manifest.release, tag.release.name),
        ("commit", manifest.commit, tag.commit),
        ("toolchain", digest_of(dict(manifest.toolchain)), tag.release.toolchain),
    ):
        if ours != due:
            yield wrong(f"manifest.json: the tag names another {what}")
    if facts_root != tag.release.facts_root:
        yield wrong("facts.json: is not what the tag names (facts-root)")
    if root != tag.release.publication_root:
        yield wrong(
            "a published file (site, PDF, data) is not the one that the tag names"
            f" (publication-root {tag.release.publication_root[:16]}…, files give"
            f" {root[:16]}…)"
        )


def _layout_faults(files: Files, manifest: ReleaseManifest) -> Faults:
    for path, (digest, size) in sorted(manifest.files.items()):
        body = files.get(path)
        if body is None:
            yield wrong(f"{path}: is listed in manifest.json, but absent")
        elif (sha256(body), len(body)) != (digest, size):
            yield wrong(f"{path}: was swapped: it is not what manifest.json names")
    for path in sorted(files.keys() - manifest.files.keys()):
        if not _known(path):
            yield wrong(f"{path}: is an extra file: manifest.json lacks it")
    for path in ALONE:
        if path not in files:
            yield wrong(f"{path}: is absent, and every bundle has one")


def _known(path: str) -> bool:
    """Tell whether a file that is not published has another step that checks it."""
    return bool(
        path in ALONE
        or RUN.match(path)
        or PACK.match(path)
        or BESIDE.match(path)
        or (path.startswith("sources/") and governed(path.removeprefix("sources/")))
    )


def pin_faults(
    pins: Iterable[str],
    files: Files,
    tag: Tag,
    ledger: Ledger | None,
    commits: Collection[str],
) -> Faults:
    """Find what each digest that is known from outside stands for in this release.

    A root or head of an earlier ledger still stands for its first manifests; a commit
    that was pinned is still an ancestor of the release's (T21, T22).
    """
    known = {
        tag.commit,
        tag.release.facts_root,
        tag.release.publication_root,
        sha256(files["release.tag"]),
        sha256(files.get("manifest.json", b"")),
        *(head.sha256 for head in tag.release.heads),
        *(head.root for head in tag.release.heads),
        *commits,
    }
    known |= pinned(ledger, files).keys() if ledger else set()
    for pin in pins:
        if pin not in known:
            what = "commit" if len(pin) == COMMIT else "root, head or checkpoint"
            yield wrong(
                f"the pin {pin[:16]}… names nothing in this release: no {what} of this"
                " ledger and history, so either was rewritten since it was pinned"
            )
