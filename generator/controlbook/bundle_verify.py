#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check this bundle with Python 3.9 or later, and nothing else: `python3 verify.py`.

One file of the standard library, to be read before it is run, from top to bottom. It
was written apart from `controlbook verify`, so that the two can be compared. One
function is one step, and they follow each other in this order:
 1. paths     plain names, no links, no two that differ only in case
 2. files     SHA256SUMS against the files: nothing swapped, extra or absent
 3. form      every JSON document is canonical (RFC 8785: strings, whole numbers)
 4. ledger    each stream's run manifests form a chain, up to the head in release.tag,
              and the lists that were too long for them are here, in lists/
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
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

Table = dict[str, Any]
Seen = dict[Any, str]  # what may stand once in a ledger, and where it does

FINE, OPEN, USAGE, CHANGED, LACKING = 0, 1, 2, 4, 5
LONGEST = 260
PLAIN = re.compile(r"[A-Za-z0-9._()@+ -]*[A-Za-z0-9_()@+-]\Z")
TAKEN = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?\Z|\.git\Z")
HEX = re.compile(r"[0-9a-f]{64}\Z")
HIDDEN = re.compile(rb"#[0-9a-f]{64}\Z")
MANIFEST = re.compile(r"ledger/([a-z][a-z0-9-]*)/([0-9]{6})\.json\Z")
PACK = re.compile(r"packs/[0-9a-f]{64}\.leaves\Z")
PROOF = re.compile(r"ledger/checkpoints/[0-9]{6}\.json\.(sig|tsr)\Z")
SOURCE = re.compile(r"sources/")
BY_OTHERS = (SOURCE, MANIFEST, PROOF, PACK)  # manifest.json does not name them
ALONE = {"manifest.json", "release.tag", "repo.bundle", "sources.json", "SHA256SUMS"}
TAG = re.compile(
    r"object (?P<commit>[0-9a-f]{40,64})\ntype commit\ntag (?P<name>[^\n]+)\n"
    r"tagger [^\n]+\n\ncontrolbook release (?P<release>\S+)\n\n"
    r"assessment: (?P<assessment>\S+)\nfacts-root: (?P<facts_root>[0-9a-f]{64})\n"
    r"publication-root: (?P<publication_root>[0-9a-f]{64})\n"
    r"sources: (?P<sources>[0-9a-f]{64})\n"
    r"(?P<ledger>(?:ledger [a-z0-9-]+: [0-9]+ [0-9a-f]{64} [0-9a-f]{64}\n)*)"
    r"toolchain: (?P<toolchain>[0-9a-f]{64})\n(?:-----BEGIN .*)?\Z",
    re.DOTALL,
)
SEAL = b"\n-----BEGIN SSH SIGNATURE-----\n"
HEAD = re.compile(r"ledger (\S+): (\S+) (\S+) (\S+)")
MOVE = ("resource", "at", "before", "after", "precision", "cause")
# Where a partition hears of its global events, and of which services they come.
HOMES = {"cn-": "cn-north-1", "us-gov-": "us-gov-west-1", "": "us-east-1"}
GLOBAL = ("iam", "cloudfront", "sts", "signin", "organizations", "route53")
AT_HOME = {f"{name}.amazonaws.com" for name in GLOBAL}
NOT_CHECKED = """
Not checked here:
- the figures, derived again from ledger and sources (controlbook verify)
- that sources.json says what the YAML in sources/ says (controlbook verify)
- who changed what, and reviewed it (controlbook verify, or git clone repo.bundle)
- the packs in the vault (controlbook verify --raw), and GitHub
- whether signatures and time stamps hold, and whether sign-offs carry those that the
  policy asks for, L2 and L3 (controlbook verify)
- that AWS Config's verdicts are true, and nothing was left out when collected
"""


def sha256(data: bytes) -> str:
    """Give the SHA-256 of bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """Write canonical JSON: keys sorted, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def parse(data: bytes) -> Any:
    """Read canonical JSON; a ValueError tells why something is none."""
    try:
        value = json.loads(data.decode("utf-8"))
        again = canonical(value)  # where no key stands twice
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    rest = [value]
    for item in rest:  # which grows as it is read
        if isinstance(item, dict):
            rest.extend(item.values())
            if not all(key.isascii() for key in item):
                raise ValueError("a key is not ASCII")
        elif isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, str):
            if not unicodedata.is_normalized("NFC", item):
                raise ValueError("text is not in Unicode normal form C")
        elif type(item) is not int or abs(item) >= 2**53:
            raise ValueError(f"{item!r} has no canonical form")
    if again != data:
        raise ValueError("JSON, but not in canonical form")
    return value


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
    return root_of(list(map(leaf, records))).hex()


def moment(text: str) -> str:
    """Give a UTC time as text that sorts: 03:12:00Z and 03:12:00.500Z in this order."""
    bare = text.replace("+00:00", "Z").rstrip("Z")
    return bare if "." in bare else bare + ".000"


def brief(value: Any) -> str:
    """Shorten a digest, and whatever is too long to be read in a line."""
    return f"{value}"[: 12 if HEX.match(f"{value}") else 60]


class Run:
    """One run manifest, its window, and the rules in force at its end by their key."""

    def __init__(self, path: str, m: Table, rules: Table) -> None:
        self.path, self.m, self.rules = path, m, rules
        self.start, self.end = moment(m["window"]["start"]), moment(m["window"]["end"])
        self.regular = m["kind"] != "correction"  # which looks back
        self.moves: dict[str, list[Table]] = {}  # its transitions by rule instance
        for row in m.get("transitions", []):
            self.moves.setdefault(row["instance"], []).append(row)

    def rows(self, name: str, **having: str) -> list[Table]:
        """Give the rows of one of its lists that have these values."""
        rows = self.m.get(name, [])
        return [row for row in rows if having.items() <= row.items()]

    def holds(self, at: str) -> bool:
        """Tell whether a moment lies in its window."""
        return self.start <= at < self.end


Runs = dict[str, list[Run]]  # by stream


class Scope:
    """Period, accounts and Regions of an assessment, as facts.json has them."""

    def __init__(self, table: Table) -> None:
        self.start, self.end = map(moment, table["period"])
        self.accounts = {number for _, number in table["accounts"]}
        self.regions = set(table["regions"])
        first = min(self.regions, default="")
        self.home = next(home for part, home in HOMES.items() if first.startswith(part))

    def holds(self, row: Table, beside: str = "") -> bool:
        """Tell whether a row's account and Region belong to it, or one beside."""
        here = row["region"] in self.regions or row["region"] == beside
        return here and row["account"] in self.accounts

    def hears(self, service: str, row: Table) -> bool:
        """Tell whether the events of a service, where a row says, belong to it."""
        return self.holds(row, self.home if service in AT_HOME else "")

    def meets(self, run: Run) -> bool:
        """Tell whether a run's window meets the period."""
        return run.end > self.start and run.start < self.end


class Bundle:
    """The unpacked folder, and what was found wrong with it."""

    def __init__(self, folder: str) -> None:
        self.folder, self.step = Path(folder), ""
        self.steps: list[str] = []  # those that were taken
        self.files: dict[str, bytes] = {}
        self.json: Table = {}  # its documents by path
        self.facts: Table = {}  # what is published
        self.sources: Table = {}  # the human files as sources.json reads them
        self.tag: Table = {}
        self.runs: Runs = {}
        self.unread: Counter[str] = Counter()  # what of how many runs is not carried
        self.whole = True  # the ledger reaches every head that the tag names
        self.faults: dict[tuple[int, str, str], None] = {}  # in order, each once

    def wrong(self, text: str, code: int = CHANGED) -> None:
        """Note a fault of the present step."""
        self.faults[code, self.step, text] = None

    def must(self, holds: object, text: str) -> None:
        """Note what is wrong unless something holds."""
        if not holds:
            self.wrong(text)

    def same(self, place: str, found: Table, **due: Any) -> None:
        """Note each field of a table that is not what it should be."""
        for name, value in due.items():
            if found.get(name) != value:
                here, there = (brief(each) for each in (found.get(name), value))
                self.wrong(f"{place}: {name} is {here}, not {there}")

    def rests_on(self, path: str, row: Table) -> None:
        """Hold a file against the digest that a row of facts.json has of it."""
        same = sha256(self.files.get(path, b"")) == row["sha256"]
        self.must(same, f"{path}: is not the file that facts.json rests on")

    def match(self, named: dict[str, str], here: set[str], by: str) -> None:
        """Hold the files that are here against the digests that a list names."""
        for path in sorted({*named, *here}):
            if path not in self.files:
                self.wrong(f"{path}: is named by {by}, but absent")
            elif path not in named:
                self.wrong(f"{path}: is an extra file: {by} lacks it")
            elif named[path] != sha256(self.files[path]):
                self.wrong(f"{path}: is not the file that {by} names")


def paths(b: Bundle) -> None:
    """Read every file; refuse links, odd names and twins."""
    folded: dict[str, str] = {}
    for place in sorted(b.folder.rglob("*")):
        path = place.relative_to(b.folder).as_posix()
        if place.is_symlink() or not (place.is_file() or place.is_dir()):
            b.wrong(f"{path!a} is a link or no file")
        elif place.is_file():
            b.files[path] = place.read_bytes()
        plain = PLAIN.match(place.name) and not TAKEN.match(place.name.lower())
        b.must(plain, f"{path!a}: is no plain, relative path")
        b.must(len(path) <= LONGEST, f"{path[:60]!a}: has over {LONGEST} characters")
        twin = folded.setdefault(path.lower(), path)
        b.must(twin == path, f"{path!a}: differs from {twin!a} only in case")
    if not b.files:
        b.wrong("the bundle is empty: there is nothing to verify", LACKING)


def files(b: Bundle) -> None:
    """Compare the files with SHA256SUMS."""
    if "SHA256SUMS" not in b.files:
        b.wrong("SHA256SUMS is absent")
        return
    lines = b.files["SHA256SUMS"].decode("utf-8", "replace").splitlines()
    named = {path: digest for digest, _, path in (row.partition("  ") for row in lines)}
    due = "".join(f"{digest}  {path}\n" for path, digest in sorted(named.items()))
    plain = all(map(HEX.match, named.values())) and "" not in named
    same = plain and b.files["SHA256SUMS"] == due.encode()
    b.must(same, "SHA256SUMS: its lines are not in order, a digest and a path each")
    for path in named.keys() - b.files.keys():  # later steps tell of an absent ledger
        if path == "manifest.json" or MANIFEST.match(path):
            del named[path]
    b.match(named, set(b.files) - {"SHA256SUMS"}, "SHA256SUMS")


def form(b: Bundle) -> None:
    """Read every JSON document, and the tag."""
    for path, data in sorted(b.files.items()):
        if path.endswith(".json") and not path.startswith(("site/", "sources/")):
            try:
                b.json[path] = parse(data)
            except ValueError as error:
                b.wrong(f"{path}: {error}")
    if "manifest.json" not in b.files:
        text = "manifest.json is absent: no release manifest to hold files against"
        b.wrong(text, LACKING)
    found = TAG.match(b.files.get("release.tag", b"").decode("utf-8", "replace"))
    if found and found["name"] == found["release"]:
        rows = HEAD.findall(found["ledger"])
        heads = {stream: (int(seq), *digests) for stream, seq, *digests in rows}
        b.tag = {**found.groupdict(), "heads": heads}
    b.must(b.tag, "release.tag: is absent, or not the tag of a controlbook release")
    b.facts = b.json.get("facts.json", {})
    b.sources = b.json.get("sources.json", {}).get("files", {})
    for path, kind in (("facts.json", "facts"), ("manifest.json", "release")):
        if path in b.json:
            b.same(path, b.json[path], type=f"controlbook/{kind}/1")


def ledger(b: Bundle) -> None:
    """Follow each stream's chain of run manifests, up to the head in the tag."""
    chains: dict[str, dict[int, str]] = {}  # digests by stream and number
    for found in filter(None, map(MANIFEST.match, sorted(b.files))):
        chains.setdefault(found[1], {})[int(found[2])] = sha256(b.files[found[0]])
    if not chains.keys() - {"checkpoints"}:
        b.whole = False
        b.wrong("the ledger is absent: there is no run manifest", LACKING)
        return
    for row in b.facts["evidence"]:
        path = f"ledger/{row['stream']}/{row['seq']:06d}.json"
        if path in b.files:
            b.rests_on(path, row)
    seen: Seen = {}
    for stream in sorted(chains.keys() - {"checkpoints"}):
        chain(b, stream, chains[stream], seen)
    for stream in sorted({*chains, *b.tag["heads"]}) if b.tag else ():
        own, due = list(chains.get(stream, {}).values()), b.tag["heads"].get(stream)
        if due and len(own) < max(due[0], 1):
            b.whole, text = False, f"ends early: at {len(own)} of {due[0]} runs"
            b.wrong(f"ledger/{stream} {text}", LACKING)
        elif due != head_of(own):
            b.wrong(f"ledger/{stream}: its chain is not the one that the tag names")
    if b.whole:
        checkpoints(b, {name: list(own.values()) for name, own in chains.items()})


def head_of(digests: list[str]) -> tuple[int, str, str]:
    """Give length, end and Merkle root of a chain."""
    return len(digests), "".join(digests[-1:]), merkle(map(bytes.fromhex, digests))


def chain(b: Bundle, stream: str, digests: dict[int, str], seen: Seen) -> None:
    """Check one chain, each link against the one before."""
    prev, last = "0" * 64, ""
    rules: Table = {}
    due = lists_due(b, stream, digests)
    own: set[str] = set()  # whose rows are read where lists moved, or everybody's
    if due and stream not in FOLLOWING:
        own = {*Scope(b.facts["scope"]).accounts, "all"}
    for seq in range(1, max(digests) + 1):
        path = f"ledger/{stream}/{seq:06d}.json"
        if seq not in digests:
            b.wrong(f"{path}: is missing, though later ones follow it")
            continue
        m = with_lists(b, path, b.json.get(path, {}), due.get(seq, set()), own)
        gone = rules if m.get("anew") else m.get("rules_removed", [])
        rules = {key: row for key, row in rules.items() if key not in gone}
        rules.update({row["key"]: row for row in m.get("rules", [])})
        rules = {} if due and not due[seq] & RULES else rules
        run = Run(path, m, rules)
        counts: Counter[str] = Counter()
        for row in rules.values():
            counts.update(row.get("counts", {}))
            population = sum(row.get("counts", {}).values())
            b.same(f"{path}: {row['rule']}", row, population=population)
        root = merkle(canonical(rules[key]) for key in sorted(rules))
        ours = seen.setdefault("ledger", m["ledger"])
        b.same(path, m, type="controlbook/run/1", stream=stream, seq=seq, prev=prev)
        b.same(path, m, ledger=ours)
        if not own:  # else they are of all accounts, and not all are here
            b.same(path, {"counts": {}, **m}, counts=dict(counts), rules_root=root)
        for what in (m["run"]["id"], (stream, run.start, run.end)):
            first = seen.setdefault(what, path)
            alone = first == path or not run.regular
            b.must(alone, f"{path}: its id or window stands in {first} too")
        began, told = (moment(m["run"][name]) for name in ("started", "aws_date"))
        skew = datetime.fromisoformat(told) - datetime.fromisoformat(began)
        b.must(began >= run.end, f"{path}: it started before its window ended")
        b.must(abs(skew) <= timedelta(days=1), f"{path}: its clock is over a day off")
        if run.regular:
            b.must(run.start >= last, f"{path}: its window begins before {last}")
            for move in run.rows("transitions"):
                within = run.holds(moment(move["at"]))
                b.must(within, f"{path}: a transition lies outside its window")
            last = max(last, run.end)
        prev = digests[seq]
        b.runs.setdefault(stream, []).append(run)


MOVED = ("instance", "resource", "before", "after")
ORDER: dict[str, Callable[[Table], Any]] = {  # of the rows of a list, where it matters
    "transitions": lambda row: (moment(row["at"]), *itemgetter(*MOVED)(row)),
    "observations": itemgetter("evidence", "account", "region"),
}


FOLLOWING = {"audit-manager", "reviews"}  # which may come after all
RULES = {"rules", "rules_removed"}
BY_ACCOUNT = {"rules", "transitions", "missing", "observations", "chains", "events"}
BY_ACCOUNT.add("event_counts")  # the lists with one line an account


def lists_of(m: Table) -> dict[str, list[Table]]:
    """Give the objects that hold lists which were too long for a manifest, by name."""
    found: dict[str, list[Table]] = {}
    for row in m.get("objects", []):
        if row["role"].startswith("list:"):
            found.setdefault(row["role"][len("list:") :], []).append(row)
    return found


def lists_due(b: Bundle, stream: str, digests: Iterable[int]) -> dict[int, set[str]]:
    """Say which lists of each run have to be here; nothing where no list moved.

    Those of the runs that the report may rest on, and of rules since the last run that
    wrote them anew. The other ones are noted as not checked.
    """
    table = {seq: b.json.get(f"ledger/{stream}/{seq:06d}.json", {}) for seq in digests}
    moved = {seq: set(lists_of(m)) for seq, m in table.items()}
    if not any(moved.values()):
        return {}
    scope, runs = Scope(b.facts["scope"]), {s: Run("", m, {}) for s, m in table.items()}
    config = [b.json[path] for path in b.json if path.startswith("ledger/config/")]
    ends = [moment(m["window"]["end"]) for m in config if m["kind"] != "correction"]
    start = max((end for end in ends if end <= scope.start), default=scope.start)
    near = {seq for seq, run in runs.items() if may_speak(stream, run, start, scope)}
    first, last = 1, max(runs)
    if any("rules" in names for names in moved.values()):
        last, opening = max(near, default=0), min(near, default=0)
        anew = (seq for seq, m in table.items() if m.get("anew") and seq <= opening)
        first = max(anew, default=1)
    due = {}
    for seq, names in moved.items():
        due[seq] = {*RULES} if first <= seq <= last else set()
        due[seq] |= names - RULES - {"objects"} if seq in near else set()
        beyond = names - due[seq] - {"objects"}
        parts = names & due[seq] & BY_ACCOUNT if stream not in FOLLOWING else set()
        b.unread["lists on which nothing here rests"] += bool(beyond)
        b.unread["other accounts' rows, and sums over all"] += bool(parts)
        b.unread["which source packs were stored"] += "objects" in names
    return due


def may_speak(stream: str, run: Run, start: str, scope: Scope) -> bool:
    """Tell whether the report may rest on the lists of a run."""
    if stream == "config":
        return run.end >= start and run.start < scope.end
    # What is looked at every few days speaks for days around.
    until = datetime.fromisoformat(run.end) + timedelta(days=2)
    return stream in FOLLOWING or until.isoformat(timespec="milliseconds") >= start


def with_lists(b: Bundle, path: str, m: Table, due: set[str], own: set[str]) -> Table:
    """Put the lists that were too long for a manifest back where they belong.

    Where lists moved, rules and transitions are those of the scope's accounts alone.
    """
    m = dict(m, coverage=dict(m.get("coverage", {})))
    for name, holders in lists_of(m).items():
        part = m["coverage"] if name in ("expected", "collected", "missing") else m
        here = part.get(name, [])
        if name == "objects":
            here = [row for row in here if row["role"] == "source"]
        b.must(not here, f"{path}: its {name} stand there, and in a list of their own")
        if name in due:
            if name in BY_ACCOUNT:
                rows: list[Any] = account_rows(b, path, m, name, holders, own)
            else:
                lines = [line for row in holders for line in lines_of(b, path, row)]
                whole = len(lines) == sum(row["records"] for row in holders)
                b.must(whole, f"{path}: its list of {name} is not whole")
                rows = list(map(parse, lines))
            part[name] = sorted(rows, key=ORDER[name]) if name in ORDER else rows
    for name in ("rules", "transitions") if own else ():
        m[name] = [row for row in m.get(name, []) if row["account"] in own]
    return m


def account_rows(
    b: Bundle, path: str, m: Table, name: str, holders: list[Table], own: set[str]
) -> list[Table]:
    """Give these accounts' rows of a list; all that the index says must be here."""
    indexes = [row for row in m["objects"] if row["role"] == "index"]
    index = [parse(line) for row in indexes for line in lines_of(b, path, row)]
    whole = len(index) == sum(row["records"] for row in indexes)
    b.must(indexes and whole, f"{path}: has no index of its lists, or not all of it")
    order = [row["account"] for row in index if name in row["leaves"]]
    leaves = {row["account"]: row["leaves"].get(name) for row in index}
    same = len(order) == sum(row["records"] for row in holders)
    b.must(same, f"{path}: its list of {name} is not that of its index")
    rows: list[Table] = []
    for row in holders:
        part, order = {*order[: row["records"]]}, order[row["records"] :]
        ours = own & part if own else part
        if not ours:
            continue  # lines of other accounts alone
        here = {leaf(line).hex(): parse(line) for line in lines_of(b, path, row)}
        for account in sorted(ours):
            text = f"its list of {name} lacks what {account} has in it"
            b.must(leaves[account] in here, f"{path}: {text}")
        for digest, each in here.items():
            whose = {each["account"], *(row["account"] for row in each["rows"])}
            known = each["account"] in part and leaves[each["account"]] == digest
            text = f"its list of {name} is not its index's for {each['account']}"
            b.must(known and len(whose) == 1, f"{path}: {text}")
            rows += each["rows"]
    return rows


def lines_of(b: Bundle, path: str, row: Table) -> list[bytes]:
    """Give the lines of a list that are here; none unless it is the one that is due."""
    where, name = carried(row), row["role"].replace("list:", "list of ")
    leaves = leaves_of(b.files.get(where, b""))
    same = [len(leaves), root_of(leaves).hex()] == [row["records"], row["records_root"]]
    text = "is not" if where in b.files else "is absent, and was"
    b.must(same, f"{where}: {text} the {name} in {path}")
    return shown(b, row) if same else []


def policy_of(b: Bundle) -> Table:
    """Give the policy of the assessment that the tag names."""
    scope = b.sources.get(f"signoffs/{b.tag.get('assessment')}/assessment.yml", {})
    policy: Table = scope.get("tree", {}).get("policy", {})
    return policy


def checkpoints(b: Bundle, chains: dict[str, list[str]]) -> None:
    """Compare every checkpoint with the manifests that it vouches for.

    Whether a signature is good is not read here; that a required one is there, is.
    """
    policy = policy_of(b).get("checkpoint", "none")
    for path in sorted(p for p in b.json if p.startswith("ledger/checkpoints/")):
        for kind, end in (("ssh", ".sig"), ("rfc3161", ".tsr")):
            there = kind not in policy.split("+") or path + end in b.files
            b.must(there, f"the policy asks for {path}{end}, which is absent")
        for stream, due in b.json[path]["streams"].items():
            own = head_of(chains.get(stream, [])[: due["seq"]])
            same = own == (due["seq"], due["sha256"], due["root"])
            b.must(same, f"{path}: the {stream} stream here is not what it names")


def sources(b: Bundle) -> None:
    """Compare sources/, sources.json and the facts that rest on them."""
    same = not b.tag or sha256(b.files.get("sources.json", b"")) == b.tag["sources"]
    text = "a control, mapping, scope, annotation or sign-off was changed"
    b.must(same, f"sources.json: the tag names other sources: {text}")
    named = {f"sources/{path}": row["sha256"] for path, row in b.sources.items()}
    b.match(named, set(filter(SOURCE.match, b.files)), "sources.json")
    for row in b.facts["controls"] + b.facts["annotations"]:
        b.rests_on(f"sources/{row['path']}", row)
    path, stated = f"signoffs/{b.facts['assessment']}/assessment.yml", b.facts["scope"]
    own = b.sources[path]["tree"]
    b.same(
        f"sources/{path}",
        dict(stated, period=[*map(moment, stated["period"])]),
        accounts=sorted(map(list, own["accounts"].items()), key=lambda pair: pair[1]),
        framework=own["framework"],
        period=[moment(own["period"][edge]) for edge in ("start", "end")],
        regions=sorted(own["regions"]),
    )


def coverage(b: Bundle) -> None:
    """Find time that no run covers and no published gap admits."""
    at, end = map(moment, b.facts["period"])
    silent = [gap for gap in b.facts["gaps"] if gap["reason"] == "no-run"]
    gaps = [(moment(gap["start"]), moment(gap["end"])) for gap in silent]
    for run in b.runs.get("config", []):
        if run.regular and run.end > at and at < end:
            until = min(run.start, end)
            text = f"no run covers {at} to {until}, and no published gap says so"
            b.must(until <= at or (at, until) in gaps, text)
            at = run.end
    if at < end:
        b.wrong(f"the ledger ends at {at}, before the period does ({end})", LACKING)


def carried(row: Table) -> str:
    """Name the file that carries the records of a pack."""
    return f"packs/{row['content_sha256']}.leaves"


def shown(b: Bundle, row: Table) -> list[bytes]:
    """Give the records of a carried pack, without those withheld as leaf hashes."""
    lines = b.files.get(carried(row), b"").split(b"\n")[:-1]
    return [line for line in lines if not line.startswith(b"#")]


def leaves_of(data: bytes) -> list[bytes]:
    """Give the leaf hashes of a carried pack; none of what is no pack."""
    *lines, rest = data.split(b"\n")
    hidden = [line for line in lines if line.startswith(b"#")]
    if rest or not all(map(HIDDEN.match, hidden)):
        return []
    return [
        bytes.fromhex(line[1:].decode()) if line.startswith(b"#") else leaf(line)
        for line in lines
    ]


def packs(b: Bundle) -> None:
    """Recompute the Merkle root of each carried pack; name those that are absent."""
    runs = [run for runs in b.runs.values() for run in runs]
    rows = [row for run in runs for row in run.rows("objects")]
    named = {carried(row): row for row in rows if row.get("records_root")}
    for path in sorted(filter(PACK.match, b.files)):
        if path not in named:
            b.must(not b.whole, f"{path}: no run manifest names this pack")
            continue
        leaves = leaves_of(b.files[path])
        if not leaves:
            b.wrong(f"{path}: a line is neither a record nor a leaf hash")
            continue
        root = root_of(leaves).hex()
        b.same(path, named[path], records=len(leaves), records_root=root)
    if b.whole:
        for path in sorted(needed(b) - set(b.files)):
            b.wrong(f"{path}: is absent, though the report rests on it")
        states(b, Scope(b.facts["scope"]))
        events(b, Scope(b.facts["scope"]))
        audit_manager(b, Scope(b.facts["scope"]))


def needed(b: Bundle) -> set[str]:
    """Name the packs behind each deviation and gap, each sign-off and event count."""
    facts, scope = b.facts, Scope(b.facts["scope"])
    items = facts["deviations"] + facts["gaps"]
    edges = {moment(i[edge]) for i in items for edge in ("start", "end") if i[edge]}
    judged = [row["judgement"] for row in facts["requirements"]]
    judged += [each for row in facts["requirements"] for each in row["attestations"]]
    merges = {each["pull"]["merge"] for each in judged if "pull" in each}
    counted = [each for row in facts["findings"] for each in row.get("events", [])]
    queries = {each["evidence"] for each in counted}
    rows = []
    for run in b.runs.get("config", []):
        if any(map(run.holds, edges)):
            rows += run.rows("objects", role="records")
    for run in b.runs.get("reviews", []):
        if merges & {pull["merge"] for pull in run.rows("pulls")}:
            rows += run.rows("objects")
    for run in b.runs.get("cloudtrail", []):
        asked = [row for row in run.rows("event_counts") if query_of(row) in queries]
        if scope.meets(run) and scope.accounts & {row["account"] for row in asked}:
            rows += run.rows("objects", role="records")
    for run, _ in kept(b, scope).values():
        rows += run.rows("objects", role="records")
    rows = [row for row in rows if not row["role"].startswith("list:")]
    return {carried(row) for row in rows if row.get("records_root")}


def states(b: Bundle, scope: Scope) -> None:
    """Fold the opening states through every run, comparing each recorded root."""
    runs = b.runs.get("config", [])
    if not runs or not all(run.regular for run in runs):
        return
    opening = [runs[0], *(run for run in runs if run.end <= scope.start)][-1]
    current, known = carried_states(b, opening), Table()
    for run in [opening, *(run for run in runs if scope.meets(run))]:
        moves = run.rows("transitions") if run is not opening else []
        for move in moves:
            own = current.setdefault(move["instance"], {})
            own[move["resource"]] = [move["after"], move["at"]]
            if move["after"] == "ABSENT":
                del own[move["resource"]]
        for key, row in run.rules.items():
            # A row that did not change is the very one that was compared before.
            if (key in run.moves or row is not known.get(key)) and scope.holds(row):
                rows = [[name, *state] for name, state in current.get(key, {}).items()]
                root = merkle(sorted(map(canonical, rows)))
                b.same(f"{run.path}: the states of {key}", row, records_root=root)
        known = run.rules
    ends = carried_states(b, run)
    for key, row in run.rules.items():
        same = current.get(key, {}) == ends.get(key, {})
        text = f"{run.path}: the transitions do not lead to its state pack"
        b.must(same or row["account"] not in scope.accounts, text)


def carried_states(b: Bundle, run: Run) -> dict[str, dict[str, list[str]]]:
    """Read a run's state pack, as far as it is in scope."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in run.rows("objects", role="state"):
        there = carried(row) in b.files
        b.must(there, f"{run.path}: its state pack is not carried ({carried(row)})")
        for line in shown(b, row):
            for key, name, state, since in parse(line)["states"]:
                found.setdefault(key, {})[name] = [state, since]
    return found


def events(b: Bundle, scope: Scope) -> None:
    """Count the carried events again, by query and place."""
    for run in b.runs.get("cloudtrail", []):
        own: dict[tuple[str, str, str], list[bytes]] = {}
        for row in run.rows("objects", role="records"):
            for line in shown(b, row):
                own.setdefault(place_of(parse(line)), []).append(line)
        for row in run.rows("event_counts") if own else []:
            lines = sorted(own.get(place_of(row), []))
            if scope.hears(row["source"], row):
                place = f"{run.path}: the carried events of {query_of(row)}"
                b.same(place, row, count=len(lines), root=merkle(lines))


def kept(b: Bundle, scope: Scope) -> dict[str, tuple[Run, Table]]:
    """Give the last answer on each assessment in Audit Manager, since the start."""
    return {
        row["evidence"]: (run, row)
        for run in b.runs.get("audit-manager", [])
        for row in run.rows("observations", state="observed")
        if run.end >= scope.start
    }


def audit_manager(b: Bundle, scope: Scope) -> None:
    """Hold what is kept of Audit Manager, and what contradicts it, against the runs."""
    runs, due = b.runs.get("audit-manager", []), []
    for key, (run, row) in sorted(kept(b, scope).items()):
        rows = run.rows("objects", role="records")
        lines = [line for each in rows for line in shown(b, each)]
        own = {line: each for line in lines if (each := parse(line))["evidence"] == key}
        place = f"{run.path}: the carried records of {key}"
        b.same(place, row, records=len(own), records_root=merkle(sorted(own)))
        fields = [each.get("fields", {}) for each in own.values()]
        counted = sum(int(each.get("contradictions", 0)) for each in fields)
        listed = [each for r in runs for each in r.rows("contradictions", evidence=key)]
        known = {(each["id"], each["resource"]) for each in listed}
        text = f"{place}: count {counted} contradictions, {len(known)} are listed"
        b.must(counted <= len(known), text)
        found: Table = {"evidence": key, "seq": run.m["seq"], "at": row["at"]}
        found |= {"result": row.get("result", ""), "counts": row.get("counts", {})}
        found |= {"records": row["records"], "root": row["records_root"]}
        due.append(found)
    text = "facts.json: its audit-manager is not the ledger's"
    b.must(b.facts.get("audit-manager", []) == due, text)
    told = [(row["id"], row["resource"]) for row in b.facts.get("disagreements", [])]
    for run in runs:
        for row in run.rows("contradictions"):
            within = scope.start <= moment(row["at"]) < scope.end
            text = f"{run.path}: facts.json is silent on contradiction {row['id']}"
            if within and row["account"] in scope.accounts:
                b.must((row["id"], row["resource"]) in told, text)


def query_of(row: Table) -> str:
    """Name the evidence that asks for an event."""
    return f"cloudtrail:{row['source']}:{row['event']}"


def place_of(row: Table) -> tuple[str, str, str]:
    """Give the query that an event answers, and where it was recorded."""
    return query_of(row), row["account"], row["region"]


def release(b: Bundle) -> None:
    """Compare manifest, files and facts with the tag."""
    m = b.json["manifest.json"]
    named = {path: row["sha256"] for path, row in sorted(m["files"].items())}
    others = {path for path in b.files if any(e.match(path) for e in BY_OTHERS)}
    b.match(named, set(b.files) - ALONE - (others - set(named)), "manifest.json")
    for path in sorted(ALONE - set(b.files)):
        b.wrong(f"{path}: is absent, and every bundle has one")
    for path, row in m["files"].items():
        b.same(f"manifest.json: {path}", row, size=len(b.files.get(path, b"")))
    rows = [[path, digest, m["files"][path]["size"]] for path, digest in named.items()]
    facts = sha256(b.files.get("facts.json", b""))
    roots = {"facts_root": facts, "publication_root": merkle(map(canonical, rows))}
    b.same("manifest.json", m, **roots)
    if b.tag:
        own = {name: m[name] for name in ("commit", "release", "assessment")}
        toolchain = sha256(canonical(m["toolchain"]))
        b.same("release.tag", b.tag, toolchain=toolchain, **own, **roots)
        text = "release.tag: is not the tag in repo.bundle, or that is damaged"
        b.must(carries_tag(b), text)
        asked = policy_of(b).get("release", "none") != "none"
        text = "release.tag: the policy asks for a signed tag, and it is not"
        b.must(not asked or SEAL in b.files["release.tag"], text)


def carries_tag(b: Bundle) -> bool:
    """Tell whether repo.bundle names this tag and commit alone, and is whole."""
    raw, data = b.files["release.tag"], b.files.get("repo.bundle", b"")
    commit, name = b.tag["commit"], b.tag["release"]
    kind = hashlib.sha1 if len(commit) == len("0" * 40) else hashlib.sha256
    tag = kind(b"tag %d\x00" % len(raw) + raw).hexdigest()
    # An addendum, X-r3, carries the tag of the release before it, X-r2, and no other.
    first, _, number = name.rpartition("-r")
    before = ""
    if first and number.isdecimal():
        first += "" if number == "2" else f"-r{int(number) - 1}"
        before = rf"(?:[0-9a-f]{{{len(tag)}}} refs/tags/{re.escape(first)}\n)?"
    top = (
        rf"# v2 git bundle\n{commit} HEAD\n{commit} refs/heads/[!-~]+\n"
        rf"{before}{tag} refs/tags/{re.escape(name)}\n{before}\n"
    )
    found, size = re.match(top.encode(), data), kind().digest_size
    pack = data[found.end() : -size] if found else b""
    return bool(found) and kind(pack).digest() == data[-size:]


def sign_offs(b: Bundle) -> None:
    """Compare what each sign-off was over with what is here."""
    folder = f"signoffs/{b.facts['assessment']}"
    for row in b.facts["requirements"]:
        number, status, controls = row["number"], row["status"], sorted(row["controls"])
        said = f"{number} is published as {status}"
        for name in row["unannotated"]:
            b.wrong(f"{number}: {name} is not annotated", OPEN)
        if status not in {"signed", "signed with deviations"}:
            b.wrong(said, OPEN)
            continue
        for judged in [row["judgement"], *row["attestations"]]:
            b.rests_on(f"sources/{judged['file']['path']}", judged["file"])
        over = {f"{folder}/requirements/{number}.yml": subject(b, controls, number)}
        for name in controls:
            over[f"{folder}/controls/{name}.yml"] = subject(b, [name], "")
        for path, due in over.items():
            parts = b.sources.get(path, {}).get("tree", {}).get("subject", [])
            signed = {part["name"]: part["sha256"] for part in parts}
            b.same(f"{said}, but {path} is stale or absent", signed, **due)


def subject(b: Bundle, controls: list[str], number: str) -> dict[str, str]:
    """Give, by name, the digests that a sign-off of this requirement binds.

    Without number: those that an attestation of one control binds.
    """
    facts, trees = b.facts, b.sources
    files = [(name, trees[f"controls/{name}.yml"]) for name in controls]
    evidence = {
        name: [source(b, row) for row in file["tree"]["evidence"]]
        for name, file in files
    }
    own = [row for row in facts["findings"] if row["control"] in controls]
    covered = {item["id"] for row in own for item in row["deviations"] + row["gaps"]}
    covered.update(controls)
    named = itemgetter("path", "sha256")
    papers = {name for row in own for name in row["documents"]}
    notes = [row for row in facts["annotations"] if covered & set(row["covers"])]
    manual = [row for row in facts["manual"] if row["id"] in papers]
    binds: Table = {
        "controls": [[name, file["sha256"]] for name, file in files],
        "mapping": {"control": "".join(controls)},
        "scope": facts["scope"],
        "findings": own,
        "annotations": sorted(map(named, notes)),
        "manual": sorted([*named(row), row["object"]["sha256"]] for row in manual),
    }
    if number:
        binds.update(judged_by(b, controls, number))
    binds["mapping"]["evidence"] = list(map(list, evidence.items()))
    digests = {name: sha256(canonical(value)) for name, value in binds.items()}
    demands = [row for rows in evidence.values() for row in rows]
    root = evidence_root(b.runs, Scope(facts["scope"]), demands)
    return {**digests, "evidence": root}


def judged_by(b: Bundle, controls: list[str], number: str) -> Table:
    """Give what an assessor judges by: mapping, own part of the scope, attestations."""
    trees, folder = b.sources, f"signoffs/{b.facts['assessment']}"
    scope = trees[f"{folder}/assessment.yml"]["tree"]
    framework = trees[f"frameworks/{b.facts['framework']['id']}.yml"]["tree"]
    item = framework["requirements"][number]
    # A mapping that is only proposed is no part of what was assessed.
    reviewed = {
        row if isinstance(row, str) else row["control"]
        for row in item.get("controls", [])
        if isinstance(row, str) or row["state"] == "reviewed"
    }
    people = scope["assessors"]
    attested = [(name, trees.get(f"{folder}/controls/{name}.yml")) for name in controls]
    return {
        "mapping": {
            "requirement": number,
            "title": item["title"],
            "controls": controls if set(controls) == reviewed else [],
            "inherited": item.get("inherited", ""),
            "not-applicable": item.get("not-applicable", ""),
        },
        "scope": {
            **b.facts["scope"],
            "assessor": people.get(number, people.get("default", "")),
            "delegations": [
                itemgetter("from", "to", "role", "start", "end")(row)
                for row in scope.get("delegations", [])
                if number in (row.get("requirements") or [number])
            ],
        },
        "attestations": [[name, file["sha256"]] for name, file in attested if file],
    }


def source(b: Bundle, row: Table) -> Table:
    """Resolve one kind of evidence that a control names to what it demands."""
    if "config" in row:
        name = row["config"]
        rule = f"custom-{row['custom']}:{name}" if "custom" in row else ""
        rule = rule or b.json["sources.json"]["rules"][name]
        given = row.get("parameters", {})
        return {"key": f"config:{name}", "identifier": rule, "parameters": given}
    if "cloudtrail" in row:
        return {"key": query_of(row["cloudtrail"])}
    kind = next(name for name in ("snapshot", "security-hub", "manual") if name in row)
    days = int(row.get("days", "1"))
    more = {"parameters": row.get("parameters"), "days": str(days) if days > 1 else ""}
    return {"key": f"{kind}:{row[kind]}", **{k: v for k, v in more.items() if v}}


def evidence_root(runs: Runs, scope: Scope, demands: list[Table]) -> str:
    """Give the Merkle root over what the runs recorded of the evidence in demand.

    A run counts whose window meets the period; of states, also one that ends there.
    """
    keys, wanted = {row["key"] for row in demands}, Table()
    for row in demands:
        wanted.setdefault(row.get("identifier", ""), []).append(
            row.get("parameters", {})
        )
    every = [run for _, own in sorted(runs.items()) for run in own]
    every = [run for run in every if scope.meets(run) or run.end == scope.start]
    leaves: list[Any] = []
    for run in every:
        if run.m["stream"] == "config":
            leaves += rule_leaves(run, scope, wanted)
    for run in every:
        for row in run.rows("observations"):
            if row["evidence"] in keys and scope.holds(row, "global"):
                leaves.append([run.m["stream"], run.m["seq"], row])
    for run in every:
        if run.m["stream"] == "cloudtrail" and run.end != scope.start:
            leaves += event_leaves(run, scope, keys)
    return merkle(map(canonical, leaves))


def rule_leaves(run: Run, scope: Scope, wanted: Table) -> list[Any]:
    """Give a leaf per rule in demand: its root of states, and its moves."""
    leaves = []
    named = [row for row in run.rules.values() if row["identifier"] in wanted]
    for row in sorted(named, key=itemgetter("key")):
        key, given = row["key"], row.get("parameters", {}).items()
        met = any(each.items() <= given for each in wanted[row["identifier"]])
        if met and scope.holds(row):
            moves = run.moves.get(key, [])
            found = [[move.get(name, "") for name in MOVE] for move in moves]
            found.sort(key=lambda move: (moment(move[1]), move[0], *move[2:]))
            record = [run.m["stream"], run.m["seq"], key, row["account"]]
            record += [row["region"], row["records_root"]]
            leaves.append(record + [sha256(canonical(found))] * bool(found))
    return leaves


def event_leaves(run: Run, scope: Scope, keys: set[str]) -> list[Any]:
    """Give a leaf per event query and place: count, root, head of digests."""
    places = run.m.get("coverage", {}).get("collected", [])
    heads = {(row["account"], row["region"]): row for row in run.rows("chains")}
    counts = {place_of(row): row for row in run.rows("event_counts")}
    leaves = []
    for query in sorted(run.rows("asked"), key=itemgetter("source", "event")):
        for row in sorted(places, key=itemgetter("account", "region")):
            place = place_of({**query, **row})
            if place[0] in keys and scope.hears(query["source"], row):
                found = {"count": 0, "root": merkle([]), **counts.get(place, {})}
                head = heads.get(place[1:], {}).get("head_sha256", "")
                record = [run.m["stream"], run.m["seq"], *place]
                leaves.append([*record, found["count"], found["root"], head])
    return leaves


STEPS = (paths, files, form, ledger, sources, coverage, packs, release, sign_offs)


def verify(folder: str) -> tuple[int, Bundle]:
    """Run every step; give the exit code and the bundle with its faults."""
    b = Bundle(folder)
    for step in STEPS:
        if step is sign_offs and not (b.whole and b.runs):
            continue
        b.step = step.__name__.replace("_", "-")
        b.steps.append(b.step)
        try:
            step(b)
        except Exception as error:  # noqa: BLE001 - whatever a forged bundle raises
            b.wrong(f"cannot be read to its end: {type(error).__name__}: {error}")
        if not b.files or (step is form and "manifest.json" not in b.files):
            break
    codes = {code for code, _, _ in b.faults}
    return next((code for code in (CHANGED, LACKING, OPEN) if code in codes), FINE), b


def main() -> int:
    """Check a folder, print what was found, give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent
    parser.add_argument("folder", nargs="?", default=here, help="the unpacked bundle")
    folder = parser.parse_args().folder
    if not Path(folder).is_dir():
        print(f"{folder}: is no folder; unpack the bundle first", file=sys.stderr)
        return USAGE
    code, b = verify(folder)
    for step in STEPS:
        name = step.__name__.replace("_", "-")
        own = [text for _, at, text in b.faults if at == name]
        state = "ok" if name in b.steps else "not checked"
        print(f"{name:9} {'NOT OK' if own else state}")
        print("".join(f"          {text}\n" for text in own), end="")
    print(f"\nfacts root  {sha256(b.files.get('facts.json', b''))}")
    print(f"release tag {sha256(b.files.get('release.tag', b''))} (SHA-256)")
    print(NOT_CHECKED, end="")
    for text, runs in b.unread.items():
        if runs:
            print(f"- {text}, of {runs} run(s) (controlbook verify --raw)")
    print(f"\nexit code {code}")
    return code


if __name__ == "__main__":
    sys.exit(main())
