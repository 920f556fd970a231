# SPDX-License-Identifier: Apache-2.0
"""scripts/push.sh: the collector's commits reach main, also when main moved."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts/push.sh"


class Remote:
    """A bare repository and clones of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git(folder, "init", "--quiet", "--bare", "-b", "main", "owner/repo.git")

    def git(self, cwd: Path, *arguments: str) -> str:
        return self.run(cwd, "git", *arguments)

    def run(self, cwd: Path, *command: str) -> str:
        kept = {key: os.environ[key] for key in ("PATH",) if key in os.environ}
        result = subprocess.run(
            command,
            cwd=cwd,
            env=kept
            | {
                "HOME": str(self.folder),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GITHUB_SERVER_URL": f"file://{self.folder}",
                "GITHUB_REPOSITORY": "owner/repo.git",
                "TOKEN": "secret",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        return result.stdout

    def clone(self, name: str) -> Path:
        self.git(self.folder, "clone", "--quiet", "owner/repo.git", name)
        return self.folder / name

    def commit(self, clone: Path, file: str) -> None:
        (clone / file).write_text(file)
        self.git(clone, "add", file)
        who = ("-c", "user.name=Collector", "-c", "user.email=bot@example.com")
        self.git(clone, *who, "commit", "--quiet", "-m", file)

    def subjects(self) -> list[str]:
        log = self.git(self.folder / "owner/repo.git", "log", "--format=%s %cn", "main")
        return log.splitlines()


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    remote = Remote(tmp_path)
    first = remote.clone("first")
    remote.commit(first, "begin")
    remote.git(first, "push", "--quiet", "origin", "HEAD:main")
    return remote


def test_commit_reaches_main(remote: Remote) -> None:
    clone = remote.clone("collector")
    remote.commit(clone, "run")
    remote.run(clone, str(SCRIPT), "main")
    assert remote.subjects() == ["run Collector", "begin Collector"]


def test_commit_moves_on_top_of_what_was_merged_meanwhile(remote: Remote) -> None:
    clone, other = remote.clone("collector"), remote.clone("other")
    remote.commit(clone, "run")
    remote.commit(other, "merge")
    remote.git(other, "push", "--quiet", "origin", "HEAD:main")
    remote.run(clone, str(SCRIPT), "main")
    assert remote.subjects() == ["run Collector", "merge Collector", "begin Collector"]


def test_nothing_to_push_is_fine(remote: Remote) -> None:
    remote.run(remote.clone("collector"), str(SCRIPT), "main")
    assert remote.subjects() == ["begin Collector"]
