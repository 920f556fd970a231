# SPDX-License-Identifier: Apache-2.0
"""Nothing that was changed at random passes either verifier, and nothing crashes them.

A failure names its number; `mutation(number, …)` makes the same forgery again. What it
finds becomes a recipe in bundles/.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forgeries import FORGERIES, base_of, good, other
from mutations import mutation
from remembering import Memory, remember
from tampering import resealed

from controlbook import bundle_verify
from controlbook.assurance import Given
from controlbook.carried import held
from controlbook.errors import Exit
from controlbook.verify import judge, verify

if TYPE_CHECKING:
    from tampering import Files

    from controlbook.verdict import Verdict

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
"""A file system in memory, where there is one: a disk would take most of the time."""
NAME = "PCI-2028-FEB"
REFUSED = {Exit.INTEGRITY, Exit.UNAVAILABLE}


class Desk:
    """A folder that holds one bundle after the other; only differences are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: Files = {}

    def lay(self, files: Files) -> Path:
        for path in self.files.keys() - files.keys():
            (self.folder / path).unlink()
        for path, data in files.items():
            if self.files.get(path) != data:
                place = self.folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
        self.files = dict(files)
        return self.folder


def judged(desk: Desk, files: Files, what: str) -> str:
    """Run both verifiers over a forgery; say what is wrong with their answers."""
    folder = desk.lay(files)
    try:
        verdict = verify(folder)
        own = bundle_verify.verify(str(folder))[0]
    except BaseException:  # noqa: BLE001 - whatever it is, a verifier may not raise it
        return f"{what}: {traceback.format_exc()}"
    return wrong_with(verdict, own, what)


def judged_in_memory(memory: Memory, files: Files, what: str) -> str:
    """Let the product's verifier alone, and with its memory, judge a forgery."""
    try:
        verdict = remembered(memory, files)
    except BaseException:  # noqa: BLE001 - whatever it is, a verifier may not raise it
        return f"{what}: {traceback.format_exc()}"
    return wrong_with(verdict, verdict.code, what)


def remembered(memory: Memory, files: Files) -> Verdict:
    with memory.used():
        return judge(held(NAME, files), given=Given())


def wrong_with(verdict: Verdict, own: int, what: str) -> str:
    if verdict.code not in REFUSED or own != verdict.code:
        found = [text for check in verdict.checks for _, text in check.faults]
        return f"{what}: verify {verdict.code}, verify.py {own}; {found[:3]}"
    return ""


def wrongly_judged(numbers: range, every: int = 1) -> list[str]:
    """Judge mutations by their numbers.

    Of every so many, one is laid out on disk and judged by both verifiers, which
    remember nothing but Git's answers; the others are judged in memory.
    """
    with (
        tempfile.TemporaryDirectory(dir=MEMORY) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", folder)
        remember(Path(folder) / "git", patch)
        desk = Desk(Path(folder) / NAME)
        memory = Memory()
        said = []
        for number in numbers:
            files, what = mutation(number, good(), other())
            what = f"mutation {number} ({what})"
            if number % every == 0:
                said.append(judged(desk, files, what))
            else:
                said.append(judged_in_memory(memory, files, what))
        return [text for text in said if text]


@pytest.mark.threat("T01")
@pytest.mark.threat("T20")
@pytest.mark.threat("T80")
def test_five_hundred_mutations_are_refused() -> None:
    found = wrongly_judged(range(500))
    assert not found, "\n".join(found)


def test_what_is_remembered_changes_no_verdict(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        remember(tmp_path / "git", patch)
        desk, memory = Desk(tmp_path / NAME), Memory()
        for number in range(500, 560):
            files, what = mutation(number, good(), other())
            assert remembered(memory, files) == verify(desk.lay(files)), what
    for name, once in memory.known.items():
        assert once.worked < once.asked, f"{name} never remembers"
    derive = memory.known["derive"]
    assert derive.worked * 2 < derive.asked


@pytest.mark.slow
@pytest.mark.threat("T01")
@pytest.mark.threat("T20")
@pytest.mark.threat("T80")
def test_ten_thousand_mutations_are_refused() -> None:
    workers = min(os.cpu_count() or 1, 8)
    share = [range(first, 10_500, workers) for first in range(500, 500 + workers)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        parts = pool.map(wrongly_judged, share, [20] * workers)
        found = [text for part in parts for text in part]
    assert not found, f"{len(found)} of 10,000:\n" + "\n".join(found[:20])


def reverse(data: bytes) -> bytes:
    return b"".join(reversed(data.splitlines(keepends=True)))


KINDS = {
    "flip the first bit": lambda data: bytes([data[0] ^ 128]) + data[1:],
    "flip the last bit": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "flip a bit in the middle": lambda data: (
        data[: len(data) // 2]
        + bytes([data[len(data) // 2] ^ 4])
        + data[len(data) // 2 + 1 :]
    ),
    "cut to nothing": lambda _: b"",
    "cut to one byte": lambda data: data[:1],
    "cut to half": lambda data: data[: len(data) // 2],
    "cut the last byte": lambda data: data[:-1],
    "cut the first byte": lambda data: data[1:],
    "append a newline": lambda data: data + b"\n",
    "append a NUL": lambda data: data + b"\x00",
    "append a gzip member": lambda data: data + gzip.compress(b"", mtime=0),
    "put a byte order mark before": lambda data: b"\xef\xbb\xbf" + data,
    "write it twice": lambda data: data + data,
    "turn its lines round": reverse,
    "drop its first line": lambda data: data.partition(b"\n")[2],
    "end lines with CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "write zeros": lambda data: bytes(len(data)),
    "write spaces": lambda data: b" " * len(data),
    "write an empty table": lambda _: b"{}",
    "write null": lambda _: b"null",
}


@pytest.mark.slow
@pytest.mark.threat("T01")
@pytest.mark.threat("T03")
@pytest.mark.threat("T80")
@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_held_against_every_kind_of_tampering(
    kind: str, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        remember(tmp_path / "git", patch)
        desk = Desk(tmp_path / NAME)
        said = []
        for path, data in sorted(good().items()):
            forged = {**good(), path: KINDS[kind](data)}
            try:
                files = resealed(forged)
            except (ValueError, KeyError, TypeError, AttributeError):
                files = forged
            if files != good():
                said.append(judged(desk, files, path))
    assert not any(said), "\n".join(filter(None, said))


def test_a_forgery_whose_lists_do_not_agree_is_refused_too(tmp_path: Path) -> None:
    """The recipes again, by a forger who forgets the lists."""
    with pytest.MonkeyPatch.context() as patch:
        remember(tmp_path / "git", patch)
        desk = Desk(tmp_path / NAME)
        said = [
            judged(
                desk, forgery.apply(base_of(forgery), other(), "nothing"), forgery.id
            )
            for forgery in FORGERIES
            if not any("link" in step for step in forgery.change)
        ]
    assert not any(said), "\n".join(filter(None, said))
