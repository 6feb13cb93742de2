"""What a result says beyond its numbers; `study run` writes it and `review verify` recomputes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

import msgspec

from evalkit.claims.claim import Claim
from evalkit.claims.evidence import Evidence, build_evidence
from evalkit.claims.verdict import judge
from evalkit.claims.wording import Language, sentence
from evalkit.core.estimate import Estimate

__all__ = ["absent_cities", "placebo_cities", "verdict_on"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


def verdict_on(claim: Claim, found: Estimate) -> dict[str, Any]:
    """The verdict as ``result.json`` holds it, with its reason in every language."""
    verdict = judge(_evidence(found), claim)
    plain: dict[str, Any] = msgspec.to_builtins(verdict)
    plain["reason"] = {language: sentence(verdict, language) for language in LANGUAGES}
    return plain


def placebo_cities(found: Estimate, kinds: Mapping[str, str]) -> list[str]:
    """Contributing cities whose cameras enforce traffic and do not watch people.

    Args:
        found: the estimate.
        kinds: city → what its cameras do, as the roster has it.
    """
    return sorted(site for site in found.contributors if kinds.get(site) == "traffic")


def absent_cities(found: Estimate, expected: Iterable[str]) -> list[str]:
    """Cities that were asked and are not in the estimate: with a quorum a study goes on without them."""
    return sorted(set(expected) - set(found.contributors))


def _evidence(found: Estimate) -> Evidence:
    """The estimate's first term as evidence, with what is known of heterogeneity."""
    details = found.details
    return build_evidence(
        float(found.effect[0]),
        float(found.std_error[0]),
        df=found.df,
        level=found.level,
        tau2=details.get("tau2", math.nan),
        prediction_low=details.get("prediction_low", math.nan),
        prediction_high=details.get("prediction_high", math.nan),
        sites=len(found.contributors),
    )
