# SPDX-License-Identifier: Apache-2.0
"""Reading a bundle, zipped or unpacked, as something a stranger may have made.

Rules enforced here:
- sizes are bounded before anything is inflated; names are plain, relative, unique, and
  differ in more than case; there are no links;
- a bundle has one top folder, named after its assessment;
- nothing is written, and nothing is run.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ControlbookError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_FILES = 50_000
MAX_BYTES = 2 * 1024**3
MAX_RATIO = 1_000
"""A deflated file may not inflate to more than this many times its size."""
LONGEST = 260

_PLAIN = re.compile(r"[A-Za-z0-9._()@+ -]*[A-Za-z0-9_()@+-]\Z", re.ASCII)
_TAKEN = re.compile(
    r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?\Z|\.git\Z", re.ASCII
)
"""Names that mean a device or a repository to somebody's computer, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A bundle's files by their path below its top folder."""

    name: str
    files: Mapping[str, bytes]
    faults: tuple[str, ...]
    """What is wrong with names, sizes and kinds; empty for a sound bundle."""


def carry(path: Path) -> Carried:
    """Read a bundle; raises ControlbookError where there is nothing at the path."""
    if path.is_dir():
        return _from_folder(path)
    if not path.is_file():
        message = "there is no bundle here"
        raise ControlbookError(
            message, place=str(path), advice="name a bundle's zip or its folder"
        )
    return _from_zip(path)


def held(name: str, files: Mapping[str, bytes]) -> Carried:
    """Take files in memory for a bundle; what is wrong with their names is said."""
    return Carried(name=name, files=files, faults=tuple(_name_faults(files)))


# --- an unpacked one -----------------------------------------------------------------


def _from_folder(path: Path) -> Carried:
    root = path.resolve()
    inner = sorted(root.iterdir())
    if len(inner) == 1 and inner[0].is_dir() and not inner[0].is_symlink():
        root = inner[0]
    faults: list[str] = []
    files: dict[str, bytes] = {}
    total = 0
    for folder, folders, names in os.walk(root):
        below = folder[len(str(root)) :].replace(os.sep, "/").lstrip("/")
        above = f"{below}/" if below else ""
        for name in sorted(folders):
            place = above + name
            if os.path.islink(os.path.join(folder, name)):  # noqa: PTH114, PTH118
                faults.append(f"{_shown(place)}: is a link")
        for name in sorted(names):
            whole = os.path.join(folder, name)  # noqa: PTH118
            place = above + name
            status = os.lstat(whole)
            total += status.st_size
            if not stat.S_ISREG(status.st_mode):
                faults.append(f"{_shown(place)}: is a link or no file")
            elif total > MAX_BYTES or len(files) >= MAX_FILES:
                faults.append(f"{_shown(place)}: the bundle is larger than any bundle")
                return Carried(name=root.name, files=files, faults=tuple(faults))
            else:
                with open(whole, "rb") as file:  # noqa: PTH123
                    files[place] = file.read()
    faults.extend(_name_faults(files))
    return Carried(name=root.name, files=files, faults=tuple(faults))


# --- a zip ---------------------------------------------------------------------------


def _from_zip(path: Path) -> Carried:
    if not path.stat().st_size:
        return Carried(name="", files={}, faults=())
    try:
        with zipfile.ZipFile(path) as archive:
            return _from_archive(archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        return _unreadable(path, str(error))
    except (RuntimeError, OSError, ValueError, UnicodeDecodeError) as error:
        return _unreadable(path, f"{type(error).__name__}: {error}")


def _unreadable(path: Path, why: str) -> Carried:
    return Carried(
        name="", files={}, faults=(f"{path.name}: is no readable zip: {why}",)
    )


def _from_archive(archive: zipfile.ZipFile) -> Carried:
    entries = archive.infolist()
    faults = list(_entry_faults(entries))
    if faults:
        return Carried(name="", files={}, faults=tuple(faults))
    files: dict[str, bytes] = {}
    tops = {entry.filename.split("/")[0] for entry in entries}
    if len(tops) > 1:
        return Carried(
            name="", files={}, faults=("the zip has more than one top folder",)
        )
    for entry in entries:
        _, _, name = entry.filename.partition("/")
        if not entry.is_dir() and name:
            files[name] = archive.read(entry)
    return held(next(iter(tops), ""), files)


def _entry_faults(entries: list[zipfile.ZipInfo]) -> Iterator[str]:
    if len(entries) > MAX_FILES:
        yield f"the zip has {len(entries)} entries, more than any bundle"
        return
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        yield "the zip inflates to more than any bundle"
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 where a zipper left it out
        if name in seen:
            yield f"{_shown(name)}: stands in the zip twice"
        seen.add(name)
        if (
            name.startswith("/")
            or ".." in name.split("/")
            or "\\" in entry.orig_filename
        ):
            yield f"{_shown(name)}: leads out of the bundle"
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            yield f"{_shown(name)}: is a link or no file"
        if entry.flag_bits & 0x1:
            yield f"{_shown(name)}: is encrypted"
        if entry.file_size > MAX_RATIO * max(entry.compress_size, 1_000):
            yield f"{_shown(name)}: inflates a thousandfold"


def _name_faults(files: Mapping[str, bytes]) -> Iterator[str]:
    folded: dict[str, str] = {}
    for path in sorted(files):
        if not all(map(_plain, path.split("/"))):
            yield f"{_shown(path)}: is no plain, relative path"
        if len(path) > LONGEST:
            yield f"{_shown(path[:60])}…: has more than {LONGEST} characters"
        twin = folded.setdefault(path.casefold(), path)
        if twin != path:
            yield f"{_shown(path)}: differs from {twin} only in case"


def _plain(part: str) -> bool:
    return bool(_PLAIN.match(part)) and not _TAKEN.match(part.lower())


def _shown(name: str) -> str:
    return name if name.isascii() and name.isprintable() else ascii(name)
