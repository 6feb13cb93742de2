"""Words about checks of a design and effects by event time, in English, Spanish and Portuguese.

A check of `evalkit.checks` has a name, ``<check>``, and sentences for what it found, ``<check>_<case>``; English
sentences come from the check itself. What stopped a check is translated as a whole (`STOPPED`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evalkit.report.languages import Words
from evalkit.report.numbers import check_language

__all__ = ["STOPPED", "TABLES", "credibility_words"]

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "event_heading": "Before and after go-live",
        "event_caption": "Each point is the effect so many periods from go-live; its line is the {level} interval, and "
        "the grey band holds for all event times together. Before go-live no camera can have had an effect: what "
        "shows there is a difference between the groups. A hollow point is the reference, or stands for all earlier "
        "or all later periods.",
        "event_alt": "Event study: effects from {first} to {last} periods from go-live, with {level} intervals.",
        "event_axis": "Periods from go-live",
        "count_axis": "Difference in incidents",
        "go_live": "go-live",
        "interval_key": "{level} interval",
        "band_key": "{level} band for all",
        "checks_heading": "Can the design be believed?",
        "checks_caption": "Checks of the design",
        "check": "Check",
        "outcome": "Outcome",
        "reason": "Reason",
        "passed": "passed",
        "failed": "failed",
        "not_computable": "not computable",
        "pre_trend": "Same path before go-live",
        "honest_did_relative_magnitudes": "Survives drifts as large as before",
        "honest_did_smoothness": "Survives a trend that goes on",
        "small_cohorts": "Enough treated units",
        "displacement": "No displacement around",
        "heterogeneity": "Cities agree",
        "leave_one_city_out": "No city carries it alone",
        "placebo_dates": "No effect at false dates",
        "placebo_outcomes": "No effect on other crimes",
        "regression_to_the_mean": "More than a fall by chance",
        "small_study": "Imprecise cities agree",
        "goodman_bacon": "A two-way regression is not misled",
        "leave_one_cohort_out": "No cohort carries it alone",
        "detection_effects": "Not just more detection",
        "pre_trend_failed": "the effects before go-live are not all zero (joint test, p\u00a0{p})",
        "pre_trend_passed": "the effects before go-live are not told from zero (joint test, p\u00a0{p}); a trend of "
        "{slope} a period would have been found with 80\u00a0% power",
        "pre_trend_bias": " and would add {bias} to the average effect, which is {average}",
        "pre_trend_hidden": ": a trend that explains all of it could have gone unseen",
        "relative_magnitudes": "the interval of the average effect excludes zero for violations up to {breakdown} "
        "times "
        "the largest before go-live; 1 is asked for",
        "smoothness_straight": "a straight trend through the periods before go-live is enough to explain the average "
        "effect",
        "smoothness": "the interval of the average effect excludes zero for trends that bend by up to {breakdown} a "
        "period; the largest bend before go-live is {bend}",
        "cohorts_single": "{single} of {cohorts} cohorts have a single unit: nothing tells its effect from its own "
        "shocks",
        "cohorts_few": "{units} treated units are too few for a standard error",
        "cohorts_share": "{units} treated units in {cohorts} cohorts, the smallest of {smallest}; {share} are in small "
        "cohorts",
        "bacon_compared": "a static two-way regression would give {share} of its weight to comparisons with units "
        "that were treated already",
        "bacon_negative": "a static two-way regression would give effects weights below zero that sum to {weight}",
        "bacon_none": "a static two-way regression would give no effect a weight below zero",
        "bacon_coefficient": "; its coefficient is {coefficient} incidents",
        "bacon_without": ", without them {without}",
        "bacon_apart": "; this estimate makes no such comparison",
        "cohort_between": "without one cohort the effect lies between {lowest} and {highest}",
        "cohort_told": ", and is told from zero whichever cohort is left out",
        "cohort_not_told": ", and is not told from zero whichever cohort is left out",
        "cohort_lost": "; it is no longer told from zero, or of the other sign, without {cohorts}",
        "cohort_only": "; it is told from zero only without {cohorts}",
        "cohort_single": "; {cohorts}: one unit, whose own shocks pass for its effect",
        "detection_none": "the study counts no crime type whose recording depends on somebody watching",
        "detection_failed": "records that depend on somebody watching rise: {effect} [{low}, {high}], and no other "
        "type does",
        "detection_alone": "records that depend on somebody watching rise: {effect} [{low}, {high}], and no other "
        "type was studied",
        "detection_both": "records that depend on somebody watching rise: {effect} [{low}, {high}], but so do others",
        "detection_passed": "no rise of records that depend on somebody watching is told from zero; the largest is "
        "{effect} [{low}, {high}]",
        "placebo_cameras": "No effect where there is no camera",
        "placebo_dates_failing": "cameras seem to work before they are there",
        "placebo_outcomes_failing": "crimes that cameras should not move seem to move",
        "placebo_cameras_failing": "places that never had a camera seem to change with one",
        "placebo_failed": "{failing}: {effect} ({label}), p\u00a0{p} over {count} placebos",
        "placebo_passed": "no placebo is told from zero (smallest p\u00a0{p} over {count}); an effect of {widest} "
        "could hide in their intervals",
        "placebo_wide": ", no smaller than the {studied} under study",
        "not_estimated": "{labels} could not be estimated: {why}",
        "rings_rose": "crime rose around the cameras: {effect} [{low}, {high}] from {label}",
        "rings_fell": "crime fell around the cameras too: {effect} [{low}, {high}] from {label}; diffusion of "
        "benefits, or a fall of the whole area",
        "rings_none": "no ring's effect is told from zero; a rise of {highest} could hide in their intervals",
        "regression": "chosen for their counts alone the places would change by {expected} without cameras; of the "
        "effect {effect} there is {left} [{low}, {high}] left",
        "cities_alike": "the cities differ no more than by chance (Q, p\u00a0{p}); a further city's effect is expected "
        "between {low} and {high}",
        "cities_differ": "the cities differ beyond chance (I² {share}, Q, p\u00a0{p}), and a further city's effect is "
        "expected between {low} and {high}: cameras may do the opposite there",
        "cities_same_side": "the cities differ beyond chance (I² {share}, Q, p\u00a0{p}), but a further city's effect "
        "is expected between {low} and {high}, on the same side",
        "city_between": "without one city the effect lies between {lowest} and {highest}",
        "city_told": ", and is told from zero whichever city is left out",
        "city_not_told": ", and is not told from zero whichever city is left out",
        "city_lost": "; it is no longer told from zero without {cities}",
        "city_only": "; it is told from zero only without {cities}",
        "small_failed": "imprecise cities show other effects than precise ones (Egger's test, p\u00a0{p}); a city "
        "without error would show {limit}",
        "small_few": "{count} cities show no asymmetry (Egger's test, p\u00a0{p}), but fewer than 10 could not",
        "small_passed": "imprecise and precise cities agree (Egger's test, p\u00a0{p})",
        "asked_caption": "Studies that the checks ask for; a dash stands for one that could not be estimated",
        "asked_kind": "What is asked",
        "asked_label": "Where or when",
        "asked_change": "Change",
        "asked_interval": "Interval",
        "untested_heading": "The claim was not tested",
        "count_line": "incidents, compared with no cameras, {level} interval {interval}",
        "difference": "Difference in incidents",
    },
    "es": {
        "event_heading": "Antes y después de la puesta en marcha",
        "event_caption": "Cada punto es el efecto a tantos periodos de la puesta en marcha; su línea es el intervalo "
        "de {level}, y la banda gris vale para todos los periodos a la vez. Antes de la puesta en marcha ninguna "
        "cámara pudo tener efecto: lo que allí se ve es una diferencia entre los grupos. Un punto hueco es la "
        "referencia, o representa todos los periodos anteriores o posteriores.",
        "event_alt": "Estudio de eventos: efectos de {first} a {last} periodos de la puesta en marcha, con intervalos "
        "de {level}.",
        "event_axis": "Periodos desde la puesta en marcha",
        "count_axis": "Diferencia de incidentes",
        "go_live": "puesta en marcha",
        "interval_key": "intervalo de {level}",
        "band_key": "banda de {level} para todos",
        "checks_heading": "¿Es creíble el diseño?",
        "checks_caption": "Comprobaciones del diseño",
        "check": "Comprobación",
        "outcome": "Resultado",
        "reason": "Motivo",
        "passed": "superada",
        "failed": "no superada",
        "not_computable": "no calculable",
        "pre_trend": "Misma trayectoria antes",
        "honest_did_relative_magnitudes": "Resiste desvíos como los de antes",
        "honest_did_smoothness": "Resiste una tendencia que continúa",
        "small_cohorts": "Suficientes unidades tratadas",
        "displacement": "Sin desplazamiento alrededor",
        "heterogeneity": "Las ciudades concuerdan",
        "leave_one_city_out": "No depende de una sola ciudad",
        "placebo_dates": "Sin efecto en fechas falsas",
        "placebo_outcomes": "Sin efecto en otros delitos",
        "regression_to_the_mean": "Más que una baja por azar",
        "small_study": "Las ciudades imprecisas concuerdan",
        "goodman_bacon": "Una regresión de dos vías no engaña",
        "leave_one_cohort_out": "No depende de una sola cohorte",
        "detection_effects": "No es solo más detección",
        "pre_trend_failed": "los efectos anteriores a la puesta en marcha no son todos cero (contraste conjunto, "
        "p\u00a0{p})",
        "pre_trend_passed": "los efectos anteriores a la puesta en marcha no se distinguen de cero (contraste "
        "conjunto, "
        "p\u00a0{p}); una tendencia de {slope} por periodo se habría hallado con una potencia del 80\u00a0%",
        "pre_trend_bias": " y añadiría {bias} al efecto medio, que es {average}",
        "pre_trend_hidden": ": pudo pasar inadvertida una tendencia que lo explica por completo",
        "relative_magnitudes": "el intervalo del efecto medio excluye el cero con desvíos de hasta {breakdown} veces "
        "el "
        "mayor anterior a la puesta en marcha; se pide 1",
        "smoothness_straight": "una tendencia recta por los periodos anteriores a la puesta en marcha basta para "
        "explicar el efecto medio",
        "smoothness": "el intervalo del efecto medio excluye el cero con tendencias que se curvan hasta {breakdown} "
        "por "
        "periodo; la mayor curvatura anterior a la puesta en marcha es {bend}",
        "cohorts_single": "{single} de {cohorts} cohortes tienen una sola unidad: nada distingue su efecto de sus "
        "propias perturbaciones",
        "cohorts_few": "{units} unidades tratadas son muy pocas para un error típico",
        "cohorts_share": "{units} unidades tratadas en {cohorts} cohortes, la menor de {smallest}; {share} están en "
        "cohortes pequeñas",
        "bacon_compared": "una regresión estática de dos vías daría el {share} de su peso a comparaciones con "
        "unidades ya tratadas",
        "bacon_negative": "una regresión estática de dos vías daría a algunos efectos pesos negativos que suman "
        "{weight}",
        "bacon_none": "una regresión estática de dos vías no daría a ningún efecto un peso negativo",
        "bacon_coefficient": "; su coeficiente es de {coefficient} incidentes",
        "bacon_without": ", y sin ellos de {without}",
        "bacon_apart": "; esta estimación no hace tales comparaciones",
        "cohort_between": "sin una cohorte el efecto está entre {lowest} y {highest}",
        "cohort_told": ", y se distingue de cero sea cual sea la cohorte omitida",
        "cohort_not_told": ", y no se distingue de cero sea cual sea la cohorte omitida",
        "cohort_lost": "; ya no se distingue de cero, o tiene el signo contrario, sin {cohorts}",
        "cohort_only": "; solo se distingue de cero sin {cohorts}",
        "cohort_single": "; {cohorts}: una sola unidad, cuyas perturbaciones pasan por su efecto",
        "detection_none": "el estudio no cuenta ningún tipo de delito cuyo registro dependa de que alguien observe",
        "detection_failed": "los registros que dependen de que alguien observe suben: {effect} [{low}; {high}], y "
        "los de otros tipos no",
        "detection_alone": "los registros que dependen de que alguien observe suben: {effect} [{low}; {high}], y "
        "no se estudió ningún otro tipo",
        "detection_both": "los registros que dependen de que alguien observe suben: {effect} [{low}; {high}], pero "
        "también los de otros tipos",
        "detection_passed": "ninguna subida de los registros que dependen de que alguien observe se distingue de "
        "cero; la mayor es {effect} [{low}; {high}]",
        "placebo_cameras": "Sin efecto donde no hay cámara",
        "placebo_dates_failing": "las cámaras parecen actuar antes de estar",
        "placebo_outcomes_failing": "parecen cambiar delitos que las cámaras no deberían cambiar",
        "placebo_cameras_failing": "parecen cambiar lugares que nunca tuvieron cámara",
        "placebo_failed": "{failing}: {effect} ({label}), p\u00a0{p} con {count} placebos",
        "placebo_passed": "ningún placebo se distingue de cero (menor p\u00a0{p} con {count}); en sus intervalos cabe "
        "un efecto de {widest}",
        "placebo_wide": ", no menor que el estudiado, {studied}",
        "not_estimated": "no se pudo estimar {labels}: {why}",
        "rings_rose": "los delitos subieron en torno a las cámaras: {effect} [{low}; {high}] {label}",
        "rings_fell": "los delitos bajaron también en torno a las cámaras: {effect} [{low}; {high}] {label}; difusión "
        "de beneficios, o una baja de toda la zona",
        "rings_none": "ningún anillo tiene un efecto que se distinga de cero; en sus intervalos cabe una subida de "
        "{highest}",
        "regression": "elegidos solo por sus recuentos, los lugares cambiarían {expected} sin cámaras; del efecto "
        "{effect} queda {left} [{low}; {high}]",
        "cities_alike": "las ciudades no difieren más que por azar (Q, p\u00a0{p}); en otra ciudad se espera un efecto "
        "entre {low} y {high}",
        "cities_differ": "las ciudades difieren más que por azar (I² {share}, Q, p\u00a0{p}), y en otra ciudad se "
        "espera un efecto entre {low} y {high}: allí las cámaras podrían hacer lo contrario",
        "cities_same_side": "las ciudades difieren más que por azar (I² {share}, Q, p\u00a0{p}), pero en otra ciudad "
        "se espera un efecto entre {low} y {high}, del mismo lado",
        "city_between": "sin una ciudad el efecto está entre {lowest} y {highest}",
        "city_told": ", y se distingue de cero sea cual sea la ciudad omitida",
        "city_not_told": ", y no se distingue de cero sea cual sea la ciudad omitida",
        "city_lost": "; ya no se distingue de cero sin {cities}",
        "city_only": "; solo se distingue de cero sin {cities}",
        "small_failed": "las ciudades imprecisas muestran otros efectos que las precisas (prueba de Egger, "
        "p\u00a0{p}); una ciudad sin error mostraría {limit}",
        "small_few": "{count} ciudades no muestran asimetría (prueba de Egger, p\u00a0{p}), pero menos de 10 no "
        "podrían",
        "small_passed": "las ciudades imprecisas y las precisas concuerdan (prueba de Egger, p\u00a0{p})",
        "asked_caption": "Estudios que piden las comprobaciones; una raya indica que no se pudo estimar",
        "asked_kind": "Qué se pregunta",
        "asked_label": "Dónde o cuándo",
        "asked_change": "Cambio",
        "asked_interval": "Intervalo",
        "untested_heading": "La afirmación no se contrastó",
        "count_line": "incidentes, en comparación con no tener cámaras, intervalo de {level} {interval}",
        "difference": "Diferencia de incidentes",
    },
    "pt": {
        "event_heading": "Antes e depois da entrada em funcionamento",
        "event_caption": "Cada ponto é o efeito a tantos períodos da entrada em funcionamento; o seu traço é o "
        "intervalo de {level}, e a faixa cinzenta vale para todos os períodos em conjunto. Antes da entrada em "
        "funcionamento nenhuma câmara pode ter tido efeito: o que aí se vê é uma diferença entre os grupos. Um ponto "
        "vazio é a referência, ou representa todos os períodos anteriores ou posteriores.",
        "event_alt": "Estudo de eventos: efeitos de {first} a {last} períodos da entrada em funcionamento, com "
        "intervalos de {level}.",
        "event_axis": "Períodos desde a entrada em funcionamento",
        "count_axis": "Diferença de incidentes",
        "go_live": "entrada em funcionamento",
        "interval_key": "intervalo de {level}",
        "band_key": "faixa de {level} para todos",
        "checks_heading": "O desenho merece crédito?",
        "checks_caption": "Verificações do desenho",
        "check": "Verificação",
        "outcome": "Desfecho",
        "reason": "Razão",
        "passed": "passou",
        "failed": "não passou",
        "not_computable": "não calculável",
        "pre_trend": "Mesma trajetória antes",
        "honest_did_relative_magnitudes": "Resiste a desvios como os de antes",
        "honest_did_smoothness": "Resiste a uma tendência que continua",
        "small_cohorts": "Unidades tratadas suficientes",
        "displacement": "Sem deslocação em redor",
        "heterogeneity": "As cidades concordam",
        "leave_one_city_out": "Não depende de uma só cidade",
        "placebo_dates": "Sem efeito em datas falsas",
        "placebo_outcomes": "Sem efeito noutros crimes",
        "regression_to_the_mean": "Mais do que uma queda por acaso",
        "small_study": "As cidades imprecisas concordam",
        "goodman_bacon": "Uma regressão de duas vias não engana",
        "leave_one_cohort_out": "Não depende de uma só coorte",
        "detection_effects": "Não é só mais deteção",
        "pre_trend_failed": "os efeitos anteriores à entrada em funcionamento não são todos zero (teste conjunto, "
        "p\u00a0{p})",
        "pre_trend_passed": "os efeitos anteriores à entrada em funcionamento não se distinguem de zero (teste "
        "conjunto, "
        "p\u00a0{p}); uma tendência de {slope} por período teria sido encontrada com potência de 80\u00a0%",
        "pre_trend_bias": " e acrescentaria {bias} ao efeito médio, que é {average}",
        "pre_trend_hidden": ": uma tendência que o explica por inteiro pode ter passado despercebida",
        "relative_magnitudes": "o intervalo do efeito médio exclui o zero com desvios de até {breakdown} vezes o maior "
        "anterior à entrada em funcionamento; pede-se 1",
        "smoothness_straight": "uma tendência reta pelos períodos anteriores à entrada em funcionamento chega para "
        "explicar o efeito médio",
        "smoothness": "o intervalo do efeito médio exclui o zero com tendências que se curvam até {breakdown} por "
        "período; a maior curvatura anterior à entrada em funcionamento é {bend}",
        "cohorts_single": "{single} de {cohorts} coortes têm uma só unidade: nada distingue o seu efeito das suas "
        "próprias perturbações",
        "cohorts_few": "{units} unidades tratadas são muito poucas para um erro-padrão",
        "cohorts_share": "{units} unidades tratadas em {cohorts} coortes, a menor de {smallest}; {share} estão em "
        "coortes pequenas",
        "bacon_compared": "uma regressão estática de duas vias daria {share} do seu peso a comparações com "
        "unidades já tratadas",
        "bacon_negative": "uma regressão estática de duas vias daria a alguns efeitos pesos negativos que somam "
        "{weight}",
        "bacon_none": "uma regressão estática de duas vias não daria a nenhum efeito um peso negativo",
        "bacon_coefficient": "; o seu coeficiente é de {coefficient} incidentes",
        "bacon_without": ", e sem eles de {without}",
        "bacon_apart": "; esta estimativa não faz tais comparações",
        "cohort_between": "sem uma coorte o efeito fica entre {lowest} e {highest}",
        "cohort_told": ", e distingue-se de zero seja qual for a coorte omitida",
        "cohort_not_told": ", e não se distingue de zero seja qual for a coorte omitida",
        "cohort_lost": "; já não se distingue de zero, ou tem o sinal contrário, sem {cohorts}",
        "cohort_only": "; só se distingue de zero sem {cohorts}",
        "cohort_single": "; {cohorts}: uma só unidade, cujas perturbações passam pelo seu efeito",
        "detection_none": "o estudo não conta nenhum tipo de crime cujo registo dependa de alguém observar",
        "detection_failed": "os registos que dependem de alguém observar sobem: {effect} [{low}; {high}], e os de "
        "outros tipos não",
        "detection_alone": "os registos que dependem de alguém observar sobem: {effect} [{low}; {high}], e nenhum "
        "outro tipo foi estudado",
        "detection_both": "os registos que dependem de alguém observar sobem: {effect} [{low}; {high}], mas os de "
        "outros tipos também",
        "detection_passed": "nenhuma subida dos registos que dependem de alguém observar se distingue de zero; a "
        "maior é {effect} [{low}; {high}]",
        "placebo_cameras": "Sem efeito onde não há câmara",
        "placebo_dates_failing": "as câmaras parecem atuar antes de lá estarem",
        "placebo_outcomes_failing": "parecem mudar crimes que as câmaras não deviam mudar",
        "placebo_cameras_failing": "parecem mudar lugares que nunca tiveram câmara",
        "placebo_failed": "{failing}: {effect} ({label}), p\u00a0{p} com {count} placebos",
        "placebo_passed": "nenhum placebo se distingue de zero (menor p\u00a0{p} com {count}); nos seus intervalos "
        "cabe um efeito de {widest}",
        "placebo_wide": ", não menor do que o estudado, {studied}",
        "not_estimated": "não se pôde estimar {labels}: {why}",
        "rings_rose": "o crime subiu em redor das câmaras: {effect} [{low}; {high}] {label}",
        "rings_fell": "o crime desceu também em redor das câmaras: {effect} [{low}; {high}] {label}; difusão de "
        "benefícios, ou uma descida de toda a zona",
        "rings_none": "nenhum anel tem um efeito que se distinga de zero; nos seus intervalos cabe uma subida de "
        "{highest}",
        "regression": "escolhidos só pelas suas contagens, os lugares mudariam {expected} sem câmaras; do efeito "
        "{effect} fica {left} [{low}; {high}]",
        "cities_alike": "as cidades não diferem mais do que por acaso (Q, p\u00a0{p}); noutra cidade espera-se um "
        "efeito entre {low} e {high}",
        "cities_differ": "as cidades diferem mais do que por acaso (I² {share}, Q, p\u00a0{p}), e noutra cidade "
        "espera-se um efeito entre {low} e {high}: ali as câmaras podem fazer o contrário",
        "cities_same_side": "as cidades diferem mais do que por acaso (I² {share}, Q, p\u00a0{p}), mas noutra cidade "
        "espera-se um efeito entre {low} e {high}, do mesmo lado",
        "city_between": "sem uma cidade o efeito fica entre {lowest} e {highest}",
        "city_told": ", e distingue-se de zero seja qual for a cidade omitida",
        "city_not_told": ", e não se distingue de zero seja qual for a cidade omitida",
        "city_lost": "; já não se distingue de zero sem {cities}",
        "city_only": "; só se distingue de zero sem {cities}",
        "small_failed": "as cidades imprecisas mostram outros efeitos do que as precisas (teste de Egger, p\u00a0{p}); "
        "uma cidade sem erro mostraria {limit}",
        "small_few": "{count} cidades não mostram assimetria (teste de Egger, p\u00a0{p}), mas menos de 10 não "
        "poderiam",
        "small_passed": "as cidades imprecisas e as precisas concordam (teste de Egger, p\u00a0{p})",
        "asked_caption": "Estudos que as verificações pedem; um traço indica que não se pôde estimar",
        "asked_kind": "O que se pergunta",
        "asked_label": "Onde ou quando",
        "asked_change": "Mudança",
        "asked_interval": "Intervalo",
        "untested_heading": "A afirmação não foi testada",
        "count_line": "incidentes, em comparação com não haver câmaras, intervalo de {level} {interval}",
        "difference": "Diferença de incidentes",
    },
}
"""Language → key → words."""

STOPPED: Final[Mapping[str, Mapping[str, str]]] = {
    "the estimate has no effects by event time": {
        "es": "la estimación no tiene efectos por periodo",
        "pt": "a estimativa não tem efeitos por período",
    },
    "no effect is left beside the reference and the binned ends": {
        "es": "no queda ningún efecto aparte de la referencia y los extremos agrupados",
        "pt": "não resta nenhum efeito além da referência e dos extremos agrupados",
    },
    "an effect or its variance is not a finite number": {
        "es": "un efecto o su varianza no es un número finito",
        "pt": "um efeito ou a sua variância não é um número finito",
    },
    "the estimate has no effect before go-live": {
        "es": "la estimación no tiene ningún efecto anterior a la puesta en marcha",
        "pt": "a estimativa não tem nenhum efeito anterior à entrada em funcionamento",
    },
    "the estimate has no effect after go-live": {
        "es": "la estimación no tiene ningún efecto posterior a la puesta en marcha",
        "pt": "a estimativa não tem nenhum efeito posterior à entrada em funcionamento",
    },
    "the event times before go-live have gaps": {
        "es": "entre los periodos anteriores a la puesta en marcha faltan algunos",
        "pt": "entre os períodos anteriores à entrada em funcionamento faltam alguns",
    },
    "the event times have gaps": {
        "es": "entre los periodos faltan algunos",
        "pt": "entre os períodos faltam alguns",
    },
    "the effects before go-live are changes from one period to the next; honest bounds need all effects relative to "
    "one "
    'period (base_period = "universal")': {
        "es": "los efectos anteriores a la puesta en marcha son cambios de un periodo al siguiente; las cotas honestas "
        'necesitan todos los efectos respecto de un mismo periodo (base_period = "universal")',
        "pt": "os efeitos anteriores à entrada em funcionamento são mudanças de um período para o seguinte; os limites "
        'honestos precisam de todos os efeitos em relação a um mesmo período (base_period = "universal")',
    },
    "the covariance of the effects is singular: there are more effects than the clusters can tell apart, or one cannot "
    "vary": {
        "es": "la covarianza de los efectos es singular: hay más efectos de los que los conglomerados distinguen, o "
        "uno "
        "no puede variar",
        "pt": "a covariância dos efeitos é singular: há mais efeitos do que os aglomerados distinguem, ou um não pode "
        "variar",
    },
    "the average effect is not told from zero even if trends are parallel": {
        "es": "el efecto medio no se distingue de cero ni siquiera con tendencias paralelas",
        "pt": "o efeito médio não se distingue de zero nem com tendências paralelas",
    },
    "the bounds cannot be computed from these effects": {
        "es": "las cotas no se pueden calcular con estos efectos",
        "pt": "os limites não podem ser calculados com estes efeitos",
    },
    "one effect before go-live shows no bend to compare with": {
        "es": "un solo efecto anterior a la puesta en marcha no muestra curvatura con la que comparar",
        "pt": "um só efeito anterior à entrada em funcionamento não mostra curvatura com que comparar",
    },
    "the effects before go-live cannot be tested jointly": {
        "es": "los efectos anteriores a la puesta en marcha no se pueden contrastar en conjunto",
        "pt": "os efeitos anteriores à entrada em funcionamento não podem ser testados em conjunto",
    },
    "the sizes of the cohorts are not known here": {
        "es": "aquí no se conocen los tamaños de las cohortes",
        "pt": "aqui não se conhecem os tamanhos das coortes",
    },
    "the estimate has no standard error that could mislead": {
        "es": "la estimación no tiene un error típico que pueda engañar",
        "pt": "a estimativa não tem um erro-padrão que possa enganar",
    },
    "no ring around the cameras was studied": {
        "es": "no se estudió ningún anillo en torno a las cámaras",
        "pt": "nenhum anel em redor das câmaras foi estudado",
    },
    "no placebo dates were asked": {
        "es": "no se preguntó por fechas placebo",
        "pt": "não se perguntou por datas placebo",
    },
    "no placebo outcome was asked": {
        "es": "no se preguntó por ningún delito placebo",
        "pt": "não se perguntou por nenhum crime placebo",
    },
    "the change that chance leads to expect was not asked": {
        "es": "no se preguntó por el cambio que cabe esperar por azar",
        "pt": "não se perguntou pela mudança que se espera por acaso",
    },
    "the effects are numbers of incidents, not rate ratios": {
        "es": "los efectos son números de incidentes, no razones de tasas",
        "pt": "os efeitos são números de incidentes, não razões de taxas",
    },
    "the effects are numbers of incidents, which differ with the size of a city": {
        "es": "los efectos son números de incidentes, que varían con el tamaño de una ciudad",
        "pt": "os efeitos são números de incidentes, que variam com o tamanho de uma cidade",
    },
    "the estimate has effects of 0 cities; 3 are needed": {
        "es": "la estimación no tiene efectos por ciudad; hacen falta 3",
        "pt": "a estimativa não tem efeitos por cidade; são precisos 3",
    },
    "the estimate has effects of 1 cities; 3 are needed": {
        "es": "la estimación tiene el efecto de una sola ciudad; hacen falta 3",
        "pt": "a estimativa tem o efeito de uma só cidade; são precisos 3",
    },
    "the estimate has effects of 1 city; 3 are needed": {
        "es": "la estimación tiene el efecto de una sola ciudad; hacen falta 3",
        "pt": "a estimativa tem o efeito de uma só cidade; são precisos 3",
    },
    "the estimate has effects of 2 cities; 3 are needed": {
        "es": "la estimación tiene efectos de 2 ciudades; hacen falta 3",
        "pt": "a estimativa tem efeitos de 2 cidades; são precisos 3",
    },
    "a city's effect or its variance is not usable": {
        "es": "el efecto de una ciudad o su varianza no es utilizable",
        "pt": "o efeito de uma cidade ou a sua variância não é utilizável",
    },
    "the cities' effects are all the same": {
        "es": "los efectos de las ciudades son todos iguales",
        "pt": "os efeitos das cidades são todos iguais",
    },
    "the estimate is not the pooled mean of its cities, so that leaving one out tells nothing of it": {
        "es": "la estimación no es la media combinada de sus ciudades, de modo que omitir una no dice nada de ella",
        "pt": "a estimativa não é a média combinada das suas cidades, de modo que omitir uma nada diz dela",
    },
    "without one city the effects of the others are all the same": {
        "es": "sin una ciudad los efectos de las demás son todos iguales",
        "pt": "sem uma cidade os efeitos das outras são todos iguais",
    },
    "the cities are all equally precise, or lie on a line exactly": {
        "es": "todas las ciudades son igual de precisas, o están exactamente en una recta",
        "pt": "todas as cidades são igualmente precisas, ou estão exatamente numa reta",
    },
    "no placebo cameras were asked": {
        "es": "no se preguntó por cámaras placebo",
        "pt": "não se perguntou por câmaras placebo",
    },
    "no derived study has an effect with a standard error": {
        "es": "ningún estudio derivado tiene un efecto con error típico",
        "pt": "nenhum estudo derivado tem um efeito com erro-padrão",
    },
    "there is no fall told from zero that regression could explain": {
        "es": "no hay una baja que se distinga de cero y que la regresión pudiera explicar",
        "pt": "não há uma descida que se distinga de zero e que a regressão pudesse explicar",
    },
    "the expected change is one of other cities than the effect": {
        "es": "el cambio esperable es de otras ciudades que el efecto",
        "pt": "a mudança esperada é de outras cidades que o efeito",
    },
    "an effect or its variance is not usable": {
        "es": "un efecto o su varianza no es utilizable",
        "pt": "um efeito ou a sua variância não é utilizável",
    },
    "the estimate does not tell cohorts apart, or has one only": {
        "es": "la estimación no distingue cohortes, o solo tiene una",
        "pt": "a estimativa não distingue coortes, ou só tem uma",
    },
    "an effect without one cohort is not a finite number": {
        "es": "el efecto sin alguna cohorte no es un número finito",
        "pt": "o efeito sem alguma coorte não é um número finito",
    },
    "a two-way regression can be taken apart from what linear_did with event times sends, or group_time_att with "
    'control_pool = "pooled"; a multiplicative model has no such parts': {
        "es": "una regresión de dos vías se puede descomponer con lo que envía linear_did con efectos por periodo, o "
        'group_time_att con control_pool = "pooled"; un modelo multiplicativo no tiene tales partes',
        "pt": "uma regressão de duas vias pode decompor-se com o que envia linear_did com efeitos por período, ou "
        'group_time_att com control_pool = "pooled"; um modelo multiplicativo não tem tais partes',
    },
    "the two-way regression has no finite coefficient": {
        "es": "la regresión de dos vías no tiene un coeficiente finito",
        "pt": "a regressão de duas vias não tem um coeficiente finito",
    },
    "the estimate's arrays do not fit its terms": {
        "es": "los datos de la estimación no concuerdan con sus términos",
        "pt": "os dados da estimativa não condizem com os seus termos",
    },
    "the overall effect or its variance is not usable": {
        "es": "el efecto global o su varianza no es utilizable",
        "pt": "o efeito global ou a sua variância não é utilizável",
    },
    "the estimate's level or its degrees of freedom are none": {
        "es": "el nivel de la estimación o sus grados de libertad no son válidos",
        "pt": "o nível da estimativa ou os seus graus de liberdade não são válidos",
    },
    "the crime types of the study are not known here": {
        "es": "aquí no se conocen los tipos de delito del estudio",
        "pt": "aqui não se conhecem os tipos de crime do estudo",
    },
    "the estimate's level is no confidence level": {
        "es": "el nivel de la estimación no es un nivel de confianza",
        "pt": "o nível da estimativa não é um nível de confiança",
    },
    "every crime type that was studied by itself is recorded where somebody watches; without one that "
    "victims report less crime and more detection cannot be told apart": {
        "es": "todos los tipos de delito que se estudiaron por separado se registran donde alguien "
        "observa; sin uno que denuncien las víctimas no se distingue menos delito de más detección",
        "pt": "todos os tipos de crime estudados em separado são registados onde alguém observa; sem um "
        "que as vítimas denunciem não se distingue menos crime de mais deteção",
    },
    "the study counts types whose recording depends on somebody watching together with others; there is "
    "no estimate of these alone": {
        "es": "el estudio cuenta tipos cuyo registro depende de que alguien observe junto con otros; no "
        "hay una estimación de ellos solos",
        "pt": "o estudo conta tipos cujo registo depende de alguém observar juntamente com outros; não "
        "há uma estimativa só deles",
    },
    "the estimate of types recorded where somebody watches has no rate ratio with a standard error": {
        "es": "la estimación de los tipos cuyo registro depende de que alguien observe no tiene una "
        "razón de tasas con error típico",
        "pt": "a estimativa dos tipos cujo registo depende de alguém observar não tem uma razão de taxas "
        "com erro-padrão",
    },
}
"""English reason of a check that could not be computed → language → the same. Other reasons stay in English."""


def credibility_words(language: str) -> Words:
    """The words of a language.

    Raises:
        ConfigError: it has no table.
    """
    return Words(language, TABLES[check_language(language)])
