# SPDX-License-Identifier: Apache-2.0
"""A ledger of many big days, written by the collector from a made-up source.

Synthetic are the organisation and what AWS would have answered; real are the collector,
the vault (a folder), the manifests with their moved lists, and Git. Per account ×
Region: `rules` rules and `resources` resources, each under one rule. On each day
`moves` changes: a fifth are verdicts that flip, the others resources that come and go.
Every place delivers `files` source packs a day, which hold nothing.
"""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlbook.digest import canonical, leaf_hash, root_of_hashes, sha256
from controlbook.ledger import rule_key
from controlbook.model import RuleInstance, State, Transition
from controlbook.sources import Reading
from controlbook.timeline import DAY, HOUR, Instant, Interval, instant, iso
from controlbook.vault.packs import Packer, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.sources import Past, Place, Scope
    from controlbook.vault.packs import Pack

REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")
START = instant("2028-01-01T00:00:00Z")
SINCE = instant("2027-11-01T08:00:00Z")
FLIPS = 5
GOOD, BAD = State.COMPLIANT, State.NON_COMPLIANT


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large the organisation is, and how long it is looked at."""

    accounts: int = 200
    regions: int = 4
    rules: int = 200
    resources: int = 60
    moves: int = 25
    files: int = 1
    days: int = 30

    @property
    def places(self) -> list[Place]:
        """Every account × Region."""
        return [
            (f"{100000000000 + 37 * n}", region)
            for n in range(self.accounts)
            for region in REGIONS[: self.regions]
        ]

    @property
    def name(self) -> str:
        """Name a ledger of this size."""
        return "-".join(map(str, vars(self).values()))


@dataclass
class Country:
    """One account × Region as it is at the moment."""

    place: Place
    rows: dict[int, RuleInstance]
    states: dict[int, dict[str, tuple[State, Instant]]]
    """Rule number → resource → state, since."""
    alive: list[tuple[str, int]]
    """(resource, rule number), the oldest first."""
    born: int

    def row(self, number: int) -> RuleInstance:
        """Give a rule's row, counted."""
        own = self.states[number]
        counts = Counter(state.value for state, _ in own.values())
        leaves = sorted(
            canonical([name, state.value, iso(since)])
            for name, (state, since) in own.items()
        )
        old = self.rows[number]
        return RuleInstance(
            key=old.key,
            rule=old.rule,
            deployed_as=old.deployed_as,
            identifier=old.identifier,
            parameters=(),
            account=old.account,
            region=old.region,
            trigger="change",
            population=len(own),
            counts=tuple(sorted(counts.items())),
            records_root=root_of_hashes(list(map(leaf_hash, leaves))),
        )

    def line(self) -> bytes:
        """Write its line of the state pack."""
        account, region = self.place
        states = sorted(
            [self.rows[number].key, name, state.value, iso(since)]
            for number, own in self.states.items()
            for name, (state, since) in own.items()
        )
        return canonical({"account": account, "region": region, "states": states})


@dataclass
class Year:
    """A source of the config stream that makes its answers up."""

    sizes: Sizes
    stream: str = "config"
    countries: dict[Place, Country] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with every resource compliant."""
        for place in self.sizes.places:
            self.countries[place] = self._country(place)

    def _country(self, place: Place) -> Country:
        account, region = place
        rows = {}
        for number in range(self.sizes.rules):
            identifier = f"custom-lambda:baseline-rule-{number:03d}"
            rows[number] = RuleInstance(
                key=rule_key(identifier, (), account, region),
                rule=f"baseline-rule-{number:03d}",
                deployed_as=f"baseline-rule-{number:03d}",
                identifier=identifier,
                parameters=(),
                account=account,
                region=region,
                trigger="change",
                population=0,
                counts=(),
                records_root="",
            )
        made = Country(place, rows, {n: {} for n in rows}, [], 0)
        for _ in range(self.sizes.resources):
            name, number = self._next(made)
            made.states[number][name] = (GOOD, SINCE)
        made.rows = {number: made.row(number) for number in rows}
        return made

    def _next(self, at: Country) -> tuple[str, int]:
        mark = sha256(f"{at.place}{at.born}".encode())[:17]
        name, number = f"AWS::EC2::Instance/i-{mark}", at.born % self.sizes.rules
        at.born += 1
        at.alive.append((name, number))
        return name, number

    def windows(self, past: Past, now: Instant) -> tuple[Interval, ...]:
        """Give every day up to now; the first one opens the period."""
        last = past.last
        start = last.window.end if last else Instant(START - DAY)
        days = range((now - start) // DAY)
        return tuple(
            Interval(Instant(start + n * DAY), Instant(start + (n + 1) * DAY))
            for n in days
        )

    def read(
        self, windows: tuple[tuple[Interval, Scope], ...], past: Past, now: Instant
    ) -> Iterator[Reading]:
        """Make each day up."""
        first = past.last is None
        for window, _ in windows:
            yield self._day(window, now, quiet=first)
            first = False

    def _day(self, window: Interval, now: Instant, *, quiet: bool) -> Reading:
        moves: list[Transition] = []
        packs: list[tuple[str, Pack]] = []
        states = Packer()
        for place, country in self.countries.items():
            if not quiet:
                moves += self._moved(country, window)
            states.add(country.line())
            for number in range(self.sizes.files):
                text = f"{place}{window.start}{number}".encode()
                packs.append(
                    ("source", verbatim(gzip.compress(text, mtime=0), records=1))
                )
        rows = [row for each in self.countries.values() for row in each.rows.values()]
        places = tuple(sorted(self.countries))
        return Reading(
            kind="regular",
            window=window,
            aws_date=now,
            principal="arn:aws:sts::111122226666:assumed-role/collector/ci",
            endpoint="http://127.0.0.1",
            collected=places,
            expected=places,
            rules=tuple(sorted(rows, key=lambda row: row.key)),
            transitions=tuple(sorted(moves)),
            packs=(*packs, ("state", states.finish())),
            queries=(("config:DescribeConfigRules", "{}"),),
        )

    def _moved(self, at: Country, window: Interval) -> list[Transition]:
        found = []
        step = DAY // (self.sizes.moves + 1)
        for turn in range(self.sizes.moves):
            moment = Instant(window.start + (turn + 1) * step)
            if turn % FLIPS == 0:
                name, number = at.alive[(turn * 7) % len(at.alive)]
                before = at.states[number][name][0]
                after, cause = (BAD, "") if before is GOOD else (GOOD, "")
            elif turn % 2:
                name, number = self._next(at)
                before, after, cause = State.ABSENT, GOOD, "created"
            else:
                name, number = at.alive.pop(0)
                before = at.states[number][name][0]
                after, cause = State.ABSENT, "deleted"
            row = at.rows[number]
            found.append(
                Transition(
                    at=moment,
                    instance=row.key,
                    rule=row.rule,
                    account=row.account,
                    region=row.region,
                    resource=name,
                    before=before,
                    after=after,
                    precision="change",
                    cause=cause,
                )
            )
            if after is State.ABSENT:
                del at.states[number][name]
            else:
                at.states[number][name] = (after, moment)
        keys = {move.instance for move in found}
        for number, row in at.rows.items():
            if row.key in keys:
                at.rows[number] = at.row(number)
        return found


def clock_of(day: int) -> Instant:
    """Give when the run after so many days happens."""
    return Instant(START + day * DAY + 6 * HOUR)
