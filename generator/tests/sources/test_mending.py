# SPDX-License-Identifier: Apache-2.0
"""Which windows are looked at again, once digests that they lacked may have come."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import small

from controlbook.later import Later
from controlbook.model import Missing, Run
from controlbook.sources.mending import MENDED_WITHIN, torn
from controlbook.timeline import DAY, Instant

QUERY = ("iam.amazonaws.com", "CreateUser")


def closed(seq: int) -> Run:
    run = small.run(seq)
    gap = Missing(
        account="000000000001",
        region="eu-west-1",
        reason="digest-gap",
        interval=run.window,
    )
    return replace(run, stream="cloudtrail", missing=(gap,), asked=(QUERY,))


def unread() -> NoReturn:
    message = "the list of an old run was read"
    raise AssertionError(message)


def test_no_list_of_a_window_that_is_too_old_is_read() -> None:
    old, young = closed(1), closed(2)
    now = Instant(young.window.end + MENDED_WITHIN)
    assert old.window.end + MENDED_WITHIN < now
    assert [each.run for each in torn((old, young), [QUERY], now)] == [young]
    far = replace(old, missing=Later(unread), asked=Later(unread), chains=Later(unread))
    mends = replace(far, seq=3, kind="correction", corrects=1, missing=Later(unread))
    assert [each.run for each in torn((far, young, mends), [QUERY], now)] == [young]
    assert torn((far,), [QUERY], Instant(now + DAY)) == ()
