"""One study over several cities on this machine, from stored panels to pictures; `study run` and `demo` share it."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from evalkit import __version__
from evalkit.claims.claim import Claim
from evalkit.cli.conclusion import absent_cities, placebo_cities, verdict_on
from evalkit.cli.output import Step, cities, progress, say
from evalkit.core.estimate import Estimate, percent_change
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.errors import ConfigError, EvalkitError
from evalkit.federation.run_folder import RunFolder
from evalkit.workbench import Bench, store_panel

if TYPE_CHECKING:
    from evalkit.tracking import Tracker

__all__ = ["Plan", "build_panels", "check_plan", "print_result", "run_study"]

LABELS: Final = {
    "run": "Run",
    "result": "Result",
    "mlflow": "MLflow",
    "picture": "Picture",
    "report": "Report",
}
"""What is called what in ``result["files"]``, and how it is printed."""

Round = tuple[Question, Statistics, Estimate | Question]


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
        ConfigError: two site files name one city, or nothing can be written where the runs shall lie.
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
    _check_root(plan.root)
    if plan.pictures:
        from evalkit.report import require_matplotlib

        require_matplotlib()
    if plan.tracking:
        from evalkit.tracking import check_tracking

        check_tracking(plan.root)


def build_panels(plan: Plan) -> None:
    """Build and store every city's panel, two cities at a time.

    Raises:
        ConfigError, MissingExtraError: see `check_plan`.
        ReadError, PanelError: of the first city that fails; the others are still built.
    """
    check_plan(plan)
    names = [bench.site.name for bench in plan.benches]
    with (
        progress("panels", len(names), quiet=plan.quiet) as step,
        ThreadPoolExecutor(max_workers=2) as pool,
    ):
        jobs = {
            bench.site.name: pool.submit(_build_one, bench, plan.study, step)
            for bench in plan.benches
        }
        errors: list[EvalkitError] = []
        for job in jobs.values():
            try:
                job.result()
            except EvalkitError as error:
                errors.append(error)
    if errors:
        raise errors[0]


def run_study(plan: Plan) -> dict[str, Any]:
    """Run the study over cities' stores; returns what ``result.json`` holds.

    Raises:
        MissingSiteError: a city refused or did not answer, and there is no quorum.
        EstimationError: no estimate can be computed.
        ConfigError, MissingExtraError: see `check_plan`; or MLflow did not record a run that is complete.
    """
    check_plan(plan)
    run = RunFolder.create(_new_folder(plan), plan.study)
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

        found = run_local(run, [bench.store for bench in plan.benches], watch=watch)
    result = _assemble(plan, run, found)
    if plan.pictures:
        result["files"].update(_draw(run, result))
    run.write("result.json", result)
    _point_latest(plan.root, run.path)
    if opening is not None:
        try:
            tracker = opening.result()
            _track(opening, rounds)
            tracker.finish(result, run.path)
        except EvalkitError as error:
            raise ConfigError(
                f"the run is complete, but not recorded: {error.what}",
                where=f"run {_shown(run.path)}, MLflow {_shown(plan.root / 'mlflow.db')}",
                way_out=error.way_out,
            ) from error
    return result


def print_result(result: Mapping[str, Any]) -> None:
    """Verdict, pooled effect, cities, and where everything is."""
    estimate, claim, verdict = result["estimate"], result["claim"], result["verdict"]
    first = estimate["terms"][0]
    if verdict:
        say(f"Claim:    {claim['title']}")
        say(f"Verdict:  {verdict['reason']['en']}")
    say(
        f"Effect:   {_percent(first['percent'])} "
        f"[{_percent(first['percent_low'])}, {_percent(first['percent_high'])}] "
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
    truth = result.get("truth")
    if truth:
        say(
            f"Truth:    {_percent(percent_change(truth['effect_mean']))} simulated mean, "
            f"{_percent(percent_change(truth['effect_realised']))} in these cities"
        )
    for row in estimate["sites"]:
        known = (truth or {}).get("cities", {}).get(row["site"])
        beside = f"   truth {_percent(percent_change(known))}" if known is not None else ""
        say(
            f"  {row['site']:<14} {_percent(row['percent']):>8} "
            f"[{_percent(row['percent_low'])}, {_percent(row['percent_high'])}]{beside}"
        )
    if result["absent"]:
        say(
            f"Absent:   {', '.join(result['absent'])} did not answer or refused; the quorum let the study go on, "
            "and the result says nothing of them"
        )
    if result["placebo"]:
        say(
            f"Placebo:  the cameras of {', '.join(result['placebo'])} enforce traffic and do not watch people; "
            "an effect here speaks against the design, and none is no evidence on the claim"
        )
    for note in estimate["notes"]:
        say(f"Note:     {note}")
    for label, path in result["files"].items():
        say(f"{LABELS[label] + ':':<10}{path}")


def _build_one(bench: Bench, study: Study, step: Step) -> None:
    try:
        store_panel(bench, study)
    finally:
        step(bench.site.name)


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


def _assemble(plan: Plan, run: RunFolder, found: Estimate) -> dict[str, Any]:
    files: dict[str, str] = {"run": _shown(run.path), "result": _shown(run.path / "result.json")}
    if plan.tracking:
        files["mlflow"] = _shown(plan.root / "mlflow.db")
    roster = run.read("roster.json")
    return {
        "evalkit": __version__,
        "study": run.summary(),
        "estimate": found.to_dict(),
        "claim": msgspec.to_builtins(plan.claim) if plan.claim else None,
        "verdict": verdict_on(plan.claim, found) if plan.claim else None,
        "placebo": placebo_cities(found, roster["cameras"]),
        "absent": absent_cities(found, roster["expected"]),
        "truth": plan.truth,
        "files": files,
    }


def _draw(run: RunFolder, result: dict[str, Any]) -> dict[str, str]:
    from evalkit.report.figures.forest import forest
    from evalkit.report.page import write_pages

    pictures = forest(result, run.path / "figures" / "forest")
    pages = write_pages(result, run.path)
    picture = next(path for path in pictures if path.suffix == ".png")
    return {"picture": _shown(picture), "report": _shown(pages[0])}


def _new_folder(plan: Plan) -> Path:
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S")
    name = f"{stamp}-{plan.study.name}"
    folder, number = plan.root / name, 1
    while folder.exists():
        number += 1
        folder = plan.root / f"{name}-{number}"
    return folder


def _point_latest(root: Path, folder: Path) -> None:
    """`latest` always names the newest finished run; where links are not possible, a text file does."""
    link = root / "latest"
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(folder.name, target_is_directory=True)
    except OSError:
        (root / "latest.txt").write_text(f"{folder.name}\n")


def _percent(value: float) -> str:
    return f"{value:+.1f} %".replace("-", "−")


def _shown(path: Path) -> str:
    """A path relative to where the user stands, if it lies below."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
