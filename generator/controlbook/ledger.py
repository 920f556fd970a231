# SPDX-License-Identifier: Apache-2.0
"""The ledger: each stream's chain of run manifests, and the states they fold to.

Rules enforced here:
- a stream's manifests are `evidence/<stream>/<seq>.json`, numbered from 000001 without
  a hole, each naming the SHA-256 of the bytes before it; one ledger id for all;
- windows never overlap and never go back, but for corrections; a hole between two
  windows is legal here: it is an evidence gap, and assess.py finds it;
- run ids are unique, windows too; a window has ended before its run starts;
- sums agree: a rule's counts are its population, all rules' counts are the run's, and
  the counts before, moved by the transitions, are the counts after;
- `rules_root` binds the inherited rows; a root of records moves only with a transition;
- of lists that moved (ADR 0026) only what is read is checked: where a reader reads a
  part of the accounts, sums over all of them are not.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .digest import (
    ZERO,
    NotCanonicalError,
    canonical,
    parse_canonical,
    sha256,
)
from .errors import ControlbookError, Exit
from .eventrows import event_problems
from .later import at_hand
from .manifest import (
    MalformedManifestError,
    latest_rules,
    manifest_bytes,
    no_lists,
    outline_in,
    read_manifest,
    without_rows,
)
from .model import Ledger, Standing, State
from .moving import Movement, rule_key
from .observations import observation_problems
from .reach import NOTHING, WHOLE
from .timeline import DAY, instant, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .manifest import Lists
    from .model import RuleInstance, Run, Transition
    from .reach import Depth, Outline, Reach
    from .timeline import Instant, Interval

__all__ = [
    "Chain",
    "LedgerError",
    "chain_problems",
    "examined",
    "fold_states",
    "manifest_bytes",
    "manifest_path",
    "parse_state_lines",
    "read_chains",
    "read_ledger",
    "rule_key",
    "state_lines",
]

NOT_STREAMS = ("manual", "checkpoints")
"""Folders of evidence/ that hold no run manifests."""

KINDS = ("regular", "backfill", "correction")
MAX_SKEW = DAY
"""AWS's Date may differ from the collector's clock by no more than this."""

_PATH = re.compile(r"evidence/([a-z][a-z0-9-]*)/(\d{6})\.json\Z", re.ASCII)


class LedgerError(ControlbookError):
    """The ledger does not hold together; names the manifest and what differs."""

    def __init__(self, message: str, place: str = "") -> None:
        """Say what differs, and in which manifest."""
        super().__init__(
            message,
            place=place,
            advice="restore the committed manifests from the vault",
            code=Exit.INTEGRITY,
        )


def manifest_path(stream: str, seq: int) -> str:
    """Give the path of a run manifest in the repository."""
    return f"evidence/{stream}/{seq:06d}.json"


# --- the chain -------------------------------------------------------------------


def read_ledger(
    files: Mapping[str, bytes], lists: Lists = no_lists, reach: Reach | None = None
) -> Ledger:
    """Read every run manifest among the files; LedgerError at the first fault.

    `lists` gives the lists that moved out of the manifests; what it raises for one that
    it cannot give goes through. Without `reach` all of them are read.
    """
    ledger, problems = _ledger(files, lists, reach)
    for place, message in problems:
        raise LedgerError(message, place)
    return ledger


def examined(
    files: Mapping[str, bytes],
    lists: Lists = no_lists,
    reach: Reach | None = None,
    *,
    keep: bool = True,
) -> tuple[Ledger, tuple[str, ...]]:
    """Read what can be read of every run manifest, with everything that is wrong.

    Where rules and transitions are not to `keep`, each run's are checked against those
    before it and let go of: nobody may look at them afterwards.
    """
    ledger, problems = _ledger(files, lists, reach, keep=keep)
    return ledger, tuple(f"{place}: {text}" for place, text in problems)


def chain_problems(
    files: Mapping[str, bytes], lists: Lists = no_lists, reach: Reach | None = None
) -> tuple[str, ...]:
    """List everything that is wrong with the chains, as `place: what differs`."""
    return examined(files, lists, reach)[1]


def read_chains(
    files: Mapping[str, bytes], lists: Lists = no_lists
) -> Mapping[str, Chain]:
    """Read every stream's chain, ready to be added to; LedgerError at a fault."""
    chains, problems = _walk(files, lists, None)
    for place, message in problems:
        raise LedgerError(message, place)
    return chains


def read_heads(
    files: Mapping[str, bytes], lists: Lists, stream: str
) -> Mapping[str, Chain]:
    """Read as much as a run of a stream needs before it; LedgerError at a fault.

    Of lists that moved these are the rules in force at the end of its chain, from the
    last run that wrote them anew; the others are read when somebody looks at them.
    """
    chains, problems = _walk(files, lists, NOTHING)
    if stream in chains and not problems:
        chains[stream].follow_rules(lambda seq: files[manifest_path(stream, seq)])
        problems = chains[stream].problems
    for place, message in problems:
        raise LedgerError(message, place)
    return chains


def outlines(files: Mapping[str, bytes], stream: str = "config") -> list[Outline]:
    """Give the outlines of a stream's manifests among files, by seq."""
    found = (outline_in(data) for _, data in _manifests(files).get(stream, {}).items())
    return sorted((o for o in found if o is not None), key=lambda o: o.seq)


def _ledger(
    files: Mapping[str, bytes], lists: Lists, reach: Reach | None, *, keep: bool = True
) -> tuple[Ledger, list[tuple[str, str]]]:
    chains, problems = _walk(files, lists, reach, keep=keep)
    runs = {stream: tuple(chain.runs) for stream, chain in chains.items()}
    if reach is None or not any(chain.partial for chain in chains.values()):
        return Ledger(runs=runs), problems
    until = reach.span.end if reach.span else None
    return Ledger(runs=runs, accounts=reach.accounts, until=until), problems


def _manifests(files: Mapping[str, bytes]) -> dict[str, dict[int, bytes]]:
    streams: dict[str, dict[int, bytes]] = {}
    for path in sorted(files):
        match = _PATH.match(path)
        if match and match[1] not in NOT_STREAMS:
            streams.setdefault(match[1], {})[int(match[2])] = files[path]
    return streams


def _walk(
    files: Mapping[str, bytes], lists: Lists, reach: Reach | None, *, keep: bool = True
) -> tuple[dict[str, Chain], list[tuple[str, str]]]:
    problems: list[tuple[str, str]] = []
    for path in sorted(files):
        folder = path.split("/")[:2]
        if folder[0] != "evidence" or folder[1] in NOT_STREAMS:
            continue
        if not _PATH.match(path):
            problems.append((path, "is no run manifest and does not belong here"))
    chains: dict[str, Chain] = {}
    ledgers: dict[str, str] = {}
    for stream, manifests in _manifests(files).items():
        chain = chains[stream] = Chain(stream, ledgers, lists, keep=keep)
        if reach:
            chain.depths = reach.depths(stream, outlines(files, stream))
        for seq in sorted(manifests):
            chain.add(seq, manifests[seq])
        problems.extend(chain.problems)
    return chains, problems


class Chain:
    """One stream's manifests, added in order of their names."""

    def __init__(
        self,
        stream: str,
        ledgers: dict[str, str] | None = None,
        lists: Lists = no_lists,
        *,
        keep: bool = True,
    ) -> None:
        """Begin an empty chain; `ledgers` is shared by the chains of one ledger.

        Without `keep` the rows of rules and transitions go when the next run came.
        """
        self._keep = keep
        self.stream = stream
        self._lists = lists
        self.depths: Mapping[int, Depth] = {}
        """What is read of each manifest, by seq; of one that is not named, all."""
        self.ledgers = {} if ledgers is None else ledgers
        self.runs: list[Run] = []
        self.problems: list[tuple[str, str]] = []
        self._seq = 0
        self._prev = ZERO
        self._ids: dict[str, int] = {}
        self._windows: dict[Interval, int] = {}
        self._end: Instant | None = None
        self._movement = Movement()

    def add(self, seq: int, data: bytes) -> None:
        """Take the next manifest in; what is wrong goes to `problems`."""
        place = manifest_path(self.stream, seq)
        for absent in range(self._seq + 1, seq):
            gone = manifest_path(self.stream, absent)
            self.problems.append((gone, f"is missing, though {place} follows it"))
        previous = self.runs[-1] if self.runs else None
        digest = sha256(data)
        depth = self.depths.get(seq, WHOLE)
        try:
            run = read_manifest(data, digest, previous, self._lists, depth)
        except MalformedManifestError as error:
            self.problems.append((place, str(error)))
        else:
            found = self._check(run, seq, depth)
            self.problems.extend((place, text) for text in found)
            self.runs.append(run)
            if not self._keep:
                self.runs[-2:-1] = map(without_rows, self.runs[-2:-1])
        self._seq, self._prev = seq, digest

    @property
    def partial(self) -> bool:
        """Tell whether something of it was not read."""
        return bool(self.depths)

    def follow_rules(self, manifest: Callable[[int], bytes]) -> None:
        """Read the rules in force at the end, as far back as they were written anew.

        `manifest` gives the bytes of each manifest by its seq.
        """
        if not self.runs or at_hand(self.runs[-1].rules):
            return
        place = manifest_path(self.stream, self.runs[-1].seq)
        newest = (manifest(run.seq) for run in reversed(self.runs))
        try:
            rules = latest_rules(newest, self._lists)
        except ValueError as error:
            self.problems.append((place, f"rules: {error}"))
            return
        self.runs[-1] = last = replace(self.runs[-1], rules=rules)
        found = self._movement.begin(last, WHOLE)
        self.problems.extend((place, text) for text in found)

    def rules_root(self, rules: Iterable[RuleInstance]) -> str:
        """Give the root over rules that are to follow, without reading all again."""
        return self._movement.rules_root(rules)

    def _check(self, run: Run, seq: int, depth: Depth) -> Iterator[str]:
        previous = self.runs[-1] if self.runs else None
        yield from self._identity(run, seq)
        if run.prev != self._prev:
            yield (
                f"prev names {run.prev[:16]}…, but the manifest before seq {seq}"
                f" is {self._prev[:16]}…"
            )
        yield from _window_problems(run, self._windows, self._end)
        self._end = max(run.window.end, self._end or run.window.end)
        yield from _clock_problems(run, previous)
        if depth.rules and depth.rows:
            inherits = previous is not None and at_hand(previous.rules)
            yield from self._movement.take(run, depth, inherits=inherits)
        own = _of_accounts(run, depth)
        if at_hand(own.expected, own.collected, own.missing):
            yield from _coverage_problems(own)
            if at_hand(own.observations):
                yield from observation_problems(own)
            if at_hand(own.asked, own.event_counts, own.events, own.chains):
                yield from event_problems(own)

    def _identity(self, run: Run, seq: int) -> Iterator[str]:
        if run.stream != self.stream:
            yield f"the manifest is of stream {run.stream!r}, its folder is not"
        if run.seq != seq:
            yield f"the manifest says seq {run.seq}, its name says {seq}"
        if run.kind not in KINDS:
            yield f"kind {run.kind!r} is not one of {', '.join(KINDS)}"
        first = self.ledgers.setdefault("ledger", run.ledger)
        if run.ledger != first:
            yield f"belongs to ledger {run.ledger!r}, the others to {first!r}"
        twin = self._ids.setdefault(run.run_id, seq)
        if twin != seq:
            yield f"run id {run.run_id} stands in seq {twin} already"


def _window_problems(
    run: Run, windows: dict[Interval, int], end: Instant | None
) -> Iterator[str]:
    window = run.window

    def name() -> str:
        return f"window {iso(window.start)} to {iso(window.end)}"

    if run.kind == "correction":
        if not 0 < run.corrects < run.seq:
            yield f"a correction names an earlier seq, not {run.corrects}"
        if end is None or window.end > end:
            yield f"{name()} of a correction lies beyond what was collected"
    else:
        if run.corrects:
            yield f"a {run.kind} run corrects nothing, yet names {run.corrects}"
        twin = windows.setdefault(window, run.seq)
        if twin != run.seq:
            yield f"{name()} stands in seq {twin} already"
        elif end is not None and window.start < end:
            yield f"{name()} goes back before the end of the last one, {iso(end)}"


def _clock_problems(run: Run, previous: Run | None) -> Iterator[str]:
    if run.started < run.window.end:
        yield (
            f"the window ends at {iso(run.window.end)}, but the run started before,"
            f" at {iso(run.started)}"
        )
    if run.finished < run.started:
        yield "the run finished before it started"
    if previous and run.started < previous.started:
        yield f"the run started before seq {previous.seq} did"
    if abs(run.aws_date - run.started) > MAX_SKEW:
        yield f"the run's clock differs from AWS's, {iso(run.aws_date)}, by over a day"


def _coverage_problems(run: Run) -> Iterator[str]:
    if not set(run.collected) <= set(run.expected):
        yield "coverage: an account × Region was collected that was not expected"
    missed = {(row.account, row.region) for row in run.missing}
    lost = set(run.expected) - set(run.collected) - missed
    for account, region in sorted(lost):
        yield f"coverage: {account} {region} is neither collected nor missing"
    for row in run.missing:
        if row.interval.clip(run.window) != row.interval:
            yield f"coverage: {row.account} {row.region} is missing outside the window"


def _of_accounts(run: Run, depth: Depth) -> Run:
    """Give a run as far as it speaks of the accounts that are read."""
    if depth.accounts is None:
        return run
    own: dict[str, Any] = {}
    for name in ("missing", "observations", "event_counts", "events", "chains"):
        rows = getattr(run, name)
        if at_hand(rows):
            own[name] = tuple(row for row in rows if depth.of(row.account))
    for name in ("expected", "collected"):
        places = getattr(run, name)
        if at_hand(places):
            own[name] = tuple(place for place in places if depth.of(place[0]))
    return replace(run, **own)


# --- states ------------------------------------------------------------------------


def fold_states(
    opening: Iterable[Standing], transitions: Iterable[Transition]
) -> tuple[Standing, ...]:
    """Give the states that hold after the transitions, from those before them.

    Transitions are taken by time; of two at one instant the later given wins. A
    resource that becomes ABSENT leaves.
    """
    states = {(row.instance, row.resource): row for row in opening}
    for change in sorted(transitions, key=lambda change: change.at):
        key = (change.instance, change.resource)
        states[key] = Standing(
            instance=change.instance,
            resource=change.resource,
            state=change.after,
            since=change.at,
        )
    return tuple(sorted(r for r in states.values() if r.state != State.ABSENT))


def state_lines(
    standings: Iterable[Standing], rules: Iterable[RuleInstance]
) -> tuple[bytes, ...]:
    """Write a state pack: one canonical JSON line per account × Region with rules.

    Raises KeyError for a state under a rule instance that is not among the rules.
    """
    place = {row.key: (row.account, row.region) for row in rules}
    states: dict[tuple[str, str], list[list[str]]] = {p: [] for p in place.values()}
    for row in sorted(standings):
        states[place[row.instance]].append(
            [row.instance, row.resource, row.state.value, iso(row.since)]
        )
    return tuple(
        canonical({"account": account, "region": region, "states": rows})
        for (account, region), rows in sorted(states.items())
    )


def parse_state_lines(lines: Iterable[bytes]) -> tuple[Standing, ...]:
    """Read the records of a state pack; LedgerError for anything else."""
    found: list[Standing] = []
    for line in lines:
        try:
            tree: Any = parse_canonical(line)  # its shape is what the except is for
            found.extend(
                Standing(
                    instance=key, resource=name, state=State(state), since=instant(at)
                )
                for key, name, state, at in tree["states"]
            )
        except (NotCanonicalError, KeyError, TypeError, ValueError) as error:
            message = f"not a record of a state pack: {error}"
            raise LedgerError(message) from error
    return tuple(sorted(found))


def records_root_lines(standings: Iterable[Standing]) -> tuple[bytes, ...]:
    """Give the Merkle leaves of one rule instance's states: what records_root binds."""
    return tuple(
        sorted(
            canonical([row.resource, row.state.value, iso(row.since)])
            for row in standings
        )
    )
