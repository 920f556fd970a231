# SPDX-License-Identifier: Apache-2.0
"""`controlbook demo`: the example programme, from first evidence to signed report.

Rules enforced here:
- every act goes through the verb that a person or a job would run, against the sandbox;
- the programme is a repository of its own; vault and remote lie beside it;
- only a folder that an earlier demo made is ever replaced.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from argparse import Namespace
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from controlbook.errors import ControlbookError
from controlbook.git import Repository
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.sandbox import cast
from controlbook.sandbox.clock import Clock
from controlbook.sandbox.example import example, mishaps
from controlbook.sandbox.github import GitHub
from controlbook.sandbox.server import Sandbox
from controlbook.timeline import DAY, HOUR, MINUTE, Instant, instant, iso
from controlbook.verify import verify as verify_bundle

from .annotate import annotate
from .attest import attest, signoff
from .collect import collect
from .evidence import evidence
from .release import release
from .verify import outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Act = tuple[Instant, Callable[[], None]]

ASSESSMENT = "PCI-2028-Q1"
FIRST_RUN = instant("2028-01-01T06:00:00Z")
LAST_RUN = instant("2028-04-01T06:00:00Z")
IMPORTED = instant("2027-12-31T12:00:00Z")
DOCUMENTS = instant("2028-01-10T09:00:00Z")
ATTESTED = instant("2028-04-03T08:15:00Z")
RELEASED = instant("2028-04-07T10:00:00Z")
REVIEWS = (
    "2028-02-01T07:00:00Z",
    "2028-03-01T07:00:00Z",
    "2028-04-01T07:00:00Z",
    "2028-04-04T07:00:00Z",
    "2028-04-07T07:00:00Z",
)
EXTRA_LOOKS = (
    # Somebody looks while the flow logs are off.
    ("2028-03-06T11:00:00Z", "security-hub"),
    # The networking team's repair of the day before, as Audit Manager has it.
    ("2028-03-09T06:30:00Z", "audit-manager"),
    ("2028-03-20T06:30:00Z", "audit-manager"),
    ("2028-04-01T06:30:00Z", "audit-manager"),
)
CONTENT = ("controls", "frameworks", "signoffs", "site", "mkdocs.yml")
GIVEN = (".github/CODEOWNERS", ".gitattributes")
MARK = "controlbook-demo"
WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """Where the demo plays: the programme, its remote, and the services."""

    repository: Repository
    sandbox: Sandbox
    story: Mapping[str, Any]  # the parsed story.yml

    def options(self, at: Instant, **fields: object) -> Namespace:
        """Make the options of a verb, at an instant of the sandbox's clock."""
        self.sandbox.set_clock(at)
        return Namespace(
            **{
                "root": self.repository.root,
                "as_of": iso(at),
                "json": False,
                "quiet": True,
                "verbose": False,
                "pr": True,
                "push": False,
                "sign": False,
                "person": None,
                **fields,
            }
        )

    def merge(self, outcome: Outcome, at: Instant, person: str) -> None:
        """Let a person approve what a verb proposed, merge it, and take it over."""
        pull = outcome.data["pull"]
        number = pull["number"]  # type: ignore[index]
        self.sandbox.set_clock(Instant(at + HOUR))
        cast.approve_and_merge(self.sandbox.url, number, person)
        self.repository.update("origin", "main")


def demo(options: Namespace) -> Outcome:
    """Play the whole example and say where to look."""
    started = time.monotonic()
    root = options.dir.resolve()
    repository = _lay_down(options.content.resolve(), root)
    _say(f"laid the example programme down at {root}")
    clock = Clock(IMPORTED)
    remote = GitHub(_remote(root), clock, cast.users(), teams=cast.TEAMS)
    with (
        Sandbox(example(), clock, remote, trouble=mishaps()) as sandbox,
        _environment({**sandbox.environment(), "GITHUB_TOKEN": cast.APP_TOKEN}),
    ):
        stage = _Stage(repository=repository, sandbox=sandbox, story=_story())
        for _, act in sorted(_acts(stage), key=lambda act: act[0]):
            act()
        _say(f"released, after {time.monotonic() - started:.0f} s")
    bundle = root / "build" / f"{ASSESSMENT}.zip"
    verdict = outcome_of(verify_bundle(bundle, raw=_vault(root)))
    return Outcome(
        text=_summary(root, bundle, verdict, time.monotonic() - started),
        data={
            "schema": "controlbook/demo/1",
            "repository": str(root),
            "bundle": str(bundle),
            "verify": verdict.data,
        },
        code=verdict.code,
    )


# --- setting the stage ------------------------------------------------------------


def _vault(root: Path) -> Path:
    return root.with_name(f"{root.name}-vault")


def _remote(root: Path) -> Path:
    return root.with_name(f"{root.name}-remote.git")


def _lay_down(content: Path, root: Path) -> Repository:
    if not (content / "controls").is_dir():
        message = "there is no example programme here"
        raise ControlbookError(
            message,
            place=str(content),
            advice="run it in a checkout of controlbook, or give --content",
        )
    if root.exists() and not (root / ".git" / MARK).exists():
        message = "this folder exists, and no demo made it"
        raise ControlbookError(message, place=str(root), advice="give another --dir")
    for old in (root, _vault(root), _remote(root)):
        shutil.rmtree(old, ignore_errors=True)
    repository = Repository.create(root)
    (root / ".git" / MARK).write_text("made by controlbook demo; may be replaced\n")
    _copy(content, root)
    repository.configure(*_app_author())
    Repository.create(_remote(root), bare=True)
    repository.add_remote("origin", str(_remote(root)))
    written = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(root).parts[:1]
    }
    repository.write_and_commit(
        written,
        "Start the compliance programme of Example Payments\n",
        at=IMPORTED,
        author=("Clara Novak", "4100301+c-novak@users.noreply.github.com"),
    )
    repository.push("origin", "HEAD:refs/heads/main")
    return repository


def _app_author() -> tuple[str, str]:
    return cast.APP.login, cast.APP.address


def _copy(content: Path, root: Path) -> None:
    for name in CONTENT:
        source = content / name
        if source.is_dir():
            shutil.copytree(source, root / name)
        elif source.is_file():
            shutil.copyfile(source, root / name)
    for name in GIVEN:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(content / name, root / name)
    (root / ".gitignore").write_text("/build/\n")
    settings = (content / "pyproject.toml").read_text("utf-8")
    table = re.search(
        r"^\[tool\.controlbook\]\n(?:(?!\[).*\n?)*", settings, re.MULTILINE
    )
    if not table:
        message = "there is no [tool.controlbook]"
        raise ControlbookError(message, place=str(content / "pyproject.toml"))
    text = re.sub(
        r'^vault = ".*"$',
        f'vault = "../{_vault(root).name}"',
        table[0],
        flags=re.MULTILINE,
    )
    (root / "pyproject.toml").write_text(text)


@contextmanager
def _environment(changed: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _story() -> Mapping[str, Any]:
    text = files("controlbook.sandbox").joinpath("story.yml").read_text("utf-8")
    story: Mapping[str, Any] = YAML(typ="safe").load(text)
    return story


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - talk goes to stderr


# --- what happens, when -------------------------------------------------------------


def _acts(stage: _Stage) -> Iterator[Act]:
    """Give every act of the story with its instant."""
    for day in range((LAST_RUN - FIRST_RUN) // DAY + 1):
        at = Instant(FIRST_RUN + day * DAY)
        yield at, partial(_collect, stage, at, "config")
        # A week's days at once: each has its own window and run all the same, and
        # thousands of digests are read with fewer beginnings.
        if day % WEEK == 0:
            yield at, partial(_collect, stage, at, "cloudtrail")
    for week in range((LAST_RUN - FIRST_RUN) // (WEEK * DAY) + 1):
        for minutes, stream in ((10, "snapshot"), (20, "security-hub")):
            at = Instant(FIRST_RUN + week * WEEK * DAY + minutes * MINUTE)
            yield at, partial(_collect, stage, at, stream)
    for text, stream in EXTRA_LOOKS:
        at = instant(text)
        yield at, partial(_collect, stage, at, stream)
    for text in REVIEWS:
        yield instant(text), partial(_collect, stage, instant(text), "reviews")
    for number, (name, paper) in enumerate(stage.story["documents"].items()):
        at = Instant(DOCUMENTS + number * 2 * HOUR)
        yield at, partial(_document, stage, at, name, paper)
    for note in stage.story["annotations"]:
        at = instant(note["on"])
        yield at, partial(_annotation, stage, at, note)
    half = stage.story["interim"]
    at = instant(half["on"])
    yield (
        at,
        partial(
            _attestations,
            stage,
            at,
            half["assessment"],
            half["attestations"],
            half["person"],
        ),
    )
    yield ATTESTED, partial(_attest_all, stage)
    for batch in stage.story["signoffs"]:
        at = instant(batch["on"])
        yield at, partial(_signoffs, stage, at, batch)
    yield RELEASED, partial(_release, stage)


def _collect(stage: _Stage, at: Instant, stream: str) -> None:
    collect(stage.options(at, stream=stream))
    if at == FIRST_RUN and stream == "config":
        _say("collecting ninety-two days of verdicts …")
    # Pull requests start from what the remote holds.
    stage.repository.push("origin", "HEAD:refs/heads/main")


def _document(stage: _Stage, at: Instant, name: str, paper: Mapping[str, str]) -> None:
    folder = stage.repository.root / ".git" / "documents"
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.txt"
    file.write_text(paper["text"], encoding="utf-8")
    proposed = evidence(
        stage.options(
            at,
            action="add",
            file=file,
            document=name,
            title=paper["title"],
            owner=paper["owner"],
            start="2028-01-01",
            end="2029-01-01",
            received=None,
            expires=None,
            edition=paper["version"],
        )
    )
    stage.merge(proposed, at, "c-novak")


def _annotation(stage: _Stage, at: Instant, note: Mapping[str, str]) -> None:
    found = Programme(stage.repository).findings(ASSESSMENT)
    ids = [
        item.id
        for item in found.deviations
        if item.rule == note["rule"] and item.resource == note.get("resource")
    ] + [
        item.id
        for item in found.gaps
        if item.rule == note["rule"] and item.reason == note.get("gap")
    ]
    proposed = annotate(
        stage.options(
            at,
            ids=ids,
            title=note["title"],
            text=note["text"],
            refresh=None,
            file=None,
            ticket=note["ticket"],
            audience="auditor",
            person=note["person"],
        )
    )
    stage.merge(proposed, at, note["approver"])
    _say(f"{iso(at)[:10]}  {note['person']} explains {', '.join(ids)}")


def _attest_all(stage: _Stage) -> None:
    library = Programme(stage.repository).library
    by_person: dict[str, dict[str, str]] = {}
    for control, statement in stage.story["attestations"].items():
        person = library.members(library.controls[control].owner)[0]
        by_person.setdefault(person, {})[control] = statement
    for number, (person, statements) in enumerate(sorted(by_person.items())):
        at = Instant(ATTESTED + number * 2 * HOUR)
        _attestations(stage, at, ASSESSMENT, statements, person)


def _attestations(
    stage: _Stage,
    at: Instant,
    assessment: str,
    statements: Mapping[str, str],
    person: str,
) -> None:
    proposed = attest(
        stage.options(
            at,
            assessment=assessment,
            controls=list(statements),
            statement=None,
            source=_statements(stage, statements),
            withdraw=False,
            person=person,
        )
    )
    stage.merge(proposed, at, person)
    attested = _count(len(statements), "control")
    _say(f"{iso(at)[:10]}  {person} attests {attested}, {assessment}")


def _signoffs(stage: _Stage, at: Instant, batch: Mapping[str, Any]) -> None:
    person, requirements = batch["person"], batch["requirements"]
    proposed = signoff(
        stage.options(
            at,
            assessment=ASSESSMENT,
            requirements=list(requirements),
            conclusion=None,
            statement=None,
            source=_statements(stage, requirements),
            reject=False,
            withdraw=False,
            person=person,
        )
    )
    stage.merge(proposed, at, person)
    _say(f"{iso(at)[:10]}  {person} signs {_count(len(requirements), 'requirement')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _statements(stage: _Stage, words: Mapping[str, Any]) -> Path:
    """Write the statements as a person would, for `--from`."""
    file = stage.repository.root / ".git" / "statements.yml"
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 4096
    writer.default_style = '"'  # type: ignore[assignment]
    with file.open("w", encoding="utf-8") as stream:
        writer.dump(
            {
                str(name): dict(said) if isinstance(said, dict) else said
                for name, said in words.items()
            },
            stream,
        )
    return file


def _release(stage: _Stage) -> None:
    _say("releasing: building site, PDF, data files and bundle …")
    release(stage.options(RELEASED, assessment=ASSESSMENT, push=True))


def _summary(root: Path, bundle: Path, verdict: Outcome, seconds: float) -> str:
    programme = Programme(Repository(root))
    found = programme.findings(ASSESSMENT)
    statuses = programme.statuses(ASSESSMENT)
    counts: dict[str, int] = {}
    for row in statuses.values():
        counts[row.status] = counts.get(row.status, 0) + 1
    out = root / "build"
    lines = [
        f"{ASSESSMENT}: "
        + ", ".join(f"{n} {status}" for status, n in sorted(counts.items())),
        "deviations:",
        *(
            f"  {item.id}  {item.resource}  {iso(item.start)} to "
            f"{'open' if item.end is None else iso(item.end)}"
            for item in found.deviations
        ),
        "evidence gaps:",
        *(
            f"  {item.id}  {item.rule} ({item.reason})  {iso(item.start)} to "
            f"{'open' if item.end is None else iso(item.end)}"
            for item in found.gaps
        ),
        f"verified here: {verdict.text.splitlines()[-1]} (exit {int(verdict.code)})",
        f"took {seconds:.0f} s",
        "",
        "next, open the site in a browser, then check the bundle yourself:",
        f"  site:    {out / 'site' / 'index.html'}",
        f"  PDF:     {out / f'{ASSESSMENT}.pdf'}",
        f"  bundle:  {bundle}",
        f"  verify:  {_command(bundle, _vault(root))}",
    ]
    return "\n".join(lines)


def _command(bundle: Path, vault: Path) -> str:
    return f".venv/bin/controlbook verify {_shown(bundle)} --raw {_shown(vault)}"


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
