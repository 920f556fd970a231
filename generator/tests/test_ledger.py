# SPDX-License-Identifier: Apache-2.0
"""The ledger: what a manifest says, how the chain holds, what the states fold to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.digest import ZERO, canonical, merkle_root, sha256
from controlbook.errors import Exit
from controlbook.ledger import (
    LedgerError,
    chain_problems,
    fold_states,
    manifest_bytes,
    manifest_path,
    parse_state_lines,
    read_ledger,
    records_root_lines,
    rule_key,
    state_lines,
)
from controlbook.model import (
    Missing,
    Pull,
    Review,
    RuleInstance,
    Run,
    Standing,
    State,
    StoredObject,
    Transition,
)
from controlbook.timeline import DAY, HOUR, MINUTE, Instant, Interval, instant

START = instant("2028-02-13T00:00:00Z")
ACCOUNT, REGION = "111122223333", "eu-west-1"
IDENTIFIER = "S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED"
KEY = rule_key(IDENTIFIER, (), ACCOUNT, REGION)
ARCHIVE = "AWS::S3::Bucket/stale-backup-archive"
OPENING = tuple(
    sorted(
        Standing(
            instance=KEY,
            resource=f"AWS::S3::Bucket/{name}",
            state=State.COMPLIANT,
            since=Instant(START - DAY),
        )
        for name in ("stale-backup-archive", "logs", "cards")
    )
)


def row(standings: tuple[Standing, ...]) -> RuleInstance:
    counts: dict[str, int] = {}
    for standing in standings:
        counts[standing.state] = counts.get(standing.state, 0) + 1
    return RuleInstance(
        key=KEY,
        rule="s3-bucket-server-side-encryption-enabled",
        deployed_as="s3-bucket-server-side-encryption-enabled",
        identifier=IDENTIFIER,
        parameters=(),
        account=ACCOUNT,
        region=REGION,
        trigger="change",
        population=len(standings),
        counts=tuple(sorted((str(s), n) for s, n in counts.items())),
        records_root=merkle_root(records_root_lines(standings)),
    )


def change(at: int, before: State, after: State, resource: str = ARCHIVE) -> Transition:
    return Transition(
        at=Instant(at),
        instance=KEY,
        rule="s3-bucket-server-side-encryption-enabled",
        account=ACCOUNT,
        region=REGION,
        resource=resource,
        before=before,
        after=after,
        precision="change",
    )


def day(
    seq: int, previous: Run | None, changes: tuple[Transition, ...] = ()
) -> tuple[Run, bytes]:
    """One run of the example chain; each but the first opens with OPENING."""
    window = Interval(Instant(START + (seq - 1) * DAY), Instant(START + seq * DAY))
    started = Instant(window.end + 6 * HOUR)
    rule = row(CLOSING if seq > 1 else OPENING)
    run = Run(
        stream="config",
        seq=seq,
        kind="regular",
        prev=previous.sha256 if previous else ZERO,
        sha256="",
        ledger="5b0c6f0e-0000-4000-8000-000000000001",
        window=window,
        run_id=f"run-{seq}",
        started=started,
        finished=started,
        aws_date=started,
        principal="arn:aws:sts::111122226666:assumed-role/collector/ci",
        endpoint="aws",
        vault="s3",
        collector=(("name", "controlbook"), ("version", "0.1.0")),
        expected=((ACCOUNT, REGION),),
        collected=((ACCOUNT, REGION),),
        missing=(),
        pages=3,
        throttles=0,
        complete=True,
        queries=(("config:DescribeConfigRules", "{}"),),
        counts=rule.counts,
        rules=(rule,),
        rules_root="",
        transitions=changes,
        pulls=(),
        objects=(
            StoredObject(
                role="state",
                bucket="b",
                key="packs/config/x.ndjson.gz",
                version_id=f"v{seq}",
                sha256=sha256(b"x"),
                size=1,
                lock_mode="COMPLIANCE",
                lock_until="2035-04-01T00:00:00Z",
                records=1,
            ),
        ),
    )
    data = manifest_bytes(run, previous)
    return replace(run, sha256=sha256(data)), data


AT = START + DAY + 3 * HOUR + 12 * MINUTE
FIVE_MINUTES = (
    change(AT, State.COMPLIANT, State.NON_COMPLIANT),
    change(AT + 5 * MINUTE, State.NON_COMPLIANT, State.COMPLIANT),
)
CLOSING = fold_states(OPENING, FIVE_MINUTES)


def chain(days: int = 4) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    previous = None
    for seq in range(1, days + 1):
        previous, data = day(seq, previous, FIVE_MINUTES if seq == 2 else ())
        files[manifest_path("config", seq)] = data
    return files


def edited(data: bytes, **changes: object) -> bytes:
    tree = {**json.loads(data), **changes}
    return canonical({key: value for key, value in tree.items() if value != []})


def test_a_good_chain_reads_and_inherits_its_rules() -> None:
    files = chain()
    ledger = read_ledger({**files, "controls/x.yml": b"", "evidence/manual/a.yml": b""})
    assert chain_problems(files) == ()
    assert [run.seq for run in ledger.config] == [1, 2, 3, 4]
    assert ledger.config[3].rules == ledger.config[1].rules
    assert json.loads(files["evidence/config/000003.json"]).get("rules") is None
    assert ledger.config[1].transitions == FIVE_MINUTES


def test_the_example_day_is_a_small_file() -> None:
    assert len(chain()["evidence/config/000002.json"]) < 4096


@pytest.mark.threat("T13")
def test_a_dropped_manifest_is_named() -> None:
    files = chain()
    del files["evidence/config/000003.json"]
    with pytest.raises(LedgerError, match=r"000003\.json: is missing") as caught:
        read_ledger(files)
    assert caught.value.code is Exit.INTEGRITY


@pytest.mark.threat("T16")
def test_swapped_manifests_are_named() -> None:
    files = chain()
    second, third = "evidence/config/000002.json", "evidence/config/000003.json"
    files[second], files[third] = files[third], files[second]
    problems = "\n".join(chain_problems(files))
    assert "000002.json: the manifest says seq 3, its name says 2" in problems
    assert "000003.json: the manifest says seq 2, its name says 3" in problems
    assert "prev names" in problems


EDITS = {
    "prev": ({"prev": "1" * 64}, "prev names 1111111111111111…"),
    "ledger": ({"ledger": "another"}, "belongs to ledger 'another'"),
    "stream": ({"stream": "reviews"}, "is of stream 'reviews'"),
    "seq": ({"seq": 7}, "the manifest says seq 7, its name says 3"),
    "kind": ({"kind": "odd"}, "kind 'odd' is not one of"),
    "counts": ({"counts": {"COMPLIANT": 2}}, "sums: counts differ from the sum"),
    "root": ({"rules_root": "2" * 64}, "rules_root is 2222222222222222…"),
    "window twice": (
        {"window": {"start": "2028-02-14T00:00:00Z", "end": "2028-02-15T00:00:00Z"}},
        "stands in seq 2 already",
    ),
    "window back": (
        {"window": {"start": "2028-02-14T12:00:00Z", "end": "2028-02-16T00:00:00Z"}},
        "goes back before the end of the last one, 2028-02-15T00:00:00Z",
    ),
    "window ahead": (
        {"window": {"start": "2028-02-15T00:00:00Z", "end": "2028-02-17T00:00:00Z"}},
        "but the run started before",
    ),
    "unknown field": ({"remark": "x"}, "remark: is unknown to this version"),
    "unknown kind of manifest": ({"type": "controlbook/run/2"}, "not a manifest of"),
    "removed rule": ({"rules_removed": ["0" * 16]}, "is not in force"),
    "no state pack": ({"objects": []}, "one state pack with one record"),
    "correction of nothing": ({"kind": "correction"}, "a correction names an earlier"),
    "not a window": (
        {"window": {"start": "2028-02-15T00:00:00Z"}},
        "window: end: is missing",
    ),
}


@pytest.mark.parametrize(("changes", "message"), EDITS.values(), ids=EDITS)
def test_an_edit_is_named(changes: dict[str, object], message: str) -> None:
    files = chain(3)
    place = "evidence/config/000003.json"
    files[place] = edited(files[place], **changes)
    problems = chain_problems(files)
    assert any(message in text for text in problems), problems
    assert all(text.startswith(place) for text in problems)


def test_an_edit_of_a_transition_breaks_the_sums() -> None:
    files = chain(2)
    place = "evidence/config/000002.json"
    tree = json.loads(files[place])
    del tree["transitions"][1]
    files[place] = canonical(tree)
    assert any("do not lead to its counts" in text for text in chain_problems(files))


def test_a_records_root_moves_only_with_a_transition() -> None:
    first, one = day(1, None)
    run, _ = day(2, first)
    moved = replace(run.rules[0], records_root="3" * 64)
    two = manifest_bytes(replace(run, rules=(moved,), rules_root=""), first)
    files = {manifest_path("config", 1): one, manifest_path("config", 2): two}
    assert any("without a transition" in text for text in chain_problems(files))


@pytest.mark.threat("T17")
def test_the_same_run_twice_is_named() -> None:
    files = chain(3)
    third = files["evidence/config/000003.json"]
    files["evidence/config/000004.json"] = edited(third, seq=4, prev=sha256(third))
    problems = "\n".join(chain_problems(files))
    assert "run id run-3 stands in seq 3 already" in problems
    assert "T00:00:00Z stands in seq 3 already" in problems


@pytest.mark.threat("T20")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"type":"controlbook/run/1" }',
        b'{"a":1,"a":1}',
        b"\xff",
        b"{}",
    ],
    ids=["empty", "cut", "list", "space", "twice", "bytes", "no type"],
)
def test_bytes_that_are_no_manifest_are_named(data: bytes) -> None:
    problems = chain_problems({"evidence/config/000001.json": data})
    assert len(problems) == 1
    assert problems[0].startswith("evidence/config/000001.json: ")


def test_every_flipped_byte_is_noticed() -> None:
    files = chain(3)
    place = "evidence/config/000002.json"
    good = files[place]
    for index in range(0, len(good), 7):
        bad = bytearray(good)
        bad[index] ^= 1
        assert chain_problems({**files, place: bytes(bad)}), index


def test_a_stranger_in_a_stream_folder_is_named() -> None:
    assert chain_problems({"evidence/config/readme.md": b""}) == (
        "evidence/config/readme.md: is no run manifest and does not belong here",
    )


def test_a_hole_between_windows_is_legal_in_the_chain() -> None:
    first, one = day(1, None)
    run, _ = day(3, first)
    two = manifest_bytes(replace(run, seq=2, rules=first.rules, rules_root=""), first)
    files = {manifest_path("config", 1): one, manifest_path("config", 2): two}
    assert chain_problems(files) == ()


def test_pulls_and_missing_places_survive_the_round_trip() -> None:
    review = Review(
        id="1",
        user_id="4100201",
        user_login="a-okafor",
        user_type="User",
        state="APPROVED",
        commit="c" * 40,
        submitted=START,
    )
    pull = Pull(
        number=7,
        url="https://github.com/example/payments-compliance/pull/7",
        title="Sign 3.4",
        author_id="4100901",
        author_login="controlbook-collector[bot]",
        author_type="Bot",
        base="a" * 40,
        head="b" * 40,
        merge="d" * 40,
        merged_by_id="4100201",
        merged_at=START,
        pushers=("4100901",),
        paths=("signoffs/PCI-2028-Q1/requirements/3.4.yml",),
        reviews=(review,),
        ruleset_sha256="e" * 64,
        rule_suite="pass",
    )
    run, _ = day(1, None)
    missing = Missing(
        account=ACCOUNT, region=REGION, reason="recorder-stopped", interval=run.window
    )
    run = replace(run, pulls=(pull,), missing=(missing,), complete=False)
    data = manifest_bytes(run, None)
    (found,) = read_ledger({"evidence/config/000001.json": data}).config
    assert found.pulls == (pull,)
    assert found.missing == (missing,)
    assert not found.complete


# --- states -----------------------------------------------------------------------

states = st.sampled_from([s for s in State if s is not State.ABSENT])
times = st.integers(0, 10**12).map(Instant)
names = st.sampled_from(["AWS::S3::Bucket/a", "AWS::S3::Bucket/b", "AWS::S3::Bucket/é"])
standings = st.dictionaries(
    names,
    st.tuples(states, times),
).map(
    lambda table: tuple(
        sorted(
            Standing(instance=KEY, resource=name, state=state, since=since)
            for name, (state, since) in table.items()
        )
    )
)


@pytest.mark.threat("T20")
@pytest.mark.parametrize(
    "queries",
    [
        [],
        [{"api": "config:X"}],
        [{"api": "config:X", "parameters": {}, "remark": "x"}],
        [{"api": "", "parameters": {}}],
        [{"api": 3, "parameters": {}}],
        [{"api": "config:X", "parameters": []}],
        "all",
    ],
    ids=["empty", "no parameters", "a remark", "no api", "a number", "a list", "text"],
)
def test_t20_queries_have_one_spelling(queries: object) -> None:
    files = chain(1)
    path = manifest_path("config", 1)
    files[path] = canonical({**json.loads(files[path]), "queries": queries})
    (problem,) = chain_problems(files)
    assert problem.startswith(path)


def test_the_parameters_of_a_query_are_kept_as_they_were_asked() -> None:
    files = chain(1)
    path = manifest_path("config", 1)
    asked = [
        {"api": "config:A", "parameters": {"b": 'x"\\\n\u00e9', "a": 7}},
        {"api": "config:B", "parameters": {"Filters": {"AccountId": ACCOUNT}}},
    ]
    files[path] = edited(files[path], queries=asked)
    (run,) = read_ledger(files).config
    assert [json.loads(text) for _, text in run.queries] == [
        row["parameters"] for row in asked
    ]
    assert all(canonical(json.loads(t)).decode() == t for _, t in run.queries)
    assert manifest_bytes(run, None) == files[path]


@given(standings)
def test_state_lines_read_back(found: tuple[Standing, ...]) -> None:
    lines = state_lines(found, (row(()),))
    assert len(lines) == 1
    assert parse_state_lines(lines) == found


@given(standings, st.lists(st.tuples(times, st.sampled_from(State), names)))
def test_the_last_transition_of_a_resource_decides(
    opening: tuple[Standing, ...], moves: list[tuple[Instant, State, str]]
) -> None:
    changes = [change(at, State.ABSENT, state, name) for at, state, name in moves]
    closing = {s.resource: s.state for s in fold_states(opening, changes)}
    due = {s.resource: s.state for s in opening}
    due |= {name: state for _, state, name in sorted(moves, key=lambda m: m[0])}
    assert closing == {n: s for n, s in due.items() if s is not State.ABSENT}


@given(standings, st.lists(st.tuples(times, states, names)), times)
def test_folding_in_two_steps_is_folding_in_one(
    opening: tuple[Standing, ...],
    moves: list[tuple[Instant, State, str]],
    cut: Instant,
) -> None:
    changes = [change(at, State.ABSENT, state, name) for at, state, name in moves]
    early = [c for c in changes if c.at < cut]
    late = [c for c in changes if c.at >= cut]
    assert fold_states(fold_states(opening, early), late) == fold_states(
        opening, changes
    )


def test_a_broken_state_pack_is_named() -> None:
    with pytest.raises(LedgerError, match="not a record of a state pack"):
        parse_state_lines([b'{"account":"1"}'])


def test_a_rule_key_is_bound_to_parameters_and_place() -> None:
    keys = {
        rule_key("A", (), "1", "r"),
        rule_key("A", (("x", "1"),), "1", "r"),
        rule_key("A", (), "2", "r"),
        rule_key("A", (), "1", "s"),
    }
    assert len(keys) == 4
    assert rule_key("A", (("y", "2"), ("x", "1")), "1", "r") == rule_key(
        "A", (("x", "1"), ("y", "2")), "1", "r"
    )
