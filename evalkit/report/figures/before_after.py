"""Before and after: treated and control units by calendar period, and their ratio by periods since go-live.

A picture, not an estimate: it shows whether the two groups moved alike before, what they did afterwards, and
whether cameras were put where crime was high. It stays in the city.

Vocabulary
    index    incidents of treated units over what they would have had if each had moved with the controls from
             its own level before go-live; 100 for all periods before go-live taken together.
    go-live  event time 0; it is partly before and partly after, so it belongs to neither.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.panel.diagnostics import Diagnostics
from evalkit.report.figures import canvas
from evalkit.report.languages import Words, words
from evalkit.report.numbers import decimal, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Index", "before_after", "event_index"]

Floats = NDArray[np.float64]

MARGIN: Final = 0.16
PANEL: Final = 2.15
LEFT: Final = 0.62
RIGHT: Final = 1.2
"""Room for the names of the lines at their ends."""

SHADE: Final = "#e6eef5"
LABEL_GAP: Final = 0.17
"""Least distance in inches between two labels at the ends of lines."""

SUPPORTED: Final = 0.25
"""Share of the treated units that must be observed at an event time for it to stretch the vertical axis."""


BEYOND: Final = 22.0
"""Area in square points of the mark for a value beyond the axis."""


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """The index by event time; E event times.

    Attributes:
        event_time: (E,) periods since go-live.
        index: (E,) see the module's vocabulary.
        units: (E,) treated units observed.
        after: the index of all periods after go-live taken together, NaN without any.
    """

    event_time: NDArray[np.int64]
    index: Floats
    units: Floats
    after: float


def before_after(
    diagnostics: Diagnostics, title: str, path: Path, *, language: str = "en"
) -> list[Path]:
    """Write both pictures, one above the other, as SVG and PNG and return both paths.

    Args:
        diagnostics: of a built panel: its ``series``, ``cohorts`` and ``event_time`` are drawn.
        title: the city.
        path: without suffix.
        language: ``en``, ``es`` or ``pt``.

    Raises:
        ConfigError: unknown language, or the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said = words(language)
    index = event_index(diagnostics.event_time)
    series = diagnostics.series.drop_nulls()
    height = 0.65 + (0.5 + PANEL if series.height else 0.4) + (1.0 + PANEL if index else 0.0)
    figure = canvas.new_figure(canvas.README_WIDTH, height)
    canvas.written(figure, MARGIN, height - 0.28, title, size=12.0, weight="bold")
    y = height - 0.62
    if not series.height:
        canvas.written(figure, MARGIN, y, said("not_computable"), color=canvas.MUTED)
    else:
        _panel_title(figure, y, said("series_title"))
        _shade_key(figure, y, said)
        _calendar(figure, y - 0.15 - PANEL, series, diagnostics.cohorts, said)
        y -= 0.65 + PANEL
    if index is not None:
        _panel_title(figure, y, said("event_title"))
        _event(figure, y - 0.15 - PANEL, index, said)
    return canvas.png_and_svg(figure, path, f"{title}: {said('before_after_alt')}")


def event_index(event_time: pl.DataFrame) -> Index | None:
    """The index, from the table of `Diagnostics.event_time`; None without controls or without a before."""
    rows = event_time.drop_nulls(["treated_mean", "expected_mean"]).filter(
        pl.col("expected_mean") > 0
    )
    event = rows["event_time"].to_numpy().astype(np.int64)
    units = rows["units"].to_numpy().astype(np.float64)
    treated, expected = rows["treated_mean"].to_numpy(), rows["expected_mean"].to_numpy()

    def ratio(mask: NDArray[np.bool_]) -> float:
        weight = units[mask]
        below = float(weight @ expected[mask])
        return float(weight @ treated[mask]) / below if below > 0 else float("nan")

    before = ratio(event < 0)
    if not before > 0:  # NaN as well
        return None
    return Index(event, 100 * treated / expected / before, units, 100 * ratio(event > 0) / before)


def _panel_title(figure: Figure, y: float, text: str) -> None:
    canvas.written(figure, MARGIN, y, text, size=9.5, weight="bold", color=canvas.MUTED)


def _frame(figure: Figure, bottom: float) -> Axes:
    axes = canvas.bare_axes(figure, LEFT, bottom, canvas.README_WIDTH - LEFT - RIGHT, PANEL)
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(canvas.LINE)
    return axes


def _calendar(
    figure: Figure, bottom: float, series: pl.DataFrame, cohorts: pl.DataFrame, said: Words
) -> None:
    axes = _frame(figure, bottom)
    days = np.array([day.toordinal() for day in series["period"].to_list()], dtype=np.float64)
    lines = {name: series[f"{name}_mean"].to_numpy() for name in ("treated", "control")}
    top = 1.08 * max(float(values.max()) for values in lines.values()) or 1.0
    span = max(float(days[-1] - days[0]), 1.0)
    axes.set_xlim(days[0] - 0.01 * span, days[-1])
    axes.set_ylim(0, top)
    _roll_out(axes, days, cohorts, top)
    axes.plot(days, lines["control"], color=canvas.MUTED, linewidth=1.3, zorder=3)
    axes.plot(days, lines["treated"], color=canvas.BLUE, linewidth=1.8, zorder=4)
    ends = {name: float(values[-3:].mean()) for name, values in lines.items()}
    _end_labels(axes, ends, top, said)
    ticks = _value_ticks(0.0, top)
    canvas.style_axis(axes, "y", ticks, [_plain(tick, ticks, said) for tick in ticks], grid=True)
    first, last = (series["period"][at] for at in (0, -1))
    marks = _date_ticks(first, last)
    canvas.style_axis(axes, "x", [day.toordinal() for day, _ in marks], [text for _, text in marks])


def _roll_out(axes: Axes, days: Floats, cohorts: pl.DataFrame, top: float) -> None:
    """Share of the treated units that are live, as a stepped area that reaches the top when all are."""
    live = cohorts.filter(pl.col("role") == "treated").drop_nulls(["go_live"]).sort("go_live")
    if live.is_empty():
        return
    starts = np.array([day.toordinal() for day in live["go_live"].to_list()], dtype=np.float64)
    share = np.cumsum(live["units"].to_numpy()) / live["units"].sum()
    at = np.searchsorted(starts, days, side="right")
    height = np.concatenate([[0.0], share])[at] * top
    axes.fill_between(days, height, step="post", color=SHADE, linewidth=0, zorder=0)


def _shade_key(figure: Figure, y: float, said: Words) -> None:
    """What the shaded area is, on the line of the panel's title."""
    right = canvas.README_WIDTH - RIGHT
    text = said("share_live")
    canvas.written(figure, right, y, text, ha="right", size=8.5, color=canvas.MUTED)
    left = right - canvas.text_width(text, 8.5) - 0.28
    swatch = canvas.bare_axes(figure, left, y - 0.06, 0.2, 0.12)
    swatch.set_facecolor(SHADE)
    swatch.patch.set_visible(True)


def _end_labels(axes: Axes, ends: dict[str, float], top: float, said: Words) -> None:
    """Names of the lines at their right ends, pushed apart if they would meet."""
    colours = {"treated": canvas.BLUE, "control": canvas.MUTED}
    high, low = sorted(ends, key=lambda name: -ends[name])
    places = {name: ends[name] / top * PANEL for name in ends}
    short = LABEL_GAP - (places[high] - places[low])
    if short > 0:
        places[high] += short / 2
        places[low] -= short / 2
    for name, place in places.items():
        canvas.write(
            axes,
            1.01,
            place / PANEL,
            said(name),
            transform=axes.transAxes,
            color=colours[name],
            weight="bold",
        )


def _event(figure: Figure, bottom: float, index: Index, said: Words) -> None:
    axes = _frame(figure, bottom)
    event, values = index.event_time, index.index
    low, high = _vertical(index)
    axes.set_xlim(event.min() - 1, event.max() + 1)
    axes.set_ylim(low, high)
    axes.axvspan(-0.5, 0.5, color=canvas.FAINT, linewidth=0, zorder=0)
    sizes = 4 + 22 * index.units / index.units.max()
    # A point beyond the axis is a small triangle on its edge, never a dot in a wrong place.
    for marker, mask in (
        ("o", (values >= low) & (values <= high)),
        ("v", values < low),
        ("^", values > high),
    ):
        axes.scatter(
            event[mask],
            np.clip(values[mask], low, high),
            s=sizes[mask] if marker == "o" else BEYOND,
            marker=marker,
            color=canvas.BLUE,
            alpha=0.55,
            linewidths=0,
            zorder=3,
            clip_on=False,
        )
    axes.hlines(100.0, event.min() - 1, -0.5, color=canvas.INK, linewidth=1.4, zorder=4)
    axes.hlines(
        100.0,
        0.5,
        event.max() + 1,
        color=canvas.INK,
        linewidth=0.9,
        linestyle=(0, (2, 3)),
        zorder=2,
    )
    if np.isfinite(index.after):
        axes.hlines(index.after, 0.5, event.max() + 1, color=canvas.ORANGE, linewidth=1.8, zorder=4)
        label = said(
            "after",
            index=decimal(index.after, said.language, digits=0),
            change=percent(index.after - 100, said.language, digits=0),
        )
        _after_label(axes, index.after, label, low, high)
    ticks = _value_ticks(low, high)
    canvas.style_axis(axes, "y", ticks, [_plain(tick, ticks, said) for tick in ticks], grid=True)
    times = _value_ticks(float(event.min()), float(event.max()), most=10, whole_steps=True)
    labels = [decimal(time, said.language, digits=0, signed=True) for time in times]
    canvas.style_axis(axes, "x", times, labels)
    style = {"size": 8.5, "color": canvas.MUTED}
    canvas.written(figure, LEFT, bottom - 0.4, said("event_axis"), **style)
    canvas.written(
        figure, canvas.README_WIDTH - RIGHT, bottom - 0.4, said("fading"), ha="right", **style
    )


def _after_label(axes: Axes, value: float, label: str, low: float, high: float) -> None:
    """Beside its line, in two lines so that the change stands under the level."""
    first, _, rest = label.partition(" (")
    place = (value - low) / (high - low)
    for number, text in enumerate((first, f"({rest}" if rest else "")):
        canvas.write(
            axes,
            1.01,
            place - number * LABEL_GAP / PANEL,
            text,
            transform=axes.transAxes,
            color=canvas.ORANGE,
            weight="bold",
        )


def _vertical(index: Index) -> tuple[float, float]:
    """Limits of the index axis: event times that few units reach may not stretch it."""
    firm = index.index[index.units >= SUPPORTED * index.units.max()]
    known = [*firm.tolist(), 100.0]
    if np.isfinite(index.after):
        known.append(index.after)
    low, high = min(known), max(known)
    room = 0.12 * max(high - low, 10.0)
    return max(low - room, 0.0), high + room


def _value_ticks(
    low: float, high: float, *, most: int = 5, whole_steps: bool = False
) -> list[float]:
    """At most ``most`` + 1 round values from ``low`` to ``high``."""
    least = (high - low) / most or 1.0
    power = 10.0 ** np.floor(np.log10(least))
    step = float(next(s * power for s in (1, 2, 5, 10) if s * power >= least * (1 - 1e-12)))
    if whole_steps:
        step = next((s for s in (1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 60.0) if s >= least), step)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [number * step for number in range(first, last + 1)]


def _plain(value: float, ticks: list[float], said: Words) -> str:
    """With as many digits as the step between ticks has."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return decimal(value, said.language, digits=digits)


def _date_ticks(first: dt.date, last: dt.date) -> list[tuple[dt.date, str]]:
    """Years, or months where the window is short; never more than a dozen."""
    if (last - first).days > 2 * 365:
        years = range(first.year + (first > dt.date(first.year, 1, 1)), last.year + 1)
        every = -(-len(years) // 12)
        return [(dt.date(year, 1, 1), str(year)) for year in years[::every]]
    months = [
        dt.date(year, month, 1)
        for year in range(first.year, last.year + 1)
        for month in range(1, 13)
        if first <= dt.date(year, month, 1) <= last
    ]
    every = -(-len(months) // 8) or 1
    return [(day, day.strftime("%Y-%m")) for day in months[::every]]
