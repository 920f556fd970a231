#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check this bundle with Python 3.9 or later, and nothing else: `python3 verify.py`.

It is one file of the standard library, to be read before it is run, from top to
bottom: what digests are, what a bundle is, then one part per check. It was written
apart from `controlbook verify`, so that the two can be compared. In order, it checks
 1. paths     plain names, no links, no two that differ only in case
 2. files     SHA256SUMS against the files: nothing swapped, extra or absent
 3. form      every JSON document is canonical (RFC 8785: strings, whole numbers)
 4. ledger    each stream's run manifests form a chain, up to the head in release.tag,
              and the lists too long for them that the report rests on are here
 5. sources   sources.json names the files in sources/, and release.tag names it
 6. coverage  the runs cover the period, or facts.json publishes the gap
 7. packs     records carried here have the Merkle roots that the manifests name, and
              the opening states, moved by every transition, lead to every root
 8. release   manifest.json, the files, facts.json and release.tag name the same roots
 9. sign-offs every sign-off that is published as such is over this content
Exit code: 0 fine, 1 fine but something is open, 4 changed, 5 not enough to check.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import stat
import sys
import unicodedata
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Table = dict[str, Any]

FACTS, RELEASE = "controlbook/facts/1", "controlbook/release/1"
FINE, OPEN, USAGE, CHANGED, LACKING = 0, 1, 2, 4, 5
LONGEST = 260
HEX = re.compile(r"[0-9a-f]{64}\Z")
MANIFEST = re.compile(r"ledger/([a-z][a-z0-9-]*)/([0-9]{6})\.json\Z")
PACK = re.compile(r"packs/([0-9a-f]{64})\.leaves\Z")
HIDDEN = re.compile(rb"#[0-9a-f]{64}\Z")
PLAIN = re.compile(r"[A-Za-z0-9._()@+ -]*[A-Za-z0-9_()@+-]\Z")
TAKEN = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?\Z|\.git\Z")
BESIDE = re.compile(r"ledger/checkpoints/[0-9]{6}\.json\.(?:sig|tsr)\Z")
ALONE = {"manifest.json", "release.tag", "repo.bundle", "sources.json", "SHA256SUMS"}
TAG = re.compile(
    r"object (?P<commit>[0-9a-f]{40,64})\ntype commit\ntag (?P<name>[^\n]+)\n"
    r"tagger [^\n]+\n\ncontrolbook release (?P<release>\S+)\n\n"
    r"assessment: (?P<assessment>\S+)\nfacts-root: (?P<facts>[0-9a-f]{64})\n"
    r"publication-root: (?P<publication>[0-9a-f]{64})\n"
    r"sources: (?P<sources>[0-9a-f]{64})\n"
    r"(?P<ledger>(?:ledger [a-z0-9-]+: [0-9]+ [0-9a-f]{64} [0-9a-f]{64}\n)*)"
    r"toolchain: (?P<toolchain>[0-9a-f]{64})\n(?:-----BEGIN .*)?\Z",
    re.DOTALL,
)
MOVE = ("resource", "at", "before", "after", "precision", "cause")
GLOBAL = ("iam", "cloudfront", "sts", "signin", "organizations", "route53")
AT_HOME = {f"{name}.amazonaws.com" for name in GLOBAL}
NOT_CHECKED = (
    "the figures, derived again from ledger and sources (controlbook verify)",
    "that sources.json says what the YAML in sources/ says (controlbook verify)",
    "who changed what, and reviewed it (controlbook verify, or git clone repo.bundle)",
    "the packs in the vault (controlbook verify --raw), signatures, time, GitHub",
    "that AWS Config's verdicts are true, and nothing was left out when collected",
)


# --- digests: the rest of this file rests on these ---


class Wrong(Exception):
    """What a document or a step cannot be read for: reported as a change."""


def sha256(data: bytes) -> str:
    """Give the SHA-256 of bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """Write canonical JSON: sorted, no white space, floats, nulls or booleans."""
    rest = [value]
    for item in rest:  # which grows as it is read
        if isinstance(item, dict):
            if not all(isinstance(key, str) and key.isascii() for key in item):
                raise Wrong("a key is not ASCII")
            rest.extend(item.values())
        elif isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, str):
            if not unicodedata.is_normalized("NFC", item):
                raise Wrong("text is not in Unicode normal form C")
        elif isinstance(item, bool) or not isinstance(item, int):
            raise Wrong(f"{item!r} has no canonical form")
        elif abs(item) >= 2**53:
            raise Wrong("a number is too large")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def unique(pairs: list[tuple[str, Any]]) -> Table:
    """Make a table of pairs, none of which stands twice."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise Wrong("a key stands twice")
    return dict(pairs)


def parse(data: bytes) -> Any:
    """Read canonical JSON; whatever is spelt differently is refused."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
        again = canonical(value)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"not JSON: {error}") from error
    if again != data:
        raise Wrong("JSON, but not in canonical form")
    return value


def digest_of(value: Any) -> str:
    """Give the SHA-256 of a value's canonical JSON."""
    return sha256(canonical(value))


def leaf(record: bytes) -> bytes:
    """Hash one record as a Merkle leaf."""
    return hashlib.sha256(b"\x00" + record).digest()


def root_of(leaves: list[bytes]) -> bytes:
    """Give the Merkle root of RFC 9162 over leaf hashes: split at a power of two."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    pair = root_of(leaves[:half]) + root_of(leaves[half:])
    return hashlib.sha256(b"\x01" + pair).digest()


def merkle(records: Iterable[bytes]) -> str:
    """Give the Merkle root over records, in hex."""
    return root_of([leaf(record) for record in records]).hex()


def moment(text: str) -> str:
    """Give a UTC time as text that sorts: 03:12:00Z and 03:12:00.500Z in this order."""
    bare = text.replace("+00:00", "Z").rstrip("Z")
    return bare if "." in bare else bare + ".000"


# --- what is checked, and within what ---


class Run(NamedTuple):
    """One run manifest, the rules in force at its end by their key, its window."""

    path: str
    m: Table
    rules: Table
    start: str
    end: str
    regular: bool  # it continues the chain in time: a correction looks back

    def stored(self, role: str = "") -> list[Table]:
        """Give the objects that it put in the vault: all, or those of one role."""
        rows = self.m.get("objects", [])
        return [row for row in rows if not role or row["role"] == role]


def run_of(path: str, m: Table, rules: Table) -> Run:
    """Read the window of a run manifest."""
    start, end = moment(m["window"]["start"]), moment(m["window"]["end"])
    return Run(path, m, rules, start, end, m["kind"] != "correction")


class Scope(NamedTuple):
    """Period, accounts and Regions of the assessment; where global events are heard."""

    start: str
    end: str
    accounts: set[str]
    regions: set[str]
    home: str

    def holds(self, row: Table, beside: str = "") -> bool:
        """Tell whether a row's account and Region belong to it, or one beside."""
        here = row["region"] in self.regions or row["region"] == beside
        return here and row["account"] in self.accounts

    def hears(self, service: str, row: Table) -> bool:
        """Tell whether the events of a service, where a row says, belong to it."""
        return self.holds(row, self.home if service in AT_HOME else "")


def scope_of(table: Table) -> Scope:
    """Read a scope of facts.json."""
    start, end = map(moment, table["period"])
    regions, home = set(table["regions"]), "us-east-1"
    for partition, own in (("cn-", "cn-north-1"), ("us-gov-", "us-gov-west-1")):
        home = own if min(regions, default="").startswith(partition) else home
    return Scope(start, end, {number for _, number in table["accounts"]}, regions, home)


class Bundle:
    """The unpacked folder, and what was found wrong with it."""

    def __init__(self, folder: str) -> None:
        """Start with nothing read."""
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.json: Table = {}
        self.facts: Table = {}  # what is published
        self.sources: Table = {}  # the human files as sources.json reads them
        self.tag: Table | None = None
        self.runs: dict[str, list[Run]] = {}
        self.unread: Table = {}  # what is not checked here, and in how many runs
        self.whole = True  # the ledger reaches every head that the tag names
        self.step = ""
        self.faults: dict[tuple[int, str, str], None] = {}  # in order, each once

    def wrong(self, text: str, code: int = CHANGED) -> None:
        """Note a fault of the present step."""
        self.faults[code, self.step, text] = None

    def must(self, holds: object, place: str, text: str) -> None:
        """Note what is wrong with a place unless something holds."""
        if not holds:
            self.wrong(f"{place}: {text}")

    def document(self, path: str) -> Table:
        """Give a JSON document as a table; an empty one where it cannot be read."""
        found = self.json.get(path)
        return found if isinstance(found, dict) else {}


# --- 1, 2, 3: paths, files, form ---


def paths(b: Bundle) -> None:
    """Read every file; refuse links, odd names and twins."""
    folded: dict[str, str] = {}
    for folder, folders, names in os.walk(b.folder):
        for name in sorted(folders + names):
            whole = os.path.join(folder, name)
            path = os.path.relpath(whole, b.folder).replace(os.sep, "/")
            mode = os.lstat(whole).st_mode
            if stat.S_ISREG(mode):
                with open(whole, "rb") as file:
                    b.files[path] = file.read()
            elif not stat.S_ISDIR(mode):
                b.wrong(f"{path!a} is a link or no file")
            plain = PLAIN.match(name) and not TAKEN.match(name.lower())
            b.must(plain, ascii(path), "is no plain, relative path")
            if len(path) > LONGEST:
                b.wrong(f"{path[:60]!a}: has more than {LONGEST} characters")
            twin = folded.setdefault(path.lower(), path)
            b.must(twin == path, path, f"differs from {twin} only in case")
    if not b.files:
        b.wrong("the bundle is empty: there is nothing to verify", LACKING)


def files(b: Bundle) -> None:
    """Compare the files with SHA256SUMS."""
    data = b.files.get("SHA256SUMS")
    if data is None:
        b.wrong("SHA256SUMS is absent")
        return
    listed: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        digest, _, path = line.partition("  ")
        text = f"{line!a} is no line of digest and path, or its second"
        b.must(HEX.match(digest) and path and path not in listed, "SHA256SUMS", text)
        listed[path] = digest
    due = "".join(f"{digest}  {path}\n" for path, digest in sorted(listed.items()))
    text = "its lines are not in order, or not as they are due"
    b.must(data == due.encode(), "SHA256SUMS", text)
    for path in sorted({*listed, *b.files} - {"SHA256SUMS"}):
        if path not in b.files:
            may = path == "manifest.json" or MANIFEST.match(path)
            b.must(may, path, "is listed, but absent")
        elif path not in listed:
            b.wrong(f"{path}: is an extra file: SHA256SUMS lacks it")
        elif listed[path] != sha256(b.files[path]):
            b.wrong(f"{path}: differs from its digest in SHA256SUMS")


def form(b: Bundle) -> None:
    """Read every JSON document, and the tag."""
    for path, data in sorted(b.files.items()):
        if path.endswith(".json") and not path.startswith(("site/", "sources/")):
            try:
                b.json[path] = parse(data)
            except Wrong as error:
                b.wrong(f"{path}: {error}")
    for path, due in (("manifest.json", RELEASE), ("facts.json", FACTS)):
        same = path not in b.json or b.document(path).get("type") == due
        b.must(same, path, f"is not of type {due}")
    if "manifest.json" not in b.files:
        text = "manifest.json is absent: no release manifest to hold files against"
        b.wrong(text, LACKING)
    if "release.tag" not in b.files:
        b.wrong("release.tag is absent: nothing vouches for the roots")
    found = TAG.match(b.files.get("release.tag", b"").decode("utf-8", "replace"))
    if found and found["name"] == found["release"]:
        rows = [row.split() for row in found["ledger"].splitlines()]
        heads = {row[1].rstrip(":"): (int(row[2]), *row[3:]) for row in rows}
        b.tag = {**found.groupdict(), "ledger": heads}
    elif "release.tag" in b.files:
        b.wrong("release.tag: is not the tag of a controlbook release")
    b.facts = b.document("facts.json")
    b.sources = b.document("sources.json").get("files", {})


# --- 4: the ledger ---


def ledger(b: Bundle) -> None:
    """Follow each stream's chain of run manifests, up to the head in the tag."""
    chains: dict[str, dict[int, str]] = {}  # digests by stream and number
    for path in sorted(b.files):
        found = MANIFEST.match(path)
        if found:
            own = chains.setdefault(found[1], {})
            own[int(found[2])] = sha256(b.files[path])
    streams = sorted(chains.keys() - {"checkpoints"})
    if not streams:
        b.whole = False
        b.wrong("the ledger is absent: there is no run manifest", LACKING)
        return
    for row in b.facts.get("evidence", []):
        digest = chains.get(row["stream"], {}).get(row["seq"], row["sha256"])
        path = f"ledger/{row['stream']}/{row['seq']:06d}.json"
        text = "is not the manifest that facts.json rests on"
        b.must(digest == row["sha256"], path, text)
    seen: dict[Any, str] = {}
    for stream in streams:
        chain(b, stream, chains[stream], seen)
    due = b.tag["ledger"] if b.tag else {}
    for stream in sorted({*chains, *due} if b.tag else ()):
        head(b, stream, list(chains.get(stream, {}).values()), due.get(stream))
    if b.whole:
        checkpoints(b, chains)


def chain(
    b: Bundle, stream: str, digests: dict[int, str], seen: dict[Any, str]
) -> None:
    """Check one chain, each link against the one before."""
    prev, last = "0" * 64, ""
    rules: Table = {}
    due, own = lists_due(b, stream, digests)
    for seq in range(1, max(digests) + 1):
        path = f"ledger/{stream}/{seq:06d}.json"
        if seq not in digests:
            b.wrong(f"{path}: is missing, though later ones follow it")
            continue
        m = with_lists(b, path, b.document(path), due.get(seq, set()), own)
        said = [m.get(name) for name in ("type", "stream", "seq")]
        same = said == ["controlbook/run/1", stream, seq]
        b.must(same, path, "its type, stream or seq is not that of its name")
        b.must(m.get("prev") == prev, path, "prev does not name the manifest before it")
        prev = digests[seq]
        gone, new = m.get("rules_removed", []), m.get("rules", [])
        kept = {} if m.get("anew") else rules
        rules = {key: row for key, row in kept.items() if key not in gone}
        rules.update({row["key"]: row for row in new})
        run = run_of(path, m, rules)
        once = (("id", m["run"]["id"]), ("window", (stream, run.start, run.end)))
        for what, value in once:
            alone = seen.setdefault((what, value), path) == path or not run.regular
            b.must(alone, path, f"its {what} stands in another manifest too")
        ours = seen.setdefault("ledger", m["ledger"]) == m["ledger"]
        b.must(ours, path, "belongs to another ledger")
        if run.regular:
            on = run.start >= last
            b.must(on, path, "its window goes back before the last one's end")
            last = max(last, run.end)
            moves = [moment(move["at"]) for move in m.get("transitions", [])]
            within = all(run.start <= at < run.end for at in moves)
            b.must(within, path, "a transition lies outside its window")
        if "rules" in due.get(seq, ALL_LISTS):
            count(b, run, own)
        b.runs.setdefault(stream, []).append(run)


ALL_LISTS = {"rules"}
IN_COVERAGE = ("expected", "collected", "missing")
OF_RULES = {"rules", "rules_removed"}
BY_ACCOUNT = {"rules", "transitions", "missing", "observations", "event_counts"}
BY_ACCOUNT |= {"events", "chains"}
PLACED = ("evidence", "account", "region")
MOVED = ("instance", "resource", "before", "after")
ORDER = {
    "transitions": lambda row: [moment(row["at"]), *(row[name] for name in MOVED)],
    "observations": lambda row: [row[name] for name in PLACED],
}
"""By what the rows of a list are put in order, where their order matters."""


def lists_of(m: Table) -> dict[str, list[Table]]:
    """Give the objects that hold the lists of a manifest, by the list's name."""
    found: dict[str, list[Table]] = {}
    for each in m.get("objects", []):
        if each["role"].startswith("list:"):
            found.setdefault(each["role"][5:], []).append(each)
    return found


def lists_due(b: Bundle, stream: str, digests: Any) -> tuple[Any, Any]:
    """Say which lists of each run must be here, and whose rows; nothing: all of them.

    The lists of the runs that the period rests on; rules since they were last written
    anew. What else was too long for the manifests is noted as not checked.
    """
    table = {seq: b.document(f"ledger/{stream}/{seq:06d}.json") for seq in digests}
    moved = {seq: set(lists_of(m)) for seq, m in table.items()}
    if not any(moved.values()):
        return {}, None
    scope = scope_of(b.facts["scope"])
    runs = {seq: run_of("", m, {}) for seq, m in table.items()}
    config = [b.json[path] for path in b.json if path.startswith("ledger/config/")]
    ends = [run.end for run in (run_of("", m, {}) for m in config) if run.regular]
    start = max((end for end in ends if end <= scope.start), default=scope.start)
    near = {seq for seq, run in runs.items() if rests_on_run(stream, run, start, scope)}
    first, last = 1, max(runs)
    if any("rules" in names for names in moved.values()):
        last, opening = max(near, default=0), min(near, default=0)
        anew = [seq for seq, m in table.items() if m.get("anew") and seq <= opening]
        first = max(anew, default=1)
    due = {}
    for seq, names in moved.items():
        due[seq] = OF_RULES if first <= seq <= last else set()
        due[seq] = due[seq] | (names - OF_RULES - {"objects"} if seq in near else set())
        note(b, names - due[seq] - {"objects"}, "the lists of runs beyond the period")
        note(
            b, names & due[seq] & BY_ACCOUNT, "other accounts' rows, and sums over all"
        )
        note(b, names & {"objects"}, "which source packs were stored")
    return due, {*scope.accounts, "all"}


def rests_on_run(stream: str, run: Run, start: str, scope: Scope) -> bool:
    """Tell whether the report may rest on the lists of a run."""
    if stream == "config":
        return run.end >= start and run.start < scope.end
    # What is looked at every few days speaks for the days around; reviews come later.
    slack = datetime.fromisoformat(run.end) + timedelta(days=2)
    return stream == "reviews" or slack.isoformat(timespec="milliseconds") >= start


def note(b: Bundle, names: set[str], what: str) -> None:
    """Count the runs of which something is not checked here."""
    if names:
        b.unread[what] = b.unread.get(what, 0) + 1


def with_lists(b: Bundle, path: str, m: Table, due: Any, own: Any) -> Table:
    """Put the lists that were too long for a manifest back where they belong.

    Of lists with one line an account, and of rules and transitions anywhere, only the
    rows of these accounts; those have to be here.
    """
    m = dict(m, coverage=dict(m.get("coverage", {})))
    for name, holders in lists_of(m).items():
        part = m["coverage"] if name in IN_COVERAGE else m
        here = part.get(name, [])
        here = [row for row in here if name != "objects" or row["role"] == "source"]
        b.must(not here, path, f"its {name} stand there, and in a list of their own")
        if name in due:
            lines = [line for each in holders for line in list_lines(b, path, each)]
            if name in BY_ACCOUNT:
                lines = account_lines(b, path, m, name, lines, own)
            else:
                whole = len(lines) == sum(each["records"] for each in holders)
                b.must(whole, path, f"its list of {name} is not whole")
            rows = list(map(parse, lines))
            if name in BY_ACCOUNT:
                rows = [row for line in rows for row in line["rows"]]
            part[name] = sorted(rows, key=ORDER[name]) if name in ORDER else rows
    for name in ("rules", "transitions") if own else ():
        m[name] = [row for row in m.get(name, []) if row["account"] in own]
    return m


def account_lines(
    b: Bundle, path: str, m: Table, name: str, lines: list[bytes], own: Any
) -> list[bytes]:
    """Give these accounts' lines; what the index says they have must be among them."""
    index = [each for each in m["objects"] if each["role"] == "index"]
    rows = [parse(line) for each in index for line in list_lines(b, path, each)]
    whole = len(rows) == sum(each["records"] for each in index)
    b.must(
        len(index) == 1 and whole, path, "has no index of its lists, or not all of it"
    )
    rows = [r for r in rows if name in r["leaves"] and r["account"] in own]
    due = {r["leaves"][name]: r["account"] for r in rows}
    found = {leaf(line).hex(): line for line in lines}
    for digest, account in sorted(due.items()):
        line = found.get(digest)
        tree: Table = parse(line) if line else {"account": "", "rows": []}
        same = {tree["account"], *(row["account"] for row in tree["rows"])} == {account}
        b.must(same, path, f"its list of {name} lacks what {account} has in it")
    strange = [
        d for d, x in found.items() if d not in due and parse(x)["account"] in own
    ]
    b.must(not strange, path, f"its index lacks a line of its list of {name}")
    return [line for digest, line in found.items() if digest in due]


def list_lines(b: Bundle, path: str, each: Table) -> list[bytes]:
    """Give the lines of a list that are here, if it is the one a manifest names."""
    name, where = each["role"].replace("list:", "list of "), carried(each)
    b.must(where in b.files, path, f"its {name} is not carried: {where} is absent")
    leaves, lines = leaves_of(b.files.get(where, b""))
    root = (len(leaves), root_of(leaves).hex())
    same = root == (each["records"], each["records_root"])
    b.must(same or where not in b.files, where, f"is not the {name} in {path}")
    return lines if same else []


def count(b: Bundle, run: Run, part: Any) -> None:
    """Add up a run's rules in force: their root and counts are those of the run.

    Of a part of the accounts, each rule's own counts alone can be added up.
    """
    counts: dict[str, int] = {}
    for row in run.rules.values():
        own = row.get("counts", {})
        same = sum(own.values()) == row["population"]
        b.must(same, run.path, f"counts of {row['rule']} are not its population")
        for state, number in own.items():
            counts[state] = counts.get(state, 0) + number
    if part:
        return
    root = merkle(canonical(run.rules[key]) for key in sorted(run.rules))
    b.must(run.m["rules_root"] == root, run.path, "rules_root is not that of its rules")
    same = counts == run.m.get("counts", {})
    b.must(same, run.path, "counts are not the sum over the rules")


def head(b: Bundle, stream: str, digests: list[str], due: Any) -> None:
    """Compare the end of a chain with what the tag names."""
    root = merkle(bytes.fromhex(digest) for digest in digests)
    if due is None:
        b.wrong(f"ledger/{stream}: the tag names no such stream")
    elif not digests or len(digests) < due[0]:
        b.whole = False
        text = f"ledger/{stream} ends early: at {len(digests)} of {due[0]} runs"
        b.wrong(text, LACKING)
    elif (len(digests), digests[-1], root) != due:
        b.wrong(f"ledger/{stream}: its chain is not the one that the tag names")


def checkpoints(b: Bundle, chains: dict[str, dict[int, str]]) -> None:
    """Compare every checkpoint with the manifests that it vouches for.

    Whether a signature is good is not read here; that a required one is there, is.
    """
    assessment = f"signoffs/{b.tag['assessment'] if b.tag else ''}/assessment.yml"
    policy = b.sources.get(assessment, {}).get("tree", {}).get("policy", {})
    required = policy.get("checkpoint", "none").split("+")
    for path in sorted(p for p in b.json if p.startswith("ledger/checkpoints/")):
        for kind, end in (("ssh", ".sig"), ("rfc3161", ".tsr")):
            there = kind not in required or path + end in b.files
            b.must(there, path, f"the policy asks for {path}{end}, which is absent")
        for stream, due in b.document(path)["streams"].items():
            own = list(chains.get(stream, {}).values())[: due["seq"]]
            root = merkle(bytes.fromhex(digest) for digest in own)
            same = (len(own), own[-1:]) == (due["seq"], [due["sha256"]])
            text = f"the {stream} stream here is not what it names"
            b.must(same and root == due["root"], path, text)


# --- 5, 6: sources and coverage ---


def sources(b: Bundle) -> None:
    """Compare sources/, sources.json and the facts that rest on them."""
    same = not b.tag or sha256(b.files.get("sources.json", b"")) == b.tag["sources"]
    text = "the tag names other sources: a control, mapping, scope,"
    b.must(same, "sources.json", f"{text} annotation or sign-off was changed")
    here = {path for path in b.files if path.startswith("sources/")}
    named = {f"sources/{path}": row["sha256"] for path, row in b.sources.items()}
    for path in sorted(here | set(named)):
        if path not in here:
            b.wrong(f"{path}: is named by sources.json, but absent")
        elif path not in named:
            b.wrong(f"{path}: is an extra file: sources.json lacks it")
        elif named[path] != sha256(b.files[path]):
            b.wrong(f"{path}: is not the file that sources.json names")
    for row in b.facts.get("controls", []) + b.facts.get("annotations", []):
        rests_on(b, row)
    path = f"signoffs/{b.facts.get('assessment')}/assessment.yml"
    stated, own = b.facts.get("scope", {}), b.sources.get(path, {}).get("tree", {})
    due = {
        "accounts": sorted(map(list, own.get("accounts", {}).items())),
        "framework": own.get("framework"),
        "period": sorted(map(moment, own.get("period", {}).values())),
        "regions": sorted(own.get("regions", [])),
    }
    found = {
        "accounts": sorted(stated.get("accounts", [])),
        "framework": stated.get("framework"),
        "period": list(map(moment, stated.get("period", []))),
        "regions": stated.get("regions"),
    }
    text = "its scope is not the one that facts.json states"
    b.must(found == due, f"sources/{path}", text)


def rests_on(b: Bundle, row: Table) -> None:
    """Compare a file that a fact names by its digest with sources.json."""
    same = b.sources.get(row["path"], {}).get("sha256") == row["sha256"]
    b.must(same, f"sources/{row['path']}", "is not the file facts.json rests on")


def coverage(b: Bundle) -> None:
    """Find time that no run covers and no published gap admits."""
    at, end = map(moment, b.facts["period"])
    silent = [gap for gap in b.facts.get("gaps", []) if gap["reason"] == "no-run"]
    gaps = [(moment(gap["start"]), moment(gap["end"])) for gap in silent]
    for run in b.runs.get("config", []):
        if run.regular and run.end > at and at < end:
            until = min(run.start, end)
            if run.start > at and (at, until) not in gaps:
                text = f"no run covers {at} to {until}, and no published gap says so"
                b.wrong(text)
            at = run.end
    if at < end:
        b.wrong(f"the ledger ends at {at}, before the period does ({end})", LACKING)


# --- 7: packs, and the states and events in them ---


def carried(stored: Table) -> str:
    """Name the file that carries the records of a pack."""
    return f"packs/{stored['content_sha256']}.leaves"


def shown(b: Bundle, stored: Table) -> list[bytes]:
    """Give the records of a carried pack, without those withheld as leaf hashes."""
    lines = b.files.get(carried(stored), b"").split(b"\n")[:-1]
    return [line for line in lines if not line.startswith(b"#")]


def packs(b: Bundle) -> None:
    """Recompute the Merkle root of each carried pack; name those that are absent."""
    named = {
        carried(stored): (run.path, stored)
        for runs in b.runs.values()
        for run in runs
        for stored in run.stored()
        if stored.get("records_root")
    }
    for path, data in sorted(b.files.items()):
        if PACK.match(path) and path in named:
            pack(b, path, data, *named[path])
        elif PACK.match(path) and b.whole:
            b.wrong(f"{path}: no run manifest names this pack")
    if b.whole:
        for path in sorted(needed(b) - set(b.files)):
            b.wrong(f"{path}: is absent, though the report rests on it")
        states(b)
        events(b)


def pack(b: Bundle, path: str, data: bytes, owner: str, stored: Table) -> None:
    """Compare one pack with the manifest that owns it."""
    leaves, _ = leaves_of(data)
    if not leaves:
        b.wrong(f"{path}: a line is neither a record nor a leaf hash")
        return
    same = root_of(leaves).hex() == stored["records_root"]
    b.must(same, path, f"its Merkle root is not the one in {owner}")
    same = len(leaves) == stored["records"]
    b.must(same, path, f"it has not the records that {owner} counts")


def leaves_of(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Give the leaf hashes of a pack, and the records shown; none of what is none."""
    *lines, rest = data.split(b"\n")
    shown_ = [line for line in lines if not line.startswith(b"#")]
    if rest or not all(HIDDEN.match(x) for x in lines if x.startswith(b"#")):
        return [], []
    leaves = [
        bytes.fromhex(line[1:].decode()) if line.startswith(b"#") else leaf(line)
        for line in lines
    ]
    return leaves, shown_


def needed(b: Bundle) -> set[str]:
    """Name the packs behind each deviation and gap, each sign-off and event count."""
    facts, scope = b.facts, scope_of(b.facts["scope"])
    items = facts["deviations"] + facts["gaps"]
    edges = {moment(i[edge]) for i in items for edge in ("start", "end") if i[edge]}
    judged = [row["judgement"] for row in facts["requirements"]]
    judged += [each for row in facts["requirements"] for each in row["attestations"]]
    merges = {each["pull"]["merge"] for each in judged if "pull" in each}
    counted = [each for row in facts["findings"] for each in row.get("events", [])]
    queries = {each["evidence"] for each in counted}
    stored = []
    for run in b.runs.get("config", []):
        if any(run.start <= at < run.end for at in edges):
            stored += run.stored("records")
    for run in b.runs.get("reviews", []):
        if merges & {pull["merge"] for pull in run.m.get("pulls", [])}:
            stored += run.stored()
    for run in b.runs.get("cloudtrail", []):
        rows = run.m.get("event_counts", [])
        asked = {query_of(row) for row in rows if row["account"] in scope.accounts}
        if run.end > scope.start and run.start < scope.end and queries & asked:
            stored += run.stored("records")
    stored = [each for each in stored if not each["role"].startswith("list:")]
    return {carried(each) for each in stored if each.get("records_root")}


def states(b: Bundle) -> None:
    """Fold the opening states through every run, comparing each recorded root."""
    scope, runs = scope_of(b.facts["scope"]), b.runs.get("config", [])
    if not runs or not all(run.regular for run in runs):
        return
    first = max((i for i, r in enumerate(runs) if r.end <= scope.start), default=0)
    until = max(i for i, r in enumerate(runs) if r.start < scope.end)
    opening, closing = runs[first], runs[until]
    current = carried_states(b, opening)
    known: Table = {}
    for run in runs[first : until + 1]:
        moves = run.m.get("transitions", []) if run is not opening else []
        for move in moves:
            own = current.setdefault(move["instance"], {})
            own[move["resource"]] = (move["after"], move["at"])
            if move["after"] == "ABSENT":
                del own[move["resource"]]
        due = {move["instance"] for move in moves}
        for key, row in run.rules.items():
            # A row that did not change is the very one that was compared before.
            if (key in due or row is not known.get(key)) and scope.holds(row):
                rows = [[name, *state] for name, state in current.get(key, {}).items()]
                same = row["records_root"] == merkle(sorted(map(canonical, rows)))
                text = f"records_root of {row['rule']} in {row['account']}"
                b.must(same, run.path, f"{text} is not that of its states")
        known = run.rules
    ends = carried_states(b, closing)
    for key, row in closing.rules.items():
        same = current.get(key, {}) == ends.get(key, {})
        text = "the transitions do not lead to its state pack"
        b.must(same or row["account"] not in scope.accounts, closing.path, text)


def carried_states(b: Bundle, run: Run) -> dict[str, dict[str, tuple[str, str]]]:
    """Read a run's state pack, as far as it is in scope."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for stored in run.stored("state"):
        path = carried(stored)
        b.must(path in b.files, run.path, f"its state pack is not carried ({path})")
        for line in shown(b, stored):
            for key, name, state, since in parse(line)["states"]:
                found.setdefault(key, {})[name] = (state, since)
    return found


def events(b: Bundle) -> None:
    """Count the carried events again, by query and place."""
    scope = scope_of(b.facts["scope"])
    for run in b.runs.get("cloudtrail", []):
        own: dict[tuple[str, str, str], list[bytes]] = {}
        for stored in run.stored("records"):
            for line in shown(b, stored):
                own.setdefault(place_of(parse(line)), []).append(line)
        for row in run.m.get("event_counts", []) if own else []:
            lines = own.get(place_of(row), [])
            same = (len(lines), merkle(sorted(lines))) == (row["count"], row["root"])
            text = "its carried events are not those that it counts"
            b.must(same or not scope.hears(row["source"], row), run.path, text)


def query_of(row: Table) -> str:
    """Name the evidence that asks for an event."""
    return f"cloudtrail:{row['source']}:{row['event']}"


def place_of(row: Table) -> tuple[str, str, str]:
    """Give the query that an event answers, and where it was recorded."""
    return query_of(row), row["account"], row["region"]


# --- 8: the release ---


def release(b: Bundle) -> None:
    """Compare manifest, files and facts with the tag."""
    m = b.document("manifest.json")
    listed = m.get("files", {})
    for path, row in sorted(listed.items()):
        data = b.files.get(path, b"")
        if path not in b.files:
            b.wrong(f"{path}: is listed in manifest.json, but absent")
        elif (row["sha256"], row["size"]) != (sha256(data), len(data)):
            b.wrong(f"{path}: was swapped: it is not what manifest.json names")
    for path in sorted(set(b.files) - set(listed) - ALONE):
        known = path.startswith("sources/") or PACK.match(path) or MANIFEST.match(path)
        known = known or BESIDE.match(path)
        b.must(known, path, "is an extra file: manifest.json lacks it")
    for path in sorted(ALONE - set(b.files)):
        b.wrong(f"{path}: is absent, and every bundle has one")
    rows = [[path, row["sha256"], row["size"]] for path, row in sorted(listed.items())]
    root, facts = merkle(map(canonical, rows)), sha256(b.files.get("facts.json", b""))
    same = (m.get("publication_root"), m.get("facts_root")) == (root, facts)
    b.must(same, "manifest.json", "its roots are not those of its files")
    if b.tag is None:
        return
    due = {name: m.get(name) for name in ("commit", "release", "assessment")}
    due["toolchain"] = digest_of(m.get("toolchain", {}))
    for what, value in due.items():
        same = b.tag[what] == value
        b.must(same, "manifest.json", f"the tag names another {what}")
    text = "is not the tag in repo.bundle, or that is damaged"
    b.must(carries_tag(b, b.tag), "release.tag", text)
    same = b.tag["facts"] == facts
    b.must(same, "facts.json", "is not what the tag names (facts-root)")
    if b.tag["publication"] != root:
        text = "a published file (site, PDF, data) is not the one that the tag names"
        b.wrong(f"{text} (publication-root)")


def carries_tag(b: Bundle, tag: Table) -> bool:
    """Tell whether repo.bundle names this tag and commit alone, and is whole."""
    raw, data = b.files["release.tag"], b.files.get("repo.bundle", b"")
    kind = hashlib.sha1 if len(tag["commit"]) == len("0" * 40) else hashlib.sha256
    name = kind(b"tag %d\x00" % len(raw) + raw).hexdigest()
    # An addendum, X-r3, carries the tag of the release before it, X-r2, and no other.
    first, _, number = tag["release"].rpartition("-r")
    row = rf"[0-9a-f]{{{len(name)}}} refs/tags/{re.escape(first)}"
    row += rf"-r{int(number) - 1}" if number.isdecimal() and number != "2" else ""
    before = rf"(?:{row}\n)?" if first and number.isdecimal() else ""
    top = (
        rf"# v2 git bundle\n{tag['commit']} HEAD\n{tag['commit']} refs/heads/[!-~]+\n"
        rf"{before}{name} refs/tags/{re.escape(tag['release'])}\n{before}\n"
    )
    found, size = re.match(top.encode(), data), kind().digest_size
    pack = data[found.end() : -size] if found else b""
    return bool(found) and kind(pack).digest() == data[-size:]


# --- 9: sign-offs ---


def signoffs(b: Bundle) -> None:
    """Compare what each sign-off was over with what is here."""
    for row in b.facts.get("requirements", []):
        number, status = row["number"], row["status"]
        if status not in {"signed", "signed with deviations"}:
            b.wrong(f"{number} is published as {status}", OPEN)
        for name in row["unannotated"]:
            b.wrong(f"{number}: {name} is not annotated", OPEN)
        if status.startswith("signed"):
            for judged in [row["judgement"], *row["attestations"]]:
                rests_on(b, judged["file"])
            said = f"{number} is published as {status}"
            over(b, said, f"requirements/{number}.yml", sorted(row["controls"]), number)
            for name in row["controls"]:
                over(b, said, f"controls/{name}.yml", [name], "")


def over(b: Bundle, said: str, path: str, controls: list[str], number: str) -> None:
    """Compare one sign-off, or attestation of one control, with what it is over."""
    file = b.sources.get(f"signoffs/{b.facts['assessment']}/{path}")
    if file is None:
        b.wrong(f"{said} without {path}")
        return
    signed = {part["name"]: part["sha256"] for part in file["tree"]["subject"]}
    for name, digest in subject(b, controls, number).items():
        if signed.get(name) != digest:
            was = f"{name} was {str(signed.get(name))[:12]}, is {digest[:12]}"
            b.wrong(f"{said}, but {path} is stale: {was}")


def subject(b: Bundle, controls: list[str], number: str) -> Table:
    """Give, by name, the digests that a sign-off of this requirement binds.

    Without number: those that an attestation of one control binds.
    """
    facts, trees = b.facts, b.sources
    files = {name: trees[f"controls/{name}.yml"] for name in controls}
    evidence = {
        name: [source(b, row) for row in file["tree"]["evidence"]]
        for name, file in files.items()
    }
    table = [[name, rows] for name, rows in evidence.items()]
    own = [row for row in facts["findings"] if row["control"] in controls]
    covered = {item["id"] for row in own for item in row["deviations"] + row["gaps"]}
    papers = {name for row in own for name in row["documents"]}
    binds: Table = {
        "controls": [[name, file["sha256"]] for name, file in files.items()],
        "mapping": {"control": "".join(controls), "evidence": table},
        "scope": facts["scope"],
        "findings": own,
        "annotations": [
            [note["path"], note["sha256"]]
            for note in sorted(facts["annotations"], key=lambda note: note["path"])
            if (covered | set(controls)) & set(note["covers"])
        ],
        "manual": [
            [paper["path"], paper["sha256"], paper["object"]["sha256"]]
            for paper in sorted(facts["manual"], key=lambda paper: paper["path"])
            if paper["id"] in papers
        ],
    }
    if number:
        binds["mapping"] = dict(mapped(b, number, controls), evidence=table)
        binds["scope"] = dict(facts["scope"], **judged_by(b, number))
        folder = f"signoffs/{facts['assessment']}/controls"
        paths = {name: f"{folder}/{name}.yml" for name in controls}
        binds["attestations"] = [
            [name, trees[path]["sha256"]]
            for name, path in paths.items()
            if path in trees
        ]
    digests = {name: digest_of(value) for name, value in binds.items()}
    return {**digests, "evidence": evidence_root(b, facts["scope"], evidence)}


def source(b: Bundle, row: Table) -> Table:
    """Resolve one kind of evidence that a control names to what it demands."""
    if "config" in row:
        name, custom = row["config"], row.get("custom")
        rules = b.document("sources.json")["rules"]
        identifier = f"custom-{custom}:{name}" if custom else rules[name]
        parameters = row.get("parameters", {})
        key = "config:" + name
        return {"key": key, "identifier": identifier, "parameters": parameters}
    if "cloudtrail" in row:
        return {"key": query_of(row["cloudtrail"])}
    kind = next(name for name in ("snapshot", "security-hub", "manual") if name in row)
    found: Table = {"key": f"{kind}:{row[kind]}"}
    if row.get("parameters"):
        found["parameters"] = row["parameters"]
    if int(row.get("days", "1")) > 1:
        found["days"] = str(int(row["days"]))
    return found


def mapped(b: Bundle, number: str, controls: list[str]) -> Table:
    """Give the mapping of a requirement, as its framework's file has it."""
    tree = b.sources[f"frameworks/{b.facts['framework']['id']}.yml"]["tree"]
    item = tree["requirements"][number]
    # A mapping that is only proposed is no part of what was assessed.
    reviewed = {
        row if isinstance(row, str) else row["control"]
        for row in item.get("controls", [])
        if isinstance(row, str) or row["state"] == "reviewed"
    }
    return {
        "requirement": number,
        "title": item["title"],
        "controls": controls if set(controls) == reviewed else [],
        "inherited": item.get("inherited", ""),
        "not-applicable": item.get("not-applicable", ""),
    }


def judged_by(b: Bundle, number: str) -> Table:
    """Give the part of the scope that names who judges a requirement."""
    tree = b.sources[f"signoffs/{b.facts['assessment']}/assessment.yml"]["tree"]
    assessors = tree["assessors"]
    return {
        "assessor": assessors.get(number, assessors.get("default", "")),
        "delegations": [
            [d["from"], d["to"], d["role"], d["start"], d["end"]]
            for d in tree.get("delegations", [])
            if number in d.get("requirements", []) or not d.get("requirements")
        ],
    }


def evidence_root(b: Bundle, scope: Table, evidence: Table) -> str:
    """Give the Merkle root over what the runs recorded of the evidence in demand."""
    demands = [row for rows in evidence.values() for row in rows]
    keys, within = {row["key"] for row in demands}, scope_of(scope)
    leaves = rule_leaves(b, within, [row for row in demands if "identifier" in row])
    for _, runs in sorted(b.runs.items()):
        leaves += [
            canonical([run.m["stream"], run.m["seq"], row])
            for run in runs
            if touches(run, within)
            for row in run.m.get("observations", [])
            if row["evidence"] in keys and within.holds(row, "global")
        ]
    return merkle(leaves + event_leaves(b, within, keys))


def touches(run: Run, scope: Scope) -> bool:
    """Tell whether a run's window meets the period, or ends where that begins."""
    return run.end >= scope.start and run.start < scope.end


def rule_leaves(b: Bundle, scope: Scope, demands: list[Table]) -> list[bytes]:
    """Give a leaf per run and rule in demand: its root of states, and its moves."""
    asked: dict[str, list[Any]] = {}
    for row in demands:
        asked.setdefault(row["identifier"], []).append(row["parameters"].items())
    leaves = []
    for run in b.runs.get("config", []):
        found = run.rules.items() if touches(run, scope) else ()
        wanted = [item for item in found if item[1]["identifier"] in asked]
        for key, row in sorted(wanted):
            given = row.get("parameters", {}).items()
            met = any(each <= given for each in asked[row["identifier"]])
            if met and scope.holds(row):
                moves = run.m.get("transitions", [])
                moves = [move for move in moves if move["instance"] == key]
                moves = [[move.get(name, "") for name in MOVE] for move in moves]
                moves.sort(key=lambda r: (moment(r[1]), r[0], *r[2:]))
                record = [run.m["stream"], run.m["seq"], key, row["account"]]
                record += [row["region"], row["records_root"]]
                leaves.append(canonical(record + [digest_of(moves)] * bool(moves)))
    return leaves


def event_leaves(b: Bundle, scope: Scope, keys: set[str]) -> list[bytes]:
    """Give a leaf per run, event query and place: count, root, head of digests."""
    leaves = []
    for run in b.runs.get("cloudtrail", []):
        m, own = run.m, run.end > scope.start and run.start < scope.end
        heads = {(row["account"], row["region"]): row for row in m.get("chains", [])}
        counts = {place_of(row): row for row in m.get("event_counts", [])}
        asked = sorted((row["source"], row["event"]) for row in m.get("asked", []))
        places = m.get("coverage", {}).get("collected", [])
        places = sorted((row["account"], row["region"]) for row in places)
        for service, event in asked if own else []:
            key = f"cloudtrail:{service}:{event}"
            for account, region in places if key in keys else []:
                row = {"account": account, "region": region}
                row.update(counts.get((key, account, region), {}))
                if scope.hears(service, row):
                    record = [m["stream"], m["seq"], key, account, region]
                    record += [row.get("count", 0), row.get("root", merkle([]))]
                    last = heads.get((account, region), {}).get("head_sha256", "")
                    leaves.append(canonical([*record, last]))
    return leaves


# --- the steps, in order ---

STEPS = {
    "paths": paths,
    "files": files,
    "form": form,
    "ledger": ledger,
    "sources": sources,
    "coverage": coverage,
    "packs": packs,
    "release": release,
    "sign-offs": signoffs,
}
UNREADABLE = (Wrong, LookupError, TypeError, ValueError, AttributeError, OverflowError)


def verify(folder: str) -> tuple[int, Bundle]:
    """Run every step; give the exit code and the bundle with its faults."""
    b = Bundle(folder)
    for b.step, step in STEPS.items():
        if step is signoffs and not (b.whole and b.runs):
            continue
        try:
            step(b)
        except UNREADABLE as error:
            b.wrong(f"cannot be read to its end: {type(error).__name__}: {error}")
        if not b.files or (step is form and "manifest.json" not in b.files):
            break
    codes = {code for code, _, _ in b.faults}
    return next((code for code in (CHANGED, LACKING, OPEN) if code in codes), FINE), b


def main(arguments: list[str] | None = None) -> int:
    """Check a folder, print what was found, give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("folder", nargs="?", default=here, help="the unpacked bundle")
    folder = parser.parse_args(arguments).folder
    if not os.path.isdir(folder):
        print(f"{folder}: is no folder; unpack the bundle first", file=sys.stderr)
        return USAGE
    code, b = verify(folder)
    for name in STEPS:
        own = [text for _, step, text in b.faults if step == name]
        print(f"{name:9} {'NOT OK' if own else 'ok'}")
        for text in own:
            print(f"          {text}")
    print(f"\nfacts root  {sha256(b.files.get('facts.json', b''))}")
    print(f"release tag {sha256(b.files.get('release.tag', b''))} (SHA-256)")
    print("\nNot checked here:")
    for text in NOT_CHECKED:
        print(f"- {text}")
    for text, runs in b.unread.items():
        print(f"- {text}, of {runs} runs: they are not carried (controlbook --raw)")
    print(f"\nexit code {code}")
    return code


if __name__ == "__main__":
    sys.exit(main())
