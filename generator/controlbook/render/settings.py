# SPDX-License-Identifier: Apache-2.0
"""The settings file of the site builder: ours, with what the team chose in it.

Rules enforced here:
- the team's `mkdocs.yml` chooses names, colours and pictures, and nothing that runs: no
  plugin, hook, script, macro or theme folder enters an audit site through it;
- what is written there and not known is refused, never ignored;
- a theme prints names as they are, so they are escaped here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from controlbook.errors import InvalidFiles
from controlbook.reading import Page
from controlbook.yamltext import parse

from . import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.errors import Problem

NAME = "mkdocs.yml"
STYLE = "site/assets/extra.css"

_TEXTS = ("site_name", "site_description", "site_author", "copyright")
_THEME = ("logo", "favicon", "language")

_ADDRESS = re.compile(r"https?://[\w.-]+(?::\d+)?((?:/[\w.~-]+)*)/?", re.ASCII)

# Names are also cut at the separators of resource names, so that each part is found.
_SEPARATOR = r'[\s\-,:!=\[\]()"/]+|\.(?!\d)|&[lg]t;'


def _palette(scheme: str, media: str, icon: str, name: str) -> dict[str, object]:
    return {
        "media": f"(prefers-color-scheme: {media})",
        "scheme": scheme,
        "primary": "custom",
        "accent": "custom",
        "toggle": {"icon": f"material/{icon}", "name": name},
    }


def settings(
    files: Mapping[str, bytes], navigation: list[object], *, entity: str
) -> bytes:
    """Write the builder's settings; JSON is YAML, so no writer of YAML is needed.

    `files` are the commit's; raises InvalidFiles for a `mkdocs.yml` that breaks a rule.
    """
    chosen, theme, _ = _chosen(files)
    name = _name(entity)
    styles = ["assets/controlbook/site.css"]
    if STYLE in files:
        styles.append(STYLE.removeprefix("site/"))
    document: dict[str, object] = {
        "site_name": str(safe.text(name)),
        **{key: str(safe.text(value)) for key, value in chosen.items()},
        "docs_dir": "docs",
        "site_dir": "site",
        "use_directory_urls": False,
        "extra_css": styles,
        "extra": {
            "generator": False,
            "polyfills": ["assets/controlbook/worker.js"],
        },
        "theme": {
            "name": "material",
            "custom_dir": "theme",
            "font": False,
            "language": "en",
            "logo": "assets/controlbook/logo.svg",
            "favicon": "assets/controlbook/favicon.svg",
            "features": [
                "navigation.prune",
                "navigation.path",
                "navigation.top",
                "search.highlight",
                "toc.follow",
            ],
            "palette": [
                _palette("default", "light", "weather-night", "Dark colours"),
                _palette("slate", "dark", "weather-sunny", "Light colours"),
            ],
            **theme,
        },
        "plugins": {"search": {"separator": _SEPARATOR, "lang": "en"}},
        "markdown_extensions": [{"toc": {"permalink": "#", "toc_depth": 2}}],
        "nav": navigation,
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def named(files: Mapping[str, bytes], *, entity: str) -> tuple[str, str]:
    """Give the site's name, and its path on the host that publishes it: `/pages/`."""
    chosen, _, root = _chosen(files)
    return chosen.get("site_name", _name(entity)), root


def _name(entity: str) -> str:
    return f"{entity}: compliance evidence" if entity else "Compliance evidence"


def _chosen(
    files: Mapping[str, bytes],
) -> tuple[dict[str, str], dict[str, str], str]:
    """Read what the team chose: texts, the theme's pictures and language, the root."""
    if NAME not in files:
        return {}, {}, "/"
    problems: list[Problem] = []
    fields = Page(NAME, problems).fields(parse(files[NAME]))
    texts: dict[str, str] = {}
    theme: dict[str, str] = {}
    root = "/"
    if fields:
        texts = {key: fields.optional(key) for key in _TEXTS if fields.has(key)}
        if fields.has("site_url"):
            found = _ADDRESS.fullmatch(fields.optional("site_url"))
            if found is None:
                fields.problem(
                    "site_url",
                    "is not the address of a site",
                    "write it like https://pages.example.com/compliance/",
                )
            else:
                root = f"{found[1] or ''}/"
        inner = fields.table("theme", required=False)
        if inner:
            theme = {key: inner.optional(key) for key in _THEME if inner.has(key)}
            for key in ("logo", "favicon"):
                path = theme.get(key, f"site/{key}")
                if key in theme and f"site/{path}" not in files:
                    inner.problem(key, f"there is no site/{path}", "add the picture")
            inner.finish()
        fields.finish()
    if problems:
        raise InvalidFiles(tuple(problems))
    return texts, theme, root
