# SPDX-License-Identifier: Apache-2.0
"""Sentences about event queries, each of which appears only where it is exactly true.

Rules enforced here:
- "none happened" is said to be proven only where signed digests cover every place for
  all of the time that was collected; anything less says what is missing;
- LookupEvents' list is vouched for by nobody, and the sentence says so;
- rows that are left out are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import words

if TYPE_CHECKING:
    from controlbook.model import EventPlace, EventResult

SHOWN = 10
"""Events that a page shows of one query; the data file lists all that are listed."""

EXPECTED = {
    "any": "Any number is expected.",
    "none": "None is expected: each is a deviation.",
    "some": "Some are expected: a whole period without any is a deviation.",
}


def event_sentence(row: EventResult) -> str:
    """Say how often the event happened, or on what grounds it did not."""
    name = f"{row.evidence.event} event"
    if row.span is None:
        return f"No run has asked for the {name} yet."
    accounts = len({place.account for place in row.places})
    where = f"in {words.count(accounts, 'account')}"
    span = words.stretch(row.span.start, row.span.end)
    if row.count and row.first is not None and row.last is not None:
        return (
            f"{words.count(row.count, name)} {where}, {span}; first "
            f"{words.short_time(row.first)}, last {words.short_time(row.last)}."
            f"{'' if row.whole else ' ' + NOT_ALL} {EXPECTED[row.evidence.expect]}"
        )
    if row.none:
        return (
            f"No {name} {where}, {span}: proven by "
            f"{words.count(_digests(row), 'signed digest')} of CloudTrail without a "
            f"hole, and {words.count(_logs(row), 'log file')} that they name, none of "
            f"which holds one. {EXPECTED[row.evidence.expect]}"
        )
    if row.whole:
        return (
            f"LookupEvents gave no {name} {where}, {span}. No digest vouches for that. "
            f"{EXPECTED[row.evidence.expect]}"
        )
    return (
        f"No {name} was found {where}, {span}, and that proves nothing: {_unseen(row)}"
        f" without evidence. {NOT_ALL}"
    )


NOT_ALL = "The times without evidence stand under evidence gaps."


def _digests(row: EventResult) -> int:
    return sum(place.digests for place in row.places)


def _logs(row: EventResult) -> int:
    return sum(place.log_files for place in row.places)


def _unseen(row: EventResult) -> str:
    whole = row.span.length if row.span else 0
    short = [place for place in row.places if place.observed < whole]
    return f"{len(short)} of {len(row.places)} accounts × Regions have times"


def ground(place: EventPlace) -> str:
    """Say what vouches for the count of one place."""
    if not place.observed:
        return "nothing"
    if not place.digests:
        return "LookupEvents, vouched for by nobody"
    return (
        f"{words.count(place.digests, 'signed digest')}, "
        f"{words.count(place.log_files, 'log file')}"
    )


def shown_of(row: EventResult) -> str:
    """Count the rows that a page shows: `showing 10 of 34 events`."""
    shown = min(len(row.events), SHOWN)
    return f"showing {shown} of {words.count(row.count, 'event')}"
