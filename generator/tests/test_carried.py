# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from controlbook.carried import carry

if TYPE_CHECKING:
    from pathlib import Path


def archive(path: Path, *names: str, mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name in names:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            made.writestr(entry, b"x")
    return path


def test_a_plain_zip_is_read_below_its_top_folder(tmp_path: Path) -> None:
    found = carry(archive(tmp_path / "a.zip", "T/b.txt", "T/c/d.txt"))
    assert (found.name, found.faults) == ("T", ())
    assert found.files == {"b.txt": b"x", "c/d.txt": b"x"}


@pytest.mark.threat("T77")
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("T/../../etc/passwd", "leads out"),
        ("/T/etc/passwd", "leads out"),
        ("T\\..\\x", "leads out"),
        ("T/a\nb", "no plain, relative path"),
        ("T/a/./b", "no plain, relative path"),
        ("T/ä", "no plain, relative path"),
        ("T/\u202egpj.exe", "no plain, relative path"),
        (f"T/{'a' * 300}", "more than 260 characters"),
    ],
    ids=ascii,
)
def test_t77_names_that_lead_astray_are_refused(
    name: str, fault: str, tmp_path: Path
) -> None:
    found = carry(archive(tmp_path / "a.zip", "T/good", name))
    assert any(fault in text for text in found.faults), found.faults


@pytest.mark.threat("T65")
def test_t65_names_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    found = carry(archive(tmp_path / "a.zip", "T/a.txt", "T/A.txt"))
    assert any("only in case" in text for text in found.faults)


@pytest.mark.threat("T76")
def test_t76_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    found = carry(archive(tmp_path / "a.zip", "T/a", mode=stat.S_IFLNK | 0o777))
    assert any("is a link" in text for text in found.faults)


@pytest.mark.threat("T76")
def test_t76_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "T").mkdir()
    (tmp_path / "T/real").write_bytes(b"x")
    (tmp_path / "T/file").symlink_to("real")
    (tmp_path / "T/folder").symlink_to("/etc")
    found = carry(tmp_path / "T")
    assert {text.split(":")[0] for text in found.faults} == {"file", "folder"}


def test_an_entry_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "a.zip", "T/a", "T/a")
    assert any("twice" in text for text in carry(path).faults)


def test_two_top_folders_are_refused(tmp_path: Path) -> None:
    found = carry(archive(tmp_path / "a.zip", "T/a", "U/a"))
    assert found.faults == ("the zip has more than one top folder",)


@pytest.mark.threat("T79")
def test_t79_a_zip_bomb_is_refused_before_it_inflates(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("T/bomb", bytes(50_000_000), compresslevel=9)
    found = carry(path)
    assert any("thousandfold" in text for text in found.faults)
    assert not found.files


@pytest.mark.parametrize("cut", [1, 30, 60, 150])
def test_a_truncated_zip_is_named(cut: int, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", "T/a", "T/b")
    path.write_bytes(path.read_bytes()[:cut])
    assert any("no readable zip" in text for text in carry(path).faults)


def test_a_flipped_byte_in_a_zips_content_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", "T/a")
    data = bytearray(path.read_bytes())
    data[data.index(b"T/a") + 3] ^= 1
    path.write_bytes(bytes(data))
    assert any("CRC" in text for text in carry(path).faults)
