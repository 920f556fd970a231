# SPDX-License-Identifier: Apache-2.0
"""What one assessment of Audit Manager gave: things by name, and how they compare.

Rules enforced here:
- of each thing its digest is kept, and what pages may show of it; both in the vault;
- a verdict of Audit Manager counts as compared only where our record tells of its very
  instant; what our record lacks, and what it has not come to yet, are counted apart;
- every contradiction is written down, none is only counted.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controlbook.crosscheck import JUDGED
from controlbook.model import Contradiction
from controlbook.timeline import from_datetime, iso

from .looking import Item
from .snapshots import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.crosscheck import OurRecord
    from controlbook.timeline import Instant

Row = dict[str, Any]  # as boto3 gives it


def text_of(value: object) -> str:
    """Write what AWS said as text that canonical JSON holds."""
    plain = str(value).encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFC", plain)


KINDS = {
    "evidenceByTypeComplianceCheckCount": "compliance checks",
    "evidenceByTypeComplianceCheckIssuesCount": "issues",
    "evidenceByTypeConfigurationDataCount": "configuration data",
    "evidenceByTypeManualCount": "manual",
    "evidenceByTypeUserActivityCount": "user activity",
}
"""What AWS counts in a folder, and how we call it."""
AGAINST, UNKNOWN, AHEAD = "contradictions", "not in our record", "ahead of our record"
COMPARED = ("compared", AGAINST, UNKNOWN, AHEAD)
"""What became of the verdicts that Audit Manager took from Config."""
SAID = frozenset({"compared", AGAINST})
"""Numbers that are said where they are 0 too."""


@dataclass(slots=True, kw_only=True)
class Tree:
    """What one assessment of Audit Manager gave, so far."""

    key: str
    items: list[Item] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    contradictions: list[Contradiction] = field(default_factory=list)

    def add(self, kind: str, name: str, value: object, /, **said: object) -> None:
        """Keep one thing: its name, its digest, and what pages show of it."""
        shown = tuple(sorted((k, text_of(v)) for k, v in said.items() if v))
        called = f"{kind}/{text_of(name)}"
        item = Item(name=called, sha256=digest(value), said=shown)
        self.items.append(item)
        self.counts[kind] += 1

    def take(self, folder: Item) -> None:
        """Keep a folder that was read to its end, now or before."""
        held = dict(folder.fields)
        self.items.append(folder)
        self.counts["folder"] += 1
        for kind in ("evidence", *COMPARED):
            self.counts[kind] += int(held.get(kind, "0"))


def folder_name(folder: Row) -> str:
    """Name a folder among what is kept: a control's day."""
    name = f"{folder['controlName']} {folder['name']} {folder['id'][:8]}"
    return f"folder/{text_of(name)}"


def stands(known: Item | None, folder: Row) -> bool:
    """Tell whether a folder was read to its end before, and all of it compared."""
    held = dict(known.fields) if known else {}
    return held.get("evidence") == str(folder["totalEvidence"]) and AHEAD not in held


def folder_item(folder: Row, rows: list[Row], record: OurRecord, tree: Tree) -> Item:
    """Make of a folder's evidence what is kept of it; contradictions go to the tree."""
    numbers = Counter({"evidence": folder["totalEvidence"]})
    numbers.update({name: folder.get(theirs) or 0 for theirs, name in KINDS.items()})
    for row in rows:
        for included in row.get("resourcesIncluded", []) if _rule(row) else ():
            kind = _compared(folder, row, included, record, tree)
            numbers.update(kind)
    said = {
        "at": time_of(folder, "date"),
        "control": folder["controlName"],
        "rules": " ".join(sorted({_rule(row) for row in rows} - {""})),
        # A set's id is its plain name.
        "set": folder["controlSetId"],
    }
    return Item(
        name=folder_name(folder),
        sha256=digest(rows),
        fields=tuple(sorted((k, str(n)) for k, n in numbers.items() if n)),
        said=tuple(sorted((k, text_of(v)) for k, v in said.items() if v)),
    )


def _compared(
    folder: Row, row: Row, included: Row, record: OurRecord, tree: Tree
) -> Iterator[str]:
    """Hold one verdict against our record; give what became of it."""
    theirs = included.get("complianceCheck", row.get("complianceCheck"))
    account = str(row.get("evidenceAwsAccountId", ""))
    arn = text_of(included.get("arn", ""))
    at: Instant = from_datetime(row["time"])
    if theirs not in JUDGED:
        return
    if record.reach and at >= record.reach.end:
        yield AHEAD
        return
    ours = record.verdicts(_rule(row), account, arn, at)
    yield "compared" if ours else UNKNOWN
    if ours and theirs not in ours:
        yield AGAINST
        tree.contradictions.append(
            Contradiction(
                evidence=tree.key,
                group=text_of(folder["controlSetId"]),
                control=text_of(folder["controlName"]),
                at=at,
                identifier=_rule(row),
                account=account,
                resource=arn,
                theirs=theirs,
                ours=ours,
                id=str(row.get("id", "")),
            )
        )


def _sets(assessment: Row) -> list[Row]:
    found: list[Row] = assessment["framework"].get("controlSets", [])
    return found


def add_assessment(tree: Tree, assessment: Row) -> None:
    """Keep what only GetAssessment says: the assessment, its controls, the comments."""
    about = assessment["metadata"]
    accounts = [str(a["id"]) for a in about.get("scope", {}).get("awsAccounts", [])]
    tree.add(
        "assessment",
        str(about.get("name", "")),
        about,
        name=about.get("name"),
        at=time_of(about, "creationTime"),
        status=about.get("status"),
        accounts=" ".join(sorted(accounts)),
        owners=" ".join(sorted(str(r.get("roleArn")) for r in about.get("roles", []))),
        framework=assessment["framework"].get("metadata", {}).get("name"),
    )
    for group in _sets(assessment):
        for control in group.get("controls", []):
            name = f"{group['id']}/{control['name']}"
            tree.add(
                "control",
                name,
                control,
                set=group["id"],
                control=control["name"],
                status=control.get("status"),
                response=control.get("response"),
                sources=" ".join(control.get("evidenceSources", [])),
            )
            for number, comment in enumerate(control.get("comments", [])):
                tree.add(
                    "comment",
                    f"{name}/{number}",
                    comment,
                    set=group["id"],
                    control=control["name"],
                    at=time_of(comment, "postedDate"),
                    by=comment.get("authorName"),
                    text=comment.get("commentBody"),
                )


def time_of(row: Row, name: str) -> str:
    """Give one of a row's times as ledgers write it; empty where there is none."""
    moment = row.get(name)
    return iso(from_datetime(moment)) if moment else ""


def _rule(row: Row) -> str:
    """Name the Config rule that a piece of evidence was taken from; empty: none."""
    if "config" not in str(row.get("dataSource", "")).lower():
        return ""
    found = row.get("attributes", {}).get("managedRuleIdentifier")
    return str(found or row.get("eventName", ""))
