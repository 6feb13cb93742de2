"""Named areas, counted by hand."""

from __future__ import annotations

import pytest

from evalkit.core.study import Units
from evalkit.errors import PanelError
from tests.panel_frames import (
    adds_up,
    build,
    camera,
    camera_frame,
    counts,
    go_live,
    incident,
    incident_frame,
    roles,
    study,
)

AREA = Units(kind="area")
INCIDENTS = incident_frame(
    [
        incident("2020-01-05", area="north", times=2),
        incident("2020-03-05", 100, 200, area="north"),
        incident("2020-02-05", area="south", times=3),
        incident("2020-02-05"),
        incident("2020-02-05", 0, 0, "theft", area="east"),
    ]
)
CAMERAS = camera_frame(
    [
        camera("2020-04-10", area="north"),
        camera("2020-03-10", 300, 200, area="north"),
        camera(None, area="west"),
        camera("2020-03-10", 0, 0),
    ]
)


def test_counts_roles_and_account() -> None:
    built = build(INCIDENTS, CAMERAS, study(AREA))
    assert roles(built) == {
        "east": "control",
        "north": "treated",
        "south": "control",
        "west": "undated",
    }
    assert counts(built, "north") == [2, 0, 1, 0, 0, 0]
    assert counts(built, "south") == [0, 3, 0, 0, 0, 0]
    assert counts(built, "east") == [0] * 6
    assert go_live(built)["north"] == 2
    assert built.account["without a usable place"] == 1
    assert built.account["of other crime types"] == 1
    assert adds_up(built)
    assert built.units["cameras"].to_list() == [0, 2, 0, 1]
    assert built.facts["cameras without a usable place"] == 1
    # The middle of the located rows; unknown where there are none.
    north = built.units.filter(built.units["unit"] == "north").to_dicts()[0]
    assert (north["x"], north["y"]) == (pytest.approx(200.0), pytest.approx(200.0))
    assert built.units.filter(built.units["unit"] == "south")["x"].to_list() == [None]


@pytest.mark.parametrize("which", ["incidents", "cameras"])
def test_rows_that_name_no_area(which: str) -> None:
    bare_incidents = incident_frame([incident("2020-02-05", 0, 0), incident("2020-02-05", 9, 9)])
    bare_cameras = camera_frame([camera("2020-03-10", 0, 0)])
    with pytest.raises(PanelError, match=rf"none of the {which} names one.*\[{which}.columns\]"):
        build(
            bare_incidents if which == "incidents" else INCIDENTS,
            bare_cameras if which == "cameras" else CAMERAS,
            study(AREA),
        )
