# SPDX-License-Identifier: Apache-2.0
"""Both verifiers over real releases; the forged bundles are test_forgeries.py's."""

from __future__ import annotations

import ast
import gzip
import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import released
from tampering import (
    Files,
    edited,
    flipped,
    opened,
    rechained,
    replaced,
    resealed,
    retagged,
    unpacked,
    zipped,
)

from controlbook import bundle_verify
from controlbook.digest import sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.verify import verify

NAME = released.NAME
MIDDLE, NEWEST = "ledger/config/000003.json", "ledger/config/000006.json"
CHECKPOINT = "ledger/checkpoints/000001.json"
CONTROL = "sources/controls/buckets-encrypted.yml"
FRAMEWORK = "sources/frameworks/pci-dss-3.2.1.yml"
SCOPE = f"sources/signoffs/{NAME}/assessment.yml"
SIGNOFF = f"sources/signoffs/{NAME}/requirements/3.4.yml"
ATTESTATION = f"sources/signoffs/{NAME}/controls/buckets-encrypted.yml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[released.Example, Path]:
    example = released.example(tmp_path_factory.mktemp("good"))
    return example, example.release()


@pytest.fixture(scope="module")
def good(made: tuple[released.Example, Path]) -> Files:
    return opened(made[1])


def annotation(files: Files) -> str:
    return next(path for path in files if path.startswith("sources/annotations/"))


def both(files: Files, folder: Path) -> tuple[dict[str, str], int, dict[str, str], int]:
    """Run both verifiers; give what each said by step, and their codes."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{NAME}.zip"
    path.write_bytes(zipped(files, NAME))
    verdict = verify(path)
    code, own = bundle_verify.verify(str(unpacked(files, folder / "u" / NAME)))
    texts: dict[str, str] = {}
    for _, step, text in own.faults:
        texts[step] = f"{texts.get(step, '')}\n{text}"
    return {c.name: c.message for c in verdict.checks}, verdict.code, texts, code


def test_a_released_programme_verifies(good: Files, tmp_path: Path) -> None:
    said, code, own, own_code = both(good, tmp_path)
    assert (code, own_code) == (0, 0), (said, own)
    assert set(said) >= {"ledger", "coverage", "packs", "history", "findings"}


@pytest.mark.threat("T42")
def test_published_as_signed_but_stale_names_what_changed(
    good: Files, tmp_path: Path
) -> None:
    files = resealed(replaced(good, annotation(good), "encryption off", "encryption"))
    said, _, _, _ = both(files, tmp_path)
    line = said["sign-offs"].splitlines()[0]
    assert line.startswith("3.4 is published as signed with deviations, but is stale")


# --- the vault's copy ----------------------------------------------------------------


@pytest.mark.threat("T01")
def test_t01_a_flipped_byte_in_a_raw_pack(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, path = made
    for role in ("source", "records", "state"):
        stored = next(o for o in example.runs[2].objects if o.role == role)
        raw = copy_of(example, tmp_path / role)
        place = raw / stored.key
        body = bytearray(place.read_bytes())
        body[len(body) // 2] ^= 1
        place.chmod(0o644)
        place.write_bytes(bytes(body))
        verdict = verify(path, raw=raw)
        said = next(check for check in verdict.checks if check.name == "vault")
        assert f"config 000003: {role} pack {stored.key}" in said.message
        assert "not the ones that were collected" in said.message
        assert verdict.code == Exit.INTEGRITY


def of_vault(bundle: Path, raw: Path) -> tuple[int, str]:
    verdict = verify(bundle, raw=raw)
    return verdict.code, next(c.message for c in verdict.checks if c.name == "vault")


def laid(raw: Path, key: str, body: bytes) -> None:
    (raw / key).parent.mkdir(parents=True, exist_ok=True)
    if (raw / key).exists():
        (raw / key).chmod(0o644)
    (raw / key).write_bytes(body)


TAILS = {"a member": gzip.compress(b"more\n", mtime=0), "junk": b"junk"}


@pytest.mark.threat("T02")
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("role", ["source", "records", "state"])
def test_t02_data_after_the_member_is_found_under_a_recomputed_digest_too(
    made: tuple[released.Example, Path],
    good: Files,
    tmp_path: Path,
    tail: str,
    role: str,
) -> None:
    example, path = made
    stored = next(o for o in example.runs[2].objects if o.role == role)
    raw = copy_of(example, tmp_path / "raw")
    body = (raw / stored.key).read_bytes() + TAILS[tail]
    laid(raw, stored.key, body)
    code, said = of_vault(path, raw)
    assert code == Exit.INTEGRITY
    assert f"{stored.key}: data after the single gzip member" in said
    # Now the forger also writes the digest into the manifest, and all that follows.
    key = stored.key.replace(stored.sha256, sha256(body))

    def forge(tree: dict) -> None:  # type: ignore[type-arg] # a parsed document
        row = next(row for row in tree["objects"] if row["key"] == stored.key)
        row |= {"sha256": sha256(body), "size": len(body), "key": key}
        row["version_id"] = f"sha256:{sha256(body)}"

    files = retagged(rechained(edited(good, MIDDLE, forge)))
    bundle = tmp_path / f"{NAME}.zip"
    bundle.write_bytes(zipped(files, NAME))
    laid(raw, key, body)
    for name in files:
        if name.startswith("ledger/config/"):
            laid(raw, name, files[name])
    code, said = of_vault(bundle, raw)
    assert code == Exit.INTEGRITY
    assert f"{key}: data after the single gzip member" in said


@pytest.mark.threat("T03")
@pytest.mark.parametrize("cut", ["nothing", "one", "half", "all but one"])
def test_t03_a_cut_raw_pack_is_another_one(
    made: tuple[released.Example, Path], tmp_path: Path, cut: str
) -> None:
    example, path = made
    for role in ("source", "records", "state"):
        stored = next(o for o in example.runs[2].objects if o.role == role)
        raw = copy_of(example, tmp_path / role)
        left = {"nothing": 0, "one": 1, "half": stored.size // 2}
        body = (raw / stored.key).read_bytes()
        laid(raw, stored.key, body[: left.get(cut, stored.size - 1)])
        code, said = of_vault(path, raw)
        assert (code, f"{role} pack {stored.key}" in said) == (Exit.INTEGRITY, True)


@pytest.mark.threat("T04")
def test_t04_swapped_raw_packs_are_both_named(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, path = made
    runs = [run for run in example.runs if run.stream == "config"]
    one, other = (
        next(o for o in run.objects if o.role == "source") for run in (runs[1], runs[2])
    )
    assert one.size == other.size, "as large, or the size alone would tell"
    assert one.sha256 != other.sha256
    raw = copy_of(example, tmp_path / "raw")
    bodies = [(raw / o.key).read_bytes() for o in (one, other)]
    laid(raw, one.key, bodies[1])
    laid(raw, other.key, bodies[0])
    code, said = of_vault(path, raw)
    assert code == Exit.INTEGRITY
    assert one.key in said
    assert other.key in said


@pytest.mark.threat("T05")
def test_t05_a_pack_that_was_not_supplied_is_named(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, path = made
    raw = copy_of(example, tmp_path / "raw")
    stored = example.runs[2].objects[0]
    (raw / stored.key).unlink()
    verdict = verify(path, raw=raw)
    said = next(check for check in verdict.checks if check.name == "vault")
    assert f"{stored.key} is not in the vault's copy" in said.message
    assert verdict.code == Exit.UNAVAILABLE


@pytest.mark.threat("T02")
def test_t02_data_after_the_gzip_member_is_its_own_finding(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, path = made
    raw = copy_of(example, tmp_path / "raw")
    place = raw / example.runs[2].objects[2].key
    place.chmod(0o644)
    place.write_bytes(place.read_bytes() + b"more")
    verdict = verify(path, raw=raw)
    said = next(check for check in verdict.checks if check.name == "vault")
    assert "data after the single gzip member" in said.message
    assert verdict.code == Exit.INTEGRITY


@pytest.mark.threat("T19")
def test_t19_the_vaults_manifest_differs(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, path = made
    raw = copy_of(example, tmp_path / "raw")
    place = raw / "ledger/config/000004.json"
    place.chmod(0o644)
    place.write_bytes(place.read_bytes().replace(b"COMPLIANT", b"COMPLIANT ", 1))
    verdict = verify(path, raw=raw)
    said = next(check for check in verdict.checks if check.name == "vault")
    assert "ledger/config/000004.json: the vault's manifest" in said.message
    assert verdict.code == Exit.INTEGRITY


def test_the_whole_vault_verifies(made: tuple[released.Example, Path]) -> None:
    example, path = made
    verdict = verify(path, raw=example.root / "vault")
    assert verdict.code == Exit.FINE
    assert not any("--raw" in text for text in verdict.not_checked)


def copy_of(example: released.Example, folder: Path) -> Path:
    shutil.copytree(example.root / "vault", folder)
    return folder


# --- what has holes, and what is open ------------------------------------------------


@pytest.mark.threat("T29")
def test_a_hole_that_is_published_and_annotated_is_no_failure(tmp_path: Path) -> None:
    example = released.example(tmp_path, skip=(4,))
    files = opened(example.release())
    said, code, own, own_code = both(files, tmp_path / "whole")
    assert (code, own_code) == (0, 0), (said, own)
    assert '"no-run"' in files["facts.json"].decode()
    hidden = edited(files, "facts.json", drop_holes)
    said, code, own, own_code = both(retagged(hidden), tmp_path / "hidden")
    phrase = "no published gap says so"
    assert phrase in said["coverage"]
    assert phrase in own["coverage"]
    assert (code, own_code) == (4, 4)


def drop_holes(tree: dict) -> None:  # type: ignore[type-arg] # a parsed document
    tree["gaps"] = [gap for gap in tree["gaps"] if gap["reason"] != "no-run"]


def test_what_nobody_annotated_is_found_and_no_failure(tmp_path: Path) -> None:
    example = released.example(tmp_path, skip=(4,), annotated=False)
    files = opened(example.release())
    said, code, own, own_code = both(files, tmp_path / "u")
    assert "is not annotated" in said["sign-offs"]
    assert "is not annotated" in own["sign-offs"]
    assert (code, own_code) == (Exit.FOUND, Exit.FOUND), (said, own)


def test_an_honestly_published_stale_sign_off_is_found(tmp_path: Path) -> None:
    example = released.example(tmp_path)
    control = released.ENCRYPTED.replace("Every bucket", "Each bucket")
    example.merge(
        {"controls/buckets-encrypted.yml": control.encode()}, "j-moreau", "Reword"
    )
    example.capture()
    said, code, own, own_code = both(opened(example.release()), tmp_path / "u")
    assert "3.4 is stale" in said["sign-offs"]
    assert "controls was" in said["sign-offs"]
    assert "3.4 is published as stale" in own["sign-offs"]
    assert (code, own_code) == (Exit.FOUND, Exit.FOUND), (said, own)


@pytest.mark.threat("T42")
def test_an_unreviewed_commit_is_refused(tmp_path: Path) -> None:
    example = released.example(tmp_path)
    made = example.commit({"controls/README.md": b"Trust us.\n"}, "Slip it in\n")
    verdict = verify(example.release())
    said = next(check for check in verdict.checks if check.name == "history")
    assert f"commit {made[:12]}: changed governed files" in said.message
    assert verdict.code == Exit.INTEGRITY


def test_a_period_that_is_not_over_has_a_ledger_that_ends_early(tmp_path: Path) -> None:
    example = released.example(tmp_path, skip=(6,))
    said, code, own, own_code = both(opened(example.release()), tmp_path / "u")
    assert "before the period does" in said["coverage"]
    assert "before the period does" in own["coverage"]
    assert (code, own_code) == (5, 5)


# --- pins -----------------------------------------------------------------------


@pytest.mark.threat("T22")
def test_t22_a_pin_is_compared_and_its_absence_is_said(
    made: tuple[released.Example, Path], good: Files
) -> None:
    _, path = made
    assert any("no pin" in text for text in verify(path).not_checked)
    held = verify(path, pin=sha256(good["facts.json"]))
    assert held.code == Exit.FINE
    assert not any("no pin" in text for text in held.not_checked)
    other = verify(path, pin="0" * 64)
    assert other.code == Exit.INTEGRITY
    assert "the pin 0000" in "\n".join(check.message for check in other.checks)


# --- every byte, and odd input -----------------------------------------------------


@pytest.mark.threat("T80")
def test_no_flipped_byte_passes_either_verifier(good: Files, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - to choose, not to hide
    paths = sorted(path for path in good if path != "SHA256SUMS")
    for number in range(30):
        path = paths[number % len(paths)]
        at = chance.randrange(len(good[path]))
        files = resealed_as_far_as_possible(flipped(good, path, at))
        if files == good:  # the forger's own lists mended it
            continue
        said, code, own, own_code = both(files, tmp_path / str(number))
        assert (code, own_code) == (4, 4), (path, at, said, own)


def resealed_as_far_as_possible(files: Files) -> Files:
    try:
        return resealed(files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return files


@pytest.mark.threat("T20")
@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"null", b"NaN", b"1e400", b'{"a":1,"a":2}', b'"\\ud800"',
     b"[" * 100_000, b"\xff", b"{}", b'{"type":"controlbook/release/1"}'],
    ids=lambda value: repr(value[:12]),
)  # fmt: skip
@pytest.mark.parametrize("path", ["manifest.json", "facts.json", MIDDLE])
def test_t20_malformed_json_is_refused_without_a_traceback(
    value: bytes, path: str, good: Files, tmp_path: Path
) -> None:
    files = resealed_as_far_as_possible({**good, path: value})
    said, code, own, own_code = both(files, tmp_path)
    assert (code, own_code) == (4, 4), (said, own)


@pytest.mark.threat("T20")
@pytest.mark.parametrize(
    "path", ["facts.json", "sources.json", "manifest.json", NEWEST]
)
def test_t20_no_lost_field_ends_in_a_traceback(
    path: str, good: Files, tmp_path: Path
) -> None:
    for number, key in enumerate(sorted(json.loads(good[path]))):
        files = edited(good, path, lambda tree, key=key: tree.pop(key))
        files = resealed_as_far_as_possible(files)
        if files == good:
            continue
        _, code, _, own_code = both(files, tmp_path / str(number))
        assert (code, own_code) == (4, 4), key


def test_an_empty_folder_or_archive_is_nothing_to_verify(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    archive = tmp_path / "empty.zip"
    zipfile.ZipFile(archive, "w").close()
    nothing = tmp_path / "nothing.zip"
    nothing.write_bytes(b"")
    for path in (empty, archive, nothing):
        assert verify(path).code == Exit.UNAVAILABLE, path
    assert bundle_verify.verify(str(empty))[0] == 5


def test_a_path_without_a_bundle_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(ControlbookError, match="no bundle here"):
        verify(tmp_path / "none.zip")


def test_an_unpacked_bundle_verifies_too(good: Files, tmp_path: Path) -> None:
    folder = unpacked(good, tmp_path / NAME)
    assert verify(folder).code == Exit.FINE
    assert verify(tmp_path).code == Exit.FINE


def test_the_verdict_names_the_root_to_compare(
    made: tuple[released.Example, Path], good: Files
) -> None:
    verdict = verify(made[1])
    assert verdict.facts_root == sha256(good["facts.json"])
    assert verdict.tag == sha256(good["release.tag"])
    assert any("no trusted time" in text for text in verdict.not_checked)


def test_the_carried_verifier_runs_alone(good: Files, tmp_path: Path) -> None:
    folder = unpacked(good, tmp_path / NAME)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "sign-offs ok" in done.stdout
    assert sha256(good["facts.json"]) in done.stdout
    (folder / "site/index.html").write_text("another\n")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "site/index.html" in done.stdout


def test_stock_tools_check_the_sums(good: Files, tmp_path: Path) -> None:
    folder = unpacked(good, tmp_path / NAME)
    subprocess.run(
        ["sha256sum", "-c", "--quiet", "--strict", "SHA256SUMS"], cwd=folder, check=True
    )


def test_the_carried_verifier_needs_no_newer_python_than_it_says() -> None:
    path = Path(bundle_verify.__file__)
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= set(sys.stdlib_module_names)
