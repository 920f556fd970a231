# SPDX-License-Identifier: Apache-2.0
"""Running Git in a cleaned environment.

Rules enforced here:
- no GIT_* of the caller, no replace objects, no mailmap, no hooks, no signing, no
  pager, no locale, no question at a terminal;
- what Git says when it refuses becomes an error that people can read;
- who is interrupted ends Git in order, and a Git that writes outlives a killed caller,
  so that no lock file stays behind; one that is there all the same is waited for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
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
_ASKING = {"clone", "fetch", "ls-remote", "push"}
"""May ask a person for a password, and so needs the caller's terminal."""
_LOCKED = re.compile(r"'([^'\n]+\.lock)': File exists")
_OVERTAKEN = re.compile(r"cannot lock ref 'HEAD': is at \w+ but expected")
_WAITS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between two tries where another Git command is at work."""
_STORAGE = {
    "No space left on device": "make room and run it again",
    "Out of diskspace": "make room and run it again",
    "Disk quota exceeded": "make room and run it again",
    "File too large": "make room and run it again",
    "Read-only file system": "make it writable and run it again",
    "': Permission denied": "make it writable and run it again",
    "insufficient permission": "make it writable and run it again",
}
"""What a disk that does not take a file makes Git say → what to do."""
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
    command = [program, *settings, *arguments]
    given = _clean() | dict(environment or {})
    for wait in (*_WAITS, 0):
        code, output, said = _once(command, folder, given, stdin, _verb(arguments))
        if not code:
            return output
        if not (wait and (_LOCKED.search(said) or _OVERTAKEN.search(said))):
            break
        time.sleep(wait)
    raise _failure(arguments, folder, said)


def _once(
    command: list[str], folder: Path, given: dict[str, str], stdin: bytes, verb: str
) -> tuple[int, bytes, str]:
    with subprocess.Popen(  # noqa: S603 - a fixed program, arguments without a shell
        command,
        cwd=folder,
        env=given,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Killed together with its caller, Git would leave its lock files.
        start_new_session=verb not in _ASKING,
    ) as child:
        try:
            output, said = child.communicate(stdin)
        except BaseException:
            # Asked to end, Git takes its lock files away; killed, it leaves them.
            child.terminate()
            raise
    return child.returncode, output, said.decode(errors="replace")


def _verb(arguments: Sequence[str]) -> str:
    words = iter(arguments)
    return next((word for word in words if word != "-c" or not next(words, "")), "")


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
            advice="run it in your programme, or lay one down: `controlbook init DIR`",
        )
    advice = next((todo for phrase, todo in _STORAGE.items() if phrase in said), "")
    if lock := _LOCKED.search(said):
        advice = (
            "another Git command is at work here, or one was killed: if none runs, "
            f"remove {lock[1]} and run it again"
        )
    return GitFailedError(
        f"git {_verb(arguments)} failed: {what}",
        place=str(folder),
        advice=advice,
        code=Exit.UNAVAILABLE if advice else Exit.USAGE,
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
