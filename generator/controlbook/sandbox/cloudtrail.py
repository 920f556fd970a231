# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's API: the trail, its status and selectors, public keys, LookupEvents.

Rules enforced here:
- LookupEvents: one attribute, 50 a page, 90 days, one account and Region, StartTime and
  EndTime inclusive; rows run backwards in time, as AWS gives them;
- ListPublicKeys speaks of the Region that is asked, and of its keys only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.timeline import DAY, Instant, from_datetime, to_datetime

from .items import compact
from .protocol import Service, ServiceError
from .trails import TRAIL, public_key, record_of

if TYPE_CHECKING:
    from .paging import Pager
    from .protocol import Caller, Params
    from .trails import Trail
    from .trouble import Trouble

LOOKBACK = 90 * DAY
PAGE = 50


def service(trail: Trail, trouble: Trouble, pager: Pager) -> Service:
    """Put the emulated operations of CloudTrail together."""
    api = _CloudTrail(trail, trouble, pager)
    return Service(
        "cloudtrail",
        {
            "DescribeTrails": api.trails,
            "GetTrailStatus": api.status,
            "GetEventSelectors": api.selectors,
            "ListPublicKeys": api.keys,
            "LookupEvents": api.events,
        },
    )


class _CloudTrail:
    def __init__(self, trail: Trail, trouble: Trouble, pager: Pager) -> None:
        self._trail = trail
        self._world = trail.world
        self._trouble = trouble
        self._page = pager.page

    @property
    def _arn(self) -> str:
        place = f"arn:aws:cloudtrail:{self._world.home_region}:{self._world.home}"
        return f"{place}:trail/{TRAIL}"

    def trails(self, _caller: Caller, params: Params) -> Params:
        wanted = params.get("trailNameList") or [TRAIL]
        if not self._trail.name or not {TRAIL, self._arn} & set(wanted):
            return {"trailList": []}
        return {
            "trailList": [
                {
                    "Name": TRAIL,
                    "S3BucketName": self._trail.name,
                    "IncludeGlobalServiceEvents": True,
                    "IsMultiRegionTrail": True,
                    "HomeRegion": self._world.home_region,
                    "TrailARN": self._arn,
                    "LogFileValidationEnabled": True,
                    "HasCustomEventSelectors": bool(self._trouble.trail_writes_only),
                    "HasInsightSelectors": False,
                    "IsOrganizationTrail": True,
                }
            ]
        }

    def _demand(self, name: str) -> None:
        if not self._trail.name or name not in {TRAIL, self._arn}:
            message = f"Unknown trail: {name}"
            raise ServiceError(code="TrailNotFoundException", message=message)

    def status(self, caller: Caller, params: Params) -> Params:
        self._demand(params["Name"])
        started = self._world.trail_since
        return {
            "IsLogging": started <= caller.now,
            "StartLoggingTime": to_datetime(started),
            "LatestDigestDeliveryTime": to_datetime(caller.now),
        }

    def selectors(self, _caller: Caller, params: Params) -> Params:
        self._demand(params["TrailName"])
        kind = "WriteOnly" if self._trouble.trail_writes_only else "All"
        return {
            "TrailARN": self._arn,
            "EventSelectors": [
                {
                    "ReadWriteType": kind,
                    "IncludeManagementEvents": True,
                    "DataResources": [],
                    "ExcludeManagementEventSources": [],
                }
            ],
        }

    def keys(self, caller: Caller, params: Params) -> Params:
        key = public_key(caller.region)
        start = params.get("StartTime") or to_datetime(caller.now)
        end = params.get("EndTime") or to_datetime(caller.now)
        if start > end:
            message = "StartTime lies after EndTime"
            raise ServiceError(code="InvalidTimeRangeException", message=message)
        row = {
            "Value": key.value,
            "Fingerprint": key.fingerprint,
            "ValidityStartTime": to_datetime(self._world.trail_since),
            "ValidityEndTime": to_datetime(Instant(caller.now + 365 * DAY)),
        }
        try:
            page, token = self._page("ListPublicKeys", params, [row], 10)
        except ServiceError as error:  # this operation names a bad token otherwise
            raise ServiceError(
                code="InvalidTokenException", message=error.message
            ) from error
        return {"PublicKeyList": page, **token}

    def events(self, caller: Caller, params: Params) -> Params:
        earliest = caller.now - LOOKBACK
        start = max(
            from_datetime(params["StartTime"]) if params.get("StartTime") else earliest,
            earliest,
        )
        end = from_datetime(params["EndTime"]) if params.get("EndTime") else caller.now
        if start > end:
            message = "StartTime lies after EndTime"
            raise ServiceError(code="InvalidTimeRangeException", message=message)
        attributes = {
            row["AttributeKey"]: row["AttributeValue"]
            for row in params.get("LookupAttributes", ())
        }
        rows = [
            {
                "EventId": event.id,
                "EventName": event.name,
                "EventSource": event.source,
                "EventTime": to_datetime(event.at),
                "ReadOnly": "false",
                "Username": event.actor,
                "CloudTrailEvent": compact(record_of(event)),
            }
            for event in sorted(self._trail.events, reverse=True)
            if (event.account, event.region) == (caller.account, caller.region)
            and start <= event.at <= min(end, caller.now)
            and attributes.get("EventName", event.name) == event.name
            and attributes.get("EventSource", event.source) == event.source
        ]
        size = params.get("MaxResults") or PAGE
        page, token = self._page("LookupEvents", params, rows, size)
        return {"Events": page, **token}
