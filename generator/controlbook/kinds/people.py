# SPDX-License-Identifier: Apache-2.0
"""signoffs/people.yml: who may own, assess and look after the scope.

Rules enforced here:
- a numeric GitHub id is the identity: it belongs to one person;
- logins, ids and display names are unique, also to the eye (case, mixed scripts, and
  letters that look alike, whatever script they are of);
- a key is one public SSH key, and belongs to one person;
- a team has members that exist, and no person's id.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from controlbook.model import Person, Team
from controlbook.reading import id_flaw, key_flaw

if TYPE_CHECKING:
    from controlbook.reading import Fields

PATH = "signoffs/people.yml"

ROLES = ("control-owner", "assessor", "compliance-officer", "engineer", "auditor")

# Letters and digits of other scripts that are drawn like a Latin one.
_ALIKE = str.maketrans(
    "авеёзіјкмнорстухѕԁԛԝαβγεηικνορτυχω01i|5",  # noqa: RUF001 - that is the point
    "abeë3ljkmhopctyxsdqwabyenlknoptuxwollls",
)
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?\Z", re.ASCII)
_TEAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9][\w.-]{0,99}\Z", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,19}\Z")


def read_people(fields: Fields) -> tuple[dict[str, Person], dict[str, Team]]:
    """Read people and teams."""
    people: dict[str, Person] = {}
    table = fields.table("people")
    if table is not None:
        taken: dict[str, str] = {}
        for id_, row in table.tables():
            people[id_] = _person(id_, row, taken)
    teams: dict[str, Team] = {}
    table = fields.table("teams", required=False)
    if table is not None:
        for id_, row in table.tables():
            if id_ in people:
                row.page.problem(row.line(), f"{id_} is a person and a team", "rename")
            teams[id_] = _team(id_, row, people)
    fields.finish()
    return people, teams


def _person(id_: str, row: Fields, taken: dict[str, str]) -> Person:
    _check_id(id_, row)
    name = row.text("name")
    if len(_scripts(name)) > 1:
        message = f"{name!r} mixes scripts: {', '.join(sorted(_scripts(name)))}"
        row.problem("name", message, "write it in one, so that it cannot imitate")
    login = row.matching("github", _LOGIN, "a GitHub login")
    numbers = row.listing("github_ids")
    for line, number in numbers:
        if not _NUMBER.match(number):
            row.page.problem(line, f"{number!r} is not a numeric GitHub id")
    keys = _optional_list(row, "ssh_keys")
    for line, key in keys:
        if flaw := key_flaw(key):
            row.page.problem(line, f"ssh_keys: {key[:24]!r} {flaw}", "see ssh-keygen")
    roles = row.listing("roles")
    for line, role in roles:
        row.refer(line, role, ROLES, "role")
    person = Person(
        id=id_,
        name=name,
        login=login,
        github_ids=tuple(number for _, number in numbers),
        roles=tuple(role for _, role in roles),
        organisation=row.optional("organisation"),
        qualification=row.optional("qualification"),
        ssh_keys=tuple(key for _, key in keys),
        valid=row.interval("valid", required=False),
    )
    row.finish()
    for key, what, value in (
        ("name", "name", unicodedata.normalize("NFKC", name).casefold()),
        ("name", "name, to the eye,", look(name)),
        ("github", "GitHub login", login.casefold()),
        ("github", "GitHub login, to the eye,", look(login)),
        *(("github_ids", "GitHub id", number) for number in person.github_ids),
        *(("ssh_keys", "key", " ".join(k.split()[:2])) for k in person.ssh_keys),
    ):
        other = taken.setdefault(f"{what} {value}", id_)
        if value and other != id_:
            row.problem(key, f"this {what} is {other}'s already", "one person each")
    return person


def _team(id_: str, row: Fields, people: dict[str, Person]) -> Team:
    _check_id(id_, row)
    members = row.listing("members")
    for line, member in members:
        row.refer(line, member, people, "person")
    login = ""
    if row.has("github"):
        login = row.matching("github", _TEAM, "a GitHub team like org/team")
    team = Team(
        id=id_,
        name=row.text("name"),
        members=tuple(m for _, m in members if m in people),
        login=login,
    )
    row.finish()
    return team


def _optional_list(row: Fields, key: str) -> tuple[tuple[int, str], ...]:
    return row.listing(key, required=False, filled=False)


def _check_id(id_: str, row: Fields) -> None:
    flaw = id_flaw(id_)
    if flaw:
        row.page.problem(row.line(), flaw, "choose another")


def look(text: str) -> str:
    """Give what a text looks like: look-alike letters become one, accents stay."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_ALIKE)
    return " ".join(folded.replace("rn", "m").replace("vv", "w").split())


def _scripts(name: str) -> frozenset[str]:
    """Name the scripts of a display name's letters, so that none imitates another."""
    return frozenset(
        unicodedata.name(char, "?").split(" ")[0].capitalize()
        for char in name
        if char.isalpha()
    )
