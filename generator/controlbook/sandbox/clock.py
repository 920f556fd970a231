# SPDX-License-Identifier: Apache-2.0
"""The sandbox's clock: it stands still until somebody sets it.

Rules enforced here:
- no wall clock reaches a reply, so two runs over the same world see the same bytes;
- the clock may go back: a world is a function of the instant, it keeps no memory.
"""

from __future__ import annotations

import threading
from email.utils import format_datetime
from typing import TYPE_CHECKING

from controlbook.timeline import to_datetime

if TYPE_CHECKING:
    from datetime import datetime

    from controlbook.timeline import Instant


class Clock:
    """The one clock of a sandbox, shared by all its services."""

    def __init__(self, now: Instant) -> None:
        """Start at an instant."""
        self._now = now
        self._lock = threading.Lock()

    def now(self) -> Instant:
        """Tell the sandbox's time."""
        with self._lock:
            return self._now

    def set(self, now: Instant) -> None:
        """Move the clock, forward or back."""
        with self._lock:
            self._now = now


def http_date(moment: Instant) -> str:
    """Write an instant as the HTTP Date header does, in whole seconds."""
    return format_datetime(whole_second(moment), usegmt=True)


def whole_second(moment: Instant) -> datetime:
    """Give the datetime of an instant without its milliseconds."""
    return to_datetime(moment).replace(microsecond=0)
