# SPDX-License-Identifier: Apache-2.0
"""Rows of the area input, and T71: what is committed, and what `check` answers.

Each file is put into a real work tree; every one is exit 2, names file and line, and
ends within limits of time and memory. The tables of cases stand in test_yamltext.py,
test_library.py, git/test_repository.py and test_carried.py.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import attacked
import pytest
from attacked import CONTROL, PEOPLE, SCOPE, Shell
from hypothesis import given
from hypothesis import strategies as st

from controlbook.reading import id_flaw

shell = attacked.shell
TEXT = (
    b'id: "buckets-encrypted"\ntitle: "Buckets"\nstatement: "All of them."\n'
    b'owner: "j-moreau"\nevidence:\n  - manual: "security-policy"\n'
)
ODD = "controls/odd.yml"
NOTE = "annotations/2028-02/note.md"


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = attacked.begun(tmp_path_factory.mktemp("programme"))
    made.repository.git("reset", "--hard", "--quiet", "main")
    return made.repository.root


@pytest.fixture
def root(programme: Path) -> Path:
    """Give the work tree, clean."""
    for word in (("reset", "--hard", "-q"), ("clean", "-fdq")):
        subprocess.run(["git", *word], cwd=programme, check=True)
    return programme


def put(root: Path, path: str, body: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(body)


def refused(shell: Shell, root: Path, *words: str) -> str:
    code, text = shell("check", "-C", str(root))
    assert code == 2, text
    for each in words:
        assert each in text, text
    return text


def test_the_programme_itself_is_no_case(root: Path, shell: Shell) -> None:
    code, text = shell("check", "-C", str(root))
    assert code == 0, text


@pytest.mark.threat("T65")
@pytest.mark.parametrize(
    ("path", "old", "new", "says"),
    [
        (CONTROL, "Every bucket", "Every \u202ebucket", ":4: it holds characters that"),
        (
            CONTROL,
            "Every bucket",
            "Every \u202ebucket",
            "U+202E RIGHT-TO-LEFT OVERRIDE",
        ),
        (CONTROL, "Every bucket", "Every\u200bbucket", "U+200B ZERO WIDTH SPACE"),
        (CONTROL, "Every bucket", "E\u0301very bucket", "decomposed form"),
        (PEOPLE, "Jeanne Moreau", "Clara N0vak", "this name, to the eye, is"),
        (PEOPLE, "Jeanne Moreau", "\u0421lara Novak", "this name, to the eye, is"),
        (PEOPLE, 'github: "j-moreau"', 'github: "\u0458-moreau"', "U+0458"),
    ],
)
def test_t65_characters_that_deceive(
    root: Path, shell: Shell, path: str, old: str, new: str, says: str
) -> None:
    text = (root / path).read_text()
    assert old in text
    put(root, path, text.replace(old, new).encode())
    refused(shell, root, path, says)


@pytest.mark.threat("T65")
def test_t65_twins_in_names(root: Path, shell: Shell) -> None:
    put(root, "controls/Buckets-Encrypted.yml", TEXT)
    refused(shell, root, "controls/Buckets-Encrypted.yml", "differ only in case")


@pytest.mark.threat("T65")
@given(st.characters(categories=("Cc", "Cf", "Co", "Mn"), exclude_characters="\n\t"))
def test_t65_no_unseen_character_stands_in_an_id(char: str) -> None:
    assert id_flaw(f"buckets{char}encrypted")
    assert id_flaw(f"{char}buckets")
    assert id_flaw(f"buckets{char}")


@pytest.mark.threat("T72")
@pytest.mark.parametrize(
    ("path", "old", "new", "says"),
    [
        (
            CONTROL,
            'owner: "j-moreau"\n',
            'owner: "j-moreau"\ntitle: "Again"\n',
            f"{CONTROL}:6: the key 'title' stands twice, first in line 2",
        ),
        (
            SCOPE,
            "period: {start:",
            'period: {start: "2020-01-01T00:00:00Z", start:',
            "the key 'start' stands twice, first in line 5",
        ),
    ],
    ids=["top level", "nested"],
)
def test_t72_duplicate_keys(
    root: Path, shell: Shell, path: str, old: str, new: str, says: str
) -> None:
    text = (root / path).read_text()
    assert old in text
    put(root, path, text.replace(old, new).encode())
    refused(shell, root, says)


LAUGHS = "x0: &x0 lol\n" + "".join(
    f"x{n}: &x{n} [{f'*x{n - 1},' * 9}]\n" for n in range(1, 40)
)


@pytest.mark.threat("T73")
@pytest.mark.parametrize("text", [LAUGHS, "a: &a [*a]\n"], ids=["laughs", "recursive"])
def test_t73_aliases_are_refused_before_anything_is_built(
    root: Path, shell: Shell, text: str
) -> None:
    put(root, ODD, text.encode())
    started = time.process_time()
    refused(shell, root, f"{ODD}:1: YAML here has no place for an anchor")
    assert time.process_time() - started < 20


MEMORY = 1 << 30
LARGE = 100 * 1024 * 1024


@pytest.mark.threat("T74")
@pytest.mark.threat("T71")
@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        (
            ODD,
            b"[" * 500_000,
            f"{ODD}:1: YAML here has no place for more than 32 levels",
        ),
        (
            ODD,
            b"#" * LARGE,
            f"{ODD}:1: the file has 104857600 bytes; the limit is 1048",
        ),
        (NOTE, b"x" * LARGE, f"{NOTE}:1: the file has 104857600 bytes; the limit is"),
        (
            "site/pages/big.md",
            b"[" * LARGE,
            "site/pages/big.md:1: the page has 104,857",
        ),
        (
            "site/assets/extra.css",
            b"a{}" * 2_000_000,
            "extra.css:1: the file has 6,000",
        ),
    ],
    ids=["deep", "large control", "large note", "large page", "huge css"],
)
def test_t74_size_and_depth_within_limits_of_time_and_memory(
    root: Path, path: str, body: bytes, says: str
) -> None:
    put(root, path, body)
    done = subprocess.run(
        [sys.executable, "-m", "controlbook", "check", "-C", root],
        preexec_fn=lambda: (
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
            resource.setrlimit(resource.RLIMIT_CPU, (60, 60)),
        ),
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    shown = done.stdout + done.stderr
    assert done.returncode == 2, shown[-2000:]
    assert says in shown, shown[-2000:]
    assert "Traceback" not in shown


@pytest.mark.threat("T75")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"3.10":', "3.10:", '(3.10 would become 3.1); quote it: "3.10"'),
        (f'"{attacked.released.PROD}"', attacked.released.PROD, "quote it"),
        ('"2028-02-12T00:00:00Z"', "2028-02-12", "quote it"),
        (f'title: "{"Five days"}', "title: NO #", "quote it"),
        (f'"{attacked.released.PROD}"', "011122223333", "quote it"),
        ('entity: "Example Payments"', "entity: ~", "quote it"),
    ],
    ids=["3.10", "account", "date", "NO", "octal", "null"],
)
def test_t75_what_another_reader_would_convert(
    root: Path, shell: Shell, old: str, new: str, says: str
) -> None:
    path = attacked.FRAMEWORK if old == '"3.10":' else SCOPE
    text = (root / path).read_text()
    assert old in text
    put(root, path, text.replace(old, new, 1).encode())
    refused(shell, root, f"{path}:", says)


@pytest.mark.threat("T76")
@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("120000", "symbolic link"),
        ("160000", "submodule"),
        ("100755", "executable"),
    ],
)
def test_t76_odd_modes(root: Path, shell: Shell, mode: str, says: str) -> None:
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    put(root, ODD, TEXT)
    if mode == "120000":
        (root / ODD).unlink()
        (root / ODD).symlink_to("/etc/hostname")
    elif mode == "100755":
        (root / ODD).chmod(0o755)
    else:
        (root / ODD).unlink()
        row = f"160000,{head},{ODD}"
        command = ["git", "update-index", "--add", "--cacheinfo", row]
        subprocess.run(command, cwd=root, check=True)
        (root / ODD).mkdir()
    code, text = shell("check", "-C", str(root))
    assert code == 2, text
    assert ODD in text
    assert says in text


@pytest.mark.threat("T77")
@pytest.mark.parametrize(
    ("id_", "says"),
    [
        ("../../etc/passwd", "is no id"),
        ("/etc/passwd", "is no id"),
        ("a\\b", "is no id"),
        ("a\\u0000b", "U+0000"),
        ("CON", "is the name of a device on Windows"),
        ("com1.yml", "is the name of a device on Windows"),
        ("a" * 300, "is no id"),
        ("buckets-encrypted.", "ends with a dot"),
        ("buckets-encrypted\\n", "is no id"),
    ],
    ids=[
        "up",
        "absolute",
        "backslash",
        "nul",
        "device",
        "port",
        "long",
        "dot",
        "newline",
    ],
)
def test_t77_ids_that_lead_astray(
    root: Path, shell: Shell, id_: str, says: str
) -> None:
    written = id_ if "\\u" in id_ or "\\n" in id_ else id_.replace("\\", "\\\\")
    text = (root / PEOPLE).read_text().replace("  c-novak:", f'  "{written}":')
    put(root, PEOPLE, text.encode())
    refused(shell, root, f"{PEOPLE}:", says)


@pytest.mark.threat("T77")
@pytest.mark.parametrize("name", ["con.yml", "a b.yml", ".x.yml", f"{'a' * 80}.yml"])
def test_t77_files_whose_names_are_no_ids(root: Path, shell: Shell, name: str) -> None:
    put(root, f"controls/{name}", TEXT)
    refused(shell, root, f"controls/{name}:1: ")


@pytest.mark.threat("T77")
@given(st.text(max_size=80))
def test_t77_an_id_stays_below_its_folder(text: str) -> None:
    if id_flaw(text):
        return
    folder = Path("/programme/controls")
    place = Path(f"{folder}/{text}.yml")
    assert place.parent == folder
    assert ".." not in place.parts
    assert place.name == f"{text}.yml"
    assert text.isascii()
    assert len(text) <= 64


@pytest.mark.threat("T71")
def test_t71_an_explanation_longer_than_the_pages_show(
    root: Path, shell: Shell
) -> None:
    head = b'---\ncovers: ["buckets-encrypted"]\nauthor: "j-moreau"\n---\n'
    put(root, NOTE, head + b"| a " * 6_000 + b"|\n")
    refused(shell, root, f"{NOTE}:5: the text has 24,002 characters; the limit is 20,0")


@pytest.mark.threat("T71")
def test_t71_a_page_that_nobody_can_read(root: Path, shell: Shell) -> None:
    put(root, "site/pages/about.md", b"# About\n\n\xff\n")
    refused(shell, root, "site/pages/about.md:3: the file is not UTF-8")
