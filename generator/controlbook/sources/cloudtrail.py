# SPDX-License-Identifier: Apache-2.0
"""The `cloudtrail` stream: how often what a control asks about happened, or never.

Rules enforced here:
- "no occurrences" needs signed digests without a hole over the window *plus a delay*,
  since digests cover deliveries, not events, and every log file they name, unchanged;
- what is asked follows from the controls, where from the scope and from the service:
  IAM's events are in the trail's home of global services, not in the scope's Regions;
- without a trail bucket LookupEvents is asked, which proves nothing, and says so.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from controlbook.errors import ControlbookError
from controlbook.model import EventQuery
from controlbook.timeline import HOUR, Instant, Interval

from . import Reading
from .aws import Connections, Conversation, endpoint_of, shared
from .digests import DELAY
from .lookup import FromLookup
from .trailreader import FromTrail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controlbook.model import Library

    from . import Past, Scope

CLOSES = DELAY + 2 * HOUR
"""When a window is first tried: the delay, an hour's digest, and its way to S3."""


def queries_of(library: Library) -> tuple[EventQuery, ...]:
    """Give every event query that a control names, sorted."""
    found = {
        (evidence.source, evidence.event, evidence.expect): evidence
        for control in library.controls.values()
        for evidence in control.evidence
        if isinstance(evidence, EventQuery)
    }
    return tuple(found[key] for key in sorted(found))


class CloudTrailSource:
    """The organization's trail, or LookupEvents, as the settings describe it."""

    stream = "cloudtrail"

    def __init__(
        self,
        library: Library,
        aws: Connections | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Ask what the library's controls ask; `pause` waits between look-ups."""
        self.settings = library.settings
        if not self.settings.region:
            message = "no Region is set"
            advice = "set region in [tool.controlbook]"
            raise ControlbookError(message, place="pyproject.toml", advice=advice)
        self._demands = queries_of(library)
        self._aws = aws or shared(self.settings.collector_role)
        self._pause = pause

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Give the days that are over for long enough; at first only the last one."""
        if not self._demands:
            return ()
        return past.days_until(Instant(now - CLOSES))

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        """Read the windows, oldest first; corrections of the past come before."""
        windows = tuple(pair for pair in windows if pair[1].places)
        if not windows:
            return
        talk = Conversation(self._aws)
        principal = talk.ask("sts", "get_caller_identity")["Arn"]
        kind = FromTrail if self.settings.trail_bucket else FromLookup
        reader = kind(
            talk=talk,
            demands=self._demands,
            region=self.settings.region,
            past=past,
            now=now,
            span=Interval(windows[0][0].start, now),
            bucket=(self.settings.trail_bucket, self.settings.trail_prefix),
            pause=self._pause,
        )
        client = talk.aws.client("cloudtrail", "", self.settings.region)
        for index, (window, scope) in enumerate(windows):
            shared_fields: dict[str, Any] = {
                "principal": principal,
                "endpoint": endpoint_of(client),
                "aws_date": talk.aws_date or Instant(0),
                "asked": reader.asked,
            }
            final = index == len(windows) - 1
            for reading in reader.window(window, scope, final=final):
                yield Reading(**{**reading, **shared_fields})
