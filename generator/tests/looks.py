# SPDX-License-Identifier: Apache-2.0
"""A desk whose controls name what other streams look at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import collecting

from controlbook.collect import Collector
from controlbook.ledger import read_ledger
from controlbook.model import (
    Control,
    Framework,
    Library,
    Requirement,
    SecurityHubControl,
    Snapshot,
)
from controlbook.sources.looking import Looking
from controlbook.timeline import instant

if TYPE_CHECKING:
    from controlbook.collect import Collected
    from controlbook.model import EvidenceSource, Run
    from controlbook.sources.looking import Look


def naming(library: Library, *evidence: EvidenceSource) -> Library:
    """Give a library with one control that rests on this evidence, in scope."""
    control = Control(
        id="looked-at",
        title="Looked at",
        statement="It is looked at.",
        owner="j-moreau",
        evidence=evidence,
        path="controls/looked-at.yml",
        sha256="0" * 64,
    )
    item = Requirement(number="1", title="One", controls=("looked-at",))
    return replace(
        library,
        controls={control.id: control},
        frameworks={
            a.framework: Framework(
                id=a.framework, title="", labels={}, requirements={"1": item}
            )
            for a in library.assessments.values()
        },
        assessments={
            name: replace(a, requirements=("1",))
            for name, a in library.assessments.items()
        },
    )


def look(
    desk: collecting.Desk, kind: Look, at: str, *evidence: EvidenceSource
) -> Collected:
    """Let one stream look at an instant."""
    desk.library = naming(desk.library, *evidence)
    desk.now = instant(at)
    desk.sandbox.set_clock(desk.now)
    collector = Collector(
        library=desk.library,
        vault=desk.vault,
        clock=lambda: desk.now,
        commit=desk.commit,
        about=collecting.ABOUT,
    )
    return collector.collect(Looking(kind, desk.library, desk.aws), desk.git)


def runs(desk: collecting.Desk, stream: str) -> tuple[Run, ...]:
    """Give a stream's runs as the ledger's reader finds them."""
    return read_ledger(desk.git).runs.get(stream, ())


def calls(*names: str, days: int = 1) -> tuple[Snapshot, ...]:
    """Name snapshots of some calls."""
    return tuple(Snapshot(call=name, days=days) for name in names)


def hub(*names: str, days: int = 1) -> tuple[SecurityHubControl, ...]:
    """Name Security Hub controls."""
    return tuple(SecurityHubControl(control=name, days=days) for name in names)
