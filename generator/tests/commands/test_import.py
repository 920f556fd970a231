# SPDX-License-Identifier: Apache-2.0
"""`controlbook import`, in a real repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from running import committed, controlbook, small_programme

from controlbook.errors import ControlbookError, Exit, InvalidFiles
from controlbook.git import Repository
from controlbook.sandbox.clock import Clock
from controlbook.sandbox.example import example
from controlbook.sandbox.server import Sandbox
from controlbook.timeline import instant

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "control_id,rule_name\n3.10,access-keys-rotated\n3.9,restricted-ssh\n"
PACK = """\
Resources:
  A:
    Type: AWS::Config::ConfigRule
    Properties:
      Source: {Owner: AWS, SourceIdentifier: RDS_STORAGE_ENCRYPTED}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "pack.yaml").write_text(PACK)
    return small_programme(tmp_path / "p")


def dirty(root: Path) -> bool:
    return Repository(root).dirty()


def test_a_dry_run_shows_the_difference_and_writes_nothing(root: Path) -> None:
    source = str(root.parent / "t.csv")
    words = ("import", "csv", source, "--framework", "std-1", "--owner", "net")
    outcome = controlbook(root, *words, "--dry-run")
    assert "+++ b/controls/access-keys-rotated.yml" in outcome.text
    assert "--- a/frameworks/std-1.yml" in outcome.text
    assert 'state: "proposed"' in outcome.text
    assert outcome.data["schema"] == "controlbook/import/1"
    assert not dirty(root)
    written = controlbook(root, *words)
    assert written.code is Exit.FINE
    assert written.data["mappings"] == 2
    assert dirty(root)
    committed(root)
    again = controlbook(root, *words)
    assert again.data["files"] == []
    assert not dirty(root)


def test_what_is_written_passes_check(root: Path) -> None:
    source = str(root.parent / "t.csv")
    before = controlbook(root, "check").data["problems"]
    controlbook(root, "import", "csv", source, "--framework", "std-1", "--owner", "net")
    assert controlbook(root, "check").data["problems"] == before


def test_a_pack_becomes_controls(root: Path) -> None:
    pack = str(root.parent / "pack.yaml")
    controlbook(root, "import", "conformance-pack", pack, "--owner", "net")
    assert (root / "controls/rds-storage-encrypted.yml").is_file()


def test_a_new_number_that_an_assessment_has_to_place_is_said(root: Path) -> None:
    (root.parent / "n.csv").write_text("control_id,title\n3.12,Twelve\n")
    source = str(root.parent / "n.csv")
    outcome = controlbook(root, "import", "csv", source, "--framework", "std-1")
    assert outcome.code is Exit.FOUND
    assert "to mend: signoffs/A-1/assessment.yml:6: 1 of std-1 left out" in outcome.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["csv", "no.csv"], "no.csv: No such file"),
        (["csv", "t.csv"], "needs an owner"),
        (["csv", "t.csv", "--owner", "nobody"], "people.yml has no 'nobody'"),
        (["csv", "t.csv", "--parameter", "a=b"], "only a conformance pack's template"),
        (["conformance-pack", "pack.yaml", "--parameter", "a"], "is not NAME=VALUE"),
        (["conformance-pack", "pack.yaml", "--parameter", "A=1"], "no parameter 'A'"),
        (["conformance-pack", "t.csv"], "no `Resources`"),
        (["oscal", "t.csv"], "broken JSON"),
        (["audit-manager", "pack.yaml"], "broken JSON"),
        (["csv", "t.csv", "--requirement", "1"], "belongs to a framework"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(
    words: list[str], message: str, root: Path
) -> None:
    kind, name, *more = words
    with pytest.raises(ControlbookError) as caught:
        controlbook(root, "import", kind, str(root.parent / name), *more)
    assert message in str(caught.value)
    assert not dirty(root)


def test_nothing_is_imported_into_files_that_are_broken(root: Path) -> None:
    (root / "controls/stored-encrypted.yml").write_text("id: [\n")
    with pytest.raises(InvalidFiles, match=r"controls/stored-encrypted\.yml"):
        controlbook(root, "import", "csv", str(root.parent / "t.csv"), "--owner", "net")


def test_a_pack_is_read_as_it_is_deployed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (root / "pyproject.toml").read_text()
    more = {
        "aggregator": "org",
        "region": "eu-west-1",
        "collector-role": "controlbook-read",
    }
    lines = "\n".join(f'{name} = "{value}"' for name, value in more.items())
    (root / "pyproject.toml").write_text(f"{text.rstrip()}\n{lines}\n")
    with Sandbox(example(), Clock(instant("2028-02-15T06:00:00Z"))) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        words = ("import", "deployed-pack", "baseline", "--account", "111122223333")
        outcome = controlbook(root, *words, "--owner", "net", "--dry-run")
        assert "OrgConformsPack-baseline-" in outcome.text
        assert "as deployed in 111122223333 eu-west-1" in outcome.text
        assert outcome.data["controls"] == 3
        assert outcome.data["present"] == 0
        with pytest.raises(ControlbookError, match="no conformance pack 'nope'"):
            controlbook(root, "import", "deployed-pack", "nope", "--owner", "net")
