# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from controlbook.errors import ControlbookError, Exit
from controlbook.sandbox.clock import Clock
from controlbook.sandbox.server import Sandbox, serve
from controlbook.sandbox.tiny import tiny
from controlbook.timeline import instant

ClientOf = Callable[..., Any]


def ask(
    sandbox: Sandbox, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, Any, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=5)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, json.loads(text), reply


def test_clock_is_read_and_set_over_http(small: Sandbox) -> None:
    status, said, reply = ask(
        small, "POST", "/_sandbox/clock", '{"now": "2028-03-01T06:00:00Z"}'
    )
    assert (status, said) == (200, {"now": "2028-03-01T06:00:00Z"})
    assert reply.headers["Date"] == "Wed, 01 Mar 2028 06:00:00 GMT"
    assert ask(small, "GET", "/_sandbox/clock")[1] == said
    assert small.clock.now() == instant("2028-03-01T06:00:00Z")


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"now": "tomorrow"}', '{"now": 7}'])
def test_clock_refuses_what_is_no_instant(small: Sandbox, body: str) -> None:
    before = small.clock.now()
    assert ask(small, "POST", "/_sandbox/clock", body)[0] == 400
    assert small.clock.now() == before


def test_date_header_shows_the_sandbox_clock(
    small: Sandbox, client_of: ClientOf
) -> None:
    small.set_clock(instant("2028-02-29T06:00:00Z"))
    for reply in (
        client_of(small, "config").describe_config_rules(),
        client_of(small, "sts").get_caller_identity(),
        client_of(small, "s3").list_objects_v2(Bucket="config-delivery-000000000001"),
    ):
        headers = reply["ResponseMetadata"]["HTTPHeaders"]
        assert headers["date"] == "Tue, 29 Feb 2028 06:00:00 GMT"


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("config", "describe_retention_configurations"),
        ("auditmanager", "get_account_status"),
        ("cloudtrail", "list_trails"),
    ],
)
def test_what_is_not_emulated_is_a_loud_error(
    small: Sandbox, client_of: ClientOf, service: str, call: str
) -> None:
    with pytest.raises(ClientError, match="does not emulate"):
        getattr(client_of(small, service), call)()


def test_calls_are_told(client_of: ClientOf) -> None:
    with Sandbox(tiny()) as sandbox:
        client_of(sandbox, "config").describe_config_rules()
        assert sandbox.calls == ["config:DescribeConfigRules"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/repos/o/n/pulls?state=closed", {}),
        ("/api/v3/repos/o/n/pulls?state=closed", {}),
        ("/rate_limit?state=closed", {"Accept": "application/vnd.github+json"}),
    ],
)
def test_github_is_mounted(path: str, headers: dict[str, str]) -> None:
    def github(
        method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        said = [method, path, query, headers["x-own"], body.decode()]
        return 201, {"X-Rate": "1"}, json.dumps(said).encode()

    with Sandbox(tiny(), github=github) as sandbox:
        status, said, reply = ask(
            sandbox, "POST", path, "text", **{"X-Own": "yes", **headers}
        )
    expected = path.removeprefix("/api/v3").partition("?")[0]
    assert (status, said) == (201, ["POST", expected, "state=closed", "yes", "text"])
    assert reply.headers["X-Rate"] == "1"


def test_path_of_nobody_is_not_found(small: Sandbox) -> None:
    assert ask(small, "GET", "/else")[0] == 404
    assert ask(small, "GET", "/repos/o/n")[1] == {
        "message": "this sandbox has no GitHub"
    }


def test_connection_is_kept(small: Sandbox) -> None:
    connection = http.client.HTTPConnection(urlsplit(small.url).netloc, timeout=5)
    for _ in range(3):
        connection.request("GET", "/_sandbox/clock")
        reply = connection.getresponse()
        assert reply.version == 11
        reply.read()
        assert connection.sock is not None
    connection.close()


def test_environment_points_a_program_here() -> None:
    code = (
        "import boto3; c = boto3.client('sts');"
        "print(c.get_caller_identity()['Account'])"
    )
    with Sandbox(tiny(), Clock(instant("2028-01-05T00:00:00Z"))) as sandbox:
        environment = {"PATH": os.environ["PATH"], **sandbox.environment()}
        said = subprocess.run(
            [sys.executable, "-c", code],
            env=environment, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    assert said.stdout.strip() == "000000000001"


def test_sandbox_listens_on_loopback_only(small: Sandbox) -> None:
    assert small.url.startswith("http://127.0.0.1:")


def test_unknown_world_is_named_with_the_known_ones() -> None:
    with pytest.raises(ControlbookError, match="choose one of example, tiny"):
        serve(print, world="huge")


def test_taken_port_is_told(small: Sandbox) -> None:
    port = int(small.url.rpartition(":")[2])
    with pytest.raises(ControlbookError, match="choose another --port") as caught:
        serve(print, world="tiny", port=port)
    assert caught.value.code == Exit.UNAVAILABLE


def test_serve_says_the_export_lines_and_serves() -> None:
    said: list[str] = []
    told = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("export GITHUB_TOKEN"):
            told.set()

    at = instant("2028-01-07T06:00:00Z")
    threading.Thread(
        target=serve, args=(say,), kwargs={"world": "tiny", "at": at}, daemon=True
    ).start()
    assert told.wait(5)
    url = said[0].removeprefix("export AWS_ENDPOINT_URL=")
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    connection.request("GET", "/_sandbox/clock")
    assert json.loads(connection.getresponse().read()) == {
        "now": "2028-01-07T06:00:00Z"
    }
    connection.close()
