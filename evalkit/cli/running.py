"""One study over several cities on this machine, from stored panels to pictures; `study run` and `demo` share it."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from evalkit import __version__
from evalkit.claims.claim import Claim
from evalkit.cli.conclusion import (
    absent_cities,
    across_cities,
    check_lines,
    checks_on,
    event_study_of,
    placebo_cities,
    untested_because,
    verdict_on,
)
from evalkit.cli.output import cities, counted, progress, say
from evalkit.core.estimate import Estimate, percent_change
from evalkit.core.estimator import Question
from evalkit.core.falsification import derived_of
from evalkit.core.settings import ignored_settings
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.disclosure.rosters import FEWEST
from evalkit.errors import ConfigError, EvalkitError
from evalkit.federation.run_folder import RunFolder
from evalkit.report.numbers import true_minus
from evalkit.report.wording.set_aside import set_aside_sentences
from evalkit.runtimes.derived import read_derived
from evalkit.workbench import Bench, store_study

if TYPE_CHECKING:
    from evalkit.tracking import Tracker

__all__ = [
    "Plan",
    "assemble",
    "build_panels",
    "check_plan",
    "new_folder",
    "point_latest",
    "print_result",
    "run_study",
    "shown",
    "write_result",
]

LABELS: Final = {
    "run": "Run",
    "result": "Result",
    "mlflow": "MLflow",
    "picture": "Picture",
    "report": "Report",
}
"""What is called what in ``result["files"]``, and how it is printed."""

UNDEFINED: Final = "not defined"
"""An end of an interval, or an effect, that is no number: `Estimate.to_dict` has null for it."""

Round = tuple[Question, Statistics, Estimate | Question]


Built = TypeVar("Built")
"""What a city has when its panels are stored."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and where to put it.

    Attributes:
        study, claim: the question and the claim tested with its answer.
        benches: one per city.
        root: folder of runs; the MLflow database lies there too.
        tracking, pictures: whether to use MLflow and to draw.
        quiet: no progress.
        truth: of simulated cities, shown beside the result.
    """

    study: Study
    claim: Claim | None
    benches: Sequence[Bench]
    root: Path
    tracking: bool = True
    pictures: bool = True
    quiet: bool = False
    truth: Mapping[str, Any] | None = None


def check_plan(plan: Plan) -> None:
    """Say what stands in the way of a plan before any row is read and any city is asked.

    Raises:
        ConfigError: two site files name one city, the quorum is above the number of cities, there are too few
            for secure sums, or nothing can be written where the runs shall lie.
        MissingExtraError: pictures or tracking are wanted and what they need is not installed.
    """
    names = [bench.site.name for bench in plan.benches]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"two site files name the city {', '.join(twice)}",
            limit="one site file for each city",
            way_out="give one of them another name",
        )
    quorum = plan.study.federation.quorum
    if quorum > len(names):
        raise ConfigError(
            f"{cities(quorum)} must answer and the run has {len(names)}",
            where="[federation] quorum",
            limit="no more than the cities of the run; 0 for every one",
            way_out="name more cities with --site, or lower the quorum",
        )
    if plan.study.federation.secure and len(names) < FEWEST:
        raise ConfigError(
            f"secure sums are asked of {cities(len(names))}",
            where="[federation] sums",
            limit=f"{FEWEST} cities or more: with two, each knows the other's numbers",
            way_out='name more cities with --site, or set sums = "plain"',
        )
    _check_root(plan.root)
    if plan.pictures:
        from evalkit.report import require_matplotlib

        require_matplotlib()
    if plan.tracking:
        from evalkit.tracking import check_tracking

        check_tracking(plan.root)


def build_panels(plan: Plan) -> None:
    """Build and store every city's panel, and those of studies that checks ask for, two cities at a time.

    Raises:
        ConfigError, MissingExtraError: see `check_plan`.
        ReadError, PanelError: of the first city that fails; the others are still built.
    """
    check_plan(plan)
    in_every_city(plan, store_study)


def in_every_city(plan: Plan, build: Callable[[Bench, Study], Built]) -> dict[str, Built]:
    """What ``build`` gives in each city, two cities at a time.

    Raises:
        EvalkitError: of the first city that fails; the others are still built.
    """
    names = [bench.site.name for bench in plan.benches]
    with (
        progress("panels", len(names), quiet=plan.quiet) as step,
        ThreadPoolExecutor(max_workers=2) as pool,
    ):

        def one(bench: Bench) -> Built:
            try:
                return build(bench, plan.study)
            finally:
                step(bench.site.name)

        jobs = {bench.site.name: pool.submit(one, bench) for bench in plan.benches}
    return {name: job.result() for name, job in jobs.items()}


def run_study(plan: Plan) -> dict[str, Any]:
    """Run the study over cities' stores; returns what ``result.json`` holds.

    Raises:
        MissingSiteError: a city refused or did not answer, and there is no quorum.
        EstimationError: no estimate can be computed.
        ConfigError, MissingExtraError: see `check_plan`; or MLflow did not record a run that is complete.
    """
    check_plan(plan)
    run = RunFolder.create(new_folder(plan), plan.study)
    if plan.claim is not None:
        run.write("claim.json", plan.claim)
    with ThreadPoolExecutor(max_workers=1) as background:
        opening = background.submit(_open_tracker, plan, run) if plan.tracking else None
        try:
            return _carry_out(plan, run, opening)
        except BaseException as error:  # whatever ends a run, Ctrl-C too, ends it in MLflow
            _mark_failed(opening, error)
            raise


def _carry_out(plan: Plan, run: RunFolder, opening: Future[Tracker] | None) -> dict[str, Any]:
    from evalkit.runtimes.local import run_local

    rounds: list[Round] = []
    with progress("rounds", None, quiet=plan.quiet) as step:

        def watch(question: Question, merged: Statistics, outcome: Estimate | Question) -> None:
            rounds.append((question, merged, outcome))
            # The answers matter more; what could not be logged is tried again at the end.
            with contextlib.suppress(EvalkitError):
                _track(opening, rounds)
            step(f"{question.stage}, answered by {cities(len(merged.sites))}")

        asked_for = len(derived_of(plan.study))

        def watch_checks(_: int, asked: int, ended: int) -> None:
            step(
                f"checks, {counted(asked, 'question')} to each city, {ended} of "
                f"{counted(asked_for, 'study', 'studies')} ended"
            )

        stores = [bench.store for bench in plan.benches]
        found = run_local(run, stores, watch=watch, watch_checks=watch_checks)
    result = write_result(plan, run, found)
    if opening is not None:
        try:
            tracker = opening.result()
            _track(opening, rounds)
            tracker.finish(result, run.path)
        except EvalkitError as error:
            raise ConfigError(
                f"the run is complete, but not recorded: {error.what}",
                where=f"run {shown(run.path)}, MLflow {shown(plan.root / 'mlflow.db')}",
                way_out=error.way_out,
            ) from error
    return result


def write_result(
    plan: Plan, run: RunFolder, found: Estimate, *, withdrawn: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write ``result.json``, pictures and pages of a run that has its estimate; returns what ``result.json`` holds.

    Args:
        plan: of the run.
        run: its folder.
        found: the estimate.
        withdrawn: the city that has withdrawn, on which day, and the name of the run that was with it.
    """
    result = assemble(plan, run, found)
    if withdrawn is not None:
        result["withdrawn"] = withdrawn
    if plan.pictures:
        result["files"].update(_draw(run, result))
    result["files"]["report"] = _write_report(plan, run, result)
    run.write("result.json", result)
    point_latest(plan.root, run.path)
    return result


def print_result(result: Mapping[str, Any]) -> None:
    """Verdict, pooled effect, cities, and where everything is."""
    estimate, claim, verdict = result["estimate"], result["claim"], result["verdict"]
    first = estimate["terms"][0]
    if claim:
        said = verdict["reason"]["en"] if verdict else f"none: {result['untested']['en']}"
        say(f"Claim:    {claim['title']}")
        say(f"Verdict:  {said}")
    say(
        f"Effect:   {_effect(first, estimate['scale'])} "
        f"({estimate['level']:.0%} interval, {estimate['estimator']}, "
        f"{cities(len(estimate['contributors']))})"
    )
    details = estimate["details"]
    low, high = details.get("prediction_low"), details.get("prediction_high")
    if low is not None and high is not None:
        say(
            f"Next city: {_percent(percent_change(low))} to {_percent(percent_change(high))} "
            f"(prediction interval); I² {details['i2']:.0f} %"
        )
    _print_randomisation(details, first["p_value"])
    _print_cities(estimate, result.get("truth"))
    if result["absent"]:
        say(
            f"Absent:   {', '.join(result['absent'])} did not answer or refused; the quorum let the study go on, "
            "and the result says nothing of them"
        )
    for sentence in set_aside_sentences(estimate.get("set_aside", ()), "en"):
        say(f"Set aside: {sentence}")
    if result["placebo"]:
        say(
            f"Placebo:  the cameras of {', '.join(result['placebo'])} enforce traffic and do not watch people; "
            "an effect here speaks against the design, and none is no evidence on the claim"
        )
    for line in check_lines(result["checks"]):
        say(line)
    for note in estimate["notes"]:
        say(f"Note:     {true_minus(note)}")
    for label, path in result["files"].items():
        say(f"{LABELS[label] + ':':<10}{path}")


def _print_randomisation(details: Mapping[str, Any], usual: float | None) -> None:
    """The p-value from re-assigned dates beside the usual one; nothing if the study asks for none."""
    p = details.get("p_value_randomisation")
    if p is None:
        return
    few = (
        f"; no less than {details['randomisation_smallest_p']:.2g} can come out"
        if details["randomisation_few"]
        else ""
    )
    beside = "" if usual is None else f"; from the standard error p = {usual:.3g}"
    say(
        f"Re-dated: p = {p:.3g} if cameras changed nothing anywhere (randomisation test){few}{beside}"
    )


def _print_cities(estimate: Mapping[str, Any], truth: Mapping[str, Any] | None) -> None:
    """Every city's effect, beside the truth where cities are simulated."""
    if truth:
        say(
            f"Truth:    {_percent(percent_change(truth['effect_mean']))} simulated mean, "
            f"{_percent(percent_change(truth['effect_realised']))} in these cities"
        )
    for row in estimate["sites"]:
        known = (truth or {}).get("cities", {}).get(row["site"])
        beside = f"   truth {_percent(percent_change(known))}" if known is not None else ""
        point, ends = _numbers(row, estimate["scale"])
        say(f"  {row['site']:<14} {point:>8} {ends}{beside}")


def _open_tracker(plan: Plan, run: RunFolder) -> Tracker:
    from evalkit.tracking import open_tracker

    return open_tracker(plan.root, plan.study, run.path.name)


def _track(opening: Future[Tracker] | None, rounds: list[Round]) -> None:
    """Log the rounds so far, once the database is open; it takes seconds the first time."""
    if opening is None or not opening.done():
        return
    tracker = opening.result()
    while rounds:
        tracker.watch(*rounds[0])
        rounds.pop(0)


def _mark_failed(opening: Future[Tracker] | None, error: BaseException) -> None:
    """Close the parent run with the error's code; trouble with MLflow must not hide the error itself."""
    if opening is None:
        return
    code = "STOPPED" if isinstance(error, KeyboardInterrupt) else "INTERNAL"
    with contextlib.suppress(EvalkitError):
        opening.result().fail(error.code if isinstance(error, EvalkitError) else code)


def _check_root(root: Path) -> None:
    """The nearest folder that exists must take a new one."""
    place = next(path for path in (root, *root.resolve().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = "no permission to write" if place.is_dir() else "not a folder"
        raise ConfigError(
            f"the run folder cannot be made ({reason})",
            where=str(place),
            way_out="choose another with --out",
        )


def assemble(plan: Plan, run: RunFolder, found: Estimate) -> dict[str, Any]:
    """What ``result.json`` holds; ``files`` gets pictures when they are drawn."""
    files: dict[str, str] = {"run": shown(run.path), "result": shown(run.path / "result.json")}
    if plan.tracking:
        files["mlflow"] = shown(plan.root / "mlflow.db")
    roster = run.read("roster.json")
    derived = read_derived(run, plan.study)
    return {
        "evalkit": __version__,
        "study": run.summary(),
        "estimate": found.to_dict(),
        "claim": msgspec.to_builtins(plan.claim) if plan.claim else None,
        "verdict": verdict_on(plan.study, plan.claim, found),
        "untested": untested_because(plan.study, plan.claim, found),
        "ignored": ignored_settings(plan.study),
        "checks": checks_on(found, plan.study, run, derived),
        "derived": [one.to_dict() for one in derived],
        "event_study": event_study_of(found, plan.study),
        "placebo": placebo_cities(found, roster["cameras"]),
        "absent": absent_cities(found, roster["expected"]),
        "across": across_cities(found, plan.study),
        "truth": plan.truth,
        "files": files,
    }


def _draw(run: RunFolder, result: dict[str, Any]) -> dict[str, str]:
    from evalkit.report.figures.across import write_across
    from evalkit.report.figures.event_study import write_event_study
    from evalkit.report.figures.forest import forest

    pictures = write_event_study(result, run.path / "figures")
    if result["estimate"]["scale"] == "log_rate_ratio":
        pictures = forest(result, run.path / "figures" / "forest")
    write_across(result, run.path / "figures")
    drawn = [shown(path) for path in pictures if path.suffix == ".png"]
    return {"picture": drawn[0]} if drawn else {}


def _write_report(plan: Plan, run: RunFolder, result: Mapping[str, Any]) -> str:
    """The page in every language, without pictures if the plan wants none."""
    from evalkit.report.page import write_pages

    return shown(write_pages(result, run.path, draw=plan.pictures)[0])


def new_folder(plan: Plan) -> Path:
    """A name for a run's folder that no other run has."""
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S")
    name = f"{stamp}-{plan.study.name}"
    folder, number = plan.root / name, 1
    while folder.exists():
        number += 1
        folder = plan.root / f"{name}-{number}"
    return folder


def point_latest(root: Path, folder: Path) -> None:
    """`latest` always names the newest finished run; where links are not possible, a text file does."""
    link = root / "latest"
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(folder.name, target_is_directory=True)
    except OSError:
        (root / "latest.txt").write_text(f"{folder.name}\n")


def _effect(term: Mapping[str, Any], scale: str) -> str:
    """The effect with its interval: percent change, or a number of incidents."""
    return " ".join(_numbers(term, scale))


def _numbers(row: Mapping[str, Any], scale: str) -> tuple[str, str]:
    """A term's or a city's effect, and its interval with the unit where that is not percent."""
    if scale == "count":
        point, low, high = (_signed(row[key]) for key in ("estimate", "conf_low", "conf_high"))
        return point, f"[{low}, {high}] incidents"
    point, low, high = (_percent(row[key]) for key in ("percent", "percent_low", "percent_high"))
    return point, f"[{low}, {high}]"


def _signed(value: float | None) -> str:
    """Three digits, and never fewer than the whole ones: ``+3.21``, ``−1,156``."""
    if value is None:
        return UNDEFINED
    return f"{value:{'+,.0f' if abs(value) >= 100 else '+.3g'}}".replace("-", "−")


def _percent(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:+.1f} %".replace("-", "−")


def shown(path: Path) -> str:
    """A path relative to where the user stands, if it lies below."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
