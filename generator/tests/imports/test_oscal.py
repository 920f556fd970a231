# SPDX-License-Identifier: Apache-2.0
"""OSCAL catalogs and profiles in JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlbook.errors import ControlbookError
from controlbook.imports import Imported, Item
from controlbook.imports.oscal import oscal, spelt

CATALOG = {
    "catalog": {
        "uuid": "x",
        "metadata": {"title": "Small catalog", "version": "5"},
        "groups": [
            {
                "id": "ac",
                "title": "Access Control",
                "controls": [
                    {
                        "id": "ac-2",
                        "title": "Accounts",
                        "parts": [{"prose": "A long statement."}],
                        "controls": [
                            {"id": "ac-2.1", "title": "Automation"},
                            {
                                "id": "ac-2.10",
                                "title": "Gone",
                                "props": [{"name": "status", "value": "withdrawn"}],
                            },
                        ],
                    },
                    {
                        "id": "own_7",
                        "title": "Ours",
                        "props": [
                            {"name": "label", "class": "zero-padded", "value": "OW-07"},
                            {"name": "label", "value": "OW-7"},
                        ],
                    },
                ],
            }
        ],
    }
}


def read(document: dict[str, Any]) -> Imported:
    return oscal(json.dumps(document).encode(), "catalog.json")


def test_a_catalog_gives_numbers_titles_and_who_stands_under_whom() -> None:
    found = read(CATALOG)
    assert found.items == (
        Item(number="ac", title="Access Control"),
        Item(number="AC-2", title="Accounts", parent="ac"),
        Item(number="AC-2(1)", title="Automation", parent="AC-2"),
        Item(number="OW-7", title="Ours", parent="ac"),
    )
    assert "statement" not in repr(found)


def test_a_catalog_of_kept_text_gives_numbers_only() -> None:
    document = json.loads(json.dumps(CATALOG))
    document["catalog"]["metadata"]["title"] = "CIS Controls v8"
    found = read(document)
    assert found.marked == "CIS"
    assert {item.title for item in found.items} == {""}


def test_a_profile_gives_the_numbers_that_it_chooses() -> None:
    choice = {
        "href": "#catalog",
        "include-controls": [{"with-ids": ["ac-2", "ac-2.1", "ac-3", 7]}],
        "exclude-controls": [{"with-ids": ["ac-3"]}],
    }
    body = {"metadata": {"title": "Low"}, "imports": [choice], "modify": {}}
    found = read({"profile": body})
    assert [item.number for item in found.items] == ["AC-2", "AC-2(1)"]
    assert found.notes == ("what it modifies (parameters, additions) was not taken",)


def test_a_profile_of_everything_sends_people_to_the_catalog() -> None:
    row = {"href": "cat.json", "include-all": {}}
    found = read({"profile": {"imports": [row]}})
    assert found.items == ()
    assert "it takes all of cat.json" in found.notes[0]


def test_what_only_the_catalog_could_tell_is_said() -> None:
    choices = [
        {"with-child-controls": "yes", "with-ids": ["ac-2"]},
        {"matching": [{"pattern": "sc-*"}]},
    ]
    first = {
        "href": "#a",
        "include-controls": choices,
        "exclude-controls": [{"matching": [{"pattern": "ac-2.*"}]}],
    }
    found = read({"profile": {"imports": [first, {"href": "#b"}]}})
    assert [item.number for item in found.items] == ["AC-2"]
    below, taken, left, everything = found.notes
    assert "takes what stands below ac-2 in #a too" in below
    assert "takes what matches sc-* in #a" in taken
    assert "leaves what matches ac-2.* in #a" in left
    assert "takes all of #b" in everything


def test_ids_that_are_no_list_are_no_numbers() -> None:
    row = {"href": "#a", "include-controls": [{"with-ids": "ac-1"}]}
    assert read({"profile": {"imports": [row]}}).items == ()


def test_groups_within_groups_and_nested_controls_keep_their_place() -> None:
    control = {
        "id": "ac-1",
        "title": "Policy",
        "params": [{"id": "ac-1_prm_1"}],
        "controls": [{"id": "ac-1.1", "title": "More", "controls": []}],
    }
    inner = {"id": "ac-sub", "title": "Inner", "controls": [control]}
    outer = {"id": "ac", "title": "Outer", "groups": [inner]}
    found = read({"catalog": {"params": [{"id": "p"}], "groups": [outer]}})
    assert [(item.number, item.parent) for item in found.items] == [
        ("ac", ""),
        ("ac-sub", "ac"),
        ("AC-1", "ac-sub"),
        ("AC-1(1)", "AC-1"),
    ]


@pytest.mark.parametrize(
    ("identifier", "number"),
    [
        ("ac-2", "AC-2"),
        ("ac-2.13", "AC-2(13)"),
        ("3.10", "3.10"),
        ("s1.1.1", "s1.1.1"),
    ],
)
def test_ids_are_spelt_as_people_do(identifier: str, number: str) -> None:
    assert spelt(identifier) == number


@pytest.mark.parametrize("document", [{}, {"catalog": []}, {"mapping": {}}])
def test_anything_else_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ControlbookError, match="neither an OSCAL catalog nor"):
        read(document)


def test_an_empty_catalog_is_said() -> None:
    assert read({"catalog": {}}).notes == ("the catalog names no controls",)
