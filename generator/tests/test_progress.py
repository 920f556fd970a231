# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io

import pytest

from controlbook.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_over_itself_and_taken_away() -> None:
    screen = Terminal()
    with Progress("config", stream=screen) as progress:
        progress.show(0, 4)
        progress.show(1, 4)
        progress.show(1, 4)
    lines = screen.getvalue().split("\r\x1b[2K")
    assert lines == [
        "",
        "config [........................] 0/4",
        "config [######..................] 1/4",
        "",
    ]


@pytest.mark.parametrize("quiet", [False, True])
def test_a_log_and_a_quiet_run_show_nothing(*, quiet: bool) -> None:
    screen = Terminal() if quiet else io.StringIO()
    with Progress("config", quiet=quiet, stream=screen) as progress:
        progress.show(1, 4)
    assert screen.getvalue() == ""


def test_an_interrupted_run_takes_its_bar_away() -> None:
    screen = Terminal()

    def interrupted() -> None:
        with Progress("config", stream=screen) as progress:
            progress.show(1, 4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert screen.getvalue().endswith("\r\x1b[2K")


def test_nothing_to_do_shows_nothing() -> None:
    screen = Terminal()
    Progress("config", stream=screen).show(0, 0)
    assert screen.getvalue() == ""
