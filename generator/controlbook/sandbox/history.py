# SPDX-License-Identifier: Apache-2.0
"""GetResourceConfigHistory: one resource's items in one account × Region.

Rules enforced here:
- one call spans at most seven days, so fewer items than the limit, or none, with a
  token is normal;
- order is Reverse unless asked otherwise; both times are inclusive;
- a resource without any recorded item is ResourceNotDiscoveredException.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.timeline import DAY, Instant, from_datetime

from .items import ACCOUNT, COMPLIANCE, api_item, file_item, resource_file_item
from .paging import binding_of, token_for
from .protocol import ServiceError

if TYPE_CHECKING:
    from .items import Item
    from .paging import Pager
    from .protocol import Caller, Params
    from .recording import Recording
    from .trouble import Trouble

SPAN = 7 * DAY
OPERATION = "GetResourceConfigHistory"


@dataclass(frozen=True, slots=True)
class Range:
    """What a caller asks for: `[earlier, later]`, both inclusive, in one direction."""

    earlier: Instant
    later: Instant
    forward: bool

    @property
    def start(self) -> Instant:
        """Where reading begins."""
        return self.earlier if self.forward else self.later

    def span(self, cursor: Instant) -> tuple[Instant, Instant]:
        """Give the part of at most seven days that a call at the cursor covers."""
        if self.forward:
            return cursor, Instant(min(cursor + SPAN - 1, self.later))
        return Instant(max(cursor - SPAN + 1, self.earlier)), cursor

    def after(self, first: Instant, last: Instant) -> Instant | None:
        """Give the next cursor behind what was read, or None: the range is done."""
        cursor = Instant(last + 1 if self.forward else first - 1)
        return cursor if self.earlier <= cursor <= self.later else None


class History:
    """The operation, over a recording."""

    def __init__(self, recording: Recording, trouble: Trouble, pager: Pager) -> None:
        """Read from a recording."""
        self._recording = recording
        self._trouble = trouble
        self._pager = pager

    def read(self, caller: Caller, params: Params) -> Params:
        """Answer one call: the items of one span, and a token while there is more."""
        items = self._items(caller, params["resourceType"], params["resourceId"])
        if not items:
            message = "no configuration item of this resource was ever recorded"
            raise ServiceError(code="ResourceNotDiscoveredException", message=message)
        asked = _range(caller, params, items[0][0])
        binding = binding_of(OPERATION, params)
        cursor = asked.start
        if token := params.get("nextToken"):
            cursor = Instant(self._pager.position(binding, token))
        first, last = asked.span(cursor)
        found = [each for each in items if first <= each[0] <= last]
        if not asked.forward:
            found.reverse()
        limit = params.get("limit") or 10
        if len(found) > limit:
            found = found[:limit]
            first = last = found[-1][0]
        reply: Params = {"configurationItems": [api_item(item) for _, item in found]}
        following = asked.after(first, last)
        if following is not None:
            reply["nextToken"] = token_for(binding, following)
        return reply

    def _items(
        self, caller: Caller, kind: str, ident: str
    ) -> list[tuple[Instant, Item]]:
        place = (caller.account, caller.region)
        if kind == COMPLIANCE:
            if caller.account in self._trouble.compliance_not_recorded:
                return []
            records = self._recording.history((*place, ident), caller.now)
            return [(record.at, file_item(record)) for record in records]
        return sorted(
            (
                (at, resource_file_item(resource, at))
                for resource in self._recording.world.resources
                if (resource.account, resource.region) == place
                and (resource.type, resource.id) == (kind, ident)
                and kind != ACCOUNT
                for at in (resource.created, resource.deleted)
                if at is not None
                and at <= caller.now
                and not self._recording.stop_at(place, at)
            ),
            key=lambda each: each[0],
        )


def _range(caller: Caller, params: Params, oldest: Instant) -> Range:
    later, earlier = params.get("laterTime"), params.get("earlierTime")
    end = min(from_datetime(later), caller.now) if later else caller.now
    start = from_datetime(earlier) if earlier else min(oldest, end)
    if later and earlier and earlier > later:
        message = "the earlier time is not before the later time"
        raise ServiceError(code="InvalidTimeRangeException", message=message)
    forward = params.get("chronologicalOrder") == "Forward"
    return Range(start, max(start, end), forward)
