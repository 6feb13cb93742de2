"""What is wrong with a value of a file, in words for its writer: msgspec's messages say it in its own.

Vocabulary
    place   msgspec's way to a value without its root, such as ``analysis.covariates[0]``.
    section all of a place but its last key, as TOML writes it: ``[analysis]``.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final

import msgspec

__all__ = ["WrongValue", "wrong_value"]

KINDS: Final = {
    "str": 'a text in quotes, such as "x"',
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in brackets",
    "object": "a section of its own",
    "date": "a day, such as 2020-01-31",
    "datetime": "a time",
    "null": "nothing",
}
"""msgspec's name of a type → what to write."""

COMPARED: Final = {">": "above", ">=": "at least", "<": "below", "<=": "at most"}

FORMS: Final = {
    r"^[a-z0-9][a-z0-9_.-]{0,63}$": "up to 64 small letters, digits, dots, _ and -, first a letter or digit",
    r"^[a-z0-9][a-z0-9_-]{0,63}$": "up to 64 small letters, digits, _ and -, first a letter or digit",
    r"^[a-z][a-z0-9_]{0,39}$": "up to 40 small letters, digits and _, first a letter",
    r"^ed25519:[A-Za-z0-9_-]{43}$": "a public key: ed25519: and 43 letters, digits, - and _",
}
"""Patterns of the package's own types → words."""

_PLACE: Final = re.compile(r" - at (?:(`key`) in )?`\$\.?([^`]*)`$")


@dataclass(frozen=True, slots=True)
class WrongValue:
    """The parts of an error.

    Attributes:
        what: one sentence without a full stop.
        place: section and key, such as ``[analysis] covariates[0]``; empty where ``what`` names them.
        limit: what would be right; empty where ``way_out`` says it.
        way_out: what to do.
    """

    what: str
    place: str
    limit: str
    way_out: str


def wrong_value(message: str, kind: type) -> WrongValue:
    """Read the message of a `msgspec.ValidationError` for the type it was converted to."""
    found = _PLACE.search(message)
    text, place = (message[: found.start()], found[2]) if found else (message, "")
    if unknown := re.search(r"unknown field `([^`]*)`", text):
        return _unknown(unknown[1], place, kind)
    if missing := re.search(r"missing required field `([^`]*)`", text):
        section = f" in [{place}]" if place else ""
        return WrongValue(f'the key "{missing[1]}" is missing{section}', "", "", "add it")
    key = re.sub(r"\[[^\]]*\]", "", place).rpartition(".")[2]
    if found and found[1]:
        key = f"a key of {key}"
    what, limit = _value(text, key or "the file", _type_at(kind, place))
    return WrongValue(what, _written(place), limit, "correct it")


def _unknown(key: str, place: str, kind: type) -> WrongValue:
    """A key that is none, with the nearest that is."""
    known = [field.encode_name for field in _fields(_type_at(kind, place))]
    near = difflib.get_close_matches(key, known, n=1)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    section = f" in [{place}]" if place else ""
    return WrongValue(
        f'unknown key "{key}"{section}', "", "", f"{hint}known keys: {', '.join(known)}"
    )


def _value(text: str, key: str, at: msgspec.inspect.Type | None) -> tuple[str, str]:
    """What is wrong with a value, and what would be right."""
    if enum := re.fullmatch(r"Invalid enum value (.*)", text):
        return f"{key} cannot be {enum[1]}", f"one of {', '.join(_choices(at))}"
    if re.match(r"Invalid RFC3339", text):
        return f"{key} is not a day", KINDS["date"]
    if form := re.fullmatch(r"Expected `str` matching regex '(.*)'", text):
        return f"{key} is not written as it must be", FORMS.get(form[1], f"a text like {form[1]}")
    if length := re.fullmatch(r"Expected `(array|str|object)` of length (.*)", text):
        return f"{key} has the wrong length", _length(length[1], length[2])
    if bound := re.fullmatch(r"Expected `(int|float)` ([<>]=?) (.*)", text):
        number = float(bound[3])
        return f"{key} is out of range", f"{KINDS[bound[1]]} {COMPARED[bound[2]]} {number:,.6g}"
    if other := re.fullmatch(r"Expected `([^`]*)`, got `([^`]*)`", text):
        kinds = [KINDS.get(name, name) for name in other[1].split(" | ") if name != "null"]
        return f"{key} is {KINDS.get(other[2], other[2])}", " or ".join(kinds)
    return text, ""


def _length(kind: str, length: str) -> str:
    least = re.match(r"(>=|<=)? ?(\d+)", length)
    words = {">=": "at least ", "<=": "at most "}
    count = f"{words.get(least[1], '')}{least[2]}" if least else length
    return {"array": f"a list of {count}", "str": f"a text of {count} letters"}.get(
        kind, f"{count} keys"
    )


def _written(place: str) -> str:
    """A place as its file writes it: ``[section] key``."""
    section, _, key = place.replace("[...]", "").rpartition(".")
    return f"[{section}] {key}" if section else key


def _type_at(kind: type, place: str) -> msgspec.inspect.Type | None:
    """The type of a place; None where nothing is known of it."""
    at: msgspec.inspect.Type | None = msgspec.inspect.type_info(kind)
    for part in re.findall(r"\[[^\]]*\]|[^.\[]+", place):
        at = _within(at, part)
    return at


def _within(at: msgspec.inspect.Type | None, part: str) -> msgspec.inspect.Type | None:
    """The type one step further: a key of a structure, an item of a list, a value of a table."""
    match at:
        case msgspec.inspect.UnionType():
            inner = (_within(one, part) for one in at.types)
            return next((one for one in inner if one is not None), None)
        case msgspec.inspect.StructType():
            return next((f.type for f in at.fields if f.encode_name == part), None)
        case msgspec.inspect.DictType():
            return at.value_type
        case msgspec.inspect.TupleType():
            return at.item_types[int(part[1:-1])] if part[1:-1].isdigit() else None
        case msgspec.inspect.VarTupleType() | msgspec.inspect.ListType():
            return at.item_type
        case _:
            return None


def _fields(at: msgspec.inspect.Type | None) -> tuple[msgspec.inspect.Field, ...]:
    """The keys of a structure, also of one that may be left out."""
    if isinstance(at, msgspec.inspect.UnionType):
        return next((fields for fields in map(_fields, at.types) if fields), ())
    return at.fields if isinstance(at, msgspec.inspect.StructType) else ()


def _choices(at: msgspec.inspect.Type | None) -> list[str]:
    """The values a key can have, as TOML writes them."""
    if isinstance(at, msgspec.inspect.UnionType):
        return [value for one in at.types for value in _choices(one)]
    if isinstance(at, msgspec.inspect.LiteralType):
        return [f'"{value}"' if isinstance(value, str) else str(value) for value in at.values]
    return []
