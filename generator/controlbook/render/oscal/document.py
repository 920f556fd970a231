# SPDX-License-Identifier: Apache-2.0
"""What every OSCAL document has: names that last, a head, and text that is only text.

Rules enforced here:
- every UUID follows from the ledger's id and stable names, so that the same commit
  gives the same bytes, and the same thing keeps its UUID from one build to the next;
- what is a draft or comes from a sandbox says so in its title and by a property;
- people's text arrives as prose: no HTML, no link and no insertion of theirs is active;
- nothing empty is written: OSCAL allows no empty list and no empty text.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from unicodedata import normalize
from uuid import UUID, uuid5

from controlbook.digest import digest_of
from controlbook.render.facts import involved
from controlbook.render.safe import visible
from controlbook.render.words import NOT_AN_OPINION
from controlbook.timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controlbook.digest import Json
    from controlbook.model import Framework, Person
    from controlbook.render.report import Report

    Node = dict[str, Json]
    Nodes = list[Json]

VERSION = "1.1.2"
"""Of OSCAL. Later 1.x versions read these documents too; see docs/oscal.md."""
NAMESPACE = "https://controlbook.example/ns/oscal"
"""Marks the properties that are ours, not OSCAL's; a name that leads nowhere. (Not a
URN, which OSCAL allows: compliance-trestle before version 4 reads none.)"""

ASSESSOR, OWNER = "assessor", "control-owner"

_ACTIVE = re.compile(r"[\\<\[`{]|&(?=#?\w+;)")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}


def plain(text: str) -> str:
    """Write people's text where OSCAL takes one line and no Markdown."""
    # What stood apart only by something invisible may join when that is gone.
    return normalize("NFC", " ".join(visible(text).split()))


def prose(text: str) -> str:
    """Write people's text so that OSCAL's Markdown shows it and runs none of it."""
    shown = normalize("NFC", visible(text).strip())
    return _ACTIVE.sub(lambda m: _ENTITIES.get(m[0], f"\\{m[0]}"), shown)


def line(text: str) -> str:
    """Write people's text as one line of prose."""
    return prose(" ".join(text.split()))


def filled(node: Mapping[str, Json]) -> Node:
    """Leave out what is empty."""
    return {key: value for key, value in node.items() if value not in ("", [], {})}


def prop(name: str, value: object, *, of: str = "", remarks: str = "") -> Node:
    """Make a property of ours; `of` is its class: what the value belongs to."""
    return filled(
        {
            "name": name,
            "ns": NAMESPACE,
            "value": plain(str(value)),
            "class": of,
            "remarks": prose(remarks),
        }
    )


def props(*pairs: tuple[str, object]) -> Nodes:
    """Make properties of ours of the pairs that have a value."""
    return [prop(name, value) for name, value in pairs if value not in ("", None)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """The names that things have in the documents of one assessment."""

    root: UUID
    """The ledger's id: two programmes never give the same UUID."""
    assessment: str
    controls: Mapping[str, str]
    """Requirement number → id of the OSCAL control."""

    @classmethod
    def of(cls, report: Report) -> Ids:
        """Name what a report shows."""
        return cls(
            root=UUID(report.library.settings.ledger),
            assessment=report.assessment.id,
            controls=control_ids(report.framework),
        )

    def lasting(self, kind: str, *names: str) -> str:
        """Give the UUID of what all assessments share: people, accounts, controls."""
        return _lasting(self.root, kind, *names)

    def own(self, kind: str, *names: str) -> str:
        """Give the UUID of what belongs to this assessment alone."""
        return self.lasting(kind, self.assessment, *names)

    def statement(self, number: str) -> str:
        """Name the statement of a requirement, which findings are about."""
        return f"{self.controls[number]}_smt"


@lru_cache(maxsize=2048)
def _lasting(root: UUID, *names: str) -> str:
    return str(uuid5(root, digest_of(names)))


def control_ids(framework: Framework) -> dict[str, str]:
    """Name each number as OSCAL demands: `164.312(a)(1)` ends `_164.312.a.1`.

    Two numbers that would get the same name are told apart by a piece of a digest.
    """
    start = framework.id if framework.id[:1].isalpha() else f"f-{framework.id}"
    plain = {n: n.replace("(", ".").replace(")", "") for n in framework.requirements}
    often = Counter(name.casefold() for name in plain.values())
    return {
        number: f"{start}_{name}"
        if often[name.casefold()] == 1
        else f"{start}_{name}-{digest_of(number)[:8]}"
        for number, name in plain.items()
    }


def marks(report: Report) -> tuple[str, ...]:
    """Say how far a document may be trusted: DEMO, DRAFT, or nothing."""
    return (
        *(("DEMO",) if report.demo else ()),
        *(("DRAFT",) if report.draft else ()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the head of a document has of its own, beside what all heads have."""

    title: str
    people: bool = False
    """Whether it lists who owns and who assesses."""
    about: Nodes = field(default_factory=list)
    links: Nodes = field(default_factory=list)
    remarks: str = ""


def document(
    report: Report, ids: Ids, kind: str, head: Head, body: Mapping[str, Json]
) -> Node:
    """Put a head on a document, and a UUID that goes with what it says."""
    metadata = filled(
        {
            "title": line(" ".join([*marks(report), head.title])),
            "last-modified": iso(report.commit.at),
            "version": report.release or f"draft-{report.commit.id[:12]}",
            "oscal-version": VERSION,
            "props": [
                *(prop("marking", mark) for mark in marks(report)),
                *props(
                    ("assessment", ids.assessment),
                    ("release", report.release),
                    ("commit", report.commit.id),
                    ("facts-root", report.facts_root),
                ),
                *head.about,
            ],
            "links": head.links,
            **(_people(report, ids) if head.people else {}),
            "remarks": "\n\n".join(filter(None, (_remarks(report), head.remarks))),
        }
    )
    content = filled({"metadata": metadata, **body})
    # OSCAL asks for a new one whenever a document says something else.
    return {kind: {"uuid": ids.own(kind, digest_of(content)), **content}}


def _remarks(report: Report) -> str:
    parts = [NOT_AN_OPINION]
    if report.demo:
        parts.append(
            "DEMO: this evidence does not come from AWS, or its store had no lock. It"
            " proves nothing about any company."
        )
    if report.draft:
        parts.append("DRAFT: not released; figures and conclusions may still change.")
    return "\n\n".join(parts)


def _people(report: Report, ids: Ids) -> Node:
    persons = involved(report.library, report.findings, report.assessment)
    owners = {report.library.controls[name].owner for name in report.findings.controls}
    teams = sorted(owners & set(report.library.teams))
    assessors = {
        report.assessment.assessor_of(number)
        for number in report.assessment.requirements
    }
    known = {person.id for person in persons} | set(teams)
    parties: Nodes = [_person(person, ids) for person in persons]
    parties += [
        {
            "uuid": ids.lasting("party", name),
            "type": "organization",
            "name": plain(report.library.teams[name].name) or name,
            "props": props(("team", name)),
        }
        for name in teams
    ]
    return {
        "roles": [
            {"id": ASSESSOR, "title": "Assessor"},
            {"id": OWNER, "title": "Control owner"},
        ],
        "parties": parties,
        "responsible-parties": [
            party
            for role, names in ((ASSESSOR, assessors), (OWNER, owners))
            for party in responsible(ids, role, names & known)
        ],
    }


def responsible(ids: Ids, role: str, names: Iterable[str]) -> Nodes:
    """Say who has a role; nothing where nobody known has it."""
    parties: Nodes = [ids.lasting("party", name) for name in sorted(names)]
    return [{"role-id": role, "party-uuids": parties}] if parties else []


def _person(person: Person, ids: Ids) -> Node:
    return filled(
        {
            "uuid": ids.lasting("party", person.id),
            "type": "person",
            "name": plain(person.name) or person.id,
            "props": props(
                ("person", person.id),
                ("login", person.login),
                ("organisation", person.organisation),
                ("qualification", person.qualification),
            ),
            "external-ids": [
                {"scheme": "https://github.com/", "id": number}
                for number in person.github_ids
            ],
        }
    )


class BackMatter:
    """The files that a document refers to, each once, with its digest."""

    def __init__(self, ids: Ids) -> None:
        """Begin without any."""
        self._ids = ids
        self._found: dict[str, tuple[str, Node]] = {}

    def cite(
        self,
        path: str,
        digest: str,
        title: str,
        *,
        media_type: str = "application/json",
        about: Nodes | None = None,
    ) -> str:
        """Refer to a file of the bundle by path and SHA-256; gives the reference."""
        uuid = self._ids.own("resource", path, digest)
        node = filled(
            {
                "uuid": uuid,
                "title": line(title),
                "props": about or [],
                "rlinks": [
                    {
                        "href": f"../{path}",
                        "media-type": media_type,
                        "hashes": [{"algorithm": "SHA-256", "value": digest}],
                    }
                ],
            }
        )
        self._found[uuid] = (path, node)
        return f"#{uuid}"

    def node(self) -> Node:
        """List what was referred to, in order of the paths."""
        found: Nodes = [
            node for _, node in sorted(self._found.values(), key=lambda pair: pair[0])
        ]
        return filled({"resources": found})
