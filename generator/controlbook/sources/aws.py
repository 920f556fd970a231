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
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import botocore
import botocore.session
import orjson
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
from botocore.parsers import ResponseParserError

from controlbook.digest import canonical
from controlbook.timeline import from_datetime, iso
from controlbook.vault import MAX_OBJECT

from . import SourceError
from .repeat import REPEATED, Kind, Repeater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from controlbook.timeline import Instant

Answer = dict[str, Any]  # boto3 has no types
T = TypeVar("T")

ADVICE = "set AWS credentials and AWS_DEFAULT_REGION"
RESTARTS = 3
"""How often a listing whose token expired is begun again."""
NOT_KEPT = ("s3",)
"""Services whose answers are not kept as pages: S3 objects are packs of their own."""

QUICK = frozenset(
    {
        "DescribeAggregateComplianceByConfigRules",
        "DescribeConfigRuleEvaluationStatus",
        "DescribeConfigRules",
    }
)
"""Listings of very many rows, which may be read as the JSON they are, times as numbers:
botocore's own reader would take most of a run."""

_EXPIRED = {
    "InvalidNextTokenException",
    "InvalidNextToken",
    "InvalidTokenException",
    "ExpiredNextToken",
}
CONNECTING, READING = 10, 60
"""Seconds that AWS may take to connect and to answer."""
_SETTINGS = Config(
    retries={"mode": "adaptive", "max_attempts": 5},
    user_agent=f"controlbook Botocore/{botocore.__version__}",
    connect_timeout=CONNECTING,
    read_timeout=READING,
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
        self._own = botocore.session.Session(profile=profile or None)
        self._roles: dict[str, DeferredRefreshableCredentials] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._here = _Here()
        self._lock = threading.RLock()
        trusted = self._own.get_config_variable("ca_bundle")
        self._repeater = Repeater(
            trusted or os.environ.get("REQUESTS_CA_BUNDLE", ""), (CONNECTING, READING)
        )

    @property
    def tried(self) -> int:
        """How often this thread's last call was asked in vain before boto3 asks."""
        return self._here.tried

    @property
    def body(self) -> bytes:
        """The last answer of a kept service to this thread, as it came."""
        return self._here.body

    def client(self, service: str, account: str = "", region: str = "") -> Any:  # noqa: ANN401 - boto3 has no types
        """Give a client for a service, in an account through the role, in a Region."""
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._made(service, region)
        client = self._clients[service, region]
        if not (account and self.role):
            return client
        return _Acting(client, self._here, account)

    def _made(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3 has no types
        """Make a client; one serves all accounts, or a thousand would not fit."""
        try:
            client = self._own.create_client(
                service, region_name=region or None, config=_SETTINGS
            )
        except BotoCoreError as error:
            raise SourceError(str(error), service, ADVICE) from error
        client.meta.events.register("before-call", self._sign_as)
        if service not in NOT_KEPT:
            client.meta.events.register("before-parse", self._keep)
        client.meta.events.register("before-send", self._learn)
        return client

    def _learn(self, request: Any, event_name: str, **_: object) -> None:  # noqa: ANN401 - botocore's
        kind = self._here.kind
        # AssumeRole may come in between, on the way to the request that is meant.
        if kind and event_name.endswith(f".{kind.operation}"):
            self._repeater.learn(kind, request, self._here.key)

    def repeat(
        self,
        service: str,
        operation: str,
        place: tuple[str, str],
        parameters: Mapping[str, Any],
    ) -> Answer | None:
        """Make a call as boto3 made one like it; None: it is boto3's to make.

        The answer is boto3's, but that QUICK listings are the JSON's own. What was
        asked in vain is counted as tried before. Raises what boto3 raises where the
        role cannot be assumed.
        """
        self._here.tried = 0
        account, region = place
        bucket = str(parameters.get("Bucket", ""))
        kind = Kind(service, region, operation, bucket)
        self._here.kind, self._here.key = kind, str(parameters.get("Key", ""))
        if not self._repeater.knows(kind, parameters):
            return None
        model = self.client(service, "", region).meta.service_model
        quick = operation in QUICK
        output = None if quick else model.operation_model(operation).output_shape
        keys = (
            self._role_in(account)
            if account and self.role
            else self._own.get_credentials()
        )
        if not keys:
            return None
        frozen = keys.get_frozen_credentials()
        found = self._repeater.ask(kind, parameters, frozen, output)
        if found is None:
            self._here.tried = 1
            return None
        answer, self._here.body = found
        self.done()
        return answer

    def done(self) -> None:
        """End this thread's call: nothing is learned of the requests after it."""
        self._here.kind = None

    def _sign_as(self, context: dict[str, Any], **_: object) -> None:
        # Taken, not read: fetching the role's own credentials is a call as well.
        account, self._here.account = self._here.account, ""
        if account:
            signing = context.setdefault("signing", {})
            signing["request_credentials"] = self._role_in(account)

    def leave(self, *, plain: bool) -> None:
        """Say whether this thread reads its next answer itself, if it is of QUICK."""
        self._here.plain = plain

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
        response_dict: dict[str, Any],
        operation_model: Any,  # noqa: ANN401 - botocore's
        **_: object,
    ) -> None:
        # The answer of AssumeRole is a key, asked for on the way to another answer.
        name = operation_model.name
        self._here.body = b"" if name == "AssumeRole" else response_dict["body"]
        if (
            self._here.plain
            and name in QUICK
            and response_dict["status_code"] == HTTPStatus.OK
        ):
            response_dict["body"] = b"{}"

    def _role_in(self, account: str) -> DeferredRefreshableCredentials:
        with self._lock:
            if account not in self._roles:
                fetcher = AssumeRoleCredentialFetcher(
                    client_creator=lambda *_, **__: _Assuming(self),  # type: ignore[arg-type] # all that is asked of it
                    source_credentials=self._own.get_credentials(),
                    role_arn=f"arn:{self._partition()}:iam::{account}:role/{self.role}",
                    extra_args={"RoleSessionName": "controlbook"},
                )
                self._roles[account] = DeferredRefreshableCredentials(
                    method="assume-role", refresh_using=fetcher.fetch_credentials
                )
            return self._roles[account]

    def assumed(self, parameters: Mapping[str, Any]) -> Answer:
        """Assume a role, on the way to another answer."""
        here = self._here
        held = here.kind, here.key, here.tried
        try:
            given = self.repeat("sts", "AssumeRole", ("", ""), parameters)
            answer: Answer = given or self.client("sts").assume_role(**parameters)
        finally:
            here.kind, here.key, here.tried = held
            here.body = b""  # a key, which nobody keeps
        return answer

    def _partition(self) -> str:
        region = self.client("sts").meta.region_name or ""
        return "aws-cn" if region.startswith("cn-") else "aws"


class _Here(threading.local):
    """What the calls of one thread share."""

    account = ""
    """For whose role the next call is signed."""
    body = b""
    plain = False
    """Whether answers of QUICK are left to the caller to read."""
    kind: Kind | None = None
    """What is learned of the next request; its object's key."""
    key = ""
    tried = 0


class _Assuming:
    """STS, as botocore asks it for a role's credentials."""

    def __init__(self, aws: Connections) -> None:
        self._aws = aws

    def assume_role(self, **parameters: object) -> Answer:
        return self._aws.assumed(parameters)


class _Acting:
    """A client that signs with the role in another account."""

    def __init__(self, client: Any, here: _Here, account: str) -> None:  # noqa: ANN401
        self._client = client
        self._here = here
        self._account = account

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - botocore's
        found = getattr(self._client, name)
        if name == "meta" or not callable(found):
            return found

        def call(*values: object, **named: object) -> Any:  # noqa: ANN401 - the same
            self._here.account = self._account
            try:
                return found(*values, **named)
            finally:
                self._here.account = ""

        return call


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one conversation accounts for."""

    pages: int
    throttles: int
    queries: tuple[tuple[str, str], ...]
    first: Instant | None
    """AWS's time of the first answer."""
    last: Instant | None


class Conversation:
    """What one run asks of AWS, with everything it has to account for."""

    def __init__(self, aws: Connections, *, plain: bool = False) -> None:
        """Begin with nothing asked; `plain`: read the answers of QUICK as JSON."""
        self.aws = aws
        self._plain = plain
        self.pages = 0
        self.throttles = 0
        self.aws_date: Instant | None = None
        """AWS's time of the first answer."""
        self.answered: Instant | None = None
        """AWS's time of the last one."""
        self.kept: list[bytes] = []
        """Every page as one line of JSON, AWS's text in it unchanged."""
        self._held = 0
        self._over = False
        self._queries: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        """Objects are read several at a time; what is counted must come out exact."""

    @property
    def told(self) -> Told:
        """What is accounted for so far, but for the pages themselves."""
        return Told(
            pages=self.pages,
            throttles=self.throttles,
            queries=self.queries,
            first=self.aws_date,
            last=self.answered,
        )

    def end(self) -> None:
        """Ask nothing more: who still reads, in another thread, is to stop."""
        self._over = True

    def add(self, told: Told) -> None:
        """Account for what another process asked."""
        with self._lock:
            self.pages += told.pages
            self.throttles += told.throttles
            self._queries.update(told.queries)
            self.aws_date = self.aws_date or told.first
            self.answered = max(filter(None, (self.answered, told.last)), default=None)

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
        if self._over:
            message = "the run was stopped"
            raise SourceError(message, f"{service}:{method}")
        client = self.aws.client(service, *place)
        operation = client.meta.method_to_api_mapping[method]
        with self._lock:
            self._remember(service, operation, parameters)
        quick = self._plain and operation in QUICK
        answer: Answer | None = None
        try:
            if self._plain and operation in REPEATED:
                answer = self.aws.repeat(service, operation, place, parameters)
                with self._lock:
                    self.throttles += self.aws.tried
                quick = quick and answer is None
            if answer is None:
                self.aws.leave(plain=quick)
                answer = getattr(client, method)(**parameters)
        except ClientError as error:
            self._count(error.response)
            if service not in NOT_KEPT:
                self._keep(service, operation, place, parameters)
            raise _refused(service, operation, place, error) from error
        except (BotoCoreError, ResponseParserError, UnicodeDecodeError) as error:
            # The last two: what answers is not AWS, a proxy with a page of its own.
            unset = isinstance(error, (NoCredentialsError, NoRegionError))
            name = f"{service}:{operation}"
            message = str(error).partition("\n")[0]
            raise SourceError(message, name, ADVICE if unset else "") from error
        finally:
            self.aws.done()
        self._count(answer)
        if service not in NOT_KEPT:
            self._keep(service, operation, place, parameters)
        return answer | self._quickly(operation) if quick else answer

    def _quickly(self, operation: str) -> Answer:
        """Read the last answer as plain JSON."""
        try:
            found: Answer = orjson.loads(self.aws.body)
        except ValueError as error:
            message = f"the answer is not JSON: {error}"
            raise SourceError(message, operation) from error
        return found

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
            self._count(error.response)
            refused = _refused("s3", "GetObject", (place, ""), error)
            raise refused from error
        except BotoCoreError as error:
            raise SourceError(str(error), place) from error
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
        with self._lock:
            self._counted(answer)

    def _counted(self, answer: Mapping[str, Any]) -> None:
        meta = answer.get("ResponseMetadata", {})
        self.pages += 1
        self.throttles += meta.get("RetryAttempts", 0)
        date = meta.get("HTTPHeaders", {}).get("date")
        if date:
            self.answered = _moment(date)
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
        }
        line = _page(page, self.aws.body)
        with self._lock:
            self.kept.append(line)
            self._held += len(line)

    def take_kept(self, least: int) -> list[bytes]:
        """Give the pages away, where they have come to a number of bytes."""
        with self._lock:
            if self._held < least:
                return []
            taken, self.kept, self._held = self.kept, [], 0
        return taken


def _page(told: Mapping[str, object], body: bytes) -> bytes:
    """Write an answer and what was asked as a line from which its bytes come back."""
    try:
        page = {**told, "body": body.decode()}
        return orjson.dumps(page, option=orjson.OPT_SORT_KEYS)
    except ValueError:
        # No UTF-8: `json` escapes what stands for such bytes.
        text = body.decode("utf-8", "surrogateescape")
        return json.dumps({**told, "body": text}, sort_keys=True).encode()


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


@lru_cache(maxsize=8)
def _moment(date: str) -> Instant:
    """Read the date of an answer; those of one second say the same."""
    return from_datetime(parsedate_to_datetime(date))


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
