# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

from git_world import BOT, SIGNOFF, day, merge, raw_git

from controlbook.git import Repository

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_bundle_clones_with_its_tag_and_history(
    repository: Repository, tmp_path: Path
) -> None:
    _, merged = merge(repository, "sign", {SIGNOFF: b"signed\n"}, day(1))
    repository.tag("Q1", merged, "facts\n", at=day(2), author=BOT)
    out = tmp_path / "repository.bundle"
    repository.bundle([f"{merged}:refs/heads/main", "refs/tags/Q1"], out)
    raw_git(repository.root, "bundle", "verify", "-q", str(out))
    copy = Repository.clone(str(out), tmp_path / "copy")
    assert (copy.head(), copy.branch()) == (merged, "main")
    assert copy.tag_object("Q1") == repository.tag_object("Q1")
    assert copy.arrivals("HEAD", [SIGNOFF]) == repository.arrivals("HEAD", [SIGNOFF])
    assert (copy.root / SIGNOFF).read_bytes() == b"signed\n"


def test_a_bundle_is_the_same_from_a_repacked_clone_with_other_settings(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"".join(b"line %d of a file that changes\n" % i for i in range(400))
    for number in range(1, 12):
        changed = body.replace(b"line %d " % number, b"LINE ")
        repository.write_and_commit(
            {"controls/a.yml": changed}, f"{number}", at=day(number), author=BOT
        )
    head = repository.head()
    repository.tag("Q1", head, "facts\n", at=day(20), author=BOT)
    revs = [f"{head}:refs/heads/main", "refs/tags/Q1"]
    repository.bundle(revs, tmp_path / "loose")
    clone = Repository.clone(f"file://{repository.root}", tmp_path / "clone")
    clone.write_and_commit({"later": b"x"}, "Later", at=day(30), author=BOT)
    clone.tag("later", "HEAD", "x", at=day(30), author=BOT)
    clone.tag("early", "HEAD~5", "x", at=day(30), author=BOT)
    raw_git(clone.root, "-c", "pack.window=3", "gc", "-q", "--aggressive")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[core]\n\tcompression = 0\n[pack]\n\twindow = 1\n\tthreads = 7\n"
    )
    monkeypatch.setenv("HOME", str(home))
    raw_git(clone.root, "config", "core.bigFileThreshold", "1k")
    clone.bundle(revs, tmp_path / "packed")
    assert (tmp_path / "loose").read_bytes() == (tmp_path / "packed").read_bytes()


def test_a_bundle_of_a_plain_commit_is_its_head(
    repository: Repository, tmp_path: Path
) -> None:
    head = repository.head()
    repository.bundle([head], tmp_path / "b")
    first = (tmp_path / "b").read_bytes().split(b"\n\n")[0]
    assert first.decode() == f"# v2 git bundle\n{head} HEAD"
