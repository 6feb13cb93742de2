"""What derived studies are called in the languages of a report; `evalkit.core.falsification` makes their labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["KINDS", "label_in", "why_in"]

PERIODS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "es": {
        "day": ("día", "días"),
        "week": ("semana", "semanas"),
        "month": ("mes", "meses"),
        "quarter": ("trimestre", "trimestres"),
        "year": ("año", "años"),
    },
    "pt": {
        "day": ("dia", "dias"),
        "week": ("semana", "semanas"),
        "month": ("mês", "meses"),
        "quarter": ("trimestre", "trimestres"),
        "year": ("ano", "anos"),
    },
}
"""Language → period → one and many."""

FIXED: Final[Mapping[str, Mapping[str, str]]] = {
    "es": {
        "places without a camera": "lugares sin cámara",
        "expected by chance": "lo esperable por azar",
    },
    "pt": {
        "places without a camera": "lugares sem câmara",
        "expected by chance": "o esperado por acaso",
    },
}

EARLIER: Final[Mapping[str, str]] = {
    "es": "{number} {period} antes",
    "pt": "{number} {period} antes",
}
BETWEEN: Final[Mapping[str, str]] = {"es": "de {inner} a {outer} m", "pt": "de {inner} a {outer} m"}

SILENT: Final[Mapping[str, tuple[str, str]]] = {
    "es": ("{code}, {absent} de {all} ciudades no respondieron: {named}", "reglas"),
    "pt": ("{code}, {absent} de {all} cidades não responderam: {named}", "regras"),
}
"""Language → that cities gave no answer, and the word for rules of a policy."""

ABSENT: Final[Mapping[str, Mapping[str, str]]] = {
    "es": {
        "no panel stored there, for instance because the city records no such crime": "no hay panel guardado allí, por "
        "ejemplo porque la ciudad no registra ese delito",
        "no panel stored there": "no hay panel guardado allí",
    },
    "pt": {
        "no panel stored there, for instance because the city records no such crime": "não há painel guardado aí, por "
        "exemplo porque a cidade não regista esse crime",
        "no panel stored there": "não há painel guardado aí",
    },
}
"""Language → what `evalkit.runtimes.derived` says of panels that are absent, the longer sentence first."""

_EARLIER: Final = re.compile(r"(\d+) (day|week|month|quarter|year)s? earlier")
_BETWEEN: Final = re.compile(r"([\d.e+]+) to ([\d.e+]+) m")

_SILENT: Final = re.compile(
    r"(?P<code>[A-Z-]+), (?P<absent>\d+) of (?P<all>\d+) cities gave no answer: (?P<named>.*)"
)

KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "placebo_dates": "Go-live pretended earlier",
        "placebo_outcomes": "Other crimes",
        "placebo_cameras": "Cameras pretended",
        "by_crime_type": "Each crime by itself",
        "rings": "Around the cameras",
        "chance": "Regression to the mean",
    },
    "es": {
        "placebo_dates": "Puesta en marcha fingida antes",
        "placebo_outcomes": "Otros delitos",
        "placebo_cameras": "Cámaras fingidas",
        "by_crime_type": "Cada delito por sí solo",
        "rings": "Alrededor de las cámaras",
        "chance": "Regresión a la media",
    },
    "pt": {
        "placebo_dates": "Entrada em funcionamento fingida antes",
        "placebo_outcomes": "Outros crimes",
        "placebo_cameras": "Câmaras fingidas",
        "by_crime_type": "Cada crime por si só",
        "rings": "Em redor das câmaras",
        "chance": "Regressão à média",
    },
}
"""Language → kind of derived study → what it is called."""


def label_in(label: str, language: str) -> str:
    """A derived study's label in a language. Crime types keep their common names, as everywhere in a report."""
    if language not in FIXED:
        return label
    earlier, between = _EARLIER.fullmatch(label), _BETWEEN.fullmatch(label)
    if earlier:
        number, period = earlier.groups()
        return EARLIER[language].format(
            number=number, period=PERIODS[language][period][number != "1"]
        )
    if between:
        inner, outer = (text.replace(".", ",") for text in between.groups())
        return BETWEEN[language].format(inner=inner, outer=outer)
    return FIXED[language].get(label, label)


def why_in(why: str, language: str) -> str:
    """Why a derived study has no estimate, in a language, where cities did not answer; else as the error says it."""
    found = _SILENT.fullmatch(why)
    if found is None or language not in SILENT:
        return why
    sentence, rules = SILENT[language]
    parts = found.groupdict()
    named = parts["named"].replace("rules:", f"{rules}:")
    for english, translated in ABSENT[language].items():
        named = named.replace(f"({english})", f"({translated})")
    return sentence.format(**parts | {"named": named})
