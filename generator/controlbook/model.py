# SPDX-License-Identifier: Apache-2.0
"""The words of the domain as values.

Rules enforced here:
- ids, account numbers and requirement numbers are strings: "3.10" is not "3.1";
- everything is frozen; sequences are tuples; closed sets are enums;
- a deviation is not an evidence gap, and neither is ever merged with the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .timeline import Instant, Interval

ALL = "all"
"""Stands for every account, Region or rule in an evidence gap."""
GLOBAL = "global"
"""Stands for the Region of a service that has none, such as IAM."""
OBSERVED = "observed"
"""State of an observation that holds an answer, and not the reason for lacking it."""


# --- what people write -------------------------------------------------------


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

    def assessor_of(self, requirement: str) -> str:
        """Name the person who assesses a requirement."""
        table = dict(self.assessors)
        return table.get(requirement, table.get("default", ""))

    def account_name(self, account: str) -> str:
        """Give our name of an account, or its id where we have none."""
        return {number: name for name, number in self.accounts}.get(account, account)


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

    def person_of_github(self, github_id: str) -> Person | None:
        """Find the person behind a numeric GitHub id, or None: nobody."""
        for person in self.people.values():
            if github_id in person.github_ids:
                return person
        return None

    def members(self, owner: str) -> tuple[str, ...]:
        """Give the person ids that may act as `owner` (a person or a team)."""
        team = self.teams.get(owner)
        return team.members if team else (owner,)


# --- what the ledger holds ----------------------------------------------------


class State(StrEnum):
    """The state of one resource under one rule, from one instant to the next."""

    COMPLIANT = "COMPLIANT"
    NON_COMPLIANT = "NON_COMPLIANT"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
    UNKNOWN = "UNKNOWN"
    """The rule no longer speaks of a resource that still exists: an evidence gap."""
    ABSENT = "ABSENT"
    """Not in the rule's population: not yet created, or deleted."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class RuleInstance:
    """One deployed rule in one account and Region, as a run saw it."""

    key: str
    """16 hex digits over (identifier, parameters, account, region); see ledger.py."""
    rule: str
    """The name without the additions of packs, Security Hub, organisations."""
    deployed_as: str
    """The name as deployed."""
    identifier: str
    parameters: tuple[tuple[str, str], ...]
    account: str
    region: str
    trigger: str
    """change | periodic | both"""
    frequency: str = ""
    """MaximumExecutionFrequency of a periodic rule, e.g. TwentyFour_Hours."""
    matched: str = "identifier"
    """identifier | name: how the rule was recognised."""
    status: str = "ok"
    """ok | idle | never-evaluated | failing:<AWS error code>; idle: recorded types, and
    no resource of them, so that a change-triggered rule was never invoked."""
    population: int
    counts: tuple[tuple[str, int], ...]
    """(state, resources), sorted, zero counts left out."""
    records_root: str
    """Merkle root over the canonical [resource, state, since] of this instance."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Transition:
    """A resource changed its state under a rule; appearing and leaving count too."""

    at: Instant
    instance: str
    """Key of the rule instance."""
    rule: str
    account: str
    region: str
    resource: str
    """`AWS::S3::Bucket/stale-backup-archive`"""
    before: State
    after: State
    precision: str
    """change | periodic:<frequency> | seed"""
    cause: str = ""
    """deleted | created | vanished | empty"""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Standing:
    """A state record: one resource under one rule instance at a window's end."""

    instance: str
    resource: str
    state: State
    since: Instant


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Event:
    """One CloudTrail event that a query asks for, in the words of its record."""

    at: Instant
    """eventTime: a whole second."""
    id: str
    """eventID, by which copies in several files and Regions collapse."""
    source: str
    event: str
    account: str
    """In which it happened (recipientAccountId)."""
    region: str
    """Whose trail recorded it."""
    actor: str
    about: str = ""
    """Names among the request's parameters: `userName=richard`."""
    error: str = ""
    """errorCode of a call that AWS refused."""

    @property
    def key(self) -> str:
        """Name the evidence that asks for it."""
        return f"cloudtrail:{self.source}:{self.event}"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class EventCount:
    """How often one query's event happened in one account × Region in one window.

    A place that was collected and has no row had none.
    """

    source: str
    event: str
    account: str
    region: str
    count: int
    first: Instant
    last: Instant
    root: str
    """Merkle root over the canonical records of all of them."""

    @property
    def key(self) -> str:
        """Name the evidence that asks for it."""
        return f"cloudtrail:{self.source}:{self.event}"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class DigestChain:
    """The chain of CloudTrail's signed digests behind one account × Region."""

    account: str
    region: str
    trail: str
    start: Instant
    """Deliveries from here …"""
    end: Instant
    """… up to here are covered, but for what the run calls missing."""
    digests: int
    log_files: int
    head: str
    """Key of the newest digest."""
    head_sha256: str
    """Of its content."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Missing:
    """An account × Region that a run expected and could not cover, and why."""

    account: str
    region: str
    reason: str
    interval: Interval


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Observation:
    """What a run saw for one piece of evidence that is no Config rule, in one place.

    There is one for everything that was due: an answer, or the reason for its absence.
    """

    evidence: str
    """The key that controls name it by: `snapshot:iam:GetAccountSummary`."""
    account: str
    region: str
    """`global` for a service that has no Regions."""
    covers: Interval
    """The time that it speaks for, or that stays without evidence."""
    at: Instant
    """AWS's own time of the answer."""
    state: str = OBSERVED
    """observed, or the reason of the evidence gap that it leaves."""
    result: str = ""
    """The verdict or AWS's error code, e.g. PASSED, FAILED, NoSuchEntity."""
    records: int = 0
    records_root: str = ""
    """Merkle root over its records in the run's record pack."""
    counts: tuple[tuple[str, int], ...] = ()
    """How much of what there is, sorted by name."""
    changes: tuple[tuple[str, int], ...] = ()
    """What differs from the observation before: (added | changed | removed, number)."""
    shown: tuple[str, ...] = ()
    """The first of these changes by name; never a value."""
    previous: str = ""
    """Time of the observation that it is compared with; empty at the first."""
    moves: tuple[tuple[Instant, str], ...] = ()
    """(time, result): when the result changed since then, where AWS's history says."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class StoredObject:
    """An immutable object of the vault and where it stands."""

    role: str
    """source | records | state | reviews | manual"""
    bucket: str
    key: str
    version_id: str
    sha256: str
    """Of the stored bytes."""
    size: int
    lock_mode: str
    """COMPLIANCE | GOVERNANCE | none"""
    lock_until: str
    """Retain-until (UTC, ISO), or empty without a lock."""
    encryption: str = ""
    """As the store answered: `AES256`, or `aws:kms` and the id of the key."""
    records: int = 0
    content_sha256: str = ""
    content_size: int = 0
    records_root: str = ""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Signature:
    """An armoured SSH signature in a review, and the file that it says it is over."""

    path: str
    """What the review says; empty where it says nothing. Only a hint."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review of a pull request, as captured."""

    id: str
    user_id: str
    user_login: str
    user_type: str
    state: str
    """APPROVED | CHANGES_REQUESTED | COMMENTED | DISMISSED"""
    commit: str
    submitted: Instant
    signatures: tuple[Signature, ...] = ()
    """SSH signatures in its text, in order (trust.md 2.3, level L2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A merged pull request that touched governed paths, as captured."""

    number: int
    url: str
    title: str
    author_id: str
    author_login: str
    author_type: str
    base: str
    head: str
    merge: str
    merged_by_id: str
    merged_at: Instant
    pushers: tuple[str, ...]
    """Numeric ids of the authors and committers that GitHub names on its commits."""
    paths: tuple[str, ...]
    reviews: tuple[Review, ...]
    ruleset_sha256: str
    rule_suite: str
    """pass | bypass | fail, GitHub's result for the push that merged it."""

    def deciding_review(self, github_ids: Collection[str]) -> Review | None:
        """Give the last review by these ids that decides (a comment does not)."""
        deciding = [
            review
            for review in self.reviews
            if review.user_id in github_ids and review.state != "COMMENTED"
        ]
        return max(deciding, key=lambda r: (r.submitted, r.id), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run manifest: what Git keeps of one collection of one stream."""

    stream: str
    seq: int
    kind: str
    """regular | backfill | correction"""
    prev: str
    sha256: str
    """Of the manifest's bytes."""
    ledger: str
    window: Interval
    run_id: str
    started: Instant
    finished: Instant
    aws_date: Instant
    principal: str
    endpoint: str
    """`aws`, `github`, or the other endpoint that was asked."""
    vault: str
    """directory | s3"""
    collector: tuple[tuple[str, str], ...]
    """(name, version, commit, lock_sha256), sorted."""
    expected: tuple[tuple[str, str], ...]
    """(account, region) that the scopes and Organizations demand."""
    collected: tuple[tuple[str, str], ...]
    missing: tuple[Missing, ...]
    pages: int
    throttles: int
    complete: bool
    queries: tuple[tuple[str, str], ...]
    """(API, canonical JSON of its exact parameters)"""
    counts: tuple[tuple[str, int], ...]
    rules: tuple[RuleInstance, ...]
    """Every rule instance in force at the window's end, inherited ones included."""
    rules_root: str
    transitions: tuple[Transition, ...]
    pulls: tuple[Pull, ...]
    objects: tuple[StoredObject, ...]
    notes: tuple[str, ...] = ()
    """Disagreements and oddities that the run saw, in plain words."""
    corrects: int = 0
    """Of a correction: the first seq whose window it adds to; else 0."""
    scopes: tuple[tuple[str, str], ...] = ()
    """(assessment, digest of its accounts, Regions and period), sorted."""
    organizations_sha256: str = ""
    """Digest of the Organizations list that the run saw."""
    observations: tuple[Observation, ...] = ()
    """What a stream other than `config` saw, sorted."""
    asked: tuple[tuple[str, str], ...] = ()
    """(source, event) of every event query that the run answers, sorted."""
    event_counts: tuple[EventCount, ...] = ()
    events: tuple[Event, ...] = ()
    """The first events of each query and place; the record pack holds all."""
    chains: tuple[DigestChain, ...] = ()
    """One per account × Region; none where LookupEvents was asked."""

    @property
    def demo(self) -> bool:
        """Tell whether the evidence is a sandbox's, or its vault has no lock."""
        return self.endpoint not in {"aws", "github"} or any(
            stored.lock_mode == "none" for stored in self.objects
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The chains of run manifests of every stream, in sequence."""

    runs: Mapping[str, tuple[Run, ...]]
    """stream → its runs by seq."""

    @property
    def config(self) -> tuple[Run, ...]:
        """The runs of the `config` stream."""
        return self.runs.get("config", ())

    def observing(self, evidence: str) -> tuple[Run, ...]:
        """Give the runs of the stream that an evidence key belongs to."""
        return self.runs.get(evidence.partition(":")[0], ())

    @property
    def cloudtrail(self) -> tuple[Run, ...]:
        """The runs of the `cloudtrail` stream."""
        return self.runs.get("cloudtrail", ())

    @property
    def pulls(self) -> tuple[Pull, ...]:
        """Every captured pull request, in the order of capture."""
        return tuple(p for run in self.runs.get("reviews", ()) for p in run.pulls)


# --- what follows from both -----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One interval in which one resource was NON_COMPLIANT with one rule.

    `start` is the true start, which may lie before the period; `end` is None while it
    is open at the end of what was collected. `within` is the part inside the period.
    """

    id: str
    rule: str
    identifier: str
    parameters: tuple[tuple[str, str], ...]
    account: str
    region: str
    resource: str
    start: Instant
    end: Instant | None
    within: Interval
    ended_by: str
    """remediated | deleted | left-population | not-applicable | evidence-lost | open |
    event | not-met"""
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One interval without evidence, from one cause. Never compliant."""

    id: str
    reason: str
    """no-run | rule-absent | rule-failing | parameters-differ | insufficient-data |
    rule-vanished | state-unknown | recorder-stopped | not-recorded | source-outdated |
    source-failed | account-missing | delivery-behind | stream-not-collected |
    not-asked | hub-no-data |
    digest-gap | digest-invalid | log-invalid | not-validated | trail-selective |
    document-missing | document-expired"""
    account: str
    region: str
    rule: str
    """The rule's name, an evidence key (`manual:…`), or `all`."""
    start: Instant
    end: Instant | None
    within: Interval
    resources: tuple[str, ...] = ()
    """The resources left without evidence, where they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Resource-time in milliseconds; percentages are formed from it when shown."""

    present: int = 0
    """Resource-time in the population and in the period."""
    observed: int = 0
    """The part with evidence."""
    deviating: int = 0
    """The part of `observed` that was NON_COMPLIANT."""
    exempt: int = 0
    """The part of `observed` that was NOT_APPLICABLE."""

    def __add__(self, other: Share) -> Share:
        """Add resource-times up."""
        return Share(
            present=self.present + other.present,
            observed=self.observed + other.observed,
            deviating=self.deviating + other.deviating,
            exempt=self.exempt + other.exempt,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceResult:
    """What one rule instance (rule × account × Region) showed over the period."""

    rule: str
    deployed_as: str
    identifier: str
    parameters: tuple[tuple[str, str], ...]
    account: str
    region: str
    trigger: str
    frequency: str
    matched: str
    at_start: int
    """Resources in the population at the period's start."""
    at_end: int
    resources: tuple[str, ...]
    """Every resource that was in the population at some time in the period."""
    throughout: int
    """Resources observed COMPLIANT for every instant that they were present."""
    share: Share
    deviations: tuple[str, ...]
    gaps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One Config rule of a control over all accounts and Regions of the scope."""

    evidence: ConfigRule
    instances: tuple[InstanceResult, ...]
    share: Share

    @property
    def resources(self) -> int:
        """Resources that were in the population at some time in the period."""
        return sum(len(instance.resources) for instance in self.instances)

    @property
    def throughout(self) -> int:
        """Resources compliant, as observed, for all their time in the period."""
        return sum(instance.throughout for instance in self.instances)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceObserved:
    """What one piece of evidence showed in one account × Region over the period."""

    account: str
    region: str
    observations: tuple[Observation, ...]
    """Those that speak for the period, answers and failures, by time."""
    due: int
    """Milliseconds for which evidence was due."""
    held: int
    """The part of `due` for which there is evidence."""

    @property
    def taken(self) -> int:
        """How many observations there are, failures included."""
        return len(self.observations)

    @property
    def answers(self) -> tuple[Observation, ...]:
        """The observations that hold an answer."""
        return tuple(row for row in self.observations if row.state == OBSERVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedResult:
    """Evidence that is no Config rule, over all places of the scope."""

    evidence: EvidenceSource
    places: tuple[PlaceObserved, ...]
    conflicts: tuple[str, ...] = ()
    """Where AWS Config's record says otherwise at that instant, in plain words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlace:
    """What one query showed in one account × Region over the period."""

    account: str
    region: str
    count: int
    observed: int
    """Milliseconds of the period for which there is evidence."""
    digests: int
    """Signed digests behind it; 0: LookupEvents was asked."""
    log_files: int
    head: str
    """Key of the newest digest; empty without one."""
    head_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResult:
    """What one query of a control showed over all accounts of the scope."""

    evidence: EventQuery
    span: Interval | None
    """The part of the period that was collected; None before the first run."""
    places: tuple[EventPlace, ...]
    count: int
    first: Instant | None
    last: Instant | None
    events: tuple[Event, ...]
    """Those that the ledger lists, by time; `count` says how many there were."""
    whole: bool
    """Whether every place was observed for all of `span`."""

    @property
    def key(self) -> str:
        """Name this evidence within its control."""
        return self.evidence.key

    @property
    def none(self) -> bool:
        """Tell whether it is proven by signed digests that there was none."""
        return (
            self.whole
            and not self.count
            and bool(self.places)
            and all(place.digests for place in self.places)
        )

    @property
    def actors(self) -> tuple[str, ...]:
        """Who caused the listed events."""
        return tuple(sorted({event.actor for event in self.events}))


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFindings:
    """What the evidence says of one control in one assessment."""

    control: str
    rules: tuple[RuleResult, ...]
    documents: tuple[str, ...]
    """Ids of the manual evidence that it names and that is there."""
    deviations: tuple[Deviation, ...]
    gaps: tuple[Gap, ...]
    observed: tuple[ObservedResult, ...] = ()
    events: tuple[EventResult, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all its deviations and gaps, which people explain and acknowledge."""
        return (
            *(item.id for item in self.deviations),
            *(item.id for item in self.gaps),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementFindings:
    """What the evidence says of one requirement: its controls' findings together."""

    requirement: str
    controls: tuple[str, ...]
    deviations: tuple[Deviation, ...]
    gaps: tuple[Gap, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all its deviations and gaps, which people explain and acknowledge."""
        return (
            *(item.id for item in self.deviations),
            *(item.id for item in self.gaps),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything the ledger says about one assessment; depends on no clock."""

    assessment: str
    collected: Interval | None
    """The part of the period up to the end of the last run; None before the first."""
    closed: bool
    """Whether the runs reach the period's end."""
    controls: Mapping[str, ControlFindings]
    requirements: Mapping[str, RequirementFindings]
    deviations: tuple[Deviation, ...]
    """All in the assessment's scope that a control names, by start and id."""
    gaps: tuple[Gap, ...]
    unmapped: tuple[Deviation, ...]
    """In scope, but under rules that no control of the assessment names."""
    notes: tuple[str, ...] = ()


# --- sign-off, derived -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How the present bytes of a sign-off file came to main (facts from Git)."""

    path: str
    merge: str
    """First-parent commit that last changed the file."""
    parents: tuple[str, ...]
    at: Instant
    """Committer time of that commit: a claim."""
    reviewed_same: bool
    """The pull request's head (second parent) holds the same bytes."""
    codeowners: bytes
    """The first parent's CODEOWNERS file."""
    people: bytes = b""
    """The first parent's people.yml: whose keys were known before."""
    content: bytes = b""
    """The bytes themselves, which a signature is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What proves a sign-off file beyond GitHub's captured word: facts, no judgement.

    A reason stands in place of what is not proven.
    """

    unsigned: str = "its review carries no SSH signature"
    """Why no SSH signature of the person over these bytes was found; empty: found."""
    key: str = ""
    """Fingerprint of the key that signed."""
    stamped: Instant | None = None
    """The earliest trusted time at which the captured review existed."""
    unstamped: str = "no checkpoint with a time stamp holds its captured review"
    """Why no trusted time is known; empty where one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """How an entry of `delegations` came to main (facts from Git)."""

    delegation: Delegation
    merge: str
    """First-parent commit that brought the entry; empty where it is not on main."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class PeopleChange:
    """One change of one person in people.yml, and who answered for it."""

    person: str
    what: str
    """Such as `github_ids: 1 → 1, 2`; `added` and `removed` stand for all of it."""
    commit: str
    pull: int
    """Number of the captured pull request; 0 where none was captured."""
    approved_by: tuple[str, ...]
    """People who approved it on its final head."""


class Status(StrEnum):
    """Where a requirement stands; derived, never stored."""

    COLLECTING = "collecting"
    IN_REVIEW = "in review"
    ATTESTED = "attested"
    SIGNED = "signed"
    SIGNED_WITH_DEVIATIONS = "signed with deviations"
    REJECTED = "rejected"
    STALE = "stale"
    UNREVIEWED = "unreviewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A part of a subject that changed after it was signed."""

    name: str
    signed: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether one attestation or sign-off counts, and why not."""

    signoff: SignOff | None
    counts: bool
    reasons: tuple[str, ...]
    """Each rule it breaks, in plain words, empty where it counts."""
    stale: tuple[Stale, ...]
    pull: Pull | None = None
    level: str = ""
    """The proof that it reached, L0 to L3; empty where there is no file."""
    flags: tuple[str, ...] = ()
    """What a reader should know, though it counts all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementStatus:
    """The derived status of one requirement, and what it waits for."""

    requirement: str
    status: Status
    interim: Status | None
    """While collecting: the status if the period were over now."""
    conclusion: str
    """The assessor's conclusion where the sign-off counts, else empty."""
    judgement: Judgement
    attestations: Mapping[str, Judgement]
    """control → its owner's attestation."""
    unannotated: tuple[str, ...]
    """Ids of deviations and gaps without an annotation of substance."""
    waiting: tuple[tuple[str, str], ...]
    """(person, what for): annotate, attest, sign, review."""
