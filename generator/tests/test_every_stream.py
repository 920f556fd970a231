# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost in any stream: killed at each write, raced, any call failing.

Every stream collects with its own source, over real HTTP, two times: a run like any,
and one in which something happens. What follows must be what would have been without.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import collecting
import github_world
import pytest
from botocore.exceptions import ConnectTimeoutError
from looks import calls, hub, naming

from controlbook.collect import Collected, Collector
from controlbook.crosscheck import OurRecord
from controlbook.errors import ControlbookError, Exit
from controlbook.ledger import chain_problems, read_ledger
from controlbook.model import EventQuery, Library, Settings
from controlbook.sandbox.tiny import tiny
from controlbook.sources.audit_manager import AuditManager
from controlbook.sources.aws import Connections
from controlbook.sources.cloudtrail import CloudTrailSource
from controlbook.sources.config import ConfigSource
from controlbook.sources.looking import Looking
from controlbook.sources.reviews import Reviews
from controlbook.sources.security_hub import SecurityHub
from controlbook.sources.snapshots import Snapshots
from controlbook.timeline import HOUR, Instant, instant
from controlbook.vault.directory import DirectoryVault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from controlbook.model import Run, StoredObject
    from controlbook.sources import Source

QUERY = EventQuery(source="iam.amazonaws.com", event="CreateUser", expect="any")
SNAPSHOTS = calls("iam:GetAccountAuthorizationDetails", "iam:GetAccountPasswordPolicy")
FIRST, SECOND, THIRD = (f"2028-01-0{day}T06:00:00Z" for day in (2, 3, 4))


class KilledError(Exception):
    """The runner died."""


@dataclass
class Desk:
    """One collector: its Git, a vault that others may share, and its end."""

    vault: DirectoryVault
    git: dict[str, bytes] = field(default_factory=dict)
    die_at: int = 0
    after: bool = False
    steps: int = 0
    kind = "directory"

    def step(self, act: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the act gives
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
        stored: StoredObject = self.step(
            lambda: self.vault.put(key, body, role=role, retain_until=retain_until)
        )
        return stored

    def get(self, key: str, version_id: str = "") -> bytes:
        return self.vault.get(key, version_id)

    def keys(self, prefix: str) -> tuple[str, ...]:
        return self.vault.keys(prefix)

    def commit(self, files: Mapping[str, bytes], message: str) -> None:
        del message
        self.step(lambda: self.git.update(files))


@dataclass
class Stream:
    """One stream, ready to collect; `aws` and `fail` count and break its calls."""

    name: str
    library: Library
    source: Callable[[Desk], Source]
    set_clock: Callable[[Instant], None]
    between: Callable[[], None] = lambda: None
    fail: int = 0
    calls: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)

    def collect(self, desk: Desk, at: str) -> Collected:
        now = instant(at)
        self.set_clock(now)
        collector = Collector(
            library=self.library,
            vault=desk,
            clock=lambda: now,
            commit=desk.commit,
            about=collecting.ABOUT,
        )
        return collector.collect(self.source(desk), dict(desk.git))

    def count(self) -> bool:
        """Count a call; tell whether it is the one that does not get through."""
        with self.counting:
            self.calls += 1
            return self.calls == self.fail


class Counted(Connections):
    """Connections whose calls a stream counts, and may break."""

    def __init__(self, role: str, stream: Stream) -> None:
        super().__init__(role)
        self.stream = stream
        self.here = threading.local()

    def client(self, service: str, account: str = "", region: str = "") -> Any:  # noqa: ANN401
        new = (service, region) not in self._clients
        client = super().client(service, account, region)
        if new:
            client.meta.events.register("before-call", self._ask)
        return client

    def repeat(self, *asked: Any) -> dict[str, Any] | None:  # noqa: ANN401
        answer = super().repeat(*asked)
        if answer is None or not self.stream.count():
            return answer
        self.here.fails = True
        return None  # boto3's to make, and it does not get through either

    def _ask(self, **_: object) -> None:
        refused, self.here.fails = getattr(self.here, "fails", False), False
        if refused or self.stream.count():
            raise ConnectTimeoutError(endpoint_url="http://127.0.0.1")


def of_aws(name: str, library: Library, aws: Connections) -> Callable[[Desk], Source]:
    """Give a maker of a stream's source."""

    def made(desk: Desk) -> Source:
        if name == "config":
            return ConfigSource(library.settings, aws)
        if name == "cloudtrail":
            return CloudTrailSource(library, aws, pause=lambda _: None)
        if name == "audit-manager":
            ours = OurRecord.of(read_ledger(desk.git), ())
            return AuditManager(library, lambda: ours, aws, pause=lambda _: None)
        look = SecurityHub() if name == "security-hub" else Snapshots()
        return Looking(look, library, aws)

    return made


@contextmanager
def aws_stream(name: str, folder: Path) -> Iterator[Stream]:
    world = tiny()
    with collecting.desk(world, folder, trail_bucket=world.trail_bucket) as at:
        library = at.library
        if name == "snapshot":
            library = naming(library, *SNAPSHOTS)
        elif name == "security-hub":
            library = naming(library, *hub("S3.4"))
        elif name == "cloudtrail":
            library = naming(library, QUERY)
        elif name == "audit-manager":
            streams = ("config", name)
            library = replace(
                library, settings=replace(library.settings, streams=streams)
            )
        stream = Stream(
            name, library, lambda _: ConfigSource(library.settings), lambda _: None
        )
        aws = Counted(library.settings.collector_role, stream)
        stream.source = of_aws(name, library, aws)
        stream.set_clock = at.sandbox.set_clock
        yield stream


class Opener(urllib.request.BaseHandler):
    """Counts what is asked of GitHub, and breaks one call."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        if request.get_method() == "GET" and self.stream.count():
            raise urllib.error.URLError(TimeoutError())
        return request


@contextmanager
def reviews_stream(folder: Path) -> Iterator[Stream]:
    with github_world.world(folder) as github:
        began, library = (
            github_world.BEGAN,
            Library(settings=Settings(ledger=collecting.LEDGER)),
        )
        numbers = iter("abcdefghij")

        def set_clock(now: Instant) -> None:
            github.clock.set(now)

        def merge() -> None:
            name = next(numbers)
            github.merged(name, {f"controls/{name}.yml": b"1"}, "moreau")

        def source(_: Desk) -> Source:
            return Reviews(github.forge("novak"), began)

        github.clock.set(Instant(instant(FIRST) - HOUR))
        stream = Stream("reviews", library, source, set_clock, merge)
        opener = urllib.request.build_opener(Opener(stream))
        urllib.request.install_opener(opener)
        try:
            merge()
            yield stream
        finally:
            urllib.request.install_opener(None)  # type: ignore[arg-type] # the default


STREAMS = (
    "config",
    "cloudtrail",
    "snapshot",
    "security-hub",
    "audit-manager",
    "reviews",
)


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stream]:
    with ExitStack() as stack:
        name, folder = request.param, tmp_path / "world"
        opened = (
            reviews_stream(folder) if name == "reviews" else aws_stream(name, folder)
        )
        yield stack.enter_context(opened)


def runs(desk: Desk, stream: Stream) -> tuple[Run, ...]:
    return read_ledger(desk.git).runs.get(stream.name, ())


def begun(stream: Stream, desk: Desk) -> Desk:
    """Let the first run be, in which nothing happens."""
    if stream.name == "audit-manager":
        own = of_aws("config", stream.library, Connections("controlbook-read"))
        config = replace(stream, name="config", source=own)
        config.collect(desk, FIRST)
    stream.collect(desk, FIRST)
    return desk


def stored(desk: Desk) -> dict[str, bytes]:
    keys = (*desk.vault.keys("packs"), *desk.vault.keys("ledger"))
    return {key: desk.vault.get(key) for key in keys}


@pytest.mark.threat("T33")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_t33_death_at_any_write_leaves_the_same_bytes(
    stream: Stream,
    tmp_path: Path,
    after: bool,  # noqa: FBT001
) -> None:
    first = begun(stream, Desk(DirectoryVault(tmp_path / "0")))
    stream.between()
    at_first = dict(first.git), stored(first)
    first.steps = 0
    assert stream.collect(first, SECOND).runs
    whole, packs, steps = dict(first.git), stored(first), first.steps
    assert steps >= 3, "a pack, the manifest, the commit"
    for die_at in range(1, steps + 1):
        desk = Desk(DirectoryVault(tmp_path / str(die_at)), dict(at_first[0]))
        for key, body in at_first[1].items():
            desk.vault.put(key, body, role="", retain_until=Instant(0))
        desk.after, desk.die_at = after, die_at
        with pytest.raises(KilledError):
            stream.collect(desk, SECOND)
        assert stored(desk).items() <= packs.items(), die_at
        desk.die_at = 0
        stream.collect(desk, SECOND)
        assert (desk.git, stored(desk)) == (whole, packs), die_at
        assert chain_problems(desk.git) == ()


@pytest.mark.threat("T34")
def test_t34_two_collectors_at_once_make_one_chain(
    stream: Stream, tmp_path: Path
) -> None:
    one = begun(stream, Desk(DirectoryVault(tmp_path / "shared")))
    stream.between()
    desks = [one, Desk(one.vault, dict(one.git))]
    begin, failures = threading.Barrier(2), list[BaseException]()

    def work(desk: Desk) -> None:
        try:
            begin.wait()
            stream.collect(desk, SECOND)
        except BaseException as error:  # noqa: BLE001 - whatever it is
            failures.append(error)

    threads = [threading.Thread(target=work, args=(desk,)) for desk in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert desks[0].git == desks[1].git
    assert chain_problems(one.git) == ()
    found = [run.seq for run in runs(one, stream)]
    assert found == list(range(1, len(found) + 1))
    ledger = f"ledger/{stream.name}/"
    assert len(one.vault.keys(ledger)) == len(found) >= 2
    for key in one.vault.keys(ledger):
        assert one.git[key.replace("ledger/", "evidence/", 1)] == one.vault.get(key)


def told(run: Run) -> tuple[object, ...]:
    """Give all that a run says of the world: not when it looked, nor how often."""
    observations = tuple(
        (row.evidence, row.account, row.region, row.state, row.records_root)
        for row in run.observations
    )
    counts = tuple(
        (row.account, row.region, row.event, row.count) for row in run.event_counts
    )
    pulls = tuple(pull.number for pull in run.pulls)
    return (observations, counts, pulls, run.counts, run.collected, run.missing)


def code_of(stream: Stream, desk: Desk) -> Exit:
    """Collect; give the code, whether it wrote a run or an error ended it."""
    try:
        return stream.collect(desk, SECOND).code
    except ControlbookError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.threat("T30")
def test_t30_whichever_call_fails_nothing_partial_counts(
    stream: Stream, tmp_path: Path
) -> None:
    first = begun(stream, Desk(DirectoryVault(tmp_path / "0")))
    stream.between()
    at_first = dict(first.git), stored(first)
    stream.calls = 0
    stream.collect(first, SECOND)
    number, due = stream.calls, told(runs(first, stream)[-1])
    assert number >= 4, "too few calls were counted"
    stream.collect(first, THIRD)
    later = [told(run) for run in runs(first, stream) if run.kind != "correction"][-1]
    for fail in range(1, number + 1):
        desk = Desk(DirectoryVault(tmp_path / str(fail)), dict(at_first[0]))
        for key, body in at_first[1].items():
            desk.vault.put(key, body, role="", retain_until=Instant(0))
        stream.calls, stream.fail = 0, fail
        code = code_of(stream, desk)
        if desk.git == at_first[0]:
            assert code is Exit.UNAVAILABLE, fail
        elif code is Exit.UNAVAILABLE:
            last = runs(desk, stream)[-1]
            gone = any(row.state != "observed" for row in last.observations)
            assert not last.complete, fail
            # Who else is in the organization is asked in vain: a note says so.
            assert last.missing or gone or last.notes, fail
        else:
            # It was asked again, or not needed: then nothing is missing.
            assert told(runs(desk, stream)[-1]) == due, fail
        stream.fail = 0
        stream.collect(desk, THIRD)
        found = [run for run in runs(desk, stream) if run.kind != "correction"]
        assert found[-1].complete, fail
        assert told(found[-1])[:5] == later[:5] or stream.name == "reviews", fail
        if stream.name == "reviews":
            pulls = [n for run in found for n in told(run)[2]]  # type: ignore[attr-defined]
            assert sorted(pulls) == [1, 2], fail
        assert chain_problems(desk.git) == ()
