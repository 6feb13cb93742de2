"""One plain sentence for every reason, in English, Spanish and Portuguese.

Numbers are percent changes with a real minus sign and a space before the percent sign. They are
rounded to whole percents unless that would make two different figures look equal, or a change look
like none; then every number of the sentence gets another decimal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

from evalkit.claims.verdict import EQUIVALENCE_ALPHA, LEVEL, ReasonKey, Verdict
from evalkit.errors import ConfigError

__all__ = ["Language", "format_percent", "sentence"]

Language = Literal["en", "es", "pt"]

MINUS: Final = "\u2212"
MAX_DECIMALS: Final = 3


@dataclass(frozen=True, slots=True)
class _Words:
    """How one language says it. ``claimed`` and ``opposite`` in templates are these words."""

    decimal_mark: str
    fall: str
    rise: str
    templates: dict[ReasonKey, str]


_ENGLISH: Final = _Words(
    decimal_mark=".",
    fall="fall",
    rise="rise",
    templates={
        "supported": (
            "Supported: the {level} interval {interval} excludes no effect, and the {narrow_level} "
            "interval {narrow_interval} lies within the margin {margin} around the claim ({claim})."
        ),
        "supported_not_everywhere": (
            "Supported on average: the {level} interval {interval} excludes no effect, and the "
            "{narrow_level} interval {narrow_interval} lies within the margin {margin} around the "
            "claim ({claim}); but the prediction interval for a new city, {prediction}, contains "
            "no effect."
        ),
        "supported_new_city_unknown": (
            "Supported: the {level} interval {interval} excludes no effect, and the {narrow_level} "
            "interval {narrow_interval} lies within the margin {margin} around the claim "
            "({claim}); what a new city should expect cannot be told from these data."
        ),
        "contradicted_smaller": (
            "Contradicted: the {level} interval {interval} shows a {claimed}, but a smaller one "
            "than claimed ({claims})."
        ),
        "contradicted_no_change": (
            "Contradicted: the {level} interval {interval} excludes the claim ({claims}), and the "
            "{narrow_level} interval {narrow_interval} lies within the margin {no_effect} around "
            "no effect."
        ),
        "contradicted_no_effect_possible": (
            "Contradicted: the {level} interval {interval} contains no effect and excludes the "
            "claim ({claims})."
        ),
        "contradicted_opposite": (
            "Contradicted: the {level} interval {interval} shows a {opposite}; the claim is a "
            "{claimed} ({claims})."
        ),
        "contradicted_larger": (
            "Contradicted: the {level} interval {interval} shows a larger {claimed} than claimed "
            "({claims})."
        ),
        "contradicted_between": (
            "Contradicted: the {level} interval {interval} contains none of the figures that the "
            "claim's source prints ({claims})."
        ),
        "undecided_claim_and_no_effect": (
            "Undecided: the {level} interval {interval} contains both the claim ({claim_inside}) "
            "and no effect."
        ),
        "undecided_too_wide": (
            "Undecided: the {level} interval {interval} contains the claim ({claim_inside}) and "
            "excludes no effect, but the {narrow_level} interval {narrow_interval} is not within "
            "the margin {margin}: these data cannot tell the claim from a different {claimed}."
        ),
    },
)

_SPANISH: Final = _Words(
    decimal_mark=",",
    fall="descenso",
    rise="aumento",
    templates={
        "supported": (
            "Respaldada: el intervalo del {level} {interval} excluye la ausencia de efecto, y el "
            "intervalo del {narrow_level} {narrow_interval} está dentro del margen {margin} en "
            "torno a la afirmación ({claim})."
        ),
        "supported_not_everywhere": (
            "Respaldada en promedio: el intervalo del {level} {interval} excluye la ausencia de "
            "efecto, y el intervalo del {narrow_level} {narrow_interval} está dentro del margen "
            "{margin} en torno a la afirmación ({claim}); pero el intervalo de predicción para una "
            "ciudad nueva, {prediction}, contiene la ausencia de efecto."
        ),
        "supported_new_city_unknown": (
            "Respaldada: el intervalo del {level} {interval} excluye la ausencia de efecto, y el "
            "intervalo del {narrow_level} {narrow_interval} está dentro del margen {margin} en "
            "torno a la afirmación ({claim}); estos datos no permiten decir qué cabe esperar en "
            "una ciudad nueva."
        ),
        "contradicted_smaller": (
            "Contradicha: el intervalo del {level} {interval} muestra un {claimed}, pero menor que "
            "el afirmado ({claims})."
        ),
        "contradicted_no_change": (
            "Contradicha: el intervalo del {level} {interval} excluye la afirmación ({claims}), y "
            "el intervalo del {narrow_level} {narrow_interval} está dentro del margen {no_effect} "
            "en torno a la ausencia de efecto."
        ),
        "contradicted_no_effect_possible": (
            "Contradicha: el intervalo del {level} {interval} contiene la ausencia de efecto y "
            "excluye la afirmación ({claims})."
        ),
        "contradicted_opposite": (
            "Contradicha: el intervalo del {level} {interval} muestra un {opposite}; la afirmación "
            "es un {claimed} ({claims})."
        ),
        "contradicted_larger": (
            "Contradicha: el intervalo del {level} {interval} muestra un {claimed} mayor que el "
            "afirmado ({claims})."
        ),
        "contradicted_between": (
            "Contradicha: el intervalo del {level} {interval} no contiene ninguna de las cifras "
            "que publica la fuente de la afirmación ({claims})."
        ),
        "undecided_claim_and_no_effect": (
            "Sin decidir: el intervalo del {level} {interval} contiene tanto la afirmación "
            "({claim_inside}) como la ausencia de efecto."
        ),
        "undecided_too_wide": (
            "Sin decidir: el intervalo del {level} {interval} contiene la afirmación "
            "({claim_inside}) y excluye la ausencia de efecto, pero el intervalo del "
            "{narrow_level} {narrow_interval} no está dentro del margen {margin}: estos datos no "
            "distinguen la afirmación de un {claimed} distinto."
        ),
    },
)

_PORTUGUESE: Final = _Words(
    decimal_mark=",",
    fall="decréscimo",
    rise="aumento",
    templates={
        "supported": (
            "Apoiada: o intervalo de {level} {interval} exclui a ausência de efeito, e o intervalo "
            "de {narrow_level} {narrow_interval} está dentro da margem {margin} em torno da "
            "afirmação ({claim})."
        ),
        "supported_not_everywhere": (
            "Apoiada em média: o intervalo de {level} {interval} exclui a ausência de efeito, e o "
            "intervalo de {narrow_level} {narrow_interval} está dentro da margem {margin} em torno "
            "da afirmação ({claim}); mas o intervalo de predição para uma nova cidade, "
            "{prediction}, contém a ausência de efeito."
        ),
        "supported_new_city_unknown": (
            "Apoiada: o intervalo de {level} {interval} exclui a ausência de efeito, e o intervalo "
            "de {narrow_level} {narrow_interval} está dentro da margem {margin} em torno da "
            "afirmação ({claim}); estes dados não permitem dizer o que uma nova cidade deve "
            "esperar."
        ),
        "contradicted_smaller": (
            "Contrariada: o intervalo de {level} {interval} mostra um {claimed}, mas menor do que "
            "o afirmado ({claims})."
        ),
        "contradicted_no_change": (
            "Contrariada: o intervalo de {level} {interval} exclui a afirmação ({claims}), e o "
            "intervalo de {narrow_level} {narrow_interval} está dentro da margem {no_effect} em "
            "torno da ausência de efeito."
        ),
        "contradicted_no_effect_possible": (
            "Contrariada: o intervalo de {level} {interval} contém a ausência de efeito e exclui a "
            "afirmação ({claims})."
        ),
        "contradicted_opposite": (
            "Contrariada: o intervalo de {level} {interval} mostra um {opposite}; a afirmação é um "
            "{claimed} ({claims})."
        ),
        "contradicted_larger": (
            "Contrariada: o intervalo de {level} {interval} mostra um {claimed} maior do que o "
            "afirmado ({claims})."
        ),
        "contradicted_between": (
            "Contrariada: o intervalo de {level} {interval} não contém nenhum dos valores que a "
            "fonte da afirmação publica ({claims})."
        ),
        "undecided_claim_and_no_effect": (
            "Sem decisão: o intervalo de {level} {interval} contém tanto a afirmação "
            "({claim_inside}) como a ausência de efeito."
        ),
        "undecided_too_wide": (
            "Sem decisão: o intervalo de {level} {interval} contém a afirmação ({claim_inside}) e "
            "exclui a ausência de efeito, mas o intervalo de {narrow_level} {narrow_interval} não "
            "está dentro da margem {margin}: estes dados não distinguem a afirmação de um "
            "{claimed} diferente."
        ),
    },
)

_LANGUAGES: Final[dict[Language, _Words]] = {
    "en": _ENGLISH,
    "es": _SPANISH,
    "pt": _PORTUGUESE,
}


def sentence(verdict: Verdict, language: Language = "en") -> str:
    """Say the verdict and its reason in one sentence.

    Raises:
        ConfigError: a language other than ``en``, ``es`` and ``pt``.
    """
    if language not in _LANGUAGES:
        raise ConfigError(
            f'no verdicts in the language "{language}"',
            limit=f"one of {', '.join(get_args(Language))}",
            way_out="choose one of these",
        )
    words = _LANGUAGES[language]
    template = words.templates[verdict.reason_key]
    figures = verdict.figures
    pairs = {
        "interval": ("low_percent", "high_percent"),
        "narrow_interval": ("equivalence_low_percent", "equivalence_high_percent"),
        "margin": ("margin_low_percent", "margin_high_percent"),
        "no_effect": ("no_effect_low_percent", "no_effect_high_percent"),
        "prediction": ("prediction_low_percent", "prediction_high_percent"),
    }
    lists: dict[str, list[float]] = {
        name: [figures[key] for key in keys] for name, keys in pairs.items()
    }
    lists["claim"] = [figures["claim_percent"]]
    lists["claim_inside"] = [figures["claim_inside_percent"]]
    lists["claims"] = [figures["claim_percent"], *verdict.also_printed_percent]
    used = {name: values for name, values in lists.items() if f"{{{name}}}" in template}
    decimals = _decimals([value for values in used.values() for value in values])
    # with a decimal comma only a semicolon tells two numbers apart
    between = ", " if words.decimal_mark == "." else "; "
    said = {
        name: between.join(format_percent(value, decimals, words.decimal_mark) for value in values)
        for name, values in used.items()
    }
    return template.format(
        **{name: f"[{text}]" if name in pairs else text for name, text in said.items()},
        level=f"{100 * LEVEL:.0f} %",
        narrow_level=f"{100 * (1 - 2 * EQUIVALENCE_ALPHA):.0f} %",
        claimed=words.fall if verdict.claimed_fall else words.rise,
        opposite=words.rise if verdict.claimed_fall else words.fall,
    )


def format_percent(value: float, decimals: int = 0, decimal_mark: str = ".") -> str:
    """A percent change with its sign: ``−13 %``, ``+6 %``, ``0 %``, ``+∞ %``."""
    if math.isinf(value):
        return f"{'+' if value > 0 else MINUS}∞ %"
    digits = f"{abs(value):.{decimals}f}"
    if float(digits) == 0.0:
        return f"{digits} %".replace(".", decimal_mark)
    sign = "+" if value > 0 else MINUS
    return f"{sign}{digits} %".replace(".", decimal_mark)


def _decimals(values: list[float]) -> int:
    """The fewest decimals with which different figures differ and no change looks like none."""
    distinct = set(values)
    for decimals in range(MAX_DECIMALS):
        shown = {format_percent(value, decimals) for value in distinct}
        hidden = any(value != 0.0 and round(value, decimals) == 0.0 for value in distinct)
        if len(shown) == len(distinct) and not hidden:
            return decimals
    return MAX_DECIMALS
