# SPDX-License-Identifier: Apache-2.0
"""What the sandbox's GitHub knows of a pull request: people, reviews, contents.

Rules enforced here:
- the last word of each reviewer counts, and a comment is no word;
- every changed path with owners needs an approval by one of them, by the base's
  CODEOWNERS file; a request for changes by anybody stands in the way;
- a commit belongs to a user by its e-mail address, as on GitHub.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

from controlbook.codeowners import owners
from controlbook.git import GitFailedError
from controlbook.timeline import SECOND, Instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from controlbook.git import Repository

_COMMIT = "%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%at%x1f%cn%x1f%ce%x1f%ct%x1f%B"
_STATUS = {
    "A": "added",
    "M": "modified",
    "D": "removed",
    "R": "renamed",
    "T": "changed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account of the sandbox's GitHub; Apps and bots are accounts of type Bot."""

    login: str
    id: int
    type: str = "User"
    email: str = ""

    @property
    def address(self) -> str:
        """The address on commits that the account makes."""
        return self.email or f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissal:
    """Who took a review back, and when."""

    by: User
    at: Instant
    message: str | None
    was: str
    """The state that it had, in lower case."""


@dataclass(slots=True, kw_only=True)
class Review:
    """One review; dismissing changes its state."""

    id: int
    user: User
    state: str
    body: str
    commit: str
    submitted: Instant
    dismissal: Dismissal | None = None

    def dismiss(self, by: User, at: Instant, message: str | None) -> None:
        """Take it back; the timeline keeps by whom and when."""
        was = self.state.lower()
        self.dismissal = Dismissal(by=by, at=at, message=message, was=was)
        self.state = "DISMISSED"


@dataclass(slots=True, kw_only=True)
class Pull:
    """One pull request, as it stands."""

    number: int
    title: str
    body: str
    author: User
    branch: str
    base: str
    base_sha: str
    head_sha: str
    created: Instant
    updated: Instant
    state: str = "open"
    closed: Instant | None = None
    merged: Instant | None = None
    merged_by: User | None = None
    merge: str = ""
    reviews: list[Review] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One step of a branch along its first parents."""

    commit: str
    before: str
    at: Instant
    actor: User | None


class Refusal(Exception):  # noqa: N818 - what GitHub answers, not a fault of ours
    """GitHub answers no."""

    def __init__(
        self, status: int, message: str, errors: Sequence[object] = ()
    ) -> None:
        """Give the status, the message and what stands under `errors`."""
        super().__init__(message)
        self.status = int(status)
        self.message = message
        self.errors: Any = list(errors)


def refuse_invalid(message: str, where: str = "") -> NoReturn:
    """Say that a field does not pass."""
    error = {"resource": "PullRequest", "code": "custom", "message": message}
    if where:
        error["field"] = where
    raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation Failed", [error])


def refuse_action(message: str) -> NoReturn:
    """Say that this cannot be done."""
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    raise Refusal(status, "Unprocessable Entity", [message])


def refuse_merge(message: str) -> NoReturn:
    """Say that this cannot be merged."""
    raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, message)


def missing_approval(
    pull: Pull,
    demands: Mapping[str, Any],
    *,
    codeowners: bytes,
    paths: Sequence[str],
    pusher: User | None,
    teams: Mapping[str, Sequence[str]],
) -> str:
    """Say which approval the ruleset still misses; empty when it has all."""
    last = {
        review.user.login: (review.state, review.user.id)
        for review in pull.reviews
        if review.state != "COMMENTED"
    }
    if any(state == "CHANGES_REQUESTED" for state, _ in last.values()):
        return "Changes have been requested."
    approvers = {
        login
        for login, (state, number) in last.items()
        if state == "APPROVED" and number != pull.author.id
    }
    if demands["require_last_push_approval"] and pusher:
        approvers.discard(pusher.login)
    needed = demands["required_approving_review_count"]
    if len(approvers) < needed:
        return f"At least {needed} approving review is required by reviewers."
    if demands["require_code_owner_review"]:
        for path in paths:
            listed = owners(codeowners, path)
            if listed and not approvers & _logins(listed, teams):
                return f"Waiting on code owner review from {' or '.join(listed)}."
    return ""


def _logins(listed: Sequence[str], teams: Mapping[str, Sequence[str]]) -> set[str]:
    names = [name.removeprefix("@") for name in listed]
    return {login for name in names for login in teams.get(name, (name,))}


class Contents:
    """What Git says of branches and pull requests, in GitHub's shapes."""

    def __init__(self, git: Repository, users: Sequence[User]) -> None:
        """Read a repository; `users` are the accounts that commits may belong to."""
        self._git = git
        self._users = users

    def commits(self, base: str, head: str) -> list[dict[str, Any]]:
        """Give the commits that `head` would bring to `base`, oldest first."""
        rows = self._log("--reverse", "--topo-order", f"{base}..{head}")
        return [self._commit(row) for row in rows]

    def files(self, base: str, head: str) -> list[dict[str, Any]]:
        """Give the files that differ between where the branches parted and `head`."""
        start = self._git.git("merge-base", base, head).decode().strip()
        output = self._git.git(
            *("diff-tree", "-r", "-M", "-z", "--raw", "--no-abbrev", start, head)
        )
        sizes = self._sizes(start, head)
        return list(_files(output.split(b"\0"), sizes))

    def _sizes(self, start: str, head: str) -> dict[str, tuple[int, int]]:
        output = self._git.git(
            *("diff-tree", "-r", "--no-renames", "-z", "--numstat", start, head)
        )
        sizes: dict[str, tuple[int, int]] = {}
        for row in filter(None, output.decode().split("\0")):
            added, deleted, path = row.split("\t", 2)
            # A dash stands for a binary file, in which GitHub counts no lines.
            sizes[path] = (int(added.strip("-") or 0), int(deleted.strip("-") or 0))
        return sizes

    def merged_tree(self, base: str, head: str) -> str:
        """Give the tree of a merge; empty where the two conflict."""
        try:
            tree = self._git.git("merge-tree", "--write-tree", base, head)
        except GitFailedError:
            return ""
        return tree.decode().split("\n", 1)[0]

    def pusher(self, commit: str) -> User | None:
        """Guess who pushed a commit: a push over loopback names nobody."""
        (row,) = self._log("--max-count=1", commit)
        return self._by_address(row[7]) or self._by_address(row[4])

    def pushes(self, branch: str) -> Iterator[Push]:
        """Walk a branch along its first parents, newest first, without its root."""
        for row in self._log("--first-parent", f"refs/heads/{branch}"):
            if row[2]:
                yield Push(
                    commit=row[0],
                    before=row[2].split(" ")[0],
                    at=Instant(int(row[8]) * SECOND),
                    actor=self._by_address(row[7]),
                )

    def _log(self, *arguments: str) -> list[list[str]]:
        output = self._git.git("log", "-z", f"--format=tformat:{_COMMIT}", *arguments)
        return [row.split("\x1f") for row in output.decode().split("\0") if row]

    def _commit(self, row: Sequence[str]) -> dict[str, Any]:
        name, tree, parents, author, author_mail, authored, by, mail, at, message = row
        return {
            "sha": name,
            "commit": {
                "author": _signature(author, author_mail, authored),
                "committer": _signature(by, mail, at),
                "message": message.rstrip("\n"),
                "tree": {"sha": tree},
                "verification": {"verified": False, "reason": "unsigned"},
            },
            "author": self._shown(author_mail),
            "committer": self._shown(mail),
            "parents": [{"sha": parent} for parent in parents.split()],
        }

    def _shown(self, address: str) -> dict[str, Any] | None:
        user = self._by_address(address)
        if not user:
            return None
        return {"login": user.login, "id": user.id, "type": user.type}

    def _by_address(self, address: str) -> User | None:
        local = address.partition("@")[0].rpartition("+")[2]
        for user in self._users:
            if address == user.address or local == user.login:
                return user
        return None


def _files(
    tokens: Sequence[bytes], sizes: Mapping[str, tuple[int, int]]
) -> Iterator[dict[str, Any]]:
    rest = iter(tokens)
    for token in rest:
        if not token:
            return
        _, _, old, new, status = token.decode().lstrip(":").split(" ")
        path = next(rest).decode()
        before = path
        if status[0] == "R":
            path = next(rest).decode()
        added, deleted = sizes.get(path, (0, 0))
        row = {
            "sha": old if status == "D" else new,
            "filename": path,
            "status": _STATUS[status[0]],
            "additions": added,
            "deletions": deleted,
            "changes": added + deleted,
        }
        yield row | ({"previous_filename": before} if before != path else {})


def _signature(name: str, mail: str, seconds: str) -> dict[str, str]:
    return {
        "name": name,
        "email": mail,
        "date": iso(Instant(int(seconds) * SECOND)),
    }
