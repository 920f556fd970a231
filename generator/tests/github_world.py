# SPDX-License-Identifier: Apache-2.0
"""A small programme with a remote that the sandbox's GitHub serves."""

from __future__ import annotations

import json
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlbook.forge.github import GitHub
from controlbook.git import Repository
from controlbook.sandbox import github as sandbox
from controlbook.sandbox.clock import Clock
from controlbook.sandbox.github_pulls import User
from controlbook.sandbox.github_server import serve
from controlbook.timeline import DAY, Instant, instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlbook.forge import PullRequest

BEGAN = instant("2027-12-30T09:00:00Z")
START = instant("2028-04-03T08:00:00Z")
NAME = "example/payments-compliance"
SIGNOFF = "signoffs/PCI-2028-Q1/requirements/3.4.yml"
CODEOWNERS = (
    b"* @c-novak\n"
    b"/controls/ @j-moreau\n"
    b"/signoffs/*/requirements/ @m-lindqvist\n"
    b"/annotations/ @s-tanaka\n"
)
USERS = {
    "moreau": User(login="j-moreau", id=4100123),
    "tanaka": User(login="s-tanaka", id=4100124),
    "lindqvist": User(login="m-lindqvist", id=4100202),
    "novak": User(login="c-novak", id=4100301),
    "bot": User(login="controlbook-collector[bot]", id=4100901, type="Bot"),
}
MOREAU = ("J. Moreau", "j-moreau@example.com")
BOT = ("controlbook-collector[bot]", USERS["bot"].address)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A work tree, its remote, and the GitHub that serves it."""

    work: Repository
    remote: Repository
    clock: Clock
    server: sandbox.GitHub
    url: str
    waits: list[float]

    def forge(self, who: str = "bot") -> GitHub:
        """Give a client with somebody's token."""
        return GitHub(NAME, token=who, api=self.url, sleep=self.waits.append)

    def ask(self, who: str, method: str, path: str, **fields: Any) -> Any:  # noqa: ANN401
        """Do something as a person does in the browser."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/repos/{NAME}{path}",
            data=json.dumps(fields).encode() if method != "GET" else None,
            method=method,
            headers={"Authorization": f"Bearer {who}"},
        )
        with urllib.request.urlopen(request) as response:  # noqa: S310
            return json.load(response)

    def push(self, branch: str, files: dict[str, bytes], base: str = "main") -> str:
        """Push one commit to a branch."""
        commit = self.remote.commit_files(
            files, f"Change {branch}\n", base=base, at=self.clock.now(), author=BOT
        )
        self.remote.set_branch(branch, commit)
        return commit

    def approve(self, number: int, who: str) -> None:
        """Approve a pull request."""
        self.ask(who, "POST", f"/pulls/{number}/reviews", event="APPROVE")

    def merge(self, number: int, who: str = "novak") -> str:
        """Merge a pull request; give the merge commit."""
        answer = self.ask(who, "PUT", f"/pulls/{number}/merge", merge_method="merge")
        return str(answer["sha"])

    def merged(self, branch: str, files: dict[str, bytes], who: str) -> PullRequest:
        """Open, approve and merge a pull request."""
        self.push(branch, files)
        opened = self.forge().open_pull(branch=branch, title=branch, body="")
        self.approve(opened.number, who)
        self.merge(opened.number)
        return opened

    def later(self, length: int) -> Instant:
        """Let time pass."""
        self.clock.set(Instant(self.clock.now() + length))
        return self.clock.now()


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Lay the programme down and serve it."""
    work = Repository.create(folder / "work")
    work.write_and_commit(
        {".github/CODEOWNERS": CODEOWNERS, "controls/a.yml": b"a\n"},
        "Begin",
        at=BEGAN,
        author=MOREAU,
    )
    remote = Repository.create(folder / "remote.git", bare=True)
    work.add_remote("origin", str(remote.root))
    work.push("origin", "main")
    clock = Clock(Instant(START - DAY))
    server = sandbox.GitHub(remote.root, clock, USERS, NAME)
    with serve(server) as url:
        yield World(
            work=work, remote=remote, clock=clock, server=server, url=url, waits=[]
        )
