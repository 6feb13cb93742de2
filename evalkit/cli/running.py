"""One study over several cities on this machine, from stored panels to pictures; `study run` and `demo` share it."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from evalkit import __version__
from evalkit.claims.claim import Claim
from evalkit.claims.evidence import Evidence, build_evidence
from evalkit.claims.verdict import judge
from evalkit.claims.wording import Language, sentence
from evalkit.cli.output import Step, progress, say
from evalkit.core.estimate import Estimate, percent_change
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.errors import ConfigError, EvalkitError
from evalkit.federation.run_folder import RunFolder
from evalkit.workbench import Bench, store_panel

if TYPE_CHECKING:
    from evalkit.tracking import Tracker

__all__ = ["Plan", "build_panels", "print_result", "run_study"]

LABELS: Final = {
    "run": "Run",
    "result": "Result",
    "mlflow": "MLflow",
    "picture": "Picture",
    "report": "Report",
}
"""What is called what in ``result["files"]``, and how it is printed."""

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


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


def build_panels(plan: Plan) -> None:
    """Build and store every city's panel, two cities at a time.

    Raises:
        ConfigError: two site files name the same city.
        ReadError, PanelError: of the first city that fails; the others are still built.
    """
    names = [bench.site.name for bench in plan.benches]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"two site files name the city {', '.join(twice)}",
            limit="one site file for each city",
            way_out="give one of them another name",
        )
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
        MissingExtraError: pictures are wanted and cannot be drawn; said before anything is computed.
    """
    from evalkit.report import require_matplotlib
    from evalkit.runtimes.local import run_local

    if plan.pictures:
        require_matplotlib()

    run = RunFolder.create(_new_folder(plan), plan.study)
    if plan.claim is not None:
        run.write("claim.json", plan.claim)
    with ThreadPoolExecutor(max_workers=1) as background:
        opening = background.submit(_open_tracker, plan, run) if plan.tracking else None
        rounds: list[tuple[Question, Statistics, Estimate | Question]] = []
        try:
            with progress("rounds", None, quiet=plan.quiet) as step:

                def watch(
                    question: Question, merged: Statistics, outcome: Estimate | Question
                ) -> None:
                    rounds.append((question, merged, outcome))
                    _track(opening, rounds)
                    step(f"{question.stage}, answered by {len(merged.sites)} cities")

                found = run_local(run, [bench.store for bench in plan.benches], watch=watch)
        except EvalkitError as error:
            if opening is not None:
                opening.result().fail(error.code)
            raise
        result = _assemble(plan, run, found)
        if plan.pictures:
            result["files"].update(_draw(run, result))
        run.write("result.json", result)
        _point_latest(plan.root, run.path)
        if opening is not None:
            tracker = opening.result()
            _track(opening, rounds)
            tracker.finish(result, run.path)
    return result


def print_result(result: Mapping[str, Any]) -> None:
    """Verdict, pooled effect, cities, and where everything is."""
    estimate, claim, verdict = result["estimate"], result["claim"], result["verdict"]
    first = estimate["terms"][0]
    if verdict:
        say(f"Claim:    {claim['title']}")
        say(f"Verdict:  {verdict['reason']['en']}")
    cities = len(estimate["contributors"])
    say(
        f"Effect:   {_percent(first['percent'])} "
        f"[{_percent(first['percent_low'])}, {_percent(first['percent_high'])}] "
        f"({estimate['level']:.0%} interval, {estimate['estimator']}, {cities} "
        f"{'city' if cities == 1 else 'cities'})"
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


def _track(
    opening: Future[Tracker] | None,
    rounds: list[tuple[Question, Statistics, Estimate | Question]],
) -> None:
    """Log the rounds so far, once the database is open; it takes seconds the first time."""
    if opening is None or not opening.done():
        return
    tracker = opening.result()
    while rounds:
        tracker.watch(*rounds.pop(0))


def _assemble(plan: Plan, run: RunFolder, found: Estimate) -> dict[str, Any]:
    files: dict[str, str] = {"run": _shown(run.path), "result": _shown(run.path / "result.json")}
    if plan.tracking:
        files["mlflow"] = _shown(plan.root / "mlflow.db")
    kinds = run.read("roster.json")["cameras"]
    placebo = sorted(site for site in found.contributors if kinds.get(site) == "traffic")
    return {
        "evalkit": __version__,
        "study": run.summary(),
        "estimate": found.to_dict(),
        "claim": msgspec.to_builtins(plan.claim) if plan.claim else None,
        "verdict": _verdict(found, plan.claim) if plan.claim else None,
        "placebo": placebo,
        "truth": plan.truth,
        "files": files,
    }


def _verdict(found: Estimate, claim: Claim) -> dict[str, Any]:
    verdict = judge(_evidence(found), claim)
    plain: dict[str, Any] = msgspec.to_builtins(verdict)
    plain["reason"] = {language: sentence(verdict, language) for language in LANGUAGES}
    return plain


def _evidence(found: Estimate) -> Evidence:
    """The estimate's first term as evidence, with what is known of heterogeneity."""
    details = found.details
    return build_evidence(
        float(found.effect[0]),
        float(found.std_error[0]),
        df=found.df,
        level=found.level,
        tau2=details.get("tau2", math.nan),
        prediction_low=details.get("prediction_low", math.nan),
        prediction_high=details.get("prediction_high", math.nan),
        sites=len(found.contributors),
    )


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
