# SPDX-License-Identifier: Apache-2.0
"""One run manifest: a `Run` as canonical JSON, and back.

Rules enforced here:
- a manifest holds only the rule rows that changed since the one before; the rest is
  inherited, and `rules_root` binds all of them;
- every field has one spelling (rows.py), so one run has one manifest;
- a run that starts the rules anew holds every row, and inherits none;
- a manifest is at most 64 KiB: while it is longer, its longest list moves into objects
  of the vault with the role `list:<name>`; the manifest keeps their digest, count and
  Merkle root, and the list itself is not in it;
- a list whose rows name an account has one canonical line an account, any other one a
  row; an object with the role `index` gives the leaf of every account in every list, so
  that a part of a list shows whether it has all of an account;
- a list that moved is read from there, or when somebody looks: never as empty.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache, partial
from itertools import accumulate, chain
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from .digest import (
    NotCanonicalError,
    canonical,
    leaf_hash,
    merkle_root,
    parse_canonical,
)
from .errors import ControlbookError, Exit
from .eventrows import ASKED, CHAIN, EVENT, EVENT_COUNT
from .later import Later, at_hand
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
from .reach import (
    INDEX,
    LIST,
    LONGEST,
    OBJECTS,
    RULES,
    WHOLE,
    Depth,
    Outline,
    moved_among,
)
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
from .timeline import SECOND, Interval, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .digest import (
        Json,
    )

    Tree = Mapping[str, Json]
    Lists = Callable[[StoredObject], Iterable[bytes]]
    """Gives the lines of an object that holds a list, as far as they are at hand.

    The object was held against its manifest when the last line is given. Raises
    ControlbookError.
    """

TYPE = "controlbook/run/1"
MOST = 64 * 1024
"""No manifest has more bytes, as far as its lists make it long."""
SHORT = 2 * 1024
"""A list that is not worth moving: the row of its object takes nearly as much."""
ROWS = 10_000
"""So many rows stand in one object, or those of one account; then comes another."""
SOURCE = "source"
"""The role of the objects that may be listed elsewhere: AWS's own bytes."""


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

BY_ACCOUNT = frozenset(
    {
        "chains",
        "event_counts",
        "events",
        "missing",
        "observations",
        "rules",
        "transitions",
    }
)
"""The lists with one line an account."""
_FIELDS = {name: row.rows if row else TEXTS for name, row in LISTS.items()}
_WHOSE = re.compile(rb'\{"account":("(?:[^"\\]|\\.)*"),')
"""How a line of an account begins."""
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


def _anew(value: object) -> bool:
    if value != "yes":
        message = "is not yes, and then it is left out"
        raise RowError(message)
    return True


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
    anew=Field(read=_anew, write=lambda _: "yes", blank=False),
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
        if name == OBJECTS:
            values[name] = tuple(o for o in run.objects if o.role != SOURCE)
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
    """Tell whether an object holds a list of a manifest, or the index of its lists."""
    return stored.role.startswith(LIST) or stored.role == INDEX


def moved(objects: Iterable[StoredObject]) -> dict[str, list[StoredObject]]:
    """Give the objects that hold a manifest's lists, by the list's name."""
    found: dict[str, list[StoredObject]] = {}
    for stored in objects:
        if stored.role.startswith(LIST):
            found.setdefault(stored.role.removeprefix(LIST), []).append(stored)
    return found


def long_lists(
    run: Run, previous: Run | None
) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Give (role, lines) of every object that the lists of a run have to move into.

    The index of the lists with one line an account comes last.
    """
    tree: dict[str, Any] = document(run, previous)
    coverage: dict[str, Any] = tree["coverage"]
    rows = {
        name: part.pop(name)
        for part in (tree, coverage)
        for name in LISTS.keys() & part.keys()
    }
    stay = [row for row in rows.get(OBJECTS, ()) if row["role"] != SOURCE]
    if OBJECTS in rows:
        rows[OBJECTS] = [row for row in rows[OBJECTS] if row["role"] == SOURCE]
    sizes = {name: len(canonical(own)) for name, own in rows.items()}
    over = len(canonical([tree, stay])) + sum(sizes.values()) - MOST
    index: dict[str, dict[str, str]] = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        if over <= 0 or sizes[name] <= SHORT or not rows[name]:
            break
        over -= sizes[name] - SHORT
        for lines in _objects_of(name, rows[name]):
            for line in lines if name in BY_ACCOUNT else ():
                index.setdefault(whose(line), {})[name] = leaf_hash(line).hex()
            yield LIST + name, lines
    if index:
        yield INDEX, tuple(sorted(map(_INDEX.line, index.items())))


_INDEX: Row[tuple[str, dict[str, str]]] = Row(
    lambda account, leaves: (account, dict(leaves)),
    tuple,
    account=PLAIN,
    leaves=PAIRS,
)


def _objects_of(name: str, rows: Sequence[Any]) -> Iterator[tuple[bytes, ...]]:
    """Write a list as the lines of one object or more, in order."""
    if name not in BY_ACCOUNT:
        lines = sorted(map(canonical, rows))
        for first in range(0, len(lines), ROWS):
            yield tuple(lines[first : first + ROWS])
        return
    own: dict[str, list[Any]] = {}
    for row in rows:
        own.setdefault(row["account"], []).append(row)
    lines, held = [], 0
    for account in sorted(own, key=canonical):
        if held and held + len(own[account]) > ROWS:
            yield tuple(lines)
            lines, held = [], 0
        lines.append(canonical({"account": account, "rows": own[account]}))
        held += len(own[account])
    yield tuple(lines)


def whose(line: bytes) -> str:
    """Give the account of a line; MalformedManifestError where it is none of one."""
    found = _WHOSE.match(line)
    if not found:
        _fail("a line of a list does not begin with its account")
    account: str = json.loads(found[1])
    return account


def starts_anew(run: Run, past: Sequence[Run]) -> bool:
    """Tell whether a run has to write every rule: the first to end in a month.

    Only where they are too long for a manifest: else all of a year are read at once.
    """
    tiled = [each for each in past if each.kind != "correction"]
    if run.kind == "correction" or not tiled:
        return False
    if _month(tiled[-1].window) == _month(run.window):
        return False
    sizes = accumulate(len(RULE.line(row)) for row in run.rules)
    return any(size > MOST for size in sizes)


def _month(window: Interval) -> str:
    return iso(window.end)[: len("2028-01")]


def _rule_changes(
    run: Run, previous: Run | None
) -> tuple[tuple[RuleInstance, ...], tuple[str, ...]]:
    """Give the rows that are new or different, and the keys of those that went."""
    if run.anew:
        return tuple(sorted(run.rules, key=attrgetter("key"))), ()
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
    data: bytes,
    sha256: str,
    previous: Run | None,
    lists: Lists = no_lists,
    depth: Depth = WHOLE,
) -> Run:
    """Read the manifest that follows `previous`; MalformedManifestError if it cannot.

    Says nothing about the chain: that is ledger.py's. `lists` gives what moved; what it
    raises for an object that it cannot give goes through. What is beyond `depth` is
    read when somebody looks at it.
    """
    tree = parsed(data)
    try:
        values = _MANIFEST.read(dict(tree))
        about, coverage = values.pop("run"), values.pop("coverage")
        values |= coverage
        _take_in(values, lists, depth)
        del values["type"]
        rules, removed = values["rules"], values.pop("rules_removed")
        if depth.rules and depth.rows:
            before = () if values["anew"] or not previous else previous.rules
            rules = tuple(row for row in rules if depth.of(row.account))
            whole = depth.accounts is None
            values["rules"] = rules_after(
                rules, removed, before, anew=values["anew"], whole=whole
            )
        else:
            values["rules"] = Later(partial(_unfollowed, values["seq"]))
        if at_hand(values["transitions"]):
            moves = values["transitions"]
            values["transitions"] = tuple(m for m in moves if depth.of(m.account))
        skew_s = about.pop("skew_s")
        run = Run(sha256=sha256, run_id=about.pop("id"), **about, **values)
    except RowError as error:
        raise MalformedManifestError(str(error)) from error
    if skew(run) != skew_s:
        _fail("run: skew_s: is not the difference of aws_date and started")
    return run


def without_rows(run: Run) -> Run:
    """Let go of a run's rules and transitions, which nobody may look at any more."""
    gone = partial(_unfollowed, run.seq)
    return replace(run, rules=Later(gone), transitions=Later(gone))


def _unfollowed(seq: int) -> NoReturn:
    message = f"the rules of run {seq:06d} were not read: nothing here rests on them"
    raise ControlbookError(message, code=Exit.INTEGRITY)


def latest_rules(manifests: Iterable[bytes], lists: Lists) -> tuple[RuleInstance, ...]:
    """Give the rules in force at the end of manifests, which come newest first.

    Reads back to the last one that wrote them anew; a row that a later one replaced is
    not looked at. Lists are taken as their digests bind them; whether they have the one
    spelling that they should is for whoever reads all of the ledger.
    """
    rows: dict[str, RuleInstance | None] = {}
    for data in manifests:
        tree: Any = parsed(data)
        held = moved(map(OBJECT.read, tree.get("objects", ())))
        for tree_row in _rule_trees(tree, held.get("rules", ()), lists):
            key = tree_row["key"]
            if key not in rows:
                rows[key] = RULE.read(tree_row)
        gone = tree.get("rules_removed", ())
        for stored in held.get("rules_removed", ()):
            gone = _plain_rows("rules_removed", stored, lists)
        for key in gone:
            rows.setdefault(key, None)
        if tree.get("anew"):
            break
    return tuple(row for _, row in sorted(rows.items()) if row is not None)


def _rule_trees(
    tree: dict[str, Any], objects: Iterable[StoredObject], lists: Lists
) -> Iterator[dict[str, Any]]:
    yield from tree.get("rules", ())
    for stored in objects:
        for line in lists(stored):
            yield from orjson.loads(line)["rows"]


def outline_in(data: bytes) -> Outline | None:
    """Read what a manifest says before any list; None for what is no manifest."""
    try:
        tree: Any = parsed(data)
        window = INTERVAL.read(tree["window"])
        roles = [row["role"] for row in tree.get("objects", ())]
        anew = tree.get("anew") == "yes"
        seq, kind = tree["seq"], tree["kind"]
        if type(seq) is not int or {type(text) for text in (kind, *roles)} != {str}:
            return None
        return Outline(seq, kind, window, anew, moved_among(roles))
    except (MalformedManifestError, LookupError, TypeError, ValueError):
        return None


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


def _take_in(values: dict[str, Any], lists: Lists, depth: Depth) -> None:
    """Put the lists that moved where they belong, or what reads them later."""
    held = moved(values["objects"])
    index = [stored for stored in values["objects"] if stored.role == INDEX]
    if BY_ACCOUNT & held.keys() and len(index) != 1:
        _fail("objects: one index of the lists by account is due")
    for name, objects in held.items():
        if name not in LISTS:
            _fail(f"objects: {LIST}{name}: is no list of a manifest")
        here = values[name]
        if name == OBJECTS:
            here = tuple(each for each in here if each.role == SOURCE)
        if here:
            _fail(f"{name}: stands here, and in an object of its own")
        read = partial(_read_list, name, tuple(objects), index, lists, depth)
        if name == OBJECTS:
            if depth.objects:
                values[name] = (*read(), *values[name])
        elif depth.reads(name):
            values[name] = read()
        elif name not in RULES:
            keep = depth.rows or name not in LONGEST
            values[name] = Later(partial(_looked_at, read), keep=keep)


def _looked_at(read: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    try:
        return read()
    except MalformedManifestError as error:
        raise ControlbookError(str(error), code=Exit.INTEGRITY) from error


def listed(run: Run, lists: Lists) -> tuple[StoredObject, ...]:
    """Read which source packs a run stored that its manifest cannot name itself.

    Of a run that was read whole, and so has them already, these are none.
    """
    objects = moved(run.objects).get(OBJECTS, ())
    if not objects or any(stored.role == SOURCE for stored in run.objects):
        return ()
    rows: tuple[StoredObject, ...] = _read_list(OBJECTS, objects, (), lists, WHOLE)
    return rows


_ORDER: Mapping[str, Callable[[Any], Any]] = {
    "rules": attrgetter("key"),
    "pulls": attrgetter("merged_at", "number"),
}
"""By what a list that moved is put in order; the others by their rows themselves."""


def _read_list(
    name: str,
    objects: Sequence[StoredObject],
    index: Sequence[StoredObject],
    lists: Lists,
    depth: Depth,
) -> tuple[Any, ...]:
    """Read a list from the objects that hold it."""
    if name in BY_ACCOUNT:
        leaves = leaves_of(name, index[0], lists)
        lines = _own_lines(name, objects, leaves, lists, depth)
        parts = [_accounts_rows(name, account, line) for account, line in lines]
        return tuple(sorted(chain.from_iterable(parts), key=_ORDER.get(name)))
    found = [row for stored in objects for row in _plain_rows(name, stored, lists)]
    if name == OBJECTS and any(row.role != SOURCE for row in found):
        _fail(f"{objects[0].key}: names what is no source pack")
    return tuple(sorted(found, key=_ORDER.get(name)))


def rows_by_account(
    name: str, data: bytes, lists: Lists, depth: Depth
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Give the rows of a list in a manifest's bytes, account by account, in order.

    Each row of an account is read when it is asked for, the next object of a list
    when the one before it is done.
    """
    tree: Any = parsed(data)
    stored = list(map(OBJECT.read, tree.get("objects", ())))
    if objects := moved(stored).get(name):
        index = next(each for each in stored if each.role == INDEX)
        leaves = leaves_of(name, index, lists)
        # Or an account would be passed by, and its rows be missed further on.
        if list(leaves) != sorted(leaves, key=canonical):
            _fail(f"{index.key}: the index of the lists is not in order")
        for account, line in _own_lines(name, objects, leaves, lists, depth):
            yield account, _accounts_rows(name, account, line)
        return
    here: dict[str, list[Any]] = {}
    for row in _FIELDS[name].read(tree[name]) if name in tree else ():
        if depth.of(row.account):
            here.setdefault(row.account, []).append(row)
    for account in sorted(here, key=canonical):
        yield account, tuple(here[account])


def rules_gone(data: bytes, lists: Lists) -> tuple[str, ...]:
    """Give the keys of the rules that a manifest's bytes remove."""
    tree: Any = parsed(data)
    held = moved(map(OBJECT.read, tree.get("objects", ())))
    if objects := held.get("rules_removed", ()):
        return _read_list("rules_removed", objects, (), lists, WHOLE)
    return tuple(tree.get("rules_removed", ()))


def leaves_of(name: str, index: StoredObject, lists: Lists) -> Mapping[str, str]:
    """Read which account has which leaf in a list, in their order."""
    found = {}
    lines = list(lists(index))
    if len(lines) != index.records:
        _fail(f"{index.key}: the index of the lists is not whole")
    try:
        for line in lines:
            account, leaves = _INDEX.read(parse_canonical(line))
            if name in leaves:
                found[account] = leaves[name]
    except (NotCanonicalError, RowError) as error:
        message = f"{index.key}: a row of the index: {error}"
        raise MalformedManifestError(message) from error
    return found


def parts_of(
    objects: Iterable[StoredObject], leaves: Mapping[str, str], depth: Depth
) -> Iterator[tuple[StoredObject, set[str]]]:
    """Give the objects of a list that hold lines of accounts that are read, with these.

    The lines stand in the order of the index, over all objects: one that holds other
    accounts alone need not be asked for.
    """
    order, first = list(leaves), 0
    for stored in objects:
        own = order[first : first + stored.records]
        first += stored.records
        if due := {account for account in own if depth.of(account)}:
            yield stored, due


def _own_lines(
    name: str,
    objects: Sequence[StoredObject],
    leaves: Mapping[str, str],
    lists: Lists,
    depth: Depth,
) -> Iterator[tuple[str, bytes]]:
    """Give the lines of the accounts that are read, if they are what the index says."""
    if sum(stored.records for stored in objects) != len(leaves):
        _fail(f"{objects[0].key}: its {name} are not those of the index")
    for stored, due in parts_of(objects, leaves, depth):
        for line in lists(stored):
            account = whose(line)
            if not depth.of(account):
                continue
            if account not in due or leaves[account] != leaf_hash(line).hex():
                _fail(f"{stored.key}: its {name} of {account} are not the index's")
            due.discard(account)
            yield account, line
        for account in sorted(due):
            _fail(f"{stored.key}: its {name} of {account} are withheld")


def _accounts_rows(name: str, account: str, line: bytes) -> tuple[Any, ...]:
    """Read one account's line of a list."""
    try:
        tree: Any = parse_canonical(line)
        if tree.keys() != {"account", "rows"}:
            _fail(f"{name} of {account}: a line has other fields than account and rows")
        rows: tuple[Any, ...] = _FIELDS[name].read(tree["rows"])
    except (NotCanonicalError, RowError) as error:
        message = f"{name} of {account}: {error}"
        raise MalformedManifestError(message) from error
    if any(row.account != account for row in rows):
        _fail(f"{name} of {account}: holds a row of another account")
    return rows


def _plain_rows(name: str, stored: StoredObject, lists: Lists) -> tuple[Any, ...]:
    """Read one object of a list that has one line a row."""
    lines = list(lists(stored))
    if len(lines) != stored.records:
        _fail(f"{stored.key}: is not the whole list of {name}")
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


def rules_after(
    changed: tuple[RuleInstance, ...],
    removed: tuple[str, ...],
    before: Sequence[RuleInstance],
    *,
    anew: bool,
    whole: bool,
) -> Sequence[RuleInstance]:
    """Give the rules in force: those before, moved by what changed.

    MalformedManifestError where they cannot follow. Where not the `whole` table is
    followed, keys of other accounts go unseen.
    """
    if not removed and not changed:
        return before
    if anew and removed:
        _fail("rules_removed: stands beside rules that are written anew")
    rows = {row.key: row for row in before}
    keys = [row.key for row in changed]
    if keys != sorted({*keys}) or list(removed) != sorted({*removed}):
        _fail("rules: are not in order, or stand twice")
    for key in removed:
        if rows.pop(key, None) is None and whole:
            _fail(f"rules_removed: {key} is not in force")
    gone = set(removed)
    known = len(rows)
    for row in changed:
        if row.key in gone or rows.get(row.key) == row:
            _fail(f"rules: {row.key} did not change")
        rows[row.key] = row
    if len(rows) == known:
        return tuple(rows.values())  # in their places, which were in order
    return tuple(row for _, row in sorted(rows.items()))
