# SPDX-License-Identifier: Apache-2.0
"""A world: what truly happened in some AWS accounts, as immutable values.

Rules enforced here:
- a world holds facts with their instants and nothing derived; every view that the
  sandbox serves is a function of (world, instant), so no two views can disagree;
- a verdict belongs to a rule and a resource that exist at that instant;
- what AWS Config *recorded* of these facts is another matter: see recording.py.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlbook.timeline import DAY, HOUR, Instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterable

COMPLIANT = "COMPLIANT"
NON_COMPLIANT = "NON_COMPLIANT"
NOT_APPLICABLE = "NOT_APPLICABLE"
INSUFFICIENT_DATA = "INSUFFICIENT_DATA"

FREQUENCIES = {
    "One_Hour": HOUR,
    "Three_Hours": 3 * HOUR,
    "Six_Hours": 6 * HOUR,
    "Twelve_Hours": 12 * HOUR,
    "TwentyFour_Hours": DAY,
}
"""How often a periodic rule runs, by AWS's names."""


def token_of(*parts: str, length: int = 6) -> str:
    """Give a stable made-up id, in AWS's lower-case alphabet, for some names."""
    digest = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest())
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    letters = []
    for _ in range(length):
        digest, index = divmod(digest, len(alphabet))
        letters.append(alphabet[index])
    return "".join(letters)


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Account:
    """A member of the organization, from joining to leaving."""

    id: str
    name: str
    joined: Instant
    left: Instant | None = None
    status: str = "ACTIVE"

    def member_at(self, moment: Instant) -> bool:
        """Tell whether the account belongs to the organization at an instant."""
        return self.joined <= moment and (self.left is None or moment < self.left)


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Rule:
    """A Config rule as deployed in one account and Region."""

    account: str
    region: str
    name: str
    """As deployed, with the additions of packs or Security Hub."""
    identifier: str
    """AWS's SourceIdentifier, or the ARN of the custom rule's function."""
    created: Instant
    deleted: Instant | None = None
    owner: str = "AWS"
    """AWS | CUSTOM_LAMBDA | CUSTOM_POLICY"""
    parameters: tuple[tuple[str, str], ...] = ()
    trigger: str = "change"
    """change | periodic | both"""
    frequency: str = ""
    resource_types: tuple[str, ...] = ()
    created_by: str = ""
    """The service principal that deployed it, or empty: people did."""

    @property
    def id(self) -> str:
        """Give the ConfigRuleId."""
        return f"config-rule-{token_of(self.account, self.region, self.name)}"

    @property
    def arn(self) -> str:
        """Give the ConfigRuleArn; rules of services stand below aws-service-rule/."""
        folder = f"aws-service-rule/{self.created_by}/" if self.created_by else ""
        place = f"arn:aws:config:{self.region}:{self.account}:config-rule"
        return f"{place}/{folder}{self.id}"

    def exists_at(self, moment: Instant) -> bool:
        """Tell whether the rule is deployed at an instant."""
        return self.created <= moment and (
            self.deleted is None or moment < self.deleted
        )

    def last_tick(self, moment: Instant) -> Instant | None:
        """Give the latest scheduled evaluation, or None for a rule without schedule."""
        step = FREQUENCIES.get(self.frequency)
        if step is None or moment < self.created:
            return None
        return Instant(moment - (moment - self.created) % step)


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Resource:
    """Something a rule judges, from creation to deletion."""

    account: str
    region: str
    type: str
    id: str
    created: Instant
    deleted: Instant | None = None

    @property
    def name(self) -> str:
        """Give the resource as ResourceCompliance names it: `type/id`."""
        return f"{self.type}/{self.id}"

    def exists_at(self, moment: Instant) -> bool:
        """Tell whether the resource exists at an instant."""
        return self.created <= moment and (
            self.deleted is None or moment < self.deleted
        )


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Verdict:
    """From this instant on, the rule's verdict on the resource is this one."""

    at: Instant
    account: str
    region: str
    rule: str
    """The rule's name as deployed."""
    resource: str
    """`type/id`"""
    state: str
    """COMPLIANT | NON_COMPLIANT | NOT_APPLICABLE"""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class RuleFailure:
    """A rule could not evaluate in `[start, end)`: INSUFFICIENT_DATA throughout."""

    account: str
    region: str
    rule: str
    start: Instant
    end: Instant
    code: str = "AccessDenied"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class RecorderStop:
    """The recorder of an account × Region was off in `[start, end)`."""

    account: str
    region: str
    start: Instant
    end: Instant | None = None
    """None: never started again."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class TrailEvent:
    """An API call that CloudTrail records."""

    at: Instant
    account: str
    region: str
    """In which the trail records it: us-east-1 for IAM."""
    source: str
    name: str
    actor: str
    """The session of the role: usually a person."""
    role: str = "operator"
    parameters: tuple[tuple[str, str], ...] = ()
    late: int = 0
    """Milliseconds by which its log file comes later than usual."""

    @property
    def id(self) -> str:
        """Give the eventID."""
        parts = (self.account, self.region, iso(self.at), self.name, self.actor)
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that happened, in every account, for all time."""

    name: str
    home: str
    """The account that holds the aggregator and the delivery bucket."""
    home_region: str
    regions: tuple[str, ...]
    aggregator: str
    delivery_bucket: str
    accounts: tuple[Account, ...]
    rules: tuple[Rule, ...]
    resources: tuple[Resource, ...]
    verdicts: tuple[Verdict, ...]
    failures: tuple[RuleFailure, ...] = ()
    stops: tuple[RecorderStop, ...] = ()
    trail_bucket: str = ""
    """Where the organization's trail delivers; empty: there is no trail."""
    trail_since: Instant = field(default=Instant(0))
    """When the trail was switched on."""
    events: tuple[TrailEvent, ...] = ()
    audited_since: Instant = field(default=Instant(0))
    """When the assessment in Audit Manager was made; 0: some days before any look."""
    begin: Instant = field(default=Instant(0))
    """A good instant to start a clock at."""

    def __post_init__(self) -> None:
        """Refuse a world that contradicts itself with ValueError."""
        rules = {(r.account, r.region, r.name): r for r in self.rules}
        lives: dict[tuple[str, str, str], list[Resource]] = {}
        for life in self.resources:
            lives.setdefault((life.account, life.region, life.name), []).append(life)
        for verdict in self.verdicts:
            place = (verdict.account, verdict.region)
            rule = rules.get((*place, verdict.rule))
            owner = lives.get((*place, verdict.resource), [])
            if not rule or not rule.exists_at(verdict.at):
                _contradiction(verdict, f"no rule {verdict.rule}")
            if not any(life.exists_at(verdict.at) for life in owner):
                _contradiction(verdict, f"no resource {verdict.resource}")
        for event in self.events:
            if self.account(event.account) is None:
                message = f"an event at {iso(event.at)}: no account {event.account}"
                raise ValueError(message)

    @property
    def organization_id(self) -> str:
        """Give the organization's made-up id."""
        return f"o-{token_of(self.name, self.home, length=10)}"

    def account(self, number: str) -> Account | None:
        """Find an account by its number."""
        return next((each for each in self.accounts if each.id == number), None)

    def members(self, moment: Instant) -> tuple[Account, ...]:
        """Give the accounts that belong to the organization at an instant."""
        return tuple(each for each in self.accounts if each.member_at(moment))


def _contradiction(verdict: Verdict, what: str) -> None:
    place = f"{verdict.account} {verdict.region}"
    message = f"a verdict at {iso(verdict.at)} in {place}: {what} at that instant"
    raise ValueError(message)


def compliant_throughout(
    rules: Iterable[Rule], resources: Iterable[Resource], *, after: int
) -> tuple[Verdict, ...]:
    """Give the first, COMPLIANT verdict of every rule on every resource it judges.

    It falls `after` milliseconds after the younger of the two, for a periodic rule on
    its next scheduled run, and is left out where one of them was gone by then.
    """
    by_place: dict[tuple[str, str, str], list[Resource]] = {}
    for resource in resources:
        key = (resource.account, resource.region, resource.type)
        by_place.setdefault(key, []).append(resource)
    found = []
    for rule in rules:
        for kind in rule.resource_types:
            for resource in by_place.get((rule.account, rule.region, kind), ()):
                at = _first_evaluation(rule, resource, after)
                if rule.exists_at(at) and resource.exists_at(at):
                    found.append(_first(rule, resource, at))
    return tuple(found)


def _first_evaluation(rule: Rule, resource: Resource, after: int) -> Instant:
    both = max(rule.created, resource.created)
    if rule.trigger != "periodic":
        return Instant(both + after)
    tick = rule.last_tick(both)
    if tick is None or tick == both:
        return both
    return Instant(tick + FREQUENCIES[rule.frequency])


def _first(rule: Rule, resource: Resource, at: Instant) -> Verdict:
    return Verdict(
        at=at,
        account=rule.account,
        region=rule.region,
        rule=rule.name,
        resource=resource.name,
        state=COMPLIANT,
    )
