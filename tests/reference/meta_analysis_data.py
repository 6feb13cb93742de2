"""Study data that the meta-analysis references were computed from and that ../shared does not hold.

Each table is checked by a test: the BCG counts against the log risk ratios in ../shared, the
diuretics counts against four published estimates, the small designs against 60 metafor fits.
"""

from __future__ import annotations

from typing import Final

# Colditz et al. (1994), JAMA 271, 698-702: 13 trials of BCG against tuberculosis.
# Cases and non-cases among the vaccinated, cases and non-cases among controls.
BCG_COUNTS: Final = (
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13536, 248, 12619),
    (33, 5036, 47, 5761),
    (180, 1361, 372, 1079),
    (8, 2537, 10, 619),
    (505, 87886, 499, 87892),
    (29, 7470, 45, 7232),
    (17, 1699, 65, 1600),
    (186, 50448, 141, 27197),
    (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
)

# Collins, Yusuf & Peto (1985), BMJ 290, 17-23: 9 trials of diuretics against pre-eclampsia.
# Cases and number treated, cases and number of controls.
DIURETICS_COUNTS: Final = (
    (14, 131, 14, 136),
    (21, 385, 17, 134),
    (14, 57, 24, 48),
    (6, 38, 18, 40),
    (12, 1011, 35, 760),
    (138, 1370, 175, 1336),
    (15, 506, 20, 524),
    (6, 108, 2, 103),
    (65, 153, 40, 102),
)

# PyMARE (MIT licence), tests/data/metafor_small_sample.csv, columns y and v of its four designs.
SMALL_DESIGNS: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "equal_k5": (
        (-0.375707, 0.8),
        (0.087667, 0.929221),
        (3.101687, 0.970525),
        (-0.06849, 1.094569),
        (0.31128, 1.2),
    ),
    "unequal_k5": (
        (-0.073207, 0.02),
        (-0.415375, 0.050569),
        (5.226533, 2.721731),
        (-0.785429, 0.041877),
        (-2.088512, 5.0),
    ),
    "extreme_k10": (
        (0.016779, 0.001),
        (0.796272, 0.055928),
        (1.404543, 0.521481),
        (-0.487727, 0.060657),
        (2.690687, 3.638258),
        (0.731744, 0.016879),
        (2.31175, 0.00968),
        (0.109614, 0.013116),
        (0.858999, 2.818472),
        (-2.844727, 10.0),
    ),
    "moderate_k20": (
        (0.91344, 0.1),
        (-0.013711, 2.93755),
        (0.71129, 2.146649),
        (-0.349063, 1.990442),
        (0.524942, 0.478369),
        (1.390945, 0.147635),
        (1.394405, 0.271023),
        (1.712806, 2.012027),
        (2.448195, 1.435666),
        (0.797816, 1.058463),
        (-0.455644, 1.071934),
        (0.34701, 0.310011),
        (1.10191, 0.949126),
        (1.118779, 0.39391),
        (0.13778, 0.856478),
        (2.617864, 0.39576),
        (0.139465, 0.108517),
        (0.330425, 0.353627),
        (-0.784248, 0.626412),
        (-0.138601, 3.0),
    ),
}

# The same trials: absolute latitude, year of publication, and how subjects were allocated.
BCG_LATITUDE: Final = (44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33)
BCG_YEAR: Final = (
    1948,
    1949,
    1960,
    1977,
    1973,
    1953,
    1973,
    1980,
    1968,
    1961,
    1974,
    1969,
    1976,
)
BCG_ALLOCATION: Final = (
    "random",
    "random",
    "random",
    "random",
    "alternate",
    "alternate",
    "random",
    "random",
    "random",
    "systematic",
    "systematic",
    "systematic",
    "systematic",
)
