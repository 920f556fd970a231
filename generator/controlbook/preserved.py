# SPDX-License-Identifier: Apache-2.0
"""What the vault keeps of Audit Manager: the last answer of each of its assessments.

Rules enforced here:
- of each assessment there the last answer that came to its end is shown, and nothing of
  an answer that broke off;
- every run since the period's start counts, also one after its end: evidence of a
  period is complete when it is over;
- an assessment there that shares no account with ours is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .crosscheck import PREFIX
from .digest import NotCanonicalError, merkle_root, parse_canonical
from .errors import ControlbookError, Exit
from .model import OBSERVED
from .timeline import Instant, instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .model import Assessment, Ledger, Observation, Run, StoredObject


_UNREADABLE = (NotCanonicalError, KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One thing of Audit Manager that the vault keeps."""

    kind: str
    """assessment | control | comment | change | delegation | folder"""
    name: str
    sha256: str
    """Of what AWS answered about it."""
    said: tuple[tuple[str, str], ...]
    """What AWS said, by name: set, control, at, by, text, status, …"""
    numbers: tuple[tuple[str, int], ...]
    """Of a folder: how many pieces of evidence it holds, of which kinds."""

    def told(self, name: str) -> str:
        """Give one thing that AWS said, or an empty text."""
        return dict(self.said).get(name, "")

    def number(self, name: str) -> int:
        """Give one of the numbers, 0 where it is not among them."""
        return dict(self.numbers).get(name, 0)

    @property
    def at(self) -> Instant | None:
        """When it was made, posted or gathered."""
        text = self.told("at")
        return instant(text) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preserved:
    """One assessment of Audit Manager, as the last complete answer had it."""

    run: Run
    look: Observation
    items: tuple[Kept, ...]

    @property
    def id(self) -> str:
        """Give its id in Audit Manager."""
        return self.look.evidence.removeprefix(PREFIX)

    @property
    def whole(self) -> Kept | None:
        """Give what is said of the assessment itself."""
        return next(self.of("assessment"), None)

    @property
    def name(self) -> str:
        """Give its name there, or else its id."""
        return (self.whole.told("name") if self.whole else "") or self.id

    def of(self, kind: str) -> Iterator[Kept]:
        """Give what is kept of one kind, in order."""
        return (item for item in self.items if item.kind == kind)


def answers(ledger: Ledger, assessment: Assessment) -> dict[str, tuple[Run, int]]:
    """Give the last complete answer of each assessment there: its run and place in it.

    The place is that of the observation among the run's.
    """
    return {
        row.evidence: (run, number)
        for run in ledger.runs.get("audit-manager", ())
        if run.window.end >= assessment.period.start
        for number, row in enumerate(run.observations)
        if row.state == OBSERVED and row.evidence.startswith(PREFIX)
    }


def packs_of(ledger: Ledger, assessment: Assessment) -> tuple[StoredObject, ...]:
    """Name the record packs that these answers stand in."""
    runs = {run.seq: run for run, _ in answers(ledger, assessment).values()}
    return tuple(
        stored
        for _, run in sorted(runs.items())
        for stored in run.objects
        if stored.role == "records"
    )


def preserved(
    ledger: Ledger,
    assessment: Assessment,
    records: Callable[[StoredObject], Sequence[bytes]],
) -> tuple[Preserved, ...]:
    """Read what is kept; `records` gives the lines of a pack."""
    accounts = {number for _, number in assessment.accounts}
    read: dict[int, tuple[tuple[str, Kept], ...]] = {}
    found = []
    for key, (run, number) in sorted(answers(ledger, assessment).items()):
        if run.seq not in read:
            packs = (stored for stored in run.objects if stored.role == "records")
            lines = (line for stored in packs for line in records(stored))
            read[run.seq] = tuple(_kept(lines))
        items = tuple(item for evidence, item in read[run.seq] if evidence == key)
        each = Preserved(run=run, look=run.observations[number], items=items)
        theirs = set(each.whole.told("accounts").split() if each.whole else ())
        if not theirs or theirs & accounts:
            found.append(each)
    return tuple(found)


def unlike(
    ledger: Ledger,
    assessment: Assessment,
    records: Callable[[StoredObject], Sequence[bytes]],
) -> Iterator[tuple[Run, str]]:
    """Say of which answers the records are not those that the runs bound."""
    listed: dict[str, set[tuple[str, str]]] = {}
    for run in ledger.runs.get("audit-manager", ()):
        for each in run.contradictions:
            listed.setdefault(each.evidence, set()).add((each.id, each.resource))
    for key, (run, number) in sorted(answers(ledger, assessment).items()):
        row = run.observations[number]
        packs = (stored for stored in run.objects if stored.role == "records")
        lines = [line for stored in packs for line in records(stored)]
        own = sorted(line for line in lines if _evidence(line) == key)
        if (len(own), merkle_root(own)) != (row.records, row.records_root):
            yield run, f"the records of {key} do not give its count and root"
            continue
        due = sum(item.number("contradictions") for _, item in _kept(own))
        if due > len(listed.get(key, ())):
            yield run, f"{key}: {due} contradictions are counted, and not all listed"


def _evidence(line: bytes) -> str:
    try:
        tree = parse_canonical(line)
    except NotCanonicalError:
        return ""
    return str(tree.get("evidence", "")) if isinstance(tree, dict) else ""


def _kept(lines: Iterable[bytes]) -> Iterator[tuple[str, Kept]]:
    for line in sorted(lines):
        try:
            tree: Any = parse_canonical(line)  # its shape is what the except is for
            said = {str(k): str(v) for k, v in tree.get("said", {}).items()}
            numbers = {str(k): int(v) for k, v in tree.get("fields", {}).items()}
            kind, _, name = str(tree["item"]).partition("/")
            kept = Kept(
                kind=kind,
                name=name,
                sha256=str(tree["sha256"]),
                said=tuple(sorted(said.items())),
                numbers=tuple(sorted(numbers.items())),
            )
            key = str(tree["evidence"])
            if said.get("at"):
                instant(said["at"])
        except _UNREADABLE as error:
            message = "a record of Audit Manager cannot be read"
            advice = "restore the vault"
            raise ControlbookError(
                message, advice=advice, code=Exit.INTEGRITY
            ) from error
        yield key, kept
