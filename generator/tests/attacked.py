# SPDX-License-Identifier: Apache-2.0
"""The small programme of released.py under attack, and what a person is then shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import released

from controlbook.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

NAME = released.NAME
SIGNED = f"signoffs/{NAME}/requirements/3.4.yml"
ATTESTED = f"signoffs/{NAME}/controls/buckets-encrypted.yml"
SCOPE = f"signoffs/{NAME}/assessment.yml"
CONTROL = "controls/buckets-encrypted.yml"
FRAMEWORK = "frameworks/pci-dss-3.2.1.yml"
OWNERS = ".github/CODEOWNERS"
PEOPLE = "signoffs/people.yml"
ANNOTATE, ATTEST, SIGN = 0, 1, 2
"""Which pull request of the programme, in the order of their merges."""


@dataclass
class Attacked(released.Example):
    """Somebody rewrites a file before it is committed."""

    rewrite: Callable[[str, bytes], bytes] = lambda _path, body: body

    def merge(self, files: Mapping[str, bytes], reviewer: str, title: str) -> None:
        files = {path: self.rewrite(path, body) for path, body in files.items()}
        super().merge(files, reviewer, title)

    def told(self, number: int, **changes: object) -> None:
        """Let GitHub tell of a pull request, before it is captured, what is given."""
        self.pulls[number] = replace(self.pulls[number], **changes)  # type: ignore[arg-type]

    def reviewed(self, number: int, **changes: object) -> None:
        """Let GitHub tell so of the review of a pull request."""
        review = replace(self.pulls[number].reviews[0], **changes)  # type: ignore[arg-type]
        self.told(number, reviews=(review,))

    def without(self, *gone: str) -> None:
        """Let the last pull request also have removed files."""
        index = {"GIT_INDEX_FILE": str(self.root / "index")}
        git, last = self.repository.git, self.pulls[-1]
        git("read-tree", "main", environment=index)
        git("update-index", "--force-remove", "--", *gone, environment=index)
        tree = git("write-tree", environment=index).decode().strip()
        made = self.repository.commit_tree
        head = made(tree, (last.base,), "Less\n", at=self.now, author=released.BOT)
        both = (last.base, head)
        merge = made(tree, both, "Merge: less\n", at=self.now, author=released.BOT)
        self.repository.set_branch("main", merge)
        paths = tuple(sorted({*last.paths, *gone}))
        self.told(-1, head=head, merge=merge, paths=paths)
        self.reviewed(-1, commit=head)

    def file(self, path: str) -> bytes:
        return self.repository.files_at("main")[path]


def begun(folder: Path) -> Attacked:
    """Collect; nobody has explained or signed anything yet."""
    made = Attacked(folder)
    made.collect()
    return made


def signed(folder: Path) -> Attacked:
    """Collect, explain and sign; GitHub has not been asked yet."""
    made = begun(folder)
    made.annotate()
    made.sign()
    return made


class Shell:
    """The command line, and what it prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str]:
        """Give exit code and everything shown."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(words)
        shown = self.capsys.readouterr()
        text = shown.out + shown.err
        # `-v` shows where an error was raised, by design.
        assert "-v" in words or "Traceback" not in text, text
        return int(str(left.value.code)), text

    def of(self, made: released.Example, verb: str, *words: str) -> tuple[int, str]:
        """Run a verb in a programme's work tree, as main has it."""
        made.repository.git("reset", "--hard", "--quiet", "main")
        return self(verb, *words, "-C", str(made.repository.root))

    def status(self, made: released.Example) -> tuple[int, str]:
        """Give exit code and the line of 3.4."""
        code, text = self.of(made, "status", NAME, "-v")
        (line,) = [row for row in text.splitlines() if row.startswith("  3.4 ")]
        return code, line


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)
