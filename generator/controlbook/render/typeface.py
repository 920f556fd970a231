# SPDX-License-Identifier: Apache-2.0
"""The typefaces of the PDF: pinned packages, and nothing of the machine.

Rules enforced here:
- the only faces are those of the IBM Plex packages, under names of our own, so that a
  face that happens to be installed on the machine can never stand in for them;
- a word too long to set gets invisible places to break;
- a character that the faces lack is printed as its code point, `[U+6F22]`, and the
  report lists it: silently it would be drawn in whatever the machine has.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import fontpkg_ibm_plex_mono  # type: ignore[import-untyped]
import fontpkg_ibm_plex_sans  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from pathlib import Path

SANS = "Controlbook IBM Plex Sans"
MONO = "Controlbook IBM Plex Mono"
FAMILIES = (SANS, MONO)
SCHEME = "controlbook-font:"
"""Addresses of the faces in the style sheet; no file path reaches the document."""

_TEXT = re.compile(r"(?<=>)[^<>]{100,}(?=<)")
_LONG = re.compile(r"[^\s&;\u200b]{80}(?=[^\s&;\u200b]{20})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One font file and how the style sheet names it."""

    name: str
    family: str
    path: Path
    style: str = "normal"

    @property
    def rule(self) -> str:
        """Give the face's `@font-face` rule."""
        return (
            f'@font-face {{ font-family: "{self.family}"; font-style: {self.style}; '
            f"src: url({SCHEME}{self.name}) }}"
        )


_SANS_FILES = fontpkg_ibm_plex_sans.ROOT / "files"
FACES = (
    Face(name="sans", family=SANS, path=_SANS_FILES / "IBMPlexSans[wdth,wght].ttf"),
    Face(
        name="sans-italic",
        family=SANS,
        path=_SANS_FILES / "IBMPlexSans-Italic[wdth,wght].ttf",
        style="italic",
    ),
    Face(
        name="mono",
        family=MONO,
        path=fontpkg_ibm_plex_mono.ROOT / "files" / "IBMPlexMono-Regular.ttf",
    ),
)


def face(address: str) -> bytes | None:
    """Read the font file behind one of our addresses; None for any other address."""
    for known in FACES:
        if address == SCHEME + known.name:
            return known.path.read_bytes()
    return None


def style_sheet() -> str:
    """Give the `@font-face` rules of every face."""
    return "\n".join(known.rule for known in FACES)


@cache
def drawable() -> frozenset[int]:
    """Give the code points that upright and italic text can both be drawn with.

    Monospaced text falls back to the same family, so this holds for all text.
    """
    upright, slanted = (_covered(known.path) for known in FACES if known.family == SANS)
    return upright & slanted | {ord("\n"), ord("\t"), ord("\r")}


def _covered(path: Path) -> frozenset[int]:
    with TTFont(path, lazy=True) as font:
        return frozenset(font.getBestCmap())


def substituted(page: str) -> tuple[str, tuple[str, ...]]:
    """Print what the faces lack as code points; name those characters, sorted.

    Composed forms come first: a letter with a combining mark may exist only as one.
    """
    composed = unicodedata.normalize("NFC", page)
    known = drawable()
    lacking = sorted({char for char in composed if ord(char) not in known})
    if not lacking:
        return composed, ()
    pattern = re.compile(f"[{re.escape(''.join(lacking))}]")
    return pattern.sub(lambda m: code_point(m[0]), composed), tuple(lacking)


def breakable(page: str) -> str:
    """Let words of a hundred characters and more break: setting them takes squares.

    Tags stay as they are; their values hold no `>` of their own, since all is escaped.
    """
    return _TEXT.sub(lambda m: _LONG.sub("\\g<0>\u200b", m[0]), page)


def code_point(char: str) -> str:
    """Write a character as its code point, `[U+6F22]`."""
    return f"[U+{ord(char):04X}]"
