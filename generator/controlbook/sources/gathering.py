# SPDX-License-Identifier: Apache-2.0
"""Everything one collection of the `config` stream asks, before anything is folded.

Rules enforced here:
- what is expected comes from the assessments' scope, joined with Organizations, never
  from the aggregator's own list: it forgets what it lost;
- an account × Region is read whole or not at all, and one that fails does not take the
  others with it; each failure is kept with its reason;
- nothing here judges: the answers are put side by side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from controlbook.digest import canonical, digest_of
from controlbook.model import Missing, State
from controlbook.timeline import DAY, Instant, Interval, from_datetime

from . import SourceError
from .items import TYPE, Item, in_order, item_of
from .resource_history import items_before, items_within
from .survey import Survey, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controlbook.errors import ControlbookError
    from controlbook.model import Settings

    from . import Place
    from .aws import Conversation
    from .delivery import Bucket, HistoryFile

LOOKBACK = DAY
"""How far before the first window late deliveries are looked for."""

SELECT = (
    "SELECT accountId, awsRegion, resourceId, resourceType, configurationStateId,"
    " configurationItemCaptureTime, configurationItemStatus,"
    " configuration.configRuleList"
    f" WHERE resourceType = '{TYPE}'"
)


OPEN = frozenset({State.NON_COMPLIANT, State.INSUFFICIENT_DATA})
"""States whose true start matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What the aggregator says of one source, an account × Region."""

    status: str
    updated: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger knows of a place that its last run collected."""

    resources: frozenset[str]
    behind_since: Instant | None = None
    """Start of the first of the last windows that deliveries did not reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributor:
    """A resource that the aggregator shows as NON_COMPLIANT now."""

    place: Place
    rule: str
    """As deployed."""
    resource: str
    recorded: Instant


@dataclass(slots=True, kw_only=True)
class Found:
    """What one account × Region gave."""

    survey: Survey
    files: tuple[HistoryFile, ...]
    items: tuple[Item, ...]
    """Of all files, in order, equal ones collapsed."""


@dataclass(kw_only=True)
class Gathering:
    """The answers of one collection."""

    talk: Conversation
    settings: Settings
    bucket: Bucket | None
    principal: str = ""
    members: frozenset[str] | None = None
    """ACTIVE accounts of the organization; None: the list could not be read."""
    organizations_sha256: str = ""
    sources: Mapping[Place, Freshness] | None = None
    found: dict[Place, Found] = field(default_factory=dict)
    failures: dict[Place, str] = field(default_factory=dict)
    records: list[bytes] = field(default_factory=list)
    """What the aggregator says now, as lines of the record pack."""
    contributors: list[Contributor] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = True

    def fail(self, error: ControlbookError) -> None:
        """Remember that a listing for all places could not be read."""
        self.complete = False
        self.notes.append(str(error))

    @cached_property
    def current(self) -> Mapping[Place, Mapping[str, Item]]:
        """Every resource's newest item by the aggregator; raises SourceError."""
        rows = self.talk.listing(
            "config",
            "select_aggregate_resource_config",
            "Results",
            ("", self.settings.region),
            ConfigurationAggregatorName=self.settings.aggregator,
            Expression=SELECT,
            Limit=100,
        )
        table: dict[Place, dict[str, Item]] = {}
        for row in rows:
            item = item_of(json.loads(row))
            known = table.setdefault((item.account, item.region), {})
            if item.resource not in known or known[item.resource] < item:
                known[item.resource] = item
        return table

    def missing(self, place: Place, window: Interval) -> tuple[Missing, ...]:
        """Give why, and for which part of a window, a place has no evidence."""
        account, region = place

        def row(reason: str, interval: Interval = window) -> Missing:
            return Missing(
                account=account, region=region, reason=reason, interval=interval
            )

        if self.members is not None and account not in self.members:
            return (row("account-missing"),)
        if self.sources is None or place in self.failures:
            return (row("source-failed"),)
        fresh = self.sources.get(place)
        if fresh is None:
            return (row("account-missing"),)
        rows = self.found[place].survey.missing(
            window, by_delivery=self.bucket is not None
        )
        if fresh.status == "FAILED":
            rows = (*rows, row("source-failed"))
        if fresh.status == "OUTDATED":
            start = max(fresh.updated or window.start, window.start)
            if start < window.end:
                rows = (*rows, row("source-outdated", Interval(start, window.end)))
        return tuple(sorted(rows))


def gather(
    gathering: Gathering,
    places: Iterable[Place],
    span: Interval,
    known: Mapping[Place, Known],
) -> None:
    """Ask everything that the windows of a span need.

    Raises SourceError only where AWS cannot be talked to at all.
    """
    talk = gathering.talk
    identity = talk.ask("sts", "get_caller_identity")
    gathering.principal = identity["Arn"]
    _organizations(gathering)
    _sources(gathering)
    for place in places:
        account, _ = place
        lost = gathering.members is not None and account not in gathering.members
        if lost or gathering.sources is None or place not in gathering.sources:
            continue
        try:
            _demand_access(gathering, account, identity["Account"])
            gathering.found[place] = _place(gathering, place, span, known.get(place))
        except SourceError as error:
            gathering.failures[place] = str(error)
            gathering.fail(error)
    try:
        _compliance(gathering)
    except SourceError as error:
        gathering.fail(error)


def _demand_access(gathering: Gathering, account: str, own: str) -> None:
    if account != own and not gathering.talk.aws.role:
        message = "no role to read this account with"
        raise SourceError(message, account, "set collector-role in [tool.controlbook]")


def _organizations(gathering: Gathering) -> None:
    try:
        rows = gathering.talk.listing("organizations", "list_accounts", "Accounts")
    except SourceError as error:
        gathering.fail(error)
        return
    if not rows:
        message = "Organizations listed no account at all"
        gathering.fail(SourceError(message, "organizations:ListAccounts"))
        return
    table = {row["Id"]: row["Status"] for row in rows}
    active = frozenset(i for i, status in table.items() if status == "ACTIVE")
    gathering.members = active
    gathering.organizations_sha256 = digest_of(sorted(map(list, table.items())))


def _sources(gathering: Gathering) -> None:
    settings = gathering.settings
    try:
        rows = gathering.talk.listing(
            "config",
            "describe_configuration_aggregator_sources_status",
            "AggregatedSourceStatusList",
            ("", settings.region),
            ConfigurationAggregatorName=settings.aggregator,
            Limit=100,
        )
    except SourceError as error:
        gathering.fail(error)
        return
    found: dict[Place, Freshness] = {}
    for row in rows:
        updated = row.get("LastUpdateTime")
        found[row["SourceId"], row["AwsRegion"]] = Freshness(
            status=row.get("LastUpdateStatus", ""),
            updated=from_datetime(updated) if updated else None,
        )
        if row.get("LastUpdateStatus") != "SUCCEEDED":
            gathering.notes.append(
                f"aggregator: {row['SourceId']} {row['AwsRegion']} is"
                f" {row.get('LastUpdateStatus')}: {row.get('LastErrorCode', '?')}"
            )
    gathering.sources = found


def _place(
    gathering: Gathering, place: Place, span: Interval, known: Known | None
) -> Found:
    talk, bucket = gathering.talk, gathering.bucket
    surveyed = survey(talk, place)
    gathering.notes += surveyed.twins()
    if bucket is None:
        return Found(
            survey=surveyed, files=(), items=_asked(gathering, place, span, known)
        )
    keys, strange = bucket.keys(talk, place, span.start, span.end)
    behind = known.behind_since if known else None
    before = Instant(span.start - LOOKBACK)
    early, odd = bucket.keys(
        talk, place, before if behind is None else min(before, behind), span.start - 1
    )
    for key in (*odd, *strange):
        gathering.notes.append(f"s3://{bucket.name}/{key} is not named as AWS names it")
    # Of the days before, only what was written since; to begin with, all of it.
    since = before if known is None else behind or span.start
    late = [key for key, written in early.items() if written >= since]
    files = tuple(bucket.read(talk, key) for key in sorted({*late, *keys}))
    items, notes = in_order(item for file in files for item in file.items)
    gathering.notes += notes
    if notes:
        gathering.complete = False
    return Found(survey=surveyed, files=files, items=items)


def _asked(
    gathering: Gathering, place: Place, span: Interval, known: Known | None
) -> tuple[Item, ...]:
    """Without delivery files, ask for the history of every resource that moved."""
    current = gathering.current.get(place, {})
    moved = {name for name, item in current.items() if item.at >= span.start}
    gone = (known.resources if known else frozenset()) - current.keys()
    found: list[Item] = []
    for resource in sorted(moved | gone):
        found += items_within(gathering.talk, place, resource, span)
    return in_order(found)[0]


def _compliance(gathering: Gathering) -> None:
    """Ask the aggregator for every rule's state, and for what is NON_COMPLIANT."""
    settings, talk = gathering.settings, gathering.talk
    home = ("", settings.region)
    rows = talk.listing(
        "config",
        "describe_aggregate_compliance_by_config_rules",
        "AggregateComplianceByConfigRules",
        home,
        ConfigurationAggregatorName=settings.aggregator,
        Limit=1000,
    )
    bad: dict[tuple[str, str, str], None] = {}
    for row in rows:
        place = (row["AccountId"], row["AwsRegion"])
        if place not in gathering.found:
            continue
        verdict = row["Compliance"]["ComplianceType"]
        gathering.records.append(_compliance_record(row, verdict))
        if verdict == "NON_COMPLIANT":
            bad[(*place, row["ConfigRuleName"])] = None
    for account, region, rule in bad:
        details = talk.listing(
            "config",
            "get_aggregate_compliance_details_by_config_rule",
            "AggregateEvaluationResults",
            home,
            ConfigurationAggregatorName=settings.aggregator,
            ConfigRuleName=rule,
            AccountId=account,
            AwsRegion=region,
            ComplianceType="NON_COMPLIANT",
            Limit=100,
        )
        gathering.contributors += [_contributor(detail) for detail in details]


def _compliance_record(row: Mapping[str, Any], verdict: str) -> bytes:
    count = row["Compliance"].get("ComplianceContributorCount", {})
    return canonical(
        {
            "type": "rule-compliance",
            "account": row["AccountId"],
            "region": row["AwsRegion"],
            "deployed_as": row["ConfigRuleName"],
            "compliance": verdict,
            "contributors": count.get("CappedCount", 0),
            "capped": "yes" if count.get("CapExceeded") else "no",
        }
    )


def _contributor(row: Mapping[str, Any]) -> Contributor:
    named = row["EvaluationResultIdentifier"]["EvaluationResultQualifier"]
    return Contributor(
        place=(row["AccountId"], row["AwsRegion"]),
        rule=named["ConfigRuleName"],
        resource=f"{named['ResourceType']}/{named['ResourceId']}",
        recorded=from_datetime(row["ResultRecordedTime"]),
    )


def seed_histories(
    gathering: Gathering, place: Place, start: Instant
) -> tuple[tuple[Item, ...], ...]:
    """Give, for every resource of a place, the items that led to its state at `start`.

    Hazard (a): what was in force before is asked for, never assumed. Of a resource that
    is not compliant the whole history is read, for the true start of that.
    """
    current = gathering.current.get(place, {})
    items = gathering.found[place].items
    before: dict[str, Item] = {
        name: item for name, item in current.items() if item.at < start
    }
    for item in items:
        if item.resource in before and before[item.resource] < item and item.at < start:
            before[item.resource] = item
    histories = []
    for resource in sorted({*current, *(item.resource for item in items)}):
        last = before.get(resource)
        if last is None or any(v.state in OPEN for v in last.verdicts):
            past = items_before(gathering.talk, place, resource, start)
            histories.append(past or ((last,) if last else ()))
        else:
            histories.append((last,))
    return tuple(filter(None, histories))
