# SPDX-License-Identifier: Apache-2.0
"""`controlbook evidence add`: what is taken, what is refused, and nothing half done."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from running import committed, controlbook, small_programme

from controlbook.digest import sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.vault.documents import MAX_BYTES

HERE = Path(__file__).parents[1]
PDF = b"%PDF-1.7\n1 0 obj << /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>\n"
WORDS = (
    "--id", "key-handling", "--title", "Key handling", "--owner", "olga",
    "--from", "2028-01-01", "--until", "2029-01-01", "--as-of", "2028-01-10T09:00:00Z",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = small_programme(tmp_path / "programme")
    (tmp_path / "vault").mkdir()
    settings = made / "pyproject.toml"
    settings.write_text(settings.read_text() + 'vault = "../vault"\n')
    committed(made, "Name the vault")
    return made


def stored(root: Path) -> dict[str, bytes]:
    vault = root.parent / "vault"
    return {
        p.relative_to(vault).as_posix(): p.read_bytes()
        for p in sorted(vault.rglob("*"))
        if p.is_file() and not p.name.startswith(".")
    }


def add(root: Path, name: str, content: bytes, *more: str) -> str:
    file = root.parent / "inbox" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    outcome = controlbook(root, "evidence", "add", str(file), *WORDS, *more)
    assert outcome.code is Exit.FINE
    return (root / "evidence" / "manual" / "key-handling.yml").read_text()


def bomb() -> bytes:
    """Make two hundred megabytes of nothing in two hundred kilobytes."""
    body = io.BytesIO()
    entry = zipfile.ZipInfo("word/document.xml")  # of 1980: tests are named after it
    with zipfile.ZipFile(body, "w") as made:
        made.writestr(entry, bytes(200_000_000), zipfile.ZIP_DEFLATED, 9)
    return body.getvalue()


@pytest.mark.threat("T79")
@pytest.mark.parametrize(
    ("name", "content"),
    [("policy.pdf", PDF), ("policy.docx", bomb()), ("policy.csv", b"=cmd|' /C'!A0\n")],
    ids=["pdf with javascript", "zip bomb", "formula"],
)
def test_t79_a_document_is_kept_as_its_bytes_and_never_opened(
    root: Path, name: str, content: bytes
) -> None:
    record = add(root, name, content)
    key = f"packs/manual/{sha256(content)}.{name.rpartition('.')[2]}"
    assert stored(root) == {key: content}
    assert f'key: "{key}"' in record
    assert f'content_sha256: "{sha256(content)}"' in record
    # Nothing was unpacked beside it, or into Git.
    assert sum(p.stat().st_size for p in (root / "evidence").rglob("*.yml")) < 4096


@pytest.mark.threat("T79")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tool.exe", b"MZ\x90\0", "the name is not one that is taken"),
        ("policy.zip", bomb()[:100], "the name is not one that is taken"),
        ("policy.html", b"<script>", "the name is not one that is taken"),
        ("policy.svg", b"<svg onload=x>", "the name is not one that is taken"),
        ("policy.pdf.exe", PDF, "the name is not one that is taken"),
        ("policy.pdf", b"GIF89a" + PDF, "does not begin like a .pdf file"),
        ("policy.png", PDF, "does not begin like a .png file"),
        ("policy.txt", b"MZ\x90\0\xff", "is not the UTF-8 text of a .txt file"),
        ("policy.csv", b"a,b\0", "is not the UTF-8 text of a .csv file"),
        ("policy.pdf", b"", "the file is empty"),
        ("..policy.pdf", PDF, "the name is not one that is taken"),
        ("-rf.pdf", PDF, "the name is not one that is taken"),
        ("a\u202efdp.pdf", PDF, "the name is not one that is taken"),
        ("a\nb.pdf", PDF, "the name is not one that is taken"),
        ("'; rm -r ~.pdf", PDF, "the name is not one that is taken"),
        (f"{'a' * 130}.pdf", PDF, "the name is not one that is taken"),
        ("big.txt", b"a" * (MAX_BYTES + 1), "the file has more than 67108864 bytes"),
    ],
    ids=lambda value: repr(value[:16]) if isinstance(value, (str, bytes)) else None,
)
def test_t79_what_is_not_taken_is_exit_2_and_stores_nothing(
    root: Path, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(ControlbookError, match=said) as caught:
        add(root, name, content)
    assert (caught.value.code, caught.value.place) == (Exit.USAGE, name)
    assert "take one of csv, docx, jpg, md, pdf, png, txt, xlsx" in caught.value.advice
    assert stored(root) == {}
    assert not (root / "evidence" / "manual" / "key-handling.yml").exists()


def test_the_same_document_again_is_stored_once(root: Path) -> None:
    first = add(root, "policy.pdf", PDF)
    assert add(root, "policy.pdf", PDF) == first
    second = add(root, "policy.pdf", PDF + b"more", "--version", "2")
    assert second != first
    assert len(stored(root)) == 2


MATRIX = """
import json, shutil, sys
from pathlib import Path
from dying import apart, fail_at
from controlbook.cli import main
base, fault, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
def adding(root):
    main(["evidence", "add", *words, "-q", "-C", str(root / "programme")])
def counted(root):
    steps = fail_at(0, "none", root)
    try:
        adding(root)
    finally:
        (root / "steps").write_text(str(steps()))
shutil.copytree(base / "start", base / "whole", symlinks=True)
assert apart(lambda: counted(base / "whole")) == 0
total = int((base / "whole" / "steps").read_text())
codes = {}
for step in range(1, total + 1):
    root = base / f"{step}"
    shutil.copytree(base / "start", root, symlinks=True)
    def die():
        fail_at(step, fault, root)
        adding(root)
    codes[step] = apart(die)
    assert apart(lambda: adding(root)) == 0, step
print(json.dumps(codes))
"""


@pytest.mark.threat("T33")
@pytest.mark.threat("T36")
@pytest.mark.parametrize(("fault", "code"), [("kill", -9), ("full", 5)])
def test_t33_t36_a_document_is_put_again_after_any_end(
    root: Path, tmp_path: Path, fault: str, code: int
) -> None:
    document = tmp_path / "policy.pdf"
    document.write_bytes(PDF)
    (tmp_path / "start").mkdir()
    shutil.move(root, tmp_path / "start" / "programme")
    shutil.move(tmp_path / "vault", tmp_path / "start" / "vault")
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    given = [str(tmp_path), fault, str(document), *WORDS]
    done = subprocess.run(
        [sys.executable, "-c", MATRIX, *given],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert len(codes) >= 4
    assert set(codes.values()) == {code}
    whole = tmp_path / "whole" / "programme"
    for step in codes:
        again = tmp_path / step / "programme"
        assert stored(again) == stored(whole), step
        record = "evidence/manual/key-handling.yml"
        assert (again / record).read_bytes() == (whole / record).read_bytes(), step
