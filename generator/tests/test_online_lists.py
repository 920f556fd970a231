# SPDX-License-Identifier: Apache-2.0
"""Asking a bucket about lists that were too long for Git (ADR 0019)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import released
from weed import READER

from controlbook import manifest
from controlbook.errors import ControlbookError, Exit
from controlbook.ledger import chain_problems
from controlbook.lists import CACHE, of_vault
from controlbook.manifest import is_list, listed
from controlbook.programme import Programme
from controlbook.timeline import DAY, Instant
from controlbook.vault.s3 import S3Vault
from controlbook.verify import Online, Verdict, verify

if TYPE_CHECKING:
    from pathlib import Path

    from weed import Store

    from controlbook.model import StoredObject

pytestmark = pytest.mark.slow
BUCKET = "moved-lists"


@pytest.fixture(scope="module")
def made(
    store: Store, tmp_path_factory: pytest.TempPathFactory
) -> tuple[released.Example, Path]:
    """A release whose lists all moved into a bucket, three rows to an object."""
    vault = S3Vault(f"s3://{store.bucket(BUCKET)}/team", store.client())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manifest, "MOST", 0)
        patched.setattr(manifest, "SHORT", 0)
        patched.setattr(manifest, "ROWS", 3)
        example = released.example(tmp_path_factory.mktemp("locked"), locked=vault)
    with pytest.MonkeyPatch.context() as patched:
        environment(patched, store, ("a", "b"))
        return example, example.release()


def environment(
    patch: pytest.MonkeyPatch, store: Store, keys: tuple[str, str] = READER
) -> None:
    patch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    patch.setenv("AWS_ACCESS_KEY_ID", keys[0])
    patch.setenv("AWS_SECRET_ACCESS_KEY", keys[1])
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def reader(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Be somebody who may only read."""
    environment(monkeypatch, store)
    return store


def said(verdict: Verdict, step: str) -> str:
    return next(check.message for check in verdict.checks if check.name == step)


def lists(example: released.Example, name: str) -> list[StoredObject]:
    """Give the objects that hold a list, over the runs as they were read."""
    found = example.programme.ledger.runs.values()
    role = f"list:{name}"
    return [o for runs in found for run in runs for o in run.objects if o.role == role]


def test_every_moved_list_is_asked_for_and_found_locked(
    made: tuple[released.Example, Path], reader: Store
) -> None:
    example, bundle = made
    verdict = verify(bundle, online=Online())
    assert (verdict.code, said(verdict, "online")) == (Exit.FINE, "")
    runs = [run for runs in example.programme.ledger.runs.values() for run in runs]
    moved = [stored for run in runs for stored in run.objects if is_list(stored)]
    names = {stored.role.removeprefix("list:") for stored in moved}
    assert names >= {"transitions", "pulls", "objects", "rules", "queries", "expected"}
    vault = S3Vault(f"s3://{BUCKET}/team", reader.client())
    for stored in moved:
        body, lock = vault.examine(stored.key, stored.version_id)
        assert (len(body), lock.mode) == (stored.size, "COMPLIANCE")
        assert lock.until >= released.RETAIN
    (count,) = [check.count for check in verdict.checks if check.name == "online"]
    # Equal lists are one object, and each is asked about once for each run.
    source = of_vault(lambda: vault)
    held = sum(len((*run.objects, *listed(run, source))) for run in runs)
    assert count == held + len(runs) + 2


def test_a_fresh_clone_reads_the_ledger_from_the_bucket(
    made: tuple[released.Example, Path], reader: Store, tmp_path: Path
) -> None:
    del reader
    example, _ = made
    shutil.copytree(example.repository.root, tmp_path / "clone")
    shutil.rmtree(tmp_path / "clone" / CACHE, ignore_errors=True)
    programme = Programme.open(tmp_path / "clone")
    assert [run.transitions for run in programme.ledger.config] == [
        run.transitions for run in example.runs if run.stream == "config"
    ]
    assert (tmp_path / "clone" / CACHE).is_dir()


def test_a_bucket_that_does_not_answer_is_no_empty_list(
    made: tuple[released.Example, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example, bundle = made
    shutil.copytree(example.repository.root, tmp_path / "clone")
    shutil.rmtree(tmp_path / "clone" / CACHE, ignore_errors=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ControlbookError) as caught:
        _ = Programme.open(tmp_path / "clone").ledger
    assert caught.value.code is Exit.UNAVAILABLE
    # The bundle carries them: offline it verifies all the same.
    assert verify(bundle).code is Exit.FINE
    assert verify(bundle, online=Online()).code is Exit.UNAVAILABLE


@pytest.mark.threat("T06")
@pytest.mark.threat("T07")
def test_t06_t07_what_was_put_on_a_list_is_a_sign_and_is_not_read(
    made: tuple[released.Example, Path], reader: Store, tmp_path: Path
) -> None:
    example, bundle = made
    hidden, covered = lists(example, "transitions")[0], lists(example, "pulls")[-1]
    client = reader.client()
    marker = client.delete_object(Bucket=BUCKET, Key=hidden.key)["VersionId"]
    put = client.put_object(Bucket=BUCKET, Key=covered.key, Body=b"forged")
    try:
        verdict = verify(bundle, online=Online())
        assert verdict.code is Exit.FOUND
        text, sign = said(verdict, "online"), "sign of tampering"
        assert f"list:transitions pack {hidden.key}: {sign}: a delete" in text
        assert f"list:pulls pack {covered.key}: {sign}: another" in text
        # Nobody who collects or builds from Git reads what lies on top.
        shutil.copytree(example.repository.root, tmp_path / "clone")
        shutil.rmtree(tmp_path / "clone" / CACHE, ignore_errors=True)
        programme = Programme.open(tmp_path / "clone")
        assert programme.ledger.pulls == tuple(example.pulls)
        vault = S3Vault(f"s3://{BUCKET}/team", client)
        assert chain_problems(programme.files, of_vault(lambda: vault)) == ()
    finally:
        for key, version in ((hidden.key, marker), (covered.key, put["VersionId"])):
            client.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
    assert verify(bundle, online=Online()).code is Exit.FINE


@pytest.mark.threat("T12")
def test_t12_a_replica_that_lacks_a_list_is_named(
    made: tuple[released.Example, Path], reader: Store
) -> None:
    example, bundle = made
    admin = reader.client()
    replica = S3Vault(f"s3://{reader.bucket('moved-replica')}/team", admin)
    source = S3Vault(f"s3://{BUCKET}/team", admin)
    lost = lists(example, "rules")[0].key
    for key, found in source.history("").items():
        if f"team/{key}" != lost:
            body = source.get(key, found.versions[0].id)
            until = Instant(released.RETAIN + DAY)
            replica.put(key, body, role="copy", retain_until=until)
    verdict = verify(bundle, online=Online(replica="s3://moved-replica/team"))
    assert verdict.code is Exit.UNAVAILABLE
    lines = said(verdict, "online").splitlines()
    place = "s3://moved-replica/team"
    assert all(f"{lost}: its copy in {place} is not" in line for line in lines)
