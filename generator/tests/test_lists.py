# SPDX-License-Identifier: Apache-2.0
"""Lists too long for Git: in the vault, in a bundle, and under a forger's hands."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import released
from collecting import desk
from tampering import Files, edited, opened, resealed, retagged, unpacked, zipped
from tampering import rechained as chained

from controlbook import bundle_verify, manifest
from controlbook.digest import leaf_hash, merkle_root, sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.keeping import kept
from controlbook.later import at_hand
from controlbook.ledger import chain_problems, read_heads, read_ledger
from controlbook.lists import CACHE, of_bundle, of_vault
from controlbook.manifest import is_list
from controlbook.model import State
from controlbook.reach import Reach
from controlbook.render import pdf
from controlbook.render.report import Book
from controlbook.render.site import lay_down
from controlbook.render.ticks import ticks
from controlbook.sandbox.tiny import tiny
from controlbook.timeline import Instant, Interval, instant, iso
from controlbook.vault import NotInVaultError, VaultUnavailableError
from controlbook.vault.directory import DirectoryVault
from controlbook.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controlbook.model import StoredObject

NAME = released.NAME


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[released.Example, Path]:
    """A release of a programme whose lists all move, three rows to an object."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manifest, "MOST", 0)
        patched.setattr(manifest, "SHORT", 0)
        patched.setattr(manifest, "ROWS", 3)
        example = released.example(tmp_path_factory.mktemp("moved"))
    return example, example.release()


@pytest.fixture(scope="module")
def good(made: tuple[released.Example, Path]) -> Files:
    return opened(made[1])


def both(files: Files, folder: Path) -> tuple[int, str, int, str]:
    """Run both verifiers; give each one's code and all that it said."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{NAME}.zip"
    path.write_bytes(zipped(files, NAME))
    verdict = verify(path)
    code, own = bundle_verify.verify(str(unpacked(files, folder / "u" / NAME)))
    said = "\n".join(f"{check.name}: {check.message}" for check in verdict.checks)
    return verdict.code, said, code, "\n".join(f"{s}: {t}" for _, s, t in own.faults)


def holders(files: Files, name: str) -> list[str]:
    """Give where the objects of a list lie, over all run manifests."""
    return [
        f"packs/{row['content_sha256']}.leaves"
        for path in sorted(files)
        if path.startswith("ledger/") and "checkpoints" not in path
        for row in json.loads(files[path])["objects"]
        if row["role"] == f"list:{name}"
    ]


def test_every_list_moves_and_the_release_verifies(
    made: tuple[released.Example, Path], good: Files, tmp_path: Path
) -> None:
    first = json.loads(good["ledger/config/000001.json"])
    lists = set(manifest.LISTS) - {"objects"}
    assert not lists & {*first, *first["coverage"]}
    roles = {row["role"].partition(":")[0] for row in first["objects"]}
    assert roles == {"list", "index", "records", "state"}
    for name in ("transitions", "pulls", "objects", "rules", "queries", "expected"):
        assert holders(good, name), name
    assert not set(holders(good, "objects")) & good.keys()
    code, said, own_code, own = both(good, tmp_path)
    assert (code, own_code) == (0, 0), (said, own)
    example, _ = made
    ledger = example.programme.ledger
    assert [run.transitions for run in ledger.config] == [
        run.transitions for run in example.runs if run.stream == "config"
    ]
    assert ledger.pulls == tuple(example.pulls[-len(ledger.pulls) :])


def test_facts_do_not_depend_on_where_the_lists_are(
    good: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain = released.example(tmp_path_factory.mktemp("plain"))
    facts = json.loads(opened(plain.release())["facts.json"])
    moved = json.loads(good["facts.json"])
    for key in ("findings", "deviations", "gaps", "scope", "controls"):
        assert moved[key] == facts[key], key


def test_what_a_collector_moves_its_next_run_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(tiny(), tmp_path / "plain") as at:
        at.days("2028-01-01T06:00:00Z", 3)
        plain = at.runs
    monkeypatch.setattr(manifest, "MOST", 0)
    monkeypatch.setattr(manifest, "SHORT", 0)
    with desk(tiny(), tmp_path / "moved") as at:
        at.days("2028-01-01T06:00:00Z", 3)
        for one, other in zip(at.runs, plain, strict=True):
            assert (one.transitions, one.rules) == (other.transitions, other.rules)
            assert sorted(one.queries) == sorted(other.queries)
            named = [each for each in one.objects if not manifest.is_list(each)]
            assert sorted(named) == sorted(other.objects)
        lost = next(o for o in at.runs[0].objects if o.role == "list:rules")
        (at.vault.root / lost.key).unlink()
        with pytest.raises(ControlbookError) as caught:
            at.collect("2028-01-04T06:00:00Z")
        assert caught.value.code is Exit.INTEGRITY
        assert lost.key in str(caught.value)
        assert len(at.git) == 3


# --- a forger with a bundle -----------------------------------------------------------


def _swapped(files: Files) -> Files:
    one, two = holders(files, "transitions")[0], holders(files, "rules")[0]
    return {**files, one: files[two], two: files[one]}


def _absent(files: Files) -> Files:
    path = holders(files, "transitions")[0]
    return {name: data for name, data in files.items() if name != path}


def _changed(
    change: Callable[[bytes], bytes], name: str = "transitions"
) -> Callable[[Files], Files]:
    def forge(files: Files) -> Files:
        path = holders(files, name)[0]
        return {**files, path: change(files[path])}

    return forge


def _again(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    def packed(body: bytes) -> bytes:
        return b"".join(change(body.splitlines(keepends=True)))

    return packed


def _hidden(line: bytes) -> bytes:
    return b"#" + leaf_hash(line.rstrip(b"\n")).hex().encode() + b"\n"


def _withheld(name: str) -> Callable[[Files], Files]:
    """Show a line of an account in scope as a leaf hash: every root still agrees."""

    def forge(files: Files) -> Files:
        path = next(p for p in holders(files, name) if not files[p].startswith(b"#"))
        return {**files, path: _again(lambda x: [_hidden(x[0]), *x[1:]])(files[path])}

    return forge


def _strayed(files: Files) -> Files:
    return {**files, f"packs/{sha256(b'stray')}.leaves": b"{}\n"}


def _emptied(files: Files) -> Files:
    """Take a list away and the row that names it, as if nothing had happened."""
    path = next(
        path
        for path in sorted(files)
        if path.startswith("ledger/config/") and b"list:transitions" in files[path]
    )

    def forget(tree: dict[str, list[dict[str, str]]]) -> None:
        tree["objects"] = [
            row for row in tree["objects"] if row["role"] != "list:transitions"
        ]

    return retagged(chained(edited(files, path, forget)))


def _beside(files: Files) -> Files:
    """Leave the list where it is, and put another one into the manifest too."""

    def add(tree: dict[str, object]) -> None:
        tree["rules"] = [{"key": "0" * 16}]

    return retagged(chained(edited(files, "ledger/config/000001.json", add)))


@pytest.mark.parametrize(
    ("forge", "main", "own"),
    [
        pytest.param(
            _swapped,
            "is not its list:",
            "is not the list of",
            id="swapped",
            marks=pytest.mark.threat("T04"),
        ),
        pytest.param(
            _absent,
            "its list:transitions is not carried",
            "is absent, and was the list of transitions",
            id="absent",
            marks=pytest.mark.threat("T01"),
        ),
        pytest.param(
            _changed(lambda body: body[:-9]),
            "is not its list:transitions",
            "is not the list of transitions",
            id="truncated",
            marks=pytest.mark.threat("T03"),
        ),
        pytest.param(
            _changed(_again(lambda lines: lines[:-1])),
            "is not its list:transitions",
            "is not the list of transitions",
            id="a row less",
            marks=pytest.mark.threat("T03"),
        ),
        pytest.param(
            _changed(_again(lambda lines: lines[::-1]), "rules"),
            "is not its list:rules",
            "is not the list of rules",
            id="reordered",
            marks=pytest.mark.threat("T16"),
        ),
        pytest.param(
            _withheld("transitions"),
            "are withheld",
            "its list of transitions lacks what",
            id="an account's line withheld",
            marks=pytest.mark.threat("T13"),
        ),
        pytest.param(
            _withheld("queries"),
            "is not the whole list of queries",
            "its list of queries is not whole",
            id="a row withheld",
            marks=pytest.mark.threat("T13"),
        ),
        pytest.param(
            _changed(
                _again(lambda x: [x[0].replace(b"NON_COMPLIANT", b"COMPLIANT"), *x[1:]])
            ),
            "is not its list:transitions",
            "is not the list of transitions",
            id="a verdict edited",
            marks=pytest.mark.threat("T01"),
        ),
        pytest.param(
            _strayed,
            "no run manifest names this pack",
            "no run manifest names this pack",
            id="one too many",
        ),
        pytest.param(
            _emptied,
            "changed without a transition",
            "the states of",
            id="emptied",
            marks=pytest.mark.threat("T13"),
        ),
        pytest.param(
            _beside,
            "rules: ",
            "rules stand there, and in a list of their own",
            id="beside",
            marks=pytest.mark.threat("T20"),
        ),
    ],
)
def test_forged_list(
    good: Files,
    tmp_path: Path,
    forge: Callable[[Files], Files],
    main: str,
    own: str,
) -> None:
    code, said, own_code, own_said = both(resealed(forge(good)), tmp_path)
    assert (code, own_code) == (Exit.INTEGRITY, Exit.INTEGRITY), (said, own_said)
    assert main in said
    assert own in own_said


LINES = (b'{"a":"1"}', b'{"a":"2"}')
BODY = b"".join(line + b"\n" for line in LINES)
SHOWN = b"#" + leaf_hash(LINES[0]).hex().encode() + b"\n" + LINES[1] + b"\n"


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        pytest.param(BODY, LINES, id="as collected"),
        pytest.param(SHOWN, LINES[1:], id="one line withheld"),
        pytest.param(BODY + LINES[0] + b"\n", (), id="a line twice"),
        pytest.param(BODY[:-1], (), id="no last newline"),
        pytest.param(SHOWN.replace(b"#", b"#0", 1), (), id="no leaf hash"),
        pytest.param(LINES[1] + b"\n" + LINES[0] + b"\n", (), id="out of order"),
        pytest.param(b"", (), id="empty"),
    ],
)
def test_verify_py_refuses_a_list_that_is_not_its_manifest_s(
    body: bytes, lines: tuple[bytes, ...]
) -> None:
    row = {"role": "list:rules", "content_sha256": sha256(BODY), "records": 2}
    row["records_root"] = merkle_root(LINES)
    bundle = bundle_verify.Bundle(".")
    bundle.files[f"packs/{sha256(BODY)}.leaves"] = body
    assert bundle_verify.lines_of(bundle, "ledger/x", row) == list(lines)
    assert bool(bundle.faults) == (not lines)
    for name in ("records", "records_root"):
        assert not bundle_verify.lines_of(bundle, "ledger/x", {**row, name: 0}), name


@pytest.mark.threat("T20")
def test_t20_every_flipped_byte_of_a_list_is_noticed(good: Files) -> None:
    ledger = {
        path.replace("ledger/", "evidence/", 1): data
        for path, data in good.items()
        if path.startswith("ledger/")
    }
    path = holders(good, "transitions")[0]
    span = Interval(instant("2028-02-12T00:00:00Z"), instant("2028-02-17T00:00:00Z"))
    reach = Reach(span=span, accounts=frozenset({released.PROD, released.STAGING}))
    assert chain_problems(ledger, of_bundle(good), reach) == ()
    for index in range(len(good[path])):
        bad = bytearray(good[path])
        bad[index] ^= 1
        assert chain_problems(ledger, of_bundle({**good, path: bytes(bad)}), reach), (
            index
        )


@pytest.mark.threat("T13")
def test_t13_an_index_that_hides_an_account_is_not_whole(
    good: Files, tmp_path: Path
) -> None:
    path = next(
        f"packs/{row['content_sha256']}.leaves"
        for name in sorted(good)
        if name.startswith("ledger/config/")
        for row in json.loads(good[name])["objects"]
        if row["role"] == "index"
    )
    shown = good[path].splitlines(keepends=True)
    hidden = b"".join(_hidden(x) if released.PROD.encode() in x else x for x in shown)
    assert hidden != good[path]
    code, said, own_code, own = both(resealed({**good, path: hidden}), tmp_path)
    assert (code, own_code) == (Exit.INTEGRITY, Exit.INTEGRITY), (said, own)
    assert "the index of the lists is not whole" in said
    assert "has no index of its lists, or not all of it" in own


def test_both_verifiers_want_every_list_that_a_bundle_carries(
    good: Files, tmp_path: Path
) -> None:
    rows = {
        row["role"]: f"packs/{row['content_sha256']}.leaves"
        for name in sorted(good)
        if name.startswith("ledger/") and "checkpoints" not in name
        for row in json.loads(good[name])["objects"]
        if row["role"].startswith(("list:", "index"))
    }
    assert rows.pop("list:objects") not in good
    assert {"index", "list:rules", "list:transitions", "list:pulls"} <= rows.keys()
    for role, path in rows.items():
        files = {name: data for name, data in good.items() if name != path}
        code, said, own_code, own = both(resealed(files), tmp_path / role[5:])
        assert (code, own_code) == (Exit.INTEGRITY, Exit.INTEGRITY), (role, said, own)
        assert f" is not carried: {path} is absent" in said
        assert f"{path}: is absent, and was the" in own


# --- what a reader does not read ------------------------------------------------------


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory) -> tuple[released.Example, Path]:
    """A release whose lists move, and whose every run starts the rules anew."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manifest, "MOST", 0)
        patched.setattr(manifest, "SHORT", 0)
        patched.setattr(manifest, "ROWS", 1)
        patched.setattr(manifest, "_month", lambda window: iso(window.end))
        example = released.example(tmp_path_factory.mktemp("daily"))
    return example, example.release()


def test_rules_that_every_run_writes_anew_are_the_same_rules(
    made: tuple[released.Example, Path],
    daily: tuple[released.Example, Path],
    tmp_path: Path,
) -> None:
    one, other = made[0].programme, daily[0].programme
    assert [run.anew for run in other.ledger.config] == [False, *[True] * 5]
    for run, same in zip(
        one.whole_ledger.config, other.whole_ledger.config, strict=True
    ):
        assert (run.rules, run.rules_root) == (same.rules, same.rules_root)
    assert one.findings(NAME) == other.findings(NAME)
    code, said, own_code, own = both(opened(daily[1]), tmp_path)
    assert (code, own_code) == (0, 0), (said, own)


def test_what_was_not_read_is_said_and_a_copy_of_the_vault_gives_it(
    made: tuple[released.Example, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    example, path = made
    alone = verify(path)
    said = "\n".join(alone.not_checked)
    assert "the rows of other accounts, and the sums and the root over" in said
    assert "which source packs 6 runs stored" in said
    folder = unpacked(opened(path), tmp_path / "u" / NAME)
    monkeypatch.setattr("sys.argv", ["verify.py", str(folder)])
    bundle_verify.main()
    own = capsys.readouterr().out
    assert "other accounts' rows, and sums over all, of" in own
    assert "which source packs were stored, of 6 run(s)" in own
    whole = verify(path, raw=example.vault.root)  # type: ignore[attr-defined] # a folder
    assert not [text for text in whole.not_checked if "accounts" in text]
    counts = {check.name: check.count for check in whole.checks}
    assert counts["lists"] == len(example.runs)
    assert (alone.code, whole.code) == (0, 0)


@pytest.mark.threat("T01")
def test_t01_another_account_s_row_is_missed_in_the_vault_s_copy(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, path = made
    raw = tmp_path / "raw"
    shutil.copytree(example.vault.root, raw)  # type: ignore[attr-defined] # a folder
    stored = next(o for o in example.runs[0].objects if o.role == "list:rules")
    body = (raw / stored.key).read_bytes()
    (raw / stored.key).chmod(0o644)
    (raw / stored.key).write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    assert verify(path).code == 0
    verdict = verify(path, raw=raw)
    checks = {check.name: check.message for check in verdict.checks}
    assert stored.key in checks["lists"]
    assert stored.key in checks["vault"]
    assert verdict.code == Exit.INTEGRITY
    assert "the vault's copy does not give them all" in "\n".join(verdict.not_checked)


def test_objects_that_hold_other_accounts_alone_are_not_asked_for(
    daily: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, path = daily
    raw = tmp_path / "raw"
    shutil.copytree(example.vault.root, raw)  # type: ignore[attr-defined] # a folder
    rules = [o for run in example.runs for o in run.objects if o.role == "list:rules"]
    carried = opened(path).keys()
    foreign = [
        stored
        for stored in rules
        if released.FOREIGN in gzip.decompress((raw / stored.key).read_bytes()).decode()
    ]
    assert len(foreign) * 3 == len(rules)
    for stored in rules:
        there = f"packs/{stored.content_sha256}.leaves" in carried
        assert there != (stored in foreign)
    for stored in foreign:
        (raw / stored.key).unlink(missing_ok=True)
    programme = example.programme
    programme.vault = DirectoryVault(raw)
    assert programme.findings(NAME) == example.programme.findings(NAME)
    with pytest.raises(ControlbookError, match="not in the vault"):
        assert programme.whole_ledger


def test_an_assessment_reads_its_accounts_and_its_period(
    made: tuple[released.Example, Path],
) -> None:
    programme = made[0].programme
    ledger = programme.ledger_of(NAME)
    assert ledger.accounts == {released.PROD, released.STAGING}
    parts = list(ledger.parts())
    assert [part.accounts for part in parts] == [{a} for a in sorted(ledger.accounts)]
    for part in parts:
        seen = {row.account for run in part.config for row in run.rules}
        assert seen == part.accounts
    everybody = {row.account for r in programme.whole_ledger.config for row in r.rules}
    assert everybody == {*ledger.accounts, released.FOREIGN}
    third = programme.ledger.config[2]
    early = Reach(span=Interval(third.window.start, third.window.end), accounts=None)
    runs = read_ledger(programme.files, programme.lists, early).config
    far = [run for run in runs if not at_hand(run.transitions)]
    assert far
    assert not {run.seq for run in far} & {2, 3}
    # What was not read is no empty list: it is read when somebody looks.
    for run in far:
        rows = programme.whole_ledger.config[run.seq - 1].transitions
        assert len(rows) == len(run.transitions) > 0
        assert run.transitions == rows
    with pytest.raises(ControlbookError, match="rules of run 000004 were not read"):
        len(runs[3].rules)


def test_pages_and_figures_rest_on_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "MOST", 0)
    monkeypatch.setattr(manifest, "SHORT", 0)
    monkeypatch.setattr(released, "DAYS", released.DAYS + 1)
    good, bad = State.COMPLIANT, State.NON_COMPLIANT
    after = (
        released.move(released.PROD, released.STALE, "2028-02-17T03:12:00Z", good, bad),
        released.move(released.PROD, released.STALE, "2028-02-17T03:17:00Z", bad, good),
    )
    monkeypatch.setattr(released, "MOVES", (*released.MOVES, *after))
    made = released.Example(tmp_path)
    made.collect()
    programme = made.programme
    config = programme.ledger_of(NAME).config
    assert not at_hand(config[-1].transitions)
    assert not at_hand(config[-1].rules)
    report = programme.report(NAME)
    lay_down(Book(reports=(report,)), tmp_path / "work", {})
    assert "stale-backup-archive" in pdf.page(report)
    marks = {tick.mark: tick for tick in ticks(report.ledger, report.findings.recorded)}
    assert all(tick.passed for tick in marks.values())
    assert (marks["R"].covered, marks["Σ"].covered) == (2 * 6, 2 * 6)
    assert marks["T"].covered == len(config)
    # Nobody looked at what came after the period.
    assert not at_hand(config[-1].transitions)
    said = "\n".join(programme.unread(NAME))
    assert "the lists of 1 run on which nothing here rests" in said


def test_a_collection_reads_the_rules_since_they_were_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "MOST", 0)
    monkeypatch.setattr(manifest, "SHORT", 0)
    with desk(tiny(), tmp_path) as at:
        at.days("2028-01-30T06:00:00Z", 4)
        runs = at.runs
        assert [run.anew for run in runs] == [False, False, True, False]
        assert iso(runs[2].window.end) == "2028-02-01T00:00:00Z"
        before = {o.key for run in runs[:2] for o in run.objects if is_list(o)}
        since = {o.key for run in runs[2:] for o in run.objects if is_list(o)}
        for key in before - since:
            (at.vault.root / key).unlink()
        at.collect("2028-02-03T06:00:00Z")
        assert len(at.git) == 5
        chain = read_heads(at.git, of_vault(lambda: at.vault), "config")["config"]
        assert chain.runs[-1].rules == runs[3].rules
        lost = next(o for o in runs[2].objects if o.role == "list:rules")
        (at.vault.root / lost.key).unlink()
        with pytest.raises(ControlbookError) as caught:
            at.collect("2028-02-04T06:00:00Z")
        assert (caught.value.code, caught.value.place) == (Exit.INTEGRITY, lost.key)


def test_small_programmes_start_nothing_anew(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path) as at:
        at.days("2028-01-30T06:00:00Z", 4)
        assert not [run for run in at.runs if run.anew]


# --- the vault ------------------------------------------------------------------------


def moved_transitions(example: released.Example) -> StoredObject:
    """Give the first list of transitions of the ledger."""
    return next(
        each
        for run in example.runs
        for each in run.objects
        if each.role == "list:transitions"
    )


@pytest.mark.threat("T05")
def test_t05_a_list_that_the_vault_lost_is_never_empty(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, path = made
    raw = tmp_path / "raw"
    shutil.copytree(example.vault.root, raw)  # type: ignore[attr-defined] # a folder
    vault = DirectoryVault(raw)
    stored = moved_transitions(example)
    (raw / stored.key).unlink()
    files = dict(example.programme.files)
    with pytest.raises(ControlbookError) as caught:
        read_ledger(files, of_vault(lambda: vault))
    assert (caught.value.code, caught.value.place) == (Exit.INTEGRITY, stored.key)
    verdict = verify(path, raw=raw)
    said = next(check for check in verdict.checks if check.name == "vault")
    assert f"list:transitions pack {stored.key} is not in the vault's" in said.message
    assert verdict.code == Exit.UNAVAILABLE


class Shut(DirectoryVault):
    """A vault that does not answer."""

    kind = "s3"

    def get(self, key: str, version_id: str = "") -> bytes:
        message = f"no answer ({version_id[:6]})"
        raise VaultUnavailableError(message, key)


def test_a_vault_that_does_not_answer_is_exit_5(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    files = dict(made[0].programme.files)
    for lists in (manifest.no_lists, of_vault(lambda: Shut(tmp_path))):
        with pytest.raises(ControlbookError) as caught:
            read_ledger(files, lists)
        assert caught.value.code is Exit.UNAVAILABLE
        assert caught.value.place.startswith("packs/")


class Remote(DirectoryVault):
    """A vault that is as far away as S3."""

    kind = "s3"
    asked = 0

    def get(self, key: str, version_id: str = "") -> bytes:
        self.asked += 1
        return super().get(key, version_id)


def test_a_remote_list_is_read_once_and_a_damaged_copy_anew(
    made: tuple[released.Example, Path], tmp_path: Path
) -> None:
    example, _ = made
    vault = Remote(example.vault.root)  # type: ignore[attr-defined] # a folder

    def lists(stored: StoredObject) -> list[bytes]:
        return list(of_vault(lambda: vault, tmp_path / CACHE)(stored))

    stored = moved_transitions(example)
    lines = lists(stored)
    assert (lists(stored), vault.asked) == (lines, 1)
    copy = tmp_path / CACHE / stored.sha256
    copy.write_bytes(b"damaged")
    assert (lists(stored), vault.asked) == (lines, 2)
    assert (lists(stored), vault.asked) == (lines, 2)
    with pytest.raises(NotInVaultError):
        lists(replace(stored, sha256="0" * 64, key="packs/config/none"))
    assert (tmp_path / CACHE / ".gitignore").read_text() == "*\n"


def test_lists_are_kept_like_every_other_object(
    made: tuple[released.Example, Path],
) -> None:
    programme = made[0].programme
    wanted = Instant(1)
    items = kept(
        programme.library, programme.ledger, {}, lambda _: wanted, programme.lists
    )
    roles = {item.role for item in items}
    assert {"list:transitions", "list:objects", "source", "state"} <= roles
