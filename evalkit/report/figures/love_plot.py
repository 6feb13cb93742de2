"""Love plot: how far apart treated units and controls were before any camera, before and after matching.

Named after Thomas Love, who drew the first. It stays in the city.

Vocabulary
    difference  standardised mean difference, treated minus controls; see `evalkit.panel.balance`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evalkit.panel.balance import FAR_APART, Balance
from evalkit.report.figures import canvas
from evalkit.report.languages import Words, words
from evalkit.report.numbers import MISSING, decimal, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["love_plot"]

MARGIN: Final = 0.16
ROW: Final = 0.42
GUTTER: Final = 0.3
HEAD: Final = 1.5
"""Inches above the rows: title, what was matched, key, and the heads of the columns."""
FOOT: Final = 0.78
TEXT: Final = 9.5
SMALL: Final = 8.5
WIDEST_NAME: Final = 2.6
LEAST_REACH: Final = 0.5
"""The axis reaches at least so far to both sides, so that a small difference looks small."""
ROOM: Final = 1.12
STEPS: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


def love_plot(
    balance: Sequence[Balance],
    facts: Mapping[str, int],
    title: str,
    path: Path,
    *,
    language: str = "en",
) -> list[Path]:
    """Write the picture as SVG and PNG and return both paths.

    Args:
        balance: of a built panel, at least one covariate.
        facts: of the same panel: how many units were matched.
        title: the city.
        path: without suffix.
        language: ``en``, ``es`` or ``pt``.

    Raises:
        ConfigError: unknown language, or the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said = words(language)
    matched = any(one.matched_treated is not None for one in balance)
    body = ROW * len(balance)
    height = HEAD + body + FOOT
    figure = canvas.new_figure(canvas.README_WIDTH, height)
    canvas.written(figure, MARGIN, height - 0.28, title, size=12.0, weight="bold")
    canvas.written(figure, MARGIN, height - 0.58, said("balance_title"), color=canvas.MUTED)
    canvas.written(
        figure, MARGIN, height - 0.82, _what(facts, said, matched=matched), color=canvas.MUTED
    )
    left = MARGIN + GUTTER + max(_width(_name(one, said), TEXT) for one in balance)
    columns = _columns(balance, said, matched=matched)
    right = canvas.README_WIDTH - MARGIN - sum(width for _, width, _ in columns) - GUTTER
    axes = canvas.bare_axes(figure, left, FOOT, right - left, body)
    reach = _reach(balance)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(0, len(balance))
    _backdrop(axes, reach)
    top = FOOT + body
    for number, one in enumerate(balance):
        _marks(axes, one, len(balance) - number - 0.5)
        y = top - (number + 0.5) * ROW
        canvas.written(figure, MARGIN, y, _name(one, said), size=TEXT)
    _table(figure, columns, top)
    _axis(figure, axes, reach, left, right, said)
    _key(figure, MARGIN, top + 0.24, said, matched=matched)
    return canvas.png_and_svg(figure, path, f"{title}: {said('balance_title')}")


def _what(facts: Mapping[str, int], said: Words, *, matched: bool) -> str:
    """How many units were matched."""
    if not matched:
        return said("balance_unmatched")
    treated, controls = facts["treated units with a match"], facts["matched controls"]
    numbers = {
        "treated": treated,
        "all_treated": treated + facts["treated units without a match"],
        "controls": controls,
        "all_controls": controls + facts["controls not taken by the matching"],
    }
    return said("balance_counts", **{name: whole(n, said.language) for name, n in numbers.items()})


def _name(one: Balance, said: Words) -> str:
    text = said(f"balance_{one.covariate}")
    return canvas.wrap(text, WIDEST_NAME, TEXT, lines=1)[0]


def _width(text: str, size: float) -> float:
    return canvas.text_width(text, size)


Column = tuple[str, float, list[str]]
"""Head, width with the gap to its left, and a text for every row."""


def _columns(balance: Sequence[Balance], said: Words, *, matched: bool) -> list[Column]:
    found = [
        (said("balance_difference"), [(one.difference, one.matched_difference) for one in balance]),
        (
            said("balance_ratio"),
            [(one.variance_ratio, one.matched_variance_ratio) for one in balance],
        ),
    ]
    made: list[Column] = []
    for head, rows in found:
        signed = not made
        texts = [_change(before, after, said, signed, matched=matched) for before, after in rows]
        widths = [_width(text, TEXT) for text in texts]
        made.append((head, GUTTER + max(canvas.text_width(head, SMALL, bold=True), *widths), texts))
    return made


def _change(
    before: float | None, after: float | None, said: Words, signed: bool, *, matched: bool
) -> str:
    first, second = (
        MISSING if value is None else decimal(value, said.language, digits=2, signed=signed)
        for value in (before, after)
    )
    return f"{first} → {second}" if matched else first


def _reach(balance: Sequence[Balance]) -> float:
    found = [
        abs(value)
        for one in balance
        for value in (one.difference, one.matched_difference)
        if value is not None
    ]
    return ROOM * max([LEAST_REACH, *found])


def _backdrop(axes: Axes, reach: float) -> None:
    """Where groups are too far apart is shaded; in between lies the fair part."""
    for side in (-1, 1):
        axes.axvspan(*sorted((side * FAR_APART, side * reach)), color=canvas.SAND, lw=0, zorder=0)
    axes.axvline(0.0, color=canvas.INK, linewidth=0.9, zorder=1)


def _marks(axes: Axes, one: Balance, y: float) -> None:
    """A ring before, a disc after, and the way from one to the other."""
    before, after = one.difference, one.matched_difference
    low, high = axes.get_xlim()
    axes.hlines(y, low, high, color=canvas.LINE, linewidth=0.7, zorder=1)
    if before is not None and after is not None:
        axes.hlines(y, before, after, color=canvas.BLUE, linewidth=1.6, zorder=2)
    if before is not None:
        axes.plot([before], [y], **_ring())
    if after is not None:
        axes.plot([after], [y], **_disc())


def _ring() -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": "o",
        "markersize": 10.0,
        "markerfacecolor": canvas.PAPER,
        "markeredgecolor": canvas.ORANGE,
        "markeredgewidth": 1.8,
        "zorder": 3,
    }


def _disc() -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": "o",
        "markersize": 7.0,
        "color": canvas.BLUE,
        "markeredgewidth": 0,
        "zorder": 4,
    }


def _table(figure: Figure, columns: Sequence[Column], top: float) -> None:
    right = canvas.README_WIDTH - MARGIN
    for head, width, texts in reversed(columns):
        canvas.written(
            figure,
            right,
            top + 0.24,
            head,
            ha="right",
            size=SMALL,
            weight="bold",
            color=canvas.MUTED,
        )
        for number, text in enumerate(texts):
            canvas.written(figure, right, top - (number + 0.5) * ROW, text, ha="right", size=TEXT)
        right -= width


def _axis(figure: Figure, axes: Axes, reach: float, left: float, right: float, said: Words) -> None:
    step = next(step for step in (*STEPS, 2 * reach) if reach / step <= 4)
    most = int(reach / step)
    ticks = [number * step for number in range(-most, most + 1)]
    digits = 2 if step < 0.5 else 1 if step < 1 else 0
    labels = [
        decimal(tick, said.language, digits=digits, signed=True) if tick else "0" for tick in ticks
    ]
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(canvas.LINE)
    canvas.style_axis(axes, "x", ticks, labels)
    canvas.written(
        figure,
        (left + right) / 2,
        FOOT - 0.44,
        said("balance_axis"),
        ha="center",
        size=SMALL,
        color=canvas.MUTED,
    )


def _key(figure: Figure, left: float, y: float, said: Words, *, matched: bool) -> None:
    """What ring, disc and shade are, on one line above the plot."""
    x = left
    entries: list[tuple[str, dict[str, Any] | None]] = [(said("balance_before"), _ring())]
    if matched:
        entries.append((said("balance_after"), _disc()))
    entries.append((said("balance_far", limit=decimal(FAR_APART, said.language, digits=2)), None))
    for text, mark in entries:
        swatch = canvas.bare_axes(figure, x, y - 0.06, 0.14, 0.12)
        if mark is None:
            swatch.set_facecolor(canvas.SAND)
            swatch.patch.set_visible(True)
        else:
            swatch.plot(
                [0], [0], clip_on=False, **(mark | {"markersize": 0.75 * mark["markersize"]})
            )
        canvas.written(figure, x + 0.22, y, text, size=SMALL, color=canvas.MUTED)
        x += 0.22 + _width(text, SMALL) + 0.25
