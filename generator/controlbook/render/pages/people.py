# SPDX-License-Identifier: Apache-2.0
"""Queues: what each person or team is asked for next, with the command to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import Deviation, Gap, Status

    from .view import View
    from .write import Page

MONTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing that one person or team is asked for."""

    view: View
    verb: str
    """annotate | attest | sign"""
    about: str
    requirements: tuple[str, ...]
    finding: Deviation | Gap | None
    statuses: tuple[Status, ...]

    @property
    def command(self) -> str:
        """Give the command that does it."""
        match self.verb:
            case "annotate":
                return f"controlbook annotate {self.about}"
            case "attest":
                return f"controlbook attest {self.view.id} {self.about} --pr"
            case "sign":
                return f"controlbook signoff {self.view.id} {self.about} --pr"
            case _:
                return f"controlbook status {self.view.id}"


def pages(views: tuple[View, ...]) -> tuple[Page, ...]:
    """Make the list of queues, and one for each person and team."""
    reports = tuple(view.report for view in views)
    names = _names(views)
    queues = {name: tasks(views, name) for name in names}
    index = write.page(
        write.QUEUES,
        "Who is asked for what",
        "queues",
        reports,
        {"queues": queues, "views": views, "names": names},
    )
    return (
        index,
        *(
            write.page(
                write.queue(name),
                f"Queue of {title}",
                "queue",
                reports,
                {
                    "who": name,
                    "title_name": title,
                    "tasks": queues[name],
                    "also": _also(views, name, queues),
                    "names": names,
                },
            )
            for name, title in names.items()
        ),
    )


def _names(views: tuple[View, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for view in views:
        library = view.report.library
        for person in library.people.values():
            found.setdefault(person.id, person.name)
        for team in library.teams.values():
            found.setdefault(team.id, team.name)
    return dict(sorted(found.items()))


def _also(
    views: tuple[View, ...], name: str, queues: dict[str, tuple[Task, ...]]
) -> tuple[str, ...]:
    """Name the teams with work to do that a person may act for."""
    return tuple(
        sorted(
            {
                team.id
                for view in views
                for team in view.report.library.teams.values()
                if name in team.members and queues.get(team.id)
            }
        )
    )


def tasks(views: tuple[View, ...], name: str) -> tuple[Task, ...]:
    """Collect what somebody is asked for in every assessment, each thing once."""
    found: dict[tuple[str, str], Task] = {}
    for view in views:
        for task in _tasks(view, name):
            key = (view.id, f"{task.verb} {task.about}")
            known = found.get(key)
            found[key] = task if known is None else _joined(known, task)
    order = {"annotate": 0, "attest": 1, "sign": 2}
    return tuple(
        sorted(found.values(), key=lambda task: (order.get(task.verb, 3), task.about))
    )


def _joined(left: Task, right: Task) -> Task:
    return Task(
        view=left.view,
        verb=left.verb,
        about=left.about,
        requirements=(*left.requirements, *right.requirements),
        finding=left.finding,
        statuses=(*left.statuses, *right.statuses),
    )


def _tasks(view: View, name: str) -> Iterator[Task]:
    findings = view.report.findings
    found: tuple[Deviation | Gap, ...] = (*findings.deviations, *findings.gaps)
    items = {item.id: item for item in found}
    for number, status in view.report.statuses.items():
        for person, what in status.waiting:
            if person == name:
                verb, _, about = what.partition(" ")
                yield Task(
                    view=view,
                    verb=verb,
                    about=about,
                    requirements=(number,),
                    finding=items.get(about),
                    statuses=(status.interim or status.status,),
                )
