# SPDX-License-Identifier: Apache-2.0
"""The people of the example programme on the sandbox's GitHub, and what they ask.

Rules enforced here:
- a person approves with their own token; the App opens pull requests and merges nothing
  that nobody approved.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError

from .github_pulls import User

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = "example/payments-compliance"
APP = User(login="controlbook-collector[bot]", id=4100901, type="Bot")
PEOPLE = (
    User(login="j-moreau", id=4100123),
    User(login="s-tanaka", id=4100124),
    User(login="l-haddad", id=4100125),
    User(login="r-silva", id=4100126),
    User(login="a-okafor", id=4100201),
    User(login="m-lindqvist", id=4100202),
    User(login="c-novak", id=4100301),
)
TEAMS: Mapping[str, tuple[str, ...]] = {"example/networking": ("s-tanaka", "r-silva")}
APP_TOKEN = "app"  # noqa: S105 - the sandbox's GitHub knows no secrets


def users() -> dict[str, User]:
    """Give every account by its token; a person's token is their login."""
    return {APP_TOKEN: APP} | {person.login: person for person in PEOPLE}


def approve_and_merge(api: str, number: int, person: str) -> None:
    """Let a person approve a pull request on its head, and then merge it."""
    path = f"{api}/repos/{REPOSITORY}/pulls/{number}"
    _ask("POST", f"{path}/reviews", person, {"event": "APPROVE"})
    _ask("PUT", f"{path}/merge", person, {"merge_method": "merge"})


def _ask(method: str, url: str, token: str, body: Mapping[str, str]) -> None:
    request = urllib.request.Request(  # noqa: S310 - the sandbox's own address
        url,
        data=json.dumps(body).encode(),
        method=method,
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            reply.read()
    except urllib.error.HTTPError as error:
        message = f"{method} {url}: {error.code} {error.read().decode()}"
        raise ControlbookError(message) from error
