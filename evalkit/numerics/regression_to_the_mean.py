"""How far places with much crime fall back by themselves: credibility (empirical-Bayes) estimates of their level.

A place's incidents before are its lasting level and chance. Places chosen for a high count were partly lucky to be
chosen, and count less afterwards without any camera. With W_i the exposure of unit i, X_i its rate, m the mean rate,
s² the mean variance within units (for exposure 1) and τ² the variance of lasting levels between units,

    level_i = m + Z_i (X_i − m),   Z_i = τ² / (τ² + s²/W_i)

(Bühlmann & Straub 1970, Mitteilungen der Vereinigung schweizerischer Versicherungsmathematiker 70, 111–133; for
accidents at black spots Hauer 1986, Accident Analysis & Prevention 18, 1–12). The moments are theirs; s² is never
below m, as for Poisson counts. It is the best straight line: where chance grows faster than the level, the very
hottest fall back further than it says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExpectedChange", "Levels", "change_of_hottest", "levels"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Lasting levels of U units.

    Attributes:
        rate: (U,) observed incidents per exposure; the mean for a unit that was not observed.
        level: (U,) expected rate, above 0.
        credibility: (U,) Z, from 0 (all chance) to below 1.
        mean: m.
        dispersion: s²/m, at least 1.
        between: τ², at least 0.
    """

    rate: Floats
    level: Floats
    credibility: Floats
    mean: float
    dispersion: float
    between: float


@dataclass(frozen=True, slots=True)
class ExpectedChange:
    """What happens to the places that had most crime if nothing happens.

    Attributes:
        units: how many they are.
        log_ratio: ln of their expected over their observed rate, at most 0 but for rounding.
        share_of_chance: part of their excess over the mean that is expected to go, 0 to 1.
    """

    units: int
    log_ratio: float
    share_of_chance: float


def levels(counts: Floats, exposure: Floats) -> Levels:
    """Credibility estimates from the periods before.

    Args:
        counts: (U, T) incidents.
        exposure: (U, T), 0 where a cell is not observed.

    Raises:
        ValueError: no incident at all, or nothing observed.
    """
    used = exposure > 0
    y, w = np.where(used, counts, 0.0), np.where(used, exposure, 0.0)
    total, weight = y.sum(axis=1), w.sum(axis=1)
    if not total.sum() > 0:
        raise ValueError("no incident in any observed cell")
    seen = weight > 0
    mean = float(total.sum() / weight.sum())
    rate = np.divide(total, weight, out=np.full_like(total, mean), where=seen)
    within = max(mean, _within(y, w, rate))
    mass = float(weight.sum() - (weight**2).sum() / weight.sum())
    spread = float((weight * (rate - mean) ** 2).sum()) - (int(seen.sum()) - 1) * within
    between = max(0.0, spread / mass) if mass > 0 else 0.0
    z = between * weight / (between * weight + within)
    return Levels(rate, mean + z * (rate - mean), z, mean, within / mean, between)


def change_of_hottest(counts: Floats, exposure: Floats, share: float = 0.1) -> ExpectedChange:
    """Expected change of the units with the highest rates, without any camera.

    Args:
        counts: (U, T) incidents before.
        exposure: (U, T), 0 where a cell is not observed.
        share: of units that count as hottest, rounded up.

    Raises:
        ValueError: no incident, or a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError("the share lies above 0 and at most at 1")
    found = levels(counts, exposure)
    weight = exposure.sum(axis=1)
    observed = np.flatnonzero(weight > 0)
    hottest = observed[np.argsort(-found.rate[observed], kind="stable")]
    hottest = hottest[: math.ceil(share * len(observed))]
    seen = float((weight * found.rate)[hottest].sum())
    expected = float((weight * found.level)[hottest].sum())
    excess = seen - found.mean * float(weight[hottest].sum())
    gone = (seen - expected) / excess if excess > 0 else 0.0
    return ExpectedChange(len(hottest), math.log(expected / seen), gone)


def _within(y: Floats, w: Floats, rate: Floats) -> float:
    """s²: Σ w (y/w − X_i)² over all cells, over its degrees of freedom; 0 without any."""
    used = w > 0
    squares = float((((y - w * rate[:, None])[used]) ** 2 / w[used]).sum())
    df = int(used.sum()) - int(used.any(axis=1).sum())
    return squares / df if df > 0 else 0.0
