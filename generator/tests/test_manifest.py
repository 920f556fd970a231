# SPDX-License-Identifier: Apache-2.0
"""The spelling of a run manifest: laws that hold whatever a run says."""

from __future__ import annotations

import copy
import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest
import small
from happened import event, run
from hypothesis import given, settings
from hypothesis import strategies as st

from controlbook import manifest
from controlbook.digest import ZERO, canonical, merkle_root, sha256
from controlbook.manifest import (
    LISTS,
    MOST,
    SHORT,
    MalformedManifestError,
    long_lists,
    manifest_bytes,
    read_manifest,
    rules_root,
)
from controlbook.model import (
    Contradiction,
    DigestChain,
    Event,
    EventCount,
    Failing,
    Missing,
    Observation,
    Pull,
    Review,
    RuleInstance,
    Run,
    Signature,
    State,
    StoredObject,
    Transition,
)
from controlbook.timeline import Instant, Interval
from controlbook.vault.packs import pack

if TYPE_CHECKING:
    from collections.abc import Iterable

words = st.text('abé:/"\\ -', min_size=1, max_size=6)
texts = st.text("aé:", max_size=3)
digests = st.binary(max_size=2).map(sha256)
times = st.integers(0, 10**13).map(Instant)
counts = st.integers(0, 2**53 - 1)
intervals = st.tuples(times, st.integers(1, 10**9)).map(
    lambda pair: Interval(pair[0], Instant(pair[0] + pair[1]))
)
states = st.sampled_from(State)
places = st.tuples(words, words)
numbers = st.dictionaries(st.text("ab", min_size=1), counts, max_size=2).map(
    lambda table: tuple(sorted(table.items()))
)
parameters = st.dictionaries(st.text("ab", min_size=1), texts, max_size=2)
pairs = parameters.map(lambda table: tuple(sorted(table.items())))
state_counts = st.dictionaries(
    st.sampled_from([s.value for s in State if s is not State.ABSENT]), counts
).map(lambda table: tuple(sorted(table.items())))


def rows(each: st.SearchStrategy[object], **how: object) -> st.SearchStrategy[object]:
    """Lists as runs hold them: in order of their rows."""
    return st.lists(each, max_size=2, unique=True, **how).map(  # type: ignore[arg-type]
        lambda found: tuple(sorted(found))  # type: ignore[type-var]
    )


made = {
    RuleInstance: {
        "parameters": pairs,
        "population": counts,
        "counts": state_counts,
        "records_root": digests,
    },
    Transition: {"at": times, "before": states, "after": states, "cause": texts},
    Missing: {"interval": intervals},
    Event: {"at": times, "about": texts, "error": texts},
    EventCount: {"count": counts, "first": times, "last": times, "root": digests},
    DigestChain: {"start": times, "end": times, "digests": counts, "log_files": counts},
    Observation: {
        "covers": intervals,
        "at": times,
        "result": texts,
        "records": counts,
        "counts": numbers,
        "changes": numbers,
        "shown": st.lists(texts, max_size=2).map(tuple),
        "moves": st.lists(st.tuples(times, texts), max_size=2).map(tuple),
    },
    Failing: {"since": times, "workflow": texts},
    StoredObject: {
        "role": st.sampled_from(["source", "records", "state"]),
        "sha256": digests,
        "size": counts,
        "records": counts,
        "content_size": counts,
        "lock_mode": st.sampled_from(["", "none", "COMPLIANCE"]),
    },
    Signature: {"path": texts},
    Review: {"submitted": times, "commit": texts, "signatures": st.just(())},
}


def values(kind: type) -> st.SearchStrategy[object]:
    """Values of a row: words, but where the table above says otherwise."""
    own = made.get(kind, {})
    return st.builds(
        kind, **{field.name: own.get(field.name, words) for field in fields(kind)}
    )


made[Observation]["failing"] = st.lists(values(Failing), max_size=2).map(tuple)
made[Review]["signatures"] = st.lists(values(Signature), max_size=2).map(tuple)
made[Pull] = {
    "number": counts,
    "merged_at": times,
    "pushers": st.lists(texts, max_size=2).map(tuple),
    "paths": st.lists(texts, max_size=2).map(tuple),
    "reviews": st.lists(values(Review), max_size=2).map(tuple),
}
CONTRADICTION = Contradiction(
    evidence="audit-manager:1",
    group="Data at rest / backups",
    control="Stored objects are encrypted",
    at=Instant(1_000),
    identifier="S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED",
    account="111122223333",
    resource="arn:aws:s3:::é",
    theirs="NON_COMPLIANT",
    ours=("COMPLIANT",),
    id="2",
)
runs = st.builds(
    Run,
    stream=words,
    seq=counts,
    kind=words,
    prev=st.just(ZERO),
    sha256=st.just(""),
    ledger=words,
    window=intervals,
    run_id=words,
    started=times,
    finished=times,
    aws_date=times,
    principal=texts,
    endpoint=words,
    vault=words,
    collector=pairs,
    expected=rows(places),
    collected=rows(places),
    anew=st.booleans(),
    missing=rows(values(Missing)),
    pages=counts,
    throttles=counts,
    complete=st.booleans(),
    queries=rows(st.tuples(words, parameters.map(lambda p: canonical(p).decode()))),
    counts=state_counts,
    rules=st.lists(values(RuleInstance), max_size=2, unique_by=lambda r: r.key).map(  # type: ignore[attr-defined]
        lambda found: tuple(sorted(found, key=lambda row: row.key))  # type: ignore[attr-defined]
    ),
    rules_root=st.just(""),
    transitions=rows(values(Transition)),
    pulls=st.lists(
        values(Pull),
        max_size=2,
        unique_by=lambda p: (p.merged_at, p.number),  # type: ignore[attr-defined]
    ).map(lambda found: tuple(sorted(found, key=lambda p: (p.merged_at, p.number)))),  # type: ignore[attr-defined]
    objects=rows(values(StoredObject)),
    notes=rows(texts),
    corrects=counts,
    scopes=rows(places),
    organizations_sha256=texts,
    observations=rows(values(Observation)),
    asked=rows(places),
    event_counts=rows(values(EventCount)),
    events=rows(values(Event)),
    chains=rows(values(DigestChain)),
    contradictions=st.sampled_from([(), (CONTRADICTION,)]),
)


def whole(run: Run, previous: Run | None = None) -> tuple[Run, dict[str, bytes]]:
    """Move a run's long lists out, as a collector does; give their content too."""
    held: dict[str, bytes] = {}
    for role, lines in long_lists(run, previous):
        made = pack(lines)
        held[made.sha256] = b"".join(line + b"\n" for line in lines)
        stored = StoredObject(
            role=role,
            bucket="b",
            key=made.key(run.stream),
            version_id="v",
            sha256=made.sha256,
            size=len(made.body),
            lock_mode="none",
            lock_until="",
            records=made.records,
            content_sha256=made.content_sha256,
            content_size=made.content_size,
            records_root=made.records_root,
        )
        run = replace(run, objects=(*run.objects, stored))
    return run, held


def read(data: bytes, held: dict[str, bytes]) -> Run:
    def lists(stored: StoredObject) -> list[bytes]:
        return held[stored.sha256].split(b"\n")[:-1]

    return read_manifest(data, "", None, lists)


@settings(max_examples=40)
@given(runs)
def test_a_run_reads_back(one: Run) -> None:
    data = manifest_bytes(one, None)
    assert read(data, {}) == replace(one, rules_root=rules_root(one.rules))


@settings(max_examples=40)
@given(runs, st.integers(1, 3))
def test_a_run_whose_lists_moved_reads_back(one: Run, rows_each: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manifest, "MOST", 0)
        patched.setattr(manifest, "SHORT", 0)
        patched.setattr(manifest, "ROWS", rows_each)
        moved, held = whole(one)
    data = manifest_bytes(moved, None)
    tree = json.loads(data)
    assert not (LISTS.keys() - {"objects"}) & {*tree, *tree["coverage"]}
    found = read(data, held)
    assert sorted(found.objects) == sorted(moved.objects)
    assert replace(found, objects=()) == replace(
        one, objects=(), rules_root=rules_root(one.rules)
    )
    assert manifest_bytes(found, None) == data


@settings(max_examples=80)
@given(runs, st.data())
def test_what_reads_is_spelt_in_its_one_way(one: Run, data: st.DataObject) -> None:
    tree = json.loads(manifest_bytes(one, None))
    _disturb(tree, data)
    try:
        spelt = canonical(tree)
        found = read(spelt, {})
    except MalformedManifestError:
        return
    assert manifest_bytes(found, None) == spelt


def _disturb(tree: dict[str, object], data: st.DataObject) -> None:
    """Change one place of a tree: drop, add, empty, or put another there."""
    spots = list(_spots(tree))
    table, key = data.draw(st.sampled_from(spots))
    how = data.draw(st.sampled_from(["drop", "add", "value", "twice"]))
    if how == "drop":
        del table[key]
    elif how == "add" and isinstance(table, dict):
        table["remark"] = "x"
    elif how == "twice" and isinstance(table, list):
        table.append(copy.deepcopy(table[key]))
    else:
        table[key] = data.draw(
            st.sampled_from(["", "x", 0, 1, -1, [], {}, ["x"], [{}], {"a": 1}])
        )


def _spots(tree: object) -> Iterable[tuple[object, object]]:
    items: Iterable[tuple[object, object]] = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        yield tree, key
        yield from _spots(value)


def test_short_lists_stay_where_they_are() -> None:
    assert list(long_lists(run(1, event("2028-02-13T09:41:07Z")), None)) == []


@pytest.mark.parametrize("days", [1, 40])
def test_no_manifest_is_longer_than_it_may_be(days: int) -> None:
    base = small.run(2)
    (move,) = base.transitions[:1] or (_move(base),)
    many = tuple(
        sorted(
            replace(move, at=Instant(base.window.start + n), resource=f"{n:080d}")
            for n in range(days * 100)
        )
    )
    big, held = whole(replace(base, transitions=many))
    data = manifest_bytes(big, None)
    assert len(data) <= MOST
    assert bool(held) == (days > 1)
    assert read(data, held).transitions == many


def _move(base: Run) -> Transition:
    rule = base.rules[0]
    return Transition(
        at=base.window.start,
        instance=rule.key,
        rule=rule.rule,
        account=rule.account,
        region=rule.region,
        resource="r",
        before=State.COMPLIANT,
        after=State.NON_COMPLIANT,
        precision="change",
    )


def test_a_list_is_worth_more_than_the_row_that_names_it() -> None:
    one, _ = whole(replace(run(1), queries=(("a", "{}"),) * (MOST // 20)))
    (stored,) = [each for each in one.objects if each.role.startswith("list:")]
    assert len(manifest.OBJECT.line(stored)) < SHORT
    assert merkle_root([]) != stored.records_root
