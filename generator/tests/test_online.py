# SPDX-License-Identifier: Apache-2.0
"""Asking the vault: what became of the objects that a ledger names."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import released
from botocore.exceptions import ClientError
from weed import READER

from controlbook.digest import sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.keeping import Kept
from controlbook.model import Ledger
from controlbook.online import ask, lock_faults, open_s3
from controlbook.timeline import DAY, HOUR, Instant, instant, to_datetime
from controlbook.vault.s3 import S3Vault
from controlbook.verify import Online, verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from weed import Store

    from controlbook.faults import Fault
    from controlbook.model import StoredObject
    from controlbook.verdict import Verdict

# The server's clock decides what it takes as a date to come.
NOW = Instant(time.time_ns() // 1_000_000_000 * 1000)  # noqa: TID251
UNTIL = Instant(NOW + DAY)
EMPTY = Ledger(runs={})

needs_server = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket(store: Store) -> str:
    return store.bucket("online")


@pytest.fixture
def vault(store: Store, bucket: str, request: pytest.FixtureRequest) -> S3Vault:
    prefix = sha256(request.node.name.encode())[:8]
    return S3Vault(f"s3://{bucket}/{prefix}", store.client())


def put(vault: S3Vault, key: str = "packs/config/a", body: bytes = b"one") -> Kept:
    stored = vault.put(key, body, role="records", retain_until=UNTIL)
    return item(stored)


def item(stored: StoredObject, wanted: Instant = Instant(0)) -> Kept:  # noqa: B008
    return Kept(
        owner="config 000001",
        role=stored.role,
        bucket=stored.bucket,
        key=stored.key,
        version_id=stored.version_id,
        sha256=stored.sha256,
        lock_mode=stored.lock_mode,
        lock_until=instant(stored.lock_until),
        wanted=wanted,
    )


def asked(vault: S3Vault, *items: Kept, **options: Any) -> list[Fault]:  # noqa: ANN401
    return list(ask(vault, items, EMPTY, **options))


def name(one: Kept) -> dict[str, str]:
    return {"Bucket": one.bucket, "Key": one.key, "VersionId": one.version_id}


@needs_server
def test_what_is_as_recorded_gives_no_fault(vault: S3Vault) -> None:
    one, other = put(vault), put(vault, "packs/config/b", b"two")
    seen: list[tuple[int, int]] = []
    watch = lambda done, of: seen.append((done, of))  # noqa: E731
    assert asked(vault, one, other, watch=watch) == []
    assert seen == [(0, 2), (1, 2), (2, 2)]


@needs_server
@pytest.mark.threat("T05")
def test_t05_a_version_that_is_gone_is_exit_4(vault: S3Vault, store: Store) -> None:
    # Without a lock: the bucket of somebody who had none, or waited for its end.
    answer = store.client().put_object(
        Bucket=vault.bucket, Key=f"{vault.prefix}packs/a", Body=b"one"
    )
    one = replace(
        put(vault), key=f"{vault.prefix}packs/a", version_id=answer["VersionId"]
    )
    store.client().delete_object(**name(one))
    ((code, text),) = asked(vault, one)
    assert code is Exit.INTEGRITY
    assert "config 000001: records pack" in text
    assert "is gone from the vault" in text


@needs_server
@pytest.mark.threat("T06")
def test_t06_a_delete_marker_is_a_sign_and_the_version_still_reads(
    vault: S3Vault, store: Store
) -> None:
    one = put(vault)
    store.client().delete_object(Bucket=one.bucket, Key=one.key)
    ((code, text),) = asked(vault, one)
    assert code is Exit.FOUND
    assert "a delete marker was put on it at 20" in text
    assert "is still there" in text


@needs_server
@pytest.mark.threat("T07")
def test_t07_a_further_version_is_a_sign_and_is_never_read(
    vault: S3Vault, store: Store
) -> None:
    one = put(vault)
    store.client().put_object(Bucket=one.bucket, Key=one.key, Body=b"forged")
    ((code, text),) = asked(vault, one)
    assert code is Exit.FOUND
    assert "another version" in text
    # The same on a manifest, which has no recorded version: the first one counts.
    manifest = replace(one, bucket="", version_id="", role="manifest", lock_mode="")
    assert [code for code, _ in asked(vault, manifest)] == [Exit.FOUND]


class Shortened:
    """A client whose answers tell of another lock than the store keeps."""

    def __init__(self, client: Any, **told: object) -> None:  # noqa: ANN401
        self._client = client
        self._told = told

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401
        whole = getattr(self._client, method)
        if method != "get_object":
            return whole
        return lambda **asked: {**whole(**asked), **self._told}


@needs_server
@pytest.mark.threat("T08")
@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"ObjectLockMode": "GOVERNANCE"}, "its lock is GOVERNANCE, not COMPLIANCE"),
        (
            {"ObjectLockRetainUntilDate": to_datetime(Instant(NOW + HOUR))},
            "its lock was shortened to",
        ),
    ],
    ids=["mode", "date"],
)
def test_t08_a_weaker_or_shorter_lock_is_exit_4(
    vault: S3Vault, store: Store, told: dict[str, object], said: str
) -> None:
    one = put(vault)
    lying = S3Vault(vault.url, Shortened(store.client(), **told))
    ((code, text),) = asked(lying, one)
    assert code is Exit.INTEGRITY
    assert said in text


@needs_server
@pytest.mark.threat("T09")
def test_t09_an_object_whose_lock_is_missing_is_exit_4(
    vault: S3Vault, store: Store
) -> None:
    one = put(vault)
    answer = store.client().put_object(
        Bucket=vault.bucket, Key=f"{vault.prefix}packs/a", Body=b"one"
    )
    bare = replace(one, key=f"{vault.prefix}packs/a", version_id=answer["VersionId"])
    ((code, text),) = asked(vault, bare)
    assert (code, "its lock is gone" in text) == (Exit.INTEGRITY, True)


class Refusing:
    """A client that may not, or cannot, read an object."""

    def __init__(self, client: Any, operation: str, code: str, status: int) -> None:  # noqa: ANN401
        self._client = client
        self._operation = operation
        self._error = {
            "Error": {"Code": code, "Message": "refused"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401
        if method != self._operation:
            return getattr(self._client, method)

        def refuse(*_: object, **__: object) -> None:
            raise ClientError(self._error, method)  # type: ignore[arg-type]

        return refuse


@needs_server
@pytest.mark.threat("T11")
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AccessDenied", 403),
        ("KMS.DisabledException", 400),
        ("KMS.KMSInvalidStateException", 400),
        ("KMS.NotFoundException", 400),
        ("InternalError", 500),
    ],
)
def test_t11_what_does_not_read_is_unreadable_and_not_gone(
    vault: S3Vault, store: Store, code: str, status: int
) -> None:
    one, other = put(vault), put(vault, "packs/config/b", b"two")
    refused = Refusing(store.client(), "get_object", code, status)
    found = asked(S3Vault(vault.url, refused), one, other)
    assert [each for each, _ in found] == [Exit.UNAVAILABLE] * 2
    assert all("unreadable" in text and code in text for _, text in found)


@needs_server
@pytest.mark.threat("T12")
def test_t12_a_replica_that_lacks_an_object_is_named(
    vault: S3Vault, store: Store
) -> None:
    one, other = put(vault), put(vault, "packs/config/b", b"two")
    third = put(vault, "packs/config/c", b"three")
    second = S3Vault(f"s3://{store.bucket('replica')}", store.client())
    put(second)
    put(second, "packs/config/c", b"swapped")
    found = asked(vault, one, other, third, replica=second)
    assert [code for code, _ in found] == [Exit.UNAVAILABLE, Exit.INTEGRITY]
    assert "packs/config/b: its copy in s3://replica is not there" in found[0][1]
    assert "has other bytes" in found[1][1]


@needs_server
@pytest.mark.threat("T19")
def test_t19_a_locked_manifest_with_other_bytes_is_exit_4(vault: S3Vault) -> None:
    stored = vault.put(
        "ledger/config/000001.json", b"{}", role="manifest", retain_until=UNTIL
    )
    ours = Kept(
        owner="evidence/config/000001.json",
        role="manifest",
        bucket="",
        key="ledger/config/000001.json",
        version_id="",
        sha256=sha256(b'{"rewritten":1}'),
        lock_mode="",
        lock_until=Instant(0),
        wanted=Instant(0),
    )
    ((code, text),) = asked(vault, ours)
    assert code is Exit.INTEGRITY
    assert text.startswith("ledger/config/000001.json: the vault holds other bytes")
    assert asked(vault, replace(ours, sha256=stored.sha256)) == []


@needs_server
@pytest.mark.threat("T90")
def test_t90_a_lock_that_ends_too_soon_is_exit_4_until_it_is_extended(
    vault: S3Vault,
) -> None:
    one = replace(put(vault), wanted=Instant(UNTIL + DAY))
    ((code, text),) = asked(vault, one)
    assert code is Exit.INTEGRITY
    assert "extend it with `controlbook retain`" in text
    vault.extend(one.key, one.version_id, one.wanted)
    assert asked(vault, one) == []


@pytest.mark.threat("T90")
@pytest.mark.parametrize(("later", "faults"), [(-1, 0), (0, 0), (1, 1), (365 * DAY, 1)])
def test_t90_the_recorded_lock_is_judged_offline_too(later: int, faults: int) -> None:
    one = Kept(
        owner="config 000001",
        role="state",
        bucket="b",
        key="k",
        version_id="v",
        sha256="0" * 64,
        lock_mode="COMPLIANCE",
        lock_until=UNTIL,
        wanted=Instant(UNTIL + later),
    )
    found = list(lock_faults([one]))
    assert [code for code, _ in found] == [Exit.INTEGRITY] * faults


@needs_server
def test_versions_that_cannot_be_listed_are_no_reason_to_say_fine(
    vault: S3Vault, store: Store
) -> None:
    one = put(vault)
    client = Refusing(store.client(), "get_paginator", "AccessDenied", 403)
    found = asked(S3Vault(vault.url, client), one, replace(one, version_id=""))
    assert [code for code, _ in found] == [Exit.UNAVAILABLE] * 2
    assert "cannot be listed" in found[0][1]


@needs_server
def test_an_object_of_another_bucket_is_not_looked_for_here(vault: S3Vault) -> None:
    ((code, text),) = asked(vault, replace(put(vault), bucket="elsewhere"))
    assert (code, "is recorded in elsewhere" in text) == (Exit.UNAVAILABLE, True)


def test_a_folder_cannot_be_asked() -> None:
    with pytest.raises(ControlbookError, match="give a copy of it with --raw"):
        open_s3("../vault")


# --- a whole bundle ------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(
    store: Store, tmp_path_factory: pytest.TempPathFactory
) -> tuple[released.Example, Path]:
    vault = S3Vault(f"s3://{store.bucket('programme')}/team", store.client())
    example = released.example(tmp_path_factory.mktemp("locked"), locked=vault)
    return example, example.release()


@pytest.fixture
def reader(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Be somebody who may only read."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER[1])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(ClientError):
        boto3.client("s3").put_object(Bucket="programme", Key="x", Body=b"")
    return store


def said(verdict: Verdict, step: str) -> str:
    return next(check.message for check in verdict.checks if check.name == step)


@needs_server
def test_a_sound_bundle_is_sound_online_for_a_reader(
    made: tuple[released.Example, Path], reader: Store
) -> None:
    del reader
    verdict = verify(made[1], online=Online())
    assert (verdict.code, said(verdict, "online")) == (Exit.FINE, "")
    (count,) = [check.count for check in verdict.checks if check.name == "online"]
    runs = made[0].runs
    assert count == sum(len(run.objects) for run in runs) + len(runs) + 2
    text = "\n".join(verdict.not_checked)
    assert "its name came from the bundle (--vault)" in text


@needs_server
@pytest.mark.threat("T12")
def test_t12_without_a_replica_the_limit_is_printed(
    made: tuple[released.Example, Path], reader: Store
) -> None:
    del reader
    text = "\n".join(verify(made[1], online=Online()).not_checked)
    assert "closing an account ends its locks" in text
    with_one = verify(made[1], online=Online(replica="s3://programme/team"))
    assert with_one.code is Exit.FINE
    assert "closing an account" not in "\n".join(with_one.not_checked)


@needs_server
def test_online_is_off_and_said_to_be(made: tuple[released.Example, Path]) -> None:
    verdict = verify(made[1])
    assert verdict.code is Exit.FINE
    assert "it was not asked (--online)" in "\n".join(verdict.not_checked)
    assert [c.count for c in verdict.checks if c.name == "locks"] == [20]


@needs_server
def test_a_vault_that_is_away_is_exit_5(
    made: tuple[released.Example, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    verdict = verify(made[1], online=Online())
    assert verdict.code is Exit.UNAVAILABLE
    assert "its versions cannot be listed" in said(verdict, "online")


@needs_server
def test_another_vault_than_the_auditor_knows_is_no_pass(
    made: tuple[released.Example, Path], reader: Store
) -> None:
    del reader
    verdict = verify(made[1], online=Online(vault="s3://evidence"))
    assert verdict.code is Exit.INTEGRITY
    assert "is recorded in programme, not in evidence" in said(verdict, "online")


@needs_server
def test_a_copy_made_below_the_prefix_serves_as_raw(
    made: tuple[released.Example, Path], store: Store, tmp_path: Path
) -> None:
    client = store.client()
    for row in client.list_objects_v2(Bucket="programme")["Contents"]:
        path = tmp_path / row["Key"].removeprefix("team/")
        path.parent.mkdir(parents=True, exist_ok=True)
        answer = client.get_object(Bucket="programme", Key=row["Key"])
        path.write_bytes(answer["Body"].read())
    verdict = verify(made[1], raw=tmp_path)
    assert (said(verdict, "vault"), verdict.code) == ("", Exit.FINE)


def dated(example: released.Example, moved: Callable[[int], int]) -> Ledger:
    """Let the runs have finished when the vault took them, but for so much."""
    histories = example.locked.history("ledger/") if example.locked else {}
    runs = tuple(
        replace(
            run,
            endpoint="aws",
            finished=Instant(
                moved(histories[f"ledger/config/{run.seq:06d}.json"].versions[0].at)
            ),
        )
        for run in example.runs
        if run.stream == "config"
    )
    return Ledger(runs={"config": runs})


@needs_server
@pytest.mark.threat("T24")
@pytest.mark.parametrize(
    ("apart", "code"),
    [
        (300_000, None),
        (301_000, Exit.FINE),
        (-DAY, Exit.FINE),
        (DAY + 1000, Exit.INTEGRITY),
        (-3 * DAY, Exit.INTEGRITY),
    ],
)
def test_t24_a_run_dated_otherwise_than_the_vault_took_it(
    made: tuple[released.Example, Path], apart: int, code: Exit | None
) -> None:
    vault = made[0].locked
    assert vault is not None
    found = list(ask(vault, (), dated(made[0], lambda at: at - apart)))
    assert {each for each, _ in found} == ({code} if code is not None else set())


@needs_server
def test_the_command_line_asks(
    made: tuple[released.Example, Path],
    reader: Store,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del reader
    from controlbook.cli import main  # noqa: PLC0415

    with pytest.raises(SystemExit) as left:
        main(["verify", str(made[1]), "--online", "--json"])
    assert left.value.code == 0
    steps = [row["name"] for row in json.loads(capsys.readouterr().out)["checks"]]
    assert "online" in steps
    with pytest.raises(SystemExit) as left:
        main(["verify", str(made[1]), "--replica", "s3://other"])
    assert left.value.code == Exit.USAGE
    assert "add --online" in capsys.readouterr().err
