# SPDX-License-Identifier: Apache-2.0
"""Three days with a bucket with Object Lock as vault, from first evidence to verify.

AWS is the sandbox, delivery bucket included; the vault is another server, which a
profile of its own reaches. The acts are those of the demo.
"""

from __future__ import annotations

import os
import re
import shutil
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from weed import ADMIN, READER

from controlbook.cli import parser
from controlbook.commands import demo
from controlbook.commands.collect import collect
from controlbook.commands.release import release
from controlbook.commands.verify import verify
from controlbook.errors import Exit
from controlbook.programme import Programme
from controlbook.sandbox import cast
from controlbook.sandbox.clock import Clock
from controlbook.sandbox.example import example
from controlbook.sandbox.github import GitHub
from controlbook.sandbox.server import Sandbox
from controlbook.sources.aws import connections
from controlbook.timeline import DAY, HOUR, Instant, instant
from controlbook.vault.s3 import S3Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weed import Store

    from controlbook.git import Repository

ROOT = Path(__file__).parents[3]
NAME = "PCI-2028-Q1"
BUCKET = "example-vault"
START, UNTIL = instant("2028-01-01T06:00:00Z"), "2035-04-01T00:00:00Z"
PROFILES = """[default]
region = eu-west-1
endpoint_url = SANDBOX
[profile vault]
region = us-east-1
services = vault
[profile reader]
region = us-east-1
services = vault
[services vault]
s3 =
  endpoint_url = STORE
"""


def content(folder: Path) -> Path:
    """Copy the example programme, with one requirement and three days in scope."""
    for name in demo.CONTENT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
    for name in demo.GIVEN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    shutil.rmtree(folder / "signoffs" / "SOC2-2028-H1")
    scope = folder / "signoffs" / NAME / "assessment.yml"
    text = scope.read_text("utf-8").replace(
        'end: "2028-04-01T00:00:00Z"', 'end: "2028-01-04T00:00:00Z"'
    )
    text = re.sub(r'requirements:\n(?:  - ".*"\n)+', 'requirements: ["3.4"]\n', text)
    scope.write_text(text.replace('  default: "a-okafor"\n', ""), "utf-8")
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    # Not spelt as the demo looks for it, which would put a folder in its place.
    settings = re.sub(
        r'^vault = ".*"$',
        f'vault="s3://{BUCKET}/team"\nvault-profile = "vault"',
        settings,
        flags=re.MULTILINE,
    )
    (folder / "pyproject.toml").write_text(settings, "utf-8")
    return folder


def environment(folder: Path, sandbox: Sandbox, store: Store) -> dict[str, str]:
    """Let two profiles reach two servers, and no variable override them."""
    config, secrets = folder / "config", folder / "credentials"
    text = PROFILES.replace("SANDBOX", sandbox.url).replace("STORE", store.url)
    config.write_text(text)
    given = sandbox.environment()
    own = (given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])
    secrets.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            for name, (key, secret) in {
                "default": own,
                "vault": ADMIN,
                "reader": READER,
            }.items()
        )
    )
    kept = {name: text for name, text in given.items() if name.startswith("GITHUB")}
    return {
        **kept,
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(secrets),
        "AWS_EC2_METADATA_DISABLED": "true",
        "GITHUB_TOKEN": cast.APP_TOKEN,
    }


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, store: Store
) -> Iterator[Repository]:
    """Collect, attest, sign and release; the environment stays for what follows."""
    folder = tmp_path_factory.mktemp("s3-vault")
    store.bucket(BUCKET)
    root = folder / "programme"
    repository = demo._lay_down(content(folder / "content"), root)  # noqa: SLF001
    remote = GitHub(
        demo._remote(root),  # noqa: SLF001
        Clock(demo.IMPORTED),
        cast.users(),
        teams=cast.TEAMS,
    )
    before = dict(os.environ)
    with Sandbox(example(), remote.clock, remote) as sandbox:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(environment(folder, sandbox, store))
        connections.cache_clear()
        try:
            _play(demo._Stage(repository=repository, sandbox=sandbox, story={}))  # noqa: SLF001
            yield repository
        finally:
            connections.cache_clear()
            os.environ.clear()
            os.environ.update(before)


def _play(stage: demo._Stage) -> None:
    for day in range(4):
        at = Instant(START + day * DAY)
        assert collect(stage.options(at, stream="config")).code is Exit.FINE
        stage.repository.push("origin", "HEAD:refs/heads/main")
    at = Instant(at + DAY)
    library = Programme(stage.repository).library
    assessment = library.assessments[NAME]
    framework = library.frameworks[assessment.framework]
    for number, control in enumerate(framework.requirements["3.4"].controls):
        person = library.members(library.controls[control].owner)[0]
        said = {control: f"Control {control} is mine, and it ran as described."}
        when = Instant(at + number * 2 * HOUR)
        demo._attestations(stage, when, NAME, said, person)  # noqa: SLF001
    at = Instant(at + DAY)
    _reviews(stage, at)
    words = {"conclusion": "satisfied", "statement": "I read the evidence of the days."}
    batch = {"person": "m-lindqvist", "requirements": {"3.4": words}}
    demo._signoffs(stage, Instant(at + HOUR), batch)  # noqa: SLF001
    at = Instant(at + DAY)
    _reviews(stage, at)
    stage.sandbox.set_clock(Instant(at + HOUR))
    release(stage.options(Instant(at + HOUR), assessment=NAME, push=True))


def _reviews(stage: demo._Stage, at: Instant) -> None:
    collect(stage.options(at, stream="reviews"))
    stage.repository.push("origin", "HEAD:refs/heads/main")


def checked(played: Repository, **options: object) -> tuple[Exit, str]:
    bundle = played.root / "build" / f"{NAME}.zip"
    given = parser().parse_args(["verify", str(bundle), "--quiet"])
    outcome = verify(Namespace(**{**vars(given), **options}))
    return outcome.code, outcome.text


@pytest.mark.slow
def test_every_object_is_locked_and_recorded(played: Repository, store: Store) -> None:
    runs = Programme(played).ledger.runs
    assert [run.vault for run in runs["config"]] == ["s3"] * 4
    objects = [stored for run in runs["config"] for stored in run.objects]
    assert {stored.bucket for stored in objects} == {BUCKET}
    assert {stored.lock_mode for stored in objects} == {"COMPLIANCE"}
    assert {stored.lock_until for stored in objects} == {UNTIL}
    vault = S3Vault(f"s3://{BUCKET}/team", store.client())
    for stored in objects:
        body, lock = vault.examine(stored.key, stored.version_id)
        assert len(body) == stored.size
        assert lock.mode == "COMPLIANCE"
    manifests = vault.keys("ledger/")
    assert "ledger/checkpoints/000001.json" in manifests
    for key in manifests:
        path = key.replace("ledger/", "evidence/", 1)
        assert vault.get(key) == played.files_at("HEAD")[path]


@pytest.mark.slow
def test_the_bundle_verifies_offline_and_online(
    played: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = checked(played)
    assert code is Exit.FINE, text
    assert "it was not asked (--online)" in text
    monkeypatch.setenv("AWS_PROFILE", "reader")
    code, text = checked(played, online=True, vault=f"s3://{BUCKET}/team")
    assert code is Exit.FINE, text
    assert "ok   online (" in text
    assert "its name came from the bundle (--vault)" not in text


@pytest.mark.slow
@pytest.mark.threat("T06")
@pytest.mark.threat("T07")
def test_what_was_done_to_the_vault_since_is_on_the_report(
    played: Repository, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "reader")
    run = Programme(played).ledger.config[1]
    first, last = run.objects[0].key, "team/ledger/config/000002.json"
    store.client().delete_object(Bucket=BUCKET, Key=first)
    store.client().put_object(Bucket=BUCKET, Key=last, Body=b"{}")
    code, text = checked(played, online=True)
    assert code is Exit.FOUND, text
    assert f"{first}: sign of tampering: a delete marker" in text
    assert "000002.json: sign of tampering: another version" in text
    # Collecting goes on from what was first, and says nothing else happened.
    assert (
        S3Vault(f"s3://{BUCKET}/team", store.client()).get("ledger/config/000002.json")
        == played.files_at("HEAD")["evidence/config/000002.json"]
    )
