# SPDX-License-Identifier: Apache-2.0
"""Re-check everything that a bundle claims, in numbered steps.

Rules enforced here (design section 7, trust.md section 3):
 1. paths: bounded sizes, plain names, no links, no twins;
 2. files: SHA256SUMS and the files agree; nothing extra, nothing absent;
 3. form: what is JSON is canonical JSON;
 4. ledger: every chain holds, and reaches the head that the tag names;
 5. sources: the human files can be read, and are those that the tag names;
 6. coverage: runs cover the period, or a published gap says where they do not;
 7. packs: what is carried of a pack has the root in its manifest, and states fold;
 8. vault: a copy given with `--raw` holds every object, byte for byte;
 9. release: files, manifest, tag and pin name the same roots;
10. history: the carried repository holds this tag, these sources and this ledger, and
    nobody's unreviewed commits;
11. findings: facts and data files, derived again from sources and ledger, are equal;
12. sign-offs: what is published as signed is signed, and over this.
Nothing is fetched, and what was not checked is listed. Empty or partial input never
passes. Of several verdicts the worst stands: 3, 2, 4, 5, 1, 0.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .approve import Record
from .assess import assess
from .carried import carry
from .derivation import derive, figure_faults, status_faults
from .digest import NotCanonicalError, canonical, sha256
from .errors import ControlbookError, Exit, InvalidFiles
from .faults import Fault, Faults, lacking, wrong
from .ledger import examined
from .library import read, sources_document
from .provenance import (
    arrivals,
    provenance_faults,
    read_provenance,
    repository_faults,
    review_faults,
)
from .recount import corrected, hole_faults, name, recount, vault_faults
from .seals import (
    PACK,
    checkpoint_faults,
    head_faults,
    pin_faults,
    read_documents,
    release_faults,
    sum_faults,
)
from .vault.directory import DirectoryVault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .carried import Carried
    from .model import Assessment, Ledger, Library, Standing
    from .provenance import Provenance
    from .render.manifest import ReleaseManifest, Tag
    from .seals import Documents

SEVERITY = (
    Exit.UNEXPECTED,
    Exit.USAGE,
    Exit.INTEGRITY,
    Exit.UNAVAILABLE,
    Exit.FOUND,
)
NEVER = (
    "whether AWS Config's verdicts are true, and whether all was collected",
    "the present state of GitHub and of the vault: nothing was fetched",
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
        return worst(code for code, _ in self.faults)

    @property
    def message(self) -> str:
        """What it found, one a line."""
        return "\n".join(text for _, text in self.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification found, and what it did not look at."""

    checks: tuple[Check, ...]
    not_checked: tuple[str, ...]
    facts_root: str
    """To compare with the one that was handed over by another way."""
    tag: str
    """SHA-256 of the raw tag object, for the same."""

    @property
    def code(self) -> Exit:
        """The exit code: the worst of all checks."""
        return worst(check.code for check in self.checks)


def worst(codes: Iterable[Exit]) -> Exit:
    """Give the exit code that stands where several were found."""
    found = set(codes)
    return next((code for code in SEVERITY if code in found), Exit.FINE)


def verify(path: Path, *, raw: Path | None = None, pin: str = "") -> Verdict:
    """Check a bundle (a zip or its unpacked folder) against itself, and more if given.

    `raw` is a copy of the vault; `pin` is a root or digest known from outside.
    """
    if raw is not None and not raw.is_dir():
        message = "there is no such folder"
        raise ControlbookError(message, place=str(raw), advice="name a vault's copy")
    bundle = carry(path)
    with tempfile.TemporaryDirectory(prefix="controlbook-") as folder:
        pass_ = _Pass(bundle=bundle, folder=Path(folder))
        pass_.step("paths", len(bundle.files), _path_faults(bundle))
        if bundle.files and not bundle.faults:
            pass_.inside(raw, pin.strip().lower())
    return Verdict(
        checks=tuple(pass_.checks),
        not_checked=(*pass_.not_checked, *NEVER),
        facts_root=sha256(bundle.files.get("facts.json", b"")),
        tag=sha256(bundle.files.get("release.tag", b"")),
    )


def _path_faults(bundle: Carried) -> Faults:
    for fault in bundle.faults:
        yield wrong(fault)
    if not bundle.files and not bundle.faults:
        yield lacking("the bundle is empty: there is nothing to verify")


@dataclass(slots=True, kw_only=True)
class _Pass:
    """One pass over one bundle, and the checks so far."""

    bundle: Carried
    folder: Path
    """An empty one, for the repository that the bundle carries."""
    checks: list[Check] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    def step(self, title: str, count: int, faults: Iterable[Fault]) -> bool:
        """Note a check; tell whether it found nothing."""
        found = tuple(dict.fromkeys(faults))
        self.checks.append(Check(name=title, count=count, faults=found))
        return not found

    def skip(self, what: str, why: str) -> None:
        self.not_checked.append(f"{what}: {why}")

    def below(self, folder: str) -> dict[str, bytes]:
        """Give the files below a folder, by their path from there."""
        return {
            path.removeprefix(folder): data
            for path, data in self.bundle.files.items()
            if path.startswith(folder)
        }

    def inside(self, raw: Path | None, pin: str) -> None:
        files = self.bundle.files
        self.step("files", len(files), sum_faults(files))
        documents = read_documents(files)
        self.step("form", documents.count, documents.faults)
        manifest, tag = documents.manifest, documents.tag
        if manifest is None:
            self.skip(
                "everything else", "there is no release manifest that can be read"
            )
            return
        ledger, whole = self._ledger(tag)
        library, assessment = self._sources(manifest, tag)
        opening = None
        if ledger and library and assessment:
            opening = self._evidence(documents, ledger, assessment, whole=whole)
            self._vault(raw, ledger, library)
        else:
            self.skip(
                "coverage, packs, findings and sign-offs",
                "ledger or sources cannot be read",
            )
        self.step("release", len(manifest.files), release_faults(files, manifest, tag))
        self._pin(pin, tag)
        provenance = self._history(tag, ledger, whole=whole)
        if not (ledger and library and assessment):
            return
        if provenance is None or opening is None:
            self.skip(
                "findings and sign-offs, derived again",
                "the ledger is not whole, or states or history cannot be read",
            )
            return
        derived = derive(
            Record(
                library=library,
                findings=assess(library, ledger, opening, assessment),
                ledger=ledger,
                assessment=assessment,
                arrivals=arrivals(provenance, library),
            ),
            commit=provenance.commit,
            release=manifest.release,
        )
        self.step(
            "findings",
            1 + len(derived.data),
            figure_faults(derived, documents, files, self._packs()),
        )
        published = documents.rows("requirements")
        count = len(derived.report.statuses)
        self.step("sign-offs", count, status_faults(derived, published))

    def _ledger(self, tag: Tag | None) -> tuple[Ledger | None, bool]:
        """Read the ledger; tell whether it reaches every head that the tag names."""
        manifests = {
            path: data
            for path, data in self._manifests().items()
            if not path.startswith("evidence/checkpoints/")
        }
        if not manifests:
            text = "the ledger is absent: there is no run manifest"
            self.step("ledger", 0, [lacking(text)])
            return None, False
        ledger, problems = examined(manifests)
        if problems:
            self.step(
                "ledger",
                len(manifests),
                [wrong(text.replace("evidence/", "ledger/", 1)) for text in problems],
            )
            return None, True
        files = self.bundle.files
        faults = tuple(head_faults(ledger, files, tag)) if tag else ()
        whole = Exit.UNAVAILABLE not in {code for code, _ in faults}
        if whole:
            faults += tuple(checkpoint_faults(files, ledger))
        self.step("ledger", len(manifests), faults)
        return ledger, whole

    def _manifests(self) -> dict[str, bytes]:
        return {f"evidence/{p}": data for p, data in self.below("ledger/").items()}

    def _sources(
        self, manifest: ReleaseManifest, tag: Tag | None
    ) -> tuple[Library | None, Assessment | None]:
        sources = self.below("sources/")
        faults: list[Fault] = []
        due = b""
        try:
            due = canonical(sources_document(sources))
        except NotCanonicalError as error:
            faults.append(wrong(f"sources/: has no canonical form: {error}"))
        library: Library | None = None
        assessment: Assessment | None = None
        if self.bundle.files.get("sources.json") != due:
            faults.append(wrong("sources.json: is not what the files in sources/ say"))
        if tag and sha256(due) != tag.release.sources:
            faults.append(
                wrong(
                    "sources/: the tag names other sources: a control, mapping, scope,"
                    " annotation or sign-off was changed"
                )
            )
        try:
            library = read(sources)
            assessment = library.assessments.get(manifest.assessment)
            if assessment is None:
                text = f"sources/: there is no assessment {manifest.assessment!r}"
                faults.append(wrong(text))
        except InvalidFiles as error:
            faults.extend(wrong(f"sources/{problem}") for problem in error.problems)
        self.step("sources", len(sources), faults)
        return library, assessment

    def _evidence(
        self,
        documents: Documents,
        ledger: Ledger,
        assessment: Assessment,
        *,
        whole: bool,
    ) -> tuple[Standing, ...] | None:
        """Check coverage and packs; give the states that open the period."""
        gaps = [
            (str(row.get("start")), str(row.get("end")))
            for row in documents.rows("gaps")
            if row.get("reason") == "no-run"
        ]
        self.step("coverage", len(ledger.config), hole_faults(ledger, assessment, gaps))
        packs = self._packs()
        found = recount(ledger, assessment, packs, whole=whole)
        self.step("packs", len(packs), found.faults)
        if corrected(ledger):
            self.skip("the states after each run", "the ledger has corrections")
        return found.opening

    def _packs(self) -> dict[str, bytes]:
        return {
            found[1]: data
            for path, data in self.bundle.files.items()
            if (found := PACK.match(path))
        }

    def _vault(self, raw: Path | None, ledger: Ledger, library: Library) -> None:
        if raw is None:
            self.skip("the packs in the vault", "no copy of it was given (--raw)")
            return
        objects = [
            (name(run), stored)
            for runs in ledger.runs.values()
            for run in runs
            for stored in run.objects
        ]
        objects.extend((paper.path, paper.object) for paper in library.manual.values())
        manifests = {f"ledger/{p}": data for p, data in self.below("ledger/").items()}
        count = len(objects) + len(manifests)
        self.step("vault", count, vault_faults(DirectoryVault(raw), objects, manifests))

    def _pin(self, pin: str, tag: Tag | None) -> None:
        if not pin:
            self.skip(
                "whether this is the release that everybody has",
                "no pin was given (--pin), and a bundle rebuilt as a whole would pass",
            )
        elif tag:
            self.step("pin", 1, pin_faults(pin, self.bundle.files, tag))

    def _history(
        self, tag: Tag | None, ledger: Ledger | None, *, whole: bool
    ) -> Provenance | None:
        data = self.bundle.files.get("repo.bundle")
        if data is None or tag is None:
            self.skip("the Git history", "repo.bundle or release.tag cannot be read")
            return None
        if shutil.which("git") is None:
            text = "git is not installed, so repo.bundle stays unread"
            self.step("history", 0, [lacking(text)])
            return None
        try:
            found = read_provenance(data, self.folder, tag)
        except ControlbookError as error:
            self.step("history", 1, [wrong(f"repo.bundle: {error.message}")])
            return None
        faults = [
            *repository_faults(data, tag),
            *provenance_faults(
                found,
                tag=self.bundle.files["release.tag"],
                sources=self.below("sources/"),
                ledger=self._manifests(),
                whole=whole,
            ),
            *(review_faults(found, ledger) if ledger and whole else ()),
        ]
        self.step("history", len(found.sources) + len(found.ledger), faults)
        return found
