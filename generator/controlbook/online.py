# SPDX-License-Identifier: Apache-2.0
"""Asking the vault what became of every object, and GitHub what it says of reviews.

Rules enforced here (T05 to T08, T11, T12, T19, T24, T57, T90):
- what is read is the version that was recorded, never the newest; a version that is
  gone from a vault that answers is an integrity fault;
- a delete marker and a further version are signs of tampering, and say so, though what
  was recorded still reads;
- a lock that is shorter, weaker or gone is an integrity fault; one that was extended is
  not;
- what the vault has and does not give is unreadable, never intact and never gone;
- a review that GitHub tells otherwise, or that was left out, is an integrity fault; so
  is an approval that had been dismissed before it was captured. One that was dismissed
  afterwards counted at its time: it is found (exit 1). What else came after the capture
  is only told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .digest import sha256
from .errors import ControlbookError
from .faults import Fault, Faults, lacking, remark, still_open, wrong
from .forge.reading import read_pulls
from .timeline import DAY, MINUTE, SECOND, iso
from .vault import NotInVaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from .forge.github import GitHub
    from .forge.reading import Dismissal
    from .keeping import Kept
    from .model import Ledger, Pull, Review, Run
    from .timeline import Instant
    from .vault import History, Lock
    from .vault.s3 import S3Vault

    Histories = Mapping[str, History]

MODE = "COMPLIANCE"
GONE = "DISMISSED"
SKEW_NOTED = 5 * MINUTE
SKEW_REFUSED = DAY


def open_s3(url: str) -> S3Vault:
    """Open a vault that can be asked, with the credentials of whoever asks."""
    if not url.startswith("s3://"):
        message = "the vault is a folder, and only a bucket can be asked"
        advice = "give a copy of it with --raw"
        raise ControlbookError(message, place=url, advice=advice)
    from .vault.s3 import S3Vault  # noqa: PLC0415 - boto3 takes long to load

    return S3Vault(url)


def lock_faults(items: Sequence[Kept]) -> Faults:
    """Hold the recorded locks against what is wanted, without asking the vault."""
    for item in items:
        if item.lock_until < item.wanted:
            yield wrong(
                f"{_name(item)}: was locked until {iso(item.lock_until)}, and has to be"
                f" kept until {iso(item.wanted)}; --online tells whether it was"
                " extended"
            )


def ask(
    vault: S3Vault,
    items: Sequence[Kept],
    ledger: Ledger,
    *,
    replica: S3Vault | None = None,
    watch: Callable[[int, int], None] = lambda _done, _of: None,
) -> Faults:
    """Compare what the vault holds now with what the ledger says of it."""
    histories = yield from _histories(vault)
    copies = yield from _histories(replica)
    for number, item in enumerate(items):
        watch(number, len(items))
        yield from _item_faults(vault, item, histories)
        if replica is not None and copies is not None:
            yield from _copy_faults(replica, vault, item, copies)
    watch(len(items), len(items))
    if histories is not None:
        yield from _time_faults(ledger, histories)
        yield from _later(items, histories)


def _histories(
    vault: S3Vault | None,
) -> Generator[Fault, None, Histories | None]:
    if vault is None:
        return None
    try:
        return vault.history("")
    except ControlbookError as error:
        yield lacking(f"{vault.url}: its versions cannot be listed: {error.message}")
        return None


def _name(item: Kept) -> str:
    if item.role == "manifest":
        return item.key
    return f"{item.owner}: {item.role} pack {item.key}"


def _item_faults(vault: S3Vault, item: Kept, histories: Histories | None) -> Faults:
    what = _name(item)
    if item.bucket not in ("", vault.bucket):
        yield lacking(f"{what}: is recorded in {item.bucket}, not in {vault.bucket}")
        return
    key = item.key.removeprefix(vault.prefix)
    version = item.version_id
    if histories is not None:
        own = histories.get(key)
        ids = [each.id for each in own.versions] if own else []
        if own is None or not ids or (version and version not in ids):
            yield wrong(f"{what}: is gone from the vault: it was deleted there")
            return
        version = version or ids[0]
        yield from _signs(what, own, version)
    elif not version:
        yield lacking(f"{what}: without a list of versions, none can be chosen")
        return
    try:
        body, lock = vault.examine(key, version)
    except NotInVaultError:
        yield wrong(f"{what}: is gone from the vault: it was deleted there")
        return
    except ControlbookError as error:
        yield lacking(f"{what}: unreadable: {error.message}")
        return
    if sha256(body) != item.sha256:
        yield wrong(f"{what}: the vault holds other bytes than were recorded")
    yield from _held_faults(what, item, lock)


def _signs(what: str, own: History, version: str) -> Faults:
    for marker in own.markers:
        yield still_open(
            f"{what}: sign of tampering: a delete marker was put on it at"
            f" {iso(marker.at)}; the version that was recorded is still there"
        )
    for other in own.versions:
        if other.id != version:
            yield still_open(
                f"{what}: sign of tampering: another version ({other.id}) was written"
                f" at {iso(other.at)}; the one that was recorded is still there"
            )


def _held_faults(what: str, item: Kept, lock: Lock) -> Faults:
    mode = item.lock_mode or MODE
    if mode == "none":
        yield wrong(f"{what}: was recorded without a lock, and is now in a bucket")
    elif lock.mode != mode:
        yield wrong(f"{what}: its lock is {lock.mode or 'gone'}, not {mode}")
    elif lock.until < item.lock_until:
        yield wrong(
            f"{what}: its lock was shortened to {iso(lock.until)} from"
            f" {iso(item.lock_until)}"
        )
    elif lock.until < item.wanted:
        yield wrong(
            f"{what}: is locked until {iso(lock.until)}, and has to be kept until"
            f" {iso(item.wanted)}: extend it with `controlbook retain`"
        )


def _copy_faults(
    replica: S3Vault, vault: S3Vault, item: Kept, copies: Histories
) -> Faults:
    what = f"{_name(item)}: its copy in {replica.url}"
    key = item.key.removeprefix(vault.prefix)
    own = copies.get(key)
    if own is None or not own.versions:
        yield lacking(f"{what} is not there")
        return
    # Replication keeps the version id; a copy that people made has one of its own.
    ids = [each.id for each in own.versions]
    version = item.version_id if item.version_id in ids else ids[0]
    try:
        body, lock = replica.examine(key, version)
    except ControlbookError as error:
        yield lacking(f"{what} is unreadable: {error.message}")
        return
    if sha256(body) != item.sha256:
        yield wrong(f"{what} has other bytes than were recorded")
    elif lock.mode != MODE or lock.until < max(item.lock_until, item.wanted):
        yield wrong(f"{what} has a lock that is weaker or shorter than the vault's")


def _time_faults(ledger: Ledger, histories: Histories) -> Faults:
    """Compare when runs say they finished with when the vault took their manifests."""
    for stream, runs in sorted(ledger.runs.items()):
        for run in runs:
            if run.endpoint not in ("aws", "github"):
                continue  # a sandbox keeps its own time
            key = f"ledger/{stream}/{run.seq:06d}.json"
            own = histories.get(key)
            if own is None or not own.versions:
                continue  # said already
            taken = own.versions[0].at
            skew = abs(taken - run.finished)
            text = (
                f"{key}: says that it was finished at {iso(run.finished)}, and the"
                f" vault took it at {iso(taken)}"
            )
            if skew > SKEW_REFUSED:
                yield wrong(text)
            elif skew > SKEW_NOTED:
                yield remark(f"{text}: {skew // SECOND} s apart")


def _later(items: Sequence[Kept], histories: Histories) -> Faults:
    """Say how much the vault holds that came after this ledger."""
    ours = {item.key for item in items}
    streams = {key.split("/")[1] for key in ours if key.startswith("ledger/")}
    later = [
        key
        for key in histories
        if key.startswith("ledger/")
        and key not in ours
        and key.split("/")[1] in streams
    ]
    if later:
        yield remark(
            f"the vault holds {len(later)} manifests that this ledger does not, from"
            f" {min(later)}: later ones are due, earlier ones are not"
        )


# --- GitHub ---------------------------------------------------------------------------


def ask_github(github: GitHub, ledger: Ledger) -> Faults:
    """Ask GitHub again for every captured pull request, and compare (T57)."""
    for run in ledger.runs.get("reviews", ()):
        for pull in run.pulls:
            what = f"reviews {run.seq:06d}: pull request {pull.number}"
            try:
                now, _ = read_pulls(github.pull(pull.number))
            except ControlbookError as error:
                yield lacking(f"{what}: {error.message}")
                return  # whoever does not answer once is not asked a hundred times
            if not now:
                yield wrong(f"{what}: {github.repository} has no such pull request")
                continue
            try:
                dismissed = _dismissals(github, pull, now[0])
            except ControlbookError as error:
                yield lacking(f"{what}: {error.message}")
                return
            for fault in _pull_faults(pull, now[0], run, dismissed):
                yield fault[0], f"{what}: {fault[1]}"


def _dismissals(github: GitHub, then: Pull, now: Pull) -> Mapping[str, Dismissal]:
    """Ask when reviews were dismissed, where one is that was captured otherwise."""
    old = {review.id: review.state for review in then.reviews}
    if any(r.state == GONE and old.get(r.id, GONE) != GONE for r in now.reviews):
        return github.dismissals(now.number)
    return {}


def _pull_faults(
    then: Pull, now: Pull, run: Run, dismissed: Mapping[str, Dismissal]
) -> Faults:
    for field, ours, theirs in (
        ("author", then.author_id, now.author_id),
        ("base", then.base, now.base),
        ("head", then.head, now.head),
        ("merge commit", then.merge, now.merge),
        ("person who merged it", then.merged_by_id, now.merged_by_id),
        ("time of the merge", iso(then.merged_at), iso(now.merged_at)),
        ("files", ", ".join(then.paths), ", ".join(now.paths)),
    ):
        if ours != theirs:
            yield wrong(f"its {field} was captured as {ours}; GitHub says {theirs}")
    reviews = {review.id: review for review in now.reviews}
    for review in then.reviews:
        answer = reviews.pop(review.id, None)
        if answer is None:
            yield wrong(f"GitHub knows no review {review.id} by {review.user_id}")
        elif answer.state == GONE and replace(answer, state=review.state) == review:
            yield _taken_back(review, dismissed.get(review.id), run.started)
        elif _word(answer) != _word(review):
            yield wrong(
                f"review {review.id} was captured as {_word(review)};"
                f" GitHub says {_word(answer)}"
            )
        elif answer.signatures != review.signatures:
            yield wrong(f"review {review.id} carries other signatures on GitHub")
    for review in reviews.values():
        if review.submitted < run.finished:
            yield wrong(f"GitHub has review {review.id}, {_word(review)}: left out")
        else:
            yield remark(f"since the capture: review {review.id}, {_word(review)}")


def _taken_back(review: Review, how: Dismissal | None, captured: Instant) -> Fault:
    """Tell a review that was taken back afterwards from one that had been before.

    What counted when it was released stays released, judged at its tag; that somebody
    took the approval back is for a reader to know, and an addendum's to answer (T54).
    """
    was = f"review {review.id}, captured as {_word(review)}, "
    if how is None:
        return lacking(f"{was}is dismissed, and GitHub does not tell since when")
    by = f"was dismissed by {how.by or 'an account that is gone'} at {iso(how.at)}"
    if how.at < captured:
        return wrong(f"{was}{by}: before the capture, which says otherwise")
    return still_open(
        f"{was}{by}, after it was captured: it counted at the time of the release, and"
        " would not count in a new one"
    )


def _word(review: Review) -> str:
    return (
        f"{review.state} by {review.user_id} ({review.user_type}) on"
        f" {review.commit[:12]} at {iso(review.submitted)}"
    )
