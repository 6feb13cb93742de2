"""A finished run's releases answer its questions again: the result, recomputed without any city."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core.estimator import Ask, Question
from evalkit.core.statistics import Statistics
from evalkit.federation.run_folder import RunFolder

__all__ = ["ask_replay"]


def ask_replay(run: RunFolder) -> Ask:
    """Ask the releases in a run folder."""

    def ask(question: Question) -> Sequence[Statistics]:
        return run.releases(question)

    return ask
