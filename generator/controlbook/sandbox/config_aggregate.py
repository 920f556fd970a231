# SPDX-License-Identifier: Apache-2.0
"""AWS Config's operations that ask the aggregator.

Rules enforced here (aws.md section 2):
- they answer in the aggregator's own account and Region only;
- rules without results are not listed, contributor counts are capped and speak of
  NON_COMPLIANT only, details hold only COMPLIANT and NON_COMPLIANT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlbook.timeline import to_datetime

from .aggregator import CAP, Aggregator
from .config_packs import pack_of
from .protocol import ServiceError
from .query import parse
from .world import COMPLIANT, INSUFFICIENT_DATA, NON_COMPLIANT, token_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.timeline import Instant

    from .aggregator import RuleResults, Source
    from .paging import Pager
    from .protocol import Caller, Params
    from .recording import Entry, Recording
    from .trouble import Trouble
    from .world import Rule

Row = dict[str, Any]  # a member of a reply, shaped by the model


class Aggregate:
    """The operations that ask the aggregator."""

    def __init__(self, recording: Recording, trouble: Trouble, pager: Pager) -> None:
        """Answer from a recording, through some trouble."""
        self._world = recording.world
        self._aggregator = Aggregator(recording, trouble)
        self._page = pager.page

    def aggregators(self, caller: Caller, params: Params) -> Params:
        """DescribeConfigurationAggregators."""
        world = self._world
        here = (caller.account, caller.region) == (world.home, world.home_region)
        names = params.get("ConfigurationAggregatorNames") or []
        for name in names:
            if not here or name != world.aggregator:
                raise _no_aggregator(name)
        rows = [self._describe()] if here else []
        page, token = self._page(
            "DescribeConfigurationAggregators", params, rows, params.get("Limit") or 100
        )
        return {"ConfigurationAggregators": page, **token}

    def _describe(self) -> Row:
        world = self._world
        ident = token_of(world.name, world.aggregator, length=8)
        place = f"arn:aws:config:{world.home_region}:{world.home}"
        since = to_datetime(min(account.joined for account in world.accounts))
        return {
            "ConfigurationAggregatorName": world.aggregator,
            "ConfigurationAggregatorArn": (
                f"{place}:config-aggregator/config-aggregator-{ident}"
            ),
            "OrganizationAggregationSource": {
                "RoleArn": f"arn:aws:iam::{world.home}:role/config-aggregator",
                "AwsRegions": list(world.regions),
                "AllAwsRegions": False,
            },
            "CreationTime": since,
            "LastUpdatedTime": since,
        }

    def _demand(self, caller: Caller, params: Params) -> None:
        world = self._world
        name = params["ConfigurationAggregatorName"]
        here = (caller.account, caller.region) == (world.home, world.home_region)
        if not here or name != world.aggregator:
            raise _no_aggregator(name)

    def sources(self, caller: Caller, params: Params) -> Params:
        """DescribeConfigurationAggregatorSourcesStatus: how fresh each source is."""
        self._demand(caller, params)
        wanted = params.get("UpdateStatus")
        rows = [
            _source_row(source)
            for source in self._aggregator.sources(caller.now)
            if not wanted or source.status in wanted
        ]
        page, token = self._page(
            "DescribeConfigurationAggregatorSourcesStatus",
            params,
            rows,
            params.get("Limit") or 100,
        )
        return {"AggregatedSourceStatusList": page, **token}

    def compliance(self, caller: Caller, params: Params) -> Params:
        """DescribeAggregateComplianceByConfigRules: a row per rule with results."""
        self._demand(caller, params)
        wanted = params.get("Filters") or {}
        # As AWS does, page over all rules first and leave out those without results
        # afterwards, so that a page may be short or empty and still carry a token.
        rows = [
            found
            for source in self._sources(caller, wanted)
            for found in self._aggregator.rules(source)
            if wanted.get("ConfigRuleName") in (None, found.rule.name)
        ]
        page, token = self._page(
            "DescribeAggregateComplianceByConfigRules",
            params,
            rows,
            params.get("Limit") or 1000,
        )
        kinds = {wanted["ComplianceType"]} if "ComplianceType" in wanted else None
        shown = [
            _compliance_row(found)
            for found in page
            if found.compliance and (kinds is None or found.compliance in kinds)
        ]
        return {"AggregateComplianceByConfigRules": shown, **token}

    def packs(self, caller: Caller, params: Params) -> Params:
        """DescribeAggregateComplianceByConformancePacks: a row per pack and source."""
        self._demand(caller, params)
        wanted = params.get("Filters") or {}
        rows = [
            _pack_row(source, name, rules)
            for source in self._sources(caller, wanted)
            for name, rules in self._by_pack(source)
            if wanted.get("ConformancePackName") in (None, name)
        ]
        kind = wanted.get("ComplianceType")
        rows = [r for r in rows if kind in (None, r["Compliance"]["ComplianceType"])]
        page, token = self._page(
            "DescribeAggregateComplianceByConformancePacks",
            params,
            rows,
            params.get("Limit") or 100,
        )
        return {"AggregateComplianceByConformancePacks": page, **token}

    def _by_pack(self, source: Source) -> Iterable[tuple[str, list[RuleResults]]]:
        found: dict[str, list[RuleResults]] = {}
        for results in self._aggregator.rules(source):
            if name := pack_of(results.rule):
                found.setdefault(name, []).append(results)
        return sorted(found.items())

    def _sources(self, caller: Caller, wanted: Params) -> Iterable[Source]:
        for source in self._aggregator.sources(caller.now):
            account, region = source.place
            if wanted.get("AccountId") in (None, account) and wanted.get(
                "AwsRegion"
            ) in (None, region):
                yield source

    def details(self, caller: Caller, params: Params) -> Params:
        """GetAggregateComplianceDetailsByConfigRule: the latest result per resource."""
        self._demand(caller, params)
        wanted = {name: params[name] for name in ("AccountId", "AwsRegion")}
        rows = [
            (found.rule, record, entry)
            for source in self._sources(caller, wanted)
            for found in self._aggregator.rules(source)
            if found.rule.name == params["ConfigRuleName"]
            for record, entry in found.results
        ]
        page, token = self._page(
            "GetAggregateComplianceDetailsByConfigRule",
            params,
            rows,
            params.get("Limit") or 50,
        )
        kinds = {COMPLIANT, NON_COMPLIANT}
        if "ComplianceType" in params:
            kinds &= {params["ComplianceType"]}
        shown = [
            _detail_row(rule, record.target_type, record.target_id, entry, caller.now)
            for rule, record, entry in page
            if entry.state in kinds
        ]
        return {"AggregateEvaluationResults": shown, **token}

    def select(self, caller: Caller, params: Params) -> Params:
        """SelectAggregateResourceConfig over ResourceCompliance items."""
        self._demand(caller, params)
        query = parse(params["Expression"])
        rows = [
            record
            for source in self._aggregator.sources(caller.now)
            for record in self._aggregator.items(source)
            if query.selects(record)
        ]
        size = params.get("MaxResults") or params.get("Limit") or 25
        page, token = self._page("SelectAggregateResourceConfig", params, rows, size)
        fields = [{"Name": field} for field in query.fields]
        return {
            "Results": [query.row(record) for record in page],
            "QueryInfo": {"SelectFields": fields},
            **token,
        }


def _no_aggregator(name: str) -> ServiceError:
    message = f"no configuration aggregator {name!r} in this account and Region"
    return ServiceError(code="NoSuchConfigurationAggregatorException", message=message)


def _source_row(source: Source) -> Row:
    row = {
        "SourceId": source.place[0],
        "SourceType": "ACCOUNT",
        "AwsRegion": source.place[1],
        "LastUpdateStatus": source.status,
        "LastUpdateTime": to_datetime(source.seen),
    }
    if source.trouble:
        row["LastErrorCode"] = source.trouble.code
        row["LastErrorMessage"] = "the aggregator could not refresh this source"
    return row


def _compliance_row(found: RuleResults) -> Row:
    compliance: Row = {"ComplianceType": found.compliance}
    if found.compliance == NON_COMPLIANT:
        count = found.contributors
        compliance["ComplianceContributorCount"] = {
            "CappedCount": min(count, CAP),
            "CapExceeded": count > CAP,
        }
    return {
        "ConfigRuleName": found.rule.name,
        "Compliance": compliance,
        "AccountId": found.rule.account,
        "AwsRegion": found.rule.region,
    }


def _detail_row(
    rule: Rule,
    kind: str,
    ident: str,
    entry: Entry,
    now: Instant,
) -> Row:
    evaluated = to_datetime(max(entry.since, rule.last_tick(now) or entry.since))
    return {
        "EvaluationResultIdentifier": {
            "EvaluationResultQualifier": {
                "ConfigRuleName": rule.name,
                "ResourceType": kind,
                "ResourceId": ident,
                "EvaluationMode": "DETECTIVE",
            },
            "OrderingTimestamp": to_datetime(entry.since),
        },
        "ComplianceType": entry.state,
        "ResultRecordedTime": evaluated,
        "ConfigRuleInvokedTime": evaluated,
        "AccountId": rule.account,
        "AwsRegion": rule.region,
    }


def _pack_row(source: Source, name: str, rules: list[RuleResults]) -> Row:
    account, region = source.place
    verdicts = [results.compliance for results in rules]
    order = (NON_COMPLIANT, COMPLIANT)
    return {
        "ConformancePackName": name,
        "Compliance": {
            "ComplianceType": next(
                (v for v in order if v in verdicts), INSUFFICIENT_DATA
            ),
            "CompliantRuleCount": verdicts.count(COMPLIANT),
            "NonCompliantRuleCount": verdicts.count(NON_COMPLIANT),
            "TotalRuleCount": len(rules),
        },
        "AccountId": account,
        "AwsRegion": region,
    }
