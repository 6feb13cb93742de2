"""Power along the number of cities, of cameras and of periods, side by side, with the target and the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evalkit.report.figures import canvas
from evalkit.report.languages import Words
from evalkit.report.numbers import decimal, percent, short_percent, whole
from evalkit.report.wording.power import power_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_power", "power_alternative", "power_curves"]

LEFT: Final = 0.62
GAP: Final = 0.42
PLOT_HEIGHT: Final = 2.25
FOOT: Final = 0.72
HEAD: Final = 0.95
SMALL: Final = 8.5
PERCENT_TICKS: Final = (0, 20, 40, 60, 80, 100)

LINES: Final = (
    ("power_without_tau", canvas.BLUE, 1.2, (0, (5, 2))),
    ("power_twice_tau", canvas.BLUE, 1.2, (0, (1, 1.6))),
    ("power", canvas.DEEP, 2.2, "solid"),
)


def power_curves(result: Mapping[str, Any], stem: Path, language: str = "en") -> list[Path]:
    """Write the curves as SVG and PNG and return both paths.

    Args:
        result: what ``evalkit study power --json`` prints.
        stem: path without suffix.
        language: ``en``, ``es`` or ``pt``.

    Raises:
        ConfigError: an unknown language, or the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said = power_words(language)
    return canvas.png_and_svg(draw_power(result, said), stem, power_alternative(result, said))


def power_alternative(result: Mapping[str, Any], said: Words) -> str:
    """The picture in one sentence."""
    return said(
        "curves_alt",
        effect=short_percent(result["effect_percent"], said.language),
        power=percent(100 * result["power"], said.language, digits=0, signed=False),
    )


def draw_power(result: Mapping[str, Any], said: Words) -> Figure:
    """The figure itself."""
    width, height = canvas.README_WIDTH, HEAD + PLOT_HEIGHT + FOOT
    figure = canvas.new_figure(width, height)
    effect = short_percent(result["effect_percent"], said.language)
    canvas.written(
        figure,
        0.16,
        height - 0.26,
        said("to_detect", effect=effect),
        size=12.0,
        weight="bold",
    )
    _key(figure, result, said, height - 0.56)
    panels = list(result["curves"].items())
    each = (width - LEFT - 0.2 - GAP * (len(panels) - 1)) / len(panels)
    for place, (quantity, points) in enumerate(panels):
        left = LEFT + place * (each + GAP)
        axes = canvas.bare_axes(figure, left, FOOT, each, PLOT_HEIGHT)
        _panel(axes, points, _now(result, quantity), result["power"], said, first=place == 0)
        canvas.written(figure, left + each / 2, 0.24, said(quantity), size=SMALL + 0.5, ha="center")
    return figure


def _key(figure: Figure, result: Mapping[str, Any], said: Words, y: float) -> None:
    """The lines by their τ, and the axis' name."""
    canvas.written(figure, 0.16, y, said("power_axis"), size=SMALL, color=canvas.MUTED)
    tau = result["plan"]["tau"]
    labels = {
        "power_without_tau": said("tau_zero"),
        "power": said("tau_plan", tau=decimal(tau, said.language, digits=2)),
        "power_twice_tau": said("tau_twice", tau=decimal(2 * tau, said.language, digits=2)),
    }
    x = LEFT + 1.1
    for name in ("power_without_tau", "power", "power_twice_tau"):
        _, colour, thickness, dash = next(line for line in LINES if line[0] == name)
        axes = canvas.bare_axes(figure, x, y - 0.05, 0.34, 0.1)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.hlines(0.5, 0, 1, color=colour, linewidth=thickness, linestyle=dash)
        canvas.written(figure, x + 0.42, y, labels[name], size=SMALL, color=canvas.MUTED)
        x += 0.42 + canvas.text_width(labels[name], SMALL) + 0.34


def _panel(
    axes: Axes,
    points: Sequence[Mapping[str, Any]],
    now: float,
    power: float,
    said: Words,
    *,
    first: bool,
) -> None:
    numbers = [point["number"] for point in points]
    axes.set_xlim(0, numbers[-1])
    axes.set_ylim(0, 103)
    canvas.style_axis(
        axes,
        "y",
        PERCENT_TICKS,
        [whole(tick, said.language) for tick in PERCENT_TICKS] if first else [""] * 6,
        grid=True,
    )
    ticks = _ticks(numbers[-1])
    canvas.style_axis(axes, "x", ticks, [whole(tick, said.language) for tick in ticks])
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(canvas.LINE)
    axes.hlines(80, 0, numbers[-1], color=canvas.ORANGE, linewidth=1.2, zorder=2)
    for name, colour, thickness, dash in LINES:
        axes.plot(
            numbers,
            [100 * point[name] for point in points],
            color=colour,
            linewidth=thickness,
            linestyle=dash,
            zorder=3,
        )
    if 0 < now <= numbers[-1]:
        axes.plot(
            [now],
            [100 * power],
            marker="o",
            markersize=7,
            markerfacecolor=canvas.PAPER,
            markeredgecolor=canvas.DEEP,
            markeredgewidth=1.8,
            clip_on=False,
            zorder=4,
        )


def _ticks(end: float) -> list[float]:
    """Four to six round numbers from 0."""
    for step in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500):
        if end / step <= 5.5:
            return [float(tick) for tick in range(0, int(end) + 1, step)]
    step = 10 ** (len(str(int(end))) - 1)
    return [float(tick) for tick in range(0, int(end) + 1, step if end / step > 2 else step // 2)]


def _now(result: Mapping[str, Any], quantity: str) -> float:
    now = next(one["now"] for one in result["needed"] if one["quantity"] == quantity)
    # One city is tested by its own interval, which is on no curve of several.
    return 0.0 if quantity == "cities" and now == 1 else float(now)
