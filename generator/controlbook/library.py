# SPDX-License-Identifier: Apache-2.0
"""The human files of one tree → the library, or every problem as file:line.

Rules enforced here:
- all problems are collected and sorted; a file that cannot be read hides only itself,
  and what refers to it is not blamed as well;
- a governed folder holds only files of its kind; names are ids, and none differ only
  in case, since they become folders and addresses;
- nothing is read but the bytes that are passed in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from .digest import NotCanonicalError, refuse_uncanonical, sha256
from .errors import InvalidFiles, Problem
from .kinds import people as people_kind
from .kinds import settings as settings_kind
from .kinds.assessments import FILE as ASSESSMENT_FILE
from .kinds.assessments import Around, read_assessment
from .kinds.controls import read_control
from .kinds.documents import read_annotation, read_manual
from .kinds.frameworks import assessable, natural, read_framework
from .kinds.signoffs import read_attestation, read_signoff
from .managed_rules import find
from .model import Library
from .reading import Page, did_you_mean, id_flaw
from .yamltext import bad_characters, front_matter, parse, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from .digest import Json
    from .model import (
        Annotation,
        Assessment,
        Control,
        Framework,
        ManualEvidence,
        Person,
        Settings,
        SignOff,
        Team,
    )
    from .reading import Fields

    Files = Mapping[str, bytes]

__all__ = [
    "GOVERNED",
    "assessable",
    "load",
    "natural",
    "read",
    "sources_document",
    "with_records",
]

CODEOWNERS = ".github/CODEOWNERS"
GOVERNED = (
    "controls/",
    "frameworks/",
    "annotations/",
    "signoffs/",
    "evidence/manual/",
    CODEOWNERS,
    settings_kind.PATH,
)
"""What people write and reviewers answer for: folders end with a slash."""

_ID = r"([^/]+)"
_KINDS = {
    "control": re.compile(rf"controls/{_ID}\.yml\Z"),
    "framework": re.compile(rf"frameworks/{_ID}\.yml\Z"),
    "manual": re.compile(rf"evidence/manual/{_ID}\.yml\Z"),
    "annotation": re.compile(r"annotations/(?:.+/)?([^/]+)\.md\Z"),
    "people": re.compile(r"signoffs/(people)\.yml\Z"),
    "assessment": re.compile(rf"signoffs/{_ID}/{re.escape(ASSESSMENT_FILE)}\Z"),
    "attestation": re.compile(rf"signoffs/{_ID}/controls/{_ID}\.yml\Z"),
    "signoff": re.compile(rf"signoffs/{_ID}/requirements/{_ID}\.yml\Z"),
}
_ANYWHERE = "README.md"
"""May stand in any governed folder; read by people only."""


def load(files: Files) -> tuple[Library, tuple[Problem, ...]]:
    """Read the human files; give what could be read and all problems, sorted."""
    found = sorted((path, files[path]) for path in files if governed(path))
    return _loaded(tuple(found))


@lru_cache(maxsize=4)
def _loaded(
    files: tuple[tuple[str, bytes], ...],
) -> tuple[Library, tuple[Problem, ...]]:
    """Load files by their bytes: one process looks at many commits of equal files."""
    reading = _Reading(dict(files))
    library = reading.library()
    return library, tuple(sorted(set(reading.problems)))


def read(files: Files) -> Library:
    """Read the human files; raise InvalidFiles where anything is wrong with them."""
    library, problems = load(files)
    if problems:
        raise InvalidFiles(problems)
    return library


def with_records(library: Library, files: Files, changed: Iterable[str]) -> Library:
    """Read some attestations and sign-offs again; nothing else may have changed.

    Raises InvalidFiles as `read` does.
    """
    paths = set(changed)
    reading = _Reading({path: files[path] for path in paths if path in files})
    kept = [record for record in library.signoffs if record.path not in paths]
    found = reading.records(library)
    if reading.problems:
        raise InvalidFiles(tuple(sorted(set(reading.problems))))
    records = sorted((*kept, *found), key=lambda record: record.path)
    return replace(library, signoffs=tuple(records))


def sources_document(files: Files) -> dict[str, Json]:
    """Give the parsed human files as one document fit for canonical JSON.

    `files` maps each path to its digest and `tree` (all scalars text; front matter and
    body for Markdown); `rules` maps each managed rule as written to its identifier.
    """
    documents: dict[str, Json] = {}
    rules: dict[str, Json] = {}
    for path in sorted(files):
        if governed(path):
            tree = _tree(path, files[path])
            documents[path] = {"sha256": sha256(files[path]), "tree": tree}
            if _KINDS["control"].match(path):
                rules |= _managed(tree)
    return {"files": documents, "rules": rules}


def governed(path: str) -> bool:
    """Tell whether a path is one that people write and reviewers answer for."""
    return any(
        path.startswith(prefix) if prefix.endswith("/") else path == prefix
        for prefix in GOVERNED
    )


def _tree(path: str, data: bytes) -> Json:
    if path == settings_kind.PATH:
        return _texts(settings_kind.settings_table(data) or {})
    if path.endswith(".yml"):
        node = parse(data).node
        return plain(node) if node is not None else ""
    if _KINDS["annotation"].match(path) and not path.endswith(f"/{_ANYWHERE}"):
        text = front_matter(data)
        front = plain(text.node) if text.node is not None else ""
        return {"front": front, "body": text.body}
    return data.decode("utf-8", "replace")


def _texts(value: object) -> Json:
    """Give a settings value with every scalar as text."""
    if isinstance(value, dict):
        return {str(key): _texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_texts(inner) for inner in value]
    return str(value)


def _managed(tree: Json) -> dict[str, Json]:
    rows = tree.get("evidence") if isinstance(tree, dict) else None
    found: dict[str, Json] = {}
    for row in rows if isinstance(rows, list) else ():
        name = row.get("config") if isinstance(row, dict) else None
        rule = find(name) if isinstance(name, str) and "custom" not in row else None  # type: ignore[operator] # a dict, as its name is text
        if rule is not None:
            found[str(name)] = rule.identifier
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """A governed file of a known kind, with the names in its path."""

    path: str
    kind: str
    names: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    """One pass over one tree, kinds in the order in which they refer to each other."""

    files: Files
    problems: list[Problem] = field(default_factory=list)
    places: dict[str, list[_Place]] = field(
        default_factory=lambda: {kind: [] for kind in _KINDS}
    )

    def library(self) -> Library:
        self._sort_out()
        settings = self._settings()
        people, teams = self._people()
        owners = people.keys() | teams.keys()
        controls = self._controls(owners)
        # A control that cannot be read still exists: nobody else is to blame.
        known = frozenset(place.names[0] for place in self.places["control"])
        frameworks = self._frameworks(known)
        around = Around(
            people=people, teams=teams, controls=controls, frameworks=frameworks
        )
        assessments = self._assessments(around)
        self._fit_for_sources()
        library = Library(
            settings=settings,
            people=people,
            teams=teams,
            controls=controls,
            frameworks=frameworks,
            assessments=assessments,
            annotations=self._annotations(people, known),
            manual=self._manual(owners),
            signoffs=self._signoffs(assessments, around),
            codeowners=self.files.get(CODEOWNERS, b""),
        )
        if not (people and teams):
            self._spare_those_who_name_people()
        return library

    def _spare_those_who_name_people(self) -> None:
        """Leave out who is unknown elsewhere where people.yml itself is to blame.

        One wrong key there lost everybody, and its own line stood below hundreds of
        others.
        """
        if any(each.path == people_kind.PATH for each in self.problems):
            self.problems[:] = [
                each
                for each in self.problems
                if each.path == people_kind.PATH
                or not each.message.startswith("unknown person")
            ]

    def records(self, library: Library) -> tuple[SignOff, ...]:
        """Read the attestations and sign-offs alone, beside a library."""
        self._sort_out()
        around = Around(
            people=library.people,
            teams=library.teams,
            controls=library.controls,
            frameworks=library.frameworks,
        )
        return self._signoffs(library.assessments, around)

    # --- which files there are ----------------------------------------------------

    def _sort_out(self) -> None:
        folded: dict[str, str] = {}
        for path in sorted(self.files):
            if not governed(path) or path in {CODEOWNERS, settings_kind.PATH}:
                continue
            twin = folded.setdefault(path.casefold(), path)
            if twin != path:
                self._problem(path, f"its name and {twin} differ only in case")
            if path.rpartition("/")[2] == _ANYWHERE:
                continue
            place = _place(path)
            if place is None:
                self._problem(path, "no such file is read here", _expected(path))
                continue
            for name in place.names:
                if flaw := id_flaw(name):
                    self._problem(path, flaw, "rename the file or folder")
            self.places[place.kind].append(place)

    def _fit_for_sources(self) -> None:
        """Refuse what has no canonical form: a bundle could not carry it."""
        blamed = {problem.path for problem in self.problems}
        for path in filter(governed, self.files):
            try:
                refuse_uncanonical(_tree(path, self.files[path]))
            except NotCanonicalError as error:
                if path not in blamed:
                    advice = "write keys in ASCII letters, and text in Unicode NFC"
                    self._problem(path, str(error), advice)

    def _problem(self, path: str, message: str, advice: str = "rename it") -> None:
        shown = path if not bad_characters(path) else ascii(path)
        self.problems.append(
            Problem(path=shown, line=1, message=message, advice=advice)
        )

    def _fields(self, kind: str) -> Iterator[tuple[_Place, Fields]]:
        for place in self.places[kind]:
            page = Page(place.path, self.problems)
            fields = page.fields(parse(self.files[place.path]))
            if fields is not None:
                yield place, fields

    def _digest(self, place: _Place) -> str:
        return sha256(self.files[place.path])

    # --- one method a kind --------------------------------------------------------

    def _settings(self) -> Settings:
        page = Page(settings_kind.PATH, self.problems)
        data = self.files.get(settings_kind.PATH, b"")
        return settings_kind.read_settings(page, data)

    def _people(self) -> tuple[dict[str, Person], dict[str, Team]]:
        if not self.places["people"]:
            message = "the file is missing: owners and assessors are people"
            self._problem(people_kind.PATH, message, "write it")
        for _, fields in self._fields("people"):
            return people_kind.read_people(fields)
        return {}, {}

    def _controls(self, owners: Collection[str]) -> dict[str, Control]:
        return {
            place.names[0]: read_control(
                fields, place.names[0], self._digest(place), owners
            )
            for place, fields in self._fields("control")
        }

    def _frameworks(self, controls: Collection[str]) -> dict[str, Framework]:
        return {
            place.names[0]: read_framework(fields, place.names[0], controls)
            for place, fields in self._fields("framework")
        }

    def _assessments(self, around: Around) -> dict[str, Assessment]:
        return {
            place.names[0]: read_assessment(fields, place.names[0], around)
            for place, fields in self._fields("assessment")
        }

    def _manual(self, owners: Collection[str]) -> dict[str, ManualEvidence]:
        found = (
            read_manual(fields, place.names[0], self._digest(place), owners)
            for place, fields in self._fields("manual")
        )
        return {evidence.id: evidence for evidence in found if evidence is not None}

    def _annotations(
        self, people: Collection[str], controls: Collection[str]
    ) -> tuple[Annotation, ...]:
        found = []
        for place in self.places["annotation"]:
            text = front_matter(self.files[place.path])
            fields = Page(place.path, self.problems).fields(text)
            if fields is not None:
                digest = self._digest(place)
                annotation = read_annotation(
                    fields, text.body, digest, people, controls
                )
                found.append(annotation)
        return tuple(found)

    def _signoffs(
        self, assessments: Mapping[str, Assessment], around: Around
    ) -> tuple[SignOff, ...]:
        found = []
        readable = {place.names[0] for place in self.places["assessment"]}
        for kind, read_record in _RECORDS.items():
            for place, fields in self._fields(kind):
                id_, about = place.names
                assessment = assessments.get(id_)
                if assessment is not None:
                    digest = self._digest(place)
                    record = read_record(fields, digest, assessment, about, around)
                    found.append(record)
                elif id_ not in readable:
                    message = f"there is no assessment {id_!r}"
                    advice = did_you_mean(id_, assessments)
                    fields.page.problem(1, message, advice or "move the file")
        return tuple(sorted(found, key=lambda record: record.path))


_RECORDS: Mapping[str, Callable[[Fields, str, Assessment, str, Around], SignOff]] = {
    "attestation": read_attestation,
    "signoff": read_signoff,
}


def _place(path: str) -> _Place | None:
    for kind, pattern in _KINDS.items():
        match = pattern.match(path)
        if match:
            return _Place(path, kind, match.groups())
    return None


def _expected(path: str) -> str:
    if path.startswith("annotations/"):
        return "annotations end in .md"
    if path.startswith("signoffs/"):
        return (
            "here stand people.yml, <assessment>/assessment.yml, "
            "<assessment>/controls/*.yml and <assessment>/requirements/*.yml"
        )
    return "files here are called <id>.yml"
