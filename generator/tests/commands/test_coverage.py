# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

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


def test_an_unknown_framework_is_named_with_the_nearest() -> None:
    with pytest.raises(ControlbookError, match=r"did you mean 'pci-dss-3.2.1'"):
        cli.run(["coverage", "pci-dss-3.2", "-C", str(ROOT)])


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(999, 1000, "99.9 %"), (9999, 10000, "99.9 %"), (5, 5, "100.0 %"), (0, 0, "–")],
)
def test_a_share_is_cut_and_never_rounded_up(part: int, whole: int, shown: str) -> None:
    assert percent(part, whole) == shown
