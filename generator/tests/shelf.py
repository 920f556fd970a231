# SPDX-License-Identifier: Apache-2.0
"""A site of two assessments as values: a released one, and a draft beside it."""

from __future__ import annotations

from dataclasses import replace

import payloads
import small

from controlbook.render.report import Book, Report, offered


def draft() -> Report:
    """Give the small programme again, under another name and not released."""
    base = small.report(release="")
    assessment = replace(
        base.assessment,
        id="SOC2-2028",
        title="SOC 2, five days of February 2028",
        excluded=(),
    )
    framework = replace(base.framework, retired="", title="SOC 2", url="https://x.test")
    return replace(base, assessment=assessment, framework=framework)


def released() -> Report:
    """Give the small programme, released, with its downloads."""
    return replace(
        small.report(),
        downloads=offered("PCI-2028-FEB"),
    )


def shelf() -> Book:
    """Give both on one site."""
    return Book(reports=(released(), draft()))


EVIL = "<img src=x onerror=alert(1)> {{ x }} [y](javascript:z) *b*\n\n# h"


BODY = "\n\n".join([EVIL, *payloads.ALL])


def hostile() -> Report:
    """Give the small programme with names, titles and texts that attack a page."""
    base = small.report()
    library, framework = base.library, base.framework
    requirement = replace(framework.requirements["3.4"], title=EVIL)
    control = replace(
        library.controls["pan-encrypted-at-rest"], title=EVIL, statement=EVIL
    )
    person = replace(library.people["j-moreau"], name=EVIL)
    return replace(
        base,
        library=replace(
            library,
            controls={**library.controls, control.id: control},
            people={**library.people, person.id: person},
            annotations=tuple(
                replace(note, body=BODY, ticket=EVIL, title=EVIL)
                for note in library.annotations
            ),
        ),
        framework=replace(
            framework,
            title=EVIL,
            requirements={**framework.requirements, "3.4": requirement},
        ),
        assessment=replace(
            base.assessment, title=EVIL, entity=EVIL, excluded=(("1", EVIL),)
        ),
    )
