# SPDX-License-Identifier: Apache-2.0
"""ResourceCompliance items: one value for all of AWS Config's dialects.

Rules enforced here:
- delivery files, GetResourceConfigHistory and the aggregator's query name the same
  fields differently; an item read from any of them is the same value;
- a delivery file is streamed, its inflated size is bounded, and it is one gzip member;
- items are ordered by (capture time, state id), equal ones collapse, and different ones
  under one key are a contradiction: that item says nothing.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime
from decimal import Decimal
from itertools import chain
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

import ijson  # type: ignore[import-untyped] # ships no types
import orjson

from controlbook.digest import canonical
from controlbook.model import State
from controlbook.timeline import Instant, from_datetime, instant, iso
from controlbook.vault.packs import PackError, inflate

from . import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TYPE = "AWS::Config::ResourceCompliance"
MAX_FILE = 4 * 1024 * 1024 * 1024
"""No delivery file inflates to more than this."""

AT_ONCE = 32 * 1024 * 1024
"""A file that inflates to more is streamed."""

GONE = frozenset({"ResourceDeleted", "ResourceDeletedNotRecorded"})
UNRECORDED = "ResourceNotRecorded"

_KEY = re.compile(
    r"(?:.*/)?AWSLogs/(?:o-[a-z0-9]+/)?(?P<account>\d{12})/Config/(?P<region>[a-z0-9-]+)"
    r"/\d{4}/\d{1,2}/\d{1,2}/ConfigHistory/"
    r"(?P=account)_Config_(?P=region)_ConfigHistory_(?P<type>[A-Za-z0-9:]+)"
    r"_\d{8}T\d{6}Z_\d{8}T\d{6}Z_\d+\.json\.gz\Z"
)


class Verdict(NamedTuple):
    """One rule's entry in an item's list."""

    rule: str
    """The name as deployed."""
    arn: str
    state: State


class Item(NamedTuple):
    """Everything that Config says of one resource from `at` on."""

    at: Instant
    state_id: int
    account: str
    region: str
    resource: str
    """`AWS::S3::Bucket/stale-backup-archive`"""
    status: str
    verdicts: tuple[Verdict, ...]

    @property
    def record(self) -> bytes:
        """The item as a line of a record pack."""
        return canonical(
            {
                "type": "item",
                "account": self.account,
                "region": self.region,
                "resource": self.resource,
                "at": iso(self.at),
                "state_id": str(self.state_id),
                "status": self.status,
                "verdicts": [[v.rule, v.arn, v.state.value] for v in self.verdicts],
            }
        )


def item_of(raw: Mapping[str, Any]) -> Item:
    """Read an item in any dialect; SourceError where it is none."""
    try:
        return _item(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        name = raw.get("resourceId", "?") if hasattr(raw, "get") else "?"
        message = f"not a ResourceCompliance item: {type(error).__name__}: {error}"
        raise SourceError(message, str(name)) from error


def _item(raw: Mapping[str, Any]) -> Item:
    if raw["resourceType"] != TYPE:
        message = f"its type is {raw['resourceType']}"
        raise ValueError(message)
    configuration = raw.get("configuration") or {}
    if isinstance(configuration, str):
        configuration = json.loads(configuration)
    at = _moment(raw["configurationItemCaptureTime"])
    return Item(
        at=at,
        state_id=int(raw.get("configurationStateId") or at),
        account=raw.get("awsAccountId") or raw["accountId"],
        region=raw["awsRegion"],
        resource=unicodedata.normalize("NFC", raw["resourceId"]),
        status=raw.get("configurationItemStatus") or "OK",
        verdicts=tuple(
            sorted(
                Verdict(
                    rule=intern(entry["configRuleName"]),
                    arn=entry.get("configRuleArn", ""),
                    state=State(entry["complianceType"]),
                )
                for entry in configuration.get("configRuleList") or ()
            )
        ),
    )


def _moment(value: object) -> Instant:
    """Read a capture time: ISO text, epoch seconds, or boto3's datetime."""
    if isinstance(value, str):
        return instant(value)
    if isinstance(value, datetime):
        return from_datetime(value)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return Instant(int(Decimal(str(value)) * 1000))
    message = f"{value!r} is not a time"
    raise ValueError(message)


def is_history_of(key: str, account: str, region: str) -> bool:
    """Tell whether an S3 key is a ResourceCompliance history file of a place."""
    match = _KEY.match(key)
    named = match.group("account", "region", "type") if match else ()
    return named == (account, region, TYPE)


def read_file(body: bytes, key: str) -> tuple[Item, ...]:
    """Read a delivery file's ResourceCompliance items; SourceError if it is none.

    Nearly every file is small and read at once; a large one is streamed.
    """
    chunks = inflate(body, limit=MAX_FILE, place=key)
    try:
        begun, size = [], 0
        for chunk in chunks:
            begun.append(chunk)
            size += len(chunk)
            if size > AT_ONCE:
                return _streamed(_Inflated(chain(begun, chunks)))
        rows = orjson.loads(b"".join(begun))["configurationItems"]
        return tuple(item_of(raw) for raw in rows if raw.get("resourceType") == TYPE)
    except (ijson.JSONError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"not a delivery file: {error}"
        raise SourceError(message, key) from error
    except PackError as error:
        raise SourceError(error.message, key) from error


def _streamed(stream: _Inflated) -> tuple[Item, ...]:
    items = tuple(
        item_of(raw)
        for raw in ijson.items(stream, "configurationItems.item")
        if raw.get("resourceType") == TYPE
    )
    stream.exhaust()
    return items


class _Inflated:
    """Just enough of a file for ijson, over inflated chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            self._left = next(self._chunks, b"")
        if size < 0:
            size = len(self._left)
        out, self._left = self._left[:size], self._left[size:]
        return out

    def exhaust(self) -> None:
        """Read to the end, where a second gzip member would show."""
        for _ in self._chunks:
            pass


def in_order(items: Iterable[Item]) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Sort items and collapse equal ones; say which contradict each other.

    Items that differ under one key become one that says nothing of its resource.
    """
    groups: dict[tuple[str, str, str, Instant, int], set[Item]] = {}
    for item in items:
        key = (item.account, item.region, item.resource, item.at, item.state_id)
        groups.setdefault(key, set()).add(item)
    found, notes = [], []
    for (account, region, resource, at, _), twins in groups.items():
        first = min(twins)
        if len(twins) > 1:
            notes.append(
                f"{account} {region}: {len(twins)} different items of {resource}"
                f" at {iso(at)}; none of them counts"
            )
            found.append(_speechless(first))
        else:
            found.append(first)
    return tuple(sorted(found)), tuple(sorted(notes))


def _speechless(item: Item) -> Item:
    return Item(
        at=item.at,
        state_id=item.state_id,
        account=item.account,
        region=item.region,
        resource=item.resource,
        status=UNRECORDED,
        verdicts=(),
    )
