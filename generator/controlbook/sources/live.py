# SPDX-License-Identifier: Apache-2.0
"""What the aggregator says at this moment, for people who want to look.

Rules enforced here:
- nothing of it is stored, and nothing of it is evidence;
- how fresh each source is stands beside it: an outdated source is said;
- a conformance pack's compliance is AWS's own sum, and it is no state of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.managed_rules import recognise
from controlbook.states import Row

from .aws import Conversation, shared
from .gathering import Gathering

if TYPE_CHECKING:
    from controlbook.model import Settings

DELETED = ("ResourceDeleted", "ResourceDeletedNotRecorded")


def live_states(settings: Settings) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Ask the aggregator; give the rows and what to know about them."""
    talk = Conversation(shared(settings.collector_role))
    gathering = Gathering(talk=talk, settings=settings, bucket=None)
    stale: dict[tuple[str, str], str] = {}
    for source in talk.listing(
        "config",
        "describe_configuration_aggregator_sources_status",
        "AggregatedSourceStatusList",
        ("", settings.region),
        ConfigurationAggregatorName=settings.aggregator,
    ):
        if source.get("LastUpdateStatus") != "SUCCEEDED" and source.get("AwsRegion"):
            place = (source["SourceId"], source["AwsRegion"])
            stale[place] = f"source {source.get('LastUpdateStatus', 'unknown')}"
    rows = tuple(
        sorted(
            Row(
                account=item.account,
                region=item.region,
                rule=recognise(verdict.rule)[0],
                resource=item.resource,
                state=verdict.state,
                since=item.at,
                deployed_as=verdict.rule,
                doubt=stale.get((item.account, item.region), ""),
            )
            for items in gathering.current.values()
            for item in items.values()
            if item.status not in DELETED
            for verdict in item.verdicts
        )
    )
    notes = [f"{' '.join(place)}: {why}" for place, why in sorted(stale.items())]
    return rows, tuple(notes)


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class PackNow:
    """What the aggregator says of one conformance pack in one account × Region."""

    account: str
    region: str
    pack: str
    state: str
    """COMPLIANT | NON_COMPLIANT | INSUFFICIENT_DATA"""
    compliant: int
    """Rules that are."""
    failing: int
    rules: int
    """All of them, also those without a verdict."""


def live_packs(settings: Settings) -> tuple[PackNow, ...]:
    """Ask the aggregator about conformance packs."""
    rows = Conversation(shared(settings.collector_role)).listing(
        "config",
        "describe_aggregate_compliance_by_conformance_packs",
        "AggregateComplianceByConformancePacks",
        ("", settings.region),
        ConfigurationAggregatorName=settings.aggregator,
    )
    return tuple(
        sorted(
            PackNow(
                account=row["AccountId"],
                region=row["AwsRegion"],
                pack=row["ConformancePackName"],
                state=row["Compliance"]["ComplianceType"],
                compliant=row["Compliance"].get("CompliantRuleCount", 0),
                failing=row["Compliance"].get("NonCompliantRuleCount", 0),
                rules=row["Compliance"].get("TotalRuleCount", 0),
            )
            for row in rows
        )
    )
