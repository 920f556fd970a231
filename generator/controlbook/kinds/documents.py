# SPDX-License-Identifier: Apache-2.0
"""evidence/manual/<id>.yml and annotations/**/*.md: what people add to the evidence.

Rules enforced here:
- manual evidence names its owner, the period it covers, and the vault object by
  digest, so that the file in Git stands for exactly one document;
- an annotation covers ids of deviations, gaps or controls, and names its author; where
  the times of what it covers are not the same, it states them one by one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from controlbook.model import Annotation, ManualEvidence, StoredObject
from controlbook.timeline import instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from controlbook.reading import Fields
    from controlbook.timeline import Instant

AUDIENCES = ("auditor", "internal")
LOCKS = ("COMPLIANCE", "GOVERNANCE", "none")

FINDING = re.compile(r"(?:dev|gap)-[0-9a-f]{16}\Z")
"""The id of a deviation or of an evidence gap."""

_LOOKS_LIKE_FINDING = re.compile(r"(?:dev|gap)-")
_TIMES = re.compile(r"((?:dev|gap)-[0-9a-f]{16}) (\S+) to (\S+)\Z")


def read_manual(
    fields: Fields, id_: str, sha256: str, owners: Collection[str]
) -> ManualEvidence | None:
    """Read one evidence/manual/<id>.yml; None without a period or time of receipt."""
    fields.same("id", id_, "the file's name")
    title = fields.text("title")
    owner = fields.reference("owner", owners, "person or team")
    covers = fields.interval("period")
    received = fields.moment("received")
    expires = fields.moment("expires", required=False)
    file = fields.text("file")
    if "/" in file or "\\" in file:
        fields.problem("file", "is a path", "write the file's name only")
    version = fields.optional("version")
    content, size = fields.digest("content_sha256"), fields.whole("size")
    stored = _object(fields)
    fields.finish()
    if expires is not None and received is not None and expires <= received:
        fields.problem("expires", "is not after `received`")
    if covers is None or received is None:
        return None
    return ManualEvidence(
        id=id_,
        title=title,
        owner=owner,
        covers=covers,
        received=received,
        expires=expires,
        file=file,
        content_sha256=content,
        size=size,
        object=stored,
        path=fields.page.path,
        sha256=sha256,
        version=version,
    )


def _object(fields: Fields) -> StoredObject:
    row = fields.table("object")
    if row is None:
        return StoredObject(
            role="manual",
            bucket="",
            key="",
            version_id="",
            sha256="",
            size=0,
            lock_mode="none",
            lock_until="",
        )
    stored = StoredObject(
        role="manual",
        bucket=row.text("bucket"),
        key=row.text("key"),
        version_id=row.text("version_id"),
        sha256=row.digest("sha256"),
        size=row.whole("size"),
        lock_mode=row.choice("lock_mode", LOCKS),
        lock_until=row.optional("lock_until"),
        encryption=row.optional("encryption"),
    )
    if stored.lock_until:
        row.moment("lock_until")
    row.finish()
    return stored


def read_annotation(
    fields: Fields,
    body: str,
    sha256: str,
    people: Collection[str],
    controls: Collection[str],
) -> Annotation:
    """Read one annotation: its front matter, and the Markdown as it stands."""
    covers = fields.listing("covers")
    for line, id_ in covers:
        if _LOOKS_LIKE_FINDING.match(id_):
            if not FINDING.match(id_):
                message = f"covers: {id_!r} is not dev- or gap- and 16 hex digits"
                fields.page.problem(line, message, "copy the id from `status`")
        else:
            fields.refer(line, id_, controls, "deviation, gap or control")
    start = fields.moment("start", required=False)
    end = fields.moment("end", required=False)
    if start is not None and end is not None and start >= end:
        fields.problem("end", "is not after `start`", "let `annotate` write both")
    annotation = Annotation(
        path=fields.page.path,
        sha256=sha256,
        covers=tuple(id_ for _, id_ in covers),
        start=start,
        end=end,
        author=fields.reference("author", people, "person"),
        body=body,
        ticket=fields.optional("ticket"),
        audience=fields.choice("audience", AUDIENCES, AUDIENCES[0]),
        title=fields.optional("title"),
        times=tuple(_times(fields, {id_ for _, id_ in covers})),
    )
    fields.finish()
    return annotation


def _times(
    fields: Fields, covers: Collection[str]
) -> Iterator[tuple[str, Instant, Instant | None]]:
    """Read `ID START to END`, once for each id whose times are not those of all."""
    seen: set[str] = set()
    for line, text in fields.listing("times", required=False):
        match = _TIMES.match(text)
        flaw = ""
        if match is None:
            flaw = f"{text!r} is not `ID START to END`, in UTC, or `to open`"
        elif match[1] not in covers:
            flaw = f"{match[1]} is not among `covers`"
        elif match[1] in seen:
            flaw = f"{match[1]} stands twice"
        else:
            seen.add(match[1])
            try:
                start = instant(match[2])
                end = None if match[3] == "open" else instant(match[3])
            except ValueError as error:
                flaw = str(error)
            else:
                if end is None or start < end:
                    yield match[1], start, end
                else:
                    flaw = f"{text!r} ends before it starts"
        if flaw:
            advice = "let `controlbook annotate` write it"
            fields.page.problem(line, f"times: {flaw}", advice)
