"""All panels in one place, without gate or codec: the reference every other runtime must equal."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core.discover import estimator
from evalkit.core.estimator import Ask, Question
from evalkit.core.panel import Panel, concatenate
from evalkit.core.statistics import Statistics

__all__ = ["ask_pooled"]


def ask_pooled(panels: Sequence[Panel]) -> Ask:
    """Ask one panel made of all cities' panels."""
    whole = concatenate(panels)

    def ask(question: Question) -> Sequence[Statistics]:
        return [estimator(question.estimator).summarise(whole, question)]

    return ask
