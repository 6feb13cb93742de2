"""Simulated cities with a known truth, written as raw files in the ways real portals write them.

Vocabulary
    place      a hotspot or background cell with a fixed weight and its own monthly noise.
    site       a junction with one or more cameras that went live on one day.
    catchment  everywhere within reach of one of a site's cameras; catchments never overlap.
    without    the incidents that would have happened without any camera.
    clean      the incidents that did happen, before a portal's clerks and exports spoil some rows.
"""

from __future__ import annotations

from evalkit.simulate.draw import CityDraw, draw_city
from evalkit.simulate.presets import PRESETS, CitySpec, Effect, Mess, Preset, Shape
from evalkit.simulate.truth import CityTruth, Defects, SiteTruth, Truth, load_truth
from evalkit.simulate.write import Simulation, simulate

__all__ = [
    "PRESETS",
    "CityDraw",
    "CitySpec",
    "CityTruth",
    "Defects",
    "Effect",
    "Mess",
    "Preset",
    "Shape",
    "Simulation",
    "SiteTruth",
    "Truth",
    "draw_city",
    "load_truth",
    "simulate",
]
