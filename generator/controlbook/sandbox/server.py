# SPDX-License-Identifier: Apache-2.0
"""One loopback endpoint for an AWS and a GitHub, to try the product on.

Rules enforced here:
- a call is routed by the service in its signature's credential scope, on the raw path;
  the access key names the account, the scope names the Region;
- every reply's Date header shows the sandbox's clock, never the machine's;
- it listens on loopback only.

Checked against botocore's models and AWS's documented samples; never run against AWS.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from controlbook.errors import ControlbookError, Exit
from controlbook.timeline import Instant, instant, iso

from . import (
    audit_manager,
    cloudtrail,
    config,
    iam,
    organizations,
    rest_json,
    security_hub,
    support,
)
from .clock import Clock, http_date
from .delivery import DeliveryBucket
from .example import example, mishaps
from .paging import Pager
from .protocol import Caller, Service, ServiceError, error_document
from .query_xml import error_xml, namespace, query
from .recording import Recording
from .s3 import S3, Request
from .sts import Sts, access_key, account_of
from .tiny import tiny
from .trails import Trail
from .trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from .s3 import Reply
    from .world import World

    GitHub = Callable[
        [str, str, str, dict[str, str], bytes], tuple[int, dict[str, str], bytes]
    ]

WORLDS: Mapping[str, Callable[[], World]] = {"example": example, "tiny": tiny}
"""The worlds that can be served by name."""
TROUBLES: Mapping[str, Callable[[], Trouble]] = {"example": mishaps}
"""What hurts in them when they are served."""

CLOCK = "/_sandbox/clock"
JSON = {"Content-Type": "application/json"}
AMZ_JSON = {"Content-Type": "application/x-amz-json-1.1"}
XML = {"Content-Type": "text/xml"}

_SCOPE = re.compile(r"Credential=([^/,]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_GITHUB = re.compile(r"/(api/v3|repos|user|users|orgs|app|search|graphql)(/|\Z)")


class Sandbox:
    """An AWS organization and a GitHub on loopback, in a thread of this process.

    Use it as a context manager; `url` and `environment()` say where it listens.
    """

    def __init__(
        self,
        world: World,
        clock: Clock | None = None,
        github: GitHub | None = None,
        *,
        trouble: Trouble | None = None,
        port: int = 0,
    ) -> None:
        """Put the services over a world together; port 0 takes any free one."""
        trouble = trouble or Trouble()
        if trouble.recorder_stops:
            stops = (*world.stops, *trouble.recorder_stops)
            world = replace(world, stops=stops)
        self.world = world
        self.clock = clock or Clock(world.begin)
        self.github = github
        self.trouble = trouble
        self.calls: list[str] = []
        """`service:operation` of every AWS call, in order."""
        recording = Recording(world)
        pager = Pager(trouble)
        self._query = {"sts": Sts(world, trouble), "iam": iam.service(world, trouble)}
        trail = Trail(world, trouble)
        self._services: dict[str, Service] = {
            "config": config.service(recording, trouble, pager),
            "cloudtrail": cloudtrail.service(trail, trouble, pager),
            "organizations": organizations.service(world, pager),
            "support": support.service(recording, trouble),
        }
        self._rest: dict[str, Service] = {
            "auditmanager": audit_manager.service(recording, pager, trouble),
            "securityhub": security_hub.service(recording, pager),
        }
        self._s3 = S3(DeliveryBucket(recording, trouble), trail)
        self._json_calls = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self)

    @property
    def url(self) -> str:
        """Give the endpoint, e.g. `http://127.0.0.1:41234`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self) -> dict[str, str]:
        """Give the environment variables that point a program here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": access_key(self.world.home),
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_DEFAULT_REGION": self.world.home_region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "GITHUB_API_URL": self.url,
            "GITHUB_TOKEN": "sandbox",
        }

    def set_clock(self, now: Instant) -> None:
        """Move the sandbox's clock."""
        self.clock.set(now)

    def __enter__(self) -> Self:
        """Listen, in a thread."""
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="sandbox",
            daemon=True,
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Listen in the foreground until interrupted."""
        try:
            self._server.serve_forever(poll_interval=0.5)
        except KeyboardInterrupt:
            return
        finally:
            self._server.server_close()

    def answer(self, request: Request) -> Reply:
        """Route one request and answer it."""
        if request.path == CLOCK:
            return self._answer_clock(request)
        scope = _scope(request)
        if scope:
            return self._answer_aws(request, *scope)
        if _GITHUB.match(request.path) or "github" in request.headers.get("accept", ""):
            return self._answer_github(request)
        return 404, JSON, _message("neither signed for AWS nor a GitHub path")

    def _answer_clock(self, request: Request) -> Reply:
        if request.method == "POST":
            try:
                self.clock.set(instant(json.loads(request.body)["now"]))
            except (ValueError, KeyError, TypeError) as error:
                return 400, JSON, _message(f'send {{"now": "2028-…Z"}}: {error}')
        return 200, JSON, json.dumps({"now": iso(self.clock.now())}).encode()

    def _answer_github(self, request: Request) -> Reply:
        if self.github is None:
            return 404, JSON, _message("this sandbox has no GitHub")
        path = request.path.removeprefix("/api/v3")
        headers = dict(request.headers)
        return self.github(request.method, path, request.query, headers, request.body)

    def _answer_aws(self, request: Request, key: str, region: str, name: str) -> Reply:
        now = self.clock.now()
        caller = Caller(
            account=account_of(key, self.world.home),
            region=region,
            now=now,
            access_key=key,
        )
        if name == "s3":
            self.calls.append(f"s3:{request.method} {request.path}")
            return self._s3.answer(request, now)
        if name in self._query:
            return self._answer_query(request, caller, name)
        if name in self._rest:
            return self._answer_rest(request, caller, name)
        return self._answer_json(request, caller, name)

    def _answer_query(self, request: Request, caller: Caller, name: str) -> Reply:
        service = self._query[name]
        operation = parse_qs(request.body.decode()).get("Action", [""])[0]
        self.calls.append(name if name == "sts" else f"{name}:{operation}")
        try:
            if name != "sts":
                self._hurt(f"{name}:{operation}")
            return 200, XML, query(service, caller, request.body)
        except ServiceError as error:
            return error.status, XML, error_xml(error, namespace(name))

    def _answer_rest(self, request: Request, caller: Caller, name: str) -> Reply:
        operation, _ = rest_json.operation_of(name, request)
        self.calls.append(f"{name}:{operation}")
        try:
            self._hurt(f"{name}:{operation}")
            return 200, JSON, rest_json.answer(self._rest[name], caller, request)
        except ServiceError as error:
            return rest_json.refused(error)

    def _answer_json(self, request: Request, caller: Caller, name: str) -> Reply:
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        self.calls.append(f"{name}:{operation}")
        service = self._services.get(name) or Service(name, {})
        try:
            self._hurt(f"{name}:{operation}")
            return 200, AMZ_JSON, service.json(caller, operation, request.body)
        except ServiceError as error:
            return error.status, AMZ_JSON, error_document(error)

    def _hurt(self, call: str) -> None:
        self._throttle()
        if call in self.trouble.refused_calls:
            message = f"not authorized to perform {call}"
            raise ServiceError(code="AccessDenied", message=message, status=403)

    def _throttle(self) -> None:
        every = self.trouble.throttle_every
        with self._lock:
            self._json_calls += 1
            hit = every and self._json_calls % every == 0
        if hit:
            raise ServiceError(code="ThrottlingException", message="Rate exceeded")


def serve(
    say: Callable[[str], None],
    *,
    world: str = "example",
    at: Instant | None = None,
    port: int = 0,
    github: GitHub | None = None,
) -> None:
    """Serve a named world in the foreground; `say` gets the export lines."""
    if world not in WORLDS:
        message = f"there is no world {world!r}"
        advice = f"choose one of {', '.join(sorted(WORLDS))}"
        raise ControlbookError(message, advice=advice)
    chosen = WORLDS[world]()
    trouble = TROUBLES.get(world, Trouble)()
    clock = Clock(chosen.begin if at is None else at)
    try:
        sandbox = Sandbox(chosen, clock, github, trouble=trouble, port=port)
    except OSError as error:
        message = f"cannot listen on 127.0.0.1:{port}: {error.strerror}"
        raise ControlbookError(
            message, advice="choose another --port", code=Exit.UNAVAILABLE
        ) from error
    for name, value in sandbox.environment().items():
        say(f"export {name}={value}")
    sandbox.serve_forever()


def _scope(request: Request) -> tuple[str, str, str] | None:
    """Read (access key, Region, service) from the signature, in header or query."""
    found = _SCOPE.search(request.headers.get("authorization", ""))
    if not found and "X-Amz-Credential" in request.query:
        credential = parse_qs(request.query)["X-Amz-Credential"][0]
        found = _SCOPE.search(f"Credential={credential}")
    return (found[1], found[2], found[3]) if found else None


def _message(text: str) -> bytes:
    return json.dumps({"message": text}).encode()


class _Server(ThreadingHTTPServer):
    """The listening socket; one daemon thread a connection."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
        super().__init__(address, _Handler)
        self.sandbox = sandbox


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive, in one packet a reply."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path,
            query=parts.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._body(),
        )
        status, headers, body = self.server.sandbox.answer(request)
        self.send_response_only(status)
        sandbox = self.server.sandbox
        now = Instant(sandbox.clock.now() + sandbox.trouble.skew)
        self.send_header("Date", http_date(now))
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name in headers}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_HEAD = _serve  # noqa: N815 - the standard library's names
    do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the same

    def handle_expect_100(self) -> bool:
        """Say `100 Continue` at once: the client waits a second for it."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def log_message(self, *_: object) -> None:
        """Say nothing: the product's own output stands alone."""
