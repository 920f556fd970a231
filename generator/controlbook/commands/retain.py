# SPDX-License-Identifier: Apache-2.0
"""`controlbook retain`: locks that have to last longer than they were made to.

Rules enforced here:
- a lock is only ever made longer; S3 itself refuses anything else in COMPLIANCE mode;
- it needs the right to list versions and to get and put a retention, and no other: no
  object is read, written or deleted, and nothing is recorded in Git;
- one that cannot be extended does not keep the others from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError, Exit
from controlbook.keeping import kept
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.progress import Progress
from controlbook.retention import retained_until, serves
from controlbook.timeline import SECOND, Instant, iso
from controlbook.vault.s3 import MODE, S3Vault

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from controlbook.keeping import Kept
    from controlbook.model import Library
    from controlbook.timeline import Interval
    from controlbook.vault import History, Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    key: str
    was: str
    until: str = ""
    """Empty where the lock lasts long enough."""
    problem: str = ""
    code: Exit = Exit.FINE


def retain(options: argparse.Namespace) -> Outcome:
    """Extend every lock that is shorter than somebody wants it."""
    programme = Programme.open(options.root)
    vault = programme.vault
    if not isinstance(vault, S3Vault):
        message = "a folder has no locks to extend"
        place = f"pyproject.toml: vault = {programme.library.settings.vault}"
        raise ControlbookError(message, place=place, advice="use an S3 vault")
    ledger = programme.ledger
    manifests = {
        path: data
        for path, data in programme.files.items()
        if path.startswith("evidence/") and not path.startswith("evidence/manual/")
    }
    wanted = _wanted(programme.library)
    items = _distinct(
        kept(programme.library, ledger, manifests, wanted, programme.lists)
    )
    histories = vault.history("ledger/")
    results: list[_Result] = []
    with Progress("locks", quiet=options.quiet) as progress:
        for number, item in enumerate(items):
            progress.show(number, len(items))
            results.append(_retain(vault, item, histories, dry=options.dry_run))
    return _outcome(results, dry=options.dry_run)


def _distinct(items: Iterable[Kept]) -> tuple[Kept, ...]:
    """Take an object that several runs name once, for the longest of them."""
    found: dict[tuple[str, str], Kept] = {}
    for item in items:
        name = (item.key, item.version_id)
        if name not in found or found[name].wanted < item.wanted:
            found[name] = item
    return tuple(found.values())


def _wanted(library: Library) -> Callable[[Interval | None], Instant]:
    def wanted(window: Interval | None) -> Instant:
        served = (
            [a for a in library.assessments.values() if serves(a, window)]
            if window
            else ()
        )
        until = retained_until(library, served, window.end if window else Instant(0))
        return Instant(-(-until // SECOND) * SECOND)

    return wanted


def _retain(
    vault: S3Vault, item: Kept, histories: dict[str, History], *, dry: bool
) -> _Result:
    key = item.key.removeprefix(vault.prefix)
    if item.bucket not in ("", vault.bucket):
        problem = f"is recorded in {item.bucket}, not in {vault.bucket}"
        return _Result(key=key, was="", problem=problem, code=Exit.UNAVAILABLE)
    own = histories.get(key)
    version = item.version_id or (own.versions[0].id if own and own.versions else "")
    if not version:
        problem = "is not in the vault"
        return _Result(key=key, was="", problem=problem, code=Exit.INTEGRITY)
    try:
        lock = vault.lock(key, version)
        was = iso(lock.until) if lock.mode else "none"
        if lock.mode != MODE:
            problem = f"its lock is {lock.mode or 'gone'}, not {MODE}"
            return _Result(key=key, was=was, problem=problem, code=Exit.INTEGRITY)
        if lock.until >= item.wanted:
            return _Result(key=key, was=was)
        if not dry:
            lock = _extended(vault, key, version, item.wanted)
    except ControlbookError as error:
        return _Result(key=key, was="", problem=error.message, code=error.code)
    if not dry and lock.until < item.wanted:
        problem = "was extended, and does not read back so"
        return _Result(key=key, was=was, problem=problem, code=Exit.INTEGRITY)
    return _Result(key=key, was=was, until=iso(item.wanted))


def _extended(vault: S3Vault, key: str, version: str, until: Instant) -> Lock:
    vault.extend(key, version, until)
    return vault.lock(key, version)


def _outcome(results: list[_Result], *, dry: bool) -> Outcome:
    changed = [row for row in results if row.until]
    failed = [row for row in results if row.problem]
    verb = "would be extended" if dry else "extended"
    lines = [
        *(f"{row.key}: from {row.was} to {row.until}" for row in changed),
        *(f"{row.key}: {row.problem}" for row in failed),
        f"{len(results)} locks, {len(changed)} {verb}, {len(failed)} failed",
    ]
    code = max((row.code for row in failed), default=Exit.FINE, key=_severity)
    if dry and changed and not failed:
        code = Exit.FOUND
    return Outcome(
        text="\n".join(lines),
        data={
            "schema": "controlbook/retain/1",
            "dry_run": dry,
            "locks": len(results),
            "extended": list(_rows(changed)),
            "failed": [{"key": row.key, "problem": row.problem} for row in failed],
        },
        code=code,
    )


def _rows(changed: list[_Result]) -> Iterator[dict[str, str]]:
    for row in changed:
        yield {"key": row.key, "was": row.was, "until": row.until}


def _severity(code: Exit) -> int:
    # An object that is gone weighs more than one that could not be reached.
    return {Exit.INTEGRITY: 2, Exit.UNAVAILABLE: 1}.get(code, 0)
