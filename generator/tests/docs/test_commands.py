# SPDX-License-Identifier: Apache-2.0
"""docs/commands.md is written from the table of verbs (`--update-golden`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from controlbook.verbs import SHARED, VERBS

if TYPE_CHECKING:
    import pytest

    from controlbook.verbs import Argument

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"

CODES = """\
## Exit codes

| code | meaning |
|---|---|
| 0 | fine |
| 1 | it worked and found something: unsigned, stale, unannotated, a gap |
| 2 | wrong usage, or an invalid file that stands before you |
| 3 | an unexpected error, with its traceback |
| 4 | integrity failed |
| 5 | a source was unavailable or incomplete, or a required input was not supplied |
"""


def name(argument: Argument) -> str:
    options = argument.options
    shown = options.get("metavar") or options.get("dest") or argument.names[0]
    if not argument.names[0].startswith("-"):
        return f"`{shown}`{' …' if options.get('nargs') == '+' else ''}"
    words = ", ".join(argument.names)
    flag = options.get("action") == "store_true"
    value = "" if flag else f" {options.get('metavar') or 'VALUE'}"
    return f"`{words}{value}`"


def meaning(argument: Argument) -> str:
    parts = [str(argument.options.get("help", ""))]
    if argument.options.get("choices"):
        choices = ", ".join(f"`{c}`" for c in argument.options["choices"])
        parts.append(f"one of {choices}")
    if argument.options.get("required"):
        parts.append("required")
    return "; ".join(filter(None, parts))


def table(arguments: tuple[Argument, ...]) -> list[str]:
    rows = [f"| {name(a)} | {meaning(a)} |" for a in arguments]
    return ["| argument | meaning |", "|---|---|", *rows, ""] if rows else []


def written() -> str:
    lines = [
        "# Commands",
        "",
        "Written from the program itself; a test compares the two.",
        "Every verb prints its result on stdout and talks on stderr.",
        "",
        "## Every verb takes",
        "",
        *table(SHARED),
    ]
    for verb in VERBS:
        title = f"{verb.help[0].upper()}{verb.help[1:]}."
        lines += [f"## controlbook {verb.name}", "", title, ""]
        lines += [*table(verb.arguments), "```sh", verb.example, "```", ""]
    return "\n".join([*lines, CODES])


def test_the_page_of_commands_is_what_the_program_takes(
    pytestconfig: pytest.Config,
) -> None:
    if pytestconfig.getoption("--update-golden"):
        PAGE.write_text(written(), encoding="utf-8")
    assert PAGE.read_text("utf-8") == written()
