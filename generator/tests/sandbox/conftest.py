# SPDX-License-Identifier: Apache-2.0
"""Real boto3 clients of a sandbox, and calls without HTTP for the laws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from controlbook.sandbox.example import example
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.sts import access_key
from controlbook.sandbox.tiny import tiny

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Client = Any  # boto3 makes its clients' classes at run time


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    return boto3.Session()


@pytest.fixture(scope="session")
def client_of(session: boto3.Session) -> Iterator[Callable[..., Client]]:
    """Give a factory: (sandbox, service, account) → client, closed at the end."""
    made: list[Client] = []

    def make(
        sandbox: Sandbox,
        service: str,
        account: str = "",
        region: str = "",
        **settings: object,
    ) -> Client:
        client = session.client(
            service,
            endpoint_url=sandbox.url,
            region_name=region or sandbox.world.home_region,
            aws_access_key_id=access_key(account or sandbox.world.home),
            aws_secret_access_key="sandbox",  # noqa: S106 - no secret
            config=Config(**settings),
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    """Serve the tiny world."""
    with Sandbox(tiny()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def payments() -> Iterator[Sandbox]:
    """Serve the example programme's world."""
    with Sandbox(example()) as sandbox:
        yield sandbox
