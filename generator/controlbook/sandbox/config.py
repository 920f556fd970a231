# SPDX-License-Identifier: Apache-2.0
"""AWS Config's operations over a recording.

Rules enforced here (aws.md section 2):
- aggregate operations answer in the aggregator's own account and Region only;
- rules without results are not listed, contributor counts are capped and speak of
  NON_COMPLIANT only, details hold only COMPLIANT and NON_COMPLIANT;
- DescribeConfigRuleEvaluationStatus says nothing about custom rules;
- every other operation sees one account × Region, the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlbook.timeline import to_datetime

from . import select
from .aggregator import CAP, Aggregator
from .delivery import last_delivery, next_delivery
from .history import History
from .items import COMPLIANCE, compact
from .protocol import Service, ServiceError
from .world import COMPLIANT, NON_COMPLIANT, token_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.timeline import Instant

    from .aggregator import RuleResults, Source
    from .paging import Pager
    from .protocol import Caller, Params
    from .recording import Entry, Place, Recording
    from .trouble import Trouble
    from .world import Rule

Row = dict[str, Any]  # a member of a reply, shaped by the model


def service(recording: Recording, trouble: Trouble, pager: Pager) -> Service:
    """Put Config's emulated operations together."""
    aggregate = _Aggregate(recording, trouble, pager)
    local = _Local(recording, trouble, pager)
    history = History(recording, trouble, pager)
    return Service(
        "config",
        {
            "DescribeConfigurationAggregators": aggregate.aggregators,
            "DescribeConfigurationAggregatorSourcesStatus": aggregate.sources,
            "DescribeAggregateComplianceByConfigRules": aggregate.compliance,
            "GetAggregateComplianceDetailsByConfigRule": aggregate.details,
            "SelectAggregateResourceConfig": aggregate.select,
            "DescribeConfigRules": local.rules,
            "DescribeConfigRuleEvaluationStatus": local.evaluation_status,
            "DescribeConfigurationRecorders": local.recorders,
            "DescribeConfigurationRecorderStatus": local.recorder_status,
            "DescribeDeliveryChannels": local.channels,
            "DescribeDeliveryChannelStatus": local.channel_status,
            "GetResourceConfigHistory": history.read,
        },
    )


class _Aggregate:
    """The operations that ask the aggregator."""

    def __init__(self, recording: Recording, trouble: Trouble, pager: Pager) -> None:
        self._world = recording.world
        self._aggregator = Aggregator(recording, trouble)
        self._page = pager.page

    def aggregators(self, caller: Caller, params: Params) -> Params:
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

    def _sources(self, caller: Caller, wanted: Params) -> Iterable[Source]:
        for source in self._aggregator.sources(caller.now):
            account, region = source.place
            if wanted.get("AccountId") in (None, account) and wanted.get(
                "AwsRegion"
            ) in (None, region):
                yield source

    def details(self, caller: Caller, params: Params) -> Params:
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
        self._demand(caller, params)
        query = select.parse(params["Expression"])
        rows = [
            row
            for source in self._aggregator.sources(caller.now)
            for record in self._aggregator.items(source)
            if (row := query.row(record)) is not None
        ]
        size = params.get("MaxResults") or params.get("Limit") or 25
        page, token = self._page("SelectAggregateResourceConfig", params, rows, size)
        fields = [{"Name": field} for field in query.fields]
        return {"Results": page, "QueryInfo": {"SelectFields": fields}, **token}


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


class _Local:
    """The operations that see the caller's account × Region."""

    def __init__(self, recording: Recording, trouble: Trouble, pager: Pager) -> None:
        self._recording = recording
        self._world = recording.world
        self._trouble = trouble
        self._page = pager.page

    def rules(self, caller: Caller, params: Params) -> Params:
        rows = [_rule_row(rule) for rule in self._named(caller, params)]
        page, token = self._page("DescribeConfigRules", params, rows, 25)
        return {"ConfigRules": page, **token}

    def _named(self, caller: Caller, params: Params) -> list[Rule]:
        deployed = self._recording.rules(_place(caller), caller.now)
        names = params.get("ConfigRuleNames")
        if not names:
            return list(deployed)
        by_name = {rule.name: rule for rule in deployed}
        for name in names:
            if name not in by_name:
                message = f"no Config rule {name!r} in this account and Region"
                raise ServiceError(code="NoSuchConfigRuleException", message=message)
        return [by_name[name] for name in names]

    def evaluation_status(self, caller: Caller, params: Params) -> Params:
        rows = [
            self._evaluation_row(rule, caller.now)
            for rule in self._named(caller, params)
            if rule.owner == "AWS"
        ]
        page, token = self._page(
            "DescribeConfigRuleEvaluationStatus",
            params,
            rows,
            params.get("Limit") or 50,
        )
        return {"ConfigRulesEvaluationStatus": page, **token}

    def _evaluation_row(self, rule: Rule, now: Instant) -> Row:
        place = (rule.account, rule.region)
        since = [
            entry.since
            for record in self._recording.standing(place, now)
            for entry in record.entries
            if entry.rule.name == rule.name
        ]
        tick = rule.last_tick(now)
        last = max([*since, *([tick] if tick else [])], default=None)
        row: Row = {
            "ConfigRuleName": rule.name,
            "ConfigRuleArn": rule.arn,
            "ConfigRuleId": rule.id,
            "FirstActivatedTime": to_datetime(rule.created),
            "FirstEvaluationStarted": last is not None,
        }
        if last is not None:
            row["LastSuccessfulInvocationTime"] = to_datetime(last)
            row["LastSuccessfulEvaluationTime"] = to_datetime(last)
        for failure in self._world.failures:
            same = (failure.account, failure.region, failure.rule) == (
                *place,
                rule.name,
            )
            if same and failure.start <= now < failure.end:
                failed = max(failure.start, tick or failure.start)
                row["LastSuccessfulInvocationTime"] = to_datetime(failure.start)
                row["LastSuccessfulEvaluationTime"] = to_datetime(failure.start)
                row["LastFailedInvocationTime"] = to_datetime(failed)
                row["LastFailedEvaluationTime"] = to_datetime(failed)
                row["LastErrorCode"] = failure.code
                row["LastErrorMessage"] = "the rule could not evaluate its resources"
        return row

    def recorders(self, caller: Caller, params: Params) -> Params:
        _only_default(
            params.get("ConfigurationRecorderNames"), "NoSuchConfigurationRecorder"
        )
        left_out = caller.account in self._trouble.compliance_not_recorded
        strategy = "EXCLUSION_BY_RESOURCE_TYPES" if left_out else "ALL_SUPPORTED"
        role = "role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
        recorder = {
            "arn": _recorder_arn(caller),
            "name": "default",
            "roleARN": f"arn:aws:iam::{caller.account}:{role}",
            "recordingGroup": {
                "allSupported": not left_out,
                "includeGlobalResourceTypes": not left_out,
                "resourceTypes": [],
                "exclusionByResourceTypes": {
                    "resourceTypes": [COMPLIANCE] if left_out else []
                },
                "recordingStrategy": {
                    "useOnly": strategy if left_out else f"{strategy}_RESOURCE_TYPES"
                },
            },
            "recordingMode": {"recordingFrequency": "CONTINUOUS"},
            "recordingScope": "PAID",
        }
        return {"ConfigurationRecorders": [recorder]}

    def recorder_status(self, caller: Caller, params: Params) -> Params:
        _only_default(
            params.get("ConfigurationRecorderNames"), "NoSuchConfigurationRecorder"
        )
        account = self._world.account(caller.account)
        started = account.joined if account else self._world.begin
        stopped = None
        for stop in sorted(self._world.stops):
            if (stop.account, stop.region) == _place(
                caller
            ) and stop.start <= caller.now:
                stopped = stop.start
                if stop.end is not None and stop.end <= caller.now:
                    started = stop.end
        status = {
            "arn": _recorder_arn(caller),
            "name": "default",
            "lastStartTime": to_datetime(started),
            "recording": stopped is None or started > stopped,
            "lastStatus": "Success",
            "lastStatusChangeTime": to_datetime(max(started, stopped or started)),
        }
        if stopped is not None:
            status["lastStopTime"] = to_datetime(stopped)
        return {"ConfigurationRecordersStatus": [status]}

    def channels(self, _caller: Caller, params: Params) -> Params:
        _only_default(params.get("DeliveryChannelNames"), "NoSuchDeliveryChannel")
        channel = {"name": "default", "s3BucketName": self._world.delivery_bucket}
        return {"DeliveryChannels": [channel]}

    def channel_status(self, caller: Caller, params: Params) -> Params:
        _only_default(params.get("DeliveryChannelNames"), "NoSuchDeliveryChannel")
        place = _place(caller)
        last = to_datetime(last_delivery(self._trouble, place, caller.now))
        status = {
            "name": "default",
            "configHistoryDeliveryInfo": {
                "lastStatus": "Success",
                "lastAttemptTime": last,
                "lastSuccessfulTime": last,
                "nextDeliveryTime": to_datetime(next_delivery(place, caller.now)),
            },
            "configStreamDeliveryInfo": {
                "lastStatus": "Success",
                "lastStatusChangeTime": last,
            },
        }
        return {"DeliveryChannelsStatus": [status]}


def _place(caller: Caller) -> Place:
    return (caller.account, caller.region)


def _only_default(names: list[str] | None, error: str) -> None:
    for name in names or []:
        if name != "default":
            raise ServiceError(
                code=f"{error}Exception", message=f"nothing here is named {name!r}"
            )


def _recorder_arn(caller: Caller) -> str:
    ident = token_of(caller.account, caller.region, "recorder", length=16)
    place = f"arn:aws:config:{caller.region}:{caller.account}"
    return f"{place}:configuration-recorder/default/{ident}"


def _rule_row(rule: Rule) -> Row:
    row: Row = {
        "ConfigRuleName": rule.name,
        "ConfigRuleArn": rule.arn,
        "ConfigRuleId": rule.id,
        "Source": _rule_source(rule),
        "InputParameters": compact(dict(rule.parameters)),
        "ConfigRuleState": "ACTIVE",
        "EvaluationModes": [{"Mode": "DETECTIVE"}],
    }
    if rule.trigger != "periodic":
        row["Scope"] = {"ComplianceResourceTypes": list(rule.resource_types)}
    if rule.frequency:
        row["MaximumExecutionFrequency"] = rule.frequency
    if rule.created_by:
        row["CreatedBy"] = rule.created_by
    return row


def _rule_source(rule: Rule) -> Row:
    if rule.owner == "AWS":
        return {"Owner": "AWS", "SourceIdentifier": rule.identifier}
    details: list[Row] = []
    if rule.trigger != "periodic":
        kind = "ConfigurationItemChangeNotification"
        details.append({"EventSource": "aws.config", "MessageType": kind})
    if rule.trigger != "change":
        scheduled = {
            "EventSource": "aws.config",
            "MessageType": "ScheduledNotification",
        }
        details.append({**scheduled, "MaximumExecutionFrequency": rule.frequency})
    if rule.owner == "CUSTOM_LAMBDA":
        return {
            "Owner": rule.owner,
            "SourceIdentifier": rule.identifier,
            "SourceDetails": details,
        }
    policy = {"PolicyRuntime": "guard-2.x.x", "PolicyText": ""}
    return {
        "Owner": rule.owner,
        "SourceDetails": details,
        "CustomPolicyDetails": policy,
    }
