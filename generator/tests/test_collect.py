# SPDX-License-Identifier: Apache-2.0
"""The write protocol: one legal recovery from every point, and no number twice."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from collecting import ABOUT, LEDGER, assessment_of
from hypothesis import given
from hypothesis import strategies as st

from controlbook.collect import Collected, Collector, retain_until, scope_of
from controlbook.digest import merkle_root
from controlbook.errors import ControlbookError, Exit
from controlbook.ledger import (
    chain_problems,
    parse_state_lines,
    read_ledger,
    records_root_lines,
    rule_key,
    state_lines,
)
from controlbook.model import (
    Library,
    Missing,
    RuleInstance,
    Settings,
    Standing,
    State,
    StoredObject,
    Transition,
)
from controlbook.sources import Past, Reading, Scope
from controlbook.sources.config import ConfigSource
from controlbook.sources.head import counted
from controlbook.timeline import DAY, HOUR, Instant, Interval, instant, iso
from controlbook.vault import TakenError, VaultIntegrityError
from controlbook.vault.directory import DirectoryVault
from controlbook.vault.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

ACCOUNT, REGION = "111122223333", "eu-west-1"
KEY = rule_key("SSE", (), ACCOUNT, REGION)
ASSESSMENT = assessment_of((ACCOUNT,), REGION)
LIBRARY = Library(
    settings=Settings(ledger=LEDGER, aggregator="org", region=REGION),
    assessments={ASSESSMENT.id: ASSESSMENT},
)
RULE = RuleInstance(
    key=KEY,
    rule="sse",
    deployed_as="sse",
    identifier="SSE",
    parameters=(),
    account=ACCOUNT,
    region=REGION,
    trigger="change",
    population=0,
    counts=(),
    records_root=merkle_root(records_root_lines(())),
)


@dataclass
class Daily:
    """A source of one resource that flips every day at noon."""

    stream: str = "config"
    missing: tuple[str, ...] = ()
    complete: bool = True
    meanwhile: Callable[[], None] | None = None

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        return ConfigSource.windows(self, past, now)  # type: ignore[arg-type]

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        states = parse_state_lines(tuple(past.states())) if past.last else ()
        rules = past.last.rules if past.last else ()
        for window, scope in windows:
            move = self._move(window, states)
            states = (
                Standing(instance=KEY, resource="a/b", state=move.after, since=move.at),
            )
            row = [KEY, "a/b", move.after.value, iso(move.at)]
            rules = counted({KEY: RULE}, rules, {KEY: [row]})
            if self.meanwhile:
                meanwhile, self.meanwhile = self.meanwhile, None
                meanwhile()
            yield Reading(
                kind="regular",
                window=window,
                aws_date=now,
                principal="p",
                endpoint="aws",
                expected=scope.places,
                collected=() if "account-missing" in self.missing else scope.places,
                missing=tuple(
                    Missing(
                        account=ACCOUNT, region=REGION, reason=reason, interval=window
                    )
                    for reason in self.missing
                ),
                complete=self.complete,
                rules=rules,
                transitions=(move,),
                packs=(
                    ("records", pack([iso(window.start).encode()])),
                    ("state", pack(state_lines(states, rules))),
                ),
            )

    def _move(self, window: Interval, states: tuple[Standing, ...]) -> Transition:
        before = states[0].state if states else State.ABSENT
        good = before is not State.COMPLIANT
        return Transition(
            at=Instant(window.start + 12 * HOUR),
            instance=KEY,
            rule="sse",
            account=ACCOUNT,
            region=REGION,
            resource="a/b",
            before=before,
            after=State.COMPLIANT if good else State.NON_COMPLIANT,
            precision="change",
        )


class KilledError(Exception):
    """The runner died."""


@dataclass
class Bench:
    """A repository, a vault that may die at a step, and days to collect on."""

    vault: DirectoryVault
    git: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    about: tuple[tuple[str, str], ...] = ABOUT
    die_at: int = 0
    after: bool = False
    steps: int = 0

    kind = "directory"

    def step(self, act: Callable[[], object]) -> object:
        self.steps += 1
        if self.steps == self.die_at and not self.after:
            raise KilledError
        done = act()
        if self.steps == self.die_at:
            raise KilledError
        return done

    def put(
        self, key: str, body: bytes, *, role: str, retain_until: Instant
    ) -> StoredObject:
        stored = self.step(
            lambda: self.vault.put(key, body, role=role, retain_until=retain_until)
        )
        assert isinstance(stored, StoredObject)
        return stored

    def get(self, key: str, version_id: str = "") -> bytes:
        return self.vault.get(key, version_id)

    def keys(self, prefix: str) -> tuple[str, ...]:
        return self.vault.keys(prefix)

    def commit(self, files: Mapping[str, bytes], message: str) -> None:
        self.step(lambda: self.git.update(files))
        self.messages.append(message)

    def collect(self, day: str, source: Daily | None = None) -> Collected:
        now = instant(f"{day}T06:00:00Z")
        collector = Collector(
            library=LIBRARY,
            vault=self,
            clock=lambda: now,
            commit=self.commit,
            about=self.about,
        )
        return collector.collect(source or Daily(), dict(self.git))

    def check(self, days: int) -> None:
        """Git and vault hold the same sound chain, one run a day."""
        assert chain_problems(self.git) == ()
        runs = read_ledger(self.git).config
        assert [run.seq for run in runs] == list(range(1, days + 1))
        starts = [run.window.start for run in runs]
        assert starts == [starts[0] + day * DAY for day in range(days)]
        for path, data in self.git.items():
            assert self.vault.get(path.replace("evidence/", "ledger/")) == data
        assert len(self.vault.keys("ledger/config")) == days


def test_every_day_is_one_run_and_one_commit(tmp_path: Path) -> None:
    bench = Bench(DirectoryVault(tmp_path))
    for day in ("2028-01-01", "2028-01-02", "2028-01-03"):
        result = bench.collect(day)
        assert (len(result.runs), result.code) == (1, Exit.FINE)
    bench.check(3)
    assert bench.messages[2] == "Collect config 000003: 2028-01-02, 1 change"
    assert bench.collect("2028-01-03").runs == ()
    last = read_ledger(bench.git).config[2]
    assert last.collector == ABOUT
    assert last.scopes[0][0] == "PCI-2028-Q1"
    assert [o.role for o in last.objects] == ["records", "state"]


@pytest.mark.threat("T33")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_death_at_any_step_leaves_one_legal_recovery(
    tmp_path: Path,
    after: bool,  # noqa: FBT001
) -> None:
    whole = Bench(DirectoryVault(tmp_path / "whole"))
    whole.collect("2028-01-01")
    whole.steps = 0
    whole.collect("2028-01-03")
    steps = whole.steps
    assert steps == 8
    whole.collect("2028-01-04")
    for die_at in range(1, steps + 1):
        bench = Bench(DirectoryVault(tmp_path / f"{die_at}-{after}"), after=after)
        bench.collect("2028-01-01")
        bench.steps, bench.die_at = 0, die_at
        with pytest.raises(KilledError):
            bench.collect("2028-01-03")
        bench.die_at = 0
        bench.collect("2028-01-03")
        bench.collect("2028-01-04")
        bench.check(4)
        # The same run, whenever it died: manifests do not remember the death.
        assert bench.git == whole.git, die_at


@pytest.mark.threat("T37")
def test_t37_another_set_of_packages_is_noted_on_the_next_run(tmp_path: Path) -> None:
    bench = Bench(DirectoryVault(tmp_path))
    notes = []
    for day, lock in enumerate(("a" * 64, "a" * 64, "b" * 64, "b" * 64), 1):
        bench.about = tuple(sorted({**dict(ABOUT), "lock_sha256": lock}.items()))
        bench.collect(f"2028-01-0{day}")
        last = read_ledger(bench.git).config[-1]
        assert dict(last.collector)["lock_sha256"] == lock
        notes.append(last.notes)
    changed = "packages changed since 000002: from aaaaaaaaaaaaaaaa to bbbbbbbbbbbbbbbb"
    assert notes == [(), (), (f"the collector's {changed}",), ()]


def test_a_manifest_that_only_the_vault_has_is_copied_first(tmp_path: Path) -> None:
    bench = Bench(DirectoryVault(tmp_path))
    bench.collect("2028-01-02")
    lost = bench.git.pop("evidence/config/000001.json")
    result = bench.collect("2028-01-02")
    assert result.recovered == ("evidence/config/000001.json",)
    assert result.runs == ()
    assert bench.git == {"evidence/config/000001.json": lost}
    assert bench.messages[-1] == "Recover config: 000001"


@pytest.mark.threat("T34")
def test_who_loses_the_race_starts_over(tmp_path: Path) -> None:
    bench = Bench(DirectoryVault(tmp_path))
    other = Bench(bench.vault)

    def rival() -> None:
        other.collect("2028-01-01")

    result = bench.collect("2028-01-02", Daily(meanwhile=rival))
    assert result.recovered == ("evidence/config/000001.json",)
    assert [iso(run.window.start) for run in result.runs] == ["2028-01-01T00:00:00Z"]
    bench.check(2)


@pytest.mark.threat("T34")
def test_many_collectors_make_one_chain(tmp_path: Path) -> None:
    vault = DirectoryVault(tmp_path)
    benches = [Bench(vault) for _ in range(6)]
    failures: list[Exception] = []

    def work(bench: Bench) -> None:
        try:
            for day in ("2028-01-01", "2028-01-02", "2028-01-03"):
                bench.collect(day)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(bench,)) for bench in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for bench in benches:
        bench.check(3)
    assert all(bench.git == benches[0].git for bench in benches)


@pytest.mark.threat("T19")
def test_git_and_vault_that_differ_are_refused(tmp_path: Path) -> None:
    bench = Bench(DirectoryVault(tmp_path))
    bench.collect("2028-01-01")
    path = "evidence/config/000001.json"
    bench.git[path] = bench.git[path].replace(b'"pages":0', b'"pages":1')
    with pytest.raises(VaultIntegrityError, match="different bytes"):
        bench.collect("2028-01-02")


def test_a_vault_that_lost_a_manifest_is_refused(tmp_path: Path) -> None:
    bench = Bench(DirectoryVault(tmp_path))
    bench.collect("2028-01-01")
    bench.vault = DirectoryVault(tmp_path / "another")
    with pytest.raises(VaultIntegrityError, match="Git holds this manifest"):
        bench.collect("2028-01-02")


def test_a_damaged_pack_is_no_race(tmp_path: Path) -> None:
    bench = Bench(DirectoryVault(tmp_path))
    bench.collect("2028-01-01")
    other = Bench(DirectoryVault(tmp_path / "other"))
    for key in bench.vault.keys("packs"):
        other.vault.put(key, b"damage", role="records", retain_until=Instant(0))
    with pytest.raises(VaultIntegrityError, match="other bytes") as caught:
        other.collect("2028-01-01")
    assert not isinstance(caught.value, TakenError)
    assert other.git == {}


@pytest.mark.parametrize(
    ("reasons", "complete", "code"),
    [
        ((), True, Exit.FINE),
        (("recorder-stopped",), True, Exit.FOUND),
        (("account-missing",), True, Exit.UNAVAILABLE),
        (("recorder-stopped", "source-outdated"), True, Exit.UNAVAILABLE),
        ((), False, Exit.UNAVAILABLE),
    ],
)
def test_the_exit_code_says_what_is_missing(
    tmp_path: Path,
    reasons: tuple[str, ...],
    complete: bool,  # noqa: FBT001
    code: Exit,
) -> None:
    bench = Bench(DirectoryVault(tmp_path))
    source = Daily(missing=reasons, complete=complete)
    assert bench.collect("2028-01-01", source).code is code
    bench.check(1)


def test_the_first_window_also_serves_a_period_that_begins_at_its_end() -> None:
    day = Interval(instant("2027-12-31T00:00:00Z"), instant("2028-01-01T00:00:00Z"))
    assert scope_of(LIBRARY, day, first=True).places == ((ACCOUNT, REGION),)
    assert scope_of(LIBRARY, day, first=False).places == ()
    after = Interval(instant("2028-04-01T00:00:00Z"), instant("2028-04-02T00:00:00Z"))
    assert scope_of(LIBRARY, after, first=True).places == ()


@pytest.mark.threat("T90")
def test_retention_that_ends_before_the_period_is_refused() -> None:
    window = Interval(instant("2028-01-01T00:00:00Z"), instant("2028-01-02T00:00:00Z"))
    kept = replace(ASSESSMENT, retention_until=instant("2035-04-01T00:00:00Z"))
    scope = Scope(assessments=(ASSESSMENT, kept))
    assert retain_until(LIBRARY, scope, window) == kept.retention_until
    short = replace(ASSESSMENT, retention_until=Instant(ASSESSMENT.period.end - 1))
    with pytest.raises(ControlbookError, match="retention ends 2028-03-31"):
        retain_until(LIBRARY, Scope(assessments=(kept, short)), window)
    assert (
        retain_until(LIBRARY, Scope(assessments=()), window)
        > window.end + 6 * 365 * DAY
    )


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(0, DAY - 1))
def test_windows_tile_however_late_the_job_runs(waits: list[int], clock: int) -> None:
    source = Daily()
    windows: list[Interval] = []
    runs: list[object] = []
    now = Instant(instant("2028-01-01T00:00:00Z") + clock)
    for wait in waits:
        now = Instant(now + wait * DAY)
        past = Past(runs=tuple(runs))
        for window in source.windows(past, now):
            windows.append(window)
            runs.append(Run(window=window))
        if windows:
            assert windows[-1].end == now - now % DAY
    for one, other in itertools.pairwise(windows):
        assert one.end == other.start
        assert other.length == DAY


@dataclass(frozen=True)
class Run:
    """All of a run that the tiling looks at."""

    window: Interval
    kind: str = "regular"
