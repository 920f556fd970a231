# SPDX-License-Identifier: Apache-2.0
"""`controlbook verify`: check a bundle, offline unless asked to ask the vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError
from controlbook.outcome import Outcome
from controlbook.progress import Progress
from controlbook.verify import Online
from controlbook.verify import verify as verify_bundle

if TYPE_CHECKING:
    import argparse

    from controlbook.verify import Verdict

WORDS = {
    0: "verified: everything checked holds",
    1: "intact, but something in it is unsigned, stale or unexplained",
    2: "not readable",
    4: "INTEGRITY FAILED: do not rely on it",
    5: "INCOMPLETE: a required part is missing",
}


def verify(options: argparse.Namespace) -> Outcome:
    """Verify a zip or an unpacked folder; never writes, and fetches only if asked."""
    with Progress("objects", quiet=options.quiet) as progress:
        verdict = verify_bundle(
            options.path,
            raw=options.raw,
            pin=options.pin or "",
            online=_online(options, progress),
        )
    return Outcome(
        text=_text(verdict),
        data={
            "schema": "controlbook/verify/1",
            "code": int(verdict.code),
            "facts_root": verdict.facts_root,
            "checks": [
                {
                    "name": check.name,
                    "ok": check.ok,
                    "count": check.count,
                    "faults": [
                        {"code": int(code), "message": text}
                        for code, text in check.faults
                    ],
                }
                for check in verdict.checks
            ],
            "not_checked": list(verdict.not_checked),
        },
        code=verdict.code,
    )


def _online(options: argparse.Namespace, progress: Progress) -> Online | None:
    if not options.online:
        for name in ("vault", "replica"):
            if getattr(options, name, None):
                message = "says which vault to ask, and nothing is to be asked"
                raise ControlbookError(
                    message, place=f"--{name}", advice="add --online"
                )
        return None
    return Online(
        vault=options.vault or "", replica=options.replica or "", watch=progress.show
    )


def _text(verdict: Verdict) -> str:
    lines: list[str] = []
    for check in verdict.checks:
        mark = "ok  " if check.ok else "FAIL"
        lines.append(f"{mark} {check.name} ({check.count})")
        lines.extend(f"     {line}" for line in check.message.splitlines())
    lines.append("not checked:")
    lines.extend(f"  - {each}" for each in verdict.not_checked)
    if verdict.facts_root:
        lines.append(f"facts root {verdict.facts_root}")
    lines.append(WORDS[int(verdict.code)])
    return "\n".join(lines)
