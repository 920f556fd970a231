# SPDX-License-Identifier: Apache-2.0
"""AWS Config's operations over a recording: which there are.

Rules enforced here:
- what this table does not name is answered with UnknownOperationException.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config_aggregate import Aggregate
from .config_local import Local
from .config_packs import Packs
from .history import History
from .protocol import Service

if TYPE_CHECKING:
    from .paging import Pager
    from .recording import Recording
    from .trouble import Trouble


def service(recording: Recording, trouble: Trouble, pager: Pager) -> Service:
    """Put Config's emulated operations together."""
    aggregate = Aggregate(recording, trouble, pager)
    local = Local(recording, trouble, pager)
    history = History(recording, trouble, pager)
    packs = Packs(recording, pager)
    return Service(
        "config",
        {
            "DescribeConfigurationAggregators": aggregate.aggregators,
            "DescribeConfigurationAggregatorSourcesStatus": aggregate.sources,
            "DescribeAggregateComplianceByConfigRules": aggregate.compliance,
            "DescribeAggregateComplianceByConformancePacks": aggregate.packs,
            "GetAggregateComplianceDetailsByConfigRule": aggregate.details,
            "SelectAggregateResourceConfig": aggregate.select,
            "DescribeConfigRules": local.rules,
            "DescribeConfigRuleEvaluationStatus": local.evaluation_status,
            "DescribeConfigurationRecorders": local.recorders,
            "DescribeConfigurationRecorderStatus": local.recorder_status,
            "DescribeDeliveryChannels": local.channels,
            "DescribeDeliveryChannelStatus": local.channel_status,
            "GetResourceConfigHistory": history.read,
            "DescribeConformancePacks": packs.describe,
            "DescribeConformancePackCompliance": packs.compliance,
        },
    )
