# SPDX-License-Identifier: Apache-2.0
"""The things that hurt on AWS, each with a switch.

Rules enforced here:
- trouble never changes what happened or what Config recorded (a stopped recorder is
  a fact of the world), only how, when and whether a view shows it;
- the default is no trouble at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controlbook.timeline import Instant, Interval

    from .world import RecorderStop

FIRST, MIDDLE, LAST = "first", "middle", "last"
"""Where a listing may hold an empty page."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class SourceTrouble:
    """The aggregator cannot refresh an account × Region in `[start, end)`."""

    account: str
    region: str
    status: str
    """OUTDATED | FAILED"""
    start: Instant
    end: Instant | None = None
    code: str = "INTERNAL_SERVICE_ERROR"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Dropped:
    """The aggregator lost an account; the organization still lists it."""

    account: str
    start: Instant
    end: Instant | None = None


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class DeliveryDelay:
    """History files due in `[start, end)` reach the bucket later by `by` ms."""

    account: str
    start: Instant
    end: Instant
    by: int
    silent: bool = False
    """The delivery status claims success all the same."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class DigestTrouble:
    """Something is wrong with the trail's digests that end in `[start, end)`."""

    account: str
    region: str
    kind: str
    """missing | off | restart | spoilt | unsigned | trailing | backfill | changed-log |
    lost-log | tardy"""
    start: Instant
    end: Instant

    def touches(self, hour: Interval) -> bool:
        """Tell whether the digest of an hour is one of them."""
        return self.start <= hour.end < self.end


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class StaleCheck:
    """Audit Manager goes on showing, in `[start, end)`, the verdict of `start`."""

    account: str
    region: str
    identifier: str
    """Of the rule."""
    resource: str
    """`type/id`"""
    start: Instant
    end: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Which things hurt in this sandbox."""

    throttle_every: int = 0
    """Every n-th JSON call answers ThrottlingException; 0: never."""
    empty_pages: tuple[str, ...] = ()
    """first | middle | last: a page without rows that carries a token."""
    blank_listings: tuple[str, ...] = ()
    """Operations that answer 200 without any row."""
    looped_token: bool = False
    """A page's token leads to the same page again, for ever."""
    repeated_row: bool = False
    """Each page but the first starts with the last row of the one before."""
    expired_tokens: int = 0
    """How many tokens are refused as expired before the rest is accepted."""
    sources: tuple[SourceTrouble, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    recorder_stops: tuple[RecorderStop, ...] = ()
    """Added to the world's own."""
    compliance_not_recorded: tuple[str, ...] = ()
    """Accounts whose recorder excludes AWS::Config::ResourceCompliance."""
    delays: tuple[DeliveryDelay, ...] = ()
    digests: tuple[DigestTrouble, ...] = ()
    stale_checks: tuple[StaleCheck, ...] = ()
    trail_writes_only: bool = False
    """The trail leaves read-only management events out."""
    aggregator_lag: int = 0
    """The aggregator shows the state of this many milliseconds ago."""
    skew: int = 0
    """Added to the Date header of every reply, in milliseconds."""
    denied_accounts: tuple[str, ...] = ()
    """AssumeRole into these accounts is refused."""
    no_support_plan: tuple[str, ...] = ()
    """Accounts whose support plan leaves Trusted Advisor out."""
    report_turns: int = 0
    """How often a credential report is not ready when it is asked for."""
    refused_calls: tuple[str, ...] = ()
    """`service:Operation` that answers AccessDenied, in every account."""
