# SPDX-License-Identifier: Apache-2.0
"""Running Git in a cleaned environment.

Rules enforced here:
- no GIT_* of the caller, no replace objects, no mailmap, no hooks, no signing, no
  pager, no locale, no question at a terminal;
- what Git says when it refuses becomes an error that people can read;
- who is interrupted ends Git in order, so that no lock file stays behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError, Exit
from controlbook.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controlbook.timeline import Instant

# What a caller may set for reaching a remote; it changes nothing that is read.
_REACH = {"GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO"}
_SETTINGS = (
    "core.commitGraph=false",
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.quotePath=false",
    "gc.auto=0",
    "log.mailmap=false",
    "log.showSignature=false",
    "maintenance.auto=false",
)
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large")
Author = tuple[str, str]
"""(name, e-mail address)"""


class GitFailedError(ControlbookError):
    """Git ran, and refused."""


class PushRejectedError(ControlbookError):
    """The remote did not take what was pushed."""


def run(
    arguments: Sequence[str],
    folder: Path,
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Run one Git command in the cleaned environment; give its output.

    Raises ControlbookError with what Git said when the command fails.
    """
    program = shutil.which("git")
    if not program:
        message = "git is not installed"
        raise ControlbookError(message, advice="install Git 2.38 or later")
    settings = [word for pair in _SETTINGS for word in ("-c", pair)]
    with subprocess.Popen(  # noqa: S603 - a fixed program, arguments without a shell
        [program, *settings, *arguments],
        cwd=folder,
        env=_clean() | dict(environment or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            output, said = child.communicate(stdin)
        except BaseException:
            # Asked to end, Git takes its lock files away; killed, it leaves them.
            child.terminate()
            raise
    if child.returncode:
        raise _failure(arguments, folder, said.decode(errors="replace"))
    return output


def _clean() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _REACH
    }
    return kept | {
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        "TZ": "UTC",
    }


def _failure(arguments: Sequence[str], folder: Path, said: str) -> ControlbookError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [
        line for line in lines if line.startswith(("fatal:", "error:", "!", "remote:"))
    ]
    what = " / ".join(telling or lines[-1:]) or "it said nothing"
    if "not a git repository" in what:
        return ControlbookError(
            "this folder is not in a Git repository",
            place=str(folder),
            advice="run it inside your programme, or `git init` one",
        )
    words = iter(arguments)
    verb = next((word for word in words if word != "-c" or not next(words, "")), "")
    full = any(reason in said for reason in _NO_ROOM)
    return GitFailedError(
        f"git {verb} failed: {what}",
        place=str(folder),
        advice="make room and run it again" if full else "",
        code=Exit.UNAVAILABLE if full else Exit.USAGE,
    )


def identity(
    at: Instant, author: Author, committer: Author | None = None
) -> dict[str, str]:
    """Give the environment that states who commits, and when."""
    date = f"@{at // SECOND} +0000"
    by = committer or author
    return {
        "GIT_AUTHOR_NAME": author[0],
        "GIT_AUTHOR_EMAIL": author[1],
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_NAME": by[0],
        "GIT_COMMITTER_EMAIL": by[1],
        "GIT_COMMITTER_DATE": date,
    }


def git_version() -> str:
    """Name the version of Git, on which the bytes of a git bundle depend."""
    return run(["version"], Path()).decode().removeprefix("git version ").strip()
