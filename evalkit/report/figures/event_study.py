"""The event-study picture: the effect at every event time, with its interval and the band for all of them together.

A reader takes such a picture in as a whole, so what it must not show by chance too often is the whole path: the
band is simultaneous (sup-t). Event times before go-live show what there was when no camera could have had an effect.

Source
    Freyaldenhoven, S., Hansen, C., Pérez, J. P. & Shapiro, J. M. (2021). Visualization, identification, and
    estimation in the linear panel event-study design. NBER Working Paper 29170.
    Montiel Olea, J. L. & Plagborg-Møller, M. (2019). Simultaneous confidence bands. Journal of Applied
    Econometrics 34(1), 1–17.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evalkit.report.checks_content import REFERENCE, EffectAt, EventStudy, read_event_study
from evalkit.report.figures import canvas
from evalkit.report.figures.forest import level_text, percent_ticks
from evalkit.report.figures.scatter import HEIGHT, LEFT, SMALL, plot, round_ticks, tick_texts
from evalkit.report.languages import Words, words
from evalkit.report.numbers import MINUS, percent
from evalkit.report.wording.credibility import credibility_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_event_study", "event_study_text", "write_event_study"]

HALF_BAR: Final = 0.32
"""Half the width of the band's piece at one event time, in periods; at neighbours they do not meet."""

LARGEST_SPAN: Final = 6.0
"""Of a log axis, beyond which a single wide interval would squeeze all others: a factor of four hundred."""

ROOM: Final = 0.06
"""Share of the axis left free above and below."""

LABEL_SPACE: Final = 0.34
"""Inches an event time's number takes."""


def write_event_study(result: Mapping[str, Any], folder: Path, language: str = "en") -> list[Path]:
    """Write the picture as SVG and PNG, and return their paths; none if the result has no effects by event time.

    Args:
        result: what a run's ``result.json`` holds.
        folder: where ``event_study.svg`` and ``event_study.png`` go.
        language: ``en``, ``es`` or ``pt``.

    Raises:
        ConfigError: not a run's result, an unknown language, or the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said, found = words(language), read_event_study(result)
    if found is None:
        return []
    text = event_study_text(found, language)
    return canvas.png_and_svg(draw_event_study(found, said), folder / "event_study", text)


def draw_event_study(found: EventStudy, said: Words) -> Figure:
    """The figure itself."""
    figure, axes, size = plot()
    told = credibility_words(said.language)
    times = _times(found)
    places = [found.place(time) for time in times]
    axes.set_xlim(places[0] - 0.7, places[-1] + 0.7)
    low, high = _limits(found)
    axes.set_ylim(low, high)
    axes.axhline(0.0, color=canvas.INK, linewidth=0.9, zorder=2)
    _go_live(axes, found, told)
    for one in found.effects:
        _effect(axes, one, found, (low, high))
    if found.reference:
        _point(axes, found.place(REFERENCE), 0.0, hollow=True)
    _axis_of_times(axes, found, times, size[0])
    if found.count:
        ticks: Sequence[float] = round_ticks(low, high)
        canvas.style_axis(axes, "y", ticks, tick_texts(ticks, said.language))
    else:
        ticks = percent_ticks(low, high, size[1])
        labels = [percent(tick, said.language, digits=0) for tick in ticks]
        canvas.style_axis(axes, "y", [math.log1p(tick / 100) for tick in ticks], labels)
    style = {"size": SMALL, "color": canvas.MUTED}
    canvas.written(figure, LEFT + size[0] / 2, 0.16, told("event_axis"), ha="center", **style)
    up = told("count_axis") if found.count else said("axis")
    canvas.written(figure, 0.16, HEIGHT - 0.2, up, **style)
    _key(figure, found, told, LEFT + size[0])
    return figure


def event_study_text(found: EventStudy, language: str) -> str:
    """The picture in one sentence."""
    first, last = found.effects[0].time, found.effects[-1].time
    return credibility_words(language)(
        "event_alt",
        first=_number(first),
        last=_number(last),
        level=level_text(found.level, language),
    )


def _times(found: EventStudy) -> list[int]:
    """Event times on the axis, the reference among them."""
    times = {one.time for one in found.effects} | ({REFERENCE} if found.reference else set())
    return sorted(times)


def _limits(found: EventStudy) -> tuple[float, float]:
    """Ends of the axis: of all intervals, unless one of them is so wide that it would squeeze the others."""
    points = [0.0, *(one.effect for one in found.effects)]
    ends = points + [
        end
        for one in found.effects
        for end in (one.low, one.high, one.band_low, one.band_high)
        if end is not None
    ]
    low, high = min(ends), max(ends)
    if not found.count and high - low > LARGEST_SPAN:
        middle = (min(points) + max(points)) / 2
        reach = max(LARGEST_SPAN, max(points) - min(points)) / 2
        low, high = max(low, middle - reach), min(high, middle + reach)
    room = ROOM * (high - low) or 0.5
    return low - room, high + room


def _go_live(axes: Axes, found: EventStudy, told: Words) -> None:
    """The periods that are left out, or the border between before and after."""
    first, last = found.place(-1) + 0.5, found.place(0) - 0.5
    if found.gap:
        axes.axvspan(first, last, color=canvas.SAND, linewidth=0, zorder=0)
    else:
        axes.axvline(first, color=canvas.ORANGE, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    canvas.write(
        axes,
        (first + last) / 2,
        1.02,
        told("go_live"),
        size=SMALL,
        color=canvas.ORANGE,
        ha="center",
        va="bottom",
        transform=axes.get_xaxis_transform(),
    )


def _effect(axes: Axes, one: EffectAt, found: EventStudy, limits: tuple[float, float]) -> None:
    place = found.place(one.time)
    if one.band_low is not None and one.band_high is not None:
        axes.fill_between(
            [place - HALF_BAR, place + HALF_BAR],
            max(one.band_low, limits[0]),
            min(one.band_high, limits[1]),
            color=canvas.LINE,
            alpha=0.55,
            linewidth=0,
            zorder=1,
        )
    if one.low is not None and one.high is not None:
        ends = (max(one.low, limits[0]), min(one.high, limits[1]))
        axes.vlines(place, *ends, color=canvas.BLUE, linewidth=1.6, zorder=3)
    _point(axes, place, one.effect, hollow=one.time in found.bins)


def _point(axes: Axes, place: int, effect: float, *, hollow: bool) -> None:
    axes.plot(
        [place],
        [effect],
        marker="o",
        markersize=6.5,
        markerfacecolor=canvas.PAPER if hollow else canvas.DEEP,
        markeredgecolor=canvas.DEEP,
        markeredgewidth=1.4,
        linestyle="none",
        zorder=4,
    )


def _axis_of_times(axes: Axes, found: EventStudy, times: Sequence[int], width: float) -> None:
    """A number under every event time, or under every second, third, …, counted from go-live."""
    step = max(1, math.ceil(len(times) * LABEL_SPACE / width))
    shown = [time for time in times if time % step == 0]
    labels = [_label(time, found) for time in shown]
    canvas.style_axis(axes, "x", [found.place(time) for time in shown], labels)


def _label(time: int, found: EventStudy) -> str:
    """An event time; the ends of a binned design are open."""
    if time not in found.bins:
        return _number(time)
    return f"≤{_number(time)}" if time < 0 else f"≥{_number(time)}"


def _number(time: int) -> str:
    return f"{MINUS if time < 0 else ''}{abs(time)}"


def _key(figure: Figure, found: EventStudy, told: Words, right: float) -> None:
    """What line and band are, at the upper right."""
    level = level_text(found.level, told.language)
    entries = [("line", told("interval_key", level=level))]
    if found.banded:
        entries.append(("band", told("band_key", level=level)))
    y = HEIGHT - 0.2
    for kind, text in reversed(entries):
        canvas.written(figure, right, y, text, ha="right", size=SMALL, color=canvas.MUTED)
        right -= canvas.text_width(text, SMALL) + 0.1
        mark = canvas.bare_axes(figure, right - 0.18, y - 0.08, 0.18, 0.16)
        mark.set_xlim(0, 1)
        mark.set_ylim(0, 1)
        if kind == "band":
            mark.fill_between([0, 1], 0, 1, color=canvas.LINE, alpha=0.55, linewidth=0)
        else:
            mark.vlines(0.5, 0, 1, color=canvas.BLUE, linewidth=1.6)
        right -= 0.18 + 0.25
