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
 8. vault: a copy given with `--raw` holds every object, byte for byte; with `--online`
    the vault itself is asked, and its replica; locks last as long as is asked for;
    CloudTrail's digests in the copy verify again, and cover what the runs say;
 9. release: files, manifest, tag and pin name the same roots;
10. history: the carried repository holds this tag, these sources and this ledger, and
    nobody's unreviewed commits;
11. findings: facts and data files, derived again from sources and ledger, are equal;
12. sign-offs: what is published as signed is signed, and over this;
13. proofs: signatures and time stamps hold, and are those that the policy requires.
Nothing is fetched unless asked, and what was not checked is listed. Empty or partial
input never passes. Of several verdicts the worst stands: 3, 2, 4, 5, 1, 0.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .assess import assess
from .assurance import (
    Given,
    proof_faults,
    time_faults,
    unchecked,
    witness_faults,
)
from .carried import carry
from .clones import clone_faults
from .derivation import derive, facts_before, figure_faults, status_faults
from .digest import NotCanonicalError, canonical, digest_of, sha256
from .errors import ControlbookError, Exit, InvalidFiles
from .faults import Fault, Faults, lacking, wrong
from .git import Repository
from .keeping import kept, wanted_by
from .later import at_hand
from .ledger import examined, outlines
from .library import read, sources_document
from .lists import of_bundle, of_vault, unread
from .online import ask, ask_github, lock_faults, open_s3
from .proofs import Trust, gather, prove, witnesses
from .provenance import (
    provenance_faults,
    read_provenance,
    repository_faults,
    review_faults,
)
from .reach import NOTHING, reach_of
from .recount import corrected, hole_faults, name, recount, vault_faults
from .render.changes import previous
from .replay import Present
from .retention import least
from .retrace import retrace
from .seals import (
    PACK,
    checkpoint_faults,
    head_faults,
    pin_faults,
    read_documents,
    release_faults,
    sum_faults,
)
from .tagseal import judge_tag, tag_faults, tag_unchecked
from .trailarchive import archive_faults
from .vault import NotInVaultError, prefix_of
from .vault.directory import DirectoryVault
from .verdict import Check, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .carried import Carried
    from .derivation import Derived
    from .digest import Json
    from .forge.github import GitHub
    from .model import Assessment, Ledger, Library, PeopleChange, Standing
    from .preserved import Preserved
    from .proofs import Witness
    from .provenance import Provenance
    from .record import Record
    from .render.manifest import ReleaseManifest, Tag
    from .seals import Documents

NEVER = (
    "whether AWS Config's verdicts are true, and whether all was collected",
    "the present state of GitHub: nothing was fetched",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Online:
    """Which vault is to be asked, with the credentials of whoever verifies."""

    vault: str = ""
    """`s3://bucket/prefix` as known from outside; empty: as the bundle names it."""
    replica: str = ""
    """The same of a replica in a second account."""
    forge: str = ""
    """GitHub's `owner/name` as known from outside; empty: as the bundle names it."""
    github: Callable[[str], GitHub] | None = None
    """Gives the client of a repository; None: GitHub is not asked."""
    watch: Callable[[int, int], None] = lambda _done, _of: None
    """Told how many of how many objects were looked at."""


def verify(
    path: Path,
    *,
    raw: Path | None = None,
    pin: str = "",
    given: Given | None = None,
    online: Online | None = None,
    git: Path | None = None,
) -> Verdict:
    """Check a bundle (a zip or its unpacked folder) against itself, and more if given.

    `raw` is a copy of the vault and `pin` a digest that is known from outside, where
    nothing else is `given`; `online` asks the vault itself; `git` is a clone that
    somebody outside kept.
    """
    given = given or Given(raw=raw, pins=(pin.strip().lower(),) if pin.strip() else ())
    if given.raw is not None and not given.raw.is_dir():
        message = "there is no such folder"
        raise ControlbookError(
            message, place=str(given.raw), advice="name a vault's copy"
        )
    return judge(carry(path), given=given, online=online, git=git)


def judge(
    bundle: Carried,
    *,
    given: Given,
    online: Online | None = None,
    git: Path | None = None,
) -> Verdict:
    """Check a bundle that was read already: by its files' bytes, wherever they lay."""
    with tempfile.TemporaryDirectory(prefix="controlbook-") as folder:
        pass_ = _Pass(
            bundle=bundle, folder=Path(folder), given=given, online=online, clone=git
        )
        pass_.step("paths", len(bundle.files), _path_faults(bundle))
        if given.require:
            pass_.step("required", len(given.require), given.missing())
        if bundle.files and not bundle.faults:
            pass_.inside()
    facts = bundle.files.get("facts.json", b"")
    return Verdict(
        checks=tuple(pass_.checks),
        not_checked=(*pass_.not_checked, *NEVER),
        facts_root=sha256(facts) if facts else "",
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
    given: Given
    online: Online | None = None
    clone: Path | None = None
    checks: list[Check] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    partly: tuple[str, ...] = ()
    """What of the ledger's lists a bundle does not carry."""
    preserved: tuple[Preserved, ...] = ()
    """What the packs hold of Audit Manager."""

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

    def inside(self) -> None:
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
        library, assessment, sources = self._sources(manifest, tag)
        ledger, whole = self._ledger(tag, assessment)
        self.checks.append(sources)
        opening = None
        if ledger and library and assessment:
            opening = self._evidence(documents, ledger, assessment, whole=whole)
            self._vault(self.given.raw, ledger, library)
            self._locks(ledger, library, assessment)
            self._reviews(ledger, library)
        else:
            self.skip(
                "coverage, packs, findings and sign-offs",
                "ledger or sources cannot be read",
            )
        self.step("release", len(manifest.files), release_faults(files, manifest, tag))
        provenance = self._history(tag, ledger, whole=whole)
        self._pin(tag, ledger, provenance)
        if not (ledger and library and assessment):
            return
        if provenance is None or opening is None:
            self.skip(
                "findings and sign-offs, derived again",
                "the ledger is not whole, or states or history cannot be read",
            )
            return
        try:
            record, seen, people = self._record(
                library, ledger, assessment, opening, provenance
            )
            before = self._before(manifest, assessment, opening, provenance)
        except ControlbookError as error:
            self.step("proofs", 0, [(error.code, error.message)])
            self.skip("findings and sign-offs, derived again", "proofs stay unread")
            return
        derived = derive(
            record,
            commit=provenance.commit,
            release=manifest.release,
            before=before,
            people=people,
            kept=self.preserved,
            trail=retrace(
                provenance.repository,
                Present(
                    commit=provenance.commit.id,
                    library=library,
                    ledger=ledger,
                    opening=opening,
                    assessment=assessment,
                    findings=record.findings,
                    witnesses=seen,
                ),
            ),
        )
        self.step(
            "findings",
            1 + len(derived.data),
            figure_faults(derived, documents, files, self._packs()),
        )
        published = documents.rows("requirements")
        count = len(derived.report.statuses)
        self.step("sign-offs", count, status_faults(derived, published))
        self._proofs(derived, record, seen, provenance)

    def _record(
        self,
        library: Library,
        ledger: Ledger,
        assessment: Assessment,
        opening: tuple[Standing, ...],
        provenance: Provenance,
    ) -> tuple[Record, tuple[Witness, ...], tuple[PeopleChange, ...]]:
        """Bring together what the programme itself judged by: its own keys."""
        seen = witnesses(self._manifests(), library, Trust())
        found = gather(
            provenance.repository,
            provenance.commit.id,
            library=library,
            ledger=ledger,
            assessment=assessment,
            seen=seen,
            trust=Trust(),
        )
        findings = assess(library, ledger, opening, assessment)
        record = found.record(library, findings, ledger, assessment)
        return record, seen, found.people

    def _before(
        self,
        manifest: ReleaseManifest,
        assessment: Assessment,
        opening: tuple[Standing, ...],
        provenance: Provenance,
    ) -> Mapping[str, Json] | None:
        """Derive the facts of the release that an addendum follows, from its tag."""
        name = previous(manifest.release, assessment.id)
        if not name:
            return None
        document, due = facts_before(
            provenance, name, assessment.id, opening, of_bundle(self.bundle.files)
        )
        faults = []
        if digest_of(document) != due:
            text = f"{name}: its facts, derived again, are not those that its tag names"
            faults.append(wrong(text))
        self.step("addendum", 1, faults)
        return document

    def _proofs(
        self,
        derived: Derived,
        record: Record,
        seen: tuple[Witness, ...],
        provenance: Provenance,
    ) -> None:
        """Hold signatures and time stamps against what is required, and by whom."""
        given, library, ledger = self.given, record.library, record.ledger
        proofs = record.proofs
        if given.trust != Trust():
            seen = witnesses(self._manifests(), library, given.trust)
            proofs = prove(library, ledger, record.arrivals, seen, given.trust)
        policy = dict(record.assessment.policy)
        if given.policy is not None:
            policy = dict(given.policy)
        seal = judge_tag(provenance.tag, library, given.trust)
        self.step(
            "proofs",
            len(proofs) + len(seen),
            (
                *proof_faults(policy, derived.report.statuses, proofs),
                *witness_faults(policy, seen, library, given.trust),
                *tag_faults(policy, seal, seen),
                *time_faults(ledger, provenance, seen),
            ),
        )
        self.not_checked.extend(
            unchecked(given, record.assessment, seen, proofs.values(), provenance)
        )
        self.not_checked.extend(tag_unchecked(seal, given.trust))

    def _ledger(
        self, tag: Tag | None, assessment: Assessment | None
    ) -> tuple[Ledger | None, bool]:
        """Read the ledger; tell whether it reaches every head that the tag names.

        Of lists that moved out of it, those are read that the assessment rests on.
        """
        manifests = self._runs()
        if not manifests:
            text = "the ledger is absent: there is no run manifest"
            self.step("ledger", 0, [lacking(text)])
            return None, False
        files = self.bundle.files
        reach = NOTHING
        if assessment:
            reach = reach_of(assessment, outlines(manifests))
        ledger, problems = examined(manifests, of_bundle(files), reach)
        if problems:
            self.step(
                "ledger",
                len(manifests),
                [wrong(text.replace("evidence/", "ledger/", 1)) for text in problems],
            )
            return None, True
        faults = tuple(head_faults(ledger, files, tag)) if tag else ()
        whole = Exit.UNAVAILABLE not in {code for code, _ in faults}
        if whole:
            faults += tuple(checkpoint_faults(files, ledger))
        self.step("ledger", len(manifests), faults)
        self.partly = tuple(unread(ledger, reach))
        if self.given.raw is None:
            for what in self.partly:
                self.skip(what, "a bundle does not carry them (--raw)")
        return ledger, whole

    def _in_full(self, copy: DirectoryVault, ledger: Ledger) -> Ledger:
        """Read every list of the ledger in a copy of the vault, if any is unread."""
        if not self.partly:
            return ledger
        faults: list[Fault] = []
        try:
            lists = of_vault(lambda: copy)
            found, problems = examined(self._runs(), lists, keep=False)
            faults.extend(wrong(text) for text in problems)
        except NotInVaultError as error:
            faults.append(lacking(f"{error.place} is not in the vault's copy"))
        except ControlbookError as error:
            faults.append(wrong(str(error)))
        if faults:
            for what in self.partly:
                self.skip(what, "the vault's copy does not give them all")
        self.step("lists", len(self._runs()), faults)
        return ledger if faults else found

    def _runs(self) -> dict[str, bytes]:
        return {
            path: data
            for path, data in self._manifests().items()
            if not path.startswith("evidence/checkpoints/")
        }

    def _manifests(self) -> dict[str, bytes]:
        return {f"evidence/{p}": data for p, data in self.below("ledger/").items()}

    def _sources(
        self, manifest: ReleaseManifest, tag: Tag | None
    ) -> tuple[Library | None, Assessment | None, Check]:
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
        found = tuple(dict.fromkeys(faults))
        check = Check(name="sources", count=len(sources), faults=found)
        return library, assessment, check

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
        self.preserved = found.preserved
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
        copy = DirectoryVault(raw, prefix_of(library.settings.vault))
        ledger = self._in_full(copy, ledger)
        objects = [
            (name(run), stored)
            for runs in ledger.runs.values()
            for run in runs
            for stored in run.objects
        ]
        objects.extend((paper.path, paper.object) for paper in library.manual.values())
        manifests = {f"ledger/{p}": data for p, data in self.below("ledger/").items()}
        count = len(objects) + len(manifests)
        self.step("vault", count, vault_faults(copy, objects, manifests))
        chains = [run.chains for run in ledger.cloudtrail if at_hand(run.chains)]
        digests = sum(row.digests for own in chains for row in own)
        if len(chains) < len(ledger.cloudtrail):
            self.skip("CloudTrail's digests", "the lists of them were not read")
        elif digests:
            self.step("digests", digests, archive_faults(copy, ledger))

    def _reviews(self, ledger: Ledger, library: Library) -> None:
        """Ask GitHub again what was captured from it."""
        if self.online is None or self.online.github is None:
            how = "$GITHUB_TOKEN is not set" if self.online else "--online"
            self.skip(
                "what GitHub says today of the captured reviews",
                f"it was not asked ({how})",
            )
            return
        ours, named = self.online.forge, library.settings.github
        try:
            github = self.online.github(ours or named)
        except ControlbookError as error:
            self.step("github", 0, [lacking(str(error))])
            return
        count = sum(len(run.pulls) for run in ledger.runs.get("reviews", ()))
        self.step("github", count, ask_github(github, ledger))
        if not ours:
            self.skip(
                f"whether {named} is the repository that was agreed on",
                "its name came from the bundle (--forge)",
            )

    def _locks(self, ledger: Ledger, library: Library, assessment: Assessment) -> None:
        """Hold the locks against what is wanted: as recorded, or as the vault says."""
        wanted = wanted_by(assessment, least(library, assessment))
        manifests = self._manifests()
        if self.online is None:
            items = tuple(kept(library, ledger, manifests, wanted))
            locked = [item for item in items if item.lock_mode not in ("", "none")]
            if locked:
                self.step("locks", len(locked), lock_faults(locked))
            else:
                self.skip("how long the evidence is kept", "its vault has no lock")
            self.skip(
                "the vault as it is now: versions, delete markers, locks",
                "it was not asked (--online)",
            )
            return
        ours, named = self.online.vault, library.settings.vault
        try:
            vault = open_s3(ours or named)
            replica = open_s3(self.online.replica) if self.online.replica else None
            lists = of_vault(lambda: vault)
            items = tuple(kept(library, ledger, manifests, wanted, lists))
        except ControlbookError as error:
            self.step("online", 0, [lacking(str(error))])
            return
        asked = ask(vault, items, ledger, replica=replica, watch=self.online.watch)
        self.step("online", len(items), asked)
        if not ours:
            self.skip(
                f"whether {named} is the vault that was agreed on",
                "its name came from the bundle (--vault)",
            )
        if replica is None:
            self.skip(
                "whether the evidence outlives the vault's AWS account",
                "closing an account ends its locks, and no copy in a second account"
                " was compared (--replica)",
            )

    def _pin(
        self, tag: Tag | None, ledger: Ledger | None, provenance: Provenance | None
    ) -> None:
        pins = self.given.pins
        if not pins:
            self.skip(
                "whether this is the release that everybody has",
                "no pin supplied (--pin), and a bundle rebuilt as a whole would pass",
            )
        elif tag:
            commits = provenance.commits if provenance else ()
            files = self.bundle.files
            self.step("pin", len(pins), pin_faults(pins, files, tag, ledger, commits))

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
            # Where it was unpacked is no part of what is wrong.
            message = error.message.replace(f"{self.folder}/", "")
            self.step("history", 1, [wrong(f"repo.bundle: {message}")])
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
        self._clone(found)
        return found

    def _clone(self, provenance: Provenance) -> None:
        if self.clone is None:
            self.skip(
                "whether history was rewritten since somebody saw it",
                "no clone that was kept outside was given (--git)",
            )
            return
        faults = clone_faults(
            Repository.find(self.clone),
            provenance.repository,
            provenance.commit.id,
            self._manifests(),
        )
        self.step("clone", 1, faults)
