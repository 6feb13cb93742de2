"""Cities whose answers `evalkit.core.screening` sets aside, and why, in English, Spanish and Portuguese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from evalkit.report.numbers import check_language

__all__ = ["ACTIONS", "RULES", "set_aside_sentences"]

ACTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "left out": "{site} is left out: {why}.",
        "down-weighted": "{site} counts less: {why}.",
        "named": "{site} is kept, and should be looked at: {why}.",
    },
    "es": {
        "left out": "{site} queda fuera: {why}.",
        "down-weighted": "{site} cuenta menos: {why}.",
        "named": "{site} se mantiene y conviene revisarla: {why}.",
    },
    "pt": {
        "left out": "{site} fica de fora: {why}.",
        "down-weighted": "{site} conta menos: {why}.",
        "named": "{site} é mantida e convém revê-la: {why}.",
    },
}
"""Language → what was done → sentence."""

RULES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "message": "its message could not be read",
        "fields": "its answer has other fields or shapes than those of the other cities",
        "finite": "its answer holds numbers that are not finite",
        "size": "its answer holds numbers above 10¹⁵",
        "sign": "its answer holds a count, a size or a variance below 0",
        "matrix": "a matrix in its answer cannot come from any data",
        "precision": "its effect is more precise than any city's incidents can make it",
        "effect": "its effect is more than a factor of 20 either way",
        "outlier": "its effect is too far from those of the other cities",
        "influence": "it has no effect of its own, and changes that of all cities by more than a factor of 2",
    },
    "es": {
        "message": "su mensaje no se pudo leer",
        "fields": "su respuesta tiene otros campos o tamaños que las de las demás ciudades",
        "finite": "su respuesta contiene números que no son finitos",
        "size": "su respuesta contiene números mayores que 10¹⁵",
        "sign": "su respuesta contiene un recuento, un tamaño o una varianza menor que 0",
        "matrix": "una matriz de su respuesta no puede venir de ningún dato",
        "precision": "su efecto es más preciso de lo que permiten los incidentes de cualquier ciudad",
        "effect": "su efecto supera un factor de 20 en uno u otro sentido",
        "outlier": "su efecto está demasiado lejos de los de las demás ciudades",
        "influence": "no tiene un efecto propio y cambia el de todas las ciudades en un factor mayor que 2",
    },
    "pt": {
        "message": "a sua mensagem não pôde ser lida",
        "fields": "a sua resposta tem outros campos ou tamanhos que as das demais cidades",
        "finite": "a sua resposta contém números que não são finitos",
        "size": "a sua resposta contém números acima de 10¹⁵",
        "sign": "a sua resposta contém uma contagem, um tamanho ou uma variância abaixo de 0",
        "matrix": "uma matriz da sua resposta não pode vir de dado algum",
        "precision": "o seu efeito é mais preciso do que as ocorrências de qualquer cidade permitem",
        "effect": "o seu efeito passa de um fator de 20 num ou noutro sentido",
        "outlier": "o seu efeito está longe demais dos das demais cidades",
        "influence": "não tem efeito próprio e muda o de todas as cidades num fator acima de 2",
    },
}
"""Language → rule → why."""


def set_aside_sentences(rows: Sequence[Mapping[str, Any]], language: str) -> tuple[str, ...]:
    """One sentence a city.

    Args:
        rows: of `evalkit.core.screening.SetAside.to_dict`.
        language: of the sentences.

    Raises:
        ConfigError: an unknown language.
        KeyError: an unknown rule or action.
    """
    language = check_language(language)
    return tuple(
        ACTIONS[language][row["action"]].format(site=row["site"], why=RULES[language][row["rule"]])
        for row in rows
    )
