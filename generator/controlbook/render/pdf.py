# SPDX-License-Identifier: Apache-2.0
"""The report as a PDF: print templates of our own, set by WeasyPrint.

Rules enforced here:
- nothing is fetched: every address but our own font faces is denied, recorded, and
  fails the build, images inside inline SVG included (trust.md section 4);
- the PDF embeds no font but ours, or the build fails;
- the same report gives the same bytes in any process, folder, home, locale and time
  zone: the commit's time is the clock, the identifier follows from the facts, and the
  machine's font settings are out of reach.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from weasyprint import CSS, HTML, Attachment  # type: ignore[import-untyped]
from weasyprint.text.fonts import (  # type: ignore[import-untyped]
    FontConfiguration,
)
from weasyprint.urls import (  # type: ignore[import-untyped]
    FatalURLFetchingError,
    URLFetcher,
    URLFetcherResponse,
)

from controlbook.errors import ControlbookError
from controlbook.timeline import SECOND, iso, to_datetime

from . import audit_manager, charts, happenings, safe, sentences, typeface, words
from .paper import LIMITS, Paper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .report import Report

TEMPLATES = Path(__file__).parent.parent / "templates" / "pdf"
VARIANT = "pdf/ua-1"
LONGEST = 10_000
"""Characters of one person's text that are printed; the rest is named, not shown."""

_BROKEN = re.compile(r"(?<=[^\n]{60})\n(?=[^\s*\d-])")


class Press(URLFetcher):  # type: ignore[misc]
    """WeasyPrint's door to the outside: our font faces, and nothing else."""

    def __init__(self) -> None:
        """Begin with a clean record."""
        super().__init__()
        self.denied: list[str] = []

    def fetch(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> URLFetcherResponse:
        """Give a font face; record and refuse any other address."""
        del headers
        body = typeface.face(url)
        if body is None:
            self.denied.append(url)
            message = f"denied: {url}"
            raise FatalURLFetchingError(message)
        return URLFetcherResponse(url, body, {"Content-Type": "font/ttf"})


def build_pdf(
    report: Report, out: Path, *, attachments: Mapping[str, bytes] | None = None
) -> None:
    """Print one report into a PDF file, with files attached by name."""
    body = set_pages(
        page(report),
        identifier=_identifier(report),
        at=report.commit.at,
        attachments=attachments or {},
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.part")
    part.write_bytes(body)
    part.replace(out)


def page(report: Report) -> str:
    """Write the report as one HTML page in the templates' words.

    Characters that the typefaces lack are printed as code points, and listed.
    """
    html, lacking = typeface.substituted(_render(Paper(report)))
    if lacking:
        html, _ = typeface.substituted(_render(Paper(report, lacking)))
    return typeface.breakable(html)


def set_pages(
    html: str, *, identifier: bytes, at: int, attachments: Mapping[str, bytes]
) -> bytes:
    """Set a page of HTML into PDF bytes; refuse what it fetches or embeds."""
    press = Press()
    moment = to_datetime(at)  # type: ignore[arg-type]
    with _still_environment(at // SECOND):
        fonts = FontConfiguration()
        try:
            sheets = [
                CSS(string=css, font_config=fonts, url_fetcher=press)
                for css in (typeface.style_sheet(), _style())
            ]
            body: bytes = HTML(string=html, url_fetcher=press).write_pdf(
                stylesheets=sheets,
                font_config=fonts,
                finisher=_finish,
                pdf_variant=VARIANT,
                pdf_identifier=identifier,
                attachments=[
                    Attachment(
                        string=content,
                        name=name,
                        description=name,
                        created=moment,
                        modified=moment,
                        url_fetcher=press,
                    )
                    for name, content in sorted(attachments.items())
                ],
            )
        except FatalURLFetchingError:
            pass
    if press.denied:
        listed = ", ".join(sorted(set(press.denied)))
        message = f"the PDF asked for {listed}"
        raise ControlbookError(
            message,
            advice="a report fetches nothing; take the address out of its text",
        )
    return body


def _finish(document: object, pdf: Any) -> None:  # noqa: ANN401 - pydyf's PDF
    del document
    _refuse_other_fonts(pdf)
    pdf.catalog["PageMode"] = "/UseOutlines"
    pdf.catalog["PageLabels"] = "<</Nums [0 <</S /D>>]>>"


def _refuse_other_fonts(pdf: Any) -> None:  # noqa: ANN401 - pydyf's PDF
    named = {
        entry["FontName"].decode()
        for entry in pdf.objects
        if isinstance(entry, dict) and "FontName" in entry
    }
    ours = tuple(family.replace(" ", "-") for family in typeface.FAMILIES)
    foreign = sorted(
        name for name in named if not name.partition("+")[2].startswith(ours)
    )
    if foreign:
        message = f"the PDF would embed {', '.join(foreign)}, a font of this machine"
        raise ControlbookError(
            message,
            advice="find the character that IBM Plex lacks and write it in words",
        )


@contextmanager
def _still_environment(seconds: int) -> Iterator[None]:
    """Hold the clock of the font tools and the font settings of the machine still."""
    wanted = {
        "SOURCE_DATE_EPOCH": str(seconds),
        "FONTCONFIG_FILE": str(TEMPLATES / "fonts.conf"),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _identifier(report: Report) -> bytes:
    parts = (report.assessment.id, report.release, report.commit.id, report.facts_root)
    return sha256("\0".join(parts).encode()).digest()[:16]


def _style() -> str:
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


def _render(paper: Paper) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters["css_string"] = css_string
    return environment.get_template("report.html.j2").render(
        paper=paper,
        report=paper.report,
        assessment=paper.report.assessment,
        findings=paper.report.findings,
        words=words,
        sentences=sentences,
        happened=happenings,
        am=audit_manager,
        limits=LIMITS,
        iso=iso,
        stacked_bar=charts.stacked_bar,
        told=_told,
        verbatim=_verbatim,
        link=lambda label, url: Markup(safe.link(label, url)),  # noqa: S704 - escaped
        code_point=typeface.code_point,
    )


def _told(text: str, path: str) -> Markup:
    """Render people's Markdown; what is longer than a few pages ends with its place."""
    shown = _beginning(text)
    body = safe.markdown(shown) + _rest(text, shown, path)
    return Markup(body)  # noqa: S704 - sanitised above


def _verbatim(text: str, path: str) -> Markup:
    """Print a person's text as it was written; lines that an editor broke, flow."""
    whole = _BROKEN.sub(" ", text.strip())
    shown = _beginning(whole)
    body = f'<p class="verbatim">{safe.text(shown)}</p>'
    return Markup(body + _rest(whole, shown, path))  # noqa: S704 - escaped above


def _beginning(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    shown = text[:LONGEST]
    return shown.rpartition("\n")[0] or shown


def _rest(text: str, shown: str, path: str) -> str:
    if len(shown) == len(text):
        return ""
    return (
        f"<p><strong>Showing {len(shown):,} of {len(text):,} characters; "
        f"the whole text stands in {safe.text(path)}.</strong></p>"
    )


def _visible(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return safe.visible(value)


def css_string(text: str) -> Markup:
    """Quote text for a style sheet: all but letters and digits as code points."""
    quoted = re.sub(r"[^A-Za-z0-9]", lambda m: f"\\{ord(m[0]):x} ", safe.visible(text))
    return Markup(f'"{quoted}"')  # noqa: S704 - letters, digits and escapes only
