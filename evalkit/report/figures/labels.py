"""Names beside points, where there is room: no name lies on a point, on another name, or outside the plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Box", "Label", "Mark", "place_labels"]

FEW: Final = 12
"""Up to so many marks each has a name wherever one fits."""

AIR: Final = 0.04
"""Inches between a mark and its name, and between two names."""


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A round mark and the size of its name, in inches from the plot's lower left corner."""

    x: float
    y: float
    radius: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Label:
    """Where a name's box begins, and its middle."""

    left: float
    middle: float


def place_labels(
    marks: Sequence[Mark], size: tuple[float, float], *, lines: Sequence[Box] = ()
) -> list[Label | None]:
    """A place for each mark's name beside, above or below it; None where there is none.

    Args:
        marks: in order of precedence.
        size: width and height of the plot.
        lines: boxes (left, bottom, right, top) that names keep clear of where few marks leave a choice; a name
            across a line is better than none, but not among many.
    """
    boxes = [_around(mark) for mark in marks]
    placed: list[Label | None] = []
    for mark in marks:
        free = [
            one
            for one in _candidates(mark)
            if _inside(_box(one, mark), size)
            and not any(_meet(_box(one, mark), box) for box in boxes)
        ]
        clear = [one for one in free if not any(_meet(_box(one, mark), line) for line in lines)]
        label = next(iter(clear if clear or len(marks) > FEW else free), None)
        if label is not None:
            boxes.append(_box(label, mark))
        placed.append(label)
    return placed


def _candidates(mark: Mark) -> list[Label]:
    beside, up = mark.radius + AIR, mark.radius + AIR + mark.height / 2
    nearer = -mark.radius / 2
    return [
        Label(mark.x + beside, mark.y),
        Label(mark.x - beside - mark.width, mark.y),
        Label(mark.x - mark.width / 2, mark.y + up),
        Label(mark.x - mark.width / 2, mark.y - up),
        Label(mark.x + nearer, mark.y + up),
        Label(mark.x + nearer, mark.y - up),
        Label(mark.x - nearer - mark.width, mark.y + up),
        Label(mark.x - nearer - mark.width, mark.y - up),
    ]


def _around(mark: Mark) -> Box:
    return (
        mark.x - mark.radius,
        mark.y - mark.radius,
        mark.x + mark.radius,
        mark.y + mark.radius,
    )


def _box(label: Label, mark: Mark) -> Box:
    half = mark.height / 2
    return (label.left, label.middle - half, label.left + mark.width, label.middle + half)


def _inside(box: Box, size: tuple[float, float]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]


def _meet(one: Box, other: Box) -> bool:
    return (
        one[0] < other[2] + AIR / 2
        and other[0] < one[2] + AIR / 2
        and one[1] < other[3] + AIR / 2
        and other[1] < one[3] + AIR / 2
    )
