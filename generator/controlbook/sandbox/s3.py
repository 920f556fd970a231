# SPDX-License-Identifier: Apache-2.0
"""S3: read-only delivery and trail buckets from the world, all others from moto.

Rules enforced here:
- these two hold what has been delivered by the clock, and nobody writes them;
- other buckets are moto's, loaded when first asked for (an optional extra); what moto
  gets wrong, Object Lock, is refused loudly instead of answered wrongly.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote
from xml.sax.saxutils import escape

from .clock import http_date
from .items import iso_millis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from controlbook.timeline import Instant

    from .delivery import DeliveredFile, DeliveryBucket
    from .trails import Trail, TrailFile

    Bucket = DeliveryBucket | Trail

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
LAST = "\U0010ffff"
"""Stands behind every key of a folder."""
LOCK_QUERIES = ("object-lock", "retention", "legal-hold")

Reply = tuple[int, dict[str, str], bytes]
"""(status, headers, body)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request as it came in."""

    method: str
    path: str
    """Raw, still quoted."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class S3:
    """The S3 of the sandbox."""

    def __init__(self, *buckets: Bucket) -> None:
        """Serve the world's buckets; moto comes when another one is asked for."""
        self._buckets = {bucket.name: bucket for bucket in buckets}
        self._moto: Callable[..., Iterable[bytes]] | None = None

    def answer(self, request: Request, now: Instant) -> Reply:
        """Answer one request at the clock's instant."""
        name, _, key = unquote(request.path).lstrip("/").partition("/")
        bucket = self._buckets.get(name)
        if bucket is None:
            return self._elsewhere(request)
        if request.method not in {"GET", "HEAD"}:
            return failure(403, "AccessDenied", "AWS alone writes here", request)
        if key:
            return self._object(bucket, request, key, now)
        return self._listing(bucket, request, now)

    def _object(
        self, bucket: Bucket, request: Request, key: str, now: Instant
    ) -> Reply:
        file = bucket.find(key, now)
        if file is None:
            return failure(404, "NoSuchKey", "the key does not exist", request)
        headers = {
            "ETag": f'"{file.etag}"',
            "Last-Modified": http_date(file.delivered),
            "Content-Type": "application/json",
            "Accept-Ranges": "bytes",
            "x-amz-server-side-encryption": "AES256",
        }
        if file.body:
            headers["Content-Encoding"] = "gzip"
        for name, value in getattr(file, "metadata", ()):
            headers[f"x-amz-meta-{name}"] = value
        if "range" in request.headers:
            return failure(501, "NotImplemented", "no ranges here", request)
        return 200, headers, file.body

    def _listing(self, bucket: Bucket, request: Request, now: Instant) -> Reply:
        query = {
            k: v[0] for k, v in parse_qs(request.query, keep_blank_values=True).items()
        }
        if request.method == "HEAD":
            return 200, {"x-amz-bucket-region": "eu-west-1"}, b""
        if "location" in query:
            tag = "LocationConstraint"
            body = f'<{tag} xmlns="{NAMESPACE}">eu-west-1</{tag}>'
            return 200, XML, body.encode()
        if query.get("list-type") != "2":
            return failure(501, "NotImplemented", "only ListObjectsV2 here", request)
        listing = _Listing(query)
        return 200, XML, listing.xml(bucket, now)

    def _elsewhere(self, request: Request) -> Reply:
        asked = {pair.partition("=")[0] for pair in request.query.split("&")}
        locked = any(name.startswith("x-amz-object-lock") for name in request.headers)
        if "x-amz-bucket-object-lock-enabled" in request.headers or locked:
            return failure(501, "NotImplemented", "no Object Lock here", request)
        if asked & set(LOCK_QUERIES):
            return failure(501, "NotImplemented", "no Object Lock here", request)
        if self._moto is None:
            try:
                from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - 0.4 s
                    create_backend_app,
                )
            except ImportError:
                why = "other buckets need the extra: pip install controlbook[sandbox]"
                return failure(501, "NotImplemented", why, request)
            self._moto = create_backend_app("s3")
        return _wsgi(self._moto, request)


XML = {"Content-Type": "application/xml"}


class _Listing:
    """One ListObjectsV2 request."""

    def __init__(self, query: dict[str, str]) -> None:
        self.name_prefix = query.get("prefix", "")
        self.delimiter = query.get("delimiter", "")
        self.size = min(int(query.get("max-keys", "1000")), 1000)
        self.token = query.get("continuation-token", "")
        self.start_after = query.get("start-after", "")
        self.url = query.get("encoding-type") == "url"

    def xml(self, bucket: Bucket, now: Instant) -> bytes:
        after = self.start_after
        if self.token:
            after = base64.urlsafe_b64decode(self.token).decode()
        rows: list[str] = []
        folders: list[str] = []
        last, more = "", False
        files: Iterator[DeliveredFile | TrailFile]
        files = iter(bucket.list(self.name_prefix, after, now))
        while (file := next(files, None)) is not None:
            folder = self._folder(file.key)
            if folder and (folder in folders or after.startswith(folder)):
                # A folder may hold very much: go on behind it.
                last = f"{folder}{LAST}"
                files = iter(bucket.list(self.name_prefix, last, now))
                continue
            if len(rows) + len(folders) == self.size:
                more = True
                break
            if folder:
                folders.append(folder)
            else:
                rows.append(self._row(file))
            last = file.key
        parts = [
            f"<Name>{bucket.name}</Name><Prefix>{self._text(self.name_prefix)}</Prefix>",
            f"<KeyCount>{len(rows) + len(folders)}</KeyCount>",
            f"<MaxKeys>{self.size}</MaxKeys>",
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>",
            "<EncodingType>url</EncodingType>" if self.url else "",
            *rows,
            *(
                f"<CommonPrefixes><Prefix>{self._text(each)}</Prefix></CommonPrefixes>"
                for each in folders
            ),
        ]
        if more:
            token = base64.urlsafe_b64encode(last.encode()).decode()
            parts.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
        inner = "".join(parts)
        return (
            f'<ListBucketResult xmlns="{NAMESPACE}">{inner}</ListBucketResult>'.encode()
        )

    def _folder(self, key: str) -> str:
        if not self.delimiter:
            return ""
        head, found, _ = key[len(self.name_prefix) :].partition(self.delimiter)
        return f"{self.name_prefix}{head}{found}" if found else ""

    def _row(self, file: DeliveredFile | TrailFile) -> str:
        return (
            f"<Contents><Key>{self._text(file.key)}</Key>"
            f"<LastModified>{iso_millis(file.delivered)}</LastModified>"
            f"<ETag>&quot;{file.etag}&quot;</ETag><Size>{len(file.body)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )

    def _text(self, text: str) -> str:
        return escape(quote(text, safe="/")) if self.url else escape(text)


def failure(status: int, code: str, message: str, request: Request) -> Reply:
    """Give an S3 error; a HEAD has no body."""
    body = (
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>"
        f"<Resource>{escape(request.path)}</Resource><RequestId>sandbox</RequestId></Error>"
    )
    return status, dict(XML), b"" if request.method == "HEAD" else body.encode()


def _wsgi(app: Callable[..., Iterable[bytes]], request: Request) -> Reply:
    """Hand a request to a WSGI application within this process."""
    environ: dict[str, Any] = {  # as PEP 3333 types it
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(request.path, encoding="latin-1"),
        "RAW_URI": f"{request.path}?{request.query}" if request.query else request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if name not in {"content-type", "content-length", "transfer-encoding"}:
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    outcome: list[tuple[int, dict[str, str]]] = []

    def start(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        outcome.append((int(status[:3]), dict(headers)))

    body = b"".join(app(environ, start))
    status, headers = outcome[0]
    # The length of a HEAD is the object's, not that of the empty body.
    own = ("Date", "Server", "Connection")
    for name in own if request.method == "HEAD" else (*own, "Content-Length"):
        headers.pop(name, None)
    return status, headers, body
