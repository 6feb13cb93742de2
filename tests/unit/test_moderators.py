"""Moderators, from the city's file over its store and release to the terms of an estimate."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from evalkit.cli.conclusion import across_cities
from evalkit.config import Site, load_site, parse_toml
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, estimate
from evalkit.core.moderators import (
    Groups,
    Moderator,
    check_facts,
    group_of,
    read_groups,
    read_moderator,
    values_of,
    wanted,
)
from evalkit.core.panel import Panel, concatenate
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Study, check_study, study_hash
from evalkit.disclosure.cohorts import prepare
from evalkit.errors import (
    ConfigError,
    EstimationError,
    MissingSiteError,
    ModeratorError,
    PanelError,
)
from evalkit.estimators.random_effects import estimator
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.site_store import SiteStore
from evalkit.numerics.meta_analysis import pool
from evalkit.numerics.meta_regression import regress
from evalkit.numerics.subgroups import compare_subgroups
from evalkit.runtimes.local import run_local
from evalkit.runtimes.pooled import ask_pooled
from evalkit.runtimes.replay import ask_replay
from tests.panels import OPEN_POLICY, cities, city, study
from tests.stores import site_of, store_of

FACTS = (
    {"monitoring": "active", "population": 2.5, "year": 2014.0},
    {"monitoring": "passive", "population": 0.4, "year": 2011.0},
    {"monitoring": "active", "population": 1.1, "year": 2016.0},
    {"monitoring": "passive", "population": 3.0, "year": 2012.0},
)
NAMED = {
    "moderators": ("monitoring = active",),
    "subgroups": "monitoring = passive, active",
    "cumulative_by": "year",
}


def panels() -> tuple[Panel, ...]:
    return tuple(
        replace(panel, moderators=(facts,)) for panel, facts in zip(cities(), FACTS, strict=True)
    )


def named_study(**analysis: object) -> Study:
    return study(estimator="random_effects", **analysis)  # type: ignore[arg-type]  # as in panels


def run(**analysis: object) -> Estimate:
    return estimate(estimator, named_study(**analysis), ask_pooled(panels()))


# ---------------------------------------------------------------- words of a study


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("population", Moderator("population")),
        ("monitoring = active", Moderator("monitoring", "active")),
        ("setting=town centre", Moderator("setting", "town centre")),
    ],
)
def test_a_moderator_is_a_number_or_an_indicator(text: str, expected: Moderator) -> None:
    assert read_moderator(text) == expected
    assert read_moderator(expected.label) == expected


@pytest.mark.parametrize(
    "text", ["", "Population", "a b", "x =", "= active", "x = a = b", "x = a, b"]
)
def test_what_is_no_moderator_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no moderator"):
        read_moderator(text)


def test_subgroups_list_their_texts() -> None:
    assert read_groups("monitoring = active, passive") == Groups(
        "monitoring", ("active", "passive")
    )
    for text in ("monitoring", "monitoring = active", "monitoring = a, a", "= a, b", "x = a,"):
        with pytest.raises(ConfigError, match="names no subgroups"):
            read_groups(text)


def test_the_study_is_checked_before_any_city_is_asked() -> None:
    check_study(named_study(**NAMED))
    for wrong in (
        {"moderators": ("a =",)},
        {"moderators": ("a", " a ")},
        {"subgroups": "a"},
        {"cumulative_by": "monitoring = active"},
    ):
        with pytest.raises(ConfigError):
            check_study(named_study(**wrong))


def test_what_is_asked_of_a_city_is_what_the_study_names() -> None:
    assert wanted(named_study().analysis) == ()
    assert wanted(named_study(**NAMED).analysis) == (
        Moderator("monitoring", "active"),
        Moderator("year"),
    )
    twice = named_study(moderators=("year",), cumulative_by="year").analysis
    assert wanted(twice) == (Moderator("year"),)


def test_facts_become_numbers_in_the_study_s_order() -> None:
    asked = (Moderator("population"), Moderator("monitoring", "active"))
    assert values_of(FACTS[0], asked, site="alta").tolist() == [2.5, 1.0]
    assert values_of(FACTS[1], asked, site="brisa").tolist() == [0.4, 0.0]
    assert group_of(FACTS[1], Groups("monitoring", ("passive", "active")), site="brisa") == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"moderators": ("area",)},
        {"moderators": ("monitoring",)},
        {"moderators": ("population = large",)},
        {"subgroups": "monitoring = human, machine"},
        {"subgroups": "setting = a, b"},
        {"cumulative_by": "start"},
    ],
)
def test_a_city_that_lacks_a_moderator_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ModeratorError) as raised:
        check_facts(FACTS[0], named_study(**wrong).analysis, site="alta")
    assert "alta" in str(raised.value)
    assert raised.value.code == "CONFIG-MODERATOR"


# ---------------------------------------------------------------- the city's file, store and panel


def test_a_site_file_has_moderators(tmp_path: Path) -> None:
    head = "[city]\ntitle = 'A'\ntime_zone = 'UTC'\nbounds = [0.0, 0.0, 1.0, 1.0]\n"
    rest = (
        "[incidents]\nfiles = ['i.csv']\nall_as = 'theft'\n"
        "[incidents.columns]\ndate = 'd'\nlongitude = 'x'\nlatitude = 'y'\n"
    )

    def site(table: str) -> Site:
        path = tmp_path / "site.toml"
        path.write_text(f"name = 'a'\n{head}{table}{rest}", encoding="utf-8")
        return load_site(path)

    table = "[city.moderators]\nsetting = 'town centre'\npopulation = 3\n"
    assert site(table).city.moderators == {"setting": "town centre", "population": 3.0}
    assert site("").city.moderators == {}
    for wrong in (
        "x = 'a, b'",
        "x = ' '",
        "x = nan",
        "x = 'a = b'",
        f"x = '{'a' * 41}'",
        "x = true",
    ):
        with pytest.raises(ConfigError, match=r"moderator|Expected"):
            site(f"[city.moderators]\n{wrong}\n")
    with pytest.raises(ConfigError):
        site("[city.moderators]\n'A b' = 1\n")


def test_the_store_keeps_them_and_the_panel_brings_them(tmp_path: Path) -> None:
    named, panel = named_study(), city("alta", 1)
    store = store_of(panel, named, tmp_path)
    assert store.panel(study_hash(named)).moderators == ({},)
    site = site_of("alta", None)
    place = msgspec.structs.replace(site.city, moderators=FACTS[0])
    store.write_site(msgspec.structs.replace(site, city=place))
    assert store.panel(study_hash(named)).moderators == (FACTS[0],)
    assert (store.name, store.camera_kind) == ("alta", "cctv")


def test_a_store_from_before_there_were_moderators_still_opens(tmp_path: Path) -> None:
    named = named_study()
    store = store_of(city("alta", 1), named, tmp_path)
    (store.folder / "site.json").write_text('{"name":"alta","cameras":"traffic"}')
    assert store.panel(study_hash(named)).moderators == ({},)
    assert store.camera_kind == "traffic"


def test_panels_are_split_and_put_together_with_their_facts() -> None:
    whole = concatenate(panels()[::-1])
    assert whole.moderators == FACTS
    assert [one.moderators for one in whole.split()] == [(facts,) for facts in FACTS]
    mixed = concatenate((panels()[0], cities()[1]))
    assert mixed.moderators == (FACTS[0], {})
    assert concatenate(cities()).moderators == ()
    with pytest.raises(PanelError, match="facts of 2 cities"):
        replace(cities()[0], moderators=({}, {}))


# ---------------------------------------------------------------- what leaves, and what comes out


def fields_sent(named: Study, panel: Panel) -> dict[str, list[float]]:
    question = Question(named, "random_effects", "effect")
    (fields,) = estimator.summarise(panel, question).parts.values()
    return {name: array.tolist() for name, array in fields.items()}


def test_a_city_sends_only_what_the_study_names() -> None:
    assert set(fields_sent(named_study(), panels()[0])) == {"effect"}
    sent = fields_sent(named_study(**NAMED), panels()[0])
    assert sent.keys() == {"effect", "moderators", "subgroup"}
    assert (sent["moderators"], sent["subgroup"]) == ([1.0, 2014.0], [1.0])
    only = fields_sent(named_study(cumulative_by="year"), panels()[1])
    assert only["moderators"] == [2011.0]


def test_a_city_without_the_moderator_answers_with_an_error() -> None:
    question = Question(named_study(**NAMED), "random_effects", "effect")
    with pytest.raises(ModeratorError, match="alta"):
        estimator.summarise(cities()[0], question)


def test_the_first_term_is_the_same_with_and_without_moderators() -> None:
    plain, named = run(), run(**NAMED)
    assert plain.terms == ("treated",)
    assert named.effect[0] == plain.effect[0]
    assert named.covariance[0, 0] == plain.covariance[0, 0]
    assert named.interval() == plain.interval()
    assert named.details.items() >= plain.details.items()


def test_coefficients_and_subgroups_are_those_of_the_numerics() -> None:
    found = run(**NAMED)
    assert found.terms == (
        "treated",
        "cities with monitoring = passive",
        "cities with monitoring = active",
        "moderator intercept",
        "moderator monitoring = active",
    )
    y = np.array([one.effect for one in found.sites])
    v = np.array([one.std_error**2 for one in found.sites])
    active = np.array([1.0, 0.0, 1.0, 0.0])
    interval = named_study().analysis.interval
    fit = regress(y, v, active[:, None], interval=interval)
    groups = compare_subgroups(y, v, active.astype(int), interval=interval)
    assert found.effect[1:3] == pytest.approx(groups.effect, rel=1e-12)
    assert found.effect[3:] == pytest.approx(fit.coefficients, rel=1e-12)
    assert found.std_error[3:] == pytest.approx(fit.std_error, rel=1e-12)
    assert found.tidy()["p_value"][4] == pytest.approx(fit.p_value[1], rel=1e-12)
    assert [found.df_of(index) for index in range(5)] == [3.0, 2.0, 2.0, 2.0, 2.0]
    assert found.details["moderators_qm"] == pytest.approx(fit.qm)
    assert found.details["subgroups_q_p_value"] == pytest.approx(groups.q_p_value)
    assert found.sites[1].moderators == {
        "monitoring = active": 0.0,
        "year": 2011.0,
        "monitoring = passive": 1.0,
    }
    assert found.to_dict()["sites"][1]["moderators"]["year"] == 2011.0
    whole = pool(y, v, interval=interval)
    assert found.effect[0] == pytest.approx(whole.effect)


def test_covariances_between_models_are_not_made_up() -> None:
    covariance = run(**NAMED).covariance
    assert math.isnan(covariance[0, 1])
    assert math.isnan(covariance[1, 3])
    assert math.isfinite(covariance[3, 4])


@pytest.mark.parametrize(
    ("analysis", "note"),
    [
        ({"moderators": ("population", "year", "monitoring = active")}, "too few"),
        ({"moderators": ("monitoring = active", "monitoring = passive")}, "too few|follows"),
        ({"moderators": ("monitoring = human",)}, "is the same in all cities"),
        ({"subgroups": "monitoring = active, passive, human"}, "no city has monitoring = human"),
        ({"moderators": ("population",)}, "fewer than 10 cities"),
    ],
)
def test_what_cannot_be_computed_is_said_and_the_effect_stays(
    analysis: dict[str, object], note: str
) -> None:
    found = run(**analysis)
    assert any(re.search(note, one) for one in found.notes)
    assert math.isfinite(found.effect[0])


def test_facts_that_do_not_fit_the_study_are_an_error() -> None:
    named = named_study(**NAMED)
    question = Question(named, "random_effects", "effect")
    sent = [estimator.summarise(panel, question) for panel in panels()]
    for wrong in (
        {"moderators": np.array([1.0])},
        {"subgroup": np.array([2.0])},
        {"subgroup": np.array([0.5])},
        {"subgroup": np.empty(0)},
    ):
        ((names, fields),) = sent[0].parts.items()
        bad = Statistics("random_effects", "effect", "collected", {names: {**fields, **wrong}})
        with pytest.raises(EstimationError, match="do not fit the study"):
            estimator.finalise(merge_all([bad, *sent[1:]]), question)


def test_an_effect_without_variance_is_an_error_that_names_the_city() -> None:
    question = Question(named_study(), "random_effects", "effect")
    parts = {
        (name,): {"effect": np.array([-0.1, variance, 10.0, 100.0])}
        for name, variance in (("alta", 0.01), ("brisa", 0.0))
    }
    with pytest.raises(EstimationError, match="brisa has no variance"):
        estimator.finalise(Statistics("random_effects", "effect", "collected", parts), question)


def test_one_city_has_no_regression_and_keeps_its_effect() -> None:
    found = estimate(estimator, named_study(**NAMED), ask_pooled(panels()[:1]))
    assert found.terms == ("treated",)


def test_split_merge_and_order_do_not_matter_with_moderators() -> None:
    named = named_study(**NAMED)
    whole = run(**NAMED)
    apart = estimate(
        estimator, named, lambda q: [estimator.summarise(p, q) for p in panels()[::-1]]
    )
    np.testing.assert_allclose(apart.effect, whole.effect, atol=1e-10)
    assert apart.to_dict()["terms"][0] == whole.to_dict()["terms"][0]


def test_the_example_of_the_guide_parses() -> None:
    text = 'moderators = ["monitoring = active", "population"]'
    parsed = parse_toml(
        "name='a'\ntitle='A'\n[window]\nstart=2020-01-01\nend=2020-12-31\n[units]\nkind='grid'\n"
        f"[outcome]\ncrime_types=['theft']\n[analysis]\n{text}\n",
        Study,
        where="here",
    )
    assert wanted(check_study(parsed).analysis) == (
        Moderator("monitoring", "active"),
        Moderator("population"),
    )


# ---------------------------------------------------------------- over the in-process federation


def stores(named: Study, root: Path, facts: tuple[dict[str, float | str], ...]) -> list[SiteStore]:
    """Each city's store, its moderators written as `evalkit site panel` writes them."""
    found = []
    for panel, known in zip(cities(), facts, strict=True):
        store = store_of(panel, named, root)
        site = site_of(store.name, OPEN_POLICY)
        place = msgspec.structs.replace(site.city, moderators=known)
        store.write_site(msgspec.structs.replace(site, city=place))
        found.append(store)
    return found


def test_federated_is_pooled_and_recomputes_to_the_last_bit(tmp_path: Path) -> None:
    named = named_study(**NAMED)
    folder = RunFolder.create(tmp_path / "run", named)
    found = run_local(folder, stores(named, tmp_path, FACTS))
    prepared = tuple(prepare(panel, named, OPEN_POLICY).panel for panel in panels())
    pooled = estimate(estimator, named, ask_pooled(prepared))
    assert found.terms == pooled.terms
    np.testing.assert_allclose(found.effect, pooled.effect, rtol=0, atol=1e-10)
    again = estimate(estimator, named, ask_replay(RunFolder(tmp_path / "run")))
    assert again.to_dict() == found.to_dict()
    assert across_cities(again, named) == across_cities(found, named)


def test_the_server_learns_which_city_lacks_a_moderator_and_no_more(tmp_path: Path) -> None:
    named = named_study(**NAMED)
    facts = (*FACTS[:2], {"monitoring": "secret words", "year": 2016.0}, FACTS[3])
    folder = RunFolder.create(tmp_path / "run", named)
    with pytest.raises(MissingSiteError) as raised:
        run_local(folder, stores(named, tmp_path, facts))
    assert "clara: CONFIG-MODERATOR" in str(raised.value)
    assert "secret" not in str(raised.value)
