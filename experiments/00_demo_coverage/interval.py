"""Coverage and length of three intervals for the mean of six cities, by simulated meta-analyses.

    .venv/bin/python experiments/00_demo_coverage/interval.py

Effects have mean ln 0.87 and standard deviation 0.04 between cities, standard errors are 0.028: the demo's
figures. The default of `random_effects` follows from this table.
"""

from __future__ import annotations

import math

import numpy as np

from evalkit.numerics.meta_analysis import pool

CITIES, MEAN, BETWEEN, WITHIN, REPETITIONS = 6, math.log(0.87), 0.04, 0.028, 2000


def main() -> None:
    """Print coverage with its Monte-Carlo error, and mean length, for each interval."""
    for interval in ("wald", "knapp_hartung", "knapp_hartung_truncated"):
        random = np.random.default_rng(1)
        covered, length = 0, 0.0
        for _ in range(REPETITIONS):
            truth = MEAN + BETWEEN * random.standard_normal(CITIES)
            effects = truth + WITHIN * random.standard_normal(CITIES)
            found = pool(effects, np.full(CITIES, WITHIN**2), interval=interval)
            covered += found.conf_low < MEAN < found.conf_high
            length += found.conf_high - found.conf_low
        share = covered / REPETITIONS
        error = math.sqrt(share * (1 - share) / REPETITIONS)
        print(
            f"{interval:>24}: coverage {share:.1%} ± {error:.1%}, mean length {length / REPETITIONS:.4f}"
        )


if __name__ == "__main__":
    main()
