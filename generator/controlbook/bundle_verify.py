#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check this bundle with Python 3.9 or later, and nothing else: `python3 verify.py`.

It is one file of the standard library, to be read before it is run. It was written apart
from `controlbook verify`, so that the two can be compared. In order, it checks
 1. paths     plain names, no links, no two that differ only in case
 2. files     SHA256SUMS against the files: nothing swapped, extra or absent
 3. form      every JSON document is canonical (RFC 8785: strings, whole numbers)
 4. ledger    each stream's run manifests form a chain, up to the head in release.tag
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

FINE, OPEN, USAGE, CHANGED, LACKING = 0, 1, 2, 4, 5
HEX = re.compile(r"[0-9a-f]{64}\Z")
MANIFEST = re.compile(r"ledger/([a-z][a-z0-9-]*)/([0-9]{6})\.json\Z")
PACK = re.compile(r"packs/([0-9a-f]{64})\.leaves\Z")
CHECKPOINT = re.compile(r"ledger/checkpoints/[0-9]+\.json(\.sig|\.tsr)?\Z")
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
    "the figures themselves, derived again from ledger and sources (controlbook verify)",
    "that sources.json says what the YAML in sources/ says (controlbook verify)",
    "that release.tag is the tag in repo.bundle, and who changed what (controlbook"
    " verify, or git clone repo.bundle)",
    "the packs in the vault (controlbook verify --raw), signatures, time, GitHub",
    "that AWS Config's verdicts are true, and nothing was left out when collected",
)


class Wrong(Exception):
    """What a check found, to be reported as a change."""


# --- digests ---------------------------------------------------------------------------


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def canonical(value):
    """Canonical JSON: sorted keys, no white space, no floats, nulls or booleans."""
    look_at(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def look_at(value):
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
        raise Wrong("%r has no canonical form" % (value,))
    elif abs(value) >= 2**53:
        raise Wrong("a number is too large")


def parse(data):
    """Read canonical JSON; whatever is spelt differently is refused."""

    def unique(pairs):
        if len({key for key, _ in pairs}) < len(pairs):
            raise Wrong("a key stands twice")
        return dict(pairs)

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
        again = canonical(value)
    except (ValueError, RecursionError) as error:
        raise Wrong("not JSON: %s" % error) from error
    if again != data:
        raise Wrong("JSON, but not in canonical form")
    return value


def digest_of(value):
    return sha256(canonical(value))


def leaf(record):
    return hashlib.sha256(b"\x00" + record).digest()


def root_of(leaves):
    """The Merkle root of RFC 9162 over leaf hashes, split at a power of two."""
    if not leaves:
        return hashlib.sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    pair = b"\x01" + as_bytes(root_of(leaves[:half])) + as_bytes(root_of(leaves[half:]))
    return hashlib.sha256(pair)


def as_bytes(node):
    return node if isinstance(node, bytes) else node.digest()


def merkle(records):
    return as_bytes(root_of([leaf(record) for record in records])).hex()


# --- the bundle ------------------------------------------------------------------------


class Bundle:
    """The unpacked folder, and what was found wrong with it."""

    def __init__(self, folder):
        self.folder = folder
        self.files = {}
        self.faults = []
        self.step = ""
        self.json = {}
        self.runs = {}
        self.whole = True
        self.tag = None

    def wrong(self, text, code=CHANGED):
        if (code, self.step, text) not in self.faults:
            self.faults.append((code, self.step, text))

    def lacking(self, text):
        self.wrong(text, LACKING)

    def document(self, path):
        """A JSON document as a table; an empty one where it is absent or malformed."""
        found = self.json.get(path)
        return found if isinstance(found, dict) else {}


def paths(b):
    folded = {}
    for folder, folders, names in os.walk(b.folder):
        for name in sorted(folders + names):
            whole = os.path.join(folder, name)
            path = os.path.relpath(whole, b.folder).replace(os.sep, "/")
            mode = os.lstat(whole).st_mode
            if stat.S_ISREG(mode):
                with open(whole, "rb") as file:
                    b.files[path] = file.read()
            elif not stat.S_ISDIR(mode):
                b.wrong("%a: is a link or no file" % path)
            if not path.isascii() or not path.isprintable():
                b.wrong("%a: is no plain path" % path)
            if folded.setdefault(path.lower(), path) != path:
                b.wrong(
                    "%s: differs from %s only in case" % (path, folded[path.lower()])
                )
    if not b.files:
        b.lacking("the bundle is empty: there is nothing to verify")


def files(b):
    if "SHA256SUMS" not in b.files:
        return b.wrong("SHA256SUMS is absent")
    listed = {}
    for line in b.files["SHA256SUMS"].decode("utf-8", "replace").splitlines():
        digest, _, path = line.partition("  ")
        if not HEX.match(digest) or not path or path in listed:
            b.wrong(
                "SHA256SUMS: %a is no line of digest and path, or its second" % line
            )
        listed[path] = digest
    for path in sorted(set(listed) - set(b.files)):
        if path != "manifest.json" and not MANIFEST.match(path):
            b.wrong("%s: is listed, but absent" % path)
    for path, data in sorted(b.files.items()):
        if path == "SHA256SUMS":
            continue
        if path not in listed:
            b.wrong("%s: is an extra file: SHA256SUMS lacks it" % path)
        elif listed[path] != sha256(data):
            b.wrong("%s: differs from its digest in SHA256SUMS" % path)


def form(b):
    for path, data in sorted(b.files.items()):
        top = path.split("/")[0]
        if not path.endswith(".json") or top in {"site", "sources"}:
            continue
        try:
            b.json[path] = parse(data)
        except Wrong as error:
            b.wrong("%s: %s" % (path, error))
    if "manifest.json" not in b.files:
        b.lacking("manifest.json is absent: no release manifest to hold files against")
    if "release.tag" not in b.files:
        return b.wrong("release.tag is absent: nothing vouches for the roots")
    found = TAG.match(b.files["release.tag"].decode("utf-8", "replace"))
    if not found or found[2] != found[3]:
        return b.wrong("release.tag: is not the tag of a controlbook release")
    names = "commit _ release assessment facts publication sources ledger toolchain"
    b.tag = dict(zip(names.split(), found.groups()))
    b.tag["ledger"] = {
        row.split()[1].rstrip(":"): (int(row.split()[2]), *row.split()[3:])
        for row in b.tag["ledger"].splitlines()
    }


# --- the ledger ------------------------------------------------------------------------


def ledger(b):
    streams = {}
    for path in b.files:
        found = MANIFEST.match(path)
        if found and found[1] not in {"manual", "checkpoints"}:
            streams.setdefault(found[1], {})[int(found[2])] = path
    if not streams:
        return b.lacking("the ledger is absent: there is no run manifest")
    seen = {"ledger": {}, "id": {}, "window": {}}
    for stream, manifests in sorted(streams.items()):
        chain(b, stream, manifests, seen)
        heads(b, stream, [sha256(b.files[manifests[seq]]) for seq in sorted(manifests)])
    for stream in sorted(set((b.tag or {}).get("ledger", {})) - set(streams)):
        b.whole = False
        b.lacking(
            "ledger/%s ends early: the tag names it, and nothing is here" % stream
        )


def chain(b, stream, manifests, seen):
    prev, last, rules = "0" * 64, "", {}
    for seq in range(1, max(manifests) + 1):
        path = manifests.get(seq, "ledger/%s/%06d.json" % (stream, seq))
        if seq not in manifests:
            b.wrong("%s: is missing, though later ones follow it" % path)
            continue
        m = b.document(path)
        if (m.get("type"), m.get("stream"), m.get("seq")) != (
            "controlbook/run/1",
            stream,
            seq,
        ):
            b.wrong("%s: its type, stream or seq is not that of its name" % path)
        if m.get("prev") != prev:
            b.wrong("%s: prev does not name the manifest before it" % path)
        prev = sha256(b.files[path])
        window = (m["window"]["start"], m["window"]["end"])
        if m.get("kind") != "correction":
            if window[0] < last:
                b.wrong("%s: its window goes back before the last one's end" % path)
            last = max(last, window[1])
        for key, value in (("id", m["run"]["id"]), ("window", (stream, *window))):
            if seen[key].setdefault(value, path) != path and m["kind"] != "correction":
                b.wrong("%s: its %s stands in another manifest too" % (path, key))
        if seen["ledger"].setdefault("id", m["ledger"]) != m["ledger"]:
            b.wrong("%s: belongs to another ledger" % path)
        rules = {
            k: row for k, row in rules.items() if k not in m.get("rules_removed", [])
        }
        rules.update({row["key"]: row for row in m.get("rules", [])})
        if m["rules_root"] != merkle(canonical(rules[key]) for key in sorted(rules)):
            b.wrong("%s: rules_root is not that of its rules" % path)
        counts = {}
        for row in rules.values():
            if sum(row.get("counts", {}).values()) != row["population"]:
                b.wrong("%s: counts of %s are not its population" % (path, row["rule"]))
            for state, count in row.get("counts", {}).items():
                counts[state] = counts.get(state, 0) + count
        if counts != m.get("counts", {}):
            b.wrong("%s: counts are not the sum over the rules" % path)
        for move in m.get("transitions", []):
            if not window[0] <= move["at"] < window[1] and m["kind"] != "correction":
                b.wrong("%s: a transition lies outside its window" % path)
        b.runs.setdefault(stream, []).append((path, m, dict(rules)))


def heads(b, stream, digests):
    if b.tag is None:
        return
    due = b.tag["ledger"].get(stream)
    root = merkle(bytes.fromhex(digest) for digest in digests)
    if due is None:
        b.wrong("ledger/%s: the tag names no such stream" % stream)
    elif len(digests) < due[0]:
        b.whole = False
        b.lacking(
            "ledger/%s ends early: at %d of %d runs" % (stream, len(digests), due[0])
        )
    elif (len(digests), digests[-1], root) != due:
        b.wrong("ledger/%s: its chain is not the one that the tag names" % stream)


def sources(b):
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
            b.wrong("sources/%s: is named by sources.json, but absent" % path)
        elif path not in named:
            b.wrong("sources/%s: is an extra file: sources.json lacks it" % path)
        elif named[path]["sha256"] != sha256(here[path]):
            b.wrong("sources/%s: is not the file that sources.json names" % path)
    facts = b.document("facts.json")
    for row in facts.get("controls", []) + facts.get("annotations", []):
        if named.get(row["path"], {}).get("sha256") != row["sha256"]:
            b.wrong(
                "sources/%s: is not the file that facts.json rests on" % row["path"]
            )


def coverage(b):
    facts = b.document("facts.json")
    start, end = facts.get("period", ["", ""])
    at, holes = start, []
    for _, m, _ in b.runs.get("config", []):
        window = m["window"]
        if m["kind"] == "correction" or window["end"] <= start or at >= end:
            continue
        if window["start"] > at:
            holes.append((at, min(window["start"], end)))
        at = max(at, window["end"])
    gaps = {
        (g["start"], g["end"]) for g in facts.get("gaps", []) if g["reason"] == "no-run"
    }
    for hole in holes:
        if hole not in gaps:
            b.wrong("no run covers %s to %s, and no published gap says so" % hole)
    if at < end:
        b.lacking("the ledger ends at %s, before the period does (%s)" % (at, end))


# --- packs and states ------------------------------------------------------------------


def packs(b):
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
                b.wrong("%s: no run manifest names this pack" % path)
            continue
        owner, stored = named[found[1]]
        lines = data.split(b"\n")[:-1]
        hidden = [line for line in lines if line.startswith(b"#")]
        if any(not re.match(rb"#[0-9a-f]{64}\Z", line) for line in hidden):
            b.wrong("%s: a line is neither a record nor a leaf hash" % path)
            continue
        leaves = [
            bytes.fromhex(line[1:].decode()) if line.startswith(b"#") else leaf(line)
            for line in lines
        ]
        if as_bytes(root_of(leaves)).hex() != stored["records_root"]:
            b.wrong("%s: its Merkle root is not the one in %s" % (path, owner))
        if len(lines) != stored["records"]:
            b.wrong("%s: it has not the records that %s counts" % (path, owner))
    if b.whole:
        states(b)


def states(b):
    """Fold the opening states through every run, comparing each recorded root."""
    scope = b.document("facts.json").get("scope", {})
    accounts = {number for _, number in scope.get("accounts", [])}
    start, end = scope.get("period", ["", ""])
    regular = [
        run for run in b.runs.get("config", []) if run[1]["kind"] != "correction"
    ]
    if len(regular) != len(b.runs.get("config", [])) or not regular:
        return
    before = [i for i, run in enumerate(regular) if run[1]["window"]["end"] <= start]
    until = [i for i, run in enumerate(regular) if run[1]["window"]["start"] < end]
    first = before[-1] if before else 0
    current = carried_states(b, regular[first])
    for path, m, rules in regular[first : until[-1] + 1]:
        moved = set()
        for move in m.get("transitions", []) if path != regular[first][0] else []:
            own = current.setdefault(move["instance"], {})
            moved.add(move["instance"])
            own[move["resource"]] = (move["after"], move["at"])
            if move["after"] == "ABSENT":
                del own[move["resource"]]
        for key, row in rules.items():
            due = path == regular[first][0] or key in moved
            if not due or row["account"] not in accounts:
                continue
            if row["region"] not in scope["regions"]:
                continue
            rows = [[name, *state] for name, state in current.get(key, {}).items()]
            if row["records_root"] != merkle(sorted(canonical(r) for r in rows)):
                b.wrong(
                    "%s: records_root of %s in %s is not that of its states"
                    % (path, row["rule"], row["account"])
                )
    closing = regular[until[-1]]
    ours = {k for k, row in closing[2].items() if row["account"] in accounts}
    last = {
        k: rows for k, rows in carried_states(b, closing).items() if k in ours and rows
    }
    if last != {k: rows for k, rows in current.items() if k in ours and rows}:
        b.wrong("%s: the transitions do not lead to its state pack" % closing[0])


def carried_states(b, run):
    found = {}
    for stored in run[1].get("objects", []):
        if stored["role"] != "state":
            continue
        path = "packs/%s.leaves" % stored["content_sha256"]
        if path not in b.files:
            b.wrong("%s: its state pack is not carried (%s)" % (run[0], path))
        for line in b.files.get(path, b"").split(b"\n")[:-1]:
            if not line.startswith(b"#"):
                for key, name, state, since in parse(line)["states"]:
                    found.setdefault(key, {})[name] = (state, since)
    return found


# --- the release -----------------------------------------------------------------------


def release(b):
    m = b.document("manifest.json")
    listed = m.get("files", {})
    for path, row in sorted(listed.items()):
        if path not in b.files:
            b.wrong("%s: is listed in manifest.json, but absent" % path)
        elif (row["sha256"], row["size"]) != (
            sha256(b.files[path]),
            len(b.files[path]),
        ):
            b.wrong("%s: was swapped: it is not what manifest.json names" % path)
    for path in sorted(set(b.files) - set(listed) - ALONE):
        known = path.startswith("sources/") or PACK.match(path) or MANIFEST.match(path)
        if not known and not CHECKPOINT.match(path):
            b.wrong("%s: is an extra file: manifest.json lacks it" % path)
    for path in sorted(ALONE - set(b.files)):
        b.wrong("%s: is absent, and every bundle has one" % path)
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
            b.wrong("manifest.json: the tag names another %s" % what)
    if b.tag["facts"] != facts_root:
        b.wrong("facts.json: is not what the tag names (facts-root)")
    if b.tag["publication"] != root:
        b.wrong(
            "a published file (site, PDF, data) is not the one that the tag names"
            " (publication-root)"
        )


# --- sign-offs -------------------------------------------------------------------------


def signoffs(b):
    facts, parsed = b.document("facts.json"), b.document("sources.json")
    for row in facts.get("requirements", []):
        status = row["status"]
        if status not in {"signed", "signed with deviations"}:
            b.wrong("%s is published as %s" % (row["number"], status), OPEN)
        for name in row["unannotated"]:
            b.wrong("%s: %s is not annotated" % (row["number"], name), OPEN)
        if not status.startswith("signed"):
            continue
        folder = "signoffs/%s/" % facts["assessment"]
        over = [("requirements/%s.yml" % row["number"], sorted(row["controls"]), row)]
        over += [("controls/%s.yml" % name, [name], None) for name in row["controls"]]
        for path, controls, requirement in over:
            file = parsed.get("files", {}).get(folder + path)
            if file is None:
                b.wrong(
                    "%s is published as %s without %s" % (row["number"], status, path)
                )
                continue
            signed = {part["name"]: part["sha256"] for part in file["tree"]["subject"]}
            now = subject(b, facts, parsed, controls, requirement)
            for name, digest in now.items():
                if signed.get(name) != digest:
                    b.wrong(
                        "%s is published as %s, but %s is stale: %s was %s, is %s"
                        % (
                            *(row["number"], status, path, name),
                            *(str(signed.get(name))[:12], digest[:12]),
                        )
                    )


def subject(b, facts, parsed, controls, requirement):
    """What an attestation (one control) or a sign-off (a requirement) is bound to."""
    trees = parsed["files"]
    files_of = {name: trees["controls/%s.yml" % name] for name in controls}
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
        path = "signoffs/" + facts["assessment"] + "/controls/%s.yml"
        found["attestations"] = digest_of(
            [[n, trees[path % n]["sha256"]] for n in controls if path % n in trees]
        )
    return found


def source(parsed, row):
    """One kind of evidence that a control names, resolved to what it demands."""
    if "config" in row:
        name, custom = row["config"], row.get("custom")
        identifier = (
            "custom-%s:%s" % (custom, name) if custom else parsed["rules"][name]
        )
        parameters = row.get("parameters", {})
        key = "config:" + name
        return {"key": key, "identifier": identifier, "parameters": parameters}
    if "cloudtrail" in row:
        query = row["cloudtrail"]
        return {"key": "cloudtrail:%s:%s" % (query["source"], query["event"])}
    return {"key": ":".join(next(iter(row.items())))}


def mapped(facts, trees, requirement, controls, table):
    entry = trees["frameworks/%s.yml" % facts["framework"]["id"]]["tree"]
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


def judged_by(facts, trees, requirement):
    path = "signoffs/%s/assessment.yml" % facts["assessment"]
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


def evidence_root(b, scope, evidence):
    """The Merkle root over what runs recorded of the rules that controls demand."""
    demands = [row for rows in evidence.values() for row in rows if "identifier" in row]
    accounts = {number for _, number in scope["accounts"]}
    start, end = scope["period"]
    leaves = []
    for _, m, rules in b.runs.get("config", []):
        if m["window"]["end"] < start or m["window"]["start"] >= end:
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
            moves = sorted(
                [t["resource"], t["at"], t["before"], t["after"], t["precision"],
                 t.get("cause", "")]
                for t in m.get("transitions", [])
                if t["instance"] == key
            )  # fmt: skip
            if moves:
                moves.sort(key=lambda move: (move[1], move[0]))
                record.append(digest_of(moves))
            leaves.append(canonical(record))
    return merkle(leaves)


STEPS = (paths, files, form, ledger, sources, coverage, packs, release, signoffs)


def verify(folder):
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
            b.wrong("cannot be read to its end: %s: %s" % (type(e).__name__, e))
        if not b.files or (step is form and "manifest.json" not in b.files):
            break
    codes = {code for code, _, _ in b.faults}
    worst = next((code for code in (CHANGED, LACKING, OPEN) if code in codes), FINE)
    return worst, b


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("folder", nargs="?", default=here, help="the unpacked bundle")
    folder = parser.parse_args(arguments).folder
    if not os.path.isdir(folder):
        print("%s: is no folder; unpack the bundle first" % folder, file=sys.stderr)
        return USAGE
    code, b = verify(folder)
    for step in STEPS:
        name = "sign-offs" if step is signoffs else step.__name__
        own = [fault for fault in b.faults if fault[1] == name]
        print("%-9s %s" % (name, "ok" if not own else "NOT OK"))
        for _, _, text in own:
            print("          %s" % text)
    print("\nfacts root  %s" % sha256(b.files.get("facts.json", b"")))
    print(
        "release tag %s (SHA-256 of release.tag)"
        % sha256(b.files.get("release.tag", b""))
    )
    print("\nNot checked here:")
    for text in NOT_CHECKED:
        print("- %s" % text)
    print("\nexit code %d" % code)
    return code


if __name__ == "__main__":
    sys.exit(main())
