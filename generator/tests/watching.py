# SPDX-License-Identifier: Apache-2.0
"""A desk that collects the events of a sandbox's trail."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from collecting import Desk, desk

from controlbook.collect import Collected, Collector
from controlbook.ledger import read_ledger
from controlbook.model import Control, EventQuery, Run
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trouble import DigestTrouble, Trouble
from controlbook.sandbox.world import TrailEvent
from controlbook.sources.cloudtrail import CloudTrailSource
from controlbook.timeline import instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlbook.sandbox.world import World

FIRST, SECOND, HOME = "000000000001", "000000000002", "us-east-1"
IAM = "iam.amazonaws.com"
SIX = "2028-01-02T06:00:00Z"


def call(at: str, **fields: Any) -> TrailEvent:  # noqa: ANN401 - its own fields
    """Describe a call that the trail records."""
    given: dict[str, Any] = {
        "account": SECOND,
        "region": HOME,
        "source": IAM,
        "name": "CreateUser",
        "actor": "somebody",
    }
    return TrailEvent(at=instant(at), **{**given, **fields})


@dataclass
class Watch:
    """A desk that collects events."""

    desk: Desk
    demands: tuple[EventQuery, ...]

    def collect(self, at: str) -> Collected:
        """Collect at an instant."""
        now = instant(at)
        self.desk.now = now
        self.desk.sandbox.set_clock(now)
        control = Control(
            id="c",
            title="",
            statement="",
            owner="",
            evidence=self.demands,
            path="controls/c.yml",
            sha256="",
        )
        library = replace(self.desk.library, controls={"c": control})
        collector = Collector(
            library=library,
            vault=self.desk.vault,
            clock=lambda: now,
            commit=self.desk.commit,
            about=(),
        )
        source = CloudTrailSource(library, self.desk.aws, pause=lambda _: None)
        return collector.collect(source, self.desk.git)

    @property
    def runs(self) -> tuple[Run, ...]:
        """What the ledger's reader finds in Git."""
        return read_ledger(self.desk.git).cloudtrail


@contextmanager
def watch(
    folder: Path,
    *troubles: DigestTrouble,
    world: World | None = None,
    expect: str = "any",
    trouble: Trouble | None = None,
    **settings: str,
) -> Iterator[Watch]:
    """Open a desk over a sandbox of its own, with an event query."""
    world = world or tiny()
    settings.setdefault("trail_bucket", world.trail_bucket)
    given = trouble or Trouble(digests=troubles)
    query = EventQuery(source=IAM, event="CreateUser", expect=expect)
    with desk(world, folder, given, **settings) as at:
        yield Watch(at, (query,))


def hurt(kind: str, start: str, end: str, account: str = SECOND) -> DigestTrouble:
    """Name trouble with one place's digests."""
    return DigestTrouble(
        account=account,
        region=HOME,
        kind=kind,
        start=instant(start),
        end=instant(end),
    )
