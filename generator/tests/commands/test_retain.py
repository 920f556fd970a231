# SPDX-License-Identifier: Apache-2.0
"""Locks that are extended, and never anything else."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

import pytest
import released

from controlbook.commands.retain import retain
from controlbook.errors import ControlbookError, Exit
from controlbook.timeline import Instant, instant, iso
from controlbook.vault.s3 import S3Vault

if TYPE_CHECKING:
    from pathlib import Path

    from weed import Store

LATER = "2036-06-01T00:00:00Z"


def options(example: released.Example, *, dry: bool = False) -> Namespace:
    return Namespace(root=example.repository.root, quiet=True, dry_run=dry)


def keep_until(example: released.Example, until: str) -> None:
    """Let the assessment ask for longer."""
    path = f"signoffs/{released.NAME}/assessment.yml"
    text = released.ASSESSMENT.replace("2035-04-01T00:00:00Z", until)
    example.commit({path: text.encode()}, "Keep evidence for longer\n")


def locks(vault: S3Vault) -> dict[str, str]:
    return {
        key: iso(vault.lock(key, found.versions[0].id).until)
        for key, found in vault.history("").items()
    }


@pytest.fixture
def example(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> released.Example:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = store.bucket(f"retain-{abs(hash(request.node.name)) % 10**6}")
    made = released.Example(
        tmp_path, locked=S3Vault(f"s3://{bucket}/team", store.client())
    )
    made.collect()
    made.capture()
    made.checkpoint()
    return made


@pytest.mark.slow
@pytest.mark.threat("T90")
def test_every_lock_is_extended_and_a_second_time_nothing(
    example: released.Example,
) -> None:
    assert example.locked is not None
    before = locks(example.locked)
    assert retain(options(example)).code is Exit.FINE
    assert locks(example.locked) == before
    keep_until(example, LATER)
    planned = retain(options(example, dry=True))
    assert planned.code is Exit.FOUND
    assert f"{len(before)} would be extended, 0 failed" in planned.text
    assert locks(example.locked) == before
    done = retain(options(example))
    assert (done.code, done.data["failed"]) == (Exit.FINE, [])
    assert set(locks(example.locked).values()) == {LATER}
    assert "0 extended, 0 failed" in retain(options(example)).text


@pytest.mark.slow
@pytest.mark.threat("T08")
def test_a_shorter_wish_changes_nothing(example: released.Example) -> None:
    assert example.locked is not None
    before = locks(example.locked)
    keep_until(example, "2029-04-01T00:00:00Z")
    assert retain(options(example)).code is Exit.FINE
    assert locks(example.locked) == before


@pytest.mark.slow
def test_one_that_is_gone_keeps_no_other_from_it(
    example: released.Example, store: Store
) -> None:
    assert example.locked is not None
    keep_until(example, LATER)
    # The record names a version that the vault never had.
    run = example.runs[0]
    stored = run.objects[0]
    store.client().put_object(
        Bucket=example.locked.bucket, Key=f"{stored.key}-x", Body=b"unlocked"
    )
    path = "evidence/manual/security-policy.yml"
    text = example.repository.files_at("main")[path].decode()
    version = next(
        line.split('"')[1] for line in text.splitlines() if "version_id" in line
    )
    example.commit({path: text.replace(version, "0" * 32).encode()}, "Forge\n")
    done = retain(options(example))
    assert done.code is Exit.INTEGRITY
    assert "1 failed" in done.text
    assert max(locks(example.locked).values()) == LATER


def test_a_folder_has_no_locks(tmp_path: Path) -> None:
    made = released.Example(tmp_path)
    with pytest.raises(ControlbookError, match="a folder has no locks"):
        retain(options(made))


def test_the_wish_is_whole_seconds() -> None:
    assert instant(LATER) % 1000 == Instant(0)
