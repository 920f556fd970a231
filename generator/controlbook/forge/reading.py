# SPDX-License-Identifier: Apache-2.0
"""From GitHub's captured answers to a pull request of the ledger.

Pure, so that a verifier can read the locked answers again and compare.

Rules enforced here:
- identity is the numeric id; a login or an e-mail address is only shown;
- every review is kept, in GitHub's order of submission; nothing is judged here;
- a result that GitHub did not give stays empty: it is not a pass;
- both names of a renamed file count as touched;
- of a review's text the SSH signatures are kept, and nothing else: the text stays in
  the vault.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from controlbook.digest import sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.model import Pull, Review, Signature
from controlbook.timeline import instant

from . import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controlbook.timeline import Instant, Interval

# They differ between two askers, or between two asks, under the same rules.
_VOLATILE = {"_links", "node_id", "current_user_can_bypass"}
_PART = re.compile(
    r"GET /repos/[^/]+/[^/]+/pulls/(\d+)(/files|/reviews|/commits)?(?:\?|$)"
)
_ARMOUR = re.compile(
    r"(?P<path>signoffs/[A-Za-z0-9._()-]+/(?:controls|requirements)/"
    r"[A-Za-z0-9._()-]+\.yml)"
    r"|(?P<text>^-----BEGIN SSH SIGNATURE-----\n(?:[A-Za-z0-9+/=]{1,80}\n){1,80}"
    r"-----END SSH SIGNATURE-----$)",
    re.ASCII | re.MULTILINE,
)
_SUITES = "/rulesets/rule-suites?"
_LISTING = "/pulls?"


def read_pulls(answers: Iterable[Answer]) -> tuple[tuple[Pull, ...], tuple[str, ...]]:
    """Read the pull requests of a capture, and notes on what GitHub kept back.

    Only those that were asked for whole are given: those that touch governed paths.
    """
    rules: list[Answer] = []
    parts: dict[int, dict[str, list[Any]]] = {}
    for answer in sorted(answers, key=_place):
        match = _PART.match(answer.request)
        if not match:
            rules.append(answer)
            continue
        read = _json(answer)
        rows = read if isinstance(read, list) else [read]
        parts.setdefault(int(match[1]), {}).setdefault(match[2] or "", []).extend(rows)
    digest, suites = rules_digest(rules), _suite_results(rules)
    pulls = [
        _pull(found, digest, suites) for found in parts.values() if "/reviews" in found
    ]
    pulls.sort(key=lambda pull: (pull.merged_at, pull.number))
    notes = [note for _, found in sorted(parts.items()) for note in _cut(found)]
    return tuple(pulls), (*_refusals(rules), *notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissal:
    """Who dismissed a review, and when: GitHub keeps it apart from the review."""

    by: str
    """Numeric id."""
    at: Instant


def read_dismissals(answers: Iterable[Answer]) -> dict[str, Dismissal]:
    """Read a pull request's events: review → how it was dismissed last."""
    return {
        str(row["dismissed_review"]["review_id"]): Dismissal(
            by=_id(row["actor"]), at=instant(row["created_at"])
        )
        for answer in answers
        for row in _json(answer)
        if row["event"] == "review_dismissed"
    }


def _place(answer: Answer) -> tuple[str, int]:
    """Order answers by what was asked, and pages by their number."""
    path, _, query = answer.request.partition("?")
    return path, int(dict(parse_qsl(query)).get("page", "1"))


def touched(files: Iterable[Answer]) -> tuple[str, ...]:
    """Name the paths that a pull request touched, by the answers to `/files`."""
    return _paths(row for answer in files for row in _json(answer))


def _pull(
    parts: Mapping[str, list[Any]], digest: str, suites: Mapping[str, str]
) -> Pull:
    (row,) = parts[""]
    return Pull(
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
        pushers=_pushers(parts["/commits"]),
        paths=_paths(parts["/files"]),
        reviews=tuple(
            # Nobody but its writer sees a review that is not submitted yet.
            _review(review)
            for review in parts["/reviews"]
            if review["state"] != "PENDING"
        ),
        ruleset_sha256=digest,
        rule_suite=suites.get(row["merge_commit_sha"], ""),
    )


def _cut(parts: Mapping[str, list[Any]]) -> Iterator[str]:
    (row,) = parts[""]
    for field, part in (("changed_files", "/files"), ("commits", "/commits")):
        if part in parts and row[field] != len(parts[part]):
            yield (
                f"GitHub lists {len(parts[part])} of {row[field]} {part[1:]}"
                f" of pull request #{row['number']}"
            )


def _refusals(rules: Iterable[Answer]) -> Iterator[str]:
    for answer in rules:
        if answer.status != HTTPStatus.OK:
            read = _json(answer)
            said = read.get("message", "") if isinstance(read, dict) else ""
            yield f"GitHub does not tell {answer.request.split(' ')[1]}: {_text(said)}"


def answer_line(answer: Answer) -> bytes:
    """Write an answer as a record of a pack; the body keeps its bytes."""
    row = {
        "body": answer.body.decode("utf-8", "surrogateescape"),
        "request": answer.request,
        "status": answer.status,
    }
    return json.dumps(row, sort_keys=True, separators=(",", ":")).encode()


def read_answer(line: bytes) -> Answer:
    """Read an answer back from a record of a pack."""
    row = json.loads(line)
    return Answer(
        request=row["request"],
        status=row["status"],
        body=row["body"].encode("utf-8", "surrogateescape"),
    )


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
        if _SUITES not in answer.request and _LISTING not in answer.request
    ]
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode())


def _suite_results(rules: Iterable[Answer]) -> dict[str, str]:
    return {
        suite["after_sha"]: str(suite["result"])
        for answer in rules
        if _SUITES in answer.request and answer.status == HTTPStatus.OK
        for suite in _json(answer)
    }


def _review(row: Any) -> Review:  # noqa: ANN401 - JSON
    return Review(
        id=str(row["id"]),
        user_id=_id(row["user"]),
        user_login=_login(row["user"]),
        user_type=(row["user"] or {}).get("type", ""),
        state=row["state"],
        commit=row["commit_id"] or "",
        submitted=instant(row["submitted_at"]),
        signatures=signatures_in(row.get("body") or ""),
    )


def signatures_in(body: str) -> tuple[Signature, ...]:
    """Find the armoured SSH signatures in a review's text.

    The path of a sign-off file that stands before a signature says which file it is
    over, so that not every signature has to be tried on every file.
    """
    found, path = [], ""
    for part in _ARMOUR.finditer(body.replace("\r\n", "\n")):
        if part["path"]:
            path = part["path"]
        else:
            found.append(Signature(path=path, text=f"{part['text']}\n"))
            path = ""
    return tuple(found)


def _pushers(commits: Iterable[Any]) -> tuple[str, ...]:
    """Name authors and committers in the order of their last commit."""
    people = [
        commit[role]
        for commit in commits
        for role in ("author", "committer")
        # GitHub's own account commits what its authors edit on the web.
        if _login(commit[role]) != "web-flow"
    ]
    ids = [_id(person) for person in people if person]
    return tuple(reversed(dict.fromkeys(reversed(ids))))


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
