# SPDX-License-Identifier: Apache-2.0
r"""CODEOWNERS as GitHub reads it, and what must hold for it to protect sign-offs.

Rules enforced here:
- the last line that matches decides; any one of its owners suffices;
- a line with `!`, `[ ]`, `\#` or something that is no owner is skipped, as GitHub
  does; a file over 3 MB counts for nothing; paths differ by case;
- every governed path has an owner; attestations and sign-offs have different lines
  and different owners; the named owner or assessor is among them;
- this file, people and scope belong to the compliance officers alone, where the
  programme names any.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from .errors import Problem
from .library import CODEOWNERS, GOVERNED, governed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .model import Assessment, Library

IGNORED_FROM = 3 * 1024 * 1024
"""GitHub does not read a larger file."""
TOO_LARGE = 100_000
"""Where we stop trusting that everybody reads it."""

_TO_COME = (
    CODEOWNERS,
    ".github/workflows/new.yml",
    "annotations/new.md",
    "controls/new.yml",
    "evidence/manual/new.yml",
    "evidence/new/000001.json",
    "frameworks/new.yml",
    "pyproject.toml",
    "signoffs/new/assessment.yml",
    "signoffs/people.yml",
)
_ELSEWHERE = ("CODEOWNERS", "docs/CODEOWNERS")
_TOKEN = re.compile(r"(?:\\.|[^\s\\])+")
_OWNER = re.compile(
    r"@[A-Za-z0-9][A-Za-z0-9-]*(?:/[A-Za-z0-9._-]+)?\Z|[^\s@]+@[^\s@]+\.[^\s@]+\Z"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line that says who owns what."""

    number: int
    pattern: str
    owners: tuple[str, ...]
    flaw: str = ""
    """Why GitHub skips it or a reader may misread it; empty: sound."""
    skipped: bool = False


def owners(text: bytes, path: str) -> tuple[str, ...]:
    """Name the owners that GitHub asks for a path, as written (`@login`, `@org/team`).

    Nothing matches, or the last matching line names nobody: empty, so nobody is asked.
    """
    line = deciding_line(text, path)
    return line.owners if line else ()


def deciding_line(text: bytes, path: str) -> Line | None:
    """Find the last line that matches a path, the one that counts."""
    for line, pattern in reversed(_compiled(text)):
        if pattern.match(path):
            return line
    return None


def owner_changes(
    before: bytes, after: bytes, paths: Iterable[str]
) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
    """List the governed paths, present or to come, whose effective owners changed.

    Gives (path, owners before, owners after): a later, broader line that overrides a
    protecting one changes owners that no edited line names (T50).
    """
    return tuple(
        (path, old, new)
        for path in governed_paths(paths)
        if (old := owners(before, path)) != (new := owners(after, path))
    )


def governed_paths(files: Iterable[str]) -> tuple[str, ...]:
    """Name the paths that need an owner: those there, and one to come in each folder.

    A file to come is called `new`.
    """
    return tuple(sorted({*_TO_COME, *filter(governed, files)}))


@lru_cache(maxsize=256)
def lines(text: bytes) -> tuple[Line, ...]:
    """Read every line that is neither empty nor a comment."""
    found = []
    for number, raw in enumerate(text.decode("utf-8", "replace").split("\n"), 1):
        tokens = _TOKEN.findall(raw)
        if tokens and not tokens[0].startswith("#"):
            found.append(_line(number, tokens))
    return tuple(found)


def _line(number: int, tokens: list[str]) -> Line:
    pattern, named = tokens[0], tokens[1:]
    comment = next((i for i, t in enumerate(named) if t.startswith("#")), None)
    if comment is not None:
        named = named[:comment]
    who = tuple(named)
    if pattern.startswith("!") or "[" in pattern or "]" in pattern:
        flaw = f"GitHub knows no ! or [ ] and skips the line {pattern!r}"
        return Line(number, pattern, who, flaw, skipped=True)
    if pattern.startswith("\\#"):
        flaw = "an escaped # begins no pattern on GitHub, so the line owns nothing"
        return Line(number, pattern, who, flaw, skipped=True)
    strangers = [owner for owner in who if not _OWNER.match(owner)]
    if strangers:
        flaw = f"{strangers[0]!r} is no owner, so GitHub skips the line"
        return Line(number, pattern, who, flaw, skipped=True)
    flaw = ""
    if not who:
        flaw = f"{pattern!r} has no owner: whatever it matches passes without review"
    elif comment is not None:
        flaw = "a comment after the owners is easily taken for one of them"
    elif any(not owner.startswith("@") for owner in who):
        flaw = "an e-mail address proves nobody's identity"
    return Line(number, pattern, who, flaw)


@lru_cache(maxsize=64)
def _compiled(text: bytes) -> tuple[tuple[Line, re.Pattern[str]], ...]:
    if len(text) >= IGNORED_FROM:
        return ()
    return tuple(
        (line, re.compile(_expression(line.pattern), re.DOTALL))
        for line in lines(text)
        if not line.skipped
    )


def _expression(pattern: str) -> str:
    """Translate a CODEOWNERS pattern to a regular expression over whole paths.

    Like .gitignore, except that `folder/*` stops at the folder's own files.
    """
    if pattern == "/":
        return r"(?!)"
    parts = pattern.split("/")
    if parts[0] == "":
        parts = parts[1:]
    elif len(parts) == 1 or (len(parts) == 2 and parts[1] == ""):  # noqa: PLR2004 - name/
        parts = parts if parts[0] == "**" else ["**", *parts]
    if len(parts) > 1 and parts[-1] == "":
        parts[-1] = "**"
    last = len(parts) - 1
    out, slash = "", False
    for i, part in enumerate(parts):
        if part == "**":
            if i == last:
                out += "/.+" if i else ".+"
            else:
                out += "(?:/.+)?" if i else "(?:.+/)?"
                slash = i > 0
            continue
        out += ("/" if slash else "") + _segment(part)
        if i == last and part != "*":
            out += "(?:/.*)?"
        slash = True
    return out + r"\Z"


def _segment(part: str) -> str:
    if part == "*":
        return "[^/]+"
    out, escaped = "", False
    for char in part:
        if escaped:
            out, escaped = out + re.escape(char), False
        elif char == "\\":
            escaped = True
        elif char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        else:
            out += re.escape(char)
    return out


# --- lint ----------------------------------------------------------------------


def lint(library: Library, files: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """List what keeps CODEOWNERS from protecting what people answer for."""
    text = library.codeowners
    if not text:
        elsewhere = [path for path in files if path in _ELSEWHERE or _is_twin(path)]
        message = "there is no CODEOWNERS file: nobody has to review anything"
        advice = "write one, `controlbook init` shows how"
        if elsewhere:
            message = f"CODEOWNERS stands at {elsewhere[0]}, where it is not looked for"
            advice = f"move it to {CODEOWNERS}"
        return (_problem(1, message, advice),)
    found = [
        _problem(line.number, line.flaw, "mend the line")
        for line in lines(text)
        if line.flaw
    ]
    if len(text) > TOO_LARGE:
        advice = "shorten it; GitHub ignores it from 3 MB on"
        found.append(_problem(1, f"the file has {len(text)} bytes", advice))
    found += [
        _problem(1, f"a second file stands at {path}", "keep the one in .github/")
        for path in files
        if path in _ELSEWHERE or _is_twin(path)
    ]
    found += _unowned(text, files)
    found += _wrong_case(text, files)
    found += _rules(library)
    for assessment in library.assessments.values():
        found += _duties(library, assessment)
    return tuple(sorted(set(found)))


def _problem(line: int, message: str, advice: str) -> Problem:
    return Problem(path=CODEOWNERS, line=line, message=message, advice=advice)


def _is_twin(path: str) -> bool:
    return path != CODEOWNERS and path.casefold() == CODEOWNERS.casefold()


def _unowned(text: bytes, files: Iterable[str]) -> Iterator[Problem]:
    """Report governed paths, present or to come, that nobody owns."""
    for path in governed_paths(files):
        line = deciding_line(text, path)
        if line is None or not line.owners:
            message = f"nobody owns {path}: a change to it passes without review"
            yield _problem(line.number if line else 1, message, "add an owner")


def _wrong_case(text: bytes, files: Iterable[str]) -> Iterator[Problem]:
    """Report lines that would match a governed path if case did not count."""
    paths = governed_paths(files)
    for line, pattern in _compiled(text):
        if any(pattern.match(path) for path in paths):
            continue
        folded = re.compile(pattern.pattern, pattern.flags | re.IGNORECASE)
        meant = next((path for path in paths if folded.match(path)), "")
        if meant:
            message = f"{line.pattern!r} differs from {meant} by case, and owns nothing"
            yield _problem(line.number, message, "write the path as it is")


def _rules(library: Library) -> Iterator[Problem]:
    """Report who may change the rules of review beside the compliance officers."""
    officers = {
        person.id: person.login
        for person in library.people.values()
        if "compliance-officer" in person.roles
    }
    scopes = (f"signoffs/{name}/assessment.yml" for name in library.assessments)
    for path in (CODEOWNERS, "signoffs/people.yml", *sorted(scopes)):
        line = deciding_line(library.codeowners, path)
        others = [
            owner
            for owner in (line.owners if line else ())
            if officers and not officers.keys() >= set(_people(library, owner) or "?")
        ]
        if line and others:
            message = f"{others[0]} may approve changes of {path}"
            advice = f"leave it to @{', @'.join(sorted(officers.values()))}"
            yield _problem(line.number, message, advice)


def _duties(library: Library, assessment: Assessment) -> Iterator[Problem]:
    framework = library.frameworks.get(assessment.framework)
    if framework is None:
        return
    attest: dict[str, Line] = {}
    for number in assessment.requirements:
        requirement = framework.requirements.get(number)
        for control in requirement.controls if requirement else ():
            path = f"signoffs/{assessment.id}/controls/{control}.yml"
            line = deciding_line(library.codeowners, path)
            known = library.controls.get(control)
            if line and known:
                attest[control] = line
                yield from _named(library, line, path, known.owner)
    for number in assessment.requirements:
        path = f"signoffs/{assessment.id}/requirements/{number}.yml"
        line = deciding_line(library.codeowners, path)
        if line is None:
            continue
        yield from _named(library, line, path, assessment.assessor_of(number))
        for control, other in attest.items():
            shared = sorted(
                {*map(str.casefold, line.owners)}.intersection(
                    map(str.casefold, other.owners)
                )
            )
            if line.number == other.number:
                message = f"one line decides {path} and the attestation of {control}"
                yield _problem(line.number, message, "give each its own line")
            elif shared:
                message = f"{shared[0]} owns {path} and the attestation of {control}"
                advice = "owner and assessor are different people"
                yield _problem(line.number, message, advice)


def _named(library: Library, line: Line, path: str, owner: str) -> Iterator[Problem]:
    """Report a path whose owners leave out the person or team that must approve it."""
    team, person = library.teams.get(owner), library.people.get(owner)
    logins = [team.login] if team and team.login else []
    members = [library.people.get(member) for member in team.members] if team else []
    logins += [member.login for member in (person, *members) if member]
    asked = {f"@{login}".casefold() for login in logins if login}
    if asked and not asked & set(map(str.casefold, line.owners)):
        message = f"{path} is not owned by {owner}, who has to approve it"
        yield _problem(line.number, message, f"name @{logins[0]}")


# --- who may approve what ---------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvers:
    """Governed paths that one line decides, and who can approve a change of them."""

    line: int
    """0: no line matches."""
    pattern: str
    owners: tuple[str, ...]
    people: tuple[str, ...]
    """Ids of the people behind the owners; any one of them suffices."""
    strangers: tuple[str, ...]
    """Owners whom people.yml does not know."""
    paths: tuple[str, ...]


def approvers(library: Library, files: Iterable[str]) -> tuple[Approvers, ...]:
    """Say who could approve each governed path, present or to come, by line."""
    groups: dict[int, list[str]] = {}
    deciding: dict[int, Line] = {}
    for path in governed_paths(files):
        line = deciding_line(library.codeowners, path)
        number = line.number if line else 0
        groups.setdefault(number, []).append(path)
        if line:
            deciding[number] = line
    found = []
    for number, paths in sorted(groups.items()):
        line = deciding.get(number)
        named = line.owners if line else ()
        people = {owner: _people(library, owner) for owner in named}
        found.append(
            Approvers(
                line=number,
                pattern=line.pattern if line else "",
                owners=named,
                people=tuple(dict.fromkeys(p for own in people.values() for p in own)),
                strangers=tuple(owner for owner, own in people.items() if not own),
                paths=tuple(paths),
            )
        )
    return tuple(found)


def _people(library: Library, owner: str) -> tuple[str, ...]:
    """Name the people whom an owner as written (`@login`, `@org/team`) stands for."""
    login = owner.removeprefix("@").casefold()
    for team in library.teams.values():
        if team.login.casefold() == login:
            return team.members
    return tuple(
        person.id
        for person in library.people.values()
        if person.login.casefold() == login
    )


# --- writing one ---------------------------------------------------------------


def generate(library: Library) -> bytes:
    """Write the CODEOWNERS file that a library's people and duties ask for.

    The compliance officer owns what nobody else does; a control's owner owns its file
    and its attestations; an assessor owns the sign-offs of their requirements.
    """
    officers = [
        f"@{person.login}"
        for person in library.people.values()
        if "compliance-officer" in person.roles and person.login
    ]
    everybody = " ".join(officers or sorted(_logins(library)))
    rows = [
        ("*", everybody),
        *((f"/{prefix}", everybody) for prefix in GOVERNED if prefix.endswith("/")),
        ("/pyproject.toml", everybody),
        ("/.github/", everybody),
    ]
    owned = {
        control.id: " ".join(_handles(library, control.owner))
        for control in library.controls.values()
    }
    rows += [(f"/controls/{name}.yml", who) for name, who in sorted(owned.items())]
    duties = [
        (f"/signoffs/*/controls/{name}.yml", who) for name, who in sorted(owned.items())
    ]
    for assessment in sorted(library.assessments.values(), key=lambda a: a.id):
        folder = f"/signoffs/{assessment.id}/requirements/"
        table = dict(assessment.assessors)
        first = " ".join(_handles(library, table.pop("default", "")))
        duties += [(folder, first)] if first else []
        duties += [
            (f"{folder}{number}.yml", " ".join(_handles(library, person)))
            for number, person in sorted(table.items())
        ]
    width = max(len(pattern) for pattern, _ in (*rows, *duties)) + 2
    head = [
        "# The last line that matches a path decides; any one of its owners suffices.",
        "# Whoever no line below names: the compliance officer.",
    ]
    lines = [f"{pattern:<{width}}{who}" for pattern, who in rows if who]
    signed = [f"{pattern:<{width}}{who}" for pattern, who in duties if who]
    tail = ["", "# Attestations by owners, sign-offs by assessors.", *signed]
    return "\n".join([*head, *lines, *(tail if signed else []), ""]).encode()


def _logins(library: Library) -> set[str]:
    return {f"@{person.login}" for person in library.people.values() if person.login}


def _handles(library: Library, owner: str) -> list[str]:
    """Give the GitHub names of a person, or of a team or its members."""
    team = library.teams.get(owner)
    if team is not None and team.login:
        return [f"@{team.login}"]
    return [
        f"@{library.people[member].login}"
        for member in library.members(owner)
        if member in library.people and library.people[member].login
    ]
