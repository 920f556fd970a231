# SPDX-License-Identifier: Apache-2.0
"""Observations, as a run manifest spells them, and what must agree among them.

Rules enforced here:
- an observation has one row, the same in manifest, subject and facts;
- a run has one row for each evidence key and place, in order, of its own stream and
  among its expected places;
- names and numbers only: a value that AWS answered stands in the vault alone.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypedDict

from .model import OBSERVED, Failing, Observation
from .timeline import DAY, Interval, instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .digest import Json
    from .model import Run

    Tree = Mapping[str, Json]

SHOWN = 20
"""Changes that a row names; its numbers count all."""


class ObservationFields(TypedDict):
    """The field of a run that this module reads and writes."""

    observations: tuple[Observation, ...]


def observation_row(row: Observation) -> dict[str, Json]:
    """Give an observation as manifest, subject and facts hold it."""
    tree: dict[str, Json] = {
        "evidence": row.evidence,
        "account": row.account,
        "region": row.region,
        "covers": {"start": iso(row.covers.start), "end": iso(row.covers.end)},
        "at": iso(row.at),
        "state": row.state,
        "result": row.result,
        "records": row.records,
        "records_root": row.records_root,
        "counts": dict(row.counts),
        "changes": dict(row.changes),
        "shown": list(row.shown),
        "previous": row.previous,
        "moves": [{"at": iso(at), "result": result} for at, result in row.moves],
        "failing": [_failing_row(each) for each in row.failing],
    }
    return {name: value for name, value in tree.items() if value not in ("", [], {})}


def _failing_row(each: Failing) -> Json:
    row = {
        "item": each.item,
        "since": iso(each.since),
        "precision": each.precision,
        "workflow": each.workflow,
    }
    return {name: value for name, value in row.items() if value}


def observations_tree(run: Run) -> dict[str, Json]:
    """Give the part of a manifest that holds them; empty for other streams."""
    return {"observations": [observation_row(row) for row in run.observations]}


def read_observations(tree: Tree) -> ObservationFields:
    """Read that part again; ValueError, TypeError or KeyError where it is malformed."""
    return ObservationFields(
        observations=tuple(_read(row) for row in _rows(tree, "observations"))
    )


def _read(row: Tree) -> Observation:
    covers = row["covers"]
    if not isinstance(covers, dict):
        message = "covers is not a mapping"
        raise TypeError(message)
    return Observation(
        evidence=_text(row, "evidence"),
        account=_text(row, "account"),
        region=_text(row, "region"),
        covers=Interval(instant(_text(covers, "start")), instant(_text(covers, "end"))),
        at=instant(_text(row, "at")),
        state=_text(row, "state"),
        result=_text(row, "result"),
        records=_int(row.get("records", 0)),
        records_root=_text(row, "records_root"),
        counts=_numbers(row, "counts"),
        changes=_numbers(row, "changes"),
        shown=_texts(row, "shown"),
        previous=_text(row, "previous"),
        moves=tuple(
            (instant(_text(move, "at")), _text(move, "result"))
            for move in _rows(row, "moves")
        ),
        failing=tuple(
            Failing(
                item=_text(each, "item"),
                since=instant(_text(each, "since")),
                precision=_text(each, "precision"),
                workflow=_text(each, "workflow"),
            )
            for each in _rows(row, "failing")
        ),
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


def _texts(tree: Tree, key: str) -> tuple[str, ...]:
    values = tree.get(key, [])
    if not isinstance(values, list):
        message = f"{key} is not a list"
        raise TypeError(message)
    return tuple(_text({key: value}, key) for value in values)


def _int(value: Json) -> int:
    if not isinstance(value, int) or value < 0:
        message = f"{value!r} is not a count"
        raise TypeError(message)
    return value


def _numbers(tree: Tree, key: str) -> tuple[tuple[str, int], ...]:
    table = tree.get(key, {})
    if not isinstance(table, dict):
        message = f"{key} is not a mapping"
        raise TypeError(message)
    return tuple(sorted((name, _int(value)) for name, value in table.items()))


# --- what must agree -----------------------------------------------------------------


def observation_problems(run: Run) -> Iterator[str]:
    """Say where a run's observations contradict the run or each other."""
    if list(run.observations) != sorted(run.observations):
        yield "observations are not in order"
    seen = Counter((row.evidence, row.account, row.region) for row in run.observations)
    for (evidence, account, region), number in seen.items():
        name = f"observations: {evidence} in {account} {region}"
        if number > 1:
            yield f"{name}: stands {number} times"
        if evidence.partition(":")[0] != run.stream:
            yield f"{name}: does not belong to stream {run.stream}"
        if (account, region) not in run.expected:
            yield f"{name}: is not an expected place"
    for row in run.observations:
        yield from _row_problems(run, row)


def _row_problems(run: Run, row: Observation) -> Iterator[str]:
    name = f"observations: {row.evidence} in {row.account} {row.region}"
    answered = row.state == OBSERVED
    if abs(row.at - run.started) > DAY:
        yield f"{name}: {iso(row.at)} is not the time of this run"
    if answered and not row.records_root:
        yield f"{name}: names no records"
    if not answered and (row.records or row.records_root or row.counts):
        yield f"{name}: {row.state}, and yet it has records"
    times = [at for at, _ in row.moves]
    if times != sorted(times) or (times and not times[-1] <= row.at):
        yield f"{name}: its changes of result are not in order of time"
    failed = dict(row.counts).get("FAILED", 0)
    if len(row.failing) > min(SHOWN, failed):
        yield f"{name}: names more that fails than it counts"
    if any(each.since > row.at for each in row.failing):
        yield f"{name}: something fails since later than it was looked at"
    if len(row.shown) > min(SHOWN, sum(number for _, number in row.changes)):
        yield f"{name}: shows more changes than it counts"
