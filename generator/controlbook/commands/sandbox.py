# SPDX-License-Identifier: Apache-2.0
"""`controlbook sandbox`: an AWS on loopback, in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.clock import now
from controlbook.outcome import Outcome
from controlbook.sandbox.server import serve

if TYPE_CHECKING:
    import argparse


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - for `eval`, while it goes on serving


def sandbox(options: argparse.Namespace) -> Outcome:
    """Serve until interrupted."""
    serve(
        _say,
        world=options.world,
        port=options.port,
        at=now(options.at) if options.at else None,
    )
    return Outcome(text="")
