"""The account of a source, and rows that tell of the same event twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from evalkit.core.frames import Account
from evalkit.quality.finding import Finding, fine, look, share, unknown

__all__ = ["CHOSEN", "account_finding", "duplicates_finding", "kept_repeats"]

CHOSEN: Final = ("unmapped_type", "other_purpose", "unmapped_area", "duplicate")
"""Reasons that follow from what the site file asks for, and not from a fault in the row."""

MANY_LOST: Final = 0.05
"""Share of faulty rows from which the rest may not stand for all."""

MANY_REPEATED: Final = 0.02
"""Share of rows equal to an earlier one that is worth a look: incidents of one hour, place and type."""

ALIKE: Final = ("date", "hour", "longitude", "latitude", "area", "crime_type")


def account_finding(source: str, account: Account) -> Finding:
    """Whether too many rows are left out because something in them is wrong.

    Args:
        source: ``incidents`` or ``cameras``.
        account: of that source.
    """
    check = f"account_{source}"
    if account.read == 0:
        return unknown(check, "no_cameras" if source == "cameras" else "no_rows")
    chosen = sum(account.rejected[reason] for reason in CHOSEN)
    faulty = sum(account.rejected.values()) - chosen
    figures: dict[str, Any] = {
        "read": account.read,
        "used": account.used,
        "faulty": faulty,
        "faulty_share": share(faulty, account.read),
        "chosen": chosen,
    }
    worst = max(
        (reason for reason in account.rejected if reason not in CHOSEN),
        key=lambda reason: account.rejected[reason],
    )
    if account.used == 0:
        return look(check, f"{check}_nothing", **figures)
    if figures["faulty_share"] >= MANY_LOST:
        return look(check, **figures, reason=worst)
    return fine(check, **figures)


def kept_repeats(rows: pl.DataFrame) -> int:
    """Rows that equal an earlier one in date, hour, place and crime type."""
    return rows.height - rows.select(ALIKE).n_unique() if rows.height else 0


def duplicates_finding(account: Account, rows: pl.DataFrame, facts: Mapping[str, bool]) -> Finding:
    """Rows left out as duplicates, and rows that are kept although they equal an earlier one.

    Args:
        account: of the incidents.
        rows: incidents that are used.
        facts: ``placed`` and ``daily``: whether rows have coordinates, and dates that tell the day. Without
            either, equal rows say nothing.
    """
    rejected = account.rejected["duplicate"]
    left: dict[str, Any] = {"rejected": rejected, "rejected_share": share(rejected, account.read)}
    if not (facts["placed"] and facts["daily"]):
        return unknown("duplicates", "coarse_rows")
    kept = kept_repeats(rows)
    figures: dict[str, Any] = {**left, "kept": kept, "kept_share": share(kept, rows.height)}
    if figures["kept_share"] >= MANY_REPEATED or left["rejected_share"] >= MANY_LOST:
        return look("duplicates", **figures)
    return fine("duplicates", **figures)
