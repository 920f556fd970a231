# SPDX-License-Identifier: Apache-2.0
"""signoffs/<assessment>/assessment.yml: what is assessed, when, where and by whom.

Rules enforced here:
- the period is half-open and ends after it starts; evidence is kept longer than it;
- an account is 12 digits, kept as text; a Region looks like one;
- every number of the framework that is not a heading is either in scope or left out
  with a reason. A reason under a parent's number covers everything below it that is
  not in scope itself;
- what is in scope has controls or a reason to have none, and an assessor with that
  role who owns none of its controls;
- a delegation is taken back by a later entry, so that what was granted stays readable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from controlbook.model import Assessment, Delegation
from controlbook.retention import years_after
from controlbook.timeline import Interval, instant, iso

from .frameworks import answered, assessable, natural, with_ancestors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import Control, Framework, Person, Team
    from controlbook.reading import Fields
    from controlbook.timeline import Instant

FILE = "assessment.yml"
DEFAULT = "default"
LEVELS = ("L1", "L2", "L3")
POLICY = {
    "signoff": LEVELS,
    "attestation": LEVELS,
    "checkpoint": ("none", "ssh", "rfc3161", "ssh+rfc3161"),
    "release": ("none", "ssh"),
    "annotation": ("none", "ticket"),
}
"""What can be required of whom; an attestation needs what a sign-off needs, unless it
is said apart."""

_ACCOUNT = re.compile(r"[0-9]{12}\Z")
_ACCOUNT_DIGITS = 12
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]\Z")
_SHOWN = 8
# What stands in for a period that could not be read; its problem is noted.
_NO_PERIOD = Interval(instant("1970-01-01T00:00:00Z"), instant("1970-01-02T00:00:00Z"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The other files that an assessment names."""

    people: Mapping[str, Person]
    teams: Mapping[str, Team]
    controls: Mapping[str, Control]
    frameworks: Mapping[str, Framework]

    def members(self, owner: str) -> tuple[str, ...]:
        """Give the people who may act as an owner; nobody for one that is unknown."""
        team = self.teams.get(owner)
        if team:
            return team.members
        return (owner,) if owner in self.people else ()

    def owners(self, framework: Framework, number: str) -> Mapping[str, str]:
        """Give person → control for everyone who owns a control mapped to a number."""
        found: dict[str, str] = {}
        for id_ in framework.requirements[number].controls:
            control = self.controls.get(id_)
            for person in self.members(control.owner) if control else ():
                found.setdefault(person, id_)
        return found

    def mapping(self, assessment: Assessment, control: str) -> tuple[str, ...]:
        """List the numbers in an assessment's scope that map a control."""
        framework = self.frameworks.get(assessment.framework)
        if framework is None:
            return ()
        return tuple(
            number
            for number in assessment.requirements
            if control in framework.requirements[number].controls
        )


def read_assessment(fields: Fields, id_: str, around: Around) -> Assessment:
    """Read one assessment.yml."""
    fields.same("id", id_, "the folder's name")
    title = fields.optional("title") or id_
    framework_id = fields.reference("framework", around.frameworks, "framework")
    framework = around.frameworks.get(framework_id)
    period = fields.interval("period")
    requirements, excluded = _scope(fields, framework)
    assessment = Assessment(
        id=id_,
        title=title,
        framework=framework_id,
        period=period or _NO_PERIOD,
        accounts=_accounts(fields),
        regions=_regions(fields),
        requirements=requirements,
        excluded=excluded,
        assessors=_assessors(fields, framework, requirements, around),
        delegations=_delegations(fields, framework, requirements, around),
        retention_until=_retention(fields, period, framework),
        policy=_policy(fields),
        entity=fields.optional("entity"),
        path=fields.page.path,
    )
    fields.finish()
    return assessment


def _accounts(fields: Fields) -> tuple[tuple[str, str], ...]:
    table = fields.table("accounts")
    if table is None:
        return ()
    found: dict[str, str] = {}
    for name in table:
        number = table.text(name)
        if number.isdecimal() and len(number) == _ACCOUNT_DIGITS - 1:
            message = f"{number} has 11 digits, an account id 12: it lost its zero"
            table.problem(name, message, f'write "0{number}", in quotes')
        elif number and not _ACCOUNT.match(number):
            table.problem(name, f"{number!r} is not an account id of 12 digits")
        if number in found:
            table.problem(name, f"{number} is {found[number]} already", "keep one name")
        found.setdefault(number, name)
    if not found:
        fields.problem("accounts", "names no account", "an assessment needs one")
    return tuple((found[number], number) for number in sorted(found))


def _regions(fields: Fields) -> tuple[str, ...]:
    listed = fields.listing("regions")
    for line, region in listed:
        if not _REGION.match(region):
            message = f"regions: {region!r} is not a Region like eu-west-1"
            fields.page.problem(line, message)
    return tuple(sorted(region for _, region in listed))


def _scope(
    fields: Fields, framework: Framework | None
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Resolve `requirements` and `excluded` against the framework."""
    listed = fields.all_or_listing("requirements")
    table = fields.table("excluded", required=False)
    reasons = {key: table.text(key) for key in table} if table else {}
    if framework is None:
        return tuple(n for _, n in listed or ()), tuple(reasons.items())
    for number in reasons:
        if table is not None:
            known = framework.requirements
            table.refer(table.line(number), number, known, "requirement")
    every = assessable(framework)
    if listed is None:
        scope = tuple(n for n in every if not _covering(framework, n, reasons))
        lines = dict.fromkeys(scope, fields.line("requirements"))
    else:
        lines = _listed(fields, framework, listed)
        scope = tuple(n for n in every if n in lines)
    for number in scope:
        item = framework.requirements[number]
        if item.rests_on_proposals:
            fields.page.problem(
                lines[number],
                f"{number} is in scope, but rests on proposed mappings only "
                f"({', '.join(item.proposed[:_SHOWN])})",
                f"review them in {framework.path} and say `state: reviewed`",
            )
        elif not answered(item):
            fields.page.problem(
                lines[number],
                f"{number} is in scope, but {framework.path} maps nothing to it",
                "map controls, or say `inherited` or `not-applicable` with the reason",
            )
    left = tuple(n for n in every if n not in lines)
    _check_left_out(fields, framework, left, reasons)
    if table is not None:
        _check_reasons(table, framework, reasons, left, lines)
    return scope, tuple(
        (n, reasons.get(_covering(framework, n, reasons), "")) for n in left
    )


def _listed(
    fields: Fields, framework: Framework, listed: tuple[tuple[int, str], ...]
) -> dict[str, int]:
    every = frozenset(assessable(framework))
    lines: dict[str, int] = {}
    for line, number in listed:
        if number in every:
            lines[number] = line
        elif number in framework.requirements:
            message = f"requirements: {number} is a heading of {framework.id}"
            fields.page.problem(line, message, "list the numbers below it")
        else:
            known = framework.requirements
            fields.refer(line, number, known, "requirement")
    return lines


def _covering(framework: Framework, number: str, reasons: Mapping[str, str]) -> str:
    """Name the nearest number, itself or above, whose reason leaves this one out."""
    steps = with_ancestors(framework, number)
    return next((step for step in steps if step in reasons), "")


def _check_left_out(
    fields: Fields,
    framework: Framework,
    left: tuple[str, ...],
    reasons: Mapping[str, str],
) -> None:
    bare = [n for n in left if not _covering(framework, n, reasons)]
    if bare:
        shown = ", ".join(bare[:_SHOWN]) + (", …" if len(bare) > _SHOWN else "")
        fields.page.problem(
            fields.line("requirements"),
            f"{len(bare)} of {framework.id} left out without a reason: {shown}",
            "list them, or give a reason under `excluded` (a parent covers all below)",
        )


def _check_reasons(
    table: Fields,
    framework: Framework,
    reasons: Mapping[str, str],
    left: tuple[str, ...],
    lines: Mapping[str, int],
) -> None:
    used = {_covering(framework, n, reasons) for n in left}
    for number in reasons:
        if number in lines:
            table.problem(number, "is in scope and excluded", "keep one")
        elif number in framework.requirements and number not in used:
            table.problem(number, "leaves nothing out", "remove it")


def _assessors(
    fields: Fields,
    framework: Framework | None,
    scope: tuple[str, ...],
    around: Around,
) -> tuple[tuple[str, str], ...]:
    table = fields.table("assessors")
    if table is None:
        return ()
    found: dict[str, str] = {}
    for key in table:
        if framework and key != DEFAULT:
            table.refer(table.line(key), key, scope, "requirement in scope")
        found[key] = table.reference(key, around.people, "person")
        person = around.people.get(found[key])
        if person and "assessor" not in person.roles:
            message = f"{person.id} has no role `assessor` in signoffs/people.yml"
            table.problem(key, message, "name another, or give the role")
    if DEFAULT not in found:
        bare = [n for n in scope if n not in found]
        if bare:
            message = f"nobody assesses {', '.join(bare[:_SHOWN])}"
            fields.problem("assessors", message, "name a `default`")
    if framework:
        _check_duties(table, found, framework, scope, around)
    return tuple(sorted(found.items(), key=lambda item: natural(item[0])))


def _check_duties(
    table: Fields,
    found: Mapping[str, str],
    framework: Framework,
    scope: tuple[str, ...],
    around: Around,
) -> None:
    for number in scope:
        key = number if number in found else DEFAULT
        control = around.owners(framework, number).get(found.get(key, ""))
        if control:
            message = f"{found[key]} owns {control}, which {number} maps"
            table.problem(key, message, f"name another assessor for {number}")


def _delegations(
    fields: Fields,
    framework: Framework | None,
    scope: tuple[str, ...],
    around: Around,
) -> tuple[Delegation, ...]:
    found: list[Delegation] = []
    for row in fields.rows("delegations", required=False, filled=False):
        giver = row.reference("from", around.people, "person")
        receiver = row.reference("to", around.people, "person")
        role = row.choice("role", ("assessor", "owner"))
        numbers = row.listing("requirements")
        for line, number in numbers:
            if framework and row.refer(line, number, scope, "requirement in scope"):
                control = around.owners(framework, number).get(receiver)
                if role == "assessor" and control:
                    message = f"{receiver} owns {control}, which {number} maps"
                    row.page.problem(line, message, "delegate to somebody else")
        key = (giver, receiver, role, tuple(number for _, number in numbers))
        if row.has("revoked"):
            _revoke(row, key, found)
            continue
        interval = row.span("the delegation")
        row.finish()
        if interval is not None:
            found.append(
                Delegation(
                    giver=giver,
                    receiver=receiver,
                    role=role,
                    requirements=key[3],
                    interval=interval,
                )
            )
    return tuple(found)


def _revoke(
    row: Fields, key: tuple[str, str, str, tuple[str, ...]], found: list[Delegation]
) -> None:
    """Take back the delegations above that name the same people, role and numbers."""
    moment = row.moment("revoked")
    row.finish()
    same = [
        number
        for number, d in enumerate(found)
        if (d.giver, d.receiver, d.role, d.requirements) == key
    ]
    if not same:
        message = "takes back a delegation that does not stand above it"
        row.page.problem(row.line(), message, "repeat its from, to and requirements")
    for number in same:
        earlier = found[number].revoked
        if moment is not None and (earlier is None or moment < earlier):
            found[number] = replace(found[number], revoked=moment)


def _retention(
    fields: Fields, period: Interval | None, framework: Framework | None
) -> Instant | None:
    table = fields.table("retention", required=False)
    if table is None:
        return None
    until = table.moment("until")
    if until is not None and period is not None and until <= period.end:
        table.problem("until", "is not after the period's end", "keep evidence longer")
    elif until is not None and period is not None and framework is not None:
        due = years_after(period.end, framework.retention_years)
        if until < due:
            message = f"{framework.id} wants evidence kept until {iso(due)}"
            table.problem("until", message, "keep evidence longer")
    table.finish()
    return until


def _policy(fields: Fields) -> tuple[tuple[str, str], ...]:
    table = fields.table("policy", required=False)
    if table is None:
        return ()
    found = {
        key: table.choice(key, known) for key, known in POLICY.items() if table.has(key)
    }
    table.finish()
    return tuple(sorted(found.items()))
