"""A specification curve held against what the releases of its specifications give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from evalkit.claims.claim import Claim
from evalkit.cli.curve import check_curve, curve_of, has_place, row_of
from evalkit.cli.verify_run import as_json, differing, hold, read_as
from evalkit.core.estimate import Estimate
from evalkit.core.specifications import Specification
from evalkit.core.study import Study
from evalkit.errors import ConfigError
from evalkit.federation.run_folder import SPECIFICATIONS, RunFolder
from evalkit.runtimes.derived import outcome_of

__all__ = ["CURVE", "HeldCurve", "is_curve", "verify_curve"]

CURVE: Final = "curve.json"

NAMED: Final[Mapping[str, str]] = {
    "level": "level of intervals",
    "releases": "number of releases",
    "messages": "number of messages",
}
"""Key of ``curve.json`` → what it is called where it differs; others are called as they are."""


class _Curve(msgspec.Struct, frozen=True):
    """``curve.json``: what can be recomputed; where files are is not a part of it."""

    evalkit: str
    study: dict[str, Any]
    level: float
    claim: dict[str, Any] | None
    cities: list[str]
    rounds: int
    messages: int
    releases: int
    dimensions: dict[str, list[str]]
    summary: dict[str, Any]
    specifications: list[dict[str, Any]]


class _Roster(msgspec.Struct, frozen=True):
    expected: list[str]


@dataclass(frozen=True, slots=True)
class HeldCurve:
    """A curve that is what its releases give: the claim tested, and what ``curve.json`` holds."""

    claim: Claim | None
    curve: Mapping[str, Any]


def is_curve(run: RunFolder) -> bool:
    """Whether a folder is that of a curve, finished or not."""
    return (run.path / CURVE).exists() or (run.path / SPECIFICATIONS).is_dir()


def verify_curve(run: RunFolder, study: Study) -> HeldCurve:
    """Recompute every specification of a curve from its releases, and hold ``curve.json`` against them.

    Raises:
        BadMessageError: something differs, with what does.
        ConfigError: the curve did not finish, or a file is absent or damaged.
        EstimationError: the releases of a specification give no estimate, and no failure is recorded.
    """
    if not (run.path / CURVE).exists():
        raise ConfigError(
            f"the curve did not finish: it has no {CURVE}",
            where=str(run.path),
            way_out="name the folder of a curve that ended with a result",
        )
    recorded = read_as(run, CURVE, _Curve)
    read_as(run, "roster.json", _Roster)
    claim = read_as(run, "claim.json", Claim) if study.claim else None
    rows = [_row(run, number, one, claim) for number, one in enumerate(check_curve(study))]
    found = as_json(curve_of(run, study, claim, recorded.rounds, rows))
    versions = read_as(run, "versions.json", dict[str, str])
    parts = ["version of evalkit"] if recorded.evalkit != versions.get("evalkit") else []
    if not _least_rounds(run) <= recorded.rounds <= _least_rounds(run) + 1:
        parts.append("number of rounds")
    for key, value in found.items():
        told = getattr(recorded, key)
        if key != "specifications":
            parts += [NAMED.get(key, key)] if told != value else []
        elif len(told) != len(value):
            parts.append("number of specifications")
        else:
            pairs = enumerate(zip(told, value, strict=True))
            parts += [f"specification {n:03d}" for n, (said, row) in pairs if said != row]
    differing(run, parts)
    return HeldCurve(claim, found)


def _row(run: RunFolder, number: int, one: Specification, claim: Claim | None) -> dict[str, Any]:
    """One specification, recomputed, and its own ``result.json`` and ``claim.json`` held against it."""
    folder = RunFolder(run.specification(number))
    outcome = outcome_of(run, folder, one.study)
    if isinstance(outcome, Estimate) and has_place(outcome):
        held = hold(folder, one.study, outcome)
        differing(folder, [] if held.claim == claim else ["claim"])
    return row_of(number, one, outcome, claim)


def _least_rounds(run: RunFolder) -> int:
    """Rounds that left a release, one at the least. A last round that every city refused leaves none."""
    names = (path.name for path in run.path.glob(f"{SPECIFICATIONS}/*/releases/*.release"))
    return max((int(name.partition("-")[0]) + 1 for name in names), default=1)
