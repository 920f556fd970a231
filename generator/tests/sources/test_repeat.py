# SPDX-License-Identifier: Apache-2.0
"""Requests repeated without boto3: the same answers, and boto3 for whatever fails."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from weed import ADMIN, running

from controlbook.sources import SourceError
from controlbook.sources.aws import Connections, Conversation
from controlbook.sources.repeat import Kind, Repeater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

REGION = "eu-west-1"
RECORDERS = {"ConfigurationRecorders": [{"name": "default", "roleARN": "r"}]}
STATUS = {
    "ConfigurationRecordersStatus": [
        {"name": "default", "recording": True, "lastStartTime": 1_700_000_000.25}
    ]
}
CALLS = {
    "DescribeConfigurationRecorders": RECORDERS,
    "DescribeConfigurationRecorderStatus": STATUS,
    "LookupEvents": {"Events": []},
}
Reply = tuple[int, bytes]


class Server(ThreadingHTTPServer):
    """Answers as it is told, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.next: list[Callable[[Handler], None]] = []
        """What to do with the next requests, instead of an answer."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = self.command, self.path, dict(self.headers.items()), body
        self.server.asked.append(asked)
        if self.server.next:
            self.server.next.pop(0)(self)
            return
        name = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if b"Action=AssumeRole" in body:
            self.reply(200, assumed(body))
            return
        self.reply(200, json.dumps(CALLS[name]).encode() if name else b"whole")

    do_GET = do_POST  # noqa: N815 - the standard library's name

    def reply(self, status: int, body: bytes, size: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def assumed(body: bytes) -> bytes:
    """Give a key that is named after the account."""
    (account,) = re.findall(rb"%3A%3A(\d+)%3Arole%2Freader", body)
    return b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
    <AssumeRoleResult><Credentials><AccessKeyId>A%s</AccessKeyId>
    <SecretAccessKey>never-told</SecretAccessKey><SessionToken>t%s</SessionToken>
    <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser>
    <Arn>arn:aws:sts::%s:assumed-role/reader/controlbook</Arn>
    <AssumedRoleId>x</AssumedRoleId></AssumedRoleUser></AssumeRoleResult>
    </AssumeRoleResponse>""" % ((account,) * 3)


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    for name, value in environment(f"http://127.0.0.1:{server.server_port}").items():
        monkeypatch.setenv(name, value)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def environment(url: str, keys: tuple[str, str] = ("k", "s")) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": keys[0],
        "AWS_SECRET_ACCESS_KEY": keys[1],
        "AWS_DEFAULT_REGION": REGION,
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(monkeypatch) as found:
        yield found


def talking() -> Conversation:
    return Conversation(Connections(""), plain=True)


def ask(talk: Conversation, name: str = "describe_configuration_recorders") -> Any:  # noqa: ANN401
    return talk.ask("config", name, ("", REGION))


def told(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in answer if name != "ResponseMetadata"}


def by_boto3(asked: tuple[str, str, dict[str, str], bytes]) -> bool:
    return "amz-sdk-invocation-id" in {name.lower() for name in asked[2]}


@pytest.mark.parametrize(
    "name",
    ["describe_configuration_recorders", "describe_configuration_recorder_status"],
)
def test_the_second_call_is_boto3s_first_once_more(server: Server, name: str) -> None:
    talk = talking()
    first, second = told(ask(talk, name)), told(ask(talk, name))
    assert first == second
    assert [by_boto3(asked) for asked in server.asked] == [True, False]
    one, two = ({k.lower(): v for k, v in asked[2].items()} for asked in server.asked)
    for header in ("x-amz-target", "content-type", "user-agent", "host"):
        assert one[header] == two[header]
    scope = re.compile(r"Credential=k/\d{8}/eu-west-1/config/aws4_request")
    assert scope.search(one["authorization"])
    assert scope.search(two["authorization"])
    assert [asked[:2] for asked in server.asked] == [("POST", "/")] * 2
    assert server.asked[0][3] == server.asked[1][3] == b"{}"
    assert talk.pages == 2
    assert talk.aws_date is not None
    first_page, second_page = talk.kept
    assert first_page == second_page


@pytest.mark.parametrize("token", ["", "session/+="], ids=["user", "role"])
def test_botocore_would_sign_it_alike(
    server: Server, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """SeaweedFS judges what is signed for S3; here it is botocore for all others."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    talk = talking()
    for mark in ("", 'a+b/ä"é='):
        talk.ask("config", "describe_configuration_recorders", ("", REGION))
        talk.ask("cloudtrail", "lookup_events", ("", REGION), NextToken=mark)
    keys = Credentials("k", "s", token or None)
    for method, path, headers, body in server.asked:
        words = headers["Authorization"].replace(",", "").split()
        _, _, region, service, _ = words[1].split("/")
        signed = words[2].removeprefix("SignedHeaders=").split(";")
        assert {"host", "x-amz-date", "x-amz-target"} <= {*signed}
        assert ("x-amz-security-token" in signed) == bool(token)
        lower = {name.lower(): value for name, value in headers.items()}
        request = AWSRequest(
            method, f"http://{lower['host']}{path}", {n: lower[n] for n in signed}, body
        )
        request.context["timestamp"] = lower["x-amz-date"]
        by = SigV4Auth(keys, service, region)
        text = by.string_to_sign(request, by.canonical_request(request))
        assert words[3] == f"Signature={by.signature(text, request)}"
    assert [by_boto3(asked) for asked in server.asked] == [True, True, False, False]


@pytest.mark.parametrize("key", ["a/../b", "./a", "a/.", ".."])
def test_a_path_that_curl_would_shorten_is_boto3s(server: Server, key: str) -> None:
    talk = talking()
    for name in ("plain", key, "a.b/..c"):
        talk.ask("s3", "get_object", Bucket="b", Key=name)["Body"].read()
    assert [by_boto3(asked) for asked in server.asked] == [True, True, False]
    assert [row[1] for row in server.asked] == ["/b/plain", f"/b/{key}", "/b/a.b/..c"]


ACCOUNTS = tuple(str(number) * 12 for number in range(1, 5))


@pytest.mark.parametrize("plain", [True, False])
def test_each_account_is_asked_with_its_own_role(
    server: Server, *, plain: bool
) -> None:
    talk = Conversation(Connections("reader"), plain=plain)
    for account in (*ACCOUNTS, *ACCOUNTS):
        talk.ask("config", "describe_configuration_recorders", (account, REGION))
    roles = [row for row in server.asked if b"AssumeRole" in row[3]]
    assert [re.findall(rb"\d{12}", row[3]) for row in roles] == [
        [account.encode()] for account in ACCOUNTS
    ]
    assert [by_boto3(row) for row in roles] == [True, False, False, False]
    one, two = (
        {
            name: row[2][name]
            for name in row[2]
            if name.lower() in {"host", "content-type"}
        }
        for row in roles[:2]
    )
    assert (one, len(roles[0][3])) == (two, len(roles[1][3]))
    rest = [row for row in server.asked if row not in roles]
    words = [f"Credential=A{account}/" for account in ACCOUNTS] * 2
    for row, word in zip(rest, words, strict=True):
        assert word in row[2]["Authorization"]
    assert by_boto3(rest[-1]) is not plain
    assert talk.pages == len(rest)
    assert b"never-told" not in b"".join([*talk.kept, talk.aws.body])


def test_a_role_that_is_refused_is_asked_for_by_boto3(server: Server) -> None:
    talk = Conversation(Connections("reader"), plain=True)
    where = [(account, REGION) for account in ACCOUNTS]
    talk.ask("config", "describe_configuration_recorders", where[0])
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    server.next = [lambda handler: handler.reply(403, denied)] * 2
    with pytest.raises(SourceError, match="AccessDenied"):
        talk.ask("config", "describe_configuration_recorders", where[1])
    assert [by_boto3(row) for row in server.asked[2:]] == [False, True]
    assert talk.ask("config", "describe_configuration_recorders", where[2])


def test_times_are_asked_as_boto3_asks_them(server: Server) -> None:
    talk = talking()
    for hour in (1, 1, 2):
        talk.ask(
            "cloudtrail",
            "lookup_events",
            ("", REGION),
            StartTime=datetime(2028, 1, 1, hour, tzinfo=UTC),
            MaxResults=1,
        )
    bodies = [json.loads(asked[3]) for asked in server.asked]
    assert bodies[0] == bodies[1]
    assert bodies[2]["StartTime"] == bodies[1]["StartTime"] + 3600
    assert len(talk.queries) == 2


@pytest.mark.parametrize("times", [1, 2])
def test_nothing_is_learned_of_what_others_ask_later(
    server: Server, times: int
) -> None:
    """Another Region's request in its place would be evidence of another Region."""
    talk = talking()
    for _ in range(times):
        ask(talk)
    Conversation(talk.aws).ask(
        "config", "describe_configuration_recorders", ("", "us-east-1")
    )
    ask(talk)
    scopes = [row[2]["Authorization"].split("/")[2] for row in server.asked]
    assert scopes == [*[REGION] * times, "us-east-1", REGION]
    assert not by_boto3(server.asked[-1])


def refused(handler: Handler) -> None:
    handler.reply(400, b'{"__type":"ThrottlingException","message":"slow down"}')


def broken(handler: Handler) -> None:
    handler.reply(200, b"{", size=100)
    handler.close_connection = True


FAULTS: list[Callable[[Handler], None]] = [
    refused,
    lambda handler: handler.reply(500, b""),
    lambda handler: handler.reply(200, b"<html>"),
    lambda handler: handler.reply(302, b""),
    lambda handler: handler.connection.shutdown(socket.SHUT_RDWR),
    broken,
]


@pytest.mark.parametrize("fault", FAULTS, ids=map(str, range(len(FAULTS))))
def test_whatever_fails_boto3_asks_again(
    server: Server, fault: Callable[[Handler], None]
) -> None:
    talk = talking()
    first = told(ask(talk))
    server.next = [fault]
    assert told(ask(talk)) == first
    assert [by_boto3(asked) for asked in server.asked] == [True, False, True]
    assert (talk.pages, talk.throttles) == (2, 1)


def test_what_is_refused_twice_is_refused(server: Server) -> None:
    talk = talking()
    ask(talk)
    denied = b'{"__type":"AccessDeniedException","message":"no"}'
    server.next = [lambda handler: handler.reply(400, denied)] * 2
    with pytest.raises(SourceError, match="AccessDenied"):
        ask(talk)


@pytest.mark.parametrize(
    "fault",
    [
        lambda handler: handler.reply(200, b"who", size=5),
        lambda handler: handler.reply(200, b"", size=1 << 40),
        lambda handler: handler.reply(404, b"<Error/>"),
    ],
    ids=["short", "too-long", "gone"],
)
def test_an_object_comes_whole_or_boto3_gets_it(
    server: Server, fault: Callable[[Handler], None]
) -> None:
    def ended(handler: Handler) -> None:
        fault(handler)
        handler.close_connection = True

    talk = talking()
    get = {"Bucket": "b", "Key": "a/::b c.json"}
    assert talk.ask("s3", "get_object", **get)["Body"].read() == b"whole"
    server.next = [ended]
    assert talk.ask("s3", "get_object", **get)["Body"].read() == b"whole"
    assert [by_boto3(asked) for asked in server.asked] == [True, False, True]
    assert len({asked[1] for asked in server.asked}) == 1


def listing(inner: str, name: str = "ListBucketResult") -> bytes:
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<{name} xmlns="{space}">{inner}</{name}>'.encode()


OBJECT = "<Key>k</Key><LastModified>2028-01-02T03:04:05.000Z</LastModified>"
WHOLE = listing(f"<IsTruncated>false</IsTruncated><Contents>{OBJECT}</Contents>")


@pytest.mark.parametrize(
    "body",
    [
        listing("<IsTruncated>true</IsTruncated>"),
        listing("<Contents><Key>k</Key></Contents>"),
        listing(f"<Contents>{OBJECT[12:]}</Contents>"),
        listing("<EncodingType>url</EncodingType>"),
        listing("", "ListBuckets"),
        WHOLE[:-5],
    ],
    ids=["no-token", "no-time", "no-key", "encoded", "other", "cut"],
)
def test_a_listing_that_lacks_something_boto3_reads(
    server: Server, body: bytes
) -> None:
    """What it would leave out would be taken for not delivered."""
    talk = talking()
    server.next = [lambda handler: handler.reply(200, WHOLE)] * 2
    server.next.append(lambda handler: handler.reply(200, body))
    server.next.append(lambda handler: handler.reply(200, WHOLE))
    for _ in range(3):
        answer = talk.ask("s3", "list_objects_v2", Bucket="b", Prefix="p")
        (row,) = answer["Contents"]
        assert row["Key"] == "k"
        assert row["LastModified"] == datetime(2028, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert list(map(by_boto3, server.asked)) == [True, False, False, True]


def test_pages_of_a_listing_go_on(server: Server) -> None:
    mark = "<NextContinuationToken>t/+=</NextContinuationToken>"
    more = f"<IsTruncated>true</IsTruncated>{mark}"
    server.next = [
        lambda handler: handler.reply(200, WHOLE),
        lambda handler: handler.reply(200, listing(more)),
        lambda handler: handler.reply(200, WHOLE),
    ]
    talk, tokens = talking(), ("NextContinuationToken", "ContinuationToken")
    talk.ask("s3", "list_objects_v2", Bucket="b", Prefix="p")
    first, second = talk.pages_of(
        "s3", "list_objects_v2", tokens=tokens, Bucket="b", Prefix="p"
    )
    assert [len(page["Contents"]) for page in (first, second)] == [0, 1]
    assert server.asked[-1][1].endswith("continuation-token=t%2F%2B%3D")


@pytest.mark.parametrize("body", [b"\xff\xfe{", '{"ConfigRules":"ü\u2028'.encode()])
def test_a_kept_page_gives_the_answers_bytes_back(server: Server, body: bytes) -> None:
    talk = talking()
    server.next = [lambda handler: handler.reply(200, body)]
    with pytest.raises(SourceError, match="is not JSON"):
        ask(talk, "describe_config_rules")
    (page,) = talk.kept
    assert b"\n" not in page
    assert json.loads(page)["body"].encode("utf-8", "surrogateescape") == body


@pytest.mark.parametrize(
    ("service", "method", "reply", "word"),
    [
        ("config", "describe_config_rules", (403, b"f\xfcr"), "can't decode byte 0xfc"),
        ("sts", "get_caller_identity", (200, b"<html><p>log in"), "invalid XML"),
    ],
)
def test_a_proxys_own_page_is_an_error_not_a_traceback(
    server: Server, service: str, method: str, reply: Reply, word: str
) -> None:
    server.next = [lambda handler: handler.reply(*reply)]
    with pytest.raises(SourceError, match=word):
        talking().ask(service, method, ("", REGION))


def test_what_is_not_written_here_boto3_asks(server: Server) -> None:
    talk = talking()
    get = {"Bucket": "b", "Key": "k"}
    for more in ({}, {"VersionId": "7"}):
        talk.ask("s3", "get_object", **get, **more)["Body"].read()
    assert all(map(by_boto3, server.asked))
    assert server.asked[1][1].endswith("versionId=7")


def test_through_a_proxy_boto3_goes(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    talk = talking()
    for _ in range(2):
        ask(talk)
    assert all(map(by_boto3, server.asked))


def test_certificates_are_checked_as_boto3_checks_them(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=localhost -batch"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    subprocess.run(
        ["openssl", *words.split(), *names, *files], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.server_port}")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert"))
    talk = talking()
    assert told(ask(talk)) == told(ask(talk))
    assert [by_boto3(asked) for asked in server.asked] == [True, False]
    untrusted = Repeater("", (1, 1))
    kind = Kind("config", REGION, "DescribeConfigurationRecorders")
    learn(untrusted, kind, server)
    keys = ReadOnlyCredentials("k", "s", None)
    assert untrusted.ask(kind, {}, keys, None) is None
    assert len(server.asked) == 2
    trusted = Repeater(str(tmp_path / "cert"), (1, 1))
    learn(trusted, kind, server)
    assert trusted.ask(kind, {}, keys, None) is not None


def learn(repeater: Repeater, kind: Kind, server: Server) -> None:
    """Show a repeater what boto3 sent first."""
    method, path, headers, body = server.asked[0]
    url = f"https://localhost:{server.server_port}{path}"
    repeater.learn(kind, AWSRequest(method, url, headers, body))


def test_ctrl_c_does_not_wait_for_an_answer(server: Server) -> None:
    talk, answered = talking(), threading.Event()
    ask(talk)
    server.next = [lambda _handler: answered.wait(30) and None]
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ask(talk)
    answered.set()
    assert time.monotonic() - begun < 10


def test_what_is_not_plain_is_boto3s(server: Server) -> None:
    talk = Conversation(Connections(""))
    for _ in range(2):
        ask(talk)
    assert all(map(by_boto3, server.asked))


KEYS = ("AWSLogs/1/Config/a::b_c.json.gz", "p/ä ö+&=%20.txt", "p/~tilde'()*", "p/x")


def test_a_real_s3_takes_the_signatures_and_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as store:
        client = store.client()
        client.create_bucket(Bucket="delivery")
        for key in KEYS:
            client.put_object(Bucket="delivery", Key=key, Body=key.encode() * 3)
        for name, value in environment(store.url, ADMIN).items():
            monkeypatch.setenv(name, value)
        talk = talking()

        def listed(prefix: str) -> list[tuple[str, datetime]]:
            found = talk.ask(
                "s3", "list_objects_v2", Bucket="delivery", Prefix=prefix
            ).get("Contents", [])
            return [(row["Key"], row["LastModified"]) for row in found]

        repeated: list[str] = []
        monkeypatch.setattr(Repeater, "ask", noted(repeated))
        for prefix in ("p/", "p/ä ö+&", "AWSLogs/1/Config/a::b_", "none", "p/"):
            boto3s = client.list_objects_v2(Bucket="delivery", Prefix=prefix)
            assert listed(prefix) == [
                (row["Key"], row["LastModified"]) for row in boto3s.get("Contents", [])
            ]
        for key in (*KEYS, *KEYS):
            answer = talk.ask("s3", "get_object", Bucket="delivery", Key=key)
            assert answer["Body"].read() == key.encode() * 3
        assert repeated == ["ListObjectsV2"] * 4 + ["GetObject"] * 7


def noted(names: list[str]) -> Callable[..., Any]:
    """Repeat as ever, and note which operations."""
    original = Repeater.ask

    def ask(self: Repeater, kind: Kind, *rest: Any) -> Any:  # noqa: ANN401
        found = original(self, kind, *rest)
        names.append(kind.operation if found else "boto3")
        return found

    return ask
