"""The bill of materials and the page of dependencies are those of the locked environment."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bill", REPOSITORY / ".ci" / "bill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bill = script()
CONTENT = json.loads(bill.BILL.read_text(encoding="utf-8"))
COMPONENTS = {one["name"]: one for one in CONTENT["components"]}


def installed(place: str) -> set[str]:
    return {
        name
        for name, one in COMPONENTS.items()
        if place in {entry["value"] for entry in one["properties"]}
    }


def test_versions_are_those_of_the_constraints() -> None:
    pinned = bill.locked()
    assert len(pinned) > len(COMPONENTS) > 50
    assert {name: one["version"] for name, one in COMPONENTS.items()} == {
        name: pinned[name] for name in COMPONENTS
    }


@pytest.mark.parametrize("place", sorted(bill.INSTALLS))
def test_it_lists_what_is_installed(place: str) -> None:
    here = bill.closure(bill.INSTALLS[place])
    missing = here - installed(place)
    assert missing == set(), "run `make bill`"
    if sys.platform == "linux" and sys.version_info < (3, 12):
        assert installed(place) == here, "run `make bill`"


def test_a_city_installs_nothing_of_the_researchers_extras() -> None:
    assert installed("city") < installed("study")
    assert {"mlflow", "matplotlib", "pandas"}.isdisjoint(installed("city"))
    assert set(bill.reasons()) <= set(COMPONENTS)


def test_every_licence_is_allowed() -> None:
    named = {
        name: [bill._text_of(one) for one in found["licenses"]]
        for name, found in COMPONENTS.items()
    }
    assert [name for name, licences in named.items() if not licences] == []
    assert {name: one for name, one in named.items() if not all(map(bill.is_allowed, one))} == {}


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("MIT AND PSF-2.0", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-2.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("LGPL-3.0-only", False),
        ("", False),
        ("License :: OSI Approved", False),
    ],
)
def test_what_is_allowed(licence: str, allowed: bool) -> None:
    assert bill.is_allowed(licence) is allowed


def test_the_page_is_that_of_the_bill() -> None:
    assert bill.PAGE.read_text(encoding="utf-8") == bill.page(CONTENT), "run `make bill`"


def test_the_bill_is_valid_and_holds_no_time_number_or_address() -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = bill.BILL.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert CONTENT["specVersion"] == "1.6"
    assert "serialNumber" not in CONTENT
    assert "timestamp" not in CONTENT["metadata"]
    assert "externalReferences" not in text
    assert "file:" not in text
    assert str(REPOSITORY) not in text
