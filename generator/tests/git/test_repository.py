# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from git_world import BOT, PERSON, SIGNOFF, START, day, raw_git

from controlbook.errors import ControlbookError, Exit
from controlbook.git import PushRejectedError, Repository

if TYPE_CHECKING:
    from pathlib import Path


# --- opening ---


def test_found_from_a_folder_inside(repository: Repository) -> None:
    inside = repository.root / "controls"
    assert Repository.find(inside).root == repository.root.resolve()


def test_no_repository_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ControlbookError, match="not in a Git repository") as caught:
        Repository.find(tmp_path)
    assert "controlbook init" in caught.value.advice


def test_no_commits_is_an_error_with_advice(tmp_path: Path) -> None:
    empty = Repository.create(tmp_path / "empty")
    with pytest.raises(ControlbookError, match="no commit yet") as caught:
        empty.head()
    assert caught.value.advice


def test_git_missing_is_an_error_with_advice(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(repository.root))
    with pytest.raises(ControlbookError, match="git is not installed"):
        repository.head()


def test_unknown_revision_is_an_error(repository: Repository) -> None:
    for rev in ("PCI-2028-Q9", "--upload-pack=x", ""):
        with pytest.raises(ControlbookError, match="no commit"):
            repository.resolve(rev)


def test_shallow_clone_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.write_and_commit({"x": b"2"}, "More", at=day(1), author=BOT)
    url = f"file://{repository.root}"
    raw_git(tmp_path, "clone", "-q", "--depth=1", url, "shallow")
    with pytest.raises(ControlbookError, match="shallow"):
        Repository(tmp_path / "shallow")


def test_grafts_are_refused(repository: Repository) -> None:
    grafts = repository.root / ".git" / "info" / "grafts"
    grafts.parent.mkdir(exist_ok=True)
    grafts.write_text(f"{repository.head()}\n")
    with pytest.raises(ControlbookError, match="grafts"):
        Repository(repository.root)


def test_replace_objects_and_callers_environment_change_nothing(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = repository.head()
    other = repository.commit_files(
        {"controls/a.yml": b"forged\n"}, "x", base=head, at=day(9), author=PERSON
    )
    raw_git(repository.root, "replace", head, other)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert repository.files_at(head)["controls/a.yml"] == b'id: "a"\n'
    assert repository.commit_time(head) == START


# --- reading ---


def test_files_are_the_committed_bytes(repository: Repository) -> None:
    (repository.root / "controls" / "a.yml").write_bytes(b"changed\n")
    assert repository.files_at("HEAD") == {
        ".github/CODEOWNERS": b"* @c-novak\n",
        "README.md": b"hello\r\n",
        "controls/a.yml": b'id: "a"\n',
    }
    assert repository.work_files(["controls/"]) == {"controls/a.yml": b"changed\n"}


def test_prefixes_are_folders_or_files_not_beginnings_of_names(
    repository: Repository,
) -> None:
    repository.write_and_commit(
        {"controls-old/b.yml": b"b", "controls/é ü.yml": b"c", "controls/e.yml": b""},
        "More",
        at=day(1),
        author=PERSON,
    )
    found = repository.files_at("HEAD", ("controls/", ".github/CODEOWNERS"))
    assert list(found) == [
        ".github/CODEOWNERS",
        "controls/a.yml",
        "controls/e.yml",
        "controls/é ü.yml",
    ]
    assert found["controls/e.yml"] == b""


@pytest.mark.threat("T76")
@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("100755", "executable"),
        ("120000", "symbolic link"),
        ("160000", "submodule"),
    ],
)
def test_odd_modes_below_governed_folders_are_refused(
    repository: Repository, mode: str, kind: str
) -> None:
    blob = repository.git("rev-parse", "HEAD:README.md").decode().strip()
    thing = repository.head() if mode == "160000" else blob
    for path, refused in (("controls/odd.yml", True), ("docs/odd", False)):
        row = f"{mode},{thing},{path}"
        raw_git(repository.root, "update-index", "--add", "--cacheinfo", row)
        raw_git(
            repository.root,
            *("-c", "user.name=x", "-c", "user.email=x"),
            *("commit", "-qm", "odd"),
        )
        if refused:
            with pytest.raises(ControlbookError, match=kind) as caught:
                repository.files_at("HEAD")
            assert caught.value.place == path
            raw_git(repository.root, "rm", "-qf", "--cached", path)
        else:
            found = repository.files_at("HEAD")
            assert (path in found) == (mode == "100755")


@pytest.mark.threat("T76")
def test_a_path_into_gits_own_folder_is_refused(repository: Repository) -> None:
    blob = repository.git("rev-parse", "HEAD:README.md").decode().strip()
    tree = f"100644 blob {blob}\tconfig".encode()
    for name in (".GIT", "controls"):
        made = raw_git(repository.root, "mktree", stdin=tree).decode().strip()
        tree = f"040000 tree {made}\t{name}".encode()
    top = raw_git(repository.root, "mktree", stdin=tree).decode().strip()
    commit = repository.commit_tree(top, (), "x", at=START, author=PERSON)
    with pytest.raises(ControlbookError, match="Git's own folder"):
        repository.files_at(commit)


@pytest.mark.threat("T76")
def test_links_and_programs_in_the_work_tree_are_refused(
    repository: Repository, tmp_path: Path
) -> None:
    link = repository.root / "controls" / "b.yml"
    link.symlink_to("/etc/hostname")
    with pytest.raises(ControlbookError, match="symbolic link"):
        repository.work_files(["controls/"])
    link.unlink()
    (repository.root / "controls" / "a.yml").chmod(0o755)
    with pytest.raises(ControlbookError, match="executable"):
        repository.work_files()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.yml").write_text("stolen")
    shutil.rmtree(repository.root / "controls")
    (repository.root / "controls").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ControlbookError, match="symbolic link"):
        repository.work_files()


def test_work_files_hold_new_files_but_neither_ignored_nor_deleted_ones(
    repository: Repository,
) -> None:
    (repository.root / ".gitignore").write_text("/build/\n")
    (repository.root / "build").mkdir()
    (repository.root / "build" / "x").write_text("x")
    (repository.root / "controls" / "new.yml").write_text("new")
    (repository.root / "README.md").unlink()
    assert list(repository.work_files()) == [
        ".github/CODEOWNERS",
        ".gitignore",
        "controls/a.yml",
        "controls/new.yml",
    ]


def test_dirty_looks_only_below_the_prefixes(repository: Repository) -> None:
    assert not repository.dirty()
    (repository.root / "notes.txt").write_text("x")
    assert repository.dirty()
    assert not repository.dirty(["controls/"])
    (repository.root / "controls" / "new.yml").write_text("x")
    assert repository.dirty(["controls/"])


def test_branch_tags_and_commit_time(repository: Repository) -> None:
    head = repository.head()
    assert repository.branch() == "main"
    assert repository.tags_at(head) == ()
    repository.tag("PCI-2028-Q1", head, "facts root: 00ff\n", at=day(2), author=BOT)
    assert repository.tags_at("HEAD") == ("PCI-2028-Q1",)
    assert repository.resolve("PCI-2028-Q1") == head
    assert repository.tag_object("PCI-2028-Q1").decode() == (
        f"object {head}\ntype commit\ntag PCI-2028-Q1\n"
        "tagger controlbook-collector[bot] <bot@example.com> 1830492000 +0000\n\n"
        "facts root: 00ff\n"
    )
    with pytest.raises(ControlbookError, match="already exists"):
        repository.tag("PCI-2028-Q1", head, "other", at=day(3), author=BOT)
    raw_git(repository.root, "checkout", "-q", "--detach")
    assert repository.branch() == ""


# --- writing ---


def test_a_commit_takes_only_its_own_files(repository: Repository) -> None:
    (repository.root / "staged.txt").write_text("staged")
    raw_git(repository.root, "add", "staged.txt")
    commit = repository.write_and_commit(
        {"evidence/config/000001.json": b"{}"}, "Collect", at=day(1), author=BOT
    )
    shown = raw_git(repository.root, "show", "--name-only", "--format=%an%ae%at%ct%B")
    assert shown.decode().split() == [
        "controlbook-collector[bot]bot@example.com18304056001830405600Collect",
        "evidence/config/000001.json",
    ]
    assert repository.head() == commit
    assert repository.dirty(["staged.txt"])


def test_the_same_bytes_again_make_no_commit(repository: Repository) -> None:
    files = {"evidence/config/000001.json": b"{}"}
    first = repository.write_and_commit(files, "Collect", at=day(1), author=BOT)
    again = repository.write_and_commit(files, "Collect", at=day(2), author=BOT)
    assert first == again


def test_settings_of_the_user_change_no_commit(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = Repository.clone(str(repository.root), tmp_path / "twin")
    home = tmp_path / "home"
    home.mkdir()
    hook = home / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\n\tautocrlf = true\n\thooksPath = {hook.parent}\n"
        "[commit]\n\tgpgSign = true\n[tag]\n\tgpgSign = true\n"
        "[gpg]\n\tprogram = /bin/false\n[log]\n\tshowSignature = true\n"
        "[color]\n\tui = always\n[diff]\n\trenames = copies\n"
        "[status]\n\tshowUntrackedFiles = no\n"
    )
    files = {"controls/b.yml": b"one\r\ntwo\n"}
    plain = repository.write_and_commit(files, "B", at=day(1), author=PERSON)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert twin.write_and_commit(files, "B", at=day(1), author=PERSON) == plain
    assert twin.files_at("HEAD")["controls/b.yml"] == b"one\r\ntwo\n"
    twin.tag("t", plain, "m", at=day(1), author=PERSON)
    assert list(twin.arrivals("HEAD", ["controls/b.yml"])) == ["controls/b.yml"]
    (twin.root / "new.txt").write_text("new")
    assert twin.dirty()


def test_commit_files_touches_neither_work_tree_nor_index(
    repository: Repository,
) -> None:
    (repository.root / "controls" / "a.yml").write_text("being edited")
    before = raw_git(repository.root, "status", "--porcelain", "-z")
    commit = repository.commit_files(
        {SIGNOFF: b"x\n"}, "Sign", base="main", at=day(1), author=PERSON
    )
    assert raw_git(repository.root, "status", "--porcelain", "-z") == before
    assert repository.head() != commit
    assert repository.files_at(commit)[SIGNOFF] == b"x\n"
    assert repository.files_at(commit)["controls/a.yml"] == b'id: "a"\n'


def test_began_is_the_first_commits_time(repository: Repository) -> None:
    repository.write_and_commit({"x": b"1"}, "Later", at=day(1), author=BOT)
    assert repository.began("HEAD") == START


def test_set_branch_refuses_when_it_moved(repository: Repository) -> None:
    head = repository.head()
    one = repository.commit_files({"x": b"1"}, "1", base=head, at=day(1), author=PERSON)
    repository.set_branch("side", one)
    with pytest.raises(ControlbookError, match="update-ref"):
        repository.set_branch("side", head, was=head)
    assert repository.branches() == {"main": head, "side": one}


def test_a_failed_write_leaves_the_old_file(repository: Repository) -> None:
    with pytest.raises(TypeError):
        repository.write("controls/a.yml", "text")  # type: ignore[arg-type]
    assert (repository.root / "controls" / "a.yml").read_bytes() == b'id: "a"\n'
    assert os.listdir(repository.root / "controls") == ["a.yml"]  # noqa: PTH208


# --- remotes ---


@pytest.fixture
def remote(repository: Repository, tmp_path: Path) -> Repository:
    made = Repository.create(tmp_path / "remote.git", bare=True)
    repository.add_remote("origin", str(made.root))
    repository.push("origin", "main")
    return made


def test_a_rejected_push_says_what_to_do(
    repository: Repository, remote: Repository, tmp_path: Path
) -> None:
    other = Repository.clone(str(remote.root), tmp_path / "other")
    other.write_and_commit({"x": b"1"}, "Other", at=day(1), author=BOT)
    other.push("origin", "main")
    repository.write_and_commit({"y": b"1"}, "Mine", at=day(1), author=BOT)
    with pytest.raises(PushRejectedError, match="rejected") as caught:
        repository.push("origin", "main")
    assert caught.value.code == Exit.UNAVAILABLE
    assert "Traceback" not in str(caught.value)


def test_publish_rebases_and_keeps_the_bytes(
    repository: Repository, remote: Repository, tmp_path: Path
) -> None:
    other = Repository.clone(str(remote.root), tmp_path / "other")
    theirs = other.write_and_commit({"x": b"1"}, "Other", at=day(1), author=BOT)
    other.push("origin", "main")
    evidence = {"evidence/config/000001.json": b'{"a":1}'}
    repository.write_and_commit(evidence, "Collect", at=day(1), author=BOT)
    repository.publish("origin", "main")
    assert remote.resolve("main") == repository.head()
    assert remote.resolve("main^") == theirs
    assert remote.files_at("main", ("evidence",)) == evidence
    assert remote.commit_time("main") == day(1)


@pytest.mark.threat("T35")
def test_a_remote_that_always_rejects_leaves_exit_5_and_our_commit(
    repository: Repository, remote: Repository
) -> None:
    hook = remote.root / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho tried >> tries\nexit 1\n")
    hook.chmod(0o755)
    commit = repository.write_and_commit(
        {"evidence/config/000001.json": b"{}"}, "Collect", at=day(1), author=BOT
    )
    with pytest.raises(PushRejectedError) as caught:
        repository.publish("origin", "main")
    assert caught.value.code == Exit.UNAVAILABLE
    assert (remote.root / "tries").read_text() == "tried\n" * 3
    assert repository.head() == commit


@pytest.mark.threat("T19")
def test_the_same_path_with_other_bytes_is_a_conflict_not_a_fork(
    repository: Repository, remote: Repository, tmp_path: Path
) -> None:
    path = "evidence/config/000001.json"
    other = Repository.clone(str(remote.root), tmp_path / "other")
    other.write_and_commit({path: b'{"a":1}'}, "Other", at=day(1), author=BOT)
    other.push("origin", "main")
    mine = repository.write_and_commit(
        {path: b'{"a":2}'}, "Mine", at=day(1), author=BOT
    )
    with pytest.raises(ControlbookError, match="changed the same files") as caught:
        repository.publish("origin", "main")
    assert caught.value.code == Exit.UNAVAILABLE
    assert repository.head() == mine
    assert not repository.dirty()


def test_update_takes_over_what_was_merged_beside_an_edit(
    repository: Repository, remote: Repository, tmp_path: Path
) -> None:
    other = Repository.clone(str(remote.root), tmp_path / "other")
    newest = other.write_and_commit({"x": b"1"}, "Other", at=day(1), author=BOT)
    other.push("origin", "main")
    (repository.root / "controls" / "a.yml").write_text("being edited")
    repository.update("origin", "main")
    repository.update("origin", "main")
    assert repository.head() == newest
    assert (repository.root / "controls" / "a.yml").read_text() == "being edited"
    repository.git("checkout", "--", "controls/a.yml")
    mine = repository.write_and_commit({"y": b"1"}, "Mine", at=day(2), author=BOT)
    repository.update("origin", "main")
    assert repository.head() == mine


def test_update_does_not_rebase_over_an_edit(
    repository: Repository, remote: Repository, tmp_path: Path
) -> None:
    other = Repository.clone(str(remote.root), tmp_path / "other")
    other.write_and_commit({"x": b"1"}, "Other", at=day(1), author=BOT)
    other.push("origin", "main")
    mine = repository.write_and_commit({"y": b"1"}, "Mine", at=day(1), author=BOT)
    (repository.root / "controls" / "a.yml").write_text("being edited")
    with pytest.raises(ControlbookError, match="work tree has changes") as caught:
        repository.update("origin", "main")
    assert caught.value.code == Exit.UNAVAILABLE
    assert repository.head() == mine


def test_an_unreachable_remote_is_unavailable(
    repository: Repository, tmp_path: Path
) -> None:
    repository.add_remote("origin", str(tmp_path / "nowhere"))
    with pytest.raises(ControlbookError) as caught:
        repository.fetch("origin")
    assert caught.value.code == Exit.UNAVAILABLE
    assert caught.value.advice
