"""A claim: one figure somebody published, in a file, with the margin within which it is tested.

Vocabulary
    value               the claimed rate ratio: 0.87 for "13 % less".
    also printed        other rate ratios that the same source gives for the same quantity, by
                        rounding or in another table. The claim is contradicted only if all are.
    equivalence margin  a factor above 1: the claim is the region from value/margin to value·margin.
    zero margin         a factor above 1: "no effect" is the region from 1/margin to margin.

A claim is a point in its source and a region here, because no finite study shows equality. The
margins are part of the file, so they are fixed before anybody looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from evalkit.config import read_toml
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.errors import ClaimError, TaxonomyError

__all__ = ["Claim", "check_claim", "claimed_sign", "load_claim", "printed_values"]

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One published claim.

    Attributes:
        name: Short name; a study refers to it.
        title: The claim in one sentence.
        source: Full citation.
        measure: What ``value`` is; only the rate ratio so far.
        value: Claimed rate ratio, treated against untreated; below 1 for a fall.
        also_printed: Other rate ratios the source gives for the same quantity.
        equivalence_margin: Factor above 1 around ``value``.
        zero_margin: Factor above 1 around no effect.
        crime_types: Common crime types the claim is about; empty for all.
        setting: Where it is said to hold.
        uncertainty: What is uncertain about the claim itself, and what about our reading of it.
    """

    name: Name
    title: Text
    source: Text
    measure: Literal["rate_ratio"]
    value: float
    equivalence_margin: float
    zero_margin: float
    uncertainty: Text
    also_printed: tuple[float, ...] = ()
    crime_types: tuple[str, ...] = ()
    setting: str = ""


def load_claim(path: Path) -> Claim:
    """Read and check a claim file.

    Raises:
        ConfigError: the file is absent, not TOML, has an unknown key or a value of the wrong type.
        ClaimError: it is readable, but the claim cannot be tested as written.
        TaxonomyError: a crime type outside the taxonomy.
    """
    return check_claim(read_toml(path, Claim), where=str(path))


def check_claim(claim: Claim, *, where: str | None = None) -> Claim:
    """Refuse a claim that could not be tested; return it otherwise.

    Raises:
        ClaimError: a figure is not above 0, the value is 1, a margin is not above 1, the claim's
            region contains no effect, the region of no effect contains the claim, or a printed
            figure claims the opposite direction.
        TaxonomyError: a crime type outside the taxonomy.
    """
    _check_figures(claim, where)
    _check_regions(claim, where)
    unknown = sorted(set(claim.crime_types) - set(CRIME_TYPES))
    if unknown:
        raise TaxonomyError(
            f"unknown crime types: {', '.join(unknown)}",
            where=where,
            limit=f"one or more of {', '.join(CRIME_TYPES)}, or none for all crime",
            way_out="use the common names",
        )
    return claim


def claimed_sign(claim: Claim) -> int:
    """-1 if the claim is a fall, +1 if it is a rise, on the log scale."""
    return -1 if claim.value < 1.0 else 1


def printed_values(claim: Claim) -> tuple[float, ...]:
    """Every rate ratio the source gives: the value first, then the others."""
    return (claim.value, *claim.also_printed)


def _check_figures(claim: Claim, where: str | None) -> None:
    figures = printed_values(claim)
    if not all(math.isfinite(figure) and figure > 0.0 for figure in figures):
        raise ClaimError(
            "value and also_printed must be rate ratios",
            where=where,
            limit="finite and above 0; 0.87 for 13 % less, 1.15 for 15 % more",
            way_out="turn a percent change p into 1 + p/100, a review's odds ratio into 1/OR",
        )
    if claim.value == 1.0:
        raise ClaimError(
            "the claim is no effect (value 1)",
            where=where,
            limit="a value other than 1",
            way_out="none is needed: every verdict tests equivalence to no effect",
        )
    if not _same_side(figures):
        raise ClaimError(
            "also_printed claims another direction than value",
            where=where,
            limit="all below 1 or all above 1",
            way_out="figures that disagree about the direction are two claims, in two files",
        )


def _check_regions(claim: Claim, where: str | None) -> None:
    margins = {"equivalence_margin": claim.equivalence_margin, "zero_margin": claim.zero_margin}
    for key, margin in margins.items():
        if not (math.isfinite(margin) and margin > 1.0):
            raise ClaimError(
                f"{key} is not a factor above 1",
                where=where,
                limit="finite and above 1; 1.10 for a tenth in either direction",
                way_out="write 1.10, not 0.10 and not 10",
            )
    distance = abs(math.log(claim.value))
    if distance <= math.log(claim.equivalence_margin):
        raise ClaimError(
            "the claim's region contains no effect, so no effect would count as support",
            where=where,
            limit=f"an equivalence_margin below {math.exp(distance):.4g} for this value",
            way_out="choose a smaller margin",
        )
    if distance <= math.log(claim.zero_margin):
        raise ClaimError(
            "the region of no effect contains the claim, so the claim would count as no effect",
            where=where,
            limit=f"a zero_margin below {math.exp(distance):.4g} for this value",
            way_out="choose a smaller margin",
        )


def _same_side(figures: Iterable[float]) -> bool:
    return len({math.copysign(1.0, math.log(figure)) for figure in figures}) == 1
