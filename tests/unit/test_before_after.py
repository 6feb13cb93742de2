"""One before and one after of a whole roll-out, on which two estimators of totals rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.core.before_after import before_after
from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.estimator import estimate
from evalkit.core.panel import Panel, Role
from evalkit.errors import NoControlError, NothingToTestError
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import city, study


def observed_where(panel: Panel, exposure: np.ndarray) -> Panel:
    return replace(panel, counts=np.where(exposure > 0, panel.counts, 0), exposure=exposure)


def without_data_from(panel: Panel, period: int) -> Panel:
    """The city's files end there, and the study's window does not."""
    return observed_where(panel, panel.exposure * (np.arange(panel.n_periods) < period))


def test_the_installation_is_neither_before_nor_after() -> None:
    (design,) = design_of(city("alta", 1, cohorts=(8, 11)), study())
    chosen = before_after(design)
    assert np.flatnonzero(chosen.before).tolist() == list(range(8))
    assert np.flatnonzero(chosen.after).tolist() == list(range(12, 24))
    assert (chosen.target.sum(), chosen.control.sum()) == (18, 25)


def test_a_control_that_leaves_is_none() -> None:
    panel = city("alta", 1)
    exposure = panel.exposure.copy()
    control = np.flatnonzero(panel.role == Role.CONTROL)
    exposure[control[:3], 20:] = 0.0
    (design,) = design_of(observed_where(panel, exposure), study())
    assert before_after(design).control.sum() == 22
    none = panel.exposure.copy()
    none[control, 20] = 0.0
    (design,) = design_of(observed_where(panel, none), study())
    with pytest.raises(NoControlError):
        before_after(design)


def test_a_city_whose_data_end_early_keeps_its_controls() -> None:
    short = without_data_from(city("alta", 1), 20)
    (design,) = design_of(short, study())
    chosen = before_after(design)
    assert chosen.control.sum() == 25
    assert np.flatnonzero(chosen.after).tolist() == list(range(15, 20))
    for name in ("rate_ratio", "wdd"):
        found = estimate(estimator(name), study(estimator=name), ask_pooled([short]))
        assert np.isfinite(found.effect[0])
        assert found.std_error[0] > 0.0


def test_a_roll_out_that_fills_the_window_leaves_nothing_to_compare() -> None:
    (design,) = design_of(city("alta", 1, cohorts=(0, 11)), study())
    with pytest.raises(NothingToTestError, match="keep going live"):
        before_after(design)
