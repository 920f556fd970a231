# SPDX-License-Identifier: Apache-2.0
"""The delivery channel: history files that reach a bucket every six hours.

Rules enforced here:
- each account × Region delivers at 00, 06, 12 and 18 UTC plus some minutes of its own;
  a delivery holds what was captured in the six hours before, one file per resource
  type, and no file where nothing changed;
- month and day folders are not zero-padded, and `::` stands in the key;
- the bytes are deterministic; an object exists once the clock has reached its delivery.
"""

from __future__ import annotations

import gzip
import hashlib
import uuid
from bisect import bisect_left
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from controlbook.timeline import HOUR, MINUTE, Instant, to_datetime

from .items import ACCOUNT, COMPLIANCE, Item, compact, file_item, resource_file_item

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .recording import Place, Recording
    from .trouble import DeliveryDelay, Trouble

PERIOD = 6 * HOUR


@dataclass(frozen=True)
class DeliveredFile:
    """An object of the delivery bucket, from the instant it was delivered."""

    key: str
    delivered: Instant
    items: tuple[Item, ...] = field(repr=False, default=())

    @cached_property
    def body(self) -> bytes:
        """The stored bytes: one line of gzipped JSON."""
        if not self.items:
            return b""
        request = uuid.uuid5(uuid.NAMESPACE_URL, self.key)
        document = {
            "fileVersion": "1.0",
            "requestId": str(request),
            "configurationItems": list(self.items),
        }
        return gzip.compress(compact(document).encode(), mtime=0)

    @cached_property
    def etag(self) -> str:
        """The MD5 that S3 shows as entity tag."""
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()


def offset(place: Place) -> int:
    """Give how long after the full hour an account × Region delivers: 4 to 19 min."""
    digest = hashlib.sha256("/".join(place).encode()).digest()
    return (4 + digest[0] % 16) * MINUTE


def delay(trouble: Trouble, account: str, tick: Instant) -> DeliveryDelay | None:
    """Find the delay that holds up a delivery, if any."""
    return next(
        (
            each
            for each in trouble.delays
            if each.account == account and each.start <= tick < each.end
        ),
        None,
    )


def delivered_at(trouble: Trouble, place: Place, tick: Instant) -> Instant:
    """Give the instant at which the delivery of a tick reaches the bucket."""
    late = delay(trouble, place[0], tick)
    return Instant(tick + offset(place) + (late.by if late else 0))


def last_delivery(trouble: Trouble, place: Place, now: Instant) -> Instant:
    """Give when the channel last delivered history, as its status claims."""
    tick = Instant(now - now % PERIOD)
    while True:
        late = delay(trouble, place[0], tick)
        claimed = (
            Instant(tick + offset(place))
            if late and late.silent
            else delivered_at(trouble, place, tick)
        )
        if claimed <= now:
            return claimed
        tick = Instant(tick - PERIOD)


def next_delivery(place: Place, now: Instant) -> Instant:
    """Give when the channel is due to deliver next."""
    due = Instant(now - now % PERIOD + offset(place))
    return due if due > now else Instant(due + PERIOD)


def history_key(place: Place, kind: str, first: Instant, last: Instant) -> str:
    """Give a history file's key; it lies in the folder of the day of its items."""
    account, region = place
    day = to_datetime(first)
    folder = f"AWSLogs/{account}/Config/{region}/{day.year}/{day.month}/{day.day}"
    span = f"{to_datetime(first):%Y%m%dT%H%M%SZ}_{to_datetime(last):%Y%m%dT%H%M%SZ}"
    name = f"{account}_Config_{region}_ConfigHistory_{kind}_{span}_1.json.gz"
    return f"{folder}/ConfigHistory/{name}"


class DeliveryBucket:
    """The central bucket of all members' delivery channels, as a function of time."""

    def __init__(self, recording: Recording, trouble: Trouble) -> None:
        """Derive every file that is ever delivered."""
        self.name = recording.world.delivery_bucket
        files = {file.key: file for file in _files(recording, trouble)}
        self._keys = sorted(files)
        self._files = files

    def find(self, key: str, now: Instant) -> DeliveredFile | None:
        """Give an object that has been delivered by now, or None."""
        file = self._files.get(key)
        return file if file and file.delivered <= now else None

    def list(self, prefix: str, after: str, now: Instant) -> Iterable[DeliveredFile]:
        """Give the delivered objects below a prefix, after a key, in key order."""
        start = max(bisect_left(self._keys, prefix), bisect_left(self._keys, after))
        for key in self._keys[start:]:
            if not key.startswith(prefix):
                return
            file = self._files[key]
            if key > after and file.delivered <= now:
                yield file


def _files(recording: Recording, trouble: Trouble) -> Iterable[DeliveredFile]:
    world = recording.world
    for account in world.accounts:
        key = f"AWSLogs/{account.id}/Config/ConfigWritabilityCheckFile"
        yield DeliveredFile(key, account.joined)
    for (place, tick, kind), found in _batches(recording, trouble).items():
        account_of = world.account(place[0])
        if account_of and not account_of.member_at(found[0][0]):
            continue
        found.sort(key=lambda each: (each[0], each[1]["resourceId"]))
        key = history_key(place, kind, found[0][0], found[-1][0])
        yield DeliveredFile(
            key, delivered_at(trouble, place, tick), tuple(item for _, item in found)
        )


Batches = dict[tuple["Place", "Instant", str], list[tuple["Instant", Item]]]


def _batches(recording: Recording, trouble: Trouble) -> Batches:
    """Sort every item into the delivery that takes it."""
    batches: Batches = {}

    def put(place: Place, kind: str, at: Instant, item: Item) -> None:
        tick = Instant(at - at % PERIOD + PERIOD)
        batches.setdefault((place, tick, kind), []).append((at, item))

    for record in recording.records:
        if record.account not in trouble.compliance_not_recorded:
            place = (record.account, record.region)
            put(place, COMPLIANCE, record.at, file_item(record))
    for resource in recording.world.resources:
        place = (resource.account, resource.region)
        for at in (resource.created, resource.deleted):
            recorded = at is not None and not recording.stop_at(place, at)
            if at is not None and recorded and resource.type != ACCOUNT:
                put(place, resource.type, at, resource_file_item(resource, at))
    return batches
