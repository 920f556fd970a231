# SPDX-License-Identifier: Apache-2.0
"""Sentences about results, each of which appears only where it is exactly true.

Rules enforced here:
- "All …, the whole period" needs every resource present, observed and compliant for
  every instant, every account and Region of the scope evaluated, no evidence gap that
  touches the rule, and a period whose end has been collected;
- anything less is said with its numbers, its names and its reasons;
- an empty population is said to be empty, and never counts as a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.model import ALL, OBSERVED

from . import words

if TYPE_CHECKING:
    from controlbook.model import (
        Assessment,
        Deviation,
        EventResult,
        Findings,
        Gap,
        Observation,
        ObservedResult,
        RuleResult,
    )

NAMED = 3
"""Deviations and gaps that a sentence names before it counts the rest."""

EMPTY = "No resource of this kind was in scope: nothing to observe."


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The resources of one rule in one assessment, as counted."""

    resources: frozenset[tuple[str, str, str]]
    """(account, Region, resource)"""
    verdicts: int
    """Pairs of a resource and a deployed rule: more than resources where one rule is
    deployed twice in one place."""

    @property
    def accounts(self) -> int:
        """Accounts in which there was at least one resource."""
        return len({account for account, _, _ in self.resources})

    def kind(self, number: int) -> str:
        """Name what is counted, for so many of them."""
        if self.verdicts != len(self.resources):
            return (
                "pair of resource and deployed rule"
                if number == 1
                else "pairs of resource and deployed rule"
            )
        kinds = {words.kind_of(resource) for _, _, resource in self.resources}
        only = next(iter(kinds)) if len(kinds) == 1 else ""
        return words.resource_kind(only, number)

    @property
    def words(self) -> str:
        """Say it in words: `47 S3 buckets in 4 accounts`."""
        if self.kind(2) == "accounts":
            return words.count(self.verdicts, "account")
        return (
            f"{self.verdicts:,} {self.kind(self.verdicts)} in "
            f"{words.count(self.accounts, 'account')}"
        )


def population(rule: RuleResult) -> Population:
    """Count the resources that were under a rule at some time in the period."""
    return Population(
        resources=frozenset(
            (row.account, row.region, resource)
            for row in rule.instances
            for resource in row.resources
        ),
        verdicts=rule.resources,
    )


def deviations_of(rule: RuleResult, findings: Findings) -> tuple[Deviation, ...]:
    """Find the deviations under a rule, by start."""
    ids = {name for row in rule.instances for name in row.deviations}
    return tuple(item for item in findings.deviations if item.id in ids)


def gaps_of(rule: RuleResult, findings: Findings) -> tuple[Gap, ...]:
    """Find every evidence gap that touches a rule: its own, and those of its places."""
    ids = {name for row in rule.instances for name in row.gaps}
    evidence = rule.evidence
    names = {ALL, evidence.name, evidence.canonical_name, evidence.key}
    names |= {row.rule for row in rule.instances}
    names |= {row.deployed_as for row in rule.instances}
    names.discard("")
    return tuple(item for item in findings.gaps if item.id in ids or item.rule in names)


def unevaluated(
    rule: RuleResult, assessment: Assessment
) -> tuple[tuple[str, str], ...]:
    """List the accounts × Regions of the scope where the rule was never seen."""
    seen = {(row.account, row.region) for row in rule.instances}
    return tuple(
        (account, region)
        for _, account in assessment.accounts
        for region in assessment.regions
        if (account, region) not in seen
    )


def whole(findings: Findings, assessment: Assessment) -> bool:
    """Tell whether the collection reaches from the period's start to its end."""
    return findings.closed and findings.collected == assessment.period


def compliant_throughout(
    rule: RuleResult, assessment: Assessment, findings: Findings
) -> bool:
    """Tell whether "All … for the whole period" is exactly true of a rule."""
    share = rule.share
    present = rule.resources * assessment.period.length
    return (
        whole(findings, assessment)
        and rule.resources > 0
        and not unevaluated(rule, assessment)
        and not deviations_of(rule, findings)
        and not gaps_of(rule, findings)
        and not any(row.deviations or row.gaps for row in rule.instances)
        and share.present == share.observed == present
        and share.deviating == share.exempt == 0
        and rule.throughout == rule.resources
        and all(
            row.at_start == row.at_end == len(row.resources) == row.throughout
            for row in rule.instances
        )
    )


def repeated_sentences(rule: RuleResult, assessment: Assessment) -> tuple[str, ...]:
    """Say which records of resources without a Region were counted elsewhere."""
    return tuple(
        f"Counted once, in {row.counted_in}:"
        f" {words.count(len(row.repeated), 'resource')} of"
        f" {assessment.account_name(row.account)}, recorded in {row.region} too"
        " (IAM has no Regions)."
        for row in rule.instances
        if row.repeated
    )


def result_sentence(
    rule: RuleResult, assessment: Assessment, findings: Findings
) -> str:
    """Say what a rule showed over the period, exactly and completely."""
    if not rule.instances:
        return "No evidence: the rule was not evaluated anywhere in the scope."
    counted = population(rule)
    if compliant_throughout(rule, assessment, findings):
        return f"All {counted.words} were compliant for the whole period."
    details = [
        *_deviation_clauses(deviations_of(rule, findings)),
        *_gap_clauses(gaps_of(rule, findings)),
        *_place_clauses(rule, assessment),
    ]
    if not counted.verdicts:
        return _empty(details)
    head = (
        f"{rule.throughout:,} of {counted.words} "
        f"{'was' if counted.verdicts == 1 else 'were'} compliant "
        f"{_how_long(rule, assessment, findings)}"
    )
    if rule.share.exempt:
        details.append(
            "the rule was not applicable for "
            f"{words.percent(rule.share.exempt, rule.share.present)} of resource-time"
        )
    return f"{'; '.join([head, *details])}."


def _empty(details: list[str]) -> str:
    if not details:
        return EMPTY
    return (
        "No resource was seen under this rule, and evidence is incomplete: "
        f"{'; '.join(details)}."
    )


def _how_long(rule: RuleResult, assessment: Assessment, findings: Findings) -> str:
    if not whole(findings, assessment):
        until = findings.collected
        return (
            f"in the part collected so far ({words.stretch(until.start, until.end)})"
            if until
            else "in the part collected so far"
        )
    steady = rule.share.present == rule.resources * assessment.period.length
    if steady:
        return "throughout"
    return "for all of their time in the period (not every one existed throughout)"


def _deviation_clauses(found: tuple[Deviation, ...]) -> list[str]:
    clauses = [
        f"{words.name_of(item.resource)} {_was_deviating(item)}"
        for item in found[:NAMED]
    ]
    rest = found[NAMED:]
    if rest:
        resources = len({(item.account, item.resource) for item in rest})
        clauses.append(
            f"and {words.count(len(rest), 'more deviation')} of "
            f"{words.count(resources, 'resource')}, listed below"
        )
    return clauses


def _was_deviating(item: Deviation) -> str:
    length = words.duration(item.within.length)
    if item.end is None:
        when = words.short_time(item.start)
        return f"has been non-compliant since {when} (open; {length} in the period)"
    times = words.stretch(item.start, item.end)
    if item.start < item.within.start or item.end > item.within.end:
        return f"was non-compliant for {length} of the period ({times})"
    if item.ended_by == "evidence-lost":
        return f"was non-compliant for at least {length} ({times}, then evidence ends)"
    if item.ended_by == "deleted":
        return f"was non-compliant for {length} ({times}, until it was deleted)"
    return f"was non-compliant for {length} ({times})"


def _gap_clauses(found: tuple[Gap, ...]) -> list[str]:
    clauses = [
        f"no evidence{_of_whom(item)} for {words.duration(item.within.length)} "
        f"({words.stretch(item.within.start, item.within.end)}: "
        f"{words.gap_reason(item.reason)})"
        for item in found[:NAMED]
    ]
    rest = len(found) - NAMED
    if rest > 0:
        clauses.append(f"and {words.count(rest, 'more evidence gap')}, listed below")
    return clauses


def _of_whom(item: Gap) -> str:
    if not item.resources:
        return ""
    if len(item.resources) == 1:
        return f" of {words.name_of(item.resources[0])}"
    kinds = {words.kind_of(name) for name in item.resources}
    only = next(iter(kinds)) if len(kinds) == 1 else ""
    number = len(item.resources)
    return f" of {number:,} {words.resource_kind(only, number)}"


def _place_clauses(rule: RuleResult, assessment: Assessment) -> list[str]:
    missing = unevaluated(rule, assessment)
    if not missing:
        return []
    places = ", ".join(
        f"{assessment.account_name(account)} {region}" for account, region in missing
    )
    return [f"never evaluated in {places}"]


def coverage_sentence(rule: RuleResult) -> str:
    """Say how much of the population's resource-time has evidence, exactly."""
    share = rule.share
    if not share.present:
        return "No resource-time to cover."
    lacking = share.present - share.observed
    head = (
        f"{words.percent(share.observed, share.present)} of resource-time has evidence "
        f"({words.duration(share.observed)} of {words.duration(share.present)})"
    )
    return f"{head}; {words.duration(lacking)} is missing." if lacking else f"{head}."


def observed_sentence(result: ObservedResult) -> str:
    """Say what was looked at, how often, and what it cannot say."""
    answers = [row for place in result.places for row in place.answers]
    due = sum(place.due for place in result.places)
    held = sum(place.held for place in result.places)
    days = getattr(result.evidence, "days", 1)
    often = "every day" if days == 1 else f"once in {days} days"
    if not answers:
        return f"No evidence: no answer was stored, and one is demanded {often}."
    places = sum(1 for place in result.places if place.answers)
    verdicts = _verdicts(answers)
    head = (
        f"{words.count(len(answers), 'answer')} from {words.count(places, 'place')} of "
        f"{len(result.places)}{verdicts}; one is demanded {often}, and "
        f"{words.percent(held, due) if due else 'no part'} of the time due has one."
    )
    return f"{head} Each shows its own instant, not the time between."


def _verdicts(answers: list[Observation]) -> str:
    """Count the results of the answers, where they have any."""
    counts: dict[str, int] = {}
    for row in answers:
        if row.result:
            counts[row.result] = counts.get(row.result, 0) + 1
    if not counts:
        return ""
    return f" ({', '.join(f'{n} {name}' for name, n in sorted(counts.items()))})"


def change_sentence(row: Observation) -> str:
    """Say what differs from the observation before, and how much of it is shown."""
    if row.state != OBSERVED:
        return words.gap_reason(row.state)
    if not row.previous:
        return "the first answer: nothing to compare with"
    total = sum(number for _, number in row.changes)
    if not total:
        return f"unchanged since {row.previous}"
    counts = ", ".join(f"{number} {kind}" for kind, number in row.changes)
    return f"{counts} since {row.previous}; showing {len(row.shown)} of {total}"


def no_deviation_sentence(
    rules: tuple[RuleResult, ...], events: tuple[EventResult, ...] = ()
) -> str:
    """Say that there was no deviation, with the number of verdicts behind it."""
    verdicts = sum(rule.resources for rule in rules)
    if not rules and any(row.evidence.expect != "any" for row in events):
        return "No deviation among the events, as far as there is evidence."
    if not rules and events:
        return "Any number of these events is expected: none can be a deviation."
    if not rules:
        return "No rule observes this: there is nothing that could show a deviation."
    return (
        f"No deviation among {words.count(verdicts, 'resource')} under "
        f"{words.count(len(rules), 'rule')}, as far as there is evidence."
        if verdicts
        else "No deviation, since no resource was in scope: nothing to observe."
    )


def state_sentence(found: Deviation, assessment: Assessment) -> str:
    """Say one deviation in one sentence, standing alone."""
    name = words.name_of(found.resource)
    kind = words.resource_kind(words.kind_of(found.resource), 1)
    return (
        f"{kind[0].upper()}{kind[1:]} {name} in "
        f"{assessment.account_name(found.account)} {_was_deviating(found)}."
    )
