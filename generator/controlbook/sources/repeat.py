# SPDX-License-Identifier: Apache-2.0
"""Calls made thousands of times: boto3's own request, repeated with other parameters.

Most of what a thousand accounts cost is boto3 preparing requests that differ in nothing
but account, parameters and time. So the first of a kind is boto3's; what it sent (where
to, with which headers) is kept, and repeated with botocore's signature over urllib3.

Rules enforced here:
- only an answer with status 200 that reads well counts; whatever else happens, boto3
  asks again, with its retries, its patience and its words for errors;
- nothing is repeated through a proxy, nor where the signature is not plain Signature
  Version 4: that is boto3's to arrange;
- an object comes whole, or not at all.
"""

from __future__ import annotations

import io
import re
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
import urllib3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import create_urllib3_context, get_cert_path
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.utils import parse_timestamp
from urllib3.exceptions import HTTPError

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

_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/")
_OF_ONE_REQUEST = frozenset(
    {
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "authorization",
        "content-length",
        "x-amz-checksum-mode",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
    }
)
_LISTED = {
    "Bucket": "",
    "Prefix": "prefix",
    "ContinuationToken": "continuation-token",
}
"""Parameters of ListObjectsV2, as its query names them."""
_PARAMETERS = {"GetObject": {"Bucket", "Key"}, "ListObjectsV2": _LISTED.keys()}
"""What is made into an address here; with more, boto3 asks."""


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
    headers: Mapping[str, str]
    service: str
    region: str
    """Service and Region that the signature names."""


class Repeater:
    """Repeats requests that it has seen boto3 make."""

    def __init__(self, certificates: str, timeout: tuple[int, int]) -> None:
        """Trust a file of certificates; else those that botocore trusts.

        `timeout`: seconds to connect, and to read.
        """
        self._patterns: dict[Kind, _Pattern] = {}
        self._proxied = bool(urllib.request.getproxies())
        self._pools = urllib3.PoolManager(
            timeout=urllib3.Timeout(*timeout),
            maxsize=10,
            retries=False,
            ssl_context=create_urllib3_context(),
            cert_reqs="CERT_REQUIRED",
            ca_certs=certificates or get_cert_path(verify=True),
        )

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
            headers={
                name: value
                for name, value in headers.items()
                if name.lower() not in _OF_ONE_REQUEST
            }
            | {"Host": urlsplit(url).netloc},
            region=signed[1],
            service=signed[2],
        )

    def knows(self, kind: Kind, parameters: Mapping[str, Any]) -> bool:
        """Tell whether boto3 has made such a request, which can be made of these."""
        known = _PARAMETERS.get(kind.operation, parameters.keys())
        return parameters.keys() <= known and kind in self._patterns

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
        path, request = _request(kind, pattern, parameters)
        signer = S3SigV4Auth if pattern.service == "s3" else SigV4Auth
        signer(credentials, pattern.service, pattern.region).add_auth(request)
        try:
            pool = self._pools.connection_from_url(pattern.url)
            answer = pool.urlopen(
                pattern.method,
                path,
                body=request.data or None,
                headers=dict(request.headers.items()),
                preload_content=False,
                decode_content=False,
                redirect=False,
            )
            try:
                if int(answer.headers.get("Content-Length", 0)) > MAX_OBJECT:
                    return None
                body = answer.read()
            finally:
                answer.release_conn()
        except (HTTPError, ValueError):
            return None
        if answer.status != HTTPStatus.OK:
            return None
        found = _read(kind, body, answer.headers, output)
        return None if found is None else (found, body)


def _request(
    kind: Kind, pattern: _Pattern, parameters: Mapping[str, Any]
) -> tuple[str, AWSRequest]:
    """Give path and query, and what is to be signed."""
    url, data = pattern.url, b""
    if kind.operation == "GetObject":
        url += quote(parameters["Key"], safe="/~")
    elif kind.operation == "ListObjectsV2":
        asked = {_LISTED[name]: parameters[name] for name in parameters}
        asked.pop("")
        url += "?" + urlencode({"list-type": "2", **asked}, quote_via=quote, safe="~")
    else:
        data = orjson.dumps(
            parameters, default=_seconds, option=orjson.OPT_PASSTHROUGH_DATETIME
        )
    request = AWSRequest(pattern.method, url, dict(pattern.headers), data)
    return url.removeprefix(_origin(url)), request


def _read(
    kind: Kind,
    body: bytes,
    headers: Mapping[str, str],
    output: Any,  # noqa: ANN401 - botocore's
) -> Answer | None:
    """Read an answer's body; None where it does not read as it should."""
    meta = {"HTTPHeaders": {"date": headers.get("Date", "")}}
    if kind.operation == "GetObject":
        size = headers.get("Content-Length")
        if size is None or int(size) != len(body):
            return None
        read: Answer = {"ContentLength": len(body), "Body": io.BytesIO(body)}
    else:
        xml = kind.service == "s3"
        given = {"body": body, "headers": {}, "status_code": HTTPStatus.OK}
        try:
            # botocore takes what is no JSON for an empty answer.
            read = {} if xml else orjson.loads(body)
            if output is not None:
                read = _PARSERS["rest-xml" if xml else "json"].parse(given, output)
        except (ResponseParserError, ValueError):
            return None
    return {**read, "ResponseMetadata": meta}


def _moment(value: str) -> datetime:
    """Read a time: botocore's own way would take most of a listing."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)


def _parsers() -> dict[str, Any]:
    factory = ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=_moment)
    return {name: factory.create_parser(name) for name in ("json", "rest-xml")}


_PARSERS = _parsers()


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _seconds(value: datetime) -> int:
    """Give a time as AWS's JSON has it."""
    return int(value.timestamp())
