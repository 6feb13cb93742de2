"""What does each policy keep from an attacker, and what does it cost honest work?

The six cities of `evalkit demo`, from raw files to panels; then every policy answers honest questions and attacks
through the real gate: cohorts merged, rules, row-space auditor, noise, ledger. Run from the repository's root:

    .venv/bin/python experiments/05_privacy_utility/run.py

It writes ``result.json``, ``frontier.png`` and the tables of ``README.md``. Cities and cameras are drawn from the seeds
below; noise is OpenDP's and cannot be seeded, so that figures with noise differ a little from run to run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from frontier import draw
from msgspec.structs import replace as changed
from tables import write_tables

from evalkit.attacks.effect_alone import targets_from_effect
from evalkit.config import load_study
from evalkit.core.before_after import before_after
from evalkit.core.design import Design, design_of
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, ask_first, estimate
from evalkit.core.panel import Panel, Role
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Study, study_hash
from evalkit.disclosure import gate, noise
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.told import place_names, told_by
from evalkit.errors import RefusalError
from evalkit.numerics.distributions import t_quantile
from evalkit.panel.build import build_panel
from evalkit.policy import Policy
from evalkit.runtimes.pooled import ask_pooled
from evalkit.simulate import PRESETS, simulate
from evalkit.workbench import open_bench, read_city

HERE: Final = Path(__file__).parent
SEED: Final = 2019
CAMERAS: Final = 10
"""Cameras a city that the differencing attack is tried on."""
DRAWS: Final = 40
"""Noisy answers behind each width."""
MEMBERS: Final = 4000
"""Trials of the membership attack."""
EPSILONS: Final = (10.0, 3.0, 1.0, 0.3, 0.1)
BLOCKS: Final = (1, 4, 6, 12, 24)
WORLDS: Final = 400
"""Simulated cities behind each number of blocks."""

CLASS_OF: Final = {
    "estimate": "random_effects",
    "masked_sum": "poisson_did",
    "statistics": "poisson_did",
    "table": "rate_ratio",
}
"""Release class → the estimator that stands for it. A masked sum is `poisson_did` of which only the sum is seen."""

HONEST: Final = (
    "random_effects",
    "poisson_did",
    "linear_did",
    "group_time_att",
    "rate_ratio",
    "wdd",
)

VARIANTS: Final = ("as shipped", "by quarter", "150 m", "theft and robbery")

NO_RULES: Final[dict[str, Any]] = {
    "min_incidents": 1,
    "min_units": 1,
    "min_treated_per_pattern": 1,
    "max_parameters_per_cluster": 1.0,
    "min_residual_df": 1,
    "max_two_unit_share": 1.0,
    "min_clusters": 1,
}
THRESHOLDS: Final[dict[str, dict[str, Any]]] = {
    "none": NO_RULES,
    "loose": {"min_incidents": 3, "min_units": 3, "min_treated_per_pattern": 3, "min_clusters": 3},
    "default": {},
    "strict": {
        "min_incidents": 20,
        "min_units": 20,
        "min_treated_per_pattern": 10,
        "max_two_unit_share": 0.5,
    },
}
FORGETS: Final = 1 - 1e-6
"""In place of ``max_leverage``: every question comes to a city that has answered nothing yet."""


@dataclass(frozen=True, slots=True)
class Case:
    """One policy: its class, its thresholds, its auditor and its noise."""

    release_class: str
    thresholds: str = "default"
    max_leverage: float = 0.5
    epsilon: float = 0.0

    @property
    def policy(self) -> Policy:
        # sums are masked after the gate has judged them as statistics
        allowed = "statistics" if self.release_class == "masked_sum" else self.release_class
        return Policy(
            studies=("any",),
            release_class=allowed,  # type: ignore[arg-type]  # one of the four
            max_leverage=self.max_leverage,
            epsilon=self.epsilon,
            epsilon_total=1e6 if self.epsilon else 0.0,
            **THRESHOLDS[self.thresholds],
        )


@dataclass(frozen=True, slots=True, eq=False)
class City:
    """One city's panel for one variant of the study, and the names of its places."""

    panel: Panel
    study: Study
    places: tuple[str, ...]


def cases() -> list[Case]:
    """Every class behind six gates, then tables with noise, with the auditor and without."""
    gates = (
        ("none", FORGETS),
        ("default", FORGETS),
        ("loose", 0.5),
        ("default", 0.5),
        ("default", 0.2),
        ("strict", 0.5),
    )
    found = [Case(one, *gate_of) for one in CLASS_OF for gate_of in gates]
    return found + [
        Case("table", "default", limit, one) for limit in (0.5, FORGETS) for one in EPSILONS
    ]


# ---------------------------------------------------------------- cities


def variants(study: Study) -> dict[str, Study]:
    """The question as it is, and three that an honest analyst asks beside it."""
    asked = (
        study,
        changed(study, window=changed(study.window, period="quarter")),
        changed(study, units=changed(study.units, radius_m=150.0, ring_m=300.0)),
        changed(study, outcome=changed(study.outcome, crime_types=("theft", "robbery"))),
    )
    return dict(zip(VARIANTS, asked, strict=True))


def build(folder: Path) -> dict[str, dict[str, City]]:
    """Variant → city → its panel, from simulated raw files."""
    made = simulate(PRESETS["demo"], folder, SEED)
    asked = variants(load_study(made.study))
    found: dict[str, dict[str, City]] = {name: {} for name in asked}
    for path in made.sites:
        bench = open_bench(path)
        rows = read_city(bench)
        for name, study in asked.items():
            built = build_panel(
                rows.incidents.rows,
                rows.cameras.rows,
                study,
                site_name=bench.site.name,
                bounds=bench.site.city.bounds,
                study_hash=study_hash(study),
                fingerprint=rows.fingerprint,
            )
            where = built.units.select("longitude", "latitude").to_numpy().astype(np.float64)
            places = place_names(built.panel.unit_ids, where, study)
            found[name][bench.site.name] = City(built.panel, study, places)
    return found


def asking(study: Study, name: str) -> Study:
    """The study, asked of another estimator."""
    first = {} if name == "random_effects" else {"first_stage": "poisson_did"}
    return changed(study, analysis=changed(study.analysis, estimator=name, **first))


# ---------------------------------------------------------------- the gate


class Desk:
    """One city's store: what it has answered so far is in its ledger and its auditor, if the policy has one."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.folder, self.case, self.asked = folder, case, 0

    def answer(self, city: City, study: Study) -> dict[str, np.ndarray]:
        """The released fields.

        Raises:
            RefusalError: by the policy.
        """
        self.asked += self.case.max_leverage == FORGETS
        store, policy = self.folder / str(self.asked), self.case.policy
        ledger = Ledger(store / "ledger.jsonl")
        question = ask_first(estimator(study.analysis.estimator), study)
        gate.admit(question, policy, ledger, city.panel.fingerprint)
        panel, statistics = summarised(city, study, self.case)
        release = gate.review(
            statistics,
            question,
            policy,
            ledger,
            fingerprint=panel.fingerprint,
            site=panel.sites[0],
            audit=Audit(store / "audit", told_by(panel, study, city.places)),
        )
        return dict(release.fields)


_SUMMARISED: dict[Any, Any] = {}


def summarised(city: City, study: Study, case: Case) -> tuple[Panel, Statistics]:
    """The panel with its small cohorts merged, and what the estimator makes of it; once for each set of thresholds.

    Raises:
        RefusalError: cohorts stay too small.
    """
    key = (id(city), study_hash(study), case.thresholds)
    if key not in _SUMMARISED:
        panel = prepare(city.panel, study, case.policy).panel
        chosen = estimator(study.analysis.estimator)
        _SUMMARISED[key] = (city, panel, chosen.summarise(panel, ask_first(chosen, study)))
    return _SUMMARISED[key][1], _SUMMARISED[key][2]


# ---------------------------------------------------------------- honest work


def refused(cities: dict[str, dict[str, City]], case: Case, folder: Path) -> dict[str, Any]:
    """Share of honest questions that are refused, among those whose class is allowed, and by which rules."""
    asked, failed, rules = 0, 0, {}
    for site in next(iter(cities.values())):
        desk = Desk(folder / site, case)
        for name, of_variant in cities.items():
            for one in HONEST:
                city = of_variant[site]
                try:
                    desk.answer(city, asking(city.study, one))
                except RefusalError as error:
                    if "release_class" in error.rules:
                        continue
                    failed += 1
                    key = f"{one}, {name}: {', '.join(error.rules)}"
                    rules[key] = rules.get(key, 0) + 1
                asked += 1
    return {"asked": asked, "refused": failed, "share_refused": failed / asked, "rules": rules}


def width_of(found: Estimate) -> float:
    return 2 * t_quantile(0.5 + found.level / 2, found.df) * float(found.std_error[0])


def pooled(cities: dict[str, City], case: Case, *, protected: bool) -> Estimate:
    """The shipped question over all cities, from panels as they are or as the policy wants them."""
    study = asking(next(iter(cities.values())).study, CLASS_OF[case.release_class])
    panels = [
        prepare(one.panel, study, case.policy).panel if protected else one.panel
        for one in cities.values()
    ]
    return estimate(estimator(study.analysis.estimator), study, ask_pooled(panels))


def widths(cities: dict[str, City], case: Case, answer: Sequence[str]) -> dict[str, Any]:
    """Width of the 95 % interval of the shipped question, and its ratio to that of all cities without protection.

    Args:
        cities: all.
        case: the policy.
        answer: names of those that answer under it.
    """
    left = {site: city for site, city in cities.items() if site in answer}
    bare = width_of(pooled(cities, case, protected=False))
    if len(left) < 2:
        return {"width": None, "width_ratio": None}
    if not case.epsilon:
        width = width_of(pooled(left, case, protected=True))
        return {"width": width, "width_ratio": width / bare}
    study = asking(next(iter(cities.values())).study, CLASS_OF[case.release_class])
    chosen = estimator(study.analysis.estimator)
    question = ask_first(chosen, study)
    answers = [summarised(one, study, case)[1] for one in left.values()]
    found = []
    for _ in range(DRAWS):
        noisy = [
            replace(one, parts={one.sites: noise.noised(one, case.policy)}, tables={})
            for one in answers
        ]
        found.append(width_of(chosen.finalise(merge_all(noisy), question)))
    mean = float(np.mean(found))
    return {"width": mean, "width_ratio": mean / bare}


# ---------------------------------------------------------------- attacks


def after_totals(fields: dict[str, np.ndarray], name: str) -> float:
    """Incidents at cameras after go-live, as a release tells them outright."""
    return float(fields["totals"][1] if name == "rate_ratio" else fields["columns"][1, 0])


def guess_from_effect(fields: dict[str, np.ndarray], design: Design) -> float:
    """Incidents at cameras from an effect and its variance."""
    chosen = before_after(design)
    exposure = np.array(
        [
            design.exposure[np.ix_(units, when)].sum()
            for units in (chosen.target, chosen.control)
            for when in (chosen.before, chosen.after)
        ]
    )
    return targets_from_effect(float(fields["effect"][0]), float(fields["effect"][1]), exposure)


def differencing(cities: dict[str, City], case: Case, folder: Path) -> dict[str, Any]:
    """Two studies that differ by one camera: how many cameras' incidents after go-live are known to within a half?

    Of a masked sum the attacker subtracts the sums; the other cities' parts are the same in both.
    """
    name = CLASS_OF[case.release_class]
    random = np.random.default_rng(SEED)
    tried = hit = blocked = 0
    for site, city in cities.items():
        study = asking(city.study, name)
        again = changed(study, name="the-same-again")
        places = np.flatnonzero(city.panel.role == Role.TREATED)
        for unit in random.choice(places, CAMERAS, replace=False).tolist():
            role = city.panel.role.copy()
            role[unit] = Role.SET_APART
            other = City(replace(city.panel, role=role), again, city.places)
            tried += 1
            try:
                desk = Desk(folder / f"{site}-{unit}", case)
                first, second = desk.answer(city, study), desk.answer(other, again)
            except RefusalError:
                blocked += 1
                continue
            panel, _ = summarised(city, study, case)
            (design,) = design_of(panel, study)
            used = np.flatnonzero(np.isin(panel.role, (Role.TREATED, Role.CONTROL)))
            if unit not in used:  # set apart, so that nothing is told of it
                continue
            row = int(np.searchsorted(used, unit))
            if case.release_class == "estimate":
                truth = float(design.outcome[row].sum())
                (without,) = design_of(summarised(other, again, case)[0], again)
                told = guess_from_effect(first, design) - guess_from_effect(second, without)
            else:
                live = design.treated[row] > 0
                if name == "rate_ratio":
                    live &= before_after(design).after
                truth = float(design.outcome[row, live].sum())
                told = after_totals(first, name) - after_totals(second, name)
            hit += abs(told - truth) < 0.5
    return {"cameras": tried, "recovered": hit / tried, "blocked": blocked / tried}


def one_release(cities: dict[str, City], case: Case, folder: Path) -> dict[str, Any]:
    """Median relative error of what one answer tells about a city's incidents at cameras."""
    name = CLASS_OF[case.release_class]
    errors: list[float] = []
    answer: list[str] = []
    released: dict[str, tuple[float, float, float]] = {}
    for site, city in cities.items():
        study = asking(city.study, name)
        try:
            fields = Desk(folder / site, case).answer(city, study)
        except RefusalError:
            continue
        answer.append(site)
        panel, _ = summarised(city, study, case)
        (design,) = design_of(panel, study)
        live = design.treated > 0
        if case.release_class == "estimate":
            truth = float(design.outcome[design.ever_treated].sum())
            errors.append(abs(guess_from_effect(fields, design) / truth - 1))
            continue
        if name == "rate_ratio":
            chosen = before_after(design)
            truth = float(design.outcome[np.ix_(chosen.target, chosen.after)].sum())
        else:
            truth = float(design.outcome[live].sum())
        told = after_totals(fields, name)
        released[site] = (told, truth, float(design.exposure[live].sum()))
        if case.release_class != "masked_sum":
            errors.append(abs(told / truth - 1))
    if case.release_class == "masked_sum" and released:
        told, _, exposure = np.sum(list(released.values()), axis=0)
        errors = [abs(told * own / exposure / truth - 1) for _, truth, own in released.values()]
    return {
        "answer": answer,
        "total_error": float(np.median(errors)) if errors else None,
    }


def membership(cities: dict[str, City], case: Case) -> dict[str, Any]:
    """Share of right guesses whether one incident was there, by somebody who knows all the city's other incidents.

    Without noise a release is another one with the incident, and its numbers are doubles: he compares. Of a masked sum
    he knows his city's part and not the others', of which he knows the size to Poisson's error.
    """
    if case.release_class == "masked_sum":
        others = 0.0
        for city in list(cities.values())[1:]:
            (design,) = design_of(city.panel, city.study)
            others += float(design.outcome[design.treated > 0].sum())
        half = 0.5 / math.sqrt(others)
        return {"membership": 0.5 + 0.5 * math.erf(half / math.sqrt(2))}
    if not case.epsilon:
        city = next(iter(cities.values()))
        study = asking(city.study, CLASS_OF[case.release_class])
        return {"membership": float(all(_differs(city, study, unit) for unit in range(3)))}
    city = next(iter(cities.values()))
    study = asking(city.study, "rate_ratio")
    _, statistics = summarised(city, study, case)
    (table,) = statistics.tables.values()
    flat = np.tile(table["before"][0], MEMBERS)
    noisy = noise.noisy_counts(flat, case.epsilon)[0].reshape(MEMBERS, -1)
    member = np.random.default_rng(SEED).random(MEMBERS) < 0.5
    off = noisy.sum(axis=1) - table["before"][0].sum() + member
    right = int(((off > 0.5) == member).sum())
    bound = math.exp(case.epsilon) / (1 + math.exp(case.epsilon))
    return {"membership": right / MEMBERS, "membership_bound": bound}


def _differs(city: City, study: Study, number: int) -> bool:
    """Whether the release differs where one place with a camera has one incident more in the first period."""
    chosen = estimator(study.analysis.estimator)
    question = ask_first(chosen, study)
    unit = int(np.flatnonzero(city.panel.role == Role.TREATED)[number])
    counts = city.panel.counts.copy()
    counts[0, unit, 0] += 1
    one, other = (
        chosen.summarise(panel, question).parts[panel.sites]
        for panel in (city.panel, replace(city.panel, counts=counts))
    )
    return any(one[key].tobytes() != other[key].tobytes() for key in one)


# ---------------------------------------------------------------- how many blocks


def blocks(study: Study, epsilon: float) -> Iterator[dict[str, Any]]:
    """Coverage and width of `rate_ratio` by the number of blocks that noise is added to, in simulated cities.

    Two years before and two after, over-dispersed counts, shocks of the city and of the places with cameras.
    """
    question = ask_first(estimator("rate_ratio"), asking(study, "rate_ratio"))
    random = np.random.default_rng(SEED)
    series = [_series(random) for _ in range(WORLDS)]
    for number in BLOCKS:
        covered, width = 0, []
        for counts in series:
            low, high = _noisy_interval(question, counts, number, epsilon)
            covered += low < 0.0 < high
            width.append(high - low)
        yield {
            "epsilon": epsilon,
            "blocks": number,
            "coverage": covered / WORLDS,
            "width": float(np.mean(width)),
        }


MONTHS: Final = 24
RATE: Final = 120.0
"""Incidents a month of each group."""
DISPERSION: Final = 1.7
"""Variance over mean of a month's count of a group, in the middle of the demo's 1.3 to 2."""


def _series(random: np.random.Generator) -> np.ndarray:
    """(2, 48) incidents of targets and controls without any effect."""
    shock = np.exp(random.normal(0, 0.08, 2 * MONTHS))
    mean = RATE * shock * np.ones((2, 1))
    shape = mean / (DISPERSION - 1)
    return random.poisson(random.gamma(shape, DISPERSION - 1))


def _noisy_interval(
    question: Question, counts: np.ndarray, number: int, epsilon: float
) -> tuple[float, float]:
    starts = np.linspace(0, MONTHS, number, endpoint=False).astype(np.int64)
    table = {
        "before": np.add.reduceat(counts[:, :MONTHS], starts, axis=1),
        "after": np.add.reduceat(counts[:, MONTHS:], starts, axis=1),
    }
    fields = {"exposure": np.full(4, 1.0), "sizes": np.array([100.0, 4800.0]), "totals": np.ones(4)}
    one = Statistics(
        "rate_ratio", "totals", "collected", {("city",): fields}, (), {("city",): table}
    )
    noisy = noise.noised(one, Policy(epsilon=epsilon, epsilon_total=epsilon))
    answered = replace(one, parts={("city",): noisy}, tables={})
    found = estimator("rate_ratio").finalise(answered, question)
    if not isinstance(found, Estimate):
        raise TypeError("rate_ratio has one round")
    return found.interval()


_CITIES: dict[str, dict[str, City]] = {}
"""Of this process: variant → city."""


def _start(root: str) -> None:
    """Each process builds the cities for itself: the same seed, the same cities."""
    with tempfile.TemporaryDirectory(dir=root) as name:
        _CITIES.update(build(Path(name)))


def row_of(case: Case) -> dict[str, Any]:
    """Everything that is measured of one policy."""
    shipped = _CITIES["as shipped"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = one_release(shipped, case, folder / "release")
        return {
            "release_class": case.release_class,
            "thresholds": case.thresholds,
            "max_leverage": None if case.max_leverage == FORGETS else case.max_leverage,
            "epsilon": case.epsilon or None,
            **widths(shipped, case, told["answer"]),
            **refused(_CITIES, case, folder / "honest"),
            **differencing(shipped, case, folder / "difference"),
            "answer": len(told["answer"]),
            "total_error": told["total_error"],
            **membership(shipped, case),
        }


def blocks_of(epsilon: float) -> list[dict[str, Any]]:
    """`blocks` of one epsilon."""
    study = next(iter(_CITIES["as shipped"].values())).study
    return list(blocks(study, epsilon))


def main() -> None:
    """Answer every case on two processes and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.parse_args()
    begun = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as root,
        ProcessPoolExecutor(
            2, mp_context=get_context("spawn"), initializer=_start, initargs=(root,)
        ) as pool,
    ):
        found = pool.map(row_of, cases())
        of_blocks = pool.map(blocks_of, (1.0, 0.3, 0.1))
        rows = []
        for row in found:
            rows.append(row)
            shown = {key: value for key, value in row.items() if key != "rules"}
            print(f"{time.perf_counter() - begun:6.1f} s {shown}", flush=True)
        many = [row for part in of_blocks for row in part]
    result = {
        "seed": SEED,
        "wall_s": round(time.perf_counter() - begun, 1),
        "cpu_s": round(sum(os.times()[:4]), 1),
        "cities": rows[0]["answer"],
        "cameras": rows[0]["cameras"],
        "draws": DRAWS,
        "trials_of_membership": MEMBERS,
        "worlds_of_blocks": WORLDS,
        "honest": {"estimators": list(HONEST), "variants": list(VARIANTS)},
        "thresholds": THRESHOLDS,
        "rows": rows,
        "blocks": many,
    }
    (HERE / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draw(result, HERE / "frontier.png")
    write_tables(result, HERE / "README.md")


if __name__ == "__main__":
    main()
