# SPDX-License-Identifier: Apache-2.0
"""What the ledger holds: who looked when, at what, and what was seen.

Rules enforced here:
- everything is frozen; sequences are tuples;
- a state holds from its instant to the next; windows are half-open, in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from controlbook.timeline import Instant, Interval


ALL = "all"
"""Stands for every account, Region or rule in an evidence gap."""
FOLLOWING = frozenset({"audit-manager", "reviews"})
"""Streams that tell of a period when it is over: their later runs count too."""
GLOBAL = "global"
"""Stands for the Region of a service that has none, such as IAM."""
OBSERVED = "observed"
"""State of an observation that holds an answer, and not the reason for lacking it."""


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
class Failing:
    """One thing that an answer said is failing, and since when, as far as is known."""

    item: str
    since: Instant
    precision: str
    """history: AWS told when it began; update: it failed by then, from when is unknown.
    """
    workflow: str = ""
    """What people have done about it in AWS: NEW, NOTIFIED, …"""


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
    failing: tuple[Failing, ...] = ()
    """The first of what failed, by item; the counts count all."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Contradiction:
    """A verdict that Audit Manager took from Config, and our record said otherwise."""

    evidence: str
    """The assessment in Audit Manager: `audit-manager:<its id>`."""
    group: str
    """Name of the control set there."""
    control: str
    """Name of the control there."""
    at: Instant
    """The instant that Audit Manager gives its evidence."""
    identifier: str
    """AWS's identifier of the rule."""
    account: str
    resource: str
    """Its ARN, as Audit Manager spells it."""
    theirs: str
    ours: tuple[str, ...]
    """What our record said of that instant when the two were compared."""
    id: str
    """Of the piece of evidence in Audit Manager."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class StoredObject:
    """An immutable object of the vault and where it stands."""

    role: str
    """source | records | state | reviews | manual | list:<name of a list>"""
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
    """One run manifest: what Git keeps of one collection of one stream.

    A list that moved out of it, and that its reader did not need, is a `Later` (lists
    are read when they are looked at), never an empty one.
    """

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
    expected: Sequence[tuple[str, str]]
    """(account, region) that the scopes and Organizations demand."""
    collected: Sequence[tuple[str, str]]
    missing: Sequence[Missing]
    pages: int
    throttles: int
    complete: bool
    queries: Sequence[tuple[str, str]]
    """(API, canonical JSON of its exact parameters)"""
    counts: tuple[tuple[str, int], ...]
    rules: Sequence[RuleInstance]
    """Every rule instance in force at the window's end, inherited ones included."""
    rules_root: str
    transitions: Sequence[Transition]
    pulls: Sequence[Pull]
    objects: tuple[StoredObject, ...]
    notes: Sequence[str] = ()
    """Disagreements and oddities that the run saw, in plain words."""
    corrects: int = 0
    """Of a correction: the first seq whose window it adds to; else 0."""
    scopes: tuple[tuple[str, str], ...] = ()
    """(assessment, digest of its accounts, Regions and period), sorted."""
    organizations_sha256: str = ""
    """Digest of the Organizations list that the run saw."""
    observations: Sequence[Observation] = ()
    """What a stream other than `config` saw, sorted."""
    asked: Sequence[tuple[str, str]] = ()
    """(source, event) of every event query that the run answers, sorted."""
    event_counts: Sequence[EventCount] = ()
    events: Sequence[Event] = ()
    """The first events of each query and place; the record pack holds all."""
    chains: Sequence[DigestChain] = ()
    """One per account × Region; none where LookupEvents was asked."""
    contradictions: Sequence[Contradiction] = ()
    """Of what the run read anew in Audit Manager, sorted; never only the first."""
    anew: bool = False
    """Its manifest holds every rule instance, not what changed of those before."""

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
    accounts: frozenset[str] | None = None
    """Of a ledger whose lists moved: whose rows were read; None: everybody's."""
    until: Instant | None = None
    """Of such a ledger: no run whose window starts later has rules; None: all have."""
    shares: Callable[[int], Iterator[Ledger]] | None = None
    """Of a ledger that is too long to be held: reads it for one account after another,
    with its `config` runs up to a seq."""

    def parts(self) -> Iterator[Ledger]:
        """Give ledgers that are this one together, each with some accounts' rules.

        Only the `config` stream is divided; of the others each part has all.
        """
        if self.shares is None:
            yield self
        else:
            held = {run.seq: run for run in self.config}
            for part in self.shares(max(held, default=0)):
                own = tuple(run for run in part.config if run.seq in held)
                yield replace(part, runs={**self.runs, "config": own})

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
