# SPDX-License-Identifier: Apache-2.0
"""Asking GitHub again what was captured from it, over real HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import released
import small
from github_world import NAME, SIGNOFF, World, world
from running import controlbook

from controlbook.errors import ControlbookError, Exit
from controlbook.forge.github import GitHub
from controlbook.forge.reading import read_pulls
from controlbook.model import Ledger, Pull
from controlbook.online import ask_github
from controlbook.timeline import DAY, HOUR, Instant
from controlbook.verify import Online, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlbook.faults import Fault
    from controlbook.verdict import Verdict

pytestmark = pytest.mark.threat("T57")
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def github(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.later(2 * HOUR)
        made.merged("sign", {SIGNOFF: b"signed\n"}, "lindqvist")
        made.later(HOUR)
        yield made


def captured(github: World) -> Pull:
    return read_pulls(github.forge().pull(1))[0][0]


def asked(github: World, pull: Pull, api: str = "") -> list[Fault]:
    """Ask about a capture that says this."""
    at = Instant(github.clock.now())
    run = replace(small.run(1), stream="reviews", pulls=(pull,), finished=at)
    forge = GitHub(NAME, token="bot", api=api, sleep=lambda _: None)  # noqa: S106
    client = forge if api else github.forge()
    github.later(DAY)
    return list(ask_github(client, Ledger(runs={"reviews": (run,)})))


def test_what_was_captured_as_it_is_passes(github: World) -> None:
    assert asked(github, captured(github)) == []


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("head", "0" * 40, "its head was captured as 0000"),
        ("merge", "0" * 40, "its merge commit was captured as 0000"),
        ("author_id", "4100123", "its author was captured as 4100123"),
        ("merged_by_id", "1", "its person who merged it was captured as 1"),
        ("paths", (), "its files was captured as ; GitHub says signoffs/"),
        ("number", 99, "pull request 99: example/payments-compliance has no such"),
    ],
)
def test_a_forged_pull_request(
    github: World, field: str, value: object, said: str
) -> None:
    changes: dict[str, Any] = {field: value}
    ((code, text),) = asked(github, replace(captured(github), **changes))
    assert code is Exit.INTEGRITY
    assert said in text


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "4100301"},
        {"user_type": "Bot"},
        {"commit": "0" * 40},
        {"state": "COMMENTED"},
        {"submitted": Instant(0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_forged_review(github: World, change: dict[str, Any]) -> None:
    pull = captured(github)
    review = replace(pull.reviews[0], **change)
    ((code, text),) = asked(github, replace(pull, reviews=(review,)))
    assert code is Exit.INTEGRITY
    assert "was captured as" in text
    assert "GitHub says APPROVED by 4100202 (User)" in text


def test_an_invented_review_and_one_that_was_left_out(github: World) -> None:
    pull = captured(github)
    invented = replace(pull.reviews[0], id="777")
    faults = asked(github, replace(pull, reviews=(invented,)))
    assert {code for code, _ in faults} == {Exit.INTEGRITY}
    said = "\n".join(text for _, text in faults)
    assert "GitHub knows no review 777" in said
    assert "APPROVED by 4100202" in said
    assert said.endswith("left out")


def test_nobody_who_answers_is_neither_a_pass_nor_a_forgery(github: World) -> None:
    ((code, text),) = asked(github, captured(github), NOBODY)
    assert code is Exit.UNAVAILABLE
    assert "GitHub cannot be reached" in text


def test_a_token_that_may_not_read_makes_nothing_a_forgery(github: World) -> None:
    client = GitHub("example/other", token="bot", api=github.url)  # noqa: S106
    run = replace(small.run(1), stream="reviews", pulls=(captured(github),))
    ((code, _),) = ask_github(client, Ledger(runs={"reviews": (run,)}))
    assert code is Exit.UNAVAILABLE


# --- the whole verifier ---------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released.example(tmp_path_factory.mktemp("asked")).release()


def said(verdict: Verdict) -> str:
    return "\n".join(c.message for c in verdict.checks if c.name == "github")


def test_verify_refuses_reviews_that_github_never_saw(
    bundle: Path, github: World
) -> None:
    # What a forger makes: a bundle whole in itself, with reviews of their own.
    verdict = verify(bundle, online=Online(github=lambda _: github.forge()))
    assert verdict.code is Exit.INTEGRITY
    assert "GitHub says" in said(verdict) or "no such pull request" in said(verdict)
    assert any("(--forge)" in text for text in verdict.not_checked)


def test_verify_says_unreachable_and_not_asked(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "bot")
    monkeypatch.setenv("GITHUB_API_URL", NOBODY)
    # Nobody listens there, so the client's waits are not reached.
    options = ("verify", str(bundle), "--online", "--forge", NAME)
    outcome = controlbook(tmp_path, *options)
    assert outcome.code is Exit.UNAVAILABLE
    assert "GitHub cannot be reached" in outcome.text
    assert "its name came from the bundle (--forge)" not in outcome.text
    monkeypatch.delenv("GITHUB_TOKEN")
    told = controlbook(tmp_path, *options).text
    assert "captured reviews: it was not asked ($GITHUB_TOKEN is not set)" in told
    offline = controlbook(tmp_path, "verify", str(bundle))
    assert offline.code is Exit.FINE
    assert "captured reviews: it was not asked (--online)" in offline.text


def test_forge_without_online_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ControlbookError, match="nobody is to be asked"):
        controlbook(tmp_path, "verify", str(bundle), "--forge", NAME)
