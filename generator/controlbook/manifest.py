# SPDX-License-Identifier: Apache-2.0
"""One run manifest: a `Run` as canonical JSON, and back.

Rules enforced here:
- a manifest holds only the rule rows that changed since the one before; the rest is
  inherited, and `rules_root` binds all of them;
- empty texts and lists are left out, so one run has one spelling;
- reading writes the run again and demands the same document, so an unknown, missing or
  misspelt field never passes unread.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from .digest import (
    NotCanonicalError,
    canonical,
    merkle_root,
    parse_canonical,
)
from .eventrows import events_tree, read_events
from .model import (
    Missing,
    Pull,
    Review,
    RuleInstance,
    Run,
    Signature,
    State,
    StoredObject,
    Transition,
)
from .timeline import SECOND, Interval, instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .digest import (
        Json,
    )
    from .timeline import Instant

    Tree = Mapping[str, Json]

TYPE = "controlbook/run/1"

_QUERY = {"api", "parameters"}
_QUOTED = json.encoder.encode_basestring
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")


class MalformedManifestError(ValueError):
    """The bytes are not a run manifest; the message says what differs."""


# --- writing --------------------------------------------------------------------


def manifest_bytes(run: Run, previous: Run | None) -> bytes:
    """Write the manifest of a run as the canonical bytes that follow `previous`.

    `run.sha256` and `run.rules_root` are derived and need not be set.
    """
    return canonical(document(run, previous))


def document(run: Run, previous: Run | None) -> dict[str, Json]:
    """Give the manifest of a run as a tree, with rule rows relative to `previous`."""
    tree = _document(run, previous)
    if run.queries:
        tree["queries"] = [
            {"api": api, "parameters": json.loads(parameters)}
            for api, parameters in run.queries
        ]
    return tree


def _document(run: Run, previous: Run | None) -> dict[str, Json]:
    """Give all of a manifest but its queries."""
    changed, removed = _rule_changes(run, previous)
    tree: dict[str, Json] = {
        "type": TYPE,
        "ledger": run.ledger,
        "stream": run.stream,
        "seq": run.seq,
        "prev": run.prev,
        "kind": run.kind,
        "window": _interval(run.window),
        "run": _about(run),
        "coverage": _coverage(run),
        "counts": dict(run.counts),
        "rules": [*map(rule_row, changed)],
        "rules_removed": [*removed],
        "rules_root": run.rules_root or rules_root(run.rules),
        "transitions": [_transition(change) for change in run.transitions],
        "pulls": [_pull(pull) for pull in run.pulls],
        "objects": [_object(stored) for stored in run.objects],
        "notes": list(run.notes),
        **events_tree(run),
    }
    if run.corrects:
        tree["corrects"] = run.corrects
    return _kept(tree)


def _rule_changes(
    run: Run, previous: Run | None
) -> tuple[list[RuleInstance], list[str]]:
    """Give the rows that are new or different, and the keys of those that went."""
    if previous and run.rules is previous.rules:
        return [], []
    before = {row.key: row for row in previous.rules} if previous else {}
    after = {row.key: row for row in run.rules}
    changed = [
        row
        for key, row in sorted(after.items())
        if before.get(key) is not row and before.get(key) != row
    ]
    return changed, sorted(before.keys() - after.keys())


def _kept(tree: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in tree.items() if value or value == 0}


def _interval(interval: Interval) -> dict[str, Json]:
    return {"start": iso(interval.start), "end": iso(interval.end)}


def _about(run: Run) -> dict[str, Json]:
    return _kept(
        {
            "id": run.run_id,
            "started": iso(run.started),
            "finished": iso(run.finished),
            "aws_date": iso(run.aws_date),
            "skew_s": skew(run),
            "principal": run.principal,
            "endpoint": run.endpoint,
            "vault": run.vault,
            "collector": dict(run.collector),
        }
    )


def skew(run: Run) -> int:
    """Give the seconds by which AWS's clock is ahead of the collector's."""
    return (run.aws_date - run.started) // SECOND


def _coverage(run: Run) -> dict[str, Json]:
    return _kept(
        {
            "scopes": [{"assessment": a, "sha256": s} for a, s in run.scopes],
            "organizations_sha256": run.organizations_sha256,
            "pages": run.pages,
            "throttles": run.throttles,
            "complete": "yes" if run.complete else "no",
            "expected": _places(run.expected),
            "collected": _places(run.collected),
            "missing": [
                {
                    "account": row.account,
                    "region": row.region,
                    "reason": row.reason,
                    **_interval(row.interval),
                }
                for row in run.missing
            ],
        }
    )


def _places(places: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"account": account, "region": region} for account, region in places]


def rule_row(row: RuleInstance) -> dict[str, Json]:
    """Give the row of a rule instance as it stands in the manifest."""
    return _kept(
        {
            "key": row.key,
            "rule": row.rule,
            "deployed_as": row.deployed_as,
            "identifier": row.identifier,
            "parameters": dict(row.parameters),
            "account": row.account,
            "region": row.region,
            "trigger": row.trigger,
            "frequency": row.frequency,
            "matched": row.matched,
            "status": row.status,
            "population": row.population,
            "counts": dict(row.counts),
            "records_root": row.records_root,
        }
    )


def rules_root(rules: Iterable[RuleInstance]) -> str:
    """Give the Merkle root over the rows of all rule instances, by key."""
    return merkle_root(
        _row_bytes(row) for row in sorted(rules, key=lambda row: row.key)
    )


@lru_cache(maxsize=65536)
def _row_bytes(row: RuleInstance) -> bytes:
    return canonical(rule_row(row))


def _transition(change: Transition) -> dict[str, Json]:
    return _kept(
        {
            "at": iso(change.at),
            "instance": change.instance,
            "rule": change.rule,
            "account": change.account,
            "region": change.region,
            "resource": change.resource,
            "before": change.before.value,
            "after": change.after.value,
            "precision": change.precision,
            "cause": change.cause,
        }
    )


def _object(stored: StoredObject) -> dict[str, Json]:
    return _kept(
        {
            "role": stored.role,
            "bucket": stored.bucket,
            "key": stored.key,
            "version_id": stored.version_id,
            "sha256": stored.sha256,
            "size": stored.size,
            "records": stored.records,
            "content_sha256": stored.content_sha256,
            "content_size": stored.content_size,
            "records_root": stored.records_root,
            "lock": _kept({"mode": stored.lock_mode, "until": stored.lock_until}),
            "encryption": stored.encryption,
        }
    )


def _pull(pull: Pull) -> dict[str, Json]:
    return _kept(
        {
            "number": pull.number,
            "url": pull.url,
            "title": pull.title,
            "author_id": pull.author_id,
            "author_login": pull.author_login,
            "author_type": pull.author_type,
            "base": pull.base,
            "head": pull.head,
            "merge": pull.merge,
            "merged_by_id": pull.merged_by_id,
            "merged_at": iso(pull.merged_at),
            "pushers": list(pull.pushers),
            "paths": list(pull.paths),
            "reviews": [_review(review) for review in pull.reviews],
            "ruleset_sha256": pull.ruleset_sha256,
            "rule_suite": pull.rule_suite,
        }
    )


def _review(review: Review) -> dict[str, Json]:
    row: dict[str, Json] = {
        "id": review.id,
        "user_id": review.user_id,
        "user_login": review.user_login,
        "user_type": review.user_type,
        "state": review.state,
        "commit": review.commit,
        "submitted": iso(review.submitted),
    }
    if review.signatures:
        row["signatures"] = [
            _kept({"path": signature.path, "text": signature.text})
            for signature in review.signatures
        ]
    return row


# --- reading --------------------------------------------------------------------


def read_manifest(data: bytes, sha256: str, previous: Run | None) -> Run:
    """Read the manifest that follows `previous`; MalformedManifestError if it cannot.

    Says nothing about the chain: that is ledger.py's.
    """
    tree = parsed(data)
    try:
        run = _run(tree, sha256, previous)
    except MalformedManifestError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"not a run manifest: {type(error).__name__}: {error}"
        raise MalformedManifestError(message) from error
    # Questions were read without loss, or refused; the longest part is not rewritten.
    again = _document(run, previous)
    if "queries" in tree:
        again["queries"] = tree["queries"]
    if again != tree:
        keys = sorted(key for key in {*again, *tree} if again.get(key) != tree.get(key))
        _fail(
            f"{', '.join(keys)}: holds fields that are unknown, missing, or not"
            " spelt as this version spells them"
        )
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


def _text(tree: Tree, key: str) -> str:
    value = tree.get(key, "")
    if not isinstance(value, str):
        _fail(f"{key} is not text")
    return value


def _hex(tree: Tree, key: str) -> str:
    value = _text(tree, key)
    return value if _HEX64.match(value) else _fail(f"{key} is not a SHA-256")


def _int(tree: Tree, key: str) -> int:
    value = tree.get(key, 0)
    if not isinstance(value, int) or value < 0:
        _fail(f"{key} is not a count")
    return value


def _time(tree: Tree, key: str) -> Instant:
    try:
        return instant(_text(tree, key))
    except ValueError as error:
        _fail(f"{key}: {error}")


def _tree(tree: Tree, key: str) -> Tree:
    value = tree.get(key, {})
    return value if isinstance(value, dict) else _fail(f"{key} is not a mapping")


def _rows(tree: Tree, key: str) -> list[Tree]:
    value = tree.get(key, [])
    if not isinstance(value, list):
        _fail(f"{key} is not a list")
    return [row if isinstance(row, dict) else _fail(f"{key}: no rows") for row in value]


def _texts(tree: Tree, key: str) -> tuple[str, ...]:
    value = tree.get(key, [])
    if not isinstance(value, list):
        _fail(f"{key} is not a list")
    return tuple(v if isinstance(v, str) else _fail(f"{key}: no texts") for v in value)


def _pairs(tree: Tree, key: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, _text(_tree(tree, key), name)) for name in _tree(tree, key))


def _counts(tree: Tree, key: str) -> tuple[tuple[str, int], ...]:
    table = _tree(tree, key)
    for name in table:
        if name not in State.__members__ or name == State.ABSENT:
            _fail(f"{key}: {name} is not a state that is counted")
    return tuple(sorted((name, _int(table, name)) for name in table))


def _spelt(parameters: Tree) -> str:
    """Write parameters, already read as canonical JSON, as canonical text again."""
    # A run asks dozens of questions, nearly all with flat parameters: joining these
    # takes a third of the time of an encoder.
    pairs = []
    for name, value in sorted(parameters.items()):
        if isinstance(value, str):
            pairs.append(f"{_QUOTED(name)}:{_QUOTED(value)}")
        elif isinstance(value, int):
            pairs.append(f"{_QUOTED(name)}:{value}")
        else:
            return canonical(parameters).decode()
    return "{" + ",".join(pairs) + "}"


def _window(tree: Tree) -> Interval:
    return Interval(_time(tree, "start"), _time(tree, "end"))


def _read_places(tree: Tree, key: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_text(row, "account"), _text(row, "region")) for row in _rows(tree, key)
    )


def _run(tree: Tree, sha256: str, previous: Run | None) -> Run:
    about, coverage = _tree(tree, "run"), _tree(tree, "coverage")
    return Run(
        stream=_text(tree, "stream"),
        seq=_int(tree, "seq"),
        kind=_text(tree, "kind"),
        prev=_hex(tree, "prev"),
        sha256=sha256,
        ledger=_text(tree, "ledger"),
        window=_window(_tree(tree, "window")),
        run_id=_text(about, "id"),
        started=_time(about, "started"),
        finished=_time(about, "finished"),
        aws_date=_time(about, "aws_date"),
        principal=_text(about, "principal"),
        endpoint=_text(about, "endpoint"),
        vault=_text(about, "vault"),
        collector=_pairs(about, "collector"),
        expected=_read_places(coverage, "expected"),
        collected=_read_places(coverage, "collected"),
        missing=tuple(_read_missing(row) for row in _rows(coverage, "missing")),
        pages=_int(coverage, "pages"),
        throttles=_int(coverage, "throttles"),
        complete=_text(coverage, "complete") == "yes",
        queries=_read_queries(tree),
        counts=_counts(tree, "counts"),
        rules=_read_rules(tree, previous),
        rules_root=_hex(tree, "rules_root"),
        transitions=tuple(_read_transition(row) for row in _rows(tree, "transitions")),
        pulls=tuple(_read_pull(row) for row in _rows(tree, "pulls")),
        objects=tuple(_read_object(row) for row in _rows(tree, "objects")),
        notes=_texts(tree, "notes"),
        corrects=_int(tree, "corrects"),
        scopes=tuple(
            (_text(row, "assessment"), _text(row, "sha256"))
            for row in _rows(coverage, "scopes")
        ),
        organizations_sha256=_text(coverage, "organizations_sha256"),
        **read_events(tree),
    )


def _read_queries(tree: Tree) -> tuple[tuple[str, str], ...]:
    rows = _rows(tree, "queries")
    if ("queries" in tree) != bool(rows):
        _fail("queries: an empty list is left out")
    for row in rows:
        if row.keys() != _QUERY or not row["api"]:
            _fail("queries: a row is api and parameters, and nothing else")
    return tuple((_text(row, "api"), _spelt(_tree(row, "parameters"))) for row in rows)


def _read_missing(row: Tree) -> Missing:
    return Missing(
        account=_text(row, "account"),
        region=_text(row, "region"),
        reason=_text(row, "reason"),
        interval=_window(row),
    )


def _read_rules(tree: Tree, previous: Run | None) -> tuple[RuleInstance, ...]:
    rows = {row.key: row for row in previous.rules} if previous else {}
    removed = _texts(tree, "rules_removed")
    changed = [_read_rule(row) for row in _rows(tree, "rules")]
    if not removed and not changed:
        return previous.rules if previous else ()
    for key in removed:
        if rows.pop(key, None) is None:
            _fail(f"rules_removed: {key} is not in force")
    for row in changed:
        rows[row.key] = row
    return tuple(row for _, row in sorted(rows.items()))


def _read_rule(row: Tree) -> RuleInstance:
    return RuleInstance(
        key=_text(row, "key"),
        rule=_text(row, "rule"),
        deployed_as=_text(row, "deployed_as"),
        identifier=_text(row, "identifier"),
        parameters=_pairs(row, "parameters"),
        account=_text(row, "account"),
        region=_text(row, "region"),
        trigger=_text(row, "trigger"),
        frequency=_text(row, "frequency"),
        matched=_text(row, "matched"),
        status=_text(row, "status"),
        population=_int(row, "population"),
        counts=_counts(row, "counts"),
        records_root=_hex(row, "records_root"),
    )


def _read_transition(row: Tree) -> Transition:
    return Transition(
        at=_time(row, "at"),
        instance=_text(row, "instance"),
        rule=_text(row, "rule"),
        account=_text(row, "account"),
        region=_text(row, "region"),
        resource=_text(row, "resource"),
        before=State(_text(row, "before")),
        after=State(_text(row, "after")),
        precision=_text(row, "precision"),
        cause=_text(row, "cause"),
    )


def _read_object(row: Tree) -> StoredObject:
    lock = _tree(row, "lock")
    return StoredObject(
        role=_text(row, "role"),
        bucket=_text(row, "bucket"),
        key=_text(row, "key"),
        version_id=_text(row, "version_id"),
        sha256=_hex(row, "sha256"),
        size=_int(row, "size"),
        lock_mode=_text(lock, "mode"),
        lock_until=_text(lock, "until"),
        encryption=_text(row, "encryption"),
        records=_int(row, "records"),
        content_sha256=_text(row, "content_sha256"),
        content_size=_int(row, "content_size"),
        records_root=_text(row, "records_root"),
    )


def _read_pull(row: Tree) -> Pull:
    return Pull(
        number=_int(row, "number"),
        url=_text(row, "url"),
        title=_text(row, "title"),
        author_id=_text(row, "author_id"),
        author_login=_text(row, "author_login"),
        author_type=_text(row, "author_type"),
        base=_text(row, "base"),
        head=_text(row, "head"),
        merge=_text(row, "merge"),
        merged_by_id=_text(row, "merged_by_id"),
        merged_at=_time(row, "merged_at"),
        pushers=_texts(row, "pushers"),
        paths=_texts(row, "paths"),
        reviews=tuple(_read_review(review) for review in _rows(row, "reviews")),
        ruleset_sha256=_text(row, "ruleset_sha256"),
        rule_suite=_text(row, "rule_suite"),
    )


def _read_review(row: Tree) -> Review:
    return Review(
        id=_text(row, "id"),
        user_id=_text(row, "user_id"),
        user_login=_text(row, "user_login"),
        user_type=_text(row, "user_type"),
        state=_text(row, "state"),
        commit=_text(row, "commit"),
        submitted=_time(row, "submitted"),
        signatures=tuple(
            Signature(path=_text(each, "path"), text=_text(each, "text"))
            for each in _rows(row, "signatures")
        ),
    )
