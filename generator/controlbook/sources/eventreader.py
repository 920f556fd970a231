# SPDX-License-Identifier: Apache-2.0
"""What reading a trail's files and asking LookupEvents have in common.

Rules enforced here:
- events count once, by eventID, in the window of their own time;
- a manifest lists the first events of each query and place and counts all of them; the
  record pack holds all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controlbook.eventrows import EVENT, counted
from controlbook.vault.packs import Pack, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from controlbook.model import Event, EventQuery
    from controlbook.timeline import Instant, Interval

    from . import Past, Place, Scope
    from .aws import Conversation
    from .events import Query

LISTED = 25
"""Events that a manifest lists per query and place; the record pack holds all."""
LISTED_UNEXPECTED = 500
"""The same where none is expected: each of them is a deviation."""


@dataclass(kw_only=True)
class Reader:
    """What reading from the trail and asking LookupEvents have in common."""

    talk: Conversation
    demands: tuple[EventQuery, ...]
    region: str
    past: Past
    now: Instant
    span: Interval
    bucket: tuple[str, str]
    pause: Callable[[float], None]
    notes: list[str] = field(default_factory=list)
    complete: bool = True

    @property
    def asked(self) -> tuple[Query, ...]:
        """Every (source, event), once."""
        return tuple(sorted({(row.source, row.event) for row in self.demands}))

    def places(self, scope: Scope, regions: Callable[..., tuple[str, ...]]) -> Any:  # noqa: ANN401 - Place → queries, spelt below
        """Give the queries to answer in each account × Region."""
        found: dict[Place, set[Query]] = {}
        for assessment in scope.assessments:
            for source, event in self.asked:
                for region in regions(source, assessment.regions):
                    for _, account in assessment.accounts:
                        found.setdefault((account, region), set()).add((source, event))
        return dict(sorted(found.items()))

    def window(
        self, window: Interval, scope: Scope, *, final: bool
    ) -> Iterator[dict[str, Any]]:
        """Give the fields of this window's readings, corrections first."""
        raise NotImplementedError

    def told(self, events: Iterable[Event]) -> dict[str, Any]:
        """Give the fields that tell of events: counts, the first ones, the records."""
        unique: dict[tuple[str, str, str, str], Event] = {}
        for event in sorted(events):
            unique.setdefault(
                (event.account, event.source, event.event, event.id), event
            )
        found = tuple(sorted(unique.values()))
        unexpected = {
            (row.source, row.event) for row in self.demands if row.expect == "none"
        }
        listed: list[Event] = []
        seen: dict[tuple[str, str, str, str], int] = {}
        for event in found:
            key = (event.source, event.event, event.account, event.region)
            most = LISTED_UNEXPECTED if key[:2] in unexpected else LISTED
            if seen.get(key, 0) < most:
                listed.append(event)
            seen[key] = seen.get(key, 0) + 1
        return {"events": tuple(listed), "event_counts": counted(found), "all": found}

    def fields(
        self, told: dict[str, Any], packs: Iterable[tuple[str, Pack]], **rest: object
    ) -> dict[str, Any]:
        """Complete a reading by what was asked and counted so far."""
        events = told.pop("all")
        records = pack({EVENT.line(event) for event in events}) if events else None
        notes, self.notes = tuple(dict.fromkeys(self.notes)), []
        talk = self.talk
        pages = set(talk.kept)
        return {
            **told,
            **rest,
            "packs": (
                *packs,
                *([("source", pack(pages))] if pages else []),
                *([("records", records)] if records else []),
            ),
            "pages": talk.pages,
            "throttles": talk.throttles,
            "queries": talk.queries,
            "complete": self.complete,
            "notes": notes,
        }
