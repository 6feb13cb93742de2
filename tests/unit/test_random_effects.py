"""What the pooled effect says of itself where cities agree more than they should."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.statistics import Statistics
from evalkit.errors import EstimationError
from tests.panels import study


def pooled(effects: Sequence[float], error: float, **analysis: str) -> Estimate:
    """Cities with these log rate ratios, each with the same standard error."""
    one = estimator("random_effects")
    question = one.first_question(study(estimator="random_effects", **analysis))
    parts = {
        (f"city{number}",): {"effect": np.array([effect, error**2, 50.0, 1000.0])}
        for number, effect in enumerate(effects)
    }
    found = one.finalise(Statistics(one.name, "effect", "collected", parts, ()), question)
    assert isinstance(found, Estimate)
    return found


CLOSE = (-0.15, -0.16, -0.14, -0.15, -0.16, -0.14)
NOTED = "from these errors the interval would be"


def test_agreement_by_chance_is_said_with_the_interval_of_the_cities_own_errors() -> None:
    found = pooled(CLOSE, 0.05)
    (note,) = (one for one in found.notes if NOTED in one)
    half = 1.959963985 * 0.05 / math.sqrt(6)
    low, high = (100 * math.expm1(-0.15 + side * half) for side in (-1, 1))
    assert f"{low:.1f} % to {high:.1f} %".replace("-", "−") in note
    assert found.std_error[0] < 0.05 / math.sqrt(6)


@pytest.mark.parametrize(
    ("effects", "error", "interval"),
    [
        (CLOSE, 0.005, "knapp_hartung"),
        (CLOSE, 0.05, "knapp_hartung_truncated"),
        (CLOSE, 0.05, "wald"),
        ((-0.3, -0.1, -0.25, -0.05, -0.2, 0.0), 0.05, "knapp_hartung"),
    ],
)
def test_no_note_where_the_error_is_not_below_that_of_the_cities(
    effects: tuple[float, ...], error: float, interval: str
) -> None:
    assert not any(NOTED in one for one in pooled(effects, error, interval=interval).notes)


def test_cities_with_the_very_same_effect_are_an_error_with_a_way_out() -> None:
    with pytest.raises(EstimationError, match="the very same effect") as caught:
        pooled([-0.15] * 3, 0.05)
    assert "knapp_hartung_truncated" in str(caught.value)
    assert pooled([-0.15] * 3, 0.05, interval="knapp_hartung_truncated").std_error[0] > 0
