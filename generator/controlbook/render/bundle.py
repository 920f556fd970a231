# SPDX-License-Identifier: Apache-2.0
"""The bundle: one zip that an auditor can read and verify without us.

Rules enforced here (auditors.md section 5):
- whatever is missing aborts the whole export; nothing is left out silently;
- paths are short, ASCII, and no two differ only in case;
- the zip's bytes depend on its files and the commit's time alone;
- a bundle is written for a release only, and only if the tag names what it holds.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from controlbook.digest import canonical, digest_of, sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.extracts import carried_packs, extract, whole
from controlbook.library import governed, sources_document
from controlbook.lists import carried_form, carried_lists, carried_path, of_vault
from controlbook.preserved import packs_of
from controlbook.timeline import to_datetime
from controlbook.vault.packs import records_of, unpack

from . import workbook
from .figures import figures
from .manifest import (
    Release,
    digests,
    manifest_of,
    parse_tag,
    release_of,
)
from .readme import readme

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controlbook.git import Repository
    from controlbook.timeline import Instant
    from controlbook.vault import Vault

    from .report import Report

SUMS = "SHA256SUMS"
LONGEST = 200
_VERIFIER = Path(__file__).parents[1] / "bundle_verify.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What a release publishes, before its tag exists and names it."""

    files: Mapping[str, bytes]
    """Every published file by its path in the bundle."""
    sources: Mapping[str, bytes]
    """Every human file at the commit, by its path in the repository."""
    sources_json: bytes
    manifest: bytes
    """The release manifest, canonical JSON."""
    release: Release
    """What the tag's message must be made of (`tag_message`)."""


def publish(
    report: Report, *, site: Path, pdf: Path, files: Mapping[str, bytes]
) -> Publication:
    """Bring together what a release publishes; `files` are the commit's.

    Site and PDF are built already; data files, facts, README and verifier are added.
    """
    published = {
        **{f"site/{path}": data for path, data in _folder(site)},
        f"{report.assessment.id}.pdf": _read(pdf),
        **figures(report),
        workbook.PATH: workbook.workbook(report),
        "facts.json": canonical(report.facts),
        "README.md": readme(report),
        "verify.py": _VERIFIER.read_bytes(),
    }
    sources = {path: data for path, data in sorted(files.items()) if governed(path)}
    sources_json = canonical(sources_document(sources))
    listed = digests(published)
    return Publication(
        files=published,
        sources=sources,
        sources_json=sources_json,
        manifest=manifest_of(report, listed),
        release=release_of(report, listed, sources_json, files),
    )


def write_bundle(
    publication: Publication,
    report: Report,
    *,
    repository: Repository,
    vault: Vault,
    files: Mapping[str, bytes],
    out: Path,
) -> Path:
    """Write `<assessment>.zip` into the folder `out`, for a release that is tagged."""
    tag = repository.tag_object(report.release)
    _named(publication, report, tag)
    content = {
        **publication.files,
        "manifest.json": publication.manifest,
        "release.tag": tag,
        "repo.bundle": _repository_bundle(report, repository),
        "sources.json": publication.sources_json,
        **{f"sources/{path}": data for path, data in publication.sources.items()},
        **dict(_ledger(files)),
        **dict(_packs(report, vault)),
        **dict(_lists(report, vault)),
    }
    _check_paths(content)
    content[SUMS] = sums(content)
    path = out / f"{report.assessment.id}.zip"
    partial = path.with_suffix(".zip.partial")
    out.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(zipped(report.assessment.id, content, report.commit.at))
    partial.replace(path)
    return path


def sums(files: Mapping[str, bytes]) -> bytes:
    """Write SHA256SUMS, as `sha256sum -c` reads it."""
    return b"".join(
        f"{sha256(data)}  {path}\n".encode() for path, data in sorted(files.items())
    )


def zipped(top: str, files: Mapping[str, bytes], at: Instant) -> bytes:
    """Write a zip whose bytes depend on its files, one time, and zlib alone."""
    moment = to_datetime(at)
    stamp = (
        moment.year,
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{top}/{path}", date_time=stamp)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever system writes it
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data, compresslevel=zlib.Z_BEST_COMPRESSION)
    return out.getvalue()


def _named(publication: Publication, report: Report, tag: bytes) -> None:
    named, due = parse_tag(tag), publication.release
    if named.release == due and named.commit == report.commit.id:
        return
    differing = [
        what
        for what, old, new in (
            ("commit", named.commit, report.commit.id),
            ("facts root", named.release.facts_root, due.facts_root),
            ("sources", named.release.sources, due.sources),
            ("ledger heads", named.release.heads, due.heads),
            ("toolchain", named.release.toolchain, due.toolchain),
            ("publication root", named.release.publication_root, due.publication_root),
        )
        if old != new
    ]
    message = (
        f"the tag {report.release} names another {', '.join(differing)} than this build"
    )
    raise ControlbookError(
        message,
        advice="build with the toolchain of the release"
        if digest_of(dict(report.toolchain)) != named.release.toolchain
        else "check the tag out, and build from a clean tree",
        code=Exit.INTEGRITY,
    )


def _repository_bundle(report: Report, repository: Repository) -> bytes:
    branch = report.library.settings.branch
    with tempfile.TemporaryDirectory(prefix="controlbook-") as folder:
        path = Path(folder) / "repo.bundle"
        repository.bundle(
            [
                f"{report.commit.id}:refs/heads/{branch}",
                f"refs/tags/{report.release}",
                # An addendum lists what it changes, and that is derived again.
                *([f"refs/tags/{report.supersedes}"] if report.supersedes else []),
            ],
            path,
        )
        return path.read_bytes()


def _ledger(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for path, data in files.items():
        if path.startswith("evidence/") and not governed(path):
            yield f"ledger/{path.removeprefix('evidence/')}", data


def _packs(report: Report, vault: Vault) -> Iterator[tuple[str, bytes]]:
    needed = carried_packs(
        report.ledger, report.findings, report.statuses, report.assessment
    )
    # Audit Manager answers in one account, whatever accounts it tells of.
    kept = {
        stored.content_sha256 for stored in packs_of(report.ledger, report.assessment)
    }
    for digest, stored in sorted(needed.items()):
        records = unpack(vault.get(stored.key, stored.version_id), stored)
        yield (
            f"packs/{digest}.leaves",
            whole(records)
            if stored.role == "reviews" or digest in kept
            else extract(records, report.assessment),
        )


def _lists(report: Report, vault: Vault) -> Iterator[tuple[str, bytes]]:
    lists = of_vault(lambda: vault)
    for stored, depth in carried_lists(report.ledger, report.assessment, lists):
        lines = records_of(vault.get(stored.key, stored.version_id), stored)
        yield carried_path(stored), carried_form(stored, lines, depth)


def _folder(root: Path) -> Iterator[tuple[str, bytes]]:
    found = sorted(path for path in root.rglob("*") if path.is_file())
    if not found:
        _missing(root)
    for path in found:
        yield path.relative_to(root).as_posix(), path.read_bytes()


def _read(path: Path) -> bytes:
    if not path.is_file():
        _missing(path)
    return path.read_bytes()


def _missing(path: Path) -> None:
    message = "is not built, and a bundle without it would be incomplete"
    raise ControlbookError(message, place=path.name, advice="build it first")


def _check_paths(files: Mapping[str, bytes]) -> None:
    folded: dict[str, str] = {}
    for path in files:
        twin = folded.setdefault(path.casefold(), path)
        flaw = ""
        if twin != path:
            flaw = f"differs from {twin} only in case"
        elif not path.isascii() or not path.isprintable() or "\\" in path:
            flaw = "has a name that not every system can unpack"
        elif len(path) > LONGEST:
            flaw = f"has a path of more than {LONGEST} characters"
        if flaw:
            raise ControlbookError(flaw, place=path, advice="rename it")
