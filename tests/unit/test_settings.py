"""Settings that an estimator does not read are told; studies that would fail later are refused at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from evalkit.cli import main
from evalkit.core import settings
from evalkit.core.discover import estimator, estimators
from evalkit.core.settings import check_askable, ignored_note, ignored_settings, settings_read
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Analysis, Checks, Specifications, Study, check_study
from evalkit.errors import ConfigError
from tests.panels import study

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-study.md"
POOLED = "random_effects"


def own(name: str) -> set[str]:
    return set(estimator(name).reads)


def guide_comments() -> dict[str, str]:
    """Key of [analysis] → the comment beside it in the how-to's whole file."""
    text = GUIDE.read_text(encoding="utf-8")
    block = text.split("[analysis]\n", 1)[1].split("\n\n", 1)[0].replace("\n" + " " * 36 + "#", "")
    lines = (re.match(r"(\w+) = .*?#(.*)", line) for line in block.splitlines())
    return {found[1]: found[2] for found in lines if found}


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("group_time_att", {"covariates": ("level",)}, "covariates (not used by group_time_att)"),
        (
            "wdd",
            {"bootstrap": 99, "covariates": ("level",)},
            "bootstrap, covariates (not used by wdd)",
        ),
        (
            "poisson_did",
            {"period_weights": "published"},
            "period_weights (not used by poisson_did)",
        ),
        ("poisson_did", {"learner": "random_forest"}, "learner (not used by poisson_did)"),
        (
            "wdd",
            {"moderators": ("population",), "subgroups": "a = b, c", "cumulative_by": "year"},
            "cumulative_by, moderators, subgroups (not used by wdd)",
        ),
        (
            POOLED,
            {"learner": "random_forest"},
            "learner (not used by random_effects over poisson_did)",
        ),
        ("poisson_did", {"method": "DL", "level": 0.9}, "method (not used by poisson_did)"),
        ("poisson_did", {"event_window": (-3, 3)}, "event_window (not used by poisson_did)"),
        ("group_time_att", {"event_window": (-3, 3)}, "event_window (not used by group_time_att)"),
    ],
)
def test_what_is_not_read_is_told(name: str, options: dict[str, object], expected: str) -> None:
    assert ignored_note(study(estimator=name, **options)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("poisson_did", {"event_window": (-3, 3), "design": "event_time"}),
        ("group_time_att", {"event_window": (-3, 3), "aggregation": "dynamic"}),
        (POOLED, {"first_stage": "counterfactual_model", "learner": "random_forest"}),
        (POOLED, {"moderators": ("population",), "bootstrap": 99}),
        ("wdd", {"displacement_controls": "none", "dispersion": "doubled", "level": 0.9}),
        ("poisson_did", {"learner": "gradient_boosting"}),  # the default, written out
    ],
)
def test_what_is_read_or_a_default_is_not_called_ignored(
    name: str, options: dict[str, object]
) -> None:
    asked = study(estimator=name, **options)  # type: ignore[arg-type]
    assert ignored_settings(asked) == ()
    assert ignored_note(asked) == ""


def test_an_estimator_that_does_not_say_is_taken_to_read_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent:
        name = "silent"

    monkeypatch.setattr(settings, "estimator", lambda _: Silent())
    assert settings_read(study(estimator="silent")) == set(Analysis.__struct_fields__)
    assert ignored_settings(study(estimator="silent", bootstrap=99)) == ()  # type: ignore[arg-type]


def test_the_guide_names_for_each_key_the_estimators_that_read_it() -> None:
    comments = guide_comments()
    assert set(comments) == set(Analysis.__struct_fields__)
    for key, comment in comments.items():
        readers = {name for name in estimators() if key in own(name)}
        if key not in {*settings.COMMON, "event_window"}:  # that one names designs
            named = set(re.findall(r"\w+", comment.split(":", 1)[0])) & set(estimators())
            assert named == readers, key


@pytest.mark.parametrize("design", ["event_time", "cohort_event_time"])
@pytest.mark.parametrize("stage", ["poisson_did"])
def test_cities_are_not_pooled_over_event_times(stage: str, design: str) -> None:
    with pytest.raises(ConfigError, match="random_effects pools one effect a city") as caught:
        check_askable(study(estimator=POOLED, first_stage=stage, design=design))
    assert 'design = "static"' in str(caught.value.way_out)


def test_a_design_that_the_first_stage_does_not_read_is_ignored_only() -> None:
    asked = study(estimator=POOLED, first_stage="rate_ratio", design="event_time")
    check_askable(asked)
    assert ignored_settings(asked) == ("design",)


@pytest.mark.parametrize("window", [(-24, 3), (-3, 24), (-500, 500)])
def test_an_event_window_beyond_the_window_is_refused(window: tuple[int, int]) -> None:
    options = {"design": "event_time", "event_window": window}
    with pytest.raises(ConfigError, match="reaches beyond the study's window"):
        check_askable(study(estimator="linear_did", **options))  # type: ignore[arg-type]
    check_askable(study(estimator="linear_did", event_window=window))  # type: ignore[arg-type]


def test_the_widest_event_window_is_allowed() -> None:
    options = {"design": "event_time", "event_window": (-23, 23)}
    check_askable(study(estimator="linear_did", **options))  # type: ignore[arg-type]


def with_specifications(plain: Study, **listed: tuple[str, ...]) -> Study:
    return msgspec.structs.replace(plain, specifications=Specifications(**listed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("listed", "what", "where"),
    [
        (("nope",), "no estimator named", r"^\[specifications\]$"),
        (("poisson_did", "nope"), "no estimator named", r"^\[specifications\] nope$"),
        (
            ("poisson_did", "random_effects/wdd"),
            "cannot be pooled",
            r"^\[specifications\] random_effects/wdd: ",
        ),
        (
            ("poisson_did", "random_effects/random_effects"),
            "its own first stage",
            r"^\[specifications\] random_effects/random_effects: ",
        ),
    ],
)
def test_specifications_that_would_fail_are_refused(
    listed: tuple[str, ...], what: str, where: str
) -> None:
    asked = with_specifications(study(), estimator=listed)
    assert len(specifications_of(asked)) == len(listed)
    with pytest.raises(ConfigError, match=what) as caught:
        check_askable(asked)
    assert re.search(where, str(caught.value.where))


def test_checks_that_would_fail_are_refused() -> None:
    asked = study(estimator="wdd", scale="count")
    check_askable(msgspec.structs.replace(asked, checks=Checks(placebo_periods=(6,))))
    with pytest.raises(ConfigError, match="before the window"):
        check_askable(msgspec.structs.replace(asked, checks=Checks(placebo_periods=(60,))))


def test_a_crime_type_is_counted_once() -> None:
    plain = study()
    twice = msgspec.structs.replace(plain.outcome, crime_types=("theft", "robbery", "theft"))
    with pytest.raises(ConfigError, match="named twice: theft"):
        check_study(msgspec.structs.replace(plain, outcome=twice))


TEXT = """
name = "plain"
title = "Plain"
[window]
start = 2020-01-01
end = 2021-12-31
[units]
kind = "catchment"
[outcome]
crime_types = ["robbery"]
[analysis]
estimator = "wdd"
bootstrap = 99
moderators = ["population"]
"""


def checked(path: Path, *options: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["study", "check", str(path), *options])
    assert ended.value.code == 0


def test_study_check_prints_what_is_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(TEXT, encoding="utf-8")
    checked(path)
    assert "Ignored:  bootstrap, moderators (not used by wdd)\n" in capsys.readouterr().out
    checked(path, "--json")
    assert json.loads(capsys.readouterr().out)["ignored"] == ["bootstrap", "moderators"]
    path.write_text(TEXT.replace('estimator = "wdd"\nbootstrap = 99\n', ""), encoding="utf-8")
    checked(path)
    assert "Ignored" not in capsys.readouterr().out
