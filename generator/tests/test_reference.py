# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controlbook.errors import ControlbookError
from controlbook.managed_rules import managed_rules
from controlbook.reference import Reference, of_folder, shipped

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_reference_names_rules_that_aws_has() -> None:
    known = managed_rules().keys()
    for name, reference in shipped().items():
        assert {rule for _, rule in reference.pairs} <= known, name


def test_a_folder_of_facts_is_read_by_framework(tmp_path: Path) -> None:
    (tmp_path / "mapping_soc2.csv").write_text(
        "control_id,parent_id,rule_name,source\nCC6.1,CC6,rds-storage-encrypted,x\n"
    )
    (tmp_path / "controls_gdpr.csv").write_text(
        "control_id,parent_id\nChapter 1,\nArt.5,Chapter 1\n"
    )
    (tmp_path / "mapping_non_config_checks.csv").write_text("framework,check\n")
    assert of_folder(tmp_path) == {
        "soc2-tsc-2017": Reference(
            pairs=frozenset({("CC6.1", "rds-storage-encrypted")})
        ),
        "gdpr": Reference(numbers=frozenset({"Chapter-1", "Art.5"})),
    }


def test_a_folder_without_mappings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ControlbookError, match="holds no mapping_"):
        of_folder(tmp_path)


def test_a_file_of_another_form_is_named(tmp_path: Path) -> None:
    (tmp_path / "mapping_x.csv").write_text("number,rule\n1,a\n")
    with pytest.raises(ControlbookError, match=r"mapping_x.csv: has no column"):
        of_folder(tmp_path)
