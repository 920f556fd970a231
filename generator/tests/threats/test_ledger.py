# SPDX-License-Identifier: Apache-2.0
"""Rows of the area ledger: from what the attacker does to what a person is shown.

The forgeries of T13 to T22 that stand on disk are run by both verifiers in
test_forgeries.py; here are the ones that go over every manifest, or over main itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attacked
import pytest
import released
from attacked import NAME, Shell
from tampering import (
    Files,
    opened,
    rechained,
    retagged,
    without,
    zipped,
)

from controlbook.digest import canonical, sha256

if TYPE_CHECKING:
    from pathlib import Path

shell = attacked.shell
LAST = released.DAYS + 1


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[released.Example, Files]:
    programme = released.example(tmp_path_factory.mktemp("programme"))
    return programme, opened(programme.release())


def manifest(seq: int) -> str:
    return f"ledger/config/{seq:06d}.json"


def verified(shell: Shell, folder: Path, files: Files, *words: str) -> tuple[int, str]:
    path = folder / f"{NAME}.zip"
    path.write_bytes(zipped(files, NAME))
    return shell("verify", str(path), *words)


@pytest.mark.threat("T13")
@pytest.mark.parametrize("seq", range(1, LAST))
def test_t13_each_days_manifest_dropped_in_turn(
    made: tuple[released.Example, Files], tmp_path: Path, shell: Shell, seq: int
) -> None:
    files = retagged(without(made[1], manifest(seq)))
    code, text = verified(shell, tmp_path, files)
    assert code == 4
    assert f"{manifest(seq)}: is missing" in text
    # Chained anew without it, its window is missing from the tiling.
    code, text = verified(shell, tmp_path, retagged(rechained(files)))
    assert code == 4
    # A day on which something moved breaks the sums of the next one before that.
    if seq not in {1, 4, 5}:
        day = 11 + seq - 1
        assert f"no run covers 2028-02-{day}T00:00:00Z to 2028-02-{day + 1}T0" in text


@pytest.mark.threat("T14")
@pytest.mark.parametrize("cut", [1, 2, LAST // 2, LAST - 1])
@pytest.mark.parametrize("pinned", [False, True])
def test_t14_the_last_manifests_dropped(
    made: tuple[released.Example, Files],
    tmp_path: Path,
    shell: Shell,
    cut: int,
    pinned: bool,  # noqa: FBT001 - a table
) -> None:
    gone = [manifest(seq) for seq in range(LAST - cut + 1, LAST + 1)]
    gone += [path for path in made[1] if path.startswith("ledger/checkpoints/")]
    files = retagged(without(made[1], *gone))
    pin = sha256(made[1][manifest(LAST)])
    code, text = verified(shell, tmp_path, files, *(("--pin", pin) if pinned else ()))
    assert "the ledger ends at 2028-02-" in text or "no run covers any of" in text
    assert code == 4
    if pinned:
        assert f"the pin {pin[:16]}… names nothing in this release" in text
    # Not forged any further, a ledger that ends early is incomplete, and no more.
    if not pinned:
        code, text = verified(shell, tmp_path, without(made[1], *gone[:cut]))
        assert code in {4, 5}


@pytest.mark.threat("T14")
@pytest.mark.parametrize("days", [1, 2, 3, 5])
def test_t14_a_consistent_ledger_that_ends_early(
    tmp_path: Path, shell: Shell, days: int
) -> None:
    skip = tuple(range(LAST - days + 1, LAST + 1))
    path = released.example(tmp_path / "p", skip=skip).release()
    code, text = shell("verify", str(path))
    assert code == 5
    early = (
        "the ledger ends at 2028-02-" if days < released.DAYS else "no run covers any"
    )
    assert early in text
    pin = "a" * 64
    code, text = shell("verify", str(path), "--pin", pin)
    assert code == 4
    assert "names nothing in this release" in text


@pytest.mark.threat("T15")
def test_t15_nothing_to_check_is_never_fine(
    made: tuple[released.Example, Files], tmp_path: Path, shell: Shell
) -> None:
    everything = [path for path in made[1] if path.startswith("ledger/")]
    config = [path for path in everything if path.startswith("ledger/config/")]
    for gone in (everything, config):
        code, text = verified(shell, tmp_path, without(made[1], *gone))
        assert code in {4, 5}, text
        code, text = verified(shell, tmp_path, retagged(without(made[1], *gone)))
        assert code in {4, 5}, text
    (tmp_path / "empty").mkdir()
    code, text = shell("verify", str(tmp_path / "empty"))
    assert (code, "the bundle is empty: there is nothing to verify" in text) == (
        5,
        True,
    )
    code, text = verified(shell, tmp_path, {})
    assert (code, "nothing to verify" in text) == (5, True)


@pytest.mark.threat("T16")
@pytest.mark.parametrize("seq", range(1, LAST))
@pytest.mark.parametrize("how", ["swap", "rename", "both"])
def test_t16_neighbours_reordered(
    made: tuple[released.Example, Files],
    tmp_path: Path,
    shell: Shell,
    seq: int,
    how: str,
) -> None:
    files = dict(made[1])
    one, two = files[manifest(seq)], files[manifest(seq + 1)]

    def numbered(data: bytes, number: int) -> bytes:
        return canonical({**json.loads(data), "seq": number})

    if how == "swap":
        files[manifest(seq)], files[manifest(seq + 1)] = two, one
        due = f"the manifest says seq {seq + 1}, its name says {seq}"
    elif how == "rename":
        files[manifest(LAST + 1)] = files.pop(manifest(seq))
        due = f"{manifest(seq)}: is missing"
    else:
        files[manifest(seq)] = numbered(two, seq)
        files[manifest(seq + 1)] = numbered(one, seq + 1)
        due = "prev names"
    code, text = verified(shell, tmp_path, retagged(files))
    assert code == 4
    assert due in text


@pytest.mark.threat("T20")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a": 1}', "in canonical form"),
        (b'{"a":1,"a":1}', "twice"),
        (b'{"a":NaN}', ""),
        (b'{"a":1e400}', ""),
        (b'{"a":123456789012345678901234567890}', ""),
        (b'{"a":"\\ud800"}', ""),
        (b"[" * 50_000, ""),
        (b"", ""),
    ],
    ids=[
        "space",
        "keys",
        "nan",
        "huge float",
        "huge integer",
        "surrogate",
        "deep",
        "0",
    ],
)
def test_t20_odd_json_in_the_work_tree_is_exit_2(
    tmp_path: Path, shell: Shell, data: bytes, why: str
) -> None:
    programme = attacked.begun(tmp_path)
    path = "evidence/config/000003.json"
    programme.repository.git("reset", "--hard", "--quiet", "main")
    (programme.repository.root / path).write_bytes(data)
    code, text = shell("check", "-C", str(programme.repository.root))
    assert code == 2, text
    assert f"{path}:1: not canonical JSON: " in text
    assert why in text


@pytest.mark.threat("T57")
def test_t57_a_forged_captured_review(tmp_path: Path, shell: Shell) -> None:
    """Who may commit to main writes a review that GitHub never had, all consistent."""
    true = attacked.signed(tmp_path / "true")
    # What GitHub told: somebody else approved. The forger edits what Git keeps of it.
    true.reviewed(attacked.SIGN, user_id="4100301", user_login="c-novak")
    true.capture()
    path = "evidence/reviews/000001.json"
    honest = true.file(path)
    forged = honest.replace(b'"user_id":"4100301"', b'"user_id":"4100201"')
    assert forged != honest
    true.repository.set_branch("main", "main~1")
    true.commit({path: forged}, "Collect reviews 1\n")
    assert shell.status(true)[0] == 0
    true.checkpoint()
    bundle = true.release()
    code, text = shell("verify", str(bundle))
    assert code == 4
    told = "reviews 000001: pull request 3 is told otherwise than GitHub answered when"
    assert told in text
    code, text = shell("verify", str(bundle), "--raw", str(true.root / "vault"))
    assert code == 4
    assert "ledger/reviews/000001.json: the vault's manifest" in text


def test_the_untouched_bundle_verifies(
    made: tuple[released.Example, Files], tmp_path: Path, shell: Shell
) -> None:
    code, text = verified(shell, tmp_path, made[1])
    assert code == 0, text
