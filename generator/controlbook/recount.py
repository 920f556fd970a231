# SPDX-License-Identifier: Apache-2.0
"""Counting again what run manifests claim, from what a bundle or a vault holds.

Rules enforced here:
- a stretch of the period without a run must stand among the published gaps;
- a carried pack has the Merkle root, the count and the content of its manifest;
- the opening states, moved by the manifests' own transitions, must give the root of
  every rule instance after every run: a verdict cannot be edited in one place alone;
- carried events give the count and the root of their query and place;
- carried answers of GitHub give the pull requests of the run that captured them;
- an object of the vault is what its manifest says, to the byte.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .coverage import collected_until, uncollected, windows
from .digest import NotCanonicalError, merkle_root, parse_canonical, sha256
from .errors import ControlbookError
from .eventrows import EVENT, counted
from .extracts import ExtractError, closing_run, read_extract, state_object
from .faults import Fault, Faults, lacking, wrong
from .forge.reading import read_answer, read_pulls
from .ledger import fold_states, parse_state_lines, records_root_lines
from .model import heard_in
from .preserved import preserved, unlike
from .sight import opening_run
from .timeline import Interval, iso
from .vault import NotInVaultError
from .vault.packs import unpack, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .extracts import Extract
    from .model import (
        Assessment,
        Ledger,
        RuleInstance,
        Run,
        Standing,
        StoredObject,
        Transition,
    )
    from .preserved import Preserved
    from .vault import Vault


def hole_faults(
    ledger: Ledger, assessment: Assessment, published: Iterable[tuple[str, str]]
) -> Faults:
    """Find time of the period that no run covers and no published gap admits.

    `published` are the (start, end) of the published gaps of reason `no-run`.
    """
    period = assessment.period
    runs = windows(ledger.config)
    end = collected_until(runs, period.start)
    if end is None:
        yield lacking(f"no run covers any of the period from {iso(period.start)}")
        return
    if end < period.end:
        yield lacking(
            f"the ledger ends at {iso(end)}, before the period does ({iso(period.end)})"
        )
    admitted = set(published)
    for hole in uncollected(runs, Interval(period.start, min(end, period.end))):
        start, stop = iso(hole.interval.start), iso(hole.interval.end)
        if (start, stop) not in admitted:
            yield wrong(
                f"no run covers {start} to {stop}, and no published gap says so"
            )


# --- carried packs -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """What the carried packs give."""

    opening: tuple[Standing, ...] | None
    """The states that open the period; None where they cannot be read."""
    faults: tuple[Fault, ...]
    preserved: tuple[Preserved, ...] = ()
    """What the packs hold of Audit Manager."""


def recount(
    ledger: Ledger, assessment: Assessment, packs: Mapping[str, bytes], *, whole: bool
) -> Recount:
    """Recompute the root of every carried pack and fold the states through the runs.

    `packs` are extracts by the digest of their content. Where the ledger is not
    `whole`, packs that it does not name and states that it cannot reach are let be.
    """
    extracts, faults = _extracts(ledger, packs, whole=whole)
    faults.extend(_event_faults(ledger, extracts, assessment))
    faults.extend(_review_faults(ledger, extracts))
    kept, wrongly = _preserved(ledger, extracts, assessment)
    faults.extend(wrongly)
    if not whole:
        return Recount(opening=None, faults=tuple(faults))
    edges: list[tuple[Standing, ...]] = []
    for run in (
        opening_run(ledger.config, assessment.period),
        closing_run(ledger, assessment),
    ):
        stored = state_object(run) if run else None
        if run is None or stored is None:
            return Recount(opening=None, faults=tuple(faults))
        own = extracts.get(stored.content_sha256)
        if own is None:
            path = f"packs/{stored.content_sha256}.leaves"
            faults.append(wrong(f"{name(run)}: its state pack is not carried ({path})"))
            return Recount(opening=None, faults=tuple(faults))
        try:
            edges.append(parse_state_lines(own.records))
        except ControlbookError as error:
            faults.append(wrong(f"{name(run)}: {error.message}"))
            return Recount(opening=None, faults=tuple(faults))
    if not corrected(ledger):
        faults.extend(_state_faults(ledger, edges[0], edges[1], assessment))
    return Recount(opening=edges[0], faults=tuple(faults), preserved=kept)


def _preserved(
    ledger: Ledger, extracts: Mapping[str, Extract], assessment: Assessment
) -> tuple[tuple[Preserved, ...], list[Fault]]:
    """Read what is carried of Audit Manager, and hold it against its runs."""

    def records(stored: StoredObject) -> tuple[bytes, ...]:
        own = extracts.get(stored.content_sha256)
        return own.records if own else ()

    faults: list[Fault] = []
    try:
        for run, text in unlike(ledger, assessment, records):
            faults.append(wrong(f"{name(run)}: {text}"))
        return preserved(ledger, assessment, records), faults
    except ControlbookError as error:
        return (), [*faults, wrong(error.message)]


def corrected(ledger: Ledger) -> bool:
    """Tell whether a correction added to an earlier window, out of order in time."""
    return any(run.kind == "correction" for run in ledger.config)


def _extracts(
    ledger: Ledger, packs: Mapping[str, bytes], *, whole: bool
) -> tuple[dict[str, Extract], list[Fault]]:
    named = {
        stored.content_sha256: (run, stored)
        for runs in ledger.runs.values()
        for run in runs
        for stored in run.objects
        if stored.records_root
    }
    extracts: dict[str, Extract] = {}
    faults: list[Fault] = []
    for digest, data in sorted(packs.items()):
        path = f"packs/{digest}.leaves"
        if digest not in named:
            if whole:
                faults.append(wrong(f"{path}: no run manifest names this pack"))
            continue
        try:
            extracts[digest] = read_extract(data)
        except ExtractError as error:
            faults.append(wrong(f"{path}: {error}"))
            continue
        faults.extend(_pack_faults(path, data, extracts[digest], *named[digest]))
    return extracts, faults


def _pack_faults(
    path: str, data: bytes, own: Extract, run: Run, stored: StoredObject
) -> Faults:
    where = f"{path} ({name(run)}, {stored.role})"
    if own.root != stored.records_root:
        yield wrong(f"{where}: its Merkle root is not its manifest's")
    if len(own.records) + own.hidden != stored.records:
        yield wrong(f"{where}: it has not the {stored.records} records")
    if not own.hidden and sha256(data) != stored.content_sha256:
        yield wrong(f"{where}: it is whole, but is not the pack's content")


def _event_faults(
    ledger: Ledger, extracts: Mapping[str, Extract], assessment: Assessment
) -> Faults:
    """Count the carried events again, by query and place."""
    accounts = {number for _, number in assessment.accounts}
    for run in ledger.cloudtrail:
        lines = {
            line
            for stored in run.objects
            if stored.role == "records" and stored.content_sha256 in extracts
            for line in extracts[stored.content_sha256].records
        }
        if not lines:
            continue
        try:
            again = counted(EVENT.read(parse_canonical(line)) for line in lines)
        except (NotCanonicalError, ValueError, TypeError) as error:
            yield wrong(f"{name(run)}: a record is no event: {error}")
            continue
        for row in run.event_counts:
            shown = row.account in accounts and row.region in heard_in(
                row.source, assessment.regions
            )
            if shown and row not in again:
                yield wrong(
                    f"{name(run)}: the records of {row.key} in {row.account}"
                    f" {row.region} do not give its count and root"
                )


_UNREADABLE = (ControlbookError, LookupError, TypeError, ValueError, AttributeError)
"""What odd JSON makes a reader of GitHub's answers raise."""


def _review_faults(ledger: Ledger, extracts: Mapping[str, Extract]) -> Faults:
    """Read GitHub's captured answers again, and compare (T57)."""
    for run in ledger.runs.get("reviews", ()):
        for stored in run.objects:
            own = extracts.get(stored.content_sha256)
            if stored.role != "reviews" or own is None or own.hidden:
                continue
            try:
                pulls, _ = read_pulls(read_answer(line) for line in own.records)
            except _UNREADABLE as error:
                yield wrong(f"{name(run)}: its captured answers are none: {error}")
                continue
            again, claimed = set(pulls), set(run.pulls)
            for number in sorted({pull.number for pull in again ^ claimed}):
                yield wrong(
                    f"{name(run)}: pull request {number} is told otherwise than GitHub"
                    " answered when it was captured"
                )


def _state_faults(
    ledger: Ledger,
    opening: tuple[Standing, ...],
    closing: tuple[Standing, ...],
    assessment: Assessment,
) -> Faults:
    first = opening_run(ledger.config, assessment.period)
    last = closing_run(ledger, assessment)
    if first is None or last is None:
        return
    states = _by_instance(opening)
    yield from _root_faults(first, first.rules, states, assessment)
    for run in ledger.config[first.seq : last.seq]:
        moves: dict[str, list[Transition]] = {}
        for move in run.transitions:
            moves.setdefault(move.instance, []).append(move)
        for key, own in moves.items():
            states[key] = fold_states(states.get(key, ()), own)
        touched = tuple(row for row in run.rules if row.key in moves)
        yield from _root_faults(run, touched, states, assessment)
    ours = {row.key for row in last.rules if _in_scope(row, assessment)}
    folded = sorted(row for key in ours for row in states.get(key, ()))
    if folded != sorted(row for row in closing if row.instance in ours):
        yield wrong(
            f"{name(last)}: the opening states and all transitions do not lead to its"
            " state pack"
        )


def _by_instance(rows: Iterable[Standing]) -> dict[str, tuple[Standing, ...]]:
    found: dict[str, list[Standing]] = {}
    for row in rows:
        found.setdefault(row.instance, []).append(row)
    return {key: tuple(own) for key, own in found.items()}


def _root_faults(
    run: Run,
    rows: Sequence[RuleInstance],
    states: Mapping[str, tuple[Standing, ...]],
    assessment: Assessment,
) -> Faults:
    for row in rows:
        if not _in_scope(row, assessment):
            continue
        root = merkle_root(records_root_lines(states.get(row.key, ())))
        if root != row.records_root:
            yield wrong(
                f"{name(run)}: records_root of {row.rule} in {row.account}"
                f" {row.region} is not that of its states"
            )


def _in_scope(row: RuleInstance, assessment: Assessment) -> bool:
    accounts = {number for _, number in assessment.accounts}
    return row.account in accounts and row.region in assessment.regions


def name(run: Run) -> str:
    """Name a run as messages do: `config 000046`."""
    return f"{run.stream} {run.seq:06d}"


# --- the vault's copy ----------------------------------------------------------------


def vault_faults(
    vault: Vault,
    objects: Iterable[tuple[str, StoredObject]],
    manifests: Mapping[str, bytes],
) -> Faults:
    """Compare a copy of the vault with what manifests and documents say of it.

    `objects` come with the name of whoever refers to them; `manifests` are the
    ledger's by their key in the vault.
    """
    for owner, stored in objects:
        yield from _object_faults(
            vault, f"{owner}: {stored.role} pack {stored.key}", stored
        )
    for key, data in manifests.items():
        copy, fault = _copy(vault, key, key)
        if fault:
            yield fault
        elif copy != data:
            yield wrong(f"{key}: the vault's manifest and the ledger's differ")


def _copy(vault: Vault, key: str, what: str) -> tuple[bytes, Fault | None]:
    try:
        return vault.get(key), None
    except NotInVaultError:
        return b"", lacking(f"{what} is not in the vault's copy")
    except ControlbookError as error:
        return b"", wrong(f"{what}: {error.message}")


def _object_faults(vault: Vault, what: str, stored: StoredObject) -> Faults:
    body, fault = _copy(vault, stored.key, what)
    if fault:
        yield fault
        return
    digest = sha256(body)
    if digest != stored.sha256:
        yield wrong(
            f"{what}: its stored bytes are not the ones that were collected (SHA-256"
            f" {digest[:16]}…, not {stored.sha256[:16]}…)"
        )
    if stored.records_root:
        try:
            # Other stored bytes are said already; what is wrong inside is apart.
            unpack(body, replace(stored, sha256=digest, size=len(body)))
        except ControlbookError as error:
            yield wrong(f"{what}: {error.message}")
    elif stored.content_sha256:
        # AWS's own bytes: no records of ours, but one gzip member all the same.
        try:
            content = verbatim(body, records=stored.records).content_sha256
        except ControlbookError as error:
            yield wrong(f"{what}: {error.message}")
        else:
            if content != stored.content_sha256:
                yield wrong(f"{what}: content_sha256 differs from the manifest's")
