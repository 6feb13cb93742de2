"""One suite for every estimator found in the folder, unasked."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from flwr.app import RecordDict

from evalkit.core.design import design_of
from evalkit.core.discover import discover, estimators
from evalkit.core.estimate import GLANCE_COLUMNS, SITE_COLUMNS, TIDY_COLUMNS, Estimate
from evalkit.core.estimator import RELEASE_CLASSES, Estimator, Question, estimate
from evalkit.core.panel import Panel, Role, concatenate
from evalkit.core.settings import COMMON
from evalkit.core.statistics import Statistics, merge, merge_all
from evalkit.core.study import Analysis, Study
from evalkit.disclosure.gate import review
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.release import parse_release
from evalkit.federation.codec import (
    decode_question,
    decode_release,
    encode_question,
    encode_release,
)
from evalkit.runtimes.pooled import ask_pooled
from tests.audits import audit_beside
from tests.panels import OPEN_POLICY, cities, study

# Sums of a few hundred doubles in another order differ by a few units in the last place; Newton ends on a
# step below 1e-10 and the step after it is below double precision. Measured largest difference: below 1e-13.
SAME = 1e-10
# Invariances change the numbers that are summed, and with them the point where margins settle (1e-14 relative).
INVARIANT = 1e-9

ALL = sorted(estimators())

OF_TOTALS = ("rate_ratio", "wdd")
"""These use one before and one after of the whole roll-out; their support counts those cells."""

PER_EXPOSURE = ("linear_did",)
"""The effect is a difference of incidents per unit of exposure, not a ratio."""

OF_CHANCE = ("regression_to_the_mean",)
"""What chance alone leads to expect: nothing where places are treated at random, whatever cameras do."""


REFUSED: dict[str, set[str]] = {
    "counterfactual_model": {"scale"},
    "random_effects": {"design"},
}
"""Keys it looks at only to refuse a study."""


def study_for(name: str) -> Study:
    return study(estimator=name)


def questions(one: Estimator, panels: tuple[Panel, ...]) -> list[Question]:
    """Every question the estimator asks on its way to an estimate."""
    asked: list[Question] = []
    pooled = ask_pooled(panels)

    def ask(question: Question) -> list[Statistics]:
        asked.append(question)
        return list(pooled(question))

    estimate(one, study_for(one.name), ask)
    return asked


def run(name: str, panels: tuple[Panel, ...]) -> Estimate:
    return estimate(estimators()[name], study_for(name), ask_pooled(panels))


def ask_each(panels: tuple[Panel, ...], name: str):
    return lambda question: [estimators()[name].summarise(panel, question) for panel in panels]


def assert_same(a: Estimate, b: Estimate, tolerance: float) -> None:
    np.testing.assert_allclose(a.effect, b.effect, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=0, atol=tolerance)
    assert a.contributors == b.contributors
    assert a.terms == b.terms


def test_every_file_in_the_folder_is_an_estimator_of_its_own_name() -> None:
    folder = Path(__import__("evalkit.estimators").estimators.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert {name for name, _ in discover("evalkit.estimators", "estimator")} == files
    assert files == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_split_and_merge_is_the_whole(name: str) -> None:
    panels = cities()
    one = estimators()[name]
    for question in questions(one, panels):
        whole = one.summarise(concatenate(panels), question)
        merged = merge_all([one.summarise(panel, question) for panel in panels])
        assert merged.sites == whole.sites
        assert merged.kind == whole.kind
        assert merged.parts.keys() == whole.parts.keys()
        for key, fields in whole.parts.items():
            for field, array in fields.items():
                # relative to the largest entry: a score near its root is a difference of large sums
                scale = max(1.0, float(np.abs(array).max()))
                np.testing.assert_allclose(
                    merged.parts[key][field], array, rtol=1e-12, atol=1e-11 * scale
                )


@pytest.mark.parametrize("name", ALL)
def test_pooled_equals_one_city_after_another(name: str) -> None:
    panels = cities()
    federated = estimate(estimators()[name], study_for(name), ask_each(panels, name))
    assert_same(run(name, panels), federated, SAME)


@pytest.mark.parametrize("name", ALL)
def test_order_of_cities_is_irrelevant_to_the_last_bit(name: str) -> None:
    panels = cities()[:3]
    results = {
        (one.effect.tobytes(), one.covariance.tobytes())
        for order in permutations(panels)
        for one in [estimate(estimators()[name], study_for(name), ask_each(order, name))]
    }
    assert len(results) == 1


@pytest.mark.parametrize("name", ALL)
def test_merge_is_associative_and_commutative(name: str) -> None:
    panels = cities()
    one = estimators()[name]
    question = one.first_question(study_for(name))
    a, b, c = (one.summarise(panel, question) for panel in panels[:3])
    for left, right in ((merge(merge(a, b), c), merge(a, merge(b, c))), (merge(a, b), merge(b, a))):
        for key, fields in left.parts.items():
            for field, array in fields.items():
                np.testing.assert_allclose(right.parts[key][field], array, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_released_encoded_decoded_is_identical(name: str, tmp_path: Path) -> None:
    panel = cities()[0]
    one = estimators()[name]
    for question in questions(one, (panel,)):
        wire = decode_question(_over_the_wire(encode_question(question)))
        assert (wire.estimator, wire.stage, wire.round) == (name, question.stage, question.round)
        np.testing.assert_array_equal(wire.parameters, question.parameters)
        statistics = one.summarise(panel, question)
        release = review(
            statistics,
            question,
            OPEN_POLICY,
            Ledger(tmp_path / "ledger.jsonl"),
            fingerprint=panel.fingerprint,
            site="alta",
            audit=audit_beside(Ledger(tmp_path / "ledger.jsonl"), panel, question.study),
        )
        received = decode_release(_over_the_wire(encode_release(release)), question, "alta")
        for back in (received.statistics, parse_release(received.data)):
            assert (back.estimator, back.stage, back.kind, back.sites) == (
                statistics.estimator,
                statistics.stage,
                statistics.kind,
                statistics.sites,
            )
            (fields,), (sent,) = back.parts.values(), statistics.parts.values()
            assert fields.keys() == sent.keys()
            for field, array in sent.items():
                np.testing.assert_array_equal(fields[field], array)
            assert back.support == ()


@pytest.mark.parametrize("name", ALL)
def test_order_of_units_is_irrelevant(name: str) -> None:
    panels = cities()
    shuffled = tuple(
        panel.take(np.random.default_rng(5).permutation(panel.n_units)) for panel in panels
    )
    assert_same(run(name, panels), run(name, shuffled), INVARIANT)


@pytest.mark.parametrize("name", ALL)
def test_units_of_other_roles_do_not_matter(name: str) -> None:
    panels = cities()
    without = tuple(panel.take(panel.role != Role.RING) for panel in panels)
    assert_same(run(name, panels), run(name, without), INVARIANT)


@pytest.mark.parametrize("name", ALL)
def test_scaling_the_exposure_of_a_city_changes_nothing(name: str) -> None:
    """Counts per day or per year: the effect is a ratio."""
    panels = cities()
    scaled = tuple(replace(panel, exposure=panel.exposure * 30.5) for panel in panels)
    found = run(name, scaled)
    if name in PER_EXPOSURE:
        found = replace(found, effect=found.effect * 30.5, covariance=found.covariance * 30.5**2)
    assert_same(run(name, panels), found, INVARIANT)


@pytest.mark.parametrize("name", ALL)
def test_renaming_cities_changes_nothing_but_names(name: str) -> None:
    panels = cities()
    renamed = tuple(replace(panel, sites=(f"z{i}",)) for i, panel in enumerate(panels))
    a, b = run(name, panels), run(name, renamed)
    np.testing.assert_allclose(a.effect, b.effect, rtol=0, atol=SAME)
    assert b.contributors == ("z0", "z1", "z2", "z3")


@pytest.mark.parametrize("name", ALL)
def test_support_counts_are_true(name: str) -> None:
    """Cells recounted from the panel by a slow loop; every estimator's support must agree with one grouping."""
    panel = cities()[0]
    one = estimators()[name]
    question = questions(one, (panel,))[-1]
    (support,) = one.summarise(panel, question).support
    assert support.site == "alta"
    assert support.clusters == sum(panel.role != Role.RING)
    (design,) = design_of(panel, study_for(name))
    recounted = {}
    for unit in range(len(design.outcome)):
        live = design.first_live[unit]
        for period in range(design.outcome.shape[1]):
            if design.exposure[unit, period] == 0:
                continue
            cohort = "never" if live < 0 else design.period_names[live]
            phase = "all" if live < 0 else ("after" if design.treated[unit, period] else "before")
            key = (cohort, phase)
            members, incidents = recounted.get(key, (set(), 0.0))
            recounted[key] = (members | {unit}, incidents + design.outcome[unit, period])
    if name in OF_TOTALS:
        assert (
            sum(cell.units for cell in support.cells if cell.phase == "before") == support.clusters
        )
        assert sum(cell.incidents for cell in support.cells) == _incidents_outside_rollout(design)
        return
    assert {(cell.pattern, cell.phase): (cell.units, cell.incidents) for cell in support.cells} == {
        key: (len(members), int(total)) for key, (members, total) in recounted.items()
    }


@pytest.mark.parametrize("name", ALL)
def test_tables_have_the_fixed_columns(name: str) -> None:
    found = run(name, cities())
    assert tuple(found.tidy().columns) == TIDY_COLUMNS
    assert tuple(found.glance().columns) == GLANCE_COLUMNS
    assert tuple(found.by_site().columns) == SITE_COLUMNS
    assert found.tidy().null_count().sum_horizontal().item() == 0
    assert all(kind in (pl.String, pl.Float64) for kind in found.tidy().dtypes)
    assert f"{len(found.contributors)} cities" in found.summary()
    low, high = found.interval()
    assert low < found.effect[0] < high
    assert math.isfinite(low)


@pytest.mark.parametrize("name", ALL)
def test_release_class_is_a_known_one(name: str) -> None:
    assert estimators()[name].release_class in RELEASE_CLASSES


@pytest.mark.parametrize("name", ALL)
def test_recovers_a_known_effect(name: str) -> None:
    """Three standard errors: a fixed seed, so this passes or fails the same way every time."""
    from tests.panels import city

    panels = tuple(city(f"c{i}", 40 + i, treated=60, controls=80, effect=-0.2) for i in range(4))
    found = run(name, panels)
    truth = -0.2
    if name in OF_CHANCE:
        truth = 0.0
    elif name == "wdd":
        truth = _incidents_prevented(panels, -0.2)
    elif name in PER_EXPOSURE:
        truth = _change_per_cell(panels, -0.2)
    assert abs(found.effect[0] - truth) < 3 * found.std_error[0]


@pytest.mark.parametrize("name", ALL)
def test_question_carries_nothing_but_names_and_numbers(name: str) -> None:
    for question in questions(estimators()[name], cities()):
        content = encode_question(question)
        assert set(content.keys()) == {"question", "parameters"}
        assert set(content["question"].keys()) == {"study", "estimator", "stage", "round"}


def _incidents_outside_rollout(design) -> float:
    treated = design.ever_treated
    live = design.treated[treated] > 0
    used = (design.exposure[treated] > 0).all(axis=0)
    keep = used & ((~live).all(axis=0) | live.all(axis=0))
    return float(design.outcome[:, keep].sum())


def _incidents_prevented(panels: tuple[Panel, ...], effect: float) -> float:
    """Change in targets after the roll-out that an effect on the log scale stands for; negative if prevented."""
    total = 0.0
    for panel in panels:
        (design,) = design_of(panel, study_for("wdd"))
        after = (design.treated[design.ever_treated] > 0).all(axis=0)
        total += design.outcome[np.ix_(design.ever_treated, after)].sum()
    return total * (1 - math.exp(-effect))


def _change_per_cell(panels: tuple[Panel, ...], effect: float) -> float:
    """Mean change of a treated unit's incidents in a period that an effect on the log scale stands for."""
    designs = [design_of(panel, study_for("linear_did"))[0] for panel in panels]
    incidents = sum(float((one.outcome * one.treated).sum()) for one in designs)
    cells = sum(float((one.exposure * one.treated).sum()) for one in designs)
    return incidents * (1 - math.exp(-effect)) / cells


def _over_the_wire(content: RecordDict) -> RecordDict:
    """Flower's own serialisation there and back, as between processes."""
    children = dict(_walk(content))
    return RecordDict.inflate(content.deflate(), children=children)


def _walk(record):
    for object_id, child in (record.children or {}).items():
        inner = dict(_walk(child))
        yield object_id, type(child).inflate(child.deflate(), children=inner or None)


@pytest.mark.parametrize("name", ALL)
def test_the_keys_it_reads_are_keys_of_the_study(name: str) -> None:
    one = estimators()[name]
    assert list(one.reads) == sorted(set(one.reads))
    assert set(one.reads) <= set(Analysis.__struct_fields__) - set(COMMON)
    assert ("randomisation" in one.reads) is getattr(one, "randomises", False)
    assert ("scale" in one.reads) is (len(one.scales) == 2)


def test_every_key_of_the_study_is_read_by_an_estimator() -> None:
    read = {key for one in estimators().values() for key in one.reads}
    assert read | set(COMMON) == set(Analysis.__struct_fields__)


@pytest.mark.parametrize("name", ALL)
def test_the_keys_it_reads_are_those_its_code_names(name: str) -> None:
    """Of the file itself: each key named there, but for ``level``, is claimed."""
    one = estimators()[name]
    text = Path(str(inspect.getsourcefile(type(one)))).read_text(encoding="utf-8")
    named = set(re.findall(r"analysis\.(\w+)", text)) & set(Analysis.__struct_fields__)
    if "reassignments" in text:
        named.add("randomisation")
    assert named - set(COMMON) - REFUSED.get(name, set()) <= set(one.reads)
