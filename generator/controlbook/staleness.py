# SPDX-License-Identifier: Apache-2.0
"""Since when a part of what was signed is another, and what changed there.

Rules enforced here:
- a part is stale since the first commit from which it differs without a break;
- what is compared are the files behind that part alone, as they stood before that
  commit and as they stand now;
- an annotation that auditors may not read is compared by digest alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .errors import InvalidFiles
from .library import read
from .overdue import streams_of
from .subjects import annotations_of
from .trail import StaleSince, file_change

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from .model import Findings, Judgement, RequirementStatus, Stale
    from .replay import Replay, Tree
    from .trail import FileChange

_SHOWN_RUNS = 8


@dataclass(slots=True)
class _Since:
    """A part that differs from what was signed, and the commit that began it."""

    stale: Stale
    index: int
    """Of the commit; -1: before the evidence was complete."""


@dataclass(slots=True)
class Staleness:
    """What is stale after the commits judged so far, and since which of them."""

    replay: Replay
    arrived: dict[str, int] = field(default_factory=dict)
    """path of an attestation or sign-off → index of the commit that brought it."""
    _since: dict[tuple[str, str, str], _Since] = field(default_factory=dict)

    def note(
        self, index: int, found: Mapping[str, RequirementStatus], *, first: bool
    ) -> None:
        """Take in what was judged after a commit; `first`: nothing was before."""
        for judgement in _judgements(found.values()):
            file = judgement.signoff
            if file is None:
                continue
            parts = {stale.name: stale for stale in judgement.stale}
            for key in [k for k in self._since if k[0] == file.path]:
                if key[1] != file.sha256 or key[2] not in parts:
                    del self._since[key]
            early = first and self.arrived[file.path] < index
            for name, stale in parts.items():
                key = (file.path, file.sha256, name)
                known = self._since.get(key)
                at = known.index if known else -1 if early else index
                self._since[key] = _Since(stale, at)

    def rows(self, findings: Findings | None) -> Iterator[StaleSince]:
        """Give each part that is stale at the head, since when, and what changed."""
        for (path, _, part), since in sorted(self._since.items()):
            if path not in self.replay.head:
                continue
            start = since.index - 1 if since.index >= 0 else self.arrived[path]
            arrived = self.arrived[path]
            old = self.replay.tree_at(max(start, arrived))
            yield StaleSince(
                path=path,
                part=part,
                signed=since.stale.signed,
                now=since.stale.now,
                origin=self.replay.origins[self.replay.line[since.index].id]
                if since.index >= 0
                else None,
                files=tuple(self._differences(path, part, old, findings)),
            )

    def _differences(
        self, record: str, part: str, old: Tree, findings: Findings | None
    ) -> Iterator[FileChange]:
        """Compare the files behind one part of a subject, then and now."""
        about = record.removeprefix(self.replay.folder).removesuffix(".yml")
        kind, _, name = about.partition("/")
        assessment = self.replay.present.assessment
        framework = self.replay.present.library.frameworks[assessment.framework]
        item = framework.requirements.get(name) if kind == "requirements" else None
        controls = item.controls if item else () if kind == "requirements" else (name,)
        named = streams_of(self.replay.present.library, controls)
        streams = tuple(f"evidence/{stream}/" for stream in named)
        paths = {
            path
            for path in {*old, *self.replay.head}
            if self._behind(path, part, streams)
        }
        own = {f"controls/{control}.yml" for control in controls}
        records = {
            f"{self.replay.folder}controls/{control}.yml" for control in controls
        }
        notes, internal = self._covering(old, controls, findings)
        runs = 0
        for path in sorted(paths):
            if (
                old.get(path) == self.replay.head.get(path)
                or (path.startswith("controls/") and path not in own)
                or (
                    path.startswith(f"{self.replay.folder}controls/")
                    and path not in records
                )
                or (path.startswith("annotations/") and path not in notes)
            ):
                continue
            runs += _manifest(path)
            if runs <= _SHOWN_RUNS:
                found = file_change(
                    path,
                    self.replay.body(old.get(path)),
                    self.replay.body(self.replay.head.get(path)),
                )
                yield replace(found, difference=()) if path in internal else found

    def _behind(self, path: str, part: str, streams: tuple[str, ...]) -> bool:
        prefixes: Mapping[str, tuple[str, ...]] = {
            "controls": ("controls/",),
            "mapping": (
                f"frameworks/{self.replay.present.assessment.framework}.yml",
                "controls/",
            ),
            "scope": (f"{self.replay.folder}assessment.yml",),
            "evidence": (*streams, "controls/"),
            "findings": (*streams, "controls/", "evidence/manual/"),
            "annotations": ("annotations/",),
            "manual": ("evidence/manual/", "controls/"),
            "attestations": (f"{self.replay.folder}controls/",),
        }
        return path.startswith(prefixes.get(part, ()))

    def _covering(
        self, old: Tree, controls: Collection[str], findings: Findings | None
    ) -> tuple[set[str], set[str]]:
        """Name the annotations, then or now, on these controls and their findings.

        The second set names those that auditors may not read.
        """
        try:
            before = read(self.replay.files(old))
        except InvalidFiles:
            before = self.replay.present.library
        ids = {
            id_
            for control in controls
            if findings and control in findings.controls
            for id_ in findings.controls[control].ids
        }
        notes = [
            note
            for library in (before, self.replay.present.library)
            for note in annotations_of(library, ids, controls)
        ]
        return (
            {note.path for note in notes},
            {note.path for note in notes if note.audience == "internal"},
        )


def _manifest(path: str) -> bool:
    return path.startswith("evidence/") and not path.startswith("evidence/manual/")


def _judgements(statuses: Collection[RequirementStatus]) -> Iterator[Judgement]:
    for status in statuses:
        yield status.judgement
        yield from status.attestations.values()
