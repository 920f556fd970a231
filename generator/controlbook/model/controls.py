# SPDX-License-Identifier: Apache-2.0
"""What a team writes of people and controls, and which evidence a control names.

Rules enforced here:
- ids, account numbers and requirement numbers are strings: "3.10" is not "3.1".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from controlbook.timeline import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person of people.yml; the numeric GitHub ids are the identity."""

    id: str
    name: str
    login: str
    github_ids: tuple[str, ...]
    roles: tuple[str, ...] = ()
    organisation: str = ""
    qualification: str = ""
    ssh_keys: tuple[str, ...] = ()
    valid: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team of people.yml; any member may act for it."""

    id: str
    name: str
    members: tuple[str, ...]
    login: str = ""
    """The GitHub team, `org/team`, for CODEOWNERS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRule:
    """Evidence by an AWS Config rule, matched by identifier and parameters.

    `name` is what people wrote; `identifier` is AWS's SourceIdentifier, or
    `custom-lambda:<name>` / `custom-guard:<name>` for the team's own rule.
    """

    name: str
    identifier: str
    parameters: tuple[tuple[str, str], ...] = ()
    canonical_name: str = ""
    """AWS's own name of a managed rule, where people wrote another."""

    @property
    def key(self) -> str:
        """Name this evidence within its control: `config:<name as written>`."""
        return f"config:{self.name}"

    def met_by(self, identifier: str, parameters: tuple[tuple[str, str], ...]) -> bool:
        """Tell whether a deployed rule is this one, with every demanded parameter."""
        return identifier == self.identifier and set(self.parameters) <= set(parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Evidence by CloudTrail events: any, none or some are expected."""

    source: str
    event: str
    expect: str

    @property
    def key(self) -> str:
        """Name this evidence within its control."""
        return f"cloudtrail:{self.source}:{self.event}"


HOMES = (("cn-", "cn-north-1"), ("us-gov-", "us-gov-west-1"), ("", "us-east-1"))
"""Where a trail records global services, by how the scope's Regions begin."""
AT_HOME = frozenset({"iam.amazonaws.com", "cloudfront.amazonaws.com"})
"""Services whose events trails record in the home Region only."""
ALSO_AT_HOME = frozenset(
    {
        "sts.amazonaws.com",
        "signin.amazonaws.com",
        "organizations.amazonaws.com",
        "route53.amazonaws.com",
    }
)
"""Services whose events trails record in the home Region or where they occurred."""


def home_region(regions: Collection[str]) -> str:
    """Give the Region in which trails of a scope record global services."""
    first = min(regions, default="")
    return next(home for start, home in HOMES if first.startswith(start))


def recorded_in(source: str, regions: Collection[str]) -> tuple[str, ...]:
    """Give the Regions whose trails must be read to know a service's events.

    Not the scope's alone: nobody finds `CreateUser` in eu-west-1.
    """
    home = home_region(regions)
    if source in AT_HOME:
        return (home,)
    return tuple(sorted({*regions, *([home] if source in ALSO_AT_HOME else [])}))


def heard_in(source: str, regions: Collection[str]) -> tuple[str, ...]:
    """Give the Regions in which an event of a service belongs to a scope."""
    return tuple(sorted({*regions, *recorded_in(source, regions)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Evidence by a read-only API call, e.g. `iam:GetAccountAuthorizationDetails`."""

    call: str
    parameters: tuple[tuple[str, str], ...] = ()
    """What the call is asked with, where it demands something."""
    days: int = 1
    """One snapshot is demanded in so many days."""

    @property
    def key(self) -> str:
        """Name this evidence within its control."""
        return f"snapshot:{self.call}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityHubControl:
    """Evidence by a Security Hub control, e.g. `IAM.6`."""

    control: str
    days: int = 1
    """One look at its findings is demanded in so many days."""

    @property
    def key(self) -> str:
        """Name this evidence within its control."""
        return f"security-hub:{self.control}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualDocument:
    """Evidence by a document, the id of a file in evidence/manual/."""

    document: str

    @property
    def key(self) -> str:
        """Name this evidence within its control."""
        return f"manual:{self.document}"


EvidenceSource = (
    ConfigRule | EventQuery | Snapshot | SecurityHubControl | ManualDocument
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Our own control, in our words, with one owner (a person or team)."""

    id: str
    title: str
    statement: str
    owner: str
    evidence: tuple[EvidenceSource, ...]
    path: str
    sha256: str
    """Of the committed file's bytes."""
