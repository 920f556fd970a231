# SPDX-License-Identifier: Apache-2.0
"""Who acts, and how their change reaches main: shared by the verbs that write.

Rules enforced here:
- a person acts under their id of people.yml, never under a commit's name;
- a change is proposed by a pull request, or left in the work tree for one to be made.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .clock import now
from .errors import ControlbookError
from .forge.github import GitHub
from .outcome import Outcome
from .propose import propose

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from .git import Author
    from .model import Library, Person
    from .programme import Programme


def acting(options: argparse.Namespace, library: Library) -> Person:
    """Find the person who acts; raises ControlbookError with the known ids."""
    name = options.person or os.environ.get("CONTROLBOOK_PERSON", "")
    if not name:
        message = "who acts is not said"
        raise ControlbookError(message, advice="give --as PERSON, an id of people.yml")
    person = library.people.get(name)
    if person is None:
        known = ", ".join(sorted(library.people))
        message = f"people.yml has no {name!r}"
        raise ControlbookError(message, place="--as", advice=f"it knows {known}")
    return person


def author(programme: Programme) -> Author:
    """Name the author of the commits that this machine makes, as Git is configured."""
    return programme.repository.configured_author()


def deliver(
    options: argparse.Namespace,
    programme: Programme,
    files: Mapping[str, bytes],
    *,
    branch: str,
    title: str,
    body: str,
    schema: str,
) -> Outcome:
    """Propose files by a pull request (`--pr`), or write them into the work tree."""
    data: dict[str, object] = {"schema": schema, "files": sorted(files)}
    if not options.pr:
        for path, content in files.items():
            programme.repository.write(path, content)
        lines = [f"wrote {path}" for path in sorted(files)]
        lines.append("commit it on a branch and open a pull request, or use --pr")
        return Outcome(text="\n".join(lines), data=data)
    settings = programme.library.settings
    opened = propose(
        programme.repository,
        GitHub.from_environment(settings.github, os.environ, branch=settings.branch),
        files,
        branch=branch,
        title=title,
        body=body,
        at=now(options.as_of),
        author=author(programme),
        base=settings.branch,
    )
    data["pull"] = {"number": opened.number, "url": opened.url}
    return Outcome(
        text=f"opened pull request #{opened.number}: {opened.url}", data=data
    )
