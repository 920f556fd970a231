# SPDX-License-Identifier: Apache-2.0
"""Configuration items in AWS's two dialects: delivery files and the API.

Rules enforced here:
- one record gives both dialects, so the same item cannot differ between them;
- the file dialect has awsAccountId, configuration as an object, a numeric state id and
  ISO times; the API has accountId, configuration as a JSON string, a textual state id
  and epoch times (aws.md section 3);
- a deleted resource's item has no configuration: null in a file, absent in the API.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from controlbook.timeline import SECOND, Instant, to_datetime

from .recording import DELETED, DISCOVERED

if TYPE_CHECKING:
    from .recording import Record
    from .world import Resource

COMPLIANCE = "AWS::Config::ResourceCompliance"
ACCOUNT = "AWS::::Account"
VERSION = "1.3"

Item = dict[str, Any]  # JSON as AWS shapes it


def iso_millis(moment: Instant) -> str:
    """Write an instant as Config's files do, always with three decimals."""
    seconds, millis = divmod(moment, SECOND)
    whole = to_datetime(Instant(seconds * SECOND))
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def compact(value: object) -> str:
    """Write JSON as AWS does: no white space."""
    return json.dumps(value, separators=(",", ":"))


def configuration(record: Record) -> Item:
    """Give the `configuration` of a ResourceCompliance item."""
    return {
        "complianceType": record.compliance,
        "targetResourceId": record.target_id,
        "targetResourceType": record.target_type,
        "configRuleList": [
            {
                "configRuleArn": entry.rule.arn,
                "configRuleId": entry.rule.id,
                "configRuleName": entry.rule.name,
                "complianceType": entry.state,
            }
            for entry in record.entries
        ],
    }


def file_item(record: Record) -> Item:
    """Give a ResourceCompliance item as it stands in a delivery file."""
    gone = record.status == DELETED
    return {
        "relatedEvents": [],
        "relationships": _relationships(record),
        "configuration": None if gone else configuration(record),
        "supplementaryConfiguration": {},
        "tags": {},
        "configurationItemVersion": VERSION,
        "configurationItemCaptureTime": iso_millis(record.at),
        "configurationStateId": int(record.at),
        "awsAccountId": record.account,
        "configurationItemStatus": record.status,
        "resourceType": COMPLIANCE,
        "resourceId": record.resource,
        "awsRegion": record.region,
        "configurationStateMd5Hash": "",
    }


def api_item(item: Item) -> Item:
    """Turn an item from the file dialect into what GetResourceConfigHistory returns."""
    found = {
        "version": item["configurationItemVersion"],
        "accountId": item["awsAccountId"],
        "configurationItemCaptureTime": to_datetime(item["configurationStateId"]),
        "configurationItemStatus": item["configurationItemStatus"],
        "configurationStateId": str(item["configurationStateId"]),
        "configurationItemMD5Hash": item["configurationStateMd5Hash"],
        "resourceType": item["resourceType"],
        "resourceId": item["resourceId"],
        "awsRegion": item["awsRegion"],
        "tags": item["tags"],
        "relatedEvents": item["relatedEvents"],
        "relationships": [
            {
                "resourceType": each["resourceType"],
                "resourceId": each["resourceId"],
                "relationshipName": each["name"],
            }
            for each in item["relationships"]
        ],
        "supplementaryConfiguration": item["supplementaryConfiguration"],
    }
    if item["configuration"] is not None:
        found["configuration"] = compact(item["configuration"])
    return found


def _relationships(record: Record) -> list[Item]:
    # The API's enumeration of resource types has no AWS::::Account.
    if record.target_type == ACCOUNT or record.status == DELETED:
        return []
    return [
        {
            "resourceType": record.target_type,
            "resourceId": record.target_id,
            "name": "Is associated with ",
        }
    ]


def resource_file_item(resource: Resource, at: Instant) -> Item:
    """Give the item of a resource itself, at its creation or its deletion."""
    gone = resource.deleted == at
    return {
        "relatedEvents": [],
        "relationships": [],
        "configuration": None if gone else {},
        "supplementaryConfiguration": {},
        "tags": {},
        "configurationItemVersion": VERSION,
        "configurationItemCaptureTime": iso_millis(at),
        "configurationStateId": int(at),
        "awsAccountId": resource.account,
        "configurationItemStatus": DELETED if gone else DISCOVERED,
        "resourceType": resource.type,
        "resourceId": resource.id,
        "awsRegion": resource.region,
        "configurationStateMd5Hash": "",
    }
