"""HTML that escapes by construction: text is escaped unless it is `Markup`, and only this module makes Markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["Markup", "document", "element", "inline_svg", "join", "section", "table"]

VOID: Final = frozenset({"meta", "link", "br", "hr", "img", "col"})

# No script, no network: even a fault in escaping could load and run nothing.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_DROPPED: Final = (
    re.compile(r"<\?xml.*?\?>", re.DOTALL),
    re.compile(r"<!DOCTYPE.*?>", re.DOTALL),
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"<metadata>.*?</metadata>", re.DOTALL),
    re.compile(r"<style.*?</style>", re.DOTALL),
    re.compile(r"<title>.*?</title>", re.DOTALL),
    re.compile(r'\sxmlns(:\w+)?="[^"]*"'),
)
_FONT: Final = re.compile(r"'DejaVu Sans'(?:, [\w-]+)*")
_COLOUR: Final = re.compile(r"#[0-9a-f]{6}\b")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, *children: str | None, **attributes: str | int | None) -> Markup:
    """One element. ``class_`` and ``aria_label`` stand for ``class`` and ``aria-label``; None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    opening = f"<{name}{written}>"
    return Markup(opening if name in VOID else f"{opening}{join(children)}</{name}>")


def join(children: Iterable[str | None], between: str = "") -> Markup:
    """Escape what is not `Markup`, leave out None, put together."""
    parts = [
        child if isinstance(child, Markup) else html.escape(child, quote=True)
        for child in children
        if child is not None
    ]
    return Markup(html.escape(between).join(parts))


def section(title: str, *children: Markup | None) -> Markup:
    """A part of a page under its heading."""
    return element("section", element("h2", title), *children)


def table(
    caption: str,
    heads: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    text_columns: int = 1,
    foot: Iterable[str] | None = None,
) -> Markup:
    """A table whose first column heads its rows; columns after ``text_columns`` are numbers, set right."""

    def line(cells: Iterable[str], *, head: bool = False) -> Markup:
        return element(
            "tr",
            *(
                element(
                    "th" if head or column == 0 else "td",
                    cell,
                    scope="col" if head else "row" if column == 0 else None,
                    class_="number" if column >= text_columns else None,
                )
                for column, cell in enumerate(cells)
            ),
        )

    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", line(heads, head=True)),
            element("tbody", *map(line, rows)),
            element("tfoot", line(foot)) if foot is not None else None,
        ),
        class_="scroll",
        # A region that scrolls must be reachable from the keyboard.
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def document(title: str, language: str, style: str, body: Markup) -> str:
    """A whole page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        element("meta", name_="color-scheme", content="light dark"),
        element("meta", name_="referrer", content="no-referrer"),
        element("title", title),
        Markup(f"<style>{style}</style>"),
    )
    page = element("html", head, element("body", body), lang=language)
    return f"<!DOCTYPE html>\n{page}\n"


def inline_svg(svg: str, *, prefix: str, label: str, colours: Mapping[str, str]) -> Markup:
    """An SVG file of this package as an element of a page.

    Args:
        svg: text of the file.
        prefix: put before every id, so that several pictures can share a page.
        label: alternative text.
        colours: hex colour → CSS variable that replaces it, so that the page's dark mode reaches the picture.
    """
    for pattern in _DROPPED:
        svg = pattern.sub("", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\g<1>#{prefix}-", svg)
    svg = _FONT.sub("var(--font)", svg)
    svg = _COLOUR.sub(lambda found: _variable(found.group(), colours), svg)
    opening = (
        f'<svg role="img" aria-label="{html.escape(label, quote=True)}"'
        ' preserveAspectRatio="xMidYMid meet" '
    )
    svg = re.sub(r"<svg\b(?=[^>]*>)", opening, svg, count=1)
    return Markup(re.sub(r'\s(?:width|height)="[\d.]+pt"', "", svg, count=2).strip())


def _variable(colour: str, colours: Mapping[str, str]) -> str:
    return f"var({colours[colour]}, {colour})" if colour in colours else colour
