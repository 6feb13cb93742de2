"""How alike treated units and controls were before the first camera, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.panel.balance import Balance

__all__ = ["balance_lines"]

UNKNOWN = "–"


def balance_lines(balance: Sequence[Balance]) -> list[str]:
    """Lines of the table, first those of all units, then those the matching kept; none without a balance.

    Columns: mean of treated units, mean of controls, their difference in standard deviations, variance ratio.
    """
    if not balance:
        return []
    rows = [("before the first camera", "treated", "controls", "difference", "variance ratio")]
    for one in balance:
        rows.append(
            _row(one.covariate, one.treated, one.control, one.difference, one.variance_ratio)
        )
        if one.matched_treated is not None:
            rows.append(
                _row(
                    f"{one.covariate}, matched",
                    one.matched_treated,
                    one.matched_control,
                    one.matched_difference,
                    one.matched_variance_ratio,
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(row[at].rjust(widths[at]) for at in range(1, 5))]
        ).rstrip()
        for row in rows
    ]


def _row(
    name: str,
    treated: float | None,
    control: float | None,
    difference: float | None,
    ratio: float | None,
) -> tuple[str, str, str, str, str]:
    return (
        f"  {name}",
        _number(treated, ".2f"),
        _number(control, ".2f"),
        _number(difference, "+.2f"),
        _number(ratio, ".2f"),
    )


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)
