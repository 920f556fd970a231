# SPDX-License-Identifier: Apache-2.0
"""Counting again what run manifests claim, from what a bundle or a vault holds.

Rules enforced here:
- the opening states, moved by the manifests' own transitions, must give the root of
  every rule instance after every run: a verdict cannot be edited in one place alone;
- a stretch of the period without a run must stand among the published gaps;
- an object of the vault is what its manifest says, to the byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .assess import opening_run
from .coverage import collected_until, uncollected, windows
from .digest import merkle_root, sha256
from .errors import ControlbookError, Exit
from .extracts import closing_run
from .ledger import fold_states, records_root_lines
from .timeline import Interval, iso
from .vault import NotInVaultError
from .vault.packs import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .model import Assessment, Ledger, Run, Standing, StoredObject, Transition
    from .vault import Vault

Fault = tuple[Exit, str]
"""How bad, and what differs where."""


def hole_faults(
    ledger: Ledger, assessment: Assessment, published: Iterable[tuple[str, str]]
) -> Iterator[Fault]:
    """Find time of the period that no run covers and no published gap admits.

    `published` are the (start, end) of the published gaps of reason `no-run`.
    """
    period = assessment.period
    runs = windows(ledger.config)
    end = collected_until(runs, period.start)
    if end is None:
        yield (
            Exit.UNAVAILABLE,
            f"no run covers any of the period from {iso(period.start)}",
        )
        return
    if end < period.end:
        yield (
            Exit.UNAVAILABLE,
            f"the ledger ends at {iso(end)}, before the period does ({iso(period.end)})",
        )
    admitted = set(published)
    for hole in uncollected(runs, Interval(period.start, min(end, period.end))):
        start, stop = iso(hole.interval.start), iso(hole.interval.end)
        if (start, stop) not in admitted:
            yield (
                Exit.INTEGRITY,
                f"no run covers {start} to {stop}, and no published gap says so",
            )


def state_faults(
    ledger: Ledger,
    opening: tuple[Standing, ...],
    closing: tuple[Standing, ...],
    assessment: Assessment,
) -> Iterator[Fault]:
    """Fold the opening states through every run and compare each recorded root."""
    first = opening_run(ledger.config, assessment.period)
    last = closing_run(ledger, assessment)
    if first is None or last is None:
        return
    states = _by_instance(opening)
    yield from _root_faults(first, states, assessment, None)
    for run in ledger.config[first.seq : last.seq]:
        moves: dict[str, list[Transition]] = {}
        for move in run.transitions:
            moves.setdefault(move.instance, []).append(move)
        for key, own in moves.items():
            states[key] = fold_states(states.get(key, ()), own)
        yield from _root_faults(run, states, assessment, frozenset(moves))
    ours = {row.key for row in last.rules if _in_scope(row, assessment)}
    folded = sorted(row for key in ours for row in states.get(key, ()))
    if folded != sorted(row for row in closing if row.instance in ours):
        yield (
            Exit.INTEGRITY,
            f"{_name(last)}: the opening states and all transitions do not lead to"
            " its state pack",
        )


def _by_instance(rows: Iterable[Standing]) -> dict[str, tuple[Standing, ...]]:
    found: dict[str, list[Standing]] = {}
    for row in rows:
        found.setdefault(row.instance, []).append(row)
    return {key: tuple(own) for key, own in found.items()}


def _root_faults(
    run: Run,
    states: Mapping[str, tuple[Standing, ...]],
    assessment: Assessment,
    touched: frozenset[str] | None,
) -> Iterator[Fault]:
    for row in run.rules:
        if not _in_scope(row, assessment) or (
            touched is not None and row.key not in touched
        ):
            continue
        root = merkle_root(records_root_lines(states.get(row.key, ())))
        if root != row.records_root:
            yield (
                Exit.INTEGRITY,
                f"{_name(run)}: records_root of {row.rule} in {row.account}"
                f" {row.region} is not that of its states",
            )


def _in_scope(row: object, assessment: Assessment) -> bool:
    accounts = {number for _, number in assessment.accounts}
    return (
        getattr(row, "account", "") in accounts
        and getattr(row, "region", "") in assessment.regions
    )


def _name(run: Run) -> str:
    return f"{run.stream} {run.seq:06d}"


# --- the vault -----------------------------------------------------------------------


def vault_faults(
    vault: Vault,
    objects: Iterable[tuple[str, StoredObject]],
    manifests: Mapping[str, bytes],
) -> Iterator[Fault]:
    """Compare a copy of the vault with what manifests and documents say of it.

    `objects` come with the name of whoever refers to them; `manifests` are the
    ledger's by their key in the vault.
    """
    for owner, stored in objects:
        yield from _object_faults(vault, owner, stored)
    for key, data in manifests.items():
        try:
            copy = vault.get(key)
        except NotInVaultError:
            yield Exit.UNAVAILABLE, f"{key}: is not in the vault's copy"
            continue
        except ControlbookError as error:
            yield Exit.INTEGRITY, f"{key}: {error.message}"
            continue
        if copy != data:
            yield (
                Exit.INTEGRITY,
                f"{key}: the vault's manifest and the ledger's differ",
            )


def _object_faults(vault: Vault, owner: str, stored: StoredObject) -> Iterator[Fault]:
    name = f"{owner}: {stored.role} pack {stored.key}"
    try:
        body = vault.get(stored.key)
    except NotInVaultError:
        yield Exit.UNAVAILABLE, f"{name} is not in the vault's copy"
        return
    except ControlbookError as error:
        yield Exit.INTEGRITY, f"{name}: {error.message}"
        return
    if sha256(body) != stored.sha256:
        yield (
            Exit.INTEGRITY,
            f"{name}: its stored bytes are not the ones that were collected"
            f" (SHA-256 {sha256(body)[:16]}…, not {stored.sha256[:16]}…)",
        )
    if stored.records_root:
        try:
            unpack(body, stored)
        except ControlbookError as error:
            yield Exit.INTEGRITY, f"{name}: {error.message}"
