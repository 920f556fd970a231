# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from controlbook.digest import canonical, merkle_root
from controlbook.extracts import ExtractError, extract, read_extract, whole

ASSESSMENT = small.library().assessments["PCI-2028-FEB"]
ACCOUNTS = st.sampled_from([small.PROD, small.STAGING, "111122229999"])
REGIONS = st.sampled_from([small.REGION, "us-east-1"])
RECORDS = st.lists(
    st.builds(
        lambda account, region, n: canonical(
            {"account": account, "region": region, "n": n}
        ),
        ACCOUNTS,
        REGIONS,
        st.integers(0, 9),
    )
)


@given(RECORDS)
def test_an_extract_keeps_the_root_and_hides_what_is_out_of_scope(
    records: list[bytes],
) -> None:
    found = read_extract(extract(records, ASSESSMENT))
    assert found.root == merkle_root(records)
    assert found.hidden + len(found.records) == len(records)
    for record in found.records:
        assert b"111122229999" not in record
        assert b"us-east-1" not in record
    inside = [r for r in records if b"9999" not in r and b"us-east-1" not in r]
    assert list(found.records) == inside


@given(RECORDS)
def test_a_whole_extract_hides_nothing(records: list[bytes]) -> None:
    found = read_extract(whole(records))
    assert (found.hidden, list(found.records)) == (0, records)


@pytest.mark.parametrize(
    "data",
    [b"x", b"#12\n", b"#" + b"g" * 64 + b"\n", b"#" + b"A" * 64 + b"\n"],
    ids=ascii,
)
def test_what_is_neither_record_nor_hash_is_refused(data: bytes) -> None:
    with pytest.raises(ExtractError):
        read_extract(data)


def test_a_record_without_a_place_is_never_hidden() -> None:
    records = [b"not json", canonical({"n": 1}), canonical(["a"])]
    assert extract(records, ASSESSMENT) == whole(records)
