# SPDX-License-Identifier: Apache-2.0
"""The shell: a table of verbs, one parser, one place that prints and exits.

Rules enforced here:
- results go to stdout, talk to stderr; `--json` gives the same result as data;
- an error that a user can cause prints one line per problem and no traceback;
- nothing heavy is imported before a verb runs.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import threading
import traceback
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from . import __version__
from .errors import STORAGE, ControlbookError, Exit
from .verbs import SHARED, VERBS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .outcome import Outcome


INTERRUPTED = "interrupted; nothing is left half written, run it again to go on"
DESCRIPTION = """\
Compliance as code: AWS Config's verdicts, signed off in Git, as a site, a PDF
and a bundle that verifies offline."""
BEGIN = """\
to begin:
  controlbook demo      try all of it out, in build/demo, without an AWS account
  controlbook init DIR  lay down a programme of your own
  controlbook VERB -h   what a verb takes, with an example"""
CODES = """\
exit codes:
  0 fine · 1 it worked and found something · 2 wrong usage or an invalid file
  3 unexpected error · 4 integrity failed · 5 a source unavailable or incomplete"""
GARBAGE = 50_000
"""New objects between two looks for garbage: a ledger is many values that stay."""


def parser() -> argparse.ArgumentParser:
    """Build the parser from the table of verbs."""
    shared = argparse.ArgumentParser(add_help=False)
    for argument in SHARED:
        shared.add_argument(*argument.names, **argument.options)
    main_parser = argparse.ArgumentParser(
        prog="controlbook",
        description=DESCRIPTION,
        epilog=f"{BEGIN}\n\n{CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main_parser.add_argument(
        "--version", action="version", version=f"controlbook {__version__}"
    )
    verbs = main_parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        sub = verbs.add_parser(
            verb.name,
            parents=[shared],
            help=verb.help,
            description=f"{verb.help[0].upper()}{verb.help[1:]}.",
            epilog=f"example:\n  {verb.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for argument in verb.arguments:
            sub.add_argument(*argument.names, **argument.options)
    return main_parser


def run(arguments: Sequence[str]) -> Outcome:
    """Run one verb and give its outcome; prints nothing to stdout."""
    _refuse_no_verb(arguments[0] if arguments else "")
    options = parser().parse_args(arguments)
    # What `completion` writes from: a verb cannot ask the shell that calls it.
    verb = next(verb for verb in VERBS if verb.name == options.verb)
    module = import_module(f"controlbook.commands.{verb.module}")
    outcome: Outcome = getattr(module, verb.function or verb.name)(options)
    return outcome


def _refuse_no_verb(word: str) -> None:
    """Say what was meant where the first word is no verb."""
    names = [verb.name for verb in VERBS]
    if word in {*names, "-h", "--help", "--version"}:
        return
    advice = "`controlbook --help` lists the verbs"
    if not word:
        message = f"{DESCRIPTION}\n\n{BEGIN}\n\nno verb is given"
    elif word.startswith("-"):
        message = f"{word} stands before the verb"
        advice = "flags come behind it: controlbook VERB [FLAGS]"
    else:
        message = f"there is no verb {word!r}"
        alike = get_close_matches(word, names, n=1)
        if alike:
            advice = f"did you mean `{alike[0]}`? {advice}"
    raise ControlbookError(message, advice=advice, code=Exit.USAGE)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    gc.set_threshold(GARBAGE)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _stop_when_told()
        outcome = run(given)
        _print(outcome, as_json="--json" in given)
        code = outcome.code
    except ControlbookError as error:
        if "-v" in given or "--verbose" in given:
            traceback.print_exc()
        print(error, file=sys.stderr)  # noqa: T201 - the shell prints
        code = error.code
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)  # noqa: T201
        code = Exit.UNAVAILABLE
    except BrokenPipeError:
        # The reader of stdout went away (`| head`): that is no fault of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.FINE
    except OSError as error:
        code = _storage(error)
    except Exception:  # noqa: BLE001 - the one handler for what nobody foresaw
        traceback.print_exc()
        code = Exit.UNEXPECTED
    sys.exit(int(code))


def _stop_when_told() -> None:
    """Let SIGTERM end a run as Ctrl-C does: what was begun is tidied up."""

    def stop(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)


def _storage(error: OSError) -> Exit:
    """Say that there is no room, or no right to write; the rest is a fault of ours."""
    advice = STORAGE.get(error.errno or 0)
    if advice is None:
        traceback.print_exc()
        return Exit.UNEXPECTED
    place = error.filename or "disk"
    print(  # noqa: T201 - the shell prints
        f"{place}: {error.strerror}; {advice} and run it again", file=sys.stderr
    )
    return Exit.UNAVAILABLE


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome.data, indent=2, ensure_ascii=False))  # noqa: T201
    elif outcome.text:
        print(outcome.text)  # noqa: T201
    sys.stdout.flush()
