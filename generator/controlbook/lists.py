# SPDX-License-Identifier: Apache-2.0
"""Where the lists are that moved out of run manifests: in the vault, or in a bundle.

Rules enforced here:
- a list is given if it is the object that its manifest names, and is never taken as
  empty: absent is an error, from the vault and in a bundle;
- a copy in the cache is named by its digest, and one that is damaged is read anew;
- a bundle carries the lists that its assessment rests on (reach.py): those with a line
  an account as extracts, with the other accounts' lines as leaf hashes, the others
  whole; not the lists of source packs, which are asked of the vault like the packs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .digest import leaf_hash, sha256
from .extracts import ExtractError, read_extract, whole
from .manifest import (
    BY_ACCOUNT,
    MalformedManifestError,
    leaves_of,
    moved,
    parts_of,
    whose,
)
from .reach import INDEX, OBJECTS, outline_of, reach_of
from .vault.packs import records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .manifest import Lists
    from .model import Assessment, Ledger, Run, StoredObject
    from .reach import Depth, Reach
    from .vault import Vault

CACHE = Path(".cache/controlbook/lists")
"""Below a repository, and not in Git: copies of what a remote vault gave."""


def of_vault(vault: Callable[[], Vault], cache: Path | None = None) -> Lists:
    """Read lists from a vault, which is opened when the first one is asked for."""

    def lists(stored: StoredObject) -> Iterable[bytes]:
        store = vault()
        # A folder is as near as a cache of it would be.
        copy = cache / stored.sha256 if cache and store.kind != "directory" else None
        if copy and copy.is_file():
            body = copy.read_bytes()
            if sha256(body) == stored.sha256:
                return records_of(body, stored)
            copy.unlink()
        body = store.get(stored.key, stored.version_id)
        if copy and sha256(body) == stored.sha256:
            _begin(copy.parent)
            partial = copy.with_suffix(".partial")
            partial.write_bytes(body)
            partial.replace(copy)
        return records_of(body, stored)

    return _small_ones_once(lists)


def _small_ones_once(lists: Lists) -> Lists:
    """Read the index of a run once for all of its lists, and equal lists once."""

    @lru_cache(maxsize=32)
    def once(stored: StoredObject) -> tuple[bytes, ...]:
        return tuple(lists(stored))

    def kept(stored: StoredObject) -> Iterable[bytes]:
        small = stored.role == INDEX or stored.content_size < SMALL
        return once(stored) if small else lists(stored)

    return kept


SMALL = 1 << 20
"""A list that is kept in memory for the next one who asks."""


def _begin(cache: Path) -> None:
    """Make the folder, which keeps itself out of Git."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n", encoding="utf-8")


def carried_path(stored: StoredObject) -> str:
    """Give the path of a list in a bundle: that of every pack there."""
    return f"packs/{stored.content_sha256}.leaves"


def of_bundle(files: Mapping[str, bytes]) -> Lists:
    """Read lists from the files of a bundle, as far as it carries them."""

    def lists(stored: StoredObject) -> Iterable[bytes]:
        path = carried_path(stored)
        body = files.get(path)
        if body is None:
            message = f"its {stored.role} is not carried: {path} is absent"
            raise MalformedManifestError(message)
        try:
            own = read_extract(body)
        except ExtractError as error:
            message = f"{path}: is not its {stored.role}: {error}"
            raise MalformedManifestError(message) from error
        count = len(own.records) + own.hidden
        if (own.root, count) != (stored.records_root, stored.records):
            message = f"{path}: is not its {stored.role}: its Merkle root differs"
            raise MalformedManifestError(message)
        return own.records

    return _small_ones_once(lists)


def carried_lists(
    ledger: Ledger, assessment: Assessment, lists: Lists
) -> Iterator[tuple[StoredObject, Depth]]:
    """Name the lists that a bundle must carry, with whose rows of them.

    `lists` gives the index, which says where these accounts' lines are.
    """
    reach = reach_of(assessment, map(outline_of, ledger.config))
    for stream, runs in sorted(ledger.runs.items()):
        depths = reach.depths(stream, [outline_of(run) for run in runs])
        for run in runs:
            if depth := depths.get(run.seq):
                for stored in _due(run, depth, lists):
                    yield stored, depth


def _due(run: Run, depth: Depth, lists: Lists) -> Iterator[StoredObject]:
    held = moved(run.objects)
    wanted = {name: own for name, own in held.items() if _reads(depth, name)}
    index = [stored for stored in run.objects if stored.role == INDEX]
    if wanted:
        yield from index
    for name, objects in wanted.items():
        if name in BY_ACCOUNT:
            leaves = leaves_of(name, index[0], lists)
            yield from (stored for stored, _ in parts_of(objects, leaves, depth))
        else:
            yield from objects


def _reads(depth: Depth, name: str) -> bool:
    return name != OBJECTS and depth.reads(name)


def carried_form(stored: StoredObject, lines: Iterable[bytes], depth: Depth) -> bytes:
    """Write a list as a bundle carries it: other accounts' lines as leaf hashes."""
    if stored.role.partition(":")[2] not in BY_ACCOUNT:
        return whole(lines)
    return b"".join(
        (line if depth.of(whose(line)) else b"#" + leaf_hash(line).hex().encode())
        + b"\n"
        for line in lines
    )


def unread(ledger: Ledger, reach: Reach) -> Iterator[str]:
    """Say what was not read of a ledger whose lists moved, for whoever is told so."""
    beyond = apart = sources = 0
    for stream, runs in sorted(ledger.runs.items()):
        depths = reach.depths(stream, [outline_of(run) for run in runs])
        for run in runs:
            names = moved(run.objects).keys()
            depth = depths.get(run.seq)
            if depth and names:
                sources += OBJECTS in names
                read = {n for n in names if _reads(depth, n)}
                beyond += bool(names - read - {OBJECTS})
                apart += depth.accounts is not None and bool(read & BY_ACCOUNT)
    if beyond:
        yield f"the lists of {_runs(beyond)} on which nothing here rests"
    if apart:
        yield (
            f"in the lists of {_runs(apart)} the rows of other accounts, and the sums"
            " and the root over the rules of all accounts"
        )
    if sources:
        yield f"which source packs {_runs(sources)} stored: their lists of objects"


def _runs(count: int) -> str:
    return f"{count} run{'s' if count > 1 else ''}"
