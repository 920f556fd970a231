# SPDX-License-Identifier: Apache-2.0
"""The table of verbs: what each is called, takes and is for.

Rules enforced here:
- the table is data: nothing of a verb is imported to print `--help`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a verb, as argparse takes it."""

    names: tuple[str, ...]
    options: Mapping[str, Any]  # argparse's own keyword arguments


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb of the command line; `controlbook.commands.<module>.<name>` runs it."""

    name: str
    module: str
    help: str
    example: str
    arguments: tuple[Argument, ...] = ()
    function: str = ""
    """Where the verb is a word of Python (`import`): the function's own name."""


def _argument(*names: str, **options: Any) -> Argument:  # noqa: ANN401 - argparse's
    return Argument(names, options)


_ASSESSMENT = _argument("assessment", metavar="ASSESSMENT", help="e.g. PCI-2028-Q1")
_PERSON = _argument(
    "--as",
    dest="person",
    metavar="PERSON",
    help="who acts: an id of people.yml (default: $CONTROLBOOK_PERSON)",
)
_PROPOSE = _argument(
    "--pr", action="store_true", help="commit to a branch, push, open a pull request"
)
_STATEMENT = (
    _argument("--statement", metavar="TEXT", help="what the person states, in words"),
    _argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="YAML with a statement for each, instead of --statement",
    ),
)

VERBS = (
    Verb(
        "init",
        "init",
        "lay down a programme's repository: a small example to make yours",
        "controlbook init payments-compliance --github example/payments-compliance",
        (
            _argument(
                "folder",
                type=Path,
                nargs="?",
                metavar="DIR",
                help="an empty folder, or one to be made (default: this one)",
            ),
            _argument("--github", default="", metavar="OWNER/NAME"),
            _argument("--entity", default="", metavar="TEXT", help="who is assessed"),
        ),
    ),
    Verb(
        "doctor",
        "doctor",
        "compare what controls rest on with what AWS has deployed",
        "controlbook doctor --account 111122223333",
        (
            _argument(
                "--account", metavar="ID", help="look at this one only (default: all)"
            ),
        ),
    ),
    Verb(
        "import",
        "import_",
        "bring in packs, frameworks, catalogs or tables as a change to review",
        "controlbook import conformance-pack pack.yaml --owner j-moreau --dry-run",
        (
            _argument(
                "kind",
                metavar="KIND",
                choices=(
                    "conformance-pack",
                    "deployed-pack",
                    "audit-manager",
                    "oscal",
                    "csv",
                ),
            ),
            _argument(
                "source", metavar="SOURCE", help="a file, or the deployed pack's name"
            ),
            _argument("--framework", metavar="ID", help="takes numbers and mappings"),
            _argument("--title", metavar="TEXT", help="of a framework that is new"),
            _argument(
                "--requirement",
                metavar="NUMBER",
                help="map every rule to it, where the source names no requirements",
            ),
            _argument("--owner", metavar="PERSON", help="owns controls that are new"),
            _argument(
                "--parameter",
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help="a parameter of the pack's template; may be repeated",
            ),
            _argument("--account", metavar="ID", help="where a pack is deployed"),
            _argument("--dry-run", action="store_true", help="print the difference"),
            _PROPOSE,
        ),
        function="bring_in",
    ),
    Verb(
        "collect",
        "collect",
        "read what AWS measured, store it, and commit its digest",
        "controlbook collect --as-of 2028-02-15T06:00:00Z",
        (
            _argument(
                "--stream",
                default="config",
                choices=(
                    "config",
                    "cloudtrail",
                    "reviews",
                    "snapshot",
                    "security-hub",
                    "audit-manager",
                ),
                help="which evidence to collect (default: config)",
            ),
            _argument("--push", action="store_true", help="push the new commits"),
        ),
    ),
    Verb(
        "check",
        "check",
        "check every human file, all problems at once",
        "controlbook check --json",
        (
            _argument(
                "--owners",
                action="store_true",
                help="say who could approve each governed path",
            ),
        ),
    ),
    Verb(
        "status",
        "status",
        "show where each requirement stands, and who is waited for",
        "controlbook status PCI-2028-Q1",
        (_argument("assessment", nargs="?", metavar="ASSESSMENT"),),
    ),
    Verb(
        "impact",
        "impact",
        "say what a pull request does to the requirements, and who must approve it",
        "controlbook impact origin/main",
        (
            _argument(
                "base",
                nargs="?",
                metavar="BASE",
                help="a commit (default: what was merged into, or where main was left)",
            ),
        ),
    ),
    Verb(
        "coverage",
        "coverage",
        "count how far each framework is mapped, reviewed and assessed",
        "controlbook coverage pci-dss-3.2.1",
        (
            _argument(
                "framework", nargs="?", metavar="FRAMEWORK", help="e.g. pci-dss-3.2.1"
            ),
            _argument(
                "--facts",
                type=Path,
                metavar="DIR",
                help="mapping_*.csv and controls_*.csv to compare with "
                "(default: the reference in the package)",
            ),
            _argument(
                "--to",
                metavar="FRAMEWORK",
                help="lead to the numbers of another framework",
            ),
        ),
    ),
    Verb(
        "state",
        "state",
        "show every resource's state under its rules at an instant",
        "controlbook state --at 2028-02-14T03:15:00Z --resource stale-backup-archive",
        (
            _argument("--at", metavar="TIME", help="default: the last run's end"),
            _argument(
                "--live", action="store_true", help="ask AWS now; records nothing"
            ),
            _argument("--account", metavar="ID", help="an account's id"),
            _argument("--rule", metavar="NAME"),
            _argument("--resource", metavar="TEXT", help="part of a resource's name"),
        ),
    ),
    Verb(
        "annotate",
        "annotate",
        "explain a deviation or an evidence gap",
        "controlbook annotate dev-5f2c9a1e77b04c13 --as j-moreau --ticket PCI-4432 \\\n"
        '    --title "Stale backup archive" --text "Somebody switched it off …"',
        (
            _argument("ids", nargs="*", metavar="ID", help="dev-… or gap-…"),
            _argument("--title", metavar="TEXT"),
            _argument(
                "--refresh",
                metavar="PATH",
                help="carry an annotation over to what the ledger says now, after its "
                "text was read again",
            ),
            _argument("--text", metavar="TEXT", help="the explanation, in Markdown"),
            _argument("--file", type=Path, help="a Markdown file with the explanation"),
            _argument("--ticket", default="", metavar="KEY"),
            _argument("--audience", default="auditor", choices=("auditor", "internal")),
            _PERSON,
            _PROPOSE,
        ),
    ),
    Verb(
        "evidence",
        "evidence",
        "put a document into the vault as manual evidence",
        "controlbook evidence add policy.pdf --id password-policy "
        '--title "Password policy" \\\n'
        "    --owner l-haddad --from 2028-01-01 --until 2029-01-01",
        (
            _argument("action", choices=("add",)),
            _argument("file", type=Path, metavar="FILE"),
            _argument("--id", required=True, dest="document", metavar="ID"),
            _argument("--title", required=True, metavar="TEXT"),
            _argument("--owner", required=True, metavar="PERSON"),
            _argument("--from", required=True, dest="start", metavar="DATE"),
            _argument("--until", required=True, dest="end", metavar="DATE"),
            _argument("--received", metavar="DATE", help="default: the day of --as-of"),
            _argument("--expires", metavar="DATE", help="default: the day of --until"),
            _argument("--version", dest="edition", default="", metavar="TEXT"),
            _PROPOSE,
        ),
    ),
    Verb(
        "attest",
        "attest",
        "attest controls as their owner",
        "controlbook attest PCI-2028-Q1 pan-encrypted-at-rest --as j-moreau --pr \\\n"
        '    --statement "This control is mine; the deviation is explained."',
        (
            _ASSESSMENT,
            _argument("controls", nargs="+", metavar="CONTROL"),
            *_STATEMENT,
            _argument("--withdraw", action="store_true", help="take it back"),
            _PERSON,
            _PROPOSE,
        ),
    ),
    Verb(
        "signoff",
        "attest",
        "sign requirements off as their assessor",
        "controlbook signoff PCI-2028-Q1 3.4 --as m-lindqvist --pr \\\n"
        '    --conclusion satisfied --statement "I read the evidence and …"',
        (
            _ASSESSMENT,
            _argument("requirements", nargs="+", metavar="REQUIREMENT"),
            _argument(
                "--conclusion",
                choices=(
                    "satisfied",
                    "not-satisfied",
                    "compensated",
                    "not-applicable",
                    "not-tested",
                ),
            ),
            *_STATEMENT,
            _argument("--reject", action="store_true", help="refuse to sign, with why"),
            _argument("--withdraw", action="store_true", help="take it back"),
            _PERSON,
            _PROPOSE,
        ),
    ),
    Verb(
        "seal",
        "seal",
        "sign what a pull request proposes with your SSH key, for its review",
        "controlbook seal origin/signoff/PCI-2028-Q1/3.4 --as m-lindqvist \\\n"
        "    --key ~/.ssh/id_ed25519",
        (
            _argument("rev", metavar="REV", help="the pull request's head, fetched"),
            _argument(
                "--key",
                type=Path,
                metavar="FILE",
                help="private key, or a public one in an agent (default: print how)",
            ),
            _PERSON,
        ),
    ),
    Verb(
        "checkpoint",
        "checkpoint",
        "write down how far the ledger reaches, signed and time-stamped",
        "controlbook checkpoint --push",
        (_argument("--push", action="store_true", help="push the new commit"),),
    ),
    Verb(
        "release",
        "release",
        "end an assessment: check everything, build it, tag it",
        "controlbook release PCI-2028-Q1",
        (
            _ASSESSMENT,
            _argument("--push", action="store_true", help="push commit and tag"),
            _argument(
                "--sign",
                action="store_true",
                help="sign the tag with Git's SSH key, where the policy leaves it open",
            ),
        ),
    ),
    Verb(
        "build",
        "build",
        "build site, PDF, data files, OSCAL and bundle from the present commit",
        "controlbook build PCI-2028-Q1 --draft",
        (
            _argument("assessment", nargs="?", metavar="ASSESSMENT"),
            _argument(
                "--draft",
                action="store_true",
                help="build what is not released, with DRAFT on every page",
            ),
            _argument(
                "--internal",
                action="store_true",
                help="show your licensed copy of the standard's text; with --draft",
            ),
            _argument("--out", type=Path, metavar="DIR", help="default: build"),
        ),
    ),
    Verb(
        "export",
        "export",
        "write an assessment's figures for other programs: OSCAL, CSV, JSON, XLSX",
        "controlbook export PCI-2028-Q1 --format oscal --to pci-oscal",
        (
            _ASSESSMENT,
            _argument(
                "--format",
                required=True,
                choices=("oscal", "csv", "json", "xlsx"),
                help="what to write",
            ),
            _argument(
                "--to",
                type=Path,
                metavar="PATH",
                help="a new folder, or a new file for xlsx (default: in build/export)",
            ),
        ),
    ),
    Verb(
        "verify",
        "verify",
        "check a bundle (a zip or its unpacked folder), offline",
        "controlbook verify PCI-2028-Q1.zip --raw vault/",
        (
            _argument("path", type=Path, metavar="PATH"),
            _argument("--raw", type=Path, metavar="DIR", help="a copy of the vault"),
            _argument(
                "--pin",
                action="append",
                metavar="SHA256",
                help="a root, head, checkpoint or commit that you know; repeatable",
            ),
            _argument(
                "--policy",
                type=Path,
                metavar="FILE",
                help="the proofs that you require, instead of the bundle's own",
            ),
            _argument(
                "--allowed-signers",
                type=Path,
                metavar="FILE",
                help="SSH keys by person, instead of those in people.yml",
            ),
            _argument(
                "--tsa-roots",
                type=Path,
                metavar="FILE",
                help="certificates of the time-stamp authorities that you trust",
            ),
            _argument(
                "--require",
                metavar="LIST",
                help="fail where one of these is not given: pin, raw, policy,"
                " allowed-signers, tsa-roots",
            ),
            _argument(
                "--git",
                type=Path,
                metavar="DIR",
                help="a clone of the programme that you kept: history must continue it",
            ),
            _argument(
                "--online",
                action="store_true",
                help="ask the vault itself, with your own read-only AWS credentials,"
                " and GitHub, where $GITHUB_TOKEN is set",
            ),
            _argument(
                "--forge",
                metavar="OWNER/NAME",
                help="the repository on GitHub to ask (default: the bundle's)",
            ),
            _argument(
                "--vault",
                metavar="URL",
                help="the vault to ask: s3://bucket/prefix (default: the bundle's)",
            ),
            _argument(
                "--replica",
                metavar="URL",
                help="compare a replica in a second account as well: s3://bucket/prefix",
            ),
        ),
    ),
    Verb(
        "retain",
        "retain",
        "lock evidence in the vault for longer, where an assessment asks for it",
        "controlbook retain --dry-run",
        (
            _argument(
                "--dry-run",
                action="store_true",
                help="only list what would be extended",
            ),
        ),
    ),
    Verb(
        "diff",
        "diff",
        "show what changed in an assessment between two commits",
        "controlbook diff PCI-2028-Q1 HEAD~10",
        (
            _ASSESSMENT,
            _argument(
                "rev",
                nargs="?",
                metavar="REV",
                help="the older commit (default: the one before HEAD)",
            ),
            _argument("--to", default="HEAD", metavar="REV", help="the newer commit"),
        ),
    ),
    Verb(
        "schema",
        "schema",
        "print the JSON Schema of a kind of file, or set an editor up",
        "controlbook schema control",
        (
            _argument("kind", nargs="?", metavar="KIND", help="default: list them"),
            _argument(
                "--editor",
                choices=("vscode", "modelines"),
                help="write the schemas, and settings or first lines that name them",
            ),
        ),
    ),
    Verb(
        "completion",
        "completion",
        "print what a shell needs to complete verbs and flags",
        "controlbook completion bash",
        (_argument("shell", metavar="SHELL", choices=("bash", "zsh")),),
    ),
    Verb(
        "demo",
        "demo",
        "run the example programme from first evidence to signed report",
        "controlbook demo --dir build/demo",
        (
            _argument("--dir", type=Path, default=Path("build/demo"), metavar="DIR"),
            _argument(
                "--content",
                type=Path,
                default=Path(),
                metavar="DIR",
                help="folder with the example programme (default: here)",
            ),
        ),
    ),
    Verb(
        "sandbox",
        "sandbox",
        "serve an AWS and a GitHub on loopback to try the product on",
        "controlbook sandbox --port 4566 --at 2028-02-15T06:00:00Z",
        (
            _argument("--port", type=int, default=0, help="default: any free one"),
            _argument("--at", metavar="TIME", help="where its clock stands"),
            _argument("--world", default="example", choices=("example", "tiny")),
        ),
    ),
)

SHARED = (
    _argument(
        "-C",
        dest="root",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the programme's repository (default: here)",
    ),
    _argument("--as-of", metavar="TIME", help="the clock, e.g. 2028-04-03T09:00:00Z"),
    _argument("--json", action="store_true", help="print the result as JSON"),
    _argument("-q", "--quiet", action="store_true", help="no talk on stderr"),
    _argument(
        "-v", "--verbose", action="store_true", help="more: differences, tracebacks"
    ),
)
"""What every verb takes."""
