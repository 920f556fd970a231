# SPDX-License-Identifier: Apache-2.0
"""Re-check everything that a bundle claims, in numbered steps.

Rules enforced here (design section 7, trust.md section 3):
 1. paths: bounded sizes, plain names, no links, no twins;
 2. files: SHA256SUMS, the layout and the files agree; nothing extra, nothing absent;
 3. form: what is JSON is canonical JSON;
 4. ledger: every chain holds, and reaches the head that the tag names;
 5. coverage: runs cover the period, or a published gap says where they do not;
 6. packs: what is carried of a pack has the root in its manifest, and states fold;
 7. vault: a copy given with `--raw` holds every object, byte for byte;
 8. release: manifest, files, tag and pins name the same roots;
 9. history: the carried repository holds this tag, these sources and this ledger, and
    nobody's unreviewed commits;
10. findings: facts and data files, derived again from sources and ledger, are equal;
11. sign-offs: what is published as signed is signed, and over this.
Nothing is written, nothing is fetched. What was not checked is listed. Empty or partial
input never passes. Of several verdicts the worst stands: 3, 2, 4, 5, 1, 0.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .approve import Record, approve
from .assess import assess, opening_run
from .carried import carry
from .digest import NotCanonicalError, canonical, digest_of, parse_canonical, sha256
from .errors import ControlbookError, Exit, InvalidFiles
from .extracts import (
    ExtractError,
    carried_packs,
    closing_run,
    read_extract,
    state_object,
)
from .git import Repository
from .ledger import chain_problems, parse_state_lines, read_ledger
from .library import GOVERNED, governed, read, sources_document
from .model import Status
from .recount import hole_faults, state_faults, vault_faults
from .render.data import data_files
from .render.facts import facts
from .render.manifest import (
    ReleaseError,
    ledger_heads,
    parse_manifest,
    parse_tag,
    publication_root,
)
from .render.report import Commit, Report
from .subjects import requirement_subject
from .vault.directory import DirectoryVault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .carried import Carried
    from .digest import Json
    from .extracts import Extract
    from .model import (
        Arrival,
        Assessment,
        Findings,
        Ledger,
        Library,
        RequirementStatus,
        Run,
        Standing,
        StoredObject,
    )
    from .recount import Fault
    from .render.manifest import ReleaseManifest, Tag

SIGNED = frozenset({Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS})
_SEVERITY = (
    Exit.UNEXPECTED,
    Exit.USAGE,
    Exit.INTEGRITY,
    Exit.UNAVAILABLE,
    Exit.FOUND,
)
_SUM = re.compile(r"([0-9a-f]{64})  ([^\n]+)\Z")
_LEDGER = re.compile(r"ledger/[a-z][a-z0-9-]*/\d{6}\.json\Z", re.ASCII)
_CHECKPOINT = re.compile(r"ledger/checkpoints/[0-9]+\.json(?:\.sig|\.tsr)?\Z", re.ASCII)
_PACK = re.compile(r"packs/([0-9a-f]{64})\.leaves\Z")
_ALONE = ("manifest.json", "release.tag", "repo.bundle", "sources.json", "SHA256SUMS")

NEVER = (
    "whether AWS Config's verdicts are true, and whether anything was left out when they"
    " were collected",
    "the present state of GitHub and of the vault (nothing was fetched)",
    "when anything happened, beyond what Git, AWS and GitHub claimed: no trusted time",
    "signatures of people, tags and checkpoints: no keys were given",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One step of the verification and what it found."""

    name: str
    count: int
    """How many things it looked at."""
    faults: tuple[Fault, ...] = ()

    @property
    def ok(self) -> bool:
        """Tell whether it found nothing."""
        return not self.faults

    @property
    def code(self) -> Exit:
        """The exit code that it alone would give."""
        return _worst(code for code, _ in self.faults)

    @property
    def message(self) -> str:
        """What it found, one a line."""
        return "\n".join(text for _, text in self.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification found, and what it did not look at."""

    checks: tuple[Check, ...]
    not_checked: tuple[str, ...]
    facts_root: str = ""
    tag: str = ""
    """SHA-256 of the raw tag object."""

    @property
    def code(self) -> Exit:
        """The exit code: the worst of all checks."""
        return _worst(check.code for check in self.checks)


def _worst(codes: Iterable[Exit]) -> Exit:
    found = set(codes)
    return next((code for code in _SEVERITY if code in found), Exit.FINE)


def verify(path: Path, *, raw: Path | None = None, pin: str = "") -> Verdict:
    """Check a bundle (a zip or its unpacked folder) against itself, and more if given.

    `raw` is a copy of the vault; `pin` is a root or digest known from outside.
    """
    if raw is not None and not raw.is_dir():
        message = "there is no such folder"
        raise ControlbookError(message, place=str(raw), advice="name a vault's copy")
    return _Verification(carry(path), raw, pin.strip().lower()).run()


@dataclass(slots=True)
class _Verification:
    """One pass; each step leaves behind what the later ones need."""

    bundle: Carried
    raw: Path | None
    pin: str
    checks: list[Check] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    manifest: ReleaseManifest | None = None
    tag: Tag | None = None
    ledger: Ledger | None = None
    whole: bool = True
    """Whether the ledger reaches every head that the tag names."""
    library: Library | None = None
    assessment: Assessment | None = None
    published: Mapping[str, Json] = field(default_factory=dict)
    """facts.json, as far as it is a table."""
    opening: tuple[Standing, ...] | None = None
    repository_facts: _History | None = None
    findings: Findings | None = None
    statuses: Mapping[str, RequirementStatus] = field(default_factory=dict)

    @property
    def files(self) -> Mapping[str, bytes]:
        return self.bundle.files

    def run(self) -> Verdict:
        self._step("paths", len(self.files), self._paths())
        if self.files and not self.bundle.faults:
            self._inside()
        self.not_checked.extend(NEVER)
        return Verdict(
            checks=tuple(self.checks),
            not_checked=tuple(self.not_checked),
            facts_root=sha256(self.files.get("facts.json", b"")),
            tag=sha256(self.files.get("release.tag", b"")),
        )

    def _inside(self) -> None:
        self._step("files", len(self.files), self._sums())
        self._step("form", len(self._json()), self._form())
        if self.manifest is None:
            self._skip("everything else", "there is no release manifest")
            return
        manifests = self._manifests()
        self._step("ledger", len(manifests), self._chain(manifests))
        if self.ledger is None:
            self._skip("coverage, packs, findings, sign-offs", "there is no ledger")
        self._step("sources", len(self._sources()), self._read_sources())
        if self.ledger and self.assessment:
            runs = len(self.ledger.config)
            self._step("coverage", runs, self._coverage())
            self._step("packs", len(self._carried()), self._packs())
            self._vault()
        self._step("release", len(self.manifest.files), self._release())
        with tempfile.TemporaryDirectory(prefix="controlbook-") as folder:
            self._step("history", 1, self._history(Path(folder)))
            self._derive()

    def _step(self, name: str, count: int, faults: Iterable[Fault]) -> None:
        found = tuple(dict.fromkeys(faults))
        self.checks.append(Check(name=name, count=count, faults=found))

    def _skip(self, what: str, why: str) -> None:
        self.not_checked.append(f"{what}: {why}")

    # --- 1 to 3: paths, files, form ---

    def _paths(self) -> Iterator[Fault]:
        for fault in self.bundle.faults:
            yield Exit.INTEGRITY, fault
        if not self.files and not self.bundle.faults:
            yield Exit.UNAVAILABLE, "the bundle is empty: there is nothing to verify"

    def _sums(self) -> Iterator[Fault]:
        data = self.files.get("SHA256SUMS")
        if data is None:
            yield Exit.INTEGRITY, "SHA256SUMS is absent"
            return
        listed: dict[str, str] = {}
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            found = _SUM.match(line)
            if not found or found[2] in listed:
                yield (
                    Exit.INTEGRITY,
                    f"SHA256SUMS:{number}: is no line of digest and path, or its"
                    " second",
                )
                continue
            listed[found[2]] = found[1]
        for path in sorted(listed.keys() - self.files.keys()):
            # A run manifest that is gone is the ledger's matter: it may be a hole in
            # the chain, or a ledger that ends early.
            if path != "manifest.json" and not _LEDGER.match(path):
                yield Exit.INTEGRITY, f"{path}: is listed, but absent"
        for path, body in sorted(self.files.items()):
            if path == "SHA256SUMS":
                continue
            if path not in listed:
                yield Exit.INTEGRITY, f"{path}: is an extra file: SHA256SUMS lacks it"
            elif sha256(body) != listed[path]:
                yield Exit.INTEGRITY, f"{path}: differs from its digest in SHA256SUMS"

    def _json(self) -> list[str]:
        return sorted(
            path
            for path in self.files
            if path.endswith(".json")
            and (
                path in {"manifest.json", "facts.json", "sources.json"}
                or path.startswith("data/")
            )
        )

    def _form(self) -> Iterator[Fault]:
        for path in self._json():
            try:
                tree = parse_canonical(self.files[path])
            except NotCanonicalError as error:
                yield Exit.INTEGRITY, f"{path}: {error}"
                continue
            if path == "facts.json" and isinstance(tree, dict):
                self.published = tree
        data = self.files.get("manifest.json")
        if data is None:
            yield (
                Exit.UNAVAILABLE,
                "manifest.json is absent: no release manifest, nothing to hold the"
                " files against",
            )
            return
        try:
            self.manifest = parse_manifest(data)
        except ReleaseError as error:
            yield Exit.INTEGRITY, f"manifest.json: {error}"
        raw = self.files.get("release.tag")
        if raw is None:
            yield Exit.INTEGRITY, "release.tag is absent: nothing vouches for the roots"
            return
        try:
            self.tag = parse_tag(raw)
        except ReleaseError as error:
            yield Exit.INTEGRITY, f"release.tag: {error}"

    # --- 4: the ledger ---

    def _manifests(self) -> dict[str, bytes]:
        return {
            f"evidence/{path.removeprefix('ledger/')}": data
            for path, data in self.files.items()
            if path.startswith("ledger/")
        }

    def _chain(self, manifests: Mapping[str, bytes]) -> Iterator[Fault]:
        if not manifests:
            self.whole = False
            yield Exit.UNAVAILABLE, "the ledger is absent: there is no run manifest"
            return
        problems = chain_problems(manifests)
        for problem in problems:
            yield Exit.INTEGRITY, problem.replace("evidence/", "ledger/", 1)
        if problems:
            return
        self.ledger = read_ledger(manifests)
        if self.tag:
            yield from self._heads(self.ledger, self.tag)

    def _heads(self, ledger: Ledger, tag: Tag) -> Iterator[Fault]:
        ours = {head.stream: head for head in ledger_heads(ledger)}
        named = {head.stream: head for head in tag.release.heads}
        for stream in sorted(ours.keys() | named.keys()):
            head, due = ours.get(stream), named.get(stream)
            if due is None:
                yield Exit.INTEGRITY, f"ledger/{stream}: the tag names no such stream"
            elif head is None or head.seq < due.seq:
                self.whole = False
                last = head.seq if head else 0
                yield (
                    Exit.UNAVAILABLE,
                    f"ledger/{stream} ends early: at seq {last:06d}, where the tag"
                    f" names {due.seq:06d}",
                )
            elif head != due:
                yield (
                    Exit.INTEGRITY,
                    f"ledger/{stream}/{head.seq:06d}.json: its chain is not the one"
                    f" that the tag names (head {head.sha256[:16]}…, tag"
                    f" {due.sha256[:16]}…)",
                )

    # --- the sources, which later steps read ---

    def _sources(self) -> dict[str, bytes]:
        return {
            path.removeprefix("sources/"): data
            for path, data in self.files.items()
            if path.startswith("sources/")
        }

    def _read_sources(self) -> Iterator[Fault]:
        sources = self._sources()
        due = canonical(sources_document(sources))
        if self.files.get("sources.json") != due:
            yield Exit.INTEGRITY, "sources.json: is not what the files in sources/ say"
        if self.tag and sha256(due) != self.tag.release.sources:
            yield (
                Exit.INTEGRITY,
                "sources/: the tag names other sources: a control, mapping, scope,"
                " annotation or sign-off was changed",
            )
        try:
            self.library = read(sources)
        except InvalidFiles as error:
            for problem in error.problems:
                yield Exit.INTEGRITY, f"sources/{problem}"
            return
        name = self.manifest.assessment if self.manifest else ""
        self.assessment = self.library.assessments.get(name)
        if self.assessment is None:
            yield Exit.INTEGRITY, f"sources/: there is no assessment {name!r}"

    # --- 5 and 6: coverage and packs ---

    def _coverage(self) -> Iterator[Fault]:
        assert self.ledger  # noqa: S101 - _inside asked
        assert self.assessment  # noqa: S101
        gaps = [
            (str(row.get("start")), str(row.get("end")))
            for row in _rows(self.published, "gaps")
            if row.get("reason") == "no-run"
        ]
        yield from hole_faults(self.ledger, self.assessment, gaps)

    def _carried(self) -> dict[str, bytes]:
        return {
            found[1]: data
            for path, data in self.files.items()
            if (found := _PACK.match(path))
        }

    def _packs(self) -> Iterator[Fault]:
        assert self.ledger  # noqa: S101 - _inside asked
        assert self.assessment  # noqa: S101
        named = {
            stored.content_sha256: (run, stored)
            for runs in self.ledger.runs.values()
            for run in runs
            for stored in run.objects
            if stored.records_root
        }
        extracts: dict[str, Extract] = {}
        for digest, data in sorted(self._carried().items()):
            path = f"packs/{digest}.leaves"
            if digest not in named:
                if self.whole:
                    yield Exit.INTEGRITY, f"{path}: no run manifest names this pack"
                continue
            try:
                extracts[digest] = read_extract(data)
            except ExtractError as error:
                yield Exit.INTEGRITY, f"{path}: {error}"
                continue
            yield from _pack_faults(path, data, extracts[digest], *named[digest])
        if self.whole:
            yield from self._states(self.ledger, self.assessment, extracts)

    def _states(
        self, ledger: Ledger, assessment: Assessment, extracts: Mapping[str, Extract]
    ) -> Iterator[Fault]:
        found: list[tuple[Standing, ...]] = []
        for run in (
            opening_run(ledger.config, assessment.period),
            closing_run(ledger, assessment),
        ):
            stored = state_object(run) if run else None
            if run is None or stored is None:
                return
            own = extracts.get(stored.content_sha256)
            if own is None:
                yield (
                    Exit.INTEGRITY,
                    f"{_name(run)}: its state pack is not carried"
                    f" (packs/{stored.content_sha256}.leaves)",
                )
                return
            try:
                found.append(parse_state_lines(own.records))
            except ControlbookError as error:
                yield Exit.INTEGRITY, f"{_name(run)}: {error.message}"
                return
        self.opening = found[0]
        if any(run.kind == "correction" for run in ledger.config):
            self._skip("states after each run", "the ledger has corrections")
            return
        yield from state_faults(ledger, found[0], found[1], assessment)

    # --- 7: the vault ---

    def _vault(self) -> None:
        if self.raw is None:
            self._skip("the packs in the vault", "no copy of it was given (--raw)")
            return
        assert self.ledger  # noqa: S101 - _inside asked
        assert self.library  # noqa: S101
        objects = [
            *(
                (_name(run), stored)
                for runs in self.ledger.runs.values()
                for run in runs
                for stored in run.objects
            ),
            *((paper.path, paper.object) for paper in self.library.manual.values()),
        ]
        manifests = {
            f"ledger/{path.removeprefix('evidence/')}": data
            for path, data in self._manifests().items()
        }
        vault = DirectoryVault(self.raw)
        self._step(
            "vault",
            len(objects) + len(manifests),
            vault_faults(vault, objects, manifests),
        )

    # --- 8: the release ---

    def _release(self) -> Iterator[Fault]:
        manifest, tag = self.manifest, self.tag
        assert manifest  # noqa: S101 - _inside asked
        yield from self._layout(manifest)
        root = publication_root(manifest.files)
        if root != manifest.publication_root:
            yield (
                Exit.INTEGRITY,
                "manifest.json: its publication root is not its files'",
            )
        facts_root = sha256(self.files.get("facts.json", b""))
        if facts_root != manifest.facts_root:
            yield Exit.INTEGRITY, "facts.json: is not what manifest.json names"
        if self.bundle.name and manifest.assessment != self.bundle.name:
            self._skip("the folder's name", f"it is not {manifest.assessment}")
        if tag is None:
            return
        for what, ours, due in (
            ("assessment", manifest.assessment, tag.release.assessment),
            ("release", manifest.release, tag.release.name),
            ("commit", manifest.commit, tag.commit),
            ("toolchain", digest_of(dict(manifest.toolchain)), tag.release.toolchain),
        ):
            if ours != due:
                yield Exit.INTEGRITY, f"manifest.json: the tag names another {what}"
        if facts_root != tag.release.facts_root:
            yield Exit.INTEGRITY, "facts.json: is not what the tag names (facts-root)"
        if root != tag.release.publication_root:
            yield (
                Exit.INTEGRITY,
                "a published file (site, PDF, data) is not the one that the tag names"
                f" (publication-root {tag.release.publication_root[:16]}…, files give"
                f" {root[:16]}…)",
            )
        yield from self._pins(tag)

    def _layout(self, manifest: ReleaseManifest) -> Iterator[Fault]:
        for path, (digest, size) in sorted(manifest.files.items()):
            body = self.files.get(path)
            if body is None:
                yield (
                    Exit.INTEGRITY,
                    f"{path}: is listed in manifest.json, but absent",
                )
            elif (sha256(body), len(body)) != (digest, size):
                yield (
                    Exit.INTEGRITY,
                    f"{path}: was swapped: it is not the file that manifest.json names",
                )
        for path in sorted(self.files.keys() - manifest.files.keys()):
            known = (
                path in _ALONE
                or _LEDGER.match(path)
                or _CHECKPOINT.match(path)
                or _PACK.match(path)
                or (path.startswith("sources/") and governed(path[8:]))
            )
            if not known:
                yield (
                    Exit.INTEGRITY,
                    f"{path}: is an extra file: manifest.json lacks it",
                )
        for path in _ALONE:
            if path not in self.files:
                yield Exit.INTEGRITY, f"{path}: is absent, and every bundle has one"

    def _pins(self, tag: Tag) -> Iterator[Fault]:
        if not self.pin:
            self._skip(
                "whether this is the release that everybody has",
                "no pin was given (--pin): a bundle rebuilt as a whole would pass",
            )
            return
        known = {
            tag.release.facts_root,
            tag.release.publication_root,
            tag.commit,
            sha256(self.files["release.tag"]),
            sha256(self.files["manifest.json"]),
            *(head.sha256 for head in tag.release.heads),
            *(head.root for head in tag.release.heads),
        }
        if self.pin not in known:
            yield (
                Exit.INTEGRITY,
                f"the pin {self.pin[:16]}… names nothing in this release",
            )

    # --- 9: the history ---

    def _history(self, folder: Path) -> Iterator[Fault]:
        data, tag = self.files.get("repo.bundle"), self.tag
        if data is None or tag is None:
            self._skip("the Git history", "repo.bundle or release.tag cannot be read")
            return
        if shutil.which("git") is None:
            yield Exit.UNAVAILABLE, "git is not installed, so repo.bundle stays unread"
            return
        try:
            history = _History.read(data, folder, tag, self.library)
        except ControlbookError as error:
            yield Exit.INTEGRITY, f"repo.bundle: {error.message}"
            return
        if history.tag != self.files["release.tag"]:
            yield Exit.INTEGRITY, "release.tag: is not the tag in repo.bundle"
        self.repository_facts = history
        yield from self._equal("sources", self._sources(), history.sources, tag)
        ledger = {p.removeprefix("evidence/"): d for p, d in history.ledger.items()}
        ours = {p.removeprefix("evidence/"): d for p, d in self._manifests().items()}
        if not self.whole:  # what is lacking was said; what is here must be equal
            ledger = {path: data for path, data in ledger.items() if path in ours}
        yield from self._equal("ledger", ours, ledger, tag)
        unreviewed = (
            history.unreviewed(self.ledger) if self.ledger and self.whole else ()
        )
        for commit in unreviewed:
            yield (
                Exit.INTEGRITY,
                f"commit {commit[:12]}: changed governed files, and no captured pull"
                " request reviewed it",
            )

    def _equal(
        self, folder: str, ours: Mapping[str, bytes], due: Mapping[str, bytes], tag: Tag
    ) -> Iterator[Fault]:
        for path in sorted(ours.keys() | due.keys()):
            if ours.get(path) == due.get(path):
                continue
            how = (
                "is absent here"
                if path not in ours
                else "is not in the commit"
                if path not in due
                else "differs from the commit"
            )
            yield (
                Exit.INTEGRITY,
                f"{folder}/{path}: {how} that the tag names ({tag.commit[:12]})",
            )

    # --- 10 and 11: findings and sign-offs ---

    def _derive(self) -> None:
        library, ledger, assessment = self.library, self.ledger, self.assessment
        ready = library and ledger and assessment and self.repository_facts
        if (
            not (library and ledger and assessment and self.repository_facts)
            or self.opening is None
            or not self.whole
        ):
            self._skip(
                "findings and sign-offs, derived again",
                "ledger, sources, states or history are incomplete"
                if ready or not self.whole
                else "what they follow from cannot be read",
            )
            return
        self.findings = assess(library, ledger, self.opening, assessment)
        record = Record(
            library=library,
            findings=self.findings,
            ledger=ledger,
            assessment=assessment,
            arrivals=self.repository_facts.arrivals,
        )
        self.statuses = approve(record)
        report = self._report(record, self.repository_facts.commit)
        self._step("findings", 1 + len(data_files(report)), self._figures(report))
        self._step("sign-offs", len(self.statuses), self._signoffs())

    def _report(self, record: Record, commit: Commit) -> Report:
        assert self.manifest  # noqa: S101 - _inside asked
        library, assessment = record.library, record.assessment
        subjects = {
            number: requirement_subject(
                library, record.findings, record.ledger, assessment, number
            )
            for number in assessment.requirements
        }
        document = facts(
            library,
            record.ledger,
            record.findings,
            self.statuses,
            subjects,
            assessment,
        )
        return Report(
            library=library,
            ledger=record.ledger,
            assessment=assessment,
            framework=library.frameworks[assessment.framework],
            findings=record.findings,
            statuses=self.statuses,
            subjects=subjects,
            closing=(),
            commit=commit,
            facts=document,
            facts_root=digest_of(document),
            release=self.manifest.release,
            generator="",
        )

    def _figures(self, report: Report) -> Iterator[Fault]:
        assert self.ledger  # noqa: S101 - _derive asked
        assert self.findings  # noqa: S101
        assert self.assessment  # noqa: S101
        due = report.facts
        if canonical(due) != self.files.get("facts.json"):
            keys = [
                key
                for key in sorted({*due, *self.published})
                if due.get(key) != self.published.get(key)
            ]
            yield (
                Exit.INTEGRITY,
                "facts.json: is not what sources and ledger give; these differ:"
                f" {', '.join(keys) or 'its spelling'}",
            )
        for path, data in data_files(report).items():
            if self.files.get(path) != data:
                yield Exit.INTEGRITY, f"{path}: is not what sources and ledger give"
        needed = carried_packs(
            self.ledger, self.findings, self.statuses, self.assessment
        )
        for digest in sorted(needed.keys() - self._carried().keys()):
            yield (
                Exit.INTEGRITY,
                f"packs/{digest}.leaves: is absent, though the report rests on it",
            )

    def _signoffs(self) -> Iterator[Fault]:
        published = {
            str(row.get("number")): str(row.get("status"))
            for row in _rows(self.published, "requirements")
        }
        for number, status in self.statuses.items():
            shown = published.get(number, "nothing")
            if shown != status.status.value:
                yield (
                    Exit.INTEGRITY,
                    f"{number} is published as {shown}, but is {status.status.value}:"
                    f" {_why(status)}",
                )
            elif status.status not in SIGNED:
                yield Exit.FOUND, f"{number} is {status.status.value}: {_why(status)}"
            for name in status.unannotated:
                yield Exit.FOUND, f"{number}: {name} is not annotated"


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """What the carried repository says at the tag."""

    repository: Repository
    tag: bytes
    commit: Commit
    sources: Mapping[str, bytes]
    ledger: Mapping[str, bytes]
    arrivals: Mapping[str, Arrival]

    @classmethod
    def read(
        cls, data: bytes, folder: Path, tag: Tag, library: Library | None
    ) -> _History:
        """Fetch the git bundle into an empty, bare repository, checking each object."""
        file = folder / "repo.bundle"
        file.write_bytes(data)
        repository = Repository.create(folder / "repository", bare=True)
        repository.git(
            *("-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags"),
            str(file),
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
        )
        name = f"refs/tags/{tag.release.name}"
        commit = repository.resolve(name)
        files = repository.files_at(commit, (*GOVERNED, "evidence/"))
        paths = [file.path for file in library.signoffs] if library else []
        return cls(
            repository=repository,
            tag=repository.tag_object(tag.release.name),
            commit=Commit(id=commit, at=repository.commit_time(commit)),
            sources={path: body for path, body in files.items() if governed(path)},
            ledger={path: body for path, body in files.items() if not governed(path)},
            arrivals=repository.arrivals(commit, paths),
        )

    def unreviewed(self, ledger: Ledger) -> tuple[str, ...]:
        """Name the commits that no captured pull request brought."""
        merges = {pull.merge for pull in ledger.pulls}
        return self.repository.unreviewed_commits(self.commit.id, merges)


def _pack_faults(
    path: str, data: bytes, own: Extract, run: Run, stored: StoredObject
) -> Iterator[Fault]:
    where = f"{path} ({_name(run)}, {stored.role})"
    if own.root != stored.records_root:
        yield Exit.INTEGRITY, f"{where}: its Merkle root is not its manifest's"
    if len(own.records) + own.hidden != stored.records:
        yield Exit.INTEGRITY, f"{where}: it has not the {stored.records} records"
    if not own.hidden and sha256(data) != stored.content_sha256:
        yield Exit.INTEGRITY, f"{where}: it is whole, but is not the pack's content"


def _name(run: Run) -> str:
    return f"{run.stream} {run.seq:06d}"


def _rows(tree: Mapping[str, Json], key: str) -> list[Mapping[str, Json]]:
    rows = tree.get(key)
    return (
        [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    )


def _why(status: RequirementStatus) -> str:
    judgements = [
        (status.requirement, status.judgement),
        *status.attestations.items(),
    ]
    parts = [
        f"{about}: {part.name} was {part.signed[:12] or 'not signed'}, is"
        f" {part.now[:12]}"
        for about, judgement in judgements
        for part in judgement.stale
    ]
    parts.extend(
        f"{about}: {reason}"
        for about, judgement in judgements
        for reason in judgement.reasons
    )
    return "; ".join(parts[:6]) or "nothing is missing"
