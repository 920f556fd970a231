# SPDX-License-Identifier: Apache-2.0
"""What follows from the files and the ledger: populations, deviations, gaps.

Rules enforced here:
- a deviation is not an evidence gap, and neither is ever merged with the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .record import OBSERVED
from .recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.timeline import Instant, Interval

    from .controls import ConfigRule, EventQuery, EvidenceSource
    from .record import Contradiction, Event, Observation


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
    not-asked | hub-no-data | no-support-plan |
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
    counted_in: str = ""
    """The Region in which resources count that this one's record only repeats."""
    repeated: tuple[str, ...] = ()
    """Those resources: of the account's, without a Region of their own."""


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
class Disagreement:
    """A contradiction between Audit Manager and our record, as the record is now."""

    found: Contradiction
    now: tuple[str, ...]
    """What our record says now of that instant; empty: nothing any more."""

    @property
    def stands(self) -> bool:
        """Tell whether the two still disagree: a correction may have ended it."""
        return self.found.theirs not in self.now


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
    disagreements: tuple[Disagreement, ...] = ()
    """With Audit Manager, on the Config rules that the control names."""

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
    disagreements: tuple[Disagreement, ...] = ()
    """With Audit Manager, in scope and period, also on rules that no control names."""
    notes: tuple[str, ...] = ()
    recorded: Recorded = field(default_factory=Recorded, compare=False)
    """What runs recorded of the rules that controls demand."""
