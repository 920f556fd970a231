# SPDX-License-Identifier: Apache-2.0
"""The `audit-manager` stream: what Audit Manager holds, saved before AWS deletes it.

Rules enforced here:
- it is optional: nothing is due where the settings do not name the stream;
- every page is kept word for word; a folder that was read to its end is not asked for
  again, so that a run that broke off goes on where it stopped; folders that AWS counts
  as empty are never asked for;
- no more than twenty requests a second, over all calls;
- what does not end, or holds less than AWS counted, is no evidence, and says so;
- REVIEWED is AWS's word for a closed assessment: it never becomes a sign-off;
- its verdicts on Config rules are held against our own record; contradictions are
  counted and the first of them noted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controlbook.history import pieces_by_resource
from controlbook.model import OBSERVED, Missing, Observation
from controlbook.timeline import Instant, Interval, from_datetime, iso
from controlbook.vault.packs import pack

from . import Reading, SourceError
from .aws import Connections, Conversation, endpoint_of, restarting, shared
from .looking import Before, Item, Memory, Seen, observation
from .snapshots import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from controlbook.history import Pieces
    from controlbook.model import Ledger, Library, RuleInstance, Standing

    from . import Past, Place, Scope

A_SECOND = 20
"""Requests that AWS allows, over all calls of an account and Region."""
LONGEST = 1000
"""Rows that a page may hold."""
NOTED = 20
"""Contradictions that a run names; it counts all."""
JUDGED = frozenset({"COMPLIANT", "NON_COMPLIANT"})

Row = dict[str, Any]  # as boto3 gives it


class Paced(Conversation):
    """A conversation that keeps to a rate, whatever is asked."""

    def __init__(
        self,
        aws: Connections,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the clock and the pause that the rate is kept with."""
        super().__init__(aws)
        self._clock, self._pause = clock, pause
        self._next = 0.0

    def ask(
        self,
        service: str,
        method: str,
        place: tuple[str, str] = ("", ""),
        **parameters: object,
    ) -> dict[str, Any]:
        """Make one call, not before its turn."""
        wait = self._next - self._clock()
        if wait > 0:
            self._pause(wait)
        self._next = max(self._next, self._clock()) + 1 / A_SECOND
        return super().ask(service, method, place, **parameters)


@dataclass(frozen=True, kw_only=True)
class OurRecord:
    """What our ledger says of resources under Config rules, to compare with."""

    rules: Mapping[str, RuleInstance]
    pieces: Mapping[tuple[str, str], Pieces]
    named: Mapping[tuple[str, str, str], tuple[tuple[str, str], ...]] = field(
        default_factory=dict
    )

    @staticmethod
    def of(ledger: Ledger, opening: Iterable[Standing]) -> OurRecord:
        """Fold the ledger; `opening` is the state after its first run."""
        moves = [move for run in ledger.config for move in run.transitions]
        first = ledger.config[0].window.end if ledger.config else Instant(0)
        pieces = pieces_by_resource(opening, (m for m in moves if m.at >= first))
        rules = {row.key: row for run in ledger.config for row in run.rules}
        named: dict[tuple[str, str, str], tuple[tuple[str, str], ...]] = {}
        for key, resource in pieces:
            if key in rules:
                row, name = rules[key], resource.rpartition("/")[2]
                at = (row.identifier, row.account, name)
                named[at] = (*named.get(at, ()), (key, resource))
        return OurRecord(rules=rules, pieces=pieces, named=named)

    def states(self, identifier: str, account: str, arn: str, at: Instant) -> set[str]:
        """Give the states of a resource under a rule at an instant, by its ARN."""
        name = arn.rpartition(":")[2].rpartition("/")[2]
        return {
            piece.state.value
            for found in self.named.get((identifier, account, name), ())
            for piece in self.pieces[found]
            if piece.start <= at and (piece.end is None or at < piece.end)
        }


@dataclass(slots=True, kw_only=True)
class _Tree:
    """What one assessment of Audit Manager gave, so far."""

    items: list[Item] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, value: object, total: int = 1) -> None:
        """Keep one thing by name and digest, and count it."""
        self.items.append(Item(name=f"{kind}/{name}", sha256=digest(value)))
        self.counts[kind] = self.counts.get(kind, 0) + total


class AuditManager:
    """Saves the assessments of Audit Manager, where there are any."""

    stream = "audit-manager"

    def __init__(
        self,
        library: Library,
        ours: Callable[[], OurRecord],
        aws: Connections | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Compare with `ours`; ask in the settings' own account and Region."""
        self._library = library
        self._ours = ours
        self._aws = aws or shared(library.settings.collector_role)
        self._pause = pause

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Give the time since the last run, once a day; again after a broken one."""
        if self.stream not in self._library.settings.streams:
            return ()
        return past.since_last(now)

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        """Read all assessments once, for the one window there is."""
        for window, _ in windows:
            yield self._reading(window, past, now)

    def _reading(self, window: Interval, past: Past, now: Instant) -> Reading:
        talk = Paced(self._aws, pause=self._pause)
        identity = talk.ask("sts", "get_caller_identity")
        place = (identity["Account"], self._library.settings.region)
        home = ("", self._library.settings.region)
        rows: list[Observation] = []
        lines: list[bytes] = []
        notes: list[str] = []
        try:
            assessments = _listed(talk, home, "list_assessments", "assessmentMetadata")
            delegations = _listed(talk, home, "get_delegations", "delegations")
        except SourceError as error:
            assessments, delegations = [], []
            notes.append(str(error))
        memory = Memory(past)
        for entry in assessments:
            key = f"audit-manager:{entry['id']}"
            own = [d for d in delegations if d.get("assessmentId") == entry["id"]]
            tree = _Tree()
            found: Seen | SourceError
            try:
                self._assessment(talk, entry["id"], own, memory.items(key, place), tree)
                found = _seen(entry, tree)
            except SourceError as error:
                found = error
                notes.append(str(error))
            before = memory.of(key, place)
            row, done = observation(key, place, found, before, talk.answered or now)
            rows.append(row)
            # Of a run that broke off, the folders that were read to their end stand.
            lines += done or _kept(key, place, tree)
            notes += _told(tree)
        failed = not all(row.state == OBSERVED for row in rows) or not rows
        failed = failed and bool(notes)
        return Reading(
            kind="regular",
            window=window,
            aws_date=talk.aws_date or now,
            principal=identity["Arn"],
            endpoint=endpoint_of(self._aws.client("sts")),
            expected=(place,),
            collected=() if failed else (place,),
            missing=(_missing(place, window),) if failed else (),
            pages=talk.pages,
            throttles=talk.throttles,
            complete=not failed,
            queries=talk.queries,
            packs=(
                ("source", pack(set(talk.kept))),
                *([("records", pack(set(lines)))] if lines else []),
            ),
            notes=tuple(dict.fromkeys(notes)),
            observations=tuple(sorted(rows)),
        )

    def _assessment(
        self,
        talk: Conversation,
        id_: str,
        delegations: list[Row],
        known: Mapping[str, Item],
        tree: _Tree,
    ) -> None:
        home = ("", self._library.settings.region)
        whole = talk.ask("auditmanager", "get_assessment", home, assessmentId=id_)
        for group in whole["assessment"]["framework"].get("controlSets", []):
            for control in group.get("controls", []):
                name = f"{group['id']}/{control['name']}"
                tree.add("control", name, control)
                for number, comment in enumerate(control.get("comments", [])):
                    tree.add("comment", f"{name}/{number}", comment)
        for change in _listed(
            talk, home, "get_change_logs", "changeLogs", assessmentId=id_
        ):
            at = iso(from_datetime(change["createdAt"]))
            name = f"{at} {change['action']} {change['objectType']}"
            tree.add("change", f"{name} {digest(change)[:8]}", change)
        for delegation in delegations:
            tree.add("delegation", delegation["id"], delegation)
        folders = _listed(
            talk,
            home,
            "get_evidence_folders_by_assessment",
            "evidenceFolders",
            assessmentId=id_,
        )
        for folder in folders:
            self._folder(talk, folder, known, tree)

    def _folder(
        self, talk: Conversation, folder: Row, known: Mapping[str, Item], tree: _Tree
    ) -> None:
        name = f"folder/{folder['controlName']} {folder['name']} {folder['id'][:8]}"
        home = ("", self._library.settings.region)
        due = folder.get("totalEvidence", 0)
        if not due:
            tree.counts["empty folders"] = tree.counts.get("empty folders", 0) + 1
            return
        old = known.get(name)
        counted = (("evidence", str(due)),)
        if old is not None and old.fields == counted:
            tree.items.append(old)
        else:
            rows = _listed(
                talk,
                home,
                "get_evidence_by_evidence_folder",
                "evidence",
                assessmentId=folder["assessmentId"],
                controlSetId=folder["controlSetId"],
                evidenceFolderId=folder["id"],
            )
            if len({row["id"] for row in rows}) < due:
                message = f"a folder counts {due} pieces of evidence, {len(rows)} came"
                raise SourceError(
                    message, f"auditmanager:{folder['id']}", answer="PartialAnswer"
                )
            self._compare(rows, tree)
            item = Item(name=name, sha256=digest(rows), fields=counted)
            tree.items.append(item)
        for kind, number in (("folder", 1), ("evidence", due)):
            tree.counts[kind] = tree.counts.get(kind, 0) + number

    def _compare(self, rows: list[Row], tree: _Tree) -> None:
        """Hold verdicts that Audit Manager took from Config against our record."""
        for row in rows:
            if "config" not in str(row.get("dataSource", "")).lower():
                continue
            attributes = row.get("attributes", {})
            rule = attributes.get("managedRuleIdentifier") or row.get("eventName", "")
            at = from_datetime(row["time"])
            for included in row.get("resourcesIncluded", []):
                theirs = included.get("complianceCheck", row.get("complianceCheck"))
                arn = str(included.get("arn", ""))
                account = str(row.get("evidenceAwsAccountId", ""))
                ours = self._ours().states(rule, account, arn, at) & JUDGED
                if theirs in JUDGED and ours and theirs not in ours:
                    tree.conflicts.append(
                        f"Audit Manager says {theirs} of {arn} under {rule} at"
                        f" {iso(at)}, our record says {' and '.join(sorted(ours))}"
                    )


def _listed(
    talk: Conversation,
    home: Place,
    method: str,
    rows: str,
    **parameters: str,
) -> list[Row]:
    """Read a listing to its end; Audit Manager has no paginator."""

    def read() -> list[Row]:
        pages = talk.pages_of(
            "auditmanager",
            method,
            home,
            tokens=("nextToken", "nextToken"),
            maxResults=LONGEST,
            **parameters,
        )
        return [row for page in pages for row in page[rows]]

    return restarting(read)


def _seen(entry: Row, tree: _Tree) -> Seen:
    counts = {**tree.counts, "contradictions": len(tree.conflicts)}
    return Seen(
        items=tuple(tree.items),
        result=str(entry.get("status", "")),
        counts=tuple(sorted(counts.items())),
    )


def _kept(key: str, place: Place, tree: _Tree) -> list[bytes]:
    folders = tuple(item for item in tree.items if item.name.startswith("folder/"))
    seen, now = Seen(items=folders), Instant(0)
    return observation(key, place, seen, Before(), now)[1]


def _told(tree: _Tree) -> list[str]:
    found = tree.conflicts
    if not found:
        return []
    head = f"showing {min(NOTED, len(found))} of {len(found)} contradictions"
    return [head, *found[:NOTED]]


def _missing(place: Place, window: Interval) -> Missing:
    account, region = place
    return Missing(
        account=account, region=region, reason="source-failed", interval=window
    )
