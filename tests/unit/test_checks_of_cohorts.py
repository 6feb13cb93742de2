"""Checks of cohorts and of crime types that are recorded where somebody watches, on cases whose answer is known."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.core.check import CheckContext, CheckResult, context_of
from evalkit.core.discover import checks
from evalkit.core.estimate import Estimate
from evalkit.core.sensitivity import TwoWay, WithoutCohort, day_of_period
from evalkit.core.study import Window
from evalkit.core.taxonomy import CRIME_TYPES, DETECTED
from evalkit.report.checks_content import Checked, read_checks
from evalkit.report.checks_section import reason_in
from evalkit.report.wording.credibility import STOPPED
from tests.panels import study

PLAIN = CheckContext()


def single(effect: float, error: float, *left: WithoutCohort, two_way: TwoWay | None = None):
    return Estimate(
        estimator="made up",
        terms=("treated",),
        effect=np.array([effect]),
        covariance=np.array([[error**2]]),
        df=math.inf,
        level=0.95,
        contributors=("alta",),
        without_cohorts=left,
        two_way=two_way,
    )


def run(name: str, estimate: Estimate, context: CheckContext = PLAIN) -> CheckResult:
    return checks()[name](estimate, context)


def without(**effects: float) -> tuple[WithoutCohort, ...]:
    """Cohorts of ten units, with an effect without each and a standard error of 0.05."""
    return tuple(WithoutCohort(name[1:], 10.0, effect, 0.05) for name, effect in effects.items())


# ---------------------------------------------------------------- one cohort left out


def test_cohorts_that_agree_do_not_hang_on_one() -> None:
    left = without(_2018=-0.22, _2019=-0.18, _2020=-0.2)
    result = run("leave_one_cohort_out", single(-0.2, 0.04, *left))
    assert result.outcome == "passed"
    assert result.reason.endswith("is told from zero whichever cohort is left out")
    assert (result.figures["lowest"], result.figures["highest"]) == (-0.22, -0.18)


@pytest.mark.parametrize(
    ("whole", "left", "words"),
    [
        (-0.2, {"_2018": -0.02, "_2019": -0.3}, "no longer told from zero, or of the other sign"),
        (-0.2, {"_2018": 0.4, "_2019": -0.3}, "no longer told from zero, or of the other sign"),
        (-0.01, {"_2018": -0.2, "_2019": 0.01}, "told from zero only"),
    ],
)
def test_a_cohort_that_carries_or_hides_the_result_is_named(
    whole: float, left: dict[str, float], words: str
) -> None:
    result = run("leave_one_cohort_out", single(whole, 0.04, *without(**left)))
    assert result.outcome == "failed"
    assert f"it is {words}" in result.reason
    assert result.reason.endswith("without 2018")
    assert result.figures["changes"] == 1.0
    assert result.figures["without 2018"] == left["_2018"]


def test_a_cohort_of_one_unit_is_named() -> None:
    one, other = without(_2018=-0.2, _2019=-0.21)
    result = run("leave_one_cohort_out", single(-0.2, 0.04, one, replace(other, units=1.0)))
    assert result.outcome == "passed"
    assert result.reason.endswith("2019: one unit, whose own shocks pass for its effect")
    assert result.figures["single"] == 1.0


def test_one_cohort_or_none_leaves_nothing_to_leave_out() -> None:
    for left in ((), without(_2018=-0.2)):
        result = run("leave_one_cohort_out", single(-0.2, 0.04, *left))
        assert result.outcome == "not computable"
        assert "has one only" in result.reason
    broken = run("leave_one_cohort_out", single(-0.2, 0.04, *without(_1=math.nan, _2=-0.2)))
    assert broken.outcome == "not computable"


@settings(deadline=None)
@given(
    st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=6),
    st.floats(-1.0, 1.0),
    st.floats(0.01, 0.5),
)
def test_the_rule_is_that_of_cities(effects: list[float], whole: float, error: float) -> None:
    """Failed exactly if some interval excludes zero where the whole one does not, or the reverse, or turns."""
    left = [WithoutCohort(str(n), 9.0, effect, error) for n, effect in enumerate(effects)]
    result = run("leave_one_cohort_out", single(whole, error, *left))
    side = [0 if abs(e) <= 1.959963984540054 * error else math.copysign(1, e) for e in effects]
    own = 0 if abs(whole) <= 1.959963984540054 * error else math.copysign(1, whole)
    if own:
        assert (result.outcome == "failed") == any(one != own for one in side)
    else:
        assert (result.outcome == "failed") == any(side)
    assert result.figures["lowest"] == min(effects)
    again = run("leave_one_cohort_out", single(whole, error, *reversed(left)))
    assert again.outcome == result.outcome


# ---------------------------------------------------------------- two-way regression


def two_way(weight: float, after: float = -1.0, *, compared: bool = True) -> TwoWay:
    return TwoWay(
        coefficient=-0.8,
        negative=0.1 if compared else weight,
        already_treated=weight if compared else math.nan,
        without=after,
    )


@pytest.mark.parametrize("compared", [True, False])
@pytest.mark.parametrize(
    ("weight", "after", "outcome"),
    [(0.2, -1.0, "passed"), (0.51, -1.0, "failed"), (0.2, 0.3, "failed"), (0.0, 0.3, "passed")],
)
def test_two_way_regression(weight: float, after: float, outcome: str, compared: bool) -> None:
    made = two_way(weight, after, compared=compared)
    result = run("goodman_bacon", single(-0.2, 0.04, two_way=made))
    assert result.outcome == outcome
    assert "no such comparison" not in result.reason
    assert ("without them" in result.reason) == (weight > 0)
    apart = run("goodman_bacon", single(-0.2, 0.04, *without(_1=-0.2, _2=-0.2), two_way=made))
    assert apart.outcome == outcome
    assert apart.reason.endswith("this estimate makes no such comparison")


def test_a_sign_counts_only_where_the_estimate_has_one() -> None:
    turned = two_way(0.2, 0.3)
    assert run("goodman_bacon", single(-0.2, 0.04, two_way=turned)).outcome == "failed"
    assert run("goodman_bacon", single(-0.02, 0.04, two_way=turned)).outcome == "passed"


def test_without_cohorts_in_the_statistics_there_is_no_decomposition() -> None:
    result = run("goodman_bacon", single(-0.2, 0.04))
    assert result.outcome == "not computable"
    assert 'control_pool = "pooled"' in result.reason
    broken = replace(two_way(0.2), coefficient=math.inf)
    assert run("goodman_bacon", single(-0.2, 0.04, two_way=broken)).outcome == "not computable"


# ---------------------------------------------------------------- detection


def detection(types: tuple[str, ...], own: Estimate, **context: dict[str, Estimate]) -> CheckResult:
    return run("detection_effects", own, CheckContext(crime_types=types, **context))


FALL, RISE, NOTHING = single(-0.2, 0.04), single(0.3, 0.05), single(0.02, 0.05)


def test_every_type_that_is_detected_is_one_of_the_taxonomy() -> None:
    assert set(DETECTED) < set(CRIME_TYPES)
    assert "other" not in DETECTED


def test_types_that_victims_report_pass() -> None:
    result = detection(("robbery", "burglary"), FALL)
    assert result.outcome == "passed"
    assert result.figures == {"types": 2.0, "detected": 0.0}
    assert context_of(study()).crime_types == ("robbery", "theft")


def test_unknown_types_are_not_judged() -> None:
    for types in ((), ("witchcraft",)):
        assert "not known here" in detection(types, FALL).reason


def test_detected_types_that_rise_alone_fail() -> None:
    by_type = {"drugs": RISE, "robbery": NOTHING}
    result = detection(("drugs", "robbery"), FALL, by_crime_type=by_type)
    assert result.outcome == "failed"
    assert "(drugs), and no other type does" in result.reason
    # the study's own mixture is no type that victims report
    alone = detection(("drugs", "robbery"), FALL, by_crime_type={"drugs": RISE})
    assert alone.outcome == "failed"
    assert alone.reason.endswith("no other type was studied")


def test_a_rise_of_everything_is_not_detection() -> None:
    by_type = {"drugs": RISE, "robbery": RISE}
    result = detection(("drugs", "robbery"), RISE, by_crime_type=by_type)
    assert result.outcome == "passed"
    assert result.reason.endswith("but so do others")
    quiet = {"drugs": NOTHING, "robbery": FALL}
    assert detection(("drugs", "robbery"), FALL, by_crime_type=quiet).outcome == "passed"


def test_with_detected_types_only_nothing_tells_crime_from_detection() -> None:
    assert detection(("drugs",), RISE).outcome == "failed"
    lone = detection(("drugs", "disorder"), FALL)
    assert lone.outcome == "not computable"
    assert "cannot be told apart" in lone.reason
    compared = detection(("drugs",), FALL, placebo_outcomes={"burglary": NOTHING})
    assert compared.outcome == "passed"
    assert (compared.figures["watched"], compared.figures["reported"]) == (1.0, 1.0)
    risen = detection(("drugs",), RISE, placebo_outcomes={"burglary": NOTHING})
    assert risen.outcome == "failed"


def test_a_mixture_alone_is_not_told_apart() -> None:
    result = detection(("drugs", "robbery"), FALL)
    assert result.outcome == "not computable"
    assert "no estimate of these alone" in result.reason
    mixed = {"drugs, theft": RISE, "other": RISE, "not a type": RISE}
    assert detection(("drugs", "robbery"), FALL, by_crime_type=mixed) == result
    counted = replace(RISE, scale="count")
    assert "no rate ratio" in detection(("drugs",), counted).reason


def test_many_detected_types_do_not_fail_by_their_number() -> None:
    near = single(0.22, 0.1)  # p = 0.028
    by_type = {"drugs": near, "robbery": NOTHING}
    types = ("drugs", "weapons", "disorder", "robbery")
    assert detection(types, FALL, by_crime_type=by_type).outcome == "failed"
    more = {**by_type, "weapons": NOTHING, "disorder": NOTHING}
    assert detection(types, FALL, by_crime_type=more).outcome == "passed"


# ---------------------------------------------------------------- words


def spoken() -> list[CheckResult]:
    left = without(_2018=-0.02, _2019=-0.3)
    one, other = without(_2018=-0.2, _2019=-0.21)
    near = [WithoutCohort(name, 10.0, 0.01, 0.05) for name in ("2018", "2019")]
    both = {"drugs": RISE, "robbery": RISE}
    return [
        run("leave_one_cohort_out", single(-0.2, 0.04, *left)),
        run("leave_one_cohort_out", single(-0.2, 0.04, one, replace(other, units=1.0))),
        run("leave_one_cohort_out", single(-0.02, 0.04, *near)),
        run("leave_one_cohort_out", single(-0.02, 0.04, one, near[0])),
        *(
            run("goodman_bacon", single(-0.2, 0.04, *more, two_way=two_way(weight, compared=how)))
            for more in ((), left)
            for weight in (0.0, 0.6)
            for how in (True, False)
        ),
        detection(("robbery",), FALL),
        detection(("drugs",), RISE),
        detection(("drugs", "robbery"), FALL, by_crime_type=both),
        detection(("drugs", "robbery"), FALL, by_crime_type={"drugs": RISE, "theft": NOTHING}),
        detection(("drugs", "robbery"), FALL, by_crime_type={"drugs": NOTHING, "theft": FALL}),
    ]


@pytest.mark.parametrize("language", ["es", "pt"])
def test_every_reason_is_said_in_the_other_languages(language: str) -> None:
    for result in spoken():
        (one,) = read_checks({"checks": [_plain(result)]})
        said = reason_in(one, language)
        assert said != one.reason
        assert not any(word in said for word in (" the ", "nan", "{"))
        names = [key.split()[-1] for key in result.figures if key.startswith("without 20")]
        assert all(name in said for name in names)
    lacking = [
        run("leave_one_cohort_out", single(-0.2, 0.04)),
        run("leave_one_cohort_out", single(math.nan, 0.04, *without(_1=0.1, _2=0.1))),
        run("leave_one_cohort_out", single(-0.2, 0.04, *without(_1=math.nan, _2=0.1))),
        run("goodman_bacon", single(-0.2, 0.04)),
        detection((), FALL),
        detection(("drugs",), FALL),
        detection(("drugs", "robbery"), FALL),
        detection(("drugs",), replace(FALL, scale="count")),
    ]
    for result in lacking:
        assert result.outcome == "not computable"
        assert reason_in(Checked(**_plain(result)), language) == STOPPED[result.reason][language]


def _plain(result: CheckResult) -> dict[str, object]:
    return {
        "name": result.name,
        "outcome": result.outcome,
        "reason": result.reason,
        "figures": dict(result.figures),
    }


# ---------------------------------------------------------------- names of cohorts


@pytest.mark.parametrize(
    ("period", "index", "day"),
    [
        ("day", 31, "2020-02-01"),
        ("week", 2, "2020-01-15"),
        ("month", 13, "2021-02"),
        ("quarter", 3, "2020-10"),
        ("year", 2, "2022-01"),
    ],
)
def test_cohorts_are_named_by_the_day_their_period_begins(
    period: str, index: int, day: str
) -> None:
    window = Window(start=dt.date(2020, 1, 1), end=dt.date(2024, 12, 31), period=period)  # type: ignore[arg-type]  # literals come from the test
    assert day_of_period(window, index) == day
