# SPDX-License-Identifier: Apache-2.0
"""Events, their counts and the digests behind them, as a run manifest spells them.

Rules enforced here:
- the record of an event is one canonical line, the same in manifest and record pack;
- a count binds all its events by a Merkle root over their records, sorted by bytes;
- a place without a row had no event; the runs' `asked` says what was looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from .digest import canonical, merkle_root
from .model import DigestChain, Event, EventCount
from .timeline import instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .digest import Json
    from .model import Run

    Tree = Mapping[str, Json]


class EventFields(TypedDict):
    """The fields of a run that this module reads and writes."""

    asked: tuple[tuple[str, str], ...]
    event_counts: tuple[EventCount, ...]
    events: tuple[Event, ...]
    chains: tuple[DigestChain, ...]


def event_row(event: Event) -> dict[str, Json]:
    """Give an event as manifest and record pack hold it."""
    row: dict[str, Json] = {
        "at": iso(event.at),
        "id": event.id,
        "source": event.source,
        "event": event.event,
        "account": event.account,
        "region": event.region,
        "actor": event.actor,
        "about": event.about,
        "error": event.error,
    }
    return {name: value for name, value in row.items() if value != ""}


def event_line(event: Event) -> bytes:
    """Give an event's record: the Merkle leaf that its count binds."""
    return canonical(event_row(event))


def counted(events: Iterable[Event]) -> tuple[EventCount, ...]:
    """Count events by query and place."""
    groups: dict[tuple[str, str, str, str], list[Event]] = {}
    for event in events:
        key = (event.source, event.event, event.account, event.region)
        groups.setdefault(key, []).append(event)
    return tuple(
        EventCount(
            source=source,
            event=name,
            account=account,
            region=region,
            count=len(own),
            first=min(event.at for event in own),
            last=max(event.at for event in own),
            root=merkle_root(sorted(event_line(event) for event in own)),
        )
        for (source, name, account, region), own in sorted(groups.items())
    )


def events_tree(run: Run) -> dict[str, Json]:
    """Give the part of a manifest that tells of events; empty for other streams."""
    return {
        "asked": [{"source": source, "event": event} for source, event in run.asked],
        "event_counts": [
            {
                "source": row.source,
                "event": row.event,
                "account": row.account,
                "region": row.region,
                "count": row.count,
                "first": iso(row.first),
                "last": iso(row.last),
                "root": row.root,
            }
            for row in run.event_counts
        ],
        "events": [event_row(event) for event in run.events],
        "chains": [
            {
                "account": row.account,
                "region": row.region,
                "trail": row.trail,
                "start": iso(row.start),
                "end": iso(row.end),
                "digests": row.digests,
                "log_files": row.log_files,
                "head": row.head,
                "head_sha256": row.head_sha256,
            }
            for row in run.chains
        ],
    }


def read_events(tree: Tree) -> EventFields:
    """Read that part again; ValueError, TypeError or KeyError where it is malformed."""
    return EventFields(
        asked=tuple(
            (_text(row, "source"), _text(row, "event")) for row in _rows(tree, "asked")
        ),
        event_counts=tuple(_count(row) for row in _rows(tree, "event_counts")),
        events=tuple(read_event(row) for row in _rows(tree, "events")),
        chains=tuple(_chain(row) for row in _rows(tree, "chains")),
    )


def read_event(row: Tree) -> Event:
    """Read an event's record."""
    return Event(
        at=instant(_text(row, "at")),
        id=_text(row, "id"),
        source=_text(row, "source"),
        event=_text(row, "event"),
        account=_text(row, "account"),
        region=_text(row, "region"),
        actor=_text(row, "actor"),
        about=_text(row, "about"),
        error=_text(row, "error"),
    )


def _count(row: Tree) -> EventCount:
    return EventCount(
        source=_text(row, "source"),
        event=_text(row, "event"),
        account=_text(row, "account"),
        region=_text(row, "region"),
        count=_int(row, "count"),
        first=instant(_text(row, "first")),
        last=instant(_text(row, "last")),
        root=_text(row, "root"),
    )


def _chain(row: Tree) -> DigestChain:
    return DigestChain(
        account=_text(row, "account"),
        region=_text(row, "region"),
        trail=_text(row, "trail"),
        start=instant(_text(row, "start")),
        end=instant(_text(row, "end")),
        digests=_int(row, "digests"),
        log_files=_int(row, "log_files"),
        head=_text(row, "head"),
        head_sha256=_text(row, "head_sha256"),
    )


def _rows(tree: Tree, key: str) -> Iterator[Tree]:
    rows = tree.get(key, [])
    for row in rows if isinstance(rows, list) else [rows]:
        if not isinstance(row, dict):
            message = f"{key}: no rows"
            raise TypeError(message)
        yield row


def _text(tree: Tree, key: str) -> str:
    value = tree.get(key, "")
    if not isinstance(value, str):
        message = f"{key} is not text"
        raise TypeError(message)
    return value


def _int(tree: Tree, key: str) -> int:
    value = tree.get(key, 0)
    if not isinstance(value, int) or value < 0:
        message = f"{key} is not a count"
        raise TypeError(message)
    return value


# --- what must agree -----------------------------------------------------------------


def event_problems(run: Run) -> Iterator[str]:
    """Say where a run's events, counts and chains contradict each other."""
    if list(run.events) != sorted(run.events) or len(set(run.events)) != len(
        run.events
    ):
        yield "events are not in order, or stand twice"
    rows = {(r.source, r.event, r.account, r.region): r for r in run.event_counts}
    if list(run.event_counts) != sorted(run.event_counts) or len(rows) != len(
        run.event_counts
    ):
        yield "event_counts are not in order, or stand twice"
    listed: dict[tuple[str, str, str, str], list[Event]] = {key: [] for key in rows}
    for event in run.events:
        key = (event.source, event.event, event.account, event.region)
        if key not in listed:
            yield f"event {event.id}: no count of its query and place"
            continue
        listed[key].append(event)
        if not run.window.contains(event.at):
            yield f"event {event.id} at {iso(event.at)}: lies outside the run's window"
    for key, row in rows.items():
        yield from _count_problems(run, row, listed[key])
    places = set(run.collected)
    for chain in run.chains:
        if (chain.account, chain.region) not in set(run.expected):
            yield f"chain of {chain.account} {chain.region}: not an expected place"
    if run.chains and not places <= {(row.account, row.region) for row in run.chains}:
        yield "chains: a place was collected without digests"


def _count_problems(run: Run, row: EventCount, listed: list[Event]) -> Iterator[str]:
    name = f"event_counts: {row.key} in {row.account} {row.region}"
    if (row.source, row.event) not in run.asked:
        yield f"{name}: was not asked for"
    if (row.account, row.region) not in run.expected:
        yield f"{name}: is not an expected place"
    if not (run.window.contains(row.first) and run.window.contains(row.last)):
        yield f"{name}: its first or last event lies outside the window"
    if not 0 < row.count >= len(listed):
        yield f"{name}: counts {row.count}, but lists {len(listed)}"
    elif row.count == len(listed) and counted(listed) != (row,):
        yield f"{name}: its listed events do not give its root, first or last"
