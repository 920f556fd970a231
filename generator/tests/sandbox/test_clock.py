# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from controlbook.sandbox.clock import Clock, http_date
from controlbook.timeline import instant


def test_clock_stands_still_until_set() -> None:
    clock = Clock(instant("2028-01-01T06:00:00Z"))
    assert clock.now() == clock.now() == instant("2028-01-01T06:00:00Z")
    clock.set(instant("2027-01-01T00:00:00Z"))
    assert clock.now() == instant("2027-01-01T00:00:00Z")


def test_http_date_is_in_whole_seconds() -> None:
    stamp = instant("2028-02-14T03:12:00.999Z")
    assert http_date(stamp) == "Mon, 14 Feb 2028 03:12:00 GMT"
