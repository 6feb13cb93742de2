"""Words of the specification curve and its page, in English, Spanish and Portuguese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evalkit.report.languages import Words
from evalkit.report.numbers import check_language

__all__ = ["TABLES", "curve_words"]

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "language_name": "English",
        "other_languages": "Other languages",
        "study": "Study",
        "headline_one": "Claim supported by {supported} of {count} specification, contradicted by {contradicted}",
        "headline_many": "Claim supported by {supported} of {count} specifications, contradicted by {contradicted}",
        "headline_no_claim_one": "{count} specification, median {median}",
        "headline_no_claim_many": "{count} specifications, median {median}",
        "nothing": "No specification could be estimated",
        "subline": "Median {median}, from {lowest} to {highest}; {falls} of the intervals lie below no effect, "
        "{rises} above",
        "failed_one": "{count} could not be estimated",
        "failed_many": "{count} could not be estimated",
        "supported": "supports the claim",
        "contradicted": "contradicts it",
        "undecided": "undecided",
        "effect": "effect and interval",
        "no_effect": "no effect",
        "claim_mark": "claim {value}",
        "radius_m": "Radius",
        "window": "Window",
        "controls": "Controls",
        "estimator": "Estimator",
        "crime_types": "Crime types",
        "lattice": "lattice of discs",
        "later_cameras": "places of later cameras",
        "curve_alt": "Specification curve ({count} estimated): median change {median}, from {lowest} to {highest}.",
        "curve_heading": "The curve",
        "curve_caption": "Each column is one specification, sorted by its effect: above the effect with its "
        "{level} interval, below the choices that make it. An arrow means that an interval goes on.",
        "meaning": "Specifications are made from the same data, so they are not independent: the shares tell "
        "how far the answer depends on choices that could have been made otherwise. They are no probabilities "
        "and no test.",
        "median_heading": "By choice",
        "median_caption": "Median effect and verdicts of all specifications with a choice",
        "choice": "Choice",
        "specifications": "Specifications",
        "median": "Median",
        "support": "Support",
        "contradict": "Contradict",
        "all_heading": "Every specification",
        "all_caption": "Specifications by their effect",
        "number": "No.",
        "choices": "Choices",
        "change": "Change",
        "interval": "{level} interval",
        "verdict": "Verdict",
        "failed_heading": "Not estimated",
        "failed_caption": "Specifications without an estimate",
        "reason": "Reason",
        "rounds_line": "Rounds: {rounds}, each one message to every city. Cities: {cities}. Releases in the run "
        "folder: {releases}. The cities approved one hash, from which all specifications "
        "follow:",
        "verify_line": "Whoever has the run folder can recompute every specification and this curve without any city's "
        "data:",
        "made_by": "Made by evalkit {version}.",
    },
    "es": {
        "language_name": "Español",
        "other_languages": "Otros idiomas",
        "study": "Estudio",
        "headline_one": "Afirmación respaldada por {supported} de {count} especificación, contradicha por "
        "{contradicted}",
        "headline_many": "Afirmación respaldada por {supported} de {count} especificaciones, contradicha por "
        "{contradicted}",
        "headline_no_claim_one": "{count} especificación, mediana {median}",
        "headline_no_claim_many": "{count} especificaciones, mediana {median}",
        "nothing": "No se pudo estimar ninguna especificación",
        "subline": "Mediana {median}, de {lowest} a {highest}; {falls} de los intervalos quedan por debajo de "
        "la ausencia de efecto, {rises} por encima",
        "failed_one": "{count} no se pudo estimar",
        "failed_many": "{count} no se pudieron estimar",
        "supported": "respalda la afirmación",
        "contradicted": "la contradice",
        "undecided": "sin decidir",
        "effect": "efecto e intervalo",
        "no_effect": "sin efecto",
        "claim_mark": "afirmación {value}",
        "radius_m": "Radio",
        "window": "Ventana",
        "controls": "Controles",
        "estimator": "Estimador",
        "crime_types": "Tipos de delito",
        "lattice": "retícula de discos",
        "later_cameras": "lugares de cámaras posteriores",
        "curve_alt": "Curva de especificaciones ({count} estimadas): cambio mediano {median}, de {lowest} a {highest}.",
        "curve_heading": "La curva",
        "curve_caption": "Cada columna es una especificación, ordenadas por su efecto: arriba el efecto con su "
        "intervalo del {level}, abajo las elecciones que la definen. Una flecha indica que un intervalo "
        "continúa.",
        "meaning": "Las especificaciones usan los mismos datos y no son independientes: las proporciones dicen "
        "cuánto depende la respuesta de elecciones que podrían haber sido otras. No son probabilidades ni una "
        "prueba.",
        "median_heading": "Según la elección",
        "median_caption": "Efecto mediano y veredictos de todas las especificaciones con una elección",
        "choice": "Elección",
        "specifications": "Especificaciones",
        "median": "Mediana",
        "support": "Respaldan",
        "contradict": "Contradicen",
        "all_heading": "Todas las especificaciones",
        "all_caption": "Especificaciones según su efecto",
        "number": "N.º",
        "choices": "Elecciones",
        "change": "Cambio",
        "interval": "Intervalo del {level}",
        "verdict": "Veredicto",
        "failed_heading": "Sin estimar",
        "failed_caption": "Especificaciones sin estimación",
        "reason": "Motivo",
        "rounds_line": "Rondas: {rounds}, cada una un mensaje a cada ciudad. Ciudades: {cities}. Entregas en la "
        "carpeta: {releases}. Las ciudades aprobaron una sola huella, de la que se derivan "
        "todas las especificaciones:",
        "verify_line": "Quien tenga la carpeta puede recalcular todas las especificaciones y esta curva sin los datos "
        "de ninguna ciudad:",
        "made_by": "Hecho con evalkit {version}.",
    },
    "pt": {
        "language_name": "Português",
        "other_languages": "Outros idiomas",
        "study": "Estudo",
        "headline_one": "Afirmação apoiada por {supported} de {count} especificação, contrariada por {contradicted}",
        "headline_many": "Afirmação apoiada por {supported} de {count} especificações, contrariada por {contradicted}",
        "headline_no_claim_one": "{count} especificação, mediana {median}",
        "headline_no_claim_many": "{count} especificações, mediana {median}",
        "nothing": "Nenhuma especificação pôde ser estimada",
        "subline": "Mediana {median}, de {lowest} a {highest}; {falls} dos intervalos ficam abaixo da ausência "
        "de efeito, {rises} acima",
        "failed_one": "{count} não pôde ser estimada",
        "failed_many": "{count} não puderam ser estimadas",
        "supported": "apoia a afirmação",
        "contradicted": "a contraria",
        "undecided": "sem decisão",
        "effect": "efeito e intervalo",
        "no_effect": "sem efeito",
        "claim_mark": "afirmação {value}",
        "radius_m": "Raio",
        "window": "Janela",
        "controls": "Controles",
        "estimator": "Estimador",
        "crime_types": "Tipos de crime",
        "lattice": "malha de discos",
        "later_cameras": "locais de câmeras posteriores",
        "curve_alt": "Curva de especificações ({count} estimadas): mudança mediana {median}, de {lowest} a {highest}.",
        "curve_heading": "A curva",
        "curve_caption": "Cada coluna é uma especificação, em ordem de efeito: acima o efeito com seu intervalo "
        "de {level}, abaixo as escolhas que a definem. Uma seta indica que um intervalo continua.",
        "meaning": "As especificações usam os mesmos dados e não são independentes: as proporções dizem o "
        "quanto a resposta depende de escolhas que poderiam ter sido outras. Não são probabilidades nem um "
        "teste.",
        "median_heading": "Segundo a escolha",
        "median_caption": "Efeito mediano e veredictos de todas as especificações com uma escolha",
        "choice": "Escolha",
        "specifications": "Especificações",
        "median": "Mediana",
        "support": "Apoiam",
        "contradict": "Contrariam",
        "all_heading": "Todas as especificações",
        "all_caption": "Especificações segundo seu efeito",
        "number": "N.º",
        "choices": "Escolhas",
        "change": "Mudança",
        "interval": "Intervalo de {level}",
        "verdict": "Veredicto",
        "failed_heading": "Não estimadas",
        "failed_caption": "Especificações sem estimativa",
        "reason": "Motivo",
        "rounds_line": "Rodadas: {rounds}, cada uma uma mensagem a cada cidade. Cidades: {cities}. Entregas na "
        "pasta: {releases}. As cidades aprovaram um único hash, do qual derivam todas as "
        "especificações:",
        "verify_line": "Quem tiver a pasta pode recalcular todas as especificações e esta curva sem os dados de "
        "nenhuma cidade:",
        "made_by": "Feito com evalkit {version}.",
    },
}
"""Language → key → words."""


def curve_words(language: str) -> Words:
    """The words of one language.

    Raises:
        ConfigError: it has no table.
    """
    return Words(language, TABLES[check_language(language)])
