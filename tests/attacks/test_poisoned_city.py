"""One poisoned city of six: it ruins the pooled effect, unless it is set aside by rule and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flwr.app import RecordDict

from evalkit.cli.verify_run import as_json
from evalkit.core.estimate import Estimate
from evalkit.disclosure.release import Release
from evalkit.errors import CityAnswerError, MissingSiteError
from evalkit.federation import client_app
from evalkit.federation.codec import _encode_arrays, encode_release
from evalkit.federation.run_folder import RunFolder
from evalkit.runtimes.local import run_local
from evalkit.runtimes.replay import recompute
from tests.attacks.conftest import Record
from tests.attacks.poisoned import (
    ATTACKED,
    ESTIMATORS,
    POISONS,
    attack,
    drawn_trials,
    honest,
    replace_outliers,
)
from tests.panels import study
from tests.stores import store_of

LEFT = 0.05
"""Bias that the attack may leave; leaving an honest city out moves the effect by about 0.01 as well."""

RUINED = 0.2
"""Bias of an effect of −0.2 after which it is gone."""
HONEST_AND_ONE = 6
"""Cities of the attack table's row."""


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_effect_is_ruined_without_screening(name: str) -> None:
    found = [attack(name, poison, screened=False) for poison in ("effect +5", "not a number")]
    assert all(bool(one.ended) or abs(one.bias) > RUINED for one in found)
    assert not np.isfinite(found[1].bias)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_city_is_left_out_and_named(name: str, poison: str) -> None:
    found = attack(name, poison, screened=True)
    assert found.ended == ""
    assert abs(found.bias) < LEFT
    assert found.named == (ATTACKED,)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_honest_city_is_set_aside(name: str) -> None:
    assert attack(name, "", screened=True).named == ()


def test_a_study_that_wants_to_end_there_ends_there() -> None:
    for poison in ("huge", "negative variance"):
        found = attack("random_effects", poison, screened=True, outliers="name")
        assert found.ended == CityAnswerError.code
        assert found.named == (ATTACKED,)
    named = attack("random_effects", "effect +5", screened=True, outliers="name")
    assert named.named == (ATTACKED,)
    assert abs(named.bias) > RUINED  # kept, because the study says so


@pytest.mark.parametrize("cities", [6, 20])
def test_a_thousand_trials(cities: int, record: Record) -> None:
    """Figures of the attack table: +5 is always found; honest cities that differ by τ = 0.2 are not set aside."""
    without = drawn_trials(1000, cities, 0.2, 5.0, screened=False)
    with_it = drawn_trials(1000, cities, 0.2, 5.0, screened=True)
    untouched = drawn_trials(1000, cities, 0.2, 0.0, screened=True)
    assert without["bias"] > 4 / cities
    assert with_it["caught"] == 1.0
    assert abs(with_it["bias"]) < LEFT
    assert with_it["honest"] < 0.001
    assert untouched["honest"] < 0.001
    if cities == HONEST_AND_ONE:
        record(
            "poisoned",
            without=f"mean moved by {without['bias']:.1f}",
            with_=f"left out and named in {with_it['caught']:.0%} of 1,000; bias below {LEFT:g}",
        )


def test_a_lie_within_what_cities_differ_by_is_not_found() -> None:
    """The stated limit: one city of six that says +1 moves the mean by about a sixth."""
    found = drawn_trials(500, 6, 0.2, 1.0, screened=True)
    assert found["caught"] < 0.5
    assert 0.05 < found["bias"] < 0.25


# ---------------------------------------------------------------- over the wire


def _lying(monkeypatch: pytest.MonkeyPatch, lie) -> None:
    def encode(release: Release) -> RecordDict:
        content = encode_release(release)
        if release.site == ATTACKED:
            fields = {name: lie(array.copy()) for name, array in release.fields.items()}
            content["fields"] = _encode_arrays(fields)
        return content

    monkeypatch.setattr(client_app, "encode_release", encode)


def _run(name: str, root: Path, outliers: str = "refuse") -> tuple[RunFolder, Estimate]:
    asked = replace_outliers(study(estimator=name), outliers)
    stores = [store_of(panel, asked, root / "stores") for panel in honest()]
    run = RunFolder.create(root / "run", asked)
    return run, run_local(run, stores)


@pytest.mark.parametrize("name", ["random_effects", "poisson_did"])
def test_numbers_that_are_none_do_not_end_a_study(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lying(monkeypatch, lambda array: array * np.nan)
    run, found = _run(name, tmp_path)
    assert ATTACKED not in found.contributors
    assert [(one.site, one.rule) for one in found.set_aside] == [(ATTACKED, "message")]
    assert any(ATTACKED in note for note in found.notes)
    again = recompute(RunFolder(run.path), run.study())
    assert as_json(again.to_dict()) == run.read("estimate.json")
    asked = [file.name for file in (run.path / "releases").iterdir() if ATTACKED in file.name]
    assert len(asked) == 1  # it is not asked again


@pytest.mark.parametrize("name", ["rate_ratio", "group_time_att"])
def test_huge_numbers_are_set_aside_and_the_run_verifies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lying(monkeypatch, lambda array: array * 1e30)
    run, found = _run(name, tmp_path)
    assert [(one.site, one.rule) for one in found.set_aside] == [(ATTACKED, "size")]
    assert as_json(recompute(run, run.study()).to_dict()) == run.read("estimate.json")


def test_one_city_of_wrong_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _lying(monkeypatch, lambda _: np.zeros(3))
    _, found = _run("random_effects", tmp_path)
    assert [(one.site, one.rule) for one in found.set_aside] == [(ATTACKED, "fields")]


def test_a_study_that_names_only_ends_at_a_message_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lying(monkeypatch, lambda array: array * np.nan)
    with pytest.raises(MissingSiteError, match=f"{ATTACKED}: MESSAGE"):
        _run("random_effects", tmp_path, "name")


def test_most_cities_broken_end_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(release: Release) -> RecordDict:
        fields = {name: array * np.nan for name, array in release.fields.items()}
        return RecordDict({**encode_release(release), "fields": _encode_arrays(fields)})

    monkeypatch.setattr(client_app, "encode_release", encode)
    with pytest.raises(MissingSiteError):
        _run("random_effects", tmp_path)
