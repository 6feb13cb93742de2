"""The studies that a study's ``[specifications]`` stand for: every combination, each with a hash of its own.

A specification is the study with other choices put in, its lists of specifications and checks emptied and without
its randomisation test, so that
it is what a plain study with those choices would be. Which they are follows from the study alone: whoever
has it, a city's gate above all, derives the same hashes in the same order.

Source
    Simonsohn, U., Simmons, J. P. & Nelson, L. D. (2020). Specification curve analysis. Nature Human
        Behaviour 4, 1208–1214.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from evalkit.core.study import Specifications, Study, check_study, study_hash
from evalkit.errors import ConfigError

__all__ = ["DIMENSIONS", "MOST", "Specification", "specifications_of"]

DIMENSIONS: Final = ("radius_m", "window", "controls", "estimator", "crime_types")
"""Keys of ``[specifications]``, in the order in which they vary, the last one fastest."""

MOST: Final = 500
"""Combinations; every city answers each of them in every round."""


@dataclass(frozen=True, slots=True)
class Specification:
    """One combination.

    Attributes:
        choices: dimension → what was chosen, as text; only dimensions with more than one choice.
        study: the study it stands for, without specifications.
        hash: of that study.
    """

    choices: Mapping[str, str]
    study: Study
    hash: str


def specifications_of(study: Study) -> tuple[Specification, ...]:
    """Every combination, in a fixed order; empty if the study lists none.

    Raises:
        ConfigError: a choice twice, one that cannot be, too many, or two that are the same study.
        TaxonomyError: an unknown crime type.
    """
    listed = {name: getattr(study.specifications, name) for name in DIMENSIONS}
    used = {name: values for name, values in listed.items() if values}
    if not used:
        return ()
    _check_lists(study, used)
    varying = [name for name, values in used.items() if len(values) > 1]
    bare = msgspec.structs.replace(
        study,
        specifications=Specifications(),
        checks=msgspec.UNSET,
        analysis=msgspec.structs.replace(study.analysis, randomisation=msgspec.UNSET),
    )
    found: list[Specification] = []
    for values in itertools.product(*used.values()):
        chosen = dict(zip(used, values, strict=True))
        one = check_study(_with(bare, chosen))
        labels = {name: _label(name, chosen[name]) for name in varying}
        found.append(Specification(labels, one, study_hash(one)))
    if len({one.hash for one in found}) < len(found):
        raise _refused("two combinations are the same study", "choices that differ")
    return tuple(found)


def _check_lists(study: Study, used: Mapping[str, Sequence[Any]]) -> None:
    for name, values in used.items():
        if len(set(values)) < len(values):
            raise _refused(f"{name} lists a choice twice", "each once")
    size = 1
    for values in used.values():
        size *= len(values)
    if size > MOST:
        raise _refused(f"the lists make {size} combinations", f"at most {MOST}")
    if study.units.kind != "catchment" and {"radius_m", "controls"} & set(used):
        raise _refused(
            f'radius_m or controls are listed with units of kind "{study.units.kind}"',
            'units.kind = "catchment"',
        )


def _with(study: Study, chosen: Mapping[str, Any]) -> Study:
    """The study with other choices. Its rings keep their width when the radius changes."""
    units, window, outcome, analysis = study.units, study.window, study.outcome, study.analysis
    replace = msgspec.structs.replace
    if "radius_m" in chosen:
        wider = chosen["radius_m"] - units.radius_m
        rings = tuple(radius + wider for radius in units.rings_m) or (chosen["radius_m"],)
        ring = rings if len(rings) > 1 else rings[0]
        units = replace(units, radius_m=chosen["radius_m"], ring_m=ring)
    if "controls" in chosen:
        units = replace(units, controls=chosen["controls"])
    if "window" in chosen:
        window = replace(window, start=chosen["window"][0], end=chosen["window"][1])
    if "crime_types" in chosen:
        outcome = replace(outcome, crime_types=chosen["crime_types"])
    if "estimator" in chosen:
        name, _, stage = chosen["estimator"].partition("/")
        analysis = replace(analysis, estimator=name, first_stage=stage or analysis.first_stage)
    return replace(study, units=units, window=window, outcome=outcome, analysis=analysis)


def _label(name: str, value: Any) -> str:
    match name:
        case "radius_m":
            return f"{value:g} m"
        case "window":
            return f"{value[0].isoformat()}..{value[1].isoformat()}"
        case "crime_types":
            return ", ".join(value)
        case _:
            return str(value)


def _refused(what: str, limit: str) -> ConfigError:
    return ConfigError(
        what, where="[specifications]", limit=limit, way_out="correct [specifications]"
    )
