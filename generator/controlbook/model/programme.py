# SPDX-License-Identifier: Apache-2.0
"""What a team writes of frameworks, assessments, annotations and sign-offs.

Rules enforced here:
- a requirement has controls, or a reason for having none;
- closed sets are enums, so that a typing error is no new state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.timeline import Instant, Interval

    from .controls import Control, Person, Team
    from .record import StoredObject


class Relation(StrEnum):
    """What a control covers of a requirement, as sets of what they ask for."""

    EQUAL = "equal"
    SUBSET = "subset"
    """The control is part of what the requirement asks for."""
    SUPERSET = "superset"
    """The control asks for all of the requirement, and for more."""
    INTERSECTS = "intersects"
    """They share something; the weakest claim, and the one a bare id makes."""


class MappingState(StrEnum):
    """Whether a person of the programme stands behind a mapping."""

    PROPOSED = "proposed"
    REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedControl:
    """One row of a mapping: a requirement and a control that speaks to it."""

    control: str
    relation: Relation = Relation.INTERSECTS
    source: str = ""
    """Who says so: a key of the framework's `sources`, or empty: we do."""
    state: MappingState = MappingState.REVIEWED


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One numbered item of a framework, with its mapped controls or a reason."""

    number: str
    title: str
    parent: str = ""
    controls: tuple[str, ...] = ()
    """The controls of *reviewed* mappings: what assessments rest on."""
    inherited: str = ""
    not_applicable: str = ""
    mappings: tuple[MappedControl, ...] = ()
    """Every mapping as written, proposed ones included."""
    unmapped: str = ""
    """Why nothing is mapped; an explanation, not an answer."""
    evidence: tuple[str, ...] = ()
    """The kinds of evidence it can have: automated, cloudtrail, api, manual."""

    @property
    def proposed(self) -> tuple[str, ...]:
        """The controls that somebody proposes and nobody has reviewed."""
        return tuple(
            row.control for row in self.mappings if row.state is MappingState.PROPOSED
        )

    @property
    def rests_on_proposals(self) -> bool:
        """Whether nothing but proposed mappings stands behind it."""
        answered = self.controls or self.inherited or self.not_applicable
        return bool(self.proposed) and not answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A standard in one version; requirements stand in natural order."""

    id: str
    title: str
    labels: Mapping[str, str]
    """The framework's own words for our conclusions."""
    requirements: Mapping[str, Requirement]
    retired: str = ""
    """Date on which its owner retired it, `YYYY-MM-DD`, or empty."""
    url: str = ""
    license: str = ""
    """Of the official text, where its owner's terms have to be told."""
    license_url: str = ""
    retention_years: int = 0
    """How long after a period it wants the evidence kept."""
    note: str = ""
    """What a reader has to know about how far the file goes."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where mappings come from: key → the source in full."""
    path: str = ""


class Conclusion(StrEnum):
    """What an assessor may conclude."""

    SATISFIED = "satisfied"
    NOT_SATISFIED = "not-satisfied"
    COMPENSATED = "compensated"
    NOT_APPLICABLE = "not-applicable"
    NOT_TESTED = "not-tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A right to act for somebody, between two instants."""

    giver: str
    receiver: str
    role: str
    requirements: tuple[str, ...]
    interval: Interval
    """As granted; half-open."""
    revoked: Instant | None = None
    """When a later entry took it back; nothing after that counts."""

    @property
    def ends(self) -> Instant:
        """When it ends: as granted, or earlier where it was taken back."""
        end = self.interval.end
        return end if self.revoked is None else min(end, self.revoked)

    def allows(self, moment: Instant) -> bool:
        """Tell whether the receiver may act at an instant."""
        return self.interval.contains(moment) and (
            self.revoked is None or moment < self.revoked
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A framework × accounts × half-open period × assessors."""

    id: str
    title: str
    framework: str
    period: Interval
    accounts: tuple[tuple[str, str], ...]
    """(name, 12-digit id), sorted by id."""
    regions: tuple[str, ...]
    requirements: tuple[str, ...]
    """Numbers in scope, in the framework's order."""
    excluded: tuple[tuple[str, str], ...]
    """(number, reason) for every requirement left out."""
    assessors: tuple[tuple[str, str], ...]
    """(requirement number or `default`, person)."""
    delegations: tuple[Delegation, ...] = ()
    retention_until: Instant | None = None
    policy: tuple[tuple[str, str], ...] = ()
    entity: str = ""
    path: str = ""
    _names: Mapping[str, str] = field(init=False, repr=False, compare=False)
    """id → our name: a table asks for it in each of its rows."""

    def __post_init__(self) -> None:
        """Lay the accounts out by their ids."""
        names = {number: name for name, number in self.accounts}
        object.__setattr__(self, "_names", names)

    def assessor_of(self, requirement: str) -> str:
        """Name the person who assesses a requirement."""
        table = dict(self.assessors)
        return table.get(requirement, table.get("default", ""))

    def of(self, accounts: frozenset[str] | None) -> Assessment:
        """Give the assessment of some of its accounts alone; None: of all."""
        if accounts is None or accounts.issuperset(
            number for _, number in self.accounts
        ):
            return self
        own = tuple(pair for pair in self.accounts if pair[1] in accounts)
        return replace(self, accounts=own)

    def account_name(self, account: str) -> str:
        """Give our name of an account, or its id where we have none."""
        return self._names.get(account, account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A person's explanation of deviations, gaps, or of a control."""

    path: str
    sha256: str
    covers: tuple[str, ...]
    """Ids of deviations (`dev-…`) and gaps (`gap-…`), or control ids."""
    start: Instant | None
    end: Instant | None
    """As `annotate` wrote them; must equal the facts. None where open."""
    author: str
    body: str
    """Markdown, unsafe until sanitised."""
    ticket: str = ""
    audience: str = "auditor"
    title: str = ""
    times: tuple[tuple[str, Instant, Instant | None], ...] = ()
    """(id, start, end) of each that is covered, where they are not the same."""

    def stated(self, id_: str) -> tuple[Instant, Instant | None] | None:
        """Give the times that it states of a deviation or gap; None: it states none."""
        own = {name: (start, end) for name, start, end in self.times}
        if id_ in own:
            return own[id_]
        return None if self.start is None else (self.start, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualEvidence:
    """A document in the vault that people put in, with the period it covers."""

    id: str
    title: str
    owner: str
    covers: Interval
    received: Instant
    expires: Instant | None
    file: str
    """Name of the file as it was put in."""
    content_sha256: str
    size: int
    object: StoredObject
    path: str
    sha256: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """An owner's attestation (role `owner`) or an assessor's sign-off (`assessor`)."""

    path: str
    sha256: str
    role: str
    assessment: str
    about: str
    """The control of an attestation, the requirement of a sign-off."""
    person: str
    github_id: str
    decision: str
    """attest | withdraw for owners; sign | reject | withdraw for assessors."""
    conclusion: str
    statement: str
    acknowledged: tuple[str, ...]
    claimed_at: Instant
    prev: str
    base: str
    generator: str
    subject: tuple[tuple[str, str], ...]
    """(name, sha256), in the order of trust.md section 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[tool.controlbook]` of the programme's pyproject.toml."""

    ledger: str
    """The ledger's id (a UUID), in every run manifest."""
    aggregator: str = ""
    region: str = ""
    """The aggregator's Region."""
    delivery_bucket: str = ""
    delivery_prefix: str = ""
    trail_bucket: str = ""
    """Where the organization's trail delivers; empty: LookupEvents is asked."""
    trail_prefix: str = ""
    collector_role: str = ""
    """Name of the role assumed in each account; empty: use own credentials."""
    vault: str = "vault"
    """`s3://bucket/prefix`, or a folder relative to the repository."""
    vault_profile: str = ""
    """The AWS profile that reaches the vault; empty: the same as everything else."""
    github: str = ""
    """`owner/name` on GitHub."""
    branch: str = "main"
    ticket_url: str = ""
    """Template with `{ticket}`."""
    entity: str = ""
    streams: tuple[str, ...] = ("config", "reviews")
    checkpoint_keys: tuple[str, ...] = ()
    """SSH public keys with which a job signs checkpoints."""
    tsa_roots: tuple[str, ...] = ()
    """Certificates (PEM) of the time-stamp authorities that are trusted."""
    tsa_policy: str = ""
    """OID of the only time-stamp policy that is accepted; empty: any."""
    licensed_text: str = ""
    """Untracked folder with the team's own copy of standards' texts, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Every human file of one tree, as values."""

    settings: Settings
    people: Mapping[str, Person] = field(default_factory=dict)
    teams: Mapping[str, Team] = field(default_factory=dict)
    controls: Mapping[str, Control] = field(default_factory=dict)
    frameworks: Mapping[str, Framework] = field(default_factory=dict)
    assessments: Mapping[str, Assessment] = field(default_factory=dict)
    annotations: tuple[Annotation, ...] = ()
    manual: Mapping[str, ManualEvidence] = field(default_factory=dict)
    signoffs: tuple[SignOff, ...] = ()
    codeowners: bytes = b""

    def members(self, owner: str) -> tuple[str, ...]:
        """Give the person ids that may act as `owner` (a person or a team)."""
        team = self.teams.get(owner)
        return team.members if team else (owner,)
