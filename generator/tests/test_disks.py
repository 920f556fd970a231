# SPDX-License-Identifier: Apache-2.0
"""Disks that fill up, close or go away, and Git's locks: said, and nothing is lost.

Every case runs the real verb, on real file systems where the kernel gives them.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from running import controlbook
from test_collect import Daily
from test_crash import BOT, command, environment, evidence, programme, stored

from controlbook.commands import collect
from controlbook.errors import ControlbookError, Exit
from controlbook.git import Repository
from controlbook.ledger import chain_problems
from controlbook.timeline import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controlbook.sources import Past, Reading, Scope
    from controlbook.timeline import Instant, Interval

DAYS = ("2028-01-01", "2028-01-02")


def done(root: Path, day: str, **options: object) -> tuple[int, str]:
    """Collect in a process of its own; give its code and what it said."""
    ran = subprocess.run(
        command(root, day, "none", 0),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert "Traceback" not in ran.stderr
    return ran.returncode, ran.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Give the evidence of two days in which nothing went wrong."""
    root = tmp_path_factory.mktemp("whole")
    programme(root)
    assert [done(root, day)[0] for day in DAYS] == [0, 0]
    return evidence(root)


# --- Git's locks ---------------------------------------------------------------------


@pytest.mark.threat("T33")
def test_t33_git_finishes_when_its_callers_whole_group_is_killed(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    # Git asks a filter for the blob while it holds the lock; the filter kills.
    repository = programme(tmp_path)
    assert done(tmp_path, DAYS[0])[0] == 0
    repository.git("config", "filter.deadly.clean", 'kill -s KILL -- -"$RUNNER"; cat')
    attributes = repository.folder / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("evidence/config/* filter=deadly\n")
    script = f"RUNNER=$$ exec {shlex.join(command(tmp_path, DAYS[1], 'none', 0))}"
    with subprocess.Popen(
        ["/bin/sh", "-c", script], env=environment(), start_new_session=True
    ) as runner:
        assert runner.wait(60) == -signal.SIGKILL
    lock, deadline = repository.folder / "index.lock", time.monotonic() + 30
    while lock.exists():
        assert time.monotonic() < deadline, "Git died with its caller"
        time.sleep(0.05)
    attributes.unlink()
    assert done(tmp_path, DAYS[1])[0] == 0
    assert evidence(tmp_path) == whole
    assert not repository.dirty()


@pytest.mark.threat("T33")
@pytest.mark.parametrize(
    "lock",
    [
        "index.lock",
        pytest.param("HEAD.lock", marks=pytest.mark.slow),
        pytest.param("refs/heads/main.lock", marks=pytest.mark.slow),
    ],
)
def test_t33_a_lock_that_was_left_behind_is_named_and_nothing_is_lost(
    tmp_path: Path, whole: dict[str, bytes], lock: str
) -> None:
    repository = programme(tmp_path)
    assert done(tmp_path, DAYS[0])[0] == 0
    left = repository.folder / lock
    left.touch()
    code, said = done(tmp_path, DAYS[1])
    assert code == Exit.UNAVAILABLE
    assert f"if none runs, remove {left} and run it again" in said
    # The vault has the run: the commit point was passed.
    assert "vault/ledger/config/000002.json" in stored(tmp_path)
    left.unlink()
    assert done(tmp_path, DAYS[1])[0] == 0
    assert evidence(tmp_path) == whole


def test_a_lock_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    repository = programme(tmp_path)
    lock = repository.folder / "index.lock"
    lock.touch()
    timer = threading.Timer(0.5, lock.unlink)
    timer.start()
    made = repository.write_and_commit(
        {"x": b"1"}, "One\n", at=instant("2028-01-01T00:00:00Z"), author=BOT
    )
    timer.join()
    assert repository.head() == made


@pytest.mark.threat("T34")
def test_t34_streams_that_collect_at_once_in_one_checkout_all_land(
    tmp_path: Path,
) -> None:
    repository = programme(tmp_path)
    failures: list[Exception] = []

    def work(stream: str) -> None:
        try:
            for day in range(1, 6):
                repository.write_and_commit(
                    {f"evidence/{stream}/{day:06d}.json": b"{}"},
                    f"Collect {stream} {day}\n",
                    at=instant(f"2028-01-0{day}T06:00:00Z"),
                    author=BOT,
                )
        except Exception as error:  # noqa: BLE001 - whatever it is
            failures.append(error)

    threads = [threading.Thread(target=work, args=(s,)) for s in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(evidence(tmp_path)) == 15
    assert not repository.dirty()


# --- disks ---------------------------------------------------------------------------


def apart(script: str, root: Path, day: str) -> tuple[int, str]:
    """Collect where a script mounted something first, in a name space of its own."""
    enter = ["unshare", "--user", "--map-root-user", "--mount"]
    probe = subprocess.run(
        [*enter, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        check=False,
    )
    if probe.returncode:
        pytest.skip("this kernel lets nobody mount in a name space")
    collecting = shlex.join(command(root, day, "none", 0))
    ran = subprocess.run(
        [*enter, "/bin/sh", "-ec", f"{script}\nexec {collecting}"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    return ran.returncode, ran.stderr


def full(folder: Path, room: int) -> str:
    """Copy a folder to a small disk that has so many KiB left, and mount it there."""
    size = 4096
    return f"""
    cp -a {folder} {folder}.kept
    mount -t tmpfs -o size={size}k tmpfs {folder}
    cp -a {folder}.kept/. {folder}
    used=$(df -k --output=used {folder} | tail -1)
    head -c $((({size} - used - {room}) * 1024)) /dev/zero > {folder}/.filler
    """


@pytest.mark.threat("T36")
@pytest.mark.parametrize("room", [0, 4, 8])
def test_t36_a_vault_on_a_disk_that_fills_up(
    tmp_path: Path, whole: dict[str, bytes], room: int
) -> None:
    programme(tmp_path)
    assert done(tmp_path, DAYS[0])[0] == 0
    code, said = apart(full(tmp_path / "vault", room), tmp_path, DAYS[1])
    assert code == Exit.UNAVAILABLE, said
    assert "/vault/" in said
    assert "No space left on device; make room and run it again" in said
    assert list(evidence(tmp_path)) == list(whole)[:1]
    assert done(tmp_path, DAYS[1])[0] == 0
    assert evidence(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.threat("T36")
@pytest.mark.parametrize("room", [0, 4, 8, 12, 16, 20])
def test_t36_a_repository_on_a_disk_that_fills_up(
    tmp_path: Path, whole: dict[str, bytes], room: int
) -> None:
    repository = programme(tmp_path)
    assert done(tmp_path, DAYS[0])[0] == 0
    code, said = apart(full(repository.root, room), tmp_path, DAYS[1])
    assert code == Exit.UNAVAILABLE, said
    assert "make room and run it again" in said
    # The repository as the full disk left it is another copy: this one is a day behind.
    assert done(tmp_path, DAYS[1])[0] == 0
    assert evidence(tmp_path) == whole


@pytest.mark.threat("T36")
@pytest.mark.parametrize("said_by_git", ["write error. Out of diskspace", "Quota"])
def test_t36_what_git_says_of_a_full_disk_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said_by_git: str
) -> None:
    text = {"Quota": "unable to write: Disk quota exceeded"}.get(
        said_by_git, f"sha1 file '.git/index.lock' {said_by_git}"
    )
    repository = programme(tmp_path)
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f'#!/bin/sh\necho "fatal: {text}" >&2\nexit 128\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}:{os.environ['PATH']}")
    with pytest.raises(ControlbookError, match="make room and run it again") as caught:
        repository.git("commit")
    assert caught.value.code is Exit.UNAVAILABLE


@pytest.mark.threat("T36")
@pytest.mark.parametrize("place", ["vault", "programme/.git", "programme"])
def test_t36_a_disk_that_is_read_only(
    tmp_path: Path, whole: dict[str, bytes], place: str
) -> None:
    programme(tmp_path)
    assert done(tmp_path, DAYS[0])[0] == 0
    shut = f"mount --bind {tmp_path / place} {tmp_path / place}\n"
    shut += f"mount -o remount,ro,bind {tmp_path / place}"
    code, said = apart(shut, tmp_path, DAYS[1])
    assert code == Exit.UNAVAILABLE
    assert "Read-only file system; make it writable and run it again" in said
    assert list(evidence(tmp_path)) == list(whole)[:1]
    assert done(tmp_path, DAYS[1])[0] == 0
    assert evidence(tmp_path) == whole


def obedient() -> None:
    """Let root obey the modes of files, as anybody else does."""
    drop, override, search = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_*
    for right in (override, search):
        ctypes.CDLL(None).prctl(drop, right)


@pytest.mark.threat("T36")
@pytest.mark.parametrize("place", ["vault/ledger/config", "programme/.git"])
def test_t36_a_folder_that_this_user_may_not_write(
    tmp_path: Path, whole: dict[str, bytes], place: str
) -> None:
    programme(tmp_path)
    assert done(tmp_path, DAYS[0])[0] == 0
    shut = tmp_path / place
    shut.chmod(0o555)
    code, said = done(tmp_path, DAYS[1], preexec_fn=obedient)
    shut.chmod(0o755)
    assert (code, "Permission denied; let this user" in said) == (5, True), said
    assert done(tmp_path, DAYS[1])[0] == 0
    assert evidence(tmp_path) == whole


# --- a vault that goes away ----------------------------------------------------------


@dataclass
class Between(Daily):
    """A source after whose second window something happens."""

    then: Callable[[], None] = lambda: None

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        for number, reading in enumerate(super().read(windows, past, now), 1):
            yield reading
            if number == 2:
                self.then()


@pytest.mark.parametrize("instead", ["nothing", "a folder", "a file"])
def test_a_vault_that_vanishes_in_the_middle_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instead: str
) -> None:
    repository = programme(tmp_path)
    vault, away = tmp_path / "vault", tmp_path / "away"
    source = Between()
    monkeypatch.setattr(collect, "_source", lambda *_: source)

    def run(day: str) -> Exit:
        words = ("collect", "-q", "--as-of", f"{day}T06:00:00Z")
        return controlbook(repository.root, *words).code

    def vanish() -> None:
        vault.rename(away)
        if instead == "a folder":
            vault.mkdir()
        elif instead == "a file":
            vault.touch()

    assert run("2028-01-01") is Exit.FINE
    source.then = vanish
    with pytest.raises(ControlbookError, match="was moved away meanwhile") as caught:
        run("2028-01-06")
    assert caught.value.code is Exit.UNAVAILABLE
    assert Path(caught.value.place).resolve() == vault
    assert len(evidence(tmp_path)) == 3
    assert not vault.is_dir() or list(vault.iterdir()) == []
    if vault.is_dir():
        vault.rmdir()
    vault.unlink(missing_ok=True)
    away.rename(vault)
    source.then = lambda: None
    assert run("2028-01-06") is Exit.FINE
    assert len(evidence(tmp_path)) == 6
    assert chain_problems(evidence(tmp_path)) == ()


@pytest.mark.parametrize("stream", ["config", "snapshot"])
def test_a_vault_that_is_gone_is_no_new_vault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    # `snapshot` never ran: only `config` would miss its own manifests.
    repository = programme(tmp_path)
    assert done(tmp_path, DAYS[0])[0] == 0
    shutil.move(tmp_path / "vault", tmp_path / "away")
    monkeypatch.setattr(collect, "_source", lambda *_: Daily(stream=stream))
    words = ("collect", "-q", "--stream", stream, "--as-of", "2028-01-02T06:00:00Z")
    with pytest.raises(ControlbookError, match="the vault's folder is not") as caught:
        controlbook(repository.root, *words)
    assert caught.value.code is Exit.UNAVAILABLE
    assert "mount or restore it" in caught.value.advice
    assert not (tmp_path / "vault").exists()
    assert list(Repository(repository.root).files_at("HEAD", ("evidence/",))) == [
        "evidence/config/000001.json"
    ]
