# SPDX-License-Identifier: Apache-2.0
"""The `reviews` stream: how changes of governed paths came to main.

Rules enforced here:
- windows tile: each begins where the last one ended, the first where the repository
  begins, and ends at a whole second that has passed here *and* at the forge, so that
  no merge falls between two runs;
- every merged pull request of the window is looked at; what the forge cut off or would
  not tell is a note;
- the forge's answers are kept whole; the rows of the manifest can be read again from
  them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from controlbook.digest import canonical
from controlbook.forge.reading import answer_line, read_pulls
from controlbook.library import governed
from controlbook.timeline import SECOND, Instant, Interval
from controlbook.vault.packs import pack

from . import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from controlbook.forge import Answer, Forge

    from . import Past, Scope

_PAGING = {"page", "per_page"}


class Reviews:
    """Reads merged pull requests and their reviews from a forge."""

    stream = "reviews"

    def __init__(self, forge: Forge, began: Instant) -> None:
        """Read from a forge; `began` is the time of the repository's first commit."""
        self._forge = forge
        self._began = began

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Give the one window from the end of the last run until now."""
        start = past.last.window.end if past.last else _second(self._began)
        end = _second(min(now, self._forge.caller().at))
        return (Interval(start, end),) if start < end else ()

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        """Read the windows, oldest first."""
        del past, now  # a merge is judged by itself, and never waits for delivery
        for window, _ in windows:
            yield self._reading(window)

    def _reading(self, window: Interval) -> Reading:
        caller = self._forge.caller()
        capture = self._forge.capture(window, governed)
        pulls, notes = read_pulls(capture.answers)
        lines = {answer_line(answer) for answer in capture.answers}
        return Reading(
            kind="regular",
            window=window,
            aws_date=caller.at,
            principal=caller.principal,
            endpoint=caller.endpoint,
            pages=len(capture.answers),
            throttles=capture.throttles,
            queries=_queries(capture.answers),
            pulls=pulls,
            packs=(("reviews", pack(lines)),),
            notes=notes,
        )


def _queries(answers: Iterable[Answer]) -> tuple[tuple[str, str], ...]:
    """Name each kind of question once, with its parameters."""
    found = set()
    for answer in answers:
        path, _, query = answer.request.partition("?")
        api = re.sub(r"/\d+(?=/|\Z)", "/{number}", path)
        fields = {k: v for k, v in parse_qsl(query) if k not in _PAGING}
        found.add((f"github:{api}", canonical(fields).decode()))
    return tuple(sorted(found))


def _second(moment: Instant) -> Instant:
    return Instant(moment - moment % SECOND)
