# SPDX-License-Identifier: Apache-2.0
"""Which events a trail records: its event selectors, as they are when it is read.

Rules enforced here:
- a trail that leaves management events out proves nothing of a query about them;
- selectors that cannot be read are noted, not guessed at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import SourceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .aws import Conversation
    from .digests import DigestName


class Choice:
    """What the trails of a bucket leave out, asked once for each."""

    def __init__(
        self, talk: Conversation, bucket: str, sources: Collection[str]
    ) -> None:
        """Look at trails that deliver to a bucket, for some event sources."""
        self._talk = talk
        self._bucket = bucket
        self._sources = sources
        self._found: dict[str, str] = {}

    def leaves_out(self, name: DigestName, notes: list[str]) -> bool:
        """Tell whether the trail leaves events out that a query asks for."""
        key = f"{name.home}/{name.trail}"
        if key not in self._found:
            self._found[key] = self._selection(name, notes)
        if self._found[key]:
            notes.append(self._found[key])
        return bool(self._found[key])

    def _selection(self, name: DigestName, notes: list[str]) -> str:
        place = ("", name.home)
        try:
            answer = self._talk.ask(
                "cloudtrail", "describe_trails", place, trailNameList=[]
            )
            arn = next(
                (
                    row["TrailARN"]
                    for row in answer["trailList"]
                    if row["Name"] == name.trail and row["S3BucketName"] == self._bucket
                ),
                "",
            )
            if not arn:
                message = "the collector's account does not see it"
                raise SourceError(message)  # noqa: TRY301 - one way to say it
            status = self._talk.ask("cloudtrail", "get_trail_status", place, Name=arn)
            chosen = self._talk.ask(
                "cloudtrail", "get_event_selectors", place, TrailName=arn
            )
        except SourceError as error:
            notes.append(
                f"trail {name.trail}: what it leaves out could not be read:"
                f" {error.message}"
            )
            return ""
        trouble = status.get("LatestDigestDeliveryError")
        if trouble:
            notes.append(f"trail {name.trail}: digest delivery failed: {trouble}")
        if not status.get("IsLogging", True):
            notes.append(f"trail {name.trail}: is not logging now")
        return (
            ""
            if logs_all(chosen, self._sources)
            else (f"trail {name.trail} leaves out events that a query asks for")
        )


def logs_all(answer: Mapping[str, Any], sources: Iterable[str]) -> bool:
    """Tell whether a trail's selectors take in every management event of services."""
    wanted = set(sources)
    for row in answer.get("EventSelectors", ()):
        left_out = set(row.get("ExcludeManagementEventSources", ()))
        if (
            row.get("IncludeManagementEvents", True)
            and row.get("ReadWriteType", "All") == "All"
            and not left_out & wanted
        ):
            return True
    for row in answer.get("AdvancedEventSelectors", ()):
        fields = {each["Field"]: each for each in row.get("FieldSelectors", ())}
        category = fields.pop("eventCategory", {})
        if "Management" not in category.get("Equals", ()):
            continue
        excluded = fields.pop("eventSource", {})
        if fields or set(excluded) - {"Field", "NotEquals"}:
            continue
        if not set(excluded.get("NotEquals", ())) & wanted:
            return True
    return False
