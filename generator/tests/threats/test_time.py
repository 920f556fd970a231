# SPDX-License-Identifier: Apache-2.0
"""Rows of the area time: clocks that are off, dates that are forged.

What `check` and `verify` say of backdated commits stands in commands/test_history.py
and test_proofs.py; what the vault's own dates tell, in test_online.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import attacked
import pytest
import released
from collecting import desk
from tampering import edited, opened, rechained, retagged, zipped

from controlbook import bundle_verify
from controlbook.errors import ControlbookError, Exit
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trouble import Trouble
from controlbook.timeline import DAY, HOUR, MINUTE, Instant, instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAWN = "2028-01-01T06:00:00Z"


@pytest.mark.threat("T24")
@pytest.mark.parametrize(
    ("skew", "says"),
    [
        (5 * MINUTE, ""),
        (5 * MINUTE + 1000, "the collector's clock differs from AWS's by 301 s"),
        (-2 * HOUR, "the collector's clock differs from AWS's by 7200 s"),
        (DAY, "the collector's clock differs from AWS's by 86400 s"),
    ],
)
def test_t24_a_skew_is_reported(tmp_path: Path, skew: int, says: str) -> None:
    with desk(tiny(), tmp_path, Trouble(skew=skew)) as at:
        assert at.collect(DAWN).code is Exit.FINE
        assert at.runs[0].notes == ((says,) if says else ())


@pytest.mark.threat("T24")
@pytest.mark.parametrize("skew", [DAY + 1000, 3 * DAY, -3 * DAY])
def test_t24_a_run_dated_days_off_is_exit_4(tmp_path: Path, skew: int) -> None:
    with (
        desk(tiny(), tmp_path, Trouble(skew=skew)) as at,
        pytest.raises(ControlbookError, match=f"this clock says {DAWN}") as refused,
    ):
        at.collect(DAWN)
    assert refused.value.code is Exit.INTEGRITY
    assert at.git == {}


@pytest.mark.threat("T24")
@pytest.mark.parametrize("days", [1, -3])
def test_t24_a_manifest_dated_days_off_is_refused_by_both_verifiers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], days: int
) -> None:
    """Whoever forges a date can chain and seal everything anew, but for AWS's own."""
    good = opened(released.example(tmp_path / "p").release())
    path = f"ledger/config/{released.DAYS + 1:06d}.json"

    def dated(tree: dict[str, Any]) -> None:
        told = instant(tree["run"]["started"]) + days * DAY + 1000
        tree["run"]["aws_date"] = iso(Instant(told))
        tree["run"]["skew_s"] = days * 86_400 + 1

    files = retagged(rechained(edited(good, path, dated)))
    bundle = tmp_path / f"{released.NAME}.zip"
    bundle.write_bytes(zipped(files, released.NAME))
    code, text = attacked.Shell(capsys)("verify", str(bundle))
    assert code == 4
    assert f"{path}: the run's clock differs from AWS's" in text
    folder = tmp_path / released.NAME
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    done = subprocess.run(
        [sys.executable, bundle_verify.__file__, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stdout
    assert f"{path}: its clock is over a day off" in done.stdout + done.stderr


@pytest.fixture(params=["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def zone(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    os.environ.pop("TZ", None)
    time.tzset()


@pytest.mark.threat("T25")
def test_t25_a_runners_zone_moves_no_window(tmp_path: Path, zone: str) -> None:
    del zone
    with desk(tiny(), tmp_path) as at:
        at.collect(DAWN)
        at.collect("2028-01-02T06:00:00Z")
        assert [(iso(r.window.start), iso(r.window.end)) for r in at.runs] == [
            ("2027-12-31T00:00:00Z", "2028-01-01T00:00:00Z"),
            ("2028-01-01T00:00:00Z", "2028-01-02T00:00:00Z"),
        ]


@pytest.mark.threat("T25")
@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2028-01-01T00:00:00Z", "2028-04-01T00:00:00Z", 91),
        ("2027-01-01T00:00:00Z", "2027-04-01T00:00:00Z", 90),
        ("2028-02-28T00:00:00Z", "2028-03-01T00:00:00Z", 2),
        # Summer time begins and ends in Europe and in America.
        ("2028-03-12T00:00:00Z", "2028-03-13T00:00:00Z", 1),
        ("2028-03-26T00:00:00Z", "2028-03-27T00:00:00Z", 1),
        ("2028-10-29T00:00:00Z", "2028-10-30T00:00:00Z", 1),
        # A leap second: UTC's day had 86,401, and our arithmetic has none.
        ("2016-12-31T00:00:00Z", "2017-01-01T00:00:00Z", 1),
    ],
)
def test_t25_windows_have_their_true_length(
    zone: str, start: str, end: str, days: int
) -> None:
    del zone
    assert instant(end) - instant(start) == days * DAY
    assert iso(Instant(instant(start) + days * DAY)) == end


@pytest.mark.threat("T25")
def test_t25_a_leap_second_is_no_instant() -> None:
    with pytest.raises(ValueError, match="is not a UTC time"):
        instant("2016-12-31T23:59:60Z")
