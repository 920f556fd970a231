# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import released
from running import committed, controlbook, small_programme

from controlbook.errors import ControlbookError, Exit
from controlbook.sandbox.clock import Clock
from controlbook.sandbox.example import deviation, example
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.trouble import SourceTrouble, Trouble
from controlbook.timeline import instant

if TYPE_CHECKING:
    from pathlib import Path

AT = "2028-02-14T03:15:00Z"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = released.Example(tmp_path_factory.mktemp("state"))
    made.collect()
    return made.root / "programme"


def test_filters_leave_what_was_asked_for(root: Path) -> None:
    outcome = controlbook(root, "state", "--at", AT, "--resource", "stale-backup")
    assert outcome.code is Exit.FOUND
    assert outcome.data["states"] == [
        {
            "account": released.PROD,
            "region": released.REGION,
            "rule": released.RULE,
            "deployed_as": f"{released.RULE}-conformance-pack-abc123",
            "resource": released.STALE,
            "state": "NON_COMPLIANT",
            "since": "2028-02-14T03:12:00Z",
            "doubt": "",
        }
    ]
    assert "1 of 9 states: 1 NON_COMPLIANT" in outcome.text


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--account", released.STAGING], 2),
        (["--rule", released.RULE], 9),
        (["--rule", "another"], 0),
        (["--account", released.PROD, "--rule", released.RULE], 3),
    ],
)
def test_counts_follow_the_filters(words: list[str], count: int, root: Path) -> None:
    found = controlbook(root, "state", "--at", AT, *words).data["states"]
    assert isinstance(found, list)
    assert len(found) == count


def test_without_an_instant_it_is_the_end_of_the_last_run(root: Path) -> None:
    outcome = controlbook(root, "state")
    assert outcome.data["at"] == "2028-02-17T00:00:00Z"
    assert outcome.code is Exit.FINE


@pytest.mark.parametrize("words", [["--at", "yesterday"], ["--at", AT, "--live"]])
def test_bad_input(words: list[str], root: Path) -> None:
    with pytest.raises(ControlbookError):
        controlbook(root, "state", *words)


def test_live_needs_an_aggregator(root: Path) -> None:
    with pytest.raises(ControlbookError, match="no aggregator"):
        controlbook(root, "state", "--live")


def test_live_is_aws_now_and_is_recorded_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_programme(tmp_path / "p")
    text = (root / "pyproject.toml").read_text().rstrip()
    more = 'aggregator = "org"\nregion = "eu-west-1"\n'
    (root / "pyproject.toml").write_text(f"{text}\n{more}")
    before = committed(root)
    now = instant(AT)
    outdated = SourceTrouble(
        account="111122225555", region="eu-west-1", status="OUTDATED", start=now
    )
    trouble = Trouble(sources=(outdated,))
    with Sandbox(example(), Clock(now), trouble=trouble) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        outcome = controlbook(root, "state", "--live", "--resource", "stale-backup")
        doubtful = controlbook(root, "state", "--live", "--account", "111122225555")
        prod = controlbook(root, "state", "--live", "--account", released.PROD)
    assert "no evidence" in outcome.text.splitlines()[0]
    assert "NON_COMPLIANT since 2028-02-14T03:12:00Z" in outcome.text
    assert outcome.data["notes"] == ["111122225555 eu-west-1: source OUTDATED"]
    states = doubtful.data["states"]
    assert isinstance(states, list)
    assert {row["doubt"] for row in states} == {"source OUTDATED"}
    packs = prod.data["packs"]
    assert isinstance(packs, list)
    (pack,) = packs
    assert (pack["account"], pack["state"]) == (released.PROD, "COMPLIANT")
    assert 0 < pack["compliant"] <= pack["rules"]
    assert pack["failing"] == 0
    assert f"{pack['pack']}  COMPLIANT" in prod.text
    assert "packs" not in outcome.data, "a pack is no resource"
    assert committed(root) == before


def test_live_without_the_right_to_ask_for_packs_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_programme(tmp_path / "p")
    text = (root / "pyproject.toml").read_text().rstrip()
    more = 'aggregator = "org"\nregion = "eu-west-1"\n'
    (root / "pyproject.toml").write_text(f"{text}\n{more}")
    committed(root)
    call = "config:DescribeAggregateComplianceByConformancePacks"
    trouble = Trouble(refused_calls=(call,))
    with Sandbox(example(), Clock(instant(AT)), trouble=trouble) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        outcome = controlbook(root, "state", "--live", "--account", released.PROD)
    assert "conformance packs could not be asked" in outcome.text
    assert "packs" not in outcome.data


@pytest.mark.parametrize(
    ("at", "code", "state", "failing"),
    [
        ("2028-02-20T08:30:00Z", Exit.FOUND, "NON_COMPLIANT", 1),
        ("2028-02-20T09:30:00Z", Exit.FINE, "COMPLIANT", 0),
    ],
)
def test_live_a_pack_whose_rule_fails_is_not_compliant(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    code: Exit,
    state: str,
    failing: int,
) -> None:
    """One of the three rules of the account's pack finds an open bucket."""
    root = small_programme(tmp_path / "p")
    text = (root / "pyproject.toml").read_text().rstrip()
    more = 'aggregator = "org"\nregion = "eu-west-1"\n'
    (root / "pyproject.toml").write_text(f"{text}\n{more}")
    committed(root)
    world = example()
    opened = deviation(
        released.PROD,
        "s3-bucket-public-read-prohibited",
        "AWS::S3::Bucket/payout-files",
        "2028-02-20T08:00:00Z",
        "2028-02-20T09:00:00Z",
    )
    world = replace(world, verdicts=tuple(sorted((*world.verdicts, *opened))))
    with Sandbox(world, Clock(instant(at))) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        outcome = controlbook(root, "state", "--live", "--account", released.PROD)
    packs = outcome.data["packs"]
    assert isinstance(packs, list)
    (pack,) = packs
    assert (pack["state"], pack["failing"]) == (state, failing)
    assert pack["compliant"] == pack["rules"] - failing
    assert outcome.code is code
    told = f"{pack['compliant']} of {pack['rules']} rules compliant, {failing} not"
    assert f"{pack['pack']}  {state}  {told}" in outcome.text
