"""A specification curve over several cities on this machine: panels, one job, result, picture."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from evalkit import __version__
from evalkit.claims.claim import Claim
from evalkit.cli.conclusion import verdict_on
from evalkit.cli.output import counted, progress
from evalkit.cli.running import (
    Plan,
    assemble,
    check_plan,
    in_every_city,
    new_folder,
    point_latest,
    shown,
)
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate, percent_change
from evalkit.core.specifications import Specification, specifications_of
from evalkit.core.study import Study
from evalkit.errors import ConfigError, EvalkitError
from evalkit.federation.run_folder import Failure, RunFolder
from evalkit.workbench import store_specifications

if TYPE_CHECKING:
    from evalkit.tracking import Tracker

__all__ = [
    "build_curve_panels",
    "check_curve",
    "curve_of",
    "has_place",
    "row_of",
    "run_curve",
    "summary_of",
    "verdicts_line",
    "write_curve_result",
]

OUTCOMES = ("supported", "contradicted", "undecided")


def check_curve(study: Study) -> tuple[Specification, ...]:
    """The study's specifications, every estimator of them known.

    Raises:
        ConfigError: it lists none, or an estimator that is not there.
    """
    found = specifications_of(study)
    if not found:
        raise ConfigError(
            "the study lists no specifications",
            where="[specifications]",
            limit="one list or more, such as radius_m = [75.0, 100.0, 150.0]",
            way_out="add the section; docs/how-to/draw-a-specification-curve.md shows one",
        )
    for one in found:
        estimator(one.study.analysis.estimator)
    return found


def build_curve_panels(plan: Plan) -> dict[str, dict[str, str]]:
    """Build the panels of all specifications in every city, two cities at a time.

    Returns:
        City → hash of a specification without a panel there → code of the error.

    Raises:
        ConfigError, MissingExtraError: see `running.check_plan`.
        ReadError, TaxonomyError, RefusalError: of the first city that fails.
    """
    check_plan(plan)
    return in_every_city(plan, store_specifications)


def run_curve(plan: Plan) -> dict[str, Any]:
    """Estimate every specification over cities' stores; returns what ``curve.json`` holds.

    Raises:
        MissingSiteError: a city is not there, and there is no quorum.
        ConfigError, MissingExtraError: see `running.check_plan`; or MLflow did not record it.
    """
    check_plan(plan)
    found = check_curve(plan.study)
    run = RunFolder.create(new_folder(plan), plan.study)
    if plan.claim is not None:
        run.write("claim.json", plan.claim)
    tracker = None
    if plan.tracking:
        from evalkit.tracking import open_tracker

        tracker = open_tracker(plan.root, plan.study, run.path.name)
    try:
        return _carry_out(plan, run, found, tracker)
    except BaseException as error:  # whatever ends it, Ctrl-C too, ends it in MLflow
        if tracker is not None:
            with contextlib.suppress(EvalkitError):
                tracker.fail(error.code if isinstance(error, EvalkitError) else "STOPPED")
        raise


def _carry_out(
    plan: Plan, run: RunFolder, found: Sequence[Specification], tracker: Tracker | None
) -> dict[str, Any]:
    from evalkit.runtimes.local import run_local_curve

    with progress("rounds", None, quiet=plan.quiet) as step:

        def watch(_: int, asked: int, ended: int) -> None:
            step(
                f"{counted(asked, 'question')} to each city, {ended} of "
                f"{counted(len(found), 'specification')} ended"
            )

        together = run_local_curve(run, [bench.store for bench in plan.benches], watch=watch)
    result = write_curve_result(plan, run, found, together.outcomes, together.rounds)
    if tracker is not None:
        _track(tracker, plan, run, result)
    return result


def write_curve_result(
    plan: Plan,
    run: RunFolder,
    found: Sequence[Specification],
    outcomes: Sequence[Estimate | EvalkitError | Failure],
    rounds: int,
) -> dict[str, Any]:
    """Write ``curve.json``, picture and page of a curve whose specifications have ended; returns what it holds.

    Args:
        plan: of the curve.
        run: its folder.
        found: the specifications.
        outcomes: of each.
        rounds: that all took together.
    """
    rows = [
        _row(plan, run, number, one, outcome)
        for number, (one, outcome) in enumerate(zip(found, outcomes, strict=True))
    ]
    result = _result(plan, run, rounds, rows)
    if plan.pictures:
        from evalkit.report.curve_page import write_curve

        page, picture = write_curve(result, run.path)
        result["files"].update(picture=shown(picture), report=shown(page))
    run.write("curve.json", result)
    point_latest(plan.root, run.path)
    return result


def summary_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts and shares over specifications; shares are of those that could be estimated."""
    estimated = [row for row in rows if row["status"] == "estimated"]
    effects = sorted(row["estimate"] for row in estimated)
    counts = {name: sum(row["outcome"] == name for row in estimated) for name in OUTCOMES}
    tested = any(row["outcome"] for row in estimated)
    size = len(estimated)
    return {
        "specifications": len(rows),
        "estimated": size,
        "failed": len(rows) - size,
        **counts,
        "share_supported": counts["supported"] / size if tested else None,
        "share_contradicted": counts["contradicted"] / size if tested else None,
        "share_falls": sum(effect < 0 for effect in effects) / size if size else None,
        "share_clear_falls": (
            sum(row["conf_high"] < 0 for row in estimated) / size if size else None
        ),
        "share_clear_rises": (
            sum(row["conf_low"] > 0 for row in estimated) / size if size else None
        ),
        "median": statistics.median(effects) if size else None,
        "lowest": effects[0] if size else None,
        "highest": effects[-1] if size else None,
        "median_percent": percent_change(statistics.median(effects)) if size else None,
        "lowest_percent": percent_change(effects[0]) if size else None,
        "highest_percent": percent_change(effects[-1]) if size else None,
    }


def row_of(
    number: int, one: Specification, outcome: Estimate | EvalkitError | Failure, claim: Claim | None
) -> dict[str, Any]:
    """One specification as ``curve.json`` holds it."""
    about = {"number": number, "hash": one.hash, "choices": dict(one.choices)}
    empty: dict[str, Any] = {
        **dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), None),
        **dict.fromkeys(("percent", "percent_low", "percent_high"), None),
        **dict.fromkeys(("outcome", "reason", "code", "what"), None),
        "contributors": [],
    }
    if not isinstance(outcome, Estimate):
        failure = {"status": "failed", "code": outcome.code, "what": outcome.what}
        return {**about, **empty, **failure}
    if not has_place(outcome):
        failure = {"status": "failed", "code": "ESTIMATE", "what": "no rate ratio with an interval"}
        return {**about, **empty, **failure}
    plain, verdict = outcome.to_dict(), verdict_on(one.study, claim, outcome)
    first = plain["terms"][0]
    return {
        **about,
        **empty,
        "status": "estimated",
        **{key: first[key] for key in empty if key in first},
        "contributors": plain["contributors"],
        "outcome": verdict["outcome"] if verdict else None,
        "reason": verdict["reason"] if verdict else None,
    }


def has_place(outcome: Estimate) -> bool:
    """Whether an estimate has a place on a curve: it is a rate ratio with an interval."""
    ends = (float(outcome.effect[0]), *outcome.interval())
    return outcome.scale == "log_rate_ratio" and all(map(math.isfinite, ends))


def curve_of(
    run: RunFolder,
    study: Study,
    claim: Claim | None,
    rounds: int,
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What ``curve.json`` holds but for the version of evalkit and where files are."""
    expected = sorted(run.read("roster.json")["expected"])
    dimensions: dict[str, list[str]] = {}
    for row in rows:
        for name, label in row["choices"].items():
            if label not in dimensions.setdefault(name, []):
                dimensions[name].append(label)
    return {
        "study": run.summary(),
        "level": study.analysis.level,
        "claim": msgspec.to_builtins(claim) if claim else None,
        "cities": expected,
        "rounds": rounds,
        "messages": rounds * len(expected),
        "releases": sum(
            len(list(path.glob("*.release"))) for path in run.path.glob("specifications/*/releases")
        ),
        "dimensions": dimensions,
        "summary": summary_of(rows),
        "specifications": list(rows),
    }


def verdicts_line(summary: Mapping[str, Any]) -> str:
    """How many specifications support a claim, contradict it, or leave it open; for a summary with a share of them."""
    supported, contradicted = summary["supported"], summary["contradicted"]
    return (
        f"Verdicts: {supported} {'supports' if supported == 1 else 'support'} it "
        f"({summary['share_supported']:.0%}), {contradicted} "
        f"{'contradicts' if contradicted == 1 else 'contradict'} it ({summary['share_contradicted']:.0%}), "
        f"{summary['undecided']} undecided"
    )


def _row(
    plan: Plan,
    run: RunFolder,
    number: int,
    one: Specification,
    outcome: Estimate | EvalkitError | Failure,
) -> dict[str, Any]:
    """One specification in the result; writes its own ``result.json``, which `review verify` recomputes."""
    if isinstance(outcome, Estimate) and has_place(outcome):
        folder = RunFolder(run.specification(number))
        if plan.claim is not None:
            folder.write("claim.json", plan.claim)
        own = replace(plan, study=one.study, tracking=False, pictures=False)
        folder.write("result.json", assemble(own, folder, outcome))
    return row_of(number, one, outcome, plan.claim)


def _result(
    plan: Plan, run: RunFolder, rounds: int, rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    files: dict[str, str] = {"run": shown(run.path), "result": shown(run.path / "curve.json")}
    if plan.tracking:
        files["mlflow"] = shown(plan.root / "mlflow.db")
    found = curve_of(run, plan.study, plan.claim, rounds, rows)
    return {"evalkit": __version__, **found, "files": files}


def _track(tracker: Tracker, plan: Plan, run: RunFolder, result: Mapping[str, Any]) -> None:
    try:
        tracker.finish_curve(result, run.path)
    except EvalkitError as error:
        raise ConfigError(
            f"the curve is complete, but not recorded: {error.what}",
            where=f"run {shown(run.path)}, MLflow {shown(plan.root / 'mlflow.db')}",
            way_out=error.way_out,
        ) from error
