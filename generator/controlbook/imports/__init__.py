# SPDX-License-Identifier: Apache-2.0
"""Bringing in what others publish: packs, frameworks, catalogs, tables.

Rules enforced here:
- a reader gives numbers, rule names, parameters and how they pair, never a word of
  text that its owner keeps: what is marked as theirs arrives without titles;
- what a reader cannot take is a note, never silence;
- readers are pure; what to write into which file is decided in one place, plan.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controlbook.model import EvidenceSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A numbered item of a framework; no title where its owner keeps the text."""

    number: str
    title: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Pair:
    """Somebody's claim that a piece of evidence speaks to a requirement."""

    number: str
    evidence: str
    """Key of the evidence, as in `Imported.evidence`."""
    source: str = ""
    """Who says so, where it is not the whole import's source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a source holds, as far as we take it."""

    key: str
    """Short name of the source, for a framework's `sources`."""
    source: str
    """The source in full, with its digest where it is a file."""
    title: str = ""
    """What the source calls itself."""
    marked: str = ""
    """Whose text it is, where that is kept: nothing but numbers was taken."""
    items: tuple[Item, ...] = ()
    evidence: tuple[EvidenceSource, ...] = ()
    pairs: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()


_OWNERS = (
    ("PCI SSC", re.compile(r"\bPCI\b", re.IGNORECASE)),
    ("CIS", re.compile(r"\bCIS\b|Center for Internet Security")),
    (
        "AICPA",
        re.compile(r"\bAICPA\b|\bSOC ?2\b|Trust Services Criteria|\bTSC\b|\bTSP\b"),
    ),
    ("ISO", re.compile(r"\bISO(?:/IEC)?[ -]?\d{4,5}")),
    ("HITRUST", re.compile(r"\bHITRUST\b", re.IGNORECASE)),
)


def owner_of_text(*words: str) -> str:
    """Name who keeps the text of a source, judged by what it calls itself."""
    for owner, pattern in _OWNERS:
        if any(
            pattern.search(word.replace("_", " ").replace("-", " ")) for word in words
        ):
            return owner
    return ""


def slug(words: str) -> str:
    """Make an id of some words: lower case, hyphens, at most 64 characters."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:64].rstrip("-")
