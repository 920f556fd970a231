# SPDX-License-Identifier: Apache-2.0
"""Both verifiers over one corpus of tampering: one case per way to forge a bundle."""

from __future__ import annotations

import ast
import json
import random
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
    without,
    zipped,
)

from controlbook import bundle_verify
from controlbook.digest import sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

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


def state_pack(files: Files) -> str:
    """Name the extract of a state pack."""
    return next(
        path
        for path in sorted(files)
        if path.startswith("packs/") and b'"states"' in files[path]
    )


def record_pack(files: Files) -> str:
    """Name the extract of the records of the day of the deviation."""
    return next(
        path
        for path in sorted(files)
        if path.startswith("packs/")
        and b"2028-02-14T03:12" in files[path]
        and b'"states"' not in files[path]
    )


def whole_pack(files: Files) -> str:
    return next(
        path
        for path in sorted(files)
        if path.startswith("packs/") and b'"merge"' in files[path]
    )


def swapped(files: Files, one: str, other: str) -> Files:
    return {**files, one: files[other], other: files[one]}


def stretched(files: Files) -> Files:
    """Drop a day and let its neighbour's window claim it, the chain made anew."""
    files = without(files, MIDDLE)
    files = edited(
        files,
        "ledger/config/000004.json",
        lambda tree: tree["window"].update(start="2028-02-13T00:00:00Z"),
    )
    return rechained(files)


@dataclass(frozen=True)
class Case:
    """One forgery, and what both verifiers must say of it."""

    id: str
    change: Callable[[Files], Files]
    main: tuple[str, str]
    """(step, phrase) of `controlbook verify`."""
    own: tuple[str, str] = ("", "")
    """The same of the bundle's verify.py, where it differs."""
    threat: str = ""
    code: int = Exit.INTEGRITY


CASES = (
    Case(
        "a flipped byte in a carried pack",
        lambda f: flipped(f, state_pack(f)),
        ("packs", "Merkle root"),
        threat="T01",
    ),
    Case(
        "a flipped byte in a captured review",
        lambda f: flipped(f, whole_pack(f)),
        ("packs", "Merkle root"),
        threat="T57",
    ),
    Case(
        "a record of the scope hidden behind its hash",
        lambda f: {**f, state_pack(f): hide_first(f[state_pack(f)])},
        ("packs", "records_root"),
        threat="T01",
    ),
    Case(
        "a truncated pack",
        lambda f: {**f, state_pack(f): f[state_pack(f)][:-90]},
        ("packs", "packs/"),
        threat="T03",
    ),
    Case(
        "two swapped packs",
        lambda f: swapped(f, state_pack(f), whole_pack(f)),
        ("packs", "Merkle root"),
        threat="T04",
    ),
    Case(
        "a missing run manifest",
        lambda f: without(f, MIDDLE),
        ("ledger", "000003.json: is missing"),
        threat="T13",
    ),
    Case(
        "reordered run manifests",
        lambda f: swapped(f, MIDDLE, "ledger/config/000004.json"),
        ("ledger", "000003.json: the manifest says seq 4"),
        ("ledger", "000003.json: its type, stream or seq"),
        threat="T16",
    ),
    Case(
        "an edited run manifest",
        lambda f: edited(f, MIDDLE, lambda t: t["coverage"].update(pages=99)),
        ("ledger", "000004.json: prev"),
        threat="T19",
    ),
    Case(
        "an edited newest run manifest",
        lambda f: edited(f, NEWEST, lambda t: t["coverage"].update(pages=99)),
        ("ledger", "not the one that the tag names"),
        threat="T22",
    ),
    Case(
        "an edited run manifest, the chain made anew",
        lambda f: rechained(
            edited(f, MIDDLE, lambda t: t["coverage"].update(pages=99))
        ),
        ("ledger", "not the one that the tag names"),
        threat="T22",
    ),
    Case(
        "a run manifest that is not canonical",
        lambda f: {**f, MIDDLE: f[MIDDLE] + b"\n"},
        ("ledger", "000003.json: not canonical"),
        ("form", "000003.json: JSON, but not in canonical form"),
        threat="T20",
    ),
    Case(
        "a manifest of another ledger",
        lambda f: rechained(
            edited(
                f,
                NEWEST,
                lambda t: t.update(ledger="00000000-0000-4000-8000-000000000000"),
            )
        ),
        ("ledger", "belongs to"),
        threat="T18",
    ),
    Case(
        "the same run again under a new seq",
        lambda f: rechained(
            {**f, "ledger/config/000007.json": f["ledger/config/000006.json"]}
        ),
        ("ledger", "stands in"),
        threat="T17",
    ),
    Case(
        "a skipped day claimed as covered",
        stretched,
        ("history", "ledger/config/000003.json: differs from the commit"),
        ("ledger", "000003.json: is not the manifest that facts.json rests on"),
        threat="T22",
    ),
    Case(
        "an annotation changed after sign-off",
        lambda f: replaced(f, annotation(f), "encryption off", "encryption on"),
        ("sources", "names other sources"),
        threat="T42",
    ),
    Case(
        "a control changed after sign-off",
        lambda f: replaced(f, CONTROL, "Every bucket", "Nearly every bucket"),
        ("sources", "names other sources"),
        threat="T43",
    ),
    Case(
        "a mapping changed after sign-off",
        lambda f: replaced(
            f, FRAMEWORK, 'controls: ["policy-kept"]', 'controls: ["buckets-encrypted"]'
        ),
        ("sources", "names other sources"),
        threat="T44",
    ),
    Case(
        "a scope changed after sign-off",
        lambda f: replaced(f, SCOPE, f', payments-staging: "{released.STAGING}"', ""),
        ("sources", "names other sources"),
        threat="T45",
    ),
    Case(
        "a sign-off changed after sign-off",
        lambda f: replaced(f, SIGNOFF, "I read the evidence", "We read the evidence"),
        ("sources", "names other sources"),
        threat="T41",
    ),
    Case(
        "an attestation changed after sign-off",
        lambda f: replaced(f, ATTESTATION, "I read", "We read"),
        ("sources", "names other sources"),
        threat="T41",
    ),
    Case(
        "a swapped PDF",
        lambda f: {**f, f"{NAME}.pdf": b"%PDF-1.7 another\n"},
        ("release", "publication-root"),
        threat="T80",
    ),
    Case(
        "a swapped page",
        lambda f: {**f, "site/index.html": b"<!doctype html>all compliant\n"},
        ("release", "publication-root"),
        threat="T80",
    ),
    Case(
        "a swapped data file",
        lambda f: {**f, "data/deviations.csv": b"id\r\n"},
        ("release", "publication-root"),
        threat="T80",
    ),
    Case(
        "a swapped verifier",
        lambda f: {**f, "verify.py": b"print('all fine')\n"},
        ("release", "publication-root"),
        threat="T80",
    ),
    Case(
        "an edited fact",
        lambda f: edited(f, "facts.json", lambda t: t["deviations"].clear()),
        ("release", "facts.json: is not what the tag names"),
        threat="T80",
    ),
    Case(
        "another toolchain",
        lambda f: edited(
            f, "manifest.json", lambda t: t["toolchain"].update(python="9")
        ),
        ("release", "the tag names another toolchain"),
        threat="T83",
    ),
    Case(
        "an extra page",
        lambda f: {**f, "site/new.html": b"<!doctype html>\n"},
        ("release", "publication-root"),
        threat="T80",
    ),
    Case(
        "an extra pack",
        lambda f: {**f, f"packs/{sha256(b'x')}.leaves": b"x\n"},
        ("packs", "no run manifest names this pack"),
        threat="T80",
    ),
    Case(
        "an extra human file",
        lambda f: {**f, "sources/controls/README.md": b"Trust us.\n"},
        ("history", "controls/README.md: is not in the commit"),
        ("sources", "controls/README.md: is an extra file"),
        threat="T80",
    ),
    Case(
        "a data file that is absent",
        lambda f: without(f, "data/gaps.csv"),
        ("release", "publication-root"),
        threat="T80",
    ),
    Case(
        "a state pack that is absent",
        lambda f: without(f, state_pack(f)),
        ("packs", "is not carried"),
        threat="T01",
    ),
    Case(
        "a record pack that is absent",
        lambda f: without(f, record_pack(f)),
        ("findings", "is absent, though the report rests on it"),
        ("packs", "is absent, though the report rests on it"),
        threat="T01",
    ),
    Case(
        "the captured reviews that are absent",
        lambda f: without(f, whole_pack(f)),
        ("findings", "is absent, though the report rests on it"),
        ("packs", "is absent, though the report rests on it"),
        threat="T57",
    ),
    Case(
        "bytes after the last record of a pack",
        lambda f: {**f, record_pack(f): f[record_pack(f)] + b"more"},
        ("packs", "the last line has no end"),
        ("packs", "neither a record nor a leaf hash"),
        threat="T02",
    ),
    Case(
        "a git bundle that is absent",
        lambda f: without(f, "repo.bundle"),
        ("release", "repo.bundle: is absent"),
        threat="T80",
    ),
    Case(
        "a tag that is absent",
        lambda f: without(f, "release.tag"),
        ("form", "release.tag is absent"),
        threat="T80",
    ),
    Case(
        "a tag by somebody else",
        lambda f: replaced(
            f, "release.tag", "tagger controlbook", "tagger Controlbook"
        ),
        ("history", "is not the tag in repo.bundle"),
        ("release", "is not the tag in repo.bundle"),
        threat="T80",
    ),
    Case(
        "a flipped byte in the git bundle",
        lambda f: flipped(f, "repo.bundle"),
        ("history", "repo.bundle: "),
        ("release", "is not the tag in repo.bundle"),
        threat="T80",
    ),
    Case(
        "a checkpoint that is absent",
        lambda f: without(f, CHECKPOINT),
        ("ledger", "ledger/checkpoints ends early"),
        threat="T14",
        code=Exit.UNAVAILABLE,
    ),
    Case(
        "a checkpoint of another ledger",
        lambda f: edited(
            f, CHECKPOINT, lambda t: t["streams"]["config"].update(root="0" * 64)
        ),
        ("ledger", "the config stream here is not what it names"),
        threat="T21",
    ),
    Case(
        "a checkpoint larger than the ledger",
        lambda f: edited(f, CHECKPOINT, lambda t: t["streams"]["config"].update(seq=7)),
        ("ledger", "the config stream here is not what it names"),
        threat="T14",
    ),
    Case(
        "no release manifest",
        lambda f: without(f, "manifest.json"),
        ("form", "manifest.json is absent"),
        threat="T15",
        code=Exit.UNAVAILABLE,
    ),
    Case(
        "no ledger",
        lambda f: without(f, *(p for p in f if p.startswith("ledger/"))),
        ("ledger", "the ledger is absent"),
        threat="T15",
        code=Exit.UNAVAILABLE,
    ),
    Case(
        "no reviews stream",
        lambda f: without(f, "ledger/reviews/000001.json"),
        ("ledger", "reviews ends early"),
        threat="T15",
        code=Exit.UNAVAILABLE,
    ),
    Case(
        "a ledger that ends early",
        lambda f: without(f, NEWEST),
        ("coverage", "the ledger ends at"),
        threat="T14",
        code=Exit.UNAVAILABLE,
    ),
    Case(
        "a ledger of one run",
        lambda f: without(f, *(f"ledger/config/{n:06d}.json" for n in range(2, 7))),
        ("ledger", "config ends early"),
        threat="T14",
        code=Exit.UNAVAILABLE,
    ),
)


def hide_first(data: bytes) -> bytes:
    from controlbook.digest import leaf_hash  # noqa: PLC0415 - a forger's own

    first, _, rest = data.partition(b"\n")
    return b"#" + leaf_hash(first).hex().encode() + b"\n" + rest


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


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.threat}-{case.id}")
@pytest.mark.parametrize("lists", ["as they were", "recomputed"])
def test_forgery(case: Case, lists: str, good: Files, tmp_path: Path) -> None:
    files = case.change(good)
    files = resealed(files) if lists == "recomputed" else files
    said, code, own, own_code = both(files, tmp_path)
    for texts, due in ((said, case.main), (own, case.own)):
        step, phrase = due if due[0] else case.main
        if lists == "as they were" and phrase in {
            "names other sources",
            "publication-root",
        }:
            assert "SHA256SUMS" in texts["files"] or "absent" in texts["files"], texts
        else:
            assert phrase in texts.get(step, ""), texts
    assert (code, own_code) == (case.code, case.code), (said, own)


# --- a forger who rewrites the tag as well ---------------------------------------

STALE = (
    Case(
        "annotations",
        lambda f: fact(
            replaced(f, annotation(f), "encryption off", "encryption on"),
            "annotations",
            annotation(f),
        ),
        ("sign-offs", "3.4: annotations was"),
        ("sign-offs", "annotations was"),
    ),
    Case(
        "controls",
        lambda f: fact(
            replaced(f, CONTROL, "Every bucket", "Nearly every bucket"),
            "controls",
            CONTROL,
        ),
        ("sign-offs", "controls was"),
    ),
    Case(
        "mapping",
        lambda f: in_tree(
            replaced(f, FRAMEWORK, "Stored PAN unreadable", "Stored PAN"),
            FRAMEWORK,
            lambda tree: tree["requirements"]["3.4"].update(title="Stored PAN"),
        ),
        ("sign-offs", "3.4: mapping was"),
        ("sign-offs", "mapping was"),
    ),
    Case(
        "scope",
        lambda f: in_tree(
            replaced(f, SCOPE, f', payments-staging: "{released.STAGING}"', ""),
            SCOPE,
            lambda tree: tree["accounts"].pop("payments-staging"),
        ),
        ("sign-offs", "scope was"),
        ("sources", "its scope is not the one that facts.json states"),
    ),
    Case(
        "sign-off",
        lambda f: replaced(f, SIGNOFF, "I read the evidence", "We read the evidence"),
        ("findings", "these differ: requirements"),
        ("sign-offs", "requirements/3.4.yml: is not the file facts.json rests on"),
    ),
    Case(
        "findings",
        lambda f: edited(
            f, "facts.json", lambda t: t["findings"][0]["deviations"].clear()
        ),
        ("findings", "these differ: findings"),
        ("sign-offs", "findings was"),
    ),
)


def fact(files: Files, table: str, path: str) -> Files:
    """Let facts.json name the file as it is now."""

    def rename(tree: dict) -> None:  # type: ignore[type-arg] # a parsed document
        for row in tree[table]:
            if f"sources/{row['path']}" == path:
                row["sha256"] = sha256(files[path])

    return edited(files, "facts.json", rename)


def in_tree(files: Files, path: str, change: Callable[[dict], object]) -> Files:  # type: ignore[type-arg] # a parsed document
    """Change a human file in sources.json too."""
    name = path.removeprefix("sources/")
    return edited(
        files, "sources.json", lambda tree: change(tree["files"][name]["tree"])
    )


@pytest.mark.threat("T41")
@pytest.mark.parametrize("case", STALE, ids=lambda case: case.id)
def test_what_was_signed_is_named_though_the_tag_is_rewritten(
    case: Case, good: Files, tmp_path: Path
) -> None:
    said, code, own, own_code = both(retagged(case.change(good)), tmp_path)
    assert case.main[1] in said[case.main[0]], said
    step, phrase = case.own if case.own[0] else case.main
    assert phrase in own[step], own
    assert (code, own_code) == (4, 4)


@pytest.mark.threat("T80")
def test_a_rewritten_tag_contradicts_the_history(good: Files, tmp_path: Path) -> None:
    files = retagged({**good, f"{NAME}.pdf": b"%PDF-1.7 another\n"})
    said, code, own, own_code = both(files, tmp_path)
    assert "is not the tag in repo.bundle" in said["history"]
    assert "is not the tag in repo.bundle" in own["release"]
    assert (code, own_code) == (4, 4)


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
