# SPDX-License-Identifier: Apache-2.0
"""Checking CloudTrail's digests again, from the vault's copies of them alone.

Rules enforced here:
- the archived digests of a run verify with the archived public keys, link by link;
- the head, the number and the span of each chain in the manifest are theirs;
- what they do not cover of window and delay, the manifest calls missing.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from .errors import ControlbookError
from .faults import lacking, wrong
from .recount import name
from .sources.digests import (
    DELAY,
    Digest,
    PublicKey,
    StoredDigest,
    name_of,
    read_digest,
    verified,
)
from .timeline import Instant, Interval, iso, subtract, union
from .vault.packs import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .faults import Faults
    from .model import DigestChain, Ledger, Run
    from .vault import Vault

Place = tuple[str, str]


def archive_faults(vault: Vault, ledger: Ledger) -> Faults:
    """Check the digests behind every `cloudtrail` run that rests on them."""
    for run in ledger.cloudtrail:
        if not run.chains:
            continue
        try:
            rows = tuple(_rows(vault, run))
        except ControlbookError as error:
            yield lacking(f"{name(run)}: its digests cannot be read: {error.message}")
            continue
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            yield wrong(f"{name(run)}: a source pack is not what it should be: {error}")
            continue
        keys = dict(_keys(rows))
        digests = _digests(rows, keys)
        for chain in run.chains:
            place = (chain.account, chain.region)
            yield from _chain_faults(run, chain, digests.get(place, []))


def _rows(vault: Vault, run: Run) -> Iterable[dict[str, Any]]:
    for stored in run.objects:
        if stored.role == "source":
            body = vault.get(stored.key, stored.version_id)
            for line in unpack(body, stored):
                yield json.loads(line)


def _keys(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, PublicKey]]:
    for row in rows:
        if row.get("api") != "cloudtrail:ListPublicKeys":
            continue
        for key in json.loads(row["body"]).get("PublicKeyList", ()):
            yield (
                f"{row['region']}/{key['Fingerprint']}",
                PublicKey(
                    region=row["region"],
                    fingerprint=key["Fingerprint"],
                    value=base64.b64decode(key["Value"]),
                ),
            )


def _digests(
    rows: Iterable[Mapping[str, Any]], keys: Mapping[str, PublicKey]
) -> dict[Place, list[Digest]]:
    by_region: dict[str, dict[str, PublicKey]] = {}
    for key in keys.values():
        by_region.setdefault(key.region, {})[key.fingerprint] = key
    found: dict[Place, list[Digest]] = {}
    for row in rows:
        about = name_of(str(row.get("key", "")))
        if about is None:
            continue
        stored = StoredDigest(
            name=about,
            bucket=row["bucket"],
            body=base64.b64decode(row["body"]),
            signature=row["signature"],
            backfilled=row["backfilled"],
        )
        digest = read_digest(stored, by_region.get(about.region, {}))
        found.setdefault((about.account, about.region), []).append(digest)
    return found


def _chain_faults(run: Run, chain: DigestChain, digests: list[Digest]) -> Faults:
    where = f"{name(run)}: digests of {chain.account} {chain.region}"
    checked = verified(digests)
    for key, _, why in checked.faults:
        yield wrong(f"{where}: {key.rsplit('/', 1)[-1]}: {why}")
    held = {digest.key: digest.sha256 for digest in checked.digests}
    if held.get(chain.head) != chain.head_sha256:
        yield wrong(f"{where}: the manifest names another head than the vault holds")
    if len(held) != chain.digests:
        yield wrong(f"{where}: {chain.digests} are counted, {len(held)} verify")
    covered = union(d.covers for d in checked.digests if d.covers)
    admitted = union(
        # What is missing of events admits deliveries up to the delay after it.
        Interval(row.interval.start, Instant(row.interval.end + DELAY))
        for row in run.missing
        if (row.account, row.region) == (chain.account, chain.region)
    )
    due = Interval(run.window.start, Instant(run.window.end + DELAY))
    for hole in subtract(subtract((due,), covered), admitted):
        yield wrong(
            f"{where}: none covers {iso(hole.start)} to {iso(hole.end)}, and the"
            " manifest does not call it missing"
        )
