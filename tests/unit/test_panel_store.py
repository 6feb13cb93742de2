"""The stored panel: round trip, tampering, absence."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from evalkit.core.panel import Panel, concatenate
from evalkit.core.study import Treatment, Units
from evalkit.errors import NoPanelError, PanelError
from evalkit.panel import store as panel_store
from evalkit.panel.build import Built
from evalkit.panel.store import read_built, read_panel, write_panel
from tests.panel_frames import build, camera, camera_frame, incident, incident_frame, study

CATCHMENT = Units(kind="catchment")
FILES = [
    "units.parquet",
    "counts.parquet",
    "exposure.parquet",
    "dose.parquet",
    "arrays.msgpack",
    "panel.json",
]


@pytest.fixture(scope="module")
def built() -> Built:
    """A panel with every kind of column: nulls, rings, zero exposure, an undated site."""
    incidents = incident_frame(
        [
            incident("2020-01-05", 5, 5, times=300),
            incident("2020-06-05", 2010, 2010, "robbery"),
            incident("2020-02-05", 150, 0, times=2),
        ]
    )
    cameras = camera_frame(
        [camera("2020-03-10", 0, 0), camera("2020-05-10", 5000, 0), camera(None, 0, 5000)]
    )
    adoption = Treatment(adoption_end=dt.date(2020, 4, 30))
    return build(incidents, cameras, study(CATCHMENT, treatment=adoption))


def test_round_trip(built: Built, tmp_path: Path) -> None:
    folder = write_panel(built, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    read, written = read_panel(tmp_path), built.panel
    for name in ("sites", "crime_types", "periods", "study", "fingerprint"):
        assert getattr(read, name) == getattr(written, name)
    arrays = ("unit_ids", "site_of_unit", "role", "first_live", "last_live", "counts", "exposure")
    for name in arrays:
        one, other = getattr(read, name), getattr(written, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert (read.exposure == 0).any()
    assert not read.counts.flags.writeable


def test_everything_the_city_knows_comes_back(built: Built, tmp_path: Path) -> None:
    write_panel(built, tmp_path)
    read = read_built(tmp_path)
    assert_frame_equal(read.units, built.units)
    assert list(read.account.items()) == list(built.account.items())
    assert read.facts == built.facts
    assert read.notes == built.notes
    assert_frame_equal(read.diagnostics.event_time, built.diagnostics.event_time)


def test_zeros_and_full_exposure_are_not_stored(built: Built, tmp_path: Path) -> None:
    folder = write_panel(built, tmp_path)
    stored = pl.read_parquet(folder / "counts.parquet")
    assert len(stored) == np.count_nonzero(built.panel.counts)
    assert stored["count"].max() == 300
    assert len(pl.read_parquet(folder / "exposure.parquet")) == (built.panel.exposure != 1).sum()


def test_a_large_panel_has_no_arrays_beside_its_tables(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is the same panel to whoever reads it."""
    write_panel(built, tmp_path / "small")
    monkeypatch.setattr(panel_store, "SMALL", 1)
    folder = write_panel(built, tmp_path / "large")
    assert sorted(path.name for path in folder.iterdir()) == sorted(set(FILES) - {"arrays.msgpack"})
    small, large = read_panel(tmp_path / "small"), read_panel(tmp_path / "large")
    for field in fields(Panel):
        one, other = getattr(small, field.name), getattr(large, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
        else:
            assert one == other


def test_panels_of_version_2_are_read(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those were written without arrays."""
    monkeypatch.setattr(panel_store, "SMALL", 1)
    monkeypatch.setattr(panel_store, "FORMAT", 2)
    path = write_panel(built, tmp_path) / "panel.json"
    assert json.loads(path.read_text())["format"] == 2
    monkeypatch.undo()
    assert np.array_equal(read_panel(tmp_path).counts, built.panel.counts)


@pytest.mark.parametrize("arrays", [b"", b"\x80", msgspec.msgpack.encode({"unit_ids": []})])
def test_arrays_that_are_none_are_refused_whatever_their_digest(
    built: Built, tmp_path: Path, arrays: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel_store, "_arrays", lambda _: arrays)
    write_panel(built, tmp_path)
    with pytest.raises(PanelError, match="changed"):
        read_panel(tmp_path)


def test_writing_again_replaces(built: Built, tmp_path: Path) -> None:
    write_panel(built, tmp_path)
    (tmp_path / "panel.new").mkdir()  # left behind by a run that was killed
    other = replace(built, panel=replace(built.panel, study="c" * 64))
    write_panel(other, tmp_path)
    assert read_panel(tmp_path).study == "c" * 64
    assert [path.name for path in tmp_path.iterdir()] == ["panel"]


def test_absent_panel_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        NoPanelError, match=r"evalkit site panel --site SITE\.toml --study STUDY\.toml"
    ):
        read_panel(tmp_path)


def test_panel_of_another_study(built: Built, tmp_path: Path) -> None:
    write_panel(built, tmp_path)
    assert read_panel(tmp_path, study="a" * 64).study == "a" * 64
    with pytest.raises(NoPanelError, match="another study"):
        read_panel(tmp_path, study="c" * 64)


@pytest.mark.parametrize("name", FILES)
def test_any_changed_byte_is_found(built: Built, tmp_path: Path, name: str) -> None:
    path = write_panel(built, tmp_path) / name
    original = path.read_bytes()
    for position in range(0, len(original), max(1, len(original) // 40)):
        changed = bytearray(original)
        changed[position] ^= 1
        path.write_bytes(bytes(changed))
        if name == "panel.json" and _same_meaning(original, bytes(changed)):
            continue  # a blank that became another blank
        with pytest.raises(PanelError):
            read_panel(tmp_path)
    path.write_bytes(original)
    read_panel(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("site", "elsewhere"), ("periods", ["2020-01-01"] * 6), ("account", {"incidents": 1})],
)
def test_edited_manifest_is_found(built: Built, tmp_path: Path, key: str, value: object) -> None:
    path = write_panel(built, tmp_path) / "panel.json"
    manifest = json.loads(path.read_text())
    assert manifest[key] != value
    path.write_text(json.dumps({**manifest, key: value}))
    with pytest.raises(PanelError, match="changed after it was written"):
        read_panel(tmp_path)


def test_swapped_tables_of_two_panels_are_found(built: Built, tmp_path: Path) -> None:
    first = write_panel(built, tmp_path / "one")
    counts = built.panel.counts * 2
    second = write_panel(
        replace(built, panel=replace(built.panel, counts=counts)), tmp_path / "two"
    )
    (first / "counts.parquet").write_bytes((second / "counts.parquet").read_bytes())
    with pytest.raises(PanelError, match="changed"):
        read_panel(tmp_path / "one")


@pytest.mark.parametrize("name", FILES)
def test_missing_file(built: Built, tmp_path: Path, name: str) -> None:
    (write_panel(built, tmp_path) / name).unlink()
    expected = NoPanelError if name == "panel.json" else PanelError
    with pytest.raises(expected, match="evalkit site panel"):
        read_panel(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 99}', '{"format": 1}', "\xff"])
def test_manifest_that_is_none(built: Built, tmp_path: Path, text: str) -> None:
    path = write_panel(built, tmp_path) / "panel.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(PanelError):
        read_panel(tmp_path)


def test_other_format_version_says_so(built: Built, tmp_path: Path) -> None:
    path = write_panel(built, tmp_path) / "panel.json"
    path.write_text('{"format": 99, "new": true}')
    with pytest.raises(PanelError, match="another format version"):
        read_panel(tmp_path)


def test_a_panel_of_two_cities_is_not_stored(built: Built, tmp_path: Path) -> None:
    two = concatenate([built.panel, replace(built.panel, sites=("other",))])
    with pytest.raises(PanelError, match="2 cities"):
        write_panel(replace(built, panel=two), tmp_path)


def test_folder_that_cannot_be_written(built: Built, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(PanelError, match="cannot be written"):
        write_panel(built, blocked)


def test_reading_loads_no_scipy() -> None:
    """A city starts a fresh process for every message, and scipy.spatial costs a third of it."""
    script = "import sys, evalkit.panel.store; print([m for m in sys.modules if 'scipy' in m])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"


def _same_meaning(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False
