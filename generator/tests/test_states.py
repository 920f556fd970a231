# SPDX-License-Identifier: Apache-2.0
"""What held at an instant, by the ledger of a small, real programme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import released

from controlbook.errors import ControlbookError, Exit
from controlbook.model import State
from controlbook.states import Row, base_of, states_at
from controlbook.timeline import instant

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.programme import Programme


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Programme:
    made = released.Example(tmp_path_factory.mktemp("states"))
    made.collect()
    return made.programme


def at(programme: Programme, text: str) -> dict[str, Row]:
    moment = instant(text)
    base = base_of(programme.ledger.config, moment)
    rows = states_at(base, programme.state_after(base.run), moment)
    return {row.resource: row for row in rows}


@pytest.mark.parametrize(
    ("moment", "state", "since"),
    [
        ("2028-02-14T03:11:59Z", State.COMPLIANT, None),
        ("2028-02-14T03:12:00Z", State.NON_COMPLIANT, "2028-02-14T03:12:00Z"),
        ("2028-02-14T03:16:59.999Z", State.NON_COMPLIANT, "2028-02-14T03:12:00Z"),
        ("2028-02-14T03:17:00Z", State.COMPLIANT, "2028-02-14T03:17:00Z"),
        ("2028-02-15T00:00:00Z", State.COMPLIANT, "2028-02-14T03:17:00Z"),
    ],
)
def test_a_state_holds_from_its_transition_to_the_next(
    moment: str, state: State, since: str | None, programme: Programme
) -> None:
    row = at(programme, moment)[released.STALE]
    assert row.state is state
    assert row.doubt == ""
    if since:
        assert row.since == instant(since)


def test_every_resource_of_every_account_is_there(programme: Programme) -> None:
    rows = at(programme, "2028-02-14T03:15:00Z").values()
    found = {
        account: sum(row.account == account for row in rows)
        for account in released.POPULATION
    }
    assert found == released.POPULATION


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        ("2028-02-11T23:00:00Z", "the ledger's first state is that of 2028-02-12T00"),
        ("2028-02-17T00:00:01Z", "no run covers 2028-02-17T00:00:01Z"),
    ],
)
def test_what_the_ledger_does_not_reach_is_not_guessed(
    moment: str, message: str, programme: Programme
) -> None:
    with pytest.raises(ControlbookError) as caught:
        at(programme, moment)
    assert message in str(caught.value)
    assert caught.value.code is Exit.UNAVAILABLE


def test_a_day_that_was_skipped_is_not_bridged(tmp_path: Path) -> None:
    made = released.Example(tmp_path, skip=(4,))
    made.collect()
    with pytest.raises(ControlbookError, match="no run covers"):
        at(made.programme, "2028-02-14T12:00:00Z")
    assert at(made.programme, "2028-02-15T12:00:00Z")


def test_an_empty_ledger_says_to_collect() -> None:
    with pytest.raises(ControlbookError, match=r"holds no run.*controlbook collect"):
        base_of((), instant("2028-01-01T00:00:00Z"))
