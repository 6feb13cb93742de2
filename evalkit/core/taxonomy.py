"""The common crime types that cities map their own categories to.

A comparison across cities needs one vocabulary. Each type is tied to the International Classification of
Crime for Statistical Purposes (ICCS, UNODC 2015), whose codes are public and translated, so that a city's
mapping can be checked by somebody who does not speak its language.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CRIME_TYPES", "DETECTED", "TAXONOMY"]

TAXONOMY: Final = "iccs-2015"
"""The taxonomy this version of evalkit knows; a site and a study must name the same one."""

CRIME_TYPES: Final[dict[str, str]] = {
    "homicide": "0101 intentional homicide",
    "assault": "0201 assaults and threats",
    "sexual_violence": "03 injurious acts of a sexual nature",
    "robbery": "0401 robbery",
    "burglary": "0501 burglary",
    "vehicle_theft": "05021 theft of a motorised land vehicle",
    "theft_from_vehicle": "05022 theft from a motorised land vehicle",
    "theft": "0502 other theft",
    "property_damage": "0504 property damage",
    "drugs": "06 acts involving controlled drugs",
    "disorder": "0802 acts against public order and decency",
    "weapons": "0901 acts involving weapons",
    "traffic": "09 other acts against public safety (road traffic)",
    "other": "11 other criminal acts",
}

DETECTED: Final[dict[str, str]] = {
    "drugs": "possession and sale have no victim who reports them: what is recorded is what somebody saw",
    "disorder": "begging, drinking, prostitution and brawls are recorded where an officer or an operator watches",
    "weapons": "carrying one is found in a search, which somebody who watches can ask for",
    "traffic": "offences of drivers are recorded where they are enforced",
}
"""Crime types whose records depend on somebody watching → why. Cameras can raise their number and not what happens.

Other types are reported by a victim or by whoever finds the damage, though with cameras more of these reports may be
believed. ``other`` is in no list: what it holds differs from city to city.
"""
