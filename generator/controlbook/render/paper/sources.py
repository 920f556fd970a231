# SPDX-License-Identifier: Apache-2.0
"""Where the evidence of a report comes from: runs, calls, objects, documents.

Rules enforced here:
- calls are printed with the exact parameters that runs recorded;
- a mark stands only for a check that ran in this build.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from controlbook.render import charts, words
from controlbook.render.ticks import ticks
from controlbook.timeline import DAY

if TYPE_CHECKING:
    from controlbook.model import ManualEvidence, Run, StoredObject
    from controlbook.render.report import Report
    from controlbook.render.ticks import Tick


@dataclass(frozen=True)
class Sources:
    """The sources of one report."""

    report: Report

    @cached_property
    def ticks(self) -> tuple[Tick, ...]:
        """Run the checks behind the tick marks, once per build."""
        return ticks(self.report.ledger, self.report.findings.recorded)

    @property
    def calendar(self) -> str:
        """Draw the days of the period with and without a run."""
        collected = self.report.findings.collected
        return charts.calendar(
            self.report.assessment.period,
            (run.window for run in self.report.runs if run.kind != "correction"),
            until=collected.end if collected else self.report.assessment.period.start,
        )

    @staticmethod
    def window(run: Run) -> str:
        """Write a run's window: the day alone where it is one UTC day."""
        start, end = run.window.start, run.window.end
        if start % DAY == 0 and run.window.length == DAY:
            return words.day(start)
        return words.stretch(start, end)

    @staticmethod
    def holds(run: Run) -> str:
        """Count what a run of another stream than `config` brought."""
        counted = (
            (sum(row.count for row in run.event_counts), "event", ""),
            (len(run.chains), "digest chain", ""),
            (len(run.observations), "answer", ""),
            (len(run.pulls), "pull request", ""),
            (len(run.missing), "hole in the evidence", "holes in the evidence"),
        )
        parts = [words.count(*each) for each in counted if each[0]]
        return ", ".join(parts) or "nothing new"

    @property
    def kinds_of_run(self) -> tuple[tuple[str, int], ...]:
        """Count the runs of the period by kind."""
        kinds = [run.kind for run in self.report.runs]
        return tuple((kind, kinds.count(kind)) for kind in sorted(set(kinds)))

    @cached_property
    def queries(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Give every API with its different exact parameters, as runs recorded them."""
        found: dict[str, set[str]] = {}
        for run in self.report.runs:
            for api, parameters in run.queries:
                found.setdefault(api, set()).add(parameters)
        return tuple((api, tuple(sorted(found[api]))) for api in sorted(found))

    @property
    def principals(self) -> tuple[str, ...]:
        """Name the identities that collected."""
        return tuple(sorted({run.principal for run in self.report.runs}))

    @property
    def collectors(self) -> tuple[str, ...]:
        """Name the collector's versions that ran."""
        return tuple(
            sorted({words.collector(run.collector) for run in self.report.runs})
        )

    @property
    def run_notes(self) -> tuple[tuple[Run, str], ...]:
        """Give the disagreements and oddities that runs saw."""
        return tuple((run, note) for run in self.report.runs for note in run.notes)

    def shown_objects(self) -> tuple[tuple[Run, StoredObject], ...]:
        """Give the stored objects of the runs that open and close the period."""
        ends = dict.fromkeys((*self.report.runs[:1], *self.report.runs[-1:]))
        return tuple((run, stored) for run in ends for stored in run.objects)

    @property
    def objects_in_all(self) -> int:
        """Count the stored objects behind the period."""
        return sum(len(run.objects) for run in self.report.runs)

    @cached_property
    def documents(self) -> tuple[ManualEvidence, ...]:
        """Give the manual evidence that controls in scope name, by id."""
        names = {
            name
            for found in self.report.findings.controls.values()
            for name in found.documents
        }
        return tuple(self.report.library.manual[name] for name in sorted(names))
