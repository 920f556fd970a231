# SPDX-License-Identifier: Apache-2.0
"""What OSCAL observations rest on: runs, tables, explanations, each cited by digest.

Rules enforced here:
- every observation leads to what it rests on, by path and digest;
- what people wrote for internal use stays out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.model import ALL
from controlbook.render import words
from controlbook.render.facts import indexed
from controlbook.timeline import iso

from .document import BackMatter, filled, line, props, prose
from .plan import account_subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import Annotation, Deviation, Gap, Run
    from controlbook.render.report import Report
    from controlbook.timeline import Instant

    from .document import Ids, Node, Nodes


class Shelf:
    """Cites what the observations of one document rest on."""

    def __init__(self, report: Report, ids: Ids, data: Mapping[str, str]) -> None:
        """Take the digests of the tables (`data`) to cite them by."""
        self.report = report
        self.ids = ids
        self.back = BackMatter(ids)
        self.unmapped = frozenset(item.id for item in report.findings.unmapped)
        self._data = data
        self._runs = {
            stream: runs
            for stream in report.ledger.runs
            if (runs := indexed(report.ledger, report.assessment, stream))
        }
        self._ended = {
            stream: max(run.finished for run in runs)
            for stream, runs in self._runs.items()
        }

    def observation(self, names: tuple[str, ...], node: Node) -> Node:
        """Name an observation by what it is about."""
        return filled({"uuid": self.ids.own("observation", *names), **node})

    def notes(self, item: Deviation | Gap) -> tuple[Annotation, ...]:
        """Find what people wrote about a deviation or gap, but for internal notes."""
        return tuple(
            note
            for note in self.report.library.annotations
            if item.id in note.covers and note.audience != "internal"
        )

    def cite_note(self, note: Annotation) -> Node:
        """Refer to an explanation."""
        cited = self.back.cite(
            f"sources/{note.path}",
            note.sha256,
            f"Explanation by {note.author}: {note.title}",
            media_type="text/markdown",
        )
        return {
            "href": cited,
            "rel": "reference",
            "text": line(note.title or note.path),
        }

    def explained(self, item: Deviation | Gap) -> str:
        """Give people's explanations, each with its author."""
        return "\n\n".join(
            f"Explained by {line(self._name(note.author))}:\n\n{prose(note.body)}"
            for note in self.notes(item)
        )

    def _name(self, person: str) -> str:
        known = self.report.library.people.get(person)
        return known.name if known and known.name else person

    def accounts(self, account: str) -> Nodes:
        """Refer to an account of the scope; `all` stands for each of them."""
        return [
            account_subject(self.ids, number)
            for _, number in self.report.assessment.accounts
            if account in {number, ALL}
        ]

    def last(self, stream: str) -> Instant:
        """Give when the last run of a stream ended; without one, of the rules'."""
        fallback = self._ended.get("config", self.report.commit.at)
        return self._ended.get(stream, fallback)

    def known(self, item: Deviation | Gap, runs: tuple[Run, ...]) -> Instant:
        """Give when a deviation or gap was known, by the runs that saw it."""
        ended = (run.finished for run in runs)
        return max(ended, default=self.last(_stream(item.rule)))

    def runs_of(self, item: Deviation | Gap) -> tuple[Run, ...]:
        """Find the runs in whose windows it began and ended."""
        runs = self._runs.get(_stream(item.rule), ())
        edges = [item.within.start, *([item.end] if item.end is not None else [])]
        return tuple(
            run for run in runs if any(run.window.contains(edge) for edge in edges)
        )

    def runs(self, runs: tuple[Run, ...]) -> Nodes:
        """Refer to runs, each by its manifest."""
        return [
            {
                "href": self._cite_run(run),
                "description": f"Run {run.stream} {run.seq:06d},"
                f" {iso(run.window.start)} to {iso(run.window.end)}",
            }
            for run in runs
        ]

    def _cite_run(self, run: Run) -> str:
        """Refer to a run manifest, which names its objects in the vault by digest."""
        return self.back.cite(
            f"ledger/{run.stream}/{run.seq:06d}.json",
            run.sha256,
            f"Run manifest {run.stream} {run.seq:06d}",
            about=props(
                ("stream", run.stream),
                ("seq", run.seq),
                ("window-start", iso(run.window.start)),
                ("window-end", iso(run.window.end)),
                ("repository-path", f"evidence/{run.stream}/{run.seq:06d}.json"),
            ),
        )

    def whole(self, stream: str, table: str) -> Nodes:
        """Refer to the newest run of a stream, which pins those before it."""
        runs = self._runs.get(stream, ())
        newest: Nodes = [
            {
                "href": self._cite_run(run),
                "description": f"Newest of {words.count(len(runs), 'run')} of the"
                f" stream {stream}: each names the digest of the one before it",
            }
            for run in runs[-1:]
        ]
        return [*newest, *self.table(table)]

    def table(self, name: str) -> Nodes:
        """Refer to a table of the data files."""
        path = f"data/{name}.csv"
        cited = self.back.cite(
            path, self._data[path], f"Table {name}", media_type="text/csv"
        )
        return [{"href": cited, "description": f"All rows of the table {name}"}]


def _stream(rule: str) -> str:
    """Name the stream of a rule's name or of an evidence key."""
    stream, colon, _ = rule.partition(":")
    return stream if colon else "config"
