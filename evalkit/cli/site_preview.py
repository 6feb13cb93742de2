"""What would leave a city, before anything does: every field in words and numbers, every rule, every attack of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.cli.site_options import site_option, study_option
from evalkit.errors import ConfigError, RefusalError

if TYPE_CHECKING:
    from evalkit.attacks.payload import Finding
    from evalkit.core.study import Study
    from evalkit.workbench import Bench, Preview

__all__ = ["preview"]

SHOWN: Final = 12
"""Numbers of a field that are printed without ``--all``."""

NOTE_SECURE: Final = (
    "the study asks for secure sums: these numbers leave under masks, and whoever runs it sees the sum over "
    "cities only; rules and attacks above are those of the numbers themselves"
)
NOTE_OTHER_POLICY: Final = (
    "the policy in the store is not the one in the site file, which the rules above are judged by: put it in force "
    "with `evalkit site policy apply`"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether the policy in the store lets the study's first question in.

    Attributes:
        passed: it does.
        rule: that refuses; empty if none does.
        reason: why, in words.
    """

    passed: bool
    rule: str
    reason: str


@click.command()
@site_option
@study_option
@click.option("--all", "every", is_flag=True, help=f"Print every number, not the first {SHOWN}.")
@click.option(
    "--bytes",
    "bytes_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the exact bytes into this new file; its SHA-256 will be in the ledger.",
)
@as_json_option
def preview(
    path: Path, study_path: Path, every: bool, bytes_path: Path | None, as_json: bool
) -> None:
    """Show exactly what would leave, what each rule says, and what our own attacks make of it. Nothing leaves.

    The exit code is 0 whether or not it would leave; `--json` has `would_leave`.
    """
    from evalkit.attacks.words import in_words
    from evalkit.config import load_study
    from evalkit.workbench import open_bench
    from evalkit.workbench import preview as run_preview

    bench, study = open_bench(path), load_study(study_path)
    shown = run_preview(bench, study)
    asked = _asked(bench, shown)
    found = _attacks(bench, study, shown)
    notes = (*shown.notes, *_notes(bench, study))
    (fields,) = shown.statistics.parts.values()
    digest = hashlib.sha256(shown.data).hexdigest()
    leaves = asked.passed and all(verdict.passed for verdict in shown.verdicts)
    if bytes_path is not None:
        if not leaves:
            raise ConfigError(
                "nothing would leave, so that there are no bytes to write",
                where="--bytes",
                way_out="see without it which rule refuses",
            )
        _write(bytes_path, shown.data)
    if as_json:
        print_json(
            {
                "site": bench.site.name,
                "would_leave": leaves,
                "estimator": shown.statistics.estimator,
                "stage": shown.statistics.stage,
                "fields": {name: array.tolist() for name, array in fields.items()},
                "words": {name: in_words(shown.statistics.estimator, name) for name in fields},
                "bytes": len(shown.data),
                "sha256": digest,
                "question": asdict(asked),
                "rules": list(shown.verdicts),
                "attacks": [asdict(one) for one in found],
                "notes": list(notes),
            }
        )
        return
    say(
        f"{bench.site.city.title}, study {study.name}: {shown.statistics.estimator}, "
        f"stage {shown.statistics.stage}"
    )
    say("What would leave:" if leaves else "What would not leave, as a rule refuses:")
    for line in field_lines(shown.statistics.estimator, fields, None if every else SHOWN):
        say(line)
    say(f"  {len(shown.data)} bytes, SHA-256 {digest}")
    if bytes_path is not None:
        say(f"  written to {bytes_path}")
    say("What the rules say:")
    mark = "passed" if asked.passed else "REFUSED"
    say(f"  {mark:<8}{asked.rule or 'question':<28}{asked.reason}")
    for verdict in shown.verdicts:
        mark = "passed" if verdict.passed else "REFUSED"
        say(f"  {mark:<8}{verdict.rule:<28}{verdict.reason} (limit {verdict.limit:g})")
    say("What our own attacks make of it:")
    for line in attack_lines(found):
        say(line)
    for note in notes:
        say(f"Note: {note}")
    say("This would leave the city." if leaves else "Nothing would leave the city.")


def field_lines(estimator: str, fields: Mapping[str, Any], most: int | None) -> list[str]:
    """Each field: its name and shape, what it is, its numbers or the first ``most``."""
    from evalkit.attacks.words import in_words

    lines = []
    for name, array in fields.items():
        values = array.ravel()[:most]
        rest = array.size - len(values)
        lines.append(f"  {name} {tuple(array.shape)}: {in_words(estimator, name)}")
        numbers = ", ".join(f"{value:.10g}" for value in values)
        lines.append(f"    {numbers}{f' … and {rest} more' if rest else ''}")
    return lines


def attack_lines(found: Sequence[Finding]) -> list[str]:
    """Each attack and how near it came."""
    if not found:
        return ["  none of ours applies to these fields"]
    return [f"  {one.attack:<22}{one.says}" for one in found]


def _asked(bench: Bench, shown: Preview) -> Asked:
    """The first question of the study, as a server's would be reviewed now; nothing is written."""
    from evalkit.disclosure.questions import review_question

    first, fingerprint = shown.first, shown.panel.fingerprint
    try:
        review_question(first, bench.store.policy(), bench.store.ledger.entries(), fingerprint)
    except RefusalError as refusal:
        return Asked(False, ", ".join(refusal.rules), refusal.what)
    return Asked(True, "", "the policy in the store lets this study be asked")


def _attacks(bench: Bench, study: Study, shown: Preview) -> tuple[Finding, ...]:
    from evalkit.attacks.known import known_sums, read_told
    from evalkit.attacks.payload import Answer, attack_answer, attack_places
    from evalkit.core.design import design_of
    from evalkit.disclosure.audit import released_digests

    (design,) = design_of(shown.panel, study)
    (fields,) = shown.statistics.parts.values()
    alone = attack_answer(Answer(shown.question, design, fields, shown.true))
    earlier = read_told(bench.store.audit_folder, released_digests(bench.store.ledger.entries()))
    known = known_sums(shown.panel, study, shown.places, shown.told, earlier)
    together = attack_places(known.counts, known.treated, known.sets)
    return (*alone, *([together] if together else []))


def _notes(bench: Bench, study: Study) -> list[str]:
    from evalkit.workbench import is_in_force

    notes = [] if is_in_force(bench) else [NOTE_OTHER_POLICY]
    return [*notes, NOTE_SECURE] if study.federation.secure else notes


def _write(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise ConfigError(
            "the file exists already", where=str(path), way_out="choose another name"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the bytes cannot be written ({error.strerror})", where=str(path)
        ) from None
