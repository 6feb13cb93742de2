"""The reviewer's room: recompute a run without any city's data."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.conclusion import check_lines, untested_because
from evalkit.cli.curve import verdicts_line
from evalkit.cli.output import as_json_option, counted, print_json, say
from evalkit.cli.review_revoke import revoke
from evalkit.cli.revoked import refuse_withdrawn
from evalkit.cli.site_ledger import review_ledger
from evalkit.cli.verify_curve import HeldCurve, is_curve, verify_curve
from evalkit.cli.verify_run import Held, verify_run
from evalkit.core.study import Study, study_hash
from evalkit.federation.run_folder import Failure, RunFolder

__all__ = ["command"]


@click.group(name="review")
def command() -> None:
    """Reviewers: recompute a run from its releases."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@as_json_option
def verify(folder: Path, as_json: bool) -> None:
    """Redo merging, estimation and verdict from the releases in FOLDER and compare to the last bit.

    FOLDER is that of a run, of a specification curve, or of one specification. Pictures and pages are not looked
    at: result.json or curve.json, which they show, is.
    """
    run = RunFolder(folder)
    study = run.study()
    refuse_withdrawn(run, study)
    if is_curve(run):
        curve = verify_curve(run, study)
        print_json(_curve_json(curve, run)) if as_json else _say_curve(curve, study)
    else:
        held = verify_run(run, study)
        print_json(_run_json(held, study, run)) if as_json else _say_run(held, study)
    if not as_json:
        _say_versions(run)


def _run_json(held: Held, study: Study, run: RunFolder) -> dict[str, object]:
    without = [one for one in held.derived if isinstance(one.outcome, Failure)]
    return {
        "verified": True,
        "releases": held.releases,
        "study": study_hash(study),
        "claim": held.claim.name if held.claim else None,
        "verdict": held.verdict["outcome"] if held.verdict else None,
        "derived": len(held.derived) - len(without),
        "not_estimated": [one.about.label for one in without],
        "other_versions": run.other_versions(),
    }


def _say_run(held: Held, study: Study) -> None:
    found, claim, verdict = held.found, held.claim, held.verdict
    first = found.to_dict()["terms"][0]
    effect = "log rate ratio" if found.scale == "log_rate_ratio" else "difference of incidents"
    conclusion = "estimate and verdict" if verdict else "estimate"
    gives = counted(held.releases, "release gives", "releases give")
    say(f"Verified: {gives} the recorded {conclusion} to the last bit.")
    say(f"Study:    {study.title}")
    say(f"Hash:     {study_hash(study)}")
    say(f"Effect:   {effect} {_six(first['estimate'])}, standard error {_six(first['std_error'])}")
    if claim:
        untested = untested_because(study, claim, found) or {}
        reason = verdict["reason"]["en"] if verdict else f"none: {untested.get('en', '')}"
        say(f"Claim:    {claim.title} (rate ratio {claim.value:g})")
        say(f"Verdict:  {reason}")
    for line in check_lines(held.checks):
        say(line)
    without = [one for one in held.derived if isinstance(one.outcome, Failure)]
    if held.derived:
        say(
            f"Derived:  {len(held.derived) - len(without)} of {counted(len(held.derived), 'study', 'studies')} that "
            "the checks ask for, recomputed too"
        )
    if without:
        say(
            f"Note:     {', '.join(one.about.label for one in without)}: no estimate is recorded, for the reason given "
            "above. No release shows a refusal; the cities' ledgers do"
        )


def _curve_json(held: HeldCurve, run: RunFolder) -> dict[str, object]:
    curve = held.curve
    return {
        "verified": True,
        "releases": curve["releases"],
        "study": curve["study"]["hash"],
        "claim": held.claim.name if held.claim else None,
        "summary": curve["summary"],
        "not_estimated": [
            row["number"] for row in curve["specifications"] if row["status"] == "failed"
        ],
        "other_versions": run.other_versions(),
    }


def _say_curve(held: HeldCurve, study: Study) -> None:
    curve, summary = held.curve, held.curve["summary"]
    gives = counted(curve["releases"], "release gives", "releases give")
    say(f"Verified: {gives} the recorded curve to the last bit.")
    say(f"Study:    {study.title}")
    say(f"Hash:     {study_hash(study)}")
    all_of_them = counted(summary["specifications"], "specification")
    say(f"Curve:    {summary['estimated']} of {all_of_them} estimated")
    if held.claim:
        say(f"Claim:    {held.claim.title} (rate ratio {held.claim.value:g})")
        if summary["share_supported"] is not None:
            say(verdicts_line(summary))
    numbers = [f"{r['number']:03d}" for r in curve["specifications"] if r["status"] == "failed"]
    if numbers:
        say(
            f"Note:     {', '.join(numbers)}: no effect is recorded; why not is in curve.json. No release shows a "
            "refusal; the cities' ledgers do"
        )


def _say_versions(run: RunFolder) -> None:
    other = run.other_versions()
    if other:
        listed = ", ".join(
            f"{name} {there or '–'} → {here or '–'}" for name, (there, here) in other.items()
        )
        say(f"Versions: not those of the run, and the results are the same: {listed}")


def _six(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.6f}".replace("-", "−")


command.add_command(review_ledger)


command.add_command(revoke)
