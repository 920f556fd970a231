# SPDX-License-Identifier: Apache-2.0
"""One run manifest: a `Run` as canonical JSON, and back.

Rules enforced here:
- a manifest holds only the rule rows that changed since the one before; the rest is
  inherited, and `rules_root` binds all of them;
- every field has one spelling (rows.py), so one run has one manifest;
- a manifest is at most 64 KiB: while it is longer, its longest list moves into objects
  of the vault with the role `list:<name>`, one canonical line a row; the manifest keeps
  their digest, count and Merkle root, and the list itself is not in it;
- a list that moved is read from there, or the manifest is not read: never as empty.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from .digest import (
    NotCanonicalError,
    canonical,
    merkle_root,
    parse_canonical,
)
from .errors import ControlbookError, Exit
from .eventrows import ASKED, CHAIN, EVENT, EVENT_COUNT
from .model import (
    Missing,
    Pull,
    Review,
    RuleInstance,
    Run,
    Signature,
    StoredObject,
    Transition,
)
from .observations import CONTRADICTION, OBSERVATION
from .rows import (
    COUNT,
    COUNTS,
    HEX,
    INTERVAL,
    NEEDED,
    PAIRS,
    PARAMETERS,
    PLAIN,
    SOME,
    STATE,
    TEXT,
    TEXTS,
    TIME,
    Field,
    Row,
    RowError,
    pair_of,
    row_of,
)
from .timeline import SECOND, Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .digest import (
        Json,
    )

    Tree = Mapping[str, Json]
    Lists = Callable[[StoredObject], Sequence[bytes]]
    """Gives the lines of an object that holds a list; raises ControlbookError."""

TYPE = "controlbook/run/1"
MOST = 64 * 1024
"""No manifest has more bytes, as far as its lists make it long."""
SHORT = 2 * 1024
"""A list that is not worth moving: the row of its object takes nearly as much."""
ROWS = 200_000
"""So many rows stand in one object; a longer list takes several."""
LIST = "list:"
"""The role of an object that holds a list begins so; the list's name follows."""


class MalformedManifestError(ValueError):
    """The bytes are not a run manifest; the message says what differs."""


# --- the rows of a manifest -----------------------------------------------------------

RULE = row_of(
    RuleInstance,
    key=TEXT,
    rule=TEXT,
    deployed_as=TEXT,
    identifier=TEXT,
    parameters=PAIRS,
    account=TEXT,
    region=TEXT,
    trigger=TEXT,
    frequency=TEXT,
    matched=TEXT,
    status=TEXT,
    population=COUNT,
    counts=COUNTS,
    records_root=HEX,
)
TRANSITION = row_of(
    Transition,
    at=TIME,
    instance=TEXT,
    rule=TEXT,
    account=TEXT,
    region=TEXT,
    resource=TEXT,
    before=STATE,
    after=STATE,
    precision=TEXT,
    cause=TEXT,
)
MISSING: Row[Missing] = Row(
    lambda start, end, **where: Missing(interval=Interval(start, end), **where),
    attrgetter("account", "region", "reason", "interval.start", "interval.end"),
    account=PLAIN,
    region=PLAIN,
    reason=PLAIN,
    start=TIME,
    end=TIME,
)
REVIEW = row_of(
    Review,
    id=PLAIN,
    user_id=PLAIN,
    user_login=PLAIN,
    user_type=PLAIN,
    state=PLAIN,
    commit=PLAIN,
    submitted=TIME,
    signatures=row_of(Signature, path=TEXT, text=TEXT).rows,
)
PULL = row_of(
    Pull,
    number=COUNT,
    url=TEXT,
    title=TEXT,
    author_id=TEXT,
    author_login=TEXT,
    author_type=TEXT,
    base=TEXT,
    head=TEXT,
    merge=TEXT,
    merged_by_id=TEXT,
    merged_at=TIME,
    pushers=TEXTS,
    paths=TEXTS,
    reviews=REVIEW.rows,
    ruleset_sha256=TEXT,
    rule_suite=TEXT,
)
_LOCK = pair_of(mode=TEXT, until=TEXT)


def _lock(value: Json) -> tuple[str, ...]:
    lock = _LOCK.read(value)
    if not any(lock):
        message = "is empty, and then it is left out"
        raise RowError(message)
    return lock


OBJECT: Row[StoredObject] = Row(
    lambda lock, **rest: StoredObject(lock_mode=lock[0], lock_until=lock[1], **rest),
    lambda stored: (
        stored.role,
        stored.bucket,
        stored.key,
        stored.version_id,
        stored.sha256,
        stored.size,
        stored.records,
        stored.content_sha256,
        stored.content_size,
        stored.records_root,
        (stored.lock_mode, stored.lock_until),
        stored.encryption,
    ),
    role=TEXT,
    bucket=TEXT,
    key=TEXT,
    version_id=TEXT,
    sha256=HEX,
    size=COUNT,
    records=COUNT,
    content_sha256=TEXT,
    content_size=COUNT,
    records_root=TEXT,
    lock=Field(read=_lock, write=_LOCK.write, blank=("", "")),
    encryption=TEXT,
)
PLACE = pair_of(account=PLAIN, region=PLAIN)
SCOPE = pair_of(assessment=PLAIN, sha256=PLAIN)
QUERY = pair_of(api=NEEDED, parameters=PARAMETERS)

LISTS: Mapping[str, Row[Any] | None] = {
    "expected": PLACE,
    "collected": PLACE,
    "missing": MISSING,
    "queries": QUERY,
    "rules": RULE,
    "rules_removed": None,
    "transitions": TRANSITION,
    "pulls": PULL,
    "objects": OBJECT,
    "notes": None,
    "observations": OBSERVATION,
    "asked": ASKED,
    "event_counts": EVENT_COUNT,
    "events": EVENT,
    "chains": CHAIN,
    "contradictions": CONTRADICTION,
}
"""What can move into objects of its own, by its name; None: plain texts."""

_FIELDS = {name: row.rows if row else TEXTS for name, row in LISTS.items()}
_IN_COVERAGE = ("expected", "collected", "missing")


def _table(**fields: Field) -> Row[dict[str, Any]]:
    return Row(dict, itemgetter(*fields), **fields)


def _whole(value: object) -> int:
    if not isinstance(value, int):
        message = "is not a number"
        raise RowError(message)
    return value


def _yes(value: object) -> bool:
    if value not in ("yes", "no"):
        message = "is neither yes nor no"
        raise RowError(message)
    return value == "yes"


_ABOUT = _table(
    id=TEXT,
    started=TIME,
    finished=TIME,
    aws_date=TIME,
    skew_s=Field(read=_whole),
    principal=TEXT,
    endpoint=TEXT,
    vault=TEXT,
    collector=PAIRS,
)
_COVERAGE = _table(
    scopes=SCOPE.rows,
    organizations_sha256=TEXT,
    pages=COUNT,
    throttles=COUNT,
    complete=Field(read=_yes, write=lambda whole: "yes" if whole else "no"),
    **{name: _FIELDS[name] for name in _IN_COVERAGE},
)
_MANIFEST = _table(
    type=TEXT,
    ledger=TEXT,
    stream=TEXT,
    seq=COUNT,
    prev=HEX,
    kind=TEXT,
    window=INTERVAL,
    run=_ABOUT.always,
    coverage=_COVERAGE.always,
    counts=COUNTS,
    rules_root=HEX,
    corrects=SOME,
    **{name: own for name, own in _FIELDS.items() if name not in _IN_COVERAGE},
)


# --- writing --------------------------------------------------------------------------


def manifest_bytes(run: Run, previous: Run | None) -> bytes:
    """Write the manifest of a run as the canonical bytes that follow `previous`.

    `run.sha256` and `run.rules_root` are derived and need not be set. A list that the
    run's objects hold is left to them.
    """
    return canonical(document(run, previous))


def document(run: Run, previous: Run | None) -> dict[str, Json]:
    """Give the manifest of a run as a tree, with rule rows relative to `previous`."""
    changed, removed = _rule_changes(run, previous)
    values: dict[str, Any] = {name: getattr(run, name) for name in _OWN}
    values |= {
        "type": TYPE,
        "rules": changed,
        "rules_removed": removed,
        "rules_root": run.rules_root or rules_root(run.rules),
    }
    for name in moved(run.objects):
        values[name] = ()
        if name == "objects":
            values[name] = tuple(filter(is_list, run.objects))
    about = {name: getattr(run, name) for name in _ABOUT_OWN}
    values["run"] = {**about, "id": run.run_id, "skew_s": skew(run)}
    values["coverage"] = values
    return _MANIFEST.write(values)


_OWN = tuple(
    {*_MANIFEST.keys, *_COVERAGE.keys}
    - {"type", "run", "coverage", "rules", "rules_removed"}
)
_ABOUT_OWN = tuple({*_ABOUT.keys} - {"id", "skew_s"})


def is_list(stored: StoredObject) -> bool:
    """Tell whether an object holds a list of a manifest."""
    return stored.role.startswith(LIST)


def moved(objects: Iterable[StoredObject]) -> dict[str, list[StoredObject]]:
    """Give the objects that hold a manifest's lists, by the list's name."""
    found: dict[str, list[StoredObject]] = {}
    for stored in objects:
        if is_list(stored):
            found.setdefault(stored.role.removeprefix(LIST), []).append(stored)
    return found


def long_lists(
    run: Run, previous: Run | None
) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Give (role, lines) of every object that the lists of a run have to move into."""
    tree: dict[str, Any] = document(run, previous)
    coverage: dict[str, Any] = tree["coverage"]
    lines = {
        name: sorted(map(canonical, part.pop(name)))
        for part in (tree, coverage)
        for name in LISTS.keys() & part.keys()
    }
    sizes = {name: sum(map(len, own)) + len(own) for name, own in lines.items()}
    over = len(canonical(tree)) + sum(sizes.values()) - MOST
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        if over <= 0 or sizes[name] <= SHORT:
            return
        over -= sizes[name] - SHORT
        for first in range(0, len(lines[name]), ROWS):
            yield LIST + name, tuple(lines[name][first : first + ROWS])


def _rule_changes(
    run: Run, previous: Run | None
) -> tuple[tuple[RuleInstance, ...], tuple[str, ...]]:
    """Give the rows that are new or different, and the keys of those that went."""
    if previous and run.rules is previous.rules:
        return (), ()
    before = {row.key: row for row in previous.rules} if previous else {}
    changed = [
        row
        for row in run.rules
        # Most are the very same: not worth comparing field by field.
        if (old := before.get(row.key)) is not row and old != row
    ]
    removed = before.keys() - {row.key for row in run.rules}
    return tuple(sorted(changed, key=attrgetter("key"))), tuple(sorted(removed))


def skew(run: Run) -> int:
    """Give the seconds by which AWS's clock is ahead of the collector's."""
    return (run.aws_date - run.started) // SECOND


def rules_root(rules: Iterable[RuleInstance]) -> str:
    """Give the Merkle root over the rows of all rule instances, by key."""
    return merkle_root(map(RULE.line, sorted(rules, key=attrgetter("key"))))


# --- reading --------------------------------------------------------------------------


def no_lists(stored: StoredObject) -> NoReturn:
    """Refuse to give a list: nobody said where the objects are."""
    message = "a list of the ledger is in the vault, and no vault is at hand"
    raise ControlbookError(
        message,
        place=stored.key,
        advice="run this where the vault can be read",
        code=Exit.UNAVAILABLE,
    )


def read_manifest(
    data: bytes, sha256: str, previous: Run | None, lists: Lists = no_lists
) -> Run:
    """Read the manifest that follows `previous`; MalformedManifestError if it cannot.

    Says nothing about the chain: that is ledger.py's. `lists` gives what moved; what it
    raises for an object that it cannot give goes through.
    """
    tree = parsed(data)
    try:
        values = _MANIFEST.read(dict(tree))
        about, coverage = values.pop("run"), values.pop("coverage")
        values |= coverage
        _take_in(values, lists)
        del values["type"]
        values["rules"] = _rules(values["rules"], values.pop("rules_removed"), previous)
        skew_s = about.pop("skew_s")
        run = Run(sha256=sha256, run_id=about.pop("id"), **about, **values)
    except RowError as error:
        raise MalformedManifestError(str(error)) from error
    if skew(run) != skew_s:
        _fail("run: skew_s: is not the difference of aws_date and started")
    return run


@lru_cache(maxsize=4096)
def parsed(data: bytes) -> Tree:
    """Read the bytes of a manifest as a tree, which nobody may change."""
    # One process reads the same growing ledger again and again (a demo of 92 days).
    try:
        tree = parse_canonical(data)
    except NotCanonicalError as error:
        message = f"not canonical: {error}"
        raise MalformedManifestError(message) from error
    if not isinstance(tree, dict) or tree.get("type") != TYPE:
        _fail(f"not a manifest of type {TYPE}")
    return tree


def _fail(message: str) -> NoReturn:
    raise MalformedManifestError(message)


def _take_in(values: dict[str, Any], lists: Lists) -> None:
    """Put the lists that moved where they belong."""
    for name, objects in moved(values["objects"]).items():
        if name not in LISTS:
            _fail(f"objects: {LIST}{name}: is no list of a manifest")
        here = values[name]
        if name == "objects":
            here = tuple(each for each in here if not is_list(each))
        if here:
            _fail(f"{name}: stands here, and in an object of its own")
        rows = [row for stored in objects for row in _read_list(name, stored, lists)]
        if any(isinstance(row, StoredObject) and is_list(row) for row in rows):
            _fail(f"{objects[0].key}: names lists within a list")
        kept = values[name] if name == "objects" else ()
        values[name] = (*sorted(rows, key=_ORDER.get(name)), *kept)


_ORDER: Mapping[str, Callable[[Any], Any]] = {
    "rules": attrgetter("key"),
    "pulls": attrgetter("merged_at", "number"),
}
"""By what a list that moved is put in order; the others by their rows themselves."""


def _read_list(name: str, stored: StoredObject, lists: Lists) -> tuple[Any, ...]:
    """Read one object of a list, and hold it against what the manifest says of it."""
    lines = lists(stored)
    if (len(lines), merkle_root(lines)) != (stored.records, stored.records_root):
        _fail(f"{stored.key}: is not the list of {name} that was collected")
    try:
        # Parsed as one: what is written again alike is canonical, each row of it too.
        trees = parse_canonical(b"[" + b",".join(lines) + b"]")
        rows: tuple[Any, ...] = _FIELDS[name].read(trees) if trees else ()
    except (NotCanonicalError, RowError) as error:
        message = f"{stored.key}: a row of {name}: {error}"
        raise MalformedManifestError(message) from error
    if len(rows) != len(lines):
        _fail(f"{stored.key}: its lines are not one row each")
    return rows


def _rules(
    changed: tuple[RuleInstance, ...],
    removed: tuple[str, ...],
    previous: Run | None,
) -> tuple[RuleInstance, ...]:
    """Give the rules in force: those before, moved by what changed."""
    if not removed and not changed:
        return previous.rules if previous else ()
    rows = {row.key: row for row in previous.rules} if previous else {}
    keys = [row.key for row in changed]
    if keys != sorted({*keys}) or list(removed) != sorted({*removed}):
        _fail("rules: are not in order, or stand twice")
    for key in removed:
        if rows.pop(key, None) is None:
            _fail(f"rules_removed: {key} is not in force")
    for row in changed:
        if row.key in removed or rows.get(row.key) == row:
            _fail(f"rules: {row.key} did not change")
        rows[row.key] = row
    return tuple(row for _, row in sorted(rows.items()))
