"""Consistency: could the effect be exactly what was claimed?

A large p-value here is weak evidence: an imprecise study is consistent with everything. That is why
a claim is never called supported for being consistent (see `evalkit.claims.verdict`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evalkit.claims.claim import Claim
from evalkit.claims.evidence import Evidence
from evalkit.numerics.distributions import two_sided_p

__all__ = ["ConsistencyTest", "ValueTest", "consistency_test"]


@dataclass(frozen=True, slots=True)
class ValueTest:
    """Two-sided test of H0: rate ratio = ``rate_ratio``."""

    rate_ratio: float
    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class ConsistencyTest:
    """Tests of every figure the source prints.

    Attributes:
        value: Of the claim's value.
        also_printed: Of the other figures, in the claim's order.
        p_value: The largest of all: the claim is rejected only if every printed figure is.
    """

    value: ValueTest
    also_printed: tuple[ValueTest, ...]
    p_value: float


def consistency_test(evidence: Evidence, claim: Claim) -> ConsistencyTest:
    """Test H0: log rate ratio = ln(value), and the same for each figure also printed."""
    value = _test(evidence, claim.value)
    others = tuple(_test(evidence, printed) for printed in claim.also_printed)
    return ConsistencyTest(
        value=value,
        also_printed=others,
        p_value=max(test.p_value for test in (value, *others)),
    )


def _test(evidence: Evidence, rate_ratio: float) -> ValueTest:
    statistic = (evidence.effect - math.log(rate_ratio)) / evidence.std_error
    return ValueTest(rate_ratio, statistic, two_sided_p(statistic, evidence.df))
