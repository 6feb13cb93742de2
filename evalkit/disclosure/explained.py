"""Every key of a policy in words: what it says, what it refuses, and where its default comes from.

One table, which `evalkit site policy explain` prints and ``docs/reference/disclosure.md`` is tested against.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from evalkit.policy import ANY, LIMITS, Policy, compare

__all__ = ["KEYS", "Explained", "KeyWords", "explain", "shown"]

Group = Literal["who", "question", "statistic", "noise"]


@dataclass(frozen=True, slots=True)
class KeyWords:
    """One key in words.

    Attributes:
        group: whom it names, or what it limits.
        says: a sentence with ``{}`` for the value.
        refuses: what does not get through.
        source: where the default comes from.
    """

    group: Group
    says: str
    refuses: str
    source: str


@dataclass(frozen=True, slots=True)
class Explained:
    """One key of a policy in force.

    Attributes:
        key: its name, which is also the rule's.
        value, default: as plain values.
        than_default: how the value stands to the default; ``own`` for keys that are no limit.
        set_by: whoever decides the value.
        says, refuses, source: see `KeyWords`, the value put in.
    """

    key: str
    group: Group
    value: Any
    default: Any
    than_default: Literal["same", "stricter", "looser", "different", "own"]
    set_by: Literal["city", "treaty", "default"]
    says: str
    refuses: str
    source: str


KEYS: Final[Mapping[str, KeyWords]] = {
    "studies": KeyWords(
        "who",
        "Studies approved by listing them: {}.",
        "a study whose hash is not listed; where there are officers, one that they have not signed",
        "none: a city approves each study itself",
    ),
    "officers": KeyWords(
        "who",
        "Officers whose signatures approve a study: {}.",
        "a study without their signatures, if there are any officers",
        "none: a city names its own",
    ),
    "officers_needed": KeyWords(
        "who",
        "Different officers who must sign a study, where there are officers: {}.",
        "a study that fewer have signed",
        "ours; 2 is the rule of two persons",
    ),
    "treaty": KeyWords(
        "who",
        "Federation treaty: {}.",
        "everything, while the treaty that is named is not in force",
        "none: cities agree on their own",
    ),
    "peers": KeyWords(
        "who",
        "Cities with which secure sums are made: {}.",
        "secure sums with any other city, or under another key",
        "none: a city names those whose keys it has compared",
    ),
    "expires": KeyWords(
        "question",
        "First day (UTC) on which nothing is answered any more: {}.",
        "everything from that day on",
        "none: a city sets its own",
    ),
    "release_class": KeyWords(
        "question",
        "Most revealing answer: {} (in order: estimate, masked_sum, statistics, table).",
        "an estimator that needs a more revealing class",
        "ours: every estimator of effects over cities works, counts by period do not leave",
    ),
    "crime_types": KeyWords(
        "question",
        "Crime types that may be asked about: {}.",
        "a study that counts any other",
        "every type: a city narrows it",
    ),
    "max_parameters": KeyWords(
        "question",
        "Coefficients of a question: at most {}.",
        "a longer question",
        "ours: doubly_robust with pooled controls has 200, other estimators a few dozen at most",
    ),
    "max_specifications": KeyWords(
        "question",
        "Variants of itself that a study may ask with one approval: at most {}.",
        "all variants of a study that lists more",
        "ours: answers that overlap can be subtracted",
    ),
    "max_rounds": KeyWords(
        "question",
        "Different questions about one study: at most {}.",
        "any question after those; one that was answered may be repeated",
        "a Newton fit needs about six",
    ),
    "max_step": KeyWords(
        "question",
        "Move of a coefficient from one question to the next: at most {}.",
        "a question further away, as one row of data can then dominate the answer",
        "prototype: at a coefficient of 10 one row can hold 95 % of the information",
    ),
    "min_cities": KeyWords(
        "question",
        "Cities in a secure sum: at least {}.",
        "a sum over fewer: what one city sent could be had by subtraction",
        "vantage6, which checks it at the centre only; here each city does",
    ),
    "min_incidents": KeyWords(
        "statistic",
        "Incidents behind every number that leaves: at least {}.",
        "a number with fewer; none at all is fewer",
        "output checking: ACRO, NVFlare and v6-glm-py use 10, OpenSAFELY redacts up to 7, DataSHIELD 3",
    ),
    "min_units": KeyWords(
        "statistic",
        "Treated places together, controls together, and every group of controls: at least {}.",
        "an answer from fewer",
        "as min_incidents",
    ),
    "min_treated_per_pattern": KeyWords(
        "statistic",
        "Treated places that share a go-live: at least {}.",
        "a smaller group: with one place it is that camera's series",
        "ours",
    ),
    "max_parameters_per_cluster": KeyWords(
        "statistic",
        "Coefficients for each cluster: at most {}.",
        "a richer model, which repeats its data",
        "v6-glm-py has 10 % of rows, tightened to clusters; DataSHIELD 0.33 of rows",
    ),
    "min_residual_df": KeyWords(
        "statistic",
        "Observations left after the fit: at least {}.",
        "a fit with fewer",
        "ACRO",
    ),
    "max_two_unit_share": KeyWords(
        "statistic",
        "Share of two places in any number that leaves: at most {}.",
        "a number that is nearly the count of one or two places",
        "ACRO's (n, k) rule with n = 2",
    ),
    "min_clusters": KeyWords(
        "statistic",
        "Clusters behind a variance: at least {}.",
        "a variance from fewer: with one, it is that cluster",
        "prototype: rebuilding a cluster is exact with one, R² 0.17 with ten",
    ),
    "max_leverage": KeyWords(
        "statistic",
        "Share of any place's own series that all answers so far may determine: below {}.",
        "an answer that, with those before it, would single a place out",
        "measured: stops combinations of four questions while all honest ones pass",
    ),
    "epsilon": KeyWords(
        "noise",
        "Loss of privacy of one noisy table, 0 for no noise: {}.",
        "a table that cannot be computed from noisy counts, such as one with a randomisation test",
        "off: noise costs width of the interval, and the other rules do not need it",
    ),
    "epsilon_total": KeyWords(
        "noise",
        "Loss of privacy of all noisy tables together: {}.",
        "a noisy table that would bring the sum of all so far above it; one that is given again costs nothing",
        "off, as epsilon",
    ),
}
"""Key → its words, in the order in which they are explained."""


def explain(written: Policy, in_force: Policy) -> tuple[Explained, ...]:
    """Every key with its value in force.

    Args:
        written: as the city wrote it, with its officers and treaty.
        in_force: with its treaty's limits; of keys that are no limit the written value is shown.
    """
    default = Policy()
    return tuple(_explain(key, written, in_force, default) for key in KEYS)


def _explain(key: str, written: Policy, in_force: Policy, default: Policy) -> Explained:
    words, limit = KEYS[key], key in LIMITS
    shown_of = in_force if limit else written
    value, usual = getattr(shown_of, key), getattr(default, key)
    by_treaty = limit and value != getattr(written, key)
    return Explained(
        key=key,
        group=words.group,
        value=msgspec.to_builtins(value),
        default=msgspec.to_builtins(usual),
        than_default=compare(key, shown_of, default)
        if limit
        else "same"
        if value == usual
        else "own",
        set_by="treaty" if by_treaty else "default" if value == usual else "city",
        says=words.says.format(shown(value)),
        refuses=words.refuses,
        source=words.source,
    )


def shown(value: object) -> str:
    """A value of a policy for people."""
    if value is None or value in ("", (), {}):
        return "none"
    if value == (ANY,):
        return ANY
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list, dict)):
        return ", ".join(map(str, value))
    return str(value)
