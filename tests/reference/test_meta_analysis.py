"""Pooled effects against metafor, published tables and statsmodels.

What does not agree, and why, is in README.md beside this file.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.stats.meta_analysis import combine_effects

from evalkit.numerics.meta_analysis import Interval, Method, PooledEffect, pool
from tests.reference.meta_analysis_data import BCG_COUNTS, DIURETICS_COUNTS, SMALL_DESIGNS

Array = NDArray[np.float64]

ROUNDING: Final = 2e-13
"""Relative. The references carry 15 significant digits of sums taken in another order."""

TAIL: Final = 2e-12
"""Relative, for p-values: in the tail they magnify rounding by the squared statistic, here 113."""

PRINTED_10: Final = 1e-10
"""Absolute. expected_bcg_metafor.csv prints 10 decimals."""

METAFOR_STOP: Final = 2e-5
"""Absolute, for tau2. By default metafor's Fisher scoring stops when a step moves tau2 by less than
1e-5; it converges linearly, so what is left may be somewhat more than the last step. evalkit solves
to the last bits."""

METAFOR_UNIROOT: Final = 1.3e-4
"""Absolute, for tau2. metafor 3.8's Paule–Mandel is R's ``uniroot`` with its default tolerance,
.Machine$double.eps^0.25 = 1.22e-4."""

INTERVALS: Final[dict[str, Interval]] = {
    "z": "wald",
    "knha": "knapp_hartung",
    "adhoc": "knapp_hartung_truncated",
}
METHODS: Final[dict[str, Method]] = {
    "FE": "fixed",
    "DL": "DL",
    "PM": "PM",
    "REML": "REML",
    "ML": "ML",
    "HE": "HE",
    "SJ": "SJ",
    "EB": "EB",
    "HS": "HS",
}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def log_odds_ratios(tables: Array) -> tuple[Array, Array]:
    """From cases, non-cases, control cases, control non-cases: log odds ratios and variances."""
    a, b, c, d = tables.T
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def log_risk_ratios(tables: Array) -> tuple[Array, Array]:
    a, b, c, d = tables.T
    effects = np.log(a / (a + b)) - np.log(c / (c + d))
    return effects, 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def from_totals(counts: Array) -> Array:
    """Cases and totals to cases and non-cases."""
    a, n1, c, n2 = counts.T
    return np.column_stack([a, n1 - a, c, n2 - c])


def bcg(measure: str) -> tuple[Array, Array]:
    tables = np.array(BCG_COUNTS, dtype=np.float64)
    return log_risk_ratios(tables) if measure == "RR" else log_odds_ratios(tables)


def named_as_metafor(pooled: PooledEffect) -> dict[str, float]:
    return {
        "beta": pooled.effect,
        "se": pooled.std_error,
        "stat": pooled.statistic,
        "pval": pooled.p_value,
        "ci_lb": pooled.conf_low,
        "ci_ub": pooled.conf_high,
        "pi_lb": pooled.prediction_low_metafor,
        "pi_ub": pooled.prediction_high_metafor,
        "tau2": pooled.tau2,
        "I2": pooled.i2,
        "H2": pooled.h2,
        "Q": pooled.q,
        "Qp": pooled.q_p_value,
    }


def test_bcg_counts_give_the_shared_log_risk_ratios(shared: Path) -> None:
    expected = rows(shared / "data/reference/did/dat_bcg_logrr.csv")
    effects, variances = bcg("RR")
    assert effects == pytest.approx([float(row["yi"]) for row in expected], rel=ROUNDING)
    assert variances == pytest.approx([float(row["vi"]) for row in expected], rel=ROUNDING)


def test_metafor_bcg_34_fits(shared: Path) -> None:
    fits = rows(shared / "data/reference/metafor_bcg_reference.csv")
    assert len(fits) == 34
    for fit in fits:
        pooled = pool(
            *bcg(fit["measure"]), method=METHODS[fit["method"]], interval=INTERVALS[fit["test"]]
        )
        actual = named_as_metafor(pooled)
        label = f"{fit['measure']} {fit['method']} {fit['test']}"
        assert pooled.k == int(fit["k"]), label
        for name, value in actual.items():
            if fit[name] == "NA":
                assert math.isnan(value), (label, name)
                continue
            expected = float(fit[name])
            if fit["method"] == "PM" and name not in {"Q", "Qp"}:
                # tau2 is off by metafor's tolerance; everything else follows it.
                allowed = METAFOR_UNIROOT * max(1.0, abs(expected) / pooled.tau2)
            else:
                allowed = (TAIL if name in {"pval", "Qp"} else ROUNDING) * abs(expected)
            assert value == pytest.approx(expected, rel=0, abs=allowed), (label, name)


def test_paule_mandel_solves_its_equation_where_metafor_stops_early(shared: Path) -> None:
    fits = rows(shared / "data/reference/metafor_bcg_reference.csv")
    for measure in ("RR", "OR"):
        effects, variances = bcg(measure)

        def q_at(tau2: float, y: Array = effects, v: Array = variances) -> float:
            w = 1 / (v + tau2)
            return float(w @ (y - w @ y / w.sum()) ** 2)

        tau2 = {
            fit["method"]: float(fit["tau2"])
            for fit in fits
            if fit["measure"] == measure and fit["test"] == "z"
        }
        ours = pool(effects, variances, method="PM").tau2
        assert q_at(ours) == pytest.approx(12.0, rel=1e-14)
        assert abs(q_at(tau2["PM"]) - 12.0) > 1e-5
        # Empirical Bayes is the same equation, and there metafor was run to convergence.
        assert ours == pytest.approx(tau2["EB"], rel=ROUNDING)


def test_metafor_bcg_10_fits_with_default_convergence(shared: Path) -> None:
    fits = rows(shared / "data/reference/did/expected_bcg_metafor.csv")
    assert len(fits) == 10
    tolerance = {
        "DL": PRINTED_10,
        "HE": PRINTED_10,
        "REML": METAFOR_STOP,
        "ML": METAFOR_STOP,
        "PM": METAFOR_UNIROOT,
    }
    names = {
        "est": "beta",
        "se": "se",
        "ci.lb": "ci_lb",
        "ci.ub": "ci_ub",
        "tau2": "tau2",
        "Q": "Q",
        "pi.lb": "pi_lb",
        "pi.ub": "pi_ub",
    }
    for fit in fits:
        method = METHODS[fit["method"]]
        pooled = pool(*bcg("RR"), method=method, interval=INTERVALS[fit["test"]])
        actual = named_as_metafor(pooled)
        for theirs, ours in names.items():
            expected = float(fit[theirs])
            allowed = PRINTED_10 if theirs == "Q" else tolerance[method]
            assert actual[ours] == pytest.approx(expected, rel=0, abs=allowed), (fit, theirs)
        assert pooled.i2 == pytest.approx(float(fit["I2"]), abs=100 * tolerance[method])


def test_metafor_60_intercept_fits_and_tau2_intervals(shared: Path) -> None:
    reference = json.loads((shared / "data/reference/did/metafor_reference.json").read_text())
    cases = [case for case in reference["cases"] if case["model"] == "intercept"]
    assert len(cases) == 60
    for case in cases:
        effects, variances = np.array(SMALL_DESIGNS[case["design"]]).T
        pooled = pool(
            effects,
            variances,
            method=METHODS[case["method"]],
            interval=INTERVALS[case["test"]],
        )
        label = f"{case['design']} {case['method']} {case['test']}"
        closed_form = case["method"] in {"FE", "DL", "HE"}
        off = 0.0 if closed_form else METAFOR_STOP
        expected = {
            "tau2": (pooled.tau2, case["tau2"], off),
            "beta": (pooled.effect, case["beta"][0], off),
            "se": (pooled.std_error, case["se"][0], off),
            "ci_lb": (pooled.conf_low, case["ci_lb"][0], off),
            "ci_ub": (pooled.conf_high, case["ci_ub"][0], off),
            "pval": (pooled.p_value, case["pval"][0], off),
            "Q": (pooled.q, case["QE"], 0.0),
            "Qp": (pooled.q_p_value, case["QEp"], 0.0),
            "I2": (pooled.i2, case["I2"], 100 * off / pooled.typical_variance),
            "H2": (pooled.h2, case["H2"], off / pooled.typical_variance),
        }
        for name, (ours, theirs, allowed) in expected.items():
            rounding = (TAIL if name in {"pval", "Qp"} else ROUNDING) * abs(theirs)
            assert ours == pytest.approx(theirs, rel=0, abs=max(allowed, rounding)), (label, name)
        if case["tau2_ci_lb"] is None:
            assert math.isnan(pooled.tau2_low)
            assert math.isnan(pooled.tau2_high)
        else:
            # metafor was asked for 1e-12 here.
            assert pooled.tau2_low == pytest.approx(case["tau2_ci_lb"], rel=1e-11, abs=1e-12)
            assert pooled.tau2_high == pytest.approx(case["tau2_ci_ub"], rel=1e-11)
        assert pooled.df == (math.inf if case["dof"] is None else case["dof"])


def test_likelihood_estimates_are_stationary_and_highest() -> None:
    """The score is 0 at the answer, and no point of a fine grid has a higher likelihood."""
    for design in SMALL_DESIGNS.values():
        y, v = np.array(design).T

        def log_likelihood(tau2: float, restricted: bool, y: Array = y, v: Array = v) -> float:
            w = 1 / (v + tau2)
            mean = w @ y / w.sum()
            value = 0.5 * np.log(w).sum() - 0.5 * w @ (y - mean) ** 2
            return float(value - 0.5 * np.log(w.sum()) if restricted else value)

        for method, restricted in (("ML", False), ("REML", True)):
            tau2 = pool(y, v, method=method).tau2
            best = log_likelihood(tau2, restricted)
            grid = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 2_000)])
            assert best >= max(log_likelihood(float(t), restricted) for t in grid) - 1e-12
            step = 1e-5 * tau2
            slope = (
                log_likelihood(tau2 + step, restricted) - log_likelihood(tau2 - step, restricted)
            ) / (2 * step)
            assert abs(slope) * tau2 < 1e-9


def test_judicial_supervision_pooled_by_the_published_code(shared: Path) -> None:
    """Trood's 22 before-and-after rate ratios, the shape of this project's own data."""
    studies = rows(shared / "data/reference/trood_jsma_rirr_studies.csv")
    effects = [float(row["ln_rirr"]) for row in studies]
    variances = [float(row["var_doubled"]) for row in studies]
    options: dict[str, tuple[Method, Interval]] = {
        "FE_doubled_var": ("fixed", "wald"),
        "DL_doubled_var": ("DL", "wald"),
        "REML_doubled_var": ("REML", "wald"),
        "REML_HKSJ_doubled_var": ("REML", "knapp_hartung"),
        # Multiplicative variance adjustment: the fixed mean with variance times Q/(k - 1) is the
        # Knapp–Hartung variance of the fixed effect. Its interval uses 1.96, not t.
        "MVA_Vm=Vf*Q/df": ("fixed", "knapp_hartung"),
    }
    fits = rows(shared / "data/reference/trood_jsma_rirr_pooled_computed.csv")
    assert {fit["model"] for fit in fits} == set(options)
    for fit in fits:
        method, interval = options[fit["model"]]
        pooled = pool(effects, variances, method=method, interval=interval)
        allowed = METAFOR_STOP if method == "REML" else 1e-12
        assert pooled.k == int(fit["k"])
        assert pooled.effect == pytest.approx(float(fit["ln_rirr"]), abs=allowed)
        assert pooled.std_error == pytest.approx(float(fit["se"]), abs=allowed)
        assert pooled.statistic == pytest.approx(float(fit["z_or_t"]), abs=2 * allowed)
        assert pooled.q == pytest.approx(float(fit["Q"]), rel=1e-12)
        assert pooled.i2 == pytest.approx(float(fit["I2"]), abs=100 * allowed)
        if fit["tau2"] != "NA":
            assert pooled.tau2 == pytest.approx(float(fit["tau2"]), abs=allowed)
        half_width = 1.96 * pooled.std_error
        if fit["model"].startswith("MVA"):
            low, high = pooled.effect - half_width, pooled.effect + half_width
        else:
            low, high = pooled.conf_low, pooled.conf_high
        assert math.exp(low) == pytest.approx(float(fit["ci_lb"]), abs=2 * allowed)
        assert math.exp(high) == pytest.approx(float(fit["ci_ub"]), abs=2 * allowed)


def test_scared_straight_as_petrosino_et_al_2013_recomputed(shared: Path) -> None:
    studies = rows(shared / "data/reference/scared_straight.csv")
    names = ("events_treated", "n_treated", "events_control", "n_control")
    counts = np.array([[float(row[name]) for name in names] for row in studies])
    effects, variances = log_odds_ratios(from_totals(counts))
    examples = {
        row["quantity"]: row
        for row in rows(shared / "data/reference/worked_examples.csv")
        if row["id"] == "scared_straight" and row["origin"].startswith("COMPUTED")
    }
    fixed = pool(effects, variances, method="fixed", interval="wald")
    dl = pool(effects, variances, method="DL", interval="wald")
    reml = pool(effects, variances, method="REML", interval="wald")
    # Printed with seven significant digits, so half a unit of the last one may differ.
    assert math.exp(fixed.effect) == pytest.approx(_value(examples, "IV fixed OR"), abs=5e-7)
    assert math.exp(dl.effect) == pytest.approx(_value(examples, "DL OR"), abs=5e-7)
    assert math.exp(dl.conf_low) == pytest.approx(_value(examples, "DL CI low"), abs=5e-7)
    assert math.exp(dl.conf_high) == pytest.approx(_value(examples, "DL CI high"), abs=5e-6)
    assert dl.tau2 == pytest.approx(_value(examples, "DL tau2"), abs=5e-9)
    assert dl.q == pytest.approx(_value(examples, "Q"), abs=5e-7)
    assert math.exp(reml.effect) == pytest.approx(_value(examples, "REML OR"), abs=METAFOR_STOP)
    assert reml.tau2 == pytest.approx(_value(examples, "REML tau2"), abs=METAFOR_STOP)


def _value(examples: dict[str, dict[str, str]], quantity: str) -> float:
    return float(examples[quantity]["value"])


def test_published_values_asserted_by_metafor_against_stata(shared: Path) -> None:
    examples = {
        row["quantity"]: float(row["value"])
        for row in rows(shared / "data/reference/worked_examples.csv")
        if row["id"] == "bcg"
    }
    fixed = pool(*bcg("RR"), method="fixed", interval="wald")
    dl = pool(*bcg("RR"), method="DL", interval="wald")
    four_decimals = 5e-5
    assert fixed.effect == pytest.approx(examples["FE ln RR"], abs=four_decimals)
    assert fixed.conf_low == pytest.approx(examples["FE CI low"], abs=four_decimals)
    assert fixed.conf_high == pytest.approx(examples["FE CI high"], abs=four_decimals)
    assert fixed.statistic == pytest.approx(examples["FE z"], abs=four_decimals)
    assert fixed.q == pytest.approx(examples["Q"], abs=5e-4)
    assert dl.effect == pytest.approx(examples["DL ln RR"], abs=four_decimals)
    assert dl.conf_low == pytest.approx(examples["DL CI low"], abs=four_decimals)
    assert dl.conf_high == pytest.approx(examples["DL CI high"], abs=four_decimals)
    low = examples["DL prediction interval low, t(k-2)"]
    high = examples["DL prediction interval high, t(k-2)"]
    assert dl.prediction_low == pytest.approx(low, rel=1e-9)
    assert dl.prediction_high == pytest.approx(high, rel=1e-9)


def test_viechtbauer_2007_table_ii_page_44() -> None:
    """tau2 by four methods and the Q-profile interval, printed with four decimals."""
    effects, variances = log_odds_ratios(from_totals(np.array(DIURETICS_COUNTS, dtype=float)))
    printed: dict[Method, float] = {"DL": 0.2297, "ML": 0.2386, "REML": 0.3008, "SJ": 0.4563}
    for method, tau2 in printed.items():
        pooled = pool(effects, variances, method=method)
        assert pooled.tau2 == pytest.approx(tau2, abs=5e-5)
        assert pooled.tau2_low == pytest.approx(0.0723, abs=5e-5)
        assert pooled.tau2_high == pytest.approx(2.2027, abs=5e-5)


@pytest.mark.parametrize("measure", ["RR", "OR"])
def test_statsmodels_dersimonian_laird_and_paule_mandel(measure: str) -> None:
    effects, variances = bcg(measure)
    theirs = combine_effects(effects, variances, method_re="dl")
    wald = pool(effects, variances, method="DL", interval="wald")
    hartung = pool(effects, variances, method="DL", interval="knapp_hartung")
    assert wald.tau2 == pytest.approx(theirs.tau2, rel=ROUNDING)
    assert wald.effect == pytest.approx(theirs.mean_effect_re, rel=ROUNDING)
    assert wald.std_error == pytest.approx(theirs.sd_eff_w_re, rel=ROUNDING)
    assert hartung.std_error == pytest.approx(theirs.sd_eff_w_re_hksj, rel=ROUNDING)
    # statsmodels iterates to 1e-8 on the estimating equation.
    iterated = combine_effects(effects, variances, method_re="pm").tau2
    assert pool(effects, variances, method="PM").tau2 == pytest.approx(iterated, abs=1e-8)
