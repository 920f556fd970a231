# SPDX-License-Identifier: Apache-2.0
"""A page: where it stands, its title, its text, and how templates become that text.

Rules enforced here:
- every value that a template prints is escaped, whatever the template says;
- a page's text is Markdown headings and blocks of HTML without blank lines, so that
  every Markdown reader sees the same blocks and looks into none of them;
- links between pages are relative and name the file: they work from a folder.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from controlbook.render import audit_manager, happenings, safe, sentences, words
from controlbook.timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controlbook.render.report import Report
    from controlbook.timeline import Instant, Interval

LONGEST = 20_000
"""Characters of a person's text that a page shows."""

HOME = "index.md"
GLOSSARY = "glossary/index.md"
VERIFY = "verify/index.md"
QUEUES = "queue/index.md"
FRAMEWORKS = "frameworks/index.md"
CONTROLS = "controls/index.md"

_SHAPES = {
    "disc": '<circle cx="6" cy="6" r="5"/>',
    "ring": '<circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" '
    'stroke-width="2"/>',
    "half": '<circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" '
    'stroke-width="2"/><path d="M6 2a4 4 0 0 1 0 8z"/>',
    "diamond": '<path d="M6 0l6 6-6 6-6-6z"/>',
    "triangle": '<path d="M6 1l6 10H0z"/>',
    "square": '<path d="M1 1h10v10H1z"/>',
    "cross": '<path d="M1 2.5 2.5 1 6 4.5 9.5 1 11 2.5 7.5 6 11 9.5 9.5 11 6 7.5 '
    '2.5 11 1 9.5 4.5 6z"/>',
    "bar": '<path d="M0 4h12v4H0z"/>',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the site."""

    path: str
    """`PCI-2028-Q1/3.4/index.md`"""
    title: str
    body: str
    of: str = ""
    """The assessment that the page is a part of: two may have a page of one title."""
    wide: bool = False
    """Whether its tables need the room of the table of contents."""

    @property
    def text(self) -> str:
        """Give the file's text: front matter and body.

        The title is escaped already: themes print it into navigation and head as it is.
        """
        whole = f"{self.title} · {self.of}" if self.of else self.title
        title = json.dumps(str(safe.text(whole)), ensure_ascii=False)
        hide = "hide:\n- toc\n" if self.wide else ""
        return f"---\ntitle: {title}\n{hide}---\n\n{self.body}"


def relative(here: str, there: str, anchor: str = "") -> str:
    """Give the address of a page (or file) as seen from another page."""
    target = re.sub(r"\.md\Z", ".html", there)
    path = posixpath.relpath(target, posixpath.dirname(here) or ".")
    return quote(path, safe="/()") + (f"#{quote(anchor)}" if anchor else "")


def landing(assessment: str) -> str:
    """Place an assessment's first page."""
    return f"{assessment}/index.md"


def requirement(assessment: str, number: str) -> str:
    """Place a requirement's page, one scheme for all."""
    return f"{assessment}/{number}/index.md"


def part(assessment: str, name: str) -> str:
    """Place another page of an assessment: register, evidence, state."""
    return f"{assessment}/{name}/index.md"


def control(name: str) -> str:
    """Place a control's page."""
    return f"controls/{name}/index.md"


def queue(person: str) -> str:
    """Place a person's or team's queue."""
    return f"queue/{person}/index.md"


def page(
    path: str,
    title: str,
    template: str,
    reports: tuple[Report, ...],
    values: Mapping[str, object],
) -> Page:
    """Fill a template; every page carries the marks of the reports that it shows."""
    text = (
        _environment()
        .get_template(f"{template}.html")
        .render(
            values,
            title=title,
            here=path,
            marks=marks(reports),
            url=lambda there, anchor="": relative(path, there, anchor),
        )
    )
    ids = (report.assessment.id for report in reports)
    of = next((name for name in ids if path.startswith(f"{name}/")), "")
    return Page(
        path=path,
        title=title,
        body=_blocks(text),
        of="" if of and path == landing(of) else of,
        wide=template in _WIDE,
    )


_WIDE = {
    "home",
    "landing",
    "register",
    "evidence",
    "state",
    "governance",
    "audit_manager",
    "controls",
    "frameworks",
    "queues",
    "queue",
}


def hand_written(name: str, source: str, reports: tuple[Report, ...]) -> Page:
    """Make a page of a Markdown file that people wrote, sanitised like annotations.

    It carries the marks of the site's reports as every other page does.
    """
    first = re.search(r"^# +(.+)$", source, re.MULTILINE)
    title = first.group(1).strip() if first else name.removesuffix(".md")
    body = source.replace(first.group(0), "", 1) if first else source
    return Page(
        path=f"about/{name}",
        title=title,
        body=page(
            f"about/{name}", title, "written", reports, {"written": safe.markdown(body)}
        ).body,
    )


def marks(reports: tuple[Report, ...]) -> tuple[tuple[str, str], ...]:
    """Give the words that every page of these reports must carry, with their reason."""
    found = []
    drafts = sorted({report.assessment.id for report in reports if report.draft})
    if drafts:
        found.append(("DRAFT", f"{', '.join(drafts)}: not released."))
    if any(report.licensed for report in reports):
        found.append(
            ("INTERNAL", "Holds licensed text of a standard: not to be passed on.")
        )
    if any(report.demo for report in reports):
        found.append(
            (
                "DEMO",
                "The evidence does not come from AWS, or its vault has no lock.",
            )
        )
    return tuple(found)


def _blocks(text: str) -> str:
    """Drop indentation and blank lines, and set Markdown headings apart.

    Cells stand on lines of their own: a search index would glue their words together.
    """
    text = re.sub(r"(</(?:td|th|dt|dd|li|p|h3|span)>|<br>)(?![,.;:)])", r"\1\n", text)
    lines = [line.strip() for line in text.split("\n")]
    spaced = [
        f"\n{line}\n" if re.match(r"#{1,2} ", line) else line for line in lines if line
    ]
    return "\n".join(spaced).strip() + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("controlbook", "templates/site"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        am=audit_manager,
        words=words,
        sentences=sentences,
        happened=happenings,
        place=_PLACES,
    )
    environment.filters.update(
        breakable=breakable,
        chip=chip,
        code=code,
        command=command,
        digest=digest,
        hash=short_digest,
        labels=labels,
        number=number,
        ident=ident,
        heading=safe.heading,
        iso=iso,
        told=told,
        stretch=stretch,
        time=time,
    )
    return environment


_PLACES = {
    "landing": landing,
    "requirement": requirement,
    "part": part,
    "control": control,
    "queue": queue,
    "glossary": GLOSSARY,
    "verify": VERIFY,
    "queues": QUEUES,
    "controls": CONTROLS,
    "frameworks": FRAMEWORKS,
    "home": HOME,
}


def _shown(value: object) -> object:
    return value if isinstance(value, Markup) else safe.text(value)


def told(text: str, path: str) -> Markup:
    """Show people's Markdown; what is longer than a few pages ends with its place."""
    shown = text
    if len(text) > LONGEST:
        shown = text[:LONGEST].rpartition("\n")[0] or text[:LONGEST]
    rest = (
        Markup(
            "<p><strong>Showing {} of {} characters; the whole text stands in "
            "{}.</strong></p>"
        ).format(f"{len(shown):,}", f"{len(text):,}", safe.text(path))
        if len(shown) < len(text)
        else Markup("")
    )
    return safe.markdown(shown) + rest


def chip(label: words.Label, extra: str = "") -> Markup:
    """Draw a status as word, shape and colour."""
    word = f"{label.word} {extra}" if extra else label.word
    return safe.assembled(
        f'<span class="cb-chip cb-{label.tone}" title="{safe.text(label.meaning)}">'
        f'<svg viewBox="0 0 12 12" width="12" height="12" fill="currentColor" '
        f'aria-hidden="true">{_SHAPES[label.shape]}</svg> {safe.text(word)}</span>'
    )


def labels(columns: Iterable[str]) -> Markup:
    """Hand a table's column names to its style: rows that stack show them."""
    quoted = (re.sub(r"[^ ,\w]", _escape, name.removeprefix("#")) for name in columns)
    return Markup(";").join(
        safe.assembled(f"--c{number}:'{name}'") for number, name in enumerate(quoted, 1)
    )


def _escape(found: re.Match[str]) -> str:
    return f"\\{ord(found[0]):x} "


def digest(whole: str) -> Markup:
    """Show a digest in full, breakable anywhere; say where nothing was hashed."""
    if not whole:
        return safe.text(words.NOTHING)
    nothing = ' <span class="cb-hint">(of nothing)</span>' if _hollow(whole) else ""
    return safe.assembled(f'<code class="cb-long">{safe.text(whole)}</code>{nothing}')


def _hollow(whole: str) -> bool:
    return whole.removeprefix("sha256:") in words.EMPTY


def short_digest(digest: str, length: int = 12) -> Markup:
    """Show the first digits of a digest; the whole one on hovering."""
    if not digest:
        return safe.text(words.NOTHING)
    bare = digest.removeprefix("sha256:")
    return safe.assembled(
        f'<code class="cb-hash" title="{safe.text(digest)}">'
        f"{safe.text(bare[:length])}</code>"
        f"{' (of nothing)' if _hollow(digest) else ''}"
    )


def ident(name: str) -> Markup:
    """Show an id on one line."""
    return safe.assembled(f'<code class="cb-id">{safe.text(name)}</code>')


def breakable(value: str) -> Markup:
    """Show a name with places where it may break."""
    text = re.sub(r"([/_:.-]+)(?=\w)", r"\1<wbr>", str(safe.text(value)))
    return safe.assembled(text)


def code(value: str) -> Markup:
    """Show a name in the fixed-width face, with places where it may break."""
    return safe.assembled(f"<code>{breakable(value)}</code>")


def command(line: str) -> Markup:
    """Show a command that breaks between its words only."""
    words_of_it = Markup(" ").join(
        Markup('<span class="cb-nowrap">{}</span>').format(safe.text(word))
        for word in line.split(" ")
    )
    return Markup('<code class="cb-command">{}</code>').format(words_of_it)


def number(value: int) -> str:
    """Write a number as the sentences do: 1,457."""
    return f"{value:,}"


def time(moment: Instant) -> Markup:
    """Show an instant for people and machines."""
    return safe.assembled(
        f'<time datetime="{iso(moment)}">{words.short_time(moment)}</time>'
    )


def stretch(interval: Interval) -> Markup:
    """Show an interval; each of its times stays on one line."""
    start, end = words.stretch(interval.start, interval.end).split(" to ")
    return Markup(
        '<time>{}</time> <span class="cb-nowrap">to <time>{}</time></span>'
    ).format(start, end)
