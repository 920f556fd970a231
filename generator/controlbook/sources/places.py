# SPDX-License-Identifier: Apache-2.0
"""One account × Region, asked and read whole.

Rules enforced here:
- an account × Region is read whole or not at all, and one that fails does not take the
  others with it;
- of the days before a span only what was written since is read again;
- nothing here judges, and nothing here needs another place: places may be read side by
  side, and by other processes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlbook.timeline import DAY, HOUR, Instant

from . import SourceError
from .items import in_order
from .survey import Survey, Surveyed, survey

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from controlbook.timeline import Interval

    from . import Place
    from .aws import Conversation
    from .delivery import Bucket, HistoryFile
    from .items import Item

LOOKBACK = DAY
"""How far before the first window late deliveries are looked for."""
CLOCKS = HOUR
"""What was written before the last run listed it was read then, less what clocks may
differ by."""
AT_A_TIME = 8
"""So many places are asked at once: most of a call is waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger knows of a place that its last run collected."""

    survey: Surveyed
    behind_since: Instant | None = None
    """Start of the first of the last windows that deliveries did not reach."""


@dataclass(slots=True, kw_only=True)
class Found:
    """What one account × Region gave."""

    survey: Survey
    files: tuple[HistoryFile, ...]
    items: tuple[Item, ...]
    """Of all files, in order, equal ones collapsed."""
    notes: list[str] = field(default_factory=list)
    contradictory: bool = False
    """Whether items contradict each other."""


Asked = tuple["Place", "Known | None"]
Answer = tuple["Place", "Found | SourceError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is asked of every place alike, where a delivery bucket has the history."""

    bucket: Bucket
    span: Interval
    own: str
    """The collector's own account, which needs no role."""
    role: str
    """The role in the other accounts; empty: there is none."""

    def run(self, talk: Conversation, asked: Iterable[Asked]) -> Generator[Answer]:
        """Read places, several at a time; their answers come in the order asked."""
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            try:
                yield from pool.map(lambda pair: self._answer(talk, *pair), asked)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _answer(self, talk: Conversation, place: Place, known: Known | None) -> Answer:
        try:
            demand_access(place, self.own, self.role)
            return place, self._read(talk, place, known)
        except SourceError as error:
            return place, error

    def _read(self, talk: Conversation, place: Place, known: Known | None) -> Found:
        """Read the files that came in a span, and of the days before what is new."""
        surveyed = survey(talk, place, known.survey if known else None)
        bucket, start = self.bucket, self.span.start
        keys, strange = bucket.keys(talk, place, start, self.span.end)
        behind = known.behind_since if known else None
        before = Instant(start - LOOKBACK)
        early, odd = bucket.keys(
            talk, place, before if behind is None else min(before, behind), start - 1
        )
        # Of the days before, only what was written since; to begin with, all of it.
        seen = max(start, known.survey.since - CLOCKS) if known else before
        since = behind or seen
        late = [key for key, written in early.items() if written >= since]
        files = tuple(bucket.read(talk, key) for key in sorted({*late, *keys}))
        items, notes = in_order(item for file in files for item in file.items)
        named = f"s3://{bucket.name}"
        odd += strange
        return Found(
            survey=surveyed,
            files=files,
            items=items,
            notes=[
                *surveyed.twins(),
                *(f"{named}/{key} is not named as AWS names it" for key in odd),
                *notes,
            ],
            contradictory=bool(notes),
        )


def demand_access(place: Place, own: str, role: str) -> None:
    """Raise SourceError where another account is to be read and no role is set."""
    account, _ = place
    if account != own and not role:
        message = "no role to read this account with"
        raise SourceError(message, account, "set collector-role in [tool.controlbook]")
