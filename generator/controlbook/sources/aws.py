# SPDX-License-Identifier: Apache-2.0
"""Talking to AWS: sessions, clients, listings, and what is kept of the answers.

Rules enforced here:
- credentials and endpoints come from boto3's own chain and nowhere else;
- a listing goes on while there is a token, also after an empty page; a token seen twice
  is an error; an expired token starts that listing again;
- every page is kept as AWS sent it, every query with its exact parameters; pages and
  retries are counted.
"""

from __future__ import annotations

import json
import os
import threading
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
)

from controlbook.digest import canonical
from controlbook.timeline import from_datetime, iso
from controlbook.vault import MAX_OBJECT

from . import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.session import Session

    from controlbook.timeline import Instant

Answer = dict[str, Any]  # boto3 has no types
T = TypeVar("T")

ADVICE = "set AWS credentials and AWS_DEFAULT_REGION"
RESTARTS = 3
"""How often a listing whose token expired is begun again."""
NOT_KEPT = ("s3",)
"""Services whose answers are not kept as pages: S3 objects are packs of their own."""

_EXPIRED = {
    "InvalidNextTokenException",
    "InvalidNextToken",
    "InvalidTokenException",
    "ExpiredNextToken",
}
_SETTINGS = Config(
    retries={"mode": "adaptive", "max_attempts": 5},
    user_agent_extra="controlbook",
    connect_timeout=10,
    read_timeout=60,
)


@cache
def connections(role: str, endpoint: str = "") -> Connections:
    """Give this process's connections; making clients anew costs more than a run."""
    del endpoint  # a key of the cache only: another endpoint is another AWS
    return Connections(role)


def shared(role: str) -> Connections:
    """Give the connections for the role and the endpoint of the environment."""
    return connections(role, os.environ.get("AWS_ENDPOINT_URL", ""))


class Connections:
    """Clients of the collector's own account, and of the others through its role."""

    def __init__(self, role: str, profile: str = "") -> None:
        """Assume `role` in other accounts; without one, read the own account only.

        `profile` names other credentials than the environment's, in ~/.aws/config.
        """
        self.role = role
        self.body = b""
        """The last answer of a kept service, as it came."""
        self._own = botocore.session.Session(profile=profile or None)
        self._sessions: dict[str, Session] = {}
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(self, service: str, account: str = "", region: str = "") -> Any:  # noqa: ANN401 - boto3 has no types
        """Give a client for a service, in an account through the role, in a Region."""
        key = (service, account, region)
        if key not in self._clients:
            by_role = account and self.role
            session = self._session(account) if by_role else self._own
            try:
                client = session.create_client(
                    service, region_name=region or None, config=_SETTINGS
                )
            except BotoCoreError as error:
                raise SourceError(str(error), service, ADVICE) from error
            if service not in NOT_KEPT:
                client.meta.events.register("before-parse", self._keep)
            self._clients[key] = client
        return self._clients[key]

    def paging(self, service: str, operation: str) -> Mapping[str, Any] | None:
        """Tell how botocore pages a listing; None where it has no paginator for it."""
        try:
            model = self._own.get_paginator_model(service)
            found: Mapping[str, Any] = model.get_paginator(operation)
        except (BotoCoreError, ValueError):
            return None
        return found

    def _keep(
        self,
        response_dict: Mapping[str, Any],
        operation_model: Any,  # noqa: ANN401 - botocore's
        **_: object,
    ) -> None:
        # The answer of AssumeRole is a key, asked for on the way to another answer.
        secret = operation_model.name == "AssumeRole"
        self.body = b"" if secret else response_dict["body"]

    def _session(self, account: str) -> Session:
        if account not in self._sessions:
            fetcher = AssumeRoleCredentialFetcher(
                client_creator=lambda *_, **__: self.client("sts"),
                source_credentials=self._own.get_credentials(),
                role_arn=f"arn:{self._partition()}:iam::{account}:role/{self.role}",
                extra_args={"RoleSessionName": "controlbook"},
            )
            session = botocore.session.Session()
            # The models are loaded once for all sessions.
            loader = self._own.get_component("data_loader")
            session.register_component("data_loader", loader)
            credentials = DeferredRefreshableCredentials(
                method="assume-role", refresh_using=fetcher.fetch_credentials
            )
            # The one way to give a session credentials that refresh themselves.
            session._credentials = credentials  # type: ignore[attr-defined] # noqa: SLF001
            self._sessions[account] = session
        return self._sessions[account]

    def _partition(self) -> str:
        region = self.client("sts").meta.region_name or ""
        return "aws-cn" if region.startswith("cn-") else "aws"


class Conversation:
    """What one run asks of AWS, with everything it has to account for."""

    def __init__(self, aws: Connections) -> None:
        """Begin with nothing asked."""
        self.aws = aws
        self.pages = 0
        self.throttles = 0
        self.aws_date: Instant | None = None
        """AWS's time of the first answer."""
        self.answered: Instant | None = None
        """AWS's time of the last one."""
        self.kept: list[bytes] = []
        """Every page as one line of JSON, AWS's text in it unchanged."""
        self._queries: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        """Objects are read several at a time; what is counted must come out exact."""

    @property
    def queries(self) -> tuple[tuple[str, str], ...]:
        """Every (API, canonical parameters) that was asked, sorted."""
        return tuple(sorted(self._queries))

    def ask(
        self,
        service: str,
        method: str,
        place: tuple[str, str] = ("", ""),
        **parameters: object,
    ) -> Answer:
        """Make one call; SourceError for whatever AWS or the network refuses."""
        client = self.aws.client(service, *place)
        operation = client.meta.method_to_api_mapping[method]
        self._remember(service, operation, parameters)
        try:
            answer: Answer = getattr(client, method)(**parameters)
        except ClientError as error:
            self._count(error.response)
            if service not in NOT_KEPT:
                self._keep(service, operation, place, parameters)
            raise _refused(service, operation, place, error) from error
        except BotoCoreError as error:
            unset = isinstance(error, (NoCredentialsError, NoRegionError))
            name = f"{service}:{operation}"
            raise SourceError(str(error), name, ADVICE if unset else "") from error
        self._count(answer)
        if service not in NOT_KEPT:
            self._keep(service, operation, place, parameters)
        return answer

    def read_object(self, bucket: str, key: str) -> tuple[bytes, Mapping[str, str]]:
        """Get one of very many objects of a bucket: its bytes and its metadata.

        Only the bucket stands among the queries; what was read, the packs name.
        """
        client = self.aws.client("s3")
        with self._lock:
            self._remember("s3", "GetObject", {"Bucket": bucket})
        place = f"s3://{bucket}/{key}"
        try:
            answer = client.get_object(Bucket=bucket, Key=key)
            if answer["ContentLength"] > MAX_OBJECT:
                message = f"{answer['ContentLength']} bytes are more than are read"
                raise SourceError(message, place)
            body: bytes = answer["Body"].read()
        except ClientError as error:
            with self._lock:
                self._count(error.response)
            refused = _refused("s3", "GetObject", (place, ""), error)
            raise refused from error
        except BotoCoreError as error:
            raise SourceError(str(error), place) from error
        with self._lock:
            self._count(answer)
        return body, answer.get("Metadata", {})

    def listing(
        self,
        service: str,
        method: str,
        rows: str,
        place: tuple[str, str] = ("", ""),
        token: str = "NextToken",  # noqa: S107 - the name of a field
        **parameters: object,
    ) -> list[Any]:
        """Read every page of a listing and give all its rows."""

        def read() -> list[Any]:
            pages = self.pages_of(
                service, method, place, tokens=(token, token), **parameters
            )
            return [row for page in pages for row in page[rows]]

        return restarting(read)

    def pages_of(
        self,
        service: str,
        method: str,
        place: tuple[str, str] = ("", ""),
        *,
        tokens: tuple[str, str],
        **parameters: object,
    ) -> Iterator[Answer]:
        """Give the pages of a listing; `tokens` name it in answers and in questions."""
        given, asked = tokens
        seen: set[str] = set()
        following: dict[str, object] = {}
        while True:
            page = self.ask(service, method, place, **parameters, **following)
            yield page
            mark = page.get(given)
            if not mark:
                return
            if mark in seen:
                message = "the listing gave the same page token twice"
                raise SourceError(message, f"{service}:{method}")
            seen.add(mark)
            following = {asked: mark}

    def _remember(
        self, service: str, operation: str, parameters: Mapping[str, object]
    ) -> None:
        plain = {
            name: _plain(value)
            for name, value in parameters.items()
            if name.lower() not in {"nexttoken", "continuationtoken"}
        }
        self._queries.add((f"{service}:{operation}", canonical(plain).decode()))

    def _count(self, answer: Mapping[str, Any]) -> None:
        meta = answer.get("ResponseMetadata", {})
        self.pages += 1
        self.throttles += meta.get("RetryAttempts", 0)
        date = meta.get("HTTPHeaders", {}).get("date")
        if date:
            self.answered = from_datetime(parsedate_to_datetime(date))
            self.aws_date = self.aws_date or self.answered

    def _keep(
        self,
        service: str,
        operation: str,
        place: tuple[str, str],
        parameters: Mapping[str, object],
    ) -> None:
        page = {
            "api": f"{service}:{operation}",
            "account": place[0],
            "region": place[1],
            "parameters": {name: _plain(value) for name, value in parameters.items()},
            "body": self.aws.body.decode("utf-8", "surrogateescape"),
        }
        # Escaped to ASCII, so that the body's own bytes come back whatever they are.
        self.kept.append(json.dumps(page, sort_keys=True).encode())


class ExpiredTokenError(SourceError):
    """A page token is no longer taken: the listing starts again."""


def restarting(read: Callable[[], T]) -> T:
    """Read a listing, from its start again where its page token expired."""
    for _ in range(RESTARTS - 1):
        try:
            return read()
        except ExpiredTokenError:
            continue
    return read()


def _refused(
    service: str, operation: str, place: tuple[str, str], error: ClientError
) -> SourceError:
    code = error.response.get("Error", {}).get("Code", "")
    name = " ".join(filter(None, (f"{service}:{operation}", *place)))
    kind = ExpiredTokenError if code in _EXPIRED else SourceError
    return kind(str(error), name, answer=code)


def _plain(value: object) -> object:
    """Give a parameter as canonical JSON holds it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "tzinfo"):
        return iso(from_datetime(value))  # type: ignore[arg-type] # only datetimes have a tzinfo here
    return value


def endpoint_of(client: Any) -> str:  # noqa: ANN401 - boto3 has no types
    """Name the endpoint: `aws`, or the scheme and host of what stands in for it."""
    parts = urlsplit(client.meta.endpoint_url)
    host = parts.hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return "aws"
    # Without the port, which differs from one sandbox to the next.
    return f"{parts.scheme}://{host}"
