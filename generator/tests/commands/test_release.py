# SPDX-License-Identifier: Apache-2.0
"""A release that dies at a step, and the one that takes it up again."""

from __future__ import annotations

import shutil
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import keys
import proven
import pytest
import released
from running import controlbook

from controlbook.commands.release import release
from controlbook.digest import sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.git import Repository
from controlbook.publishing import Build
from controlbook.timeline import DAY, HOUR, iso
from controlbook.vault.directory import DirectoryVault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = released.NAME
STEPS: dict[str, tuple[type, str]] = {
    "checkpoint": (DirectoryVault, "put"),
    "commit": (Repository, "write_and_commit"),
    "tag": (Repository, "tag"),
    "bundle": (Build, "bundle"),
    "install": (Build, "install"),
}


class KilledError(BaseException):
    """The machine went away."""


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a signed programme, checked out, and its vault."""
    return signed_programme(tmp_path_factory.mktemp("signed"))


def signed_programme(root: Path) -> Path:
    made = released.Example(root)
    made.collect()
    made.annotate()
    made.sign()
    made.capture()
    clone = Repository.clone(str(made.repository.root), root / "clone")
    clone.configure(*released.BOT)
    (clone.folder / "info").mkdir(exist_ok=True)
    (clone.folder / "info" / "exclude").write_text("/build/\n")
    return root


def options(root: Path, later: int = 0, *, sign: bool = False) -> Namespace:
    at = iso(released.instant("2028-03-01T09:00:00Z") + later)  # type: ignore[arg-type]
    return Namespace(
        root=root / "clone", as_of=at, assessment=NAME, push=False, sign=sign
    )


def copied(signed: Path, root: Path) -> Path:
    shutil.copytree(signed, root, symlinks=True)
    return root


def dying(
    monkeypatch: pytest.MonkeyPatch, step: str, *, after: bool
) -> Callable[[], None]:
    """Let the process die just before or after a step; give what mends it again."""
    kind, name = STEPS[step]
    real = getattr(kind, name)

    def die(*given: Any, **named: Any) -> None:  # noqa: ANN401
        if after:
            real(*given, **named)
        raise KilledError

    monkeypatch.setattr(kind, name, die)
    return lambda: monkeypatch.setattr(kind, name, real)


def bundle(root: Path) -> str:
    return sha256((root / "clone" / "build" / f"{NAME}.zip").read_bytes())


@pytest.fixture(scope="module")
def whole(signed: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Release without trouble; give the digest of the bundle."""
    root = copied(signed, tmp_path_factory.mktemp("whole") / "x")
    assert release(options(root)).code is Exit.FINE
    return bundle(root)


@pytest.mark.slow
@pytest.mark.threat("T33")
@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("checkpoint", False),
        ("checkpoint", True),
        ("commit", True),
        ("tag", False),
        ("tag", True),
        ("bundle", True),
        ("install", False),
    ],
)
def test_t33_a_release_that_died_is_taken_up_and_gives_the_same_bundle(
    signed: Path,
    whole: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    *,
    after: bool,
) -> None:
    root = copied(signed, tmp_path / "x")
    mend = dying(monkeypatch, step, after=after)
    with pytest.raises(KilledError):
        release(options(root))
    mend()
    assert not (root / "clone" / "build" / f"{NAME}.zip").exists()
    assert release(options(root)).code is Exit.FINE
    assert bundle(root) == whole
    checkpoints = root / "clone" / "evidence" / "checkpoints"
    assert [path.name for path in checkpoints.iterdir()] == ["000001.json"]
    with pytest.raises(ControlbookError, match="is released already"):
        release(options(root))


@pytest.mark.slow
@pytest.mark.threat("T33")
def test_t33_a_checkpoint_that_only_the_vault_has_is_copied_and_not_fought_over(
    signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(signed, tmp_path / "x")
    mend = dying(monkeypatch, "checkpoint", after=True)
    with pytest.raises(KilledError):
        release(options(root))
    mend()
    locked = DirectoryVault(root / "vault").get("ledger/checkpoints/000001.json")
    # Days later, by another clock: the number is taken, and by these bytes.
    done = release(options(root, later=3 * DAY + HOUR))
    assert done.code is Exit.FINE
    path = root / "clone" / "evidence" / "checkpoints" / "000001.json"
    assert path.read_bytes() == locked


@pytest.mark.slow
@pytest.mark.threat("T58")
@pytest.mark.threat("T62")
def test_a_release_is_signed_with_gits_own_key_or_refused(tmp_path: Path) -> None:
    ring = proven.key_ring(tmp_path / "ring")
    authority = keys.authority(tmp_path / "authority")
    with proven.written(ring, authority, '{release: "ssh"}', trusted=False):
        root = signed_programme(tmp_path / "x")
    clone = Repository(root / "clone")
    head = clone.head()

    # Nobody to sign: nothing is written, and what to do is said.
    with pytest.raises(ControlbookError, match="no SSH key to sign") as none:
        release(options(root))
    assert "git config gpg.format ssh" in none.value.advice
    assert (none.value.code, clone.head()) == (Exit.USAGE, head)

    # The wrong person: the tag is taken back before anything is published.
    clone.git("config", "gpg.format", "ssh")
    clone.git("config", "user.signingKey", str(ring / "a-okafor.pub"))
    with pytest.raises(ControlbookError, match="by no key of a compliance officer"):
        release(options(root))
    assert clone.tags() == ()
    assert not (root / "clone" / "build").exists()

    clone.git("config", "user.signingKey", str(ring / "c-novak.pub"))
    assert release(options(root)).code is Exit.FINE
    allowed = tmp_path / "allowed"
    allowed.write_text(f"c-novak {keys.public(ring / 'c-novak')}\n")
    stock = f"gpg.ssh.allowedSignersFile={allowed}"
    clone.git("-c", stock, "verify-tag", NAME)
    found = controlbook(root, "verify", str(root / "clone" / "build" / f"{NAME}.zip"))
    assert found.code is Exit.FINE, found.text
    assert "whether the tag's key is c-novak's" in found.text

    # A tag that somebody put there unsigned is not built upon.
    (root / "clone" / "build" / f"{NAME}.zip").unlink()
    message = clone.tag_object(NAME).decode().split("\n\n", 1)[1]
    at = clone.commit_time(NAME)
    clone.untag(NAME)
    unsigned = message.partition("-----BEGIN")[0]
    clone.tag(NAME, "HEAD", unsigned, at=at, author=released.BOT)
    with pytest.raises(ControlbookError, match="carries no SSH signature") as bare:
        release(options(root))
    assert bare.value.code is Exit.INTEGRITY
