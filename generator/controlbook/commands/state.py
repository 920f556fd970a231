# SPDX-License-Identifier: Apache-2.0
"""`controlbook state`: what held at an instant, by the ledger; or holds now, by AWS.

Rules enforced here:
- the ledger's answer needs a commit and its state pack, and no AWS;
- `--live` records nothing, and says that it is no evidence.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from controlbook.clock import now
from controlbook.coverage import windows
from controlbook.errors import ControlbookError, Exit
from controlbook.model import State
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.states import base_of, states_at
from controlbook.timeline import iso

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from controlbook.sources.live import PackNow
    from controlbook.states import Row


def state(options: argparse.Namespace) -> Outcome:
    """Show the states; exit 1 where one of those shown is NON_COMPLIANT or in doubt."""
    programme = Programme.open(options.root)
    if options.live:
        if options.at:
            message = "AWS can be asked about now only"
            raise ControlbookError(message, place="--live", advice="leave --at out")
        # boto3 takes long to load, and only --live needs it.
        from controlbook.sources import SourceError  # noqa: PLC0415
        from controlbook.sources.live import live_packs, live_states  # noqa: PLC0415

        settings = programme.library.settings
        if not settings.aggregator or not settings.region:
            message = "no aggregator is set, or not its Region"
            raise ControlbookError(message, place="pyproject.toml")
        found, notes = live_states(settings)
        head = "as the aggregator says now; not recorded, no evidence"
        outcome = _outcome(options, found, head, "", notes)
        try:
            return _with_packs(options, outcome, live_packs(settings))
        except SourceError as error:
            # Whoever may ask for rules need not be allowed to ask for packs.
            note = f"conformance packs could not be asked: {error.message}"
            return _outcome(options, found, head, "", (*notes, note))
    runs = programme.ledger.config
    tiled = windows(runs)
    moment = now(options.at) if options.at or not tiled else tiled[-1].window.end
    base = base_of(programme.ledger_at(moment).config, moment)
    rows = states_at(base, programme.state_after(base.run), moment)
    head = f"at {iso(moment)}, by run config {base.run.seq:06d}"
    if base.within is not base.run:
        head += f" and the transitions of {base.within.seq:06d}"
    return _outcome(options, rows, head, iso(moment), ())


def _outcome(
    options: argparse.Namespace,
    found: Sequence[Row],
    head: str,
    moment: str,
    notes: Sequence[str],
) -> Outcome:
    rows = [row for row in found if _wanted(options, row)]
    counts = Counter(row.state.value for row in rows)
    total = " · ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    bad = any(row.doubt or row.state is State.NON_COMPLIANT for row in rows)
    lines = [head, f"{len(rows)} of {len(found)} states: {total or 'none'}"]
    lines += [_line(row) for row in rows]
    return Outcome(
        text="\n".join([*lines, *(f"note: {note}" for note in notes)]),
        data={
            "schema": "controlbook/state/1",
            "at": moment,
            "live": bool(options.live),
            "total": len(found),
            "states": [_data(row) for row in rows],
            "notes": list(notes),
        },
        code=Exit.FOUND if bad else Exit.FINE,
    )


def _with_packs(
    options: argparse.Namespace, outcome: Outcome, packs: Sequence[PackNow]
) -> Outcome:
    """Add conformance packs, of the account that is asked for; filters else pass by."""
    if options.rule or options.resource:
        return outcome
    shown = [row for row in packs if options.account in (None, "", row.account)]
    lines = [
        f"  {row.account} {row.region}  {row.pack}  {row.state}  {row.compliant} of"
        f" {row.rules} rules compliant, {row.failing} not"
        for row in shown
    ]
    head = f"{len(shown)} of {len(packs)} conformance packs, as AWS sums them up"
    return replace(
        outcome,
        text="\n".join([outcome.text, head, *lines]),
        data={**outcome.data, "packs": [asdict(row) for row in shown]},
    )


def _wanted(options: argparse.Namespace, row: Row) -> bool:
    return (
        (not options.account or options.account == row.account)
        and (not options.rule or options.rule in {row.rule, row.deployed_as})
        and (not options.resource or options.resource in row.resource)
    )


def _line(row: Row) -> str:
    doubt = f"  (no evidence: {row.doubt})" if row.doubt else ""
    return (
        f"  {row.account} {row.region}  {row.rule}  {row.resource}  {row.state.value} "
        f"since {iso(row.since)}{doubt}"
    )


def _data(row: Row) -> dict[str, str]:
    return {
        "account": row.account,
        "region": row.region,
        "rule": row.rule,
        "deployed_as": row.deployed_as,
        "resource": row.resource,
        "state": row.state.value,
        "since": iso(row.since),
        "doubt": row.doubt,
    }
