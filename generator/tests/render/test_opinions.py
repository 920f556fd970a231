# SPDX-License-Identifier: Apache-2.0
"""No template holds an opinion: facts are generated, judgements are people's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "controlbook"
PLACES = (
    *sorted((PACKAGE / "templates").rglob("*.html")),
    *sorted((PACKAGE / "templates").rglob("*.j2")),
    PACKAGE / "render" / "sentences.py",
    PACKAGE / "render" / "words.py",
    PACKAGE / "render" / "readme.py",
)
OPINIONS = re.compile(
    r"\b(?:excellent|impressive|best[- ]in[- ]class|world[- ]class|state[- ]of[- ]the"
    r"[- ]art|robust(?:ly|ness)?|seamless(?:ly)?|effortless(?:ly)?|fortunately"
    r"|unfortunately|only minor|negligible|insignificant|merely|obviously|clearly"
    r"|of course|needless|satisfactor(?:y|ily)|adequate(?:ly)?|inadequate(?:ly)?"
    r"|effective(?! owners)(?:ly|ness)?|sufficiently secure|fully (?:compliant|secure)"
    r"|100 ?% (?:compliant|secure)|guarantee[ds]?|we (?:believe|think|feel)"
    r"|in our opinion|operated effectively)\b",
    re.IGNORECASE,
)
"""What an assessor may conclude and a program may not say."""


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path.name)
def test_a_template_holds_no_opinion(path: Path) -> None:
    text = re.sub(r"{#.*?#}", "", path.read_text("utf-8"), flags=re.DOTALL)
    found = [
        f"{path.name}:{number}: {match[0]}"
        for number, line in enumerate(text.splitlines(), 1)
        for match in OPINIONS.finditer(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["The control operated effectively.", "only minor gaps", "Fully compliant"]
)
def test_the_list_finds_an_opinion(text: str) -> None:
    assert OPINIONS.search(text)
