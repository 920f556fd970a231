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
- its verdicts on Config rules are held against our own record, and each contradiction
  is written down; a folder that is ahead of our record is read again when that has
  caught up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from controlbook.crosscheck import PREFIX
from controlbook.model import OBSERVED, Contradiction, Missing, Observation
from controlbook.timeline import Instant, Interval
from controlbook.vault.packs import pack

from . import Reading, SourceError
from .audit_tree import (
    SAID,
    Row,
    Tree,
    add_assessment,
    folder_item,
    folder_name,
    stands,
    time_of,
)
from .aws import Connections, Conversation, endpoint_of, restarting, shared
from .looking import Before, Memory, Seen, observation
from .snapshots import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from controlbook.crosscheck import OurRecord
    from controlbook.model import Library

    from . import Past, Place, Scope
    from .looking import Item

A_SECOND = 20
"""Requests that AWS allows, over all calls of an account and Region."""
LONGEST = 1000
"""Rows that a page may hold."""


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
        contradictions: list[Contradiction] = []
        for entry in assessments:
            key = f"{PREFIX}{entry['id']}"
            own = [d for d in delegations if d.get("assessmentId") == entry["id"]]
            tree = Tree(key=key)
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
            contradictions += tree.contradictions
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
            contradictions=tuple(sorted(set(contradictions))),
        )

    def _assessment(
        self,
        talk: Conversation,
        id_: str,
        delegations: list[Row],
        known: Mapping[str, Item],
        tree: Tree,
    ) -> None:
        home = ("", self._library.settings.region)
        whole = talk.ask("auditmanager", "get_assessment", home, assessmentId=id_)
        add_assessment(tree, whole["assessment"])
        for change in _listed(
            talk, home, "get_change_logs", "changeLogs", assessmentId=id_
        ):
            at = time_of(change, "createdAt")
            tree.add(
                "change",
                f"{at} {change['action']} {change['objectType']} {digest(change)[:8]}",
                change,
                at=at,
                by=change.get("createdBy"),
                action=change["action"],
                object=change["objectType"],
                name=change.get("objectName"),
            )
        for delegation in delegations:
            tree.add(
                "delegation",
                delegation["id"],
                delegation,
                at=time_of(delegation, "creationTime"),
                to=delegation.get("roleArn"),
                set=delegation.get("controlSetName"),
                status=delegation.get("status"),
                text=delegation.get("comment"),
            )
        folders = _listed(
            talk,
            home,
            "get_evidence_folders_by_assessment",
            "evidenceFolders",
            assessmentId=id_,
        )
        for folder in folders:
            old = known.get(folder_name(folder))
            if not folder.get("totalEvidence"):
                tree.counts["empty folders"] += 1
            elif old is not None and stands(old, folder):
                tree.take(old)
            else:
                rows = _read_folder(talk, home, folder)
                tree.take(folder_item(folder, rows, self._ours(), tree))


def _read_folder(talk: Conversation, home: Place, folder: Row) -> list[Row]:
    """Read a folder to its end: no less than AWS counts in it."""
    rows = _listed(
        talk,
        home,
        "get_evidence_by_evidence_folder",
        "evidence",
        assessmentId=folder["assessmentId"],
        controlSetId=folder["controlSetId"],
        evidenceFolderId=folder["id"],
    )
    due = folder.get("totalEvidence", 0)
    if len({row["id"] for row in rows}) < due:
        message = f"a folder counts {due} pieces of evidence, {len(rows)} came"
        raise SourceError(
            message, f"auditmanager:{folder['id']}", answer="PartialAnswer"
        )
    return rows


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


def _seen(entry: Row, tree: Tree) -> Seen:
    tree.counts.update(dict.fromkeys(SAID, 0))
    return Seen(
        items=tuple(tree.items),
        result=str(entry.get("status", "")),
        counts=tuple(sorted((k, n) for k, n in tree.counts.items() if n or k in SAID)),
    )


def _kept(key: str, place: Place, tree: Tree) -> list[bytes]:
    folders = tuple(item for item in tree.items if item.name.startswith("folder/"))
    seen, now = Seen(items=folders), Instant(0)
    return observation(key, place, seen, Before(), now)[1]


def _missing(place: Place, window: Interval) -> Missing:
    account, region = place
    return Missing(
        account=account, region=region, reason="source-failed", interval=window
    )
