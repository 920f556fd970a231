# SPDX-License-Identifier: Apache-2.0
"""The delivery bucket: which history files there are, and what stands in them.

Rules enforced here:
- month and day folders are not zero-padded, and `::` stands in the keys;
- a file is kept as AWS wrote it; its items are counted, not trusted to be in order;
- a key that does not look like AWS's is reported, not guessed at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

from controlbook.timeline import DAY, Instant, from_datetime, to_datetime
from controlbook.vault import MAX_OBJECT
from controlbook.vault.packs import Pack, PackError, verbatim

from . import SourceError
from .items import TYPE, is_history_of, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from . import Place
    from .aws import Conversation
    from .items import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFile:
    """One delivered file: its bytes for the vault, its items for the fold."""

    key: str
    pack: Pack
    items: tuple[Item, ...]


class Bucket:
    """The organization's delivery bucket."""

    def __init__(self, name: str, prefix: str = "") -> None:
        """Use the bucket and prefix of the settings."""
        self.name = name
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def folders(self, place: Place, start: Instant, end: int) -> Iterator[str]:
        """Give the key prefix of each day from `start` to `end`, both days included."""
        account, region = place
        day = start - start % DAY
        while day <= end:
            date = to_datetime(Instant(day))
            yield (
                f"{self.prefix}AWSLogs/{account}/Config/{region}"
                f"/{date.year}/{date.month}/{date.day}/ConfigHistory/"
                f"{account}_Config_{region}_ConfigHistory_{TYPE}_"
            )
            day += DAY

    def keys(
        self, talk: Conversation, place: Place, start: Instant, end: int
    ) -> tuple[dict[str, Instant], list[str]]:
        """List the history files of some days: key → when it was written.

        Also the keys in their folders that are not AWS's.
        """
        found: dict[str, Instant] = {}
        strange: list[str] = []
        for folder in self.folders(place, start, end):
            for row in self._list(talk, folder):
                if is_history_of(row["Key"], *place):
                    found[row["Key"]] = from_datetime(row["LastModified"])
                else:
                    strange.append(row["Key"])
        return found, strange

    def _list(self, talk: Conversation, folder: str) -> Iterator[dict[str, Any]]:
        pages = talk.pages_of(
            "s3",
            "list_objects_v2",
            tokens=("NextContinuationToken", "ContinuationToken"),
            Bucket=self.name,
            Prefix=folder,
        )
        for page in pages:
            yield from page.get("Contents", ())

    def read(self, talk: Conversation, key: str) -> HistoryFile:
        """Get one file; SourceError where it is not what AWS delivers."""
        answer = talk.ask("s3", "get_object", Bucket=self.name, Key=key)
        if answer["ContentLength"] > MAX_OBJECT:
            message = f"{answer['ContentLength']} bytes are more than the vault takes"
            raise SourceError(message, f"s3://{self.name}/{key}")
        try:
            body = answer["Body"].read()
        except BotoCoreError as error:
            raise SourceError(str(error), f"s3://{self.name}/{key}") from error
        items = read_file(body, key)
        try:
            kept = verbatim(body, records=len(items))
        except PackError as error:
            raise SourceError(error.message, key) from error
        return HistoryFile(key=key, pack=kept, items=items)
