# SPDX-License-Identifier: Apache-2.0
"""`controlbook annotate`: explain deviations and evidence gaps, with their facts."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from controlbook.annotate import annotation, annotation_bytes, slug, stating
from controlbook.errors import ControlbookError
from controlbook.outcome import Outcome
from controlbook.people import acting, deliver
from controlbook.programme import Programme
from controlbook.superseded import refreshed

if TYPE_CHECKING:
    import argparse

    from controlbook.model import Deviation, Gap


def annotate(options: argparse.Namespace) -> Outcome:
    """Write the annotation, or propose it by a pull request."""
    programme = Programme.open(options.root)
    if options.refresh:
        return _refresh(options, programme)
    if not options.ids or not options.title:
        message = "which ids are explained, or under what title, is not said"
        raise ControlbookError(message, advice="name the ids, and give --title")
    person = acting(options, programme.library)
    known = _known(programme)
    missing = [name for name in options.ids if name not in known]
    if missing:
        message = f"no assessment has {', '.join(missing)}"
        raise ControlbookError(message, advice="`controlbook status` lists the ids")
    path, content = annotation(
        title=options.title,
        covers=[known[name] for name in options.ids],
        author=person.id,
        body=_text(options),
        ticket=options.ticket,
        audience=options.audience,
        taken=set(programme.files),
    )
    return deliver(
        options,
        programme,
        {path: content},
        branch=f"annotate/{slug(options.title)}",
        title=f"Annotate: {options.title}",
        body=f"Explains {', '.join(options.ids)}. {options.ticket}".strip(),
        schema="controlbook/annotate/1",
    )


def _refresh(options: argparse.Namespace, programme: Programme) -> Outcome:
    """Carry an annotation over to what stands now, in its own words, visibly.

    Whoever does it says that the text still explains what it then covers; that is
    why nothing does it by itself.
    """
    if options.ids:
        message = "an annotation that is refreshed keeps its ids, where they stand"
        raise ControlbookError(message, advice="leave the ids out")
    person = acting(options, programme.library)
    path = options.refresh
    note = next((n for n in programme.library.annotations if n.path == path), None)
    if note is None:
        message = "there is no annotation here"
        raise ControlbookError(
            message, place=path, advice="name its path below `annotations/`"
        )
    rows = [
        row
        for name in programme.library.assessments
        for row in programme.superseded(name)
        if row.path == path
    ]
    covers = refreshed(note, _known(programme), rows)
    also = [id_ for id_ in note.covers if id_ in programme.library.controls]
    if not covers:
        message = "nothing is left of what it covers"
        raise ControlbookError(
            message, place=path, advice=f"remove it: `git rm {path}`"
        )
    again = replace(stating(note, covers, also), author=person.id)
    if again == note:
        return Outcome(text=f"{path}: its times are the ledger's", data=_nothing())
    return deliver(
        options,
        programme,
        {path: annotation_bytes(again)},
        branch=f"annotate/again-{slug(path)}",
        title=f"Confirm again: {note.title or path}",
        body="\n".join(row.words for row in rows),
        schema="controlbook/annotate/1",
    )


def _nothing() -> dict[str, object]:
    return {"schema": "controlbook/annotate/1", "files": []}


def _known(programme: Programme) -> dict[str, Deviation | Gap]:
    known: dict[str, Deviation | Gap] = {}
    for name in programme.library.assessments:
        findings = programme.findings(name)
        known.update({item.id: item for item in findings.deviations})
        known.update({item.id: item for item in findings.gaps})
    return known


def _text(options: argparse.Namespace) -> str:
    if options.text:
        return str(options.text)
    if options.file:
        try:
            return str(options.file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ControlbookError(str(error), place="--file") from error
    if not sys.stdin.isatty():
        return sys.stdin.read()
    message = "the explanation is missing"
    raise ControlbookError(message, advice="give --text, --file, or pipe it in")
