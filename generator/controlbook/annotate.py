# SPDX-License-Identifier: Apache-2.0
"""Annotations as files: the facts that `annotate` writes, and a person's words.

Rules enforced here:
- start and end are the facts of what is covered, and are left out where they are open
  or differ between the ids covered;
- the file stands below the month of the start, under a name made of its title;
- the explanation has content of its own.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from .errors import ControlbookError
from .signoff import hollow
from .timeline import iso
from .yamlwriter import flow_list, paragraphs, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .model import Deviation, Gap
    from .timeline import Instant

_LONGEST = 60


def annotation(
    *,
    title: str,
    covers: Sequence[Deviation | Gap],
    author: str,
    body: str,
    ticket: str = "",
    audience: str = "auditor",
    taken: Collection[str] = (),
) -> tuple[str, bytes]:
    """Give path and bytes of the annotation that covers deviations and gaps.

    `taken` holds the paths that exist; the new file stands beside them.
    """
    if not covers:
        message = "the annotation covers nothing"
        raise ControlbookError(message, advice="name the ids that `status` lists")
    reason = hollow(body)
    if reason:
        message = f"the explanation does not count: {reason}"
        raise ControlbookError(
            message, advice="say what caused it, and what was done about it"
        )
    written = annotation_bytes(
        title=title,
        covers=tuple(sorted(found.id for found in covers)),
        start=_common([found.start for found in covers]),
        end=_common([found.end for found in covers]),
        author=author,
        ticket=ticket,
        audience=audience,
        body=body,
    )
    month = iso(min(found.start for found in covers))[:7]
    return _free(f"annotations/{month}/{slug(title)}", taken), written


def annotation_bytes(  # noqa: PLR0913 - the fields of the file
    *,
    title: str,
    covers: Sequence[str],
    start: Instant | None,
    end: Instant | None,
    author: str,
    body: str,
    ticket: str = "",
    audience: str = "auditor",
) -> bytes:
    """Write an annotation as the bytes of its file."""
    fields = {
        "title": quoted(title) if title else "",
        "covers": flow_list(covers),
        "start": quoted(iso(start)) if start is not None else "",
        "end": quoted(iso(end)) if end is not None else "",
        "author": quoted(author),
        "ticket": quoted(ticket) if ticket else "",
        "audience": quoted(audience),
    }
    lines = [f"{key}: {value}" for key, value in fields.items() if value]
    front = "\n".join(["---", *lines, "---"])
    return f"{front}\n{paragraphs(body)}".encode()


def slug(title: str) -> str:
    """Make a file name of a title."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    return words[:_LONGEST].strip("-") or "annotation"


def _common(moments: Sequence[Instant | None]) -> Instant | None:
    return moments[0] if len(set(moments)) == 1 else None


def _free(stem: str, taken: Collection[str]) -> str:
    path, number = f"{stem}.md", 2
    while path in taken:
        path, number = f"{stem}-{number}.md", number + 1
    return path
