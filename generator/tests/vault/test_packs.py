# SPDX-License-Identifier: Apache-2.0
"""Packs: one gzip member of sorted lines, and nothing else."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.digest import merkle_root, sha256
from controlbook.model import StoredObject
from controlbook.vault.packs import (
    Packer,
    PackError,
    pack,
    records_of,
    unpack,
    verbatim,
)

records = st.lists(st.binary().map(lambda data: data.replace(b"\n", b"")))


@given(records)
def test_records_read_back_in_order(found: list[bytes]) -> None:
    packed = pack(found)
    assert unpack(packed.body) == tuple(sorted(found))
    assert packed.records_root == merkle_root(sorted(found))
    assert pack(reversed(found)).body == packed.body


@pytest.mark.threat("T02")
@pytest.mark.parametrize(
    "tail",
    [gzip.compress(b"b\n", mtime=0), b"junk", b"\0"],
    ids=["a member", "junk", "a zero"],
)
def test_data_after_the_member_is_refused(tail: bytes) -> None:
    with pytest.raises(PackError, match="data after the single gzip member"):
        unpack(pack([b"a"]).body + tail)


@pytest.mark.threat("T03")
def test_a_cut_pack_is_refused() -> None:
    body = pack([b"a" * 100, b"b"]).body
    for cut in range(len(body)):
        with pytest.raises(PackError):
            unpack(body[:cut])


def test_a_bomb_is_refused() -> None:
    with pytest.raises(PackError, match="inflates to more than 1000 bytes"):
        unpack(pack([b"a" * 100_000]).body, limit=1000)


@pytest.mark.parametrize("content", [b"b\na\n", b"a\nb"], ids=["order", "no end"])
def test_lines_that_are_no_pack_are_refused(content: bytes) -> None:
    with pytest.raises(PackError):
        unpack(gzip.compress(content, mtime=0))


def test_a_record_holds_no_line_feed() -> None:
    with pytest.raises(PackError, match="line feed"):
        pack([b"a\nb"])


@pytest.mark.threat("T01")
def test_every_flipped_bit_is_noticed() -> None:
    packed = pack([b"one", b"two"])
    stored = StoredObject(
        role="records",
        bucket="",
        key=packed.key("config"),
        version_id="v",
        sha256=packed.sha256,
        size=len(packed.body),
        lock_mode="none",
        lock_until="",
        records=packed.records,
        content_sha256=packed.content_sha256,
        content_size=packed.content_size,
        records_root=packed.records_root,
    )
    assert unpack(packed.body, stored) == (b"one", b"two")
    for index in range(len(packed.body) * 8):
        body = bytearray(packed.body)
        body[index // 8] ^= 1 << index % 8
        with pytest.raises(PackError):
            unpack(bytes(body), stored)


def test_foreign_bytes_are_kept_as_they_are() -> None:
    body = gzip.compress(b'{"a": 1}', compresslevel=1, mtime=5)
    kept = verbatim(body, records=1)
    assert (kept.body, kept.content_sha256) == (body, sha256(b'{"a": 1}'))
    assert kept.key("config") == f"packs/config/{sha256(body)}.json.gz"


@given(st.lists(st.binary(max_size=70_000).map(lambda d: d.replace(b"\n", b""))))
def test_a_pack_written_line_by_line_is_the_pack(found: list[bytes]) -> None:
    content = b"".join(line + b"\n" for line in sorted(found))
    squeeze = zlib.compressobj(level=3, wbits=31)
    packed = pack(found)
    assert packed.body == squeeze.compress(content) + squeeze.flush()
    assert packed.content_sha256 == sha256(content)
    assert packed.content_size == len(content)


def test_a_long_pack_is_the_same_whether_squeezed_at_once_or_in_parts() -> None:
    chance = random.Random(4)  # noqa: S311 - any bytes do
    found = sorted(chance.randbytes(40).hex().encode() * 9 for _ in range(9_000))
    content = b"".join(line + b"\n" for line in found)
    squeeze = zlib.compressobj(level=3, wbits=31)
    packed = pack(found)
    assert len(content) > 6 * 1024 * 1024
    assert packed.body == squeeze.compress(content) + squeeze.flush()
    assert list(records_of(packed.body)) == found


def test_a_packer_takes_records_in_order_only() -> None:
    packer = Packer()
    packer.add(b"b")
    with pytest.raises(PackError, match="not in order"):
        packer.add(b"a")


@pytest.mark.threat("T02")
def test_a_long_body_is_refused_where_it_is_cut_or_goes_on() -> None:
    """A long body is inflated slice by slice: what follows counts all the same."""
    chance = random.Random(5)  # noqa: S311 - any bytes do
    body = pack(chance.randbytes(40).hex().encode() for _ in range(3_000)).body
    assert len(body) > 5 * (1 << 14)
    for cut in (1 << 14, (1 << 14) + 1, 3 << 14, len(body) - 1):
        with pytest.raises(PackError, match="cut short"):
            unpack(body[:cut])
    for tail in (b"x", b"x" * (2 << 14)):
        with pytest.raises(PackError, match="data after the single gzip member"):
            unpack(body + tail)
