# SPDX-License-Identifier: Apache-2.0
"""What our workflows may do, and what zizmor says of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from controlbook.git import Repository

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / ".github/workflows"
BIN = Path(sys.executable).parent
NAMES = ("check", "collect", "publish", "report", "retain")
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")

Tree = dict[str, Any]
WORKFLOWS: dict[str, Tree] = {
    path.stem: YAML(typ="safe", pure=True).load(path)
    for path in sorted(FOLDER.glob("*.y*ml"))
}
JOBS: dict[str, Tree] = {
    f"{workflow}/{name}": job
    for workflow, tree in WORKFLOWS.items()
    for name, job in tree["jobs"].items()
}
STEPS: dict[str, Tree] = {
    f"{job}/{number}": step
    for job, tree in JOBS.items()
    for number, step in enumerate(tree["steps"])
}
every_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
every_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


def jobs_with(permission: str) -> set[str]:
    return {name for name, job in JOBS.items() if permission in job["permissions"]}


def test_there_are_five() -> None:
    assert tuple(WORKFLOWS) == NAMES


@pytest.mark.parametrize("tree", WORKFLOWS.values(), ids=WORKFLOWS)
def test_nothing_is_granted_at_the_top(tree: Tree) -> None:
    assert tree["permissions"] == {}


@every_job
def test_job_states_its_rights_and_its_limit(job: Tree) -> None:
    assert isinstance(job["permissions"], dict)
    assert job["timeout-minutes"] <= 60


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_by_commit_with_their_version(name: str) -> None:
    lines = (FOLDER / f"{name}.yml").read_text().splitlines()
    uses = [line.strip().removeprefix("- ") for line in lines if "uses:" in line]
    assert uses
    assert [line for line in uses if not PINNED.match(line)] == []


def test_an_action_has_one_pin() -> None:
    pins = {step["uses"] for step in STEPS.values() if "uses" in step}
    assert len(pins) == len({pin.partition("@")[0] for pin in pins})


@every_step
def test_no_expression_in_a_script(step: Tree) -> None:
    assert "${{" not in step.get("run", "")


@every_step
def test_checkout_leaves_no_credentials(step: Tree) -> None:
    if step.get("uses", "").startswith("actions/checkout@"):
        assert step["with"]["persist-credentials"] is False


@every_step
def test_installs_go_through_make(step: Tree) -> None:
    """The Makefile installs with hashes; see test_makefile.py."""
    assert not re.search(r"\b(pip|uv|npm|apt-get)\b", step.get("run", ""))


@every_step
def test_no_cache_and_no_foreign_trigger(step: Tree) -> None:
    assert "actions/cache" not in step.get("uses", "")
    assert "cache" not in step.get("with", {})


def test_pull_requests_run_without_rights() -> None:
    assert set(WORKFLOWS["check"]["on"]) == {"pull_request"}
    assert "pull_request_target" not in str(WORKFLOWS)
    for job in WORKFLOWS["check"]["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert "secrets." not in str(job)


def test_identity_tokens_only_in_named_environments() -> None:
    environments = {name: JOBS[name]["environment"] for name in jobs_with("id-token")}
    assert environments.pop("publish/deploy")["name"] == "github-pages"
    assert environments == {
        "collect/checkpoint": "collect",
        "collect/collect": "collect",
        "publish/build": "vault-read",
        "report/build": "vault-read",
        "retain/retain": "vault-retain",
    }


def test_collectors_role_and_key_only_in_collect() -> None:
    texts = {name: (FOLDER / f"{name}.yml").read_text() for name in NAMES}
    for word in ("AWS_COLLECTOR_ROLE", "secrets."):
        assert [name for name, text in texts.items() if word in text] == ["collect"]


def test_jobs_that_publish_run_no_code_of_the_repository() -> None:
    for name in ("publish/deploy", "report/attach"):
        job = JOBS[name]
        assert "actions/checkout" not in str(job)
        assert len([step for step in job["steps"] if "run" in step]) <= 1
    writers = {
        name for name, job in JOBS.items() if "write" in job["permissions"].values()
    }
    assert writers - jobs_with("id-token") == {"report/attach"}


def test_each_stream_has_its_queue() -> None:
    job = JOBS["collect/collect"]
    assert job["strategy"]["matrix"]["stream"] == [
        "config",
        "cloudtrail",
        "snapshot",
        "security-hub",
        "audit-manager",
        "reviews",
    ]
    assert job["concurrency"] == {
        "group": "collect-${{ matrix.stream }}",
        "cancel-in-progress": False,
    }
    assert WORKFLOWS["collect"]["on"]["schedule"] == [{"cron": "0 6 * * *"}]


def script_of(job: str, name: str) -> str:
    (step,) = (each for each in JOBS[job]["steps"] if each.get("name") == name)
    return str(step["run"])


def test_a_checkpoint_follows_the_streams_where_the_owner_says_so() -> None:
    job = JOBS["collect/checkpoint"]
    assert job["needs"] == "collect"
    assert job["if"] == "${{ !cancelled() && vars.CHECKPOINTS == 'daily' }}"
    # It commits what it wrote, so it reads and queues as the collector does.
    assert job["steps"][0]["with"]["ref"] == "main"


@pytest.mark.parametrize("key", ["", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----"])
def test_the_checkpoints_key_is_a_file_that_only_the_job_reads(
    key: str, tmp_path: Path
) -> None:
    program = tmp_path / ".venv" / "bin" / "controlbook"
    program.parent.mkdir(parents=True)
    program.write_text(
        '#!/bin/sh\necho "$@"\n[ -z "$CONTROLBOOK_SIGNING_KEY" ] ||'
        ' { stat -c %a "$CONTROLBOOK_SIGNING_KEY"; cat "$CONTROLBOOK_SIGNING_KEY"; }\n'
    )
    program.chmod(0o755)
    script = script_of("collect/checkpoint", "Write the checkpoint")
    summary = tmp_path / "summary"
    subprocess.run(
        ["/bin/bash", "-e", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "KEY": key,
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_STEP_SUMMARY": str(summary),
        },
        check=True,
    )
    due = f"checkpoint\n600\n{key}\n" if key else "checkpoint\n"
    assert summary.read_text() == due


@pytest.mark.parametrize("job", ["collect/collect", "collect/checkpoint"])
def test_a_runner_without_an_identity_can_commit(job: str, tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "APP": "collector"}
    subprocess.run(["/usr/bin/git", "init", "-q", tmp_path], env=env, check=True)
    subprocess.run(
        ["/bin/bash", "-ec", script_of(job, "Say who commits")],
        cwd=tmp_path,
        env=env,
        check=True,
    )
    author = Repository(tmp_path).configured_author()
    assert author == ("collector[bot]", "collector[bot]@users.noreply.github.com")


def test_site_is_published_only_where_the_owner_says_so() -> None:
    assert JOBS["publish/build"]["if"] == "vars.PUBLISH_SITE == 'yes'"
    assert JOBS["publish/deploy"]["needs"] == "build"


def test_report_is_verified_before_it_is_attached() -> None:
    runs = [step.get("run", "") for step in JOBS["report/build"]["steps"]]
    build = runs.index(".venv/bin/controlbook build")
    assert runs[build + 1] == ".venv/bin/controlbook verify build/*.zip"
    assert JOBS["report/attach"]["needs"] == "build"


@pytest.mark.threat("T84")
def test_zizmor_finds_nothing() -> None:
    result = subprocess.run(
        [BIN / "zizmor", "--offline", "--no-progress", FOLDER],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


HEAD = "name: bad\non: {trigger}\n{rights}jobs:\n  a:\n"
NONE = "permissions: {}\n"
BAD = {
    "template-injection": (
        "pull_request",
        NONE,
        "      - run: echo ${{ github.event.pull_request.title }}\n",
    ),
    "dangerous-triggers": ("pull_request_target", NONE, "      - run: make test\n"),
    "unpinned-uses": (
        "push",
        NONE,
        "      - uses: actions/checkout@v4\n        with:\n"
        "          persist-credentials: false\n",
    ),
    "excessive-permissions": ("push", "", "      - run: make test\n"),
    "cache-poisoning": (
        "release",
        NONE,
        "      - uses: actions/setup-node@cdca7365b2dadb8aad0a33bc7601856ffabcc48e\n"
        "        with:\n          cache: npm\n"
        "      - uses: softprops/action-gh-release@"
        "c062e08bd532815e2082a85e87e3ef29c3e6d191\n",
    ),
    "artipacked": (
        "push",
        NONE,
        "      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683\n",
    ),
}


@pytest.mark.threat("T84")
@pytest.mark.parametrize("kind", BAD)
def test_t84_zizmor_refuses_a_bad_workflow_of_each_kind(
    kind: str, tmp_path: Path
) -> None:
    trigger, rights, step = BAD[kind]
    head = HEAD.replace("{trigger}", trigger).replace("{rights}", rights)
    text = f"{head}    runs-on: ubuntu-24.04\n    steps:\n{step}"
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "bad.yml").write_text(text)
    result = subprocess.run(
        [BIN / "zizmor", "--offline", "--no-progress", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert kind in result.stdout


@pytest.mark.threat("T37")
def test_t37_what_the_collector_installs_has_hashes() -> None:
    root = Path(__file__).parents[3]
    makefile = (root / "Makefile").read_text("utf-8")
    installs = [line for line in makefile.splitlines() if "$(INSTALL)" in line]
    assert len(installs) >= 4
    for line in installs:
        # Our own code is in the checkout; everything else has to match a hash.
        own = "--no-deps" in line and "--editable ." in line
        assert own or "--require-hashes" in line, line
    collect = (root / ".github" / "workflows" / "collect.yml").read_text("utf-8")
    assert "make product" in collect
    assert "pip install" not in collect
