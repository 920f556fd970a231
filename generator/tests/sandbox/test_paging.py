# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.sandbox.paging import Pager
from controlbook.sandbox.protocol import ServiceError
from controlbook.sandbox.trouble import Trouble

WHERE = st.lists(st.sampled_from(["first", "middle", "last"]), unique=True)


def walk(pager: Pager, rows: list[int], size: int, **params: object) -> list[list[int]]:
    pages = []
    token: dict[str, str] = {}
    while True:
        page, token = pager.page("List", {**params, **token}, rows, size)
        pages.append(page)
        if not token:
            return pages


@given(st.lists(st.integers()), st.integers(1, 9), WHERE)
def test_pages_together_hold_every_row_once_in_order(
    rows: list[int], size: int, empty: list[str]
) -> None:
    pages = walk(Pager(Trouble(empty_pages=tuple(empty))), rows, size)
    assert [row for page in pages for row in page] == rows
    assert all(len(page) <= size for page in pages)


@pytest.mark.parametrize(
    ("where", "lengths"),
    [
        ("first", [0, 2, 2]),
        ("middle", [2, 0, 2]),
        ("last", [2, 2, 0]),
    ],
)
def test_empty_page_carries_a_token_or_ends_the_listing(
    where: str, lengths: list[int]
) -> None:
    pages = walk(Pager(Trouble(empty_pages=(where,))), [1, 2, 3, 4], 2)
    assert [len(page) for page in pages] == lengths


def test_token_of_another_question_is_invalid() -> None:
    pager = Pager(Trouble())
    _, token = pager.page("List", {"Filter": "a"}, [1, 2, 3], 2)
    for operation, params in (("List", {"Filter": "b"}), ("Other", {"Filter": "a"})):
        with pytest.raises(ServiceError) as caught:
            pager.page(operation, {**params, **token}, [1, 2, 3], 2)
        assert caught.value.code == "InvalidNextTokenException"


@pytest.mark.parametrize("token", ["x", "bm90IGpzb24=", "W10="])
def test_made_up_token_is_invalid(token: str) -> None:
    with pytest.raises(ServiceError, match="InvalidNextTokenException"):
        Pager(Trouble()).page("List", {"NextToken": token}, [1, 2, 3], 2)


def test_token_expires_as_often_as_asked() -> None:
    pager = Pager(Trouble(expired_tokens=1))
    _, token = pager.page("List", {}, [1, 2, 3], 2)
    with pytest.raises(ServiceError, match="expired"):
        pager.page("List", token, [1, 2, 3], 2)
    assert pager.page("List", token, [1, 2, 3], 2) == ([3], {})


def test_looped_token_leads_to_the_same_page_again() -> None:
    pager = Pager(Trouble(looped_token=True))
    page, token = pager.page("List", {}, [1], 2)
    assert pager.page("List", token, [1], 2) == (page, token)


def test_repeated_row_stands_on_two_pages() -> None:
    pages = walk(Pager(Trouble(repeated_row=True)), [1, 2, 3, 4], 2)
    assert pages == [[1, 2], [2, 3, 4]]


def test_blank_listing_has_no_rows_and_no_token() -> None:
    pager = Pager(Trouble(blank_listings=("List",)))
    assert pager.page("List", {}, [1, 2, 3], 2) == ([], {})
