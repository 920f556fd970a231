# SPDX-License-Identifier: Apache-2.0
"""The one place that reads the wall clock, unless `--as-of` says what time it is."""

from __future__ import annotations

from datetime import UTC, datetime

from .errors import ControlbookError
from .timeline import SECOND, Instant, from_datetime, instant


def now(as_of: str | None) -> Instant:
    """Give the instant that `--as-of` names, else the present one, in whole seconds."""
    if as_of is None:
        moment = from_datetime(datetime.now(UTC))
        return Instant(moment - moment % SECOND)
    try:
        return instant(as_of if "T" in as_of else f"{as_of}T00:00:00Z")
    except ValueError as error:
        raise ControlbookError(
            str(error), place="--as-of", advice="write it in UTC"
        ) from error
