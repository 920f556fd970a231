# SPDX-License-Identifier: Apache-2.0
"""The laws of the sandbox: whatever happened, all views tell one story."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

from controlbook.sandbox.example import REGION
from controlbook.sandbox.s3 import NAMESPACE, Request
from controlbook.sandbox.server import Sandbox
from controlbook.sandbox.sts import access_key
from controlbook.sandbox.world import (
    COMPLIANT,
    INSUFFICIENT_DATA,
    NON_COMPLIANT,
    NOT_APPLICABLE,
    Account,
    RecorderStop,
    Resource,
    Rule,
    RuleFailure,
    Verdict,
    World,
)
from controlbook.timeline import HOUR, MINUTE, Instant, instant

Wire = Any  # JSON as the model shapes it
START = instant("2028-01-01T00:00:00Z")
SPAN = 20 * 24 * HOUR
MIDDLE, END = Instant(START + SPAN // 2), Instant(START + SPAN)
ACCOUNTS = ("000000000001", "000000000002")
COMPLIANCE = "AWS::Config::ResourceCompliance"
QUERY = (
    "SELECT accountId, awsRegion, resourceId, configurationItemCaptureTime, "
    "configuration.complianceType, configuration.configRuleList "
    f"WHERE resourceType = '{COMPLIANCE}'"
)

STATES = (COMPLIANT, NON_COMPLIANT, NOT_APPLICABLE)


class Dice:
    """Throws worlds and instants from a seed, evenly spread over the span.

    Hypothesis draws the seed only: its own draws crowd at the edges, where nothing
    has happened yet.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a test's dice

    def instant(self, start: Instant = START, end: Instant = END) -> Instant:
        """Throw a full minute in `[start, end)`."""
        return Instant(self.random.randrange(start, end, MINUTE))

    def maybe(self, moment: Instant) -> Instant | None:
        """Keep an instant half of the time."""
        return moment if self.random.random() < 0.5 else None

    def span(self) -> tuple[Instant, Instant]:
        """Throw a stretch of up to five days."""
        start = self.instant()
        return start, Instant(start + self.random.randrange(1, 5 * 24 * 60) * MINUTE)

    def rule(self, account: str, name: str, *, ends: bool) -> Rule:
        """Throw a rule."""
        return Rule(
            account=account,
            region=REGION,
            name=name,
            identifier=name.upper(),
            created=START,
            resource_types=("AWS::S3::Bucket",),
            deleted=self.maybe(self.instant(MIDDLE)) if ends else None,
        )

    def lives(self, account: str, name: str) -> Iterator[Resource]:
        """Throw a resource's first life, and half of the time a second one."""
        cuts = sorted({self.instant() for _ in range(4)})
        first = {"account": account, "region": REGION, "type": "AWS::S3::Bucket"}
        again = self.random.random() < 0.5 and len(cuts) > 2
        gone = cuts[1] if again else self.maybe(cuts[-1])
        yield Resource(**first, id=name, created=cuts[0], deleted=gone)
        if again:
            yield Resource(**first, id=name, created=cuts[2])

    def verdicts(self, rule: Rule, life: Resource) -> Iterator[Verdict]:
        """Throw verdicts where both the rule and the resource exist."""
        start = max(rule.created, life.created)
        end = min(rule.deleted or END, life.deleted or END)
        if rule.account != life.account or start >= end:
            return
        for at in {self.instant(start, end) for _ in range(3)}:
            yield Verdict(
                at=at,
                account=rule.account,
                region=REGION,
                rule=rule.name,
                resource=life.name,
                state=self.random.choice(STATES),
            )

    def world(self, *, stops: bool) -> World:
        """Throw a small world with lives, verdicts, failures and recorder stops.

        A rule that goes while the recorder is off is gone from the rule list at once
        and from the items only later: no contradiction, but no equality either, so a
        world has recorder stops or ends of rules.
        """
        rules = [
            self.rule(account, name, ends=not stops)
            for account in ACCOUNTS
            for name in ("rule-a", "rule-b")
        ]
        resources = [
            life
            for account in ACCOUNTS
            for name in ("x", "y", "z")
            for life in self.lives(account, name)
        ]
        place = {"region": REGION}
        return World(
            name="thrown",
            home=ACCOUNTS[0],
            home_region=REGION,
            regions=(REGION,),
            aggregator="org",
            delivery_bucket="delivery",
            accounts=tuple(Account(id=a, name=a, joined=Instant(0)) for a in ACCOUNTS),
            rules=tuple(rules),
            resources=tuple(resources),
            verdicts=tuple(
                verdict
                for rule in rules
                for life in resources
                for verdict in self.verdicts(rule, life)
            ),
            failures=tuple(
                RuleFailure(**place, account=account, rule=rule, start=start, end=end)
                for account in ACCOUNTS
                for rule in ("rule-a", "rule-b")
                for start, end in [self.span()]
            ),
            stops=tuple(
                RecorderStop(**place, account=account, start=start, end=end)
                for account in (ACCOUNTS if stops else ())
                for start, end in [self.span()]
            ),
            begin=START,
        )


SEEDS = st.integers(0, 2**32)


@dataclass(frozen=True)
class Asked:
    """Calls to a sandbox without the cost of a socket."""

    sandbox: Sandbox

    def send(self, request: Request) -> bytes:
        status, _, body = self.sandbox.answer(request)
        assert status == 200, body
        return body

    def config(
        self, operation: str, account: str = ACCOUNTS[0], **params: object
    ) -> Wire:
        scope = (
            f"Credential={access_key(account)}/20280101/{REGION}/config/aws4_request"
        )
        return json.loads(
            self.send(
                Request(
                    method="POST", path="/", query="",
                    headers={"authorization": scope, "x-amz-target": f"X.{operation}"},
                    body=json.dumps(params).encode(),
                )
            )
        )  # fmt: skip

    def everything(self, operation: str, rows: str, **params: object) -> list[Any]:
        found: list[Any] = []
        token: dict[str, str] = {}
        while True:
            reply = self.config(operation, **params, **token)
            found += reply[rows]
            if "NextToken" not in reply:
                return found
            token = {"NextToken": reply["NextToken"]}

    def s3(self, path: str, query: str = "") -> bytes:
        scope = f"Credential=x/20280101/{REGION}/s3/aws4_request"
        headers = {"authorization": scope}
        return self.send(
            Request(method="GET", path=path, query=query, headers=headers, body=b"")
        )

    def history(self, account: str, resource: str) -> list[dict[str, Any]]:
        """Give a resource's items, oldest first, in one dialect."""
        asked = {"resourceType": COMPLIANCE, "resourceId": resource, "limit": 2,
                 "chronologicalOrder": "Forward"}  # fmt: skip
        found: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            reply = self.config("GetResourceConfigHistory", account, **asked, **token)
            found += [_common(item) for item in reply["configurationItems"]]
            if "nextToken" not in reply:
                return found
            token = {"nextToken": reply["nextToken"]}

    def delivered(self) -> list[dict[str, Any]]:
        """Give every delivered ResourceCompliance item, in one dialect."""
        listing = ET.fromstring(self.s3("/delivery", "list-type=2"))  # noqa: S314
        keys = [each.text or "" for each in listing.iter(f"{{{NAMESPACE}}}Key")]
        found = []
        for key in keys:
            if f"ConfigHistory_{COMPLIANCE}_" in key:
                body = gzip.decompress(self.s3("/delivery/" + quote(key)))
                found += json.loads(body)["configurationItems"]
        return [_common(item) for item in found]


def _common(item: dict[str, Any]) -> dict[str, Any]:
    """Bring an item of either dialect to one form."""
    configuration = item.get("configuration")
    if isinstance(configuration, str):
        configuration = json.loads(configuration)
    return {
        "account": item.get("accountId") or item["awsAccountId"],
        "resource": item["resourceId"],
        "at": int(item["configurationStateId"]),
        "status": item["configurationItemStatus"],
        "configuration": configuration,
    }


def histories(asked: Asked) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found = {}
    now = asked.sandbox.clock.now()
    names = {(each.account, each.name) for each in asked.sandbox.world.resources}
    recorded = {
        (record["account"], record["resource"])
        for record in _all_delivered(asked)
        if record["at"] <= now
    }
    for account, name in sorted(names & recorded):
        found[account, name] = asked.history(account, name)
    return found


def _all_delivered(asked: Asked) -> list[dict[str, Any]]:
    now = asked.sandbox.clock.now()
    asked.sandbox.set_clock(Instant(START + 10 * SPAN))
    found = asked.delivered()
    asked.sandbox.set_clock(now)
    return found


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_aggregator_select_history_and_files_tell_one_story(seed: int) -> None:
    dice = Dice(seed)
    world, now = dice.world(stops=True), dice.instant()
    sandbox = Sandbox(world)
    sandbox.set_clock(now)
    asked = Asked(sandbox)
    try:
        history = histories(asked)
        last = {key: items[-1] for key, items in history.items()}
        standing = {k: i for k, i in last.items() if i["status"] != "ResourceDeleted"}
        org = {"ConfigurationAggregatorName": "org"}
        _select_agrees(asked, standing, org)
        _aggregate_agrees(asked, standing, org)
        _files_agree(asked, history, now)
    finally:
        sandbox._server.server_close()  # noqa: SLF001 - it was never started


def _select_agrees(
    asked: Asked, standing: dict[tuple[str, str], dict[str, Any]], org: dict[str, str]
) -> None:
    rows = asked.everything(
        "SelectAggregateResourceConfig", "Results", Expression=QUERY, Limit=2, **org
    )
    selected = {
        (row["accountId"], row["resourceId"]): row for row in map(json.loads, rows)
    }
    assert len(selected) == len(rows)
    assert set(selected) == set(standing)
    for key, row in selected.items():
        captured = instant(row["configurationItemCaptureTime"])
        assert captured == standing[key]["at"]
        for name, value in row["configuration"].items():
            assert value == standing[key]["configuration"][name]


def _aggregate_agrees(
    asked: Asked, standing: dict[tuple[str, str], dict[str, Any]], org: dict[str, str]
) -> None:
    rows = asked.everything(
        "DescribeAggregateComplianceByConfigRules",
        "AggregateComplianceByConfigRules",
        Limit=1,
        **org,
    )
    expected: dict[tuple[str, str], dict[str, str]] = {}
    for (account, resource), item in standing.items():
        for rule in item["configuration"]["configRuleList"]:
            key = (account, rule["configRuleName"])
            expected.setdefault(key, {})[resource] = rule["complianceType"]
    assert {(r["AccountId"], r["ConfigRuleName"]) for r in rows} == set(expected)
    for row in rows:
        key = (row["AccountId"], row["ConfigRuleName"])
        verdicts = expected[key]
        order = (NON_COMPLIANT, COMPLIANT, INSUFFICIENT_DATA)
        kind = next(state for state in order if state in verdicts.values())
        assert row["Compliance"]["ComplianceType"] == kind
        bad = sum(state == NON_COMPLIANT for state in verdicts.values())
        count = row["Compliance"].get("ComplianceContributorCount")
        assert count == ({"CappedCount": bad, "CapExceeded": False} if bad else None)
        details = asked.everything(
            "GetAggregateComplianceDetailsByConfigRule",
            "AggregateEvaluationResults",
            ConfigRuleName=key[1], AccountId=key[0], AwsRegion=REGION, Limit=1, **org,
        )  # fmt: skip
        told = {}
        for each in details:
            names = each["EvaluationResultIdentifier"]["EvaluationResultQualifier"]
            name = f"{names['ResourceType']}/{names['ResourceId']}"
            told[name] = each["ComplianceType"]
        judged = (COMPLIANT, NON_COMPLIANT)
        assert told == {r: s for r, s in verdicts.items() if s in judged}


def _files_agree(
    asked: Asked, history: dict[tuple[str, str], list[dict[str, Any]]], now: Instant
) -> None:
    delivered = asked.delivered()
    items = [item for found in history.values() for item in found]
    assert all(item in items for item in delivered)
    due = [item for item in items if item["at"] < now - 6 * HOUR - 20 * MINUTE]
    assert all(item in delivered for item in due)
    asked.sandbox.set_clock(Instant(now + 12 * HOUR))
    later = [item for item in asked.delivered() if item["at"] <= now]
    order = sorted(items, key=lambda item: (item["at"], item["account"], str(item)))
    assert order == sorted(
        later, key=lambda item: (item["at"], item["account"], str(item))
    )
    asked.sandbox.set_clock(now)


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_select_is_the_truth_while_the_recorder_runs(seed: int) -> None:
    dice = Dice(seed)
    world, now = dice.world(stops=False), dice.instant()
    sandbox = Sandbox(world)
    sandbox.set_clock(now)
    try:
        rows = Asked(sandbox).everything(
            "SelectAggregateResourceConfig",
            "Results",
            Expression=QUERY,
            ConfigurationAggregatorName="org",
        )
    finally:
        sandbox._server.server_close()  # noqa: SLF001 - it was never started
    shown = {
        (row["accountId"], row["resourceId"], rule["configRuleName"]):
            rule["complianceType"]
        for row in map(json.loads, rows)
        for rule in row["configuration"]["configRuleList"]
    }  # fmt: skip
    assert shown == _truth(world, now)


def _truth(world: World, now: Instant) -> dict[tuple[str, str, str], str]:
    """Say from the facts alone what holds at an instant."""
    found: dict[tuple[str, str, str], str] = {}
    born = {
        (life.account, life.name): life.created
        for life in world.resources
        if life.exists_at(now)
    }
    deployed = {(r.account, r.name) for r in world.rules if r.exists_at(now)}
    for verdict in sorted(world.verdicts, key=lambda each: each.at):
        life = born.get((verdict.account, verdict.resource))
        stands = (verdict.account, verdict.rule) in deployed
        if life is not None and life <= verdict.at <= now and stands:
            key = (verdict.account, verdict.resource, verdict.rule)
            found[key] = verdict.state
    failing = {
        (each.account, each.rule)
        for each in world.failures
        if each.start <= now < each.end
    }
    return {
        (account, resource, rule): (
            INSUFFICIENT_DATA if (account, rule) in failing else state
        )
        for (account, resource, rule), state in found.items()
        if state != NOT_APPLICABLE
    }
