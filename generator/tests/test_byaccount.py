# SPDX-License-Identifier: Apache-2.0
"""A ledger's rows account by account: the same findings, each object read once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import released

from controlbook import manifest
from controlbook.assess import assess
from controlbook.byaccount import read_by_account
from controlbook.crosscheck import OurRecord
from controlbook.digest import canonical, leaf_hash
from controlbook.errors import ControlbookError
from controlbook.ledger import LedgerError, examined, outlines, read_ledger
from controlbook.lists import of_vault
from controlbook.manifest import moved
from controlbook.model import ConfigRule
from controlbook.reach import Reach, reach_of
from controlbook.subjects import requirement_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controlbook.manifest import Lists
    from controlbook.model import StoredObject
    from controlbook.programme import Programme

NAME = released.NAME


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Programme:
    """A programme whose lists all move, few accounts to an object."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manifest, "MOST", 0)
        patched.setattr(manifest, "SHORT", 0)
        patched.setattr(manifest, "ROWS", 3)
        example = released.example(tmp_path_factory.mktemp("moved"))
        return example.programme


def reach(programme: Programme) -> Reach:
    return reach_of(programme.assessment(NAME), outlines(programme.files))


def lists(programme: Programme) -> Lists:
    return of_vault(lambda: programme.vault)


def test_findings_and_roots_are_those_of_rows_that_are_read_at_once(
    programme: Programme,
) -> None:
    assessment = programme.assessment(NAME)
    ledger = read_ledger(programme.files, lists(programme), reach(programme))
    accounts = {number for _, number in assessment.accounts}
    opening = programme.state_after(ledger.config[0], accounts)
    at_once = assess(programme.library, ledger, opening, assessment)
    by_account = programme.findings(NAME)
    assert programme.ledger_of(NAME).shares
    assert by_account == at_once
    assert by_account.deviations
    assert by_account.unmapped or by_account.gaps
    for number in assessment.requirements:
        subjects = {
            requirement_subject(programme.library, found, led, assessment, number)
            for found, led in (
                (at_once, ledger),
                (by_account, programme.ledger_of(NAME)),
            )
        }
        assert len(subjects) == 1
    assert by_account.recorded.rows == at_once.recorded.rows
    assert by_account.recorded.last.keys() == {
        key for key, row in at_once.recorded.last.items() if row.account in accounts
    }


def test_each_object_is_read_once(programme: Programme) -> None:
    asked: Counter[str] = Counter()
    held = lists(programme)

    def counted(stored: StoredObject) -> Iterable[bytes]:
        asked[stored.role, stored.key] += 1  # type: ignore[index] # by both
        return held(stored)

    ledger = read_by_account(programme.files, counted, reach(programme))
    parts = list(ledger.parts())
    assert len(parts) == len(ledger.accounts or ())
    rows = {
        key: n
        for key, n in asked.items()
        if key[0] in ("list:rules", "list:transitions")
    }
    assert rows
    assert set(rows.values()) == {1}


def test_what_is_not_asked_for_account_by_account_is_read_when_looked_at(
    programme: Programme,
) -> None:
    base = programme.ledger_of(NAME)
    told = [run for run in base.config if "transitions" in moved(run.objects)]
    rows = [
        move for part in base.parts() for run in part.config for move in run.transitions
    ]
    assert sorted(rows) == sorted(m for run in told for m in run.transitions) != []
    with pytest.raises(ControlbookError, match="rules of run 000002 were not read"):
        len(base.config[1].rules)


def test_a_ledger_without_some_runs_has_parts_without_them(
    programme: Programme,
) -> None:
    base = programme.ledger_of(NAME)
    some = tuple(run for run in base.config if run.seq != 3)
    for part in replace(base, runs={**base.runs, "config": some}).parts():
        assert [run.seq for run in part.config] == [run.seq for run in some]


# --- faults ---------------------------------------------------------------------------

Lines = list[bytes]


def forged(
    programme: Programme, seq: int, name: str, change: Callable[[Lines], Lines]
) -> Lists:
    """Change the lines of a list of one run, and its index with them."""
    run = programme.ledger.config[seq - 1]
    held = lists(programme)
    objects = moved(run.objects)[name]
    lines = change([line for stored in objects for line in held(stored)])
    (index,) = (stored for stored in run.objects if stored.role == "index")
    rows = {json.loads(line)["account"]: json.loads(line) for line in held(index)}
    for line in lines:
        rows[manifest.whose(line)]["leaves"][name] = leaf_hash(line).hex()
    order = [*dict.fromkeys([*map(manifest.whose, lines), *rows])]
    counts = [stored.records for stored in objects]

    def given(stored: StoredObject) -> Iterable[bytes]:
        if stored == index:
            return tuple(canonical(rows[account]) for account in order)
        if stored in objects:
            first = sum(counts[: objects.index(stored)])
            return lines[first : first + stored.records]
        return held(stored)

    return given


def edited(old: bytes, new: bytes) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        assert any(old in line for line in lines)
        return [line.replace(old, new) for line in lines]

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        pytest.param(
            "rules",
            edited(b'"population":', b'"population":1'),
            "sums: rule .* counts",
            id="a population",
            marks=pytest.mark.threat("T13"),
        ),
        pytest.param(
            "transitions",
            edited(b'"after":"NON_COMPLIANT"', b'"after":"NOT_APPLICABLE"'),
            "but the state before is|do not lead to its counts",
            id="a verdict",
            marks=pytest.mark.threat("T01"),
        ),
        pytest.param(
            "rules",
            edited(b'"population":', b'"populace":'),
            "populace: is unknown to this version",
            id="a field",
        ),
        pytest.param(
            "rules",
            lambda lines: lines[::-1],
            "the index of the lists is not in order",
            id="the order of accounts",
        ),
    ],
)
def test_a_fault_is_named_with_its_manifest(
    programme: Programme, name: str, change: Callable[[Lines], Lines], message: str
) -> None:
    seq = next(
        run.seq
        for run in programme.ledger.config
        if name in moved(run.objects)
        and (
            name != "transitions"
            or any(
                b'"after":"NON_COMPLIANT"' in line
                for stored in moved(run.objects)[name]
                for line in lists(programme)(stored)
            )
        )
    )
    given = forged(programme, seq, name, change)
    with pytest.raises(LedgerError, match=message) as caught:
        for _ in read_by_account(programme.files, given, reach(programme)).parts():
            pass
    assert caught.value.place == f"evidence/config/{seq:06d}.json"


def test_a_line_that_is_withheld_is_missed(programme: Programme) -> None:
    held = lists(programme)

    def given(stored: StoredObject) -> Iterable[bytes]:
        lines = held(stored)
        return list(lines)[:-1] if stored.role == "list:rules" else lines

    with pytest.raises(LedgerError, match="are withheld"):
        for _ in read_by_account(programme.files, given, reach(programme)).parts():
            pass


# --- who reads the whole ledger -------------------------------------------------------


def test_our_record_is_the_same_account_by_account(programme: Programme) -> None:
    whole = programme.whole_ledger
    at_once = OurRecord.of(whole, programme.state_after(whole.config[0]))
    ledger = programme.ledger_by_account
    assert len(list(ledger.parts())) == 3
    by_account = OurRecord.of(ledger, programme.opened(ledger.config[0]))
    assert by_account.told == at_once.told != {}
    assert by_account.reach == at_once.reach


def test_rows_that_were_checked_can_be_let_go_of(programme: Programme) -> None:
    kept, none = examined(programme.files, lists(programme))
    ledger, problems = examined(programme.files, lists(programme), keep=False)
    assert (none, problems) == ((), ())
    assert [run.objects for run in ledger.config] == [
        run.objects for run in kept.config
    ]
    with pytest.raises(ControlbookError, match="were not read"):
        len(ledger.config[0].transitions)
    assert ledger.config[-1].rules == kept.config[-1].rules
    broken = forged(programme, 1, "rules", edited(b'"population":', b'"population":1'))
    faults = [examined(programme.files, broken, keep=keep)[1] for keep in (True, False)]
    assert faults[0] == faults[1] != ()


def test_an_assessment_of_some_accounts_is_of_no_others(programme: Programme) -> None:
    assessment = programme.assessment(NAME)
    one = assessment.of(frozenset({released.PROD}))
    assert [number for _, number in one.accounts] == [released.PROD]
    assert assessment.of(None) is assessment
    assert replace(one, accounts=assessment.accounts) == assessment


def test_a_rule_meets_a_demand_with_more_parameters_never_with_fewer() -> None:
    rule = ConfigRule(name="a", identifier="A", parameters=(("x", "1"),))
    assert rule.met_by("A", (("x", "1"), ("y", "2")))
    assert not rule.met_by("A", (("x", "2"),))
    assert not rule.met_by("A", ())
    assert not rule.met_by("B", (("x", "1"),))
