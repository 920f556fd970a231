# SPDX-License-Identifier: Apache-2.0
"""The archived digests, checked from the vault alone, and what a forger meets there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from watching import FIRST, SIX, hurt, watch

from controlbook.model import Ledger, Run
from controlbook.timeline import HOUR, Instant, instant
from controlbook.trailarchive import archive_faults
from controlbook.vault.directory import DirectoryVault
from controlbook.vault.packs import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def collected(folder: Path, kind: str = "") -> tuple[DirectoryVault, Run]:
    """Collect one day, with trouble if asked, and leave AWS behind."""
    start, end = "2028-01-01T09:30:00Z", "2028-01-01T10:30:00Z"
    troubles = (hurt(kind, start, end, account=FIRST),) if kind else ()
    with watch(folder, *troubles) as at:
        at.collect(SIX)
        return at.desk.vault, at.runs[0]


def faults(vault: DirectoryVault, run: Run) -> list[str]:
    ledger = Ledger(runs={"cloudtrail": (run,)})
    return [text for _, text in archive_faults(vault, ledger)]


@pytest.mark.parametrize("kind", ["", "missing", "spoilt", "backfill"])
def test_honest_run_verifies_from_its_archive(tmp_path: Path, kind: str) -> None:
    assert faults(*collected(tmp_path, kind)) == []


def test_gap_that_a_manifest_hides_is_found(tmp_path: Path) -> None:
    vault, run = collected(tmp_path, "missing")
    (text,) = faults(vault, replace(run, missing=()))
    assert "none covers 2028-01-01T09:13:00Z to 2028-01-01T10:13:00Z" in text


def test_head_or_number_that_a_manifest_invents_is_found(tmp_path: Path) -> None:
    vault, run = collected(tmp_path)
    first, second = run.chains
    other = (replace(first, head_sha256="0" * 64), replace(second, digests=27))
    texts = faults(vault, replace(run, chains=other))
    assert any("another head" in text for text in texts)
    assert any("27 are counted, 26 verify" in text for text in texts)


def rewritten(
    vault: DirectoryVault, run: Run, change: Callable[[bytes], bytes | None]
) -> Run:
    """Put other source packs into the vault and let the manifest name them."""
    objects = []
    for stored in run.objects:
        if stored.role == "source":
            lines = [change(line) for line in unpack(vault.get(stored.key), stored)]
            made = pack(line for line in lines if line is not None)
            put = vault.put(
                made.key("cloudtrail"),
                made.body,
                role="source",
                retain_until=Instant(instant(SIX) + HOUR),
            )
            objects.append(
                replace(
                    put,
                    records=made.records,
                    content_sha256=made.content_sha256,
                    content_size=made.content_size,
                    records_root=made.records_root,
                )
            )
        else:
            objects.append(stored)
    return replace(run, objects=tuple(objects))


def test_digest_taken_out_of_pack_and_manifest_alike_leaves_a_hole(
    tmp_path: Path,
) -> None:
    vault, run = collected(tmp_path)

    def without(line: bytes) -> bytes | None:
        return None if b"20280101T101300Z" in line else line

    forged = rewritten(vault, run, without)
    first, second = run.chains
    chains = (replace(first, digests=25), second)
    (text,) = faults(vault, replace(forged, chains=chains))
    assert "none covers" in text


def test_signature_or_key_of_a_forger_does_not_verify(tmp_path: Path) -> None:
    vault, run = collected(tmp_path)

    def signed_otherwise(line: bytes) -> bytes:
        tree = json.loads(line)
        if "20280101T101300Z" in tree.get("key", ""):
            tree["signature"] = "ab" * 256
        return json.dumps(tree, sort_keys=True).encode()

    assert any(
        "not AWS's" in text
        for text in faults(vault, rewritten(vault, run, signed_otherwise))
    )
    gone = rewritten(
        vault, run, lambda line: None if b"ListPublicKeys" in line else line
    )
    assert any("no public key" in text for text in faults(vault, gone))


def test_archive_that_is_not_there_is_lacking_and_not_forged(tmp_path: Path) -> None:
    _, run = collected(tmp_path)
    (text,) = faults(DirectoryVault(tmp_path / "empty"), run)
    assert "cannot be read" in text


def test_run_that_asked_lookup_events_has_nothing_to_check(tmp_path: Path) -> None:
    vault, run = collected(tmp_path)
    assert faults(vault, replace(run, chains=())) == []
