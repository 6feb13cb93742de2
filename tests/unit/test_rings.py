"""Several displacement rings: in the study file, its hash, the panel, the store and the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from evalkit.config import parse_toml
from evalkit.core.panel import Panel, Role, concatenate
from evalkit.core.study import Study, Units, check_study, study_hash
from evalkit.errors import ConfigError, PanelError
from evalkit.panel.store import read_built, read_panel, write_panel
from evalkit.report.figures.panel_map import panel_map
from tests.panel_frames import build, camera, camera_frame, incident, incident_frame, study
from tests.panels import city

RINGS = Units(kind="catchment", radius_m=100.0, ring_m=(200.0, 300.0))

STUDY = """
name = "rings"
title = "Rings"
window = {{ start = 2020-01-01, end = 2020-12-31 }}
outcome = {{ crime_types = ["theft"] }}
units = {{ kind = "{kind}", ring_m = {ring_m} }}
"""


def parsed(ring_m: str, kind: str = "catchment") -> Study:
    return check_study(parse_toml(STUDY.format(kind=kind, ring_m=ring_m), Study, where="here"))


def handmade() -> Panel:
    """Three rings of each of two cameras."""
    crimes = incident_frame(
        [incident("2020-01-05", 60.0 * step, 0) for step in range(1, 40)]
        + [incident("2020-01-05", 0, 5000)]
    )
    eyes = camera_frame([camera("2020-03-10", 0, 0), camera("2020-04-10", 1500, 0)])
    return build(crimes, eyes, study(RINGS)).panel


def test_one_number_is_encoded_as_a_number() -> None:
    one = parsed("300.0")
    assert b'"ring_m":300.0' in msgspec.json.encode(one)
    assert study_hash(parsed("[300.0]")) == study_hash(one) == study_hash(parsed("300"))
    assert msgspec.json.decode(msgspec.json.encode(one), type=Study) == one


def test_a_list_survives_the_store_of_studies() -> None:
    several = parsed("[200.0, 300, 400.5]")
    assert several.units.ring_m == several.units.rings_m == (200.0, 300.0, 400.5)
    assert several.units.reach_m == 400.5
    assert msgspec.json.decode(msgspec.json.encode(several), type=Study) == several
    assert study_hash(several) != study_hash(parsed("[200.0, 300.0]"))


def test_without_a_ring_the_reach_is_the_radius() -> None:
    none = Units(kind="catchment", radius_m=100.0, ring_m=100.0)
    assert (none.rings_m, none.reach_m) == ((), 100.0)


@pytest.mark.parametrize(
    ("ring_m", "kind", "words"),
    [
        ("[300.0, 200.0]", "catchment", "does not ascend"),
        ("[200.0, 200.0]", "catchment", "does not ascend"),
        ("[100.0, 200.0]", "catchment", "does not ascend"),
        ("[50.0, 200.0]", "catchment", "does not ascend"),
        ("50.0", "catchment", "smaller than"),
        ("[50.0]", "catchment", "smaller than"),
        ("[200.0, 300.0]", "grid", "several ring_m"),
        ("[200.0, 300.0]", "area", "several ring_m"),
        ("[]", "catchment", "ring_m"),
        ("[-1.0]", "catchment", "ring_m"),
        ('"wide"', "catchment", "ring_m"),
    ],
)
def test_rings_that_mean_nothing_are_refused(ring_m: str, kind: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parsed(ring_m, kind)


def test_panels_without_rings_stated_have_one() -> None:
    panel = city("alta", 1)
    assert panel.ring.tolist() == (panel.role == Role.RING).astype(int).tolist()
    assert panel.ring.max() == 1
    assert not panel.ring.flags.writeable


def test_rings_follow_their_units() -> None:
    panel = handmade()
    assert set(panel.ring.tolist()) == {0, 1, 2}
    assert ((panel.ring > 0) == (panel.role == Role.RING)).all()
    outer = panel.take(panel.ring == 2)
    assert outer.ring.tolist() == [2, 2]
    assert panel.take(np.array([3, 0])).ring.tolist() == panel.ring[[3, 0]].tolist()
    both = concatenate([panel, replace(panel, sites=("aaa",))])
    assert both.ring.tolist() == [*panel.ring, *panel.ring]
    assert [one.ring.tolist() for one in both.split()] == [panel.ring.tolist()] * 2


@pytest.mark.parametrize(("ring", "words"), [([0, 0], "shape"), ([-1] * 5, "negative")])
def test_rings_that_cannot_be_are_refused(ring: list[int], words: str) -> None:
    panel = handmade().take(np.arange(5))
    with pytest.raises(PanelError, match=words):
        replace(panel, ring=np.array(ring, dtype=np.int64))


def test_store_keeps_rings_and_reads_panels_that_had_one(tmp_path: Path) -> None:
    crimes = incident_frame([incident("2020-01-05", 150, 0), incident("2020-01-05", 0, 5000)])
    eyes = camera_frame([camera("2020-03-10", 0, 0)])
    several = build(crimes, eyes, study(RINGS))
    write_panel(several, tmp_path)
    assert read_panel(tmp_path).ring.tolist() == several.panel.ring.tolist() == [0, 1, 2, 0]
    assert read_built(tmp_path).units.equals(several.units)


def test_every_ring_is_drawn_with_its_own_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib import collections

    drawn: list[list[float]] = []

    class Kept(collections.EllipseCollection):
        def __init__(self, widths, heights, *rest, **more):  # type: ignore[no-untyped-def]
            drawn.append(sorted(set(np.round(widths, 6).tolist())))
            super().__init__(widths, heights, *rest, **more)

    monkeypatch.setattr(collections, "EllipseCollection", Kept)
    units = pl.DataFrame(
        {
            "role": ["treated", "ring", "ring", "control"],
            "ring": [0, 1, 2, 0],
            "first_live": pl.Series([None] * 4, dtype=pl.Date),
            "x": [0.0, 0.0, 0.0, 900.0],
            "y": [0.0, 0.0, 0.0, 900.0],
        }
    )
    panel_map(units, "Town", tmp_path / "several", zones=RINGS)
    assert [400.0, 600.0] in drawn
    drawn.clear()
    panel_map(units, "Town", tmp_path / "hexagons", zones=Units(kind="hexagon"))
    assert all(sizes == [347.795802] for sizes in drawn)
    drawn.clear()
    panel_map(units.drop("ring"), "Town", tmp_path / "one", zones=Units(kind="catchment"))
    assert [400.0] in drawn
