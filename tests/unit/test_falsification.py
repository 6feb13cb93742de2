"""Derived studies: what they are, what their panels leave out, and what they find where the truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.falsification import (
    by_crime_type,
    derived_of,
    placebo_cameras,
    placebo_dates,
    placebo_outcomes,
    regression,
    rings,
)
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.specifications import specifications_of
from evalkit.core.study import (
    Checks,
    Specifications,
    Study,
    Treatment,
    Units,
    check_study,
    study_hash,
)
from evalkit.disclosure.approval import with_specifications
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.gate import review
from evalkit.disclosure.ledger import Ledger
from evalkit.errors import ConfigError, RefusalError, TaxonomyError
from evalkit.runtimes.pooled import ask_pooled
from tests.audits import audit_beside
from tests.panel_frames import build, camera, camera_frame, incident, incident_frame
from tests.panel_frames import study as small_study
from tests.panels import OPEN_POLICY, city, study

LATTICE = Units(kind="catchment", radius_m=100.0, ring_m=(200.0, 300.0))


def with_treatment(**changes: object) -> Study:
    asked = study(estimator="poisson_did")
    return check_study(
        msgspec.structs.replace(
            asked, treatment=msgspec.structs.replace(asked.treatment, **changes)
        )
    )


def found(asked: Study, *panels: Panel) -> Estimate:
    return estimate(estimator(asked.analysis.estimator), asked, ask_pooled(panels))


def test_studies_without_the_new_keys_keep_their_hash() -> None:
    encoded = msgspec.json.encode(study())
    assert b"placebo_periods" not in encoded
    assert b"treated_ring" not in encoded
    assert b"placebo_cameras" not in encoded
    assert b"checks" not in encoded


def test_asking_for_nothing_is_the_same_study() -> None:
    plain = study()
    assert study_hash(msgspec.structs.replace(plain, checks=Checks())) == study_hash(plain)
    treatment = msgspec.structs.replace(plain.treatment, placebo_cameras=False)
    assert study_hash(msgspec.structs.replace(plain, treatment=treatment)) == study_hash(plain)
    asked = msgspec.structs.replace(plain, checks=Checks(chance=True))
    assert study_hash(asked) != study_hash(plain)


def checked(**asked: object) -> Study:
    """Robbery and assault around cameras with two rings, and what its checks ask for."""
    plain = msgspec.structs.replace(study(estimator="random_effects"), units=LATTICE)
    outcome = msgspec.structs.replace(plain.outcome, crime_types=("robbery", "assault"))
    return msgspec.structs.replace(plain, outcome=outcome, checks=Checks(**asked))  # type: ignore[arg-type]  # from tests


EVERYTHING = {
    "placebo_periods": (6, 12),
    "placebo_outcomes": (("burglary",), ("theft", "drugs")),
    "placebo_cameras": True,
    "by_crime_type": True,
    "rings": True,
    "chance": True,
}


def test_checks_ask_for_the_derived_studies_and_no_others() -> None:
    asked = checked(**EVERYTHING)
    bare = msgspec.structs.replace(asked, checks=msgspec.UNSET)
    assert derived_of(bare) == ()
    assert derived_of(checked()) == ()
    assert derived_of(asked) == (
        *placebo_dates(bare, (6, 12)),
        *placebo_outcomes(bare, [("burglary",), ("theft", "drugs")]),
        placebo_cameras(bare),
        *by_crime_type(bare),
        *rings(bare),
        regression(bare),
    )
    kinds = [one.kind for one in derived_of(asked)]
    assert kinds == [
        *("placebo_dates",) * 2, *("placebo_outcomes",) * 2, "placebo_cameras",
        *("by_crime_type",) * 2, "rings", "rings", "chance"
    ]  # fmt: skip
    assert [one.kind for one in derived_of(checked(rings=True))] == ["rings", "rings"]
    assert all(derived_of(one.study) == () for one in derived_of(asked))


def test_only_the_overall_effect_is_asked() -> None:
    plain = checked(placebo_periods=(6,))
    analysis = msgspec.structs.replace(
        plain.analysis, design="event_time", moderators=("population",), cumulative_by="year"
    )
    (one,) = derived_of(msgspec.structs.replace(plain, analysis=analysis))
    assert one.study.analysis == plain.analysis
    assert one.hash == derived_of(plain)[0].hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checks": Checks(placebo_periods=(6, 6))}, "lists something twice"),
        ({"checks": Checks(placebo_periods=(23,))}, "before the window for every camera"),
        ({"checks": Checks(placebo_periods=(1,))}, "no period after the pretended go-live"),
        ({"checks": Checks(placebo_outcomes=(("robbery", "drugs"),))}, "the study itself counts"),
        ({"checks": Checks(rings=True), "units": Units(kind="area")}, "areas have none"),
        ({"checks": Checks(rings=True), "units": Units(kind="grid", ring_m=100.0)}, "above radius_m"),
        ({"checks": Checks(chance=True), "treatment": Treatment(placebo_periods=3)}, "placebo itself"),
        ({"checks": Checks(rings=True), "treatment": Treatment(treated_ring=1)}, "placebo itself"),
        ({"checks": Checks(chance=True), "treatment": Treatment(placebo_cameras=True)}, "placebo itself"),
    ],
)  # fmt: skip
def test_what_checks_cannot_ask_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        derived_of(msgspec.structs.replace(checked(), **changes))


def test_the_last_placebo_date_that_fits_the_window() -> None:
    (one,) = derived_of(checked(placebo_periods=(22,)))
    assert one.study.treatment.pretended_earlier == 22


def test_crimes_that_do_not_exist_and_placebos_of_placebos_are_refused() -> None:
    with pytest.raises(TaxonomyError):
        derived_of(checked(placebo_outcomes=(("gossip",),)))
    for other in ({"placebo_periods": 3}, {"treated_ring": 1}):
        with pytest.raises(ConfigError, match="placebo_cameras is given with"):
            with_treatment(placebo_cameras=True, **other)


def test_specifications_have_no_checks_of_their_own() -> None:
    lists = Specifications(estimator=("poisson_did", "random_effects"))
    asked = msgspec.structs.replace(checked(**EVERYTHING), specifications=lists)
    bare = msgspec.structs.replace(asked, checks=msgspec.UNSET)
    assert specifications_of(asked) == specifications_of(bare)
    assert all(one.study.specifications == Specifications() for one in derived_of(asked))


def test_approval_covers_them_as_long_as_all_together_are_few_enough() -> None:
    lists = Specifications(estimator=("poisson_did", "random_effects"))
    asked = msgspec.structs.replace(checked(**EVERYTHING), specifications=lists)
    policy = msgspec.structs.replace(
        OPEN_POLICY, studies=(study_hash(asked),), max_specifications=12
    )
    expected = {one.hash for one in (*specifications_of(asked), *derived_of(asked))}
    assert len(expected) == 12
    assert set(with_specifications(policy, [asked]).studies) == expected | {study_hash(asked)}
    for most in (11, 0):
        fewer = msgspec.structs.replace(policy, max_specifications=most)
        assert with_specifications(fewer, [asked]) == fewer
    other = msgspec.structs.replace(policy, studies=("0" * 64,))
    assert with_specifications(other, [asked]) == other


def test_every_derived_study_has_a_hash_of_its_own_and_derives_nothing_further() -> None:
    asked = msgspec.structs.replace(study(estimator="poisson_did"), units=LATTICE)
    derived = [
        *placebo_dates(asked, (3, 6)),
        *placebo_outcomes(asked, [("burglary",), ("traffic",)]),
        *rings(asked),
        regression(asked),
    ]
    hashes = {one.hash for one in derived} | {study_hash(asked)}
    assert len(hashes) == 8
    assert [one.hash for one in derived] == [study_hash(check_study(one.study)) for one in derived]
    assert [one.label for one in derived] == [
        "3 months earlier",
        "6 months earlier",
        "burglary",
        "traffic",
        "100 to 200 m",
        "200 to 300 m",
        "expected by chance",
    ]


def test_regression_is_pooled_as_the_study_pools() -> None:
    one = regression(study(estimator="random_effects")).study.analysis
    assert (one.estimator, one.first_stage) == ("random_effects", "regression_to_the_mean")
    assert regression(study(estimator="poisson_did")).study.analysis.estimator == (
        "regression_to_the_mean"
    )


def test_a_study_without_rings_has_none_to_study() -> None:
    no_ring = Units(kind="catchment", radius_m=100.0, ring_m=100.0)
    assert rings(msgspec.structs.replace(study(), units=no_ring)) == ()
    assert rings(msgspec.structs.replace(study(), units=Units(kind="area"))) == ()


def test_what_cannot_mean_anything_is_refused() -> None:
    asked = study()
    with pytest.raises(ConfigError, match="no period after the pretended go-live"):
        placebo_dates(asked, (1,))
    with pytest.raises(ConfigError, match="pretends an earlier go-live already"):
        placebo_dates(placebo_dates(asked, (3,))[0].study, (3,))
    with pytest.raises(ConfigError, match="theft"):
        placebo_outcomes(asked, [("traffic", "theft")])
    with pytest.raises(TaxonomyError):
        placebo_outcomes(asked, [()])
    with pytest.raises(ConfigError, match="is no ring"):
        with_treatment(treated_ring=2)


@pytest.mark.parametrize("transition", ["drop", "treat"])
def test_a_pretended_design_holds_no_cell_with_a_camera(transition: str) -> None:
    panel = city("alta", 1)
    (design,) = design_of(panel, with_treatment(transition=transition, placebo_periods=4))
    true = panel.first_live[panel.role != Role.RING]
    for unit, live in enumerate(true):
        used = np.flatnonzero(design.exposure[unit])
        if live == NEVER:
            assert len(used) == panel.n_periods
            continue
        after = np.flatnonzero(design.treated[unit] * (design.exposure[unit] > 0))
        assert used.max() == live - 1
        start = live - 4 + (transition == "drop")
        assert after.tolist() == list(range(start, live))
        assert design.event_time[unit, start] == 0
        assert design.first_live[unit] == live - 4
    assert (design.outcome[design.exposure == 0] == 0).all()


def test_units_of_a_merged_cohort_lose_the_same_periods() -> None:
    """The gate judges patterns by go-live interval, so a cohort must not hide units that are cut elsewhere."""
    panel = city("alta", 1, treated=6, cohorts=(8, 9), rate=20.0)
    asked = with_treatment(placebo_periods=6)
    merged = prepare(panel, asked, OPEN_POLICY).panel
    treated = merged.role == Role.TREATED
    assert (merged.first_live[treated] == 8).all()
    assert (merged.last_live[treated] == 9).all()
    (design,) = design_of(merged, asked)
    observed = design.exposure[design.ever_treated] > 0
    assert (observed == observed[0]).all()
    assert np.flatnonzero(observed[0]).tolist() == [0, 1, 4, 5, 6, 7]


def test_a_placebo_finds_nothing_in_a_fair_world_and_a_reaction_before_go_live_where_there_is_one() -> (
    None
):
    """Three standard errors, fixed seeds. The second world's fall begins four periods before the recorded dates."""
    fair = city("alta", 11, treated=60, controls=80, cohorts=(10, 13, 16))
    asked = with_treatment(placebo_periods=4)
    one = found(asked, fair)
    assert abs(one.effect[0]) < 3 * one.std_error[0]
    late = np.where(fair.first_live == NEVER, NEVER, fair.first_live + 4)
    announced = replace(fair, first_live=late, last_live=late.copy())
    other = found(asked, announced)
    assert abs(other.effect[0] + 0.2) < 3 * other.std_error[0]
    assert other.effect[0] + 3 * other.std_error[0] < 0


def test_a_derived_study_passes_the_same_gate(tmp_path: Path) -> None:
    panel = city("alta", 1, cohorts=(8, 11, 14))
    ledger = Ledger(tmp_path / "ledger.jsonl")
    base = study(estimator="poisson_did")
    for one in (*placebo_dates(base, (4,)), regression(base)):
        chosen = estimator(one.study.analysis.estimator)
        question = chosen.first_question(one.study)
        prepared = prepare(panel, one.study, OPEN_POLICY).panel
        audit = audit_beside(ledger, prepared, one.study)
        about = {"fingerprint": panel.fingerprint, "site": "alta", "audit": audit}
        statistics = chosen.summarise(prepared, question)
        release = review(statistics, question, OPEN_POLICY, ledger, **about)
        assert release.study == one.hash
        strict = msgspec.structs.replace(OPEN_POLICY, studies=(study_hash(base),))
        with pytest.raises(RefusalError) as refused:
            review(statistics, question, strict, ledger, **about)
        assert refused.value.rules == ("studies",)


CAMERAS = camera_frame([camera("2020-05-10", 0, 0), camera("2020-03-10", 1000, 0)])
FAR = 8 * 201
INCIDENTS = incident_frame(
    [
        incident("2020-01-05", 50, 0, times=3),
        incident("2020-02-05", 150, 0, times=2),
        incident("2020-02-05", 0, 250, times=4),
        incident("2020-04-05", 1000, 150, times=5),
        incident("2020-06-05", FAR, FAR, times=6),
    ]
)


def roles_of(treatment: Treatment) -> dict[str, Role]:
    built = build(INCIDENTS, CAMERAS, small_study(LATTICE, treatment=treatment))
    names = built.panel.unit_ids.tolist()
    return {name: Role(role) for name, role in zip(names, built.panel.role.tolist(), strict=True)}


def test_a_ring_takes_the_place_of_the_units_with_cameras() -> None:
    plain, second = roles_of(Treatment()), roles_of(Treatment(treated_ring=2))
    for name, role in plain.items():
        expected = {"site": Role.SET_APART, "ring2": Role.TREATED}.get(name.split(":")[0], role)
        assert second[name] == expected
    assert {name for name, role in plain.items() if role == Role.CONTROL} == {
        name for name, role in second.items() if role == Role.CONTROL
    }


def test_places_without_a_camera_take_the_place_of_those_with_one() -> None:
    study_of = small_study(LATTICE, treatment=Treatment(placebo_cameras=True))
    incidents = incident_frame(
        [incident("2020-01-05", FAR + 201 * place, FAR) for place in range(6)]
        + [incident("2020-06-05", 0, 0), incident("2020-06-05", 1000, 0)]
    )
    plain = build(incidents, CAMERAS, small_study(LATTICE))
    first, again = (build(incidents, CAMERAS, study_of).panel for _ in range(2))
    treated = first.role == Role.TREATED
    assert [name.split(":")[0] for name in first.unit_ids[treated]] == ["disc"] * 2
    assert sorted(first.first_live[treated]) == [2, 4]
    was = plain.panel.role == Role.TREATED
    assert (first.role[was] == Role.SET_APART).all()
    assert (first.counts == plain.panel.counts).all()
    assert (first.role == again.role).all()
    (design,) = design_of(first, study_of)
    assert design.ever_treated.sum() == 2
    assert (~design.ever_treated).sum() == (plain.panel.role == Role.CONTROL).sum() - 2


def test_later_rings_do_not_become_controls() -> None:
    """A camera after the adoption dates makes its catchment a control; the comparison must stay the same."""
    import datetime as dt

    until = dt.date(2020, 4, 1)
    plain = roles_of(Treatment(adoption_end=until))
    first = roles_of(Treatment(adoption_end=until, treated_ring=1))
    late = [
        name for name, role in plain.items() if name.startswith("site") and role == Role.CONTROL
    ]
    assert len(late) == 1
    assert first[late[0]] == Role.CONTROL
    assert sorted(role.name for name, role in first.items() if name.startswith("ring:")) == [
        "RING",
        "TREATED",
    ]


def test_units_without_a_period_before_the_pretended_go_live_are_set_apart() -> None:
    """Go-live in periods 2 (March) and 4 (May); two periods earlier the first one has no before."""
    roles = roles_of(Treatment(placebo_periods=2))
    assert sorted(role.name for name, role in roles.items() if name.startswith("site")) == [
        "SET_APART",
        "TREATED",
    ]


def chosen_world(seed: int, *, by_count: bool) -> tuple[Panel, float]:
    """600 places without any camera effect, 60 of them treated: those with most incidents before, or any.

    Returns the panel and the change that really follows, relative to controls.
    """
    random = np.random.default_rng(seed)
    before, after = 12, 12
    level = random.gamma(2.0, 0.5, 600)
    counts = random.poisson(level[:, None], (600, before + after))
    order = np.argsort(-counts[:, :before].sum(axis=1)) if by_count else random.permutation(600)
    treated = np.zeros(600, dtype=bool)
    treated[order[:60]] = True
    base = city("alta", 1, treated=60, controls=539, cohorts=(before,))
    units = np.concatenate([np.flatnonzero(treated), np.flatnonzero(~treated)])
    sums = [counts[treated][:, part].sum() for part in (slice(before), slice(before, None))]
    others = [counts[~treated][:, part].sum() for part in (slice(before), slice(before, None))]
    theft = counts[units]
    panel = replace(
        base,
        role=np.where(treated[units], int(Role.TREATED), int(Role.CONTROL)),
        first_live=np.where(treated[units], before, NEVER),
        last_live=np.where(treated[units], before, NEVER),
        counts=np.stack([np.zeros_like(theft), theft]),
    )
    return panel, float(np.log(sums[1] / sums[0]) - np.log(others[1] / others[0]))


def test_expected_change_is_what_happens_to_places_chosen_for_their_count() -> None:
    """Over 20 worlds the mean expected change is the mean that happened, within three Monte-Carlo errors."""
    asked = study(estimator="regression_to_the_mean")
    pairs = []
    for seed in range(20):
        panel, happened = chosen_world(seed, by_count=True)
        pairs.append((float(found(asked, panel).effect[0]), happened))
    expected, happened = np.array(pairs).T
    assert expected.mean() < -0.1
    error = (expected - happened).std(ddof=1) / np.sqrt(len(pairs))
    assert abs(expected.mean() - happened.mean()) < 3 * error


def test_nothing_is_expected_of_places_chosen_at_random() -> None:
    panel, _ = chosen_world(3, by_count=False)
    one = found(study(estimator="regression_to_the_mean"), panel)
    assert abs(one.effect[0]) < 3 * one.std_error[0]
    assert any("no effect of cameras" in note for note in one.notes)
