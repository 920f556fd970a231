# SPDX-License-Identifier: Apache-2.0
"""`controlbook verify`: check a bundle, offline unless asked to ask the vault."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from controlbook.assurance import REQUIRABLE, Given, read_policy, read_roots
from controlbook.errors import ControlbookError
from controlbook.forge.github import GitHub
from controlbook.outcome import Outcome
from controlbook.progress import Progress
from controlbook.proofs import Trust
from controlbook.ssh import signers_flaw
from controlbook.verify import Online
from controlbook.verify import verify as verify_bundle

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from controlbook.verdict import Verdict

_PIN = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
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
            given=_given(options),
            online=_online(options, progress),
            git=options.git,
        )
    return outcome_of(verdict)


def outcome_of(verdict: Verdict) -> Outcome:
    """Say what a verification found, as text and as data."""
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


def _given(options: argparse.Namespace) -> Given:
    """Read what the auditor brings; raises ControlbookError where it is unfit."""
    policy, signers, roots = (
        options.policy,
        options.allowed_signers,
        options.tsa_roots,
    )
    return Given(
        raw=options.raw,
        pins=tuple(_pin(text) for text in options.pin or ()),
        policy=read_policy(_read(policy), str(policy)) if policy else None,
        trust=Trust(
            signers=_signers(signers) if signers else None,
            roots=read_roots(_read(roots), str(roots)) if roots else None,
        ),
        require=_require(options.require or ""),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ControlbookError(message, place=str(path)) from error


def _signers(path: Path) -> bytes:
    content = _read(path)
    flaw = signers_flaw(content)
    if flaw:
        raise ControlbookError(
            flaw, place=str(path), advice="name each person by their id, in full"
        )
    return content


def _pin(text: str) -> str:
    pin = text.strip().lower()
    if not _PIN.match(pin):
        message = f"{text!r} is no SHA-256 and no commit"
        raise ControlbookError(message, place="--pin", advice="give all its digits")
    return pin


def _require(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in REQUIRABLE:
            message = f"{name!r} is nothing that can be required"
            raise ControlbookError(
                message, place="--require", advice=f"there are {', '.join(REQUIRABLE)}"
            )
    return names


def _online(options: argparse.Namespace, progress: Progress) -> Online | None:
    if not options.online:
        for name in ("vault", "replica", "forge"):
            if getattr(options, name, None):
                message = "says whom to ask, and nobody is to be asked"
                raise ControlbookError(
                    message, place=f"--{name}", advice="add --online"
                )
        return None
    return Online(
        vault=options.vault or "",
        replica=options.replica or "",
        forge=options.forge or "",
        github=_github if os.environ.get("GITHUB_TOKEN") else None,
        watch=progress.show,
    )


def _github(repository: str) -> GitHub:
    return GitHub.from_environment(repository, os.environ)


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
