# SPDX-License-Identifier: Apache-2.0
"""Events from LookupEvents, for small scopes without a trail bucket.

Rules enforced here:
- one attribute a call, fifty rows a page, two calls a second, ninety days back;
- EndTime is inclusive: an event at a window's end belongs to the next window;
- nothing is proven: no digest vouches for the list, and the pages say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlbook.model import Missing, heard_in
from controlbook.timeline import DAY, Interval, to_datetime

from . import Place, SourceError
from .eventreader import Reader
from .events import LogError, looked_up
from .trailreader import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import Event

    from . import Scope
    from .events import Query

REACH = 90 * DAY
PAUSE = 0.5
"""Seconds: LookupEvents takes two requests a second per account and Region."""


class FromLookup(Reader):
    """Asks each account × Region for each event by name."""

    def window(
        self, window: Interval, scope: Scope, *, final: bool
    ) -> Iterator[dict[str, Any]]:
        """Look a window's events up; what lies beyond ninety days is missing."""
        places = self.places(scope, heard_in)
        missing: list[Missing] = []
        collected: list[Place] = []
        found: list[Event] = []
        self.talk.kept = []
        for place, queries in places.items():
            if window.start < self.now - REACH:
                missing.append(lacking(place, "lookup-expired", window))
                continue
            try:
                found += self._ask(place, window, queries)
            except (SourceError, LogError) as error:
                self.notes.append(f"{' '.join(place)}: {error}")
                self.complete = False
                missing.append(lacking(place, "source-failed", window))
                continue
            collected.append(place)
        yield self.fields(
            self.told(found),
            (),
            kind="regular" if final else "backfill",
            window=window,
            expected=tuple(places),
            collected=tuple(collected),
            missing=tuple(sorted(missing)),
        )

    def _ask(self, place: Place, window: Interval, queries: set[Query]) -> list[Event]:
        found: list[Event] = []
        for source, name in sorted(queries):
            pages = self.talk.pages_of(
                "cloudtrail",
                "lookup_events",
                place,
                tokens=("NextToken", "NextToken"),
                LookupAttributes=[
                    {"AttributeKey": "EventName", "AttributeValue": name}
                ],
                StartTime=to_datetime(window.start),
                EndTime=to_datetime(window.end),
                MaxResults=50,
            )
            for page in pages:
                found += [
                    event
                    for event in looked_up(page.get("Events", ()), place)
                    # EndTime is inclusive: what happened then is the next window's.
                    if event.source == source and window.contains(event.at)
                ]
                self.pause(PAUSE)
        return found
