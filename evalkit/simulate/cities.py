"""The simulated cities: invented towns at plausible coordinates, in real time zones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["CITIES", "DEMO", "CitySpec"]


@dataclass(frozen=True, slots=True)
class CitySpec:
    """One city.

    Attributes:
        name: site name; the city's random numbers depend on it and the seed only.
        longitude, latitude: centre, in degrees.
        portal: key of `evalkit.simulate.portals.PORTALS`.
        any_day: cameras go live on any day of a month, else on the first.
    """

    name: str
    title: str
    country: str
    time_zone: str
    longitude: float
    latitude: float
    portal: str
    any_day: bool = True


DEMO: Final = 6
"""The first six are the demo's: six portals, six zones."""

CITIES: Final[tuple[CitySpec, ...]] = (
    CitySpec("alta", "Villa Alta", "Colombia", "America/Bogota", -74.912, 5.214, "datos-abiertos"),
    CitySpec(
        "brisa",
        "Porto Brisa",
        "Brazil",
        "America/Sao_Paulo",
        -46.871,
        -22.638,
        "dados-abertos",
        False,
    ),
    CitySpec("hanbit", "Hanbit", "South Korea", "Asia/Seoul", 127.612, 36.284, "gonggong"),
    CitySpec(
        "lakeview",
        "Lakeview Falls",
        "United States",
        "America/Chicago",
        -88.417,
        42.236,
        "socrata",
        False,
    ),
    CitySpec("nordvik", "Nordvik", "Denmark", "Europe/Copenhagen", 9.714, 55.632, "nordic"),
    CitySpec(
        "palisade",
        "Palisade Bay",
        "United States",
        "America/Los_Angeles",
        -120.934,
        36.871,
        "arcgis",
    ),
    CitySpec(
        "cerro", "Cerro Pardo", "Peru", "America/Lima", -76.221, -11.387, "datos-abiertos", False
    ),
    CitySpec("duna", "Duna Larga", "Chile", "America/Santiago", -71.104, -33.912, "datos-abiertos"),
    CitySpec(
        "estero", "El Estero", "Mexico", "America/Mexico_City", -99.871, 20.318, "datos-abiertos"
    ),
    CitySpec(
        "faro",
        "Faro Viejo",
        "Argentina",
        "America/Argentina/Buenos_Aires",
        -59.213,
        -35.142,
        "datos-abiertos",
        False,
    ),
    CitySpec(
        "garza", "La Garza", "Uruguay", "America/Montevideo", -55.821, -34.317, "datos-abiertos"
    ),
    CitySpec(
        "quebrada",
        "Quebrada Honda",
        "Ecuador",
        "America/Guayaquil",
        -79.642,
        -1.871,
        "datos-abiertos",
    ),
    CitySpec(
        "volcan",
        "San Volcán",
        "Guatemala",
        "America/Guatemala",
        -90.871,
        14.913,
        "datos-abiertos",
        False,
    ),
    CitySpec(
        "enseada", "Enseada Nova", "Brazil", "America/Fortaleza", -38.913, -4.127, "dados-abertos"
    ),
    CitySpec(
        "ipe", "Ipê do Sul", "Brazil", "America/Sao_Paulo", -49.672, -24.918, "dados-abertos", False
    ),
    CitySpec(
        "restinga", "Restinga Clara", "Brazil", "America/Recife", -35.412, -8.713, "dados-abertos"
    ),
    CitySpec(
        "ribeira", "Ribeira Alta", "Portugal", "Europe/Lisbon", -8.317, 40.824, "dados-abertos"
    ),
    CitySpec("maru", "Maru", "South Korea", "Asia/Seoul", 126.873, 35.412, "gonggong", False),
    CitySpec("saebyeok", "Saebyeok", "South Korea", "Asia/Seoul", 128.714, 35.962, "gonggong"),
    CitySpec(
        "granite", "Granite Pass", "United States", "America/Denver", -105.913, 39.214, "socrata"
    ),
    CitySpec(
        "harbor",
        "Harbor Mills",
        "United States",
        "America/Detroit",
        -84.612,
        42.913,
        "socrata",
        False,
    ),
    CitySpec(
        "millbrook",
        "East Millbrook",
        "United States",
        "America/New_York",
        -74.317,
        41.562,
        "socrata",
    ),
    CitySpec("cascade", "Cascade Point", "Canada", "America/Vancouver", -121.874, 49.421, "arcgis"),
    CitySpec(
        "maple", "Maple Narrows", "Canada", "America/Toronto", -79.912, 44.318, "arcgis", False
    ),
    CitySpec("bjorka", "Björka", "Sweden", "Europe/Stockholm", 15.214, 58.871, "nordic"),
    CitySpec(
        "linden", "Lindenau am See", "Germany", "Europe/Berlin", 11.672, 52.413, "nordic", False
    ),
    CitySpec("solvik", "Solvik", "Norway", "Europe/Oslo", 10.214, 59.613, "nordic"),
    CitySpec("collina", "Collina Verde", "Italy", "Europe/Rome", 11.317, 44.862, "foglio"),
    CitySpec("laguna", "Laguna Grande", "Italy", "Europe/Rome", 12.814, 45.612, "foglio", False),
    CitySpec("dunmere", "Dunmere", "Ireland", "Europe/Dublin", -7.412, 53.217, "constabulary"),
    CitySpec(
        "wexmoor",
        "Wexmoor",
        "United Kingdom",
        "Europe/London",
        -1.871,
        52.914,
        "constabulary",
        False,
    ),
    CitySpec(
        "mangrove", "Mangrove City", "Philippines", "Asia/Manila", 121.213, 14.872, "control-room"
    ),
    CitySpec(
        "monsoon", "Monsoon Nagar", "India", "Asia/Kolkata", 77.912, 18.213, "control-room", False
    ),
    CitySpec("kuusk", "Kuuskla", "Estonia", "Europe/Tallinn", 25.871, 58.312, "registry"),
    CitySpec(
        "straits", "Straits View", "Singapore", "Asia/Singapore", 103.612, 1.613, "registry", False
    ),
)
