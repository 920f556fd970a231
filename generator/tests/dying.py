# SPDX-License-Identifier: Apache-2.0
"""`controlbook collect` and `release` in processes that die at a step of their writing.

Run as a program: `dying.py FOLDER FAULT [STEP]`. The fault comes at the STEPth write
below FOLDER: just before a file is opened for writing, linked, renamed or removed, or
Git is asked to write. Python's own audit events tell, so nothing of ours is replaced.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from test_collect import Daily

from controlbook.cli import main
from controlbook.commands import collect

if TYPE_CHECKING:
    from collections.abc import Callable

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
GIT_WRITES = {"add", "commit", "tag", "push"}
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGTERM, "interrupt": signal.SIGINT}


def is_write(event: str, given: tuple[object, ...], root: str) -> bool:
    """Tell whether an audit event is a write below a folder."""
    if event == "subprocess.Popen":
        words = given[1]
        return isinstance(words, list) and bool(GIT_WRITES & set(words))
    if event == "open":
        path, _, flags = given
        below = isinstance(path, str) and path.startswith(root)
        return below and isinstance(flags, int) and bool(flags & WRITING)
    if event in {"os.link", "os.rename", "os.remove"}:
        return str(given[0]).startswith(root)
    return False


def fail_at(step: int, fault: str, root: Path) -> Callable[[], int]:
    """Let the fault come at a step; give a count of the steps so far."""
    steps, here = 0, str(root.resolve())

    def watch(event: str, given: tuple[object, ...]) -> None:
        nonlocal steps
        if not is_write(event, given, here):
            return
        if event != "os.remove":
            steps += 1
        if fault == "full" and steps >= step and event != "os.remove":
            # A full disk stays full, and lets go of files.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(given[0]))
        if fault in SIGNALS and steps == step:
            steps += 1
            os.kill(os.getpid(), SIGNALS[fault])

    sys.addaudithook(watch)
    return lambda: steps


def collecting(root: Path, day: str, *words: str) -> None:
    """Run the verb, on a source of one resource that flips every day."""
    collect._source = lambda *_: Daily()  # type: ignore[attr-defined] # noqa: SLF001
    repository = root / "programme"
    main(
        ["collect", "-q", "-C", str(repository), "--as-of", f"{day}T06:00:00Z", *words]
    )


def apart(act: Callable[[], None]) -> int:
    """Run something that ends in `sys.exit` in a process of its own; give its code."""
    child = os.fork()
    if not child:
        code = 99
        try:
            act()
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    folder, fault, step, day, *words = sys.argv[1:]
    fail_at(int(step), fault, Path(folder))
    collecting(Path(folder), day, *words)
