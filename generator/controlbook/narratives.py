# SPDX-License-Identifier: Apache-2.0
"""Whether a statement is somebody's own words, and whether they were said before.

Rules enforced here:
- a placeholder, or a text too short to say anything, is no statement;
- one text does not stand for many controls or requirements (bulk sign-off);
- a text that was carried over from an earlier assessment is said to be so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Library, SignOff

SHORTEST = 20
"""Characters below which a statement says nothing."""
FEWEST_WORDS = 4
MOST_SHARED = 3
"""Requirements that one and the same statement may stand for."""

_PLACEHOLDER = re.compile(
    r"\b(?:todo|tbd|tbc|fixme|xxx+|lorem|ipsum|placeholder|asdf\w*|qwert\w*|foo ?bar)\b"
    r"|\bn/a\b|<[^>]*>|\.\.\.\s*\Z|\A\W*\Z",
    re.IGNORECASE,
)


def hollow(statement: str) -> str:
    """Say why a text says nothing; empty where it may well say something."""
    words = re.findall(r"\w+", statement.casefold())
    placeholder = _PLACEHOLDER.search(statement)
    if placeholder:
        return f"it holds the placeholder {placeholder[0].strip()!r}"
    if len(" ".join(statement.split())) < SHORTEST:
        return f"it has fewer than {SHORTEST} characters"
    if len(set(words)) < FEWEST_WORDS:
        return f"it has fewer than {FEWEST_WORDS} different words"
    return ""


def same_text(about: str, statement: str, others: Mapping[str, str]) -> tuple[str, ...]:
    """Name the other controls or requirements for which the same text stands."""
    return tuple(
        sorted(
            other
            for other, text in others.items()
            if other != about and folded(text) == folded(statement)
        )
    )


def folded(text: str) -> str:
    """Give a text without what does not make it another one: case, white space."""
    return " ".join(text.casefold().split())


def said_by_others(library: Library, file: SignOff) -> dict[str, str]:
    """Give the statements of the same role in the same assessment."""
    return {
        other.about: other.statement
        for other in library.signoffs
        if (other.assessment, other.role) == (file.assessment, file.role)
        and other.decision == file.decision
    }


def statement_faults(library: Library, file: SignOff) -> list[str]:
    """Say why a statement is not one that counts; empty where it is."""
    reason = hollow(file.statement)
    if reason:
        return [f"its statement says nothing: {reason}"]
    same = same_text(file.about, file.statement, said_by_others(library, file))
    if len(same) >= MOST_SHARED:
        return [f"its statement also stands for {', '.join(same)}"]
    return []


def statement_flags(library: Library, file: SignOff) -> tuple[str, ...]:
    """Say what a reader should know of a statement that counts (auditors.md 7)."""
    flags = []
    since = _since(library, file)
    if since:
        flags.append(f"text unchanged since {since}")
    same = same_text(file.about, file.statement, said_by_others(library, file))
    if same:
        flags.append(f"the same text stands for {', '.join(same)}")
    return tuple(flags)


def _since(library: Library, file: SignOff) -> str:
    """Name the earliest earlier assessment in which the same text stood."""
    own = library.assessments.get(file.assessment)
    if own is None:
        return ""
    earlier = [
        assessment
        for assessment in library.assessments.values()
        if assessment.period.start < own.period.start
        and any(
            other.assessment == assessment.id
            and other.role == file.role
            and folded(other.statement) == folded(file.statement)
            for other in library.signoffs
        )
    ]
    if not earlier:
        return ""
    return min(earlier, key=lambda assessment: assessment.period.start).id
