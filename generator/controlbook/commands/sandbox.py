# SPDX-License-Identifier: Apache-2.0
"""`controlbook sandbox`: an AWS on loopback, in the foreground, to try the product on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.outcome import Outcome

if TYPE_CHECKING:
    import argparse


def sandbox(options: argparse.Namespace) -> Outcome:
    """Serve until interrupted."""
    from controlbook.sandbox.server import serve

    serve(world=options.world, port=options.port, at=options.at)
    return Outcome(text="")
