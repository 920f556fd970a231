# SPDX-License-Identifier: Apache-2.0
"""The shapes of the sandbox's GitHub replies, with GitHub's field names.

Rules enforced here:
- times are whole seconds, as GitHub writes them;
- addresses of pages are below a reserved name: nobody follows one to the real GitHub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlbook.timeline import SECOND, Instant, iso

from .github_pulls import User

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .github_pulls import Dismissal, Pull, Review

WEB = "https://github.example"
GITHUB = ("GitHub", "noreply@github.com")
NOBODY = User(login="", id=0)
COLLECTOR_APP = 910_001
"""The App that may push evidence without a review: the only bypass actor."""

NO_DEMANDS: Mapping[str, Any] = {
    "required_approving_review_count": 0,
    "dismiss_stale_reviews_on_push": False,
    "require_code_owner_review": False,
    "require_last_push_approval": False,
    "required_review_thread_resolution": False,
    "allowed_merge_methods": ["merge", "squash", "rebase"],
}


def default_ruleset() -> dict[str, Any]:
    """Give the ruleset that a programme's main branch should have."""
    return {
        "name": "main",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "bypass_actors": [
            {
                "actor_id": COLLECTOR_APP,
                "actor_type": "Integration",
                "bypass_mode": "always",
            }
        ],
        "rules": [
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {
                "type": "pull_request",
                "parameters": {
                    "required_approving_review_count": 1,
                    "dismiss_stale_reviews_on_push": True,
                    "require_code_owner_review": True,
                    "require_last_push_approval": True,
                    "required_review_thread_resolution": False,
                    "allowed_merge_methods": ["merge"],
                },
            },
        ],
    }


def user(account: User) -> dict[str, Any]:
    """Show an account."""
    return {
        "login": account.login,
        "id": account.id,
        "node_id": f"U_{account.id}",
        "type": account.type,
        "site_admin": False,
        "html_url": f"{WEB}/{account.login.removesuffix('[bot]')}",
    }


def repository(name: str, branch: str) -> dict[str, Any]:
    """Show the repository."""
    owner, _, short = name.partition("/")
    return {
        "id": 1,
        "node_id": "R_1",
        "name": short,
        "full_name": name,
        "private": True,
        "owner": {"login": owner, "id": 1, "type": "Organization"},
        "html_url": f"{WEB}/{name}",
        "default_branch": branch,
    }


def branch(name: str, tip: str, *, protected: bool) -> dict[str, Any]:
    """Show a branch."""
    return {"name": name, "commit": {"sha": tip}, "protected": protected}


def ref(name: str, tip: str) -> dict[str, Any]:
    """Show a branch as a Git reference."""
    return {
        "ref": f"refs/heads/{name}",
        "node_id": f"REF_{name}",
        "object": {"type": "commit", "sha": tip},
    }


def pull(shown: Pull, repository_name: str) -> dict[str, Any]:
    """Show a pull request, as a list does."""
    return {
        "id": 5_000_000 + shown.number,
        "node_id": f"PR_{shown.number}",
        "number": shown.number,
        "html_url": f"{WEB}/{repository_name}/pull/{shown.number}",
        "state": shown.state,
        "locked": False,
        "draft": False,
        "title": shown.title,
        "body": shown.body,
        "user": user(shown.author),
        "created_at": _time(shown.created),
        "updated_at": _time(shown.updated),
        "closed_at": _time(shown.closed),
        "merged_at": _time(shown.merged),
        "merged": shown.merged is not None,
        "merged_by": user(shown.merged_by) if shown.merged_by else None,
        "merge_commit_sha": shown.merge or None,
        "head": _end(shown.branch, shown.head_sha, repository_name),
        "base": _end(shown.base, shown.base_sha, repository_name),
    }


def _end(name: str, tip: str, repository_name: str) -> dict[str, Any]:
    owner = repository_name.split("/", maxsplit=1)[0]
    return {
        "label": f"{owner}:{name}",
        "ref": name,
        "sha": tip,
        "repo": {"full_name": repository_name},
    }


def review(shown: Review, on: Pull, repository_name: str) -> dict[str, Any]:
    """Show a review."""
    page = f"{WEB}/{repository_name}/pull/{on.number}"
    return {
        "id": shown.id,
        "node_id": f"PRR_{shown.id}",
        "user": user(shown.user),
        "body": shown.body,
        "state": shown.state,
        "html_url": f"{page}#pullrequestreview-{shown.id}",
        "pull_request_url": page,
        "submitted_at": _time(shown.submitted),
        "commit_id": shown.commit,
        "author_association": "MEMBER",
    }


def dismissal(shown: Review, of: Dismissal, repository_name: str) -> dict[str, Any]:
    """Show, among a pull request's events, that a review was dismissed."""
    id_ = 3_000_000 + shown.id
    return {
        "id": id_,
        "node_id": f"RDE_{id_}",
        "url": f"{WEB}/repos/{repository_name}/issues/events/{id_}",
        "actor": user(of.by),
        "event": "review_dismissed",
        "commit_id": None,
        "commit_url": None,
        "created_at": _time(of.at),
        "performed_via_github_app": None,
        "dismissed_review": {
            "state": of.was,
            "review_id": shown.id,
            "dismissal_message": of.message,
        },
    }


def ruleset_row(
    number: int, ruleset: Mapping[str, Any], repository_name: str
) -> dict[str, Any]:
    """Show a ruleset, as a list does."""
    return {
        "id": number,
        "node_id": f"RRS_{number}",
        "name": ruleset["name"],
        "target": ruleset["target"],
        "source_type": "Repository",
        "source": repository_name,
        "enforcement": ruleset["enforcement"],
    }


def branch_rule(
    rule: Mapping[str, Any], ruleset: int, repository_name: str
) -> dict[str, Any]:
    """Show a rule that is in force for a branch, and where it comes from."""
    return {
        **rule,
        "ruleset_source_type": "Repository",
        "ruleset_source": repository_name,
        "ruleset_id": ruleset,
    }


def rule_suite(
    number: int,
    actor: User,
    before: str,
    after: str,
    at: Instant,
    *,
    repository_name: str,
    result: str = "pass",
) -> dict[str, Any]:
    """Show how one push fared under the rules."""
    return {
        "id": number,
        "actor_id": actor.id,
        "actor_name": actor.login,
        "before_sha": before,
        "after_sha": after,
        "ref": "refs/heads/main",
        "repository_id": 1,
        "repository_name": repository_name.split("/")[1],
        "pushed_at": _time(at),
        "result": result,
        "evaluation_result": result,
    }


def _time(moment: Instant | None) -> str | None:
    if moment is None:
        return None
    return iso(Instant(moment - moment % SECOND))
