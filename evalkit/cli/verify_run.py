"""A run held against what its releases give: estimate, checks, verdict, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from evalkit.claims.claim import Claim
from evalkit.cli.conclusion import (
    absent_cities,
    across_cities,
    checks_on,
    event_study_of,
    placebo_cities,
    untested_because,
    verdict_on,
)
from evalkit.core.estimate import Estimate
from evalkit.core.settings import ignored_settings
from evalkit.core.study import Study
from evalkit.errors import BadMessageError, ConfigError
from evalkit.federation.run_folder import RunFolder
from evalkit.runtimes.derived import Derived, read_derived
from evalkit.runtimes.replay import COMPARE_VERSIONS, recompute

__all__ = ["Held", "as_json", "differing", "hold", "read_as", "verify_run"]

T = TypeVar("T")


class _Result(msgspec.Struct, frozen=True):
    """The parts of ``result.json`` that can be recomputed."""

    evalkit: str
    study: dict[str, Any]
    estimate: dict[str, Any]
    claim: dict[str, Any] | None
    verdict: dict[str, Any] | None
    placebo: list[str]
    absent: list[str]
    across: dict[str, Any] | None = None
    untested: dict[str, str] | None = None
    checks: list[dict[str, Any]] = []
    derived: list[dict[str, Any]] = []
    ignored: list[str] = []
    event_study: dict[str, Any] | None = None


class _Roster(msgspec.Struct, frozen=True):
    expected: list[str]
    answered: list[str]
    cameras: dict[str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """A run that is what its releases give.

    Attributes:
        releases: how many.
        found: the estimate.
        claim: what was tested; None without one.
        verdict: None where no claim was tested.
        checks: as ``result.json`` has them.
        derived: the studies that the checks ask for.
    """

    releases: int
    found: Estimate
    claim: Claim | None
    verdict: Mapping[str, Any] | None
    checks: Sequence[Mapping[str, Any]]
    derived: tuple[Derived, ...]


def verify_run(run: RunFolder, study: Study) -> Held:
    """Recompute a run and hold its files against it.

    Raises:
        BadMessageError: something differs, with what does.
        ConfigError: the run did not finish, or a file is absent or damaged.
        EstimationError: the releases give no estimate.
    """
    if not (run.path / "estimate.json").exists():
        raise ConfigError(
            "the run did not finish: it has no estimate",
            where=str(run.path),
            way_out="name the folder of a run that ended with a result",
        )
    read_as(run, "releases.json", dict[str, str])
    return hold(run, study, recompute(run, study))


def hold(run: RunFolder, study: Study, found: Estimate) -> Held:
    """Hold the files of a run against the estimate that its releases give.

    Raises:
        BadMessageError, ConfigError: see `verify_run`.
    """
    derived = read_derived(run, study)
    checked = checks_on(found, study, run, derived)
    claim = read_as(run, "claim.json", Claim) if study.claim else None
    verdict = as_json(verdict_on(study, claim, found))
    result = read_as(run, "result.json", _Result)
    roster = read_as(run, "roster.json", _Roster)
    versions = read_as(run, "versions.json", dict[str, str])
    estimated = found.to_dict()
    differs = {
        "version of evalkit": result.evalkit != versions.get("evalkit"),
        "study": result.study != run.summary(),
        "estimate": run.read("estimate.json") != estimated or result.estimate != estimated,
        "claim": result.claim != as_json(claim),
        "verdict": result.verdict != verdict,
        "placebo cities": result.placebo != placebo_cities(found, roster.cameras),
        "absent cities": result.absent != absent_cities(found, roster.expected),
        "cities that answered": not set(found.contributors) <= set(roster.answered),
        "reason for no verdict": result.untested != untested_because(study, claim, found),
        "checks": result.checks != as_json(checked),
        "studies that checks ask for": result.derived
        != as_json([one.to_dict() for one in derived]),
        "settings not used": result.ignored != list(ignored_settings(study)),
        "event study": result.event_study != as_json(event_study_of(found, study)),
        "what the cities say together": result.across != as_json(across_cities(found, study)),
    }
    differing(run, [part for part, differ in differs.items() if differ])
    return Held(len(run.read("releases.json")), found, claim, verdict, checked, derived)


def differing(run: RunFolder, parts: Sequence[str]) -> None:
    """Say which parts of a run are not what is recomputed; nothing if there are none.

    Raises:
        BadMessageError: there are some.
    """
    if parts:
        raise BadMessageError(
            f"what is recomputed differs from the recorded one: {', '.join(parts)}",
            where=str(run.path),
            limit="equality to the last bit",
            way_out=COMPARE_VERSIONS,
        )


def read_as(run: RunFolder, name: str, kind: type[T]) -> T:
    """Read one JSON file of the run as ``kind``.

    Raises:
        ConfigError: it is absent or not what a run writes.
    """
    try:
        return msgspec.convert(run.read(name), type=kind)
    except msgspec.ValidationError:
        raise ConfigError(
            f"{name} is damaged",
            where=str(run.path),
            way_out="ask whoever ran the study for the run folder again",
        ) from None


def as_json(content: Any) -> Any:
    """As it comes back from a file: lists for tuples, null for what is not a number."""
    return msgspec.json.decode(msgspec.json.encode(content))
