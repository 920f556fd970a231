# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: the size, head and Merkle root of every stream, at one moment.

Rules enforced here (trust.md 1.5):
- checkpoints are numbered from 1 without a gap, and none covers less than the one
  before;
- every checkpoint is a prefix of the ledger: its root is the Merkle root over the first
  `seq` manifests of each stream, its head the last of them;
- a pin that is known from outside names a root, a head, a checkpoint or a commit that
  the ledger still has; a root fixes how many manifests it is over.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .digest import (
    NotCanonicalError,
    canonical,
    leaf_hash,
    merkle_root,
    parse_canonical,
    sha256,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .digest import Json
    from .model import Ledger

TYPE = "controlbook/checkpoint/1"
FOLDER = "evidence/checkpoints"
SIGNATURE, STAMP = ".sig", ".tsr"
"""What stands beside a checkpoint, by the end of its name."""

_NAME = re.compile(r"(?:.*/)?checkpoints/(\d{6})\.json\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One checkpoint as it was written, with its signature and its time stamp."""

    path: str
    number: int
    content: bytes
    sizes: Mapping[str, int]
    """stream → how many of its manifests it covers."""
    signature: bytes = b""
    stamp: bytes = b""

    def covers(self, stream: str, seq: int) -> bool:
        """Tell whether a manifest is one of those that it vouches for."""
        return 0 < seq <= self.sizes.get(stream, 0)


def path_of(number: int) -> str:
    """Name the file of a checkpoint."""
    return f"{FOLDER}/{number:06d}.json"


def checkpoint_bytes(ledger: Ledger, ledger_id: str, number: int) -> bytes:
    """Write the checkpoint of a ledger as it stands."""
    return canonical(
        {
            "type": TYPE,
            "ledger": ledger_id,
            "number": number,
            "streams": streams_of(ledger),
        }
    )


def streams_of(ledger: Ledger) -> dict[str, Json]:
    """Give size, head and root of every stream of a ledger."""
    return {
        stream: _head([run.sha256 for run in runs])
        for stream, runs in sorted(ledger.runs.items())
        if runs
    }


def _head(digests: list[str]) -> dict[str, Json]:
    return {
        "seq": len(digests),
        "sha256": digests[-1],
        "root": merkle_root(bytes.fromhex(digest) for digest in digests),
    }


def read_checkpoints(files: Mapping[str, bytes]) -> tuple[Checkpoint, ...]:
    """Read every checkpoint that can be read, by its number."""
    found = []
    for path in sorted(files):
        name = _NAME.match(path)
        tree = _tree(files[path]) if name else None
        if name and tree is not None:
            found.append(
                Checkpoint(
                    path=path,
                    number=int(name[1]),
                    content=files[path],
                    sizes=_sizes(tree),
                    signature=files.get(path + SIGNATURE, b""),
                    stamp=files.get(path + STAMP, b""),
                )
            )
    return tuple(found)


def _tree(data: bytes) -> Mapping[str, Json] | None:
    try:
        tree = parse_canonical(data)
    except NotCanonicalError:
        return None
    if not isinstance(tree, dict) or tree.get("type") != TYPE:
        return None
    return tree


def _sizes(tree: Mapping[str, Json]) -> dict[str, int]:
    streams = tree.get("streams")
    rows = streams.items() if isinstance(streams, dict) else ()
    return {
        stream: seq
        for stream, row in rows
        if isinstance(row, dict) and isinstance(seq := row.get("seq"), int)
    }


def checkpoint_problems(files: Mapping[str, bytes], ledger: Ledger) -> Iterator[str]:
    """Say what is wrong with the checkpoints, each as `path: what`."""
    paths = [path for path in sorted(files) if "checkpoints/" in path]
    named = {path: found for path in paths if (found := _NAME.match(path))}
    for path in paths:
        base = path.removesuffix(SIGNATURE).removesuffix(STAMP)
        if path not in named and (base == path or base not in named):
            yield f"{path}: stands beside no checkpoint"
    before: Mapping[str, int] = {}
    for number, (path, found) in enumerate(named.items(), 1):
        if int(found[1]) != number:
            yield f"{path}: checkpoint {number:06d} before it is missing"
            return
        tree = _tree(files[path])
        if tree is None:
            yield f"{path}: is no checkpoint"
            continue
        if tree.get("number", number) != number:
            yield f"{path}: says that it is number {tree.get('number')}"
        yield from _prefix(path, tree, ledger)
        sizes = _sizes(tree)
        for stream, size in before.items():
            if sizes.get(stream, 0) < size:
                yield f"{path}: covers less of {stream} than the checkpoint before it"
        before = sizes


def _prefix(path: str, tree: Mapping[str, Json], ledger: Ledger) -> Iterator[str]:
    ids = {run.ledger for runs in ledger.runs.values() for run in runs}
    if ids and tree.get("ledger", next(iter(ids))) not in ids:
        yield f"{path}: is of another ledger"
    streams = tree.get("streams")
    if not isinstance(streams, dict):
        yield f"{path}: is no checkpoint"
        return
    for stream, due in sorted(streams.items()):
        seq = due.get("seq") if isinstance(due, dict) else 0
        runs = ledger.runs.get(stream, ())[: seq if isinstance(seq, int) else 0]
        if not runs or _head([run.sha256 for run in runs]) != due:
            yield f"{path}: the {stream} stream here is not what it names"


def pinned(ledger: Ledger, files: Mapping[str, bytes]) -> dict[str, str]:
    """Name everything in a ledger that a pin can stand for: digest → what it is."""
    known: dict[str, str] = {}
    for stream, runs in ledger.runs.items():
        digests = [run.sha256 for run in runs]
        for size, root in enumerate(prefix_roots(digests), 1):
            known[root] = f"the root of the first {size} manifests of {stream}"
        for seq, digest in enumerate(digests, 1):
            known[digest] = f"manifest {stream}/{seq:06d}"
    for path, data in files.items():
        if _NAME.match(path):
            known[sha256(data)] = path.rpartition("/")[2].removesuffix(".json")
            known[sha256(data)] = f"checkpoint {known[sha256(data)]}"
    return known


def prefix_roots(digests: Iterable[str]) -> Iterator[str]:
    """Give the Merkle root over the first manifest, the first two, and so on.

    Perfect subtrees are kept, largest first, so that each root costs only as many
    hashes as there are of them.
    """
    peaks: list[tuple[int, bytes]] = []
    for digest in digests:
        size, node = 1, leaf_hash(bytes.fromhex(digest))
        while peaks and peaks[-1][0] == size:
            node = _join(peaks.pop()[1], node)
            size *= 2
        peaks.append((size, node))
        root = peaks[-1][1]
        for _, left in reversed(peaks[:-1]):
            root = _join(left, root)
        yield root.hex()


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
