# SPDX-License-Identifier: Apache-2.0
"""The book of states writes what the ledger writes, and copies what did not move."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.ledger import LedgerError, parse_state_lines, rule_key, state_lines
from controlbook.model import RuleInstance, Standing, State
from controlbook.sources.book import Book, Sheet, book_of, place_of
from controlbook.timeline import Instant
from controlbook.vault.packs import pack, records_of

PLACES = [
    (account, region)
    for account in ("000000000001", "000000000002")
    for region in ("eu-west-1", "us-east-1")
]
KEYS = {rule_key("RULE", (), *place): place for place in PLACES}
RULES = tuple(
    RuleInstance(
        key=key,
        rule="rule",
        deployed_as="rule",
        identifier="RULE",
        parameters=(),
        account=place[0],
        region=place[1],
        trigger="change",
        population=0,
        counts=(),
        records_root="",
    )
    for key, place in KEYS.items()
)

names = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs", "Cc"))
)
standings = st.builds(
    Standing,
    instance=st.sampled_from(sorted(KEYS)),
    resource=names.map(lambda name: unicodedata.normalize("NFC", name)),
    state=st.sampled_from([state for state in State if state is not State.ABSENT]),
    since=st.integers(0, 4_000_000_000_000).map(Instant),
)
tables = st.lists(standings, unique_by=lambda row: (row.instance, row.resource))


def lines_of(rows: list[Standing]) -> tuple[bytes, ...]:
    return state_lines(rows, RULES)


@given(tables, tables)
def test_a_replaced_sheet_is_the_line_that_the_ledger_writes(
    before: list[Standing], after: list[Standing]
) -> None:
    place = PLACES[0]
    old, new = (
        [row for row in rows if KEYS[row.instance] == place] for rows in (before, after)
    )
    sheet = Sheet(place, lines_of(old)[0])
    assert sheet.all == tuple(sorted(old))
    sheet.replace(sheet.all, new)
    assert sheet.line == lines_of(new)[0]
    assert sheet.all == tuple(sorted(new))


@given(tables, tables, st.sets(st.sampled_from(PLACES)))
def test_a_rewritten_book_holds_the_new_sheets_and_the_old_lines(
    before: list[Standing], after: list[Standing], chosen: set[tuple[str, str]]
) -> None:
    book = book_of(pack(lines_of(before)))
    sheets = book.pick(chosen)
    for place, sheet in sheets.items():
        sheet.replace(sheet.all, [r for r in after if KEYS[r.instance] == place])
    written = tuple(records_of(book.rewritten(sheets).body))
    due = [r for r in before if KEYS[r.instance] not in chosen]
    due += [r for r in after if KEYS[r.instance] in chosen]
    assert written == lines_of(due)
    assert parse_state_lines(written) == tuple(sorted(due))


def test_places_without_a_line_stand_between_the_others() -> None:
    lines = [line for line in lines_of([]) if place_of(line) != PLACES[1]]
    found = list(Book(lambda: iter(lines)).with_all([PLACES[1], ("9" * 12, "eu")]))
    assert [place for place, _ in found] == [*PLACES, ("9" * 12, "eu")]
    assert [place for place, line in found if not line] == [PLACES[1], ("9" * 12, "eu")]


def test_what_did_not_move_is_never_read() -> None:
    line = b'{"account":"000000000001","region":"eu-west-1","states":[nonsense'
    sheet = Sheet(PLACES[0], line)
    assert sheet.line == line
    with pytest.raises(LedgerError, match="not a record of a state pack"):
        _ = sheet.rows


@pytest.mark.parametrize(
    "rows", ["null", '[["a","b"]]', '[["k","r","COMPLIANT","x"]]', '[["k","r","S",1]]']
)
def test_lines_that_are_no_states_are_refused(rows: str) -> None:
    head = '{"account":"000000000001","region":"eu-west-1","states":'
    with pytest.raises(LedgerError, match="not a record of a state pack"):
        _ = Sheet(PLACES[0], f"{head}{rows}}}".encode()).all
