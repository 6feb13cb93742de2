"""What came of the studies that a study's checks ask for, recomputed from the releases in its run folder.

The run itself and whoever verifies it read them here, so that both see the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from evalkit.core.estimate import Estimate
from evalkit.core.falsification import Falsification, derived_of
from evalkit.core.study import Study, study_hash
from evalkit.errors import BadMessageError, EvalkitError, NoPanelError
from evalkit.federation.run_folder import Failure, RunFolder
from evalkit.runtimes.replay import COMPARE_VERSIONS, recompute

__all__ = ["Derived", "estimates_of", "outcome_of", "read_derived", "unanswered_of", "why_of"]

_EXPLAINED: Final = re.compile(r" — [^;]*")
"""What a code means, where an error spells it out for each city: in a check's reason the code is enough."""

NO_PANEL: Final = "no panel stored there"
NO_CRIME: Final = "no panel stored there, for instance because the city records no such crime"
"""In words what PANEL-ABSENT means; `evalkit.workbench.store_study` keeps no panel of what a city cannot build."""

OF_CRIMES: Final = ("placebo_outcomes", "by_crime_type")
"""Kinds of derived studies that count other crimes than the study."""


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived study.

    Attributes:
        about: which study it is.
        folder: of its run, relative to that of the parent.
        outcome: its estimate, or why there is none.
    """

    about: Falsification
    folder: str
    outcome: Estimate | Failure

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, for ``result.json``."""
        failed = self.outcome if isinstance(self.outcome, Failure) else None
        return {
            "kind": self.about.kind,
            "label": self.about.label,
            "hash": self.about.hash,
            "folder": self.folder,
            "estimate": self.outcome.to_dict() if isinstance(self.outcome, Estimate) else None,
            "code": failed.code if failed else None,
            "what": failed.what if failed else None,
            "why": why_of(self.about.kind, failed) if failed else None,
        }


def read_derived(run: RunFolder, study: Study) -> tuple[Derived, ...]:
    """Every derived study of ``study`` in its run folder, in the order of `derived_of`.

    A refusal leaves no release to recompute it from: the reason is that which the run wrote down, and the cities'
    ledgers have it too.

    Raises:
        BadMessageError: a release was changed; a folder holds another study, other cities or versions; an estimate
            is not that of its releases, or is there although a failure is recorded.
        ConfigError: a folder is missing or damaged.
        EstimationError: releases give no estimate although no failure is recorded.
    """
    return tuple(_read(run, number, one) for number, one in enumerate(derived_of(study)))


def estimates_of(derived: tuple[Derived, ...], kind: str) -> dict[str, Estimate]:
    """Label → estimate of the derived studies of one kind that have one."""
    return {
        one.about.label: one.outcome
        for one in derived
        if one.about.kind == kind and isinstance(one.outcome, Estimate)
    }


def why_of(kind: str, failed: Failure) -> str:
    """Why a derived study has no estimate, short enough for a check: codes, and words where panels are absent."""
    why = f"{failed.code}, {_EXPLAINED.sub('', failed.what)}"
    meaning = NO_CRIME if kind in OF_CRIMES else NO_PANEL
    return why.replace(NoPanelError.code, f"{NoPanelError.code} ({meaning})")


def unanswered_of(derived: tuple[Derived, ...]) -> Mapping[str, Mapping[str, str]]:
    """Kind → label → why there is no estimate."""
    found: dict[str, dict[str, str]] = {}
    for one in derived:
        if isinstance(one.outcome, Failure):
            why = why_of(one.about.kind, one.outcome)
            found.setdefault(one.about.kind, {})[one.about.label] = why
    return found


def outcome_of(run: RunFolder, folder: RunFolder, study: Study) -> Estimate | Failure:
    """What came of one study that was asked together with others, recomputed from the releases in its run folder.

    Args:
        run: of the study that asked for it, or whose specification it is; both had the same cities and versions.
        folder: its own.
        study: what ``folder`` must hold.

    Raises:
        BadMessageError, ConfigError, EstimationError: see `read_derived`.
    """
    name = folder.path.relative_to(run.path).as_posix()
    if study_hash(folder.study()) != study_hash(study):
        raise _changed(name, "holds another study than the run's study derives")
    for file, what in (("roster.json", "other cities"), ("versions.json", "other versions")):
        if folder.read(file) != run.read(file):
            raise _changed(f"{name}/{file}", f"names {what} than {file} of the run")
    failed = folder.failure()
    if failed is not None and not (folder.path / "releases.json").exists():
        return failed
    try:
        found = recompute(folder, study)
    except BadMessageError:
        raise
    except EvalkitError:
        if failed is None:
            raise
        return failed
    if failed is not None:
        raise _changed(name, "records a failure, and its releases give an estimate")
    if folder.read("estimate.json") != found.to_dict():
        raise _changed(name, "holds another estimate than its releases give")
    return found


def _read(run: RunFolder, number: int, one: Falsification) -> Derived:
    folder = run.derived(number, one.kind)
    name = folder.path.relative_to(run.path).as_posix()
    return Derived(one, name, outcome_of(run, folder, one.study))


def _changed(what: str, how: str) -> BadMessageError:
    return BadMessageError(
        f"{what} {how}",
        limit="what the releases give, to the last bit",
        way_out=COMPARE_VERSIONS,
    )
