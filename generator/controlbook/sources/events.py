# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's records, and which of them a query asks for.

Rules enforced here:
- one normaliser for log files and LookupEvents: the record is the same JSON in both;
- a log file is read as a stream, its bytes hashed on the way; it is one gzip member;
- Insights and Network records are no API events and never match;
- an event belongs to the account that received it, and to the Region whose trail
  recorded it; its time is its own, not that of its delivery.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import TYPE_CHECKING, Any

import ijson  # type: ignore[import-untyped]

from controlbook.model import Event
from controlbook.timeline import instant
from controlbook.vault.packs import PackError, inflate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from . import Place

Query = tuple[str, str]
"""(eventSource, eventName)"""

MAX_LOG = 1024 * 1024 * 1024
"""No log file inflates to more than this."""
LONGEST = 256
"""Characters that are kept of one text of an event."""

_NAMES = ("Name", "Id", "Arn", "name", "id", "arn")
"""How request parameters end that say what a call was about."""
_CATEGORIES = frozenset({"Management", "Data", ""})


class LogError(ValueError):
    """The bytes are not a log file of CloudTrail, or not the signed ones."""


def matching(
    body: bytes, sha256: str, place: Place, queries: Collection[Query]
) -> tuple[Event, ...]:
    """Read a log file's events that a query asks for; LogError where it is not sound.

    `sha256` is what the signed digest says of its uncompressed content.
    """
    reader = _Hashed(body)
    found: list[Event] = []
    try:
        for record in ijson.items(reader, "Records.item"):
            if (record.get("eventSource"), record.get("eventName")) not in queries:
                continue
            event = event_of(record, place)
            if event is not None:
                found.append(event)
        reader.drain()
    except PackError as error:
        raise LogError(error.message) from error
    except (ijson.JSONError, AttributeError) as error:
        # Bytes that were changed are rarely JSON still: say what matters more.
        reader.drain_quietly()
        if reader.hexdigest() != sha256:
            raise LogError(DIFFERENT) from error
        message = f"not a log file: {error}"
        raise LogError(message) from error
    if reader.hexdigest() != sha256:
        raise LogError(DIFFERENT)
    return tuple(found)


DIFFERENT = "its content is not what the signed digest names"


class _Hashed:
    """The content of one gzip member as a file, hashed while it is read."""

    def __init__(self, body: bytes) -> None:
        self._chunks = inflate(body, limit=MAX_LOG)
        self._rest = b""
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        if size == 0:
            return b""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._hash.update(chunk)
            self._rest = chunk
        size = len(self._rest) if size < 0 else size
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def drain(self) -> None:
        while self.read():
            pass

    def drain_quietly(self) -> None:
        try:
            self.drain()
        except PackError:
            self._hash.update(b"cut")

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def event_of(record: Mapping[str, Any], place: Place) -> Event | None:
    """Normalise one record; None for what is no API event.

    Raises LogError where it lacks what every record has.
    """
    if record.get("eventCategory", "") not in _CATEGORIES:
        return None
    account, region = place
    try:
        return Event(
            at=instant(record["eventTime"]),
            id=_plain(record["eventID"]),
            source=_plain(record["eventSource"]),
            event=_plain(record["eventName"]),
            account=_plain(record.get("recipientAccountId") or account),
            region=region,
            actor=_actor(record.get("userIdentity") or {}),
            about=_about(record.get("requestParameters")),
            error=_plain(record.get("errorCode") or ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"a record without {error}"
        raise LogError(message) from error


def _actor(identity: Mapping[str, Any]) -> str:
    """Say who called: an ARN, a service, or what else AWS names."""
    for name in ("arn", "invokedBy", "userName", "principalId", "accountId", "type"):
        if identity.get(name):
            return _plain(identity[name])
    return "unknown"


def _about(parameters: object) -> str:
    """Give the names and ids among a request's parameters, sorted."""
    if not isinstance(parameters, dict):
        return ""
    parts = [
        f"{key}={value}"
        for key, value in sorted(parameters.items())
        if isinstance(value, str) and key.endswith(_NAMES)
    ]
    return _plain(", ".join(parts))


def _plain(text: object) -> str:
    """Give a text as canonical JSON takes it, cut where it is very long."""
    if not isinstance(text, str):
        message = f"text where {text!r} stands"
        raise TypeError(message)
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", clean)[:LONGEST]


def looked_up(rows: Collection[Mapping[str, Any]], place: Place) -> Iterator[Event]:
    """Read LookupEvents' rows: `CloudTrailEvent` is the record, as a JSON string."""
    for row in rows:
        try:
            record = json.loads(row["CloudTrailEvent"])
        except (KeyError, ValueError) as error:
            message = f"an event without its record: {error}"
            raise LogError(message) from error
        event = event_of(record, place)
        if event is not None:
            yield event
