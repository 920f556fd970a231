# SPDX-License-Identifier: Apache-2.0
"""Counts, recall and precision of a small library, and of the whole one."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.crosswalk import (
    Elsewhere,
    between,
    compare,
    counts,
    elsewhere,
    pairs,
    rules_of,
    through,
)
from controlbook.library import GOVERNED, read
from controlbook.managed_rules import managed_rules
from controlbook.model import (
    Assessment,
    ConfigRule,
    Control,
    Framework,
    Library,
    MappedControl,
    MappingState,
    Relation,
    Requirement,
    Settings,
)
from controlbook.reference import of_folder, shipped
from controlbook.timeline import Interval, instant

ROOT = Path(__file__).parents[2]
FACTS = os.environ.get("CONTROLBOOK_FACTS", "")
"""A folder of facts to hold the library against, where somebody has one."""


@cache
def whole() -> Library:
    return read(
        {
            path.relative_to(ROOT).as_posix(): path.read_bytes()
            for prefix in GOVERNED
            for path in [ROOT / prefix, *(ROOT / prefix).rglob("*")]
            if path.is_file()
        }
    )


def control(name: str, *rules: ConfigRule) -> Control:
    return Control(
        id=name,
        title=name,
        statement=name,
        owner="o",
        evidence=rules,
        path=f"controls/{name}.yml",
        sha256="",
    )


def rule(name: str, identifier: str = "X", canonical: str = "") -> ConfigRule:
    return ConfigRule(name=name, identifier=identifier, canonical_name=canonical)


def mapped(
    name: str,
    state: MappingState = MappingState.REVIEWED,
    relation: Relation = Relation.INTERSECTS,
) -> MappedControl:
    return MappedControl(control=name, state=state, relation=relation)


def requirement(
    number: str, *rows: MappedControl, parent: str = "", **more: str
) -> Requirement:
    return Requirement(
        number=number,
        title=number,
        parent=parent,
        controls=tuple(r.control for r in rows if r.state is MappingState.REVIEWED),
        mappings=rows,
        **more,
    )


def framework(name: str, *items: Requirement) -> Framework:
    return Framework(
        id=name,
        title=name,
        labels={},
        requirements={item.number: item for item in items},
    )


PROPOSED = MappingState.PROPOSED
ONE = framework(
    "one",
    requirement("1"),
    requirement("1.1", mapped("a"), parent="1"),
    requirement("1.2", mapped("b", PROPOSED), parent="1"),
    requirement("1.3", parent="1", inherited="AWS does it."),
    requirement("1.4", parent="1", unmapped="Nothing to operate."),
    requirement("1.5", parent="1"),
)
TWO = framework(
    "two",
    requirement("x", mapped("a", PROPOSED, Relation.EQUAL)),
    requirement("y", mapped("b")),
)
LIBRARY = Library(
    settings=Settings(ledger=""),
    controls={
        "a": control(
            "a",
            rule(
                "ebs-encryption-by-default", canonical="ec2-ebs-encryption-by-default"
            ),
            rule("rds-storage-encrypted", "custom-lambda:rds-storage-encrypted"),
        ),
        "b": control("b", rule("restricted-ssh")),
    },
    frameworks={"one": ONE, "two": TWO},
    assessments={
        "A": Assessment(
            id="A",
            title="A",
            framework="one",
            period=Interval(
                instant("2028-01-01T00:00:00Z"), instant("2028-04-01T00:00:00Z")
            ),
            accounts=(),
            regions=(),
            requirements=("1.1",),
            excluded=(),
            assessors=(),
        )
    },
)


def test_four_numbers_and_what_explains_the_rest() -> None:
    own = counts(LIBRARY, ONE)
    assert (own.catalogued, own.mapped, own.reviewed, own.assessed) == (6, 2, 2, 1)
    assert (own.headings, own.explained, own.silent, own.with_rule) == (1, 1, 1, 2)


def test_a_rule_counts_by_the_name_that_aws_gives_it_and_a_teams_own_does_not() -> None:
    assert rules_of(LIBRARY, "a") == {"ec2-ebs-encryption-by-default"}
    assert pairs(LIBRARY, ONE) == {
        ("1.1", "ec2-ebs-encryption-by-default"),
        ("1.2", "restricted-ssh"),
    }
    assert through(LIBRARY, ONE, ("1.2", "restricted-ssh")) == ("b",)


def test_missing_and_extra_pairs_are_listed_in_natural_order() -> None:
    found = compare(
        [("1.10", "a"), ("1.9", "a")], [("1.9", "a"), ("2", "b"), ("1.2", "b")]
    )
    assert (found.reference, found.reached) == (3, 1)
    assert found.missing == (("1.2", "b"), ("2", "b"))
    assert found.extra == (("1.10", "a"),)


names = st.tuples(st.sampled_from("123"), st.sampled_from("abc"))


@given(st.sets(names), st.sets(names))
def test_every_pair_is_reached_missing_or_extra(
    ours: set[tuple[str, str]], theirs: set[tuple[str, str]]
) -> None:
    found = compare(ours, theirs)
    assert found.reached + len(found.missing) == found.reference == len(theirs)
    assert found.reached + len(found.extra) == len(ours)


def test_what_else_is_satisfied_says_relation_and_state() -> None:
    assert elsewhere(LIBRARY, "one", ONE.requirements["1.1"]) == (
        Elsewhere(
            framework="two",
            number="x",
            title="x",
            relation=Relation.INTERSECTS,
            controls=("a",),
            reviewed=False,
        ),
    )
    assert elsewhere(LIBRARY, "one", ONE.requirements["1.2"]) == ()


@pytest.mark.parametrize(
    ("own", "other", "due"),
    [
        ("equal", "equal", "equal"),
        ("equal", "subset", "subset"),
        ("equal", "superset", "superset"),
        ("superset", "superset", "intersects"),
        ("superset", "subset", "subset"),
        ("subset", "superset", "superset"),
        ("subset", "subset", "intersects"),
        ("superset", "equal", "subset"),
        ("subset", "equal", "superset"),
        ("intersects", "equal", "intersects"),
        ("intersects", "superset", "intersects"),
    ],
)
def test_a_relation_claims_no_more_than_both_mappings(
    own: str, other: str, due: str
) -> None:
    first = framework("f", requirement("1", mapped("a", relation=Relation(own))))
    second = framework("g", requirement("2", mapped("a", relation=Relation(other))))
    library = Library(
        settings=Settings(ledger=""),
        controls={"a": LIBRARY.controls["a"]},
        frameworks={"f": first, "g": second},
    )
    (found,) = elsewhere(library, "f", first.requirements["1"])
    assert found.relation == due


def test_a_bridge_is_reviewed_only_where_both_mappings_of_one_control_are() -> None:
    rare, usual = mapped("a"), mapped("b", relation=Relation.EQUAL)
    proposed = mapped("a", state=MappingState.PROPOSED)
    first = framework("f", requirement("1", rare, usual))
    second = framework(
        "g",
        requirement("7", usual),
        requirement("8", usual),
        requirement("9", proposed),
    )
    library = Library(
        settings=Settings(ledger=""),
        controls={name: control(name) for name in "ab"},
        frameworks={"f": first, "g": second},
    )
    found = [
        (row.other, str(row.relation), row.reviewed, row.controls)
        for row in between(library, first, second)
    ]
    assert found == [
        ("9", "intersects", False, ("a",)),  # nothing else names that control
        ("7", "equal", True, ("b",)),
        ("8", "equal", True, ("b",)),
    ]
    assert [row.other for row in between(library, second, first)] == ["1", "1", "1"]


# --- the whole library --------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_library_reaches_every_published_pair_and_few_others(name: str) -> None:
    found = compare(pairs(whole(), whole().frameworks[name]), shipped()[name].pairs)
    assert found.missing == ()
    assert found.reached * 100 >= 95 * (found.reached + len(found.extra))


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_numbers_with_a_rule_are_those_of_the_reference(name: str) -> None:
    framework_ = whole().frameworks[name]
    numbers = {number for number, _ in shipped()[name].pairs}
    extra = compare(pairs(whole(), framework_), shipped()[name].pairs).extra
    more = {number for number, _ in extra} - numbers
    assert counts(whole(), framework_).with_rule == len(numbers | more)


def test_no_control_names_a_rule_that_aws_does_not_have() -> None:
    known = managed_rules().keys()
    for name in whole().controls:
        assert rules_of(whole(), name) <= known, name


@pytest.mark.parametrize("name", sorted(whole().frameworks))
def test_every_number_has_controls_a_reason_or_numbers_below_it(name: str) -> None:
    assert counts(whole(), whole().frameworks[name]).silent == 0


def test_no_two_controls_say_the_same() -> None:
    controls = whole().controls.values()
    assert len({each.statement for each in controls}) == len(controls)
    assert len({each.title.casefold() for each in controls}) == len(controls)


def test_no_title_is_a_bare_number() -> None:
    for each in whole().frameworks.values():
        for number, item in each.requirements.items():
            if any(letter.isdigit() for letter in number):
                assert item.title != number, (each.id, number)
            assert not item.title.startswith(("Article ", "Practice ")), number


@pytest.mark.skipif(not FACTS, reason="CONTROLBOOK_FACTS names no folder")
def test_the_library_holds_against_a_folder_of_facts() -> None:
    for name, reference in of_folder(Path(FACTS)).items():
        if name not in whole().frameworks:
            continue
        own = whole().frameworks[name]
        assert compare(pairs(whole(), own), reference.pairs).missing == (), name
        assert reference.numbers <= own.requirements.keys(), name
        assert shipped()[name].pairs == reference.pairs, name
