# SPDX-License-Identifier: Apache-2.0
"""Calls made thousands of times: boto3's own request, repeated with other parameters.

Most of what a thousand accounts cost is boto3 preparing requests that differ in nothing
but account, parameters and time. So the first of a kind is boto3's; what it sent (where
to, with which headers) is kept, and repeated by libcurl, which signs as well: both at a
third of the CPU.

Rules enforced here:
- only an answer with status 200 that reads well counts; whatever else happens, boto3
  asks again, with its retries, its patience and its words for errors;
- nothing is repeated through a proxy, nor where the signature is not plain Signature
  Version 4: that is boto3's to arrange; libcurl reads nothing of its own of where to go
  and as whom (.netrc, proxies), and follows nothing;
- an object comes whole, or not at all.
"""

from __future__ import annotations

import io
import re
import threading
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import orjson
import pycurl  # type: ignore[import-untyped] # ships no types
from botocore.httpsession import get_cert_path
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.utils import parse_timestamp

from controlbook.vault import MAX_OBJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import ReadOnlyCredentials

Answer = dict[str, Any]  # botocore has no types

REPEATED = frozenset(
    {
        "DescribeConfigRuleEvaluationStatus",
        "DescribeConfigurationRecorderStatus",
        "DescribeConfigurationRecorders",
        "DescribeDeliveryChannelStatus",
        "GetObject",
        "ListObjectsV2",
        "LookupEvents",
    }
)
"""What is asked of every account × Region, every day."""

CONNECTIONS = 32
"""So many stay open for a thread: a service in a Region is one."""

_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/")
_OF_ONE_REQUEST = frozenset(
    {
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "authorization",
        "content-length",
        "host",
        "user-agent",
        "x-amz-checksum-mode",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
    }
)
_UNWANTED = ("Accept:", "Expect:")
"""Headers that libcurl would add."""
_LISTED = {
    "Bucket": "",
    "Prefix": "prefix",
    "ContinuationToken": "continuation-token",
}
"""Parameters of ListObjectsV2, as its query names them."""
_PARAMETERS = {
    "AssumeRole": {"RoleArn", "RoleSessionName"},
    "GetObject": {"Bucket", "Key"},
    "ListObjectsV2": _LISTED.keys(),
}
"""What is made into an address or a form here; with more, boto3 asks."""
_ASSUMING = {"Action": "AssumeRole", "Version": "2011-06-15"}


@dataclass(frozen=True, slots=True)
class Kind:
    """What requests have in common."""

    service: str
    region: str
    """The client's Region, which may be another than the bucket's."""
    operation: str
    bucket: str = ""


@dataclass(frozen=True, slots=True)
class _Pattern:
    method: str
    url: str
    """Without query, and for an object without its key."""
    headers: tuple[str, ...]
    agent: str
    """Said, but not signed, as botocore does not sign it."""
    service: str
    region: str
    """Service and Region that the signature names."""


class Repeater:
    """Repeats requests that it has seen boto3 make."""

    def __init__(self, certificates: str, timeout: tuple[int, int]) -> None:
        """Trust a file of certificates; else those that botocore trusts.

        `timeout`: seconds to connect, and of silence while reading.
        """
        self._patterns: dict[Kind, _Pattern] = {}
        self._proxied = bool(urllib.request.getproxies())
        self._certificates = certificates or get_cert_path(verify=True)
        self._timeout = timeout
        self._wires = _Wires()

    def learn(self, kind: Kind, request: Any, key: str = "") -> None:  # noqa: ANN401 - botocore's
        """Keep what boto3 is about to send; `key` is that of the object asked for."""
        headers = {name: _text(value) for name, value in request.headers.items()}
        signed = _SIGNED.match(headers.get("Authorization", ""))
        url, end = request.url.partition("?")[0], quote(key, safe="/~")
        if self._proxied or not signed or not url.endswith(end):
            return
        self._patterns[kind] = _Pattern(
            method=request.method,
            url=url.removesuffix(end),
            headers=(
                *(
                    f"{name}: {value}"
                    for name, value in headers.items()
                    if name.lower() not in _OF_ONE_REQUEST
                ),
                *_UNWANTED,
            ),
            agent=headers.get("User-Agent", ""),
            region=signed[1],
            service=signed[2],
        )

    def knows(self, kind: Kind, parameters: Mapping[str, Any]) -> bool:
        """Tell whether boto3 has made such a request, which can be made of these."""
        known = _PARAMETERS.get(kind.operation, parameters.keys())
        # libcurl resolves such parts of a path as a browser does: another object.
        dots = {".", ".."} & {*str(parameters.get("Key", "")).split("/")}
        return not dots and parameters.keys() <= known and kind in self._patterns

    def ask(
        self,
        kind: Kind,
        parameters: Mapping[str, Any],
        credentials: ReadOnlyCredentials,
        output: Any,  # noqa: ANN401 - botocore's shape of the answer
    ) -> tuple[Answer, bytes] | None:
        """Give the answer, as boto3 would, and its body; None: it failed, ask boto3.

        `output` None leaves the JSON as it is, times as numbers.
        """
        pattern = self._patterns[kind]
        url, data = _asked(kind, pattern, parameters)
        headers = [*pattern.headers]
        if credentials.token:
            headers.append(f"X-Amz-Security-Token: {credentials.token}")
        answer = _Arriving()
        wire = self._wires.wire
        # Connections stay open; everything else is as if nothing had been asked before.
        wire.reset()
        if threading.current_thread() is threading.main_thread():
            # Called every second, which is when Ctrl-C is noticed.
            wire.setopt(pycurl.NOPROGRESS, False)  # noqa: FBT003 - libcurl's way
            wire.setopt(pycurl.XFERINFOFUNCTION, lambda *_: 0)
        if pattern.method == "POST":
            wire.setopt(pycurl.POSTFIELDS, data)
        for option, value in {
            pycurl.URL: url,
            pycurl.HTTPHEADER: headers,
            pycurl.USERAGENT: pattern.agent,
            pycurl.AWS_SIGV4: f"aws:amz:{pattern.region}:{pattern.service}",
            pycurl.USERNAME: credentials.access_key,
            pycurl.PASSWORD: credentials.secret_key,
            pycurl.WRITEFUNCTION: answer.write,
            pycurl.HEADERFUNCTION: answer.lines.append,
            **self._limits,
        }.items():
            wire.setopt(option, value)
        try:
            wire.perform()
        except pycurl.error:
            return None
        if wire.getinfo(pycurl.RESPONSE_CODE) != HTTPStatus.OK:
            return None
        body = b"".join(answer.body)
        found = _read(kind, body, answer.headers, output)
        return None if found is None else (found, body)

    @cached_property
    def _limits(self) -> dict[int, object]:
        """What libcurl may do, and how long."""
        connecting, reading = self._timeout
        return {
            pycurl.CAINFO: self._certificates,
            pycurl.CONNECTTIMEOUT: connecting,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.LOW_SPEED_LIMIT: 1,
            pycurl.LOW_SPEED_TIME: reading,
            pycurl.MAXCONNECTS: CONNECTIONS,
            pycurl.MAXFILESIZE_LARGE: MAX_OBJECT,
            pycurl.NETRC: pycurl.NETRC_IGNORED,
            pycurl.NOSIGNAL: True,
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.PROXY: "",
        }


class _Wires(threading.local):
    """libcurl's connections, which belong to a thread."""

    def __init__(self) -> None:
        self.wire = pycurl.Curl()


class _Arriving:
    """An answer on its way."""

    def __init__(self) -> None:
        self.body: list[bytes] = []
        self.lines: list[bytes] = []
        """Of the header."""
        self._size = 0

    @property
    def headers(self) -> dict[str, str]:
        """The headers by their names in small letters."""
        text = b"".join(self.lines).decode("latin-1")
        pairs = (line.partition(":") for line in text.splitlines())
        return {name.lower(): value.strip() for name, _, value in pairs}

    def write(self, part: bytes) -> int:
        """Take a part of the body; more than an object has is refused."""
        self._size += len(part)
        if self._size > MAX_OBJECT:
            return 0
        self.body.append(part)
        return len(part)


def _asked(
    kind: Kind, pattern: _Pattern, parameters: Mapping[str, Any]
) -> tuple[str, bytes]:
    """Give the address and the body of a request."""
    url, data = pattern.url, b""
    if kind.operation == "GetObject":
        url += quote(parameters["Key"], safe="/~")
    elif kind.operation == "ListObjectsV2":
        asked = {_LISTED[name]: parameters[name] for name in parameters}
        asked.pop("")
        url += "?" + urlencode({"list-type": "2", **asked}, quote_via=quote, safe="~")
    elif kind.operation == "AssumeRole":
        data = urlencode({**_ASSUMING, **parameters}).encode()
    else:
        data = orjson.dumps(
            parameters, default=_seconds, option=orjson.OPT_PASSTHROUGH_DATETIME
        )
    return url, data


def _read(
    kind: Kind,
    body: bytes,
    headers: Mapping[str, str],
    output: Any,  # noqa: ANN401 - botocore's
) -> Answer | None:
    """Read an answer's body; None where it does not read as it should."""
    meta = {"HTTPHeaders": {"date": headers.get("date", "")}}
    if kind.operation == "GetObject":
        size = headers.get("content-length")
        if size is None or int(size) != len(body):
            return None
        read: Answer = {"ContentLength": len(body), "Body": io.BytesIO(body)}
    else:
        given = {"body": body, "headers": {}, "status_code": HTTPStatus.OK}
        try:
            if kind.service == "s3":
                read = _listed(body)
            elif kind.service == "sts":
                read = _PARSERS["query"].parse(given, output)
            else:
                # botocore takes what is no JSON for an empty answer.
                read = orjson.loads(body)
                if output is not None:
                    read = _PARSERS["json"].parse(given, output)
        except (ResponseParserError, ET.ParseError, LookupError, ValueError):
            # Something is missing, or not what it should be.
            return None
    return {**read, "ResponseMetadata": meta}


def _listed(body: bytes) -> Answer:
    """Read what is used of a ListObjectsV2 answer; of very many, most say nothing."""
    root = ET.fromstring(body)  # noqa: S314 - as botocore reads it
    space = root.tag.removesuffix("ListBucketResult")
    if root.tag == space or root.find(f"{space}EncodingType") is not None:
        message = f"{root.tag} is another answer"
        raise ValueError(message)
    found: Answer = {
        "Contents": [
            {"Key": said["Key"], "LastModified": _moment(said["LastModified"])}
            for said in (_said(row, space) for row in root.findall(f"{space}Contents"))
        ]
    }
    rest = _said(root, space)
    if rest.get("IsTruncated") == "true":
        found["NextContinuationToken"] = rest["NextContinuationToken"]
    return found


def _said(part: ET.Element, space: str) -> dict[str, str]:
    return {row.tag.removeprefix(space): row.text or "" for row in part}


def _moment(value: str) -> datetime:
    """Read a time: botocore's own way would take most of a listing."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)


def _parsers() -> dict[str, Any]:
    factory = ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=_moment)
    return {name: factory.create_parser(name) for name in ("json", "query")}


_PARSERS = _parsers()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _seconds(value: datetime) -> int:
    """Give a time as AWS's JSON has it."""
    return int(value.timestamp())
