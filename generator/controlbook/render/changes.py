# SPDX-License-Identifier: Apache-2.0
"""What an addendum changes against the release before it: one list, from facts alone.

Rules enforced here (design section 6):
- two releases are compared by their canonical facts, so nothing that is shown can
  change without a row here;
- a row names what it is about, and the value before and after; what is long is named by
  its digest;
- further runs are counted, and are no change by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controlbook.digest import Json

    Facts = Mapping[str, Json]

KEYS = {
    "requirements": "number",
    "controls": "id",
    "deviations": "id",
    "gaps": "id",
    "unmapped": "id",
    "annotations": "path",
    "manual": "id",
    "people": "id",
    "findings": "control",
}
"""Table of the facts → what names its rows."""
RUNS = "runs"
_COUNTED = ("evidence", "ledger")
_LONGEST = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that a release says otherwise than the one before it."""

    kind: str
    """The table of the facts, `scope`, `facts`, or `runs`."""
    about: str
    field: str
    """What of it; empty where all of it came or went."""
    before: str
    after: str

    @property
    def sentence(self) -> str:
        """Say it in one line."""
        what = " ".join(filter(None, [self.kind, self.about, self.field]))
        return f"{what}: {self.before or 'nothing'} → {self.after or 'nothing'}"


def previous(release: str, assessment: str) -> str:
    """Name the release that an addendum follows; empty for the first one."""
    number = numbered(release, assessment)
    return named(assessment, number - 1) if number > 1 else ""


def named(assessment: str, number: int) -> str:
    """Name a release by its number."""
    return assessment if number == 1 else f"{assessment}-r{number}"


def numbered(release: str, assessment: str) -> int:
    """Give the number of a release: 1 for the first, 0 for what is none of these."""
    if release == assessment:
        return 1
    rest = release.removeprefix(f"{assessment}-r")
    whole = rest.isascii() and rest.isdecimal() and not rest.startswith("0")
    number = int(rest) if whole and rest != release else 0
    return number if number > 1 else 0


def changes(before: Facts, after: Facts) -> tuple[Change, ...]:
    """List what differs between the facts of two releases."""
    return tuple(_changes(before, after))


def substantial(found: tuple[Change, ...]) -> bool:
    """Tell whether anything differs beyond further runs."""
    return any(change.kind != RUNS for change in found)


def _changes(before: Facts, after: Facts) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        if key in KEYS:
            old, new = _rows(before, key), _rows(after, key)
            yield from _tables(key, old, new)
        elif key == "scope":
            yield from _fields(key, "", _table(before, key), _table(after, key))
        elif key not in _COUNTED and before.get(key) != after.get(key):
            yield _change("facts", "", key, before.get(key), after.get(key))
    for stream, (old_runs, new_runs) in sorted(_runs(before, after).items()):
        if old_runs != new_runs:
            yield Change(
                kind=RUNS,
                about=stream,
                field="",
                before=str(old_runs),
                after=str(new_runs),
            )


def _tables(
    kind: str, before: dict[str, Facts], after: dict[str, Facts]
) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield _change(kind, name, "", None, dict(after[name]))
        elif name not in after:
            yield _change(kind, name, "", dict(before[name]), None)
        else:
            yield from _fields(kind, name, before[name], after[name])


def _fields(kind: str, about: str, before: Facts, after: Facts) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield _change(kind, about, key, before.get(key), after.get(key))


def _change(
    kind: str, about: str, field: str, before: Json | None, after: Json | None
) -> Change:
    return Change(
        kind=kind,
        about=about,
        field=field,
        before=_short(before),
        after=_short(after),
    )


def _short(value: Json | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int) and len(str(value)) <= _LONGEST:
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        text = ", ".join(map(str, value))
        if len(text) <= _LONGEST:
            return text
    return f"sha256 {digest_of(value)[:16]}"


def _rows(facts: Facts, key: str) -> dict[str, Facts]:
    rows = facts.get(key)
    return {
        str(row.get(KEYS[key])): row
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    }


def _table(facts: Facts, key: str) -> Facts:
    value = facts.get(key)
    return value if isinstance(value, dict) else {}


def _runs(before: Facts, after: Facts) -> dict[str, list[int]]:
    counts: dict[str, list[int]] = {}
    for place, facts in enumerate((before, after)):
        rows = facts.get("evidence")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict):
                counts.setdefault(str(row.get("stream")), [0, 0])[place] += 1
    return counts
