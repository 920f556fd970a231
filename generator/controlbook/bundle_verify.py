#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check this bundle with Python 3.9 or later, and nothing else: `python3 verify.py`.

It is one file of the standard library, to be read before it is run. It was written
apart from `controlbook verify`, so that the two can be compared. In order, it checks
 1. paths     plain names, no links, no two that differ only in case
 2. files     SHA256SUMS against the files: nothing swapped, extra or absent
 3. form      every JSON document is canonical (RFC 8785: strings, whole numbers)
 4. ledger    each stream's run manifests form a chain, up to the head in release.tag,
              and the lists that moved out of them, in lists/, are those that they name
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
import zlib
from typing import TYPE_CHECKING, Any, Dict, Tuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Table = Dict[str, Any]
Run = Tuple[str, Table, Table]  # path, manifest, rules in force at its end by their key

FACTS, RELEASE = "controlbook/facts/1", "controlbook/release/1"
FINE, OPEN, USAGE, CHANGED, LACKING = 0, 1, 2, 4, 5
LONGEST = 260
HEX = re.compile(r"[0-9a-f]{64}\Z")
MANIFEST = re.compile(r"ledger/([a-z][a-z0-9-]*)/([0-9]{6})\.json\Z")
PACK = re.compile(r"packs/([0-9a-f]{64})\.leaves\Z")
LISTED = re.compile(r"lists/([0-9a-f]{64})\.ndjson\.gz\Z")
PLAIN = re.compile(r"[A-Za-z0-9._()@+ -]*[A-Za-z0-9_()@+-]\Z")
TAKEN = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?\Z|\.git\Z")
BESIDE = re.compile(r"ledger/checkpoints/[0-9]{6}\.json\.(?:sig|tsr)\Z")
ALONE = {"manifest.json", "release.tag", "repo.bundle", "sources.json", "SHA256SUMS"}
TAG = re.compile(
    r"object ([0-9a-f]{40,64})\ntype commit\ntag ([^\n]+)\ntagger [^\n]+\n\n"
    r"controlbook release (\S+)\n\nassessment: (\S+)\nfacts-root: ([0-9a-f]{64})\n"
    r"publication-root: ([0-9a-f]{64})\nsources: ([0-9a-f]{64})\n"
    r"((?:ledger [a-z0-9-]+: [0-9]+ [0-9a-f]{64} [0-9a-f]{64}\n)*)"
    r"toolchain: ([0-9a-f]{64})\n(?:-----BEGIN .*)?\Z",
    re.DOTALL,
)
NOT_CHECKED = (
    "the figures, derived again from ledger and sources (controlbook verify)",
    "that sources.json says what the YAML in sources/ says (controlbook verify)",
    "who changed what, and reviewed it (controlbook verify, or git clone repo.bundle)",
    "the packs in the vault (controlbook verify --raw), signatures, time, GitHub",
    "that AWS Config's verdicts are true, and nothing was left out when collected",
)


class Wrong(Exception):
    """What a check found, to be reported as a change."""


# --- digests ---


def sha256(data: bytes) -> str:
    """Give the SHA-256 of bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """Write canonical JSON: sorted, no white space, floats, nulls or booleans."""
    look_at(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def look_at(value: Any) -> None:
    """Refuse what has no canonical form."""
    if isinstance(value, str):
        if not unicodedata.is_normalized("NFC", value):
            raise Wrong("text is not in Unicode normal form C")
    elif isinstance(value, list):
        for item in value:
            look_at(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise Wrong("a key is not ASCII")
            look_at(item)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise Wrong(f"{value!r} has no canonical form")
    elif abs(value) >= 2**53:
        raise Wrong("a number is too large")


def parse(data: bytes) -> Any:
    """Read canonical JSON; whatever is spelt differently is refused."""

    def unique(pairs: list[tuple[str, Any]]) -> Table:
        if len({key for key, _ in pairs}) < len(pairs):
            raise Wrong("a key stands twice")
        return dict(pairs)

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
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    pair = root_of(leaves[:half]) + root_of(leaves[half:])
    return hashlib.sha256(b"\x01" + pair).digest()


def merkle(records: Iterable[bytes]) -> str:
    """Give the Merkle root over records, in hex."""
    return root_of([leaf(record) for record in records]).hex()


def moment(text: str) -> str:
    """Give a UTC time as text that sorts: 03:12:00Z and 03:12:00.500Z in this order."""
    bare = text.replace("+00:00", "Z").rstrip("Z")
    return bare if "." in bare else bare + ".000"


# --- the bundle ---


class Bundle:
    """The unpacked folder, and what was found wrong with it."""

    def __init__(self, folder: str) -> None:
        """Start with nothing read."""
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.faults: list[tuple[int, str, str]] = []
        self.step = ""
        self.json: Table = {}
        self.runs: dict[str, list[Run]] = {}
        self.lists: set[str] = set()  # the files below lists/ that manifests name
        self.whole = True  # the ledger reaches every head that the tag names
        self.tag: Table | None = None

    def wrong(self, text: str, code: int = CHANGED) -> None:
        """Note a fault of the present step, once."""
        if (code, self.step, text) not in self.faults:
            self.faults.append((code, self.step, text))

    def lacking(self, text: str) -> None:
        """Note that something needed is not here."""
        self.wrong(text, LACKING)

    def document(self, path: str) -> Table:
        """Give a JSON document as a table; an empty one where it cannot be read."""
        found = self.json.get(path)
        return found if isinstance(found, dict) else {}


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
            if not PLAIN.match(name) or TAKEN.match(name.lower()):
                b.wrong(f"{path!a}: is no plain, relative path")
            if len(path) > LONGEST:
                b.wrong(f"{path[:60]!a}: has more than {LONGEST} characters")
            if folded.setdefault(path.lower(), path) != path:
                b.wrong(f"{path}: differs from {folded[path.lower()]} only in case")
    if not b.files:
        b.lacking("the bundle is empty: there is nothing to verify")


def files(b: Bundle) -> None:
    """Compare the files with SHA256SUMS."""
    if "SHA256SUMS" not in b.files:
        b.wrong("SHA256SUMS is absent")
        return
    listed = {}
    for line in b.files["SHA256SUMS"].decode("utf-8", "replace").splitlines():
        digest, _, path = line.partition("  ")
        if not HEX.match(digest) or not path or path in listed:
            b.wrong(
                f"SHA256SUMS: {line!a} is no line of digest and path, or its second"
            )
        listed[path] = digest
    due = "".join(f"{digest}  {path}\n" for path, digest in sorted(listed.items()))
    if b.files["SHA256SUMS"] != due.encode():
        b.wrong("SHA256SUMS: its lines are not in order, or not as they are due")
    for path in sorted(set(listed) - set(b.files)):
        if path != "manifest.json" and not MANIFEST.match(path):
            b.wrong(f"{path}: is listed, but absent")
    for path, data in sorted(b.files.items()):
        if path == "SHA256SUMS":
            continue
        if path not in listed:
            b.wrong(f"{path}: is an extra file: SHA256SUMS lacks it")
        elif listed[path] != sha256(data):
            b.wrong(f"{path}: differs from its digest in SHA256SUMS")


def form(b: Bundle) -> None:
    """Read every JSON document, and the tag."""
    for path, data in sorted(b.files.items()):
        top = path.split("/")[0]
        if not path.endswith(".json") or top in {"site", "sources"}:
            continue
        try:
            b.json[path] = parse(data)
        except Wrong as error:
            b.wrong(f"{path}: {error}")
    for path, due in (("manifest.json", RELEASE), ("facts.json", FACTS)):
        if path in b.json and b.document(path).get("type") != due:
            b.wrong(f"{path}: is not of type {due}")
    if "manifest.json" not in b.files:
        b.lacking("manifest.json is absent: no release manifest to hold files against")
    if "release.tag" not in b.files:
        b.wrong("release.tag is absent: nothing vouches for the roots")
        return
    found = TAG.match(b.files["release.tag"].decode("utf-8", "replace"))
    if not found or found[2] != found[3]:
        b.wrong("release.tag: is not the tag of a controlbook release")
        return
    names = "commit _ release assessment facts publication sources ledger toolchain"
    b.tag = dict(zip(names.split(), found.groups()))  # noqa: B905 - not in Python 3.9
    b.tag["ledger"] = {
        row.split()[1].rstrip(":"): (int(row.split()[2]), *row.split()[3:])
        for row in b.tag["ledger"].splitlines()
    }


# --- the ledger ---


def ledger(b: Bundle) -> None:
    """Follow each stream's chain of run manifests."""
    streams: dict[str, dict[int, str]] = {}
    for path in sorted(b.files):
        found = MANIFEST.match(path)
        if found:
            streams.setdefault(found[1], {})[int(found[2])] = path
    marks = [sha256(b.files[path]) for path in streams.pop("checkpoints", {}).values()]
    if not streams:
        b.whole = False
        b.lacking("the ledger is absent: there is no run manifest")
        return
    for row in b.document("facts.json").get("evidence", []):
        path = f"ledger/{row['stream']}/{row['seq']:06d}.json"
        if path in b.files and sha256(b.files[path]) != row["sha256"]:
            b.wrong(f"{path}: is not the manifest that facts.json rests on")
    digests: dict[str, list[str]] = {}
    seen: dict[str, dict[Any, str]] = {"ledger": {}, "id": {}, "window": {}}
    for stream, manifests in sorted(streams.items()):
        chain(b, stream, manifests, seen)
        digests[stream] = [sha256(b.files[manifests[seq]]) for seq in sorted(manifests)]
        heads(b, stream, digests[stream])
    if marks:
        heads(b, "checkpoints", marks)
    here = {*streams, *(["checkpoints"] if marks else [])}
    for stream in sorted(set((b.tag or {}).get("ledger", {})) - here):
        b.whole = False
        b.lacking(f"ledger/{stream} ends early: the tag names it, and nothing is here")
    if b.whole:
        checkpoints(b, digests)
        for path in sorted(set(filter(LISTED.match, b.files)) - b.lists):
            b.wrong(f"{path}: no run manifest names this list")


def chain(b: Bundle, stream: str, manifests: dict[int, str], seen: Table) -> None:
    """Check one chain, each link against the one before."""
    prev, last = "0" * 64, ""
    rules: Table = {}
    for seq in range(1, max(manifests) + 1):
        path = manifests.get(seq, f"ledger/{stream}/{seq:06d}.json")
        if seq not in manifests:
            b.wrong(f"{path}: is missing, though later ones follow it")
            continue
        m = with_lists(b, path, b.document(path))
        if (m.get("type"), m.get("stream"), m.get("seq")) != (
            "controlbook/run/1",
            stream,
            seq,
        ):
            b.wrong(f"{path}: its type, stream or seq is not that of its name")
        if m.get("prev") != prev:
            b.wrong(f"{path}: prev does not name the manifest before it")
        prev = sha256(b.files[path])
        window = (moment(m["window"]["start"]), moment(m["window"]["end"]))
        if m.get("kind") != "correction":
            if window[0] < last:
                b.wrong(f"{path}: its window goes back before the last one's end")
            last = max(last, window[1])
        for key, value in (("id", m["run"]["id"]), ("window", (stream, *window))):
            if seen[key].setdefault(value, path) != path and m["kind"] != "correction":
                b.wrong(f"{path}: its {key} stands in another manifest too")
        if seen["ledger"].setdefault("id", m["ledger"]) != m["ledger"]:
            b.wrong(f"{path}: belongs to another ledger")
        rules = {
            k: row for k, row in rules.items() if k not in m.get("rules_removed", [])
        }
        rules.update({row["key"]: row for row in m.get("rules", [])})
        if m["rules_root"] != merkle(canonical(rules[key]) for key in sorted(rules)):
            b.wrong(f"{path}: rules_root is not that of its rules")
        counts: dict[str, int] = {}
        for row in rules.values():
            if sum(row.get("counts", {}).values()) != row["population"]:
                b.wrong(f"{path}: counts of {row['rule']} are not its population")
            for state, count in row.get("counts", {}).items():
                counts[state] = counts.get(state, 0) + count
        if counts != m.get("counts", {}):
            b.wrong(f"{path}: counts are not the sum over the rules")
        for move in m.get("transitions", []):
            if (
                not window[0] <= moment(move["at"]) < window[1]
                and m["kind"] != "correction"
            ):
                b.wrong(f"{path}: a transition lies outside its window")
        b.runs.setdefault(stream, []).append((path, m, dict(rules)))


def with_lists(b: Bundle, path: str, m: Table) -> Table:
    """Put the lists that moved out of a manifest back where they belong."""
    holders = [each for each in m.get("objects", []) if each["role"][:5] == "list:"]
    if not holders:
        return m
    found: dict[str, list[Any]] = {}
    for each in holders:
        name = each["role"][5:]
        where = f"lists/{each['sha256']}.ndjson.gz"
        b.lists.add(where)
        if where not in b.files:
            b.wrong(f"{path}: its list of {name} is not carried: {where} is absent")
        lines = list_lines(b, where, each, f"the list of {name} in {path}")
        found.setdefault(name, []).extend(parse(line) for line in lines)
    m = dict(m, coverage=dict(m["coverage"]))
    for name, own in found.items():
        part = m["coverage"] if name in IN_COVERAGE else m
        kept = holders if name == "objects" else []
        if part.get(name, []) != kept:
            b.wrong(f"{path}: its {name} stand there, and in a list of their own")
        order = ORDER.get(name)
        part[name] = (sorted(own, key=order) if order else own) + kept
    return m


def list_lines(b: Bundle, where: str, each: Table, what: str) -> list[bytes]:
    """Give the lines of a list, if it is the object that its manifest names."""
    body = b.files.get(where, b"")
    inflate = zlib.decompressobj(31)
    try:
        content = inflate.decompress(body, each["content_size"] + 1)
    except zlib.error:
        content = b""
    lines = content.split(b"\n")
    same = (
        sha256(body) == each["sha256"]
        and len(body) == each["size"]
        and inflate.eof
        and not inflate.unused_data
        and len(content) == each["content_size"]
        and sha256(content) == each["content_sha256"]
        and lines.pop() == b""
        and lines == sorted(lines)
        and (len(lines), merkle(lines)) == (each["records"], each["records_root"])
    )
    if where in b.files and not same:
        b.wrong(f"{where}: is not {what}")
    return lines if same else []


IN_COVERAGE = ("expected", "collected", "missing")
ORDER = {
    "transitions": lambda row: (
        moment(row["at"]),
        *(row.get(name, "") for name in ("instance", "resource", "before", "after")),
    ),
    "observations": lambda row: (row["evidence"], row["account"], row["region"]),
}
"""By what the rows of a list are put in order, where their order matters."""


def checkpoints(b: Bundle, digests: dict[str, list[str]]) -> None:
    """Compare every checkpoint with the manifests that it vouches for."""
    for path in sorted(b.json):
        if not path.startswith("ledger/checkpoints/"):
            continue
        for stream, due in b.document(path)["streams"].items():
            own = digests.get(stream, [])[: due["seq"]]
            root = merkle(bytes.fromhex(digest) for digest in own)
            if (len(own), own[-1:], root) != (due["seq"], [due["sha256"]], due["root"]):
                b.wrong(f"{path}: the {stream} stream here is not what it names")


def heads(b: Bundle, stream: str, digests: list[str]) -> None:
    """Compare the end of a chain with what the tag names."""
    if b.tag is None:
        return
    due = b.tag["ledger"].get(stream)
    root = merkle(bytes.fromhex(digest) for digest in digests)
    if due is None:
        b.wrong(f"ledger/{stream}: the tag names no such stream")
    elif len(digests) < due[0]:
        b.whole = False
        b.lacking(f"ledger/{stream} ends early: at {len(digests)} of {due[0]} runs")
    elif (len(digests), digests[-1], root) != due:
        b.wrong(f"ledger/{stream}: its chain is not the one that the tag names")


def window_of(run: Run, edge: str) -> str:
    """Give one edge of a run's window."""
    return moment(run[1]["window"][edge])


def sources(b: Bundle) -> None:
    """Compare sources/, sources.json and the facts that rest on them."""
    data = b.files.get("sources.json", b"")
    if b.tag and sha256(data) != b.tag["sources"]:
        b.wrong(
            "sources.json: the tag names other sources: a control, mapping, scope,"
            " annotation or sign-off was changed"
        )
    named = b.document("sources.json").get("files", {})
    here = {p[8:]: d for p, d in b.files.items() if p.startswith("sources/")}
    for path in sorted(set(named) | set(here)):
        if path not in here:
            b.wrong(f"sources/{path}: is named by sources.json, but absent")
        elif path not in named:
            b.wrong(f"sources/{path}: is an extra file: sources.json lacks it")
        elif named[path]["sha256"] != sha256(here[path]):
            b.wrong(f"sources/{path}: is not the file that sources.json names")
    facts = b.document("facts.json")
    for row in facts.get("controls", []) + facts.get("annotations", []):
        if named.get(row["path"], {}).get("sha256") != row["sha256"]:
            b.wrong(f"sources/{row['path']}: is not the file facts.json rests on")
    scope(b, facts, named)


def scope(b: Bundle, facts: Table, named: Table) -> None:
    """Compare the scope that facts.json states with the assessment's own file."""
    path = f"signoffs/{facts.get('assessment')}/assessment.yml"
    tree, stated = named.get(path, {}).get("tree", {}), facts.get("scope", {})
    accounts = sorted(
        [name, number] for name, number in tree.get("accounts", {}).items()
    )
    period = [tree.get("period", {}).get(edge, "") for edge in ("start", "end")]
    same = (
        sorted(stated.get("accounts", [])) == accounts
        and stated.get("regions") == sorted(tree.get("regions", []))
        and [moment(t) for t in stated.get("period", [])] == [moment(t) for t in period]
        and stated.get("framework") == tree.get("framework")
    )
    if not same:
        b.wrong(f"sources/{path}: its scope is not the one that facts.json states")


def coverage(b: Bundle) -> None:
    """Find time that no run covers and no published gap admits."""
    facts = b.document("facts.json")
    start, end = (moment(t) for t in facts.get("period", ["", ""]))
    at, holes = start, []
    for _, m, _ in b.runs.get("config", []):
        window = [moment(m["window"][edge]) for edge in ("start", "end")]
        if m["kind"] == "correction" or window[1] <= start or at >= end:
            continue
        if window[0] > at:
            holes.append((at, min(window[0], end)))
        at = max(at, window[1])
    gaps = {
        (moment(gap["start"]), moment(gap["end"]))
        for gap in facts.get("gaps", [])
        if gap["reason"] == "no-run"
    }
    for hole in holes:
        if hole not in gaps:
            b.wrong(
                f"no run covers {hole[0]} to {hole[1]}, and no published gap says so"
            )
    if at < end:
        b.lacking(f"the ledger ends at {at}, before the period does ({end})")


# --- packs and states ---


def packs(b: Bundle) -> None:
    """Recompute the Merkle root of each carried pack."""
    named = {
        stored["content_sha256"]: (path, stored)
        for runs in b.runs.values()
        for path, m, _ in runs
        for stored in m.get("objects", [])
        if stored.get("records_root")
    }
    for path, data in sorted(b.files.items()):
        found = PACK.match(path)
        if not found:
            continue
        if found[1] not in named:
            if b.whole:
                b.wrong(f"{path}: no run manifest names this pack")
            continue
        owner, stored = named[found[1]]
        lines = data.split(b"\n")[:-1]
        hidden = [line for line in lines if line.startswith(b"#")]
        odd = any(not re.match(rb"#[0-9a-f]{64}\Z", line) for line in hidden)
        if odd or not data.endswith(b"\n"):
            b.wrong(f"{path}: a line is neither a record nor a leaf hash")
            continue
        leaves = [
            bytes.fromhex(line[1:].decode()) if line.startswith(b"#") else leaf(line)
            for line in lines
        ]
        if root_of(leaves).hex() != stored["records_root"]:
            b.wrong(f"{path}: its Merkle root is not the one in {owner}")
        if len(lines) != stored["records"]:
            b.wrong(f"{path}: it has not the records that {owner} counts")
    if b.whole:
        for path in sorted(needed(b) - set(b.files)):
            b.wrong(f"{path}: is absent, though the report rests on it")
        states(b)
        events(b)


def needed(b: Bundle) -> set[str]:
    """Name the packs behind each deviation and gap, and behind each sign-off."""
    facts = b.document("facts.json")
    items = facts.get("deviations", []) + facts.get("gaps", [])
    edges = {moment(i[edge]) for i in items for edge in ("start", "end") if i[edge]}
    rows = facts.get("requirements", [])
    judged = [each for row in rows for each in [row["judgement"], *row["attestations"]]]
    merges = {each["pull"]["merge"] for each in judged if "pull" in each}
    stored = [
        each
        for run in b.runs.get("config", [])
        if any(window_of(run, "start") <= at < window_of(run, "end") for at in edges)
        for each in run[1].get("objects", [])
        if each["role"] == "records"
    ]
    for _, m, _ in b.runs.get("reviews", []):
        if merges & {pull["merge"] for pull in m.get("pulls", [])}:
            stored += m.get("objects", [])
    stored += counted_events(b, facts)
    return {
        f"packs/{each['content_sha256']}.leaves"
        for each in stored
        if each.get("records_root")
    }


def counted_events(b: Bundle, facts: Table) -> list[Table]:
    """Give the record packs of the events that a control counts."""
    queries = {
        each["evidence"]
        for row in facts.get("findings", [])
        for each in row.get("events", [])
    }
    if not queries:
        return []
    accounts = {number for _, number in facts["scope"]["accounts"]}
    start, end = (moment(text) for text in facts["scope"]["period"])
    return [
        each
        for run in b.runs.get("cloudtrail", [])
        if window_of(run, "end") > start and window_of(run, "start") < end
        if any(
            query_of(row) in queries and row["account"] in accounts
            for row in run[1].get("event_counts", [])
        )
        for each in run[1].get("objects", [])
        if each["role"] == "records"
    ]


def events(b: Bundle) -> None:
    """Count the carried events again, by query and place."""
    facts = b.document("facts.json")
    scope = facts.get("scope", {})
    accounts = {number for _, number in scope.get("accounts", [])}
    for path, m, _ in b.runs.get("cloudtrail", []):
        own: dict[tuple[str, str, str], list[bytes]] = {}
        for each in m.get("objects", []):
            data = b.files.get(f"packs/{each.get('content_sha256')}.leaves", b"")
            if each["role"] != "records" or not data:
                continue
            for line in data.split(b"\n")[:-1]:
                if not line.startswith(b"#"):
                    row = parse(line)
                    key = (query_of(row), row["account"], row["region"])
                    own.setdefault(key, []).append(line)
        for row in m.get("event_counts", []) if own else []:
            if row["account"] not in accounts:
                continue
            if row["region"] not in heard(row["source"], scope):
                continue
            lines = own.get((query_of(row), row["account"], row["region"]), [])
            if (len(lines), merkle(sorted(lines))) != (row["count"], row["root"]):
                b.wrong(f"{path}: its carried events are not those that it counts")


def states(b: Bundle) -> None:
    """Fold the opening states through every run, comparing each recorded root."""
    stated = b.document("facts.json").get("scope", {})
    accounts = {number for _, number in stated.get("accounts", [])}
    start, end = (moment(t) for t in stated.get("period", ["", ""]))
    regular = [
        run for run in b.runs.get("config", []) if run[1]["kind"] != "correction"
    ]
    if len(regular) != len(b.runs.get("config", [])) or not regular:
        return
    before = [i for i, r in enumerate(regular) if window_of(r, "end") <= start]
    until = [i for i, r in enumerate(regular) if window_of(r, "start") < end]
    first = before[-1] if before else 0
    current = carried_states(b, regular[first])
    known: Table = {}
    for path, m, rules in regular[first : until[-1] + 1]:
        moved = set()
        for move in m.get("transitions", []) if path != regular[first][0] else []:
            own = current.setdefault(move["instance"], {})
            moved.add(move["instance"])
            own[move["resource"]] = (move["after"], move["at"])
            if move["after"] == "ABSENT":
                del own[move["resource"]]
        for key, row in rules.items():
            # A row that did not change is the very one that was compared before.
            due = key in moved or row is not known.get(key)
            if not due or row["account"] not in accounts:
                continue
            if row["region"] not in stated["regions"]:
                continue
            rows = [[name, *state] for name, state in current.get(key, {}).items()]
            if row["records_root"] != merkle(sorted(canonical(r) for r in rows)):
                b.wrong(
                    f"{path}: records_root of {row['rule']} in {row['account']} is not"
                    " that of its states"
                )
        known = rules
    closing = regular[until[-1]]
    ours = {k for k, row in closing[2].items() if row["account"] in accounts}
    last = {
        k: rows for k, rows in carried_states(b, closing).items() if k in ours and rows
    }
    if last != {k: rows for k, rows in current.items() if k in ours and rows}:
        b.wrong(f"{closing[0]}: the transitions do not lead to its state pack")


def carried_states(b: Bundle, run: Run) -> dict[str, dict[str, tuple[str, str]]]:
    """Read a run's state pack, as far as it is in scope."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for stored in run[1].get("objects", []):
        if stored["role"] != "state":
            continue
        path = f"packs/{stored['content_sha256']}.leaves"
        if path not in b.files:
            b.wrong(f"{run[0]}: its state pack is not carried ({path})")
        for line in b.files.get(path, b"").split(b"\n")[:-1]:
            if not line.startswith(b"#"):
                for key, name, state, since in parse(line)["states"]:
                    found.setdefault(key, {})[name] = (state, since)
    return found


# --- the release ---


def release(b: Bundle) -> None:
    """Compare manifest, files and facts with the tag."""
    m = b.document("manifest.json")
    listed = m.get("files", {})
    for path, row in sorted(listed.items()):
        if path not in b.files:
            b.wrong(f"{path}: is listed in manifest.json, but absent")
        elif (row["sha256"], row["size"]) != (
            sha256(b.files[path]),
            len(b.files[path]),
        ):
            b.wrong(f"{path}: was swapped: it is not what manifest.json names")
    for path in sorted(set(b.files) - set(listed) - ALONE):
        known = any(form.match(path) for form in (PACK, LISTED, MANIFEST, BESIDE))
        if not known and not path.startswith("sources/"):
            b.wrong(f"{path}: is an extra file: manifest.json lacks it")
    for path in sorted(ALONE - set(b.files)):
        b.wrong(f"{path}: is absent, and every bundle has one")
    root = merkle(
        canonical([path, row["sha256"], row["size"]])
        for path, row in sorted(listed.items())
    )
    facts_root = sha256(b.files.get("facts.json", b""))
    if (m.get("publication_root"), m.get("facts_root")) != (root, facts_root):
        b.wrong("manifest.json: its roots are not those of its files")
    if b.tag is None:
        return
    for what, value in (
        ("commit", m.get("commit")),
        ("release", m.get("release")),
        ("assessment", m.get("assessment")),
        ("toolchain", digest_of(m.get("toolchain", {}))),
    ):
        if b.tag[what] != value:
            b.wrong(f"manifest.json: the tag names another {what}")
    if not tagged(b):
        b.wrong("release.tag: is not the tag in repo.bundle, or that is damaged")
    if b.tag["facts"] != facts_root:
        b.wrong("facts.json: is not what the tag names (facts-root)")
    if b.tag["publication"] != root:
        b.wrong(
            "a published file (site, PDF, data) is not the one that the tag names"
            " (publication-root)"
        )


def tagged(b: Bundle) -> bool:
    """Tell whether repo.bundle names this tag and commit alone, and is whole."""
    raw, tag = b.files["release.tag"], b.tag or {}
    kind = hashlib.sha1 if len(tag["commit"]) == len("0" * 40) else hashlib.sha256
    name = kind(b"tag %d\x00" % len(raw) + raw).hexdigest()
    # An addendum, X-r3, carries the tag of the release before it, X-r2, and no other.
    first, _, number = tag["release"].rpartition("-r")
    row = rf"[0-9a-f]{{{len(name)}}} refs/tags/{re.escape(first)}"
    row += rf"-r{int(number) - 1}" if number.isdecimal() and number != "2" else ""
    before = rf"(?:{row}\n)?" if first and number.isdecimal() else ""
    head = (
        rf"# v2 git bundle\n{tag['commit']} HEAD\n{tag['commit']} refs/heads/[!-~]+\n"
        rf"{before}{name} refs/tags/{re.escape(tag['release'])}\n{before}\n"
    )
    data = b.files.get("repo.bundle", b"")
    found, size = re.match(head.encode(), data), kind().digest_size
    pack = data[found.end() : -size] if found else b""
    return bool(found) and kind(pack).digest() == data[-size:]


# --- sign-offs ---


def signoffs(b: Bundle) -> None:
    """Compare what each sign-off was over with what is here."""
    facts, parsed = b.document("facts.json"), b.document("sources.json")
    for row in facts.get("requirements", []):
        status = row["status"]
        if status not in {"signed", "signed with deviations"}:
            b.wrong(f"{row['number']} is published as {status}", OPEN)
        for name in row["unannotated"]:
            b.wrong(f"{row['number']}: {name} is not annotated", OPEN)
        if not status.startswith("signed"):
            continue
        folder = f"signoffs/{facts['assessment']}/"
        for judged in [row["judgement"], *row["attestations"]]:
            file = judged["file"]
            if parsed["files"].get(file["path"], {}).get("sha256") != file["sha256"]:
                b.wrong(f"sources/{file['path']}: is not the file facts.json rests on")
        over = [(f"requirements/{row['number']}.yml", sorted(row["controls"]), row)]
        over += [(f"controls/{name}.yml", [name], None) for name in row["controls"]]
        for path, controls, requirement in over:
            file = parsed.get("files", {}).get(folder + path)
            if file is None:
                b.wrong(f"{row['number']} is published as {status} without {path}")
                continue
            signed = {part["name"]: part["sha256"] for part in file["tree"]["subject"]}
            now = subject(b, facts, parsed, controls, requirement)
            for name, digest in now.items():
                if signed.get(name) != digest:
                    b.wrong(
                        f"{row['number']} is published as {status}, but {path} is"
                        f" stale: {name} was {str(signed.get(name))[:12]}, is"
                        f" {digest[:12]}"
                    )


def subject(
    b: Bundle,
    facts: Table,
    parsed: Table,
    controls: list[str],
    requirement: Table | None,
) -> dict[str, str]:
    """Give what an attestation (one control) or sign-off (requirement) binds."""
    trees = parsed["files"]
    files_of = {name: trees[f"controls/{name}.yml"] for name in controls}
    evidence = {
        name: [source(parsed, row) for row in files_of[name]["tree"]["evidence"]]
        for name in controls
    }
    own = [row for row in facts["findings"] if row["control"] in controls]
    ids = {item["id"] for row in own for item in row["deviations"] + row["gaps"]}
    papers = {name for row in own for name in row["documents"]}
    table = [[name, evidence[name]] for name in controls]
    if requirement is None:
        mapping = {"control": controls[0], "evidence": table}
        scope = facts["scope"]
    else:
        mapping = mapped(facts, trees, requirement, controls, table)
        scope = dict(facts["scope"], **judged_by(facts, trees, requirement))
    found = {
        "controls": digest_of([[name, files_of[name]["sha256"]] for name in controls]),
        "mapping": digest_of(mapping),
        "scope": digest_of(scope),
        "evidence": evidence_root(b, facts["scope"], evidence),
        "findings": digest_of(own),
        "annotations": digest_of(
            [
                [note["path"], note["sha256"]]
                for note in sorted(facts["annotations"], key=lambda note: note["path"])
                if (ids | set(controls)) & set(note["covers"])
            ]
        ),
        "manual": digest_of(
            [
                [paper["path"], paper["sha256"], paper["object"]["sha256"]]
                for paper in sorted(facts["manual"], key=lambda paper: paper["path"])
                if paper["id"] in papers
            ]
        ),
    }
    if requirement is not None:
        folder = f"signoffs/{facts['assessment']}/controls"
        found["attestations"] = digest_of(
            [
                [name, trees[f"{folder}/{name}.yml"]["sha256"]]
                for name in controls
                if f"{folder}/{name}.yml" in trees
            ]
        )
    return found


def source(parsed: Table, row: Table) -> Table:
    """Resolve one kind of evidence that a control names to what it demands."""
    if "config" in row:
        name, custom = row["config"], row.get("custom")
        identifier = f"custom-{custom}:{name}" if custom else parsed["rules"][name]
        parameters = row.get("parameters", {})
        key = "config:" + name
        return {"key": key, "identifier": identifier, "parameters": parameters}
    if "cloudtrail" in row:
        query = row["cloudtrail"]
        return {"key": f"cloudtrail:{query['source']}:{query['event']}"}
    kind = next(name for name in ("snapshot", "security-hub", "manual") if name in row)
    found: Table = {"key": f"{kind}:{row[kind]}"}
    if row.get("parameters"):
        found["parameters"] = row["parameters"]
    if int(row.get("days", "1")) > 1:
        found["days"] = str(int(row["days"]))
    return found


def mapped(
    facts: Table,
    trees: Table,
    requirement: Table,
    controls: list[str],
    table: list[Any],
) -> Table:
    """Give the mapping that a sign-off is bound to."""
    entry = trees[f"frameworks/{facts['framework']['id']}.yml"]["tree"]
    item = entry["requirements"][requirement["number"]]
    # A mapping that is only proposed is no part of what was assessed.
    reviewed = {
        row if isinstance(row, str) else row["control"]
        for row in item.get("controls", [])
        if isinstance(row, str) or row["state"] == "reviewed"
    }
    return {
        "requirement": requirement["number"],
        "title": item["title"],
        "controls": controls if set(controls) == reviewed else [],
        "inherited": item.get("inherited", ""),
        "not-applicable": item.get("not-applicable", ""),
        "evidence": table,
    }


def judged_by(facts: Table, trees: Table, requirement: Table) -> Table:
    """Give the part of the scope that names who judges a requirement."""
    path = f"signoffs/{facts['assessment']}/assessment.yml"
    tree, number = trees[path]["tree"], requirement["number"]
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
    """Give the Merkle root over what runs recorded of the demanded rules."""
    demands = [row for rows in evidence.values() for row in rows if "identifier" in row]
    accounts = {number for _, number in scope["accounts"]}
    start, end = (moment(text) for text in scope["period"])
    leaves = []
    for run in b.runs.get("config", []):
        _, m, rules = run
        if window_of(run, "end") < start or window_of(run, "start") >= end:
            continue
        for key, row in sorted(rules.items()):
            wanted = any(
                d["identifier"] == row["identifier"]
                and d["parameters"].items() <= row.get("parameters", {}).items()
                for d in demands
            )
            if not wanted or row["account"] not in accounts:
                continue
            if row["region"] not in scope["regions"]:
                continue
            record = [m["stream"], m["seq"], key, row["account"], row["region"]]
            record.append(row["records_root"])
            moves = [t for t in m.get("transitions", []) if t["instance"] == key]
            names = ("resource", "at", "before", "after", "precision", "cause")
            rows = [[t.get(name, "") for name in names] for t in moves]
            if rows:
                rows.sort(key=lambda r: (moment(r[1]), r[0], *r[2:]))
                record.append(digest_of(rows))
            leaves.append(canonical(record))
    keys = {row["key"] for rows in evidence.values() for row in rows}
    for _, runs in sorted(b.runs.items()):
        for run in runs:
            if window_of(run, "end") < start or window_of(run, "start") >= end:
                continue
            leaves += [
                canonical([run[1]["stream"], run[1]["seq"], row])
                for row in run[1].get("observations", [])
                if row["evidence"] in keys
                and row["account"] in accounts
                and row["region"] in {*scope["regions"], "global"}
            ]
    queries = {row["key"] for rows in evidence.values() for row in rows}
    leaves += event_leaves(b, scope, queries)
    return merkle(leaves)


def event_leaves(b: Bundle, scope: Table, queries: set[str]) -> list[bytes]:
    """Give a leaf per run, event query and place: count, root, head of digests."""
    accounts = {number for _, number in scope["accounts"]}
    start, end = (moment(text) for text in scope["period"])
    leaves = []
    for run in b.runs.get("cloudtrail", []):
        m = run[1]
        if window_of(run, "end") <= start or window_of(run, "start") >= end:
            continue
        heads = {
            (row["account"], row["region"]): row["head_sha256"]
            for row in m.get("chains", [])
        }
        rows = {
            (query_of(row), row["account"], row["region"]): row
            for row in m.get("event_counts", [])
        }
        places = sorted(
            (row["account"], row["region"])
            for row in m.get("coverage", {}).get("collected", [])
        )
        asked = sorted((row["source"], row["event"]) for row in m.get("asked", []))
        for service, event in asked:
            key = f"cloudtrail:{service}:{event}"
            if key not in queries:
                continue
            for account, region in places:
                if account not in accounts or region not in heard(service, scope):
                    continue
                row = rows.get((key, account, region), {})
                record = [m["stream"], m["seq"], key, account, region]
                record += [row.get("count", 0), row.get("root", merkle([]))]
                leaves.append(canonical([*record, heads.get((account, region), "")]))
    return leaves


def query_of(row: Table) -> str:
    """Name the evidence that asks for an event."""
    return f"cloudtrail:{row['source']}:{row['event']}"


def heard(service: str, scope: Table) -> set[str]:
    """Give the Regions in which a service's events belong to a scope."""
    regions = set(scope["regions"])
    first = min(regions, default="")
    home = "us-east-1"
    if first.startswith("cn-"):
        home = "cn-north-1"
    elif first.startswith("us-gov-"):
        home = "us-gov-west-1"
    if service in AT_HOME:
        return {*regions, home}
    return regions


AT_HOME = {
    f"{name}.amazonaws.com"
    for name in ("iam", "cloudfront", "sts", "signin", "organizations", "route53")
}
"""Services whose events a trail records in its home of global services."""


STEPS = (paths, files, form, ledger, sources, coverage, packs, release, signoffs)


def verify(folder: str) -> tuple[int, Bundle]:
    """Run every step; give the exit code and the faults as (code, step, text)."""
    b = Bundle(folder)
    for step in STEPS:
        b.step = "sign-offs" if step is signoffs else step.__name__
        if step is signoffs and not (b.whole and b.runs):
            continue
        try:
            step(b)
        except (
            Wrong,
            KeyError,
            TypeError,
            ValueError,
            IndexError,
            AttributeError,
        ) as e:
            b.wrong(f"cannot be read to its end: {type(e).__name__}: {e}")
        if not b.files or (step is form and "manifest.json" not in b.files):
            break
    codes = {code for code, _, _ in b.faults}
    worst = next((code for code in (CHANGED, LACKING, OPEN) if code in codes), FINE)
    return worst, b


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
    for step in STEPS:
        name = "sign-offs" if step is signoffs else step.__name__
        own = [fault for fault in b.faults if fault[1] == name]
        print(f"{name:9} {'NOT OK' if own else 'ok'}")
        for _, _, text in own:
            print(f"          {text}")
    print(f"\nfacts root  {sha256(b.files.get('facts.json', b''))}")
    print(f"release tag {sha256(b.files.get('release.tag', b''))} (SHA-256)")
    print("\nNot checked here:")
    for text in NOT_CHECKED:
        print(f"- {text}")
    print(f"\nexit code {code}")
    return code


if __name__ == "__main__":
    sys.exit(main())
