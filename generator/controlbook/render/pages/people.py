# SPDX-License-Identifier: Apache-2.0
"""Queues: what each person or team is asked for next, with the command to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.timeline import DAY

from . import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import Deviation, Gap, Status

    from .view import View
    from .write import Page

SOON = 30 * DAY
"""How long before its end a document is asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing that one person or team is asked for."""

    view: View
    who: str
    verb: str
    """annotate | attest | sign | renew"""
    about: str
    requirements: tuple[str, ...]
    finding: Deviation | Gap | None
    statuses: tuple[Status, ...]

    @property
    def command(self) -> str:
        """Give the command that does it; capitals stand for what people must decide."""
        library = self.view.report.library
        who = self.who if self.who in library.people else "PERSON"
        match self.verb:
            case "annotate":
                return (
                    f"controlbook annotate {self.about} --as {who} "
                    "--title TITLE --file EXPLANATION.md --pr"
                )
            case "attest":
                return f"controlbook attest {self.view.id} {self.about} --as {who} --pr"
            case "sign":
                return (
                    f"controlbook signoff {self.view.id} {self.about} --as {who} "
                    "--conclusion CONCLUSION --statement STATEMENT --pr"
                )
            case "renew":
                return (
                    f"controlbook evidence add FILE --id {self.about} --title TITLE "
                    f"--owner {self.who} --from DATE --until DATE --pr"
                )
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
    order = {"annotate": 0, "attest": 1, "sign": 2, "renew": 3}
    return tuple(
        sorted(found.values(), key=lambda task: (order.get(task.verb, 4), task.about))
    )


def _joined(left: Task, right: Task) -> Task:
    return Task(
        view=left.view,
        who=left.who,
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
                    who=name,
                    verb=verb,
                    about=about,
                    requirements=(number,),
                    finding=items.get(about),
                    statuses=(status.interim or status.status,),
                )
    yield from _renewals(view, name)


def _renewals(view: View, name: str) -> Iterator[Task]:
    """Ask for documents that end soon, as seen at the commit's time."""
    report = view.report
    for paper in report.library.manual.values():
        users = view.users_of_document(paper.id)
        if (
            paper.owner == name
            and users
            and paper.expires is not None
            and paper.expires <= report.commit.at + SOON
        ):
            yield Task(
                view=view,
                who=name,
                verb="renew",
                about=paper.id,
                requirements=tuple(item.number for item in users),
                finding=None,
                statuses=tuple(view.status(item.number).status for item in users),
            )
