# SPDX-License-Identifier: Apache-2.0
"""Names of files, and what kind of file may stand where.

Rules enforced here:
- what controlbook reads is a plain file (mode 100644), never a link or a program;
- a name is UTF-8, on one line, and leads nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTENT = (
    "annotations/",
    "controls/",
    "evidence/",
    "frameworks/",
    "signoffs/",
    ".github/CODEOWNERS",
    "pyproject.toml",
)
"""What controlbook reads: below these, anything but a plain file is refused."""

PLAIN = "100644"
CODEOWNERS = ".github/CODEOWNERS"


def under(path: str, prefixes: Sequence[str]) -> bool:
    """Tell whether a path is, or lies below, one of the prefixes (none: all do)."""
    return not prefixes or any(
        path == prefix or path.startswith(prefix.rstrip("/") + "/")
        for prefix in prefixes
    )


def decoded(name: bytes) -> str:
    """Read a name as Git gives it."""
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        message = "the file's name is not UTF-8"
        raise ControlbookError(
            message,
            place=name.decode(errors="backslashreplace"),
            advice="rename it",
        ) from error


def one_line(path: str) -> str:
    """Refuse a name that Git's line protocols would read as two."""
    if "\n" in path:
        message = "the file's name has two lines"
        raise ControlbookError(message, place=repr(path))
    return path


def refuse_odd(path: str, mode: str) -> None:
    """Refuse anything but a plain file where controlbook reads."""
    if not under(path, CONTENT):
        return
    kind = {"120000": "a symbolic link", "160000": "a submodule"}.get(mode)
    if mode != PLAIN:
        message = f"this is {kind or 'an executable file'} (mode {mode})"
        raise ControlbookError(
            message,
            place=path,
            advice="make it a plain file (mode 100644)",
        )
    if any(part.lower() in {".git", "git~1", "..", "."} for part in path.split("/")):
        message = "the path leads into Git's own folder"
        raise ControlbookError(message, place=path, advice="remove it")
