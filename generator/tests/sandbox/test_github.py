# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from controlbook.git import Repository
from controlbook.sandbox.clock import Clock
from controlbook.sandbox.github import GitHub
from controlbook.sandbox.github_pulls import User
from controlbook.sandbox.github_server import serve
from controlbook.timeline import DAY, HOUR, Instant, instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = instant("2028-04-03T08:00:00Z")
SIGNOFF = "signoffs/PCI-2028-Q1/requirements/3.4.yml"
CODEOWNERS = (
    b"* @c-novak\n"
    b"/controls/ @j-moreau\n"
    b"/signoffs/ @m-lindqvist\n"
    b"/annotations/ @example/networking\n"
    b"/evidence/ @c-novak\n"
)
USERS = {
    "token-moreau": User(login="j-moreau", id=4100123),
    "token-tanaka": User(login="s-tanaka", id=4100124),
    "token-lindqvist": User(login="m-lindqvist", id=4100202),
    "token-novak": User(login="c-novak", id=4100301),
    "token-bot": User(login="controlbook-collector[bot]", id=4100901, type="Bot"),
}
API = "/repos/example/payments-compliance"
MOREAU = ("J. Moreau", "j-moreau@example.com")
BOT = ("controlbook-collector[bot]", "4100901+controlbook-collector[bot]@example.com")


class Caller:
    """Calls the sandbox by HTTP as one person or another."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc

    def __call__(
        self, method: str, path: str, who: str = "moreau", **fields: object
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.host)
        body = json.dumps(fields) if method != "GET" else None
        headers = {"Authorization": f"Bearer token-{who}"} if who else {}
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        self.link = response.headers.get("Link", "")
        connection.close()
        return response.status, answer

    def open(self, branch: str, who: str = "bot") -> int:
        status, pull = self(
            "POST", f"{API}/pulls", who, title="Sign", head=branch, base="main", body=""
        )
        assert status == 201, pull
        return int(pull["number"])

    def review(self, number: int, who: str, event: str = "APPROVE") -> dict[str, Any]:
        status, review = self(
            "POST", f"{API}/pulls/{number}/reviews", who, event=event, body="x"
        )
        assert status == 200, review
        return dict(review)

    def merge(
        self, number: int, who: str = "novak", **fields: object
    ) -> tuple[int, Any]:
        return self("PUT", f"{API}/pulls/{number}/merge", who, **fields)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def bare(tmp_path: Path) -> Repository:
    work = Repository.create(tmp_path / "work")
    work.write_and_commit(
        {".github/CODEOWNERS": CODEOWNERS, "controls/a.yml": b"a\n"},
        "Begin",
        at=Instant(START - 90 * DAY),
        author=MOREAU,
    )
    made = Repository.create(tmp_path / "remote.git", bare=True)
    work.add_remote("origin", str(made.root))
    work.push("origin", "main")
    return made


@pytest.fixture
def server(bare: Repository, clock: Clock) -> GitHub:
    teams = {"example/networking": ("s-tanaka",)}
    return GitHub(bare.root, clock, USERS, teams=teams)


@pytest.fixture
def call(server: GitHub) -> Iterator[Caller]:
    with serve(server) as url:
        yield Caller(url)


def push(bare: Repository, branch: str, files: dict[str, bytes], base: str = "") -> str:
    """Push one commit to a branch, as a person's `git push` does."""
    tip = bare.commit_files(
        files, f"Change {branch}\n", base=base or "main", at=START, author=MOREAU
    )
    bare.set_branch(branch, tip)
    return tip


def test_a_pull_request_from_opening_to_the_merge_commit(
    call: Caller, bare: Repository, clock: Clock
) -> None:
    before = bare.resolve("main")
    tip = push(bare, "sign", {SIGNOFF: b"signed\n"})
    number = call.open("sign")
    clock.set(Instant(START + HOUR))
    review = call.review(number, "lindqvist")
    clock.set(Instant(START + 2 * HOUR))
    status, merged = call.merge(number, merge_method="merge", sha=tip)
    assert (status, merged["merged"]) == (200, True)
    assert bare.resolve("main") == merged["sha"]
    assert bare.git("log", "-1", "--format=%P", "main").decode().split() == [
        before,
        tip,
    ]
    shown = bare.git("log", "-1", "--format=%an|%cn|%ce|%s|%b", "main").decode().strip()
    assert shown == (
        "c-novak|GitHub|noreply@github.com|Merge pull request #1 from example/sign|Sign"
    )
    assert bare.commit_time("main") == START + 2 * HOUR
    _, pull = call("GET", f"{API}/pulls/{number}")
    facts = {key: pull[key] for key in ("state", "merged", "merge_commit_sha")}
    assert facts == {
        "state": "closed",
        "merged": True,
        "merge_commit_sha": merged["sha"],
    }
    assert pull["merged_at"] == iso(Instant(START + 2 * HOUR))
    assert pull["merged_by"]["id"] == 4100301
    assert (pull["head"]["sha"], pull["base"]["sha"]) == (tip, before)
    assert (review["state"], review["commit_id"]) == ("APPROVED", tip)
    assert review["submitted_at"] == iso(Instant(START + HOUR))
    arrival = bare.arrivals("main", [SIGNOFF])[SIGNOFF]
    assert (arrival.merge, arrival.reviewed_same) == (merged["sha"], True)


@pytest.mark.threat("T56")
@pytest.mark.parametrize("method", ["squash", "rebase", "octopus"])
def test_other_merge_methods_are_refused(
    call: Caller, bare: Repository, method: str
) -> None:
    push(bare, "sign", {SIGNOFF: b"x"})
    number = call.open("sign")
    call.review(number, "lindqvist")
    before = bare.resolve("main")
    assert call.merge(number, merge_method=method)[0] == 405
    assert bare.resolve("main") == before


def test_the_author_cannot_approve(call: Caller, bare: Repository) -> None:
    push(bare, "sign", {SIGNOFF: b"x"})
    number = call.open("sign", who="lindqvist")
    status, answer = call(
        "POST", f"{API}/pulls/{number}/reviews", "lindqvist", event="APPROVE"
    )
    assert status == 422
    assert answer["errors"] == ["Can not approve your own pull request"]
    assert call.merge(number)[0] == 405


@pytest.mark.parametrize(
    ("files", "reviewer", "status"),
    [
        ({SIGNOFF: b"x"}, "lindqvist", 200),
        ({SIGNOFF: b"x"}, "novak", 405),
        ({"annotations/2028-02/a.md": b"x"}, "tanaka", 200),
        ({"annotations/2028-02/a.md": b"x", SIGNOFF: b"x"}, "tanaka", 405),
        ({"docs/x.md": b"x"}, "novak", 200),
        # T48: the pull request's own CODEOWNERS does not count.
        ({SIGNOFF: b"x", ".github/CODEOWNERS": b"* @s-tanaka\n"}, "tanaka", 405),
    ],
)
def test_a_code_owner_of_every_path_must_approve(
    call: Caller,
    bare: Repository,
    files: dict[str, bytes],
    reviewer: str,
    status: int,
) -> None:
    push(bare, "change", files)
    number = call.open("change")
    call.review(number, reviewer)
    assert call.merge(number)[0] == status


def test_without_approval_or_with_changes_requested_nothing_merges(
    call: Caller, bare: Repository
) -> None:
    push(bare, "sign", {SIGNOFF: b"x"})
    number = call.open("sign")
    assert call.merge(number)[0] == 405
    call.review(number, "lindqvist", "COMMENT")
    assert call.merge(number)[0] == 405
    call.review(number, "lindqvist")
    call.review(number, "novak", "REQUEST_CHANGES")
    assert call.merge(number)[0] == 405
    call.review(number, "novak", "COMMENT")
    assert call.merge(number)[0] == 405
    call.review(number, "novak")
    assert call.merge(number)[0] == 200


def test_a_dismissed_approval_no_longer_counts(call: Caller, bare: Repository) -> None:
    push(bare, "sign", {SIGNOFF: b"x"})
    number = call.open("sign")
    review = call.review(number, "lindqvist")
    path = f"{API}/pulls/{number}/reviews/{review['id']}/dismissals"
    assert call("PUT", path, "novak", message="")[0] == 422
    status, dismissed = call("PUT", path, "novak", message="outdated")
    assert (status, dismissed["state"]) == (200, "DISMISSED")
    assert call.merge(number)[0] == 405


@pytest.mark.threat("T53")
def test_a_push_dismisses_approvals_and_the_pusher_does_not_count(
    call: Caller, bare: Repository
) -> None:
    first = push(bare, "change", {"controls/a.yml": b"1"})
    number = call.open("change")
    call.review(number, "moreau")
    # The commits are J. Moreau's own: approving the last push takes somebody else.
    assert call.merge(number)[0] == 405
    call.review(number, "novak")
    second = push(bare, "change", {"controls/a.yml": b"2"}, base="change")
    _, reviews = call("GET", f"{API}/pulls/{number}/reviews")
    assert [(r["state"], r["commit_id"]) for r in reviews] == [
        ("DISMISSED", first),
        ("DISMISSED", first),
    ]
    assert call("GET", f"{API}/pulls/{number}")[1]["head"]["sha"] == second
    assert call.merge(number, sha=first)[0] == 409


def test_a_weaker_ruleset_merges_over_a_stale_approval(
    call: Caller, bare: Repository
) -> None:
    _, ruleset = call("GET", f"{API}/rulesets/1")
    (rule,) = [r for r in ruleset["rules"] if r["type"] == "pull_request"]
    rule["parameters"]["dismiss_stale_reviews_on_push"] = False
    call("PUT", f"{API}/rulesets/1", "novak", rules=[rule])
    first = push(bare, "sign", {SIGNOFF: b"1"})
    number = call.open("sign")
    call.review(number, "lindqvist")
    second = push(bare, "sign", {SIGNOFF: b"2"}, base="sign")
    assert call.merge(number)[0] == 200
    _, reviews = call("GET", f"{API}/pulls/{number}/reviews")
    assert (reviews[0]["state"], reviews[0]["commit_id"]) == ("APPROVED", first)
    assert call("GET", f"{API}/pulls/{number}")[1]["head"]["sha"] == second


def test_a_conflict_is_not_mergeable(call: Caller, bare: Repository) -> None:
    push(bare, "one", {"controls/a.yml": b"1\n"})
    push(bare, "two", {"controls/a.yml": b"2\n"})
    for branch in ("one", "two"):
        number = call.open(branch)
        call.review(number, "novak")
        call.review(number, "moreau")
    # Owned by J. Moreau, who also pushed: the sandbox lets nobody else decide.
    call("PUT", f"{API}/rulesets/1", "novak", enforcement="disabled")
    assert call.merge(1)[0] == 200
    assert call("GET", f"{API}/pulls/2")[1]["mergeable"] is False
    assert call.merge(2)[0] == 405
    assert call.merge(1)[0] == 405


def test_both_sides_of_a_merge_survive(call: Caller, bare: Repository) -> None:
    push(bare, "sign", {SIGNOFF: b"x"})
    push(bare, "other", {"annotations/2028-02/a.md": b"a"})
    for branch, who in (("sign", "lindqvist"), ("other", "tanaka")):
        number = call.open(branch)
        call.review(number, who)
        assert call.merge(number)[0] == 200
    assert set(bare.files_at("main")) == {
        ".github/CODEOWNERS",
        "annotations/2028-02/a.md",
        "controls/a.yml",
        SIGNOFF,
    }


def test_files_name_what_happened_to_them(call: Caller, bare: Repository) -> None:
    body = b"".join(b"line %d\n" % i for i in range(30))
    push(bare, "main", {"controls/old.yml": body, "controls/b.yml": b"b\n"})
    bare.git("read-tree", "main")
    tip = push(bare, "change", {"controls/é.yml": b"1\n2\n", "controls/a.yml": b"b\n"})
    blob = bare.git("rev-parse", "main:controls/old.yml").decode().strip()
    listing = bare.git("ls-tree", "-r", tip).decode().splitlines()
    kept = [row for row in listing if not row.endswith(("old.yml", "b.yml"))]
    bare.git("read-tree", "--empty")
    rows = "\n".join([*kept, f"100644 blob {blob}\tcontrols/new.yml", ""])
    bare.git("update-index", "--index-info", stdin=rows.encode())
    tree = bare.git("write-tree").decode().strip()
    moved = bare.commit_tree(tree, (tip,), "Move\n", at=START, author=MOREAU)
    bare.set_branch("change", moved)
    number = call.open("change")
    _, files = call("GET", f"{API}/pulls/{number}/files")
    found = {row["filename"]: (row["status"], row["changes"]) for row in files}
    assert found == {
        "controls/a.yml": ("modified", 2),
        "controls/b.yml": ("removed", 1),
        "controls/new.yml": ("renamed", 30),
        "controls/é.yml": ("added", 2),
    }
    (renamed,) = [row for row in files if row["status"] == "renamed"]
    assert renamed["previous_filename"] == "controls/old.yml"
    _, commits = call("GET", f"{API}/pulls/{number}/commits")
    assert [row["sha"] for row in commits] == [tip, moved]
    assert commits[0]["author"] == {"login": "j-moreau", "id": 4100123, "type": "User"}


def test_lists_come_in_pages_with_links(call: Caller, bare: Repository) -> None:
    for number in range(5):
        push(bare, f"b{number}", {f"docs/{number}.md": b"x"})
        call.open(f"b{number}")
    path = f"{API}/pulls?state=all&per_page=2"
    seen: list[int] = []
    while path:
        _, rows = call("GET", path)
        seen += [row["number"] for row in rows]
        found = [part for part in call.link.split(", ") if 'rel="next"' in part]
        url = urlsplit(found[0].split(">")[0].lstrip("<")) if found else None
        path = f"{url.path}?{url.query}" if url else ""
    assert seen == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("method", "path", "who", "fields", "status"),
    [
        ("GET", f"{API}/pulls/9", "moreau", {}, 404),
        ("GET", "/repos/example/other/pulls", "moreau", {}, 404),
        ("GET", f"{API}/pulls", "stranger", {}, 401),
        ("GET", f"{API}/pulls", "", {}, 401),
        ("POST", f"{API}/pulls", "bot", {"head": "none", "base": "main"}, 422),
        ("POST", f"{API}/pulls", "bot", {"head": "main", "base": "main"}, 422),
        ("GET", f"{API}/branches/none", "moreau", {}, 404),
        ("GET", f"{API}/rulesets/7", "moreau", {}, 404),
        ("GET", f"{API}/rulesets/rule-suites?time_period=year", "moreau", {}, 422),
    ],
)
def test_what_does_not_exist_or_pass_is_refused(
    call: Caller,
    method: str,
    path: str,
    who: str,
    fields: dict[str, object],
    status: int,
) -> None:
    assert call(method, path, who, **fields)[0] == status


def test_a_second_pull_request_of_a_branch_is_refused(
    call: Caller, bare: Repository
) -> None:
    push(bare, "sign", {SIGNOFF: b"x"})
    call.open("sign")
    status, answer = call("POST", f"{API}/pulls", "bot", head="sign", base="main")
    assert status == 422
    assert "already exists" in answer["errors"][0]["message"]


def test_rules_branches_and_people_can_be_looked_up(
    call: Caller, bare: Repository
) -> None:
    assert call("GET", "/user", "bot")[1]["type"] == "Bot"
    tip = bare.resolve("main")
    assert call("GET", f"{API}/branches/main")[1]["commit"]["sha"] == tip
    assert call("GET", f"{API}/git/ref/heads/main")[1]["object"]["sha"] == tip
    assert call("GET", API)[1]["default_branch"] == "main"
    _, rules = call("GET", f"{API}/rules/branches/main")
    assert [rule["type"] for rule in rules] == [
        "deletion",
        "non_fast_forward",
        "pull_request",
    ]
    assert rules[2]["parameters"]["allowed_merge_methods"] == ["merge"]
    assert call("GET", f"{API}/rules/branches/other")[1] == []


def test_rule_suites_tell_merges_from_direct_pushes(
    call: Caller, bare: Repository, clock: Clock
) -> None:
    push(bare, "sign", {SIGNOFF: b"x"})
    number = call.open("sign")
    call.review(number, "lindqvist")
    _, merged = call.merge(number)
    direct = bare.commit_files(
        {"evidence/config/000001.json": b"{}"},
        "Collect",
        base="main",
        at=Instant(START + HOUR),
        author=BOT,
    )
    bare.set_branch("main", direct)
    clock.set(Instant(START + 2 * HOUR))
    path = f"{API}/rulesets/rule-suites?ref=refs/heads/main&time_period="
    _, suites = call("GET", f"{path}day")
    assert [(s["after_sha"], s["result"], s["actor_id"]) for s in suites] == [
        (direct, "bypass", 4100901),
        (merged["sha"], "pass", 4100301),
    ]
    assert call("GET", f"{API}/rulesets/rule-suites/{suites[1]['id']}")[0] == 200
    clock.set(Instant(START + 8 * DAY))
    assert call("GET", f"{path}week")[1] == []
    assert len(call("GET", f"{path}month")[1]) == 2


def test_a_closed_or_deleted_branch_closes_the_pull_request(
    call: Caller, bare: Repository
) -> None:
    push(bare, "one", {"docs/1.md": b"x"})
    push(bare, "two", {"docs/2.md": b"x"})
    one, two = call.open("one"), call.open("two")
    call("PATCH", f"{API}/pulls/{one}", "bot", state="closed")
    bare.git("update-ref", "-d", "refs/heads/two")
    states = [call("GET", f"{API}/pulls/{n}")[1]["state"] for n in (one, two)]
    assert states == ["closed", "closed"]
    assert call("GET", f"{API}/pulls")[1] == []
