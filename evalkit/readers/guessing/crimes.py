"""A city's categories as common crime types, by words of ten languages.

The rules are tried in their order and the first that fits counts, as the special stands before the
general: a theft *from* a vehicle before the theft *of* one, both before theft. A rule without a
type leaves a category out on purpose: an accident, lost property, a deed without intent. What no
rule knows is left out too; it is for a person to map.

Where the ICCS decides, it does so against habit: taking a vehicle by force is robbery (0401), not
vehicle theft; manslaughter by negligence and an attempt are not intentional homicide (0101).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from evalkit.readers.guessing.headers import normalise

__all__ = ["Categories", "common_type", "guess_categories"]

_VEHICLE: Final = (
    r"(?:motor ?)?(?:vehic|veicul|vehicul|veicol)\w*|automo\w+|auto\w*|carros?|cars?|motos?|motoci?c?l?\w*"
    r"|kfz|pkw|kraftfahrz\w+|voitures?|bil(?:er)?|koretoj\w*|kjoretoy\w*|fordon\w*|camion\w*"
)
_HOME: Final = (
    r"residenc\w*|casas?|domicil\w*|viviendas?|habitac\w*|habitad\w*|apartament\w*|abitazion\w*"
    r"|appartament\w*|morada|finca"
)

_Rule = tuple[str | None, re.Pattern[str]]


def _rule(common: str | None, *words: str) -> _Rule:
    return common, re.compile("|".join(words))


_RULES: Final[tuple[_Rule, ...]] = (
    _rule(
        None,
        r"non ?criminal|lost property|found property|paperwork|recovered|identity",
        r"theft of services|stolen property|receiving stolen|receptac|perdida|extravio",
        r"smarrimento|hittegods|fundsache|objets trouves|suicid|분실",
    ),
    _rule("assault", r"violence and sexual offen"),
    _rule(
        "traffic",
        r"\b(?:dui|dwi|owi)\b|drunk driving|driving under|driving while|impaired driving",
        r"reckless driving|embriaguez ao volante|conduc\w+ (?:en estado|bajo|temerar)",
        r"trunkenheit im verkehr|conduite en etat|guida in stato|spirituskorsel|음주운전",
    ),
    _rule(
        "drugs",
        r"\bdrug|narco|narkot|controll?ed subst|cannabis|marijuana|cocain|heroin",
        r"estupefac|\bdrogas?\b|entorpec|betaubungsmittel|stupefian|stupefacen|opiumwet|마약",
    ),
    _rule(
        "sexual_violence",
        r"sexual|sex offen|sex crime|\brape|violac(?:ion|ao)(?! de)|estupr|vergewalt|\bviols?\b",
        r"violenza sess|voldtaegt|voldtekt|valdtakt|aanranding|verkracht|강간|성폭|추행",
    ),
    _rule(
        None,
        r"accident|acident|incidente stradal|collision|road traffic|\btraffic|transito\b",
        r"\btrafico|circulac|faerdsel|verkehr|교통",
    ),
    _rule(None, r"(?<!non )\bnegligen|involunt|culpos|imprudenc|fahrlass|colpos|uagtsom|과실"),
    _rule(
        None,
        r"(?:attempt|tentativ|tentad|intento|versuch)\w*\b.*"
        r"(?:murder|homic|omicid|mord|totschlag|meurtre|asesin|feminic)",
        r"(?:murder|homic|omicid)\w*\b.*(?:attempt|tentat|intento)|drabsforsog|mordversuch",
        r"살인 ?미수",
    ),
    _rule(
        "homicide",
        r"homicid|omicid|\bmurder|manslaughter|asesinat|assassina|feminicid|latrocin|totschlag",
        r"\bmord\b|\bmoord|doodslag|meurtre|manddrab|\bdrab\b|\bdrap\b|살인",
    ),
    _rule(
        "theft_from_vehicle",
        rf"(?:theft|larceny|stealing|property|stolen) from (?:a |an |in )?(?:{_VEHICLE})\b",
        r"from (?:a |an )?motor vehic|car prowl|vehic\w* parts|vehic\w* break|accessor",
        rf"(?:burglary|break\w*)\b.* (?:of|from|to|into) (?:a )?(?:{_VEHICLE})\b",
        rf"(?:hurto|robo|furto|roubo)\w* (?:en|desde|em|no|dentro|de objetos|al interior)\b.*"
        rf"(?:{_VEHICLE})\b",
        rf"auto ?partes|accesorios|furto su auto|diebstahl (?:aus|an) (?:{_VEHICLE})\b",
        rf"vols? (?:dans|a la roulotte|d accessoires)|tyveri fra (?:{_VEHICLE})\b|bilinbrott",
        r"차량 ?털이",
    ),
    _rule(
        "vehicle_theft",
        rf"robo\w*\b.*(?:{_VEHICLE})\b.*sin violencia",
        rf"robo (?:de |a )?(?:{_VEHICLE})\b(?!.*con violencia)",
    ),
    _rule(
        "burglary",
        r"\brobo\w*\b (?:a|en|de|con fuerza en)\b.*"
        rf"(?:{_HOME}|negocio|establecimiento|escuela|iglesia)(?!.*con violencia)",
    ),
    _rule("theft", r"\brobo\w*\b.*sin violencia|\brobo simple"),
    _rule(
        "robbery",
        r"robber|car ?jack|\bmugging|\bstick ?up|\batraco|raponazo|\basaltos?\b|\broubos?\b",
        r"\brobos?\b|\brapin|\bscipp|\braub|vols? avec (?:violence|arme)|vols? violent",
        r"vols? a main armee|\brov(?:eri|e)|\bran\b|straatroof|\boverval|beroving",
        r"강도|날치기|強盗",
    ),
    _rule(
        "vehicle_theft",
        r"(?:vehicle|auto|car|motorcycle) (?:theft|larceny)|grand theft auto|vehicle crime",
        rf"stolen (?:{_VEHICLE})\b|(?:theft|larceny|stealing) (?:of )?(?:a |an )?(?:{_VEHICLE})\b",
        r"unauthori[sz]ed (?:use|taking) of (?:a )?(?:motor )?vehic",
        rf"(?:hurto|furto)\w* (?:de |a |di |d )?(?:{_VEHICLE})\b|vols? (?:de |d )(?:{_VEHICLE})\b",
        rf"(?:{_VEHICLE}) ?diebstahl|diebstahl (?:von|eines) (?:{_VEHICLE})\b",
        rf"brugstyveri|biltyveri|bilstold|tillgrepp av (?:{_VEHICLE})\b",
        r"(?:차량|자동차|오토바이) ?절도",
    ),
    _rule(
        "burglary",
        r"burglar|break\w* (?:and|in|or|into)\b|breaking|house ?break|home invasion",
        r"unlawful entry|(?:hurto|furto)\w* (?:a|en|em|de|in|qualificado em) "
        rf"(?:una |la |uma )?(?:{_HOME})",
        r"arrombamento|einbruch|cambriol|vols? par effraction|\bindbrud|\binnbrudd|\binbrott",
        r"\binbraak|침입 ?절도",
    ),
    _rule(
        "theft",
        r"\btheft|larcen|\bsteal|shoplift|pick ?pocket|pocket picking|purse snatch|\bhurto",
        r"\bfurto|cosquilleo|borsegg|taccheg|diebstahl|\bvols?\b|tyveri|\bstold|tillgrepp",
        r"diefstal|zakkenroll|절도|소매치기|窃盗|盗窃",
    ),
    _rule(
        "assault",
        r"assault|\bbattery|wounding|bodily harm|\binjur|stabbing|shooting|aslt|\blesion",
        r"\blesao|\blesoes|agresion|agressao|\brina\b|vias de fato|threat|intimidat|amenaza",
        r"ameaca|menac|minacc|percoss|violenc|domestic (?:violen|abuse)|korperverletz|bedroh",
        r"coups|blessure|\bvold\b|trus(?:ler|sel)|misshandel|mishandel|olaga hot",
        r"폭행|상해|폭력|협박|傷害",
    ),
    _rule(
        "property_damage",
        r"criminal damage|property damage|damage to (?:property|vehic)|destruction of property",
        r"vandal|mischief|graffiti|\barson|\bdanos?\b|sachbeschad|brandstift|degradation",
        r"dannegg|haervaerk|skadeverk|skadegorelse|vernieling|손괴|방화",
    ),
    _rule(
        "weapons",
        r"weapon|firearm|\bgun (?:poss|offen|law)|porte (?:ilegal )?de (?:una )?arma",
        r"posse (?:irregular |ilegal )?de arma|(?:tenencia|portacion|fabricacion)\b.*armas?",
        r"waffengesetz|waffg|port d arme|vapenbrott|vabenlov|총포",
    ),
    _rule(
        "disorder",
        r"disorderly|public (?:order|peace|drunk|intox|nuisance)|breach of (?:the )?peace",
        r"disturb|affray|\briot|anti ?social|alteracion (?:del |al )?orden|desorden",
        r"escandalo publ|perturbac|desordem|ruhestorung|landfriedens|tapage|ordensforstyrr|소란",
    ),
)
"""Type, and the words that mean it; words of a rule on lines of their own are alternatives."""


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of a column.

    Attributes:
        mapped: category as the file writes it → common type, the commonest category first.
        left_out: categories without a type, the commonest first.
        counts: rows of the sample by category, for both.
    """

    mapped: dict[str, str]
    left_out: tuple[str, ...]
    counts: dict[str, int]

    @property
    def share(self) -> float:
        """Share of the rows with a category that are mapped."""
        total = sum(self.counts.values())
        return sum(self.counts[name] for name in self.mapped) / total if total else 0.0


def common_type(category: str) -> str | None:
    """The common type of one category, None if it has none or no rule knows it."""
    words = normalise(category)
    return next((common for common, pattern in _RULES if pattern.search(words)), None)


def guess_categories(values: pl.Series) -> Categories:
    """Map the categories of ``values``: (N,) cleaned text.

    Spellings that the reader takes for one (capitals, blanks) are one category here, under the
    commonest spelling.
    """
    counted = values.drop_nulls().value_counts(sort=True, name="rows")
    counts = _folded((str(name), int(rows)) for name, rows in counted.iter_rows())
    guesses = {name: common_type(name) for name in counts}
    return Categories(
        mapped={name: common for name, common in guesses.items() if common is not None},
        left_out=tuple(name for name, common in guesses.items() if common is None),
        counts=counts,
    )


def _folded(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    spelling: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name, rows in sorted(counted, key=lambda item: (-item[1], item[0])):
        first = spelling.setdefault(name.strip().casefold(), name)
        counts[first] = counts.get(first, 0) + rows
    return counts
