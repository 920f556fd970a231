# SPDX-License-Identifier: Apache-2.0
"""Where the lists are that moved out of run manifests: in the vault, or in a bundle.

Rules enforced here:
- a list is given if it is, byte for byte, the object that its manifest names, and is
  never taken as empty: absent is an error, from the vault and in a bundle;
- a copy in the cache is named by its digest, and one that is damaged is read anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ControlbookError
from .faults import Faults, wrong
from .manifest import MalformedManifestError, is_list
from .vault.packs import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .manifest import Lists
    from .model import Ledger, StoredObject
    from .vault import Vault

CARRIED = re.compile(r"lists/([0-9a-f]{64})\.ndjson\.gz\Z")
"""A list in a bundle: the very object of the vault, by the digest of its bytes."""
CACHE = Path(".cache/controlbook/lists")
"""Below a repository, and not in Git: copies of what a remote vault gave."""


def of_vault(vault: Callable[[], Vault], cache: Path | None = None) -> Lists:
    """Read lists from a vault, which is opened when the first one is asked for."""

    def lists(stored: StoredObject) -> tuple[bytes, ...]:
        store = vault()
        # A folder is as near as a cache of it would be.
        copy = cache / stored.sha256 if cache and store.kind != "directory" else None
        if copy and copy.is_file():
            try:
                return unpack(copy.read_bytes(), stored)
            except ControlbookError:
                copy.unlink()
        body = store.get(stored.key, stored.version_id)
        lines = unpack(body, stored)
        if copy:
            _begin(copy.parent)
            partial = copy.with_suffix(".partial")
            partial.write_bytes(body)
            partial.replace(copy)
        return lines

    return lists


def _begin(cache: Path) -> None:
    """Make the folder, which keeps itself out of Git."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n", encoding="utf-8")


def carried_path(stored: StoredObject) -> str:
    """Give the path of a list in a bundle."""
    return f"lists/{stored.sha256}.ndjson.gz"


def of_bundle(files: Mapping[str, bytes]) -> Lists:
    """Read lists from the files of a bundle, which has to carry all of them."""

    def lists(stored: StoredObject) -> tuple[bytes, ...]:
        path = carried_path(stored)
        body = files.get(path)
        if body is None:
            message = f"its {stored.role} is not carried: {path} is absent"
            raise MalformedManifestError(message)
        try:
            # A bundle is anybody's: no more is inflated than its manifest says.
            return unpack(body, stored, limit=stored.content_size)
        except ControlbookError as error:
            message = f"{path}: is not its {stored.role}: {error.message}"
            raise MalformedManifestError(message) from error

    return lists


def carried_lists(ledger: Ledger) -> Iterator[StoredObject]:
    """Name the lists that a bundle must carry: all, for the ledger is carried whole."""
    for runs in ledger.runs.values():
        for run in runs:
            yield from filter(is_list, run.objects)


def stray_faults(ledger: Ledger, files: Mapping[str, bytes]) -> Faults:
    """Find carried lists that no run manifest names."""
    named = {carried_path(stored) for stored in carried_lists(ledger)}
    for path in sorted(filter(CARRIED.match, files)):
        if path not in named:
            yield wrong(f"{path}: no run manifest names this list")
