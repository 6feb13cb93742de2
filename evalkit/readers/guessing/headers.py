"""What a column's name says about it, in the languages that portals are written in.

Names are compared without capitals, accents and separators: ``FECHA_HECHO``, ``Fecha hecho`` and
``fechaHecho`` are one. A phrase that is the whole name counts in full; each further word of the
name takes something away. Scores only rank columns of one file; values decide as well.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

__all__ = ["Role", "name_score", "normalise", "says_utc"]

Role = Literal[
    "date", "time", "id", "crime_type", "longitude", "latitude", "area", "live_date", "easting",
    "northing",
]  # fmt: skip

PER_WORD: Final = 8
"""Taken away for each word of a name beyond the phrase."""

INSIDE: Final = 25
"""Taken away when the phrase is found only with the words of the name run together."""

INSIDE_LENGTH: Final = 7
"""Letters a phrase needs to be looked for inside a run-together name."""

DEMOTED: Final = 45
"""Taken away when another word says that the column is about something else."""

_NOT_DECOMPOSED: Final = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d"})

_WORDS: Final[dict[Role, dict[int, str]]] = {
    "date": {
        100: "date of occurrence, date occurred, occurred at, occurred on, occurrence date, "
        "fecha hecho, fecha del hecho, fecha hechos, fecha de los hechos, data do fato, data fato, "
        "date des faits, date faits, tatzeit, data del fatto, gerningstidspunkt, pleegdatum, "
        "brottsdatum, 발생일시, 발생일자, 발생일, 범죄일시, 発生年月日, 发生时间, 案发时间",
        95: "occurred, date occ, incident date, incident datetime, offense date, offence date, "
        "crime date, committed at, committed on, date committed, fecha delito, fecha ocurrencia, "
        "fecha de ocurrencia, fecha incidente, fecha del incidente, fecha suceso, "
        "data ocorrencia, data da ocorrencia, dt ocorrencia, data do crime, date fait, "
        "date infraction, tatdatum, tattag, data reato, cmplnt fr dt, 사건일시, 사건일자",
        85: "datetime, date time, event date, event time, event ts, incident time, fecha hora, "
        "fecha y hora, data hora, data e hora, data e ora, datum uhrzeit, date heure, tidspunkt, "
        "tidpunkt, offense time, fecha evento",
        80: "date, fecha, data, datum, dato, 일시, 날짜, 日時, 日期",
        60: "timestamp, from date, date from, start date, begin date, start time, logged, "
        "logged at, ts, 일자, fecha inicio, data inicio, call time, created at",
    },
    "live_date": {
        100: "live date, go live date, go live, golive date, install date, installation date, "
        "date installed, installed on, activation date, fecha instalacion, fecha de instalacion, "
        "fecha activacion, fecha de activacion, fecha puesta en marcha, fecha de operacion, "
        "data instalacao, data de instalacao, data da instalacao, inicio de operacao, "
        "inicio operacao, date installation, date d installation, mise en service, "
        "date mise en service, inbetriebnahme, installationsdatum, data installazione, "
        "data attivazione, i drift fra, ibruktagning, 설치일자, 설치일, 설치년월, 설치연월, "
        "설치년월일, 운영시작일, 設置年月日, 安装日期",
        95: "installed, in service, in service date, operational since, operational date, "
        "commissioned, commissioning date, active from, active since, online since, live since, "
        "instalacion, instalacao, attivazione, installiert, aktiv seit, en service depuis, "
        "en operacion desde, ativacao, activacion, 설치년도, 설치연도, taget i brug",
        70: "start date, since, from date, fecha inicio, data inicio, inicio, date activated, "
        "opstillet, desde, seit, depuis, dal",
        50: "date, fecha, data, datum, dato, year, ano, 일자",
    },
    "time": {
        100: "time occ, time occurred, occurrence time, time of occurrence, incident time, "
        "hora hecho, hora del hecho, hora hechos, hora fato, hora do fato, hora ocorrencia, "
        "hora da ocorrencia, hora incidente, heure des faits, 발생시각, 발생시간, cmplnt fr tm",
        80: "time, hora, uhrzeit, heure, ora, klokkeslaet, klokkeslett, tijd, tid, 시각, 시간",
        60: "hour, tatzeit, stunde, horario",
    },
    "id": {
        100: "case number, case no, case id, incident number, incident id, incident no, "
        "crime reference, crime id, offense id, aktenzeichen, vorgangsnummer, sags id, sagsnummer, "
        "saksnummer, journalnummer, numero dossier, camera id, id camera, camera number, "
        "kamera id, id camara, camara id, device id, asset id, pole id, 사건번호, 관리번호, "
        "incident entry id, numero de caso, nunc",
        90: "expediente, noticia criminal, folio, radicado, protocolo, protocollo, no ocorrencia, "
        "numero ocorrencia, num bo, numero bo, boletim, numero do bo, codigo camara, cod camara, "
        "dr no, cmplnt num, complaint number, report number, record id, unique id, id caso, "
        "id hecho, address id, 접수번호",
        75: "id, identifier, asset, codigo, ocorrencia, serial number, num, no, 번호, 일련번호",
        60: "reference, ref, objectid, object id, fid, gid, globalid, row id, camera, camara, "
        "kamera, telecamera, numero, number, marker id, code",
    },
    "crime_type": {
        100: "crime type, offense type, offence type, offense category, offence category, "
        "tipo de delito, tipo delito, natureza do fato, tipo de crime, tipo crime, straftat, "
        "delikt, deliktsart, tipo reato, reato, nature des faits, type infraction, brottstyp, "
        "죄종, 죄명, 범죄유형, 범죄종류, 범죄분류, 罪名, 罪種, 案件类型",
        95: "primary type, offense, offence, crime category, delito, natureza, infraction, "
        "delitto, ofns desc, crm cd desc, misdrijf, lovbrudd, kriminalitetstype, brott",
        85: "offense description, offence description, crime description, charge description, "
        "crime, delitos, rubrica, tatbestand, conducta, forhold, gerning, delict, "
        "categoria delito, ucr description, incident category, tipo hecho, tipo de hecho",
        75: "incident type, category, charge, delito especifico, categoria, subtipo, "
        "libelle infraction, qualification, event type, call type",
        55: "modalidad, call code, type, tipo, description, descripcion, descricao, kategorie, "
        "secondary type, event, hecho, 유형",
    },
    "longitude": {
        100: "longitude, longitud, longitudine, langengrad, laengengrad, lengdegrad, langdegrad, "
        "laengdegrad, lengtegraad, geo longitude, 경도, 経度, 经度",
        95: "lon, lng, long, longitude wgs84, point longitude, coordenada longitud, geolon",
        60: "x, coord x, x coord, x coordinate, coordenada x, point x, lange, lengte, geo x, "
        "xcoord, coordx, pos x",
    },
    "latitude": {
        100: "latitude, latitud, latitudine, breitengrad, breddegrad, bredde grad, breedtegraad, "
        "geo latitude, 위도, 緯度, 纬度",
        95: "lat, latitude wgs84, point latitude, coordenada latitud, geolat",
        60: "y, coord y, y coord, y coordinate, coordenada y, point y, breite, breedte, geo y, "
        "ycoord, coordy, pos y",
    },
    "easting": {
        90: "x, easting, este, coord x, x coord, x coordinate, coordenada x, point x, xcoord, "
        "coordx, rechtswert, longitude, lon, 경도",
    },
    "northing": {
        90: "y, northing, norte, coord y, y coord, y coordinate, coordenada y, point y, ycoord, "
        "coordy, hochwert, latitude, lat, 위도",
    },
    "area": {
        90: "neighborhood, neighbourhood, community area, barrio, comuna, localidad, colonia, "
        "bairro, stadtteil, bezirk, ortsteil, arrondissement, quartier, quartiere, bydel, wijk, "
        "buurt, stadsdel, 자치구, 행정동, 관서, 경찰서",
        80: "district, police district, precinct, police precinct, distrito, beat, borough, "
        "cuadrante, alcaldia, aisp, delegacia, 관할, 구",
        60: "division, sector, zone, zona, ward, municipio, municipality, commune, kommune, kreds, "
        "area, region, regiao, circunscricao",
    },
}

_DEMOTING: Final[dict[Role, str]] = {
    "date": r"report|rptd|updat|modif|creat|enter|clos|clear|birth|receiv|publi|extract|arrest"
    r"|denuncia|registro|reporte|actualiz|nacim|corte|comunic|nascim|atualiz|melde|anzeige"
    r"|\bend\b|\bto\b|\bfin\b|\bfim\b|\bbis\b|기준|접수|등록",
    "live_date": r"updat|modif|creat|enter|publi|extract|remov|retir|decommission|inspect|maint"
    r"|\bend\b|\bfin\b|\bfim\b|baja|retiro|actualiz|atualiz|mantenim|manuten|기준|철거|점검|갱신",
    "time": r"report|rptd|updat|creat|denuncia|registro|respon|dispatch|arriv|zone|\bto\b",
    "id": r"type|tipo|code desc|name|nombre|nome|parcel|zip|postal",
    "crime_type": r"locat|place|lugar|local|weapon|arma|outcome|status|vehic|victim|premis"
    r"|method|situ|code state|장소|설치",
    "longitude": r"",
    "latitude": r"",
    "easting": r"",
    "northing": r"",
    "area": r"code|cod|descr|count|size",
}
"""Words that say a column is another one of its kind: a report is not the deed."""


def normalise(name: str) -> str:
    """Words of ``name``: lower case, accents stripped, separators one blank; Hangul kept whole."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    decomposed = unicodedata.normalize("NFKD", parted.casefold().translate(_NOT_DECOMPOSED))
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    composed = unicodedata.normalize("NFC", bare)
    return " ".join(re.findall(r"[^\W_]+", composed))


def name_score(role: Role, name: str) -> int:
    """How much ``name`` speaks for ``role``: 100 everything, 0 nothing, less: it speaks against."""
    words = normalise(name)
    score = max((_fit(words, phrase, best) for phrase, best in _PHRASES[role]), default=0)
    demoting = _DEMOTING[role]
    if demoting and re.search(demoting, words):
        score -= DEMOTED
    return score


def says_utc(name: str) -> bool:
    """Whether a column's name says that its times are in UTC."""
    return bool({"utc", "gmt", "zulu"} & set(normalise(name).split()))


def _fit(words: str, phrase: str, best: int) -> int:
    if words.replace(" ", "") == phrase.replace(" ", ""):
        return best
    if f" {phrase} " in f" {words} ":
        return max(best - PER_WORD * (len(words.split()) - len(phrase.split())), 5)
    compact = phrase.replace(" ", "")
    long_enough = len(compact) >= INSIDE_LENGTH or (len(compact) > 1 and not compact.isascii())
    if long_enough and compact in words.replace(" ", ""):
        return best - INSIDE
    return 0


_PHRASES: Final[dict[Role, tuple[tuple[str, int], ...]]] = {
    role: tuple(
        (normalise(phrase), score)
        for score, phrases in scored.items()
        for phrase in phrases.split(",")
    )
    for role, scored in _WORDS.items()
}
