# SPDX-License-Identifier: Apache-2.0
"""Tables of numbers and of mappings."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlbook.errors import ControlbookError
from controlbook.imports import Item, Pair
from controlbook.imports.csv_table import table

REFERENCE = Path(__file__).parents[4] / "shared" / "reference"


def test_numbers_stay_text_with_parents_and_titles() -> None:
    data = b'control_id,parent_id,title\n3,,Data\n3.1,3,"One, first"\n3.10,3,Ten\n'
    assert table(data, "house.csv").items == (
        Item(number="3", title="Data"),
        Item(number="3.1", title="One, first", parent="3"),
        Item(number="3.10", title="Ten", parent="3"),
    )


def test_rows_with_rules_are_mappings_with_their_source() -> None:
    data = (
        b"control_id,rule_name,source\n"
        b"1.2,ebs-encryption-by-default,registry | guide\n1.2,restricted-ssh,\n"
    )
    found = table(data, "m.csv")
    assert found.pairs == (
        Pair(
            number="1.2",
            evidence="config:ec2-ebs-encryption-by-default",
            source="registry",
        ),
        Pair(number="1.2", evidence="config:restricted-ssh"),
    )


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference is not here")
def test_the_reference_mapping_is_taken_whole() -> None:
    path = REFERENCE / "mapping_pci-dss-3.2.1.csv"
    found = table(path.read_bytes(), path.name)
    rows = path.read_text("utf-8").splitlines()[1:]
    assert len(found.pairs) == len({tuple(row.split(",")[:3:2]) for row in rows})
    assert found.marked == "PCI SSC"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "x.csv:1: there is no column control_id", id="empty"),
        pytest.param(b"a,b\n", "there is no column control_id", id="columns"),
        pytest.param(
            b"control_id,titel\n1,x\n",
            "x.csv:1: unknown column 'titel'; did you mean 'title'?",
            id="unknown",
        ),
        pytest.param(
            b"control_id\n3.1\n3.1\n", "x.csv:3: 3.1 stands twice", id="twice"
        ),
        pytest.param(b"control_id\n-\n", "x.csv:2: control_id: '-' is no id", id="id"),
        pytest.param(
            b"control_id,rule_name\n1,restricted-shh\n",
            "x.csv:2: AWS manages no rule 'restricted-shh'; did you mean",
            id="rule",
        ),
        pytest.param(b"control_id\n1,2\n", "x.csv:2: it has more fields", id="fields"),
        pytest.param(b'control_id\n"1\n', "broken CSV", id="quote"),
        pytest.param(b"control_id\n\xff\n", "it is not UTF-8", id="bytes"),
        pytest.param(
            "control_id,title\n1,a\u202eb\n".encode(), "nobody can see", id="bidi"
        ),
    ],
)
def test_a_bad_table_is_refused_with_its_line(data: bytes, message: str) -> None:
    with pytest.raises(ControlbookError) as caught:
        table(data, "x.csv")
    assert message in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    data = b"control_id,rule_name\n-,x\n1,nope-nope\n"
    with pytest.raises(ControlbookError) as caught:
        table(data, "x.csv")
    assert str(caught.value).count("x.csv:") == 2
