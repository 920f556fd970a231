# SPDX-License-Identifier: Apache-2.0
"""The S3 vault against a server that keeps Object Lock's promises."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from controlbook.digest import sha256
from controlbook.timeline import DAY, HOUR, Instant, to_datetime
from controlbook.vault import (
    NotInVaultError,
    TakenError,
    VaultIntegrityError,
    VaultUnavailableError,
)
from controlbook.vault.s3 import S3Vault

if TYPE_CHECKING:
    from weed import Store

BUCKET = "evidence"
# The server's clock decides what it takes as a date to come.
NOW = Instant(time.time_ns() // 1_000_000_000 * 1000)  # noqa: TID251
UNTIL = Instant(NOW + DAY)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def client(store: Store) -> Any:  # noqa: ANN401 - boto3 has no types
    return store.client()


@pytest.fixture
def vault(client: Any, request: pytest.FixtureRequest) -> S3Vault:  # noqa: ANN401
    return S3Vault(f"s3://{BUCKET}/{sha256(request.node.name.encode())[:8]}", client)


def test_an_object_is_locked_and_reads_back(vault: S3Vault) -> None:
    stored = vault.put("packs/a", b"one", role="source", retain_until=UNTIL)
    assert (stored.bucket, stored.key) == (BUCKET, f"{vault.prefix}packs/a")
    assert stored.lock_mode == "COMPLIANCE"
    assert stored.version_id not in {"", "null"}
    assert vault.get("packs/a", stored.version_id) == b"one"
    assert vault.get(stored.key, stored.version_id) == b"one"
    assert vault.keys("packs/") == ("packs/a",)


def test_the_same_bytes_again_are_fine_and_others_are_not(vault: S3Vault) -> None:
    first = vault.put("a", b"one", role="source", retain_until=UNTIL)
    assert vault.put("a", b"one", role="source", retain_until=UNTIL) == first
    with pytest.raises(TakenError, match="other bytes"):
        vault.put("a", b"two", role="source", retain_until=UNTIL)


def test_a_lock_is_extended_and_never_shortened(vault: S3Vault) -> None:
    first = vault.put("a", b"one", role="source", retain_until=UNTIL)
    later = Instant(UNTIL + DAY)
    longer = vault.put("a", b"one", role="source", retain_until=later)
    assert longer.version_id == first.version_id
    assert longer.lock_until > first.lock_until
    assert vault.put("a", b"one", role="source", retain_until=UNTIL) == longer


@pytest.mark.threat("T08")
def test_the_store_refuses_to_shorten_or_delete(vault: S3Vault, client: Any) -> None:  # noqa: ANN401
    stored = vault.put("a", b"one", role="source", retain_until=UNTIL)
    name = {"Bucket": BUCKET, "Key": stored.key, "VersionId": stored.version_id}
    with pytest.raises(ClientError):
        client.delete_object(**name)
    soon = to_datetime(Instant(NOW + HOUR))
    with pytest.raises(ClientError):
        client.put_object_retention(
            **name, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": soon}
        )


@pytest.mark.threat("T06")
def test_a_pinned_version_outlives_a_delete_marker(vault: S3Vault, client: Any) -> None:  # noqa: ANN401
    stored = vault.put("a", b"one", role="source", retain_until=UNTIL)
    client.delete_object(Bucket=BUCKET, Key=stored.key)
    assert vault.get("a", stored.version_id) == b"one"
    assert vault.get("a") == b"one"
    assert vault.keys("a") == ("a",)
    with pytest.raises(NotInVaultError):
        vault.get("b")


@pytest.mark.threat("T07")
def test_a_key_stands_for_its_first_version(vault: S3Vault, client: Any) -> None:  # noqa: ANN401
    stored = vault.put("ledger/a/000001.json", b"one", role="run", retain_until=UNTIL)
    client.put_object(Bucket=BUCKET, Key=stored.key, Body=b"forged")
    assert vault.get("ledger/a/000001.json") == b"one"
    (found,) = vault.history("ledger/").values()
    first, second = found.versions
    assert first.id == stored.version_id != second.id


@pytest.mark.threat("T06")
def test_a_number_that_a_marker_hides_is_not_given_away_again(
    vault: S3Vault,
    client: Any,  # noqa: ANN401
) -> None:
    key = "ledger/a/000001.json"
    stored = vault.put(key, b"one", role="run", retain_until=UNTIL)
    client.delete_object(Bucket=BUCKET, Key=stored.key)
    with pytest.raises(TakenError, match="another version stood"):
        vault.put(key, b"two", role="run", retain_until=UNTIL)
    assert vault.get(key) == b"one"


def test_every_put_carries_checksum_lock_and_condition(
    vault: S3Vault,
    client: Any,  # noqa: ANN401
) -> None:
    seen: list[dict[str, str]] = []

    def watch(request: Any, **_: object) -> None:  # noqa: ANN401
        seen.append({k.lower(): str(v) for k, v in request.headers.items()})

    client.meta.events.register("before-sign.s3.PutObject", watch)
    try:
        vault.put("a", b"one", role="source", retain_until=UNTIL)
    finally:
        client.meta.events.unregister("before-sign.s3.PutObject", watch)
    (headers,) = seen
    assert headers["if-none-match"] == "*"
    assert headers["x-amz-sdk-checksum-algorithm"] == "SHA256"
    assert "x-amz-checksum-sha256" in headers
    assert headers["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert headers["x-amz-object-lock-retain-until-date"]


@pytest.mark.threat("T10")
def test_a_bucket_without_versions_is_refused(client: Any) -> None:  # noqa: ANN401
    client.create_bucket(Bucket="plain")
    vault = S3Vault("s3://plain", client)
    with pytest.raises((VaultIntegrityError, VaultUnavailableError)):
        vault.put("a", b"one", role="source", retain_until=UNTIL)


class Forgetful:
    """An S3 client whose answers lack a field."""

    def __init__(self, client: Any, operation: str, field: str) -> None:  # noqa: ANN401
        self._client = client
        self._operation = operation
        self._field = field

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        method = getattr(self._client, name)
        if name != self._operation:
            return method

        def forget(**parameters: object) -> dict[str, Any]:
            answer: dict[str, Any] = method(**parameters)
            answer.pop(self._field, None)
            return answer

        return forget


@pytest.mark.threat("T09")
def test_a_lock_that_does_not_read_back_fails_the_run(client: Any) -> None:  # noqa: ANN401
    forgetful = Forgetful(client, "get_object", "ObjectLockMode")
    vault = S3Vault(f"s3://{BUCKET}/t09", forgetful)
    with pytest.raises(VaultIntegrityError, match="the lock is none until"):
        vault.put("a", b"one", role="source", retain_until=UNTIL)


@pytest.mark.threat("T10")
def test_a_put_without_a_version_id_fails_the_run(client: Any) -> None:  # noqa: ANN401
    vault = S3Vault(f"s3://{BUCKET}/t10", Forgetful(client, "put_object", "VersionId"))
    with pytest.raises(VaultIntegrityError, match="without a version id"):
        vault.put("a", b"one", role="source", retain_until=UNTIL)


def test_a_vault_that_does_not_answer_is_unavailable() -> None:
    away = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="a",
        aws_secret_access_key="b",  # noqa: S106 - nobody's
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
    )
    with pytest.raises(VaultUnavailableError):
        S3Vault("s3://evidence", away).keys("packs/")
