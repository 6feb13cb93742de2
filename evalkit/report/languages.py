"""Every word a report says, in English, Spanish and Portuguese: one table each, with the same keys and places.

Words of the data (city names, titles, a claim's source, notes of an estimator) are printed as they came. The
verdict's sentence comes from `evalkit.claims.wording` in the run's result.

Vocabulary
    place  a name in braces that a number or name is put into.
    _one   suffix of the singular of a key that ends in ``_many``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evalkit.report.numbers import check_language, whole

__all__ = ["TABLES", "Words", "words"]

_ENGLISH: Final[dict[str, str]] = {
    # verdicts
    "supported": "Supported",
    "contradicted": "Contradicted",
    "undecided": "Undecided",
    "placebo_heading": "A placebo",
    "placebo_line": "The cameras of {cities} enforce traffic and do not watch people. An effect there speaks against "
    "the design; none is no evidence on the claim.",
    "no_verdict": "No claim was tested",
    "no_verdict_reason": "The study estimates an effect and names no claim to hold it against.",
    # effects
    "city": "City",
    "cities_one": "{count} city",
    "cities_many": "{count} cities",
    "change_heading": "Change, % [{level} interval]",
    "weight": "Weight",
    "all_cities": "All cities together",
    "further_city": "A further city, predicted",
    "axis": "Change in crime",
    "fewer": "fewer incidents",
    "more": "more incidents",
    "claim_mark": "claim {value}",
    "no_effect": "no effect",
    "simulated_mark": "true effect in the simulation",
    "between_cities": "Differences between cities: I² {i2}, τ {tau}, Q {q} on {df} df, p\u00a0{p}",
    "forest_alt": "Forest plot of {cities}. Pooled change {effect}, {level} interval {interval}.",
    # page
    "language_name": "English",
    "other_languages": "Other languages",
    "study": "Study",
    "result_heading": "The effect",
    "effect_line": "change in crime where cameras went live, {level} interval {interval}",
    "effect_from_one": "Estimated with {estimator} from {count} city.",
    "effect_from_many": "Estimated with {estimator} from {count} cities.",
    "randomisation_line": "If cameras had changed nothing anywhere, p\u00a0{p}: Fisher's randomisation test, by "
    "re-assigning go-live dates inside each city ({count} assignments compared).",
    "randomisation_few": "There are so few ways to re-assign that p can be {p} at the least.",
    "picture_heading": "City by city",
    "picture_caption": "Squares are cities, larger with more weight; lines are {level} intervals. An arrow "
    "means that an interval goes on.",
    "table_caption": "Change in crime by city",
    "change": "Change",
    "interval_heading": "{level} interval",
    "true_change": "True change",
    "terms_heading": "Further effects",
    "terms_caption": "Further effects of the same estimate",
    "term": "Effect",
    "differences_heading": "How much cities differ",
    "i2_line": "I² = {i2}: this share of the differences between the cities' estimates is more than chance "
    "explains.",
    "tau_line": "τ = {tau}: the true effects spread around their mean with this standard deviation (log scale). "
    "About two in three cities lie between {low} and {high}.",
    "tau_zero": "τ = 0: no spread of the true effects is found beyond what chance explains. With few cities that is "
    "weak evidence that there is none.",
    "q_line": "The test of one effect common to all cities gives Q = {q} on {df} degrees of freedom, p\u00a0{p}.",
    "no_differences": "This estimate does not tell how much cities differ.",
    "prediction_line": "In a further city like these, expect a change between {low} and {high} ({level} "
    "prediction interval).",
    "prediction_zero": "That includes no effect.",
    "prediction_fall": "All of it is a fall.",
    "prediction_rise": "All of it is a rise.",
    "no_prediction": "There is no prediction for a further city. It takes three cities or more, and a model in "
    "which cities differ.",
    "claim_heading": "What the claim says",
    "claim_value": "Tested as a change of {value}, a rate ratio of {ratio}.",
    "claim_region": "By the margin fixed beforehand, anything from {low} to {high} counts as the claim.",
    "claim_also": "Its source also prints {values}.",
    "claim_setting": "Setting",
    "claim_types": "Crime types",
    "claim_source": "Source",
    "claim_uncertainty": "How uncertain the claim itself is",
    "tests_heading": "The tests in figures",
    "tests_caption": "Tests of the claim",
    "question": "Question",
    "figure": "Figure",
    "p_no_effect": "No effect at all? A small p speaks against it",
    "p_claim": "Exactly the claim? A small p speaks against every figure its source prints",
    "p_equivalent_to_claim": "Within the margin around the claim? A small p speaks for it",
    "p_equivalent_to_no_effect": "Within the margin around no effect? A small p speaks for it",
    "log_bayes_factor": "How many times better the claim predicts the data than no effect (Bayes factor)",
    "truth_heading": "The true effect",
    "truth_line": "These cities are simulated, so the answer is known: the mean change is {mean}, and {realised} "
    "in these very cities.",
    "truth_inside": "The interval contains the mean.",
    "truth_outside": "The interval does not contain the mean.",
    "left_heading": "What left the cities",
    "left_one": "{count} release, {size}, kept in the run folder byte for byte as it was sent.",
    "left_many": "{count} releases, {size} together, kept in the run folder byte for byte as they were sent.",
    "left_what": "A release holds a city's statistics after its disclosure gate, never an incident or camera "
    "record.",
    "left_missing_one": "{count} listed release is not in the folder.",
    "left_missing_many": "{count} listed releases are not in the folder.",
    "left_nothing": "The folder lists no release, so it does not show what left the cities.",
    "left_caption": "Releases by city",
    "releases": "Releases",
    "size": "Size",
    "total": "Together",
    "verify_heading": "Recompute it",
    "verify_line": "Whoever has the run folder can repeat the computation without any city's data and compare it "
    "to the last bit:",
    "hash_line": "SHA-256 of the study that the cities approved:",
    "notes_heading": "To bear in mind",
    "versions_heading": "Versions",
    "made_by": "Made by evalkit {version}.",
    # maps and series
    "treated": "treated",
    "control": "control",
    "ring": "ring, set apart",
    "always": "live from the start",
    "undated": "camera of unknown date",
    "set_apart": "set apart by the study",
    "cameras": "cameras",
    "first_live": "First camera live",
    "map_alt": "Map of {units} units by role and date of the first camera.",
    "units_one": "{count} unit",
    "units_many": "{count} units",
    "no_places": "The units have no coordinates.",
    "series_title": "Incidents per unit and period",
    "share_live": "shaded: share of treated units already live",
    "event_title": "Treated relative to control units, before = 100",
    "event_axis": "Periods since go-live",
    "after": "after {index} ({change})",
    "fading": "Larger dots: more treated units observed.",
    "not_computable": "There are no treated and control units to compare.",
    "panel_title": "Panel: {title}",
    "panel_intro": "The units that the study compares in this city. This page stays in the city.",
    "account_caption": "Where every incident went",
    "balance_caption": "Means, their difference in standard deviations, and the ratio of variances",
    "balance_title": "Treated units and controls before the first camera",
    "balance_unmatched": "Not matched: all units are compared.",
    "balance_counts": "{treated} of {all_treated} treated units matched with {controls} of {all_controls} controls. "
    "The rest is set apart.",
    "balance_before": "all units",
    "balance_after": "matched units",
    "balance_far": "more than {limit} apart: too far",
    "balance_axis": "Treated minus controls, in standard deviations",
    "balance_difference": "Difference",
    "balance_ratio": "Variance ratio",
    "balance_level": "Incidents (log)",
    "balance_trend": "Trend",
    "balance_x": "Place, to the east",
    "balance_y": "Place, to the north",
    "before_after_alt": "Incidents per unit and period in treated and control units, and their ratio by periods "
    "since go-live.",
    # a city's data account
    "density": "Incidents per square of {side}",
    "no_points": "No incident has coordinates inside the bounds.",
    "by_month": "Incidents by month",
    "no_incident_month": "month without an incident",
    "quality_alt": "Map of where incidents lie with the cameras, and incidents by month.",
    "data_title": "Data account: {title}",
    "data_intro": "What was read from this city's sources, what is used, and what was left out and why. This page "
    "stays in the city.",
    "incidents_heading": "Incidents",
    "cameras_heading": "Cameras",
    "share": "Share of rows read",
    "rows": "Rows",
    "reason": "Reason",
    "meaning": "Meaning",
    "rejected_caption": "{what}: rows left out, by reason",
    "nothing_rejected": "No row was left out.",
    "adds_up": "{read} read = {used} used + {rejected} left out.",
    "does_not_add_up": "The numbers do not add up: {read} read, {used} used, {rejected} left out. Please report it.",
    "from_to": "From {first} to {last}.",
    "no_dates": "No date is known.",
    "incidents_by_month": "Incidents by year and month",
    "cameras_by_month": "Cameras by year and month of going live",
    "year": "Year",
    "notes": "Notes",
}

_SPANISH: Final[dict[str, str]] = {
    "supported": "Respaldada",
    "contradicted": "Contradicha",
    "undecided": "Sin decidir",
    "placebo_heading": "Un placebo",
    "placebo_line": "Las cámaras de {cities} controlan el tráfico y no vigilan a personas. Un efecto allí habla en "
    "contra del diseño; su ausencia no dice nada sobre la afirmación.",
    "no_verdict": "No se contrastó ninguna afirmación",
    "no_verdict_reason": "El estudio estima un efecto y no nombra ninguna afirmación con la que contrastarlo.",
    "city": "Ciudad",
    "cities_one": "{count} ciudad",
    "cities_many": "{count} ciudades",
    "change_heading": "Cambio, % [intervalo del {level}]",
    "weight": "Peso",
    "all_cities": "Todas las ciudades",
    "further_city": "Otra ciudad, predicción",
    "axis": "Cambio en los delitos",
    "fewer": "menos incidentes",
    "more": "más incidentes",
    "claim_mark": "afirmación {value}",
    "no_effect": "sin efecto",
    "simulated_mark": "efecto verdadero en la simulación",
    "between_cities": "Diferencias entre ciudades: I² {i2}, τ {tau}, Q {q} con {df} gl, p\u00a0{p}",
    "forest_alt": "Gráfico de bosque de {cities}. Cambio conjunto {effect}, intervalo del {level} {interval}.",
    "language_name": "Español",
    "other_languages": "Otros idiomas",
    "study": "Estudio",
    "result_heading": "El efecto",
    "effect_line": "cambio en los delitos donde se pusieron cámaras, intervalo del {level} {interval}",
    "effect_from_one": "Estimado con {estimator} a partir de {count} ciudad.",
    "effect_from_many": "Estimado con {estimator} a partir de {count} ciudades.",
    "randomisation_line": "Si las cámaras no hubieran cambiado nada en ningún lugar, p\u00a0{p}: prueba de "
    "aleatorización de Fisher, reasignando las fechas de activación dentro de cada ciudad ({count} asignaciones "
    "comparadas).",
    "randomisation_few": "Hay tan pocas formas de reasignar que p puede ser {p} como mínimo.",
    "picture_heading": "Ciudad por ciudad",
    "picture_caption": "Los cuadrados son ciudades, mayores cuanto más pesan; las líneas son intervalos del "
    "{level}. Una flecha indica que el intervalo continúa.",
    "table_caption": "Cambio en los delitos por ciudad",
    "change": "Cambio",
    "interval_heading": "Intervalo del {level}",
    "true_change": "Cambio verdadero",
    "terms_heading": "Otros efectos",
    "terms_caption": "Otros efectos de la misma estimación",
    "term": "Efecto",
    "differences_heading": "Cuánto difieren las ciudades",
    "i2_line": "I² = {i2}: esta parte de las diferencias entre las estimaciones de las ciudades excede lo que "
    "explica el azar.",
    "tau_line": "τ = {tau}: los efectos verdaderos se dispersan en torno a su media con esta desviación típica "
    "(escala logarítmica). Unas dos de cada tres ciudades están entre {low} y {high}.",
    "tau_zero": "τ = 0: no se halla dispersión de los efectos verdaderos más allá de lo que explica el azar. Con "
    "pocas ciudades, eso es un indicio débil de que no la haya.",
    "q_line": "El contraste de un efecto común a todas las ciudades da Q = {q} con {df} grados de libertad, "
    "p\u00a0{p}.",
    "no_differences": "Esta estimación no dice cuánto difieren las ciudades.",
    "prediction_line": "En otra ciudad como estas cabe esperar un cambio entre {low} y {high} (intervalo de "
    "predicción del {level}).",
    "prediction_zero": "Incluye la ausencia de efecto.",
    "prediction_fall": "Todo él es un descenso.",
    "prediction_rise": "Todo él es un aumento.",
    "no_prediction": "No hay predicción para otra ciudad. Hacen falta tres ciudades o más y un modelo en el que "
    "las ciudades difieran.",
    "claim_heading": "Qué dice la afirmación",
    "claim_value": "Se contrasta como un cambio de {value}, una razón de tasas de {ratio}.",
    "claim_region": "Según el margen fijado de antemano, cuenta como la afirmación todo lo que va de {low} a {high}.",
    "claim_also": "Su fuente publica también {values}.",
    "claim_setting": "Ámbito",
    "claim_types": "Tipos de delito",
    "claim_source": "Fuente",
    "claim_uncertainty": "Qué incertidumbre tiene la propia afirmación",
    "tests_heading": "Los contrastes en cifras",
    "tests_caption": "Contrastes de la afirmación",
    "question": "Pregunta",
    "figure": "Cifra",
    "p_no_effect": "¿Ningún efecto? Una p pequeña habla en contra",
    "p_claim": "¿Exactamente la afirmación? Una p pequeña habla en contra de todas las cifras de su fuente",
    "p_equivalent_to_claim": "¿Dentro del margen en torno a la afirmación? Una p pequeña habla a favor",
    "p_equivalent_to_no_effect": "¿Dentro del margen en torno a la ausencia de efecto? Una p pequeña habla a favor",
    "log_bayes_factor": "Cuántas veces mejor predice los datos la afirmación que la ausencia de efecto (factor de "
    "Bayes)",
    "truth_heading": "El efecto verdadero",
    "truth_line": "Estas ciudades son simuladas, así que se conoce la respuesta: el cambio medio es {mean}, y "
    "{realised} en estas mismas ciudades.",
    "truth_inside": "El intervalo contiene la media.",
    "truth_outside": "El intervalo no contiene la media.",
    "left_heading": "Qué salió de las ciudades",
    "left_one": "{count} entrega, {size}, guardada en la carpeta byte por byte como se envió.",
    "left_many": "{count} entregas, {size} en total, guardadas en la carpeta byte por byte como se enviaron.",
    "left_what": "Una entrega contiene estadísticas de una ciudad tras su control de divulgación, nunca un registro "
    "de incidente o de cámara.",
    "left_missing_one": "{count} entrega de la lista no está en la carpeta.",
    "left_missing_many": "{count} entregas de la lista no están en la carpeta.",
    "left_nothing": "La carpeta no lista ninguna entrega, así que no muestra qué salió de las ciudades.",
    "left_caption": "Entregas por ciudad",
    "releases": "Entregas",
    "size": "Tamaño",
    "total": "En total",
    "verify_heading": "Recalcularlo",
    "verify_line": "Quien tenga la carpeta puede repetir el cálculo sin los datos de ninguna ciudad y compararlo "
    "hasta el último bit:",
    "hash_line": "SHA-256 del estudio que aprobaron las ciudades:",
    "notes_heading": "Para tener en cuenta",
    "versions_heading": "Versiones",
    "made_by": "Hecho con evalkit {version}.",
    "treated": "tratadas",
    "control": "control",
    "ring": "anillo, aparte",
    "always": "con cámara desde el inicio",
    "undated": "cámara sin fecha conocida",
    "set_apart": "apartadas por el estudio",
    "cameras": "cámaras",
    "first_live": "Primera cámara activa",
    "map_alt": "Mapa de {units} según su papel y la fecha de la primera cámara.",
    "units_one": "{count} unidad",
    "units_many": "{count} unidades",
    "no_places": "Las unidades no tienen coordenadas.",
    "series_title": "Incidentes por unidad y periodo",
    "share_live": "sombreado: parte de las unidades tratadas ya con cámara",
    "event_title": "Unidades tratadas respecto a las de control, antes = 100",
    "event_axis": "Periodos desde la puesta en marcha",
    "after": "después {index} ({change})",
    "fading": "Puntos mayores: más unidades tratadas observadas.",
    "not_computable": "No hay unidades tratadas y de control que comparar.",
    "panel_title": "Panel: {title}",
    "panel_intro": "Las unidades que el estudio compara en esta ciudad. Esta página se queda en la ciudad.",
    "account_caption": "Adónde fue cada incidente",
    "balance_caption": "Medias, su diferencia en desviaciones típicas y la razón de varianzas",
    "balance_title": "Unidades tratadas y controles antes de la primera cámara",
    "balance_unmatched": "Sin emparejar: se comparan todas las unidades.",
    "balance_counts": "{treated} de {all_treated} unidades tratadas emparejadas con {controls} de "
    "{all_controls} controles. El resto se aparta.",
    "balance_before": "todas",
    "balance_after": "emparejadas",
    "balance_far": "a más de {limit}: demasiado lejos",
    "balance_axis": "Tratadas menos controles, en desviaciones típicas",
    "balance_difference": "Diferencia",
    "balance_ratio": "Razón de varianzas",
    "balance_level": "Incidentes (log)",
    "balance_trend": "Tendencia",
    "balance_x": "Lugar, hacia el este",
    "balance_y": "Lugar, hacia el norte",
    "before_after_alt": "Incidentes por unidad y periodo en unidades tratadas y de control, y su razón según los "
    "periodos desde la puesta en marcha.",
    "density": "Incidentes por cuadrado de {side}",
    "no_points": "Ningún incidente tiene coordenadas dentro de los límites.",
    "by_month": "Incidentes por mes",
    "no_incident_month": "mes sin incidentes",
    "quality_alt": "Mapa de dónde están los incidentes con las cámaras, e incidentes por mes.",
    "data_title": "Cuenta de los datos: {title}",
    "data_intro": "Qué se leyó de las fuentes de esta ciudad, qué se usa, y qué se dejó fuera y por qué. Esta página "
    "no sale de la ciudad.",
    "incidents_heading": "Incidentes",
    "cameras_heading": "Cámaras",
    "share": "Parte de las filas leídas",
    "rows": "Filas",
    "reason": "Motivo",
    "meaning": "Significado",
    "rejected_caption": "{what}: filas dejadas fuera, por motivo",
    "nothing_rejected": "No se dejó fuera ninguna fila.",
    "adds_up": "{read} leídas = {used} usadas + {rejected} dejadas fuera.",
    "does_not_add_up": "Las cifras no cuadran: {read} leídas, {used} usadas, {rejected} dejadas fuera. Por favor, "
    "comuníquelo.",
    "from_to": "Del {first} al {last}.",
    "no_dates": "No se conoce ninguna fecha.",
    "incidents_by_month": "Incidentes por año y mes",
    "cameras_by_month": "Cámaras por año y mes de puesta en marcha",
    "year": "Año",
    "notes": "Notas",
}

_PORTUGUESE: Final[dict[str, str]] = {
    "supported": "Apoiada",
    "contradicted": "Contrariada",
    "undecided": "Sem decisão",
    "placebo_heading": "Um placebo",
    "placebo_line": "As câmeras de {cities} fiscalizam o trânsito e não vigiam pessoas. Um efeito ali fala contra o "
    "desenho; sua ausência nada diz sobre a afirmação.",
    "no_verdict": "Nenhuma afirmação foi testada",
    "no_verdict_reason": "O estudo estima um efeito e não indica nenhuma afirmação com que o confrontar.",
    "city": "Cidade",
    "cities_one": "{count} cidade",
    "cities_many": "{count} cidades",
    "change_heading": "Mudança, % [intervalo de {level}]",
    "weight": "Peso",
    "all_cities": "Todas as cidades",
    "further_city": "Outra cidade, predição",
    "axis": "Mudança nos crimes",
    "fewer": "menos ocorrências",
    "more": "mais ocorrências",
    "claim_mark": "afirmação {value}",
    "no_effect": "sem efeito",
    "simulated_mark": "efeito verdadeiro na simulação",
    "between_cities": "Diferenças entre cidades: I² {i2}, τ {tau}, Q {q} com {df} gl, p\u00a0{p}",
    "forest_alt": "Gráfico de floresta de {cities}. Mudança conjunta {effect}, intervalo de {level} {interval}.",
    "language_name": "Português",
    "other_languages": "Outros idiomas",
    "study": "Estudo",
    "result_heading": "O efeito",
    "effect_line": "mudança nos crimes onde entraram câmeras, intervalo de {level} {interval}",
    "effect_from_one": "Estimado com {estimator} a partir de {count} cidade.",
    "effect_from_many": "Estimado com {estimator} a partir de {count} cidades.",
    "randomisation_line": "Se as câmeras não tivessem mudado nada em lugar algum, p\u00a0{p}: teste de "
    "aleatorização de Fisher, reatribuindo as datas de ativação dentro de cada cidade ({count} atribuições "
    "comparadas).",
    "randomisation_few": "Há tão poucas formas de reatribuir que p pode ser {p} no mínimo.",
    "picture_heading": "Cidade por cidade",
    "picture_caption": "Os quadrados são cidades, maiores quanto mais pesam; as linhas são intervalos de {level}. "
    "Uma seta indica que o intervalo continua.",
    "table_caption": "Mudança nos crimes por cidade",
    "change": "Mudança",
    "interval_heading": "Intervalo de {level}",
    "true_change": "Mudança verdadeira",
    "terms_heading": "Outros efeitos",
    "terms_caption": "Outros efeitos da mesma estimativa",
    "term": "Efeito",
    "differences_heading": "Quanto as cidades diferem",
    "i2_line": "I² = {i2}: esta parte das diferenças entre as estimativas das cidades vai além do que o acaso "
    "explica.",
    "tau_line": "τ = {tau}: os efeitos verdadeiros espalham-se em torno da média com este desvio padrão (escala "
    "logarítmica). Cerca de duas em cada três cidades ficam entre {low} e {high}.",
    "tau_zero": "τ = 0: não se encontra dispersão dos efeitos verdadeiros além do que o acaso explica. Com poucas "
    "cidades, isso é um indício fraco de que não haja.",
    "q_line": "O teste de um efeito comum a todas as cidades dá Q = {q} com {df} graus de liberdade, p\u00a0{p}.",
    "no_differences": "Esta estimativa não diz quanto as cidades diferem.",
    "prediction_line": "Em outra cidade como estas, espera-se uma mudança entre {low} e {high} (intervalo de "
    "predição de {level}).",
    "prediction_zero": "Ele inclui a ausência de efeito.",
    "prediction_fall": "Todo ele é um decréscimo.",
    "prediction_rise": "Todo ele é um aumento.",
    "no_prediction": "Não há predição para outra cidade. São precisas três cidades ou mais e um modelo em que as "
    "cidades difiram.",
    "claim_heading": "O que diz a afirmação",
    "claim_value": "Testada como uma mudança de {value}, uma razão de taxas de {ratio}.",
    "claim_region": "Pela margem fixada de antemão, conta como a afirmação tudo o que vai de {low} a {high}.",
    "claim_also": "Sua fonte publica também {values}.",
    "claim_setting": "Âmbito",
    "claim_types": "Tipos de crime",
    "claim_source": "Fonte",
    "claim_uncertainty": "Que incerteza tem a própria afirmação",
    "tests_heading": "Os testes em números",
    "tests_caption": "Testes da afirmação",
    "question": "Pergunta",
    "figure": "Valor",
    "p_no_effect": "Nenhum efeito? Um p pequeno fala contra",
    "p_claim": "Exatamente a afirmação? Um p pequeno fala contra todos os valores que sua fonte publica",
    "p_equivalent_to_claim": "Dentro da margem em torno da afirmação? Um p pequeno fala a favor",
    "p_equivalent_to_no_effect": "Dentro da margem em torno da ausência de efeito? Um p pequeno fala a favor",
    "log_bayes_factor": "Quantas vezes melhor a afirmação prediz os dados do que a ausência de efeito (fator de "
    "Bayes)",
    "truth_heading": "O efeito verdadeiro",
    "truth_line": "Estas cidades são simuladas, por isso a resposta é conhecida: a mudança média é {mean}, e "
    "{realised} nestas mesmas cidades.",
    "truth_inside": "O intervalo contém a média.",
    "truth_outside": "O intervalo não contém a média.",
    "left_heading": "O que saiu das cidades",
    "left_one": "{count} entrega, {size}, guardada na pasta byte por byte como foi enviada.",
    "left_many": "{count} entregas, {size} no total, guardadas na pasta byte por byte como foram enviadas.",
    "left_what": "Uma entrega contém estatísticas de uma cidade depois do seu controle de divulgação, nunca um "
    "registro de ocorrência ou de câmera.",
    "left_missing_one": "{count} entrega da lista não está na pasta.",
    "left_missing_many": "{count} entregas da lista não estão na pasta.",
    "left_nothing": "A pasta não lista nenhuma entrega, por isso não mostra o que saiu das cidades.",
    "left_caption": "Entregas por cidade",
    "releases": "Entregas",
    "size": "Tamanho",
    "total": "No total",
    "verify_heading": "Recalcular",
    "verify_line": "Quem tiver a pasta pode repetir o cálculo sem os dados de nenhuma cidade e compará-lo até o "
    "último bit:",
    "hash_line": "SHA-256 do estudo que as cidades aprovaram:",
    "notes_heading": "A ter em conta",
    "versions_heading": "Versões",
    "made_by": "Feito com evalkit {version}.",
    "treated": "tratadas",
    "control": "controle",
    "ring": "anel, à parte",
    "always": "com câmera desde o início",
    "undated": "câmera sem data conhecida",
    "set_apart": "separadas pelo estudo",
    "cameras": "câmeras",
    "first_live": "Primeira câmera ativa",
    "map_alt": "Mapa de {units} por papel e data da primeira câmera.",
    "units_one": "{count} unidade",
    "units_many": "{count} unidades",
    "no_places": "As unidades não têm coordenadas.",
    "series_title": "Ocorrências por unidade e período",
    "share_live": "sombreado: parte das unidades tratadas já com câmera",
    "event_title": "Unidades tratadas em relação às de controle, antes = 100",
    "event_axis": "Períodos desde a ativação",
    "after": "depois {index} ({change})",
    "fading": "Pontos maiores: mais unidades tratadas observadas.",
    "not_computable": "Não há unidades tratadas e de controle para comparar.",
    "panel_title": "Painel: {title}",
    "panel_intro": "As unidades que o estudo compara nesta cidade. Esta página fica na cidade.",
    "account_caption": "Para onde foi cada ocorrência",
    "balance_caption": "Médias, sua diferença em desvios padrão e a razão de variâncias",
    "balance_title": "Unidades tratadas e controles antes da primeira câmera",
    "balance_unmatched": "Sem pareamento: todas as unidades são comparadas.",
    "balance_counts": "{treated} de {all_treated} unidades tratadas pareadas com {controls} de "
    "{all_controls} controles. O resto é separado.",
    "balance_before": "todas",
    "balance_after": "pareadas",
    "balance_far": "a mais de {limit}: longe demais",
    "balance_axis": "Tratadas menos controles, em desvios padrão",
    "balance_difference": "Diferença",
    "balance_ratio": "Razão de variâncias",
    "balance_level": "Ocorrências (log)",
    "balance_trend": "Tendência",
    "balance_x": "Lugar, para o leste",
    "balance_y": "Lugar, para o norte",
    "before_after_alt": "Ocorrências por unidade e período em unidades tratadas e de controle, e sua razão por "
    "períodos desde a ativação.",
    "density": "Ocorrências por quadrado de {side}",
    "no_points": "Nenhuma ocorrência tem coordenadas dentro dos limites.",
    "by_month": "Ocorrências por mês",
    "no_incident_month": "mês sem ocorrências",
    "quality_alt": "Mapa de onde estão as ocorrências com as câmeras, e ocorrências por mês.",
    "data_title": "Conta dos dados: {title}",
    "data_intro": "O que foi lido das fontes desta cidade, o que se usa, e o que ficou de fora e por quê. Esta página "
    "não sai da cidade.",
    "incidents_heading": "Ocorrências",
    "cameras_heading": "Câmeras",
    "share": "Parte das linhas lidas",
    "rows": "Linhas",
    "reason": "Motivo",
    "meaning": "Significado",
    "rejected_caption": "{what}: linhas deixadas de fora, por motivo",
    "nothing_rejected": "Nenhuma linha ficou de fora.",
    "adds_up": "{read} lidas = {used} usadas + {rejected} deixadas de fora.",
    "does_not_add_up": "Os números não fecham: {read} lidas, {used} usadas, {rejected} deixadas de fora. Por favor, "
    "avise.",
    "from_to": "De {first} a {last}.",
    "no_dates": "Nenhuma data é conhecida.",
    "incidents_by_month": "Ocorrências por ano e mês",
    "cameras_by_month": "Câmeras por ano e mês de ativação",
    "year": "Ano",
    "notes": "Notas",
}

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": _ENGLISH,
    "es": _SPANISH,
    "pt": _PORTUGUESE,
}
"""Language → key → words."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language."""

    language: str
    table: Mapping[str, str]

    def __call__(self, key: str, **places: str) -> str:
        """Words with their places filled. What is put in is not searched for braces."""
        return self.table[key].format_map(places)

    def count(self, key: str, number: int, **places: str) -> str:
        """Singular or plural of ``key`` with the number itself as ``{count}``."""
        form = f"{key}_one" if number == 1 else f"{key}_many"
        return self(form, count=whole(number, self.language), **places)


def words(language: str) -> Words:
    """The words of a language.

    Raises:
        ConfigError: it has no table.
    """
    return Words(language, TABLES[check_language(language)])
