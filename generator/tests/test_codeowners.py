# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controlbook.codeowners import IGNORED_FROM, generate, lint, owners
from controlbook.library import GOVERNED, read
from controlbook.model import (
    Assessment,
    Control,
    Framework,
    Library,
    Person,
    Requirement,
    Settings,
    Team,
)
from controlbook.timeline import Interval, instant

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = Path(__file__).parent / "data/codeowners"


def _patterns() -> Iterator[tuple[str, str, bool]]:
    """Read patterns.txt: (pattern, path, whether it matches)."""
    pattern = ""
    text = (CORPUS / "patterns.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line[:2] in {"+ ", "- "}:
            for path in line[2:].split():
                yield pattern, path.replace("%20", " "), line[0] == "+"
        elif line and not line.startswith("# "):
            pattern = line


def _files() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Read files.txt: (CODEOWNERS, path, owners)."""
    text = (CORPUS / "files.txt").read_text(encoding="utf-8").split("\n", 2)[2]
    for block in text.split("---\n"):
        rows = block.splitlines()
        lines = [row for row in rows if " => " not in row]
        for row in rows:
            path, arrow, named = row.partition(" => ")
            if arrow:
                who = () if named == "nobody" else tuple(named.split())
                yield "\n".join(lines) + "\n", path, who


def test_the_corpus_is_as_large_as_promised() -> None:
    cases = [*_patterns(), *_files()]
    assert len(set(cases)) == len(cases) >= 250


@pytest.mark.threat("T50")
@pytest.mark.parametrize(("pattern", "path", "expected"), [*_patterns()])
def test_patterns_match_as_on_github(pattern: str, path: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert bool(owners(f"{pattern} @a\n".encode(), path)) is expected


@pytest.mark.threat("T50")
@pytest.mark.parametrize(("text", "path", "expected"), [*_files()])
def test_files_name_owners_as_on_github(
    text: str, path: str, expected: tuple[str, ...]
) -> None:
    assert owners(text.encode(), path) == expected


def test_an_escaped_space_belongs_to_the_pattern() -> None:
    assert owners(b"a\\ b @x\n", "c/a b") == ("@x",)


def test_the_last_matching_line_decides() -> None:
    text = b"* @all\n/a/ @one @example/team\n/a/b @two\n"
    assert owners(text, "c") == ("@all",)
    assert owners(text, "a/c") == ("@one", "@example/team")
    assert owners(text, "a/b") == ("@two",)


def test_a_last_line_without_owners_leaves_the_path_unowned() -> None:
    assert owners(b"* @all\n/a/ \n", "a/b") == ()


@pytest.mark.parametrize("line", ["!/a/ @x", "/a[bc] @x", "/a/ no-owner", "/a/ @x @-"])
def test_a_line_github_cannot_read_is_skipped(line: str) -> None:
    assert owners(f"* @all\n{line}\n".encode(), "a/b") == ("@all",)


def test_comments_and_empty_lines_do_nothing() -> None:
    assert owners(b"# * @no\n\n  \n* @all # @no\n", "a") == ("@all",)


@pytest.mark.threat("T51")
def test_a_file_that_github_ignores_owns_nothing() -> None:
    assert owners(b"* @all\n" + b"#" * IGNORED_FROM, "a") == ()


def person(id_: str) -> Person:
    return Person(id=id_, name=id_, login=id_, github_ids=("1",))


def library(codeowners: str) -> Library:
    return Library(
        settings=Settings(ledger=""),
        people={p: person(p) for p in ("olga", "aziz", "cleo")},
        teams={"net": Team(id="net", name="Net", members=("olga",), login="ex/net")},
        controls={
            "c1": Control(
                id="c1",
                title="",
                statement="",
                owner="net",
                evidence=(),
                path="controls/c1.yml",
                sha256="",
            )
        },
        frameworks={
            "f": Framework(
                id="f",
                title="",
                labels={},
                requirements={"1": Requirement(number="1", title="", controls=("c1",))},
            )
        },
        assessments={
            "A": Assessment(
                id="A",
                title="",
                framework="f",
                period=Interval(
                    instant("2028-01-01T00:00:00Z"), instant("2028-04-01T00:00:00Z")
                ),
                accounts=(),
                regions=(),
                requirements=("1",),
                excluded=(),
                assessors=(("default", "aziz"),),
            )
        },
        codeowners=codeowners.encode(),
    )


SOUND = "* @cleo\n/signoffs/A/controls/ @ex/net\n/signoffs/A/requirements/ @aziz\n"


def found(codeowners: str, *paths: str) -> str:
    files = dict.fromkeys(paths, b"")
    return "\n".join(map(str, lint(library(codeowners), files)))


def test_a_sound_file_has_no_problem() -> None:
    assert found(SOUND, "controls/c1.yml", ".github/CODEOWNERS") == ""


def test_no_file_is_a_problem() -> None:
    assert ".github/CODEOWNERS:1: there is no CODEOWNERS file" in found("")


@pytest.mark.threat("T51")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("!/a @cleo", ":4: GitHub knows no ! or [ ]"),
        ("/a[b] @cleo", ":4: GitHub knows no ! or [ ]"),
        ("/a cleo", ":4: 'cleo' is no owner, so GitHub skips the line"),
        ("/a", ":4: '/a' has no owner"),
        ("/a @cleo # why", ":4: a comment after the owners"),
        ("/a cleo@example.com", ":4: an e-mail address"),
        ("/controls/", ":4: nobody owns controls/new.yml"),
        ("/controls/c1.yml", ":4: nobody owns controls/c1.yml"),
        ("/.github/workflows/", ":4: nobody owns .github/workflows/new.yml"),
        ("/signoffs/ @cleo", ":4: one line decides signoffs/A/requirements/1.yml"),
        ("/signoffs/A/requirements/ @cleo", "is not owned by aziz, who has to approve"),
        ("/signoffs/A/controls/ @cleo", "is not owned by net, who has to approve"),
        ("/signoffs/A/requirements/ @aziz @EX/net", ":4: @ex/net owns signoffs/A/req"),
    ],
)
def test_what_leaves_sign_offs_unprotected_is_named(line: str, says: str) -> None:
    assert says in found(f"{SOUND}{line}\n", "controls/c1.yml")


@pytest.mark.threat("T51")
@pytest.mark.parametrize(
    "path", ["CODEOWNERS", "docs/CODEOWNERS", ".github/codeowners"]
)
def test_a_second_file_is_a_problem(path: str) -> None:
    assert f"a second file stands at {path}" in found(SOUND, path)


def test_a_file_that_nobody_can_read_through_is_a_problem() -> None:
    assert "the file has" in found(SOUND + "#" * 100_000)


def test_a_member_may_stand_for_the_team() -> None:
    text = SOUND.replace("@ex/net", "@olga")
    assert found(text) == ""


def test_what_is_generated_for_the_example_passes_the_lint() -> None:
    root = Path(__file__).parents[2]
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for prefix in GOVERNED
        for path in [root / prefix, *(root / prefix).rglob("*")]
        if path.is_file()
    }
    library = read(files)
    text = generate(library)
    assert lint(replace(library, codeowners=text), files) == ()
    assert owners(text, "signoffs/PCI-2028-Q1/requirements/3.4.yml") == (
        "@m-lindqvist",
    )
    assert owners(text, "signoffs/X/controls/network-flows-recorded.yml") == (
        "@example/networking",
    )
    assert owners(text, "anything/else") == ("@c-novak",)
    assert generate(library) == text
