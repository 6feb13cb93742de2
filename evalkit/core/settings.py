"""Which settings of ``[analysis]`` bear on an answer, and whether a study can be asked with all it stands for.

An estimator names the keys it reads (attribute ``reads``). The others are part of the study's hash all the same,
because a specification curve varies the estimator and keeps the rest, so they are told and not refused.
"""

from __future__ import annotations

from typing import Final

from evalkit.core.discover import estimator
from evalkit.core.estimator import ask_first
from evalkit.core.event_design import REFERENCE, bins_of
from evalkit.core.falsification import derived_of, periods_of
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Analysis, Study
from evalkit.errors import ConfigError, EvalkitError

__all__ = [
    "COMMON",
    "answers_with",
    "check_askable",
    "ignored_note",
    "ignored_settings",
    "settings_read",
]

COMMON: Final = ("estimator", "level")
"""Keys that every estimator reads."""


def settings_read(study: Study) -> frozenset[str]:
    """Keys of ``[analysis]`` that the study's estimator reads, with those of its first stage.

    All of them where an estimator does not say (attribute ``reads``): nothing is then called ignored.

    Raises:
        ConfigError: no such estimator.
    """
    analysis = study.analysis
    every = frozenset(Analysis.__struct_fields__)
    own = getattr(estimator(analysis.estimator), "reads", None)
    if own is None:
        return every
    read = {*COMMON, *own}
    if "first_stage" in read:
        inner = getattr(estimator(analysis.first_stage), "reads", None)
        if inner is None:
            return every
        read |= {*inner}
    by_event_time = ("design" in read and analysis.design != "static") or (
        "aggregation" in read and analysis.aggregation == "dynamic"
    )
    return frozenset(read if by_event_time else read - {"event_window"})


def ignored_settings(study: Study) -> tuple[str, ...]:
    """Keys of ``[analysis]`` that differ from their default and that the study's estimator does not read, sorted.

    Raises:
        ConfigError: no such estimator.
    """
    plain, read = Analysis(), settings_read(study)
    return tuple(
        sorted(
            key
            for key in Analysis.__struct_fields__
            if key not in read and getattr(study.analysis, key) != getattr(plain, key)
        )
    )


def answers_with(study: Study) -> str:
    """The study's estimator, with its first stage where it has one."""
    analysis = study.analysis
    pools = "first_stage" in getattr(estimator(analysis.estimator), "reads", ())
    return f"{analysis.estimator} over {analysis.first_stage}" if pools else analysis.estimator


def ignored_note(study: Study) -> str:
    """`ignored_settings` for people, such as ``bootstrap, covariates (not used by wdd)``; empty without any."""
    ignored = ignored_settings(study)
    return f"{', '.join(ignored)} (not used by {answers_with(study)})" if ignored else ""


def check_askable(study: Study) -> None:
    """Refuse a study that would fail once cities are asked, or one of whose specifications or checks would.

    Raises:
        ConfigError: an estimator that is not there or cannot answer, or an event window that reaches beyond the
            study's.
        TaxonomyError: an unknown crime type.
    """
    _check_one(study)
    for one in specifications_of(study):
        _check_part(one.study, "specifications", ", ".join(one.choices.values()))
    for other in derived_of(study):
        _check_part(other.study, "checks", f"{other.kind}, {other.label}")


def _check_part(study: Study, section: str, label: str) -> None:
    """`_check_one` of a study that another one stands for, whose section an error names."""
    try:
        _check_one(study)
    except EvalkitError as error:
        place = f"[{section}] {label}".rstrip()
        error.where = f"{place}: {error.where}" if error.where else place
        raise


def _check_one(study: Study) -> None:
    ask_first(estimator(study.analysis.estimator), study)
    window, most = bins_of(study), periods_of(study.window) - 1
    if window is not None and (window[0] < -most or window[1] > most):
        raise ConfigError(
            f"event_window = [{window[0]}, {window[1]}] reaches beyond the study's window",
            where="[analysis] event_window",
            limit=f"from {-most} to {most} {study.window.period}s: the window has {most + 1}, and the ends stand for "
            f"all beyond; event time {REFERENCE} is the reference",
            way_out="name a shorter event window, or widen [window]",
        )
