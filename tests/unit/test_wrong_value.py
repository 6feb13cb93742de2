"""Values that a file cannot hold: where, what would be right, and nothing in the library's own words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from evalkit.config import Site, parse_toml
from evalkit.core.study import Study
from evalkit.core.wrong_value import FORMS, wrong_value
from evalkit.errors import ConfigError

STUDY = """
name = "plain"
title = "Plain"
[window]
start = 2020-01-01
end = 2021-12-31
[units]
kind = "grid"
[outcome]
crime_types = ["robbery"]
"""
SITE = """
name = "alta"
[city]
title = "Alta"
time_zone = "America/Quito"
bounds = [-79.0, -3.0, -78.0, -2.0]
[incidents]
files = ["a.csv"]
"""
RAW = re.compile(r"Invalid|Expected `|got `|RFC|regex|`\$|\bstr\b|\bint\b|array|enum")


def error_of(text: str, kind: type) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_toml(text, kind, where="a.toml")
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "what", "where", "limit"),
    [
        ('kind = "grid"', 'kind = "cell"', "kind cannot be 'cell'", "[units] kind", '"catchment"'),
        ('name = "plain"', 'name = "Ä"', "not written as it must be", "name", "small letters"),
        ('name = "plain"', "name = 3", "name is a whole number", "name", "a text in quotes"),
        (
            "start = 2020-01-01",
            'start = "May"',
            "start is not a day",
            "[window] start",
            "2020-01-31",
        ),
        ('"grid"', '"grid"\nradius_m = nan', "out of range", "[units] radius_m", "number above 0"),
        ('"grid"', '"grid"\nradius_m = 1e9', "out of range", "[units] radius_m", "at most 50,000"),
        ('"grid"', '"grid"\nring_m = []', "wrong length", "[units] ring_m", "a list of at least 1"),
        ('"grid"', '"grid"\nring_m = "x"', "is a text", "[units] ring_m", "a number or a list"),
        ('["robbery"]', '["robbery"]\nhours = [1]', "wrong length", "[outcome] hours", "list of 2"),
        ('["robbery"]', '"theft"', "is a text", "[outcome] crime_types", "a list in brackets"),
        (
            "[outcome]",
            "[matching]\nreplacement = 1\n[outcome]",
            "replacement is a whole number",
            "[matching] replacement",
            "true or false",
        ),
        (
            "[outcome]",
            '[matching]\ncovariates = ["level", "q"]\n[outcome]',
            "covariates cannot be 'q'",
            "[matching] covariates[1]",
            'one of "level", "trend", "x", "y"',
        ),
    ],
)
def test_values_of_a_study(old: str, new: str, what: str, where: str, limit: str) -> None:
    assert old in STUDY
    error = error_of(STUDY.replace(old, new, 1), Study)
    assert what in error.what
    assert error.where == f"a.toml, {where}"
    assert limit in str(error.limit)
    assert not RAW.search(str(error))


@pytest.mark.parametrize(
    ("old", "new", "what", "where", "limit"),
    [
        ("-2.0]", '"x"]', "bounds is a text", "[city] bounds[3]", "a number"),
        (", -2.0]", "]", "wrong length", "[city] bounds", "a list of 4"),
        ('"Alta"', '"Alta"\nmoderators = {"A B" = 3}', "a key of moderators", "", "small letters"),
        ('"Alta"', '"Alta"\nmoderators = {a = [3]}', "is a list", "", "a number or a text"),
        ("files", 'format = "xls"\nfiles', "format cannot be", "[incidents] format", '"geojson"'),
    ],
)
def test_values_of_a_site(old: str, new: str, what: str, where: str, limit: str) -> None:
    assert old in SITE
    error = error_of(SITE.replace(old, new, 1), Site)
    assert what in error.what
    assert error.where == f"a.toml, {where or '[city] moderators'}"
    assert limit in str(error.limit)
    assert not RAW.search(str(error))


def test_unknown_and_missing_keys_are_named_as_before() -> None:
    unknown = error_of(STUDY.replace("kind =", "knd ="), Study)
    assert unknown.what == 'unknown key "knd" in [units]'
    assert 'did you mean "kind"?' in str(unknown.way_out)
    missing = error_of(STUDY.replace('title = "Plain"\n', ""), Study)
    assert missing.what == 'the key "title" is missing'


def literals(at: msgspec.inspect.Type, place: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """(place, values) of every key with a fixed choice, below structures only."""
    for part in at.types if isinstance(at, msgspec.inspect.UnionType) else (at,):
        if isinstance(part, msgspec.inspect.StructType):
            for field in part.fields:
                yield from literals(field.type, (*place, field.encode_name))
        elif isinstance(part, msgspec.inspect.LiteralType):
            yield place, part.values


CHOICES = list(literals(msgspec.inspect.type_info(Study)))


@pytest.mark.parametrize(("place", "values"), CHOICES, ids=[".".join(p) for p, _ in CHOICES])
def test_every_key_with_a_choice_lists_all_of_it(
    place: tuple[str, ...], values: tuple[str, ...]
) -> None:
    raw: dict[str, Any] = tomllib.loads(STUDY)
    section, key = place
    raw.setdefault(section, {})[key] = "magic"
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(raw, type=Study)
    found = wrong_value(str(caught.value), Study)
    assert found.place == f"[{section}] {key}"
    assert set(re.findall(r'"([^"]*)"', found.limit)) == set(values)


def patterns(at: msgspec.inspect.Type) -> Iterator[str]:
    match at:
        case msgspec.inspect.StructType():
            for field in at.fields:
                yield from patterns(field.type)
        case msgspec.inspect.UnionType():
            for one in at.types:
                yield from patterns(one)
        case msgspec.inspect.DictType():
            yield from patterns(at.key_type)
            yield from patterns(at.value_type)
        case msgspec.inspect.StrType() if at.pattern:
            yield at.pattern
        case _:
            return


def test_every_form_of_a_text_has_words() -> None:
    used = {one for kind in (Study, Site) for one in patterns(msgspec.inspect.type_info(kind))}
    assert used == set(FORMS)


def test_a_message_it_does_not_know_is_passed_on() -> None:
    found = wrong_value("Something else - at `$.units.kind`", Study)
    assert (found.what, found.place, found.limit) == ("Something else", "[units] kind", "")
