# SPDX-License-Identifier: Apache-2.0
"""An assessment's figures for other programs, from a small, real programme."""

from __future__ import annotations

import errno
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import released
from openpyxl import load_workbook
from running import controlbook, small_programme
from tampering import edited, opened, retagged, unpacked

from controlbook.digest import sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.programme import Programme
from controlbook.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlbook.outcome import Outcome

NAME = released.NAME
RESULTS = "oscal/assessment-results.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give a programme's repository and the bundle of its release."""
    example = released.example(tmp_path_factory.mktemp("export"))
    return example.root / "programme", example.release()


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released.example(tmp_path_factory.mktemp("draft")).root / "programme"


def export(root: Path, kind: str, *words: str) -> Outcome:
    return controlbook(root, "export", NAME, "--format", kind, *words)


def below(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("kind", "top", "ending"),
    [("oscal", "oscal/", ""), ("csv", "data/", ".csv"), ("json", "data/", ".json")],
    ids=["oscal", "csv", "json"],
)
def test_a_release_is_exported_as_its_bundle_has_it(
    made: tuple[Path, Path], kind: str, top: str, ending: str, tmp_path: Path
) -> None:
    outcome = export(made[0], kind, "--to", str(tmp_path / "out"))
    due = {
        path.removeprefix(top): data
        for path, data in opened(made[1]).items()
        if path.startswith(top)
        and (path.endswith(ending) or path == "data/status.json")
    }
    assert len(due) > 4
    assert below(tmp_path / "out") == due
    assert outcome.code is Exit.FINE
    assert outcome.data["release"] == NAME
    assert outcome.data["files"] == [
        str(tmp_path / "out" / name) for name in sorted(due)
    ]


def test_what_a_release_cites_is_in_its_bundle_byte_for_byte(
    made: tuple[Path, Path],
) -> None:
    files = opened(made[1])
    cited = [
        link
        for path, data in files.items()
        if path.startswith("oscal/")
        for body in json.loads(data).values()
        for resource in body.get("back-matter", {}).get("resources", ())
        for link in resource["rlinks"]
        if link["href"].startswith("../")
    ]
    assert len(cited) > 10
    for link in cited:
        data = files[link["href"].removeprefix("../")]
        assert link["hashes"] == [{"algorithm": "SHA-256", "value": sha256(data)}]


def test_the_workbook_is_one_file(made: tuple[Path, Path], tmp_path: Path) -> None:
    export(made[0], "xlsx", "--to", str(tmp_path / "pci.xlsx"))
    assert (tmp_path / "pci.xlsx").read_bytes() == opened(made[1])["data/report.xlsx"]
    assert "requirements" in load_workbook(tmp_path / "pci.xlsx").sheetnames


def test_a_later_edit_does_not_touch_what_is_released(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    example = released.example(tmp_path_factory.mktemp("later"))
    example.release()
    root = example.root / "programme"
    export(root, "oscal", "--to", str(tmp_path / "before"))
    text = Programme.open(root).files["controls/policy-kept.yml"]
    example.merge(
        {"controls/policy-kept.yml": text.replace(b"every year", b"every month")},
        "j-moreau",
        "Review more often",
    )
    export(root, "oscal", "--to", str(tmp_path / "after"))
    assert below(tmp_path / "after") == below(tmp_path / "before")


def test_what_is_not_released_is_a_draft_and_says_so(
    unsigned: Path, tmp_path: Path
) -> None:
    outcome = export(unsigned, "oscal", "--to", str(tmp_path / "out"))
    assert f"DRAFT: {NAME} is not released here" in outcome.text
    assert "DEMO: made from a sandbox" in outcome.text
    assert (outcome.data["draft"], outcome.data["release"]) == (True, "")
    for data in below(tmp_path / "out").values():
        (body,) = json.loads(data).values()
        assert body["metadata"]["title"].startswith("DEMO DRAFT ")
    export(unsigned, "csv", "--to", str(tmp_path / "csv"))
    assert json.loads((tmp_path / "csv/status.json").read_bytes())["draft"] == "yes"


def test_without_a_place_it_stands_in_build_and_is_replaced_as_a_whole(
    made: tuple[Path, Path],
) -> None:
    export(made[0], "csv")
    folder = made[0] / "build/export" / f"{NAME}-csv"
    (folder / "left-over.csv").write_text("old")
    first = below(folder)
    export(made[0], "csv")
    assert first.keys() - below(folder).keys() == {"left-over.csv"}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    export(made[0], "xlsx")
    export(made[0], "xlsx")
    assert zipfile.is_zipfile(folder.parent / f"{NAME}.xlsx")


def test_a_folder_that_is_empty_may_be_there(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    export(made[0], "csv", "--to", str(tmp_path))
    assert (tmp_path / "requirements.csv").is_file()


def full(folder: Path) -> Path:
    (folder / "mine.txt").write_text("mine")
    return folder


def a_file(folder: Path) -> Path:
    return full(folder) / "mine.txt"


def a_broken_link(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "nowhere")
    return folder / "link"


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("csv", full),
        ("csv", a_file),
        ("oscal", a_broken_link),
        ("xlsx", a_file),
        ("xlsx", lambda folder: folder),
    ],
    ids=["folder", "file", "broken link", "workbook over a file", "over a folder"],
)
def test_what_somebody_else_put_there_is_never_replaced(
    made: tuple[Path, Path],
    tmp_path: Path,
    kind: str,
    taken: Callable[[Path], Path],
) -> None:
    place = taken(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ControlbookError, match="something is there already") as caught:
        export(made[0], kind, "--to", str(place))
    assert caught.value.code is Exit.USAGE
    assert str(caught.value).startswith(f"{place}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_place_below_a_file_is_said_and_left_alone(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    place = full(tmp_path) / "mine.txt" / "out"
    with pytest.raises(ControlbookError, match="cannot be written: ") as caught:
        export(made[0], "csv", "--to", str(place))
    assert caught.value.code is Exit.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing_half_written(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = Path.write_bytes, []

    def failing(path: Path, data: bytes) -> int:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(OSError, match="No space left"):
        export(made[0], "csv", "--to", str(tmp_path / "out"))
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []


def test_an_assessment_that_is_not_there_is_exit_2(tmp_path: Path) -> None:
    root = small_programme(tmp_path / "programme")
    with pytest.raises(ControlbookError, match="no assessment 'PCI-1999'") as caught:
        controlbook(root, "export", "PCI-1999", "--format", "csv")
    assert caught.value.code is Exit.USAGE


@pytest.mark.threat("T38")
def test_t38_a_finding_that_was_flipped_is_found(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    def flip(tree: dict[str, object]) -> None:
        (result,) = tree["assessment-results"]["results"]  # type: ignore[index]
        told = result["findings"][0]["target"]["status"]
        told["state"] = "not-satisfied" if told["state"] == "satisfied" else "satisfied"

    forged = retagged(edited(opened(made[1]), RESULTS, flip))
    verdict = verify(unpacked(forged, tmp_path / NAME))
    assert verdict.code is Exit.INTEGRITY
    faults = "\n".join(check.message for check in verdict.checks)
    assert f"{RESULTS}: is not what sources and ledger give" in faults
