# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from controlbook.checkpoints import (
    checkpoint_bytes,
    checkpoint_problems,
    path_of,
    pinned,
    prefix_roots,
    read_checkpoints,
)
from controlbook.digest import canonical, merkle_root, parse_canonical, sha256
from controlbook.model import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

ID = small.ledger().config[0].ledger


def ledger(runs: int) -> Ledger:
    return Ledger(runs={"config": small.ledger().config[:runs]})


def files() -> dict[str, bytes]:
    """Three checkpoints, the last over the whole ledger."""
    return {
        path_of(number): checkpoint_bytes(ledger(size), ID, number)
        for number, size in enumerate((2, 3, 6), 1)
    }


def problems(changed: dict[str, bytes], of: Ledger | None = None) -> list[str]:
    return list(checkpoint_problems(changed, of or small.ledger()))


def test_every_checkpoint_is_a_prefix() -> None:
    assert problems(files()) == []
    assert [found.sizes for found in read_checkpoints(files())] == [
        {"config": 2},
        {"config": 3},
        {"config": 6},
    ]


def test_no_checkpoints_are_no_problem() -> None:
    assert problems({}) == []


def test_a_gap_in_the_numbers() -> None:
    changed = files()
    del changed[path_of(2)]
    assert problems(changed) == [
        "evidence/checkpoints/000003.json: checkpoint 000002 before it is missing"
    ]


def test_the_first_one_missing() -> None:
    changed = files()
    del changed[path_of(1)]
    assert "checkpoint 000001 before it is missing" in problems(changed)[0]


def test_a_renamed_one_says_another_number() -> None:
    changed = files()
    changed[path_of(4)] = changed[path_of(3)]
    assert problems(changed) == [
        "evidence/checkpoints/000004.json: says that it is number 3"
    ]


def test_one_that_covers_less_than_the_one_before() -> None:
    changed = files()
    changed[path_of(4)] = checkpoint_bytes(ledger(2), ID, 4)
    assert "covers less of config" in problems(changed)[0]


@pytest.mark.threat("T14")
def test_a_ledger_that_is_shorter_than_a_checkpoint() -> None:
    assert problems(files(), ledger(5)) == [
        "evidence/checkpoints/000003.json: the config stream here is not what it names"
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["streams"]["config"].update(root="0" * 64),
        lambda tree: tree["streams"]["config"].update(sha256="0" * 64),
        lambda tree: tree["streams"].update(config=7),
        lambda tree: tree["streams"].update(other={"seq": 1}),
    ],
    ids=["root", "head", "row", "stream"],
)
def test_one_that_names_another_ledger(change: Callable[..., None]) -> None:
    tree = parse_canonical(files()[path_of(3)])
    change(tree)
    assert (
        "is not what it names" in problems({**files(), path_of(3): canonical(tree)})[0]
    )


@pytest.mark.threat("T18")
def test_one_of_another_ledger_id() -> None:
    changed = {**files(), path_of(3): checkpoint_bytes(ledger(6), "0" * 36, 3)}
    assert problems(changed) == [
        "evidence/checkpoints/000003.json: is of another ledger"
    ]


@pytest.mark.threat("T20")
@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"type": "controlbook/checkpoint/1"}', b"[]", b"\xff"]
)
def test_bytes_that_are_no_checkpoint(data: bytes) -> None:
    assert problems({**files(), path_of(3): data}) == [
        "evidence/checkpoints/000003.json: is no checkpoint"
    ]


def test_a_sidecar_without_its_checkpoint() -> None:
    changed = {**files(), path_of(9) + ".sig": b"x", "evidence/checkpoints/x": b""}
    assert problems(changed) == [
        "evidence/checkpoints/000009.json.sig: stands beside no checkpoint",
        "evidence/checkpoints/x: stands beside no checkpoint",
    ]


@given(st.integers(min_value=0, max_value=70))
def test_prefix_roots_are_the_merkle_roots(size: int) -> None:
    digests = [sha256(bytes([number])) for number in range(size)]
    assert list(prefix_roots(digests)) == [
        merkle_root(bytes.fromhex(digest) for digest in digests[:upto])
        for upto in range(1, size + 1)
    ]


def test_what_a_pin_can_stand_for() -> None:
    known = pinned(small.ledger(), files())
    runs = small.ledger().config
    assert known[runs[2].sha256] == "manifest config/000003"
    root = merkle_root(bytes.fromhex(run.sha256) for run in runs[:4])
    assert known[root] == "the root of the first 4 manifests of config"
    assert known[sha256(files()[path_of(2)])] == "checkpoint 000002"
    assert sha256(b"something else") not in known
