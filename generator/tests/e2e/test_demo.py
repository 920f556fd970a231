# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest
from played import controlbook  # type: ignore[import-not-found]
from pypdf import PdfReader

if TYPE_CHECKING:
    from pathlib import Path

    from played import Demo

FLIP = "2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z"


def git(repository: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=repository, capture_output=True, text=True, check=True
    ).stdout


def page(demo: Demo, path: str) -> str:
    text = (demo.out / "site" / path / "index.html").read_text("utf-8")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))


def printed(paper: Path) -> str:
    """Read the words of a PDF."""
    return "\n".join(sheet.extract_text() for sheet in PdfReader(paper).pages)


def test_the_summary_says_what_is_signed_and_what_deviated(demo: Demo) -> None:
    assert "PCI-2028-Q1: 24 signed, 3 signed with deviations" in demo.said
    assert FLIP in demo.said
    assert "redshift-cluster-kms-enabled (insufficient-data)" in demo.said
    assert "verified here: verified: everything checked holds (exit 0)" in demo.said


def test_ninety_two_runs_are_ninety_two_commits(demo: Demo) -> None:
    runs = sorted((demo.repository / "evidence" / "config").iterdir())
    assert [run.name for run in runs] == [f"{n:06d}.json" for n in range(1, 93)]
    for run in runs[:3]:
        log = git(demo.repository, "log", "--format=%H", "--", str(run))
        assert len(log.split()) == 1
    assert max(run.stat().st_size for run in runs[1:]) < 16 * 1024


def test_every_change_came_through_a_reviewed_merge(demo: Demo) -> None:
    done = controlbook("check", "-C", demo.repository)
    assert (done.returncode, done.stdout) == (0, "everything is in order\n")


def test_the_five_minutes_are_exact_and_never_rounded_up(demo: Demo) -> None:
    text = page(demo, "PCI-2028-Q1/3.4")
    assert "46 of 47 S3 buckets in 4 accounts" in text
    assert "stale-backup-archive was non-compliant for 5 min" in text
    assert "2028-02-14T03:12Z" in text
    assert "2028-02-14T03:17Z" in text
    assert "PCI-4432" in text
    assert "All 47 S3 buckets" not in text


def test_all_is_said_only_where_it_is_true(demo: Demo) -> None:
    assert "All 47 S3 buckets in 4 accounts were compliant for the whole period." in (
        page(demo, "PCI-2028-Q1/1.3.6")
    )


def test_users_that_were_created_are_counted_and_the_count_is_vouched_for(
    demo: Demo,
) -> None:
    text = page(demo, "SOC2-2028-H1/CC6.2")
    assert "5 CreateUser events in 4 accounts" in text
    assert "userName=artifact-uploader" in text
    assert "signed digests" in text


def test_the_tag_names_the_facts_root_that_everything_prints(demo: Demo) -> None:
    message = git(demo.repository, "tag", "-l", "--format=%(contents)", "PCI-2028-Q1")
    root = re.search(r"facts-root: ([0-9a-f]{64})", message)
    assert root
    manifest = json.loads((demo.out / "manifest.json").read_bytes())
    assert manifest["facts_root"] == root[1]
    assert root[1] in page(demo, "verify")
    assert root[1] in re.sub(r"\s+", "", printed(demo.out / "PCI-2028-Q1.pdf"))


def test_an_unfinished_assessment_says_what_it_waits_for(demo: Demo) -> None:
    done = controlbook("status", "SOC2-2028-H1", "--json", "-C", demo.repository)
    assert done.returncode == 1
    (shown,) = json.loads(done.stdout)["assessments"]
    rows = {row["requirement"]: row for row in shown["requirements"]}
    assert {row["status"] for row in rows.values()} == {"collecting"}
    assert rows["CC6.3"]["interim"] == "stale"
    assert rows["CC6.4"]["waiting"] == [{"person": "m-lindqvist", "for": "sign CC6.4"}]
    assert rows["CC7.2"]["unannotated"]
    assert "DRAFT" in page(demo, "SOC2-2028-H1/CC7.2")


def test_every_page_says_demo(demo: Demo) -> None:
    pages = list((demo.out / "site").rglob("index.html"))
    assert len(pages) > 60
    silent = [p for p in pages if "DEMO" not in p.read_text("utf-8")]
    assert silent == []


def test_the_bundle_verifies_with_raw_evidence_and_without_us(
    demo: Demo, tmp_path: Path
) -> None:
    done = controlbook("verify", demo.bundle, "--raw", demo.vault)
    assert done.returncode == 0, done.stdout
    assert "not checked:" in done.stdout
    with zipfile.ZipFile(demo.bundle) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "PCI-2028-Q1"
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
    alone = subprocess.run(
        ["python3", "-I", "verify.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert alone.returncode == 0, alone.stdout + alone.stderr
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", folder / "repo.bundle", clone], check=True)


@pytest.mark.slow
def test_a_second_build_elsewhere_gives_the_same_bytes(
    demo: Demo, tmp_path: Path
) -> None:
    """Another folder, HOME, umask, locale, time zone, and a repacked clone."""
    clone = tmp_path / "elsewhere"
    git(tmp_path, "clone", "-q", str(demo.repository), str(clone))
    git(clone, "gc", "-q", "--aggressive", "--prune=now")
    git(clone, "checkout", "-q", "PCI-2028-Q1")
    shutil.copytree(demo.vault, tmp_path / demo.vault.name)
    (tmp_path / "home").mkdir()
    before = os.umask(0o077)
    try:
        done = controlbook(
            "build",
            "PCI-2028-Q1",
            cwd=clone,
            HOME=str(tmp_path / "home"),
            TZ="Asia/Tokyo",
            LANG="tr_TR.UTF-8",
            LC_ALL="C.UTF-8",
            PYTHONHASHSEED="7",
        )
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    assert _bytes(clone / "build") == _bytes(demo.out)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_failing_build_leaves_what_was_there(demo: Demo, tmp_path: Path) -> None:
    clone = tmp_path / "demo"
    git(tmp_path, "clone", "-q", str(demo.repository), str(clone))
    shutil.copytree(demo.vault, tmp_path / demo.vault.name)
    control = clone / "controls" / "pan-encrypted-at-rest.yml"
    control.write_text(control.read_text() + "colour: blue\n")
    git(clone, "-c", "user.name=x", "-c", "user.email=x", "commit", "-qam", "break")
    (clone / "build").mkdir()
    (clone / "build" / "manifest.json").write_text("kept")
    done = controlbook("build", "PCI-2028-Q1", "--draft", cwd=clone)
    assert done.returncode == 2
    assert re.match(r"controls/pan-encrypted-at-rest\.yml:\d+: ", done.stderr)
    assert _bytes(clone / "build") == {"manifest.json": b"kept"}
    assert [path.name for path in clone.glob(".build-*")] == []


@pytest.mark.slow
def test_licensed_text_reaches_the_site_of_an_internal_draft_and_nothing_else(
    demo: Demo, tmp_path: Path
) -> None:
    clone = tmp_path / "demo"
    git(tmp_path, "clone", "-q", str(demo.repository), str(clone))
    shutil.copytree(demo.vault, tmp_path / demo.vault.name)
    text = clone / "licensed" / "pci-dss-3.2.1" / "3.4.md"
    text.parent.mkdir(parents=True)
    text.write_text("Zyzzyva, licensed to us alone.")
    (clone / ".git" / "info" / "exclude").write_text("licensed/\nbuild/\n")
    # At the tag, with the text in its folder: the same bytes as without it.
    git(clone, "checkout", "-q", "PCI-2028-Q1")
    done = controlbook("build", "PCI-2028-Q1", cwd=clone)
    assert done.returncode == 0, done.stderr
    assert _bytes(clone / "build") == _bytes(demo.out)
    settings = clone / "pyproject.toml"
    head = "[tool.controlbook]\n"
    named = f'{head}licensed-text = "licensed"\n'
    settings.write_text(settings.read_text().replace(head, named))
    git(clone, "-c", "user.name=x", "-c", "user.email=x", "commit", "-qam", "name it")
    done = controlbook("build", "PCI-2028-Q1", "--draft", "--internal", cwd=clone)
    assert done.returncode == 0, done.stderr
    made = _bytes(clone / "build")
    holding = {path for path, body in made.items() if b"Zyzzyva" in body}
    assert "site/PCI-2028-Q1/3.4/index.html" in holding
    assert all(path.startswith("site/") for path in holding)
    assert not any(path.endswith(".zip") for path in made)
    assert "Zyzzyva" not in printed(clone / "build" / "PCI-2028-Q1.pdf")
    assert "INTERNAL" in made["site/PCI-2028-Q1/3.4/index.html"].decode()


def test_an_unreleased_commit_is_built_as_a_draft_only(
    demo: Demo, tmp_path: Path
) -> None:
    clone = tmp_path / "demo"
    git(tmp_path, "clone", "-q", str(demo.repository), str(clone))
    git(clone, "checkout", "-q", "PCI-2028-Q1~1")
    done = controlbook("build", "PCI-2028-Q1", cwd=clone)
    assert done.returncode == 2
    assert "is not released at this commit" in done.stderr


def test_releasing_again_or_too_early_is_refused(demo: Demo) -> None:
    again = controlbook("release", "PCI-2028-Q1", "-C", demo.repository)
    assert (again.returncode, "is released already" in again.stderr) == (2, True)
    early = controlbook("release", "SOC2-2028-H1", "-C", demo.repository)
    assert early.returncode == 1
    assert "CC7.2 is collecting" in early.stderr


def test_collecting_again_the_same_day_finds_nothing_due(demo: Demo) -> None:
    done = controlbook(
        "collect", "--as-of", "2028-04-01T06:00:00Z", "-C", demo.repository
    )
    assert (done.returncode, done.stdout) == (0, "config: nothing is due\n")


@pytest.mark.parametrize("name", ["mine", "elses"])
def test_the_demo_replaces_only_what_a_demo_made(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    done = controlbook("demo", "--dir", folder)
    assert done.returncode == 2
    assert "no demo made it" in done.stderr
    assert (folder / "thesis.txt").exists()


def test_outputs_can_be_read_by_others(demo: Demo) -> None:
    modes = {
        stat.S_IMODE(path.stat().st_mode)
        for path in (demo.out / "site").rglob("*")
        if path.is_file()
    }
    assert modes == {0o644}


def test_audit_manager_is_kept_and_contradicts_on_the_pages_concerned(
    demo: Demo,
) -> None:
    text = page(demo, "PCI-2028-Q1/audit-manager")
    assert "Of 1,768 verdicts that it took from AWS Config, 2 contradict our" in text
    assert "see NET-881" in text
    assert "from 2030-03-01, all by 2030-03-31" in text
    for concerned in ("PCI-2028-Q1/10.1", "controls/network-flows-recorded"):
        assert "CONFLICT 2 verdicts of Audit Manager" in page(demo, concerned)
    assert "CONFLICT" not in page(demo, "PCI-2028-Q1/3.4")
    runs = sorted((demo.repository / "evidence" / "audit-manager").iterdir())
    assert max(run.stat().st_size for run in runs) < 16 * 1024
    table = (demo.out / "data" / "disagreements.csv").read_text("utf-8")
    assert [line.split(",")[0] for line in table.splitlines()[1:]] == [
        "2028-03-08T23:59:59Z",
        "2028-03-09T23:59:59Z",
    ]


def test_digests_that_came_late_closed_their_gap_by_a_correction(demo: Demo) -> None:
    folder = demo.repository / "evidence" / "cloudtrail"
    runs = [json.loads(path.read_bytes()) for path in sorted(folder.iterdir())]
    torn = [run for run in runs if run["coverage"].get("missing")]
    (mended,) = [run for run in runs if run["kind"] == "correction"]
    assert [run["window"] for run in torn] == [mended["window"]]
    assert mended["corrects"] == torn[0]["seq"]
    text = page(demo, "SOC2-2028-H1/CC6.2")
    assert f"cloudtrail {mended['seq']} correction" in text
    assert "no CreateUser" not in text


def test_what_fails_in_security_hub_and_trusted_advisor_are_shown(demo: Demo) -> None:
    text = page(demo, "SOC2-2028-H1/CC7.2")
    assert re.search(r"EC2.6 vpc-0b7e61d2 \w+ fails since 2028-03-05T09:00Z", text)
    text = page(demo, "SOC2-2028-H1/CC6.1")
    assert "support: DescribeTrustedAdvisorCheckResult" in text.replace(
        "support:Desc", "support: Desc"
    )
    assert "56 answers from 4 places of 4" in text
