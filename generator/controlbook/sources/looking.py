# SPDX-License-Identifier: Apache-2.0
"""Streams that look at something now and then: what is due, asked, and compared.

Rules enforced here:
- what is looked at follows from the controls in scope, at every account × Region of the
  scope; a service without Regions is asked once for each account;
- everything due has a row: an answer, or the reason for its absence; an answer that did
  not come to its end is none;
- one look a UTC day, again only where the last one was incomplete; time that was
  skipped is not made up for, since nobody can look at the past;
- each answer is compared with the last one of the same place: what was added, changed
  or removed, by name and never by value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from controlbook.digest import (
    NotCanonicalError,
    canonical,
    merkle_root,
    parse_canonical,
)
from controlbook.model import GLOBAL, OBSERVED, Failing, Missing, Observation
from controlbook.observations import SHOWN
from controlbook.timeline import DAY, Instant, Interval, instant, iso
from controlbook.vault.packs import pack

from . import Past, Place, Reading, Scope, SourceError
from .aws import Connections, Conversation, endpoint_of, shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controlbook.model import EvidenceSource, Library, Run

MAX_NAME = 200
"""Characters of a change's name that a manifest shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing of an answer: its name, and digests of what is said of it."""

    name: str
    sha256: str
    fields: tuple[tuple[str, str], ...] = ()
    """(field, digest), sorted."""
    status: str = ""
    since: str = ""
    """Since when it fails, where it does and that is known."""
    precision: str = ""
    workflow: str = ""
    said: tuple[tuple[str, str], ...] = ()
    """What pages may show of it, by name; kept in the vault alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An answer that came to its end."""

    items: tuple[Item, ...] = ()
    result: str = ""
    counts: tuple[tuple[str, int], ...] = ()
    state: str = OBSERVED
    """Or the reason for which the answer is no evidence."""
    moves: tuple[tuple[Instant, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the ledger knows of one evidence key in one place."""

    last: Observation | None = None
    items: Mapping[str, Item] = field(default_factory=dict)


class Look(Protocol):
    """What one stream asks; how, and what it makes of the answers."""

    stream: str

    def wanted(self, evidence: EvidenceSource) -> bool:
        """Tell whether this kind of evidence belongs to the stream."""

    def regional(self, evidence: EvidenceSource) -> bool:
        """Tell whether it is asked in every Region, or once for an account."""

    def ask(
        self,
        talk: Conversation,
        place: Place,
        due: Mapping[str, EvidenceSource],
        before: Mapping[str, Before],
    ) -> Mapping[str, Seen | SourceError]:
        """Ask one place for everything due there, by evidence key."""


class Looking:
    """The source of a stream that looks now and then."""

    def __init__(
        self, look: Look, library: Library, aws: Connections | None = None
    ) -> None:
        """Look at what the library's controls name."""
        self.stream = look.stream
        self._look = look
        self._library = library
        self._aws = aws or shared(library.settings.collector_role)

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Give the time since the last look, unless that was complete, and today."""
        if not any(
            self._look.wanted(evidence)
            for control in self._library.controls.values()
            for evidence in control.evidence
        ):
            return ()
        return past.since_last(now)

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        """Look once, for the one window there is."""
        for window, scope in windows:
            yield self._reading(window, scope, past, now)

    def _reading(
        self, window: Interval, scope: Scope, past: Past, now: Instant
    ) -> Reading:
        talk = Conversation(self._aws)
        identity = talk.ask("sts", "get_caller_identity")
        before = Memory(past)
        rows: list[Observation] = []
        lines: list[bytes] = []
        notes: list[str] = []
        for place, due in sorted(self._due(scope).items()):
            known = {key: before.of(key, place) for key in due}
            found = self._ask(talk, place, due, known, identity["Account"])
            for key in sorted(due):
                at = talk.answered or now
                row, own = observation(key, place, found[key], known[key], at)
                rows.append(row)
                lines += own
                if isinstance(found[key], SourceError):
                    notes.append(str(found[key]))
        failed = sorted({(r.account, r.region) for r in rows if r.state != OBSERVED})
        places = sorted({(r.account, r.region) for r in rows})
        return Reading(
            kind="regular",
            window=window,
            aws_date=talk.aws_date or now,
            principal=identity["Arn"],
            endpoint=endpoint_of(self._aws.client("sts")),
            expected=tuple(places),
            collected=tuple(p for p in places if p not in failed),
            missing=tuple(
                _missing(place, rows, window) for place in places if place in failed
            ),
            pages=talk.pages,
            throttles=talk.throttles,
            complete=not notes,
            queries=talk.queries,
            packs=(
                ("source", pack(set(talk.kept))),
                *([("records", pack(set(lines)))] if lines else []),
            ),
            notes=tuple(dict.fromkeys(notes)),
            observations=tuple(sorted(rows)),
        )

    def _due(self, scope: Scope) -> dict[Place, dict[str, EvidenceSource]]:
        """Give what each place is asked for: what the scope's requirements rest on."""
        found: dict[Place, dict[str, EvidenceSource]] = {}
        for assessment in scope.assessments:
            table = self._library.frameworks[assessment.framework].requirements
            controls = {n for r in assessment.requirements for n in table[r].controls}
            for name in sorted(controls):
                for evidence in self._library.controls[name].evidence:
                    if not self._look.wanted(evidence):
                        continue
                    regions = (
                        assessment.regions
                        if self._look.regional(evidence)
                        else (GLOBAL,)
                    )
                    for _, account in assessment.accounts:
                        for region in regions:
                            own = found.setdefault((account, region), {})
                            own[evidence.key] = evidence
        return found

    def _ask(
        self,
        talk: Conversation,
        place: Place,
        due: Mapping[str, EvidenceSource],
        known: Mapping[str, Before],
        own: str,
    ) -> Mapping[str, Seen | SourceError]:
        account, region = place
        if account != own and not talk.aws.role:
            message = "no role to read this account with"
            advice = "set collector-role in [tool.controlbook]"
            return dict.fromkeys(due, SourceError(message, account, advice))
        asked = (account, home(self._library.settings.region))
        return self._look.ask(talk, asked if region == GLOBAL else place, due, known)


def home(region: str) -> str:
    """Give the Region in which a partition's services without Regions answer."""
    for start, found in (("cn-", "cn-north-1"), ("us-gov-", "us-gov-west-1")):
        if region.startswith(start):
            return found
    return "us-east-1"


def _missing(place: Place, rows: Iterable[Observation], window: Interval) -> Missing:
    reasons = sorted(
        row.state
        for row in rows
        if (row.account, row.region) == place and row.state != OBSERVED
    )
    # What fails to answer weighs more than what answers that it knows nothing.
    reason = "source-failed" if "source-failed" in reasons else reasons[0]
    return Missing(account=place[0], region=place[1], reason=reason, interval=window)


def _day(moment: Instant) -> Instant:
    return Instant(moment - moment % DAY)


# --- one observation -----------------------------------------------------------------


def observation(
    key: str, place: Place, seen: Seen | SourceError, before: Before, at: Instant
) -> tuple[Observation, list[bytes]]:
    """Make the row and the records of what one place answered."""
    account, region = place
    covers = Interval(_day(at), Instant(_day(at) + DAY))
    if isinstance(seen, SourceError) or seen.state != OBSERVED:
        row = Observation(
            evidence=key,
            account=account,
            region=region,
            covers=covers,
            at=at,
            state="source-failed" if isinstance(seen, SourceError) else seen.state,
            result=seen.answer if isinstance(seen, SourceError) else seen.result,
        )
        return row, []
    lines = sorted(_line(key, place, item) for item in seen.items)
    changes, shown = compared(before.items, seen.items) if before.last else ((), ())
    return (
        Observation(
            evidence=key,
            account=account,
            region=region,
            covers=covers,
            at=at,
            result=seen.result,
            records=len(lines),
            records_root=merkle_root(lines),
            counts=seen.counts,
            changes=changes,
            shown=shown,
            previous=iso(before.last.at) if before.last else "",
            moves=seen.moves,
            failing=_failing(seen.items),
        ),
        lines,
    )


def _failing(items: Iterable[Item]) -> tuple[Failing, ...]:
    found = sorted(
        Failing(
            item=item.name[:MAX_NAME],
            since=instant(item.since),
            precision=item.precision,
            workflow=item.workflow,
        )
        for item in items
        if item.since
    )
    return tuple(found[:SHOWN])


def compared(
    before: Mapping[str, Item], now: Iterable[Item]
) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...]]:
    """Say what differs: numbers of all, and the first of them by name."""
    after = {item.name: item for item in now}
    found: list[tuple[str, str]] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None:
            found.append(("added", name))
        elif new is None:
            found.append(("removed", name))
        elif old.sha256 != new.sha256:
            was, fields = dict(old.fields), dict(new.fields)
            which = [f for f in sorted({*was, *fields}) if was.get(f) != fields.get(f)]
            found.append(("changed", f"{name}: {', '.join(which)}" if which else name))
    counts: dict[str, int] = {}
    for kind, _ in found:
        counts[kind] = counts.get(kind, 0) + 1
    shown = tuple(f"{kind} {name}"[:MAX_NAME] for kind, name in found[:SHOWN])
    return tuple(sorted(counts.items())), shown


def _line(key: str, place: Place, item: Item) -> bytes:
    record = {
        "type": "observed-item",
        "evidence": key,
        "account": place[0],
        "region": place[1],
        "item": item.name,
        "sha256": item.sha256,
        "fields": dict(item.fields),
        "status": item.status,
        "since": item.since,
        "precision": item.precision,
        "workflow": item.workflow,
        "said": dict(item.said),
    }
    return canonical({k: v for k, v in record.items() if v not in ("", {})})


class Memory:
    """The last answers of each place, read from the record packs when asked for."""

    def __init__(self, past: Past) -> None:
        """Read from the runs of one stream."""
        self._past = past
        self._packs: dict[int, dict[tuple[str, str, str], dict[str, Item]]] = {}

    def of(self, key: str, place: Place) -> Before:
        """Give the last answer of a place to one evidence key."""
        for run in reversed(self._past.runs):
            for row in run.observations:
                same = (row.evidence, row.account, row.region) == (key, *place)
                if same and row.state == OBSERVED:
                    items = self._items(run).get((key, *place), {})
                    return Before(last=row, items=items)
        return Before()

    def items(self, key: str, place: Place) -> Mapping[str, Item]:
        """Give what the last run kept of one key, even if it broke off."""
        last = self._past.last
        return self._items(last).get((key, *place), {}) if last else {}

    def _items(self, run: Run) -> dict[tuple[str, str, str], dict[str, Item]]:
        if run.seq not in self._packs:
            found: dict[tuple[str, str, str], dict[str, Item]] = {}
            for line in self._past.records(run):
                place, item = _read(line)
                found.setdefault(place, {})[item.name] = item
            self._packs[run.seq] = found
        return self._packs[run.seq]


def _read(line: bytes) -> tuple[tuple[str, str, str], Item]:
    try:
        tree: Any = parse_canonical(line)  # its shape is what the except is for
        fields = tree.get("fields", {})
        item = Item(
            name=str(tree["item"]),
            sha256=str(tree["sha256"]),
            fields=tuple(sorted((name, str(value)) for name, value in fields.items())),
            status=str(tree.get("status", "")),
            since=str(tree.get("since", "")),
            precision=str(tree.get("precision", "")),
            workflow=str(tree.get("workflow", "")),
            said=tuple(sorted((k, str(v)) for k, v in tree.get("said", {}).items())),
        )
        place = (str(tree["evidence"]), str(tree["account"]), str(tree["region"]))
    except (NotCanonicalError, KeyError, TypeError, AttributeError) as error:
        message = "a record of the run before cannot be read"
        raise SourceError(message, advice="restore the vault") from error
    return place, item
