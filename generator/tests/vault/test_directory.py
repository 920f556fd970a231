# SPDX-License-Identifier: Apache-2.0
"""The directory vault keeps what it is given, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from controlbook.errors import ControlbookError
from controlbook.timeline import Instant
from controlbook.vault import (
    NotInVaultError,
    TakenError,
    VaultIntegrityError,
    VaultUnavailableError,
    open_vault,
)
from controlbook.vault.directory import DirectoryVault

if TYPE_CHECKING:
    from pathlib import Path

UNTIL = Instant(2_000_000_000_000)


def test_an_object_reads_back_and_says_that_it_is_not_locked(tmp_path: Path) -> None:
    vault = open_vault("vault", tmp_path)
    stored = vault.put("packs/config/a.gz", b"one", role="source", retain_until=UNTIL)
    assert (stored.lock_mode, stored.lock_until) == ("none", "")
    assert stored.version_id == f"sha256:{stored.sha256}"
    assert vault.get(stored.key, stored.version_id) == b"one"
    assert vault.keys("packs/") == ("packs/config/a.gz",)
    assert vault.keys("ledger/config/") == ()


def test_the_same_bytes_again_are_fine_and_others_are_not(tmp_path: Path) -> None:
    vault = DirectoryVault(tmp_path)
    first = vault.put("a", b"one", role="source", retain_until=UNTIL)
    assert vault.put("a", b"one", role="source", retain_until=UNTIL) == first
    with pytest.raises(TakenError, match="other bytes"):
        vault.put("a", b"two", role="source", retain_until=UNTIL)
    assert vault.get("a") == b"one"


@pytest.mark.parametrize("setting", ["README.md", "README.md/vault"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_file_is_no_vault(tmp_path: Path, setting: str, *, begun: bool) -> None:
    (tmp_path / "README.md").write_text("a file")
    with pytest.raises(VaultUnavailableError, match="a file stands there") as caught:
        open_vault(setting, tmp_path, begun=begun).put(
            "a/b", b"one", role="source", retain_until=UNTIL
        )
    assert caught.value.place.endswith("README.md")
    assert "pyproject.toml" in caught.value.advice
    for ask in (DirectoryVault.get, DirectoryVault.keys):
        with pytest.raises(VaultUnavailableError, match="a file stands there"):
            ask(DirectoryVault(tmp_path / setting), "a/b")


@pytest.mark.threat("T34")
def test_of_many_writers_exactly_one_wins(tmp_path: Path) -> None:
    vault = DirectoryVault(tmp_path)

    def put(number: int) -> bool:
        try:
            vault.put(
                "ledger/config/000001.json",
                b"%d" % number,
                role="manifest",
                retain_until=UNTIL,
            )
        except TakenError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(32)))
    assert won.count(True) == 1
    assert vault.get("ledger/config/000001.json") == b"%d" % won.index(True)
    assert vault.keys("ledger") == ("ledger/config/000001.json",)


def test_a_changed_file_is_not_the_pinned_version(tmp_path: Path) -> None:
    vault = DirectoryVault(tmp_path)
    stored = vault.put("a", b"one", role="source", retain_until=UNTIL)
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "a").write_bytes(b"two")
    with pytest.raises(VaultIntegrityError, match="not the version"):
        vault.get("a", stored.version_id)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotInVaultError, match="packs/x: not in the vault"):
        DirectoryVault(tmp_path).get("packs/x")


@pytest.mark.parametrize("key", ["../a", "/a", "a//b", "", "a/../b", ".hidden"])
def test_a_key_stays_in_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ControlbookError, match="not a key"):
        DirectoryVault(tmp_path).get(key)
