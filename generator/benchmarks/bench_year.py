# SPDX-License-Identifier: Apache-2.0
"""Print what a ledger of many big days costs whoever reads it.

Run with `python generator/benchmarks/bench_year.py [--accounts 200] [--days 30]`. The
ledger is made once, in build/bench-year, by the real collector from a made-up source
(`year_world.py` says what is synthetic); each figure is a process of its own. One
assessment has four of the accounts, the other one all. There is no network: the vault
is a folder, so downloads are not in the figures. CPU seconds stand beside those on the
clock, which a busy machine stretches. Nothing here has a goal: read it by size. What
grows with accounts × days alone is also said for a thousand accounts over a quarter:
a line through nothing, so that it is too high by what is done once.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import released  # type: ignore[import-not-found] # of the tests, on the path above
from year_world import START, Sizes, Year, clock_of

from controlbook import cli
from controlbook.collect import Collector
from controlbook.crosscheck import OurRecord
from controlbook.git import Repository
from controlbook.programme import Programme
from controlbook.render.bundle import publish, write_bundle
from controlbook.render.manifest import tag_message
from controlbook.sources.head import head_of
from controlbook.timeline import DAY, Instant, iso
from controlbook.vault.directory import DirectoryVault
from controlbook.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from controlbook.sources import Past, Source
    from controlbook.timeline import Interval

FOUR, ALL = "four", "all"
MAPPED = 5
"""So many of the rules stand in a control."""
ROOT = Path(__file__).parents[2] / "build" / "bench-year"


# --- the programme --------------------------------------------------------------------


def assessment(name: str, sizes: Sizes, accounts: int) -> str:
    """Scope the first so many accounts."""
    numbers = sorted({account for account, _ in sizes.places})[:accounts]
    given = ", ".join(f'a{n}: "{number}"' for n, number in enumerate(numbers))
    regions = ", ".join(f'"{r}"' for r in sorted({r for _, r in sizes.places}))
    end = iso(Instant(START + sizes.days * DAY))
    return f"""id: "{name}"
title: "{accounts} accounts"
entity: "Example"
framework: "pci-dss-3.2.1"
period: {{start: "{iso(START)}", end: "{end}"}}
accounts: {{{given}}}
regions: [{regions}]
requirements: ["3.4", "9.9"]
excluded: {{"3.10": "Not part of this.", "12.1": "Not part of this."}}
assessors: {{default: "a-okafor"}}
retention: {{until: "2035-04-01T00:00:00Z"}}
"""


def framework() -> str:
    """Map one requirement to the rules."""
    text: str = released.FRAMEWORK
    return text.replace('["policy-kept"]', '["buckets-encrypted"]')


def control() -> str:
    """Name some of the rules."""
    rows = "".join(
        f'  - config: "baseline-rule-{n:03d}"\n    custom: "lambda"\n'
        for n in range(MAPPED)
    )
    return f"{released.ENCRYPTED.partition('evidence:')[0]}evidence:\n{rows}"


def lay_down(folder: Path, sizes: Sizes) -> Repository:
    """Write the human files."""
    repository = Repository.create(folder / "programme")
    files = {
        "signoffs/people.yml": released.PEOPLE,
        "controls/buckets-encrypted.yml": control(),
        "frameworks/pci-dss-3.2.1.yml": framework(),
        f"signoffs/{FOUR}/assessment.yml": assessment(FOUR, sizes, 4),
        f"signoffs/{ALL}/assessment.yml": assessment(ALL, sizes, sizes.accounts),
        ".github/CODEOWNERS": released.OWNERS,
        "pyproject.toml": released.SETTINGS,
    }
    repository.write_and_commit(
        {path: text.encode() for path, text in files.items()},
        "Lay the programme down\n",
        at=Instant(START - 3 * DAY),
        author=released.BOT,
    )
    return repository


def make(folder: Path, sizes: Sizes) -> dict[str, float]:
    """Collect every day; give the seconds and the bytes of a day."""
    repository = lay_down(folder, sizes)
    vault = DirectoryVault(folder / "vault")
    now = [START]
    library = Programme.open(folder / "programme").library

    def commit(files: Mapping[str, bytes], message: str) -> None:
        git.update(files)
        repository.write_and_commit(
            files, f"{message}\n", at=now[0], author=released.BOT
        )

    git: dict[str, bytes] = {}
    now[0] = clock_of(sizes.days)
    began = time.process_time()
    Collector(
        library=library,
        vault=vault,
        clock=lambda: now[0],
        commit=commit,
        about=(("name", "controlbook"), ("version", "1.0.0")),
    ).collect(Year(sizes), git)
    spent = time.process_time() - began
    stored = sum(
        path.stat().st_size for path in (folder / "vault").rglob("*") if path.is_file()
    )
    return {
        "seconds_a_day": spent / (sizes.days + 1),
        "git_bytes_a_day": sum(map(len, git.values())) / len(git),
        "vault_bytes": stored,
    }


# --- what is measured -----------------------------------------------------------------


class Head:
    """A source that looks at the head of the chain, as ours do, and reads nothing."""

    stream = "config"

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Look at what the last run left."""
        head = head_of(past)
        if not head.collected or not head.all_rules or now < START:
            message = "there is no head"
            raise RuntimeError(message)
        return ()

    def read(self, windows: object, past: Past, now: Instant) -> object:
        """Never asked."""
        raise NotImplementedError(windows, past, now)


def collect(folder: Path) -> str:
    """Do what a daily collection does before it asks AWS anything."""
    programme = Programme.collecting(folder / "programme")
    source: Source = Head()  # type: ignore[assignment] # reads nothing
    Collector(
        library=programme.library,
        vault=programme.vault,
        clock=lambda: clock_of(400),
        commit=lambda _files, _message: None,
        about=(),
    ).collect(source, programme.files)
    return ""


def command(*words: str) -> Callable[[Path], str]:
    """Run a verb of the command line in this process."""

    def run(folder: Path) -> str:
        os.chdir(folder / "programme")
        outcome = cli.run(list(words))
        return f"exit {int(outcome.code)}"

    return run


def findings(name: str) -> Callable[[Path], str]:
    """Derive the findings of an assessment."""

    def run(folder: Path) -> str:
        found = Programme.open(folder / "programme").findings(name)
        return (
            f"{len(found.deviations)} deviations, {len(found.gaps)} gaps,"
            f" {len(found.unmapped)} unmapped"
        )

    return run


def bundled(name: str) -> Callable[[Path], str]:
    """Release an assessment that nobody signed, with stubs for site and PDF."""

    def run(folder: Path) -> str:
        programme = Programme.open(folder / "programme")
        out = folder / f"build-{name}"
        site = out / "site"
        site.mkdir(parents=True, exist_ok=True)
        (site / "index.html").write_text("<!doctype html><title>stub</title>\n")
        (out / f"{name}.pdf").write_bytes(b"%PDF-1.7 stub\n")
        report = programme.report(name, release=name, toolchain={"python": "3.11"})
        publication = publish(
            report, site=site, pdf=out / f"{name}.pdf", files=programme.files
        )
        if name not in programme.repository.tags():
            programme.repository.tag(
                name,
                programme.commit,
                tag_message(publication.release),
                at=clock_of(400),
                author=released.BOT,
            )
        path = write_bundle(
            publication,
            report,
            repository=programme.repository,
            vault=programme.vault,
            files=programme.files,
            out=out,
        )
        with zipfile.ZipFile(path) as archive:
            ours = [e for e in archive.infolist() if "/packs/" in e.filename]
            ours += [e for e in archive.infolist() if "/lists/" in e.filename]
        size = sum(entry.compress_size for entry in ours)
        return (
            f"{path.stat().st_size / 1e6:.1f} MB, of which lists and packs"
            f" {size / 1e6:.1f}"
        )

    return run


def compared(folder: Path) -> str:
    """Lay our record out, as the comparison with Audit Manager does."""
    programme = Programme.open(folder / "programme")
    ledger = programme.ledger_by_account
    record = OurRecord.of(ledger, programme.opened(ledger.config[0]))
    return f"{sum(map(len, record.told.values())) // 3} judged pieces"


def verified(name: str, *, raw: bool = False) -> Callable[[Path], str]:
    """Verify the bundle; where asked, with the vault's copy beside it."""

    def run(folder: Path) -> str:
        bundle = folder / f"build-{name}" / f"{name}.zip"
        verdict = verify(bundle, raw=folder / "vault" if raw else None)
        wrong = [check.name for check in verdict.checks if not check.ok]
        return f"exit {int(verdict.code)}, open: {', '.join(wrong) or 'nothing'}"

    return run


def verified_alone(name: str) -> Callable[[Path], str]:
    """Verify the bundle with the verifier inside, by the standard library alone."""

    def run(folder: Path) -> str:
        with tempfile.TemporaryDirectory() as out:
            with zipfile.ZipFile(folder / f"build-{name}" / f"{name}.zip") as archive:
                archive.extractall(out)
            done = subprocess.run(
                [sys.executable, f"{out}/{name}/verify.py"],
                check=False,
                capture_output=True,
                text=True,
            )
        return done.stdout.splitlines()[-1] if done.stdout else done.stderr[-200:]

    return run


STEPS: dict[str, Callable[[Path], str]] = {
    "collect": collect,
    f"findings {FOUR}": findings(FOUR),
    f"status {FOUR}": command("status", FOUR),
    f"bundle {FOUR}": bundled(FOUR),
    f"verify {FOUR}": verified(FOUR),
    f"verify.py {FOUR}": verified_alone(FOUR),
    f"raw {FOUR}": verified(FOUR, raw=True),
    "our record": compared,
    f"findings {ALL}": findings(ALL),
    "check": command("check"),
    f"bundle {ALL}": bundled(ALL),
    f"verify {ALL}": verified(ALL),
    f"verify.py {ALL}": verified_alone(ALL),
}


GROWING = (f"findings {ALL}", "our record")
"""Steps whose time grows with accounts × days."""


def peak_mib() -> int:
    """Give the largest resident size of this process; a parent's is not counted."""
    text = Path("/proc/self/status").read_text()
    (line,) = [row for row in text.splitlines() if row.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def step(name: str, folder: Path) -> None:
    """Do one thing and print what it took, as JSON."""
    gc.set_threshold(cli.GARBAGE)
    clock, spent = time.perf_counter(), time.process_time()
    text = STEPS[name](folder)
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    row = {
        "seconds": time.perf_counter() - clock,
        "cpu": time.process_time() - spent + child.ru_utime,
        "mib": max(peak_mib(), child.ru_maxrss // 1024),
        "said": text,
    }
    print("\n" + json.dumps(row))


def main() -> int:
    """Make the ledger where it is not there; measure; print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in vars(Sizes()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--steps", default=",".join(STEPS), help="which, by commas")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=ROOT)
    parser.add_argument("--limit", type=int, default=900, help="seconds a step")
    options = vars(parser.parse_args())
    one, folder, limit = (
        options.pop("step"),
        options.pop("folder"),
        options.pop("limit"),
    )
    wanted = [name for name in options.pop("steps").split(",") if name]
    sizes = Sizes(**options)
    place = folder / sizes.name
    if one:
        step(one, place)
        return 0
    print(
        f"{sizes.accounts} accounts × {sizes.regions} Regions × {sizes.rules} rules,"
        f" {len(sizes.places) * sizes.moves} transitions a day, {sizes.days} days"
    )
    done = place / "made.json"
    if not done.exists():
        done.parent.mkdir(parents=True)
        done.write_text(json.dumps(make(place, sizes)))
    for key, value in json.loads(done.read_text()).items():
        print(f"{key}: {value:,.1f}")
    for name in wanted:
        print(f"{name:16} {measured(name, sizes, folder, limit)}", flush=True)
    return 0


def measured(name: str, sizes: Sizes, folder: Path, limit: int) -> str:
    """Take one step in a process of its own."""
    given = [f"--{key}={value}" for key, value in vars(sizes).items()]
    command = [sys.executable, __file__, f"--step={name}", f"--folder={folder}", *given]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return f"not within {limit} s"
    lines = done.stdout.strip().splitlines()
    try:
        row = json.loads(lines[-1])
    except (IndexError, ValueError):
        return f"failed: {done.stderr.strip()[-300:]}"
    by_size = ""
    if name in GROWING:
        each = row["cpu"] / (sizes.accounts * (sizes.days + 1))
        by_size = (
            f"\n{'':16} {each * 1000:7.1f} ms an account and day:"
            f" {each * 1000 * 91 / 60:.0f} CPU minutes at 1,000 accounts × 90 days"
        )
    return (
        f"{row['seconds']:7.1f} s, CPU {row['cpu']:7.1f} s, {row['mib']:6,} MiB"
        f"  {row['said']}{by_size}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
