# SPDX-License-Identifier: Apache-2.0
"""GetResourceConfigHistory: one resource's items, asked of its account × Region.

Rules enforced here:
- one call spans at most seven days: fewer items than asked for, or none, with a token
  is normal, and the token is followed;
- times are cut to whole seconds on the way, so ask wider and sift here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from controlbook.timeline import DAY, SECOND, Instant, to_datetime

from . import SourceError
from .aws import restarting
from .items import TYPE, item_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.timeline import Interval

    from . import Place
    from .aws import Conversation
    from .items import Item

SPAN = 7 * DAY
NONE_YET = "ResourceNotDiscoveredException"


def items_before(
    talk: Conversation, place: Place, resource: str, moment: Instant
) -> tuple[Item, ...]:
    """Give every item before an instant, oldest first."""

    def read() -> tuple[Item, ...]:
        return tuple(_backwards(talk, place, resource, moment))

    return restarting(read)[::-1]


def items_within(
    talk: Conversation, place: Place, resource: str, interval: Interval
) -> tuple[Item, ...]:
    """Give a resource's items in an interval, oldest first."""

    def read(start: Instant, end: Instant) -> tuple[Item, ...]:
        pages = _pages(
            talk,
            place,
            resource,
            earlierTime=to_datetime(start),
            laterTime=to_datetime(_up(end)),
            chronologicalOrder="Forward",
            limit=100,
        )
        return tuple(item for item in pages if start <= item.at < end)

    found: list[Item] = []
    start = interval.start
    while start < interval.end:
        end = Instant(min(start + SPAN, interval.end))
        found += restarting(partial(read, start, end))
        start = end
    return tuple(found)


def _backwards(
    talk: Conversation, place: Place, resource: str, moment: Instant
) -> Iterator[Item]:
    pages = _pages(
        talk,
        place,
        resource,
        laterTime=to_datetime(_up(moment)),
        chronologicalOrder="Reverse",
        limit=100,
    )
    return (item for item in pages if item.at < moment)


def _pages(
    talk: Conversation, place: Place, resource: str, **parameters: object
) -> Iterator[Item]:
    try:
        for page in talk.pages_of(
            "config",
            "get_resource_config_history",
            place,
            tokens=("nextToken", "nextToken"),
            resourceType=TYPE,
            resourceId=resource,
            **parameters,
        ):
            yield from map(item_of, page["configurationItems"])
    except SourceError as error:
        if error.answer != NONE_YET:
            raise


def _up(moment: Instant) -> Instant:
    return Instant(-(-moment // SECOND) * SECOND)
