# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import released
from tampering import opened

from controlbook.errors import ControlbookError, Exit
from controlbook.git import Repository
from controlbook.programme import Programme
from controlbook.render.bundle import publish, sums, write_bundle, zipped
from controlbook.timeline import instant

if TYPE_CHECKING:
    from pathlib import Path

NAME = released.NAME


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[released.Example, Path]:
    example = released.example(tmp_path_factory.mktemp("bundle"))
    return example, example.release()


def test_a_bundle_holds_what_auditors_md_lists(
    made: tuple[released.Example, Path],
) -> None:
    files = opened(made[1])
    tops = {path.split("/")[0] for path in files}
    assert tops == {
        *("README.md", f"{NAME}.pdf", "site", "data", "oscal", "facts.json"),
        *("manifest.json", "SHA256SUMS", "verify.py", "release.tag", "repo.bundle"),
        *("ledger", "sources", "sources.json", "packs"),
    }
    assert "ledger/config/000001.json" in files
    assert "sources/.github/CODEOWNERS" in files
    assert b"sha256sum -c SHA256SUMS" in files["README.md"]


@pytest.mark.threat("T87")
def test_records_of_other_accounts_stay_out(
    made: tuple[released.Example, Path],
) -> None:
    packs = [d for p, d in opened(made[1]).items() if p.startswith("packs/")]
    assert not any(released.FOREIGN.encode() in data for data in packs)
    assert any(b"\n#" in data or data.startswith(b"#") for data in packs)
    assert any(released.STALE.encode() in data for data in packs)


@pytest.mark.threat("T83")
def test_t83_the_same_bytes_from_another_folder_and_a_repacked_clone(
    made: tuple[released.Example, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example, path = made
    clone = Repository.clone(str(example.repository.root), tmp_path / "else/programme")
    clone.git("repack", "-adfq", "--depth=1", "--window=1")
    shutil.copytree(example.root / "vault", tmp_path / "else/vault")
    site = tmp_path / "site"
    shutil.copytree(example.root / "build/site", site)
    for file in sorted(site.rglob("*.html"), reverse=True):
        file.chmod(0o600)
        os.utime(file, (1, 1))
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("HOME", str(tmp_path))
    old = os.umask(0o077)
    try:
        programme = Programme(clone, NAME)
        report = programme.report(NAME, release=NAME, toolchain={"python": "3.11"})
        publication = publish(
            report,
            site=site,
            pdf=example.root / f"build/{NAME}.pdf",
            files=programme.files,
        )
        again = write_bundle(
            publication,
            report,
            repository=clone,
            vault=programme.vault,
            files=programme.files,
            out=tmp_path / "out",
        )
    finally:
        os.umask(old)
    assert again.read_bytes() == path.read_bytes()


def test_a_build_that_the_tag_does_not_name_writes_no_bundle(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, _ = made
    programme = Programme(example.repository, NAME)
    report = programme.report(NAME, release=NAME, toolchain={"python": "3.14"})
    publication = publish(
        report,
        site=example.root / "build/site",
        pdf=example.root / f"build/{NAME}.pdf",
        files=programme.files,
    )
    with pytest.raises(ControlbookError) as error:
        write_bundle(
            publication,
            report,
            repository=example.repository,
            vault=programme.vault,
            files=programme.files,
            out=tmp_path,
        )
    assert "names another toolchain" in error.value.message
    assert error.value.advice == "build with the toolchain of the release"
    assert error.value.code == Exit.INTEGRITY
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gone", ["site", "pdf"])
def test_a_missing_artefact_aborts_the_whole_export(
    gone: str, made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, _ = made
    programme = Programme(example.repository, NAME)
    report = programme.report(NAME, release=NAME)
    build = example.root / "build"
    with pytest.raises(ControlbookError, match="is not built"):
        publish(
            report,
            site=tmp_path / "site" if gone == "site" else build / "site",
            pdf=tmp_path / "a.pdf" if gone == "pdf" else build / f"{NAME}.pdf",
            files=programme.files,
        )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("annotations/x/ä.md", "not every system"),
        (f"annotations/{'a' * 200}.md", "more than 200"),
        ("controls/Buckets-Encrypted.yml", "only in case"),
    ],
    ids=ascii,
)
def test_paths_that_no_auditor_could_unpack_are_refused(
    path: str, message: str, made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, _ = made
    programme = Programme(example.repository, NAME)
    report = programme.report(NAME, release=NAME, toolchain={"python": "3.11"})
    publication = publish(
        report,
        site=example.root / "build/site",
        pdf=example.root / f"build/{NAME}.pdf",
        files=programme.files,
    )
    odd = replace(publication, sources={**publication.sources, path: b"x"})
    with pytest.raises(ControlbookError, match=message):
        write_bundle(
            odd,
            report,
            repository=example.repository,
            vault=programme.vault,
            files=programme.files,
            out=tmp_path,
        )


def test_a_zip_states_one_time_one_mode_and_one_order() -> None:
    at = instant("2028-04-05T09:30:00Z")
    data = zipped("T", {"b": b"2", "a": b"1"}, at)
    assert data == zipped("T", {"a": b"1", "b": b"2"}, at)
    import io  # noqa: PLC0415 - only here

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["T/a", "T/b"]
        for entry in archive.infolist():
            assert entry.date_time == (2028, 4, 5, 9, 30, 0)
            assert entry.external_attr >> 16 == 0o100644


def test_sums_stand_in_order_of_their_paths() -> None:
    assert [line[66:] for line in sums({"b": b"", "a": b""}).decode().splitlines()] == [
        "a",
        "b",
    ]
