"""The account adds up or is refused, and a table keeps its contract."""

from __future__ import annotations

import datetime as dt
import json

import polars as pl
import pytest

from evalkit.core.frames import CAMERAS, INCIDENTS, REJECT_REASONS, Account, Contract, validate
from evalkit.errors import ReadError


def test_an_account_lists_every_reason_in_order() -> None:
    account = Account(read=5, used=2, rejected={"duplicate": 1, "missing_date": 2})
    assert list(account.rejected) == list(REJECT_REASONS)
    assert sum(account.rejected.values()) == 3
    assert json.loads(json.dumps(account.to_dict()))["rejected"]["missing_date"] == 2


@pytest.mark.parametrize(
    ("read", "used", "rejected", "message"),
    [
        (5, 2, {"duplicate": 2}, "does not add up: 5 rows read, 2 used and 2 rejected"),
        (1, 2, {"duplicate": -1}, "negative"),
        (1, 0, {"moon": 1}, "unknown reasons.*moon"),
    ],
)
def test_accounts_that_are_none(
    read: int, used: int, rejected: dict[str, int], message: str
) -> None:
    with pytest.raises(ReadError, match=message):
        Account(read=read, used=used, rejected=rejected)


def test_accounts_add_up_together() -> None:
    one = Account(read=3, used=1, rejected={"duplicate": 2})
    other = Account(read=4, used=3, rejected={"missing_date": 1})
    both = one + other
    assert (both.read, both.used) == (7, 4)
    assert both == other + one
    assert both.rejected["duplicate"] == 2


def test_an_account_does_not_change_with_the_callers_dictionary() -> None:
    rejected = {"duplicate": 1}
    account = Account(read=1, used=0, rejected=rejected)
    rejected["duplicate"] = 7
    assert account.rejected["duplicate"] == 1


def incidents(**changes: list[object]) -> pl.DataFrame:
    columns: dict[str, list[object]] = {
        "file": [0, 0],
        "row": [1, 2],
        "date": [dt.date(2020, 1, 1)] * 2,
        "hour": [3, None],
        "longitude": [-83.5, None],
        "latitude": [42.5, None],
        "area": [None, "North"],
        "crime_type": ["assault", "assault"],
        "count": [1, 1],
    }
    return pl.DataFrame({**columns, **changes}, schema=INCIDENTS.schema)


def test_a_table_that_keeps_its_contract() -> None:
    frame = incidents()
    assert validate(frame, INCIDENTS) is frame


@pytest.mark.parametrize("contract", [INCIDENTS, CAMERAS])
def test_an_empty_table_keeps_its_contract(contract: Contract) -> None:
    validate(pl.DataFrame(schema=contract.schema), contract)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"date": [None, dt.date(2020, 1, 1)]}, "1 nulls in date"),
        ({"crime_type": [None, None]}, "2 nulls in crime_type"),
        ({"hour": [24, -1]}, "1 values of hour below 0; 1 values of hour above 23"),
        ({"longitude": [-181.0, 181.0]}, "below -180; 1 values of longitude above 180"),
        ({"latitude": [float("nan"), 1.0]}, "1 values of latitude above 90 or not a number"),
        ({"row": [0, 1]}, "1 values of row below 1"),
        ({"row": [2, 2]}, r"1 rows repeat the key \(file, row\)"),
    ],
)
def test_breaches(changes: dict[str, list[object]], message: str) -> None:
    with pytest.raises(ReadError, match=message):
        validate(incidents(**changes), INCIDENTS)


def test_other_columns() -> None:
    with pytest.raises(ReadError, match="has columns"):
        validate(incidents().drop("hour"), INCIDENTS)
    with pytest.raises(ReadError, match="hour Int64"):
        validate(incidents().cast({"hour": pl.Int64}), INCIDENTS)
