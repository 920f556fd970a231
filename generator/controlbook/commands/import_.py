# SPDX-License-Identifier: Apache-2.0
"""`controlbook import`: what others published, as a change for people to review.

Rules enforced here:
- it edits the work tree or opens a pull request; it commits nothing to main;
- the result is checked before anything is written: a file that would not pass `check`
  is refused, and what it asks of other files (a number that an assessment now has to
  take in or exclude) is said, with exit 1;
- `--dry-run` prints the difference and writes nothing.
"""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError, Exit, InvalidFiles
from controlbook.imports.audit_manager import audit_manager
from controlbook.imports.csv_table import table
from controlbook.imports.oscal import oscal
from controlbook.imports.packs import template
from controlbook.imports.plan import Target, plan
from controlbook.library import load
from controlbook.outcome import Outcome
from controlbook.people import deliver
from controlbook.programme import Programme

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from controlbook.imports import Imported
    from controlbook.imports.plan import Plan

SCHEMA = "controlbook/import/1"


def bring_in(options: argparse.Namespace) -> Outcome:
    """Read a source, work out the change, and write, propose or show it."""
    # A pull request starts from what is committed, not from what lies about here.
    start = Programme.open if options.pr else Programme.of_work_tree
    programme = start(options.root)
    library = programme.library
    imported = _read(options, programme)
    owners = library.people.keys() | library.teams.keys()
    if options.owner and options.owner not in owners:
        message = f"people.yml has no {options.owner!r}"
        raise ControlbookError(message, place="--owner")
    if options.requirement and not options.framework:
        message = "a requirement belongs to a framework"
        raise ControlbookError(
            message, place="--requirement", advice="give --framework"
        )
    target = Target(
        framework=options.framework or "",
        title=options.title or "",
        owner=options.owner or "",
        under=options.requirement or "",
    )
    made = plan(imported, library, programme.files, target)
    changed = {
        path: body
        for path, body in made.files.items()
        if programme.files.get(path) != body
    }
    problems = load({**programme.files, **changed})[1]
    broken = tuple(problem for problem in problems if problem.path in changed)
    if broken:
        raise InvalidFiles(broken)
    made.notes += [f"to mend: {problem}" for problem in problems]
    code = Exit.FOUND if problems else Exit.FINE
    if options.dry_run or not changed:
        return _shown(imported, made, programme.files, changed, code)
    outcome = deliver(
        options,
        programme,
        changed,
        branch=f"import/{imported.key}",
        title=f"Import {imported.title}",
        body="\n".join([imported.source, "", *(f"- {note}" for note in made.notes)]),
        schema=SCHEMA,
    )
    return Outcome(
        text="\n".join([outcome.text, *_summary(imported, made)]),
        data={**outcome.data, **_data(imported, made)},
        code=code,
    )


def _read(options: argparse.Namespace, programme: Programme) -> Imported:
    given = dict(_pair(text) for text in options.parameter)
    if given and options.kind != "conformance-pack":
        message = "only a conformance pack's template has parameters"
        raise ControlbookError(message, place="--parameter")
    if options.kind == "deployed-pack":
        # boto3 takes long to load, and only this kind needs it.
        from controlbook.sources.packs import deployed_pack  # noqa: PLC0415

        settings = programme.library.settings
        return deployed_pack(options.source, settings, options.account or "")
    from pathlib import Path  # noqa: PLC0415 - only files from here on

    data = _bytes(Path(options.source))
    if options.kind == "conformance-pack":
        return template(data, options.source, given)
    reader = {"audit-manager": audit_manager, "oscal": oscal, "csv": table}
    return reader[options.kind](data, options.source)


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        message = f"{text!r} is not NAME=VALUE"
        raise ControlbookError(message, place="--parameter")
    return name, value


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        message = error.strerror or str(error)
        raise ControlbookError(message, place=str(file)) from error


def _shown(
    imported: Imported,
    made: Plan,
    before: Mapping[str, bytes],
    changed: Mapping[str, bytes],
    code: Exit,
) -> Outcome:
    lines: list[str] = []
    for path in sorted(changed):
        old = before.get(path)
        lines += unified_diff(
            (old or b"").decode().splitlines(),
            changed[path].decode().splitlines(),
            f"a/{path}" if old is not None else "/dev/null",
            f"b/{path}",
            lineterm="",
        )
    return Outcome(
        text="\n".join([*lines, *_summary(imported, made)]),
        data={
            "schema": SCHEMA,
            "files": sorted(changed),
            "diff": "\n".join(lines),
            **_data(imported, made),
        },
        code=code,
    )


def _summary(imported: Imported, made: Plan) -> list[str]:
    counts = (
        f"{imported.source}: {made.controls} new controls, {made.present} pieces of "
        f"evidence that controls already name, {made.requirements} new requirements, "
        f"{made.mappings} proposed mappings"
    )
    return [counts, *(f"note: {note}" for note in made.notes)]


def _data(imported: Imported, made: Plan) -> dict[str, object]:
    return {
        "source": imported.source,
        "text_of": imported.marked,
        "controls": made.controls,
        "present": made.present,
        "requirements": made.requirements,
        "mappings": made.mappings,
        "notes": made.notes,
    }
