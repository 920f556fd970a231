# SPDX-License-Identifier: Apache-2.0
"""What a verb gives back to the shell: a code, a text, and the same as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one verb; only cli.py prints it."""

    text: str
    """For stdout; lines of plain text."""
    data: dict[str, object] = field(default_factory=dict)
    """For `--json`; `schema` names its shape and version."""
    code: Exit = Exit.FINE
