# SPDX-License-Identifier: Apache-2.0
"""Both verifiers over the forged bundles on disk: one recipe per way to forge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import forgeries
import keys
import proven
import pytest
import released
from forgeries import FORGERIES
from tampering import unpacked, without

from controlbook import bundle_verify
from controlbook.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from forgeries import Forgery

POLICY = '{signoff: "L3", checkpoint: "ssh+rfc3161"}'
OTHER_LEDGER = "0f9d2c1e-77aa-4f0e-8a54-2b1c9e6d3f21"


def said_by_both(folder: Path) -> tuple[int, dict[str, str], int, dict[str, str]]:
    """Run both verifiers; give each one's exit code and what it said by step."""
    verdict = verify(folder)
    code, own = bundle_verify.verify(str(folder))
    texts: dict[str, str] = {}
    for _, step, text in own.faults:
        texts[step] = f"{texts.get(step, '')}\n{text}"
    said = {check.name: check.message for check in verdict.checks}
    return verdict.code, said, code, texts


@pytest.fixture(scope="module", autouse=True)
def _bundles(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if request.config.getoption("--update-golden"):
        for name, ledger in (("good", released.LEDGER), ("other", OTHER_LEDGER)):
            made = released.example(tmp_path_factory.mktemp(name), ledger=ledger)
            path = forgeries.FOLDER / f"{name}.zip"
            path.write_bytes(made.release().read_bytes())
        ring = proven.key_ring(tmp_path_factory.mktemp("ring"))
        authority = keys.authority(tmp_path_factory.mktemp("authority"))
        with proven.written(ring, authority, POLICY):
            folder = tmp_path_factory.mktemp("signed")
            whole = proven.Proven(folder, keys=ring, authority=authority)
        bundle = proven.played(whole).release()
        (forgeries.FOLDER / "signed.zip").write_bytes(bundle.read_bytes())


def test_there_are_at_least_seventy() -> None:
    assert len(FORGERIES) >= 70
    assert len({str(forgery.change) + forgery.seal for forgery in FORGERIES}) == len(
        FORGERIES
    )


@pytest.mark.parametrize("name", ["good", "other", "signed"])
def test_the_bundle_on_disk_is_good(name: str, tmp_path: Path) -> None:
    files = getattr(forgeries, name)()
    code, said, own_code, own = said_by_both(unpacked(files, tmp_path / name))
    assert (code, own_code) == (0, 0), (
        "the format has changed: `pytest generator/tests/test_forgeries.py"
        " --update-golden` makes the bundles anew",
        said,
        own,
    )


@pytest.mark.parametrize(
    "forgery",
    [
        pytest.param(each, id=each.id, marks=pytest.mark.threat(each.threat))
        for each in FORGERIES
    ],
)
def test_forgery(forgery: Forgery, tmp_path: Path) -> None:
    folder = forgery.write(
        forgeries.base_of(forgery), forgeries.other(), tmp_path / "PCI"
    )
    code, said, own_code, own = said_by_both(folder)
    assert (code, own_code) == (forgery.exit, forgery.exit), (said, own)
    assert forgery.main["says"] in said.get(forgery.main["step"], ""), said
    assert forgery.own["says"] in own.get(forgery.own["step"], ""), own


def test_a_step_that_was_not_taken_is_not_ok(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = unpacked(without(forgeries.good(), "manifest.json"), tmp_path / "PCI")
    monkeypatch.setattr("sys.argv", ["verify.py", str(folder)])
    assert bundle_verify.main() == 5
    said = capsys.readouterr().out
    assert "form      NOT OK\n" in said
    assert "ledger    not checked\n" in said
    assert "ledger    ok" not in said
