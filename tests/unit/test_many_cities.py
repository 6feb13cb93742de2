"""What a server does for many cities costs each city the same, and is what it is for few."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from evalkit.core.discover import estimator
from evalkit.core.statistics import Statistics, Support, merge, merge_all
from evalkit.errors import EstimationError
from evalkit.federation.codec import Received
from evalkit.federation.run_folder import RunFolder
from tests.panels import study

CITIES = 50


def statistics(kind: str) -> list[Statistics]:
    """Of cities in no order."""
    random = np.random.default_rng(1)
    return [
        Statistics(
            "poisson_did",
            "score",
            kind,  # type: ignore[arg-type]  # a literal of the test's parameters
            {
                (f"c{at:02d}",): {
                    "score": random.normal(size=3),
                    "information": random.normal(size=(3, 3)),
                }
            },
            (Support(f"c{at:02d}", (), 1, 1, 1),),
        )
        for at in random.permutation(CITIES)
    ]


@pytest.mark.parametrize("kind", ["additive", "collected"])
def test_merging_all_is_merging_one_by_one_to_the_last_bit(kind: str) -> None:
    several = statistics(kind)
    once = merge_all(several)
    in_turn = reduce(merge, sorted(several, key=lambda one: one.sites))
    assert once.sites == in_turn.sites
    assert once.support == in_turn.support
    assert list(once.parts) == list(in_turn.parts)
    for sites, fields in in_turn.parts.items():
        assert fields.keys() == once.parts[sites].keys()
        assert all(
            array.tobytes() == once.parts[sites][name].tobytes() for name, array in fields.items()
        )


@pytest.mark.parametrize("kind", ["additive", "collected"])
def test_a_city_twice_is_refused(kind: str) -> None:
    several = statistics(kind)
    with pytest.raises(EstimationError, match="twice"):
        merge_all([*several, several[0]])


def test_other_shapes_and_other_questions_are_refused() -> None:
    several = statistics("additive")
    one = Statistics("poisson_did", "score", "additive", {("z",): {"score": np.zeros(2)}})
    with pytest.raises(EstimationError, match="fields or shapes"):
        merge_all([*several, one])
    with pytest.raises(EstimationError, match="different questions"):
        merge_all([*several, Statistics("poisson_did", "meat", "additive", dict(one.parts))])


def test_the_list_of_releases_is_whole_after_each_and_as_if_written_at_once(tmp_path: Path) -> None:
    question = estimator("poisson_did").first_question(study(estimator="poisson_did"))
    run = RunFolder.create(tmp_path / "run", question.study)
    for at, one in enumerate([*statistics("additive")[:5], statistics("additive")[0]]):
        run.write_release(question, Received(one.sites[0], one, f"bytes {at}".encode()))
        grown = (run.path / "releases.json").read_bytes()
        run.write("releases.json", run._hashes)
        assert (run.path / "releases.json").read_bytes() == grown
        assert len(run.read("releases.json")) == min(at + 1, 5)
