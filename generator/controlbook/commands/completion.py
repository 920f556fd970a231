# SPDX-License-Identifier: Apache-2.0
"""`controlbook completion`: what a shell needs to complete verbs and flags.

Rules enforced here:
- everything comes from the table of verbs, so a new verb completes at once;
- it is text for `source`: it runs nothing but the shell's own completion.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from controlbook.outcome import Outcome
from controlbook.verbs import SHARED, VERBS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from controlbook.verbs import Argument, Verb


FILES = "@files"
"""Stands for the names of files and folders, which the shell completes itself."""


def completion(options: argparse.Namespace) -> Outcome:
    """Write the completion script of a shell."""
    script = SCRIPTS[options.shell](VERBS, SHARED)
    return Outcome(
        text=script.rstrip("\n"),
        data={
            "schema": "controlbook/completion/1",
            "shell": options.shell,
            "script": script,
        },
    )


def words(arguments: Iterable[Argument]) -> tuple[str, ...]:
    """List what may follow a verb: its flags, and the words of closed sets."""
    found: list[str] = []
    for argument in arguments:
        if argument.names[0].startswith("-"):
            found += argument.names
        else:
            found += argument.options.get("choices", ())
    return tuple(found)


def values(arguments: Iterable[Argument]) -> dict[str, tuple[str, ...]]:
    """Give, for each flag that takes a value, the words it may be."""
    return {
        name: tuple(argument.options.get("choices", (FILES,)))
        for argument in arguments
        if argument.options.get("action") not in {"store_true", "version"}
        for name in argument.names
        if name.startswith("-")
    }


def _bash(verbs: Sequence[Verb], shared: Sequence[Argument]) -> str:
    names = " ".join(verb.name for verb in verbs)
    cases = [
        f"        {verb.name})\n{_bash_verb((*verb.arguments, *shared))}"
        for verb in verbs
    ]
    return f"""\
# Completion of controlbook for bash: source <(controlbook completion bash)
_controlbook() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local words=""
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W {shlex.quote(f"{names} --help --version")} -- "$word"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{"".join(cases)}    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    if [[ "$word" != -* ]]; then
        COMPREPLY+=($(compgen -f -- "$word"))
    fi
}}
complete -o filenames -F _controlbook controlbook
"""


def _bash_verb(arguments: Sequence[Argument]) -> str:
    lines = ['            case "$before" in']
    for flag, choices in values(arguments).items():
        kind = "-f" if choices == (FILES,) else f"-W {shlex.quote(' '.join(choices))}"
        done = f'COMPREPLY=($(compgen {kind} -- "$word")); return'
        lines.append(f"                {flag}) {done};;")
    lines += [
        "            esac",
        f"            words={shlex.quote(' '.join((*words(arguments), '--help')))};;",
    ]
    return "\n".join(lines) + "\n"


def _zsh(verbs: Sequence[Verb], shared: Sequence[Argument]) -> str:
    named = "\n".join(
        f"        {shlex.quote(f'{verb.name}:{verb.help}')}" for verb in verbs
    )
    cases = "\n".join(
        f"        {verb.name}) _arguments "
        + " ".join(_zsh_argument(a) for a in (*verb.arguments, *shared))
        + ";;"
        for verb in verbs
    )
    return f"""\
#compdef controlbook
# Completion of controlbook for zsh: source <(controlbook completion zsh)
_controlbook() {{
    local -a verbs
    verbs=(
{named}
    )
    if (( CURRENT == 2 )); then
        _describe verb verbs
        return
    fi
    local verb=$words[2]
    shift words
    (( CURRENT-- ))
    case $verb in
{cases}
    esac
}}
compdef _controlbook controlbook
"""


def _zsh_argument(argument: Argument) -> str:
    options = argument.options
    choices = options.get("choices")
    values_ = f"({' '.join(choices)})" if choices else "_files"
    about = str(options.get("help", "")).replace(":", r"\:")
    about = about.replace("[", "(").replace("]", ")")
    label = str(options.get("metavar") or argument.names[0].lstrip("-")).lower()
    if not argument.names[0].startswith("-"):
        rest = "*" if options.get("nargs") in {"+", "*"} else ""
        return shlex.quote(f"{rest}:{label}:{values_}")
    flag = options.get("action") == "store_true"
    takes = "" if flag else f":{label}:{values_}"
    return " ".join(shlex.quote(f"{name}[{about}]{takes}") for name in argument.names)


SCRIPTS = {"bash": _bash, "zsh": _zsh}
