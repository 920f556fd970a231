# SPDX-License-Identifier: Apache-2.0
"""A programme that collects from a sandbox, day by day, into a folder."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controlbook.collect import Collected, Collector
from controlbook.ledger import read_ledger
from controlbook.lists import of_vault
from controlbook.model import Assessment, Library, Settings
from controlbook.sandbox.server import Sandbox
from controlbook.sources.aws import Connections
from controlbook.sources.config import ConfigSource
from controlbook.timeline import DAY, Instant, Interval, instant
from controlbook.vault.directory import DirectoryVault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from controlbook.model import Run
    from controlbook.sandbox.trouble import Trouble
    from controlbook.sandbox.world import World

ABOUT = (("commit", "0" * 40), ("name", "controlbook"), ("version", "0.1.0"))
LEDGER = "5b0c6f0e-2f1d-4f5b-9a53-6f6f2a1c7d10"


def assessment_of(
    accounts: tuple[str, ...],
    region: str,
    start: str = "2028-01-01T00:00:00Z",
    end: str = "2028-04-01T00:00:00Z",
) -> Assessment:
    """Scope some accounts for a period."""
    return Assessment(
        id="PCI-2028-Q1",
        title="",
        framework="pci-dss-3.2.1",
        period=Interval(instant(start), instant(end)),
        accounts=tuple((number, number) for number in accounts),
        regions=(region,),
        requirements=(),
        excluded=(),
        assessors=(),
        path="signoffs/PCI-2028-Q1/assessment.yml",
    )


def library_of(world: World, **settings: str) -> Library:
    """Give a library that scopes every account of a world."""
    given = Settings(
        ledger=LEDGER,
        aggregator=world.aggregator,
        region=world.home_region,
        delivery_bucket=world.delivery_bucket,
        collector_role="controlbook-read",
    )
    accounts = tuple(account.id for account in world.accounts)
    assessment = assessment_of(accounts, world.home_region)
    return Library(
        settings=replace(given, **settings), assessments={assessment.id: assessment}
    )


@dataclass
class Desk:
    """A repository's files, a vault, and a clock to collect with."""

    library: Library
    vault: DirectoryVault
    sandbox: Sandbox
    aws: Connections
    now: Instant
    git: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: Mapping[str, bytes], message: str) -> None:
        """Stand in for Git."""
        self.git |= files
        self.messages.append(message)

    def collect(self, at: str | Instant) -> Collected:
        """Collect at an instant."""
        self.now = instant(at) if isinstance(at, str) else at
        self.sandbox.set_clock(self.now)
        collector = Collector(
            library=self.library,
            vault=self.vault,
            clock=lambda: self.now,
            commit=self.commit,
            about=ABOUT,
        )
        source = ConfigSource(self.library.settings, self.aws)
        return collector.collect(source, self.git)

    def days(self, first: str, count: int) -> list[Collected]:
        """Collect on several days in a row."""
        start = instant(first)
        return [self.collect(Instant(start + day * DAY)) for day in range(count)]

    @property
    def runs(self) -> tuple[Run, ...]:
        """What the ledger's reader finds in Git."""
        return read_ledger(self.git, of_vault(lambda: self.vault)).config


@contextmanager
def desk(
    world: World, folder: Path, trouble: Trouble | None = None, **settings: str
) -> Iterator[Desk]:
    """Open a desk over a sandbox of its own."""
    with Sandbox(world, trouble=trouble) as sandbox:
        before = dict(os.environ)
        os.environ.update(sandbox.environment())
        library = library_of(world, **settings)
        try:
            yield Desk(
                library=library,
                vault=DirectoryVault(folder / "vault"),
                sandbox=sandbox,
                aws=Connections(library.settings.collector_role),
                now=world.begin,
            )
        finally:
            os.environ.clear()
            os.environ.update(before)
