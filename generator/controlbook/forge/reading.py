# SPDX-License-Identifier: Apache-2.0
"""From GitHub's captured answers to a pull request of the ledger.

Pure, so that a verifier can read the locked answers again and compare.

Rules enforced here:
- identity is the numeric id; a login or an e-mail address is only shown;
- every review is kept, in GitHub's order of submission; nothing is judged here;
- a result that GitHub did not give stays empty: it is not a pass;
- both names of a renamed file count as touched.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from controlbook.digest import sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.model import Pull, Review
from controlbook.timeline import instant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.timeline import Instant, Interval

    from . import Answer

# They differ between two askers, or between two asks, under the same rules.
_VOLATILE = {"_links", "node_id", "current_user_can_bypass"}
_PART = re.compile(
    r"GET /repos/[^/]+/[^/]+/pulls/\d+(/files|/reviews|/commits)?(?:\?|$)"
)
_SUITES = "/rulesets/rule-suites?"


def read_pull(
    answers: Iterable[Answer], rules: Iterable[Answer], ruleset_sha256: str
) -> tuple[Pull, tuple[str, ...]]:
    """Read one pull request from its answers; also give what GitHub cut off."""
    parts: dict[str, list[Any]] = {"": [], "/files": [], "/reviews": [], "/commits": []}
    for answer in answers:
        match = _PART.match(answer.request)
        if match:
            read = _json(answer)
            parts[match[1] or ""] += read if isinstance(read, list) else [read]
    (row,) = parts[""]
    files, commits = parts["/files"], parts["/commits"]
    pull = Pull(
        number=row["number"],
        url=_text(row["html_url"]),
        title=_text(row["title"]),
        author_id=_id(row["user"]),
        author_login=_login(row["user"]),
        author_type=(row["user"] or {}).get("type", ""),
        base=row["base"]["sha"],
        head=row["head"]["sha"],
        merge=row["merge_commit_sha"],
        merged_by_id=_id(row["merged_by"]),
        merged_at=instant(row["merged_at"]),
        pushers=_people(commits),
        paths=_paths(files),
        reviews=tuple(
            # Nobody but its writer sees a review that is not submitted yet.
            _review(review)
            for review in parts["/reviews"]
            if review["state"] != "PENDING"
        ),
        ruleset_sha256=ruleset_sha256,
        rule_suite=_suite_result(rules, row["merge_commit_sha"]),
    )
    cut = [
        f"GitHub lists {len(found)} of {row[field]} {field.split('_')[-1]}"
        f" of pull request {row['number']}"
        for field, found in (("changed_files", files), ("commits", commits))
        if row[field] != len(found)
    ]
    return pull, tuple(cut)


def merged_within(row: Any, window: Interval) -> bool:  # noqa: ANN401 - JSON
    """Tell whether a listed pull request was merged in the window."""
    return bool(row["merged_at"]) and window.contains(instant(row["merged_at"]))


def updated_before(row: Any, moment: Instant) -> bool:  # noqa: ANN401 - JSON
    """Tell whether a listed pull request was last touched before an instant."""
    return instant(row["updated_at"]) < moment


def rules_digest(answers: Iterable[Answer]) -> str:
    """Give the SHA-256 over the rules in force; results of pushes do not count."""
    kept = [
        [answer.request, _stable(_json(answer))]
        for answer in sorted(answers)
        if _SUITES not in answer.request
    ]
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode())


def _suite_result(rules: Iterable[Answer], merge: str) -> str:
    for answer in rules:
        suites = _json(answer) if _SUITES in answer.request else []
        for suite in suites if isinstance(suites, list) else []:
            if suite["after_sha"] == merge:
                return str(suite["result"])
    return ""


def _review(row: Any) -> Review:  # noqa: ANN401 - JSON
    return Review(
        id=str(row["id"]),
        user_id=_id(row["user"]),
        user_login=_login(row["user"]),
        user_type=(row["user"] or {}).get("type", ""),
        state=row["state"],
        commit=row["commit_id"] or "",
        submitted=instant(row["submitted_at"]),
    )


def _people(commits: Iterable[Any]) -> tuple[str, ...]:
    people = {
        _id(commit[role]) for commit in commits for role in ("author", "committer")
    }
    return tuple(sorted(people - {""}))


def _paths(files: Iterable[Any]) -> tuple[str, ...]:
    names = {
        row[field]
        for row in files
        for field in ("filename", "previous_filename")
        if row.get(field)
    }
    return tuple(sorted(_text(name) for name in names))


def _id(user: Any) -> str:  # noqa: ANN401 - JSON; a deleted account is null
    return str(user["id"]) if user else ""


def _login(user: Any) -> str:  # noqa: ANN401 - JSON
    return _text(user["login"]) if user else ""


def _text(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _stable(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {k: _stable(v) for k, v in value.items() if k not in _VOLATILE}
    if isinstance(value, list):
        return [_stable(item) for item in value]
    return value


def _json(answer: Answer) -> Any:  # noqa: ANN401 - JSON from outside
    try:
        return json.loads(answer.body)
    except ValueError as error:
        message = "the answer is not JSON"
        raise ControlbookError(
            message,
            place=answer.request,
            advice="collect again",
            code=Exit.UNAVAILABLE,
        ) from error
