# SPDX-License-Identifier: Apache-2.0
"""The slot for a team's own licensed copy of a standard's text.

Rules enforced here:
- the text lies in a folder that Git does not track: what a bundle carries comes from
  Git, so it cannot carry the text;
- it is read for internal drafts only; a release never asks for it, and is refused while
  the folder is tracked.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .errors import ControlbookError, Exit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .programme import Programme

LARGEST = 100_000
"""Bytes of one requirement's text; more is not one requirement."""


def texts(programme: Programme) -> Mapping[str, Mapping[str, str]]:
    """Read `<folder>/<framework>/<number>.md`: framework → number → Markdown."""
    folder = programme.library.settings.licensed_text
    if not folder:
        message = "no folder of licensed text is set"
        raise ControlbookError(
            message,
            place="pyproject.toml",
            advice='set `licensed-text = "…"` in [tool.controlbook]',
        )
    refuse_tracked(programme)
    root = programme.repository.root / folder
    if not root.is_dir():
        message = "the folder of licensed text is not there"
        raise ControlbookError(
            message, place=str(root), advice="put your copy there, or build without it"
        )
    found: dict[str, dict[str, str]] = {}
    for id_, framework in programme.library.frameworks.items():
        for number in framework.requirements:
            path = root / id_ / f"{number}.md"
            if path.is_file():
                found.setdefault(id_, {})[number] = _text(path)
    return found


def refuse_tracked(programme: Programme) -> None:
    """Refuse where the commit holds licensed text: every bundle would carry it."""
    folder = programme.library.settings.licensed_text
    if not folder or PurePosixPath(folder).is_absolute() or ".." in Path(folder).parts:
        return
    name = PurePosixPath(folder).as_posix()
    tracked = programme.repository.files_at(programme.commit, (f"{name}/",))
    if tracked:
        message = f"Git tracks {len(tracked)} files of licensed text"
        raise ControlbookError(
            message,
            place=min(tracked),
            advice=f"git rm -r --cached {name}, add it to .gitignore, and rewrite "
            "the history that holds it before you release",
        )


def _text(path: Path) -> str:
    data = path.read_bytes()
    if len(data) > LARGEST:
        message = f"has {len(data)} bytes, more than one requirement's text"
        raise ControlbookError(message, place=str(path), code=Exit.USAGE)
    return data.decode("utf-8", "replace")
