# SPDX-License-Identifier: Apache-2.0
"""A GitHub on loopback: pull requests, reviews and rulesets over a real repository.

Rules enforced here:
- the token says who acts; nobody reviews with approval what they opened themselves;
- the ruleset in force decides on a merge: method, code owners of the base's CODEOWNERS,
  stale approvals, the last push;
- commits, trees and branches are the bare repository's own; nothing is made up beside;
- the sandbox's clock dates everything, and ids count up: two runs give equal bytes.

Field names and messages follow GitHub's public documentation; never compared with
GitHub itself.
"""

from __future__ import annotations

import json
import re
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlencode

from controlbook.git import CODEOWNERS, Repository

from . import github_replies as replies
from .github_pulls import (
    Contents,
    Pull,
    Refusal,
    Review,
    missing_approval,
    refuse_action,
    refuse_invalid,
    refuse_merge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from controlbook.timeline import Instant

    from .github_pulls import User

    Query = Mapping[str, str]
    Reply = tuple[int, dict[str, str], bytes]
    Handler = Callable[..., Any]

BRANCH = "main"
_EVENTS = {
    "APPROVE": "APPROVED",
    "REQUEST_CHANGES": "CHANGES_REQUESTED",
    "COMMENT": "COMMENTED",
}
_DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 31}
_PAGE = 30


class Clock(Protocol):
    """Whatever tells the sandbox's time."""

    def now(self) -> Instant:
        """Tell the time."""
        ...


class GitHub:
    """One repository on a GitHub of our own."""

    def __init__(
        self,
        bare: Path,
        clock: Clock,
        users: Mapping[str, User],
        repository: str = "example/payments-compliance",
        *,
        teams: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Serve a bare repository; `users` by token, `teams` (`org/team`) by login."""
        self.repository = repository
        self.rulesets: dict[int, dict[str, Any]] = {1: replies.default_ruleset()}
        self._git = Repository(bare)
        self._contents = Contents(self._git, tuple(users.values()))
        self.clock = clock
        self._users = users
        self._teams = teams or {}
        self._pulls: dict[int, Pull] = {}
        self._suites: dict[str, dict[str, Any]] = {}
        self._trouble: list[tuple[int, dict[str, str]]] = []
        self._reviews = 0
        self._lock = threading.RLock()

    def imitate_trouble(
        self, status: int, headers: Mapping[str, str], *, times: int = 1
    ) -> None:
        """Let the next requests fail, as a busy or limiting GitHub does."""
        self._trouble += [(status, dict(headers))] * times

    def __call__(
        self,
        method: str,
        path: str,
        query: str | Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Reply:
        """Answer one request."""
        asked = {name.lower(): value for name, value in headers.items()}
        pairs = dict(parse_qsl(query)) if isinstance(query, str) else dict(query)
        with self._lock:
            if self._trouble:
                status, extra = self._trouble.pop(0)
                return self._reply(status, {"message": "Imitated trouble"}, extra)
            try:
                return self._answer(method, path, pairs, asked, body)
            except Refusal as refusal:
                said = {"message": refusal.message, "status": str(refusal.status)}
                if refusal.errors:
                    said["errors"] = refusal.errors
                return self._reply(refusal.status, said)

    def _answer(
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Reply:
        actor = self._actor(headers)
        if method == "GET" and path.endswith("/user"):
            return self._reply(HTTPStatus.OK, replies.user(actor))
        _, marker, rest = path.partition(f"/repos/{self.repository}")
        for verb, pattern, handler in self._routes:
            match = re.fullmatch(pattern, rest) if marker else None
            if match and verb == method:
                given = _object(body) if method != "GET" else query
                result = handler(self, actor, given, *match.groups())
                if isinstance(result, list):
                    return self._page(path, query, headers, result)
                made = method == "POST" and not rest.endswith("/reviews")
                status = HTTPStatus.CREATED if made else HTTPStatus.OK
                return self._reply(status, result)
        raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")

    def _actor(self, headers: Mapping[str, str]) -> User:
        token = headers.get("authorization", "").partition(" ")[2]
        if not token:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Requires authentication")
        if token not in self._users:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Bad credentials")
        return self._users[token]

    def _reply(
        self, status: int, value: object, headers: Mapping[str, str] | None = None
    ) -> Reply:
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return (
            int(status),
            {
                "Content-Type": "application/json; charset=utf-8",
                "X-GitHub-Media-Type": "github.v3; format=json",
                **(headers or {}),
            },
            body,
        )

    def _page(
        self, path: str, query: Query, headers: Mapping[str, str], rows: list[Any]
    ) -> Reply:
        size = min(int(query.get("per_page", _PAGE)), 100)
        page = int(query.get("page", 1))
        last = max(1, -(-len(rows) // size))
        base = f"http://{headers.get('host', 'localhost')}{path}"
        rels = {"next": page + 1, "last": last} if page < last else {}
        links = ", ".join(
            f'<{base}?{urlencode({**query, "page": number})}>; rel="{rel}"'
            for rel, number in rels.items()
        )
        shown = rows[(page - 1) * size : page * size]
        return self._reply(HTTPStatus.OK, shown, {"Link": links} if links else None)

    # --- the repository ---

    def _about(self, _actor: User, _query: Query) -> dict[str, Any]:
        return replies.repository(self.repository, BRANCH)

    def _branch(self, _actor: User, _query: Query, name: str) -> dict[str, Any]:
        return replies.branch(name, self._tip(name), protected=name == BRANCH)

    def _ref(self, _actor: User, _query: Query, name: str) -> dict[str, Any]:
        return replies.ref(name, self._tip(name))

    def _tip(self, name: str) -> str:
        tip = self._git.branches().get(name)
        if not tip:
            raise Refusal(HTTPStatus.NOT_FOUND, "Branch not found")
        return tip

    # --- pull requests ---

    def _open(self, actor: User, given: Query) -> dict[str, Any]:
        head = given.get("head", "").rpartition(":")[2]
        base = given.get("base", "")
        tips = self._git.branches()
        for field, name in (("head", head), ("base", base)):
            if name not in tips:
                refuse_invalid(f"{field} is not a branch", field)
        if any(p.branch == head and p.state == "open" for p in self._all()):
            owner = self.repository.split("/")[0]
            refuse_invalid(f"A pull request already exists for {owner}:{head}.", "head")
        if not self._contents.commits(tips[base], tips[head]):
            refuse_invalid(f"No commits between {base} and {head}", "head")
        pull = Pull(
            number=len(self._pulls) + 1,
            title=given.get("title", ""),
            body=given.get("body", ""),
            author=actor,
            branch=head,
            base=base,
            base_sha=tips[base],
            head_sha=tips[head],
            created=self.clock.now(),
            updated=self.clock.now(),
        )
        self._pulls[pull.number] = pull
        return self._shown(pull)

    def _list(self, _actor: User, query: Query) -> list[Any]:
        wanted = query.get("state", "open")
        head = query.get("head", "").rpartition(":")[2]
        found = [
            pull
            for pull in self._all()
            if wanted in ("all", pull.state)
            and query.get("base", pull.base) == pull.base
            and head in ("", pull.branch)
        ]
        order = "updated" if query.get("sort") == "updated" else "created"
        found.sort(
            key=lambda pull: (getattr(pull, order), pull.number),
            reverse=query.get("direction", "desc") == "desc",
        )
        return [replies.pull(pull, self.repository) for pull in found]

    def _get(self, _actor: User, _query: Query, number: str) -> dict[str, Any]:
        return self._shown(self._pull(number))

    def _edit(self, _actor: User, given: Query, number: str) -> dict[str, Any]:
        pull = self._pull(number)
        pull.title = given.get("title", pull.title)
        pull.body = given.get("body", pull.body)
        if given.get("state") == "closed" and pull.state == "open":
            pull.state, pull.closed = "closed", self.clock.now()
        pull.updated = self.clock.now()
        return self._shown(pull)

    def _files(self, _actor: User, _query: Query, number: str) -> list[Any]:
        pull = self._pull(number)
        return self._contents.files(pull.base_sha, pull.head_sha)

    def _commits(self, _actor: User, _query: Query, number: str) -> list[Any]:
        pull = self._pull(number)
        return self._contents.commits(pull.base_sha, pull.head_sha)

    def _shown(self, pull: Pull) -> dict[str, Any]:
        return replies.pull(pull, self.repository) | {
            "commits": len(self._contents.commits(pull.base_sha, pull.head_sha)),
            "changed_files": len(self._contents.files(pull.base_sha, pull.head_sha)),
            "mergeable": bool(
                pull.state == "open"
                and self._contents.merged_tree(self._tip(pull.base), pull.head_sha)
            ),
        }

    def _all(self) -> list[Pull]:
        tips = self._git.branches()
        for pull in self._pulls.values():
            self._follow(pull, tips)
        return list(self._pulls.values())

    def _pull(self, number: str) -> Pull:
        if int(number) not in self._pulls:
            raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")
        pull = self._pulls[int(number)]
        self._follow(pull, self._git.branches())
        return pull

    def _follow(self, pull: Pull, tips: Mapping[str, str]) -> None:
        """Notice what was pushed to the branch since somebody last looked."""
        if pull.state != "open" or tips.get(pull.branch) == pull.head_sha:
            return
        pull.updated = self.clock.now()
        if pull.branch not in tips:
            pull.state, pull.closed = "closed", self.clock.now()
            return
        pull.head_sha, pull.base_sha = tips[pull.branch], tips[pull.base]
        if self._demands()["dismiss_stale_reviews_on_push"]:
            for review in pull.reviews:
                if review.state == "APPROVED":
                    review.dismiss(pull.author, self.clock.now(), None)

    # --- reviews ---

    def _list_reviews(self, _actor: User, _query: Query, number: str) -> list[Any]:
        pull = self._pull(number)
        return [replies.review(r, pull, self.repository) for r in pull.reviews]

    def _review(self, actor: User, given: Query, number: str) -> dict[str, Any]:
        pull = self._pull(number)
        state = _EVENTS.get(given.get("event", ""))
        if not state:
            refuse_invalid("event is not APPROVE, REQUEST_CHANGES or COMMENT")
        if actor.id == pull.author.id and state != "COMMENTED":
            verb = "approve" if state == "APPROVED" else "request changes on"
            refuse_action(f"Can not {verb} your own pull request")
        known = {row["sha"] for row in self._commits(actor, {}, number)}
        commit = given.get("commit_id", pull.head_sha)
        if commit not in known:
            refuse_invalid("commit_id is not part of the pull request")
        self._reviews += 1
        review = Review(
            id=1_000_000 + self._reviews,
            user=actor,
            state=state,
            body=given.get("body", ""),
            commit=commit,
            submitted=self.clock.now(),
        )
        pull.reviews.append(review)
        pull.updated = self.clock.now()
        return replies.review(review, pull, self.repository)

    def _dismiss(
        self, actor: User, given: Query, number: str, review_id: str
    ) -> dict[str, Any]:
        pull = self._pull(number)
        if not given.get("message"):
            refuse_invalid("message is missing")
        for review in pull.reviews:
            if review.id == int(review_id):
                if review.state == "COMMENTED":
                    refuse_action("Can not dismiss a commented review")
                review.dismiss(actor, self.clock.now(), given["message"])
                pull.updated = self.clock.now()
                return replies.review(review, pull, self.repository)
        raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")

    def _list_events(self, _actor: User, _query: Query, number: str) -> list[Any]:
        found = [
            replies.dismissal(r, r.dismissal, self.repository)
            for r in self._pull(number).reviews
            if r.dismissal
        ]
        return sorted(found, key=lambda row: (row["created_at"], row["id"]))

    # --- merging ---

    def _demands(self) -> dict[str, Any]:
        for ruleset in self.rulesets.values():
            for rule in ruleset["rules"]:
                if (
                    ruleset["enforcement"] == "active"
                    and rule["type"] == "pull_request"
                ):
                    demands: dict[str, Any] = rule["parameters"]
                    return demands
        return dict(replies.NO_DEMANDS)

    def _merge(self, actor: User, given: Query, number: str) -> dict[str, Any]:
        pull = self._pull(number)
        method = given.get("merge_method", "merge")
        tip = self._tip(pull.base)
        if pull.state != "open":
            refuse_merge("Pull Request is not mergeable")
        if method not in self._demands()["allowed_merge_methods"] or method != "merge":
            refuse_merge(f"{method.title()} merges are not allowed on this repository.")
        if given.get("sha", pull.head_sha) != pull.head_sha:
            raise Refusal(
                HTTPStatus.CONFLICT,
                "Head branch was modified. Review and try the merge again.",
            )
        missing = missing_approval(
            pull,
            self._demands(),
            codeowners=self._codeowners(tip),
            paths=[row["filename"] for row in self._files(actor, {}, number)],
            pusher=self._contents.pusher(pull.head_sha),
            teams=self._teams,
        )
        if missing:
            refuse_merge(f"Repository rule violations found\n\n{missing}")
        tree = self._contents.merged_tree(tip, pull.head_sha)
        if not tree:
            refuse_merge("Pull Request is not mergeable")
        self._complete(pull, actor, tree, tip, given)
        return {
            "sha": pull.merge,
            "merged": True,
            "message": "Pull Request successfully merged",
        }

    def _complete(
        self, pull: Pull, actor: User, tree: str, tip: str, given: Query
    ) -> None:
        owner = self.repository.split("/")[0]
        title = f"Merge pull request #{pull.number} from {owner}/{pull.branch}"
        message = (
            f"{given.get('commit_title', title)}\n\n"
            f"{given.get('commit_message', pull.title)}\n"
        )
        now = self.clock.now()
        pull.merge = self._git.commit_tree(
            tree,
            (tip, pull.head_sha),
            message,
            at=now,
            author=(actor.login, actor.address),
            committer=replies.GITHUB,
        )
        self._git.set_branch(pull.base, pull.merge, was=tip)
        pull.base_sha, pull.state, pull.merged_by = tip, "closed", actor
        pull.merged = pull.closed = pull.updated = now
        self._suites[pull.merge] = replies.rule_suite(
            len(self._suites) + 1,
            actor,
            tip,
            pull.merge,
            now,
            repository_name=self.repository,
        )

    def _codeowners(self, rev: str) -> bytes:
        name = f"{rev}:{CODEOWNERS}"
        return self._git.blobs([name]).get(name, b"")

    # --- rules ---

    def _list_rulesets(self, _actor: User, _query: Query) -> list[Any]:
        return [
            replies.ruleset_row(number, ruleset, self.repository)
            for number, ruleset in self.rulesets.items()
        ]

    def _get_ruleset(self, _actor: User, _query: Query, number: str) -> dict[str, Any]:
        if int(number) not in self.rulesets:
            raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")
        ruleset = self.rulesets[int(number)]
        row = replies.ruleset_row(int(number), ruleset, self.repository)
        return row | ruleset

    def _put_ruleset(self, actor: User, given: Query, number: str) -> dict[str, Any]:
        self._get_ruleset(actor, {}, number)
        self.rulesets[int(number)] |= given
        return self._get_ruleset(actor, {}, number)

    def _branch_rules(self, _actor: User, _query: Query, name: str) -> list[Any]:
        if name != BRANCH:
            return []
        return [
            replies.branch_rule(rule, number, self.repository)
            for number, ruleset in self.rulesets.items()
            if ruleset["enforcement"] == "active"
            for rule in ruleset["rules"]
        ]

    def _list_suites(self, _actor: User, query: Query) -> list[Any]:
        ref = query.get("ref", "").removeprefix("refs/heads/")
        days = _DAYS.get(query.get("time_period", "day"))
        if not days:
            refuse_invalid("time_period is not hour, day, week or month")
        since = self.clock.now() - int(days * 86_400_000)
        return [
            suite
            for suite in self._all_suites(since)
            if ref in ("", BRANCH)
            and query.get("rule_suite_result", "all") in ("all", suite["result"])
        ]

    def _get_suite(self, _actor: User, _query: Query, number: str) -> dict[str, Any]:
        for suite in self._all_suites(0):
            if suite["id"] == int(number):
                return suite | {"rule_evaluations": []}
        raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")

    def _all_suites(self, since: int) -> list[dict[str, Any]]:
        """Give the results of merges, and a bypass for whatever was pushed directly."""
        return [
            self._suites.get(push.commit)
            or replies.rule_suite(
                # Above the merges' ids, and the same whenever it is asked.
                1_000_000 + int(push.commit[:8], 16),
                push.actor or replies.NOBODY,
                push.before,
                push.commit,
                push.at,
                repository_name=self.repository,
                result="bypass",
            )
            for push in self._contents.pushes(BRANCH)
            if push.at >= since
        ]

    _routes: tuple[tuple[str, str, Handler], ...] = (
        ("GET", r"", _about),
        ("GET", r"/branches/(.+)", _branch),
        ("GET", r"/git/ref/heads/(.+)", _ref),
        ("POST", r"/pulls", _open),
        ("GET", r"/pulls", _list),
        ("GET", r"/pulls/(\d+)", _get),
        ("PATCH", r"/pulls/(\d+)", _edit),
        ("GET", r"/pulls/(\d+)/files", _files),
        ("GET", r"/pulls/(\d+)/commits", _commits),
        ("GET", r"/pulls/(\d+)/reviews", _list_reviews),
        ("POST", r"/pulls/(\d+)/reviews", _review),
        (
            "PUT",
            r"/pulls/(\d+)/reviews/(\d+)/dismissals",
            _dismiss,
        ),
        ("GET", r"/issues/(\d+)/events", _list_events),
        ("PUT", r"/pulls/(\d+)/merge", _merge),
        ("GET", r"/rulesets", _list_rulesets),
        ("GET", r"/rulesets/rule-suites", _list_suites),
        ("GET", r"/rulesets/rule-suites/(\d+)", _get_suite),
        ("GET", r"/rulesets/(\d+)", _get_ruleset),
        ("PUT", r"/rulesets/(\d+)", _put_ruleset),
        ("GET", r"/rules/branches/(.+)", _branch_rules),
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "Problems parsing JSON")
    return given
