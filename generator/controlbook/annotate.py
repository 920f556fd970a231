# SPDX-License-Identifier: Apache-2.0
"""Annotations as files: the facts that `annotate` writes, and a person's words.

Rules enforced here:
- start and end are the facts of what is covered; an end that is open is left out, and
  where they are not the same for all ids covered, `times` states those of each;
- the file stands below the month of the start, under a name made of its title;
- the explanation has content of its own.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

from .annotations import substance
from .errors import ControlbookError
from .model import Annotation
from .timeline import iso, told
from .yamlwriter import flow_list, paragraphs, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .model import Deviation, Gap

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
    made = stating(
        Annotation(
            path="",
            sha256="",
            covers=(),
            start=None,
            end=None,
            author=author,
            body=paragraphs(body),
            ticket=ticket,
            audience=audience,
            title=title,
        ),
        covers,
    )
    reason = substance(made, ())
    if reason:
        message = f"the explanation does not count: {reason}"
        raise ControlbookError(
            message, advice="say what caused it, and what was done about it"
        )
    month = iso(min(found.start for found in covers))[:7]
    return _free(f"annotations/{month}/{slug(title)}", taken), annotation_bytes(made)


def stating(
    note: Annotation, covers: Sequence[Deviation | Gap], also: Sequence[str] = ()
) -> Annotation:
    """Let an annotation cover these, with their times as they are (and `also` ids)."""
    bounds = {(found.start, found.end) for found in covers}
    same = next(iter(bounds)) if len(bounds) == 1 else None
    return replace(
        note,
        covers=tuple(sorted({*(found.id for found in covers), *also})),
        start=same[0] if same else None,
        end=same[1] if same else None,
        times=()
        if same
        else tuple(sorted((found.id, found.start, found.end) for found in covers)),
    )


def annotation_bytes(made: Annotation) -> bytes:
    """Write an annotation as the bytes of its file."""
    fields = {
        "title": quoted(made.title) if made.title else "",
        "covers": flow_list(made.covers),
        "start": quoted(iso(made.start)) if made.start is not None else "",
        "end": quoted(iso(made.end)) if made.end is not None else "",
        "times": flow_list(
            f"{id_} {told(start, end)}" for id_, start, end in made.times
        )
        if made.times
        else "",
        "author": quoted(made.author),
        "ticket": quoted(made.ticket) if made.ticket else "",
        "audience": quoted(made.audience),
    }
    lines = [f"{key}: {value}" for key, value in fields.items() if value]
    front = "\n".join(["---", *lines, "---"])
    return f"{front}\n{paragraphs(made.body)}".encode()


def slug(title: str) -> str:
    """Make a file name of a title."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    return words[:_LONGEST].strip("-") or "annotation"


def _free(stem: str, taken: Collection[str]) -> str:
    path, number = f"{stem}.md", 2
    while path in taken:
        path, number = f"{stem}-{number}.md", number + 1
    return path
