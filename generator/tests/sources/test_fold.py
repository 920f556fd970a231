# SPDX-License-Identifier: Apache-2.0
"""The hazards of folding items to transitions, one by one, and its laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from controlbook.digest import merkle_root
from controlbook.ledger import fold_states, rule_key
from controlbook.model import RuleInstance, Standing, State, Transition
from controlbook.sources.fold import Deployment, Fold, seeded
from controlbook.sources.items import Item, Verdict
from controlbook.timeline import DAY, Instant, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable

ACCOUNT, REGION = "111122223333", "eu-west-1"
BUCKET = "AWS::S3::Bucket/archive"
SSE, LOG = "s3-bucket-server-side-encryption-enabled", "s3-bucket-logging-enabled"
WINDOW = Interval(Instant(10 * DAY), Instant(11 * DAY))
NOON = Instant(WINDOW.start + DAY // 2)


def rule(name: str, trigger: str = "change", frequency: str = "") -> RuleInstance:
    return RuleInstance(
        key=rule_key(name, (), ACCOUNT, REGION),
        rule=name,
        deployed_as=name,
        identifier=name,
        parameters=(),
        account=ACCOUNT,
        region=REGION,
        trigger=trigger,
        frequency=frequency,
        population=0,
        counts=(),
        records_root=merkle_root(()),
    )


def deployed(*rules: RuleInstance, removed: Iterable[RuleInstance] = ()) -> Deployment:
    gone = tuple(removed)
    return Deployment(
        rules={row.key: row for row in rules},
        arns={f"arn:{row.rule}": row.key for row in rules},
        names={row.deployed_as: row.key for row in (*rules, *gone)},
        removed={row.key: row for row in gone},
    )


def item(
    at: int, *verdicts: tuple[str, State], resource: str = BUCKET, status: str = "OK"
) -> Item:
    return Item(
        at=Instant(at),
        state_id=at,
        account=ACCOUNT,
        region=REGION,
        resource=resource,
        status=status,
        verdicts=tuple(
            sorted(Verdict(rule=n, arn=f"arn:{n}", state=s) for n, s in verdicts)
        ),
    )


def standing(name: str, state: State, since: int = 0) -> Standing:
    return Standing(
        instance=rule(name).key, resource=BUCKET, state=state, since=Instant(since)
    )


def brief(moves: Iterable[Transition]) -> list[tuple[int, str, str, str, str]]:
    return [
        (move.at - WINDOW.start, move.rule, move.before, move.after, move.cause)
        for move in moves
    ]


FINE, BAD = State.COMPLIANT, State.NON_COMPLIANT


def test_a_deviation_of_minutes_is_exact() -> None:
    fold = Fold([standing(SSE, FINE)], deployed(rule(SSE)))
    fold.add(item(NOON, (SSE, BAD)))
    fold.add(item(NOON + 300_000, (SSE, FINE)))
    assert [(m.at, m.before, m.after) for m in fold.transitions] == [
        (NOON, FINE, BAD),
        (NOON + 300_000, BAD, FINE),
    ]
    assert {m.precision for m in fold.transitions} == {"change"}


def test_a_new_resource_appears_from_absent() -> None:
    fold = Fold((), deployed(rule(SSE)))
    fold.add(item(NOON, (SSE, FINE), status="ResourceDiscovered"))
    assert brief(fold.transitions) == [
        (DAY // 2, SSE, "ABSENT", "COMPLIANT", "created")
    ]


def test_deleted_resource_ends_deviation_without_remediation() -> None:
    fold = Fold([standing(SSE, BAD)], deployed(rule(SSE)))
    fold.add(item(NOON, status="ResourceDeleted"))
    assert brief(fold.transitions) == [
        (DAY // 2, SSE, "NON_COMPLIANT", "ABSENT", "deleted")
    ]
    assert fold.states == ()


def test_a_rule_that_falls_silent_is_unknown_not_compliant() -> None:
    opening = [standing(SSE, BAD), standing(LOG, FINE)]
    fold = Fold(opening, deployed(rule(SSE), rule(LOG)))
    fold.add(item(NOON, (LOG, FINE)))
    assert brief(fold.transitions) == [
        (DAY // 2, SSE, "NON_COMPLIANT", "UNKNOWN", "vanished")
    ]


def test_a_rule_that_was_removed_leaves() -> None:
    opening = [standing(SSE, BAD), standing(LOG, FINE)]
    fold = Fold(opening, deployed(rule(LOG), removed=[rule(SSE)]))
    fold.add(item(NOON, (LOG, FINE)))
    fold.remove_rules(WINDOW)
    assert brief(fold.transitions) == [
        (DAY // 2, SSE, "NON_COMPLIANT", "ABSENT", "rule-removed")
    ]


def test_a_removed_rule_without_a_last_item_leaves_at_the_windows_start() -> None:
    fold = Fold([standing(SSE, BAD)], deployed(removed=[rule(SSE)]))
    fold.remove_rules(WINDOW)
    assert brief(fold.transitions) == [
        (0, SSE, "NON_COMPLIANT", "ABSENT", "rule-removed")
    ]


def test_not_applicable_and_insufficient_data_are_kept() -> None:
    fold = Fold([standing(SSE, FINE)], deployed(rule(SSE)))
    fold.add(item(NOON, (SSE, State.INSUFFICIENT_DATA)))
    fold.add(item(NOON + 1, (SSE, State.NOT_APPLICABLE)))
    after = [move.after for move in fold.transitions]
    assert after == ["INSUFFICIENT_DATA", "NOT_APPLICABLE"]


def test_of_two_rules_that_are_one_instance_the_worse_counts() -> None:
    packed = f"{SSE}-conformance-pack-abc"
    same = Deployment(
        rules={rule(SSE).key: rule(SSE)},
        arns={},
        names={SSE: rule(SSE).key, packed: rule(SSE).key},
    )
    fold = Fold([standing(SSE, FINE)], same)
    fold.add(item(NOON, (SSE, FINE), (packed, BAD)))
    assert [move.after for move in fold.transitions] == ["NON_COMPLIANT"]


def test_a_periodic_rule_says_how_exact_it_is() -> None:
    periodic = rule(SSE, "periodic", "TwentyFour_Hours")
    fold = Fold([standing(SSE, FINE)], deployed(periodic))
    fold.add(item(NOON, (SSE, BAD)))
    assert fold.transitions[0].precision == "periodic:TwentyFour_Hours"


def test_two_items_of_one_instant_make_one_transition() -> None:
    fold = Fold([standing(SSE, FINE)], deployed(rule(SSE)))
    fold.add(item(NOON, (SSE, BAD)))
    fold.add(item(NOON, (SSE, State.NOT_APPLICABLE)))
    assert [(m.before, m.after) for m in fold.transitions] == [
        ("COMPLIANT", "NOT_APPLICABLE")
    ]
    fold.add(item(NOON, (SSE, FINE)))
    assert fold.transitions == ()
    assert fold.states == (standing(SSE, FINE),)


def test_an_unknown_rule_is_remembered() -> None:
    fold = Fold((), deployed(rule(SSE)))
    fold.add(item(NOON, ("stranger", BAD)))
    assert fold.unknown == {"stranger"}
    assert fold.transitions == ()


def test_settling_says_that_the_change_was_not_seen() -> None:
    opening = [standing(SSE, FINE), standing(LOG, FINE)]
    fold = Fold(opening, deployed(rule(SSE), rule(LOG)))
    fold.settle([standing(SSE, BAD, 5)], WINDOW.start)
    assert {(m.at, m.rule, m.after, m.precision) for m in fold.transitions} == {
        (WINDOW.start, LOG, "ABSENT", "seed"),
        (WINDOW.start, SSE, "NON_COMPLIANT", "seed"),
    }


def test_a_seed_keeps_the_true_start_of_a_state() -> None:
    histories = [(item(1, (SSE, BAD)), item(2, (SSE, BAD), (LOG, FINE)))]
    states, unknown = seeded(histories, deployed(rule(SSE), rule(LOG)))
    assert set(states) == {standing(SSE, BAD, 1), standing(LOG, FINE, 2)}
    assert unknown == set()


verdicts = st.lists(
    st.tuples(
        st.sampled_from([SSE, LOG]),
        st.sampled_from([FINE, BAD, State.NOT_APPLICABLE, State.INSUFFICIENT_DATA]),
    ),
    unique_by=lambda pair: pair[0],
)
items = st.lists(
    st.builds(
        lambda at, said, resource, status: item(
            at, *said, resource=resource, status=status
        ),
        st.integers(0, 50),
        verdicts,
        st.sampled_from([BUCKET, "AWS::S3::Bucket/other"]),
        st.sampled_from(["OK", "ResourceDiscovered", "ResourceDeleted"]),
    )
).map(sorted)


def folded(found: Iterable[Item], opening: Iterable[Standing] = ()) -> Fold:
    fold = Fold(opening, deployed(rule(SSE), rule(LOG)))
    for one in found:
        fold.add(one)
    return fold


@given(items)
def test_the_ledgers_reader_finds_the_states_of_the_fold(found: list[Item]) -> None:
    fold = folded(found)
    assert fold.states == fold_states((), fold.transitions)
    said = {
        (row.instance, row.resource): row.state
        for name in {one.resource for one in found}
        for row in fold.of(name).values()
    }
    assert said == {(s.instance, s.resource): s.state for s in fold.states}


@given(items, st.integers(0, 50))
def test_two_windows_fold_like_one(found: list[Item], cut: int) -> None:
    whole = folded(found)
    first = folded(one for one in found if one.at < cut)
    second = folded((one for one in found if one.at >= cut), first.states)
    assert second.states == whole.states
    assert (*first.transitions, *second.transitions) == whole.transitions


@given(items)
def test_each_transition_starts_where_the_last_one_ended(found: list[Item]) -> None:
    last: dict[tuple[str, str], State] = {}
    for move in folded(found).transitions:
        key = (move.instance, move.resource)
        assert move.before == last.get(key, State.ABSENT)
        assert move.before != move.after
        last[key] = move.after
