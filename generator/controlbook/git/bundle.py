# SPDX-License-Identifier: Apache-2.0
"""A git bundle whose bytes depend on the objects alone.

Rules enforced here:
- the pack is built from a sorted list of objects, by one thread, reusing nothing;
- neither the refs nor the settings of the repository or its user shape the pack.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .process import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .repository import Repository

# Whatever shapes the bytes of a pack, so that no user's settings reach a bundle.
_PACKING = (
    "core.bigFileThreshold=512m",
    "core.compression=-1",
    "pack.compression=-1",
    "pack.packSizeLimit=0",
    "pack.windowMemory=0",
)


def write_bundle(repository: Repository, revs: Sequence[str], out: Path) -> None:
    """Write a git bundle whose bytes depend on the objects alone.

    Each of `revs` is a ref (`refs/heads/main`), or `<commit>:<ref>`. A clone of
    the bundle checks out the first. Clones and repacked copies give equal bytes.
    """
    refs = dict(_bundled(repository, rev) for rev in revs)
    tips = "".join(f"{tip}\n" for tip in refs.values()).encode()
    listed = repository.git(
        "rev-list", "--objects", "--no-object-names", "--stdin", stdin=tips
    )
    objects = b"".join(sorted(listed.splitlines(keepends=True)))
    # The first becomes HEAD, or a clone of the bundle would check nothing out.
    refs = {"HEAD": repository.resolve(next(iter(refs.values()))), **refs}
    rows = "".join(f"{tip} {name}\n" for name, tip in sorted(refs.items()))
    header = f"# v2 git bundle\n{rows}\n".encode()
    out.write_bytes(header + _pack(repository, objects))


def _bundled(repository: Repository, rev: str) -> tuple[str, str]:
    source, _, name = rev.partition(":")
    full = repository.git("rev-parse", "--symbolic-full-name", source)
    tip = repository.git("rev-parse", "--verify", source)
    return name or full.decode().strip() or "HEAD", tip.decode().strip()


def _pack(repository: Repository, objects: bytes) -> bytes:
    # An empty repository that borrows our objects: neither the refs here (tags
    # move the order of objects) nor the settings here can shape the pack.
    with tempfile.TemporaryDirectory(prefix="controlbook-") as folder:
        empty = Path(folder)
        run(["init", "-q", "--bare", "--template="], empty)
        store = (repository.folder / "objects").resolve()
        (empty / "objects" / "info").mkdir(exist_ok=True)
        (empty / "objects" / "info" / "alternates").write_text(f"{store}\n")
        settings = [word for pair in _PACKING for word in ("-c", pair)]
        return run(
            [
                *settings,
                "pack-objects",
                "--stdout",
                "--quiet",
                "--threads=1",
                "--no-reuse-delta",
                "--no-reuse-object",
                "--delta-base-offset",
                "--window=10",
                "--depth=50",
            ],
            empty,
            stdin=objects,
            environment={
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
            },
        )
