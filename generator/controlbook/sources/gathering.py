# SPDX-License-Identifier: Apache-2.0
"""Everything one collection of the `config` stream asks.

Rules enforced here:
- what is expected comes from the assessments' scope, joined with Organizations, never
  from the aggregator's own list: it forgets what it lost;
- each place that could not be read is kept with its reason;
- nothing here judges: the answers are put side by side.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from controlbook.digest import canonical, digest_of
from controlbook.model import Missing, State
from controlbook.timeline import Instant, Interval, from_datetime
from controlbook.vault.packs import pack

from . import SourceError
from .aws import restarting
from .crew import batches, processes
from .items import TYPE, Item, in_order, item_of
from .places import Errand, Found, demand_access
from .resource_history import items_before, items_within
from .survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from controlbook.errors import ControlbookError
    from controlbook.model import Settings
    from controlbook.vault.packs import Pack

    from . import Place
    from .aws import Conversation
    from .book import Book
    from .crew import Batch
    from .delivery import Bucket
    from .places import Answer, Asked, Known

SELECT = (
    "SELECT accountId, awsRegion, resourceId, resourceType, configurationStateId,"
    " configurationItemCaptureTime, configurationItemStatus,"
    " configuration.configRuleList"
    f" WHERE resourceType = '{TYPE}'"
)


HELD = 8 * 1024 * 1024
"""So many bytes of pages are held before they are packed, and packing holds as many
again."""
BAD = State.NON_COMPLIANT.value
Told = tuple[str, str, int, str]
"""(rule as deployed, compliance, resources that cause it, whether there are more)"""
AllTold = dict["Place", list[Told]]
Bad = dict["Place", dict[str, int]]
CAPPED = -1
OPEN = frozenset({State.NON_COMPLIANT, State.INSUFFICIENT_DATA})
"""States whose true start matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What the aggregator says of one source, an account × Region."""

    status: str
    updated: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributor:
    """A resource that the aggregator shows as NON_COMPLIANT now."""

    place: Place
    rule: str
    """As deployed."""
    resource: str
    recorded: Instant


@dataclass(kw_only=True)
class Gathering:
    """The answers of one collection."""

    talk: Conversation
    settings: Settings
    bucket: Bucket | None
    principal: str = ""
    members: frozenset[str] | None = None
    """ACTIVE accounts of the organization; None: the list could not be read."""
    joined: Mapping[str, Instant] = field(default_factory=dict)
    """When accounts came into the organization: before, nobody collected them."""
    organizations_sha256: str = ""
    sources: Mapping[Place, Freshness] | None = None
    found: dict[Place, Found] = field(default_factory=dict)
    failures: dict[Place, str] = field(default_factory=dict)
    records: list[bytes] = field(default_factory=list)
    """What the aggregator says now, as lines of the record pack."""
    bad: dict[Place, dict[str, int]] = field(default_factory=dict)
    """How many resources the aggregator shows as NON_COMPLIANT now, by the rule's name
    as deployed; CAPPED where it stopped counting."""
    judged: frozenset[Place] = frozenset()
    """Where the aggregator shows some resource to be COMPLIANT or NON_COMPLIANT now."""
    pages: list[Pack] = field(default_factory=list)
    """Pages that were put away, so that they need not be held."""
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    watch: Callable[[int, int], None] = lambda _done, _of: None
    """Told of how many places were read, of how many."""

    def put_away(self) -> None:
        """Pack the pages that were kept, where they are many."""
        kept = self.talk.take_kept(HELD)
        if kept:
            self.pages.append(pack(set(kept)))

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

    def before_joining(self, place: Place, window: Interval) -> bool:
        """Tell whether an account joined the organization after a window only."""
        return self.joined.get(place[0], window.start) >= window.end

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
        if fresh is None or self.before_joining(place, window):
            return (row("account-missing"),)
        rows = self.found[place].survey.missing(
            window, by_delivery=self.bucket is not None
        )
        joined = self.joined.get(account, window.start)
        if joined > window.start:
            rows = (*rows, row("account-missing", Interval(window.start, joined)))
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
    known: Callable[[Place], Known | None],
    book: Book,
) -> Generator[Place]:
    """Ask everything that the windows of a span need, and say which place was read.

    Places come in their order. What the aggregator says is there after the last.
    `known` tells of a place that the last run collected, `book` holds the states.
    Raises SourceError only where AWS cannot be talked to at all.
    """
    identity = gathering.talk.ask("sts", "get_caller_identity")
    gathering.principal = identity["Arn"]
    _organizations(gathering)
    _sources(gathering)
    asked = [place for place in places if _is_there(gathering, place)]
    pairs = ((place, known(place)) for place in asked)
    own, role = identity["Account"], gathering.talk.aws.role
    if not gathering.bucket:
        asking = _Asking(gathering, span, book, own, role)
        yield from _taken(gathering, map(asking.answer, pairs), len(asked))
        _compare(gathering, lambda: _compliance(gathering))
        return
    errand = Errand(bucket=gathering.bucket, span=span, own=own, role=role)
    size = processes(len(asked))
    if not size:
        with closing(errand.run(gathering.talk, pairs)) as answers:
            yield from _taken(gathering, answers, len(asked))
        _compare(gathering, lambda: _compliance(gathering))
        return
    # What the aggregator says is read meanwhile.
    beside = ThreadPoolExecutor(1)
    try:
        compliance = beside.submit(_compliance, gathering)
        with closing(batches(errand, pairs, size)) as read:
            yield from _taken(gathering, _accounted(gathering, read), len(asked))
        _compare(gathering, compliance.result)
    except BaseException:
        gathering.talk.end()
        raise
    finally:
        beside.shutdown(wait=False, cancel_futures=True)


def _is_there(gathering: Gathering, place: Place) -> bool:
    """Tell whether a place is there to be asked."""
    lost = gathering.members is not None and place[0] not in gathering.members
    return not lost and gathering.sources is not None and place in gathering.sources


def _accounted(gathering: Gathering, read: Iterable[Batch]) -> Iterator[Answer]:
    """Give the answers of other processes, and account for how they were had."""
    for batch in read:
        gathering.talk.add(batch.told)
        gathering.pages.append(batch.pages)
        yield from batch.answers


def _taken(gathering: Gathering, answers: Iterable[Answer], of: int) -> Iterator[Place]:
    for done, (place, found) in enumerate(answers, 1):
        if isinstance(found, SourceError):
            gathering.failures[place] = str(found)
            gathering.fail(found)
        else:
            gathering.found[place] = found
            gathering.notes += found.notes
            gathering.complete = gathering.complete and not found.contradictory
        gathering.put_away()
        gathering.watch(done, of)
        yield place


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
    gathering.joined = {
        row["Id"]: from_datetime(row["JoinedTimestamp"])
        for row in rows
        if "JoinedTimestamp" in row
    }
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


@dataclass(frozen=True, slots=True)
class _Asking:
    """Without delivery files: the history of every resource that moved."""

    gathering: Gathering
    span: Interval
    book: Book
    own: str
    role: str

    def answer(self, asked: Asked) -> Answer:
        """Read one place."""
        place, known = asked
        try:
            demand_access(place, self.own, self.role)
            return place, self._read(place, known)
        except SourceError as error:
            return place, error

    def _read(self, place: Place, known: Known | None) -> Found:
        """Ask for each resource that is newer than the span's start, or gone."""
        talk = self.gathering.talk
        surveyed = survey(talk, place, known.survey if known else None)
        current = self.gathering.current.get(place, {})
        moved = {name for name, item in current.items() if item.at >= self.span.start}
        before: set[str] = set()
        if known:
            before = {row[1] for row in self.book.pick([place])[place].rows}
        found: list[Item] = []
        for resource in sorted(moved | (before - current.keys())):
            found += items_within(talk, place, resource, self.span)
        items, _ = in_order(found)
        notes = [*surveyed.twins()]
        return Found(survey=surveyed, files=(), items=items, notes=notes)


def _compliance(gathering: Gathering) -> tuple[AllTold, Bad]:
    """Ask the aggregator for every rule's state."""

    def read() -> tuple[AllTold, Bad]:
        told: AllTold = {}
        bad: Bad = {}
        same: dict[Told, Told] = {}
        for page in gathering.talk.pages_of(
            "config",
            "describe_aggregate_compliance_by_config_rules",
            ("", gathering.settings.region),
            tokens=("NextToken", "NextToken"),
            ConfigurationAggregatorName=gathering.settings.aggregator,
            Limit=1000,
        ):
            for row in page["AggregateComplianceByConfigRules"]:
                place = (row["AccountId"], row["AwsRegion"])
                line = _told(row)
                line = same.setdefault(line, line)
                told.setdefault(place, []).append(line)
                if line[1] == BAD:
                    count = CAPPED if line[3] == "yes" else line[2]
                    bad.setdefault(place, {})[line[0]] = count
            gathering.put_away()
        return told, bad

    return restarting(read)


def _compare(
    gathering: Gathering, compliance: Callable[[], tuple[AllTold, Bad]]
) -> None:
    """Put what the aggregator says beside the places that were read."""
    try:
        told, gathering.bad = compliance()
    except SourceError as error:
        gathering.fail(error)
        return
    gathering.judged = frozenset(
        place
        for place, rows in told.items()
        if any(line[1] in {State.COMPLIANT.value, BAD} for line in rows)
    )
    gathering.records = [
        _told_line(place, rows)
        for place, rows in told.items()
        if place in gathering.found
    ]


def _told(row: Mapping[str, Any]) -> Told:
    compliance = row["Compliance"]
    count = compliance.get("ComplianceContributorCount", {})
    return (
        row["ConfigRuleName"],
        compliance["ComplianceType"],
        count.get("CappedCount", 0),
        "yes" if count.get("CapExceeded") else "no",
    )


def _told_line(place: Place, rows: list[Told]) -> bytes:
    """Give the record of what the aggregator says of a place's rules."""
    account, region = place
    return canonical(
        {
            "type": "rule-compliance",
            "account": account,
            "region": region,
            "rules": sorted(rows),
        }
    )


def contributors(
    gathering: Gathering, place: Place, rule: str
) -> tuple[Contributor, ...]:
    """Ask which resources the aggregator shows as NON_COMPLIANT under a rule."""
    account, region = place
    try:
        rows = gathering.talk.listing(
            "config",
            "get_aggregate_compliance_details_by_config_rule",
            "AggregateEvaluationResults",
            ("", gathering.settings.region),
            ConfigurationAggregatorName=gathering.settings.aggregator,
            ConfigRuleName=rule,
            AccountId=account,
            AwsRegion=region,
            ComplianceType="NON_COMPLIANT",
            Limit=100,
        )
    except SourceError as error:
        gathering.fail(error)
        return ()
    gathering.put_away()
    return tuple(map(_contributor, rows))


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
