# SPDX-License-Identifier: Apache-2.0
"""AWS Config's operations that see one account × Region, the caller's.

Rules enforced here (aws.md section 2):
- DescribeConfigRuleEvaluationStatus says nothing about custom rules, and needs no
  second page below the default limit of 1,000 rules;
- a recorder that leaves ResourceCompliance out says so in its recording group;
- the delivery status is what a window's closing depends on: a delay shows in it,
  unless the delay is a silent one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlbook.timeline import to_datetime

from .delivery import last_delivery, next_delivery
from .items import COMPLIANCE, compact
from .protocol import ServiceError
from .world import token_of

if TYPE_CHECKING:
    from controlbook.timeline import Instant

    from .paging import Pager
    from .protocol import Caller, Params
    from .recording import Place, Recording
    from .trouble import Trouble
    from .world import Rule

Row = dict[str, Any]  # a member of a reply, shaped by the model


class Local:
    """The operations that see the caller's account × Region."""

    def __init__(self, recording: Recording, trouble: Trouble, pager: Pager) -> None:
        """Answer from a recording, through some trouble."""
        self._recording = recording
        self._world = recording.world
        self._trouble = trouble
        self._page = pager.page

    def rules(self, caller: Caller, params: Params) -> Params:
        """DescribeConfigRules, 25 a page."""
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
        """DescribeConfigRuleEvaluationStatus of managed rules."""
        rows = [
            self._evaluation_row(rule, caller.now)
            for rule in self._named(caller, params)
            if rule.owner == "AWS"
        ]
        page, token = self._page(
            "DescribeConfigRuleEvaluationStatus",
            params,
            rows,
            params.get("Limit") or 1000,
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
        """DescribeConfigurationRecorders."""
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
        """DescribeConfigurationRecorderStatus: recording, and since when."""
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
        """DescribeDeliveryChannels."""
        _only_default(params.get("DeliveryChannelNames"), "NoSuchDeliveryChannel")
        channel = {"name": "default", "s3BucketName": self._world.delivery_bucket}
        return {"DeliveryChannels": [channel]}

    def channel_status(self, caller: Caller, params: Params) -> Params:
        """DescribeDeliveryChannelStatus: when history was last delivered."""
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
