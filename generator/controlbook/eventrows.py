# SPDX-License-Identifier: Apache-2.0
"""Events, their counts and the digests behind them, as a run manifest spells them.

Rules enforced here:
- the record of an event is one canonical line, the same in manifest and record pack;
- a count binds all its events by a Merkle root over their records, sorted by bytes;
- a place without a row had no event; the runs' `asked` says what was looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .digest import merkle_root
from .model import DigestChain, Event, EventCount
from .rows import COUNT, HEX, PLAIN, TEXT, TIME, pair_of, row_of
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .model import Run

EVENT = row_of(
    Event,
    at=TIME,
    id=TEXT,
    source=TEXT,
    event=TEXT,
    account=TEXT,
    region=TEXT,
    actor=TEXT,
    about=TEXT,
    error=TEXT,
)
"""An event as manifest and record pack hold it; its line is the leaf of its count."""
EVENT_COUNT = row_of(
    EventCount,
    source=PLAIN,
    event=PLAIN,
    account=PLAIN,
    region=PLAIN,
    count=COUNT,
    first=TIME,
    last=TIME,
    root=HEX,
)
CHAIN = row_of(
    DigestChain,
    account=PLAIN,
    region=PLAIN,
    trail=PLAIN,
    start=TIME,
    end=TIME,
    digests=COUNT,
    log_files=COUNT,
    head=PLAIN,
    head_sha256=PLAIN,
)
ASKED = pair_of(source=PLAIN, event=PLAIN)


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
            root=merkle_root(sorted(EVENT.line(event) for event in own)),
        )
        for (source, name, account, region), own in sorted(groups.items())
    )


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
