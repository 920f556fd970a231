# SPDX-License-Identifier: Apache-2.0
"""A forger's tools: open a bundle, change it, make its lists agree again."""

from __future__ import annotations

import io
import json
import zipfile
from functools import lru_cache
from typing import TYPE_CHECKING

from controlbook import digest
from controlbook.digest import canonical, merkle_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Files = dict[str, bytes]
sha256 = lru_cache(maxsize=4096)(digest.sha256)


def opened(path: Path) -> Files:
    """Read a bundle's files by their path below the top folder."""
    with zipfile.ZipFile(path) as archive:
        return {
            name.partition("/")[2]: archive.read(name) for name in archive.namelist()
        }


def zipped(files: Files, top: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(f"{top}/{path}", data)
    return out.getvalue()


def unpacked(files: Files, folder: Path) -> Path:
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def published(path: str) -> bool:
    """Tell whether manifest.json lists a file of this path."""
    top = path.split("/", maxsplit=1)[0]
    return top in {
        *("site", "data", "oscal", "facts.json", "README.md", "verify.py")
    } or (path.endswith(".pdf") and "/" not in path)


def resealed(files: Files) -> Files:
    """Recompute sources.json's digests, manifest.json and SHA256SUMS."""
    files = {path: data for path, data in files.items() if path != "SHA256SUMS"}
    if "sources.json" in files:
        tree = json.loads(files["sources.json"])
        for path, row in tree["files"].items():
            if f"sources/{path}" in files:
                row["sha256"] = sha256(files[f"sources/{path}"])
        files["sources.json"] = canonical(tree)
    if "manifest.json" in files:
        tree = json.loads(files["manifest.json"])
        # A forger also lists a new file wherever it stands.
        listed = set(tree["files"])
        rows = {
            path: {"sha256": sha256(data), "size": len(data)}
            for path, data in files.items()
            if published(path) or path in listed
        }
        tree["files"] = rows
        tree["facts_root"] = sha256(files.get("facts.json", b""))
        tree["publication_root"] = merkle_root(
            canonical([path, row["sha256"], row["size"]])
            for path, row in sorted(rows.items())
        )
        files["manifest.json"] = canonical(tree)
    sums = "".join(f"{sha256(data)}  {path}\n" for path, data in sorted(files.items()))
    return {**files, "SHA256SUMS": sums.encode()}


def retagged(files: Files) -> Files:
    """Rewrite release.tag too, so that it names what is here."""
    files = resealed(files)
    manifest = json.loads(files["manifest.json"])
    due = {
        "facts-root": manifest["facts_root"],
        "publication-root": manifest["publication_root"],
        "sources": sha256(files["sources.json"]),
    }
    streams: dict[str, list[str]] = {}
    for path in sorted(files):
        if path.startswith("ledger/"):
            streams.setdefault(path.split("/")[1], []).append(sha256(files[path]))
    for stream, digests in streams.items():
        root = merkle_root(bytes.fromhex(digest) for digest in digests)
        due[f"ledger {stream}"] = f"{len(digests)} {digests[-1]} {root}"
    lines = []
    for line in files["release.tag"].decode().splitlines():
        name, colon, _ = line.partition(": ")
        lines.append(f"{name}: {due[name]}" if colon and name in due else line)
    files["release.tag"] = "".join(f"{line}\n" for line in lines).encode()
    return resealed(files)


def edited(files: Files, path: str, change: Callable[[dict], object]) -> Files:  # type: ignore[type-arg] # a parsed document
    """Change a canonical JSON document."""
    tree = json.loads(files[path])
    change(tree)
    return {**files, path: canonical(tree)}


def replaced(files: Files, path: str, old: str, new: str) -> Files:
    text = files[path].decode()
    assert old in text, (path, old)
    return {**files, path: text.replace(old, new).encode()}


def flipped(files: Files, path: str, at: int = -1) -> Files:
    data = bytearray(files[path])
    at = len(data) // 2 if at < 0 else at
    data[at] ^= 1
    return {**files, path: bytes(data)}


def without(files: Files, *paths: str) -> Files:
    return {path: data for path, data in files.items() if path not in paths}


def rechained(files: Files) -> Files:
    """Number the config manifests anew, and let each name the one before."""
    manifests = sorted(p for p in files if p.startswith("ledger/config/"))
    bodies = [files[path] for path in manifests]
    files = without(files, *manifests)
    prev = "0" * 64
    for seq, body in enumerate(bodies, 1):
        tree = json.loads(body)
        tree["seq"], tree["prev"] = seq, prev
        data = canonical(tree)
        files[f"ledger/config/{seq:06d}.json"] = data
        prev = sha256(data)
    return files
