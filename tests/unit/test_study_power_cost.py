"""`evalkit study power` and `evalkit study cost` as their users meet them."""

from __future__ import annotations

import contextlib
import html
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalkit.cli import main
from evalkit.federation.run_folder import RunFolder
from evalkit.report.wording.power import TABLES
from evalkit.simulate import Simulation
from tests.small_world import small_world

EXAMPLE = Path(__file__).parents[2] / "configs" / "costs" / "ecu911-scale.toml"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


Run = Callable[..., Ended]


def called(*arguments: object) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    code = ended.value.code
    assert "Traceback" not in out.getvalue() + err.getvalue()
    return Ended(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return small_world(tmp_path_factory.mktemp("world") / "data")


def sites_of(world: Simulation) -> list[str]:
    return [part for site in world.sites for part in ("--site", str(site))]


def run_of(world: Simulation, folder: Path, estimator: str) -> Path:
    """A finished run of the world's study with another estimator."""
    study = world.study.with_name(f"{estimator}.toml")
    text = world.study.read_text(encoding="utf-8")
    study.write_text(
        text.replace('estimator = "random_effects"', f'estimator = "{estimator}"'), encoding="utf-8"
    )
    ended = called(
        "study", "run", study, *sites_of(world), "--out", folder, "--no-tracking", "--no-pictures"
    )
    assert ended.code == 0, ended.err
    return folder / "latest"


@pytest.fixture(scope="module")
def two_stage(world: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(world, tmp_path_factory.mktemp("two") / "runs", "random_effects")


@pytest.fixture(scope="module")
def one_step(world: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(world, tmp_path_factory.mktemp("one") / "runs", "poisson_did")


def test_power_from_assumptions_says_what_it_assumes(tmp_path: Path) -> None:
    ended = called("study", "power", "--out", tmp_path / "p", "--cities", 4, "--tau", 0.2)
    assert ended.code == 0
    assert "−13.0 %" in ended.out  # the shipped claim
    assert re.search(r"cities +4 +given", ended.out)
    assert re.search(r"treated units in each +60 +assumed", ended.out)
    assert "cannot be reached: cities differ too much" in ended.out
    names = {path.name for path in (tmp_path / "p").iterdir()}
    assert names == {"power.html", "power.es.html", "power.pt.html", "power.svg", "power.png"}


def test_pages_open_offline_in_three_languages(tmp_path: Path) -> None:
    called("study", "power", "--out", tmp_path, "--effect", "-20", "--cities", 1)
    for name, language in (("power.html", "en"), ("power.es.html", "es"), ("power.pt.html", "pt")):
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert TABLES[language]["title"] in page
        assert TABLES[language]["one_city"] in page
        assert "http" not in page.replace("http-equiv", "")
        assert "<script" not in page


def test_every_language_says_the_same_with_the_same_places() -> None:
    for key, english in TABLES["en"].items():
        for language in ("es", "pt"):
            said = TABLES[language][key]
            assert set(re.findall(r"{\w+}", said)) == set(re.findall(r"{\w+}", english)), key
    assert {frozenset(table) for table in TABLES.values()} == {frozenset(TABLES["en"])}


def test_power_as_json_has_the_same_answer(tmp_path: Path) -> None:
    arguments = ("study", "power", "--effect", "-10", "--no-pictures", "--out", tmp_path / "none")
    ended = called(*arguments, "--json").json
    assert ended["effect_percent"] == pytest.approx(-10)
    assert ended["files"] == {}
    assert not (tmp_path / "none").exists()
    assert {one["quantity"] for one in ended["needed"]} == {"cities", "cameras", "periods"}
    words = called(*arguments).out
    assert f"Power:      {100 * ended['power']:.0f} %" in words


def test_power_from_panels_uses_their_counts_and_stays(
    world: Simulation, two_stage: Path, tmp_path: Path
) -> None:
    assert two_stage.exists()  # the run built the panels
    path = world.study.with_name("random_effects.toml")
    ended = called("study", "power", path, *sites_of(world), "--out", tmp_path)
    assert ended.code == 0, ended.err
    assert re.search(r"cities +3 +panels", ended.out)
    assert re.search(r"standard deviation of effects .* assumed", ended.out)
    assert "passed no gate" in ended.out
    page = html.unescape((tmp_path / "power.html").read_text(encoding="utf-8"))
    assert TABLES["en"]["local"] in page
    more = called(
        "study", "power", path, *sites_of(world), "--out", tmp_path, "--cities", 30, "--json"
    )
    assert more.json["sources"]["cities"] == "given"
    assert more.json["power"] > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--effect", "0"), "--effect is no change"),
        (("--effect", "-100"), "--effect is no change"),
        (("--effect", "-5", "--claim", "cctv-review-2019"), "both --claim and --effect"),
        (("--site", "a.toml"), "no study"),
        (("--rate", "0"), "rate of the planned study"),
        (("--rate", "inf"), "rate of the planned study is out of range"),
        (("--tau", "inf"), "tau of the planned study is out of range"),
        (("--tau", "nan"), "tau of the planned study is out of range"),
        (("--dispersion", "inf"), "dispersion of the planned study is out of range"),
        (("--cameras", "1e300"), "expected: from 1e-06 to 1,000,000"),
        (("--cities", "1" + 400 * "0"), "cities of the planned study is out of range"),
        (("--effect", "-99.9999999"), "no effect is named that a study could detect"),
        (("--effect", "1e9"), "no effect is named that a study could detect"),
        (("--claim", "nobody-said-it"), "no claim named"),
    ],
)
def test_power_says_what_is_wrong(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    ended = called("study", "power", "--out", tmp_path, *arguments)
    assert ended.code == 3
    assert message in ended.err


def test_power_asks_for_panels_that_are_not_there(world: Simulation, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    text = world.study.read_text(encoding="utf-8")
    other.write_text(text.replace("radius_m = 100", "radius_m = 90"), encoding="utf-8")
    ended = called("study", "power", other, *sites_of(world), "--out", tmp_path)
    assert ended.code == 5
    assert "PANEL-ABSENT" in ended.err


def with_costs(folder: Path, world: Simulation, extra: str = "") -> Path:
    crime_types = re.search(r"crime_types = \[(.*)\]", world.study.read_text(encoding="utf-8"))
    assert crime_types
    names = re.findall(r"\w+", crime_types.group(1))
    path = folder / "costs.toml"
    figures = "\n".join(f'per_crime.{name} = {{value = 1000, source = "s"}}' for name in names)
    path.write_text(
        f"""
[costs]
currency = "USD"
price_year = 2020
capital_per_camera = {{value = 5000, source = "s"}}
running_per_camera_year = {{value = 500, assumption = true}}
lifetime_years = {{value = 10, source = "s"}}
discount_rate = {{value = 0.05, source = "s"}}
{figures}
{extra}
""",
        encoding="utf-8",
    )
    return path


def test_cost_takes_incidents_from_the_releases(
    world: Simulation, one_step: Path, tmp_path: Path
) -> None:
    costs = with_costs(tmp_path, world)
    ended = called("study", "cost", "--run", one_step, "--costs", costs)
    assert ended.code == 0, ended.err
    assert "from the releases" in ended.out
    assert "assumptions to replace: running_per_camera_year" in ended.out
    found = called("study", "cost", "--run", one_step, "--costs", costs, "--json").json
    assert found == json.loads((one_step / "cost.json").read_text())
    estimate = RunFolder(one_step).read("estimate.json")["terms"][0]
    without = found["incidents"] * 2.718281828459045 ** -estimate["estimate"]
    assert found["prevented"]["value"] == pytest.approx(without - found["incidents"])
    assert found["incidents"] > 100
    assert 10 < found["camera_years"] < 3 * 24 * 4  # three cities, 24 places, four years


def test_the_shipped_example_goes_with_any_run_of_its_crimes(
    world: Simulation, two_stage: Path, tmp_path: Path
) -> None:
    study = RunFolder(two_stage).study()
    text = EXAMPLE.read_text(encoding="utf-8")
    for name in sorted(set(study.outcome.crime_types) - {"robbery", "theft"}):
        for table in ("treated_incidents", "per_crime"):
            text += f"\n[costs.{table}.{name}]\nvalue = 1000\nassumption = true\n"
    path = tmp_path / "costs.toml"
    path.write_text(text, encoding="utf-8")
    ended = called("study", "cost", "--run", two_stage, "--costs", path)
    assert ended.code == 0, ended.err
    assert "no city released them" in ended.out
    assert "assumed to hold for the scheme" in ended.out
    assert "Break-even" in ended.out


def test_an_effect_alone_tells_no_number_of_incidents(
    world: Simulation, two_stage: Path, tmp_path: Path
) -> None:
    ended = called("study", "cost", "--run", two_stage, "--costs", with_costs(tmp_path, world))
    assert ended.code == 3
    assert "do not tell how many incidents" in ended.err


def test_incidents_without_cameras_and_years_are_refused(
    world: Simulation, two_stage: Path, tmp_path: Path
) -> None:
    extra = 'treated_incidents.robbery = {value = 5, source = "s"}'
    costs = with_costs(tmp_path, world, extra)
    ended = called("study", "cost", "--run", two_stage, "--costs", costs)
    assert ended.code == 3
    assert "how many cameras and years" in ended.err


def test_cost_of_no_run_says_so(world: Simulation, tmp_path: Path) -> None:
    ended = called("study", "cost", "--run", tmp_path, "--costs", with_costs(tmp_path, world))
    assert ended.code == 3
    assert "not a run" in ended.err
