# SPDX-License-Identifier: Apache-2.0
"""GitHub's REST API as a forge, with the standard library's HTTP client.

Rules enforced here:
- the token goes to the API's own address only, never along a redirect or a link;
- every page is read; a list that GitHub cuts off is said to be cut off;
- waiting is bounded: a few attempts, then exit 5 with what GitHub said;
- what GitHub will not tell (rule suites need an administrator) is a note, and the
  result stays unknown: never a pass.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from controlbook.errors import ControlbookError, Exit
from controlbook.timeline import from_datetime

from . import Answer, Caller, Capture, PullRequest
from .reading import merged_within, read_dismissals, touched, updated_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from controlbook.timeline import Instant, Interval

    from .reading import Dismissal

API = "https://api.github.com"
_ATTEMPTS = 4
_LONGEST_WAIT = 60
_TIMEOUT = 30
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="next"')
_ADVICE = {
    HTTPStatus.UNAUTHORIZED: "set GITHUB_TOKEN to a token that is valid",
    HTTPStatus.FORBIDDEN: "give the token the right to do this",
    HTTPStatus.NOT_FOUND: "check `github` in pyproject.toml, and that the token"
    " may read that repository",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class GitHub:
    """One repository on GitHub, or on a server that answers like it."""

    def __init__(
        self,
        repository: str,
        *,
        token: str,
        api: str = API,
        branch: str = "main",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Name the repository as `owner/name`; `branch` is where sign-offs merge."""
        self.repository = repository
        self.branch = branch
        self._token = token
        self._api = api.rstrip("/")
        self._sleep = sleep
        self._throttles = 0

    @classmethod
    def from_environment(
        cls, repository: str, environment: Mapping[str, str], *, branch: str = "main"
    ) -> GitHub:
        """Take GITHUB_TOKEN and GITHUB_API_URL from the environment."""
        token = environment.get("GITHUB_TOKEN", "")
        if not token:
            message = "there is no token for GitHub"
            raise ControlbookError(
                message, advice="set GITHUB_TOKEN", code=Exit.UNAVAILABLE
            )
        if not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", repository):
            message = f"{repository!r} is not a repository on GitHub"
            raise ControlbookError(
                message,
                place="pyproject.toml",
                advice='write `github = "owner/name"` in [tool.controlbook]',
            )
        api = environment.get("GITHUB_API_URL") or API
        if not api.startswith(("https://", "http://")):
            message = f"GITHUB_API_URL is {api!r}"
            raise ControlbookError(message, advice="write an https:// address")
        return cls(repository, token=token, api=api, branch=branch)

    # --- proposing ---

    def open_pull(self, *, branch: str, title: str, body: str) -> PullRequest:
        """Open a pull request from a pushed branch, or give the one that is open."""
        wanted = {"title": title, "head": branch, "base": self.branch, "body": body}
        reply = self._send(
            "POST",
            self._path("/pulls"),
            json.dumps(wanted).encode(),
            fine={HTTPStatus.UNPROCESSABLE_ENTITY},
        )
        if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return self._open_already(branch, reply)
        return _pull_request(_parsed(reply.body), branch)

    def _open_already(self, branch: str, refusal: _Reply) -> PullRequest:
        owner = self.repository.split("/")[0]
        query = urllib.parse.urlencode({"head": f"{owner}:{branch}", "state": "open"})
        reply = self._send("GET", self._path(f"/pulls?{query}"))
        found = _parsed(reply.body)
        if not found:
            message = f"GitHub refuses the pull request: {_said(refusal.body)}"
            raise ControlbookError(
                message, place=branch, advice="mend what it names, and try again"
            )
        return _pull_request(found[0], branch)

    # --- capturing ---

    def caller(self) -> Caller:
        """Tell whom GitHub takes us for; an App's installation has no account."""
        reply = self._send("GET", "/user", fine={HTTPStatus.FORBIDDEN})
        known = reply.status == HTTPStatus.OK
        login = _parsed(reply.body)["login"] if known else "app"
        url = urllib.parse.urlsplit(self._api)
        return Caller(
            principal=f"github:{login}",
            endpoint="github"
            if url.scheme == "https"
            else f"{url.scheme}://{url.hostname}",
            at=_date(reply),
        )

    def capture(self, window: Interval, governed: Callable[[str], bool]) -> Capture:
        """Ask for the rules in force and for what was merged in the window."""
        self._throttles = 0
        answers = [*self._rules(), *self._merged(window, governed)]
        return Capture(answers=tuple(answers), throttles=self._throttles)

    def pull(self, number: int) -> tuple[Answer, ...]:
        """Ask for one pull request as it is now; nothing where GitHub knows none.

        Raises ControlbookError where GitHub does not answer, or not this token.
        """
        path = f"/pulls/{number}"
        # The list first: a token without the right to read also gets "not found".
        self._send("GET", self._path("/pulls?state=closed&per_page=1"))
        reply = self._send("GET", self._path(path), fine={HTTPStatus.NOT_FOUND})
        if reply.status == HTTPStatus.NOT_FOUND:
            return ()
        parts = ("", "/files", "/reviews", "/commits")
        return tuple(a for part in parts for a in self._pages(f"{path}{part}"))

    def dismissals(self, number: int) -> Mapping[str, Dismissal]:
        """Tell who dismissed which reviews of a pull request, and when.

        Raises ControlbookError where GitHub does not answer, or not this token.
        """
        # A pull request is an issue as well, and has its events as one.
        return read_dismissals(self._pages(f"/issues/{number}/events"))

    def _rules(self) -> Iterator[Answer]:
        yield from self._pages(f"/rules/branches/{self.branch}")
        sets = list(self._pages("/rulesets?includes_parents=true"))
        yield from sets
        for row in _rows(sets):
            yield from self._pages(f"/rulesets/{row['id']}?includes_parents=true")
        query = urllib.parse.urlencode(
            {"ref": f"refs/heads/{self.branch}", "time_period": "month"}
        )
        yield from self._pages(
            f"/rulesets/rule-suites?{query}",
            fine={HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND},
        )

    def _merged(
        self, window: Interval, governed: Callable[[str], bool]
    ) -> Iterator[Answer]:
        query = urllib.parse.urlencode(
            {
                "state": "closed",
                "base": self.branch,
                "sort": "updated",
                "direction": "desc",
            }
        )
        # A dictionary: a list that moves while it is read may show one row twice.
        numbers: dict[int, None] = {}
        for answer in self._pages(f"/pulls?{query}"):
            yield answer
            rows = _parsed(answer.body)
            numbers |= {
                row["number"]: None for row in rows if merged_within(row, window)
            }
            # Whatever was merged in the window was updated after its start.
            if rows and updated_before(rows[-1], window.start):
                break
        for number in sorted(numbers):
            yield from self._pull(number, governed)

    def _pull(self, number: int, governed: Callable[[str], bool]) -> Iterator[Answer]:
        path = f"/pulls/{number}"
        about = list(self._pages(path))
        files = list(self._pages(f"{path}/files"))
        yield from (*about, *files)
        paths = touched(files)
        # A list that GitHub cut off may hide a governed path.
        whole = _parsed(about[0].body)["changed_files"] == len(_rows(files))
        if not whole or any(governed(path) for path in paths):
            yield from self._pages(f"{path}/reviews")
            yield from self._pages(f"{path}/commits")

    # --- HTTP ---

    def _path(self, rest: str) -> str:
        return f"/repos/{self.repository}{rest}"

    def _pages(
        self, rest: str, *, fine: frozenset[int] | set[int] = frozenset()
    ) -> Iterator[Answer]:
        mark = "&" if "?" in rest else "?"
        path = self._path(f"{rest}{mark}per_page=100")
        while path:
            reply = self._send("GET", path, fine=fine)
            yield Answer(request=f"GET {path}", status=reply.status, body=reply.body)
            path = self._next(reply.headers.get("link", ""))

    def _next(self, link: str) -> str:
        match = _NEXT.search(link)
        if not match:
            return ""
        url: str = urllib.parse.urljoin(f"{self._api}/", str(match[1]))
        if not url.startswith(f"{self._api}/"):
            message = f"GitHub's next page is at another address: {url}"
            raise ControlbookError(
                message, advice="check GITHUB_API_URL", code=Exit.UNAVAILABLE
            )
        return url.removeprefix(self._api)

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        fine: frozenset[int] | set[int] = frozenset(),
    ) -> _Reply:
        for attempt in range(1, _ATTEMPTS + 1):
            reply = self._once(method, path, body)
            wait = _wait(reply, attempt)
            if wait is None or attempt == _ATTEMPTS or wait > _LONGEST_WAIT:
                break
            self._throttles += 1
            self._sleep(wait)
        if reply.status < HTTPStatus.BAD_REQUEST or (
            reply.status in fine and wait is None
        ):
            return reply
        message = f"GitHub answers {reply.status} to {method} {path}: "
        raise ControlbookError(
            message + _said(reply.body),
            advice="try again later"
            if wait is not None
            else _ADVICE.get(HTTPStatus(reply.status), ""),
            code=Exit.UNAVAILABLE,
        )

    def _once(self, method: str, path: str, body: bytes | None) -> _Reply:
        request = urllib.request.Request(  # noqa: S310 - http(s), checked above
            f"{self._api}{path}", data=body, method=method
        )
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        request.add_header("User-Agent", "controlbook")
        if body is not None:
            request.add_header("Content-Type", "application/json")
        # Unredirected: whoever GitHub sends us to does not get the token.
        request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            return _answered(request)
        except http.client.IncompleteRead as error:
            message = f"GitHub's answer to {method} {path} breaks off: {error}"
            raise ControlbookError(
                message, advice="run it again", code=Exit.UNAVAILABLE
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            message = f"GitHub cannot be reached at {self._api}: {reason}"
            raise ControlbookError(
                message,
                advice="check the network and GITHUB_API_URL",
                code=Exit.UNAVAILABLE,
            ) from error


def _answered(request: urllib.request.Request) -> _Reply:
    """Give the answer, a refusal too."""
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return _Reply(
            status=response.status,
            headers=_lowered(response.headers.items()),
            body=response.read(),
        )


def _wait(reply: _Reply, attempt: int) -> float | None:
    """Tell how many seconds to wait before asking again; None: do not."""
    limited = reply.status == HTTPStatus.TOO_MANY_REQUESTS or (
        reply.status == HTTPStatus.FORBIDDEN
        and (
            "retry-after" in reply.headers
            or reply.headers.get("x-ratelimit-remaining") == "0"
        )
    )
    if limited:
        after = reply.headers.get("retry-after", "")
        # Without Retry-After the limit lasts until the hour's end: too long to wait.
        return float(after) if after.isdigit() else _LONGEST_WAIT + 1
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return float(2 ** (attempt - 1))
    return None


def _date(reply: _Reply) -> Instant:
    try:
        return from_datetime(parsedate_to_datetime(reply.headers.get("date", "")))
    except ValueError as error:
        message = "GitHub's answer has no date"
        raise ControlbookError(
            message, advice="check GITHUB_API_URL", code=Exit.UNAVAILABLE
        ) from error


def _lowered(headers: Any) -> dict[str, str]:  # noqa: ANN401 - the standard library's
    return {name.lower(): value for name, value in headers}


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - JSON from outside
    try:
        return json.loads(body)
    except ValueError as error:
        message = "GitHub's answer is not JSON"
        raise ControlbookError(
            message, advice="check GITHUB_API_URL", code=Exit.UNAVAILABLE
        ) from error


def _rows(answers: list[Answer]) -> list[Any]:
    return [row for answer in answers for row in _parsed(answer.body)]


def _pull_request(row: Any, branch: str) -> PullRequest:  # noqa: ANN401 - JSON
    return PullRequest(number=row["number"], url=row["html_url"], branch=branch)


def _said(body: bytes) -> str:
    try:
        said = json.loads(body)
    except ValueError:
        return "no reason given"
    if not isinstance(said, dict):
        return "no reason given"
    errors = said.get("errors") or []
    details = [e.get("message", "") if isinstance(e, dict) else str(e) for e in errors]
    return ": ".join(filter(None, [str(said.get("message", "")), *details]))
