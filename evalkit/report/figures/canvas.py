"""Paper, ink and type of every figure, and the one place that needs matplotlib.

The object-oriented interface only: no pyplot, no windows, no settings of the user's matplotlibrc for what is
drawn. The same input gives the same bytes with the same versions: no date, ids from a fixed salt, and the
DejaVu fonts that matplotlib ships.

Vocabulary
    stem  path of a figure without suffix; ``.svg`` and ``.png`` are added.

Lengths are in inches and type sizes in points. At `README_WIDTH` a figure is shown at about its own size in
a README, where ten points are fourteen pixels.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evalkit.errors import MissingExtraError
from evalkit.report.files import write_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "CSS_VARIABLES",
    "DEEP",
    "FAINT",
    "GREEN",
    "INK",
    "LINE",
    "MUTED",
    "OCHRE",
    "ORANGE",
    "PAPER",
    "README_WIDTH",
    "SAND",
    "VIOLET",
    "bare_axes",
    "colormap",
    "new_figure",
    "png_and_svg",
    "style_axis",
    "svg_text",
    "text_width",
    "wrap",
    "write",
    "written",
]

# Blue and orange stay apart under every common colour blindness; lightness differs as well, for grey prints.
INK: Final = "#1c2b36"
MUTED: Final = "#5f6f7b"
LINE: Final = "#c3ced6"
FAINT: Final = "#edf1f4"
PAPER: Final = "#ffffff"
BLUE: Final = "#2a6fa8"
DEEP: Final = "#12406b"
ORANGE: Final = "#b3500e"
SAND: Final = "#f9e8d8"
VIOLET: Final = "#7a3e8e"
GREEN: Final = "#1d7457"
OCHRE: Final = "#7d5a00"

CSS_VARIABLES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    FAINT: "--faint",
    PAPER: "--paper",
    BLUE: "--blue",
    DEEP: "--deep",
    ORANGE: "--orange",
    SAND: "--sand",
    VIOLET: "--violet",
    GREEN: "--green",
    OCHRE: "--ochre",
}
"""Colour → custom property of the page's style sheet, which gives each a dark counterpart."""

README_WIDTH: Final = 9.0
PNG_DOTS: Final = 200
"""Dots an inch: twice a screen's, so that figures stay sharp on dense displays and in print."""

FAMILY: Final = "DejaVu Sans"
FALLBACK: Final = "'DejaVu Sans', Verdana, sans-serif"
"""What an SVG asks for. Verdana is about as wide, so columns keep their places where DejaVu is not installed."""

HINTING: Final = 1.03
"""Text is a little wider where letters are moved to whole pixels; measured 2 % at these sizes."""

SALT: Final = "evalkit"
SVG_SETTINGS: Final = {"svg.hashsalt": SALT, "svg.fonttype": "none", "svg.id": None}

# matplotlib reads these settings from a process-wide table while it writes an SVG.
_settings = threading.Lock()

_MISSING: Final = "figures need matplotlib, which is not installed"


def require_matplotlib() -> None:
    """Say how to get matplotlib, before any work is done that would end without a picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401  # only whether it is there
    except ImportError:
        raise MissingExtraError(
            _MISSING,
            limit="matplotlib 3.10 or later",
            way_out="pip install 'evalkit[figures]', or draw nothing with --no-pictures",
        ) from None


def new_figure(width: float, height: float) -> Figure:
    """A blank figure on an Agg canvas.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, facecolor=PAPER, edgecolor="none")
    FigureCanvasAgg(figure)
    return figure


def written(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    """Write on a figure, ``x`` and ``y`` in inches from its lower left corner. No mark-up is interpreted."""
    width, height = figure.get_size_inches()
    defaults: dict[str, Any] = {"size": 9.5, "color": INK, "va": "center_baseline"}
    figure.text(x / width, y / height, text, family=FAMILY, parse_math=False, **(defaults | style))


def write(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Write on axes, ``x`` and ``y`` in data units unless ``transform`` says otherwise."""
    defaults: dict[str, Any] = {"size": 9.0, "color": INK, "va": "center_baseline"}
    axes.text(x, y, text, family=FAMILY, parse_math=False, **(defaults | style))


def bare_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches, without frame, ticks or background."""
    across, up = figure.get_size_inches()
    axes = figure.add_axes((left / across, bottom / up, width / across, height / up))
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def style_axis(
    axes: Axes, which: str, ticks: Sequence[float], labels: Sequence[str], *, grid: bool = False
) -> None:
    """Ticks with labels on the ``x`` or ``y`` axis, in the figures' type; no tick marks beside a grid."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks(list(ticks))
    axis.set_ticklabels(
        list(labels), fontfamily=FAMILY, fontsize=9.0, color=MUTED, parse_math=False
    )
    axis.set_tick_params(length=0 if grid else 3.5, width=0.8, color=LINE, pad=4)
    if grid:
        axes.set_axisbelow(True)
        axis.grid(visible=True, color=FAINT, linewidth=0.9)


def colormap(name: str, colours: Sequence[str]) -> LinearSegmentedColormap:
    """Even steps between colours, without registering anything."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(name, list(colours))


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Width in inches in the figures' font."""
    require_matplotlib()
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=FAMILY, size=size, weight="bold" if bold else "normal")
    points: float = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return HINTING * points / 72


def wrap(text: str, width: float, size: float, *, lines: int, bold: bool = False) -> list[str]:
    """Break text into at most ``lines`` lines of ``width`` inches; what does not fit ends in an ellipsis."""
    broken: list[str] = []
    line = ""
    # Only plain spaces break: a no-break space keeps a number and its unit together.
    for word in [word for word in text.split(" ") if word]:
        longer = f"{line} {word}" if line else word
        if not line or text_width(longer, size, bold=bold) <= width:
            line = longer
        else:
            broken.append(line)
            line = word
    broken.append(line)
    if len(broken) > lines:
        broken = [*broken[: lines - 1], " ".join(broken[lines - 1 :])]
    return [_shorten(line, width, size, bold=bold) for line in broken]


def _shorten(line: str, width: float, size: float, *, bold: bool) -> str:
    if text_width(line, size, bold=bold) <= width:
        return line
    end = len(line)
    while end > 1 and text_width(f"{line[:end].rstrip()}…", size, bold=bold) > width:
        end -= 1
    return f"{line[:end].rstrip()}…"


def svg_text(figure: Figure, title: str) -> str:
    """The figure as SVG, its words as text rather than outlines."""
    buffer = io.StringIO()
    with _svg_settings():
        figure.savefig(
            buffer,
            format="svg",
            dpi=PNG_DOTS,  # of layers that are pixels even in an SVG
            facecolor=PAPER,
            metadata={"Date": None, "Creator": "evalkit", "Title": title},
        )
    return buffer.getvalue().replace(f"'{FAMILY}'", FALLBACK)


def png_and_svg(figure: Figure, stem: Path, title: str) -> list[Path]:
    """Write ``stem.svg`` and ``stem.png`` and return their paths.

    Raises:
        ConfigError: the files cannot be written.
    """
    pixels = io.BytesIO()
    figure.savefig(
        pixels,
        format="png",
        dpi=PNG_DOTS,
        facecolor=PAPER,
        metadata={"Software": "evalkit", "Title": title},
    )
    return write_all(
        {
            stem.with_name(f"{stem.name}.svg"): svg_text(figure, title).encode("utf-8"),
            stem.with_name(f"{stem.name}.png"): pixels.getvalue(),
        }
    )


@contextmanager
def _svg_settings() -> Iterator[None]:
    """The settings of `SVG_SETTINGS`, for one thread at a time, put back afterwards."""
    import matplotlib

    table: MutableMapping[Any, Any] = matplotlib.rcParams
    with _settings:
        before = {name: table[name] for name in SVG_SETTINGS}
        table.update(SVG_SETTINGS)
        try:
            yield
        finally:
            table.update(before)
