# SPDX-License-Identifier: Apache-2.0
"""The bundle's README: what is in it, and how to check it without us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.timeline import iso

from .oscal import VERSION
from .words import CANNOT_BE_PROVEN

if TYPE_CHECKING:
    from .report import Report

_DEMO = """
**DEMO.** This evidence does not come from AWS, or its store had no lock. It shows how a
report looks and proves nothing about any company.
"""

_TEXT = """# {title}

{entity} · {framework} · period {start} to {end} (UTC, the end not included)
{demo}
Release `{release}` of assessment `{assessment}`
at commit `{commit}`.
Facts root: `{root}`

Management's evidence and the named internal assessors' sign-off. Not an auditor's
opinion.

## Start here
- `{assessment}.pdf` is the report; `site/index.html` is the same with search. Both open
  offline.
- `data/` has every table as CSV and JSON, without a cap; `oscal/` says the same in the
  language of compliance tools (OSCAL {oscal}).

## Check it
1. `sha256sum -c SHA256SUMS` finds damage, with a tool of your own.
2. `python3 verify.py` needs only Python 3.9 or later and this folder, no network. It
   checks files, the chain of evidence, Merkle roots, the release tag, and what each
   sign-off was bound to. Read it first: it is one file.
3. `controlbook verify {assessment}.zip` derives every figure again from the ledger and
   the sources, and compares; with `--raw FOLDER` it checks a copy of the vault too.
   Add `--pin HEX` with the facts root that you were given apart from this bundle.

Exit code 0: all fine · 1: fine, and something is open · 4: something was changed · 5:
something needed for the check is not there. Each names what it did *not* check.

## What is here
| path | what |
|---|---|
| `facts.json` | every figure, status and digest of the report, as canonical JSON |
| `manifest.json` | digest and size of every published file, and the toolchain |
| `release.tag` | the annotated Git tag that names facts and publication by digest |
| `repo.bundle` | the programme's Git history: `git clone repo.bundle` |
| `ledger/` | one manifest per collection run: what was asked, of whom, what came back |
| `sources/` | controls, framework, scope, annotations, sign-offs at the commit |
| `sources.json` | the same, parsed, for `verify.py` |
| `packs/` | records behind the report, long lists too; `#…` is one out of scope |

## What no check here can show
{limits}

Nor that this tag is the one that everybody has: compare the facts root with the one
that you got by another way.
"""


def readme(report: Report) -> bytes:
    """Write the README of a report's bundle."""
    period = report.assessment.period
    return _TEXT.format(
        title=report.assessment.title or report.assessment.id,
        entity=report.assessment.entity or "(no entity named)",
        framework=report.framework.title,
        start=iso(period.start),
        end=iso(period.end),
        demo=_DEMO if report.demo else "",
        release=report.release,
        assessment=report.assessment.id,
        commit=report.commit.id,
        root=report.facts_root,
        oscal=VERSION,
        limits="\n".join(f"- {limit}" for limit in CANNOT_BE_PROVEN),
    ).encode()
