# SPDX-License-Identifier: Apache-2.0
"""`controlbook annotate`: explain deviations and evidence gaps, with their facts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from controlbook.annotate import annotation, slug
from controlbook.errors import ControlbookError
from controlbook.people import acting, deliver
from controlbook.programme import Programme

if TYPE_CHECKING:
    import argparse

    from controlbook.model import Deviation, Gap
    from controlbook.outcome import Outcome


def annotate(options: argparse.Namespace) -> Outcome:
    """Write the annotation, or propose it by a pull request."""
    programme = Programme.open(options.root)
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
