# SPDX-License-Identifier: Apache-2.0
"""What is kept of Audit Manager, in a bundle: derived again by both verifiers."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import audited
import pytest
import released
from audited import COMMENT, contradiction
from tampering import edited, opened, resealed, retagged, unpacked, without, zipped

from controlbook import bundle_verify
from controlbook.digest import leaf_hash
from controlbook.errors import ControlbookError
from controlbook.preserved import preserved
from controlbook.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from tampering import Files

NAME = released.NAME


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return opened(audited.programme(tmp_path_factory.mktemp("kept")).release())


def both(files: Files, folder: Path) -> tuple[str, int, str, int]:
    folder.mkdir(exist_ok=True)
    path = folder / f"{NAME}.zip"
    path.write_bytes(zipped(files, NAME))
    verdict = verify(path)
    code, own = bundle_verify.verify(str(unpacked(files, folder / "u" / NAME)))
    said = "\n".join(check.message for check in verdict.checks)
    return said, verdict.code, "\n".join(text for _, _, text in own.faults), code


def pack_of(files: Files) -> str:
    return next(
        path
        for path, data in files.items()
        if COMMENT.encode() in data and path.startswith("packs/")
    )


def rows(files: Files, name: str) -> list[dict[str, str]]:
    text = files[f"data/{name}.csv"].decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_bundle_carries_what_is_kept_and_both_verifiers_derive_it_again(
    good: Files, tmp_path: Path
) -> None:
    said, code, own, own_code = both(good, tmp_path)
    assert (code, own_code) == (0, 0), (said, own)
    kept = rows(good, "audit-manager")
    (comment,) = [row for row in kept if row["kind"] == "comment"]
    assert (comment["text"], comment["by"]) == (COMMENT, "audit-owner")
    assert {
        row["at"][:10]: row["in_period"] for row in kept if row["evidence"] != "0"
    } == {
        "2028-02-11": "no",
        "2028-02-13": "yes",
        "2028-02-16": "yes",
    }
    (row,) = rows(good, "disagreements")
    assert (row["audit_manager"], row["our_record_now"]) == (
        "NON_COMPLIANT",
        "COMPLIANT",
    )
    assert (row["controls"], row["requirements"]) == ("buckets-encrypted", "3.4")
    facts = json.loads(good["facts.json"])
    assert [item["stands"] for item in facts["disagreements"]] == ["yes"]


def test_what_people_wrote_there_is_in_the_vault_and_not_in_git(
    tmp_path: Path,
) -> None:
    files = audited.programme(tmp_path).programme.files
    assert not [path for path, data in files.items() if COMMENT.encode() in data]


@pytest.mark.parametrize("way", ["hidden", "gone"])
def test_a_record_that_is_withheld_is_found(
    good: Files, tmp_path: Path, way: str
) -> None:
    path = pack_of(good)
    if way == "gone":
        files = without(good, path)
    else:
        lines = good[path].split(b"\n")
        lines = [
            b"#" + leaf_hash(line).hex().encode() if COMMENT.encode() in line else line
            for line in lines
        ]
        files = {**good, path: b"\n".join(lines)}
    said, code, own, own_code = both(resealed(files), tmp_path)
    assert (code, own_code) == (4, 4), (said, own)
    text = "is absent" if way == "gone" else "records of audit-manager:"
    assert text in said
    assert text in own


def test_a_disagreement_that_is_left_out_is_found_by_both(
    good: Files, tmp_path: Path
) -> None:
    def silent(facts: dict[str, object]) -> None:
        facts["disagreements"] = []
        for row in facts["findings"]:  # type: ignore[attr-defined]
            row.pop("disagreements", None)

    said, code, own, own_code = both(
        retagged(edited(good, "facts.json", silent)), tmp_path
    )
    assert (code, own_code) == (4, 4)
    assert "disagreements" in said
    assert "facts.json is silent on contradiction" in own


def test_figures_of_audit_manager_that_the_ledger_lacks_are_found(
    good: Files, tmp_path: Path
) -> None:
    def more(facts: dict[str, object]) -> None:
        facts["audit-manager"][0]["counts"]["contradictions"] = 0  # type: ignore[index]

    said, code, own, own_code = both(
        retagged(edited(good, "facts.json", more)), tmp_path
    )
    assert (code, own_code) == (4, 4)
    assert "audit-manager" in said
    assert "its audit-manager is not the ledger's" in own


def test_a_table_that_differs_from_what_is_kept_is_found(
    good: Files, tmp_path: Path
) -> None:
    path = "data/audit-manager.csv"
    changed = {**good, path: good[path].replace(COMMENT.encode(), b"All is well.")}
    said, code, _, _ = both(resealed(changed), tmp_path)
    assert code == 4
    assert f"{path}: is not what sources and ledger give" in said


def test_the_last_complete_answer_counts_also_after_the_period(tmp_path: Path) -> None:
    made = audited.programme(tmp_path)
    made.audit(*audited.items()[:2])
    report = made.programme.report(NAME)
    (kept,) = report.preserved
    assert (kept.run.seq, len(kept.items)) == (2, 2)
    assert not list(kept.of("comment"))


def test_an_assessment_there_of_other_accounts_is_not_ours(tmp_path: Path) -> None:
    made = released.Example(tmp_path)
    made.collect()
    made.audit(audited.item("assessment", "x", name="x", accounts=released.FOREIGN))
    assert made.programme.report(NAME).preserved == ()


def test_a_record_that_cannot_be_read_is_an_error_that_names_what_to_do(
    tmp_path: Path,
) -> None:
    made = audited.programme(tmp_path)
    programme = made.programme
    with pytest.raises(ControlbookError, match="a record of Audit Manager"):
        preserved(
            programme.ledger, programme.assessment(NAME), lambda _: (b'{"item":"x"}',)
        )


def test_contradictions_must_be_ones_and_belong_to_an_answer(tmp_path: Path) -> None:
    made = released.Example(tmp_path)
    made.collect()
    same = contradiction(theirs="COMPLIANT")
    made.audit(*audited.items(), contradictions=(same,))
    with pytest.raises(ControlbookError, match="do not contradict each other"):
        _ = made.programme.ledger


def test_a_contradiction_that_folders_count_and_no_run_lists_is_found(
    tmp_path: Path,
) -> None:
    """A collector that counted it and left it out of the list."""
    made = released.Example(tmp_path / "made")
    made.collect()
    made.audit(*audited.items())
    made.annotate()
    made.sign()
    made.capture()
    made.checkpoint()
    said, code, own, own_code = both(opened(made.release()), tmp_path)
    assert (code, own_code) == (4, 4)
    assert "1 contradictions are counted, and not all listed" in said
    assert "count 1 contradictions, 0 are listed" in own
