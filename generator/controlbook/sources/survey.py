# SPDX-License-Identifier: Apache-2.0
"""What one account × Region says of its rules, its recorder and its deliveries.

Rules enforced here:
- a rule is its SourceIdentifier and parameters, not its name; the name people deployed
  is kept beside it;
- a changed parameter changes what a verdict means, so no change of a rule is missed: a
  place's rules are read where its rule statuses name others than the ledger, or
  CloudTrail's event history holds a call that changes rules, or cannot be had; in a
  place of few rules always, since reading costs no more calls than looking;
- a stopped recorder, unrecorded compliance and late deliveries are evidence gaps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from controlbook.digest import merkle_root
from controlbook.ledger import rule_key
from controlbook.managed_rules import find, recognise
from controlbook.model import Missing, RuleInstance
from controlbook.timeline import (
    DAY,
    HOUR,
    Instant,
    Interval,
    from_datetime,
    to_datetime,
)

from . import SourceError
from .fold import Deployment
from .items import TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from . import Place
    from .aws import Conversation

Row = dict[str, Any]  # a row of an answer; boto3 has no types

PERIODIC = "ScheduledNotification"
FEW = 75
"""Rules that three calls read, as many as looking for changes takes."""
PACKED = "-conformance-pack-"
REACH = 90 * DAY
"""How far back CloudTrail's event history goes."""
LAG = HOUR
"""How long an event may take to come into it, several times over."""


class Ruled(NamedTuple):
    """What the ledger says of a deployed rule, as far as looking for changes needs it.

    A plain tuple: a large organisation has a million, and they go to other processes.
    """

    deployed_as: str
    identifier: str
    trigger: str
    status: str


_SHAPE = attrgetter(*Ruled._fields)


def ruled(rows: Iterable[RuleInstance]) -> tuple[Ruled, ...]:
    """Give what looking for changes needs of the ledger's rule rows.

    Where a baseline is deployed everywhere it is one value, sent to a process once.
    """
    return _ruled(tuple(sorted(map(_SHAPE, rows))))


@lru_cache(maxsize=64)
def _ruled(shape: tuple[tuple[str, ...], ...]) -> tuple[Ruled, ...]:
    return tuple(map(Ruled._make, shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What the ledger's last run saw of an account × Region."""

    rules: tuple[Ruled, ...]
    since: Instant
    """When that run looked."""
    now: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedRule:
    """A deployed Config rule: the instance it is, and how items name it."""

    instance: RuleInstance
    arn: str
    activated: Instant | None
    """When it was first in force, where AWS says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One account × Region as this run found it."""

    place: Place
    rules: tuple[DeployedRule, ...] | None
    """As they were read; None: they are the ledger's, and were not read again."""
    statuses: Mapping[str, str] = field(default_factory=dict)
    """Deployed name → what is new of whether a rule of the ledger works."""
    recording: bool
    started: Instant | None
    stopped: Instant | None
    compliance_recorded: bool
    delivered: Instant | None
    """When history was last delivered; None: never, or it cannot be told."""

    def missing(self, window: Interval, *, by_delivery: bool) -> tuple[Missing, ...]:
        """Give the parts of a window for which this place has no evidence."""
        found = [("recorder-stopped", self._off(window))]
        if not self.compliance_recorded:
            found.append(("not-recorded", window))
        if by_delivery:
            found.append(("delivery-behind", _after(self.delivered, window)))
        account, region = self.place
        return tuple(
            Missing(account=account, region=region, reason=reason, interval=interval)
            for reason, interval in found
            if interval
        )

    def _off(self, window: Interval) -> Interval | None:
        """Give the part of a window in which the recorder was off."""
        if self.recording and not (self.stopped and self.started):
            return None
        begin = max(self.stopped or window.start, window.start)
        end = window.end
        if self.recording:
            end = Instant(min(self.started or end, end))
        return Interval(Instant(begin), end) if begin < end else None

    def named(
        self, rows: Iterable[RuleInstance], names: Container[str]
    ) -> dict[str, str]:
        """Map some names of deployed rules to the keys of their instances.

        `rows` are the place's as the ledger has them.
        """
        if self.rules is not None:
            rows = (deployed.instance for deployed in self.rules)
        return {row.deployed_as: row.key for row in rows if row.deployed_as in names}

    def deployment(
        self, window: Interval, before: Iterable[RuleInstance]
    ) -> Deployment:
        """Give the instances in force in a window, and those that went since."""
        rules: dict[str, RuleInstance] = {}
        names: dict[str, str] = {}
        arns: dict[str, str] = {}
        if self.rules is None:
            for row in before:
                status = self.statuses.get(row.deployed_as, row.status)
                same = status == row.status
                rules[row.key] = row if same else replace(row, status=status)
                names[row.deployed_as] = row.key
            return Deployment(rules=rules, arns=arns, names=names)
        for deployed in self.rules:
            if deployed.activated and deployed.activated >= window.end:
                continue
            row = deployed.instance
            # Two deployed rules that check the same count as one instance.
            rules[row.key] = _merged(rules[row.key], row) if row.key in rules else row
            arns[deployed.arn] = row.key
            names[row.deployed_as] = row.key
        removed = {}
        for row in before:
            if row.key not in rules:
                removed[row.key] = row
                names.setdefault(row.deployed_as, row.key)
        return Deployment(rules=rules, arns=arns, names=names, removed=removed)

    def twins(self) -> tuple[str, ...]:
        """Say which deployed rules are one rule instance."""
        names: dict[str, list[str]] = {}
        for deployed in self.rules or ():
            names.setdefault(deployed.instance.key, []).append(
                deployed.instance.deployed_as
            )
        place = " ".join(self.place)
        return tuple(
            f"{place}: {', '.join(sorted(same))} check the same; the worse one counts"
            for same in names.values()
            if len(same) > 1
        )


def _after(moment: Instant | None, window: Interval) -> Interval | None:
    if moment is None:
        return window
    start = max(moment, window.start)
    return Interval(start, window.end) if start < window.end else None


def _merged(first: RuleInstance, second: RuleInstance) -> RuleInstance:
    kept = min(first, second, key=lambda row: row.deployed_as)
    bad = next((row.status for row in (first, second) if row.status != "ok"), "ok")
    return replace(kept, status=bad)


def survey(talk: Conversation, place: Place, known: Surveyed | None = None) -> Survey:
    """Ask one account × Region about itself; SourceError where it does not answer.

    `known` is what the ledger's last run saw of it.
    """
    statuses = {
        row["ConfigRuleName"]: row
        for row in talk.listing(
            "config",
            "describe_config_rule_evaluation_status",
            "ConfigRulesEvaluationStatus",
            place,
        )
    }
    recorders = talk.ask("config", "describe_configuration_recorders", place)
    states = talk.ask("config", "describe_configuration_recorder_status", place)
    channels = talk.ask("config", "describe_delivery_channel_status", place)
    state: Row = next(iter(states["ConfigurationRecordersStatus"]), {})
    groups = recorders["ConfigurationRecorders"]
    same = known and _unchanged(talk, place, known, statuses)
    return Survey(
        place=place,
        rules=None if same else _read(talk, place, statuses, groups),
        statuses=_judged(known.rules, statuses, groups) if known and same else {},
        recording=bool(state.get("recording")),
        started=_moment(state, "lastStartTime"),
        stopped=_moment(state, "lastStopTime"),
        compliance_recorded=any(_records(group, TYPE) for group in groups),
        delivered=max(
            filter(None, map(_delivered, channels["DeliveryChannelsStatus"])),
            default=None,
        ),
    )


def _read(
    talk: Conversation, place: Place, statuses: Mapping[str, Row], groups: list[Row]
) -> tuple[DeployedRule, ...]:
    rows = talk.listing("config", "describe_config_rules", "ConfigRules", place)
    found = []
    for row in sorted(rows, key=lambda row: str(row["ConfigRuleArn"])):
        status = statuses.get(row["ConfigRuleName"], {})
        deployed = deployed_rule(row, status, place)
        own = deployed.instance
        idle = _explained(own.identifier, own.trigger, own.status, groups)
        found.append(replace(deployed, instance=replace(own, status=idle)))
    return tuple(found)


def _unchanged(
    talk: Conversation, place: Place, known: Surveyed, statuses: Mapping[str, Row]
) -> bool:
    """Tell whether the ledger's rules of a place are still the deployed ones."""
    if len(known.rules) <= FEW:
        return False
    # AWS says nothing of custom Lambda rules, so those cannot be compared.
    ours = {row.deployed_as for row in known.rules}
    silent = {row.deployed_as for row in known.rules if _is_lambda(row)}
    if ours - silent != statuses.keys():
        return False
    if known.since < known.now - REACH:
        return False
    try:
        calls = [c for c, fits in CHANGES.items() if any(map(fits, known.rules))]
        return not any(_called(talk, place, call, known) for call in calls)
    except SourceError:
        return False


def _called(talk: Conversation, place: Place, name: str, known: Surveyed) -> bool:
    """Tell whether the event history holds a call since the ledger's last run."""
    pages = talk.pages_of(
        "cloudtrail",
        "lookup_events",
        place,
        tokens=("NextToken", "NextToken"),
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
        StartTime=to_datetime(Instant(known.since - LAG)),
        EndTime=to_datetime(known.now),
        MaxResults=1,
    )
    return any(page.get("Events") for page in pages)


def _is_lambda(row: Ruled) -> bool:
    return row.identifier.startswith("custom-lambda:")


CHANGES: Mapping[str, Callable[[Ruled], bool]] = {
    "PutConfigRule": lambda _row: True,
    "DeleteConfigRule": _is_lambda,
    "PutConformancePack": lambda row: PACKED in row.deployed_as,
}
"""Calls that change rules or their parameters, and of which rules each may say what the
statuses do not."""


def _judged(
    rows: tuple[Ruled, ...], statuses: Mapping[str, Row], groups: list[Row]
) -> dict[str, str]:
    """Give what AWS says today of whether rules work, where the ledger has it not."""
    found = {}
    for row in rows:
        status = _status(statuses.get(row.deployed_as, {}))
        if status != row.status:
            status = _explained(row.identifier, row.trigger, status, groups)
            if status != row.status:
                found[row.deployed_as] = status
    return found


def _explained(identifier: str, trigger: str, status: str, recorders: list[Row]) -> str:
    """Tell a rule that had nothing to look at from one that never worked.

    AWS evaluates a change-triggered rule when it is made, and on every change of a
    resource in its scope. Where the recorder keeps every type of that scope and the
    rule was never invoked, Config knows no such resource.
    """
    if status != "never-evaluated":
        return status
    managed = find(identifier)
    kinds = managed.resource_types if managed and trigger == "change" else ()
    idle = bool(kinds) and all(
        any(_records(group, kind) for group in recorders) for kind in kinds
    )
    return "idle" if idle else status


def _records(recorder: Row, kind: str) -> bool:
    """Tell whether a recorder keeps the history of a resource type."""
    group = recorder.get("recordingGroup", {})
    strategy = group.get("recordingStrategy", {}).get("useOnly", "")
    excluded = group.get("exclusionByResourceTypes", {}).get("resourceTypes", [])
    if strategy == "EXCLUSION_BY_RESOURCE_TYPES":
        return kind not in excluded
    return bool(group.get("allSupported")) or kind in group.get("resourceTypes", [])


def _delivered(channel: Row) -> Instant | None:
    return _moment(channel.get("configHistoryDeliveryInfo", {}), "lastSuccessfulTime")


def _moment(row: Row, name: str) -> Instant | None:
    """Read a time: boto3's, or the JSON's own, which is in seconds."""
    value = row.get(name)
    if not value or isinstance(value, datetime):
        return from_datetime(value) if value else None
    return Instant(round(value * 1000))


def deployed_rule(row: Row, status: Row, place: Place) -> DeployedRule:
    """Read a row of DescribeConfigRules, with its evaluation status beside it."""
    name, source = row["ConfigRuleName"], row["Source"]
    owned = source["Owner"] == "AWS"
    identifier = source.get("SourceIdentifier", "") if owned else ""
    rule, matched = recognise(name, identifier)
    if not owned:
        kind = "lambda" if source["Owner"] == "CUSTOM_LAMBDA" else "guard"
        identifier, matched = f"custom-{kind}:{rule}", "identifier"
    given = json.loads(row.get("InputParameters") or "{}")
    parameters = tuple(sorted((key, str(value)) for key, value in given.items()))
    trigger, frequency = _trigger(row, identifier if owned else "")
    account, region = place
    instance = RuleInstance(
        key=rule_key(identifier, parameters, account, region),
        rule=rule,
        deployed_as=name,
        identifier=identifier,
        parameters=parameters,
        account=account,
        region=region,
        trigger=trigger,
        frequency=frequency,
        matched=matched,
        status=_status(status),
        population=0,
        counts=(),
        records_root=merkle_root(()),
    )
    return DeployedRule(
        instance=instance,
        arn=row["ConfigRuleArn"],
        activated=_moment(status, "FirstActivatedTime"),
    )


def _trigger(row: Row, identifier: str) -> tuple[str, str]:
    """Say what makes a rule evaluate, and how often a schedule does."""
    details = row["Source"].get("SourceDetails", [])
    frequencies = [row.get("MaximumExecutionFrequency", "")]
    frequencies += [detail.get("MaximumExecutionFrequency", "") for detail in details]
    frequency = next(filter(None, frequencies), "")
    kinds = {detail.get("MessageType") == PERIODIC for detail in details}
    managed = find(identifier) if identifier else None
    if managed and managed.trigger:
        trigger = managed.trigger
    elif kinds == {True, False}:
        trigger = "both"
    else:
        trigger = (
            "periodic" if kinds == {True} or (not kinds and frequency) else "change"
        )
    return trigger, "" if trigger == "change" else frequency


def _status(row: Row) -> str:
    """Say whether a rule works; AWS says nothing of custom Lambda rules."""
    if not row:
        return "ok"
    if not row.get("FirstEvaluationStarted"):
        return "never-evaluated"
    failed = _moment(row, "LastFailedEvaluationTime")
    if failed and failed >= (_moment(row, "LastSuccessfulEvaluationTime") or 0):
        return f"failing:{row.get('LastErrorCode', 'unknown')}"
    return "ok"
