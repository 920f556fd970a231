# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from github_world import BEGAN, SIGNOFF, START, World, world

from controlbook.collect import Collector
from controlbook.digest import parse_canonical
from controlbook.forge.reading import read_answer, read_pulls
from controlbook.ledger import read_ledger
from controlbook.model import Library, Settings
from controlbook.sources import Past, Reading, Scope
from controlbook.sources.reviews import Reviews
from controlbook.timeline import DAY, HOUR, SECOND, Instant, Interval
from controlbook.vault.directory import DirectoryVault
from controlbook.vault.packs import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlbook.model import Pull

NOTHING = Past(runs=())
SCOPE = Scope(assessments=())


@pytest.fixture
def github(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.clock.set(START)
        yield made


def read(github: World, start: Instant = BEGAN) -> Reading:
    now = github.later(HOUR)
    source = Reviews(github.forge("novak"), BEGAN)
    (found,) = source.read(((Interval(start, now), SCOPE),), NOTHING, now)
    return found


def sign(github: World, body: bytes = b"signed\n") -> int:
    github.push("sign", {SIGNOFF: body})
    opened = github.forge().open_pull(branch="sign", title="Sign", body="")
    return opened.number


def one(reading: Reading) -> Pull:
    (pull,) = reading.pulls
    return pull


def test_a_reviewed_merge_is_captured(github: World) -> None:
    base = github.remote.resolve("main")
    number = sign(github)
    github.later(HOUR)
    github.approve(number, "lindqvist")
    merged_at = github.later(HOUR)
    merge = github.merge(number)
    reading = read(github)
    pull = one(reading)
    assert (pull.number, pull.base, pull.merge) == (1, base, merge)
    assert pull.head == github.remote.resolve("sign")
    assert (pull.author_id, pull.author_type) == ("4100901", "Bot")
    assert pull.merged_by_id == "4100301"
    assert pull.merged_at == merged_at
    assert pull.pushers == ("4100901",)
    assert pull.paths == (SIGNOFF,)
    assert pull.rule_suite == "pass"
    (review,) = pull.reviews
    assert (review.user_id, review.user_type, review.state) == (
        "4100202",
        "User",
        "APPROVED",
    )
    assert (review.commit, review.submitted) == (pull.head, merged_at - HOUR)
    assert (reading.principal, reading.endpoint) == (
        "github:c-novak",
        "http://127.0.0.1",
    )
    assert reading.aws_date == github.clock.now()
    assert reading.notes == ()


@pytest.mark.threat("T53")
def test_an_approval_of_an_older_head_shows(github: World) -> None:
    ruleset = github.ask("novak", "GET", "/rulesets/1")
    (rule,) = [r for r in ruleset["rules"] if r["type"] == "pull_request"]
    rule["parameters"]["dismiss_stale_reviews_on_push"] = False
    github.ask("novak", "PUT", "/rulesets/1", rules=[rule])
    number = sign(github)
    approved = github.remote.resolve("sign")
    github.approve(number, "lindqvist")
    github.push("sign", {SIGNOFF: b"changed\n"}, base="sign")
    github.merge(number)
    pull = one(read(github))
    review = pull.deciding_review(["4100202"])
    assert review is not None
    assert (review.state, review.commit) == ("APPROVED", approved)
    assert pull.head != approved


@pytest.mark.threat("T54")
def test_a_dismissed_approval_is_not_the_last_word(github: World) -> None:
    number = sign(github)
    github.approve(number, "lindqvist")
    (review,) = github.ask("novak", "GET", f"/pulls/{number}/reviews")
    path = f"/pulls/{number}/reviews/{review['id']}/dismissals"
    github.ask("novak", "PUT", path, message="outdated")
    github.ask("novak", "PUT", "/rulesets/1", enforcement="disabled")
    github.merge(number)
    found = one(read(github)).deciding_review(["4100202"])
    assert found is not None
    assert found.state == "DISMISSED"


def test_a_changed_ruleset_has_another_digest(github: World) -> None:
    github.merged("one", {"controls/b.yml": b"1"}, "moreau")
    first = one(read(github))
    again = one(read(github))
    assert first.ruleset_sha256 == again.ruleset_sha256
    github.ask("novak", "PUT", "/rulesets/1", bypass_actors=[])
    changed = one(read(github))
    assert changed.ruleset_sha256 != first.ruleset_sha256


def test_changes_elsewhere_are_looked_at_but_not_listed(github: World) -> None:
    github.merged("one", {"docs/x.md": b"x"}, "novak")
    reading = read(github)
    assert reading.pulls == ()
    kept = [read_answer(line) for line in unpack(reading.packs[0][1].body)]
    assert any("/pulls/1/files" in answer.request for answer in kept)


def test_the_rows_can_be_read_again_from_the_pack(github: World) -> None:
    github.merged("one", {"controls/b.yml": b"1"}, "moreau")
    github.merged("two", {"annotations/2028-02/a.md": b"1"}, "tanaka")
    reading = read(github)
    ((role, stored),) = reading.packs
    assert role == "reviews"
    lines = unpack(stored.body)
    assert lines == tuple(sorted(lines))
    pulls, notes = read_pulls(read_answer(line) for line in lines)
    assert (pulls, notes) == (reading.pulls, reading.notes)
    assert reading.pages == len(lines)


def test_the_manifest_can_hold_what_was_asked(github: World) -> None:
    github.merged("one", {"controls/b.yml": b"1"}, "moreau")
    queries = read(github).queries
    apis = [api for api, _ in queries]
    path = "github:GET /repos/example/payments-compliance"
    assert f"{path}/pulls/{{number}}/reviews" in apis
    asked = dict(queries)[f"{path}/pulls"]
    assert parse_canonical(asked.encode()) == {
        "base": "main",
        "direction": "desc",
        "sort": "updated",
        "state": "closed",
    }


def test_windows_tile_and_end_at_a_second_that_has_passed_everywhere(
    github: World,
) -> None:
    source = Reviews(github.forge(), BEGAN)
    now = Instant(START + 1234)
    (window,) = source.windows(NOTHING, Instant(START - DAY + 1234))
    assert window == Interval(BEGAN, Instant(START - DAY + SECOND))
    # GitHub's clock is behind ours: it may still merge at a time that we have passed.
    (window,) = source.windows(NOTHING, Instant(now + DAY))
    assert window.end == START
    assert Reviews(github.forge(), START).windows(NOTHING, now) == ()


def test_a_merge_falls_into_exactly_one_window(github: World) -> None:
    middle = github.clock.now()
    github.merged("one", {"controls/b.yml": b"1"}, "moreau")
    source = Reviews(github.forge(), BEGAN)
    before, after = (
        next(source.read(((window, SCOPE),), NOTHING, window.end))
        for window in (
            Interval(BEGAN, middle),
            Interval(middle, Instant(middle + HOUR)),
        )
    )
    assert (len(before.pulls), len(after.pulls)) == (0, 1)


def test_collected_runs_tile_and_hold_the_pulls(github: World, tmp_path: Path) -> None:
    vault = DirectoryVault(tmp_path / "vault")
    files: dict[str, bytes] = {}
    collector = Collector(
        library=Library(settings=Settings(ledger="5b0c6f0e")),
        vault=vault,
        clock=github.clock.now,
        commit=lambda written, _: files.update(written),
        about=(("name", "controlbook"), ("version", "0")),
    )
    source = Reviews(github.forge("novak"), BEGAN)
    for branch in ("one", "two"):
        github.merged(branch, {f"controls/{branch}.yml": b"1"}, "moreau")
        github.later(HOUR)
        collector.collect(source, files)
    assert sorted(files) == [f"evidence/reviews/00000{n}.json" for n in (1, 2)]
    ledger = read_ledger(files)
    first, second = ledger.runs["reviews"]
    assert (first.window.start, first.window.end) == (BEGAN, second.window.start)
    assert [pull.paths for pull in ledger.pulls] == [
        ("controls/one.yml",),
        ("controls/two.yml",),
    ]
    (stored,) = second.objects
    lines = unpack(vault.get(stored.key, stored.version_id), stored)
    pulls, _ = read_pulls(read_answer(line) for line in lines)
    assert pulls == second.pulls
