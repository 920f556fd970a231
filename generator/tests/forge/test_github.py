# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from github_world import NAME, START, World, world

from controlbook.errors import ControlbookError, Exit
from controlbook.forge.github import GitHub
from controlbook.forge.reading import read_pulls
from controlbook.timeline import DAY, Instant, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "never-to-be-passed-on"  # noqa: S105 - it opens nothing
WINDOW = Interval(Instant(START - 9 * DAY), Instant(START + 9 * DAY))


@pytest.fixture
def github(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def everything(path: str) -> bool:
    return bool(path)


def test_a_pull_request_is_opened_once(github: World) -> None:
    github.push("sign", {"docs/x.md": b"x"})
    first = github.forge().open_pull(branch="sign", title="Sign", body="Please")
    again = github.forge().open_pull(branch="sign", title="Sign", body="Please")
    assert first == again
    assert first.url == f"https://github.example/{NAME}/pull/1"
    shown = github.ask("bot", "GET", "/pulls/1")
    assert (shown["title"], shown["body"], shown["base"]["ref"]) == (
        "Sign",
        "Please",
        "main",
    )


def test_a_refused_pull_request_says_why(github: World) -> None:
    with pytest.raises(ControlbookError, match="head is not a branch") as caught:
        github.forge().open_pull(branch="nowhere", title="x", body="")
    assert caught.value.code == Exit.USAGE


def test_the_caller_is_the_tokens_account(github: World) -> None:
    caller = github.forge("novak").caller()
    assert caller.principal == "github:c-novak"
    assert caller.endpoint == "http://127.0.0.1"
    assert caller.at == START - DAY


def test_an_app_installation_has_no_account(github: World) -> None:
    date = {"Date": "Mon, 03 Apr 2028 08:00:00 GMT"}
    github.server.imitate_trouble(403, date)
    assert github.forge().caller().principal == "github:app"


def test_every_page_is_read(github: World) -> None:
    for number in range(103):
        github.push(
            "many", {f"docs/{number}.md": b"x"}, base="many" if number else "main"
        )
    github.forge().open_pull(branch="many", title="Many", body="")
    github.approve(1, "novak")
    github.merge(1)
    capture = github.forge().capture(WINDOW, everything)
    (pull,), notes = read_pulls(capture.answers)
    assert len(pull.paths) == 103
    assert notes == ()
    commits = [a.request for a in capture.answers if "/commits" in a.request]
    assert len(commits) == 2


def test_only_merges_of_the_window_are_captured(github: World) -> None:
    github.merged("one", {"docs/1.md": b"1"}, "novak")
    start = github.later(DAY)
    github.merged("two", {"docs/2.md": b"2"}, "novak")
    end = github.later(DAY)
    github.merged("three", {"docs/3.md": b"3"}, "novak")
    # Touched again later: still merged when it was merged.
    github.ask("novak", "PATCH", "/pulls/1", title="renamed")
    capture = github.forge().capture(Interval(start, end), everything)
    pulls, _ = read_pulls(capture.answers)
    assert [pull.number for pull in pulls] == [2]


def test_reviews_are_asked_only_for_governed_paths(github: World) -> None:
    github.merged("one", {"docs/1.md": b"1"}, "novak")
    github.merged("two", {"controls/b.yml": b"2"}, "moreau")
    capture = github.forge().capture(WINDOW, lambda path: path.startswith("controls/"))
    pulls, _ = read_pulls(capture.answers)
    assert [pull.number for pull in pulls] == [2]
    asked = [answer.request for answer in capture.answers]
    assert any("/pulls/1/files" in request for request in asked)
    assert not any("/pulls/1/reviews" in request for request in asked)


def test_a_busy_server_is_asked_again(github: World) -> None:
    github.server.imitate_trouble(502, {}, times=2)
    assert github.forge().caller().principal.startswith("github:controlbook")
    assert github.waits == [1.0, 2.0]


def test_a_server_that_stays_busy_is_unavailable(github: World) -> None:
    github.server.imitate_trouble(503, {}, times=4)
    with pytest.raises(ControlbookError, match="answers 503") as caught:
        github.forge().caller()
    assert caught.value.code == Exit.UNAVAILABLE
    assert github.waits == [1.0, 2.0, 4.0]


def test_a_rate_limit_is_waited_for_if_it_is_short(github: World) -> None:
    github.server.imitate_trouble(403, {"Retry-After": "3"})
    github.server.imitate_trouble(429, {"Retry-After": "5"})
    capture = github.forge().capture(WINDOW, everything)
    assert github.waits == [3.0, 5.0]
    assert capture.throttles == 2


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "3000"}, {"X-RateLimit-Remaining": "0"}]
)
def test_a_long_rate_limit_is_unavailable(
    github: World, headers: dict[str, str]
) -> None:
    github.server.imitate_trouble(403, headers)
    with pytest.raises(ControlbookError, match="answers 403") as caught:
        github.forge().caller()
    assert caught.value.code == Exit.UNAVAILABLE
    assert caught.value.advice == "try again later"
    assert github.waits == []


def test_rule_suites_that_github_keeps_to_itself_are_a_note_not_a_pass(
    github: World,
) -> None:
    github.merged("two", {"controls/b.yml": b"2"}, "moreau")
    (known,), _ = read_pulls(github.forge().capture(WINDOW, everything).answers)
    assert known.rule_suite == "pass"
    original = github.server.__class__._list_suites  # noqa: SLF001
    forbidden = replace_route(github.server, original)
    with forbidden:
        capture = github.forge().capture(WINDOW, everything)
    (pull,), notes = read_pulls(capture.answers)
    assert pull.rule_suite == ""
    assert "GitHub does not tell" in notes[0]
    assert "rule-suites" in notes[0]


@contextmanager
def replace_route(server: object, handler: object) -> Iterator[None]:
    """Let one route answer as GitHub does to somebody without the right to it."""
    from controlbook.sandbox.github_pulls import Refusal  # noqa: PLC0415

    def refuse(*_: object) -> None:
        raise Refusal(403, "Resource not accessible by integration")

    kind = type(server)
    routes = kind._routes  # type: ignore[attr-defined]  # noqa: SLF001
    kind._routes = tuple(  # type: ignore[attr-defined]  # noqa: SLF001
        (verb, pattern, refuse if found is handler else found)
        for verb, pattern, found in routes
    )
    try:
        yield
    finally:
        kind._routes = routes  # type: ignore[attr-defined]  # noqa: SLF001


@pytest.mark.parametrize(
    ("token", "repository", "advice"),
    [
        ("stranger", NAME, "GITHUB_TOKEN"),
        ("bot", "example/other", "`github` in pyproject.toml"),
    ],
)
def test_wrong_token_or_repository_is_unavailable_with_advice(
    github: World, token: str, repository: str, advice: str
) -> None:
    forge = GitHub(repository, token=token, api=github.url)
    with pytest.raises(ControlbookError) as caught:
        forge.capture(WINDOW, everything)
    assert caught.value.code == Exit.UNAVAILABLE
    assert advice in caught.value.advice


def test_nobody_listens() -> None:
    forge = GitHub(NAME, token=TOKEN, api="http://127.0.0.1:9")
    with pytest.raises(ControlbookError, match="cannot be reached") as caught:
        forge.caller()
    assert caught.value.code == Exit.UNAVAILABLE


@contextmanager
def breaking_off(answer: bytes) -> Iterator[str]:
    """Serve the beginning of an answer to everything, and hang up."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"log', "breaks off"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 99\r\n\r\n{", "breaks off"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1",
            "breaks off",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be reached"),
        (b"", "cannot be reached"),
    ],
    ids=["body", "refusal", "chunk", "no HTTP", "nothing"],
)
def test_an_answer_that_breaks_off_is_unavailable(answer: bytes, message: str) -> None:
    with breaking_off(answer) as url:
        forge = GitHub(NAME, token=TOKEN, api=url)
        with pytest.raises(ControlbookError, match=message) as caught:
            forge.caller()
    assert caught.value.code == Exit.UNAVAILABLE
    assert caught.value.advice


@pytest.mark.parametrize(
    ("environment", "repository", "message"),
    [
        ({}, NAME, "no token"),
        ({"GITHUB_TOKEN": "t"}, "payments", "not a repository"),
        ({"GITHUB_TOKEN": "t"}, "a/b?x=1", "not a repository"),
        (
            {"GITHUB_TOKEN": "t", "GITHUB_API_URL": "file:///etc"},
            NAME,
            "GITHUB_API_URL",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(
    environment: dict[str, str], repository: str, message: str
) -> None:
    with pytest.raises(ControlbookError, match=message):
        GitHub.from_environment(repository, environment)


def test_the_environment_names_token_and_address(github: World) -> None:
    environment = {"GITHUB_TOKEN": "novak", "GITHUB_API_URL": github.url}
    forge = GitHub.from_environment(NAME, environment)
    assert forge.caller().principal == "github:c-novak"


@contextmanager
def answering(status: int, headers: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Serve one answer to everything, and note the tokens that came."""
    tokens: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", tokens
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_token_follows_neither_redirects_nor_links() -> None:
    with answering(200, {}) as (thief, stolen):
        with answering(302, {"Location": f"{thief}/x"}) as (url, _):
            forge = GitHub(NAME, token=TOKEN, api=url)
            forge.capture(WINDOW, everything)
        assert stolen
        assert set(stolen) == {""}
        link = {"Link": f'<{thief}/repos?page=2>; rel="next"'}
        with answering(200, link) as (url, _):
            forge = GitHub(NAME, token=TOKEN, api=url)
            with pytest.raises(ControlbookError, match="another address"):
                forge.capture(WINDOW, everything)
        assert set(stolen) == {""}
