# SPDX-License-Identifier: Apache-2.0
"""`[tool.controlbook]` of pyproject.toml: where evidence comes from and goes to.

Rules enforced here:
- the ledger's id is a UUID, so that two programmes never share a chain;
- unknown settings are refused with the nearest known one, wrong types by name;
- keys and roots that are trusted stand here, so that reviewers answer for them;
- no credential stands here: those come from boto3's own chain and the environment.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from controlbook.model import Settings
from controlbook.reading import did_you_mean, key_flaw

if TYPE_CHECKING:
    from controlbook.reading import Page

PATH = "pyproject.toml"
STREAMS = (
    "config",
    "audit-manager",
    "cloudtrail",
    "snapshot",
    "security-hub",
    "manual",
    "reviews",
)

_TEXTS = (
    "ledger",
    "aggregator",
    "region",
    "delivery-bucket",
    "delivery-prefix",
    "trail-bucket",
    "trail-prefix",
    "collector-role",
    "vault",
    "vault-profile",
    "github",
    "branch",
    "ticket-url",
    "entity",
    "tsa-policy",
    "licensed-text",
)
_LISTS = ("checkpoint-keys", "tsa-roots")
_KEYS = (*_TEXTS, "streams", *_LISTS)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z")
GITHUB = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}\Z")
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)\Z")


def read_settings(page: Page, data: bytes) -> Settings:
    """Read the settings; what is wrong is noted on the page."""
    table = settings_table(data, page)
    if table is None:
        return Settings(ledger="")
    text = data.decode("utf-8", "replace")
    values: dict[str, str] = {}
    for key, value in table.items():
        line = _line(text, key)
        if key not in _KEYS:
            page.problem(line, f"unknown setting {key}", did_you_mean(key, _KEYS))
        elif key in _TEXTS and not isinstance(value, str):
            page.problem(line, f"{key}: is not one text", "write it in quotes")
        elif isinstance(value, str):
            values[key.replace("-", "_")] = value
    head = _line(text, "")
    if not _UUID.match(values.get("ledger", "")):
        line = _line(text, "ledger") if "ledger" in table else head
        page.problem(line, "ledger: is no UUID", "write one of your own, lower case")
    if values.get("github") and not GITHUB.match(values["github"]):
        page.problem(_line(text, "github"), "github: is not owner/name")
    if values.get("ticket_url") and "{ticket}" not in values["ticket_url"]:
        line = _line(text, "ticket-url")
        page.problem(line, "ticket-url: has no {ticket}", "say where the key goes")
    streams = _streams(page, _line(text, "streams"), table.get("streams"))
    values.setdefault("ledger", "")
    lists = {
        key.replace("-", "_"): _list(page, _line(text, key), key, table[key])
        for key in _LISTS
        if key in table
    }
    if streams:
        lists["streams"] = streams
    return Settings(**values, **lists)  # type: ignore[arg-type] # keys are checked above


def _list(page: Page, line: int, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        page.problem(line, f"{key}: is no list of texts")
        return ()
    for number, text in enumerate(value, 1):
        flaw = key_flaw(text) if key == "checkpoint-keys" else root_flaw(text)
        if flaw:
            page.problem(line, f"{key}: entry {number} {flaw}")
    return tuple(value)


def root_flaw(text: str) -> str:
    """Say what makes a text no certificate; empty where it looks like one."""
    if text.strip().startswith("-----BEGIN CERTIFICATE-----"):
        return ""
    return "is no certificate in PEM"


def settings_table(data: bytes, page: Page | None = None) -> dict[str, object] | None:
    """Give the parsed table `[tool.controlbook]`, or None where there is none."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        found = _AT_LINE.search(str(error))
        message = f"broken TOML: {_AT_LINE.sub('', str(error))}"
        if page is not None:
            page.problem(int(found[1]) if found else 1, message)
        return None
    tool = document.get("tool")
    table = tool.get("controlbook") if isinstance(tool, dict) else None
    if isinstance(table, dict):
        return table
    if page is not None:
        message = "there is no [tool.controlbook]"
        page.problem(1, message, "`controlbook init` lays one down")
    return None


def _streams(page: Page, line: int, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        page.problem(line, "streams: is no list of texts")
        return ()
    for name in value:
        if name not in STREAMS:
            advice = did_you_mean(name, STREAMS)
            page.problem(line, f"streams: unknown stream {name!r}", advice)
    return tuple(value)


def _line(text: str, key: str) -> int:
    """Find the line of a setting; tomllib tells none."""
    inside, head = False, 1
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if bare.startswith("["):
            inside = bare == "[tool.controlbook]"
            head = number if inside else head
        elif inside and key and re.match(rf"[\"']?{re.escape(key)}[\"']?\s*=", bare):
            return number
    return head
