# SPDX-License-Identifier: Apache-2.0
"""One repository: what it holds, what we commit to it, where we push it.

Rules enforced here:
- shallow clones and grafts are refused: they hide history;
- bytes are those of the committed blob, never what filters made of them;
- every commit and tag states its author, its committer and both of its dates;
- a push that the remote rejects never changes what was to be pushed, nor forces it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError, Exit
from controlbook.timeline import SECOND, Instant

from .bundle import write_bundle
from .history import (
    Version,
    arrival_log,
    arrivals,
    first_parents,
    timed_commits,
    unreviewed_commits,
    versions,
)
from .paths import PLAIN, decoded, refuse_odd, under
from .process import Author, GitFailedError, PushRejectedError, identity, run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from controlbook.model import Arrival

    from .history import Landed

_ATTEMPTS = 3


class Repository:
    """A Git repository, with its work tree where it has one."""

    def __init__(self, root: Path) -> None:
        """Open the repository at `root`; refuses shallow clones and grafts."""
        self.root = Path(root)
        self._landed: dict[str, tuple[Landed, ...]] = {}
        common, shallow = self._text(
            "rev-parse", "--git-common-dir", "--is-shallow-repository"
        ).splitlines()
        self.folder = self.root / common
        if shallow == "true":
            message = "this is a shallow clone, which hides history"
            raise ControlbookError(
                message,
                place=str(root),
                advice="run `git fetch --unshallow` (GitHub Actions: fetch-depth: 0)",
            )
        if (self.folder / "info" / "grafts").exists():
            message = "this repository has grafts, which replace history"
            raise ControlbookError(
                message,
                place=str(self.folder / "info" / "grafts"),
                advice="remove the file, or clone afresh",
            )

    @classmethod
    def find(cls, start: Path) -> Repository:
        """Open the repository whose work tree `start` lies in."""
        if not start.is_dir():
            message = "there is no such folder"
            raise ControlbookError(message, place=str(start))
        top = run(["rev-parse", "--show-toplevel"], start).decode().rstrip("\n")
        return cls(Path(top))

    @classmethod
    def create(
        cls, root: Path, *, branch: str = "main", bare: bool = False
    ) -> Repository:
        """Make a new, empty repository."""
        root.mkdir(parents=True, exist_ok=True)
        kind = ["--bare"] if bare else []
        run(["init", "-q", "--template=", f"--initial-branch={branch}", *kind], root)
        return cls(root)

    @classmethod
    def clone(cls, url: str, root: Path) -> Repository:
        """Clone a repository, or a git bundle, with its whole history."""
        root.parent.mkdir(parents=True, exist_ok=True)
        run(["clone", "-q", "--template=", url, str(root)], root.parent)
        return cls(root)

    def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run one Git command here, in the cleaned environment; give its output."""
        return run(arguments, self.root, stdin=stdin, environment=environment)

    def _text(self, *arguments: str) -> str:
        return self.git(*arguments).decode().rstrip("\n")

    # --- reading ---

    def head(self) -> str:
        """Name the commit that is checked out."""
        return self.resolve("HEAD")

    def resolve(self, rev: str) -> str:
        """Name the commit that a branch, tag or abbreviation stands for."""
        try:
            return self._text(
                "rev-parse", "--verify", "-q", "--end-of-options", f"{rev}^{{commit}}"
            )
        except GitFailedError as error:
            what = "has no commit yet" if rev == "HEAD" else f"has no commit {rev!r}"
            message = f"the repository {what}"
            raise ControlbookError(
                message,
                place=str(self.root),
                advice="commit the programme's files first"
                if rev == "HEAD"
                else "fetch it, or name one that `git log` shows",
            ) from error

    def branch(self) -> str:
        """Name the branch that is checked out; empty when none is."""
        name = self._text("rev-parse", "--symbolic-full-name", "HEAD")
        return name.removeprefix("refs/heads/") if name != "HEAD" else ""

    def branches(self) -> dict[str, str]:
        """Give every local branch with the commit it stands at."""
        return self._refs("refs/heads/")

    def tags(self) -> tuple[str, ...]:
        """Name every tag, sorted."""
        return tuple(self._refs("refs/tags/"))

    def tags_at(self, rev: str) -> tuple[str, ...]:
        """Name the tags that stand at a commit, sorted."""
        return tuple(self._refs("refs/tags/", f"--points-at={self.resolve(rev)}"))

    def _refs(self, under: str, *options: str) -> dict[str, str]:
        lines = self._text(
            "for-each-ref", "--format=%(objectname) %(refname)", *options, under
        )
        pairs = (line.split(" ", 1) for line in lines.splitlines())
        return {name.removeprefix(under): object_id for object_id, name in pairs}

    def commit_time(self, rev: str) -> Instant:
        """Give the committer's time of a commit: a claim."""
        seconds = self._text("log", "-1", "--format=%ct", self.resolve(rev), "--")
        return Instant(int(seconds) * SECOND)

    def began(self, rev: str) -> Instant:
        """Give the committer's time of the first commit: a claim."""
        times = self._text(
            "log", "--max-parents=0", "--format=%ct", self.resolve(rev), "--"
        )
        return Instant(min(int(seconds) for seconds in times.split()) * SECOND)

    def files_at(self, rev: str, prefixes: Sequence[str] = ()) -> dict[str, bytes]:
        """Give the committed files below `prefixes` (all, where there are none).

        Raises ControlbookError where what controlbook reads is no plain file. Other
        links and submodules are left out.
        """
        listing = self.git("ls-tree", "-r", "-z", "--full-tree", self.resolve(rev))
        blobs: dict[str, str] = {}
        for row in filter(None, listing.split(b"\0")):
            facts, name = row.split(b"\t", 1)
            mode, kind, blob = facts.decode().split(" ")
            path = decoded(name)
            if not under(path, prefixes):
                continue
            refuse_odd(path, mode)
            if kind == "blob" and mode != "120000":
                blobs[path] = blob
        bodies = self.blobs(blobs.values())
        return {path: bodies[blob] for path, blob in sorted(blobs.items())}

    def blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """Read objects in one pass; names that stand for nothing are left out."""
        wanted = list(dict.fromkeys(names))
        output = self.git(
            "cat-file", "--batch", stdin="".join(f"{n}\n" for n in wanted).encode()
        )
        found: dict[str, bytes] = {}
        offset = 0
        for name in wanted:
            end = output.index(b"\n", offset)
            head = output[offset:end]
            offset = end + 1
            if head.endswith(b" missing"):
                continue
            size = int(head.rsplit(b" ", 1)[1])
            found[name] = output[offset : offset + size]
            offset += size + 1
        return found

    def work_files(self, prefixes: Sequence[str] = ()) -> dict[str, bytes]:
        """Give the work tree's files, tracked or new, that Git does not ignore."""
        listing = self.git(
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--full-name",
        )
        top = self.root.resolve()
        found: dict[str, bytes] = {}
        for name in sorted(set(filter(None, listing.split(b"\0")))):
            path = decoded(name)
            file = top / path
            if not under(path, prefixes) or not (file.is_file() or file.is_symlink()):
                continue
            if file.resolve() != file:
                refuse_odd(path, "120000")
                continue
            executable = file.stat().st_mode & 0o100
            refuse_odd(path, "100755" if executable else PLAIN)
            found[path] = file.read_bytes()
        return found

    def dirty(self, prefixes: Sequence[str] = ()) -> bool:
        """Tell whether the work tree differs from the commit that is checked out."""
        changed = self.git(
            "status",
            "--porcelain",
            "-z",
            "--untracked-files=all",
            "--no-renames",
            "--",
            *prefixes,
        )
        return bool(changed)

    # --- writing ---

    def write_and_commit(
        self, files: Mapping[str, bytes], message: str, *, at: Instant, author: Author
    ) -> str:
        """Write files into the work tree and commit these alone; give the commit.

        Files that are committed already with the same bytes make no new commit.
        """
        for path, body in files.items():
            self.write(path, body)
        paths = sorted(files)
        self.git("-c", "core.autocrlf=false", "add", "--force", "--", *paths)
        if not self.dirty(paths):
            return self.head()
        self.git(
            "-c",
            "core.autocrlf=false",
            "commit",
            "--quiet",
            "--only",
            "--no-gpg-sign",
            "--cleanup=verbatim",
            "--file=-",
            "--",
            *paths,
            stdin=message.encode(),
            environment=identity(at, author),
        )
        return self.head()

    def write(self, path: str, body: bytes) -> None:
        """Put a file into the work tree, whole or not at all."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        # Beside Git's own files, where one that a killed run left is in nobody's way.
        near = self.folder.stat().st_dev == place.parent.stat().st_dev
        with tempfile.NamedTemporaryFile(
            dir=self.folder if near else place.parent,
            prefix=".controlbook-",
            delete=False,
        ) as temporary:
            try:
                temporary.write(body)
                temporary.flush()
                os.fsync(temporary.fileno())
                # 0600 of the temporary file is too narrow for a shared checkout.
                Path(temporary.name).chmod(0o644)
                Path(temporary.name).replace(place)
            except BaseException as error:
                Path(temporary.name).unlink(missing_ok=True)
                if isinstance(error, OSError):
                    error.filename = error.filename or str(place)
                raise

    def commit_files(
        self,
        files: Mapping[str, bytes],
        message: str,
        *,
        base: str,
        at: Instant,
        author: Author,
    ) -> str:
        """Make a commit on `base` with these files changed; give its name.

        Work tree, index and branches stay as they are.
        """
        parent = self.resolve(base)
        with tempfile.TemporaryDirectory(prefix="controlbook-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.git("read-tree", parent, environment=index)
            rows = b"".join(
                f"{PLAIN} {self._store(body)}\t{path}\0".encode()
                for path, body in sorted(files.items())
            )
            self.git(
                "update-index", "-z", "--index-info", stdin=rows, environment=index
            )
            tree = self.git("write-tree", environment=index).decode().strip()
        return self.commit_tree(tree, (parent,), message, at=at, author=author)

    def _store(self, body: bytes) -> str:
        name = self.git("hash-object", "-w", "--no-filters", "--stdin", stdin=body)
        return name.decode().strip()

    def commit_tree(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        at: Instant,
        author: Author,
        committer: Author | None = None,
    ) -> str:
        """Make a commit object; give its name."""
        links = [word for parent in parents for word in ("-p", parent)]
        made = self.git(
            "commit-tree",
            "--no-gpg-sign",
            tree,
            *links,
            stdin=message.encode(),
            environment=identity(at, author, committer),
        )
        return made.decode().strip()

    def set_branch(self, name: str, commit: str, *, was: str = "") -> None:
        """Let a branch stand at a commit; `was` is where it must stand before."""
        guard = [was] if was else []
        self.git("update-ref", f"refs/heads/{name}", self.resolve(commit), *guard)

    def start_branch(self, name: str, base: str = "HEAD") -> None:
        """Make a branch at `base` and check it out."""
        self.git("switch", "--quiet", "--no-track", "--create", name, base)

    def tag(
        self, name: str, rev: str, message: str, *, at: Instant, author: Author
    ) -> None:
        """Make an annotated tag; a tag that exists is never moved."""
        self.git(
            "tag",
            "--annotate",
            "--no-sign",
            "--cleanup=verbatim",
            "--file=-",
            "--end-of-options",
            name,
            self.resolve(rev),
            stdin=message.encode(),
            environment=identity(at, author),
        )

    def tag_object(self, name: str) -> bytes:
        """Give the raw bytes of an annotated tag."""
        return self.git("cat-file", "tag", f"refs/tags/{name}")

    # --- who commits here ---

    def configured_author(self) -> Author:
        """Name who commits on this machine, as Git is configured (user.name, .email).

        Raises ControlbookError where it is not: a commit needs an author.
        """
        try:
            name = self._text("config", "--get", "user.name")
            mail = self._text("config", "--get", "user.email")
        except GitFailedError as error:
            message = "Git does not know who commits here"
            raise ControlbookError(
                message,
                place=str(self.root),
                advice="set user.name and user.email with `git config`",
            ) from error
        return name, mail

    def configure(self, name: str, mail: str) -> None:
        """Say who commits in this repository."""
        self.git("config", "user.name", name)
        self.git("config", "user.email", mail)

    # --- remotes ---

    def add_remote(self, name: str, url: str) -> None:
        """Name a remote."""
        self.git("remote", "add", name, url)

    def fetch(self, remote: str, *refspecs: str) -> None:
        """Fetch from a remote (its branches into refs/remotes, by default)."""
        self._reach("fetch", "--quiet", remote, *refspecs)

    def remote_branch(self, remote: str, branch: str) -> str:
        """Name the commit at which a remote's branch stands; empty without one."""
        found = self._reach("ls-remote", remote, f"refs/heads/{branch}")
        return found.decode().partition("\t")[0]

    def push(self, remote: str, *refspecs: str) -> None:
        """Push; raises PushRejectedError when the remote does not take it."""
        try:
            self._reach("push", "--quiet", remote, *refspecs)
        except ControlbookError as error:
            if "rejected]" not in error.message:
                raise
            message = f"{remote} rejected {', '.join(refspecs)}: {error.message}"
            raise PushRejectedError(
                message,
                place=str(self.root),
                advice="fetch, rebase onto what is there, and push again",
                code=Exit.UNAVAILABLE,
            ) from error

    def publish(self, remote: str, branch: str) -> None:
        """Push a branch, rebasing onto what others pushed meanwhile; three times.

        The files of the rebased commits keep their bytes. Never forces.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self.push(remote, f"HEAD:refs/heads/{branch}")
            except PushRejectedError:
                if attempt == _ATTEMPTS:
                    raise
                self.update(remote, branch)
        return None

    def update(self, remote: str, branch: str) -> None:
        """Bring what is on the remote's branch under our own commits, if any."""
        self.fetch(remote, f"refs/heads/{branch}")
        theirs, ours = self.resolve("FETCH_HEAD"), self.head()
        parted = self._text("merge-base", ours, theirs)
        if parted == ours:
            self.git("merge", "--quiet", "--ff-only", theirs)
        elif parted != theirs:
            self._rebase(theirs, f"{remote}/{branch}")

    def _rebase(self, onto: str, name: str) -> None:
        if self.git("status", "--porcelain", "--untracked-files=no"):
            message = f"{name} moved on, and the work tree has changes"
            raise ControlbookError(
                message,
                place=str(self.root),
                advice="commit or stash them first",
                code=Exit.UNAVAILABLE,
            )
        last = self._text("log", "-1", "--format=%cn%n%ce%n%ct", "HEAD", "--")
        by, mail, seconds = last.splitlines()
        try:
            self.git(
                "rebase",
                "--quiet",
                "--no-gpg-sign",
                "--committer-date-is-author-date",
                onto,
                environment=identity(Instant(int(seconds) * SECOND), (by, mail)),
            )
        except BaseException as error:
            # Interrupted too: a rebase that stops halfway leaves no branch checked out.
            conflict = isinstance(error, GitFailedError)
            try:
                self.git("rebase", "--abort")
            except GitFailedError:
                conflict = False  # it had not begun
            if not conflict:
                raise
            message = f"{name} and this branch changed the same files"
            raise ControlbookError(
                message,
                place=str(self.root),
                advice="rebase by hand; an evidence file must keep its bytes",
                code=Exit.UNAVAILABLE,
            ) from error

    def _reach(self, *arguments: str) -> bytes:
        try:
            return self.git(*arguments)
        except ControlbookError as error:
            error.code = Exit.UNAVAILABLE
            error.advice = error.advice or "check the remote's address and your rights"
            raise

    # --- history ---

    def landed(self, rev: str = "HEAD") -> tuple[Landed, ...]:
        """Give the commits of a branch's own line, newest first, read once."""
        commit = self.resolve(rev)
        if commit not in self._landed:
            self._landed[commit] = tuple(first_parents(self, commit))
        return self._landed[commit]

    def arrival_log(self, rev: str, folder: str) -> dict[str, dict[str, Arrival]]:
        """Tell for each first-parent commit which files of a folder it brought."""
        return arrival_log(self, rev, folder)

    def has_ancestor(self, rev: str, commit: str) -> bool:
        """Tell whether a commit is there and lies in the history of a revision."""
        try:
            known = self.resolve(commit)
            self.git("merge-base", "--is-ancestor", known, self.resolve(rev))
        except ControlbookError:
            return False
        return True

    def arrivals(self, rev: str, paths: Sequence[str]) -> dict[str, Arrival]:
        """Tell for each path that is there at `rev` how its bytes came to main."""
        return arrivals(self, rev, paths)

    def versions(self, rev: str, path: str) -> tuple[Version, ...]:
        """Give every version of a file along the first parents, newest first."""
        return versions(self, rev, path)

    def timed_commits(self, rev: str) -> tuple[tuple[str, Instant], ...]:
        """Give the first-parent commits with the times they claim, oldest first."""
        return timed_commits(self, rev)

    def unreviewed_commits(self, rev: str, merges: Collection[str]) -> tuple[str, ...]:
        """Name the first-parent commits, newest first, that nobody reviewed."""
        return unreviewed_commits(self, rev, merges)

    def bundle(self, revs: Sequence[str], out: Path) -> None:
        """Write a git bundle whose bytes depend on the objects alone.

        Each of `revs` is a ref (`refs/heads/main`), or `<commit>:<ref>`. A clone of
        the bundle checks out the first. Clones and repacked copies give equal bytes.
        """
        write_bundle(self, revs, out)
