"""Words of the report's part about the cities together, in English, Spanish and Portuguese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evalkit.report.languages import Words
from evalkit.report.numbers import check_language

__all__ = ["TABLES", "across_words"]

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "influence_heading": "If one city were left out",
        "influence_line": "Without any one city the change lies between {low} and {high}. It moves most without "
        "{city}: to {effect}.",
        "influence_marked_one": "By the usual rules of thumb (DFFITS, Cook's distance, leverage) {cities} counts as "
        "influential: look at its data first. That is no reason to leave it out.",
        "influence_marked_many": "By the usual rules of thumb (DFFITS, Cook's distance, leverage) {cities} count as "
        "influential: look at their data first. That is no reason to leave them out.",
        "influence_none": "By the usual rules of thumb (DFFITS, Cook's distance, leverage) no city counts as "
        "influential.",
        "influence_changes_one": "Whether the interval contains no effect hangs on {cities}: without it, the answer "
        "is the other one.",
        "influence_changes_many": "Whether the interval contains no effect hangs on each of {cities}: without it, the "
        "answer is the other one.",
        "without": "Left out",
        "influence_caption": "Each row is the pooled change without that city; lines are {level} intervals.",
        "influence_alt": "Forest plot of the pooled change without each city in turn, from {low} to {high}.",
        "diagnostics": "Influence in figures",
        "change_without": "Change without it",
        "residual": "Studentised residual",
        "dffits": "DFFITS",
        "cooks": "Cook's distance",
        "hat": "Leverage",
        "cumulative_heading": "City after city",
        "cumulative_line": "The pooled change of the first city by {by}, of the first two, and so on.",
        "cumulative_added": "Added",
        "cumulative_caption": "Each row adds a city, in the order of {by}; lines are {level} intervals. One interval "
        "that is looked at again and again errs more often than its level says.",
        "cumulative_alt": "Forest plot of the pooled change as cities are added in the order of {by}.",
        "bubble_heading": "The effect and {moderator}",
        "bubble_line": "Cities with more of {moderator} do not differ at random in other respects, so the line "
        "describes and does not prove. Test of the slope: p\u00a0{p}.",
        "bubble_caption": "Circles are cities, larger with more weight. The line is the meta-regression with its "
        "{level} interval, other moderators at their means.",
        "bubble_alt": "Scatter of cities' change in crime by {moderator}, with the line of a meta-regression.",
        "funnel_heading": "Do imprecise cities show larger effects?",
        "funnel_test": "Egger's test of the funnel's asymmetry: p\u00a0{p} (t with {df} degrees of freedom). A city "
        "of perfect precision would show {limit}, {level} interval {interval}.",
        "funnel_weak": "With fewer than ten cities this test can hardly find anything: a large p says nothing.",
        "funnel_untested": "The funnel's asymmetry cannot be tested with these cities.",
        "funnel_caption": "Without differences between cities, {level} of them would lie inside the dashed lines. The "
        "dotted line is Egger's. Precise cities are at the top.",
        "funnel_alt": "Funnel plot: change in crime of {count} cities by standard error.",
        "funnel_axis": "Standard error (log scale)",
        "pooled": "pooled",
    },
    "es": {
        "influence_heading": "Si faltara una ciudad",
        "influence_line": "Sin una ciudad cualquiera, el cambio queda entre {low} y {high}. Lo que más lo mueve es "
        "quitar {city}: pasa a {effect}.",
        "influence_marked_one": "Según las reglas usuales (DFFITS, distancia de Cook, palanca), {cities} cuenta como "
        "influyente: conviene mirar primero sus datos. No es motivo para excluirla.",
        "influence_marked_many": "Según las reglas usuales (DFFITS, distancia de Cook, palanca), {cities} cuentan como "
        "influyentes: conviene mirar primero sus datos. No es motivo para excluirlas.",
        "influence_none": "Según las reglas usuales (DFFITS, distancia de Cook, palanca), ninguna ciudad cuenta como "
        "influyente.",
        "influence_changes_one": "Que el intervalo contenga la ausencia de efecto depende de {cities}: sin ella, la "
        "respuesta es la contraria.",
        "influence_changes_many": "Que el intervalo contenga la ausencia de efecto depende de cada una de {cities}: "
        "sin ella, la respuesta es la contraria.",
        "without": "Sin",
        "influence_caption": "Cada fila es el cambio conjunto sin esa ciudad; las líneas son intervalos del {level}.",
        "influence_alt": "Gráfico de bosque del cambio conjunto sin cada ciudad, de {low} a {high}.",
        "diagnostics": "La influencia en cifras",
        "change_without": "Cambio sin ella",
        "residual": "Residuo studentizado",
        "dffits": "DFFITS",
        "cooks": "Distancia de Cook",
        "hat": "Palanca",
        "cumulative_heading": "Ciudad tras ciudad",
        "cumulative_line": "El cambio conjunto de la primera ciudad según {by}, de las dos primeras, y así hasta "
        "todas.",
        "cumulative_added": "Se añade",
        "cumulative_caption": "Cada fila añade una ciudad, en el orden de {by}; las líneas son intervalos del {level}. "
        "Un intervalo que se mira una y otra vez yerra más de lo que dice su nivel.",
        "cumulative_alt": "Gráfico de bosque del cambio conjunto al añadir ciudades en el orden de {by}.",
        "bubble_heading": "El efecto y {moderator}",
        "bubble_line": "Las ciudades con más {moderator} no difieren al azar en lo demás, así que la recta describe y "
        "no prueba. Contraste de la pendiente: p\u00a0{p}.",
        "bubble_caption": "Los círculos son ciudades, mayores cuanto más pesan. La recta es la metarregresión con su "
        "intervalo del {level}, los demás moderadores en su media.",
        "bubble_alt": "Dispersión del cambio en los delitos de las ciudades según {moderator}, con la recta de una "
        "metarregresión.",
        "funnel_heading": "¿Muestran efectos mayores las ciudades imprecisas?",
        "funnel_test": "Contraste de Egger de la asimetría del embudo: p\u00a0{p} (t con {df} grados de libertad). Una "
        "ciudad de precisión perfecta mostraría {limit}, intervalo del {level} {interval}.",
        "funnel_weak": "Con menos de diez ciudades este contraste apenas puede hallar nada: una p grande no dice nada.",
        "funnel_untested": "La asimetría del embudo no puede contrastarse con estas ciudades.",
        "funnel_caption": "Sin diferencias entre ciudades, el {level} de ellas estaría entre las líneas discontinuas. "
        "La de puntos es la de Egger. Arriba están las ciudades precisas.",
        "funnel_alt": "Gráfico de embudo: cambio en los delitos de {count} ciudades según su error típico.",
        "funnel_axis": "Error típico (escala logarítmica)",
        "pooled": "conjunto",
    },
    "pt": {
        "influence_heading": "Se faltasse uma cidade",
        "influence_line": "Sem uma cidade qualquer, a mudança fica entre {low} e {high}. O que mais a move é retirar "
        "{city}: passa a {effect}.",
        "influence_marked_one": "Pelas regras habituais (DFFITS, distância de Cook, alavancagem), {cities} conta como "
        "influente: convém ver primeiro os seus dados. Não é motivo para a excluir.",
        "influence_marked_many": "Pelas regras habituais (DFFITS, distância de Cook, alavancagem), {cities} contam "
        "como influentes: convém ver primeiro os seus dados. Não é motivo para as excluir.",
        "influence_none": "Pelas regras habituais (DFFITS, distância de Cook, alavancagem), nenhuma cidade conta como "
        "influente.",
        "influence_changes_one": "Que o intervalo contenha a ausência de efeito depende de {cities}: sem ela, a "
        "resposta é a oposta.",
        "influence_changes_many": "Que o intervalo contenha a ausência de efeito depende de cada uma de {cities}: sem "
        "ela, a resposta é a oposta.",
        "without": "Sem",
        "influence_caption": "Cada linha é a mudança conjunta sem essa cidade; os traços são intervalos de {level}.",
        "influence_alt": "Gráfico de floresta da mudança conjunta sem cada cidade, de {low} a {high}.",
        "diagnostics": "A influência em números",
        "change_without": "Mudança sem ela",
        "residual": "Resíduo studentizado",
        "dffits": "DFFITS",
        "cooks": "Distância de Cook",
        "hat": "Alavancagem",
        "cumulative_heading": "Cidade após cidade",
        "cumulative_line": "A mudança conjunta da primeira cidade por {by}, das duas primeiras, e assim até todas.",
        "cumulative_added": "Acrescenta-se",
        "cumulative_caption": "Cada linha acrescenta uma cidade, pela ordem de {by}; os traços são intervalos de "
        "{level}. Um intervalo que se olha vezes sem conta erra mais do que diz o seu nível.",
        "cumulative_alt": "Gráfico de floresta da mudança conjunta à medida que se juntam cidades pela ordem de {by}.",
        "bubble_heading": "O efeito e {moderator}",
        "bubble_line": "As cidades com mais {moderator} não diferem ao acaso no resto, por isso a reta descreve e não "
        "prova. Teste do declive: p\u00a0{p}.",
        "bubble_caption": "Os círculos são cidades, maiores quanto mais pesam. A reta é a metarregressão com o seu "
        "intervalo de {level}, os outros moderadores na sua média.",
        "bubble_alt": "Dispersão da mudança nos crimes das cidades por {moderator}, com a reta de uma "
        "metarregressão.",
        "funnel_heading": "As cidades imprecisas mostram efeitos maiores?",
        "funnel_test": "Teste de Egger da assimetria do funil: p\u00a0{p} (t com {df} graus de liberdade). Uma cidade "
        "de precisão perfeita mostraria {limit}, intervalo de {level} {interval}.",
        "funnel_weak": "Com menos de dez cidades este teste mal consegue encontrar algo: um p grande não diz nada.",
        "funnel_untested": "A assimetria do funil não pode ser testada com estas cidades.",
        "funnel_caption": "Sem diferenças entre cidades, {level} delas ficariam entre as linhas tracejadas. A "
        "pontilhada é a de Egger. As cidades precisas estão em cima.",
        "funnel_alt": "Gráfico de funil: mudança nos crimes de {count} cidades por erro-padrão.",
        "funnel_axis": "Erro-padrão (escala logarítmica)",
        "pooled": "conjunto",
    },
}
"""Language → key → words."""


def across_words(language: str) -> Words:
    """The words of a language.

    Raises:
        ConfigError: it has no table.
    """
    return Words(language, TABLES[check_language(language)])
