# SPDX-License-Identifier: Apache-2.0
"""Rules across the human files and the findings, for the files that stand before you.

Rules enforced here:
- an annotation covers deviations and gaps that exist, and the times that it states are
  theirs; what later evidence moved is told with what stands there now;
- it explains something of its own, in a text that pages show to its end (T71);
- what a collector wrote is canonical JSON;
- what a team puts beside the generated pages can be read, and has a bounded size;
- what a sign-off acknowledges exists in its assessment;
- CODEOWNERS asks the right people about every governed path.

`library.load` says what is wrong within the files; this says the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .annotations import substance
from .codeowners import lint
from .digest import NotCanonicalError, parse_canonical
from .errors import Problem
from .kinds.documents import FINDING
from .timeline import told
from .yamltext import Listing, Table, front_matter, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .model import Annotation, Deviation, Findings, Gap, Library, SignOff
    from .superseded import Superseded
    from .yamltext import Node

    Facts = Mapping[str, Deviation | Gap]

LONGEST_TEXT = 20_000
"""Characters of an explanation: what the pages show to its end."""
LONGEST_PAGE = 100_000
"""Characters of a hand-written page of the site."""
LARGEST_FILE = 5 * 1024 * 1024
"""Bytes of any other file that a team adds to its site."""
SITE = "site/"


def check(
    library: Library,
    files: Mapping[str, bytes],
    findings: Mapping[str, Findings],
    moved: Iterable[Superseded] = (),
) -> tuple[Problem, ...]:
    """List what is wrong between the human files and the facts, sorted.

    `findings` holds those of every assessment; without any, nothing can be held
    against the facts, and only the rest is checked. `moved` says what later evidence
    made of what files name.
    """
    found = list(lint(library, files))
    facts = {id_: _facts(one) for id_, one in findings.items()}
    everything: dict[str, list[Deviation | Gap]] = {}
    for one in facts.values():
        for key, fact in one.items():
            everything.setdefault(key, []).append(fact)
    known = {(row.path, row.id): row for row in moved}
    for annotation in library.annotations:
        data = files[annotation.path]
        found += _text(annotation, library.annotations, data)
        if findings:
            node = front_matter(data).node
            found += _covered(annotation, everything, known, node)
    for record in library.signoffs:
        if record.assessment in facts:
            node = parse(files[record.path]).node
            found += _acknowledged(record, facts[record.assessment], known, node)
    return tuple(sorted(set(found)))


def ledger_problems(files: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """List the run manifests and checkpoints that are not canonical JSON (T20).

    What they say, and whether they are a chain, is the ledger's to judge.
    """
    found = []
    for path, data in sorted(files.items()):
        if not (path.startswith("evidence/") and path.endswith(".json")):
            continue
        try:
            parse_canonical(data)
        except NotCanonicalError as error:
            advice = "restore the committed file from Git or the vault"
            message = f"not canonical JSON: {error}"
            found.append(Problem(path=path, line=1, message=message, advice=advice))
    return tuple(found)


def site_problems(files: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """List what is wrong with the files that a team adds to its site (T71)."""
    found: list[Problem] = []
    for path, data in sorted(files.items()):
        if not path.startswith(SITE):
            continue
        if path.startswith(f"{SITE}pages/") and path.endswith(".md"):
            found += _page(path, data)
        elif len(data) > LARGEST_FILE:
            message = f"the file has {len(data):,} bytes; the limit is {LARGEST_FILE:,}"
            found.append(
                Problem(path=path, line=1, message=message, advice="make it smaller")
            )
    return tuple(found)


def _page(path: str, data: bytes) -> Iterable[Problem]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message, advice = "the file is not UTF-8", "save it as UTF-8"
        return [Problem(path=path, line=line, message=message, advice=advice)]
    if len(text) <= LONGEST_PAGE:
        return []
    message = f"the page has {len(text):,} characters; the limit is {LONGEST_PAGE:,}"
    return [Problem(path=path, line=1, message=message, advice="split it")]


def _facts(findings: Findings) -> Facts:
    facts: dict[str, Deviation | Gap] = {gap.id: gap for gap in findings.gaps}
    for deviation in (*findings.deviations, *findings.unmapped):
        facts[deviation.id] = deviation
    return facts


def _text(
    annotation: Annotation, others: tuple[Annotation, ...], data: bytes
) -> Iterator[Problem]:
    body = data.count(b"\n") - annotation.body.count("\n") + 1
    if len(annotation.body) > LONGEST_TEXT:
        yield Problem(
            path=annotation.path,
            line=body,
            message=f"the text has {len(annotation.body):,} characters; the limit is"
            f" {LONGEST_TEXT:,}",
            advice="say here what explains it, and file the rest with `evidence add`",
        )
    reason = substance(annotation, others)
    if reason:
        yield Problem(
            path=annotation.path,
            line=body,
            message=reason,
            advice="write cause, remediation and ticket in your own words",
        )


def _covered(
    annotation: Annotation,
    everything: Mapping[str, list[Deviation | Gap]],
    known: Mapping[tuple[str, str], Superseded],
    node: Node | None,
) -> Iterator[Problem]:
    """Hold the ids that an annotation covers, and its times, against the facts.

    What later evidence moved or took away is told with what stands there now.
    """
    for id_ in annotation.covers:
        if not FINDING.match(id_):
            continue
        stated = annotation.stated(id_)
        bounds = [(item.start, item.end) for item in everything.get(id_, ())]
        if stated in bounds:
            continue
        row = known.get((annotation.path, id_))
        if row and row.by:
            message, advice = row.words, row.advice
        elif not bounds:
            message = f"no assessment has {id_}"
            advice = "take the id from `status`, or remove it"
        else:
            says = " and ".join(sorted({told(*each) for each in bounds}))
            message = f"the times of {id_} are not stated, but the ledger says {says}"
            if stated:
                message = (
                    f"{id_} is stated as {told(*stated)}, but the ledger says {says}"
                )
            advice = f"run `controlbook annotate --refresh {annotation.path}`"
        yield Problem(
            path=annotation.path,
            line=_item_line(node, "covers", id_),
            message=f"covers: {message}",
            advice=advice,
        )


def _acknowledged(
    record: SignOff,
    facts: Facts,
    known: Mapping[tuple[str, str], Superseded],
    node: Node | None,
) -> Iterator[Problem]:
    for id_ in record.acknowledged:
        if id_ not in facts:
            row = known.get((record.path, id_))
            yield Problem(
                path=record.path,
                line=_item_line(node, "acknowledged", id_),
                message=f"acknowledged: {row.words}"
                if row
                else f"acknowledged: {record.assessment} has no {id_}",
                advice="write the file again with `attest` or `signoff`",
            )


def _key_line(node: Node | None, key: str) -> int:
    return node.lines.get(key, node.line) if isinstance(node, Table) else 1


def _item_line(node: Node | None, key: str, text: str) -> int:
    listing = node.entries.get(key) if isinstance(node, Table) else None
    for item in listing.items if isinstance(listing, Listing) else ():
        if getattr(item, "text", "") == text:
            return item.line
    return _key_line(node, key)
