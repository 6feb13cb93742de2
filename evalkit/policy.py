"""What a city lets out: the ``[policy]`` section of its site file, every limit with its default.

The defaults' sources are in ``docs/reference/disclosure.md``. A missing policy, or one with a key that is not here,
refuses everything.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from evalkit.core.release_class import RELEASE_CLASSES, ReleaseClass
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.errors import ConfigError, TaxonomyError

__all__ = [
    "ANY",
    "LIMITS",
    "PUBLIC_KEY",
    "Name",
    "Policy",
    "PublicKey",
    "ReleaseClass",
    "check_policy",
    "compare",
    "is_name",
    "limits_of",
    "stricter",
]

ANY: Final = "any"
"""In ``studies``: whatever is asked, for simulated or public data only. In ``crime_types``: every common type."""

NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""How cities and officers are named: it is a file's name and a key in TOML too."""

PUBLIC_KEY: Final = r"^ed25519:[A-Za-z0-9_-]{43}$"
"""A public key as it is written: Ed25519, 32 bytes in URL-safe base 64 without padding."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(pattern=NAME)]
PublicKey = Annotated[str, msgspec.Meta(pattern=PUBLIC_KEY)]


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may leave the city.

    ``studies`` lists the study hashes the city approves by listing them; ``["any"]`` approves whatever is asked and
    suits simulated cities only. With ``officers`` (name → public key) a study needs the signatures of
    ``officers_needed`` of them instead, and listing it is not enough. ``release_class`` is the most revealing class
    the city allows, ``crime_types`` the common types that may be asked about, ``expires`` the first day on which
    nothing is answered any more. ``treaty`` is the file of a federation treaty, relative to the site file; the
    stricter of the two limits holds. ``peers`` (city → public key) are the cities with which secure sums are made.
    ``epsilon`` and ``epsilon_total`` are the loss of privacy of one noisy table and of all together; 0 adds no noise.
    """

    studies: tuple[str, ...] = ()
    officers: dict[Name, PublicKey] = {}
    officers_needed: Count = 1
    expires: dt.date | None = None
    release_class: ReleaseClass = "statistics"
    crime_types: tuple[str, ...] = (ANY,)
    min_incidents: Count = 10
    min_units: Count = 10
    min_treated_per_pattern: Count = 5
    max_parameters_per_cluster: Share = 0.10
    min_residual_df: Count = 10
    max_two_unit_share: Share = 0.90
    min_clusters: Count = 10
    max_leverage: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    max_rounds: Count = 30
    max_step: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    max_parameters: Count = 200
    max_specifications: Annotated[int, msgspec.Meta(ge=0)] = 100
    min_cities: Annotated[int, msgspec.Meta(ge=3)] = 3
    peers: dict[Name, PublicKey] = {}
    epsilon: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    epsilon_total: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    treaty: str = ""


def _earlier(one: dt.date | None, other: dt.date | None) -> dt.date | None:
    """The first day of two on which nothing is answered any more; None is never."""
    return min((day for day in (one, other) if day is not None), default=None)


def _less_revealing(one: ReleaseClass, other: ReleaseClass) -> ReleaseClass:
    return min(one, other, key=RELEASE_CLASSES.index)


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Crime types that two policies allow, in alphabetical order."""
    if ANY in one and ANY in other:
        return (ANY,)
    allowed = [set(CRIME_TYPES) if ANY in types else set(types) for types in (one, other)]
    return tuple(sorted(allowed[0] & allowed[1]))


def _more_noise(one: float, other: float) -> float:
    """The smaller loss of privacy; 0 sets no bound, and so is the looser."""
    return min(one, other) if one and other else max(one, other)


LIMITS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "expires": _earlier,
    "release_class": _less_revealing,
    "crime_types": _both,
    "min_incidents": max,
    "min_units": max,
    "min_treated_per_pattern": max,
    "max_parameters_per_cluster": min,
    "min_residual_df": max,
    "max_two_unit_share": min,
    "min_clusters": max,
    "max_leverage": min,
    "max_rounds": min,
    "max_step": min,
    "max_parameters": min,
    "max_specifications": min,
    "min_cities": max,
    "epsilon": _more_noise,
    "epsilon_total": min,
}
"""Keys that a treaty can tighten → the stricter of two values. The other keys name people, studies and cities."""


def is_name(text: str) -> bool:
    """Whether a city or an officer can have this name."""
    return re.fullmatch(NAME, text) is not None


def stricter(policy: Policy, limits: Policy) -> Policy:
    """``policy`` with the stricter of both limits in every key of `LIMITS`; its other keys stay."""
    return msgspec.structs.replace(policy, **{key: _chosen(key, policy, limits) for key in LIMITS})


def compare(
    key: str, policy: Policy, other: Policy
) -> Literal["same", "stricter", "looser", "different"]:
    """How a limit of ``policy`` stands to the other's; ``different`` if each allows what the other does not."""
    ours, theirs = getattr(policy, key), getattr(other, key)
    if ours == theirs:
        return "same"
    chosen = _chosen(key, policy, other)
    return "stricter" if chosen == ours else "looser" if chosen == theirs else "different"


def _chosen(key: str, one: Policy, other: Policy) -> Any:
    """The stricter of two policies' values of a key."""
    ours, theirs = getattr(one, key), getattr(other, key)
    if ours == theirs:
        return ours
    if key == "epsilon_total":  # without noise there is nothing that it is the total of
        noisy = [policy.epsilon_total for policy in (one, other) if policy.epsilon]
        return min(noisy, default=min(ours, theirs))
    return LIMITS[key](ours, theirs)


def limits_of(policy: Policy) -> Mapping[str, Any]:
    """The limits alone, as plain values."""
    return {key: msgspec.to_builtins(getattr(policy, key)) for key in sorted(LIMITS)}


def check_policy(policy: Policy, *, where: str) -> None:
    """Refuse a policy whose parts contradict one another.

    Raises:
        ConfigError: whatever is asked is approved and officers are to sign all the same; more signatures are needed
            than there are officers; two officers, or two peers, have one key; ``epsilon_total`` is less than
            ``epsilon``; a number is not finite, which JSON cannot hold; or an entry of ``studies`` is no hash.
        TaxonomyError: a crime type outside the taxonomy.
    """
    officers = policy.officers
    if officers and ANY in policy.studies:
        raise ConfigError(
            'studies = ["any"] approves whatever is asked, and officers are to approve each study',
            where=where,
            limit="one of the two",
            way_out='remove "any", or the officers',
        )
    if policy.officers_needed > max(len(officers), 1):
        raise ConfigError(
            "more officers must sign than there are",
            where=f"{where} officers_needed",
            limit=f"at most {max(len(officers), 1)}",
            way_out="add officers, or lower the number",
        )
    if len(set(officers.values())) < len(officers):
        raise ConfigError(
            "two officers have the same key, so that one could sign for both",
            where=f"{where} officers",
            limit="a key of their own for each",
            way_out="make one with `evalkit site officer`",
        )
    for key in ("max_step", "epsilon", "epsilon_total"):
        if not math.isfinite(getattr(policy, key)):
            raise ConfigError(
                f"{key} is not finite",
                where=f"{where} {key}",
                limit="a finite number",
                way_out="write a number, large if need be",
            )
    if policy.epsilon > 0 and policy.epsilon_total < policy.epsilon:
        raise ConfigError(
            "no noisy table fits into the budget",
            where=f"{where} epsilon_total",
            limit="epsilon_total at least epsilon",
            way_out="set epsilon_total to epsilon times the number of tables that may ever leave",
        )
    strange = sum(study != ANY and not _HASH.fullmatch(study) for study in policy.studies)
    if strange:
        raise ConfigError(
            f"{strange} of {len(policy.studies)} entries of studies are no hash of a study",
            where=f"{where} studies",
            limit='64 digits and letters a to f, all small, or "any"',
            way_out="copy the line Hash of `evalkit study check`",
        )
    if len(set(policy.peers.values())) < len(policy.peers):
        raise ConfigError(
            "two cities have the same key, so that one could pass for two in a secure sum",
            where=f"{where} peers",
            limit="a key of its own for each",
            way_out="compare the lines with what each city's `evalkit site key` prints",
        )
    unknown = sorted(set(policy.crime_types) - {ANY, *CRIME_TYPES})
    if unknown:
        raise TaxonomyError(
            f"unknown common crime types: {', '.join(unknown)}",
            where=f"{where} crime_types",
            limit=f'"{ANY}", or some of {", ".join(CRIME_TYPES)}',
            way_out="correct the list",
        )
