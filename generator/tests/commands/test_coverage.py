# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from controlbook import cli
from controlbook.commands.coverage import percent
from controlbook.errors import ControlbookError, Exit

ROOT = Path(__file__).parents[3]


def rows(*words: str) -> dict[str, dict[str, object]]:
    outcome = cli.run(["coverage", *words, "-C", str(ROOT)])
    assert outcome.code == Exit.FINE
    assert outcome.data["schema"] == "controlbook/coverage/1"
    frameworks = outcome.data["frameworks"]
    assert isinstance(frameworks, list)
    return {row["framework"]: row for row in frameworks}


def test_every_framework_has_its_four_numbers() -> None:
    found = rows()
    assert len(found) == 13
    pci = found["pci-dss-3.2.1"]
    assert pci["catalogued"] == 298
    assert pci["assessed"] == 27
    for row in found.values():
        numbers = [int(str(row[key])) for key in ("assessed", "reviewed", "catalogued")]
        assert numbers == sorted(numbers)


def test_every_pair_beyond_the_reference_is_explained_by_its_control() -> None:
    row = rows("soc2-tsc-2017")["soc2-tsc-2017"]
    extra = row["extra"]
    assert isinstance(extra, list)
    assert extra
    assert all(each["through"] for each in extra)
    assert row["missing"] == []


def test_a_folder_of_facts_replaces_the_reference(tmp_path: Path) -> None:
    (tmp_path / "mapping_gdpr.csv").write_text(
        "control_id,rule_name\nArt.99,restricted-ssh\n"
    )
    (tmp_path / "controls_gdpr.csv").write_text("control_id\nArt.5\nArt.100\n")
    outcome = cli.run(["coverage", "gdpr", "--facts", str(tmp_path), "-C", str(ROOT)])
    assert "not reached, though the reference has it: 1\n  Art.99 → restricted-ssh" in (
        outcome.text
    )
    assert "Art.100: missing in the file" in outcome.text
    (row,) = outcome.data["frameworks"]  # type: ignore[misc,call-overload] # JSON
    assert "Art.6: only in the file" in row["differing_numbers"]
    assert "0.0 %" in outcome.text


def test_counts_that_differ_from_the_references_own_are_explained(
    tmp_path: Path,
) -> None:
    (tmp_path / "mapping_nist-800-53-r5.csv").write_text(
        "control_id,rule_name\nAC-16b,restricted-ssh\nSA-1(1),restricted-ssh\n"
    )
    (tmp_path / "controls_nist-800-53-r5.csv").write_text("control_id\nAC-16\nSA-1\n")
    summary = tmp_path / "coverage_summary.csv"
    summary.write_text(
        "framework,control_numbers,with_direct_rule,mapping_pairs\n"
        "nist-800-53-r5,2,1,2\n"
    )
    words = ["coverage", "nist-800-53-r5", "--facts", str(tmp_path), "-C", str(ROOT)]
    text = cli.run(words).text
    assert "nist-800-53-r5: with rule 269, the reference says 1: its mapping" in text
    assert (
        "names 2 numbers, 2 of them items that its catalogue lacks, which count at the"
        " number above: 1; SA-1(1): no item of any number there; only ours: "
    ) in text
    assert "pairs" not in text.split("against the counts")[1]
    summary.write_text("framework,control_numbers\nnist-800-53-r5,x\n")
    with pytest.raises(ControlbookError, match=r"coverage_summary\.csv: is no summary"):
        cli.run(words)


FACTS = os.environ.get("CONTROLBOOK_FACTS", "")


@pytest.mark.skipif(not FACTS, reason="CONTROLBOOK_FACTS names no folder")
def test_the_counts_of_the_facts_are_met_or_explained() -> None:
    text = cli.run(["coverage", "--facts", FACTS, "-C", str(ROOT)]).text
    against = text.split("reference itself:\n")[1].split("\n\n")[0].splitlines()
    assert sum("the same counts" in line for line in against) >= 6
    for line in against:
        if ": with rule " in line:
            says = line.split("the reference says ")[1].split(":")[0]
            assert f"at the number above: {says}" in line


def test_a_retired_version_leads_to_its_successor() -> None:
    words = ["coverage", "pci-dss-3.2.1", "--to", "pci-dss-4.0.1", "-C", str(ROOT)]
    outcome = cli.run(words)
    led = {(row["from"], row["to"]) for row in outcome.data["rows"]}
    assert {("12.10.1", "12.10.1"), ("9.9.1", "9.5.1.1"), ("1.1.2", "1.2.3")} <= led
    assert {row["state"] for row in outcome.data["rows"]} == {"proposed"}
    with pytest.raises(ControlbookError, match="none is named"):
        cli.run(["coverage", "--to", "pci-dss-4.0.1", "-C", str(ROOT)])
    with pytest.raises(ControlbookError, match=r"did you mean 'pci-dss-4.0.1'"):
        cli.run([*words[:2], "--to", "pci-dss-4.0", "-C", str(ROOT)])


def test_an_unknown_framework_is_named_with_the_nearest() -> None:
    with pytest.raises(ControlbookError, match=r"did you mean 'pci-dss-3.2.1'"):
        cli.run(["coverage", "pci-dss-3.2", "-C", str(ROOT)])


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(999, 1000, "99.9 %"), (9999, 10000, "99.9 %"), (5, 5, "100.0 %"), (0, 0, "–")],
)
def test_a_share_is_cut_and_never_rounded_up(part: int, whole: int, shown: str) -> None:
    assert percent(part, whole) == shown
