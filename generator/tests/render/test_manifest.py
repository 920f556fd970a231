# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from controlbook.digest import sha256
from controlbook.render.manifest import (
    ReleaseError,
    digests,
    manifest_of,
    parse_manifest,
    parse_tag,
    parse_tag_message,
    publication_root,
    release_of,
    tag_message,
)

FILES = digests({"site/index.html": b"<p>", "a.pdf": b"%PDF", "facts.json": b"{}"})
RELEASE = release_of(small.report(), FILES, b"{}", {})


def raw(message: str, name: str = "PCI-2028-FEB") -> bytes:
    head = f"object {'d' * 40}\ntype commit\ntag {name}\ntagger A <a@b> 1 +0000\n\n"
    return (head + message).encode()


def test_a_tag_message_names_every_root_and_reads_back() -> None:
    message = tag_message(RELEASE)
    assert message.startswith("controlbook release PCI-2028-FEB\n\n")
    for root in (RELEASE.facts_root, RELEASE.publication_root, RELEASE.sources):
        assert root in message
    assert parse_tag_message(message) == RELEASE
    tag = parse_tag(raw(message))
    assert (tag.commit, tag.release) == ("d" * 40, RELEASE)


def test_a_signature_below_the_message_stays_out() -> None:
    signed = f"{tag_message(RELEASE)}-----BEGIN SSH SIGNATURE-----\nAAAA\n"
    assert parse_tag(raw(signed)).release == RELEASE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("facts-root", "facts root"),
        ("toolchain", "approved: yes\ntoolchain"),
        ("\n\n", "\n"),
        (RELEASE.facts_root, "abc"),
        (RELEASE.facts_root, RELEASE.facts_root.upper()),
        ("controlbook release", "release"),
    ],
)
def test_a_message_that_is_spelt_otherwise_is_refused(old: str, new: str) -> None:
    with pytest.raises(ReleaseError):
        parse_tag_message(tag_message(RELEASE).replace(old, new))


def test_a_tag_that_carries_another_release_is_refused() -> None:
    with pytest.raises(ReleaseError, match="carries the message of"):
        parse_tag(raw(tag_message(RELEASE), name="PCI-2028-FEB-r2"))
    with pytest.raises(ReleaseError, match="not an annotated tag"):
        parse_tag(raw(tag_message(RELEASE)).replace(b"type commit", b"type tree"))


def test_the_manifest_reads_back() -> None:
    report = small.report()
    found = parse_manifest(manifest_of(report, FILES))
    assert found.files == FILES
    assert found.publication_root == publication_root(FILES)
    assert (found.release, found.commit) == (report.release, report.commit.id)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b'{"type":"controlbook/release/1"}', b'{"type":1}'],
    ids=ascii,
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ReleaseError):
        parse_manifest(data)


@given(
    st.dictionaries(st.text("abc/.", min_size=1), st.binary(max_size=8), max_size=6),
    st.text("abc/.", min_size=1),
    st.binary(max_size=8),
)
def test_the_publication_root_changes_with_any_file(
    files: dict[str, bytes], path: str, data: bytes
) -> None:
    changed = {**files, path: data}
    same = files.get(path) == data
    roots = publication_root(digests(files)), publication_root(digests(changed))
    assert (roots[0] == roots[1]) is same


def test_the_publication_root_knows_no_order() -> None:
    assert publication_root(FILES) == publication_root(dict(reversed(FILES.items())))


def test_the_toolchain_is_bound_by_digest() -> None:
    other = replace(small.report(), toolchain={"python": "9"})
    assert release_of(other, FILES, b"{}", {}).toolchain != RELEASE.toolchain
    assert RELEASE.sources == sha256(b"{}")
