"""Each estimator's privacy page shows what our attacks make of its last answer, as they come out here."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from evalkit.attacks.figure import Figure
from evalkit.attacks.known import known_sums
from evalkit.attacks.payload import Answer, attack_answer, attack_places
from evalkit.core.design import design_of
from evalkit.core.discover import estimators
from evalkit.core.study import Study
from evalkit.disclosure.told import told_by
from tests.attacks.conftest import OPTION
from tests.attacks.gated import answered
from tests.panels import city, study

PAGES = Path(__file__).resolve().parents[2] / "docs/privacy"
BEGIN = "<!-- attacks: written by pytest tests/attacks --write-attack-table -->"
END = "<!-- end of attacks -->"

EVENTS = {"design": "event_time", "event_window": (-6, 9)}
FURTHER: dict[str, dict[str, dict[str, object]]] = {
    "poisson_did": {"event_time": EVENTS},
    "linear_did": {"event_time": EVENTS},
    "group_time_att": {"pooled controls": {"control_pool": "pooled"}},
    "doubly_robust": {"pooled controls": {"control_pool": "pooled"}},
}
"""Besides what the estimator does by default."""


def lines(variant: str, asked: Study) -> list[str]:
    panel = city("alta", 1)
    question, statistics = answered(panel, asked)[-1]
    (fields,), (design,) = statistics.parts.values(), design_of(panel, asked)
    found = list(attack_answer(Answer(question, design, fields, fields)))
    known = known_sums(panel, asked, tuple(panel.unit_ids.tolist()), told_by(panel, asked), ())
    camera = attack_places(known.counts, known.treated, known.sets)
    assert camera is not None
    return [
        f"| {variant} | {one.attack} | {exact(one.figure)} | {share(one.figure)} |"
        for one in (*found, camera)
    ]


def exact(figure: Figure) -> str:
    return f"{figure.exact} of {figure.number}"


def share(figure: Figure) -> str:
    return "–" if math.isnan(figure.r_squared) else f"{figure.r_squared:.2f}"


@pytest.mark.parametrize("name", sorted(estimators()))
def test_a_page_shows_what_the_attacks_make_of_it(name: str, pytestconfig: pytest.Config) -> None:
    variants = {"default": {}, **FURTHER.get(name, {})}
    rows = [
        line
        for variant, settings in variants.items()
        for line in lines(variant, study(estimator=name, **settings))  # type: ignore[arg-type]  # settings of the study
    ]
    table = "\n".join(["| answer | attack | exact | R² |", "|---|---|---|---|", *rows])
    page = PAGES / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    assert begin, "the page has no place for it"
    shown, _, tail = rest.partition(END)
    if pytestconfig.getoption(OPTION, default=False):
        page.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{tail}", encoding="utf-8")
    else:
        assert shown.strip() == table
