# SPDX-License-Identifier: Apache-2.0
"""Processes that die, disks that fill up, collectors that race: nothing is lost.

Every case runs the real verb in a process of its own, on real files and real Git.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from collecting import LEDGER

from controlbook.git import Repository
from controlbook.ledger import chain_problems, read_ledger
from controlbook.timeline import instant
from controlbook.vault.directory import DirectoryVault
from controlbook.vault.s3 import S3Vault

if TYPE_CHECKING:
    from weed import Store

    from controlbook.vault import Vault

HERE = Path(__file__).parent
BOT = ("controlbook[bot]", "controlbook@example.com")
SETTINGS = f"""[tool.controlbook]
ledger = "{LEDGER}"
aggregator = "org"
region = "eu-west-1"
vault = "VAULT"
github = "example/payments-compliance"
"""
DAYS = ("2028-01-01", "2028-01-02")


def programme(root: Path, vault: str = "../vault") -> Repository:
    """Lay down the smallest repository that collects."""
    repository = Repository.create(root / "programme")
    repository.configure(*BOT)
    people = HERE / "data" / "small" / "signoffs" / "people.yml"
    files = {
        "pyproject.toml": SETTINGS.replace("VAULT", vault).encode(),
        "signoffs/people.yml": people.read_bytes(),
    }
    repository.write_and_commit(
        files, "Begin\n", at=instant("2027-12-01T00:00:00Z"), author=BOT
    )
    return repository


def command(root: Path, day: str, fault: str, step: int, *words: str) -> list[str]:
    driver = str(HERE / "dying.py")
    return [sys.executable, driver, str(root), fault, str(step), day, *words]


def environment(**more: str) -> dict[str, str]:
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    return {**os.environ, "PYTHONPATH": paths, **more}


def evidence(root: Path) -> dict[str, bytes]:
    return Repository(root / "programme").files_at("HEAD", ("evidence/",))


def stored(root: Path) -> dict[str, bytes]:
    """Read every file of the vault that has its final name."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted((root / "vault").rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def in_work_tree(root: Path) -> dict[str, bytes]:
    top = root / "programme"
    return {
        path.relative_to(top).as_posix(): path.read_bytes()
        for path in sorted((top / "evidence").rglob("*"))
        if path.is_file()
    }


MATRIX = """
import json, shutil, sys
from pathlib import Path
from dying import apart, collecting, fail_at
base, fault, days = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
def clean(root, day):
    code = apart(lambda: collecting(root, day))
    assert code == 0, (root, day, code)
def counted(root):
    steps = fail_at(0, "none", root)
    try:
        collecting(root, days[1])
    finally:
        (root / "steps").write_text(str(steps()))
clean(base / "start", days[0])
shutil.copytree(base / "start", base / "whole", symlinks=True)
apart(lambda: counted(base / "whole"))
total = int((base / "whole" / "steps").read_text())
codes = {}
for step in range(1, total + 1):
    root = base / f"{step}"
    shutil.copytree(base / "start", root, symlinks=True)
    def die():
        fail_at(step, fault, root)
        collecting(root, days[1])
    codes[step] = apart(die)
    shutil.copytree(root, base / f"{step}-left", symlinks=True)
    clean(root, days[1])
print(json.dumps(codes))
"""


@pytest.mark.slow
@pytest.mark.threat("T33")
@pytest.mark.threat("T36")
@pytest.mark.parametrize(
    ("fault", "code"), [("kill", -9), ("stop", 5), ("interrupt", 5), ("full", 5)]
)
def test_t33_t36_at_every_write_the_next_run_converges(
    tmp_path: Path, fault: str, code: int
) -> None:
    programme(tmp_path / "start")
    done = subprocess.run(
        [sys.executable, "-c", MATRIX, str(tmp_path), fault, *DAYS],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert len(codes) >= 11, "too few write steps were found"
    assert set(codes.values()) == {code}
    whole, packs = evidence(tmp_path / "whole"), stored(tmp_path / "whole")
    assert len(whole) == 2
    for step in codes:
        left, root = tmp_path / f"{step}-left", tmp_path / step
        # No half file under a final name, at once after the fault …
        assert stored(left).items() <= packs.items(), step
        assert in_work_tree(left).items() <= whole.items(), step
        # … and the run after it makes the same bytes.
        assert evidence(root) == whole, step
        assert stored(root) == packs, step
        assert not Repository(root / "programme").dirty(), step
        assert chain_problems(evidence(root)) == ()


@pytest.mark.threat("T36")
@pytest.mark.parametrize("limit", [0, 100, 1000])
def test_t36_a_file_that_cannot_grow_is_exit_5_and_no_half_file(
    tmp_path: Path, limit: int
) -> None:
    # The kernel's own limit: writing stops in the middle of a file, in Git too.
    programme(tmp_path)
    done = subprocess.run(
        command(tmp_path, DAYS[0], "none", 0),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    left = stored(tmp_path)
    again = subprocess.run(
        command(tmp_path, DAYS[0], "none", 0), env=environment(), check=False
    )
    assert again.returncode == 0
    assert left.items() <= stored(tmp_path).items()
    assert len(evidence(tmp_path)) == 1


def race(roots: list[Path], **more: str) -> None:
    """Let a collector run in each folder at once, day after day."""
    for day in ("2028-01-01", "2028-01-02", "2028-01-04"):
        running = [
            subprocess.Popen(
                command(root, day, "none", 0),
                env=environment(**more),
                stderr=subprocess.PIPE,
                text=True,
            )
            for root in roots
        ]
        for each in running:
            said = each.communicate()[1]
            assert each.returncode == 0, said


def linear(roots: list[Path], vault: Vault) -> None:
    first = evidence(roots[0])
    assert chain_problems(first) == ()
    assert [run.seq for run in read_ledger(first).config] == [1, 2, 3, 4]
    for root in roots[1:]:
        assert evidence(root) == first
    for path, data in first.items():
        assert vault.get(path.replace("evidence/", "ledger/", 1)) == data
    assert len(vault.keys("ledger/config/")) == 4


@pytest.mark.slow
@pytest.mark.threat("T34")
def test_t34_collectors_in_processes_make_one_chain(tmp_path: Path) -> None:
    roots = [tmp_path / name for name in ("a", "b", "c")]
    for root in roots:
        programme(root, "../../vault")
    race(roots)
    linear(roots, DirectoryVault(tmp_path / "vault"))


@pytest.mark.slow
@pytest.mark.threat("T34")
def test_t34_collectors_in_processes_make_one_chain_in_a_bucket(
    tmp_path: Path, store: Store
) -> None:
    bucket = store.bucket("race")
    roots = [tmp_path / name for name in ("a", "b", "c")]
    for root in roots:
        programme(root, f"s3://{bucket}/p")
    race(
        roots,
        AWS_ENDPOINT_URL_S3=store.url,
        AWS_ACCESS_KEY_ID="a",
        AWS_SECRET_ACCESS_KEY="b",  # noqa: S106 - the test server's
        AWS_DEFAULT_REGION="us-east-1",
    )
    vault = S3Vault(f"s3://{bucket}/p", store.client())
    linear(roots, vault)
    for key, found in vault.history("").items():
        assert len(found.versions) == 1, key


@pytest.mark.threat("T35")
def test_t35_what_a_remote_refused_three_times_the_next_run_delivers(
    tmp_path: Path,
) -> None:
    repository = programme(tmp_path)
    remote = Repository.create(tmp_path / "remote", bare=True)
    repository.add_remote("origin", str(remote.root))
    repository.push("origin", "HEAD:refs/heads/main")
    hook = remote.root / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho tried >> tries\nexit 1\n")
    hook.chmod(0o755)
    words = command(tmp_path, DAYS[0], "none", 0, "--push")
    done = subprocess.run(
        words, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 5
    assert "rejected" in done.stderr
    assert (remote.root / "tries").read_text() == "tried\n" * 3
    before = evidence(tmp_path)
    assert len(before) == 1
    # Somebody else's work arrives meanwhile; ours is delivered on top of it.
    shutil.rmtree(hook.parent)
    other = Repository.clone(str(remote.root), tmp_path / "other")
    other.write_and_commit(
        {"x": b"1"}, "Other\n", at=instant("2028-01-01T07:00:00Z"), author=BOT
    )
    other.push("origin", "HEAD:refs/heads/main")
    again = subprocess.run(
        words, env=environment(), capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert remote.files_at("main", ("evidence/",)) == before
    assert "x" in remote.files_at("main")
