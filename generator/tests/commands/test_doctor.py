# SPDX-License-Identifier: Apache-2.0
"""A look at the sandbox's accounts, healthy and not; never run against AWS."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attacked
import boto3
import pytest
from botocore.config import Config
from running import committed, controlbook

from controlbook.errors import ControlbookError, Exit
from controlbook.examination import unknown_words
from controlbook.git import Repository
from controlbook.sandbox.clock import Clock
from controlbook.sandbox.example import example
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.trouble import (
    DeliveryDelay,
    Dropped,
    SourceTrouble,
    Trouble,
)
from controlbook.sandbox.world import RecorderStop
from controlbook.timeline import DAY, Instant, instant

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
NOW = "2028-02-15T06:00:00Z"
PROD, STAGING, TOOLING = "111122223333", "111122224444", "111122225555"
REGION = "eu-west-1"
SINCE = instant("2028-02-14T06:00:00Z")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("doctor") / "p"
    Repository.create(root)
    for name in ("controls", "frameworks", "signoffs"):
        shutil.copytree(ROOT / name, root / name)
    text = (ROOT / "pyproject.toml").read_text()
    table = text[text.index("[tool.controlbook]") :]
    (root / "pyproject.toml").write_text(table)
    (root / ".github").mkdir()
    shutil.copyfile(ROOT / ".github/CODEOWNERS", root / ".github/CODEOWNERS")
    committed(root, "Begin")
    return root


@contextmanager
def sandbox(
    monkeypatch: pytest.MonkeyPatch, trouble: Trouble | None = None
) -> Iterator[Sandbox]:
    with Sandbox(example(), Clock(instant(NOW)), trouble=trouble) as served:
        for name, value in served.environment().items():
            monkeypatch.setenv(name, value)
        yield served


def kinds(data: dict[str, object], *, remarks: bool = False) -> list[tuple[str, str]]:
    rows: Any = data["findings"]
    return [(r["kind"], r["place"]) for r in rows if r["remark"] is remarks]


def test_a_healthy_organization_has_only_the_folder_against_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sandbox(monkeypatch) as served:
        outcome = controlbook(root, "doctor", "--as-of", NOW)
        asked = {call.partition(":")[2] for call in served.calls}
    assert kinds(outcome.data) == [("vault-is-a-folder", "vault ../vault")]
    assert outcome.code is Exit.FOUND
    assert outcome.data["could_not_ask"] == []
    assert outcome.data["not_as_modelled"] == []
    assert "remark: redshift-cluster-kms-enabled is the team's own rule" in outcome.text
    assert {
        "DescribeConfigurationAggregators",
        "DescribeConfigurationAggregatorSourcesStatus",
        "DescribeAggregateComplianceByConfigRules",
        "SelectAggregateResourceConfig",
        "GetResourceConfigHistory",
        "DescribeConfigRules",
        "DescribeConfigurationRecorders",
        "DescribeDeliveryChannels",
        "ListAccounts",
    } <= asked
    calls = outcome.data["calls"]
    assert isinstance(calls, list)
    assert {"sts:GetCallerIdentity", "s3:ListObjectsV2"} <= set(calls)


def test_nothing_is_written_anywhere(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sandbox(monkeypatch) as served:
        outcome = controlbook(root, "doctor", "--as-of", NOW)
        served_calls = {call.partition(":") for call in served.calls}
    reading = ("Describe", "Get", "List", "Select")
    calls = outcome.data["calls"]
    assert isinstance(calls, list)
    assert [c for c in calls if not c.partition(":")[2].startswith(reading)] == []
    buckets = {what for service, _, what in served_calls if service == "s3"}
    assert all(what.startswith("GET ") for what in buckets)
    assert not Repository(root).dirty()


TROUBLES = [
    pytest.param(
        Trouble(compliance_not_recorded=(PROD,)),
        ("not-recorded", f"{PROD} {REGION}"),
        id="not-recorded",
    ),
    pytest.param(
        Trouble(
            sources=(
                SourceTrouble(
                    account=STAGING, region=REGION, status="OUTDATED", start=SINCE
                ),
            )
        ),
        ("source-outdated", f"{STAGING} {REGION}"),
        id="outdated",
    ),
    pytest.param(
        Trouble(dropped=(Dropped(account=TOOLING, start=SINCE),)),
        ("source-missing", f"{TOOLING} {REGION}"),
        id="dropped",
    ),
    pytest.param(
        Trouble(
            recorder_stops=(
                RecorderStop(account=PROD, region=REGION, start=SINCE, end=None),
            )
        ),
        ("recorder-stopped", f"{PROD} {REGION}"),
        id="recorder",
    ),
    pytest.param(
        Trouble(
            delays=(
                DeliveryDelay(
                    account=STAGING,
                    start=Instant(SINCE - 9 * DAY),
                    end=Instant(SINCE + 9 * DAY),
                    by=30 * DAY,
                ),
            )
        ),
        ("delivery-late", f"{STAGING} {REGION}"),
        id="delivery",
    ),
]


@pytest.mark.parametrize(("trouble", "expected"), TROUBLES)
def test_each_trouble_is_found_in_its_place(
    trouble: Trouble,
    expected: tuple[str, str],
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with sandbox(monkeypatch, trouble):
        outcome = controlbook(root, "doctor", "--as-of", NOW)
    assert expected in kinds(outcome.data)
    assert outcome.code is Exit.FOUND


def test_a_place_that_refuses_is_exit_5_and_calls_nothing_absent(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sandbox(monkeypatch, Trouble(denied_accounts=(PROD,))):
        outcome = controlbook(root, "doctor", "--as-of", NOW)
    assert outcome.code is Exit.UNAVAILABLE
    assert "could not ask: " in outcome.text
    assert PROD in str(outcome.data["could_not_ask"])
    assert not [kind for kind, place in kinds(outcome.data) if PROD in place]


def test_one_account_can_be_looked_at(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sandbox(monkeypatch, Trouble(compliance_not_recorded=(PROD,))):
        words = ("doctor", "--as-of", NOW, "--account")
        assert not [
            kind
            for kind, _ in kinds(controlbook(root, *words, STAGING).data)
            if kind == "not-recorded"
        ]
        with pytest.raises(ControlbookError, match="no assessment names account 9"):
            controlbook(root, *words, "9")


def changed(root: Path, tmp_path: Path, old: str, new: str, path: str) -> Path:
    copy = tmp_path / "p"
    shutil.copytree(root, copy)
    text = (copy / path).read_text()
    assert old in text
    (copy / path).write_text(text.replace(old, new))
    return copy


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("pyproject.toml", '"org"', '"other"', "aggregator-missing"),
        (
            "pyproject.toml",
            '"config-delivery-111122226666"',
            '"elsewhere"',
            "delivery-elsewhere",
        ),
        (
            "controls/password-rules.yml",
            'MinimumPasswordLength: "14"',
            'MinimumPasswordLength: "16"',
            "parameters-differ",
        ),
        (
            "controls/pan-encrypted-at-rest.yml",
            "rds-storage-encrypted",
            "rds-cluster-encrypted-at-rest",
            "rule-absent",
        ),
        (
            "controls/pan-encrypted-at-rest.yml",
            '\n    custom: "lambda"',
            "",
            "custom-rule-instead",
        ),
    ],
)
def test_what_the_files_say_and_aws_does_not_have(
    path: str,
    old: str,
    new: str,
    expected: str,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = changed(root, tmp_path, old, new, path)
    with sandbox(monkeypatch):
        outcome = controlbook(copy, "doctor", "--as-of", NOW)
    assert expected in {kind for kind, _ in kinds(outcome.data)}


def test_without_an_aws_to_ask_it_is_exit_5(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sandbox(monkeypatch):
        pass
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ControlbookError) as caught:
        controlbook(root, "doctor", "--as-of", NOW)
    assert caught.value.code is Exit.UNAVAILABLE


def test_without_an_aggregator_it_says_what_to_set(root: Path, tmp_path: Path) -> None:
    copy = changed(root, tmp_path, 'aggregator = "org"\n', "", "pyproject.toml")
    with pytest.raises(ControlbookError, match="set aggregator and region"):
        controlbook(copy, "doctor")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Serve S3 by moto, whose bucket settings are as AWS's models have them."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - 0.4 s

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",  # noqa: S106 - moto's
        config=Config(retries={"max_attempts": 1}),
    )
    client.create_bucket(Bucket="config-delivery-111122226666")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    yield client
    client.close()
    server.stop()


def test_a_vault_in_s3_is_looked_at_setting_by_setting(
    bucket: Any,  # noqa: ANN401 - a boto3 client
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = changed(root, tmp_path, '"../vault"', '"s3://v-a-u-l-t/x"', "pyproject.toml")
    with sandbox(monkeypatch):
        first = controlbook(copy, "doctor", "--as-of", NOW)
        assert ("vault-missing", "s3://v-a-u-l-t") in kinds(first.data)
        bucket.create_bucket(Bucket="v-a-u-l-t")
        bare = controlbook(copy, "doctor", "--as-of", NOW)
        assert {"vault-not-locked", "vault-not-versioned", "vault-no-policy"} <= {
            kind for kind, _ in kinds(bare.data)
        }
        assert bare.data["could_not_ask"] == []


def test_the_vault_is_asked_with_its_own_profile(
    bucket: Any,  # noqa: ANN401 - a boto3 client
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket.create_bucket(Bucket="v-a-u-l-t")
    vault = '"s3://v-a-u-l-t/x"\nvault-profile = "reader"'
    copy = changed(root, tmp_path, '"../vault"', vault, "pyproject.toml")
    profiles = tmp_path / "aws-config"
    profiles.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profiles))
    with sandbox(monkeypatch):
        first = controlbook(copy, "doctor", "--as-of", NOW)
        (refused,) = first.data["could_not_ask"]
        assert "The config profile (reader) could not be found" in refused
        profiles.write_text(
            "[profile reader]\naws_access_key_id = a\naws_secret_access_key = b\n"
        )
        second = controlbook(copy, "doctor", "--as-of", NOW)
        assert second.data["could_not_ask"] == []
        assert "vault-not-locked" in {kind for kind, _ in kinds(second.data)}
        assert "s3:GetBucketVersioning" in second.data["calls"]


def test_a_word_that_the_model_does_not_know_is_told() -> None:
    import botocore.session  # noqa: PLC0415 - the model is the test's subject

    model = botocore.session.get_session().get_service_model("config")
    shape = model.operation_model("DescribeConfigRules").output_shape
    rule = {"ConfigRuleState": "ASLEEP", "Source": {"Owner": "AWS"}}
    assert list(unknown_words({"ConfigRules": [rule]}, shape, "")) == [
        "ConfigRules.ConfigRuleState is 'ASLEEP', which the model does not know"
    ]


def test_evidence_that_stopped_to_arrive_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that died is no evidence gap before the next run; `doctor` says it."""
    made = attacked.begun(tmp_path)
    body = made.file(attacked.SCOPE).replace(b'end: "2028-02-17', b'end: "2028-03-17')
    settings = made.file("pyproject.toml") + (
        b'aggregator = "org"\nregion = "eu-west-1"\n'
    )
    made.commit({attacked.SCOPE: body, "pyproject.toml": settings}, "Go on\n")
    made.repository.git("reset", "--hard", "--quiet", "main")
    with sandbox(monkeypatch):
        done = controlbook(
            made.repository.root, "doctor", "--as-of", "2028-02-21T09:00:00Z"
        )
    assert (
        f"{attacked.SCOPE}: the last config evidence ends at 2028-02-17T00:00:00Z, 4"
        " days ago; look at the collecting job, and run `controlbook collect`"
    ) in done.text
    assert done.code is not Exit.FINE
