# SPDX-License-Identifier: Apache-2.0
"""Print how long a long history takes: 300 requirements signed, 2,000 commits.

Run with `python generator/benchmarks/bench_history.py`. The goal: `check` under 3 s.
Builds its own repository: real merges by `git fast-import`, with the small programme
of the tests made wide. CPU seconds stand beside those on the clock, which a busy
machine stretches.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import released  # type: ignore[import-not-found] # of the tests, on the path above

from controlbook.cli import GARBAGE
from controlbook.digest import sha256
from controlbook.library import read
from controlbook.model import Pull, Review
from controlbook.programme import Programme
from controlbook.subjects import control_subject, requirement_subject
from controlbook.timeline import DAY, HOUR, Instant, Interval, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WIDE = 300
COMMITS = 2_000
DAYS = 91
ROUNDS = 5
PERSON = "x <x@example.com>"


class Wide(released.Example):  # type: ignore[misc] # the same
    """The small programme with 300 controls, 300 requirements and 91 days."""

    now: Instant

    def _first_commit(self) -> None:
        end = Instant(released.START + DAYS * DAY)
        numbers = ", ".join(f'"{n}"' for n in range(WIDE))
        scope = released.ASSESSMENT.replace(
            'end: "2028-02-17T', f'end: "{iso(end)[:11]}'
        )
        scope = scope.replace(
            'requirements: ["3.4", "9.9", "12.1"]', f"requirements: [{numbers}]"
        )
        scope = "".join(
            line for line in scope.splitlines(keepends=True) if "excluded" not in line
        )
        head = released.FRAMEWORK.partition("requirements:\n")[0]
        rows = "".join(
            f'  "{n}":\n    title: "Item {n}"\n    controls: ["c{n}"]\n'
            for n in range(WIDE)
        )
        files = {
            "signoffs/people.yml": released.PEOPLE,
            "frameworks/pci-dss-3.2.1.yml": f"{head}requirements:\n{rows}",
            f"signoffs/{released.NAME}/assessment.yml": scope,
            ".github/CODEOWNERS": released.OWNERS,
            "pyproject.toml": released.SETTINGS,
        }
        for n in range(WIDE):
            files[f"controls/c{n}.yml"] = released.ENCRYPTED.replace(
                'id: "buckets-encrypted"', f'id: "c{n}"'
            )
        self.repository.write_and_commit(
            {path: text.encode() for path, text in files.items()},
            "Lay the programme down\n",
            at=Instant(released.START - 3 * DAY),
            author=released.BOT,
        )

    def collect(self) -> None:
        """Collect every day of the period, and the day before it."""
        for day in range(-1, DAYS):
            start = Instant(released.START + day * DAY)
            self._day(Interval(start, Instant(start + DAY)))

    def land(self, changes: list[tuple[dict[str, bytes], str]]) -> None:
        """Merge one pull request a change, and capture the reviews of all of them."""
        self.now = Instant(self.now + HOUR)
        marks = self.root / "marks"
        subprocess.run(
            ["git", "fast-import", "--quiet", f"--export-marks={marks}"],
            cwd=self.repository.root,
            input=b"".join(self._stream(changes)),
            check=True,
        )
        names = dict(row.split(" ") for row in marks.read_text().splitlines())
        for n, (files, reviewer) in enumerate(changes):
            head, merge = names[f":{2 * n + 1}"], names[f":{2 * n + 2}"]
            self.pulls.append(self._pull(files, reviewer, head, merge))

    def _stream(self, changes: list[tuple[dict[str, bytes], str]]) -> Iterator[bytes]:
        stamp = f"{PERSON} {self.now // 1000} +0000"
        base = self.repository.resolve("main")
        for n, (files, _) in enumerate(changes):
            body = b"".join(
                b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
                for path, data in files.items()
            )
            for mark, branch, parents in (
                (2 * n + 1, "topic", f"from {base}"),
                (2 * n + 2, "main", f"from {base}\nmerge :{2 * n + 1}"),
            ):
                yield (
                    f"commit refs/heads/{branch}\nmark :{mark}\n"
                    f"committer {stamp}\ndata 1\nx\n{parents}\n"
                ).encode() + body
            base = f":{2 * n + 2}"

    def _pull(
        self, files: Mapping[str, bytes], reviewer: str, head: str, merge: str
    ) -> Pull:
        number = len(self.pulls) + 1
        user = {"j-moreau": "4100123", "a-okafor": "4100201"}[reviewer]
        review = Review(
            id=str(number),
            user_id=user,
            user_login=reviewer,
            user_type="User",
            state="APPROVED",
            commit=head,
            submitted=self.now,
        )
        return Pull(
            number=number,
            url=f"https://github.com/example/payments-compliance/pull/{number}",
            title="Change",
            author_id="4100901",
            author_login="controlbook[bot]",
            author_type="Bot",
            base=head,
            head=head,
            merge=merge,
            merged_by_id=user,
            merged_at=self.now,
            pushers=("4100901",),
            paths=tuple(sorted(files)),
            reviews=(review,),
            ruleset_sha256=sha256(b"ruleset"),
            rule_suite="pass",
        )


def build(root: Path) -> Wide:
    """Build the repository: collected, annotated, attested and signed."""
    made = Wide(root)
    made.collect()
    made.annotate()
    programme = made.programme
    ledger, found = programme.ledger, programme.findings(released.NAME)
    files = dict(programme.files)
    assessment = programme.assessment(released.NAME)
    made.now = Instant(made.now + DAY)
    changes: list[tuple[dict[str, bytes], str]] = []
    for kind, who, github_id, folder in (
        ("control", "j-moreau", "4100123", "controls"),
        ("requirement", "a-okafor", "4100201", "requirements"),
    ):
        library = read(files)
        for n in range(WIDE):
            name = f"c{n}" if kind == "control" else f"{n}"
            subject = control_subject if kind == "control" else requirement_subject
            own = found.controls if kind == "control" else found.requirements
            body = released.record(
                kind,
                name,
                who,
                github_id,
                at=made.now,
                base=programme.commit,
                ids=own[name].ids,
                subject=subject(library, found, ledger, assessment, name),
            )
            body = body.replace(b"I read the", b"For %s, I read the" % name.encode())
            path = f"signoffs/{released.NAME}/{folder}/{name}.yml"
            files[path] = body
            changes.append(({path: body}, who))
    line = len(made.repository.landed("main")) + 1  # and the run that captures
    changes += [
        ({"README.md": b"%d\n" % n}, "j-moreau")
        for n in range(COMMITS - line - len(changes))
    ]
    made.land(changes)
    made.capture()
    made.repository.git("reset", "--hard", "--quiet", "main")
    return made


def command(root: Path, *words: str) -> Callable[[], object]:
    """Give a run of the command line in a process of its own."""
    line = [sys.executable, "-m", "controlbook", *words]

    def work() -> None:
        done = subprocess.run(line, cwd=root, capture_output=True, check=False)
        if done.returncode not in {0, 1}:
            sys.exit(done.stderr.decode() or done.stdout.decode())

    return work


def median(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Give the medians of several rounds in seconds: on the clock, and of the CPU."""
    clock, spent = [], []
    for _ in range(rounds):
        start, before = time.perf_counter(), os.times()
        work()
        after = os.times()
        clock.append(time.perf_counter() - start)
        spent.append(sum(after[:4]) - sum(before[:4]))
    return statistics.median(clock), statistics.median(spent)


def main() -> int:
    """Build, measure, print; exit 1 where a goal is missed."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = options.parse_args().rounds
    gc.set_threshold(GARBAGE)  # as the command line does
    with tempfile.TemporaryDirectory() as folder:
        made = build(Path(folder))
        root = made.repository.root
        statuses = made.programme.statuses(released.NAME).values()
        signed = sum(bool(row.conclusion) for row in statuses)
        commits = len(made.repository.landed("main"))
        print(f"{signed} requirements signed, {commits} commits along first parents")
        if signed != WIDE or commits < COMMITS:
            print("that is not the repository that was to be measured")
            return 1
        fine = True
        for name, limit, work in (
            ("check", 3.0, command(root, "check")),
            ("status", 0.0, command(root, "status")),
            (
                "history of every status",
                0.0,
                lambda: Programme(made.repository).trail(released.NAME),
            ),
        ):
            seconds, spent = median(work, rounds)
            goal = f"goal {limit:.0f} s" if limit else "no goal"
            print(f"{name:<26} {seconds:>7.2f} s {spent:>7.2f} s CPU  {goal}")
            fine = fine and (not limit or seconds < limit)
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
