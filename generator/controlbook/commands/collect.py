# SPDX-License-Identifier: Apache-2.0
"""`controlbook collect`: read one stream, store it, and commit its digest.

Rules enforced here:
- collecting judges nothing: it says what was stored and what could not be read;
- one commit a run, of nothing but additions under evidence/<stream>/.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controlbook import __version__
from controlbook.clock import now
from controlbook.collect import Collector
from controlbook.crosscheck import OurRecord
from controlbook.digest import sha256
from controlbook.model import OBSERVED
from controlbook.outcome import Outcome
from controlbook.programme import Programme
from controlbook.progress import Progress
from controlbook.timeline import iso

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from controlbook.collect import Collected
    from controlbook.model import Run
    from controlbook.sources import Source

LOOKS = {"snapshot": "snapshots:Snapshots", "security-hub": "security_hub:SecurityHub"}
"""Streams that look at something now and then."""


def collect(options: argparse.Namespace) -> Outcome:
    """Collect every window that is due; exit 5 where a source was incomplete."""
    at = now(options.as_of)
    programme = Programme.collecting(options.root)
    repository, settings = programme.repository, programme.library.settings
    author = repository.configured_author()

    def commit(files: Mapping[str, bytes], message: str) -> None:
        made = repository.write_and_commit(files, f"{message}\n", at=at, author=author)
        if not options.quiet:
            progress.hide()
            _say(f"{message} ({made[:10]})")

    with Progress(options.stream, quiet=options.quiet) as progress:
        collector = Collector(
            library=programme.library,
            vault=programme.vault,
            clock=lambda: now(options.as_of),
            commit=commit,
            about=_about(),
            watch=progress.show,
        )
        source = _source(options.stream, programme, progress)
        chain = f"evidence/{options.stream}/"
        own = {p: b for p, b in programme.files.items() if p.startswith(chain)}
        collected = collector.collect(source, own)
    if options.push:
        repository.publish("origin", settings.branch)
    return _outcome(options.stream, collected)


def _made(place: str, *parts: object) -> Any:  # noqa: ANN401 - each is a source
    """Make what `module:Class` names; a daily run imports its own stream alone."""
    module, _, name = place.partition(":")
    return getattr(import_module(f"controlbook.{module}"), name)(*parts)


def _source(stream: str, programme: Programme, progress: Progress) -> Source:
    library, settings = programme.library, programme.library.settings
    made: Source
    if stream == "config":
        made = _made("sources.config:ConfigSource", settings, None, progress.show)
    elif stream in LOOKS:
        look = _made(f"sources.{LOOKS[stream]}")
        made = _made("sources.looking:Looking", look, library)
    elif stream == "audit-manager":
        ours = partial(_our_record, programme)
        made = _made("sources.audit_manager:AuditManager", library, ours)
    elif stream == "cloudtrail":
        made = _made("sources.cloudtrail:CloudTrailSource", library)
    else:
        github = import_module("controlbook.forge.github").GitHub
        forge = github.from_environment(
            settings.github, os.environ, branch=settings.branch
        )
        began = programme.repository.began(programme.commit)
        made = _made("sources.reviews:Reviews", forge, began)
    return made


def _our_record(programme: Programme) -> OurRecord:
    """Fold what the config stream recorded; without it there is nothing to compare."""
    ledger = programme.ledger_by_account
    opening = programme.opened(ledger.config[0]) if ledger.config else ()
    return OurRecord.of(ledger, opening)


def _about() -> tuple[tuple[str, str], ...]:
    """Name the collector: its version, and the digest of all that is installed."""
    about = {
        "name": "controlbook",
        "version": __version__,
        "commit": os.environ.get("GITHUB_SHA", ""),
        "lock_sha256": _installed(),
    }
    return tuple(sorted((name, value) for name, value in about.items() if value))


@cache
def _installed() -> str:
    """Give the digest of everything installed here, by name and version.

    A wheel's folder of metadata is named after both; reading what is inside would cost
    a tenth of a daily run.
    """
    folder = Path(sysconfig.get_path("purelib"))
    names = sorted(path.name.lower() for path in folder.glob("*.dist-info"))
    return sha256("".join(f"{name}\n" for name in names).encode())


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - talk goes to stderr


def _outcome(stream: str, collected: Collected) -> Outcome:
    lines = [f"recovered {path}" for path in collected.recovered]
    for run in collected.runs:
        lines.extend(_lines(run))
    return Outcome(
        text="\n".join(lines) or f"{stream}: nothing is due",
        data={
            "schema": "controlbook/collect/1",
            "stream": stream,
            "recovered": list(collected.recovered),
            "runs": [_data(run) for run in collected.runs],
        },
        code=collected.code,
    )


def _lines(run: Run) -> list[str]:
    what = (
        f"{sum(row.population for row in run.rules)} states under "
        f"{len(run.rules)} rules, {len(run.transitions)} changes"
    )
    if run.stream == "reviews":
        what = f"{len(run.pulls)} merged pull requests"
    elif run.observations:
        answers = [row for row in run.observations if row.state == OBSERVED]
        changed = sum(number for row in answers for _, number in row.changes)
        what = f"{len(answers)} of {len(run.observations)} answers, {changed} changes"
    elif run.stream == "cloudtrail":
        what = (
            f"{sum(row.count for row in run.event_counts)} events of {len(run.asked)} "
            f"queries, {sum(row.digests for row in run.chains)} digests checked"
        )
    window = f"{iso(run.window.start)} to {iso(run.window.end)}"
    return [
        f"{run.stream} {run.seq:06d} {run.kind} {window}: {what}",
        *(
            f"  missing: {row.account} {row.region} {row.reason} "
            f"{iso(row.interval.start)} to {iso(row.interval.end)}"
            for row in run.missing
        ),
        *(f"  note: {note}" for note in run.notes),
    ]


def _data(run: Run) -> dict[str, object]:
    return {
        "seq": run.seq,
        "kind": run.kind,
        "window": [iso(run.window.start), iso(run.window.end)],
        "sha256": run.sha256,
        "complete": run.complete,
        "transitions": len(run.transitions),
        "pulls": len(run.pulls),
        "observations": len(run.observations),
        "events": sum(row.count for row in run.event_counts),
        "missing": [
            {"account": row.account, "region": row.region, "reason": row.reason}
            for row in run.missing
        ],
        "notes": list(run.notes),
    }
