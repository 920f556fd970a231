# SPDX-License-Identifier: Apache-2.0
"""The `snapshot` stream: what a read-only AWS call answers, at one instant.

Rules enforced here:
- only calls that readonly.py allows are made, and only operations that botocore knows;
- a listing is followed by botocore's own paginator, or by its token where there is
  none; a token that comes back, or a page that cannot be followed, is a failure and
  never a shorter list;
- "there is none" (a password policy, a public access block) is an answer;
- of the answer only names, counts and digests leave the vault, and what looks like a
  secret gives a digest for a name.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ParamValidationError
from botocore.paginate import Paginator

from controlbook.model import Snapshot
from controlbook.readonly import refusal, regionless

from . import SourceError
from .aws import restarting
from .looking import Item, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from controlbook.model import EvidenceSource

    from . import Place
    from .aws import Answer, Conversation
    from .looking import Before

NONE_THERE = frozenset(
    {
        "NoSuchEntity",
        "NoSuchEntityException",
        "NoSuchPublicAccessBlockConfiguration",
        "ReplicationConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
"""Error codes that say: there is no such setting."""
NO_PLAN = "SubscriptionRequiredException"
"""The account's support plan leaves Trusted Advisor out: nothing can be known."""
TOKENS = ("NextToken", "nextToken", "Marker", "NextMarker", "PaginationToken")
TRIES, PAUSE = 20, 2.0
"""How often, and after how many seconds, a credential report is asked for again."""

_PLAIN = re.compile(r"[\w+=,.@:/ \-]{1,160}\Z")
_KEY_LIKE = re.compile(r"A[KS]IA[A-Z0-9]{12,}|[A-Za-z0-9+/]{40,}={0,2}\Z")


class Snapshots:
    """Asks the calls that controls name."""

    stream = "snapshot"

    def __init__(self, pause: Callable[[float], None] = time.sleep) -> None:
        """Wait with `pause` for what AWS has to prepare first."""
        self._pause = pause

    def wanted(self, evidence: EvidenceSource) -> bool:
        """Tell whether this kind of evidence belongs to the stream."""
        return isinstance(evidence, Snapshot)

    def regional(self, evidence: EvidenceSource) -> bool:
        """Tell whether it is asked in every Region, or once for an account."""
        call = evidence.call if isinstance(evidence, Snapshot) else ""
        return not regionless(call)

    def ask(
        self,
        talk: Conversation,
        place: Place,
        due: Mapping[str, EvidenceSource],
        before: Mapping[str, Before],
    ) -> Mapping[str, Seen | SourceError]:
        """Make every call that is due in one place."""
        del before  # an answer is what it is, whatever was before
        found: dict[str, Seen | SourceError] = {}
        for key, evidence in due.items():
            if isinstance(evidence, Snapshot):
                found[key] = self._one(talk, place, evidence)
        return found

    def _one(
        self, talk: Conversation, place: Place, evidence: Snapshot
    ) -> Seen | SourceError:
        refused = refusal(evidence.call)
        if refused:
            return SourceError(refused, evidence.call)
        recipe = _RECIPES.get(evidence.call)
        asked = dict(evidence.parameters)
        try:
            if recipe:
                return recipe(talk, place, asked, self._pause)
            service, _, operation = evidence.call.partition(":")
            answers = pages(talk, place, service, operation, asked)
        except SourceError as error:
            if error.answer in NONE_THERE:
                return Seen(result=error.answer)
            if error.answer == NO_PLAN:
                return Seen(state="no-support-plan", result=NO_PLAN)
            return error
        return seen(answers)


def pages(
    talk: Conversation,
    place: Place,
    service: str,
    operation: str,
    parameters: Mapping[str, object],
) -> list[Answer]:
    """Read every page of a call's answer; SourceError where it has no clean end."""
    name = f"{service}:{operation}"
    model = talk.aws.client(service, *place).meta.service_model
    if operation not in model.operation_names:
        message = "AWS has no such call, as far as boto3 knows"
        raise SourceError(message, name, "correct the control, or update")
    shape = model.operation_model(operation).input_shape
    given = {key: _typed(shape, key, value) for key, value in parameters.items()}
    ask = partial(talk.ask, service, xform_name(operation), place)
    paging = talk.aws.paging(service, operation)

    def read() -> list[Answer]:
        if paging is None:
            return list(_followed(ask, shape, given, name))
        guarded = _Guarded(ask, paging, name)
        method: Any = guarded  # the stubs take it for a name; botocore calls it
        listing: Paginator[Any]
        listing = Paginator(method, dict(paging), model.operation_model(operation))
        return list(listing.paginate(**given))

    try:
        return restarting(read)
    except ParamValidationError as error:
        raise SourceError(str(error), name, "name its parameters") from error
    except BotoCoreError as error:
        raise SourceError(str(error), name) from error


class _Guarded:
    """A call that refuses to be asked for the same page twice."""

    def __init__(
        self, ask: Callable[..., Answer], paging: Mapping[str, Any], name: str
    ) -> None:
        inputs = paging["input_token"]
        self._inputs = inputs if isinstance(inputs, list) else [inputs]
        self._ask, self._name = ask, name
        self._seen: set[str] = set()

    def __call__(self, **parameters: object) -> Answer:
        mark = repr([parameters.get(name) for name in self._inputs])
        if mark in self._seen:
            message = "the listing gave the same page token twice"
            raise SourceError(message, self._name)
        self._seen.add(mark)
        return self._ask(**parameters)


def _followed(
    ask: Callable[..., Answer],
    shape: Any,  # noqa: ANN401 - botocore's
    given: Mapping[str, object],
    name: str,
) -> Iterator[Answer]:
    """Follow a token where botocore has no paginator."""
    members = shape.members if shape else {}
    seen_tokens: set[str] = set()
    following: dict[str, object] = {}
    while True:
        page = ask(**given, **following)
        yield page
        token = next((t for t in TOKENS if page.get(t)), "")
        if not token and not page.get("IsTruncated"):
            return
        mark = str(page.get(token))
        if token not in members or mark in seen_tokens:
            message = (
                "the listing gave the same page token twice"
                if mark in seen_tokens
                else "the answer goes on, and nothing says how to follow it"
            )
            raise SourceError(message, name, answer="PartialAnswer")
        seen_tokens.add(mark)
        following = {token: page[token]}


def _typed(shape: Any, name: str, value: object) -> object:  # noqa: ANN401 - botocore's
    """Give a parameter, written as text, the type that the call wants."""
    member = shape.members.get(name) if shape else None
    kind = member.type_name if member is not None else "string"
    text = str(value)
    if kind in {"integer", "long"} and text.lstrip("-").isdigit():
        return int(text)
    if kind == "boolean":
        return text == "true"
    if kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    return value


# --- what an answer holds ----------------------------------------------------------


def seen(answers: Iterable[Answer]) -> Seen:
    """Give names, counts and digests of what the pages of an answer hold."""
    items: list[Item] = []
    counts: dict[str, int] = {}
    for page in answers:
        for member, value in page.items():
            if member in {"ResponseMetadata", "IsTruncated", *TOKENS}:
                continue
            for item in _items(member, value):
                items.append(item)
                counts[member] = counts.get(member, 0) + 1
            counts.setdefault(member, 0)
    return Seen(items=_distinct(items), counts=tuple(sorted(counts.items())))


def _items(member: str, value: object) -> Iterator[Item]:
    if isinstance(value, list):
        for each in value:
            yield _item(f"{member}/{_name(each)}", each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield _item(f"{member}/{_shown(str(key))}", each)
    else:
        yield _item(member, value)


def _item(name: str, value: object) -> Item:
    fields = (
        tuple(sorted((_shown(str(k)), digest(v)[:16]) for k, v in value.items()))
        if isinstance(value, dict)
        else ()
    )
    return Item(name=name, sha256=digest(value), fields=fields)


def _name(value: object) -> str:
    """Name one of a list: by its ARN, id or name, or else by its digest."""
    if not isinstance(value, dict):
        return _shown(str(value))
    texts = {key: v for key, v in value.items() if isinstance(v, str) and v}
    for wanted in ("arn", "id", "name", "key"):
        exact = next((k for k in texts if k.lower() == wanted), None)
        ending = next((k for k in texts if k.lower().endswith(wanted)), None)
        if exact or ending:
            return _shown(texts[exact or ending or ""])
    return f"#{digest(value)[:16]}"


def _shown(text: str) -> str:
    """Show a name as it is, but nothing that may be a key or a secret."""
    if _PLAIN.match(text) and not _KEY_LIKE.match(text):
        return text
    return f"#{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _distinct(items: Iterable[Item]) -> tuple[Item, ...]:
    """Tell equal names apart by their digests, so that none is lost."""
    found: dict[str, Item] = {}
    for item in sorted(items, key=lambda item: (item.name, item.sha256)):
        name, number = item.name, 2
        while name in found:
            name, number = f"{item.name} ({number})", number + 1
        found[name] = Item(name=name, sha256=item.sha256, fields=item.fields)
    return tuple(found.values())


def digest(value: object) -> str:
    """Give the SHA-256 of a value, whatever types AWS gave it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


# --- calls that take more than one -------------------------------------------------


def _credential_report(
    talk: Conversation,
    place: Place,
    parameters: Mapping[str, str],
    pause: Callable[[float], None],
) -> Seen:
    """Have the report made, wait for it, and give a row for each user."""
    del parameters  # the call has none
    for turn in range(TRIES):
        answer = talk.ask("iam", "generate_credential_report", place)
        if answer.get("State") == "COMPLETE":
            break
        if turn == TRIES - 1:
            message = "the credential report is not ready"
            raise SourceError(message, "iam:GenerateCredentialReport", answer="Timeout")
        pause(PAUSE)
    body = talk.ask("iam", "get_credential_report", place)["Content"]
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8"))))
    if not rows or any(row.get("user") is None or None in row for row in rows):
        message = "the credential report is no table of users"
        raise SourceError(message, "iam:GetCredentialReport", answer="PartialAnswer")
    items = [_item(f"user/{_shown(row['user'])}", row) for row in rows]
    return Seen(items=_distinct(items), counts=(("user", len(items)),))


def _trusted_advisor(
    talk: Conversation,
    place: Place,
    parameters: Mapping[str, str],
    pause: Callable[[float], None],
) -> Seen:
    """Give the result of every Trusted Advisor check, or of the one that is named."""
    del pause  # results are there or not
    named = parameters.get("checkId")
    checks = talk.ask(
        "support", "describe_trusted_advisor_checks", place, language="en"
    )
    names = {row["id"]: row["name"] for row in checks["checks"]}
    items, counts = [], dict.fromkeys(("ok", "warning", "error", "not_available"), 0)
    for check in [named] if named else sorted(names):
        answer = talk.ask(
            "support",
            "describe_trusted_advisor_check_result",
            place,
            checkId=check,
            language="en",
        )
        result = answer["result"]
        counts[result["status"]] = counts.get(result["status"], 0) + 1
        name = _shown(names.get(check, check))
        found = {k: v for k, v in result.items() if k != "timestamp"}
        item = _item(f"check/{name}", found)
        items.append(item)
    return Seen(items=_distinct(items), counts=tuple(sorted(counts.items())))


_RECIPES: Mapping[str, Callable[..., Seen]] = {
    "iam:GetCredentialReport": _credential_report,
    "support:DescribeTrustedAdvisorCheckResult": _trusted_advisor,
}
